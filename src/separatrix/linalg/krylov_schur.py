"""Krylov-Schur and Lanczos: a few wanted eigenvalues, in real arithmetic, with thick restarts.

The basis ``V`` is ``(m + 1, n)``, one orthonormal vector a row, on the operator's device and in its dtype;
the projected matrix ``B`` is float64 on the host, where LAPACK has a real Schur form and its reordering.
Throughout [stewart2001]

    A V[:j].T = V[:j].T B + v_j b.T,

with ``b`` a row below ``B`` (a *spike* after a restart, ``beta e_m`` during the expansion).

With a symmetric or skew tag the projected problem is treated as such, which makes this thick-restart Lanczos
[wu2000] and its skew counterpart [greif2009], both with full orthogonalisation.

Deliberate differences from the paper: a residual entry ``b_i`` is set to zero (locked) only at rounding
level, not at ``tol``, since everything wanted stays in the basis anyway and an early lock would put its
error into all others; and convergence is looked at every few steps of an expansion, not only at its end,
since products cost more than an ``eig`` of ``B``.

There is no block variant. A block of b vectors needs more products for the same end: seen on matrices with a few outliers before
a bulk 1.3 to 1.5 times as many for b = 2, about twice for 4, 2.5 to 3.5 times for 8. Sharing the rebuild of a graph among 8
vectors saves a factor of 1.6 to 2.2 at most, and a retained graph nothing. Copies of multiple eigenvalues are found by going on
after a breakdown instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from separatrix.linalg._checks import check_length
from separatrix.linalg._draw import normal
from separatrix.linalg.counting import Counted
from separatrix.linalg.operator import LinearOperator
from separatrix.linalg.ordering import Key, select
from separatrix.linalg.projected import (
    ComplexMatrix,
    Kind,
    Matrix,
    eigen_decomposition,
    kind_of,
    ordered_schur,
)

CHECK_EVERY = 5
# After a breakdown: steps without another one until the search is trusted again.
PATIENCE = 10
STRIPE = 2**20
KEPT = 0.7
Pairs = Callable[[Matrix, Key, int, Kind], tuple[Tensor, ComplexMatrix, Matrix]]
Restart = Callable[[Tensor, Matrix, Key, Kind, int], int]


@dataclass(frozen=True)
class KrylovForm:
    """What is left of a Krylov-Schur run: enough to restart it, to precondition with it, to ask other
    questions.

    Attributes:
        basis: orthonormal rows, ``(j + 1, n)``; ``(j, n)`` where the space is invariant.
        projected: ``[B; b]``, ``(j + 1, j)`` float64 on the host.
        values: Ritz values, wanted first, ``(w,)`` complex128, closed under conjugation.
        coordinates: their unit vectors in the basis, columns, ``(j, w)`` complex128.
        estimates: ``|b s|``, the residual norms in exact arithmetic. Rounding makes them far too small.
        restarts: thick restarts taken.
        settled: whether all wanted estimates fell below the tolerance.
    """

    basis: Tensor
    projected: Matrix
    values: Tensor
    coordinates: ComplexMatrix
    estimates: Matrix
    restarts: int
    settled: bool

    def span(self) -> Matrix:
        """Orthonormal columns that span the wanted coordinates, ``(j, w)``, real."""
        parts = np.concatenate([self.coordinates.real, self.coordinates.imag], axis=1)
        left, size, _ = np.linalg.svd(parts, full_matrices=False)
        found: Matrix = left[:, size > 1e-8 * size[0]]
        return found

    def schur_vectors(self) -> Tensor:
        """Orthonormal rows ``(w, n)`` that span the wanted Ritz vectors: to deflate with, or to recycle."""
        Z = torch.from_numpy(np.ascontiguousarray(self.span().T)).to(self.basis)
        rows: Tensor = Z @ self.basis[: Z.shape[1]]
        return rows


def krylov_schur(
    operator: Counted,
    *,
    k: int,
    key: Key,
    tol: float,
    start: Tensor,
    basis_size: int,
    generator: torch.Generator,
    reserve: int = 0,
    on_check: Callable[[int, float], None] | None = None,
    pairs: Pairs | None = None,
    restart: Restart | None = None,
) -> KrylovForm:
    """The ``k`` most wanted Ritz pairs of ``operator``, restarted until they settle or the budget is spent.

    Args:
        operator: square, ``(n, n)``, counted; its budget bounds the run.
        k: how many, ``k + 1`` where a conjugate pair would be split; for :class:`Ends` the sum of their counts.
        key: the order, higher is wanted more.
        tol: a pair has settled when its estimate is below ``tol * max(|lam|, rounding of B / tol)``.
        start: the first vector, ``(n,)``.
        basis_size: ``m``, the most vectors held, at least ``k + 2`` where n allows.
        generator: source of the vectors that continue after a breakdown.
        reserve: products to be left for whoever verifies.
        on_check: called with the products spent and the worst estimate over what is allowed.
        pairs: how eigenpairs are extracted from ``[B; b]``; Ritz pairs by default.
        restart: how a full decomposition is shrunk; to leading Schur vectors by default.

    Cost: products until settled, ``O(n m)`` memory, ``O(n m)`` work per product.
    """
    pairs, restart = pairs or ritz_pairs, restart or thick_restart
    n = operator.shape[0]
    m, kind = min(basis_size, n), kind_of(operator)
    # Not zeros: most runs end before they touch all of it.
    basis = torch.empty(m + 1, n, dtype=operator.dtype, device=operator.device)
    basis[0] = start / check_length(start, "start")
    H: Matrix = np.zeros((m + 1, m))
    j = restarts = 0
    invariant = _Invariant()
    while True:
        expand(operator, basis, H, j, generator)
        j += 1
        if H[j, j - 1] == 0 and j < n:
            invariant.found(pairs(H[: j + 1, :j], key, k, kind)[0])
        else:
            invariant.steps += 1
        spent = operator.left - reserve <= 0
        if not (j == m or spent or (j % CHECK_EVERY == 0 and j > k)):
            continue
        values, S, estimates = pairs(H[: j + 1, :j], key, k, kind)
        scale = float(np.linalg.norm(H[: j + 1, :j], 2))
        floor = 10 * torch.finfo(operator.dtype).eps * scale
        allowed = np.maximum(tol * values.abs().numpy(), floor)
        settled = j >= k and bool((estimates <= allowed).all()) and invariant.settled
        if on_check is not None:
            on_check(operator.spent, float(np.max(estimates / np.maximum(allowed, np.finfo(float).tiny))))
        if settled or spent or j == n:
            rows = j if H[j, :j].any() == 0 else j + 1
            return KrylovForm(basis[:rows], H[: j + 1, :j].copy(), values, S, estimates, restarts, settled or j == n)
        if j == m:
            j = restart(basis, H, key, kind, len(values))
            restarts += 1


class _Invariant:
    """Whether invariant subspaces met on the way (breakdowns) may still hide something wanted.

    All of an invariant subspace has converged, wanted or not, and each holds one copy of a multiple eigenvalue. So the
    search goes on until the next one has brought nothing new, or until none was met for a while.
    """

    def __init__(self) -> None:
        self.steps, self.settled_here, self.before = PATIENCE, True, torch.empty(0, dtype=torch.complex128)

    @property
    def settled(self) -> bool:
        return self.settled_here or self.steps >= PATIENCE

    def found(self, values: Tensor) -> None:
        """Another one, after which these are the wanted values."""
        same = len(values) == len(self.before) and all(
            torch.allclose(part(values).sort()[0], part(self.before).sort()[0], rtol=1e-6)
            for part in (torch.real, torch.imag)
        )
        self.steps, self.settled_here, self.before = 0, same, values


def expand(operator: LinearOperator, basis: Tensor, H: Matrix, j: int, generator: torch.Generator) -> None:
    """One product: fills column ``j`` of ``[B; b]`` and row ``j + 1`` of the basis.

    On breakdown (an invariant subspace) the coupling is set to
    zero and a random vector continues, so that further copies of multiple eigenvalues are found too.

    Raises:
        NonFiniteError: the product is too long for its dtype.
    """
    held = basis[: j + 1]
    w, h = orthogonalise(operator @ basis[j], held)
    beta = check_length(w, f"a product of {operator!r}, freed of the Krylov space,")
    H[: j + 1, j] = h.to("cpu", torch.float64).numpy()
    if j + 1 == basis.shape[1]:
        beta = 0.0  # the whole space: what is left is rounding
    elif beta <= 10 * torch.finfo(operator.dtype).eps * float(np.linalg.norm(H[: j + 2, : j + 1])):
        beta = 0.0
        w, _ = orthogonalise(normal(operator, basis.shape[1], generator), held)
        w, _ = orthogonalise(w / torch.linalg.vector_norm(w), held)
        basis[j + 1] = w / torch.linalg.vector_norm(w)
    else:
        basis[j + 1] = w / beta
    H[j + 1, j] = beta


def orthogonalise(w: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
    """``w`` freed of the orthonormal rows ``held``, and its coefficients on them.

    Gram-Schmidt, a second time only where the first took off enough to leave rounding behind [daniel1976]:
    each pass reads the whole basis twice, which is what a Krylov step costs besides its product. In float32
    this leaves the basis orthogonal to about 1e-5 at n = 3e5, well below the square root of rounding at
    which Ritz values suffer.
    """
    before = check_length(w, "a product")
    h = held @ w
    w = torch.addmv(w, held.T, h, alpha=-1)
    if check_length(w, "a product, freed of the Krylov space,") < KEPT * before:
        correction = held @ w
        w, h = torch.addmv(w, held.T, correction, alpha=-1), h + correction
    return w, h


def turn_rows(basis: Tensor, Z: Matrix) -> None:
    """``basis[:p] = Z.T @ basis[:m]`` for ``Z`` of ``(m, p)``, in place, a stripe of columns at a time."""
    m, p = Z.shape
    turn = torch.from_numpy(np.ascontiguousarray(Z.T)).to(basis)
    for stripe in torch.split(basis, STRIPE, dim=1):
        stripe[:p] = turn @ stripe[:m]


def ritz_pairs(H: Matrix, key: Key, k: int, kind: Kind) -> tuple[Tensor, ComplexMatrix, Matrix]:
    """The ``k`` (or ``k + 1``) most wanted Ritz values, their unit coordinates and ``|b s|``."""
    eigenvalues, vectors = eigen_decomposition(H[:-1], kind)
    values = torch.from_numpy(eigenvalues)
    chosen = select(values, key, k)
    S = vectors[:, chosen]
    return values[chosen], S, np.abs(H[-1] @ S)


def thick_restart(basis: Tensor, H: Matrix, key: Key, kind: Kind, wanted: int) -> int:
    """Shrink the full decomposition to its leading ``p`` Schur vectors, in place; returns ``p``."""
    m = H.shape[1]
    T, Z = ordered_schur(H[:m], key, kind)
    p = rows_to_keep(T, wanted)
    spike = H[m] @ Z[:, :p]
    spike[np.abs(spike) <= np.finfo(np.float64).eps * float(np.linalg.norm(T))] = 0.0
    turn_rows(basis, Z[:, :p])
    basis[p] = basis[m]
    H[:] = 0.0
    H[:p, :p] = T[:p, :p]
    H[p, :p] = spike
    return p


def rows_to_keep(T: Matrix, wanted: int) -> int:
    """Half of what is unwanted stays too, which keeps the convergence superlinear; pairs stay whole."""
    m = len(T)
    p: int = min(wanted + (m - wanted) // 2, m - 1)
    if T[p, p - 1] != 0:
        p = p + 1 if p + 1 < m else p - 1
    return p


def lift(form: KrylovForm) -> Tensor:
    """Ritz vectors, rows, from their coordinates."""
    basis = form.basis[: len(form.coordinates)]
    S = torch.from_numpy(form.coordinates).T
    real = S.real.to(basis.device, basis.dtype) @ basis
    imag = S.imag.to(basis.device, basis.dtype) @ basis
    if basis.dtype == torch.bfloat16:  # which has no complex numbers
        real, imag = real.float(), imag.float()
    return torch.complex(real, imag)
