"""The update map of a method as a linear operator: the running method itself is measured, state and all.

``z = (x, tensors of the bases' states and of the scheme's)``; ``M = dz'/dz`` over one full period. The scheme's own code is traced with the
field's evaluation replaced by one whose derivative is the Jacobian operator, so a new scheme needs nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics.linear_period import check_linear
from separatrix.dynamics.method import Method
from separatrix.dynamics.near import Near, TracedNear
from separatrix.dynamics.schemes import SCHEME, Bases, Scheme, States
from separatrix.errors import ComputationError, InputError
from separatrix.fields.field import Field
from separatrix.fields.jacobian import Jacobian
from separatrix.fields.space import Space
from separatrix.fields.support import refuse_known_wrong
from separatrix.linalg.operator import LinearOperator

# Which factors the terms have.
Key = tuple[tuple[str, float], ...]


class UpdateMap(LinearOperator):
    """``M = dz'/dz`` of one period of a method, ``(N, N)`` with ``N`` the point and the states' tensors together.

    A period is one step, or as many as the scheme takes until it does the same again (:attr:`Scheme.cycle`).

    Args:
        method: the method.
        field: the field it runs on, before transforms; its draw is frozen.
        x: the point; where the field stands if ``None``.
        states: the bases' states and the scheme's; fresh ones if ``None``.
        frozen: hold second moments where ``states`` has them and the Jacobian at ``x`` in all evaluations of the period: the
            linear model that predictions use. ``False`` is the exact tangent of the very update that follows ``states``,
            second moments included; at fresh states that is the first step, which has no momentum yet.
        jacobian: of the transformed field at ``x``, to be used by a ``frozen`` map instead of a new one; where lazy terms are
            left out or strengthened, the field is another one and has a Jacobian of its own.

    Attributes:
        layout: ``(name, size)`` of the parts of ``z``, the point first, then ``player.name`` of the bases' tensors, then
            ``.name`` of what the scheme remembers.
        steps: of the method that make up the period.
        after: ``z'`` of the period; with ``frozen`` only its derivative means something.

    Raises:
        ComputationError: ``frozen`` and a base has no frozen form, or the scheme's step is no linear map.
        UnsupportedOperatorError: an operator inside the losses has no second derivative, or is known for a wrong one.
        InputError: a point of the wrong shape; a ``jacobian`` of another field or point, or without ``frozen``.

    Cost: one Jacobian for each evaluation in the period (1 gradient and its graph); with ``frozen`` a single one, or one for
    each set of lazy terms that is due together. A product costs as many Jacobian products as the period has evaluations, each by its players' share.
    """

    def __init__(
        self,
        method: Method,
        field: Field,
        x: Tensor | None = None,
        states: States | None = None,
        *,
        frozen: bool = False,
        jacobian: Jacobian | None = None,
    ) -> None:
        refuse_known_wrong(field)
        start, fresh = method.init(field)
        if x is not None:
            field.space.check(x)
        x = start if x is None else x.detach()
        states = fresh if states is None else states
        if SCHEME in fresh:
            states = {**states, SCHEME: states.get(SCHEME, fresh[SCHEME])}
        bases: Bases = method.bases_for(field.players)
        if not frozen and method.scheme.solves:
            raise ComputationError(
                f"the exact tangent of {method.scheme.name} has third derivatives of the losses in it; frozen=True gives the "
                "linear map with the Jacobian held, which is exact at an equilibrium."
            )
        if frozen:
            check_linear(method.scheme)
            memory = settled(method.scheme, field, x, states)
            bases, states = frozen_bases(bases, states, field, x)
            states = {**states, SCHEME: memory} if memory else states
        self.field = method.field(field)
        if jacobian is not None:
            _check_jacobian(jacobian, self.field, x, frozen)
        held: dict[Key, Jacobian] | None = {} if frozen else None
        if held is not None and jacobian is not None:
            held[()] = jacobian
        self._evaluate = _Tracing(self.field, x, held)
        self.method, self.space = method, field.space
        self.steps = method.scheme.cycle
        tensors, constants = _open(states)
        self._owners = [("", ""), *tensors]
        self.layout: list[tuple[str, int]] = [("x", len(x))]
        self.layout += [(f"{owner}.{name}", len(t)) for (owner, name), t in tensors.items()]
        z = torch.cat([part.to(field.device, field.dtype) for part in (x, *tensors.values())])
        size = len(z)
        super().__init__((size, size), dtype=field.dtype, device=field.device)
        self._leaf = z.clone().requires_grad_()
        self._after = self._trace(bases, constants)
        self.after = self._after.detach()
        self._transposed: tuple[Tensor, Tensor] | None = None

    def _trace(self, bases: Bases, constants: Mapping[str, Mapping[str, Any]]) -> Tensor:
        with torch.enable_grad():
            pieces = torch.split(self._leaf, [size for _, size in self.layout])
            x, states = pieces[0], _close(dict(zip(self._owners[1:], pieces[1:], strict=True)), constants)
            for _ in range(self.steps):
                x, states = self.method.scheme.step(self._evaluate, bases, self.space, x, states)
            tensors, _ = _open(states)
            return torch.cat([x, *(tensors[key] for key in self._owners[1:])])

    def _apply_transpose(self, u: Tensor) -> Tensor:
        return torch.autograd.grad(self._after, self._leaf, u, retain_graph=True)[0]

    def _apply(self, u: Tensor) -> Tensor:
        if self._transposed is None:
            with torch.enable_grad():
                dummy = torch.zeros_like(u, requires_grad=True)
                pulled = torch.autograd.grad(self._after, self._leaf, dummy, create_graph=True)[0]
            self._transposed = dummy, pulled
        dummy, pulled = self._transposed
        return torch.autograd.grad(pulled, dummy, u, retain_graph=True)[0]

    def point_part(self, z: Tensor) -> Tensor:
        """The coordinates of the point in a vector ``z``, or in rows of them."""
        return z[..., : self.layout[0][1]]

    def metric(self, root: Tensor) -> Tensor:
        """A scale of the point's coordinates, ``(n,)``, brought to all parts of ``z``, ``(N,)``.

        Points and displacements carry the scale, directions its inverse.
        """
        return torch.cat([part_scale(owner, name, root, self.space) for owner, name in self._owners])


def _check_jacobian(jacobian: Jacobian, field: Field, x: Tensor, frozen: bool) -> None:
    if not frozen:
        raise InputError(
            "a jacobian can be given to a frozen map only; the exact tangent needs one for each evaluation."
        )
    if jacobian.field.name != field.name or not torch.equal(jacobian.x, x.to(field.device, field.dtype)):
        raise InputError(
            f"the jacobian given is that of {jacobian.field.name!r}, the map needs that of {field.name!r} at the same point x; "
            "leave it out to have it built."
        )


def settled(scheme: Scheme, field: Field, x: Tensor, states: States) -> dict[str, Any]:
    """What the scheme remembers, past its first steps and at the beginning of a cycle."""
    fresh = scheme.memory(field.space, x, settled=True)
    kept = states.get(SCHEME, {})
    return {k: kept.get(k, v) if isinstance(v, Tensor) else v for k, v in fresh.items()}


def part_scale(owner: str, name: str, root: Tensor, space: Space) -> Tensor:
    """The scale of the point brought to one part of ``z``; see :meth:`UpdateMap.metric`."""
    kind, _, player = name.partition(":")
    part = space.take(root, owner or player) if owner or player else root
    return 1 / part if "direction" in kind else part


def frozen_bases(bases: Bases, states: States, field: Field, x: Tensor) -> tuple[Bases, States]:
    """The linear bases at these states, and states for them.

    Raises:
        ComputationError: names the player and base without a frozen form.
    """
    found = {}
    for player, base in bases.items():
        frozen = base.frozen(states[player])
        if frozen is None:
            raise ComputationError(
                f"no prediction for player {player!r}: {type(base).__name__} has no linear form at this state (no step was "
                "made yet, or it is not one of SGD, RMSprop, Adam, AdamW); train a few steps first, or measure twins."
            )
        found[player] = frozen
    return found, {p: found[p].init(field.space.take(x, p)) for p in found}


def _open(states: States) -> tuple[dict[tuple[str, str], Tensor], dict[str, dict[str, Any]]]:
    """The tensors of the states by owner and name, and the rest."""
    tensors: dict[tuple[str, str], Tensor] = {}
    constants: dict[str, dict[str, Any]] = {}
    for owner, state in states.items():
        constants[owner] = {}
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[owner, name] = value
            else:
                constants[owner][name] = value
    return tensors, constants


def _close(tensors: Mapping[tuple[str, str], Tensor], constants: Mapping[str, Mapping[str, Any]]) -> States:
    states: States = {owner: dict(rest) for owner, rest in constants.items()}
    for (owner, name), tensor in tensors.items():
        states[owner][name] = tensor
    return states


class _Tracing:
    """A field whose derivative is the operator of a Jacobian: one that is held at ``x``, or a new one for each point.

    With other factors of its terms the field has another Jacobian, which is held too; each is built when it is needed.
    """

    def __init__(self, field: Field, x: Tensor, held: dict[Key, Jacobian] | None, key: Key = ()) -> None:
        self.field, self.x, self.held, self.key = field, x, held, key
        if held is not None:
            self.near = self._near

    def weighted(self, factors: Mapping[str, float]) -> _Tracing:
        return _Tracing(self.field.weighted(factors), self.x, self.held, tuple(sorted(factors.items())))

    def _jacobian(self, at: Tensor) -> Jacobian:
        if self.held is None:
            return Jacobian(self.field, at.detach(), checks=False)
        if self.key not in self.held:
            self.held[self.key] = Jacobian(self.field, self.x, checks=False)
        return self.held[self.key]

    def __call__(self, at: Tensor, players: Sequence[str], draw: int) -> dict[str, Tensor]:
        jacobian = self._jacobian(at)
        sizes = [self.field.space.size(p) for p in players]
        flat: Tensor = _Evaluate.apply(at, jacobian, tuple(players))  # type: ignore[no-untyped-call]
        return dict(zip(players, torch.split(flat, sizes), strict=True))

    def _near(self, x: Tensor, draw: int) -> Near:
        return TracedNear(self._jacobian(x), self(x, self.field.players, draw), self.field.space)


class _Evaluate(torch.autograd.Function):
    """The field's directions, whose derivative is the Jacobian operator."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, jacobian: Jacobian, players: tuple[str, ...]) -> Tensor:
        ctx.jacobian, ctx.players = jacobian, players
        return jacobian.directions(players)

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor, None, None]:
        return _Pull.apply(u, ctx.jacobian, ctx.players), None, None  # type: ignore[no-untyped-call]


class _Pull(torch.autograd.Function):
    """``J.T u``, whose derivative in ``u`` is ``J``."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, jacobian: Jacobian, players: tuple[str, ...]) -> Tensor:
        ctx.jacobian, ctx.players = jacobian, players
        sizes = [jacobian.field.space.size(p) for p in players]
        with torch.enable_grad():
            return jacobian.rows_transpose(dict(zip(players, torch.split(u, sizes), strict=True))).detach()

    @staticmethod
    def backward(ctx: Any, w: Tensor) -> tuple[Tensor, None, None]:
        with torch.enable_grad():
            pushed = ctx.jacobian.rows_apply(w, ctx.players)
        return torch.cat([pushed[p].detach() for p in ctx.players]), None, None
