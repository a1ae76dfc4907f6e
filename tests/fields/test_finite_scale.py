"""The change of a field over a finite step, beside its derivative."""

import pytest
import torch
from small_games import data, gan_losses, small_gan
from torch import nn

from separatrix.errors import InputError, NonFiniteError, StaleOperatorError
from separatrix.fields import FunctionField, Game, finite_scale
from separatrix.linalg import LinearOperator
from untouched import untouched

DOUBLE = torch.float64


def cubic(x):
    return FunctionField(lambda x: -(x**3), torch.tensor([x], dtype=DOUBLE))


@pytest.mark.parametrize("h", [0.01, 0.3, 2.0])
def test_the_quotient_of_a_cubic_is_its_derivative_and_a_known_gap(h):
    found = finite_scale(cubic(1.0).jacobian(), torch.tensor([-5.0], dtype=DOUBLE), step_length=h)
    assert float(found.value) == pytest.approx(3 + h**2)
    assert float(found.derivative) == pytest.approx(3.0)
    assert found.gap == found.gaps["x"] == pytest.approx(h**2 / (3 + h**2))
    assert found.bend == pytest.approx(3 * h / (3 + h**2))
    assert found.step_length == h
    assert found.status == ("agrees" if h < 0.5 else "differs")


def test_the_verdict_turns_at_the_tolerance():
    J, u = cubic(1.0).jacobian(), torch.ones(1, dtype=DOUBLE)
    gap = 0.25 / 3.25
    assert finite_scale(J, u, step_length=0.5, tolerance=gap * (1 + 1e-9)).status == "agrees"
    assert finite_scale(J, u, step_length=0.5, tolerance=gap * (1 - 1e-9)).status == "differs"


def test_a_linear_field_agrees_at_every_scale_until_rounding_takes_over():
    matrix = data(4, 4)
    field = FunctionField(lambda x: matrix.to(x) @ x, data(4))
    for h in (1e-6, 1.0, 1e6):
        found = finite_scale(field.jacobian(), data(4, seed=9), step_length=h)
        assert found.status == "agrees"
        assert found.gap <= max(found.noise, 1e-14)
    coarse = FunctionField(field.function, data(4).float())
    found = finite_scale(coarse.jacobian(), data(4, seed=9), step_length=1e-7)
    assert found.status == "rounding"
    assert found.gap <= found.noise
    assert "lost in rounding" in str(found)


def test_where_nothing_changes_nothing_differs():
    field = FunctionField(lambda x: 0 * x + 1, data(3))
    found = finite_scale(field.jacobian(), data(3), step_length=0.1)
    assert (found.gap, found.bend, found.status) == (0.0, 0.0, "agrees")


def test_a_piecewise_linear_gan_has_a_derivative_that_an_ordinary_step_does_not_see():
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 3)).double()
    D = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 1)).double()
    field = Game({"G": G, "D": D}, gan_losses).on(data(32, 3))
    J, u = field.jacobian(), data(field.space.n)
    with untouched(G, D):
        tiny, step = (finite_scale(J, u, step_length=h) for h in (1e-9, 1.0))
    assert tiny.status == "agrees"
    assert step.status == "differs"
    assert step.gap > 0.3
    assert set(step.gaps) == {"G", "D"}
    assert "is not that of its derivative" in str(step)


def test_it_costs_two_gradients_and_one_product_and_is_no_operator():
    field = small_gan().on(data(6, 3))
    J = field.jacobian(checks=False)
    J @ J.x
    before = field.gradients
    found = finite_scale(J, data(field.space.n), step_length=1e-3)
    assert field.gradients - before == pytest.approx(2 + 2.6)
    assert not isinstance(found, LinearOperator)
    assert not hasattr(found, "__matmul__")


def test_what_does_not_fit_is_named():
    J = cubic(1.0).jacobian()
    u = torch.ones(1, dtype=DOUBLE)
    with pytest.raises(InputError, match=r"step_length must be a positive finite number, got 0"):
        finite_scale(J, u, step_length=0)
    with pytest.raises(InputError, match=r"other than zero; its norm is 0.0"):
        finite_scale(J, 0 * u, step_length=1.0)
    with pytest.raises(InputError, match=r"shape \(1,\), got \(2,\)"):
        finite_scale(J, torch.ones(2), step_length=1.0)
    log = FunctionField(lambda x: x.log(), torch.ones(1, dtype=DOUBLE)).jacobian()
    with pytest.raises(NonFiniteError):
        finite_scale(log, u, step_length=2.0)
    game = small_gan()
    J = game.on(data(6, 3)).jacobian(checks=False)
    game.models["D"][0].weight.data.mul_(2)
    with pytest.raises(StaleOperatorError):
        finite_scale(J, data(game.space.n), step_length=1e-3)
