"""Which tensors lie in the same memory."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class Memory:
    """The places of named tensors, to find who else lies there.

    Args:
        named: names and tensors; empty tensors lie nowhere.
    """

    def __init__(self, named: Iterable[tuple[str, Tensor]]) -> None:
        self._places: dict[tuple[torch.device, int], list[tuple[str, Tensor]]] = {}
        for name, tensor in named:
            self.add(name, tensor)

    def add(self, name: str, tensor: Tensor) -> None:
        """One more tensor."""
        storage = _storage(tensor)
        if storage is not None:
            self._places.setdefault(storage, []).append((name, tensor))

    def owner(self, tensor: Tensor) -> str | None:
        """The name of the first tensor that shares an element with this one."""
        storage = _storage(tensor)
        neighbours = self._places.get(storage, []) if storage is not None else []
        return next((name for name, other in neighbours if _overlap(other, tensor)), None)


def _storage(tensor: Tensor) -> tuple[torch.device, int] | None:
    try:
        place = tensor.untyped_storage().data_ptr() if tensor.numel() else 0
    except (RuntimeError, NotImplementedError):  # sparse, batched by vmap: no storage to lie in
        return None
    return (tensor.device, place) if place else None


def _overlap(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one storage share an element: by their spans, exactly where the spans meet."""
    (first_a, last_a), (first_b, last_b) = _span(a), _span(b)
    if last_a <= first_b or last_b <= first_a:
        return False
    if a.is_contiguous() and b.is_contiguous():
        return True
    return not _bytes(a).isdisjoint(_bytes(b))


def _span(t: Tensor) -> tuple[int, int]:
    reach = int(sum((size - 1) * stride for size, stride in zip(t.shape, t.stride(), strict=True)))
    start = int(t.storage_offset()) * t.element_size()
    return start, start + (reach + 1) * t.element_size()


def _bytes(t: Tensor) -> set[int]:
    """Where the elements start; tensors of one storage have one element size but for exotic views."""
    start, places = int(t.storage_offset()), torch.zeros((), dtype=torch.long)
    for size, stride in zip(t.shape, t.stride(), strict=True):
        places = places.unsqueeze(-1) + torch.arange(size) * stride
    return {(start + int(p)) * t.element_size() for p in places.reshape(-1)}
