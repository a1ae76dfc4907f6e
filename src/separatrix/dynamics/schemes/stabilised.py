"""A controller that follows the players and pushes them off its own trail."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from torch import Tensor

from separatrix.dynamics.bases import State
from separatrix.dynamics.schemes.scheme import (
    SCHEME,
    Bases,
    Evaluate,
    Scheme,
    States,
    base_steps,
    check_positive,
    check_with_step_sizes,
    displaced,
    recall,
)
from separatrix.errors import InputError
from separatrix.fields.space import Space


@dataclass(frozen=True)
class Stabilised(Scheme):
    """``x' = x + base(v(x) + gain (x - theta))``, ``theta' = theta + S follow (x - theta)`` [kalogiannis2021].

    ``theta`` follows the players. With a negative gain it resists what grows faster than it follows, with a gain below ``-follow`` also
    what repels for good; equilibria stay where they are (``x = theta``). Made for team games, whose only equilibria may repel under
    gradient steps, extragradient and optimism alike. It attracts to any equilibrium, wanted or not.

    Any number of players and any losses. ``theta`` starts where the players stand.

    Args:
        gain: ``K`` as a multiple of the identity.
        follow: ``P`` as a multiple of the identity, positive.
    """

    gain: float = -1.1
    follow: float = 0.3

    def __post_init__(self) -> None:
        check_positive(follow=self.follow)
        if not isfinite(self.gain):
            raise InputError(f"gain must be finite, got {self.gain}.")

    @property
    def one_evaluation(self) -> bool:
        return True

    @property
    def paced(self) -> bool:
        return True

    def check_setting(self, space: Space, bases: Bases) -> None:
        check_with_step_sizes(self, space, bases)

    def memory(self, space: Space, x: Tensor, *, settled: bool = False) -> State:
        return {f"theta:{p}": space.take(x, p).clone() for p in space.players}

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        theta = recall(self, space, x, states)
        v = evaluate(x, space.players, 0)
        apart = {p: space.take(x, p) - theta[f"theta:{p}"] for p in space.players}
        pushed = {p: v[p] + self.gain * apart[p] for p in space.players}
        moved = {
            f"theta:{p}": displaced(bases[p], states[p], theta[f"theta:{p}"], self.follow * apart[p])
            for p in space.players
        }
        x, following = base_steps(pushed, bases, space, x, states)
        return x, {**following, SCHEME: moved}
