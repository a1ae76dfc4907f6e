"""All players move at once."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from separatrix.dynamics.schemes.scheme import Bases, Evaluate, Scheme, States, base_steps
from separatrix.fields.space import Space


@dataclass(frozen=True)
class Simultaneous(Scheme):
    """All players move at once from the same point: ``x' = x + base(v(x))``."""

    @property
    def one_evaluation(self) -> bool:
        return True

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        return base_steps(evaluate(x, space.players, 0), bases, space, x, states)
