"""Complex momentum: its real cases, its published multipliers, its linear form."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
import torch
from dynamics_games import linear_field, smooth_gan

from separatrix.dynamics import (
    SGD,
    Alternating,
    ComplexMomentum,
    Method,
    Mode,
    Simultaneous,
    UpdateMap,
    multipliers,
    simulate,
)
from separatrix.errors import InputError

ROTATION = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize(("angle", "momentum"), [(0.0, 0.6), (pi, -0.6)])
def test_heavy_ball_and_negative_momentum_are_its_real_cases(angle: float, momentum: float) -> None:
    field = smooth_gan()
    for scheme in (Simultaneous(), Alternating()):
        found, _, _ = simulate(Method(ComplexMomentum(0.1, 0.6, angle), scheme), field, steps=8)
        expected, _, _ = simulate(Method(SGD(0.1, momentum), scheme), field, steps=8)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("modulus", "angle", "expected"), [(0.8, pi / 2, 0.99895), (0.7, pi / 4, 0.99516), (0.9, pi / 8, 1.053)]
)
def test_simultaneous_steps_on_the_bilinear_game(modulus: float, angle: float, expected: float) -> None:
    field = linear_field(ROTATION, {"x": 1, "y": 1})
    method = Method(ComplexMomentum(0.1, modulus, angle))
    dense = UpdateMap(method, field, frozen=True).to_dense()
    assert np.abs(np.linalg.eigvals(dense.numpy())).max() == pytest.approx(expected, abs=5e-4 if expected > 1 else 1e-5)
    assert float(multipliers(Simultaneous(), 0.1j, Mode("complex", modulus, angle=angle))[0].abs()) == pytest.approx(
        np.abs(np.linalg.eigvals(dense.numpy())).max(), rel=1e-12
    )
    for real in (0.0, pi):
        assert float(multipliers(Simultaneous(), 0.1j, Mode("complex", modulus, angle=real))[0].abs()) > 1


def test_the_augmented_matrix_of_the_paper() -> None:
    """State ``(Re b, Im b, w)`` with the cost Jacobian ``J``: ``[[Re beta, -Im beta, -J], [Im beta, Re beta, 0], [lr Re beta, -lr Im beta, 1 - lr J]]``."""
    J = -torch.tensor([[-0.3, 1.0], [-1.2, 0.1]], dtype=torch.float64)
    lr, beta = 0.2, 0.7 * np.exp(1j * 0.9)
    eye, zero = torch.eye(2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    p, q = beta.real, beta.imag
    paper = torch.cat([
        torch.cat([p * eye, -q * eye, -J], 1), torch.cat([q * eye, p * eye, zero], 1),
        torch.cat([lr * p * eye, -lr * q * eye, eye - lr * J], 1),
    ])  # fmt: skip
    field = linear_field(-J, {"x": 1, "y": 1})
    for frozen in (True, False):
        found = UpdateMap(Method(ComplexMomentum(lr, 0.7, 0.9)), field, frozen=frozen).to_dense()
        ours, theirs = (np.sort_complex(np.linalg.eigvals(m.numpy())) for m in (found, paper))
        assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize(("momentum", "h", "expected"), [(0.5, 0.1, 0.998518), (0.5, 1.0, 1.0), (0.25, 1.0, 0.8528)])
def test_alternating_negative_momentum_on_the_bilinear_game(momentum: float, h: float, expected: float) -> None:
    """[gidel2019negative, section 5]"""
    field = linear_field(ROTATION, {"x": 1, "y": 1})
    dense = UpdateMap(Method(ComplexMomentum(h, momentum, pi), Alternating()), field, frozen=True).to_dense()
    assert np.abs(np.linalg.eigvals(dense.numpy())).max() == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("angle", [0.0, 0.5, 2.0, pi])
def test_the_limit_of_a_stiff_mode_is_where_growth_begins(angle: float) -> None:
    mode = Mode("complex", 0.6, angle=angle)
    if angle in (0.0, pi):
        assert mode.limit == pytest.approx(2 * (1 + 0.6 * np.cos(angle)), rel=1e-9)
    assert (
        abs(mode.multipliers(complex(-mode.limit * 0.999))[0])
        < 1
        < abs(mode.multipliers(complex(-mode.limit * 1.001))[0])
    )


def test_unfit_settings_are_named() -> None:
    with pytest.raises(InputError, match=r"momentum must lie in \[0, 1\), got -0.5; a negative one has the angle pi"):
        ComplexMomentum(0.1, -0.5)
    with pytest.raises(InputError, match=r"lr must be positive, got 0"):
        ComplexMomentum(0)
    with pytest.raises(InputError, match=r"angle must be finite, got inf"):
        ComplexMomentum(0.1, 0.5, float("inf"))
