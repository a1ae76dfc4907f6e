"""Setting: a field, the method that runs in it, and the metric that its bases define.

The optimiser's metric: with ``D`` the displacement that a base makes for a unit direction (step size over the root of
the second moment), ``P = D^(1/2) J D^(1/2)`` has the eigenvalues ``h lambda`` of ``D J``, and its symmetric and
antisymmetric parts mean something. Field sign: stable means ``Re < 0``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics.bases import Base, Frozen
from separatrix.dynamics.convert import bases_of
from separatrix.dynamics.game_optimizer import GameOptimizer
from separatrix.dynamics.method import Method
from separatrix.dynamics.modes import Mode
from separatrix.dynamics.schemes import Alternating, Scheme, Simultaneous, States
from separatrix.dynamics.update_map import UpdateMap, frozen_bases
from separatrix.dynamics.wrapped import WrappedBase
from separatrix.errors import ComputationError, InputError
from separatrix.fields import Field, GameField, Jacobian
from separatrix.linalg import Diagonal, LinearOperator, Product, Sum


@dataclass(frozen=True)
class Setting:
    """What is measured: built by :func:`settle`.

    Attributes:
        field: the field before transforms.
        seen: the field that the scheme evaluates, transforms applied.
        jacobian: of ``seen`` at ``x``, self-tested.
        x: the point.
        method: the method that runs, or ``None``.
        states: its bases' states.
        frozen: the linear base of each player; ``None`` where there is none.
        scale: ``D``, ``(n,)``; ones where ``frozen`` is ``None``.
        operator: ``P``.
        why_not: why there is no metric, in words; empty where there is one.
        terms: what each lazy term of the method's scheme adds to ``P`` at its plain weight; none under transforms, in which
            terms do not add up.
    """

    field: Field
    seen: Field
    jacobian: Jacobian
    x: Tensor
    method: Method | None
    states: States | None
    frozen: dict[str, Frozen] | None
    scale: Tensor
    operator: LinearOperator
    why_not: str = ""
    terms: Mapping[str, LinearOperator] = attribute(default_factory=dict)

    @property
    def mode(self) -> Mode | None:
        """The momentum that all players share; ``None`` where they differ or there is none known."""
        if self.frozen is None:
            return None
        modes = {base.mode for base in self.frozen.values()}
        return modes.pop() if len(modes) == 1 else None

    @property
    def metric(self) -> str:
        return "step size times preconditioned Jacobian, h lambda" if self.frozen else "Jacobian, per unit of time"

    def update_map(self) -> LinearOperator:
        """The linear map of one full period in the optimiser's metric, linearised at the point.

        Raises:
            ComputationError: there is no linear base.
        """
        if self.method is None or self.frozen is None:
            raise ComputationError(self.why_not)
        bare = UpdateMap(self.method, self.field, self.x, self.states, frozen=True, jacobian=self.jacobian)
        root = bare.metric(self.scale.sqrt())
        return Product(Diagonal(1 / root), Product(bare, Diagonal(root)))


def resolve(
    field: Field,
    *,
    optimizers: Any = None,
    scheme: Scheme | None = None,
    method: Method | GameOptimizer | None = None,
    states: States | None = None,
    own: Method | None = None,
) -> tuple[Method | None, States | None]:
    """The method that runs and its bases' states, from what a user gives.

    Args:
        field: the field, or a game's.
        optimizers: ``{player: torch optimizer or base}``, or one of ``sx.optim``, which brings scheme and states with it.
        scheme: how the players' steps are put together; alternating for several players, in the game's order, if ``None``.
        method, states: instead of ``optimizers`` and ``scheme``; a method may be one of ``sx.optim`` too.
        own: the method of the problem, where nothing else is given.

    Raises:
        InputError: what was given does not fit together, or does not fit the players.
    """
    if optimizers is not None and (method is not None or states is not None):
        raise InputError("give either optimizers (and scheme), or method and states, not both.")
    held = list(optimizers.values()) if isinstance(optimizers, Mapping) else [optimizers]
    if held and isinstance(held[0], GameOptimizer) and all(given is held[0] for given in held):
        method, optimizers = held[0], None
    if optimizers is not None:
        if not isinstance(field, GameField):
            raise InputError("optimizers belong to the players of a Game; for a bare field give method=Method(...).")
        bases, states = bases_of(optimizers, field.game)
        return Method(bases, scheme or (Alternating() if len(field.players) > 1 else Simultaneous())), states
    if isinstance(method, GameOptimizer):
        method, states = _running(method, field, states)
    method = own if method is None else method
    if method is None and (scheme is not None or states is not None):
        raise InputError(
            "a scheme or states say nothing without bases; give optimizers={...} or method=Method(...) too."
        )
    if method is not None and not isinstance(method, Method):
        raise InputError(
            f"method must be a Method, or an optimizer of sx.optim, got a {type(method).__name__}; torch optimizers go into "
            "optimizers={player: optimizer}."
        )
    return (method if method is None or scheme is None else Method(method.bases, scheme, method.transforms)), states


def _running(optimizer: GameOptimizer, field: Field, states: States | None) -> tuple[Method, States]:
    """What an optimizer of ``sx.optim`` runs, with its own states where none are given."""
    sizes = [{p: space.size(p) for p in space.players} for space in (optimizer.game.space, field.space)]
    if sizes[0] != sizes[1]:
        raise InputError(
            f"the {type(optimizer).__name__} trains the players {sizes[0]}, the field has {sizes[1]}; give the optimizer of "
            "this game."
        )
    return optimizer.method, optimizer.states if states is None else states


def settle(
    field: Field,
    method: Method | GameOptimizer | None = None,
    *,
    x: Tensor | None = None,
    states: States | None = None,
    route: str = "retained",
) -> Setting:
    """The setting of a method in a field.

    Args:
        field: the field, its draw frozen.
        method: the method that runs, or an optimizer of ``sx.optim``; plain units of the Jacobian where ``None``.
        x: the point; where the field stands if ``None``.
        states: the bases' states there; needed by bases with second moments.
        route: how the Jacobian computes its products: see :class:`separatrix.fields.Jacobian`.

    Raises:
        InputError: the method does not fit the players, or an unknown route.
        what building a Jacobian raises.

    Cost: the build of one Jacobian with its self-tests, and of one more for each lazy term of the method's scheme.
    """
    method, states = resolve(field, method=method, states=states)
    seen = field if method is None else method.field(field)
    jacobian = seen.jacobian(x, route=route)
    at = jacobian.x
    plain = Setting(field, seen, jacobian, at, method, states, None, torch.ones_like(at), jacobian)
    if method is None:
        return replace(plain, why_not="no method was given, so there is no step to predict")
    if states is None:
        states = method.init(field)[1]
        plain = replace(plain, states=states)
    own = method.bases_for(field.players)
    if why := _no_metric(own, states):
        return replace(plain, why_not=why)
    try:
        bases, _ = frozen_bases(own, states, field, at)
    except ComputationError as error:
        return replace(plain, why_not=str(error))
    frozen = {p: b for p, b in bases.items() if isinstance(b, Frozen)}
    found = _scale(field, frozen, at)
    if found is None:
        return replace(plain, why_not="players share parameters that their bases scale differently")
    scale, decay = found
    inner: LinearOperator = jacobian if not bool(decay.any()) else Sum(jacobian, Diagonal(-decay))
    root = Diagonal(scale.sqrt())
    terms: dict[str, LinearOperator] = {}
    for term in () if method.transforms else method.scheme.lazy_terms:
        without = seen.weighted({term: 0.0}).jacobian(x, route=route, checks=False)
        terms[term] = Product(root, Product(jacobian - without, root))
    return replace(plain, frozen=frozen, scale=scale, operator=Product(root, Product(inner, root)), terms=terms)


def _no_metric(bases: Mapping[str, Base], states: States) -> str:
    """What keeps bases from having a metric, players named; empty where nothing does."""
    still = [p for p, base in bases.items() if getattr(base, "lr", None) == 0]
    if still:
        return (
            f"the learning rate of {_players(still)} is 0, so there is no step to judge: give the rate that trains, or "
            "freeze what is not to be trained with .requires_grad_(False) before making the Game"
        )
    wrapped = [f"player {p!r}: {base.why}" for p, base in bases.items() if isinstance(base, WrappedBase)]
    if wrapped:
        return (
            f"no prediction for {'; '.join(wrapped)}. Whether small differences grow in its steps, twins tell: sx.twins(sx.Run(step, "
            "state))"
        )
    fresh = [p for p, base in bases.items() if base.frozen(states[p]) is None and states[p].get("step") == 0]
    if fresh:
        kinds = " and ".join(sorted({type(bases[p]).__name__ for p in fresh}))
        return (
            f"no prediction, since the {kinds} of {_players(fresh)} has made no step yet and its second moments are unknown: "
            "give the optimizers that trained, after some steps (of sx.optim: method=opt; of sx.train: states=training.states; on the command line: --train N)"
        )
    return ""


def _players(names: list[str]) -> str:
    quoted = [repr(name) for name in names]
    return f"player {quoted[0]}" if len(names) == 1 else f"players {', '.join(quoted[:-1])} and {quoted[-1]}"


def _scale(field: Field, frozen: dict[str, Frozen], x: Tensor) -> tuple[Tensor, Tensor] | None:
    """``D`` and the coupled decay of each coordinate; ``None`` where owners of a shared coordinate disagree."""
    scale, decay = torch.full_like(x, torch.nan), torch.zeros_like(x)
    for player, base in frozen.items():
        index = field.space.index(player)
        wanted = torch.as_tensor(base.scale, dtype=x.dtype, device=x.device).expand(field.space.size(player))
        before = scale[index]
        if bool((~torch.isnan(before) & (before != wanted)).any()):
            return None
        scale[index] = wanted
        decay[index] += base.coupled_decay  # every owner of a shared coordinate pulls it
    return scale, decay
