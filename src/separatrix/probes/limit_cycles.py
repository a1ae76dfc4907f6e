"""Limit cycles of a planar field, stable and unstable ones, from return maps around its rest points.

A closed orbit encloses a rest point (Poincaré's index theorem), so it crosses every ray from that point. Orbits begun along
the ray are followed until they have gone round once; where they come back to is the return map ``P(r)``, and a cycle is a
fixed point of it. It attracts where ``|P'| < 1``: ``P'`` is its Floquet multiplier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.field import FunctionField

Box = tuple[tuple[float, float], tuple[float, float]]
# Radians around the centre, and shares of the box, that a step of RK4 may go; the error of the map falls as their fourth power.
ANGLE, STRIDE = 0.08, 1 / 100
SCAN = 0.5  # steps of the first look, twice as long
TURNS = 6  # so many times the steps of a circle, before an orbit is given up
PARTS = 16
CLOSED = 1e-5  # P(r) - r below this part of the ray counts as zero in the first look
SAMPLES = 256
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class LimitCycle:
    """An isolated closed orbit.

    Attributes:
        kind: ``stable cycle``, ``unstable cycle``, or ``cycle`` where the multiplier is 1 within its error.
        centre: mean point over a period, ``(2,)``.
        period, period_error: in units of the flow's time; errors are the changes when steps are halved.
        radius, radius_error: mean distance, in time, from the centre.
        multiplier, multiplier_error: by which a turn multiplies a small distance from the cycle.
        residual: by how much the orbit fails to close after a period.
        orbit: ``(m, 2)``, at equal times.
    """

    kind: str
    centre: Tensor
    period: float
    period_error: float
    radius: float
    radius_error: float
    multiplier: float
    multiplier_error: float
    residual: float
    orbit: Tensor

    @property
    def sentence(self) -> str:
        x, y = (round(c, 6) + 0.0 for c in self.centre.tolist())
        return (
            f"{self.kind} around ({x:.3g}, {y:.3g}), period {self.period:.6g} (within {self.period_error:.1g}), mean radius "
            f"{self.radius:.6g} (within {self.radius_error:.1g}), multiplier {self.multiplier:.3g}"
        )


@dataclass(frozen=True, eq=False)
class CycleSearch:
    """What a search for cycles found.

    Attributes:
        cycles: by radius.
        families: rest points around which all orbits close up, so that none is isolated, ``(k, 2)``.
        evaluations: of the field, by batches of orbits.
    """

    cycles: tuple[LimitCycle, ...]
    families: Tensor
    evaluations: int


def limit_cycles(field: FunctionField, centres: Sequence[Tensor], box: Box, *, starts: int = 96) -> CycleSearch:
    """The limit cycles in a box that go round one of some rest points.

    Cycles closer together than a ``starts``-th of the ray, and an even number of them between two starts, can be missed;
    so can one that leaves the box.

    Args:
        field: planar and pure.
        centres: rest points that are no saddles; a cycle goes round at least one.
        box: ``((x_low, x_high), (y_low, y_high))``.
        starts: orbits along each ray.

    Raises:
        InputError: a field of another dimension, or fewer than 8 starts.

    Cost: some thousand evaluations of batches of ``starts`` points for each centre.
    """
    if field.space.n != 2:
        raise InputError(f"limit cycles are sought in the plane, {field.name!r} has {field.space.n} dimensions.")
    if starts < 8:
        raise InputError(f"starts must be at least 8, got {starts}.")
    found: list[LimitCycle] = []
    families: list[Tensor] = []
    before = field.gradients
    search = _Search(field, box)
    for centre in centres:
        ray = search.ray(centre)
        r = (torch.arange(starts, dtype=field.dtype, device=field.device) + 0.5) / starts
        gap, side = search.gaps(centre, ray, r, SCAN)
        if int((gap.abs() < CLOSED).sum()) > 0.5 * int(torch.isfinite(gap).sum()) > 0:
            families.append(centre.detach().cpu())
            continue
        both = (gap[:-1] * gap[1:] < 0) & (side[:-1] == side[1:])
        for i in both.nonzero()[:, 0].tolist():
            cycle = search.refined(centre, ray, float(r[i]), float(r[i + 1]))
            if cycle is not None and not any(_same(cycle, other, search.size) for other in found):
                found.append(cycle)
    return CycleSearch(
        tuple(sorted(found, key=lambda cycle: cycle.radius)),
        torch.stack(families) if families else torch.zeros(0, 2),
        int(field.gradients - before),
    )


class _Search:
    def __init__(self, field: FunctionField, box: Box) -> None:
        self.field = field
        self.low, self.high = (
            torch.tensor(side, dtype=field.dtype, device=field.device) for side in zip(*box, strict=True)
        )
        self.size = float((self.high - self.low).norm())
        self.value = torch.vmap(field.function)

    def ray(self, centre: Tensor) -> Tensor:
        """The longest way from the centre to the border, along an axis."""
        c = centre.to(self.low)
        room = torch.cat([self.high - c, c - self.low])
        way = int(room.argmax())
        ray = torch.zeros_like(c)
        ray[way % 2] = float(room[way]) * (1 if way < 2 else -1)
        return ray

    def gaps(self, centre: Tensor, ray: Tensor, r: Tensor, finer: float) -> tuple[Tensor, Tensor]:
        """``P(r) - r`` in units of the ray, NaN where an orbit does not come round; and the sense in which it goes round."""
        ends, _, side = self.returns(centre, ray, r, finer)
        back = ((ends - centre.to(ends)) @ ray) / (ray @ ray)
        return back - r, side

    def returns(self, centre: Tensor, ray: Tensor, r: Tensor, finer: float) -> tuple[Tensor, Tensor, Tensor]:
        """Where orbits from the ray are after a turn, and when."""
        c = centre.to(self.low)
        x = c + r[:, None] * ray
        turned, time = torch.zeros_like(r), torch.zeros_like(r)
        ends, when, side = torch.full_like(x, torch.nan), torch.full_like(r, torch.nan), torch.zeros_like(r)
        going = torch.ones_like(r, dtype=torch.bool)
        margin = 0.5 * (self.high - self.low)
        for _ in range(int(TURNS * finer * 2 * pi / ANGLE)):
            if not bool(going.any()):
                break
            here, v = x[going], self.v(x[going])
            speed = v.norm(dim=1).clamp(min=1e-300)
            dt = (
                torch.minimum(ANGLE * (here - c).norm(dim=1), torch.full_like(speed, STRIDE * self.size))
                / speed
                / finer
            )
            there = self.step(here, dt, v)
            angle = turned[going] + _angle(here - c, there - c)
            around = angle.abs() >= 2 * pi
            if bool(around.any()):
                dt_last, last = self.last(here[around], dt[around], v[around], c, turned[going][around])
                place = going.nonzero()[:, 0][around]
                ends[place], when[place], side[place] = last, time[place] + dt_last, angle[around].sign()
            time[going] += dt
            turned[going] = angle
            x[going] = there
            lost = ~torch.isfinite(there).all(dim=1) | ((there < self.low - margin) | (there > self.high + margin)).any(
                dim=1
            )
            going[going.nonzero()[:, 0][around | lost]] = False
        return ends, when, side

    def last(self, x: Tensor, dt: Tensor, v: Tensor, c: Tensor, turned: Tensor) -> tuple[Tensor, Tensor]:
        """The part of a step after which the turn is whole, by the secant rule."""
        low, high = torch.zeros_like(dt), torch.ones_like(dt)
        full = turned + _angle(x - c, self.step(x, dt, v) - c)
        missing = turned.abs() - 2 * pi
        over = full.abs() - 2 * pi
        part = high
        for _ in range(6):
            part = (low * over - high * missing) / (over - missing)
            value = (turned + _angle(x - c, self.step(x, part * dt, v) - c)).abs() - 2 * pi
            low, missing, high, over = (
                torch.where(value < 0, part, low),
                torch.where(value < 0, value, missing),
                torch.where(value < 0, high, part),
                torch.where(value < 0, over, value),
            )
        return part * dt, self.step(x, part * dt, v)

    def refined(self, centre: Tensor, ray: Tensor, a: float, b: float) -> LimitCycle | None:
        """The cycle between two starts, ``None`` where the map only jumps there."""
        wide = b - a
        found = []
        for finer in (1, 2):
            fixed = self.fixed(centre, ray, a, b, finer, rounds=2)
            if fixed is None:
                return None
            # The slope from a stencil that is wide against rounding and narrow against the curvature of the map.
            width = 0.01 * wide
            r = torch.tensor([fixed - width, fixed, fixed + width], dtype=self.low.dtype, device=self.low.device)
            after, when, _ = self.returns(centre, ray, r, finer)
            back = ((after - centre.to(after)) @ ray) / (ray @ ray)
            if not bool(torch.isfinite(back).all()) or abs(float(back[1]) - fixed) > 1e-3 * wide:
                return None
            found.append((fixed, float(when[1]), float(back[2] - back[0]) / (2 * width)))
            a, b = fixed - 0.05 * wide, fixed + 0.05 * wide
        (rough_fixed, rough_period, rough_multiplier), (fixed, period, multiplier) = found
        c = centre.to(self.low)
        orbit, residual = self.orbit(c + fixed * ray, period, SAMPLES)
        middle, radius = _mean_radius(orbit)
        _, rough_radius = _mean_radius(self.orbit(c + rough_fixed * ray, rough_period, SAMPLES // 2)[0])
        multiplier_error = abs(multiplier - rough_multiplier) + 1e-6
        kind = "cycle"
        if abs(abs(multiplier) - 1) > multiplier_error:
            kind = "stable cycle" if abs(multiplier) < 1 else "unstable cycle"
        return LimitCycle(
            kind,
            middle.cpu(),
            period,
            abs(period - rough_period) + ROUNDING * period,
            radius,
            abs(radius - rough_radius) + ROUNDING * radius,
            multiplier,
            multiplier_error,
            residual,
            orbit.cpu(),
        )

    def fixed(self, centre: Tensor, ray: Tensor, a: float, b: float, finer: int, rounds: int) -> float | None:
        """Where ``P(r) = r`` between two starts, by cutting the bracket in parts and then along the chord."""
        for _ in range(rounds):
            r = torch.linspace(a, b, PARTS + 1, dtype=self.low.dtype, device=self.low.device)
            gap, side = self.gaps(centre, ray, r, finer)
            both = ((gap[:-1] * gap[1:] <= 0) & (side[:-1] == side[1:])).nonzero()[:, 0]
            if len(both) == 0:
                return None
            i = int(both[0])
            a, b = float(r[i]), float(r[i + 1])
            at_a, at_b = float(gap[i]), float(gap[i + 1])
        return a + (b - a) * (at_a / (at_a - at_b) if at_a != at_b else 0.5)

    def orbit(self, start: Tensor, period: float, samples: int) -> tuple[Tensor, float]:
        """Points at equal times over a period, and the distance by which the orbit fails to close."""
        x = start[None]
        dt = torch.full((1,), period / samples, dtype=x.dtype, device=x.device)
        points = []
        for _ in range(samples):
            points.append(x[0])
            x = self.step(x, dt, self.v(x))
        return torch.stack(points), float((x[0] - start).norm())

    def v(self, x: Tensor) -> Tensor:
        self.field.gradients += 1
        with torch.no_grad():
            found: Tensor = self.value(x)
        return found

    def step(self, x: Tensor, dt: Tensor, k1: Tensor) -> Tensor:
        """One step of the classical Runge-Kutta method, ``dt`` for each point."""
        h = dt[:, None]
        k2 = self.v(x + h / 2 * k1)
        k3 = self.v(x + h / 2 * k2)
        k4 = self.v(x + h * k3)
        return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def _angle(before: Tensor, after: Tensor) -> Tensor:
    """The angle from one direction to another, in (-pi, pi]."""
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return torch.atan2(cross, (before * after).sum(dim=1))


def _mean_radius(orbit: Tensor) -> tuple[Tensor, float]:
    middle = orbit.mean(dim=0)
    return middle, float((orbit - middle).norm(dim=1).mean())


def _same(one: LimitCycle, other: LimitCycle, size: float) -> bool:
    """Whether two cycles, found from two centres, are one."""
    near = float(torch.cdist(one.orbit[:1], other.orbit).min())
    return near < 2 * one.radius * 2 * pi / SAMPLES + 1e-6 * size and abs(one.period - other.period) < 1e-3 * one.period
