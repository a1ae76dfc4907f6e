"""Randomised range finder and singular value decomposition, with an a-posteriori error bound."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg._checks import check_count, check_length
from separatrix.linalg._draw import as_generator, normal, seed_number
from separatrix.linalg.counting import Counted
from separatrix.linalg.operator import LinearOperator


@dataclass(frozen=True)
class LowRank:
    """``A`` near ``left.T diag(values) right``.

    Attributes:
        left: orthonormal rows, ``(r, m)``.
        values: ``(r,)`` falling, on the operator's device; lower bounds of the leading singular values.
        right: orthonormal rows, ``(r, n)``.
        error_bound: of ``||(I - QQ.T) A||`` for the range ``Q`` found; add ``values[r]`` for the
            truncation, which ``truncated`` holds.
        truncated: the first value left out, 0 if none.
        failure: probability that the bound is wrong.
        products: spent.
        seed: of the sketch.
        status: one sentence.
    """

    left: Tensor
    values: Tensor
    right: Tensor
    error_bound: float
    truncated: float
    failure: float
    products: int
    seed: int
    status: str


@dataclass(frozen=True)
class Range:
    """Orthonormal rows ``basis``, ``(r, m)``, with ``||(I - QQ.T) A|| <= error_bound`` but for ``failure``."""

    basis: Tensor
    error_bound: float
    failure: float
    products: int
    seed: int


def range_finder(
    operator: LinearOperator,
    rank: int,
    *,
    powers: int = 1,
    checks: int = 6,
    seed: int | torch.Generator = 0,
) -> Range:
    """An orthonormal basis that captures most of the range of ``A``.

    ``Q = orth((A A.T)^q A Omega)`` with a QR between the factors. For ``r`` fresh Gaussian vectors ``w_i``,
    ``||(I - QQ.T) A|| <= 10 sqrt(2 / pi) max_i ||(I - QQ.T) A w_i||`` with probability ``1 - 10^-r``.

    Args:
        operator: any, ``(m, n)``.
        rank: rows of the basis, at most ``min(m, n)``.
        powers: ``q``; 1 or 2 where singular values decay slowly.
        checks: ``r``, vectors for the bound.
        seed: of the sketch.

    Cost: ``rank (1 + 2 q) + checks`` products.

    References: [halko2011, algorithm 4.4, eq. 4.3].
    """
    rows, columns = operator.shape
    check_count("rank", rank, most=min(rows, columns), why=f" for an operator of {rows}x{columns}")
    check_count("powers", powers, least=0)
    check_count("checks", checks)
    counted, generator = Counted(operator), as_generator(seed)
    sketch = torch.stack([normal(operator, columns, generator) for _ in range(rank)])
    Q = _orth(counted.rows(sketch))
    for _ in range(powers):
        Q = _orth(counted.rows(_orth(counted.T.rows(Q))))
    worst = 0.0
    for _ in range(checks):
        y = counted @ normal(operator, columns, generator)
        y = y - Q.T @ (Q @ y)
        y = y - Q.T @ (Q @ y)
        worst = max(worst, check_length(y, "a product outside the range found"))
    return Range(Q, 10 * math.sqrt(2 / math.pi) * worst, 10.0**-checks, counted.spent, seed_number(seed))


def randomised_svd(
    operator: LinearOperator,
    rank: int,
    *,
    oversampling: int = 10,
    powers: int = 1,
    seed: int | torch.Generator = 0,
) -> LowRank:
    """A low-rank approximation of ``A`` in a fixed number of products, with its error bound.

    ``B = Q.T A`` for the range ``Q`` of :func:`range_finder`, then the SVD of the small ``B``. For a few
    accurate singular values take :func:`singular_values`; this is for a good approximation of the whole
    matrix.

    Args:
        operator: any, ``(m, n)``.
        rank: singular values kept.
        oversampling: extra sketch vectors, clipped to the operator's size.
        powers: as for :func:`range_finder`.
        seed: of the sketch.

    Cost: ``(rank + oversampling) (2 + 2 powers) + 6`` products.

    References: [halko2011, algorithm 5.1].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Dense, randomised_svd
        >>> ones = Dense(torch.ones(4, 9, dtype=torch.float64))
        >>> found = randomised_svd(ones, 1)
        >>> found.values.round(decimals=9).tolist(), found.error_bound < 1e-12
        ([6.0], True)
    """
    rows, columns = operator.shape
    check_count("rank", rank, most=min(rows, columns), why=f" for an operator of {rows}x{columns}")
    check_count("oversampling", oversampling, least=0)
    if operator.dtype not in (torch.float32, torch.float64):
        raise InputError(f"randomised_svd needs float32 or float64 products, got {operator.dtype}.")
    counted = Counted(operator)
    wide = min(rank + oversampling, rows, columns)
    found = range_finder(counted, wide, powers=powers, seed=seed)
    U, S, Vh = torch.linalg.svd(counted.T.rows(found.basis), full_matrices=False)
    truncated = float(S[rank]) if rank < len(S) else 0.0
    status = f"rank {rank}, error at most {found.error_bound:.2g} + {truncated:.2g}, {counted.spent} products."
    return LowRank(
        left=U.T[:rank] @ found.basis,
        values=S[:rank],
        right=Vh[:rank],
        error_bound=found.error_bound,
        truncated=truncated,
        failure=found.failure,
        products=counted.spent,
        seed=found.seed,
        status=status,
    )


def _orth(block: Tensor) -> Tensor:
    """Orthonormal rows spanning the rows of a block."""
    basis: Tensor = torch.linalg.qr(block.T).Q.T.contiguous()
    return basis
