"""Lookahead for games: now and then all players go part of the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lcm

from torch import Tensor

from separatrix.dynamics.bases import State
from separatrix.dynamics.schemes.scheme import SCHEME, Bases, Evaluate, Scheme, States, recall
from separatrix.dynamics.schemes.simultaneous import Simultaneous
from separatrix.errors import InputError
from separatrix.fields.space import Space

INNER = "inner "


@dataclass(frozen=True)
class Lookahead(Scheme):
    """Every ``every`` steps: ``x = slow + weight (x - slow)``, ``slow = x``, for all players together [chavdarova2021].

    An inner multiplier ``m`` becomes ``1 - weight + weight m^every`` per round: rotations are averaged over their turn, so that
    methods which only just fail on them converge. The bases' states run through.

    Args:
        inner: the scheme in between; it may itself be a Lookahead.
        every: steps between two averagings.
        weight: in (0, 1]; 1 changes nothing.
    """

    inner: Scheme = Simultaneous()  # noqa: RUF009 - frozen and without state
    every: int = 5
    weight: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.inner, Scheme):
            raise InputError(f"inner must be a scheme such as Alternating(), got {self.inner!r}.")
        if not isinstance(self.every, int) or self.every < 1:
            raise InputError(f"every must be at least 1, a whole number, got {self.every!r}.")
        if not 0 < self.weight <= 1:
            raise InputError(f"weight must lie in (0, 1], got {self.weight}.")

    @property
    def linear(self) -> bool:
        return self.inner.linear

    @property
    def paced(self) -> bool:
        return self.inner.paced

    @property
    def uniform(self) -> bool:
        return self.inner.uniform

    @property
    def one_evaluation(self) -> bool:
        return self.inner.one_evaluation

    @property
    def cycle(self) -> int:
        return lcm(self.every, self.inner.cycle)

    @property
    def lazy_terms(self) -> Mapping[str, int]:
        return self.inner.lazy_terms

    @property
    def solves(self) -> bool:
        return self.inner.solves

    def check_setting(self, space: Space, bases: Bases) -> None:
        self.inner.check_setting(space, bases)

    def check(self, players: Sequence[str]) -> None:
        self.inner.check(players)

    def draws(self, players: Sequence[str]) -> int:
        return self.inner.draws(players)

    def memory(self, space: Space, x: Tensor, *, settled: bool = False) -> State:
        inside = self.inner.memory(space, x, settled=settled)
        return {"slow": x.clone(), "since": 0, **{INNER + name: value for name, value in inside.items()}}

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        own = recall(self, space, x, states)
        inside = {name.removeprefix(INNER): value for name, value in own.items() if name.startswith(INNER)}
        around = {p: s for p, s in states.items() if p != SCHEME}
        x, following = self.inner.step(evaluate, bases, space, x, {**around, SCHEME: inside} if inside else around)
        slow, since = own["slow"], own["since"] + 1
        if since == self.every:
            x = slow = slow + self.weight * (x - slow)
            since = 0
        kept = {INNER + name: value for name, value in following.get(SCHEME, {}).items()}
        return x, {**following, SCHEME: {"slow": slow, "since": since, **kept}}
