"""Thousands of trajectories at once: one method, one pure field, many starts.

Scheme, bases and transforms are the same code as everywhere else, mapped over the starts by ``torch.vmap``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.func import jvp, vjp

from separatrix.dynamics.schemes import SCHEME, Bases, States
from separatrix.errors import ComputationError, InputError
from separatrix.fields import Field
from separatrix.fields.field import FunctionField, Rows
from separatrix.fields.pure import pure
from separatrix.fields.space import Space

if TYPE_CHECKING:
    from separatrix.dynamics.method import Method
    from separatrix.dynamics.transforms import Transform

Function = Callable[[Tensor], Tensor]


def simulate_many(method: Method, field: Field, points: Tensor, *, steps: int, every: int = 1) -> tuple[Tensor, Tensor]:
    """Run a method from many points of a field at once.

    Each trajectory has states of its own and goes its own way; one that leaves the finite numbers stays there, as NaN or
    infinity, and does not disturb the others. The field is not moved.

    Args:
        method: no scheme that solves equations or decides by the values that it meets.
        field: a :class:`FunctionField`, or a game whose losses are plain functions, see :func:`separatrix.fields.pure`.
        points: ``(b, n)``.
        steps: periods, for all alike.
        every: keep every so many points.

    Returns:
        The last points ``(b, n)``, and the paths ``(1 + steps // every, b, n)`` with the starts in front.

    Raises:
        InputError: points of another shape, a number of steps below 0, losses or a method that cannot be mapped over
            points; use ``simulate`` point by point for those.

    Cost: ``steps`` times :meth:`Method.gradients` for each point; memory for the points kept.

    Example:
        >>> from separatrix.dynamics import SGD, Method
        >>> rotation = FunctionField(lambda x: torch.stack([-x[1], x[0]]), torch.zeros(2))
        >>> last, paths = simulate_many(Method(SGD(0.5)), rotation, torch.eye(2), steps=1)
        >>> last.tolist()
        [[1.0, 0.5], [-0.5, 1.0]]
    """
    check_steps(steps, every)
    if points.ndim != 2 or points.shape[1] != field.space.n or not len(points):
        raise InputError(f"points must be (b, {field.space.n}) for this field, got shape {tuple(points.shape)}.")
    seen = pure(field)
    space, bases = seen.space, method.bases_for(seen.players)
    method.scheme.check(seen.players)
    for transform in method.transforms:
        transform.check(seen.players)
    evaluate = _Evaluation(field, seen, method.transforms)
    constants: Mapping[str, Mapping[str, Any]] = {}
    owners: list[tuple[str, str]] = []

    def begin(x: Tensor) -> tuple[Tensor, ...]:
        states: States = {p: bases[p].init(space.take(x, p)) for p in seen.players}
        if memory := method.scheme.memory(space, x):
            states = {**states, SCHEME: memory}
        return opened(x, states)

    def step(x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        states: States = {owner: dict(rest) for owner, rest in constants.items()}
        for (owner, name), tensor in zip(owners, tensors, strict=True):
            states[owner][name] = tensor
        return opened(*method.scheme.step(evaluate, bases, space, x, states))

    def opened(x: Tensor, states: States) -> tuple[Tensor, ...]:
        nonlocal constants, owners
        owners = [(o, k) for o, state in states.items() for k, v in state.items() if isinstance(v, Tensor)]
        constants = {o: {k: v for k, v in s.items() if not isinstance(v, Tensor)} for o, s in states.items()}
        return (x, *(states[o][k] for o, k in owners))

    if not method.scheme.solves:
        _prepare(evaluate, method, bases, seen)
    # A copy each: what a base begins with may be a view of the point.
    found = tuple(t.clone() for t in torch.vmap(begin)(points.detach().to(seen.device, seen.dtype)))
    path = [found[0]]
    for number in range(1, steps + 1):
        try:
            with torch.no_grad():
                found = torch.vmap(step)(*found)
        except RuntimeError as error:
            raise InputError(
                f"{method.scheme.name} cannot be mapped over many points ({error}): it decides by the values that it meets. "
                "Simulate point by point: simulate(method, field, x=point, steps=...)."
            ) from error
        except (AttributeError, ComputationError) as error:
            raise InputError(
                f"{method.scheme.name} solves an equation in every step and cannot be mapped over many points; simulate point by "
                "point: simulate(method, field, x=point, steps=...)."
            ) from error
        if number % every == 0:
            path.append(found[0])
    field.gradients += steps * method.gradients(field) * len(points)
    return found[0], torch.stack(path)


def check_steps(steps: int, every: int) -> None:
    """Whether they are whole numbers, and large enough."""
    if int(steps) != steps or int(every) != every or steps < 0 or every < 1:
        raise InputError(
            "steps and every must be whole numbers, steps must not be negative and every at least 1, got "
            f"steps={steps}, every={every}."
        )


def _prepare(evaluate: _Evaluation, method: Method, bases: Bases, seen: FunctionField) -> None:
    """Make the functions of all fields that a cycle evaluates, those with other factors of their terms too.

    A function is compared with its field when it is made, which cannot be done while it is mapped over points.
    """
    x, states = seen.point, {p: bases[p].init(seen.space.take(seen.point, p)) for p in seen.players}
    for _ in range(method.scheme.cycle):
        x, states = method.scheme.step(_Preparation(evaluate), bases, seen.space, x, states)


class _Preparation:
    """A field that stands still, and passes on which terms it is asked for."""

    def __init__(self, evaluate: _Evaluation) -> None:
        self.evaluate = evaluate

    def __call__(self, at: Tensor, players: Sequence[str], draw: int) -> Mapping[str, Tensor]:
        return {player: 0 * self.evaluate.space.take(at, player) for player in players}

    def weighted(self, factors: Mapping[str, float]) -> _Preparation:
        return _Preparation(self.evaluate.weighted(factors))


class _Evaluation:
    """A field as schemes call it, as a pure function with its transforms."""

    def __init__(self, field: Field, seen: FunctionField, transforms: Sequence[Transform]) -> None:
        self.field, self.transforms, self.space = field, transforms, seen.space
        self.function = transformed(seen, transforms)
        self._weighted: dict[tuple[tuple[str, float], ...], _Evaluation] = {}

    def __call__(self, at: Tensor, players: Sequence[str], draw: int) -> Mapping[str, Tensor]:
        v = self.function(at)
        return {player: self.space.take(v, player) for player in players}

    def weighted(self, factors: Mapping[str, float]) -> _Evaluation:
        key = tuple(sorted(factors.items()))
        if key not in self._weighted:
            field = self.field.weighted(factors)
            self._weighted[key] = _Evaluation(field, pure(field), self.transforms)
        return self._weighted[key]


def transformed(field: FunctionField, transforms: Sequence[Transform]) -> Function:
    """The field's function with transforms applied, first one first, as a pure function again."""
    function: Function = field.function
    for transform in transforms:
        function = _through(function, transform, field.space)
    return function


def _through(inner: Function, transform: Transform, space: Space) -> Function:
    def function(x: Tensor) -> Tensor:
        rows = _rows(inner(x), space)
        products = None if transform.local else PureProducts(inner, x, space)
        return _flat(transform.apply(rows, products), space)  # type: ignore[arg-type]

    return function


class PureProducts:
    """Products with the derivative of a pure function, as transforms ask for them."""

    def __init__(self, function: Function, x: Tensor, space: Space) -> None:
        self.function, self.x, self.space = function, x, space
        self.leaves = _pieces(x, space)

    def pull(self, u: Rows) -> list[Tensor]:
        """``v'^T u``."""
        return _pieces(vjp(self.function, self.x)[1](_flat(u, self.space))[0], self.space)

    def pull_and_push(self, u: Rows, w: Sequence[Tensor]) -> tuple[list[Tensor], Rows]:
        """``v'^T u`` and ``v' w``."""
        pushed = jvp(self.function, (self.x,), (torch.cat([piece.reshape(-1) for piece in w]),))[1]
        rows = _rows(pushed, self.space)
        return self.pull(u), {key: rows[key] for key in u}


def _pieces(v: Tensor, space: Space) -> list[Tensor]:
    return [v[e.offset : e.offset + e.numel].view(e.shape) for e in space.entries]


def _rows(v: Tensor, space: Space) -> Rows:
    return {(e.owners[0], i): piece for i, (e, piece) in enumerate(zip(space.entries, _pieces(v, space), strict=True))}


def _flat(rows: Rows, space: Space) -> Tensor:
    """The flat vector of some rows, zero where there is none."""
    some = next(iter(rows.values()))
    keys = [(e.owners[0], i, e.shape) for i, e in enumerate(space.entries)]
    return torch.cat([rows.get((p, i), some.new_zeros(shape)).reshape(-1) for p, i, shape in keys])
