"""Player scalings: the units in which blocks that act on each other are as small as they can be.

A change of units ``x_i = t_i xi_i`` for each player turns a Jacobian ``P`` into ``T^-1 P T`` and leaves the motion, the
eigenvalues and ``tr P^2`` as they are. The potentialness ``p = |S|^2 / |P|^2 = (1 + tr P^2 / |P|^2) / 2`` depends on the
units through ``|P|`` alone, and ``|P|`` is least in *balanced* units, where what each player receives from the others is
as large as what it gives [osborne1960]. So over all units ``p`` lies between 1/2 and its balanced value (where nobody acts on anybody
else, units change nothing).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor

SWEEPS = 1000


@dataclass(frozen=True)
class Balance:
    """The least ``|T^-1 P T|_F^2`` over player scalings.

    Attributes:
        square: that infimum.
        scales: ``t_i``, ``(N,)``, largest 1, within each group of players that act on each other in a circle.
        attained: whether these scales reach it; where some player is acted on without acting back, only ever more
            different scales approach it.
    """

    square: float
    scales: Tensor
    attained: bool


def balance(squares: Tensor) -> Balance:
    """The balanced units of a matrix of squared block norms.

    Args:
        squares: ``|P_ij|_F^2``, ``(N, N)``.

    Example:
        >>> found = balance(torch.tensor([[0.0, 4.0], [1.0, 0.0]]))
        >>> found.square, found.scales.tolist()
        (4.0, [1.0, 0.7071067811865475])
    """
    squares = squares.double()
    count, groups = connected_components((squares > 0).numpy(), directed=True, connection="strong")
    label = torch.as_tensor(groups)
    inside = squares * (label[:, None] == label[None, :])
    attained = bool(torch.equal(inside, squares))
    off = inside - torch.diag(torch.diagonal(inside))
    log_t = torch.zeros(len(squares), dtype=torch.float64)
    for _ in range(SWEEPS):
        worst = 0.0
        for i in range(len(squares)):
            weight = (2 * (log_t[None, :] - log_t[:, None])).exp() * off
            received, given = float(weight[i].sum()), float(weight[:, i].sum())
            if received > 0 and given > 0:
                move = math.log(received / given) / 4
                log_t[i] += move
                worst = max(worst, abs(move))
        if worst < 1e-14:
            break
    weight = (2 * (log_t[None, :] - log_t[:, None])).exp() * inside
    for group in range(count):
        log_t[label == group] -= log_t[label == group].max()
    return Balance(float(weight.sum()), log_t.exp(), attained)
