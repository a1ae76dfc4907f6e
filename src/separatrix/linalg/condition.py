"""Condition numbers of eigenvalues: how far a perturbation of the operator moves them."""

from __future__ import annotations

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg.eigen import Eigenvalues


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
