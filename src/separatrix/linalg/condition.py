"""Condition numbers of eigenvalues: how far a perturbation of the operator moves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg._checks import check_count
from separatrix.linalg._draw import as_generator
from separatrix.linalg.eigen import DENSE_UP_TO, eigenvalues
from separatrix.linalg.eigen_record import Eigenvalues
from separatrix.linalg.operator import LinearOperator
from separatrix.linalg.ordering import Target


def condition_numbers(right: Eigenvalues, left: Eigenvalues, *, apart: float = 1e-3) -> Tensor:
    """``kappa_i = 1 / |y_i.H x_i|`` for unit right and left eigenvectors ``x_i``, ``y_i``.

    A perturbation of size ``e`` moves ``lam_i`` by ``kappa_i e`` to first order, so ``kappa_i *
    residual_i`` is its error bar. Each right value takes the nearest left one. For values that coincide
    within their residuals the condition is that of the whole group, the norm of its spectral projector.

    Args:
        right: eigenvalues of ``A``, with vectors.
        left: eigenvalues of ``A.T``, with vectors.
        apart: how far two values may differ, relative to the larger, and still be taken as one.

    Returns:
        ``(k,)`` float64 on the host; infinity where no left value matches.

    Cost: no products.

    References: [wilkinson1965].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Dense, condition_numbers, eigenvalues
        >>> A = Dense(torch.tensor([[-1.0, 3.0], [0.0, -2.0]], dtype=torch.float64))
        >>> kappa = condition_numbers(eigenvalues(A, 2), eigenvalues(A.T, 2))
        >>> kappa.round(decimals=6).tolist()  # sqrt(1 + 9)
        [3.162278, 3.162278]
    """
    if right.vectors is None or left.vectors is None:
        raise InputError("condition numbers need both results with vectors; compute them with vectors=True.")
    kappa = torch.full((len(right),), torch.inf, dtype=torch.float64)
    for i, lam in enumerate(right.values):
        nearest = int((left.values - lam).abs().argmin())
        mu = left.values[nearest]
        error = float(right.residuals[i] + left.residuals[nearest])
        if float((mu - lam).abs()) > apart * float(lam.abs()) + error:
            continue
        close = 1e-8 * float(lam.abs()) + 10 * error
        x = right.vectors[((right.values - lam).abs() <= close).to(right.vectors.device)]
        z = left.vectors[((left.values - mu).abs() <= close).to(left.vectors.device)]
        if len(x) != len(z):
            x, z = right.vectors[i : i + 1], left.vectors[nearest : nearest + 1]
        # A.T z = lam z means z.T A = lam z.T: the transpose, not the conjugate transpose, meets x.
        cosines = torch.linalg.svdvals(torch.linalg.qr(z.T).Q.T @ torch.linalg.qr(x.T).Q)
        kappa[i] = 1 / max(float(cosines[-1]), torch.finfo(torch.float64).tiny)
    return kappa.clamp(min=1.0)


@dataclass(frozen=True)
class TwoSided:
    """Right and left eigenpairs, and what ties them: see :func:`two_sided_eigenvalues`.

    Attributes:
        right: eigenvalues of ``A`` with right vectors.
        left: eigenvalues of ``A.T``; their vectors are left vectors of ``A``.
        condition: ``kappa`` of each right value, ``(k,)``.
        errors: first-order error bars ``kappa * residual``, ``(k,)``.
    """

    right: Eigenvalues
    left: Eigenvalues
    condition: Tensor
    errors: Tensor

    def __str__(self) -> str:
        rows = zip(self.right.values.tolist(), self.errors.tolist(), self.condition.tolist(), strict=True)
        lines = [f"{'#':>3} {'real':>14} {'imag':>14} {'error':>10} {'condition':>10}"]
        for i, (lam, error, kappa) in enumerate(rows):
            lines.append(f"{i + 1:>3} {lam.real:>14.6g} {lam.imag:>14.6g} {error:>10.1e} {kappa:>10.3g}")
        return "\n".join([*lines, self.right.status, self.left.status])


def two_sided_eigenvalues(
    operator: LinearOperator,
    k: int = 6,
    *,
    target: Target = "rightmost",
    max_products: int = 3000,
    tol: float = 1e-6,
    seed: int | torch.Generator = 0,
    dense_up_to: int = DENSE_UP_TO,
    progress: bool | None = None,
) -> TwoSided:
    """The wanted eigenvalues from both sides, with condition numbers and error bars.

    The right side is searched first, with half of the budget at most. The left search starts from its vectors, which are
    its own where the operator is normal, and has what is left of the budget.

    Args:
        operator: square, ``(n, n)``, with both products.
        k: how many.
        target: as for :func:`eigenvalues`.
        max_products: of ``A`` and ``A.T`` together.
        tol: relative residual on each side.
        seed: of both starts.
        dense_up_to: the largest n whose matrix is formed.
        progress: a line on stderr; None means only on a terminal.

    Cost: two calls of :func:`eigenvalues`, one with ``A``, one with ``A.T``, the second warm.
    """
    check_count("max_products", max_products, least=2)
    generator = as_generator(seed)
    common: dict[str, Any] = {"target": target, "tol": tol, "seed": generator, "progress": progress}
    right = eigenvalues(operator, k, max_products=max_products // 2, dense_up_to=dense_up_to, **common)
    left = eigenvalues(
        operator.T,
        k,
        max_products=max(1, max_products - right.products),
        dense_up_to=dense_up_to if right.complete else 0,
        start=None if right.complete else right,
        **common,
    )
    kappa = condition_numbers(right, left)
    errors = torch.where(right.residuals > 0, kappa * right.residuals, 0.0)
    return TwoSided(right, left, kappa, errors)
