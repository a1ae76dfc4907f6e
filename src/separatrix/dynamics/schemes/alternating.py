"""The players move one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from separatrix.dynamics.bases import State
from separatrix.dynamics.schemes.lazy import MADE, check_lazy, period_of, with_due_terms
from separatrix.dynamics.schemes.scheme import Bases, Evaluate, Scheme, States, base_steps
from separatrix.errors import InputError
from separatrix.fields.space import Space


@dataclass(frozen=True)
class Alternating(Scheme):
    """The players move one after the other, each seeing the moves before it.

    Args:
        order: the players in their order, ``("D", "G")`` for most GANs; the game's order where empty.
        repeats: how often a player moves in its turn, ``{"D": 5}``; once where not named.
        fresh: each move draws its own minibatch and noise; otherwise all moves of a period share one.
        lazy: terms of the losses that are taken every so many steps only, ``{"r1": 16}``: so many times as strongly in the
            first step and in every 16th after it, in all moves of whoever has the term, and left out in between [karras2020].
            For that to save what the term costs the losses must give it as a function, ``"r1": lambda: r1(...)``, which is
            called where it is due and by whatever measures; a term given as a tensor was paid for already.

    Laziness keeps the mean of the field and changes the map: :class:`~separatrix.dynamics.UpdateMap` and
    :func:`~separatrix.dynamics.linear_period` have that of the whole period. With Adam the paper scales a lazy player's rate
    and betas, :func:`~separatrix.dynamics.lazy_rates`.
    """

    order: tuple[str, ...] = ()
    repeats: Mapping[str, int] = field(default_factory=dict, hash=False)
    fresh: bool = True
    lazy: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_lazy(self.lazy)
        if bad := {p: k for p, k in self.repeats.items() if not isinstance(k, int)}:
            raise InputError(f"a player repeats its move a whole number of times, got {bad}.")

    @property
    def uniform(self) -> bool:
        return False

    @property
    def cycle(self) -> int:
        return period_of(self.lazy)

    @property
    def lazy_terms(self) -> Mapping[str, int]:
        return {term: every for term, every in self.lazy.items() if every > 1}

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

    def memory(self, space: Space, x: Tensor, *, settled: bool = False) -> State:
        return {MADE: 0} if self.lazy else {}

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        evaluate, states = with_due_terms(self.lazy, evaluate, self, space, x, states)
        for number, player in enumerate(self.moves(space.players)):
            directions = evaluate(x, (player,), number if self.fresh else 0)
            x, states = base_steps(directions, bases, space, x, states)
        return x, states
