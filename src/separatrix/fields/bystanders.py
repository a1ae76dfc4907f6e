"""Modules that the losses reach without being players: a frozen feature extractor in a closure, say.

Their running statistics must not move either while the field is measured. Found where Python keeps what a function can
reach: its closure, the globals it names, and the object that it is a method of.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType
from typing import Any

from torch import nn

DEPTH = 6


def modules_reached_by(losses: Any) -> list[nn.Module]:
    """The outermost modules that a loss function reaches, each once."""
    found: dict[int, nn.Module] = {}
    _walk(losses, DEPTH, found, set())
    return list(found.values())


def _walk(thing: Any, depth: int, found: dict[int, nn.Module], seen: set[int]) -> None:
    if isinstance(thing, nn.Module):
        found.setdefault(id(thing), thing)
        return
    if depth == 0 or id(thing) in seen:
        return
    seen.add(id(thing))
    for part in _parts(thing):
        _walk(part, depth - 1, found, seen)


def _parts(thing: Any) -> Iterator[Any]:
    if isinstance(thing, FunctionType):
        if not thing.__module__.startswith(("torch.", "numpy.")):
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
        yield from thing[:100]  # a list of models, not a data set
    elif not inspect.ismodule(thing) and not inspect.isclass(thing) and hasattr(thing, "__dict__"):
        # An object: what it holds, and what calling it runs.
        yield from vars(thing).values()
        if callable(thing):
            yield type(thing).__call__
