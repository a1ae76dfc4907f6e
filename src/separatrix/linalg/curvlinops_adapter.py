"""Operators as curvlinops has them, and back; curvlinops is imported where it is used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg.operator import LinearOperator


def to_curvlinops(
    operator: LinearOperator,
    *,
    columns: Sequence[tuple[int, ...]] | None = None,
    rows: Sequence[tuple[int, ...]] | None = None,
) -> Any:
    """The same products as a curvlinops operator, so that its estimators, inverses and submatrices take it.

    It takes flat vectors ``(n,)``, matrices ``(n, k)`` and lists of tensors. Its ``SELF_ADJOINT`` is the tag ``symmetric``;
    curvlinops has no guard of its own against a spectral density of an operator that is not. Complex vectors it does
    not take; :func:`~separatrix.linalg.to_scipy` does.

    Args:
        operator: any operator, ``(m, n)``.
        columns: shapes of the tensors that a point is made of, for lists; for the Jacobian of a field
            ``field.space.shapes``. One flat tensor where ``None``.
        rows: the same for results; as ``columns`` for a square operator where ``None``.

    Raises:
        ImportError: curvlinops is not installed.
        InputError: the shapes do not add up to the operator's.

    Cost: one product a vector; a matrix goes as one block.
    """
    base = _curvlinops_operator()
    m, n = operator.shape
    columns = [(n,)] if columns is None else [tuple(shape) for shape in columns]
    if rows is None:
        rows = columns if m == n else [(m,)]
    for name, shapes, size in (("columns", columns, n), ("rows", rows, m)):
        if (total := sum(torch.Size(shape).numel() for shape in shapes)) != size:
            raise InputError(f"the shapes of the {name} add up to {total} numbers, the operator is {m}x{n}.")

    class Exported(base):  # type: ignore[valid-type, misc]
        """An operator of separatrix."""

        def __init__(self, inner: LinearOperator, into: Sequence[Any], out: Sequence[Any]) -> None:
            super().__init__([tuple(s) for s in into], [tuple(s) for s in out])
            self.inner, self.into, self.out = inner, into, out
            self.SELF_ADJOINT = "symmetric" in inner.tags

        @property
        def device(self) -> torch.device:
            return self.inner.device

        @property
        def dtype(self) -> torch.dtype:
            return self.inner.dtype

        def _matmat(self, X: list[Tensor]) -> list[Tensor]:
            block = torch.cat([x.reshape(-1, x.shape[-1]) for x in X]).T
            found = self.inner.rows(block).T
            sizes = [torch.Size(s).numel() for s in self.out]
            return [p.reshape(*s, -1) for p, s in zip(torch.split(found, sizes), self.out, strict=True)]

        def _adjoint(self) -> Any:
            return Exported(self.inner.T, self.out, self.into)

    return Exported(operator, columns, rows)


def from_curvlinops(operator: Any, *, tags: Iterable[str] = ()) -> LinearOperator:
    """The same products as an operator of separatrix, so that its solvers take it: KFAC as a preconditioner, say.

    Args:
        operator: a curvlinops operator, ``(m, n)``.
        tags: what you vouch for beside ``symmetric``, which is its ``SELF_ADJOINT``.

    Raises:
        ImportError: curvlinops is not installed.
        InputError: not a curvlinops operator, or not of real floating-point numbers.

    Cost: what a product costs there; a block goes as one matrix.
    """
    base = _curvlinops_operator()
    if not isinstance(operator, base):
        raise InputError(f"from_curvlinops takes an operator of curvlinops, got {type(operator).__name__}.")
    if not operator.dtype.is_floating_point:
        raise InputError(f"this operator is of {operator.dtype}; operators here are real floating point.")
    return _Imported(operator, tags)


class _Imported(LinearOperator):
    """An operator of curvlinops."""

    def __init__(self, inner: Any, tags: Iterable[str]) -> None:
        own = {"symmetric"} if inner.SELF_ADJOINT else set()
        rows, columns = inner.shape
        super().__init__((rows, columns), dtype=inner.dtype, device=inner.device, tags=own | set(tags))
        self.inner, self.adjoint = inner, inner.adjoint()

    def _apply(self, u: Tensor) -> Tensor:
        found: Tensor = self.inner @ u
        return found.detach()

    def _apply_transpose(self, u: Tensor) -> Tensor:
        found: Tensor = self.adjoint @ u
        return found.detach()

    def _apply_rows(self, block: Tensor) -> Tensor:
        found: Tensor = (self.inner @ block.T).T
        return found.detach()

    def _apply_transpose_rows(self, block: Tensor) -> Tensor:
        found: Tensor = (self.adjoint @ block.T).T
        return found.detach()


def _curvlinops_operator() -> Any:
    try:
        from curvlinops import GGNLinearOperator
    except ImportError as error:
        raise ImportError("curvlinops is not installed; run: pip install curvlinops-for-pytorch") from error
    # The base of all of its operators; it is not among the public names of every release.
    return next(c for c in GGNLinearOperator.__mro__ if c.__name__ == "PyTorchLinearOperator")
