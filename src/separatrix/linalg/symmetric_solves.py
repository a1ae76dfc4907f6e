"""CG and MINRES: linear systems with symmetric operators, by short recurrences."""

from __future__ import annotations

import torch
from torch import Tensor

from separatrix.errors import ComputationError
from separatrix.linalg._checks import check_length, check_tag
from separatrix.linalg.counting import Counted
from separatrix.linalg.operator import LinearOperator
from separatrix.linalg.solution import Solution, solve_by_corrections


def cg(
    operator: LinearOperator,
    b: Tensor,
    *,
    start: Tensor | None = None,
    tol: float = 1e-6,
    max_products: int = 1000,
    progress: bool | None = None,
) -> Solution:
    """Solve ``A x = b`` by conjugate gradients; ``A`` must be tagged symmetric *and* definite.

    On an indefinite matrix CG diverges without a word, so it is refused without the tag, and a direction of
    negative curvature met on the way is reported as a wrong tag.

    Args:
        operator: square, tagged ``symmetric`` and ``definite`` (positive).
        b: right-hand side, ``(n,)``.
        start: first ``x``.
        tol: relative residual to reach.
        max_products: the budget.
        progress: a line on stderr; None means only on a terminal.

    Raises:
        InputError: a tag is missing.
        ComputationError: ``p.T A p < 0`` was met.

    Cost: one product per step, four vectors.

    References: [hestenes1952].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Diagonal, cg
        >>> cg(Diagonal(torch.tensor([1.0, 4.0])), torch.tensor([2.0, 4.0])).value.round(decimals=5).tolist()
        [2.0, 1.0]
    """
    remedy = "use minres where it is symmetric, gmres otherwise."
    check_tag(operator, "symmetric", "cg", remedy)
    check_tag(operator, "definite", "cg", remedy)
    return solve_by_corrections(
        operator, b, _cg, start=start, tol=tol, max_products=max_products, method="cg", progress=progress
    )


def _cg(counted: Counted, r: Tensor, target: float) -> Tensor:
    d, p = torch.zeros_like(r), r
    square = float(r @ r)
    while counted.left > 1 and square**0.5 > target:
        q = counted @ p
        curvature = float(p @ q)
        if curvature <= 0:
            rounding = 10 * torch.finfo(r.dtype).eps
            lengths = check_length(p, "a direction") * check_length(q, "a product")
            if curvature < -rounding * lengths:
                raise ComputationError(
                    f"{counted.inner!r} is tagged definite, but p.T A p = {curvature:.3g} < 0 was met; "
                    "drop the tag and use minres."
                )
            break
        d = d + (square / curvature) * p
        r = r - (square / curvature) * q
        previous, square = square, float(r @ r)
        p = r + (square / previous) * p
    return d


def minres(
    operator: LinearOperator,
    b: Tensor,
    *,
    start: Tensor | None = None,
    tol: float = 1e-6,
    max_products: int = 1000,
    progress: bool | None = None,
) -> Solution:
    """Solve ``A x = b`` for a symmetric, possibly indefinite operator by MINRES.

    Minimises ``||b - A x||`` like GMRES, but with a three-term recurrence: seven vectors at any number of
    steps. On a singular consistent system it converges too.

    Args:
        operator: square, tagged ``symmetric``.
        b: right-hand side, ``(n,)``.
        start: first ``x``.
        tol: relative residual to reach.
        max_products: the budget.
        progress: a line on stderr; None means only on a terminal.

    Raises:
        InputError: no symmetric tag.

    Cost: one product per step.

    References: [paige1975].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Diagonal, minres
        >>> found = minres(Diagonal(torch.tensor([1.0, -4.0])), torch.tensor([2.0, 4.0]))
        >>> found.value.round(decimals=5).tolist()
        [2.0, -1.0]
    """
    check_tag(operator, "symmetric", "minres", "use gmres, or lsmr with both products.")
    return solve_by_corrections(
        operator, b, _minres, start=start, tol=tol, max_products=max_products, method="minres", progress=progress
    )


def _minres(counted: Counted, r: Tensor, target: float) -> Tensor:
    eta = check_length(r, "the residual")
    v, v_old = r / eta, torch.zeros_like(r)
    d, w, w_old = (torch.zeros_like(r) for _ in range(3))
    beta, c, c_old, s, s_old = 0.0, 1.0, 1.0, 0.0, 0.0
    size = 0.0
    while counted.left > 1 and abs(eta) > target:
        p = counted @ v - beta * v_old
        alpha = float(v @ p)
        p = p - alpha * v
        following = check_length(p, "a product")
        size = max(size, abs(alpha), following)
        # One column of the tridiagonal matrix, turned by the last two rotations.
        delta = c * alpha - c_old * s * beta
        diagonal = (delta**2 + following**2) ** 0.5
        upper, topmost = s * alpha + c_old * c * beta, s_old * beta
        if diagonal <= 10 * torch.finfo(r.dtype).eps * size:
            break  # the rest of r lies in the null space
        c_old, s_old = c, s
        c, s = delta / diagonal, following / diagonal
        w, w_old = (v - topmost * w_old - upper * w) / diagonal, w
        d = d + (c * eta) * w
        eta = -s * eta
        if following <= 10 * torch.finfo(r.dtype).eps * size:
            break
        v, v_old, beta = p / following, v, following
    return d
