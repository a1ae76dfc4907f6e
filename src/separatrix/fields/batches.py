"""Batches: any nest of tensors; a DataLoader is read once into a fixed list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from separatrix.errors import InputError
from separatrix.fields.surroundings import frozen_randomness


def map_tensors(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same nest of dicts, lists, tuples and named tuples with every tensor changed."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        changed = {key: map_tensors(value, change) for key, value in batch.items()}
        if not isinstance(batch, MutableMapping):
            return changed
        same_kind = copy(batch)  # a tokenizer's encoding answers to attributes too
        same_kind.update(changed)
        return same_kind
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(map_tensors(value, change) for value in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(map_tensors(value, change) for value in batch)
    return batch


def tensors_of(batch: Any) -> Iterator[Tensor]:
    """The tensors of a nest, in order."""
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(batch, note)
    yield from found


def samples_in(batch: Any) -> int:
    """How many samples a batch holds: the length of its first tensor; 1 where there is none."""
    first = next((t for t in tensors_of(batch) if t.ndim > 0), None)
    return 1 if first is None else len(first)


def read_batches(
    data: Any,
    batches: Sequence[Any] | None,
    *,
    limit: int | None,
    seed: int,
    batch_size: Callable[[Any], int] | None,
) -> tuple[list[Any], list[float]]:
    """A fixed list of batches and their weights (their shares of the samples).

    Args:
        data: one batch, or a ``DataLoader``.
        batches: several batches, instead of ``data``.
        limit: read at most so many.
        seed: for the loader's shuffling; the global streams are put back.
        batch_size: how many samples a batch holds, where the first tensor does not tell.

    Raises:
        InputError: nothing to read, both kinds given, or an iterator, which cannot be read twice.
    """
    if batches is not None and data is not None:
        raise InputError("give either one batch (or DataLoader) or batches=[...], not both.")
    if batches is not None:
        found = list(batches)[:limit]
    elif isinstance(data, DataLoader):
        with frozen_randomness(seed), _own_generators_put_back(data):
            found = []
            for batch in data:
                found.append(batch)
                if limit is not None and len(found) >= limit:
                    break
    elif isinstance(data, Iterator):
        raise InputError(
            f"a {type(data).__name__} is used up by reading it once; give a DataLoader, one batch, or batches=[...]."
        )
    else:
        found = [data]
    if not found:
        raise InputError("the data hold no batch (an empty DataLoader or list); give at least one batch to measure on.")
    size = batch_size or samples_in
    sizes = [float(size(batch)) for batch in found] if len(found) > 1 else [1.0]
    if min(sizes) <= 0:
        raise InputError(f"batch number {sizes.index(min(sizes))} holds no sample; drop it.")
    total = sum(sizes)
    return [copied(b) for b in found], [s / total for s in sizes]


@contextmanager
def _own_generators_put_back(loader: DataLoader[Any]) -> Iterator[None]:
    """A loader's own generators are the user's too."""
    holders = (loader, loader.sampler, getattr(loader, "batch_sampler", None))
    owned = [g for g in (getattr(h, "generator", None) for h in holders) if isinstance(g, torch.Generator)]
    states = [g.get_state() for g in owned]
    try:
        yield
    finally:
        for generator, state in zip(owned, states, strict=True):
            generator.set_state(state)


def copied(batch: Any) -> Any:
    """The batch in memory of its own, so that losses may write to it (``requires_grad_``, in-place noise)."""
    return map_tensors(batch, lambda t: t.detach().clone().requires_grad_(t.requires_grad))


def moved(batch: Any, *, device: torch.device, dtype: torch.dtype) -> Any:
    """The batch on a device, its floating-point tensors in a dtype (complex ones in its complex counterpart)."""

    def move(t: Tensor) -> Tensor:
        if t.is_complex():
            return t.to(device, dtype.to_complex())
        return t.to(device, dtype) if t.is_floating_point() else t.to(device)

    return map_tensors(batch, move)
