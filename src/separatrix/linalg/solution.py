"""What a linear solve returns, and the loop that judges every method by its true residual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.linalg._checks import check_count, check_length, check_positive, check_square, check_vector
from separatrix.linalg._progress import progress_line
from separatrix.linalg.counting import Counted
from separatrix.linalg.operator import LinearOperator

STAGNATION = 0.99


@dataclass(frozen=True)
class Solution:
    """``x`` with ``A x`` near ``b``.

    Attributes:
        value: ``x``, ``(n,)`` on the operator's device.
        residual: ``||b - A x|| / ||b||``, from a fresh product.
        converged: ``residual <= tol``; for least squares see ``optimality``.
        optimality: for least squares ``||A.T r|| / (||A|| ||r||)`` with ``r = b - A x``, from fresh
            products, else None.
        history: the true relative residual at each check.
        products: real products of ``A`` and ``A.T`` spent.
        method: which.
        status: one sentence.
        recycled: slow directions to solve the next system with, ``(keep, n)`` rows; None unless asked for.
    """

    value: Tensor
    residual: float
    converged: bool
    optimality: float | None
    history: tuple[float, ...]
    products: int
    method: str
    status: str
    recycled: Tensor | None = None

    def __str__(self) -> str:
        return f"{self.method}: {self.status}"


def solve_by_corrections(
    operator: LinearOperator,
    b: Tensor,
    correction: Callable[[Counted, Tensor, float], Tensor],
    *,
    start: Tensor | None,
    tol: float,
    max_products: int,
    method: str,
    progress: bool | None = None,
) -> Solution:
    """Repeat ``x += correction(A, r, target)`` with the true ``r = b - A x`` until it is small or stops
    shrinking.

    A recurrence's own residual drifts from the true one in float32 and near singular systems; here it only
    ends a correction, and the fresh product that follows decides.

    Args:
        operator: square, ``(n, n)``.
        b: right-hand side, ``(n,)``.
        correction: an approximate solution of ``A d = r`` with ``||r - A d|| <= target``; it must leave one
            product of the budget.
        start: first ``x``, zero by default.
        tol: relative residual to reach.
        max_products: the budget.
        method: name for the record.
        progress: a line on stderr; None means only on a terminal.
    """
    n = check_square(operator, "solves")
    check_vector(operator, "b", b, n)
    check_positive("tol", tol)
    check_count("max_products", max_products, least=2)
    counted = Counted(operator, max_products)
    if start is None:
        x, r = torch.zeros_like(b), b
    else:
        x = check_vector(operator, "start", start, n)
        r = b - counted @ x
    length = check_length(b, "b")
    if length == 0:
        return Solution(torch.zeros_like(b), 0.0, True, None, (0.0,), counted.spent, method, "b is zero, so x is.")
    history = [check_length(r, "the first residual") / length]
    stuck = False
    with progress_line(progress, method) as counted.report:
        while history[-1] > tol and counted.left >= 2 and not stuck:
            # Of a residual of length one, whose square neither overflows nor vanishes.
            size = history[-1] * length
            candidate = x + size * correction(counted, r / size, tol * length / size)
            fresh = b - counted @ candidate
            size = check_length(fresh, "the residual") / length
            stuck = size > STAGNATION * history[-1]
            if size < history[-1]:
                x, r = candidate, fresh
                history.append(size)
            counted.excess = history[-1] / tol
    converged = history[-1] <= tol
    status = f"relative residual {history[-1]:.1e} after {counted.spent} products"
    if not converged:
        status += ", stagnated" if stuck else ", budget spent: raise max_products"
    return Solution(x, history[-1], converged, None, tuple(history), counted.spent, method, f"{status}.")
