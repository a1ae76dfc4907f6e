"""From the request to a problem that stands where it is to be measured: loaded, placed, restored, trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from separatrix.cli.checkpoint import load_memory, load_others, load_players, load_states, read_checkpoint
from separatrix.cli.data import read_data
from separatrix.cli.methods import find_method
from separatrix.cli.options import DEFAULT_TARGET, Request
from separatrix.cli.place import find_device, placed
from separatrix.cli.talk import Talk
from separatrix.cli.target import batches_as_data, find_target
from separatrix.dynamics import Alternating, Method, Problem, Simultaneous, train
from separatrix.dynamics.schemes import SCHEME, States
from separatrix.errors import InputError
from separatrix.fields import Field, FunctionField, Game

# The path drawn in the report is that of the last steps: a few turns of a rotation, close enough to see them.
PATH_LAST = 200


@dataclass(frozen=True)
class Start:
    """Where a command starts.

    Attributes:
        problem: at the point to measure, with the data to measure on.
        method: that runs; ``None`` where nothing says which.
        states: of its bases; ``None`` where no step was made.
        path: points that training went through, ``(t, n)``; ``None`` where it did not train.
    """

    problem: Problem
    method: Method | None
    states: States | None = None
    path: Tensor | None = None

    def field(self, seed: int) -> Field:
        """The field to measure."""
        return self.problem.field(seed=seed)

    def with_method(self) -> Problem:
        """The problem with this method as its own."""
        return replace(self.problem, method=self.method)


def start(request: Request, talk: Talk, target: Problem | None = None) -> Start:
    """Load the target, unless it is given, and bring it to where the request wants it.

    Raises:
        InputError: anything in the request does not fit the target; before any training.
    """
    saved = None if request.checkpoint is None else read_checkpoint(request.checkpoint)
    device = None if request.device is None else find_device(request.device)
    problem = _with_data(find_target(request.target or DEFAULT_TARGET) if target is None else target, request)
    problem = _placed(problem, device, request.dtype)
    found = Start(problem, find_method(problem, request.optimizers, request.method))
    if saved is not None:
        found = _restored(found, saved, request, talk)
    _check_losses(found.problem)
    measured = _limited(found.problem, request)
    if request.steps:
        found = _trained(found, request, talk)
    return found if measured is None else replace(found, problem=replace(found.problem, data=measured))


def method_needed(method: Method | None, problem: Problem, option: str) -> Method:
    """The method, or an error that says how to name one."""
    if method is None:
        raise InputError(
            f"{option} needs to know the step, and {problem.name!r} has no method of its own; add an optimizer, such as "
            "--optimizer adam:lr=2e-4,betas=0.5/0.999."
        )
    return method


def _with_data(problem: Problem, request: Request) -> Problem:
    if request.data is None:
        return problem
    if not isinstance(problem.subject, Game):
        raise InputError(f"--data {request.data}: {problem.name!r} is a field, which needs no data; leave it out.")
    if problem.data is not None or problem.stream is not None:
        raise InputError(
            f"--data {request.data}: {problem.name!r} brings its own data; leave it out, or target the bare Game."
        )
    return replace(problem, data=read_data(request.data))


def _placed(problem: Problem, device: torch.device | None, dtype: str | None) -> Problem:
    if device is None and dtype is None:
        return problem
    wanted = None if dtype is None else getattr(torch, dtype)
    if isinstance(problem.subject, Game):
        return replace(problem, subject=placed(problem.subject, device=device, dtype=wanted))
    field = problem.subject
    if (device or field.device, wanted or field.dtype) != (field.device, field.dtype):
        raise InputError(
            f"{problem.name!r} is a field on {field.device} in {field.dtype}; --device and --dtype are for a Game, make the "
            "field itself with another point."
        )
    return problem


def _restored(found: Start, saved: dict[str, Any], request: Request, talk: Talk) -> Start:
    game = found.problem.game
    load_players(game, saved["players"])
    if said := load_others(found.problem, saved):
        talk.note(f"{request.checkpoint} {said}")
    if not saved.get("optimizers"):
        return found
    bases, states = load_states(game, found.method, saved["optimizers"], keep=bool(request.optimizers))
    own = found.method or Method(bases, Alternating() if len(game.players) > 1 else Simultaneous())
    method = replace(own, bases=bases)
    memory, said = load_memory(game, method, saved.get("scheme"))
    if said:
        talk.note(f"{request.checkpoint} {said}")
    return replace(found, method=method, states={**states, SCHEME: memory} if memory else states)


def _check_losses(problem: Problem) -> None:
    """Losses that need data which nobody gave are found out before minutes of training."""
    if not isinstance(problem.subject, Game) or problem.data is not None:
        return
    try:
        problem.subject.on(None).losses()
    except InputError as error:
        if error.__cause__ is None:  # they ran, and what they returned is at fault
            raise
        raise InputError(
            f"{str(error).rstrip('.')}. {problem.name!r} was given no data: if its losses need a batch, add --data FILE (.pt, "
            ".npy, .npz) or target a Problem with data."
        ) from error


def _limited(problem: Problem, request: Request) -> Any:
    """The batches to measure on, where the request limits them."""
    if request.batches is None:
        return None
    if isinstance(problem.subject, Game) and isinstance(problem.data, DataLoader):
        return batches_as_data(problem.subject.on(problem.data, limit=request.batches, seed=request.seed).batches)
    if problem.stream is not None:
        stream: Iterator[Any] = problem.stream(request.seed)
        return batches_as_data(list(islice(stream, request.batches)))
    raise InputError(
        f"--batches {request.batches}: {problem.name!r} has neither a DataLoader nor a stream of minibatches; leave it out."
    )


def _trained(found: Start, request: Request, talk: Talk) -> Start:
    problem, subject = found.problem, found.problem.subject
    method_needed(found.method, problem, f"--train {request.steps}")
    if not isinstance(subject, (Game, FunctionField)):
        raise InputError(
            f"--train {request.steps}: {problem.name!r} is a {type(subject).__name__}, which cannot be moved."
        )
    progress = False if talk.quiet else None
    run = train(
        problem,
        request.steps,
        method=found.method,
        states=found.states,
        seed=request.seed,
        path_last=PATH_LAST,
        progress=progress,
    )
    talk.note(f"trained {problem.name} for {run.steps} steps ({run.gradients:.4g} gradients, {run.seconds:.0f} s)")
    if isinstance(subject, FunctionField):
        problem = replace(problem, subject=subject.at(run.x))
    return replace(found, problem=problem, states=run.states, path=run.path.to(run.x.device))
