"""An operator whose matrix is at hand, so that several questions about its whole spectrum share the work."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from separatrix.linalg._checks import check_finite
from separatrix.linalg.operator import LinearOperator, Tagged
from separatrix.linalg.projected import ComplexMatrix, eigen_decomposition, kind_of


class Formed(Tagged):
    """``A`` and its matrix, formed once; products remain the operator's own, so that residuals test both.

    Args:
        inner: any operator.
        matrix: its matrix, where it is known already; ``(m, n)`` in the operator's dtype, on its device.

    Raises:
        NonFiniteError: the matrix holds a NaN or an infinity.

    Cost: what ``inner.to_dense()`` costs, as many products as the smaller side at most.
    """

    def __init__(self, inner: LinearOperator, matrix: Tensor | None = None) -> None:
        super().__init__(inner, inner.tags)
        matrix = inner.to_dense() if matrix is None else matrix
        self.matrix: Tensor = check_finite(matrix, f"the matrix of {inner!r}")

    def to_dense(self) -> Tensor:
        return self.matrix.clone()

    @property
    def T(self) -> Formed:
        """The transpose, formed too."""
        return self._transpose

    @cached_property
    def _transpose(self) -> Formed:
        if "symmetric" in self.tags:
            return self
        turned = Formed(self.inner.T, self.matrix.T.contiguous())
        turned.__dict__["_transpose"] = self
        return turned

    @cached_property
    def decomposition(self) -> tuple[ComplexMatrix, ComplexMatrix]:
        """All eigenvalues ``(n,)`` and unit eigenvectors in columns ``(n, n)``, float64 on the host."""
        return eigen_decomposition(self.matrix.to("cpu", torch.float64).numpy(), kind_of(self))
