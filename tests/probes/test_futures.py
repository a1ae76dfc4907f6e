"""Futures of a run: the spread of a random walk in closed form, none without draws, and the run untouched."""

import pytest
import torch

import separatrix as sx
from separatrix.errors import InputError
from separatrix.probes.futures import futures


def walk(noise: float, *, drift: float = 0.0) -> sx.Run:
    """A number whose loss is itself, moved by a drift and Gaussian noise."""
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    draws = torch.Generator().manual_seed(0)

    def step() -> None:
        with torch.no_grad():
            x.add_(drift + noise * torch.randn(1, generator=draws, dtype=torch.float64))

    roles = sx.Roles(players={"x": [x]}, losses={"x": lambda batch: x.sum()}, data=[None])
    return sx.Run(step, {"x": x, "draws": draws}, roles=roles)


def test_a_random_walk_spreads_as_the_root_of_its_steps_and_drifts_along() -> None:
    run = walk(0.1, drift=0.05)
    before = run.snapshot()
    found = futures(run, steps=25, repeats=400)["x"]
    assert found.spread == pytest.approx(0.1 * 5, rel=0.11)  # three standard errors of a deviation of 400
    assert found.change == pytest.approx(25 * 0.05, abs=3 * 0.5 / 400**0.5)
    assert found.loss == 0
    assert found.flat_loss == 0
    assert not before.differences(run.snapshot())


def test_without_draws_all_futures_are_the_same() -> None:
    found = futures(walk(0.0, drift=0.05), steps=4)["x"]
    assert found.spread == 0
    assert found.after == pytest.approx([0.2] * 5)
    assert "5 futures of 4 steps" in found.sentence


def test_a_position_in_the_data_is_moved_by_the_function_that_is_given() -> None:
    x = torch.zeros(1, requires_grad=True)
    data, at = [1.0, 2.0, 4.0], {"batch": 0}

    def step() -> None:
        with torch.no_grad():
            x.add_(data[at["batch"] % 3])
        at["batch"] += 1

    run = sx.Run(
        step, {"x": x, "at": at}, roles=sx.Roles(players={"x": [x]}, losses={"x": lambda _: x.sum()}, data=[0])
    )
    assert futures(run, steps=1, repeats=3)["x"].spread == 0
    moved = futures(run, steps=1, repeats=3, redraw=lambda i: at.update(batch=i))["x"]
    assert moved.after == (1.0, 2.0, 4.0)
    assert at == {"batch": 0}


def test_bad_numbers_and_missing_losses_are_named() -> None:
    with pytest.raises(InputError, match="repeats >= 2, got steps=30 and repeats=1"):
        futures(walk(0.1), repeats=1)
    bare = torch.zeros(1)
    with pytest.raises(InputError, match="losses"):
        futures(sx.Run(lambda: bare.add_(1), [bare]))
