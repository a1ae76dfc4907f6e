"""A submatrix of an operator, such as a player's block of a Jacobian."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from separatrix.linalg.operator import LinearOperator


class Block(LinearOperator):
    """``P_rows A P_columns`` restricted to index sets: a submatrix.

    Args:
        inner: a square operator.
        rows: the rows kept, a slice or an index tensor.
        columns: the columns kept.
        tags: tags the builder vouches for.
    """

    def __init__(
        self,
        inner: LinearOperator,
        rows: slice | Tensor,
        columns: slice | Tensor,
        *,
        tags: Iterable[str] = (),
    ) -> None:
        def count(index: slice | Tensor, n: int) -> int:
            return len(range(*index.indices(n))) if isinstance(index, slice) else len(index)

        shape = (count(rows, inner.shape[0]), count(columns, inner.shape[1]))
        super().__init__(shape, dtype=inner.dtype, device=inner.device, tags=tags)
        self.inner, self.row_index, self.column_index = inner, rows, columns

    def _apply(self, u: Tensor) -> Tensor:
        full = u.new_zeros(self.inner.shape[1])
        full[self.column_index] = u
        return self.inner._apply(full)[self.row_index]

    def _apply_transpose(self, u: Tensor) -> Tensor:
        full = u.new_zeros(self.inner.shape[0])
        full[self.row_index] = u
        return self.inner._apply_transpose(full)[self.column_index]

    def _apply_rows(self, block: Tensor) -> Tensor:
        full = block.new_zeros(len(block), self.inner.shape[1])
        full[:, self.column_index] = block
        return self.inner._apply_rows(full)[:, self.row_index]

    def _apply_transpose_rows(self, block: Tensor) -> Tensor:
        full = block.new_zeros(len(block), self.inner.shape[0])
        full[:, self.row_index] = block
        return self.inner._apply_transpose_rows(full)[:, self.column_index]
