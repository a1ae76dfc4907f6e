"""Extragradient at the price of a gradient: the last direction, step or point stands in for the look-ahead's.

On plain descent with equal steps the three are one method, seen at different points: ``m^2 - (1 + 2 z) m + z = 0``, a rotation
contracts for ``|z| < 1 / sqrt(3)``. They part company where a base keeps moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.dynamics.bases import State
from separatrix.dynamics.schemes.scheme import (
    SCHEME,
    Bases,
    Evaluate,
    Scheme,
    States,
    base_steps,
    check_moments,
    check_positive,
    look_ahead,
    recall,
)
from separatrix.fields.space import Space


@dataclass(frozen=True)
class PastExtragradient(Scheme):
    """Look ahead along the last direction: ``x' = x + base(v_t)``, ``v_t = v(x + a base(v_{t-1}))`` [popov1980; gidel2019].

    The modules stand at ``x`` between steps; the losses are evaluated ahead of it. The first step looks nowhere. With noise a
    look-ahead longer than the step (``a > 1``) is the stabler one [hsieh2022].

    Args:
        ahead: length of the look-ahead in steps of the bases, ``a``.
        moments: what the look-ahead does to the bases' state, as in :class:`Extragradient`.
    """

    ahead: float = 1.0
    moments: str = "roll back"

    def __post_init__(self) -> None:
        check_positive(ahead=self.ahead)
        check_moments(self.moments)

    def memory(self, space: Space, x: Tensor, *, settled: bool = False) -> State:
        return {"count": int(settled), **{f"direction:{p}": torch.zeros_like(space.take(x, p)) for p in space.players}}

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        before = recall(self, space, x, states)
        ahead = x
        if before["count"]:
            past = {p: before[f"direction:{p}"] for p in space.players}
            ahead, states = look_ahead(past, bases, space, x, states, moments=self.moments, length=self.ahead)
        v = evaluate(ahead, space.players, 0)
        x, states = base_steps(v, bases, space, x, states)
        return x, {**states, SCHEME: {"count": before["count"] + 1, **{f"direction:{p}": v[p] for p in v}}}


@dataclass(frozen=True)
class Optimistic(Scheme):
    """``x' = x + (1 + a) u_t - a u_{t-1}`` with the bases' steps ``u_t = base(v(x))`` [daskalakis2018].

    The modules stand where the losses are evaluated. It is past extragradient seen from the points that that one looks ahead to,
    and optimistic Adam over Adam. The first step is a plain one (``u_{-1} = u_0``); an ``u_{-1}`` of zero would double it.

    Args:
        ahead: weight of the correction in steps of the bases, ``a``; libraries that do not multiply it by the learning rate mean
            ``a lr``.
    """

    ahead: float = 1.0

    def __post_init__(self) -> None:
        check_positive(ahead=self.ahead)

    @property
    def one_evaluation(self) -> bool:
        return True

    def memory(self, space: Space, x: Tensor, *, settled: bool = False) -> State:
        return {"count": int(settled), **{f"step:{p}": torch.zeros_like(space.take(x, p)) for p in space.players}}

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        before = recall(self, space, x, states)
        parts, kept, following = {}, {}, dict(states)
        for player, v in evaluate(x, space.players, 0).items():
            own = space.take(x, player)
            moved, following[player] = bases[player].step(v, own, states[player])
            kept[f"step:{player}"] = u = moved - own
            last = before[f"step:{player}"] if before["count"] else u
            parts[player] = moved + self.ahead * (u - last)
        return space.put(x, parts), {**following, SCHEME: {"count": before["count"] + 1, **kept}}


@dataclass(frozen=True)
class Reflected(Scheme):
    """Reflected gradient: ``x' = x + base(v(x_t + a (x_t - x_{t-1})))`` [malitsky2015]. The first step reflects nothing.

    Args:
        ahead: length of the reflection in last steps, ``a``.
    """

    ahead: float = 1.0

    def __post_init__(self) -> None:
        check_positive(ahead=self.ahead)

    def memory(self, space: Space, x: Tensor, *, settled: bool = False) -> State:
        return {"before": x.clone()}

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        before = recall(self, space, x, states)["before"]
        v = evaluate(x + self.ahead * (x - before), space.players, 0)
        moved, following = base_steps(v, bases, space, x, states)
        return moved, {**following, SCHEME: {"before": x}}
