"""Problem: what a command needs to act on: a field or game, its data, its method, its score, its known facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, repeat
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from separatrix.dynamics.averaging import averaged_models
from separatrix.dynamics.method import Method
from separatrix.errors import InputError
from separatrix.fields import Field, Game
from separatrix.fields.surroundings import frozen_randomness


@dataclass(frozen=True)
class Fact:
    """Something known about a problem, with its source: eigenvalues, an equilibrium, the largest safe step.

    Attributes:
        name: ``eigenvalues``, ``equilibrium``, ``safe_step[simultaneous]`` and the like.
        value: number, list or nested list; field sign.
        source: reference or derivation.
    """

    name: str
    value: Any
    source: str


@dataclass(frozen=True)
class Problem:
    """A Game, or a Field, with as much around it as exists.

    Attributes:
        subject: what is measured.
        name: for messages and reports; the subject's own where empty.
        data: what a Game is measured on: one batch, or a ``DataLoader``; a field needs none.
        held_out: the same, never trained on.
        stream: ``stream(seed)`` yields training minibatches without end; ``data`` over and over where ``None``.
        method: how it is trained.
        score: ``score(models)`` returns named numbers that say how good the result is.
        better: for each score, ``higher`` or ``lower``.
        means: for each score that wants it, what it counts in a few words: ``of the 10 digits``.
        samples: ``samples(models)`` returns images ``(count, channels, height, width)`` in [0, 1], or points ``(count, 2)``.
        averages: averaged copies of players, by player; training updates each :class:`Average`, and scores are given for both.
        state: other state that no gradient moves, by name.
        after: called with the :class:`Step` after every training step: moves clocks, schedules, adaptive strengths. What it
            changes is listed in ``state``.
        facts: what is known.
    """

    subject: Game | Field
    name: str = ""
    data: Any = None
    held_out: Any = None
    stream: Callable[[int], Iterator[Any]] | None = None
    method: Method | None = None
    score: Callable[[Mapping[str, Any]], Mapping[str, float]] | None = None
    better: Mapping[str, str] | None = None
    samples: Callable[[Mapping[str, Any]], Tensor] | None = None
    averages: Mapping[str, Any] | None = None
    state: Mapping[str, Any] | None = None
    facts: tuple[Fact, ...] = ()
    after: Callable[[Any], None] | None = None
    means: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.subject, (Game, Field)):
            raise InputError(
                f"the subject of a problem is a Game or a Field, got a {type(self.subject).__name__}; "
                "sx.Game(players, losses) makes a Game, sx.Loss(model, loss) one with a single player."
            )
        if not self.name:
            object.__setattr__(self, "name", self.subject.name)

    @property
    def game(self) -> Game:
        """The game.

        Raises:
            InputError: the subject is a bare field.
        """
        if not isinstance(self.subject, Game):
            raise InputError(
                f"{self.name!r} is a field without players' modules; this command needs a Game: sx.Game(players, losses)."
            )
        return self.subject

    def field(self, *, held_out: bool = False, limit: int | None = None, seed: int = 0, **options: Any) -> Field:
        """The field to measure: the game on its data, or the field itself.

        Raises:
            InputError: held-out data are asked for and there are none.
        """
        if not isinstance(self.subject, Game):
            return self.subject
        if held_out and self.held_out is None:
            raise InputError(f"{self.name!r} has no held-out data; give Problem(held_out=...).")
        return self.subject.on(self.held_out if held_out else self.data, limit=limit, seed=seed, **options)

    def minibatches(self, seed: int) -> Iterator[Any]:
        """Training minibatches without end; a ``DataLoader`` is read over and over, without moving the global streams.

        Raises:
            InputError: the ``DataLoader`` is empty.
        """
        if self.stream is not None:
            return self.stream(seed)
        return _epochs(self.data, seed, self.name) if isinstance(self.data, DataLoader) else iter(repeat(self.data))

    def fact(self, name: str) -> Any:
        """The value of a known fact.

        Raises:
            InputError: nothing is known under this name.
        """
        for fact in self.facts:
            if fact.name == name:
                return fact.value
        raise InputError(f"{self.name!r} has no fact {name!r}; known are {[f.name for f in self.facts]}.")


OF_AVERAGES = " of the averages"  # what follows a score's name where both stand in a table


def scores(problem: Problem) -> dict[str, dict[str, float]]:
    """The problem's own score as it stands: ``{"raw": ..., "averaged": ...}``, the latter where it has averages.

    Empty where there is no score. The random draw is frozen, and the streams are put back.
    """
    if problem.score is None or not isinstance(problem.subject, Game):
        return {}
    sides = {"raw": problem.subject.models}
    if problem.averages:
        sides["averaged"] = averaged_models(problem.averages, problem.subject.models)
    found: dict[str, dict[str, float]] = {}
    for side, models in sides.items():
        with frozen_randomness(0):
            found[side] = {name: float(value) for name, value in problem.score(models).items()}
    return found


def _epochs(loader: DataLoader[Any], seed: int, name: str) -> Iterator[Any]:
    """The loader's batches, epoch after epoch; each batch has a seed of its own, for shuffling and augmentation."""
    seeds = count(seed * 1_000_003)
    while True:
        with frozen_randomness(next(seeds)):
            batches = iter(loader)
        empty = True
        while True:
            with frozen_randomness(next(seeds)):
                try:
                    batch = next(batches)
                except StopIteration:
                    break
            empty = False
            yield batch
        if empty:
            raise InputError(f"the DataLoader of {name!r} holds no batch; give it data, or drop_last=False.")
