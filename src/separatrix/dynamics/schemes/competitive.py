"""Competitive gradient descent: each player answers the others' answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.dynamics.bases import Frozen
from separatrix.dynamics.near import near
from separatrix.dynamics.schemes.scheme import (
    Bases,
    Evaluate,
    Scheme,
    States,
    base_steps,
    check_own_coordinates,
    check_positive,
    check_without_momentum,
)
from separatrix.errors import InputError
from separatrix.fields.space import Space


@dataclass(frozen=True)
class Competitive(Scheme):
    """The equilibrium of a local game: ``x' = x + (I - S K)^-1 S v`` [schaefer2019; for several players ma2021].

    ``K`` has the cross blocks of ``v'``, how each player's direction depends on the others, and ``S`` the step sizes: over ``SGD`` the
    rate, over ``RMSprop`` or ``Adam`` without momentum the rate over the root of the second moment, which is ACGD [schaefer2020].
    Zero-sum or general-sum, two players or more; players share no tensor. The step bears any coupling, but the players' own
    curvature limits it as it limits plain descent.

    On a pure rotation ``m = 1 / (1 - z)``: every step size is safe.

    Args:
        tol: relative residual of the linear solve, ``||d - (I - S K) u|| / ||d||`` with ``d = S v``.
        max_products: its budget; with two players in products with the smaller one's system, each of them two with a cross block.

    The solve is by conjugate gradients where the losses are one scalar for two players: ``2 k + 1`` products with a cross block in
    ``k`` iterations, GMRES otherwise: ``2 k + 3`` for two players, in ``k`` iterations of one cycle. What was reached is
    ``Step.residual``, of all rows, from a product of the step that is made.
    """

    tol: float = 1e-6
    max_products: int = 200

    def __post_init__(self) -> None:
        check_positive(tol=self.tol)
        if self.max_products < 2:
            raise InputError(f"max_products must be at least 2, got {self.max_products}.")

    @property
    def uniform(self) -> bool:
        return False

    @property
    def solves(self) -> bool:
        return True

    def check_setting(self, space: Space, bases: Bases) -> None:
        check_own_coordinates(self, space)
        check_without_momentum(self, space, bases)

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        there = near(evaluate, x)
        moved, following = base_steps(there.directions, bases, space, x, states)
        frozen = _frozen(bases, following)
        scale = _scales(frozen, space, x)
        d = moved - x if there.fixed else _displacement(there.directions, frozen, scale, space, x)
        u, residual = there.solve(d, scale, cross=True, tol=self.tol, max_products=self.max_products)
        there.report(residual)
        return x + u, following


def step_sizes(bases: Bases, states: States, space: Space, x: Tensor) -> Tensor:
    """``S``: the displacement for a unit direction, by coordinate, ``(n,)``."""
    return _scales(_frozen(bases, states), space, x)


def _frozen(bases: Bases, states: States) -> dict[str, Frozen]:
    found = {}
    for player in (p for p in bases if p in states):  # one without parameters has made no step
        frozen = bases[player].frozen(states[player])
        assert frozen is not None  # the setting was checked, and every base has made a step
        found[player] = frozen
    return found


def _scales(frozen: Mapping[str, Frozen], space: Space, x: Tensor) -> Tensor:
    scale = torch.empty(space.n, dtype=x.dtype, device=x.device)
    for player, base in frozen.items():
        own = torch.as_tensor(base.scale, dtype=x.dtype, device=x.device)
        scale[space.index(player)] = own.detach().reshape(-1).expand(space.size(player))
    return scale


def _displacement(
    directions: Mapping[str, Tensor], frozen: Mapping[str, Frozen], scale: Tensor, space: Space, x: Tensor
) -> Tensor:
    """``S v`` and what weight decay adds; the way to the point that the bases step to would be rounded as the point is."""
    d = torch.empty_like(x)
    for player, v in directions.items():
        index, base = space.index(player), frozen[player]
        push = v - base.coupled_decay * x[index] if base.coupled_decay else v
        d[index] = scale[index] * push
        if base.mode.decay:
            d[index] -= base.mode.decay * x[index]
    return d
