"""Scheme: where the field is evaluated and what is committed.

A scheme's ``step`` is pure code on flat points: the same lines train, simulate and, traced, give the update map.
``evaluate(x, players, draw)`` returns ``{player: direction}``; calls with the same ``draw`` share the minibatch and the
random draw, calls with different ones need not. What a scheme remembers from one step to the next (a past direction, a
slow copy) stands among the bases' states under :data:`SCHEME`, a name that no player has.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics.bases import Base, Frozen, State, is_number
from separatrix.dynamics.modes import Mode
from separatrix.dynamics.wrapped import WrappedBase
from separatrix.errors import ComputationError, InputError
from separatrix.fields.space import Space

Evaluate = Callable[[Tensor, Sequence[str], int], Mapping[str, Tensor]]
Bases = Mapping[str, Base]
States = dict[str, State]

SCHEME = ""
MOMENTS = ("roll back", "freeze", "commit")


class Scheme(ABC):
    """How one step of training is put together from evaluations and base steps."""

    @abstractmethod
    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        """One step: the next point and states."""

    def check(self, players: Sequence[str]) -> None:  # noqa: B027 - most schemes fit all players
        """Raise ``InputError`` where the scheme does not fit the players."""

    def check_setting(self, space: Space, bases: Bases) -> None:  # noqa: B027 - most schemes take every base
        """Raise ``InputError`` where the scheme does not fit the players' coordinates or bases."""

    def memory(self, space: Space, x: Tensor, *, settled: bool = False) -> State:
        """What the scheme remembers before its first step from ``x``; empty for most.

        Tensors are ``(n,)``, or ``(n_player,)`` under a name that ends with ``:player``; those whose names begin with
        ``direction`` are directions, the others points or displacements.

        Args:
            space, x: where it starts.
            settled: as in the middle of a run, at the beginning of a cycle: first-step rules do not apply.
        """
        return {}

    @property
    def linear(self) -> bool:
        """Whether a step on a linear field with linear bases is a linear map; if not, there is no prediction."""
        return True

    @property
    def uniform(self) -> bool:
        """Whether all players are treated alike, so that an eigenvalue of the field has multipliers of its own."""
        return True

    @property
    def one_evaluation(self) -> bool:
        """Whether a step evaluates the whole field once, at the point itself."""
        return False

    @property
    def solves(self) -> bool:
        """Whether a step solves with second derivatives; its cost is then known only when it was made."""
        return False

    @property
    def paced(self) -> bool:
        """Whether a step on a linear field depends on the step size itself, besides step size times eigenvalue."""
        return False

    @property
    def cycle(self) -> int:
        """After how many steps the same is done again; the period whose linear map is taken."""
        return 1

    @property
    def lazy_terms(self) -> Mapping[str, int]:
        """Terms of the losses that are not taken in every step: every so many steps, and then so many times as strongly."""
        return {}

    @property
    def name(self) -> str:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(self).__name__).lower()

    def draws(self, players: Sequence[str]) -> int:
        """How many draws (minibatches) one step takes."""
        return 1

    def describe(self) -> dict[str, Any]:
        """Name and settings, for records; without lazy terms nothing is said of them."""
        names: list[str] = [f.name for f in fields(self)] if is_dataclass(self) else []
        settings = {name: _plain(getattr(self, name)) for name in names if name != "lazy" or self.lazy_terms}
        return {"scheme": self.name, **settings}


def weighted(evaluate: Evaluate, factors: Mapping[str, float]) -> Evaluate:
    """The evaluation with single terms of the losses multiplied, 0 to leave one out.

    Raises:
        ComputationError: whoever runs the scheme knows the whole field only.
    """
    if not hasattr(evaluate, "weighted"):
        raise ComputationError(
            f"no prediction for a scheme that weights {' and '.join(map(repr, factors))}: only the whole field is known here, "
            "not its single terms; simulate or train instead."
        )
    found: Evaluate = evaluate.weighted(factors)
    return found


def recall(scheme: Scheme, space: Space, x: Tensor, states: States) -> State:
    """What the scheme remembers, fresh where the states know nothing of it."""
    return states.get(SCHEME) or scheme.memory(space, x)


