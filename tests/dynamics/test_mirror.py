"""Multiplicative steps on simplices, and optimistic mirror descent."""

from __future__ import annotations

import pytest
import torch

from separatrix.dynamics import ExponentiatedGradient, Method, PastExtragradient, UpdateMap, optim, simulate
from separatrix.errors import InputError
from separatrix.fields import FunctionField, Game

PAYOFF = torch.tensor(
    [[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], dtype=torch.float64
)  # rock, paper, scissors


def rock_paper_scissors() -> FunctionField:
    """``x`` maximises ``x^T A y``, ``y`` minimises it; stands away from the middle."""
    start = torch.tensor([0.6, 0.3, 0.1, 0.2, 0.2, 0.6], dtype=torch.float64)
    return FunctionField(lambda w: torch.cat([PAYOFF @ w[3:], -PAYOFF.T @ w[:3]]), start, players={"x": 3, "y": 3})


def test_a_step_multiplies_and_keeps_the_mass() -> None:
    base = ExponentiatedGradient(0.5, size=2)
    x = torch.tensor([0.25, 0.75, 1.0, 3.0], dtype=torch.float64)
    v = torch.tensor([1.0, -2.0, 800.0, 801.0], dtype=torch.float64)
    moved, state = base.step(v, x, base.init(x))
    weights = x * torch.exp(0.5 * (v - torch.tensor([1.0, 1.0, 801.0, 801.0])))
    expected = torch.cat([weights[:2] / weights[:2].sum(), 4 * weights[2:] / weights[2:].sum()])
    torch.testing.assert_close(moved, expected, rtol=1e-14, atol=0)
    assert state == {"step": 1}
    edge, _ = base.step(v, torch.tensor([0.0, 1.0, 2.0, 2.0], dtype=torch.float64), state)
    assert float(edge[0]) == 0


def test_plain_multiplicative_steps_leave_the_middle_and_optimistic_ones_reach_it() -> None:
    """The last iterate, which the literature says optimism makes converge [daskalakis2018]."""
    field, base = rock_paper_scissors(), ExponentiatedGradient(0.2)
    middle = torch.full((6,), 1 / 3, dtype=torch.float64)
    plain, _, _ = simulate(Method(base), field, steps=1500)
    optimistic, _, _ = simulate(Method(base, PastExtragradient()), field, steps=1500)
    assert float((plain - middle).norm()) > float((field.point - middle).norm())
    assert float((optimistic - middle).norm()) < 1e-4


def test_the_optimizer_of_that_name_trains_the_players_own_tensors() -> None:
    x, y = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64), torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    game = Game({"x": x, "y": y}, lambda m, _: -(m["x"] @ PAYOFF @ m["y"]))
    opt = optim.OptimisticMirrorDescent(game, lr=0.2)
    for _ in range(50):
        opt.step(None)
    expected, _, _ = simulate(Method(ExponentiatedGradient(0.2), PastExtragradient()), rock_paper_scissors(), steps=50)
    torch.testing.assert_close(torch.cat([x, y]), expected, rtol=0, atol=1e-14)
    assert float(x.sum()) == pytest.approx(1, abs=1e-12)


def test_the_exact_tangent_at_the_middle_is_that_of_a_rotation() -> None:
    """On the simplex ``dx' = dx + lr (diag p - p p^T) J dx``: multipliers ``1 +- i lr / sqrt(3)`` and the mass itself."""
    field = rock_paper_scissors()
    middle = torch.full((6,), 1 / 3, dtype=torch.float64)
    dense = UpdateMap(Method(ExponentiatedGradient(0.3)), field, middle).to_dense()
    values = torch.linalg.eigvals(dense)
    expected = 1 + 1j * 0.3 / 3**0.5
    assert min(abs(v - expected) for v in values.tolist()) < 1e-12
    assert sum(abs(v - 1) < 1e-9 for v in values.tolist()) == 2


def test_points_outside_are_refused() -> None:
    field = rock_paper_scissors()
    with pytest.raises(
        InputError,
        match="need coordinates that are not negative, with some mass in every simplex; got a smallest one of -1",
    ):
        Method(ExponentiatedGradient(0.1)).init(field.at(-torch.ones(6, dtype=torch.float64)))
    with pytest.raises(InputError, match="3 coordinates of a player do not make up simplices of 2"):
        Method(ExponentiatedGradient(0.1, size=2)).init(field)
    with pytest.raises(InputError, match="lr must be positive, got 0"):
        ExponentiatedGradient(0.0)
    with pytest.raises(InputError, match="a simplex has at least 2 coordinates, got size=1"):
        ExponentiatedGradient(0.1, size=1)
