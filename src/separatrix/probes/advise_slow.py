"""Which multipliers belong to modes that count: slow ones are told from fast ones that come near 1, and both spaces are parted."""

from __future__ import annotations

import torch
from scipy.linalg import solve_sylvester
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from separatrix.linalg.projected import ordered_schur


def slow_up_to(matrix: Tensor, neutral: int) -> float:
    """The largest of the ``neutral`` smallest ``|h lambda|``; 0 where there are none."""
    sizes = torch.linalg.eigvals(matrix).abs().sort().values
    return float(sizes[neutral - 1]) if neutral else 0.0


def without_slow(values: Tensor, paces: Tensor, step: float) -> Tensor:
    """The multipliers that are left when each slow mode has taken the one nearest to where its pace leads, if any is near.

    Nearness to 1 alone would not do: a fast mode can come by there, as under extragradient where ``h lambda`` is -1.

    Args:
        values: multipliers of a period at this step, ``(q,)``.
        paces: ``(m - 1) / step`` of the slow modes at a small step.
        step: a multiple of the present one.
    """
    if not len(paces):
        return values
    gaps = (values[None, :] - 1 - step * paces[:, None]).abs().numpy()
    slow, taken = linear_sum_assignment(gaps)
    near = gaps[slow, taken] <= max(0.5 * step * float(paces.abs().max()), 1e-9)
    counts = torch.ones(len(values), dtype=torch.bool)
    counts[torch.from_numpy(taken[near])] = False
    return values[counts]


def parted(matrix: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Rows ``(k, n)`` and orthonormal columns ``(n, k)`` that span the left and right invariant spaces of some eigenvalues.

    The rows are dual to the columns, and vanish on the space of the other eigenvalues. From the Schur form, since a matrix
    need not have a basis of eigenvectors: in a game where one player does not see the other, equal rates have one vector.

    Args:
        matrix: real, ``(n, n)``.
        kept: some of its eigenvalues; both of a pair are taken where one is given.
    """
    every = torch.linalg.eigvals(matrix)
    _, taken = linear_sum_assignment((kept[:, None] - every[None, :]).abs().numpy())
    inside = torch.zeros(len(every), dtype=torch.bool)
    inside[torch.from_numpy(taken)] = True

    def order(values: Tensor) -> Tensor:
        """Positive where a kept value is the nearer one, of a pair the same for both."""
        gaps = (_folded(values)[:, None] - _folded(every)[None, :]).abs()
        far = torch.full((len(values), 1), torch.inf, dtype=gaps.dtype)
        return torch.cat([gaps[:, ~inside], far], 1).amin(1) - torch.cat([gaps[:, inside], far], 1).amin(1)

    form, vectors = ordered_schur(matrix.numpy(), order, "general")
    k, n = len(kept), len(form)
    if 0 < k < n and form[k, k - 1] != 0:
        k += 1
    rows = vectors[:, :k].T
    if 0 < k < n:
        rows = rows + solve_sylvester(form[:k, :k], -form[k:, k:], form[:k, k:]) @ vectors[:, k:].T
    return torch.from_numpy(rows.copy()), torch.from_numpy(vectors[:, :k].copy())


def _folded(values: Tensor) -> Tensor:
    return torch.complex(values.real, values.imag.abs())
