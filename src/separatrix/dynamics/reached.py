"""What a function can reach by name: its closure, the globals it names, the object it is a method of, and what those hold."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any

from torch import nn

DEPTH = 6
LISTED = 100  # items of a list that are looked at: a list of models, not a data set


def reached_by(thing: Any, kinds: tuple[type, ...]) -> list[Any]:
    """The outermost objects of these kinds that a function, or a nest of functions, reaches; each once."""
    found: dict[int, Any] = {}
    _walk(thing, DEPTH, kinds, found, {})
    return list(found.values())


def _walk(thing: Any, depth: int, kinds: tuple[type, ...], found: dict[int, Any], seen: dict[int, Any]) -> None:
    if isinstance(thing, kinds):
        found.setdefault(id(thing), thing)
        return
    if depth == 0 or id(thing) in seen:
        return
    seen[id(thing)] = thing  # held, so that no other object takes its id
    for part in _parts(thing):
        _walk(part, depth - 1, kinds, found, seen)


def _parts(thing: Any) -> Iterator[Any]:
    if isinstance(thing, FunctionType):
        if not (thing.__module__ or "").startswith(("torch.", "numpy.", "separatrix.")):
            reached = inspect.getclosurevars(thing)
            yield from reached.nonlocals.values()
            yield from reached.globals.values()
    elif isinstance(thing, MethodType):
        yield from (thing.__func__, thing.__self__)
    elif isinstance(thing, functools.partial):
        yield from (thing.func, *thing.args, *thing.keywords.values())
    elif isinstance(thing, Mapping):
        yield from thing.values()
    elif isinstance(thing, (list, tuple)):
        yield from thing[:LISTED]
    elif not inspect.ismodule(thing) and not inspect.isclass(thing) and hasattr(thing, "__dict__"):
        yield from vars(thing).values()
        if callable(thing) and not isinstance(thing, nn.Module):
            yield type(thing).__call__
