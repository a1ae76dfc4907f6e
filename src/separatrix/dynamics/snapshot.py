"""Snapshot: a copy of everything that a training step reads and writes, which can be put back, perturbed and compared."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from types import GeneratorType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from separatrix.dynamics.streams import Streams
from separatrix.errors import InputError

_PLAIN = (int, float, complex, bool, str, bytes, type(None), torch.dtype, torch.device, torch.Size)


@dataclass(frozen=True)
class Part:
    """One live object with a copy of its contents.

    Attributes:
        name: the path to it.
        data: a nest of dicts, lists and tuples with tensors and plain values as leaves.
        put: writes such a nest into the live object.
        parameters: paths within ``data`` that are trainable.
    """

    name: str
    data: Any
    put: Callable[[Any], None]
    parameters: frozenset[str] = frozenset()


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
        random generators, and dicts, lists, tuples and deques of these.

        Raises:
            InputError: something that cannot be copied and put back; names it.
        """
        return cls(tuple(_Reader().read("", state)), Streams.now())

    def restore(self) -> None:
        """Put everything back; the snapshot can be used again."""
        for part in self.parts:
            part.put(part.data)
        self.streams.restore()

    def floats(self) -> dict[str, Tensor]:
        """The floating-point tensors, by path."""
        return {path: leaf for path, leaf in self.leaves() if isinstance(leaf, Tensor) and leaf.is_floating_point()}

    def parameters(self) -> set[str]:
        """The paths of the trainable tensors."""
        return {_joined(part.name, key) for part in self.parts for key in part.parameters}

    def replaced(self, tensors: Mapping[str, Tensor]) -> Snapshot:
        """The same snapshot with other tensors at some paths."""
        return replace(self, parts=tuple(replace(p, data=_with(p.name, p.data, tensors)) for p in self.parts))

    def leaves(self) -> Iterator[tuple[str, Any]]:
        """Paths and leaves of all parts."""
        for part in self.parts:
            yield from _walk(part.name, part.data)

    def differences(self, other: Snapshot) -> list[str]:
        """Where two snapshots differ bitwise, with the random streams."""
        mine, theirs = dict(self.leaves()), dict(other.leaves())
        paths = [*mine, *(p for p in theirs if p not in mine)]
        found = [p for p in paths if p not in mine or p not in theirs or not same(mine[p], theirs[p])]
        for name in ("torch_cpu", "torch_cuda", "numpy", "python"):
            if not same(getattr(self.streams, name), getattr(other.streams, name)):
                found.append(f"the global random stream of {name}")
        return found


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
    if isinstance(a, _PLAIN):
        return bool(a == b) or (isinstance(a, float) and a != a and b != b)
    return True  # objects: their own parts are compared


class _Reader:
    """Walks a state; an object or tensor that is reached twice is copied once."""

    def __init__(self) -> None:
        self.seen: dict[int, Any] = {}

    def read(self, name: str, value: Any) -> Iterator[Part]:
        if isinstance(value, _PLAIN) or id(value) in self.seen:
            return
        self.seen[id(value)] = value
        if isinstance(value, nn.Module):
            yield self._module(name, value)
        elif isinstance(value, Tensor):
            yield Part(name, {"": value.detach().clone()}, lambda d: _write(value, d[""]), _learns(value))
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
        elif hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
            yield Part(name, deepcopy(value.state_dict()), lambda d: value.load_state_dict(deepcopy(d)))
        elif isinstance(value, (dict, list, tuple, deque)):
            yield from self._container(name, value)
        else:
            raise InputError(_cannot(name, value))

    def _container(self, name: str, value: Any) -> Iterator[Part]:
        items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        if not isinstance(value, tuple):
            kept = dict(items)

            def put(_: Any) -> None:
                value.clear()
                value.update(kept) if isinstance(value, dict) else value.extend(kept.values())

            # Plain items are shown for comparison; the others have parts of their own.
            yield Part(name, {str(k): v for k, v in items if isinstance(v, _PLAIN)}, put)
        for key, item in items:
            yield from self.read(_joined(name, str(key)), item)

    def _module(self, name: str, module: nn.Module) -> Part:
        places: dict[str, tuple[nn.Module, str]] = {}
        data: dict[str, Any] = {}
        learning = set()
        for path, part in module.named_modules():
            data[f"{_joined(path, 'training')}"] = part.training
            tensors = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
            for key, tensor in tensors:
                full = _joined(path, key)
                if id(tensor) in self.seen:
                    continue
                self.seen[id(tensor)] = tensor
                places[full] = part, key
                data[full] = tensor.detach().clone()
                if isinstance(tensor, nn.Parameter):
                    data[f"{full}.grad"] = None if tensor.grad is None else tensor.grad.detach().clone()
                    if tensor.requires_grad:
                        learning.add(full)
            for key, attribute in vars(part).items():
                if isinstance(attribute, (int, float, str)) and key != "training":
                    data[_joined(path, f"{key} (attribute)")] = attribute

        def put(data: Mapping[str, Any]) -> None:
            for path, part in module.named_modules():
                part.training = data.get(_joined(path, "training"), part.training)
                for key in [k for k, v in vars(part).items() if isinstance(v, (int, float, str)) and k != "training"]:
                    kept = data.get(_joined(path, f"{key} (attribute)"), vars(part)[key])
                    if kept != vars(part)[key]:
                        setattr(part, key, kept)
            for full, (part, key) in places.items():
                tensor = getattr(part, key)
                if isinstance(tensor, Tensor) and tensor.shape == data[full].shape:
                    _write(tensor, data[full])
                elif isinstance(tensor, nn.Parameter):
                    raise InputError(
                        f"the parameter {_joined(name, full)} changed its shape from {tuple(data[full].shape)} to "
                        f"{tuple(tensor.shape)} during the step; a state must keep its structure."
                    )
                else:
                    setattr(part, key, data[full].clone())
                if isinstance(tensor, nn.Parameter):
                    grad = data[f"{full}.grad"]
                    tensor.grad = None if grad is None else grad.clone()

        return Part(name, data, put, frozenset(learning))


def _discard(_: object) -> None:
    pass


def _write(tensor: Tensor, value: Tensor) -> None:
    with torch.no_grad():
        tensor.copy_(value)


def _learns(tensor: Tensor) -> frozenset[str]:
    return frozenset({""} if tensor.requires_grad else ())


def _joined(name: str, key: str) -> str:
    return f"{name}.{key}" if name and key else name or key


def _walk(name: str, data: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _walk(_joined(name, str(key)), value)
    elif isinstance(data, (list, tuple)) and not isinstance(data, torch.Size):
        for i, value in enumerate(data):
            yield from _walk(_joined(name, str(i)), value)
    else:
        yield name, data


def _with(name: str, data: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(data, Tensor):
        return tensors.get(name, data)
    if isinstance(data, Mapping):
        return {key: _with(_joined(name, str(key)), value, tensors) for key, value in data.items()}
    if isinstance(data, (list, tuple)) and not isinstance(data, torch.Size):
        changed = [_with(_joined(name, str(i)), value, tensors) for i, value in enumerate(data)]
        return type(data)(*changed) if hasattr(data, "_fields") else type(data)(changed)
    return data


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
