"""Linear operators on flat vectors, known by their products only.

An operator maps ``(n,)`` to ``(m,)``. Blocks of ``k`` vectors are ``(k, n)``, one vector a row, so that
each is contiguous. Complex vectors are taken as two real products; the imaginary part is never dropped.
Tags (``symmetric``, ``skew``, and ``definite`` or ``semidefinite``, both positive) are asserted by whoever
builds the operator, or derived; a solver that needs one refuses without it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from separatrix.errors import InputError

TAGS = frozenset({"symmetric", "skew", "definite", "semidefinite"})
POSITIVE = frozenset({"definite", "semidefinite"})


class LinearOperator(ABC):
    """A matrix known by its products.

    Subclasses implement ``_apply`` (``A @ u``) and ``_apply_transpose`` (``A.T @ u``) for one real vector
    of the operator's dtype on its device.

    Attributes:
        shape: ``(rows, columns)``.
        dtype: real dtype of the products.
        device: where the products live.
        tags: any of ``symmetric``, ``skew``, ``definite``, ``semidefinite``.
    """

    def __init__(
        self, shape: tuple[int, int], *, dtype: torch.dtype, device: torch.device, tags: Iterable[str] = ()
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.device = torch.device(device)
        if isinstance(tags, str):
            raise InputError(f"tags are a set of names, got the text {tags!r}; write tags={{{tags!r}}}.")
        self.tags = frozenset(tags)
        if unknown := self.tags - TAGS:
            raise InputError(f"unknown operator tags {sorted(unknown)}; known are {sorted(TAGS)}.")

    @abstractmethod
    def _apply(self, u: Tensor) -> Tensor: ...

    @abstractmethod
    def _apply_transpose(self, u: Tensor) -> Tensor: ...

    def __matmul__(self, u: Any) -> Any:
        """``A @ u`` for a vector ``(n,)``, ``A @ B`` for an operator; blocks go through ``A.rows(U)``."""
        if isinstance(u, LinearOperator):
            return Product(self, u)
        self._check(u)
        if u.is_complex():
            return torch.complex(*self._apply_rows(torch.stack([u.real, u.imag])))
        return self._apply(u)

    def rows(self, block: Tensor) -> Tensor:
        """The products of ``k`` vectors, ``(k, n)`` to ``(k, m)``. Cost: k products."""
        if block.ndim != 2:
            raise InputError(f"a block of vectors has shape (k, {self.shape[1]}), got {tuple(block.shape)}.")
        if len(block) == 0:
            return block.new_zeros(0, self.shape[0])
        self._check(block[0])
        if block.is_complex():
            return torch.complex(*self._apply_rows(torch.cat([block.real, block.imag])).chunk(2))
        return self._apply_rows(block)

    def _apply_rows(self, block: Tensor) -> Tensor:
        """Override where a block costs less than its vectors one by one; so too the transpose."""
        return torch.stack([self._apply(u.contiguous()) for u in block])

    def _apply_transpose_rows(self, block: Tensor) -> Tensor:
        return torch.stack([self._apply_transpose(u.contiguous()) for u in block])

    def _check(self, u: object) -> None:
        if not isinstance(u, Tensor):
            raise InputError(
                f"this operator multiplies torch tensors and operators, got a {type(u).__name__}; for NumPy arrays take "
                "operator.to_scipy()."
            )
        if u.shape != (self.shape[1],):
            raise InputError(f"this operator takes vectors of shape ({self.shape[1]},), got {tuple(u.shape)}.")
        real_dtype = u.real.dtype if u.is_complex() else u.dtype
        if real_dtype != self.dtype or u.device != self.device:
            raise InputError(
                f"this operator is {self.dtype} on {self.device}, the vector is {u.dtype} on {u.device}; "
                "convert the vector with .to(operator.device, operator.dtype)."
            )

    @property
    def T(self) -> LinearOperator:
        """The transpose: the same products, swapped."""
        if "symmetric" in self.tags:
            return self
        return Transpose(self)

    @property
    def sym(self) -> LinearOperator:
        """Symmetric part ``(A + A.T) / 2``. Cost: one product of each kind."""
        if "symmetric" in self.tags:
            return self
        return Tagged(0.5 * (self + self.T), {"symmetric"})

    @property
    def antisym(self) -> LinearOperator:
        """Antisymmetric part ``(A - A.T) / 2``. Cost: one product of each kind."""
        if "skew" in self.tags:
            return self
        return Tagged(0.5 * (self - self.T), {"skew"})

    def __add__(self, other: LinearOperator) -> LinearOperator:
        return Sum(self, other)

    def __sub__(self, other: LinearOperator) -> LinearOperator:
        return Sum(self, -1.0 * other)

    def __neg__(self) -> LinearOperator:
        return -1.0 * self

    def __rmul__(self, factor: object) -> LinearOperator:
        number = factor.item() if isinstance(factor, Tensor) and factor.numel() == 1 else factor
        if not isinstance(number, Real):
            raise InputError(
                f"an operator is multiplied by one real number, got a {type(factor).__name__}; for a vector take Diagonal(d) @ A, "
                "for a product A @ u."
            )
        return Scaled(self, float(number))

    __mul__ = __rmul__

    def shift(self, amount: float) -> LinearOperator:
        """``A + amount * I``."""
        return Sum(self, Diagonal(torch.full((self.shape[0],), amount, dtype=self.dtype, device=self.device)))

    def to_dense(self) -> Tensor:
        """The matrix, ``(rows, columns)``. Cost: as many products as the smaller side."""
        rows, columns = self.shape
        if rows < columns:
            eye = torch.eye(rows, dtype=self.dtype, device=self.device)
            return self.T.rows(eye)
        eye = torch.eye(columns, dtype=self.dtype, device=self.device)
        return self.rows(eye).T.contiguous()

    def to_scipy(self) -> Any:
        """A ``scipy.sparse.linalg.LinearOperator`` on the host, complex vectors included."""
        from separatrix.linalg.scipy_adapter import to_scipy

        return to_scipy(self)

    def __repr__(self) -> str:
        tags = f", {'+'.join(sorted(self.tags))}" if self.tags else ""
        return f"{type(self).__name__}({self.shape[0]}x{self.shape[1]}, {self.dtype}, {self.device}{tags})"


def _same_place(a: LinearOperator, b: object) -> None:
    if not isinstance(b, LinearOperator):
        raise InputError(
            f"only operators can be added to {a!r}, got a {type(b).__name__}; wrap a matrix, Dense(matrix), or shift by a number, "
            "A.shift(amount)."
        )
    if a.dtype != b.dtype or a.device != b.device:
        raise InputError(
            f"operators on different places cannot be combined: {a!r} and {b!r}; "
            "build both with the same dtype and device."
        )


class Diagonal(LinearOperator):
    """``diag(d)``; symmetric, and definite where all entries are positive."""

    def __init__(self, diagonal: Tensor) -> None:
        if diagonal.ndim != 1 or not diagonal.is_floating_point():
            raise InputError(
                f"a diagonal operator needs a real floating-point vector, got shape {tuple(diagonal.shape)}, "
                f"dtype {diagonal.dtype}."
            )
        tags = {"symmetric", "definite"} if bool((diagonal > 0).all()) else {"symmetric"}
        n = len(diagonal)
        super().__init__((n, n), dtype=diagonal.dtype, device=diagonal.device, tags=tags)
        self.diagonal = diagonal

    def _apply(self, u: Tensor) -> Tensor:
        return self.diagonal * u

    _apply_transpose = _apply


class Transpose(LinearOperator):
    """``A.T``: the products of ``A``, swapped."""

    def __init__(self, inner: LinearOperator) -> None:
        rows, columns = inner.shape
        super().__init__((columns, rows), dtype=inner.dtype, device=inner.device, tags=inner.tags)
        self.inner = inner

    def _apply(self, u: Tensor) -> Tensor:
        return self.inner._apply_transpose(u)

    def _apply_transpose(self, u: Tensor) -> Tensor:
        return self.inner._apply(u)

    def _apply_rows(self, block: Tensor) -> Tensor:
        return self.inner._apply_transpose_rows(block)

    def _apply_transpose_rows(self, block: Tensor) -> Tensor:
        return self.inner._apply_rows(block)

    @property
    def T(self) -> LinearOperator:
        return self.inner


class Scaled(LinearOperator):
    """``factor * A``."""

    def __init__(self, inner: LinearOperator, factor: float) -> None:
        tags = inner.tags if factor > 0 else inner.tags - POSITIVE
        super().__init__(inner.shape, dtype=inner.dtype, device=inner.device, tags=tags)
        self.inner, self.factor = inner, factor

    def _apply(self, u: Tensor) -> Tensor:
        return self.factor * self.inner._apply(u)

    def _apply_transpose(self, u: Tensor) -> Tensor:
        return self.factor * self.inner._apply_transpose(u)

    def _apply_rows(self, block: Tensor) -> Tensor:
        return self.factor * self.inner._apply_rows(block)

    def _apply_transpose_rows(self, block: Tensor) -> Tensor:
        return self.factor * self.inner._apply_transpose_rows(block)


class Sum(LinearOperator):
    """``A + B``; a tag survives where both carry it, and one definite part makes a semidefinite one definite."""

    def __init__(self, a: LinearOperator, b: LinearOperator) -> None:
        _same_place(a, b)
        if a.shape != b.shape:
            raise InputError(f"operators of shapes {a.shape} and {b.shape} cannot be added.")
        tags = a.tags & b.tags
        if a.tags & POSITIVE and b.tags & POSITIVE:
            tags |= {"definite" if "definite" in a.tags | b.tags else "semidefinite"}
        super().__init__(a.shape, dtype=a.dtype, device=a.device, tags=tags)
        self.a, self.b = a, b

    def _apply(self, u: Tensor) -> Tensor:
        return self.a._apply(u) + self.b._apply(u)

    def _apply_transpose(self, u: Tensor) -> Tensor:
        return self.a._apply_transpose(u) + self.b._apply_transpose(u)

    def _apply_rows(self, block: Tensor) -> Tensor:
        return self.a._apply_rows(block) + self.b._apply_rows(block)

    def _apply_transpose_rows(self, block: Tensor) -> Tensor:
        return self.a._apply_transpose_rows(block) + self.b._apply_transpose_rows(block)


class Product(LinearOperator):
    """``A B``: B first. Carries no tag."""

    def __init__(self, a: LinearOperator, b: LinearOperator) -> None:
        _same_place(a, b)
        if a.shape[1] != b.shape[0]:
            raise InputError(f"operators of shapes {a.shape} and {b.shape} cannot be multiplied.")
        super().__init__((a.shape[0], b.shape[1]), dtype=a.dtype, device=a.device)
        self.a, self.b = a, b

    def _apply(self, u: Tensor) -> Tensor:
        return self.a._apply(self.b._apply(u))

    def _apply_transpose(self, u: Tensor) -> Tensor:
        return self.b._apply_transpose(self.a._apply_transpose(u))

    def _apply_rows(self, block: Tensor) -> Tensor:
        return self.a._apply_rows(self.b._apply_rows(block))

    def _apply_transpose_rows(self, block: Tensor) -> Tensor:
        return self.b._apply_transpose_rows(self.a._apply_transpose_rows(block))


class Tagged(LinearOperator):
    """``A`` with tags that its builder vouches for."""

    def __init__(self, inner: LinearOperator, tags: Iterable[str]) -> None:
        super().__init__(inner.shape, dtype=inner.dtype, device=inner.device, tags=inner.tags | frozenset(tags))
        self.inner = inner

    def _apply(self, u: Tensor) -> Tensor:
        return self.inner._apply(u)

    def _apply_transpose(self, u: Tensor) -> Tensor:
        return self.inner._apply_transpose(u)

    def _apply_rows(self, block: Tensor) -> Tensor:
        return self.inner._apply_rows(block)

    def _apply_transpose_rows(self, block: Tensor) -> Tensor:
        return self.inner._apply_transpose_rows(block)
