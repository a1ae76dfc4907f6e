"""The largest singular values of any operator, by restarted Golub-Kahan bidiagonalisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg._checks import check_count, check_finite, check_length, check_positive
from separatrix.linalg._draw import as_generator, normal, seed_number
from separatrix.linalg._progress import progress_line
from separatrix.linalg.counting import Counted
from separatrix.linalg.krylov_schur import orthogonalise
from separatrix.linalg.operator import LinearOperator
from separatrix.linalg.projected import Matrix

CHECK_EVERY = 5
DENSE_UP_TO = 1000


@dataclass(frozen=True)
class SingularValues:
    """The largest singular triplets ``A v = s u``, ``A.T u = s v``.

    Attributes:
        values: ``(k,)`` float64 on the host, falling.
        residuals: ``max(||A v - s u||, ||A.T u - s v||)`` from fresh products, ``(k,)``, never below
            rounding; some singular value lies that close.
        converged: ``residual <= tolerance * s`` or at rounding level.
        left: unit vectors ``u``, rows, ``(k, m)`` on the operator's device.
        right: unit vectors ``v``, rows, ``(k, n)``.
        method: ``dense`` or ``golub-kahan``.
        complete: the whole decomposition was computed.
        products: real products of ``A`` and ``A.T`` spent.
        tolerance: as asked for.
        seed: of the start.
        status: one sentence.
    """

    values: Tensor
    residuals: Tensor
    converged: Tensor
    left: Tensor
    right: Tensor
    method: str
    complete: bool
    products: int
    tolerance: float
    seed: int
    status: str

    def __str__(self) -> str:
        lines = [f"{'#':>3} {'value':>14} {'residual':>10}  converged"]
        rows = zip(self.values.tolist(), self.residuals.tolist(), self.converged.tolist(), strict=True)
        for i, (value, residual, ok) in enumerate(rows):
            lines.append(f"{i + 1:>3} {value:>14.6g} {residual:>10.1e}  {'yes' if ok else 'NO'}")
        return "\n".join([*lines, self.status])


def singular_values(
    operator: LinearOperator,
    k: int = 6,
    *,
    max_products: int = 2000,
    tol: float = 1e-6,
    seed: int | torch.Generator = 0,
    basis_size: int | None = None,
    dense_up_to: int = DENSE_UP_TO,
    progress: bool | None = None,
) -> SingularValues:
    """The ``k`` largest singular values and vectors of an operator of any shape.

    Thick-restart Golub-Kahan: ``A V = U B``, ``A.T U = V B.T + beta v e.T`` with both bases orthogonalised
    fully; a restart keeps the leading singular vectors of ``B``. Small singular values are out of its
    reach.

    Args:
        operator: any, ``(m, n)``.
        k: how many, at most ``min(m, n)``.
        max_products: the budget, verification included; a small one gives a flagged result.
        tol: relative residual of a converged value.
        seed: of the start.
        basis_size: pairs of vectors held, ``max(2 k + 10, 40)`` by default.
        dense_up_to: the largest smaller side whose matrix is formed.
        progress: a line on stderr; None means only on a terminal.

    Raises:
        InputError: k out of range.
        NonFiniteError: a product holds a NaN or an infinity.

    Cost: two products per step (30 to 60 steps for outliers) and two per value to verify; ``basis_size (m +
        n)``.

    References: [baglama2005].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Dense, singular_values
        >>> singular_values(Dense(torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, -4.0]])), 1).values.tolist()
        [4.0]
    """
    rows, columns = operator.shape
    smaller = min(rows, columns)
    if isinstance(k, int) and k > smaller:
        raise InputError(f"k must be at most the smaller side of the operator, got k={k} for {rows}x{columns}.")
    check_count("k", k)
    check_count("max_products", max_products, least=4)
    check_positive("tol", tol)
    counted, generator = Counted(operator, max_products), as_generator(seed)
    if smaller <= dense_up_to and smaller + 2 * k <= max_products:
        matrix = check_finite(operator.to_dense(), f"the matrix of {operator!r}")
        counted.spent += smaller
        U, S, Vh = torch.linalg.svd(matrix.to("cpu", torch.float64), full_matrices=False)
        left, values, right = U.T[:k], S[:k], Vh[:k]
        scale, method = float(S[0]), "dense"
    else:
        m = min(smaller, basis_size or max(2 * k + 10, 40))
        if m < min(k + 2, smaller):
            raise InputError(f"basis_size must be at least k + 2 = {k + 2}, got basis_size={m}.")
        with progress_line(progress, "largest singular values") as counted.report:
            left, values, right = _golub_kahan(counted, k, tol, m, generator)
        counted.report = None
        scale, method = float(values.max()), "golub-kahan"
    left, right = left.to(operator.device, operator.dtype), right.to(operator.device, operator.dtype)
    residuals = []
    for u, s, v in zip(left, values.tolist(), right, strict=True):
        ahead = torch.linalg.vector_norm((counted @ v - s * u).double())
        back = torch.linalg.vector_norm((counted.T @ u - s * v).double())
        residuals.append(float(torch.maximum(ahead, back)))
    noise = torch.finfo(operator.dtype).eps * scale
    found = torch.tensor(residuals, dtype=torch.float64).clamp(min=noise)
    converged = found <= torch.clamp(tol * values, min=10 * noise)
    status = f"{int(converged.sum())} of {len(values)} largest singular values converged"
    status += f" ({method}, {counted.spent} products)"
    if len(values) < k:
        status += f"; only {len(values)} of k={k} reached: raise max_products"
    elif not bool(converged.all()):
        status += "; raise max_products"
    return SingularValues(
        values=values,
        residuals=found,
        converged=converged,
        left=left,
        right=right,
        method=method,
        complete=method == "dense",
        products=counted.spent,
        tolerance=tol,
        seed=seed_number(seed),
        status=f"{status}.",
    )


def _golub_kahan(
    counted: Counted, k: int, tol: float, m: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of left vectors, values, rows of right vectors."""
    rows, columns = counted.shape
    U = torch.empty(m, rows, dtype=counted.dtype, device=counted.device)
    V = torch.empty(m + 1, columns, dtype=counted.dtype, device=counted.device)
    start = normal(counted, columns, generator)
    V[0] = start / torch.linalg.vector_norm(start)
    B: Matrix = np.zeros((m, m))
    eps = torch.finfo(counted.dtype).eps
    reserve, j = 2 * k, 0

    def extend(held: Tensor, w: Tensor, size: float) -> tuple[Tensor, Matrix, float]:
        """The next unit vector, the coefficients on those held, and its length; 0 where a random one stands in."""
        w, h = orthogonalise(w, held)
        length = check_length(w, f"a product of {counted!r}, freed of the Krylov space,")
        if length <= 10 * eps * size and len(held) < len(w):
            w, length = normal(counted, len(w), generator), 0.0
            for _ in range(2):
                w = orthogonalise(w, held)[0]
                w = w / torch.linalg.vector_norm(w)
        elif length > 0:
            w = w / length
        return w, h.to("cpu", torch.float64).numpy(), length

    while True:
        size = float(np.linalg.norm(B[: j + 1, : j + 1]))
        U[j], B[:j, j], B[j, j] = extend(U[:j], counted @ V[j], size)
        size = max(size, abs(B[j, j]))
        V[j + 1], _, beta = extend(V[: j + 1], counted.T @ U[j], size)
        j += 1
        spent = counted.left - reserve < 2
        if not (j == m or spent or (j > k and j % CHECK_EVERY == 0)):
            continue
        X, sigma, Yt = np.linalg.svd(B[:j, :j])
        estimates = beta * np.abs(X[-1])
        counted.excess = float(np.max(estimates[:k] / np.maximum(tol * sigma[:k], 10 * eps * sigma[0] + 1e-300)))
        settled = j >= k and bool((estimates[:k] <= np.maximum(tol * sigma[:k], 10 * eps * sigma[0])).all())
        if settled or spent or j == min(rows, columns):
            turn_left = torch.from_numpy(np.ascontiguousarray(X[:, :k].T)).to(U)
            turn_right = torch.from_numpy(np.ascontiguousarray(Yt[:k])).to(V)
            return turn_left @ U[:j], torch.from_numpy(sigma[:k].copy()), turn_right @ V[:j]
        if j == m:
            p = k + (m - k) // 2
            U[:p] = torch.from_numpy(np.ascontiguousarray(X[:, :p].T)).to(U) @ U[:m]
            V[:p] = torch.from_numpy(np.ascontiguousarray(Yt[:p])).to(V) @ V[:m]
            V[p] = V[m]
            B[:] = 0.0
            # Column p (the spike beta X[-1, :p]) is found again by orthogonalising A v_p against U.
            B[range(p), range(p)] = sigma[:p]
            j = p
