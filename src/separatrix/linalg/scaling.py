"""A diagonal preconditioner in the form that keeps symmetric parts meaningful."""

from __future__ import annotations

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg._checks import check_square
from separatrix.linalg.operator import LinearOperator


class Congruent(LinearOperator):
    """``P = D^(1/2) A D^(1/2)`` for a positive diagonal ``D``: similar to ``D A``, so its eigenvalues are those of ``D A``.

    Unlike ``D A`` it keeps what ``A`` is: symmetric stays symmetric, skew stays skew, definite stays definite, and symmetric and
    antisymmetric parts are those of ``A`` in the metric of ``D``. For ``D A`` itself write ``Diagonal(d) @ A``.

    Args:
        inner: square, ``(n, n)``.
        diagonal: ``d``, ``(n,)``, positive: time scales, step sizes, a preconditioner.

    Raises:
        InputError: another shape, or an entry that is not positive and finite.

    Cost: one product of ``A``.

    Example:
        >>> from separatrix.linalg import Dense
        >>> A = Dense(torch.tensor([[0.0, 2.0], [-2.0, 0.0]]), tags={"skew"})
        >>> P = Congruent(A, torch.tensor([1.0, 4.0]))
        >>> P.to_dense().tolist(), sorted(P.tags)
        ([[0.0, 4.0], [-4.0, 0.0]], ['skew'])
    """

    def __init__(self, inner: LinearOperator, diagonal: Tensor) -> None:
        n = check_square(inner, "scalings")
        if diagonal.shape != (n,):
            raise InputError(f"the diagonal must have shape ({n},), got {tuple(diagonal.shape)}.")
        if not bool((torch.isfinite(diagonal) & (diagonal > 0)).all()):
            bad = int((~(torch.isfinite(diagonal) & (diagonal > 0))).nonzero()[0])
            raise InputError(
                f"the diagonal must be positive and finite, entry {bad} is {diagonal[bad].item()}; without a positive diagonal use "
                "Diagonal(d) @ A, which carries no tag."
            )
        super().__init__(inner.shape, dtype=inner.dtype, device=inner.device, tags=inner.tags)
        self.inner, self.diagonal = inner, diagonal.to(inner.device, inner.dtype)
        self._root = self.diagonal.sqrt()

    def right_vectors(self, vectors: Tensor) -> Tensor:
        """Eigenvectors of ``D A`` from those of this operator, ``(n,)`` or rows ``(k, n)``: ``D^(1/2) x``."""
        return self._root * vectors

    def left_vectors(self, vectors: Tensor) -> Tensor:
        """Left eigenvectors of ``D A`` from those of this operator, ``(n,)`` or rows ``(k, n)``: ``D^(-1/2) y``."""
        return vectors / self._root

    def _apply(self, u: Tensor) -> Tensor:
        return self._root * self.inner._apply(self._root * u)

    def _apply_transpose(self, u: Tensor) -> Tensor:
        return self._root * self.inner._apply_transpose(self._root * u)

    def _apply_rows(self, block: Tensor) -> Tensor:
        return self._root * self.inner._apply_rows(self._root * block)

    def _apply_transpose_rows(self, block: Tensor) -> Tensor:
        return self._root * self.inner._apply_transpose_rows(self._root * block)
