"""All players move at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from separatrix.dynamics.bases import State
from separatrix.dynamics.schemes.lazy import MADE, check_lazy, period_of, with_due_terms
from separatrix.dynamics.schemes.scheme import Bases, Evaluate, Scheme, States, base_steps
from separatrix.fields.space import Space


@dataclass(frozen=True)
class Simultaneous(Scheme):
    """All players move at once from the same point: ``x' = x + base(v(x))``.

    Args:
        lazy: terms of the losses that are taken every so many steps only, and then so many times as strongly, as with
            :class:`Alternating`.
    """

    lazy: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        check_lazy(self.lazy)

    @property
    def uniform(self) -> bool:
        return self.cycle == 1

    @property
    def cycle(self) -> int:
        return period_of(self.lazy)

    @property
    def lazy_terms(self) -> Mapping[str, int]:
        return {term: every for term, every in self.lazy.items() if every > 1}

    @property
    def one_evaluation(self) -> bool:
        return True

    def memory(self, space: Space, x: Tensor, *, settled: bool = False) -> State:
        return {MADE: 0} if self.lazy else {}

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        evaluate, states = with_due_terms(self.lazy, evaluate, self, space, x, states)
        return base_steps(evaluate(x, space.players, 0), bases, space, x, states)
