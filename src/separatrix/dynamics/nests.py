"""Nests of dicts, lists and tuples with tensors and plain values as leaves: paths, equality, replacement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

PLAIN = (int, float, complex, bool, str, bytes, type(None), torch.dtype, torch.device, torch.Size)


def same(a: Any, b: Any) -> bool:
    """Bitwise equality of leaves; NaN equals NaN."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return torch.equal(a, b) or (a.is_floating_point() and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if type(a) is not type(b):
        return False
    if isinstance(a, PLAIN):
        return bool(a == b) or (isinstance(a, float) and a != a and b != b)
    return True  # objects: their own parts are compared


def joined(name: str, key: str) -> str:
    """Two parts of a path."""
    return f"{name}.{key}" if name and key else name or key


def walk(name: str, data: Any) -> Iterator[tuple[str, Any]]:
    """Paths and leaves of a nest."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from walk(joined(name, str(key)), value)
    elif isinstance(data, (list, tuple)) and not isinstance(data, torch.Size):
        for i, value in enumerate(data):
            yield from walk(joined(name, str(i)), value)
    else:
        yield name, data


def with_tensors(name: str, data: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The same nest with other tensors at some paths."""
    if isinstance(data, Tensor):
        return tensors.get(name, data)
    if isinstance(data, Mapping):
        return {key: with_tensors(joined(name, str(key)), value, tensors) for key, value in data.items()}
    if isinstance(data, (list, tuple)) and not isinstance(data, torch.Size):
        changed = [with_tensors(joined(name, str(i)), value, tensors) for i, value in enumerate(data)]
        return type(data)(*changed) if hasattr(data, "_fields") else type(data)(changed)
    return data
