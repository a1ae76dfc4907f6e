"""Multipliers and limits of a mode against the update maps of frozen bases on diagonal fields."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dynamics_games import linear_field
from hypothesis import given, settings
from hypothesis import strategies as st

from separatrix.dynamics import Frozen, Method, Mode, Simultaneous, UpdateMap
from separatrix.errors import InputError

KINDS = ("none", "heavy-ball", "nesterov", "averaged")
moderate = settings(deadline=None, max_examples=25)
modes = st.builds(
    Mode, kind=st.sampled_from(KINDS), momentum=st.floats(0.01, 0.95), decay=st.sampled_from([0.0, 0.01, 0.3])
)


def map_of(mode: Mode, matrix: torch.Tensor, scale: float) -> np.ndarray:
    method = Method(Frozen(scale, mode), Simultaneous())
    return np.linalg.eigvals(UpdateMap(method, linear_field(matrix)).to_dense().numpy())


def matched(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest distance after greedy matching."""
    rest = list(expected)
    worst = 0.0
    for value in found:
        nearest = min(range(len(rest)), key=lambda i: abs(rest[i] - value))
        worst = max(worst, abs(rest.pop(nearest) - value))
    return worst


@moderate
@given(modes, st.floats(-3, 1), st.floats(0.05, 3), st.floats(0.01, 2))
def test_multipliers_are_the_eigenvalues_of_the_update_map_on_a_rotating_pair(mode, a, w, h):
    found = map_of(mode, torch.tensor([[a, -w], [w, a]], dtype=torch.float64), h)
    expected = np.concatenate([mode.multipliers(h * complex(a, s * w)) for s in (1, -1)])
    # Two multipliers may meet, where eigenvalues know only half the digits.
    assert matched(found, expected) < 1e-6


@moderate
@given(modes, st.lists(st.floats(-4, 1), min_size=1, max_size=4), st.floats(0.01, 2))
def test_multipliers_are_the_eigenvalues_of_the_update_map_on_a_diagonal_field(mode, diagonal, h):
    found = map_of(mode, torch.diag(torch.tensor(diagonal, dtype=torch.float64)), h)
    expected = np.concatenate([mode.multipliers(complex(h * a)) for a in diagonal])
    assert len(found) == len(expected)
    # Coinciding entries of the diagonal make multiple eigenvalues; near them the square root of rounding shows.
    assert matched(found, expected) < 1e-6


@moderate
@given(modes)
def test_the_limit_parts_what_decays_from_what_grows_on_the_negative_axis(mode):
    limit = mode.limit
    assert abs(mode.multipliers(complex(-limit * (1 - 1e-6)))[0]) <= 1
    assert abs(mode.multipliers(complex(-limit * (1 + 1e-6)))[0]) > 1
    for share in np.linspace(0.01, 0.99, 23):
        assert abs(mode.multipliers(complex(-limit * share))[0]) <= 1


@moderate
@given(st.floats(0.0, 0.95))
def test_limits_have_their_closed_forms(b):
    assert Mode("none", b).limit == pytest.approx(2, rel=1e-12)
    assert Mode("heavy-ball", b).limit == pytest.approx(2 * (1 + b), rel=1e-12)
    assert Mode("nesterov", b).limit == pytest.approx(2 * (1 + b) / (1 + 2 * b), rel=1e-12)
    assert Mode("averaged", b).limit == pytest.approx(2 * (1 + b) / (1 - b), rel=1e-12)


@moderate
@given(st.floats(0.01, 0.9), st.complex_numbers(max_magnitude=5))
def test_multipliers_solve_the_characteristic_polynomials(b, z):
    polynomials = {
        "heavy-ball": [1, -(1 + b + z), b],
        "nesterov": [1, -(1 + b + (1 + b) * z), b * (1 + z)],
        "averaged": [1, -(1 + b + (1 - b) * z), b],
    }
    for kind, polynomial in polynomials.items():
        roots = Mode(kind, b).multipliers(z)
        assert np.abs(np.polyval(polynomial, roots)).max() < 1e-10 * (1 + abs(z)) ** 2, kind
        assert abs(roots[0]) >= abs(roots[1]) * (1 - 1e-12)  # a conjugate pair, up to rounding


def test_averaged_momentum_turns_an_undamped_pair_into_growth():
    """By about ``y^2 (1 + b) / (2 (1 - b))`` a step."""
    for b in (0.5, 0.9):
        y = 1e-3
        growth = np.log(abs(Mode("averaged", b).multipliers(1j * y)[0]))
        assert growth == pytest.approx(y**2 * (1 + b) / (2 * (1 - b)), rel=1e-3)
    # Alternation lends half a plain step: the number quoted for the digits GAN, .0082 at y = .076 with b = .5.
    assert np.log(abs(Mode("averaged", 0.5).multipliers(0.076j)[0])) == pytest.approx(0.0082, abs=1e-4)


def test_bad_settings_are_named():
    with pytest.raises(InputError, match=r"kind of momentum must be one of .* got 'polyak'"):
        Mode("polyak")
    with pytest.raises(InputError, match=r"momentum must lie in \(-1, 1\), got -1"):
        Mode("heavy-ball", -1)
