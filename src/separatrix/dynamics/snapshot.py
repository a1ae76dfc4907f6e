"""Snapshot: a copy of everything that a training step reads and writes, which can be put back, perturbed and compared."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from types import GeneratorType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from separatrix.dynamics.nests import PLAIN, joined, same, walk, with_tensors
from separatrix.dynamics.optimizer_state import put_optimizer
from separatrix.dynamics.room import plan
from separatrix.dynamics.streams import Streams
from separatrix.errors import InputError

_CHANGED = "changed its structure during the step; a state must keep its modules, shapes and groups"


@dataclass(frozen=True)
class Part:
    """One live object with a copy of its contents.

    Attributes:
        name: the path to it.
        data: a nest of dicts, lists and tuples with tensors and plain values as leaves.
        put: writes such a nest into the live object.
        parameters: paths within ``data`` that are trainable.
        live: the live tensors by their paths within ``data``, as far as the part holds tensors itself.
    """

    name: str
    data: Any
    put: Callable[[Any], None]
    parameters: frozenset[str] = frozenset()
    live: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """Copies of the parts of a state and of the global random streams.

    Attributes:
        parts: in the order in which they were found.
        streams: the random streams.
    """

    parts: tuple[Part, ...]
    streams: Streams

    @classmethod
    def of(cls, state: Any) -> Snapshot:
        """Copy a state: modules, optimizers and whatever has ``state_dict`` and ``load_state_dict``, tensors, arrays,
        random generators, and dicts, lists, tuples and deques of these. Copies of what lies on an accelerator without
        room for them lie on the host.

        Raises:
            InputError: something that cannot be copied and put back, by name, or that is too large for the memory there is.
        """
        return cls(tuple(_Reader(offload=plan(state)).read("", state)), Streams.now())

    def restore(self) -> None:
        """Put everything back; the snapshot can be used again.

        Raises:
            InputError: the state changed its structure since; all else is put back first.
        """
        failed: list[InputError] = []
        for part in self.parts:
            try:
                part.put(part.data)
            except InputError as error:
                failed.append(error)
            except (ValueError, RuntimeError, KeyError) as error:  # of load_state_dict and copy_
                failed.append(InputError(f"{part.name or 'the state'} cannot be put back: it {_CHANGED} ({error})."))
        self.streams.restore()
        if failed:
            raise failed[0]

    def floats(self) -> dict[str, Tensor]:
        """The floating-point tensors, by path."""
        return {path: leaf for path, leaf in self.leaves() if isinstance(leaf, Tensor) and leaf.is_floating_point()}

    def parameters(self) -> set[str]:
        """The paths of the trainable tensors."""
        return {joined(part.name, key) for part in self.parts for key in part.parameters}

    def live_tensors(self) -> dict[str, Tensor]:
        """The live tensors of modules, and those listed themselves, by path."""
        return {joined(part.name, key): tensor for part in self.parts for key, tensor in part.live.items()}

    def paths_of(self, tensors: Iterable[Tensor]) -> list[str]:
        """Where these live tensors stand in the state, sorted; those that it does not list are left out."""
        wanted = {id(t) for t in tensors}
        return sorted(path for path, live in self.live_tensors().items() if id(live) in wanted)

    def replaced(self, tensors: Mapping[str, Tensor]) -> Snapshot:
        """The same snapshot with other tensors at some paths."""
        return replace(self, parts=tuple(replace(p, data=with_tensors(p.name, p.data, tensors)) for p in self.parts))

    def leaves(self) -> Iterator[tuple[str, Any]]:
        """Paths and leaves of all parts."""
        for part in self.parts:
            yield from walk(part.name, part.data)

    def differences(self, other: Snapshot) -> list[str]:
        """Where two snapshots differ bitwise, with the random streams."""
        mine, theirs = dict(self.leaves()), dict(other.leaves())
        paths = [*mine, *(p for p in theirs if p not in mine)]
        found = [p for p in paths if p not in mine or p not in theirs or not same(mine[p], theirs[p])]
        for name in ("torch_cpu", "torch_cuda", "numpy", "python"):
            if not same(getattr(self.streams, name), getattr(other.streams, name)):
                found.append(f"the global random stream of {name}")
        return found


class _Reader:
    """Walks a state; an object or tensor that is reached twice is copied once."""

    def __init__(self, *, offload: bool = False) -> None:
        self.seen: dict[int, Any] = {}
        self.offload = offload

    def _copy(self, tensor: Tensor) -> Tensor:
        tensor = tensor.detach()
        return tensor.to("cpu", copy=True) if self.offload else tensor.clone()

    def _nest(self, nest: Any) -> Any:
        """A copy of a state dict, whose tensors share no memory with it."""
        if not self.offload:
            return deepcopy(nest)
        if isinstance(nest, Tensor):
            return self._copy(nest)
        if isinstance(nest, Mapping):
            return {key: self._nest(value) for key, value in nest.items()}
        if isinstance(nest, (list, tuple)) and not hasattr(nest, "_fields"):
            return type(nest)(self._nest(value) for value in nest)
        return deepcopy(nest)

    def read(self, name: str, value: Any) -> Iterator[Part]:
        if isinstance(value, PLAIN) or id(value) in self.seen:
            return
        self.seen[id(value)] = value
        if isinstance(value, nn.Module):
            yield self._module(name, value)
        elif isinstance(value, Tensor):
            yield self._tensor(name, value)
        elif isinstance(value, np.ndarray):
            yield Part(name, value.copy(), lambda d: np.copyto(value, d))
        elif isinstance(value, torch.Generator):
            yield Part(name, value.get_state(), lambda d: _discard(value.set_state(d)))
        elif isinstance(value, np.random.Generator):
            bits = value.bit_generator
            yield Part(name, deepcopy(dict(bits.state)), lambda d: setattr(bits, "state", deepcopy(d)))
        elif isinstance(value, np.random.RandomState):
            yield Part(name, value.get_state(), value.set_state)
        elif isinstance(value, random.Random):
            yield Part(name, value.getstate(), value.setstate)
        elif isinstance(value, torch.optim.Optimizer) and type(value).state_dict is torch.optim.Optimizer.state_dict:
            yield Part(name, self._nest(value.state_dict()), lambda d: put_optimizer(value, d))
        elif hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
            yield Part(name, self._nest(value.state_dict()), lambda d: value.load_state_dict(deepcopy(d)))
        elif isinstance(value, (dict, list, tuple, deque)):
            yield from self._container(name, value)
        else:
            raise InputError(_cannot(name, value))

    def _tensor(self, name: str, tensor: Tensor) -> Part:
        data: dict[str, Any] = {"": self._copy(tensor)}
        own = tensor.grad if tensor.is_leaf else None
        if tensor.is_leaf and tensor.requires_grad:
            data["grad"] = None if own is None else self._copy(own)

        def put(data: Mapping[str, Any]) -> None:
            _write(tensor, data[""])
            if "grad" in data:
                _put_grad(tensor, own, data["grad"])

        return Part(name, data, put, _learns(tensor), {"": tensor})

    def _container(self, name: str, value: Any) -> Iterator[Part]:
        items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        if not isinstance(value, tuple):
            kept = dict(items)

            def put(_: Any) -> None:
                value.clear()
                value.update(kept) if isinstance(value, dict) else value.extend(kept.values())

            # Plain items are shown for comparison; the others have parts of their own.
            yield Part(name, {str(k): v for k, v in items if isinstance(v, PLAIN)}, put)
        for key, item in items:
            yield from self.read(joined(name, str(key)), item)

    def _module(self, name: str, module: nn.Module) -> Part:
        places: dict[str, tuple[nn.Module, str]] = {}
        live: dict[str, Tensor] = {}
        grads: dict[str, Tensor | None] = {}
        data: dict[str, Any] = {}
        learning = set()
        for path, part in module.named_modules():
            data[f"{joined(path, 'training')}"] = part.training
            tensors = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
            for key, tensor in tensors:
                full = joined(path, key)
                if id(tensor) in self.seen:
                    continue
                self.seen[id(tensor)] = tensor
                places[full], live[full] = (part, key), tensor
                data[full] = self._copy(tensor)
                if isinstance(tensor, nn.Parameter):
                    grads[full] = tensor.grad
                    data[f"{full}.grad"] = None if tensor.grad is None else self._copy(tensor.grad)
                    if tensor.requires_grad:
                        learning.add(full)
            for key, attribute in vars(part).items():
                if isinstance(attribute, (int, float, str)) and key != "training":
                    data[joined(path, f"{key} (attribute)")] = attribute

        def put(data: Mapping[str, Any]) -> None:
            for path, part in module.named_modules():
                part.training = data.get(joined(path, "training"), part.training)
                for key in [k for k, v in vars(part).items() if isinstance(v, (int, float, str)) and k != "training"]:
                    kept = data.get(joined(path, f"{key} (attribute)"), vars(part)[key])
                    if kept != vars(part)[key]:
                        setattr(part, key, kept)
            for full, p in module.named_parameters():
                if id(p) not in known and full not in places:
                    raise InputError(f"the parameter {joined(name, full)} is new: the module {_CHANGED}.")
            for full, (part, key) in places.items():
                tensor = getattr(part, key, None)
                if isinstance(tensor, Tensor) and tensor.shape == data[full].shape:
                    _write(tensor, data[full])
                elif isinstance(live[full], nn.Parameter):
                    now = "is gone" if tensor is None else f"has the shape {tuple(tensor.shape)}"
                    raise InputError(
                        f"the parameter {joined(name, full)} of shape {tuple(data[full].shape)} {now}: the module {_CHANGED}."
                    )
                else:
                    setattr(part, key, data[full].clone())
                if isinstance(tensor, nn.Parameter):
                    _put_grad(tensor, grads[full], data[f"{full}.grad"])

        known = set(self.seen)
        return Part(name, data, put, frozenset(learning), live)


def _discard(_: object) -> None:
    pass


def _write(tensor: Tensor, value: Tensor) -> None:
    with torch.no_grad():
        tensor.copy_(value)


def _put_grad(tensor: Tensor, own: Tensor | None, value: Tensor | None) -> None:
    """Give a tensor its gradient back, the same object where there was one: others may hold it."""
    if value is not None and own is not None:
        _write(own, value)
    tensor.grad = own if value is not None else None


def _learns(tensor: Tensor) -> frozenset[str]:
    return frozenset({""} if tensor.requires_grad else ())


def _cannot(name: str, value: Any) -> str:
    what = (
        f"the state holds {'a ' + type(value).__name__} at {name or 'its top'!r}, which cannot be copied and put back"
    )
    if isinstance(value, DataLoader):
        return (
            f"{what}; list the generator of the loader instead, and let the step draw batches by a number in the state."
        )
    if isinstance(value, (Iterator, GeneratorType)):
        return f"{what}; give the data as a list of batches with a position in a dict, or a loader with a state_dict."
    return (
        f"{what}; give modules, optimizers, schedulers, tensors, random generators, things with state_dict and "
        "load_state_dict, and dicts or lists of these."
    )
