"""Method: a scheme, a base for each player, and transforms of the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics.bases import Base
from separatrix.dynamics.evaluation import FieldEvaluation
from separatrix.dynamics.many import check_steps, simulate_many
from separatrix.dynamics.schemes import SCHEME, Scheme, Simultaneous, States
from separatrix.dynamics.transforms import Transform
from separatrix.errors import InputError
from separatrix.fields import Field


@dataclass(frozen=True)
class Method:
    """A training method: ``scheme(bases, transforms(field))``.

    Args:
        bases: one base for every player, or ``{player: base}``.
        scheme: where the field is evaluated and what is committed.
        transforms: applied to the field, first one first.

    Raises:
        InputError: what is given as bases, scheme or transforms is something else.

    Example:
        >>> from separatrix.dynamics import SGD, Extragradient, Method
        >>> Method(SGD(lr=0.1), Extragradient()).scheme.name
        'extragradient'
    """

    bases: Base | Mapping[str, Base]
    scheme: Scheme = Simultaneous()  # noqa: RUF009 - frozen and without state
    transforms: tuple[Transform, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.bases, Base | Mapping):
            raise InputError(
                f"the bases must be one, such as Adam(1e-3), or one for each player, got {_seen(self.bases)}."
            )
        check_parts(self.scheme, self.transforms)

    def bases_for(self, players: Sequence[str]) -> dict[str, Base]:
        """The base of each player.

        Raises:
            InputError: a player has no base, or a base no player.
        """
        if isinstance(self.bases, Base):
            return dict.fromkeys(players, self.bases)
        if set(self.bases) != set(players):
            raise InputError(
                f"there are bases for {sorted(self.bases)}, the players are {sorted(players)}; give one for each."
            )
        return {p: self.bases[p] for p in players}

    @property
    def second_derivatives(self) -> bool:
        """Whether a step needs second derivatives of the losses."""
        return self.scheme.solves or any(not transform.local for transform in self.transforms)

    def field(self, field: Field) -> Field:
        """The field that the scheme sees: the transforms applied."""
        for transform in self.transforms:
            field = transform(field)
        return field

    def init(self, field: Field, x: Tensor | None = None) -> tuple[Tensor, States]:
        """The point ``x``, where the field stands if ``None``, and fresh states of the bases and of the scheme."""
        self.scheme.check(field.players)
        x = field.point if x is None else x
        bases = self.bases_for(field.players)
        self.scheme.check_setting(field.space, bases)
        states = {p: bases[p].init(field.space.take(x, p)) for p in field.players}
        memory = self.scheme.memory(field.space, x)
        return x, {**states, SCHEME: memory} if memory else states

    def step(self, field: Field, x: Tensor, states: States) -> tuple[Tensor, States]:
        """One period from ``x`` on the field, whose draw is frozen. Cost: :meth:`gradients`."""
        seen = self.field(field)
        spent = seen.gradients
        result = self.scheme.step(FieldEvaluation(seen), self.bases_for(field.players), field.space, x, states)
        if seen is not field:
            field.gradients += seen.gradients - spent
        return result

    def gradients(self, field: Field) -> float:
        """Gradient-equivalents of one step on this field, their mean where a cycle has several.

        Of a scheme that solves, those of the step from where it stands. A lazy term's share of the floating-point operations
        is counted in the steps that take it.
        """
        seen, bases = self.field(field), self.bases_for(field.players)
        x, states = self.init(field)
        if self.scheme.solves:
            before = seen.gradients
            self.scheme.step(FieldEvaluation(seen), bases, field.space, x, states)
            return seen.gradients - before
        steps = self.scheme.cycle
        spent: list[float] = []
        for _ in range(steps):
            x, states = self.scheme.step(_Counting(seen, spent), bases, field.space, x, states)
        return sum(spent) / steps

    def describe(self) -> dict[str, Any]:
        """Scheme, bases and transforms as plain data."""
        bases = {"all": self.bases} if isinstance(self.bases, Base) else dict(self.bases)
        return {
            **self.scheme.describe(),
            "bases": {p: b.describe() for p, b in bases.items()},
            "transforms": [t.describe() for t in self.transforms],
        }


def check_parts(scheme: object, transforms: Any) -> None:
    """Raise ``InputError`` unless these are a scheme and transforms."""
    if not isinstance(scheme, Scheme):
        raise InputError(
            f"the scheme must be one of separatrix.dynamics, such as Extragradient(), got {_seen(scheme)}."
        )
    listed = isinstance(transforms, tuple | list)
    wrong = [t for t in transforms if not isinstance(t, Transform)] if listed else [transforms]
    if wrong:
        raise InputError(
            f"transforms must be a tuple of those of separatrix.dynamics, such as (Clip(1.0),), got {_seen(wrong[0])}."
        )


def _seen(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else repr(given)


class _Counting:
    """A field that stands still, and what its evaluations would have cost."""

    def __init__(self, seen: Field, spent: list[float]) -> None:
        self.seen, self.spent = seen, spent

    def __call__(self, at: Tensor, players: Sequence[str], draw: int) -> Mapping[str, Tensor]:
        self.spent.append(self.seen.share(None if set(players) == set(self.seen.players) else players))
        return {p: 0 * self.seen.space.take(at, p) for p in players}

    def weighted(self, factors: Mapping[str, float]) -> _Counting:
        return _Counting(self.seen.weighted(factors), self.spent)


def simulate(
    method: Method, field: Field, *, steps: int, x: Tensor | None = None, states: States | None = None, every: int = 1
) -> tuple[Tensor, States, Tensor]:
    """Run a method on a field for some steps; the field itself stays where it stands.

    Args:
        method: the method.
        field: the field; its draw is frozen, so the path is deterministic.
        steps: how many periods.
        x, states: where to start; where the field stands, with fresh states, if ``None``. Many starts ``(b, n)`` of a pure field
            are followed at once, see :func:`simulate_many`; the path is then ``(1 + steps // every, b, n)``, without states.
        every: keep every so many points.

    Returns:
        The last point, the last states, and the path ``(1 + steps // every, n)`` with the start in front.

    Raises:
        InputError: a negative number of steps, ``every`` below 1, a point of the wrong shape, or no method and field.

    Cost: ``steps`` times :meth:`Method.gradients`.
    """
    if not isinstance(method, Method) or not isinstance(field, Field):
        raise InputError(
            f"simulate takes a method and a field, got a {type(method).__name__} and a {type(field).__name__}; bind a game to "
            "data first: game.on(batch)."
        )
    check_steps(steps, every)
    if x is not None and x.ndim == 2 and states is None:
        last, paths = simulate_many(method, field, x, steps=steps, every=every)
        return last, {}, paths
    if x is not None:
        field.space.check(x)
        x = x.detach().to(field.device, field.dtype)
    if x is None or states is None:
        x, fresh = method.init(field, x)
        states = fresh if states is None else states
    path = [x.clone()]
    for step in range(1, steps + 1):
        x, states = method.step(field, x, states)
        if step % every == 0:
            path.append(x.clone())
    return x, states, torch.stack(path)
