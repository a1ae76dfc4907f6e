"""A Run as TARGET: diagnosed from the command line, and refused by name where a field is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

RUNS = """
import torch
import separatrix as sx


def make_run(rate=0.1):
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    opt = torch.optim.SGD(model.parameters(), lr=rate)
    x = torch.randn(64, 2)
    y = x @ torch.tensor([[1.0], [-2.0]])

    def loss(batch):
        return (model(batch[0]) - batch[1]).square().mean()

    def step():
        opt.zero_grad()
        loss((x, y)).backward()
        opt.step()

    roles = sx.Roles(optimizers={"model": opt}, losses={"model": loss}, data=[(x, y)])
    return sx.Run(step, {"model": model, "opt": opt}, roles=roles, name="line")


def too_fast():
    return make_run(3.0)


halved = torch.ones(1)
run = sx.Run(lambda: halved.mul_(0.5), {"x": halved}, name="halved")


def stuck():
    import time
    return sx.Run(lambda: time.sleep(5), {"x": torch.zeros(1)}, name="stuck", time_limit=0.2)


def broken():
    return sx.Run(lambda: torch.ones(2) @ torch.ones(3), {"x": torch.zeros(1)}, name="broken")
"""


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loop.py").write_text(RUNS)


@pytest.mark.usefixtures("loop")
def test_a_function_that_returns_a_run_is_diagnosed_after_its_own_steps(cli, tmp_path: Path) -> None:
    result = cli("diagnose", "loop.py:make_run", "--train", "20", "-o", "run.json", "--json")
    assert result.code == 0, result.err
    assert result.json["title"] == "line"
    assert result.json["sections"]["problem"]["kind"] == "a training step as a black box"
    assert result.json["sections"]["reproduce"]["command"].startswith("separatrix diagnose loop.py:make_run --train 20")
    assert (tmp_path / "run.json").exists()


@pytest.mark.usefixtures("loop")
def test_a_run_itself_is_a_target_and_prints_its_diagnosis(cli) -> None:
    result = cli("diagnose", "loop.py:run")
    assert result.code == 0, result.err
    assert "halved" in result.out
    assert "Twin" in result.out


@pytest.mark.usefixtures("loop")
def test_a_finding_fails_the_command_where_that_is_asked_for(cli) -> None:
    result = cli("diagnose", "loop.py:too_fast", "--train", "3", "--fail-on", "warning", "--json")
    assert result.code == 1, result.err
    assert "step-beyond-limit" in [f["code"] for f in result.json["findings"]]


@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("command", ["spectrum", "train", "compare", "decompose"])
def test_what_needs_a_field_refuses_a_run_and_names_the_remedy(refused, command: str) -> None:
    said = refused(command, "loop.py:make_run")
    assert "is a Run" in said
    assert "separatrix diagnose loop.py:make_run" in said
    assert "sx.Game(players, losses)" in said


@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize(
    "option",
    [("--optimizer", "adam"), ("--method", "simultaneous"), ("--dtype", "float64"), ("-k", "3"), ("--budget", "9")],
)
def test_options_of_games_are_refused_by_name(refused, option: tuple[str, str]) -> None:
    assert refused("diagnose", "loop.py:run", *option).startswith(f"{option[0]} is for a Game")


@pytest.mark.usefixtures("loop")
def test_a_step_that_does_not_return_is_named(refused) -> None:
    assert "stuck" in refused("diagnose", "loop.py:stuck")


@pytest.mark.usefixtures("loop")
@pytest.mark.parametrize("train", ["0", "2"])
def test_what_the_users_step_raises_is_told_with_its_place(refused, train: str) -> None:
    said = refused("diagnose", "loop.py:broken", "--train", train)
    assert "the step of 'broken' raised RuntimeError" in said
    line = RUNS[: RUNS.index("torch.ones(2) @")].count("\n") + 1
    assert f"loop.py, line {line})" in said
