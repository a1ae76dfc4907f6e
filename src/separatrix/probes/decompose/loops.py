"""Circulation of a field around a circle.

On a circle the trapezoidal rule converges faster than any power for a smooth field; doubling the points gives the error. By
Stokes the circulation is the flux of the curl through the disc. Where the two disagree, or the field jumps between
neighbouring points of loop or disc, something discontinuous lies inside: that is said, and the circulation withheld.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import Field
from separatrix.probes.decompose.along_paths import Jump, find_jump
from separatrix.probes.numbers import number

# A circulation counts as found from this many errors on.
SURE = 5.0
# By Stokes something singular lies inside where circulation and curl differ by that share of the largest possible, too.
SINGULAR = 1e-2


@dataclass(frozen=True)
class Circulation:
    """``Gamma``, the integral of ``v . dx`` once around a circle.

    Attributes:
        value: NaN where the field is discontinuous on the circle or inside.
        error: estimated, of the quadrature and of rounding.
        relative: ``|Gamma| / (length rms |v - mean v|)``, between 0 and 1; 1 for a rigid rotation. NaN for a constant field.
        through_disc: the flux of the curl through the disc, and its error; ``None`` where not looked at.
        plane: orthonormal ``(2, n)``.
        jump: a discontinuity found, ``None`` elsewhere; where only Stokes' theorem fails its place is the disc's centre.
        gradients: spent.
        status: one sentence.
    """

    value: float
    error: float
    relative: float
    through_disc: tuple[float, float] | None
    plane: Tensor
    jump: Jump | None
    gradients: float
    status: str

    @property
    def sure(self) -> bool:
        """The circulation exceeds its error ``SURE`` times."""
        return not math.isnan(self.value) and abs(self.value) > SURE * self.error


def circulation(
    field: Field,
    centre: Tensor,
    plane: Tensor,
    radius: float,
    *,
    tol: float = 1e-6,
    max_points: int = 256,
    rings: int = 4,
) -> Circulation:
    """The circulation around a circle, anticlockwise from ``plane[0]`` to ``plane[1]``.

    Args:
        field: the field, its draw frozen.
        centre: ``(n,)``.
        plane: two independent directions, ``(2, n)``; orthonormalised.
        radius: of the circle.
        tol: error wanted, relative to the largest circulation that such a field could have.
        max_points: on the circle.
        rings: circles inside on which the curl is looked at, by central differences; 0 for not looking inside.

    Raises:
        InputError: directions that span no plane, or a radius that is not positive.

    Cost: 16 to ``max_points`` gradients on the circle, 48 a ring inside, and 30 where a jump is chased.
    """
    axes = _orthonormal(plane, field)
    if not radius > 0:
        raise InputError(f"radius must be positive, got {radius}.")
    spent = field.gradients
    loop = _Loop(field, centre.detach().to(field.device, field.dtype), axes, radius)

    def record(
        value: float, error: float, relative: float, disc: tuple[float, float] | None, jump: Jump | None, status: str
    ) -> Circulation:
        return Circulation(value, error, relative, disc, axes.double(), jump, field.gradients - spent, status)

    def doubled(angles: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        finer = _angles(2 * len(angles))
        between = loop.values(finer[1::2])
        return finer, torch.stack([values, between], dim=1).reshape(len(finer), -1)

    try:
        angles = _angles(16)
        values = loop.values(angles)
        value, error, enough = loop.integral(angles, values), math.inf, False
        while not enough:
            previous = value
            angles, values = doubled(angles, values)
            value, size = loop.integral(angles, values), loop.size(values)
            error = abs(value - previous)
            enough = error <= tol * size * loop.length or 2 * len(angles) > max_points
    except NonFiniteError as problem:
        return record(math.nan, math.nan, math.nan, None, Jump(loop.centre.double(), math.inf), f"{problem}")
    error += loop.rounding(size)
    jump = loop.jump_on(angles, values, size)
    if jump is not None:
        return record(math.nan, math.nan, math.nan, None, jump, _said(jump, "on the loop"))
    disc = None
    if rings:
        try:
            disc = loop.flux_of_curl(rings, size)
            jump = loop.jump_inside(rings, size)
            # Two rules may agree by chance on a field that turns faster than their points show.
            while jump is None and 2 * len(angles) <= max_points and _apart(value, error, disc, size * loop.length):
                previous = value
                angles, values = doubled(angles, values)
                value, size = loop.integral(angles, values), loop.size(values)
                error = abs(value - previous) + loop.rounding(size)
        except NonFiniteError:
            jump = Jump(loop.centre.double(), math.inf)
        if disc is not None and jump is None and _apart(value, error, disc, size * loop.length):
            jump = Jump(loop.centre.double(), math.inf)
            gap = f"circulation {number(value)} against {number(disc[0])} from the curl inside"
            return record(
                math.nan,
                math.nan,
                math.nan,
                disc,
                jump,
                f"Something singular lies inside the loop: {gap}; or the field turns faster than {len(angles)} points show.",
            )
        if jump is not None:
            return record(math.nan, math.nan, math.nan, disc, jump, _said(jump, "inside the loop"))
    varying = float((values - values.mean(0)).square().sum(1).mean().sqrt()) * loop.length
    relative = abs(value) / varying if varying > 0 else math.nan
    status = f"Circulation {number(value)} with an error of about {number(error, 1)}."
    return record(value, error, relative, disc, None, status)


def _apart(value: float, error: float, disc: tuple[float, float], largest: float) -> bool:
    """Whether Stokes' theorem fails beyond both errors; on a smooth field quadrature errs, too."""
    return abs(disc[0] - value) > max(SURE * (disc[1] + error), SINGULAR * largest)


