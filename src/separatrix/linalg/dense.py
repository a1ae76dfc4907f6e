"""A matrix as an operator."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg.operator import LinearOperator


class Dense(LinearOperator):
    """A matrix held in memory."""

    def __init__(self, matrix: Tensor, *, tags: Iterable[str] = ()) -> None:
        if matrix.ndim != 2 or not matrix.is_floating_point():
            raise InputError(
                f"a dense operator needs a real floating-point matrix, got shape {tuple(matrix.shape)}, "
                f"dtype {matrix.dtype}."
            )
        rows, columns = matrix.shape
        super().__init__((rows, columns), dtype=matrix.dtype, device=matrix.device, tags=tags)
        self.matrix = matrix

    def _apply(self, u: Tensor) -> Tensor:
        return self.matrix @ u

    def _apply_transpose(self, u: Tensor) -> Tensor:
        return self.matrix.T @ u

    def _apply_rows(self, block: Tensor) -> Tensor:
        return block @ self.matrix.T

    def _apply_transpose_rows(self, block: Tensor) -> Tensor:
        return block @ self.matrix

    def to_dense(self) -> Tensor:
        return self.matrix.clone()
