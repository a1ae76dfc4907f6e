"""Every example runs, with few steps, and says what it is there to say."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_plain_loop_is_diagnosed_by_five_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.html"
    diagnosis = load("plain_loop").main(steps=20, batch=32, report=report)
    assert diagnosis["method"]["steps_made"] == {"D": 20, "G": 20}
    assert list(diagnosis["problem"]["players"]) == ["D", "G"]
    assert "detached" not in [finding.code for finding in diagnosis.findings]
    assert "Signature" in capsys.readouterr().out
    assert report.read_text(encoding="utf-8").startswith("<!")


@pytest.mark.parametrize(("price", "verdict"), [(20.0, "contracting"), (1.0, "unstable")])
def test_a_game_that_is_no_gan_is_unstable_where_the_formula_says_so(price: float, verdict: str) -> None:
    diagnosis, own, formula = load("not_a_gan").measure(price, steps=60 if verdict == "unstable" else 400)
    assert own == pytest.approx(formula, rel=1e-9)
    assert (own > 0) == (verdict == "unstable")
    assert diagnosis["spectrum"]["verdict"]["name"] == verdict


def test_detached_fakes_are_found_and_the_remedy_keeps_the_gradients(capsys: pytest.CaptureFixture[str]) -> None:
    findings = load("detached_fakes").main(count=64)
    assert [f.split(":")[0] for f in findings["as_usual"]] == ["detached"]
    assert findings["remedied"] == []
    assert "two gradients: 0.0e+00" in capsys.readouterr().out


def test_a_stopped_and_resumed_run_is_bitwise_the_same_and_diagnosed_with_its_optimizer() -> None:
    same, found = load("drop_in_optimiser").main(steps=12)
    assert same
    assert [d["method"]["scheme"] for d in found] == ["simultaneous", "extragradient"]
    assert found[0]["method"]["transforms"]
    assert all(d["method"]["steps_made"] == {"G": 12, "D": 12} and d["signature"] for d in found)


def test_a_preference_run_displaces_its_chosen_answers_and_a_likelihood_term_mends_it() -> None:
    found = load("preference_run").main()
    assert found["plain"].displaced == "yes"
    assert found["plain"].falls_from > 0
    assert "likelihood term" in found["plain"].remedy
    assert found["mended"].displaced == "no"
    assert found["mended"].falls_from is None
    assert found["mended"].margin_change.sign > 0


def test_a_black_box_is_measured_left_as_it_was_and_a_forgotten_optimizer_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "run.html"
    run, diagnosis = load("black_box_run").main(steps=5, measured=4, report=report)
    assert run.check_replay().value
    assert {row["player"] for row in diagnosis["best_response"]["rows"]} == {"D", "G"}
    assert diagnosis["spectrum"] is None
    said = capsys.readouterr().out
    assert "opt_d (Adam)" in said
    assert "Twin runs" in said
    assert report.read_text(encoding="utf-8").startswith("<!")


def codes(found: object) -> list[str]:
    return [finding.code for finding in found.findings]  # type: ignore[attr-defined]


def test_a_dcgan_script_whose_critic_hardly_learns_is_told_so_from_its_optimizers_alone() -> None:
    # The budget is a share of the time that the loop takes; here it lets every measurement be taken on any machine.
    monitor = load("dcgan_loop").main(num_epochs=3, every=96, budget=100.0, lr_d=1e-6)
    assert monitor.steps == 96
    assert codes(monitor)[:1] == ["critic-too-weak"]


def test_a_module_that_steps_its_optimizers_by_hand_is_told_that_its_critic_hardly_learns() -> None:
    assert codes(load("manual_optimisation").main(steps=100, lr_d=1e-6)) == ["critic-too-weak"]


def test_a_tokenizer_is_told_which_term_is_drowned() -> None:
    diagnosis = load("vector_quantiser").main(beta=1e-4)
    assert codes(diagnosis) == ["term-imbalance"]
    assert "commit supplies" in diagnosis.findings[0].sentence


@pytest.mark.parametrize("name", ["dcgan_loop", "manual_optimisation", "vector_quantiser"])
def test_a_loop_is_diagnosed_with_at_most_15_added_lines_and_without_them_it_knows_nothing_of_us(name: str) -> None:
    lines = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").split('"""', 2)[2].splitlines()
    added = [line for line in lines if "# added" in line]
    assert len(added) <= 15
    own = [line for line in lines if "# added" not in line]
    assert not re.search(r"\bsx\b|separatrix|monitor|diagnos|roles", "\n".join(own))


def test_every_example_is_tested() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert [p.stem for p in EXAMPLES.glob("*.py") if f'load("{p.stem}")' not in here] == []
