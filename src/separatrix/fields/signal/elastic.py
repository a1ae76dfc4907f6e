"""The elastic distance of curves and its best change of time on a grid [srivastava2011].

With ``q = c' / sqrt(|c'|)`` a change of time ``phi`` acts as ``q -> sqrt(phi') q(phi)``, which keeps norms; the squared distance of two
shapes is the least of ``int_0^1 |q_1 - sqrt(phi') q_2(phi)|^2 dt`` over increasing ``phi`` with ends fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd, inf

import torch
from torch import Tensor

from separatrix.errors import InputError

Curve = Callable[[Tensor], Tensor]


def square_root_velocity(curve: Curve) -> Curve:
    """``q`` of a curve ``(m,)`` to ``(m, d)`` that is written in torch; the speed must not vanish where it is asked for."""

    def q(t: Tensor) -> Tensor:
        velocity: Tensor = torch.func.jvp(curve, (t,), (torch.ones_like(t),))[1]
        root: Tensor = velocity.norm(dim=1, keepdim=True).clamp_min(1e-12).sqrt()
        return velocity / root

    return q


def elastic_energy(q1: Tensor, q2: Tensor, slope: Tensor) -> Tensor:
    """Mean of ``|q_1(t) - sqrt(phi'(t)) q_2(phi(t))|^2`` over midpoints ``t``: ``(m, d)``, ``(m, d)`` and ``(m,)``."""
    return (q1 - slope.clamp_min(0).sqrt()[:, None] * q2).square().sum(dim=1).mean()


@dataclass(frozen=True)
class GridAlignment:
    """The best piecewise linear change of time.

    Attributes:
        energy: squared distance, the integrals by midpoints.
        times, warped: ``(k,)`` its corners.
    """

    energy: float
    times: Tensor
    warped: Tensor


def dynamic_programming(q1: Curve, q2: Curve, *, cells: int = 60, steepest: int = 6, samples: int = 6) -> GridAlignment:
    """The best path over a grid of ``cells`` by ``cells``, of steps ``(a, b)`` without common factor up to ``steepest``.

    Args:
        q1, q2: square-root velocities.
        cells: of the grid each way.
        steepest: slopes reach from its inverse to it.
        samples: midpoints for each cell of time that a step crosses.

    Raises:
        InputError: a count below one.

    Cost: ``O(cells^2 steepest^3 samples)`` values of the velocities.

    References:
        [srivastava2011].
    """
    if min(cells, steepest, samples) < 1:
        raise InputError(f"cells, steepest and samples must be at least 1, got {cells}, {steepest} and {samples}.")
    steps = [(a, b) for a in range(1, steepest + 1) for b in range(1, steepest + 1) if gcd(a, b) == 1]
    costs = {step: _segments(q1, q2, step, cells, samples) for step in steps}
    best = torch.full((cells + 1, cells + 1), inf, dtype=torch.float64)
    came = torch.zeros(cells + 1, cells + 1, dtype=torch.long)
    best[0, 0] = 0
    for i in range(1, cells + 1):
        for number, (a, b) in enumerate(steps):
            if a > i or b > cells:
                continue
            there = best[i - a, : cells + 1 - b] + costs[a, b][i - a]
            better = there < best[i, b:]
            best[i, b:] = torch.where(better, there, best[i, b:])
            came[i, b:] = torch.where(better, number, came[i, b:])
    path = [(cells, cells)]
    while path[-1] != (0, 0):
        i, j = path[-1]
        a, b = steps[int(came[i, j])]
        path.append((i - a, j - b))
    corners = torch.tensor(path[::-1], dtype=torch.float64).T / cells
    return GridAlignment(float(best[-1, -1]), corners[0], corners[1])


def _segments(q1: Curve, q2: Curve, step: tuple[int, int], cells: int, samples: int) -> Tensor:
    """``(cells + 1 - a, cells + 1 - b)``: the integral along the step from each corner."""
    a, b = step
    along = (torch.arange(a * samples, dtype=torch.float64) + 0.5) / (a * samples)
    k, l = torch.arange(cells + 1 - a).double(), torch.arange(cells + 1 - b).double()
    first = q1(((k[:, None] + a * along) / cells).reshape(-1)).reshape(len(k), 1, len(along), -1)
    second = q2(((l[:, None] + b * along) / cells).reshape(-1)).reshape(1, len(l), len(along), -1)
    squares: Tensor = (first - (b / a) ** 0.5 * second).square().sum(dim=3)
    return squares.mean(dim=2) * a / cells
