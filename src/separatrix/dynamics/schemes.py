"""Schemes: where the field is evaluated and what is committed.

A scheme's ``step`` is pure code on flat points: the same lines train, simulate and, traced, give the update map.
``evaluate(x, players, draw)`` returns ``{player: direction}``; calls with the same ``draw`` share the minibatch and the
random draw, calls with different ones need not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from separatrix.dynamics.bases import Base, State
from separatrix.errors import InputError
from separatrix.fields.space import Space

Evaluate = Callable[[Tensor, Sequence[str], int], Mapping[str, Tensor]]
Bases = Mapping[str, Base]
States = dict[str, State]


class Scheme(ABC):
    """How one period of training is put together from evaluations and base steps."""

    @abstractmethod
    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        """One period: the next point and the bases' next states."""

    def check(self, players: Sequence[str]) -> None:  # noqa: B027 - most schemes fit all players
        """Raise ``InputError`` where the scheme does not fit the players."""

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    def draws(self, players: Sequence[str]) -> int:
        """How many draws (minibatches) one period takes."""
        return 1

    def describe(self) -> dict[str, Any]:
        """Name and settings, for records."""
        return {"scheme": self.name}


def base_steps(
    directions: Mapping[str, Tensor], bases: Bases, space: Space, x: Tensor, states: States
) -> tuple[Tensor, States]:
    """Every given player's base makes one step from ``x``."""
    parts, following = {}, dict(states)
    for player, v in directions.items():
        parts[player], following[player] = bases[player].step(v, space.take(x, player), states[player])
    return space.put(x, parts), following


@dataclass(frozen=True)
class Simultaneous(Scheme):
    """All players move at once from the same point: ``x' = x + base(v(x))``."""

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        return base_steps(evaluate(x, space.players, 0), bases, space, x, states)


@dataclass(frozen=True)
class Alternating(Scheme):
    """The players move one after the other, each seeing the moves before it.

    Args:
        order: the players in their order, ``("D", "G")`` for most GANs; the game's order where empty.
        repeats: how often a player moves in its turn, ``{"D": 5}``; once where not named.
        fresh: each move draws its own minibatch and noise; otherwise all moves of a period share one.
    """

    order: tuple[str, ...] = ()
    repeats: Mapping[str, int] = field(default_factory=dict)
    fresh: bool = True

    def check(self, players: Sequence[str]) -> None:
        unknown = (set(self.order) | set(self.repeats)) - set(players)
        if unknown:
            raise InputError(f"the order names unknown players {sorted(unknown)}; the players are {list(players)}.")
        if self.order and set(self.order) != set(players):
            raise InputError(f"the order {self.order} leaves out {sorted(set(players) - set(self.order))}.")
        if bad := {p: k for p, k in self.repeats.items() if k < 1}:
            raise InputError(f"a player repeats its move at least once, got {bad}.")

    def moves(self, players: Sequence[str]) -> list[str]:
        """The players of one period, one a move."""
        return [p for p in self.order or players for _ in range(self.repeats.get(p, 1))]

    def draws(self, players: Sequence[str]) -> int:
        return len(self.moves(players)) if self.fresh else 1

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        for number, player in enumerate(self.moves(space.players)):
            directions = evaluate(x, (player,), number if self.fresh else 0)
            x, states = base_steps(directions, bases, space, x, states)
        return x, states

    def describe(self) -> dict[str, Any]:
        return {"scheme": self.name, "order": list(self.order), "repeats": dict(self.repeats), "fresh": self.fresh}


@dataclass(frozen=True)
class Extragradient(Scheme):
    """Look ahead, then step with the direction found there: ``x' = x + base(v(x + base(v(x))))`` [korpelevich1976].

    Args:
        moments: what the extrapolation does to the bases' state: ``roll back`` (it never happened), ``commit`` (the
            moments are updated at both calls, as ExtraAdam does [gidel2019]).
        same_draw: both evaluations see the same minibatch and noise.
    """

    moments: str = "roll back"
    same_draw: bool = True

    def __post_init__(self) -> None:
        if self.moments not in ("roll back", "commit"):
            raise InputError(f"moments must be 'roll back' or 'commit', got {self.moments!r}.")

    def draws(self, players: Sequence[str]) -> int:
        return 1 if self.same_draw else 2

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        ahead, moved = base_steps(evaluate(x, space.players, 0), bases, space, x, states)
        there = evaluate(ahead, space.players, 0 if self.same_draw else 1)
        return base_steps(there, bases, space, x, moved if self.moments == "commit" else states)

    def describe(self) -> dict[str, Any]:
        return {"scheme": self.name, "moments": self.moments, "same_draw": self.same_draw}
