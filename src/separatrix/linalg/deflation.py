"""Known directions taken out of an operator."""

from __future__ import annotations

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg._checks import check_finite, check_square
from separatrix.linalg.operator import LinearOperator


class Deflated(LinearOperator):
    """``P A P`` with ``P = I - Q Q.T``: A without the directions in ``Q``.

    For directions that ``A`` maps to zero or into themselves (scale symmetries of homogeneous layers at a
    stationary point, converged Schur vectors) the rest of the spectrum is exactly that of ``A``, for
    non-normal ``A`` too; the directions themselves become eigenvectors of zero. How invariant they are is
    :meth:`leak`.

    Args:
        inner: square, ``(n, n)``.
        directions: ``(q, n)`` rows of any length, made orthonormal here; linearly independent.

    Raises:
        InputError: shapes differ or the directions are dependent.

    Cost: one product of ``A`` and ``2 q n`` operations per product.
    """

    def __init__(self, inner: LinearOperator, directions: Tensor) -> None:
        n = check_square(inner, "deflations")
        if directions.ndim != 2 or directions.shape[1] != n or not 0 < len(directions) < n:
            raise InputError(f"directions must have shape (q, {n}) with 0 < q < {n}, got {tuple(directions.shape)}.")
        super().__init__(inner.shape, dtype=inner.dtype, device=inner.device, tags=inner.tags - {"definite"})
        rows = check_finite(directions, "directions").to(inner.device, inner.dtype)
        Q, R = torch.linalg.qr(rows.T)
        size = torch.diagonal(R).abs()
        if not bool(size.min() > 10 * torch.finfo(inner.dtype).eps * size.max()):
            raise InputError(
                f"the {len(rows)} directions are linearly dependent (QR diagonal from {float(size.max()):.1e} "
                f"down to {float(size.min()):.1e}); leave out the dependent ones."
            )
        self.inner, self.directions = inner, Q.T.contiguous()

    def project(self, u: Tensor) -> Tensor:
        """``P u``."""
        return torch.addmv(u, self.directions.T, self.directions @ u, alpha=-1)

    def leak(self) -> float:
        """``||P A Q||_F``: zero where the directions span an invariant subspace. Cost: q products."""
        images = self.inner.rows(self.directions)
        return float(torch.linalg.matrix_norm(images - (images @ self.directions.T) @ self.directions))

    def _apply(self, u: Tensor) -> Tensor:
        return self.project(self.inner._apply(self.project(u)))

    def _apply_transpose(self, u: Tensor) -> Tensor:
        return self.project(self.inner._apply_transpose(self.project(u)))
