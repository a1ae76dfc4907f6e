"""Two-player quadratic games with a prescribed spectrum, normal or with a prescribed departure from normality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import torch
from torch import Tensor

from separatrix.dynamics import SGD, Fact, Method, Problem, Simultaneous
from separatrix.errors import InputError
from separatrix.fields import Game
from separatrix.zoo.limits import alternating_limit, extragradient_limit, simultaneous_limit

SPECTRUM = (-0.1 + 1j, -0.1 - 1j, -0.5 + 2j, -0.5 - 2j, -1.0, -3.0)


def quadratic_game(*, spectrum: Sequence[complex] = SPECTRUM, seed: int = 0, departure: float = 0.0) -> Problem:
    """Two players with quadratic losses whose field ``v(w) = A w`` has exactly these eigenvalues (field sign).

    A field of two losses must have symmetric own blocks ``A_xx``, ``A_yy``; the cross blocks are free. So each conjugate
    pair ``a +- i w`` becomes a 2x2 block ``[[a, -w s], [w / s, a]]`` with one coordinate for each player, two real
    eigenvalues ``[[a, t], [0, b]]``, a last odd one belongs to ``x`` alone; then each player's coordinates are turned by
    a random orthogonal matrix. ``s = 1`` and ``t = 0`` give a normal matrix. Otherwise every one of the ``k`` 2x2 blocks
    departs from normality by ``departure / sqrt(k)``: ``w |s - 1/s|`` and ``t``. Stands at a random point, float64.

    Args:
        spectrum: eigenvalues; complex ones with their conjugates.
        seed: of the orthogonal matrices and the point.
        departure: Henrici's ``sqrt(|A|_F^2 - sum |lambda|^2)`` [henrici1962]; 0 is normal.

    Raises:
        InputError: an eigenvalue without its conjugate, fewer than two eigenvalues, or a negative departure.
    """
    if not departure >= 0:
        raise InputError(f"departure must not be negative, got {departure}.")
    pairs, reals = _sorted_out(spectrum)
    generator = torch.Generator().manual_seed(seed)
    matrix = _matrix(pairs, reals, departure, generator)
    p = len(pairs) + (len(reals) + 1) // 2
    start = torch.randn(len(matrix), generator=generator, dtype=torch.float64)

    def losses(models: Mapping[str, Tensor], batch: None) -> dict[str, Tensor]:
        x, y = models["x"], models["y"]
        a = matrix.to(x)
        return {
            "x": -x @ (a[:p, :p] @ x / 2 + a[:p, p:] @ y),
            "y": -y @ (a[p:, p:] @ y / 2 + a[p:, :p] @ x),
        }

    eigenvalues = [complex(value) for value in spectrum]
    return Problem(
        Game({"x": start[:p].clone(), "y": start[p:].clone()}, losses, name="quadratic"),
        name="quadratic",
        method=Method(SGD(0.05), Simultaneous()),
        facts=(
            Fact("equilibrium", [0.0] * len(matrix), "by construction"),
            Fact("eigenvalues", eigenvalues, "by construction"),
            Fact("departure", departure, "by construction [henrici1962]"),
            Fact("safe_step[simultaneous]", simultaneous_limit(eigenvalues), "2 |Re| / |.|^2 [mescheder2017, lemma 4]"),
            Fact("safe_step[alternating]", alternating_limit(eigenvalues), "2 / (|Re| + |Im|), see alternating_limit"),
            Fact("safe_step[extragradient]", extragradient_limit(eigenvalues), "|1 + z + z^2| = 1 [korpelevich1976]"),
        ),
    )


def _sorted_out(spectrum: Sequence[complex]) -> tuple[list[complex], list[float]]:
    """The pairs, each by its upper member, and the real eigenvalues."""
    values = [complex(value) for value in spectrum]
    if len(values) < 2:
        raise InputError(f"two players need at least two eigenvalues, got {values}.")
    upper = sorted((v for v in values if v.imag > 0), key=lambda v: (v.real, v.imag))
    lower = sorted((v.conjugate() for v in values if v.imag < 0), key=lambda v: (v.real, v.imag))
    if upper != lower:
        raise InputError(f"a real field has its eigenvalues in conjugate pairs; give both of each, got {values}.")
    return upper, [v.real for v in values if v.imag == 0]


def _matrix(pairs: Sequence[complex], reals: Sequence[float], departure: float, generator: torch.Generator) -> Tensor:
    blocks = len(pairs) + len(reals) // 2
    if departure and not blocks:
        raise InputError("a departure from normality needs a pair of eigenvalues.")
    each = departure / sqrt(max(blocks, 1))
    p, q = blocks + len(reals) % 2, blocks
    matrix = torch.zeros(p + q, p + q, dtype=torch.float64)
    for k, value in enumerate(pairs):
        # w |s - 1/s| = each
        s = each / (2 * value.imag) + sqrt(1 + (each / (2 * value.imag)) ** 2)
        matrix[k, k] = matrix[p + k, p + k] = value.real
        matrix[k, p + k], matrix[p + k, k] = -value.imag * s, value.imag / s
    for k, (a, b) in enumerate(zip(reals[0::2], reals[1::2], strict=False), start=len(pairs)):
        matrix[k, k], matrix[p + k, p + k], matrix[k, p + k] = a, b, each
    if len(reals) % 2:
        matrix[p - 1, p - 1] = reals[-1]
    turn = torch.zeros_like(matrix)
    turn[:p, :p], turn[p:, p:] = _orthogonal(p, generator), _orthogonal(q, generator)
    return turn @ matrix @ turn.T


def _orthogonal(size: int, generator: torch.Generator) -> Tensor:
    turn: Tensor = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q
    return turn
