"""What the four commands measure, print and write."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
import torch
from rich.text import Text

from separatrix.cli import outputs, talk
from separatrix.cli.options import JacobianRoute, Request
from separatrix.errors import InputError
from separatrix.fields.routes import ROUTES
from separatrix.probes import Diagnosis

QUICK = ("--budget", "1")  # the Jacobian and what costs nothing


def test_diagnose_prints_and_writes_every_kind_of_report(cli, tmp_path: Path) -> None:
    files = ["r.html", "r.json", "r.md"]
    result = cli("diagnose", "game.py:problem", "-k", "2", "--budget", "60", *(a for f in files for a in ("-o", f)))
    assert result.code == 0
    assert re.search(r"Spectrum  (Stable|Contracting)", result.out)
    assert result.err == "".join(f"wrote {f}\n" for f in files)
    saved = Diagnosis.load("r.json")
    assert saved.title == "damped"
    assert saved["reproduce"]["command"].startswith("separatrix diagnose game.py:problem -k 2 --budget 60 -o r.html")
    assert "<html" in (tmp_path / "r.html").read_text()
    assert (tmp_path / "r.md").read_text().startswith("#")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["game.py", *files]


def test_json_is_all_of_stdout_and_loads_back(cli) -> None:
    result = cli("diagnose", "game.py:problem", *QUICK, "--json")
    assert Diagnosis.from_dict(result.json).title == "damped"


def test_quiet_is_one_line(cli) -> None:
    result = cli("diagnose", "game.py:problem", *QUICK, "--train", "2", "--quiet", "-o", "r.json")
    assert result.err == ""
    assert len(result.out.splitlines()) == 1


@pytest.mark.parametrize(("level", "code"), [("note", 1), ("warning", 1), ("critical", 0)])
def test_fail_on_compares_with_the_worst_finding(cli, level: str, code: int) -> None:
    """Detached fakes, as in most GAN loops, are a warning."""
    result = cli("diagnose", "game.py:usual", "--fail-on", level, *QUICK, "--json")
    assert {f["severity"] for f in result.json["findings"]} == {"warning", "note"}
    assert result.code == code


def test_training_before_measuring_moves_the_point_and_draws_its_path(cli) -> None:
    result = cli("diagnose", "game.py:problem", "--train", "50", "--json", "--budget", "70")
    losses = result.json["sections"]["problem"]["losses"]
    assert abs(losses["x"]) < 1e-3  # 0.9^50 of the start
    assert result.json["sections"]["method"]["steps_made"] == {"x": 50, "y": 50}
    assert "trained damped for 50 steps" in result.err


def test_the_same_seed_gives_the_same_numbers(cli) -> None:
    first, second, other = (
        cli("diagnose", "game.py:loaded", "--train", "3", "--seed", seed, "--json", *QUICK).json["sections"]["problem"]
        for seed in ("1", "1", "2")
    )
    assert first == second
    assert first["losses"] != other["losses"]


def test_batches_limit_a_loader(cli) -> None:
    section = cli("diagnose", "game.py:loaded", "--batches", "3", "--json", *QUICK).json["sections"]["problem"]
    assert (section["batches"], section["samples"]) == (3, 6)


def test_batches_of_a_stream_stand_in_for_all_data(cli) -> None:
    result = cli("diagnose", "zoo:eight-gaussians", "--batches", "2", "--json", *QUICK)
    section = result.json["sections"]["problem"]
    assert (section["batches"], section["samples"]) == (2, 1024)


def test_batches_of_a_single_batch_are_refused(refused) -> None:
    assert "has neither a DataLoader nor a stream" in refused(
        "diagnose", "game.py:trained", "--batches", "2", "--train", "9"
    )


@pytest.mark.parametrize("name", ["trained", "problem"])
def test_dtype_is_that_of_players_and_answers(cli, name: str) -> None:
    for dtype in ("float32", "float64"):
        result = cli(
            "diagnose", f"game.py:{name}", "--dtype", dtype, "--device", "cpu", "--train", "1", "--json", *QUICK
        )
        assert result.code == 0, result.err
        assert result.json["sections"]["problem"]["dtype"] == dtype


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "--device gpu is not available here"),
        ("cuda:99", "--device cuda:99 is not available here"),
        ("meta", "use --device cpu"),
    ],
)
def test_a_device_that_is_not_there_is_named(refused, device: str, message: str) -> None:
    assert message in refused("diagnose", "game.py:problem", "--device", device)


def test_a_field_stays_in_its_dtype(refused, cli) -> None:
    assert "is a field on cpu in torch.float64" in refused("diagnose", "game.py:field", "--dtype", "float32")
    assert cli("spectrum", "game.py:field", "--dtype", "float64").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diagnose", "-o", "report.pdf"], "-o report.pdf: the suffix '.pdf' is unknown; use one of .html, .json, .md"),
        (["diagnose", "-o", "report"], "-o report: the suffix '' is unknown"),
        (
            ["diagnose", "-o", "nowhere/report.html"],
            "-o nowhere/report.html: the folder nowhere does not exist; create it",
        ),
        (["diagnose", "-o", "game.py/report.html"], "-o game.py/report.html: game.py is a file, not a folder"),
        (["diagnose", "-o", "."], "-o . is a folder; name a file in it, such as result.html"),
        (["train", "-o", "c.json"], "the suffix '.json' is unknown; use one of .pt, .pth"),
        (["compare", "-o", "c.pt"], "the suffix '.pt' is unknown; use one of .json"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_computing(
    refused, arguments: list[str], message: str
) -> None:
    """Without a TARGET these would train 2000 steps first."""
    assert message in refused(*arguments)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    path.write_text("old")

    def half(to: Path) -> None:
        to.write_text("ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outputs.write_whole(path, half)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("c.pt", "old")]


def test_a_folder_that_may_not_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(InputError, match="cannot be written to; choose another one"):
        outputs.check_outputs([tmp_path / "r.html"], (".html",))


def test_train_reports_losses_score_and_cost(cli) -> None:
    result = cli("train", "game.py:problem", "--steps", "10", "--json").json
    assert (result["steps"], result["gradients"]) == (10, 10)
    assert result["score"]["size"]["before"] == 1
    # x' = x - 0.1 (x + y), y' = y - 0.1 (y - x): one factor 0.9 + 0.1i a step.
    assert result["score"]["size"]["after"] == pytest.approx(abs(((0.9 + 0.1j) ** 10 * (1 + 1j)).real), rel=1e-9)
    assert set(result["losses"]) == {"x", "y"}
    assert result["field_norm"]["first"] == pytest.approx(2)


def test_train_prints_a_table_and_quiet_a_line(cli) -> None:
    shown = cli("train", "game.py:problem", "--steps", "10").out
    assert re.search(r"damped: 10 steps, simultaneous, 10 gradients, [\d.]+ s", shown)
    assert "lower is better" in shown
    assert len(cli("train", "game.py:problem", "--steps", "1", "--quiet").out.splitlines()) == 1


def test_train_takes_method_and_optimizer(cli) -> None:
    result = cli(
        "train", "game.py:trained", "--steps", "2", "--method", "extragradient", "--optimizer", "sgd:lr=0.1", "--json"
    )
    assert result.json["method"]["scheme"] == "extragradient"
    assert result.json["gradients"] == pytest.approx(4)
    result = cli("train", "game.py:trained", "--steps", "2", "--method", "consensus:gamma=1", "--json")
    assert result.json["gradients"] == pytest.approx(6)


def test_train_follows_a_field(cli) -> None:
    result = cli("diagnose", "game.py:field", "--train", "3", "--optimizer", "sgd:lr=0.25", "--json", *QUICK)
    assert result.code == 0, result.err


@pytest.mark.parametrize("arguments", [["train"], ["diagnose", "--train", "3"], ["compare"]])
def test_what_trains_needs_an_optimizer(refused, arguments: list[str]) -> None:
    command, *rest = arguments
    assert "'damped' has no method of its own; add an optimizer" in refused(command, "game.py:game", *rest)


def test_a_field_is_no_checkpoint(refused) -> None:
    said = refused("train", "game.py:field", "--optimizer", "sgd:lr=0.1", "-o", "c.pt")
    assert "this command needs a Game" in said


def test_compare_predicts_what_a_linear_game_does(cli) -> None:
    """All modes of the damped game have the same modulus, so growth is the same at every step."""
    result = cli(
        "compare", "game.py:problem", "--methods", "simultaneous,extragradient,consensus:gamma=1", "--steps", "40",
        "--seeds", "1", "--json", "-o", "c.json", "-o", "c.svg", "-o", "c.md",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert result.json == json.loads(Path("c.json").read_text())
    assert "extragradient" in Path("c.svg").read_text()
    assert "| extragradient |" in Path("c.md").read_text()
    z = -0.1 + 0.1j
    # Consensus: v - gamma J^T v with J^T J = 2, so h lambda becomes z - 0.1 * 2.
    exact = {
        "simultaneous": abs(1 + z),
        "extragradient": abs(1 + z + z * z) ** 0.5,
        "consensus:gamma=1": abs(1 + z - 0.2) ** (1 / 3),
    }
    for row in result.json["rows"]:
        assert row["predicted"]["growth_per_gradient"] == pytest.approx(exact[row["method"]], rel=1e-9)
        assert row["observed"]["growth_per_gradient"]["median"] == pytest.approx(exact[row["method"]], rel=1e-9)
        assert sum(row["gradients"]) <= result.json["budget"] + 1e-9
    assert result.json["budget"] == 40


def test_compare_tries_each_method_at_its_best_step_too(cli) -> None:
    """Eigenvalues -1 +- i: a simultaneous step of 1/2, five times the present one, shrinks most."""
    options = ("compare", "game.py:problem", "--methods", "simultaneous,extragradient", "--steps", "20", "--seeds", "1")
    result = cli(*options, "--best-steps", "--json")
    assert result.code == 0, result.err
    rows = {row["method"]: row for row in result.json["rows"]}
    assert list(rows)[:3] == ["simultaneous", "simultaneous, step × 5.0", "extragradient"]
    assert len(rows) == 4
    for name, row in rows.items():
        predicted, observed = (row[of]["growth_per_gradient"] for of in ("predicted", "observed"))
        assert observed["median"] == pytest.approx(predicted, rel=1e-6), name
        assert predicted <= rows[name.partition(",")[0]]["predicted"]["growth_per_gradient"]
    assert rows["simultaneous, step × 5.0"]["predicted"]["growth_per_gradient"] == pytest.approx(0.5**0.5, rel=1e-4)


def test_compare_goes_on_from_a_checkpoint_and_predicts_with_its_moments(cli) -> None:
    options = ("--methods", "simultaneous,alternating", "--steps", "3", "--seeds", "2", "--json")
    fresh = cli("compare", "game.py:trained", *options)
    assert all(row["predicted"]["why_not"].startswith("no prediction") for row in fresh.json["rows"])
    cli("train", "game.py:trained", "--steps", "20", "-o", "c.pt")
    for start in (("--checkpoint", "c.pt"), ("--train", "20")):
        warm = cli("compare", "game.py:trained", *options, *start)
        assert warm.code == 0, warm.err
        assert all(row["predicted"]["growth_per_gradient"] > 0 for row in warm.json["rows"])


def test_compare_prints_prediction_observation_and_score(cli) -> None:
    shown = cli("compare", "game.py:problem", "--steps", "5", "--seeds", "2").out
    for word in (
        "predicted growth",
        "observed growth",
        "size",
        "lower is better",
        "alternating",
        "2 seeds",
        "linear picture",
    ):
        assert word in shown
    shown = cli("compare", "game.py:trained", "--steps", "2", "--seeds", "1", "--methods", "simultaneous").out
    assert "no prediction, since the Adam of players 'G' and 'D' has made no step" in shown
    assert "loss G.loss" in shown


def test_compare_marks_a_prediction_that_leaves_growing_modes_out(cli) -> None:
    """Off its equilibrium the Dirac-GAN has eigenvalues +-0.18 (times the step 0.2)."""
    shown = cli(
        "compare", "zoo:dirac-gan:theta=1,psi=1", "--methods", "simultaneous", "--steps", "3", "--seeds", "1"
    ).out
    assert "−3.7% *" in shown
    assert "simultaneous: * 1 of the modes grow in the flow itself" in shown


def test_compare_says_where_a_method_left_the_finite_numbers(cli) -> None:
    result = cli("compare", "game.py:exploding", "--methods", "simultaneous", "--steps", "30", "--seeds", "1")
    assert result.code == 0
    assert "not finite" in result.out


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ("", "--methods is empty"),
        ("simultaneous,simultaneous", "--methods names 'simultaneous' twice"),
        ("simultaneous,newton", "there is no method 'newton'"),
    ],
)
def test_compare_refuses_methods_it_does_not_know(refused, methods: str, message: str) -> None:
    assert message in refused("compare", "game.py:problem", "--methods", methods)


def test_spectrum_prints_values_residuals_and_verdict(cli) -> None:
    shown = cli("spectrum", "zoo:quadratic").out
    assert re.search(r"-0\.005 \+0\.05i +\de-1\d +3\.96 +largest, rightmost, rotation", shown)
    assert re.search(r"symmetric part +between −0\.150 and −0\.00500", shown)
    assert "Contracting: the symmetric part ends below -0.005" in shown
    assert cli("spectrum", "zoo:quadratic", "--quiet").out.startswith("Contracting")


def test_spectrum_finds_the_ends_it_is_asked_for(cli) -> None:
    result = cli("spectrum", "zoo:quadratic", "--target", "leftmost", "-k", "1", "--max-products", "50", "--json").json
    assert [(row["real"], row["imag"]) for row in result["rows"]] == [
        (pytest.approx(-0.15), pytest.approx(0, abs=1e-12))
    ]
    assert result["metric"].endswith("h lambda")
    assert result["verdict"]["name"] == "contracting"
    assert result["certificate"]["symmetric_part"]["failure"] == 0
    assert result["density"] is None
    both = cli("spectrum", "zoo:quadratic", "--target", "step-limit", "--target", "rotation", "-k", "1", "--json").json
    limits = {row["target"]: row["step_limit"] for row in both["rows"]}
    assert limits["step-limit"] == pytest.approx(2 * 0.005 / (0.005**2 + 0.05**2))


@pytest.mark.parametrize("command", ["spectrum", "diagnose"])
def test_products_are_computed_by_the_route_that_is_asked_for(cli, monkeypatch, command: str) -> None:
    assert [route.value for route in JacobianRoute] == list(ROUTES)
    built = []
    stream = ROUTES["stream"]
    monkeypatch.setitem(ROUTES, "stream", lambda field, leaves: built.append(field) or stream(field, leaves))
    budget = ["--budget", "40"] if command == "diagnose" else []
    assert cli(command, "game.py:problem", *budget, "--quiet").code == 0
    assert built == []
    assert cli(command, "game.py:problem", *budget, "--quiet", "--route", "stream").code == 0
    assert built != []


def test_spectrum_writes_pages_pictures_and_records(cli, refused) -> None:
    names = ["s.html", "s.png", "s.svg", "s.md", "s.json"]
    outputs = [word for name in names for word in ("-o", name)]
    result = cli("spectrum", "zoo:quadratic", "--density", "--pseudospectrum", *outputs)
    assert result.code == 0
    assert all(f"wrote {name}" in result.err for name in names)
    assert all(Path(name).stat().st_size > 500 for name in names)
    stored = json.loads(Path("s.json").read_text())
    assert stored["density"]["below"] == pytest.approx(1)
    assert stored["pseudospectrum"]["growth"] == pytest.approx(1, abs=1e-2)
    assert "the suffix '.pdf' is unknown; use one of .html, .png, .svg, .md, .json" in refused(
        "spectrum", "-o", "s.pdf"
    )


def test_two_saved_diagnoses_are_compared(cli) -> None:
    cli("diagnose", "game.py:problem", "--budget", "60", "-o", "a.json")
    cli("diagnose", "game.py:problem", "--budget", "60", "--optimizer", "sgd:lr=0.2", "-o", "b.json")
    shown = cli("compare-reports", "a.json", "b.json").out
    assert "rightmost eigenvalue" in shown
    found = cli("compare-reports", "a.json", "b.json", "--json").json
    assert {"titles", "verdicts", "rows", "gained", "lost", "kept", "unmeasured_after"} <= set(found)


def test_a_diagnosis_that_cannot_be_read_is_named(refused) -> None:
    Path("a.json").write_text("{}")
    assert "there is no diagnosis at b.json" in refused("compare-reports", "b.json", "a.json")
    assert "this diagnosis has version None" in refused("compare-reports", "a.json", "a.json")


def test_only_the_bundled_target_is_trained_unasked() -> None:
    def steps(**changes: object) -> int:
        request = Request()
        return type(request)(**{**vars(request), **changes}).steps

    assert (steps(), steps(train=5), steps(target="zoo:digits-gan"), steps(checkpoint=Path("c"))) == (2000, 5, 0, 0)


def test_numbers_that_json_does_not_know_become_null() -> None:
    data = {"a": [float("nan"), float("inf"), 1.0], "b": (1 + 2j,)}
    assert talk.finite(data) == {"a": [None, None, 1.0], "b": [[1.0, 2.0]]}


def test_the_users_file_is_never_changed(cli, tmp_path: Path) -> None:
    before = (tmp_path / "game.py").read_bytes(), torch.get_default_dtype()
    cli("train", "game.py:problem", "--steps", "1")
    assert ((tmp_path / "game.py").read_bytes(), torch.get_default_dtype()) == before


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_only_and_not_when_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    shown = {}
    for name, stream, quiet in (
        ("terminal", Terminal(), False),
        ("file", io.StringIO(), False),
        ("quiet", Terminal(), True),
    ):
        with talk.Talk(io.StringIO(), stream, quiet=quiet).progress("measuring damped") as advance:
            advance(part="spectrum")
        shown[name] = stream.getvalue()
    assert "measuring damped: spectrum" in shown["terminal"]
    assert (shown["file"], shown["quiet"]) == ("", "")


@pytest.mark.parametrize("no_color", [True, False])
def test_results_are_coloured_on_a_terminal_unless_no_color_is_set(
    monkeypatch: pytest.MonkeyPatch, no_color: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1") if no_color else monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    talk.Talk(out, io.StringIO()).result({}, Text("verdict", "red"))
    assert ("[31m" in out.getvalue()) is not no_color


def test_a_score_that_fails_is_the_users(refused) -> None:
    assert "the score of 'scored' raised ValueError: no classifier" in refused(
        "train", "game.py:scored", "--steps", "1"
    )


def test_a_budget_below_what_comes_first_is_told_before_it_is_spent(cli) -> None:
    small = cli("diagnose", "game.py:problem", "--budget", "20")
    assert "--budget 20: the Jacobian's tests and the spectrum come first and are taken whole, about 34" in small.err
    assert "--budget" not in cli("diagnose", "game.py:problem", "--budget", "60").err


def test_what_is_known_of_a_problem_stands_beside_what_was_measured(cli) -> None:
    shown = cli("diagnose", "zoo:bilinear", "--budget", "60", "--json").json["sections"]["problem"]["known"]
    assert shown["eigenvalues"] == {"value": "[0.000 + 1.000i, 0.000 − 1.000i]", "source": "singular values of M"}
    assert "Known  equilibrium" in cli("diagnose", "zoo:bilinear", "--budget", "60").out
