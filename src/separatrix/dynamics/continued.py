"""Bases that go on from the state of an earlier training, so that methods can be compared from there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from separatrix.dynamics.bases import Base, Frozen, State
from separatrix.dynamics.method import Method
from separatrix.dynamics.schemes import SCHEME, States


def continued(method: Method, states: States | None) -> Method:
    """The method with bases that start from these states; the method itself where there are none.

    Where a base keeps less than the state holds (no momentum), it takes what it keeps; what the state has not is fresh.
    """
    if states is None:
        return method
    players = [p for p in states if p != SCHEME]  # what a scheme remembers is of no use to another one
    bases = method.bases_for(players)
    return replace(method, bases={p: Continued(bases[p], states[p]) for p in players})


@dataclass(frozen=True, eq=False)
class Continued(Base):
    """A base whose fresh state is the one given.

    Attributes:
        base: which steps.
        state: where it starts.
    """

    base: Base
    state: State

    @property
    def lr(self) -> float:  # type: ignore[override]
        return self.base.lr

    def init(self, x: Tensor) -> State:
        return {name: self.state.get(name, value) for name, value in self.base.init(x).items()}

    def step(self, v: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
        return self.base.step(v, x, state)

    def frozen(self, state: State) -> Frozen | None:
        return self.base.frozen(state)

    def describe(self) -> dict[str, Any]:
        return {**self.base.describe(), "continued": True}
