"""Races whose winner is known; resumed after kill -9; losers stopped; and nothing left behind."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from separatrix.dynamics import Roles, Run
from separatrix.dynamics.streams import reseed
from separatrix.errors import ComputationError, InputError
from separatrix.probes import Race, Remedy, race
from separatrix.probes.race_branch import can_fork

WORKERS = 1 if can_fork() else 0


def a_noisy_quadratic(lr: float = 0.01, noise: float = 0.05, **roles: Any) -> tuple[Run, torch.optim.Optimizer, Tensor]:
    """SGD with noise on ``x^2 / 2``; the score is ``|x|^2``."""
    x = torch.full((4,), 3.0, requires_grad=True)
    opt = torch.optim.SGD([x], lr=lr)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        opt.zero_grad()
        x.grad = x.detach() + noise * torch.randn(4, generator=generator)
        opt.step()

    given: dict[str, Any] = {"score": lambda: float(x.detach().square().sum())} | roles
    return Run(step, {"x": x, "opt": opt, "generator": generator}, roles=Roles(**given)), opt, x


def faster(opt: torch.optim.Optimizer, factor: float) -> Any:
    def apply() -> None:
        opt.param_groups[0]["lr"] *= factor

    return apply


@pytest.mark.parametrize("workers", sorted({0, WORKERS, 2 * WORKERS}))
def test_the_remedy_that_helps_wins_with_an_interval_and_the_run_is_untouched(workers: int) -> None:
    run, opt, _ = a_noisy_quadratic()
    before = run.snapshot()
    found = race(run, {"faster": faster(opt, 10.0), "slower": faster(opt, 0.1)}, 40, seeds=3, workers=workers)
    assert not before.differences(run.snapshot())
    assert [lane.name for lane in found.lanes][:2] == ["faster", "unchanged"]
    assert found.winner is not None
    assert found.winner.name == "faster"
    assert found["faster"].low > 0 > found["slower"].gain
    # The noise-free contraction is (1 - lr)^(2 steps) of 36.
    assert found["unchanged"].score == pytest.approx(36 * 0.99**80, rel=0.05)
    assert found["unchanged"].gain == 0.0
    assert found["slower"].status == "stopped"
    assert found["slower"].steps < 40
    assert "'faster' is better than the run as it is" in str(found)
    assert found["faster"].seconds > 0


def test_scores_are_paired_and_the_same_in_every_kind_of_process() -> None:
    found = []
    for workers in sorted({0, WORKERS}):
        run, opt, _ = a_noisy_quadratic(noise=1.0)
        found.append(race(run, {"same": lambda: None, "faster": faster(opt, 2.0)}, 8, seeds=3, workers=workers))
    for one in found:
        same = one["same"]
        assert (same.gain, same.low, same.high) == (0.0, 0.0, 0.0)
        assert len(set(same.scores)) == 3
    assert len({one["faster"].scores for one in found}) == 1


def test_a_remedy_that_costs_twice_as_much_makes_half_the_steps() -> None:
    run, opt, _ = a_noisy_quadratic()
    found = race(run, {"costly": Remedy(faster(opt, 10.0), cost=2.0)}, 40, seeds=2, workers=0)
    assert found["costly"].steps == 20
    assert found["costly"].score == pytest.approx(36 * 0.9**40, rel=0.1)


def test_a_remedy_may_be_another_run_with_a_state_of_its_own() -> None:
    run, _, x = a_noisy_quadratic(noise=0.0)

    def momentum() -> Run:
        opt = torch.optim.SGD([x], lr=0.01, momentum=0.9)

        def step() -> None:
            x.grad = x.detach().clone()
            opt.step()

        return Run(step, {"x": x, "opt": opt})

    found = race(run, {"momentum": momentum}, 40, seeds=1, workers=WORKERS)
    y, buffer = 3.0, 0.0
    for i in range(40):
        buffer = y if i == 0 else 0.9 * buffer + y
        y -= 0.01 * buffer
    assert found["momentum"].score == pytest.approx(4 * y * y, rel=1e-4)  # the buffer survives the rungs
    assert math.isnan(found["momentum"].low)
    assert found.winner is None


def test_what_fails_is_told_and_the_others_go_on() -> None:
    run, opt, _ = a_noisy_quadratic()

    def broken() -> None:
        raise ValueError("the user's own")

    found = race(
        run, {"broken": broken, "wild": faster(opt, 1e30), "good": faster(opt, 5.0)}, 12, seeds=2, workers=WORKERS
    )
    assert found["broken"].status == "ValueError: the user's own"
    assert "the score is" in found["wild"].status
    assert found.lanes[0].name == "good"
    run, _, _ = a_noisy_quadratic(score=lambda: math.nan)
    with pytest.raises(ComputationError, match="run as it is could not be raced: the score is nan"):
        race(run, {"good": lambda: None}, 12, seeds=2, workers=0)


def test_without_a_score_the_best_response_gap_decides() -> None:
    x = torch.tensor([2.0], requires_grad=True)
    opt = torch.optim.SGD([x], lr=0.01)

    def step() -> None:
        x.grad = x.detach().clone()
        opt.step()

    roles = Roles(optimizers={"x": opt}, losses=lambda _: x.square().sum() / 2, data=[0])
    found = race(Run(step, [x, opt], roles=roles), {"faster": faster(opt, 20.0)}, 12, seeds=1, workers=0, own_steps=3)
    assert found.better == "lower"
    assert found["faster"].gain > 0


def test_a_race_goes_on_where_it_stood_and_refuses_another_s_folder(tmp_path: Path) -> None:
    run, opt, _ = a_noisy_quadratic()
    remedies = {"faster": faster(opt, 10.0), "slower": faster(opt, 0.5)}
    whole = race(run, remedies, 20, seeds=2, folder=tmp_path / "a", workers=0)
    pieces = sorted((tmp_path / "a" / "pieces").glob("*.json"))
    times = {p: p.stat().st_mtime_ns for p in pieces}
    assert race(run, remedies, 20, seeds=2, folder=tmp_path / "a", workers=0) == whole
    assert {p: p.stat().st_mtime_ns for p in pieces} == times
    assert not list((tmp_path / "a" / "pieces").glob("*.pt"))
    for change, words in (({"steps": 24}, "steps differ"), ({"seeds": 3}, "seeds differ")):
        options = {"steps": 20, "seeds": 2} | change
        with pytest.raises(InputError, match=words):
            race(run, remedies, options.pop("steps"), folder=tmp_path / "a", **options)  # type: ignore[arg-type]
    run.step()
    with pytest.raises(InputError, match="the run stands somewhere else"):
        race(run, remedies, 20, seeds=2, folder=tmp_path / "a")


SCRIPT = """
import sys, time
sys.path.insert(0, {here!r})
import torch
torch.set_num_threads(1)
from test_race import a_slow_race
a_slow_race({folder!r}, 0.05)
"""


def a_slow_race(folder: str | Path, pause: float) -> Race:
    run, opt, _ = a_noisy_quadratic(noise=0.5)

    def step() -> None:
        time.sleep(pause)
        run.step()

    slow = Run(step, run.state, roles=run.roles)
    return race(
        slow, {"faster": faster(opt, 10.0), "slower": faster(opt, 0.5)}, 16, seeds=2, folder=folder, workers=WORKERS
    )


def test_kill_9_loses_no_finished_piece(tmp_path: Path) -> None:
    killed = tmp_path / "killed"
    script = SCRIPT.format(here=str(Path(__file__).parent), folder=str(killed))
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    pieces = killed / "pieces"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(list(pieces.glob("*.json")) if pieces.exists() else []) < 3:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)  # started here, with a session of its own
    process.wait()
    kept = {p.name: p.read_text() for p in pieces.glob("*.json")}
    assert 3 <= len(kept) < 18
    assert all(json.loads(text)["error"] == "" for text in kept.values())
    resumed, whole = a_slow_race(killed, 0.0), a_slow_race(tmp_path / "whole", 0.0)
    for lane in whole.lanes:
        assert resumed[lane.name].scores == pytest.approx(
            lane.scores, rel=1e-5
        )  # the other process had its own threads
    assert {name: (pieces / name).read_text() for name in kept} == kept


def test_generators_of_all_kinds_are_seeded_by_the_seed() -> None:
    import random

    import numpy as np

    def draw(seed: int) -> list[float]:
        state: dict[str, Any] = {
            "a": [torch.Generator().manual_seed(1), np.random.default_rng(1)],
            "b": (np.random.RandomState(1), random.Random(1)),
        }
        reseed(state, seed)
        a, b = state["a"], state["b"]
        return [float(torch.rand((), generator=a[0])), a[1].random(), b[0].rand(), b[1].random()]

    assert draw(0) == draw(0)
    assert draw(1) == draw(1)
    assert all(x != y for x, y in zip(draw(1), draw(2), strict=True))
    assert all(x != y for x, y in zip(draw(0), draw(2), strict=True))


def test_what_does_not_make_a_race_is_named() -> None:
    run, _, _ = a_noisy_quadratic()
    with pytest.raises(InputError, match="a race needs a remedy, at least 4 steps and a seed, got 0 remedies"):
        race(run, {}, 10)
    with pytest.raises(InputError, match="'unchanged' belongs to the run as it is"):
        race(run, {"unchanged": lambda: None}, 10)
    with pytest.raises(InputError, match="remedy 'a' must be a function"):
        race(run, {"a": 3}, 10)  # type: ignore[dict-item]
    bare, _, _ = a_noisy_quadratic(score=None)
    with pytest.raises(InputError, match=r"a race needs a score, Roles\(score=...\), or .* needs to know losses"):
        race(bare, {"a": lambda: None}, 10)
