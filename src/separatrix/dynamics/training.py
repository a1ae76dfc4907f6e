"""Training a problem: its own modules, with minibatches and noise from one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics.averaging import update_averages
from separatrix.dynamics.convert import Given, bases_of
from separatrix.dynamics.evaluation import FieldEvaluation
from separatrix.dynamics.live_step import LiveStep, Step, check_finite
from separatrix.dynamics.method import Method
from separatrix.dynamics.problem import Problem
from separatrix.dynamics.progress import progress_bar
from separatrix.dynamics.schemes import Simultaneous, States
from separatrix.dynamics.training_log import Log, PathLog
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import Field, Game
from separatrix.fields.surroundings import frozen_randomness

_PATH_BYTES = 256 * 2**20

Advance = Callable[[States], tuple[States, Step]]


@dataclass(frozen=True)
class Training:
    """What a training run did.

    Attributes:
        problem: its name.
        method: what trained.
        steps: whole steps made.
        x: the last point, ``(n,)``; the modules stand there.
        states: the bases' states; give them back to :func:`train` to go on.
        path: points along the way, the start in front, ``(m, n)`` on the CPU.
        path_steps: after which steps.
        losses: ``{player: {term: (steps,)}}``, on minibatches; NaN where a term was absent.
        norms: length of the field on minibatches, ``(steps,)``.
        gradients: gradient-equivalents spent.
        seconds: of the clock.
        seed: of minibatches and noise.
        status: ``done`` or ``non-finite``.
        message: what was not finite, in words; empty where all went well.
    """

    problem: str
    method: Method
    steps: int
    x: Tensor
    states: States
    path: Tensor
    path_steps: tuple[int, ...]
    losses: dict[str, dict[str, Tensor]]
    norms: Tensor
    gradients: float
    seconds: float
    seed: int
    status: str = "done"
    message: str = ""

    def __str__(self) -> str:
        said = f" Stopped: {self.message}" if self.message else ""
        return (
            f"{self.problem}: {self.steps} steps, {self.method.scheme.name}, {self.gradients:.4g} gradients, {self.seconds:.1f} s"
            + said
        )

    __repr__ = __str__


def train(
    problem: Problem,
    steps: int,
    *,
    method: Method | None = None,
    optimizers: Given | Mapping[str, Given] | None = None,
    states: States | None = None,
    seed: int = 0,
    points: int = 64,
    path_last: int | None = None,
    each: Callable[[Step], None] | None = None,
    throw: bool = True,
    progress: bool | None = None,
) -> Training:
    """Train a problem's own modules, in place.

    Minibatches come from ``problem.minibatches(seed)``, noise from the global streams seeded with ``seed``; those are
    put back at the end. After each step the problem's averages are updated and ``problem.after`` is called. A problem that is a bare field is followed from where it stands, and stays there.

    Args:
        problem: what is trained.
        steps: periods of the method's scheme.
        method: the problem's own where ``None``.
        optimizers: torch optimizers or bases by player in place of the method's bases; their states are taken over, the
            objects are left as they are.
        states: of the bases, from an earlier training; fresh ones where ``None``.
        seed: of minibatches and noise; another one for a continuation.
        points: how many points of the path are kept, up to twice as many; less where memory asks for it, none for 0.
        path_last: keep the path of so many last steps only; of all where ``None``.
        each: called after every step.
        throw: raise where a step is not finite; otherwise say so in ``status``.
        progress: a bar on stderr; only on a terminal where ``None``.

    Raises:
        InputError: no method, data that end, an unknown player.
        NonFiniteError: a step was not finite (with ``throw``); names player and tensor.

    Whatever is raised, Ctrl-C too, the modules stand at the last whole step. Cost: ``Training.gradients``.
    """
    if steps < 0 or points < 0:
        raise InputError(f"steps and points must not be negative, got steps={steps}, points={points}.")
    method, states = _chosen(problem, method, optimizers, states)
    log = Log()
    begun = perf_counter()
    status, message = "done", ""
    with closing(_Stepper(problem, method, seed)) as stepper:
        x, fresh = method.init(stepper.field)
        states = fresh if states is None else states
        per_point = max(1, x.numel() * x.element_size())
        path = PathLog(min(points, max(1, _PATH_BYTES // (2 * per_point))))
        begin = 0 if path_last is None else max(0, steps - path_last)
        if path.limit and begin == 0:
            path.add(0, x)
        with (
            frozen_randomness(seed) if isinstance(problem.subject, Game) else nullcontext(),
            progress_bar(f"training {problem.name}", steps, progress=progress) as show,
        ):
            for number in range(1, steps + 1):
                try:
                    states, step = stepper.step(states, number - 1)
                except NonFiniteError as error:
                    status, message = "non-finite", f"step {number}: {error}"
                    if throw:
                        raise NonFiniteError(message) from error
                    break
                log.add(step)
                if isinstance(problem.subject, Game):
                    update_averages(problem.averages, problem.subject.models)
                if problem.after is not None:
                    problem.after(step)
                if number >= begin and (path.wants(number) or (number == steps and path.limit)):
                    path.add(number, stepper.point)
                if each is not None:
                    each(step)
                show(number, ", ".join(f"{p} {sum(t.values()):.3g}" for p, t in step.losses.items()))
        x = stepper.point
    made = len(log.norms)
    norms = torch.tensor(log.norms, dtype=torch.float64)
    return Training(
        problem.name,
        method,
        made,
        x,
        states,
        path.path(len(x)),
        tuple(path.steps),
        log.tensors(),
        norms,
        log.gradients,
        perf_counter() - begun,
        seed,
        status,
        message,
    )


def _chosen(
    problem: Problem,
    method: Method | None,
    optimizers: Given | Mapping[str, Given] | None,
    states: States | None,
) -> tuple[Method, States | None]:
    method = problem.method if method is None else method
    if optimizers is not None:
        bases, lifted = bases_of(optimizers, problem.game)
        method = replace(method or Method(bases, Simultaneous()), bases=bases)
        states = lifted if states is None else states
    if method is None:
        raise InputError(
            f"{problem.name!r} does not say how it is trained; give method=sx.Method(...) or optimizers=..."
        )
    method.scheme.check(problem.subject.players)
    return method, states


class _Stepper:
    """Makes the steps: on the modules of a game with minibatches, or on the point of a bare field."""

    def __init__(self, problem: Problem, method: Method, seed: int) -> None:
        self.problem, self.method = problem, method
        self._draws = method.scheme.draws(problem.subject.players)
        self._live = LiveStep(problem.subject) if isinstance(problem.subject, Game) else None
        self._stream: Iterator[Any] = iter(problem.minibatches(seed))
        self._x: Tensor | None = None

    @property
    def field(self) -> Field:
        return self.problem.field() if self._live is None else self._live.field

    @property
    def point(self) -> Tensor:
        return self.field.point if self._x is None else self._x

    def step(self, states: States, number: int) -> tuple[States, Step]:
        if self._live is None:
            return self._follow(states, number)
        return self._live.step(self.method, states, [self._batch(number) for _ in range(self._draws)], number)

    def _batch(self, number: int) -> Any:
        try:
            return next(self._stream)
        except StopIteration:
            raise InputError(
                f"the training data of {self.problem.name!r} ended after {number} steps; Problem(stream=...) must yield "
                "minibatches without end."
            ) from None

    def _follow(self, states: States, number: int) -> tuple[States, Step]:
        field = self.field
        evaluate = FieldEvaluation(self.method.field(field))
        before = evaluate.seen.gradients
        bases = self.method.bases_for(field.players)
        x, states = self.method.scheme.step(evaluate, bases, field.space, self.point, states)
        check_finite(field.space, x)
        self._x = x
        cost = evaluate.seen.gradients - before
        norms = {p: float(v.norm()) for p, v in evaluate.first.items()}
        length = sum(v * v for v in norms.values()) ** 0.5
        return states, Step(number + 1, {}, length, norms, cost, evaluate.residual)

    def close(self) -> None:
        """Let the stream put back what it borrowed."""
        if hasattr(self._stream, "close"):
            self._stream.close()
