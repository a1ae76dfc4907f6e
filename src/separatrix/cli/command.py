"""What commands share, put into their signatures in one place: typer reads the options off a signature. Knows no torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from separatrix.cli import options as opt
from separatrix.cli.talk import Talk

Job = Callable[[Talk], int]

# A parameter's name, annotation and default.
START: dict[str, tuple[Any, Any]] = {
    "target": (opt.Target, None),
    "data": (opt.Data, None),
    "train": (opt.Train, None),
    "method": (opt.Method, None),
    "optimizer": (opt.Optimizer, None),
    "checkpoint": (opt.Checkpoint, None),
    "device": (opt.Device, None),
    "dtype": (opt.Precision, None),
    "batches": (opt.Batches, None),
    "seed": (opt.Seed, 0),
}
# Read from the command line before the command is, so that errors follow them too: see Talk.
TALK: dict[str, tuple[Any, Any]] = {"json": (opt.Json, False), "quiet": (opt.Quiet, False), "debug": (opt.Debug, False)}


def talking(command: Callable[..., Job]) -> Callable[..., Job]:
    """The command with ``--json``, ``--quiet`` and ``--debug``."""

    @wraps(command)
    def whole(**typed: Any) -> Job:
        return command(**{name: value for name, value in typed.items() if name not in TALK})

    return _signed(whole, [*_own(command), *_parameters(TALK)])


def starting(
    *, without: tuple[str, ...] = (), target: Any = opt.Target
) -> Callable[[Callable[..., Job]], Callable[..., Job]]:
    """The command with TARGET and the options that say where it starts, which it gets as a request, its first argument.

    Args:
        without: names of options that the command does not take.
        target: the annotation of TARGET.
    """
    shared = {name: of for name, of in START.items() if name not in without} | {"target": (target, None)}

    def decorate(command: Callable[..., Job]) -> Callable[..., Job]:
        @wraps(command)
        def whole(**typed: Any) -> Job:
            request = opt.Request.typed(**{name: typed.pop(name) for name in shared})
            return command(request, **typed)

        return talking(_signed(whole, [*_parameters(shared), *_own(command)[1:]]))

    return decorate


def _own(command: Callable[..., Job]) -> list[inspect.Parameter]:
    return list(inspect.signature(command, eval_str=True).parameters.values())


def _parameters(of: dict[str, tuple[Any, Any]]) -> list[inspect.Parameter]:
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in of.items()
    ]


def _signed(command: Callable[..., Job], parameters: list[inspect.Parameter]) -> Callable[..., Job]:
    # Python reads the attribute; the type of a callable does not have it.
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command