class _Loop:
    """A circle in a plane of the field's space."""

    def __init__(self, field: Field, centre: Tensor, axes: Tensor, radius: float) -> None:
        self.field, self.centre, self.axes, self.radius = field, centre, axes, radius
        self.length = 2 * math.pi * radius

    def at(self, angles: Tensor, share: float = 1.0) -> Tensor:
        turned = torch.stack([angles.cos(), angles.sin()], dim=1).to(self.axes)
        return self.centre + share * self.radius * turned @ self.axes

    def values(self, angles: Tensor, share: float = 1.0) -> Tensor:
        return self.field(self.at(angles, share)).double()

    def integral(self, angles: Tensor, values: Tensor) -> float:
        tangents = torch.stack([-angles.sin(), angles.cos()], dim=1) @ self.axes.double().cpu()
        return float((values.cpu() * tangents).sum(1).mean()) * self.length

    def size(self, values: Tensor) -> float:
        return float(values.square().sum(1).mean().sqrt())

    def rounding(self, size: float) -> float:
        """Of float32 fields mostly: each value errs by some eps of its size, at random."""
        return 4 * torch.finfo(self.field.dtype).eps * size * self.length

    def jump_on(self, angles: Tensor, values: Tensor, size: float) -> Jump | None:
        changes = (values.roll(-1, 0) - values).norm(dim=1)
        if float(changes.max()) <= 0.1 * size:
            return None
        i = int(changes.argmax())
        ends = self.at(torch.stack([angles[i], angles[i] + 2 * math.pi / len(angles)]))
        return find_jump(self.field, ends[0], ends[1], size)

    def jump_inside(self, rings: int, size: float) -> Jump | None:
        """Along spokes from the centre outwards: the step with the largest change."""
        spokes = _angles(8) + 0.1
        shares = [k / (2 * rings) for k in range(2 * rings + 1)]
        grid = torch.stack([self.values(spokes, s) for s in shares])
        changes = grid.diff(dim=0).norm(dim=2)
        if float(changes.max()) <= 0.1 * size:
            return None
        k, j = divmod(int(changes.argmax()), len(spokes))
        a, b = (self.at(spokes[j : j + 1], s)[0] for s in shares[k : k + 2])
        return find_jump(self.field, a, b, size)

    def flux_of_curl(self, rings: int, size: float) -> tuple[float, float]:
        """Gauss-Legendre in the squared radius, equal angles; the error from half the rings."""
        found = []
        for count in (max(rings // 2, 1), rings):
            nodes, weights = _gauss(count)
            total = 0.0
            for node, weight in zip(nodes, weights, strict=True):
                angles = _angles(12) + 0.3 * node
                total += weight * float(self._curl(self.at(angles, math.sqrt(node))).mean())
            found.append(total * math.pi * self.radius**2)
        rounding = math.pi * self.radius**2 * torch.finfo(self.field.dtype).eps * size / self._step
        return found[1], abs(found[1] - found[0]) + rounding

    @property
    def _step(self) -> float:
        return self.radius * (1e-5 if self.field.dtype == torch.float64 else 1e-2)

    def _curl(self, points: Tensor) -> Tensor:
        """``d_1 v_2 - d_2 v_1`` in the plane, by central differences."""
        step = self._step
        shifts = step * self.axes
        one, two = (
            (self.field(points + s).double() - self.field(points - s).double()) / (2 * step)
            for s in (shifts[0], shifts[1])
        )
        axes = self.axes.double()
        return one @ axes[1] - two @ axes[0]


def _orthonormal(plane: Tensor, field: Field) -> Tensor:
    if plane.shape != (2, field.space.n):
        raise InputError(f"a plane is two directions, (2, {field.space.n}), got {tuple(plane.shape)}.")
    a, b = plane.detach().double()
    first = a / a.norm()
    second = b - (b @ first) * first
    if not float(second.norm()) > 1e-8 * float(b.norm()):
        raise InputError("the two directions of a plane must be independent; one is a multiple of the other.")
    second = second / second.norm()
    second = second - (second @ first) * first
    return torch.stack([first, second / second.norm()]).to(field.device, field.dtype)


def _angles(count: int) -> Tensor:
    return 2 * math.pi * torch.arange(count, dtype=torch.float64) / count


def _gauss(count: int) -> tuple[list[float], list[float]]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return ((nodes + 1) / 2).tolist(), (weights / 2).tolist()


def _said(jump: Jump, where: str) -> str:
    how = "has no finite value" if math.isinf(jump.size) else f"jumps by {number(jump.size)}"
    return f"The field {how} {where}, so its circulation says nothing about a curl and was not computed."
