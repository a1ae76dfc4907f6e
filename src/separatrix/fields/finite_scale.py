"""What a field does over a step of finite length, beside its derivative.

For piecewise-linear networks the derivative holds in one linear piece, and a training step crosses many: the two differ by
as much as they are large. Field sign: ``v`` points in the direction of motion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.jacobian import Jacobian


@dataclass(frozen=True)
class FiniteScale:
    """``(v(x + h u) - v(x - h u)) / 2h`` for a unit vector ``u``, beside ``J u``.

    It is a measurement along one direction and no operator: it is not linear in ``u``, so it has no eigenvalues, and no
    solver takes it.

    Attributes:
        value: the difference quotient, ``(n,)``.
        derivative: ``J u``, ``(n,)``.
        step_length: ``h``, in units of the parameters.
        gap: their distance over the larger of their norms, between 0 and 2; its error is ``noise``.
        gaps: the same for each player's rows.
        bend: ``|v(x + h u) + v(x - h u) - 2 v(x)| / 2h`` over the same norm: how far a step there and a step back differ.
        noise: what rounding alone can make of the gap.
        status: ``agrees`` (the gap is at most the tolerance), ``differs``, or ``rounding`` (the noise exceeds the tolerance,
            so nothing is said about this scale).
    """

    value: Tensor
    derivative: Tensor
    step_length: float
    gap: float
    gaps: Mapping[str, float]
    bend: float
    noise: float
    status: str

    def __str__(self) -> str:
        players = ", ".join(f"{player} {gap:.2g}" for player, gap in self.gaps.items())
        return (
            f"over a step of {self.step_length:.3g} the field's change {_WORDS[self.status]}: gap {self.gap:.2g} +- "
            f"{self.noise:.1g} ({players}), bend {self.bend:.2g}"
        )


_WORDS = {
    "agrees": "is that of its derivative",
    "differs": "is not that of its derivative",
    "rounding": "is lost in rounding",
}


def finite_scale(jacobian: Jacobian, direction: Tensor, *, step_length: float, tolerance: float = 0.1) -> FiniteScale:
    """How the field changes over a step of a stated length, and how far that is from its derivative.

    Take the length from the training itself, the norm of one update. Where the two agree, what is read off the Jacobian
    (eigenvalues, forecasts) holds for such a step; where not, it holds for smaller ones only.

    Args:
        jacobian: of the field, at the point.
        direction: ``(n,)``, of any length but zero.
        step_length: ``h``, the length of the step to each side.
        tolerance: the gap up to which the two are said to agree.

    Raises:
        InputError: a direction of the wrong shape, zero or not finite; a length that is not positive.
        NonFiniteError: the field is not finite at the ends of the step.

    Cost: 2 gradients and one product ``J @ u``.

    Example:
        >>> from separatrix.fields import FunctionField
        >>> cubic = FunctionField(lambda x: -(x**3), torch.ones(1, dtype=torch.float64))
        >>> found = finite_scale(cubic.jacobian(), torch.ones(1, dtype=torch.float64), step_length=0.5)
        >>> round(float(found.value), 12), float(found.derivative), found.status  # -(3 + h^2)
        (-3.25, -3.0, 'agrees')
    """
    field = jacobian.field
    if not 0 < step_length < math.inf:
        raise InputError(f"step_length must be a positive finite number, got {step_length!r}.")
    field.space.check(direction)
    direction = direction.to(field.device, field.dtype)
    length = float(direction.norm())
    if not 0 < length < math.inf:
        raise InputError(f"the direction must be a finite vector other than zero; its norm is {length}.")
    u, x = direction / length, jacobian.x
    derivative = jacobian @ u
    up, down = field(x + step_length * u), field(x - step_length * u)
    here = field.assemble({player: jacobian.directions([player]) for player in field.players})
    value = (up - down) / (2 * step_length)
    size = max(float(value.norm()), float(derivative.norm()))
    # Rounding of the two values, and of the point itself, which moves by less than a unit in its last place.
    eps = torch.finfo(field.dtype).eps
    error = eps * (10 * float(here.norm()) + float(x.norm()) * size) / step_length
    noise = error / size if size > 0 else 0.0
    gap = _gap(value, derivative, size)
    gaps = {p: _gap(field.space.take(value, p), field.space.take(derivative, p)) for p in field.players}
    bend = float((up + down - 2 * here).norm()) / (2 * step_length * size) if size > 0 else 0.0
    status = "rounding" if noise > tolerance else "agrees" if gap <= tolerance else "differs"
    return FiniteScale(value, derivative, step_length, gap, gaps, bend, noise, status)


def _gap(a: Tensor, b: Tensor, size: float | None = None) -> float:
    size = max(float(a.norm()), float(b.norm())) if size is None else size
    return float((a - b).norm()) / size if size > 0 else 0.0
