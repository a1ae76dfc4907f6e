"""Losses so large or so small that squares of their gradients overflow or vanish."""

from __future__ import annotations

import pytest
import torch

import separatrix as sx
from separatrix.dynamics import SGD, Alternating, Extragradient, Method, RungeKutta, Simultaneous, multipliers
from separatrix.errors import NonFiniteError

CANDIDATES = {"in turns": Alternating(), "ahead": Extragradient(), "four": RungeKutta(4)}


def game(scale: float, dtype: torch.dtype = torch.float64) -> sx.Game:
    def losses(models, batch):
        x, y = models["x"], models["y"]
        return {"x": scale * (x @ y + x @ x / 2), "y": scale * (y @ y / 2 - x @ y)}

    return sx.Game({p: torch.ones(2, dtype=dtype) for p in "xy"}, losses)


def advice(scale: float, rate: float) -> sx.probes.Advice:
    method = Method(SGD(rate), Simultaneous())
    return sx.advise(
        game(scale).on(), method=method, candidates={n: Method(SGD(rate), s) for n, s in CANDIDATES.items()}
    )


@pytest.mark.parametrize("scale", [1e-100, 1e100, 1e200])
def test_advice_is_the_same_in_other_units(scale: float):
    plain, found = advice(1.0, 0.1), advice(scale, 0.1 / scale)
    for row in plain.candidates:
        steps = found[row.name].steps
        assert steps.best == pytest.approx(row.steps.best, rel=1e-3)
        assert steps.high == pytest.approx(row.steps.high, rel=1e-5)
        assert steps.growth == pytest.approx(row.steps.growth, abs=1e-6)


@pytest.mark.parametrize("scale", [1e100, 1e200, 1e300])
def test_a_rate_far_too_long_is_told_by_how_much(scale: float):
    """The present step overflows in the schemes that multiply several Jacobians; eigenvalues of that are not asked for."""
    plain, found = advice(1.0, 1.0), advice(scale, 1.0)
    for name in CANDIDATES:
        assert found[name].steps.high * scale == pytest.approx(plain[name].steps.high, rel=1e-4)
    assert "×" in str(found)


def test_a_candidate_whose_field_overflows_is_the_only_one_without_a_prediction():
    found = sx.advise(game(1e200).on(), method=Method(SGD(1e-201), Simultaneous()))
    blind = [row for row in found.candidates if row.steps is None]
    assert any("consensus" in row.name and "not finite" in row.why for row in blind)
    assert len(blind) < len(found.candidates) / 2


def test_multipliers_of_a_step_that_overflows_are_infinite():
    assert multipliers(RungeKutta(4), torch.tensor([1e100, 0.1], dtype=torch.complex128)).abs()[:, 0].tolist() == [
        float("inf"),
        pytest.approx(1.105170833),
    ]


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_a_diagnosis_is_made(scale: float):
    found = sx.diagnose(game(scale).on(), method=Method(SGD(0.1), Simultaneous()))
    assert ("step is too large" in str(found)) == (scale > 1)


@pytest.mark.parametrize(("scale", "dtype"), [(1e200, torch.float64), (1e-200, torch.float64), (1e-25, torch.float32)])
def test_a_step_knows_the_length_of_its_field(scale: float, dtype: torch.dtype):
    step = sx.optim.Simultaneous(game(scale, dtype), torch.optim.SGD, lr=1e-3).step(None)
    assert step.field_norm == pytest.approx(8**0.5 * scale, rel=1e-6)


def test_products_in_float32_are_compared_where_their_squares_vanish():
    jacobian = game(1e-25, torch.float32).on().jacobian()
    assert float((jacobian @ torch.tensor([0.0, 0.0, 1.0, 0.0])).abs().max()) == pytest.approx(1e-25)


def test_a_solve_that_overflows_says_so():
    opt = sx.optim.Competitive(game(1e200), torch.optim.SGD, lr=1e-2)
    with pytest.raises(NonFiniteError):
        opt.step(None)
