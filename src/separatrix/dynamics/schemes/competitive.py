"""Competitive gradient descent: each player answers the others' answers."""

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
        tol: relative residual of the linear solve.
        max_products: its budget.

    The solve is by conjugate gradients where the losses are one scalar for two players, by GMRES otherwise. What was reached is
    ``Step.residual``.
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
        scale = step_sizes(bases, following, space, x)
        u, residual = there.solve(moved - x, scale, cross=True, tol=self.tol, max_products=self.max_products)
        there.report(residual)
        return x + u, following


def step_sizes(bases: Bases, states: States, space: Space, x: Tensor) -> Tensor:
    """``S``: the displacement for a unit direction, by coordinate, ``(n,)``."""
    scale = torch.empty(space.n, dtype=x.dtype, device=x.device)
    for player, base in bases.items():
        frozen = base.frozen(states[player])
        assert frozen is not None
        own = torch.as_tensor(frozen.scale, dtype=x.dtype, device=x.device)
        scale[space.index(player)] = own.detach().reshape(-1).expand(space.size(player))
    return scale
