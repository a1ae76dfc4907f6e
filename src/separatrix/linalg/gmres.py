"""GMRES and FGMRES: linear systems with any square operator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg._checks import check_count, check_finite, check_length
from separatrix.linalg.counting import Counted
from separatrix.linalg.krylov_schur import KrylovForm, expand
from separatrix.linalg.operator import LinearOperator
from separatrix.linalg.recycling import Preconditioner, Space, slowest
from separatrix.linalg.solution import Solution, solve_by_corrections


def gmres(
    operator: LinearOperator,
    b: Tensor,
    *,
    start: Tensor | None = None,
    tol: float = 1e-6,
    max_products: int = 1000,
    restart: int = 50,
    preconditioner: Preconditioner | None = None,
    recycle: Tensor | None = None,
    keep: int = 0,
    progress: bool | None = None,
) -> Solution:
    """Solve ``A x = b`` by restarted GMRES, right-preconditioned, stopping on the true residual.

    Each cycle minimises ``||b - A x||`` over a Krylov space of ``A M`` with a fully orthogonalised basis.
    With ``recycle`` rows ``U`` the system is first solved on ``A U`` and the cycle runs on ``(I - C C.T)
    A`` with ``C = orth(A U)``, which stays right when ``A`` has moved since ``U`` was computed. With ``keep``
    each cycle also replaces ``U`` by the slowest harmonic Ritz vectors of all that it holds, which serves its own
    restarts, and the solution's ``recycled`` serves the next of a sequence of systems.

    Args:
        operator: square, ``(n, n)``.
        b: right-hand side, ``(n,)``.
        start: first ``x``.
        tol: relative residual to reach.
        max_products: the budget.
        restart: vectors per cycle.
        preconditioner: a fixed linear map near ``A^-1``, ``(n,)`` to ``(n,)``; for one that varies use
            :func:`fgmres`.
        recycle: vectors to be solved for directly, ``(p, n)``, such as the Schur vectors of slow modes
            (:meth:`KrylovForm.schur_vectors`), or the ``recycled`` of the last solution.
        keep: how many directions to recycle, one more where a conjugate pair would be split; 0 for none.
        progress: a line on stderr; None means only on a terminal.

    Returns:
        The solution; a stagnating or unfinished one is flagged, not raised.

    Raises:
        InputError: shapes or settings out of range.
        NonFiniteError: a product holds a NaN or an infinity.

    Cost: one product per step, one per cycle for the true residual, ``p`` once for ``recycle``;
    ``restart + 2 p`` vectors; ``keep`` takes no product.

    References: [saad1986], [desturler1996], [parks2006].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Dense, gmres
        >>> turn = Dense(torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64))
        >>> gmres(turn, torch.tensor([1.0, 2.0], dtype=torch.float64)).value.round(decimals=9).tolist()
        [-2.0, 1.0]
    """
    return _solve(
        operator, b, start, tol, max_products, restart, preconditioner, recycle, keep, progress, flexible=False
    )


def fgmres(
    operator: LinearOperator,
    b: Tensor,
    preconditioner: Preconditioner,
    *,
    start: Tensor | None = None,
    tol: float = 1e-6,
    max_products: int = 1000,
    restart: int = 50,
    progress: bool | None = None,
) -> Solution:
    """Solve ``A x = b`` with a preconditioner that may change from step to step, such as an inner solve.

    As :func:`gmres`, but the preconditioned vectors are kept too: ``2 restart`` vectors. Products that the
    preconditioner takes by itself are not counted.

    References: [saad1993].
    """
    return _solve(operator, b, start, tol, max_products, restart, preconditioner, None, 0, progress, flexible=True)


def schur_preconditioner(form: KrylovForm, *, rest: float) -> Preconditioner:
    """Exact inverse on the wanted invariant subspace of a Krylov form, ``1 / rest`` on what is left.

    Formula: ``M u = (u - Q Q.T u) / rest + Q T^-1 Q.T u`` with ``Q`` spanning the form's Ritz vectors and
    ``T = Q.T A Q``; orthogonal deflation, valid for non-normal operators too.

    Args:
        form: from ``eigenvalues(...).krylov``.
        rest: a typical eigenvalue of the rest, not zero.
    """
    if rest == 0:
        raise InputError("rest must not be zero; give a typical eigenvalue of what is not deflated.")
    Z = form.span()
    T = torch.from_numpy(Z.T @ form.projected[: len(Z)] @ Z)
    Q = form.schur_vectors()
    inverse = torch.linalg.inv(T).to(Q)

    def apply(u: Tensor) -> Tensor:
        c = Q @ u
        result: Tensor = (u - Q.T @ c) / rest + Q.T @ (inverse @ c)
        return result

    return apply


def _solve(
    operator: LinearOperator,
    b: Tensor,
    start: Tensor | None,
    tol: float,
    max_products: int,
    restart: int,
    preconditioner: Preconditioner | None,
    recycle: Tensor | None,
    keep: int,
    progress: bool | None,
    *,
    flexible: bool,
) -> Solution:
    check_count("restart", restart)
    check_count("keep", keep, least=0, most=max(0, operator.shape[0] - 1))
    space: list[Space | None] = [None]  # what is recycled, made on first use

    def correction(counted: Counted, r: Tensor, target: float) -> Tensor:
        if recycle is not None and space[0] is None:
            space[0] = _recycled(counted, recycle)
        d, space[0] = _cycle(counted, r, target, restart, preconditioner, space[0], keep, flexible)
        return d

    method = "fgmres" if flexible else "gmres"
    found = solve_by_corrections(
        operator, b, correction, start=start, tol=tol, max_products=max_products, method=method, progress=progress
    )
    return replace(found, recycled=space[0][0]) if keep and space[0] is not None else found


def _recycled(counted: Counted, recycle: Tensor) -> Space:
    """Rows ``U`` and orthonormal ``C = A U``."""
    if recycle.ndim != 2 or recycle.shape[1] != counted.shape[1]:
        raise InputError(f"recycle must have shape (p, {counted.shape[1]}), got {tuple(recycle.shape)}.")
    U = check_finite(recycle, "recycle").to(counted.device, counted.dtype)
    Q, R = torch.linalg.qr(counted.rows(U).T)
    size = torch.diagonal(R).abs()
    if not bool(size.min() > 10 * torch.finfo(counted.dtype).eps * size.max()):
        raise InputError("recycle holds vectors that A maps to dependent ones; give fewer or independent rows.")
    return torch.linalg.solve_triangular(R.T, U, upper=False), Q.T.contiguous()


class _Through(LinearOperator):
    """``(I - C C.T) A M`` that remembers what it needs to get back to x."""

    def __init__(self, inner: Counted, M: Preconditioner | None, space: Space | None, flexible: bool) -> None:
        super().__init__(inner.shape, dtype=inner.dtype, device=inner.device)
        self.inner, self.M, self.space, self.flexible = inner, M, space, flexible
        self.preconditioned: list[Tensor] = []
        self.along: list[Tensor] = []

    def _apply(self, u: Tensor) -> Tensor:
        z = u if self.M is None else check_finite(self.M(u), "the preconditioned vector")
        if self.flexible:
            self.preconditioned.append(z)
        w: Tensor = self.inner @ z
        if self.space is not None:
            c = self.space[1] @ w
            self.along.append(c)
            w = w - self.space[1].T @ c
        return w

    def _apply_transpose(self, u: Tensor) -> Tensor:
        raise NotImplementedError("GMRES takes no transposed product")


def _cycle(
    counted: Counted,
    r: Tensor,
    target: float,
    restart: int,
    M: Preconditioner | None,
    space: Space | None,
    keep: int,
    flexible: bool,
) -> tuple[Tensor, Space | None]:
    """One GMRES cycle for ``A d = r`` from ``d = 0``, and what to recycle in the next."""
    d = torch.zeros_like(r)
    if space is not None:
        U, C = space
        c = C @ r
        d, r = U.T @ c, r - C.T @ c
    beta = check_length(r, "the residual")
    m = min(restart, len(r), int(max(counted.left - 1, 0)))
    if beta <= target or m == 0:
        return d, space
    through = _Through(counted, M, space, flexible)
    basis = torch.empty(m + 1, len(r), dtype=r.dtype, device=r.device)
    basis[0] = r / beta
    H = np.zeros((m + 1, m))
    right = np.zeros(m + 1)
    right[0] = beta
    for j in range(1, m + 1):
        expand(through, basis, H, j - 1, torch.Generator())
        y = np.linalg.lstsq(H[: j + 1, :j], right[: j + 1], rcond=None)[0]
        reached = float(np.linalg.norm(right[: j + 1] - H[: j + 1, :j] @ y))
        if reached <= target or H[j, j - 1] == 0:
            break
    weights = torch.from_numpy(y).to(r)
    if flexible:
        d = d + torch.stack(through.preconditioned).T @ weights
    else:
        inside = basis[: len(y)].T @ weights
        d = d + (inside if M is None else M(inside))
    along = torch.stack(through.along) if space is not None else None  # rows: C A M v_j
    if space is not None and along is not None:
        d = d - space[0].T @ (along.T @ weights)
    if keep and H[j, j - 1] != 0:
        space = slowest(basis[: j + 1], H[: j + 1, :j], M, space, along, keep)
    return d, space
