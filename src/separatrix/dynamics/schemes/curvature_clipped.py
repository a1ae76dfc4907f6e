"""Steps as long as the players' own curvature allows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.dynamics.near import near
from separatrix.dynamics.schemes.scheme import (
    Bases,
    Evaluate,
    Scheme,
    States,
    base_steps,
    check_own_coordinates,
    check_positive,
)
from separatrix.fields.space import Space


@dataclass(frozen=True)
class CurvatureClipped(Scheme):
    """Each player scales its step ``d`` by ``u = clip(v.d / (-d.v'_ii d), 0, most)``, or by ``most`` where its loss curves down [mounjid2021].

    ``u`` minimises the player's own loss along ``d`` to second order, the others held; where the curvature is not positive that has no
    bound, hence the clip. It looks at no coupling: a pure rotation has no curvature of its own and gets the full step.

    Any number of players and any losses; players share no tensor. No linear map: near an equilibrium ``u`` depends on the
    direction one comes from, so there is no prediction.

    Args:
        most: the largest multiple of the base's step.
    """

    most: float = 1.0

    def __post_init__(self) -> None:
        check_positive(most=self.most)

    @property
    def linear(self) -> bool:
        return False

    @property
    def solves(self) -> bool:
        return True

    def check_setting(self, space: Space, bases: Bases) -> None:
        check_own_coordinates(self, space)

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        there = near(evaluate, x)
        moved, following = base_steps(there.directions, bases, space, x, states)
        d = {p: space.take(moved - x, p) for p in space.players}
        bend = there.curvature(d)
        parts = {}
        for player, own in d.items():
            slope, curve = there.directions[player] @ own, -bend[player]
            bound = torch.where(
                curve > 0, slope / curve.clamp(min=torch.finfo(curve.dtype).tiny), self.most * slope.sign()
            )
            parts[player] = space.take(x, player) + bound.clamp(0.0, self.most) * own
        return space.put(x, parts), following