def base_steps(
    directions: Mapping[str, Tensor], bases: Bases, space: Space, x: Tensor, states: States
) -> tuple[Tensor, States]:
    """Every given player's base makes one step from ``x``."""
    parts, following = {}, dict(states)
    for player, v in directions.items():
        parts[player], following[player] = bases[player].step(v, space.take(x, player), states[player])
    return space.put(x, parts), following


def look_ahead(
    directions: Mapping[str, Tensor],
    bases: Bases,
    space: Space,
    x: Tensor,
    states: States,
    *,
    moments: str,
    length: float = 1.0,
) -> tuple[Tensor, States]:
    """A point to evaluate at, ``length`` steps of the bases away, and the states that the look-ahead leaves behind.

    Args:
        directions, bases, space, x, states: as in :func:`base_steps`.
        moments: what the look-ahead does to the bases' state. ``roll back``: a whole step, moments included, which never
            happened. ``freeze``: the direction alone under the moments' present scale, without momentum; they are not
            changed (before a base's first step there are none, so there it is ``roll back``). ``commit``: a whole step whose
            moments are kept.
        length: in steps.
    """
    if moments == "freeze":
        parts = {p: displaced(bases[p], states[p], space.take(x, p), v) for p, v in directions.items()}
        ahead, moved = space.put(x, parts), states
    else:
        ahead, moved = base_steps(directions, bases, space, x, states)
    if length != 1.0:
        ahead = x + length * (ahead - x)
    return ahead, moved if moments == "commit" else states


def displaced(base: Base, state: State, x: Tensor, v: Tensor) -> Tensor:
    """``x`` moved along ``v`` under the present second moments, without momentum; by a whole step where there are none yet."""
    frozen = base.frozen(state)
    if frozen is None:
        return base.step(v, x, state)[0]
    return replace(frozen, mode=Mode("none", decay=frozen.mode.decay), buffer=None, imaginary=None).step(v, x, {})[0]


def check_moments(moments: str, known: Sequence[str] = MOMENTS) -> None:
    if moments not in known:
        raise InputError(f"moments must be one of {', '.join(map(repr, known))}, got {moments!r}.")


def check_positive(**settings: float) -> None:
    for name, value in settings.items():
        if not is_number(value) or not 0 < value < float("inf"):
            raise InputError(f"{name} must be positive and finite, got {value!r}.")


def check_own_coordinates(scheme: Scheme, space: Space) -> None:
    """Refuse players that share a tensor."""
    for entry in space.entries:
        if len(entry.owners) > 1:
            raise InputError(
                f"{scheme.name} solves for each player's own step, and players {' and '.join(map(repr, entry.owners))} share "
                f"{entry.name}; give the tensor to one of them."
            )


def check_with_step_sizes(scheme: Scheme, space: Space, bases: Bases) -> None:
    """Refuse bases that do not tell the step they would make for a direction."""
    for player in space.players:
        if _frozen_after_a_step(bases[player], space, player) is None:
            raise InputError(
                f"{scheme.name} needs to know the step size of every coordinate, and the {_kind(bases[player])} of player "
                f"{player!r} does not tell it; use SGD, RMSprop, Adam or AdamW."
            )


def check_without_momentum(scheme: Scheme, space: Space, bases: Bases) -> None:
    """Refuse bases whose step is not a step size times the direction."""
    check_with_step_sizes(scheme, space, bases)
    for player in space.players:
        frozen = _frozen_after_a_step(bases[player], space, player)
        if frozen is not None and frozen.mode.kind != "none":
            raise InputError(
                f"{scheme.name} solves for the step itself, which momentum would carry away: the {_kind(bases[player])} of "
                f"player {player!r} has momentum {frozen.mode.momentum:g}; use SGD or RMSprop without it, or "
                "Adam(betas=(0, 0.99))."
            )


def _frozen_after_a_step(base: Base, space: Space, player: str) -> Frozen | None:
    if isinstance(base, WrappedBase):
        return None
    zero = torch.zeros(space.size(player))
    return base.frozen(base.step(zero, zero, base.init(zero))[1])


def _kind(base: Base) -> str:
    return str(base.describe()["kind"])


def _plain(value: Any) -> Any:
    if isinstance(value, Scheme):
        return value.describe()
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
