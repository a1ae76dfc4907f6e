"""An operator that counts its products, keeps to a budget and stops at the first NaN."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from separatrix.linalg._checks import check_finite
from separatrix.linalg.operator import LinearOperator


class Counted(LinearOperator):
    """``A`` with a meter.

    Attributes:
        spent: real products taken so far, of ``A`` and ``A.T`` together.
        budget: how many may be taken, or None. Solvers ask ``left`` before they start something; a product
            beyond the budget is still answered, since half a verification is worth less than one product.

        report: called with ``spent`` and ``excess`` after each product, or None.
        excess: the error over the tolerance when it was last looked at.

    Raises:
        NonFiniteError: a product holds a NaN or an infinity.
    """

    def __init__(self, inner: LinearOperator, budget: int | None = None) -> None:
        super().__init__(inner.shape, dtype=inner.dtype, device=inner.device, tags=inner.tags)
        self.inner = inner
        self.budget = budget
        self.spent = 0
        self.report: Callable[..., None] | None = None
        self.excess: float | None = None

    @property
    def left(self) -> float:
        """Products still within the budget."""
        return float("inf") if self.budget is None else self.budget - self.spent

    def _took(self, products: int) -> None:
        self.spent += products
        if self.report is not None:
            self.report(self.spent, self.excess)

    def _apply(self, u: Tensor) -> Tensor:
        self._took(1)
        return check_finite(self.inner._apply(u), f"product {self.spent} of {self.inner!r}")

    def _apply_transpose(self, u: Tensor) -> Tensor:
        self._took(1)
        return check_finite(self.inner._apply_transpose(u), f"product {self.spent} of the transpose of {self.inner!r}")

    def _apply_rows(self, block: Tensor) -> Tensor:
        self._took(len(block))
        return check_finite(self.inner._apply_rows(block), f"a block of {len(block)} products of {self.inner!r}")

    def _apply_transpose_rows(self, block: Tensor) -> Tensor:
        self._took(len(block))
        what = f"a block of {len(block)} products of the transpose of {self.inner!r}"
        return check_finite(self.inner._apply_transpose_rows(block), what)
