"""Largest safe steps in closed form, from eigenvalues of ``v'`` (field sign: attracting means negative real part).

A step ``h`` is safe where no multiplier of the linear update leaves the unit disc, for it and all smaller steps; 0 where
no step is. These are facts of the problems, written without the instrument that is tested against them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

import numpy as np

# Rounding of an eigenvalue that is meant to be neutral, or of a root that is meant to be real.
ROUNDING = 1e-12


def simultaneous_limit(eigenvalues: Iterable[complex]) -> float:
    """``min 2 |Re mu| / |mu|^2``, the multiplier being ``1 + h mu`` [mescheder2017, lemma 4]."""
    return min((2 * max(0.0, -mu.real) / abs(mu) ** 2 for mu in map(complex, eigenvalues) if mu), default=inf)


def extragradient_limit(eigenvalues: Iterable[complex]) -> float:
    """The smallest ``h > 0`` with ``|1 + z + z^2| = 1``, ``z = h mu``, both steps being ``h`` [korpelevich1976].

    With ``z = r exp(i phi)`` that is the cubic ``r^3 + 2 c r^2 + (4 c^2 - 1) r + 2 c = 0``, ``c = cos phi``: ``r = 1`` for
    pure rotation and for pure damping.
    """
    return min(
        (_extragradient_radius(mu.real / abs(mu)) / abs(mu) for mu in map(complex, eigenvalues) if mu), default=inf
    )


def _extragradient_radius(c: float) -> float:
    if c > ROUNDING:
        return 0.0
    roots = np.roots([1.0, 2 * c, 4 * c * c - 1, 2 * c])
    return float(min(r.real for r in roots if abs(r.imag) < 1e-7 and r.real > 1e-7))


def alternating_limit(pairs: Sequence[complex]) -> float:
    """``min 2 / (|Re mu| + |Im mu|)`` for two players with blocks ``[[a, -w s], [w / s, a]]``, ``mu = a + i w``.

    There the multipliers solve ``m^2 - (2 + 2 h a - h^2 w^2) m + (1 + h a)^2 = 0``, which leaves the disc at ``m = -1``.
    Alternation is no function of the eigenvalues alone: the formula holds for equal damping of the two players, whatever
    the scaling ``s`` between them, and for real eigenvalues where one of the players does not answer the other.
    """
    return min((_alternating(mu) for mu in map(complex, pairs) if mu), default=inf)


def _alternating(mu: complex) -> float:
    return 0.0 if mu.real > ROUNDING else 2 / (abs(mu.real) + abs(mu.imag))
