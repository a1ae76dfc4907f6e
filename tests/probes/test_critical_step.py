"""Critical steps on quadratics, where they are known, and in loops."""

from math import inf
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from separatrix.dynamics import Roles, Run
from separatrix.errors import InputError
from separatrix.probes import critical_step
from separatrix.probes.critical_step import SMALLEST


def a_descent(step_size: float, curvature: float, *, uphill: bool = False) -> Run:
    x = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)

    def loss(_: Any = None) -> Tensor:
        return curvature / 2 * x.square().sum()

    def step() -> None:
        with torch.no_grad():
            x.add_(curvature * x, alpha=step_size if uphill else -step_size)

    return Run(step, [x], roles=Roles(players={"x": x}, losses=loss, data=[None]))


@pytest.mark.parametrize("product", [0.25, 0.7, 1.9, 2.1, 4.0])
def test_descent_on_a_quadratic_has_the_critical_step_of_its_formula(product: float) -> None:
    """``L(x - c h k x) > L(x)`` just where ``c h k > 2``."""
    found = critical_step(a_descent(product / 3.0, 3.0), repeats=3)["x"]
    assert found.value == pytest.approx(2 / product, rel=0.05)
    assert found.share_that_rise == float(product > 2)
    assert found.low <= found.value <= found.high
    assert "beyond" in found.sentence


def test_the_ends_of_the_range_are_told() -> None:
    assert critical_step(a_descent(1e-3, 1.0), repeats=2)["x"].value == inf
    up = critical_step(a_descent(0.1, 1.0, uphill=True), repeats=2)["x"]
    assert up.value == SMALLEST
    assert "raises its loss from the start" in up.sentence
    assert up.change > 0


def test_the_opponent_s_update_is_read_in_the_player_s_loss() -> None:
    """``x y`` at (1, 2) with steps of 0.1: the move of y by +0.1 x changes x's loss by 0.1 and the other way round."""
    x, y = (torch.tensor([v], dtype=torch.float64, requires_grad=True) for v in (1.0, 2.0))

    def step() -> None:
        with torch.no_grad():
            dx, dy = -0.1 * y, 0.1 * x
            x.add_(dx)
            y.add_(dy)

    run = Run(step, [x, y], roles=Roles(players={"x": x, "y": y}, losses=lambda _: (x * y).sum(), data=[None]))
    found = critical_step(run, repeats=1)
    assert found["x"].change == pytest.approx(-0.4)
    assert found["x"].along["y"][0] == pytest.approx(0.1)
    assert found["y"].along["x"][0] == pytest.approx(0.4)
    assert found["x"].value == inf  # linear in its own player
    assert x.item() == 1.0


def test_a_learning_rate_that_is_too_large_is_told_from_one_that_is_not() -> None:
    def build(lr: float) -> Run:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 1))
        optimizer = torch.optim.SGD(net.parameters(), lr=lr)
        data = torch.randn(64, 5)

        def loss(x: Tensor) -> Tensor:
            return (net(x) - x[:, :1] * x[:, 1:2]).square().mean()

        def step() -> None:
            optimizer.zero_grad()
            loss(data).backward()
            optimizer.step()

        roles = Roles(optimizers={"net": optimizer}, losses=lambda b: {"net": loss(b)}, data=[data])
        run = Run(step, [net, optimizer], roles=roles)
        for _ in range(5):
            run.step()
        return run

    run = build(0.02)
    before = run.snapshot()
    assert critical_step(run, repeats=4)["net"].value > 1.5
    assert not before.differences(run.snapshot())
    assert critical_step(build(3.0), repeats=4)["net"].value < 0.7


def test_what_cannot_be_measured_is_named() -> None:
    x, y = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    roles = Roles(players={"x": x, "y": y}, losses=lambda _: {"x": (x * y).sum()}, data=[0])
    still = Run(lambda: None, [x, y], roles=roles)
    with pytest.raises(InputError, match="does not move player 'x'"):
        critical_step(still, players=["x"])
    with pytest.raises(InputError, match="return nothing for player 'y'"):
        critical_step(still, players=["y"])
    with pytest.raises(InputError, match="repeats and every must be at least 1, got repeats=0"):
        critical_step(still, repeats=0)
    with pytest.raises(InputError, match="needs to know losses and data"):
        critical_step(Run(lambda: None, [x]))
