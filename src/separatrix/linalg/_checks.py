"""One checker per precondition, each with the one error a user sees."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from separatrix.errors import InputError, NonFiniteError
from separatrix.linalg.operator import LinearOperator


def check_square(operator: LinearOperator, task: str) -> int:
    """The size ``n`` of a square operator."""
    rows, columns = operator.shape
    if rows != columns:
        raise InputError(
            f"{task} need a square operator, got {rows}x{columns}; for a rectangular one use singular_values."
        )
    if rows == 0:
        raise InputError(f"{task} need an operator with at least one row, got 0x0.")
    return rows


def check_count(name: str, value: int, *, least: int = 1, most: int | None = None, why: str = "") -> int:
    """An integer within its range."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} must be an integer, got {value!r}.")
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise InputError(f"{name} must be {bounds}{why}, got {name}={value}.")
    return value


def check_positive(name: str, value: float) -> float:
    """A finite number above zero."""
    if not 0 < value < float("inf"):
        raise InputError(f"{name} must be a positive finite number, got {name}={value!r}.")
    return float(value)


def check_tag(operator: LinearOperator, tag: str, task: str, remedy: str) -> None:
    """A tag that the solver relies on."""
    if tag not in operator.tags:
        raise InputError(f"{task} needs an operator tagged {tag!r}, got {operator!r}; {remedy}")


def check_vector(operator: LinearOperator, name: str, vector: Tensor, size: int) -> Tensor:
    """A finite real vector of the operator's dtype, on its device."""
    if vector.shape != (size,) or vector.dtype != operator.dtype or vector.device != operator.device:
        raise InputError(
            f"{name} must be a ({size},) vector of {operator.dtype} on {operator.device}, got "
            f"{tuple(vector.shape)} of {vector.dtype} on {vector.device}."
        )
    return check_finite(vector, name)


def check_length(vector: Tensor, what: str) -> float:
    """``||vector||``, finite; of a float32 vector whose squares overflow or vanish too."""
    size = float(torch.linalg.vector_norm(vector))
    if not 1e-15 < size < 1e15:
        size = float(torch.linalg.vector_norm(vector, dtype=torch.float64))
    if not math.isfinite(size):
        raise NonFiniteError(
            f"{what} has the length {size} in {vector.dtype}; take the products in float64, or look for what makes them so large."
        )
    return size


def check_finite(tensor: Tensor, what: str) -> Tensor:
    """Stop at the first NaN or infinity, and say where it is."""
    if math.isfinite(float(tensor.sum())):
        return tensor  # the cheap test; a sum may overflow, so only the full one accuses
    finite = torch.isfinite(tensor)
    if not bool(finite.all()):
        bad = int((~finite).sum())
        first = int((~finite).reshape(-1).nonzero()[0])
        value = float(tensor.reshape(-1)[first])
        raise NonFiniteError(
            f"{what} has {bad} non-finite of {tensor.numel()} entries, the first {value} at index {first}; "
            "check the losses and the parameters at this point for overflow (log of 0, division by 0)."
        )
    return tensor
