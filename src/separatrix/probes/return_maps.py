"""Where orbits from a ray come back to it after a turn: the return map of a planar flow, by RK4 with many orbits at once."""

from __future__ import annotations

from math import ceil, pi

import torch
from torch import Tensor

from separatrix.fields.field import FunctionField

Box = tuple[tuple[float, float], tuple[float, float]]
# Radians around the centre, shares of the box, and part of the fastest time scale that a step of RK4 may go; the error of
# the map falls as their fourth power.
ANGLE, STRIDE, STIFF = 0.08, 1 / 100, 0.5
CELLS = 192  # a side, of the grid on which time scales are known
FINER = 4  # steps along a cycle, so many times shorter than those of the map
SPIRALS = 6  # an orbit that has gone so many circles' way without coming round does not
STEPS = 40  # so many circles' steps, before a stiff orbit is given up
SWALLOWED = 1e-6  # an orbit that has come so near to the centre, in parts of the ray, does not come round any more
STILL = 1e-6  # nor does one that has become so slow


class ReturnMap:
    """Orbits of a field, of dimension 2 and pure, that go round a centre.

    Args:
        field: its evaluations are counted.
        box: orbits are given up where they are farther outside than half of it.
        sign: -1 for the field run backwards in time.

    Attributes:
        given_up: orbits for which the steps did not suffice.
    """

    def __init__(self, field: FunctionField, box: Box, sign: float = 1.0) -> None:
        self.field, self.sign = field, sign
        self.low, self.high = (
            torch.tensor(side, dtype=field.dtype, device=field.device) for side in zip(*box, strict=True)
        )
        self.size = float((self.high - self.low).norm())
        self.value = torch.vmap(field.function)
        self.slope = torch.vmap(torch.func.jacrev(field.function))
        self.rates = self._rates()
        self.given_up = 0

    def _rates(self) -> Tensor:
        """The size of the derivative, the largest nearby, on cells of the box and its margins, ``(CELLS, CELLS)``."""
        steps = (torch.arange(CELLS, dtype=self.low.dtype, device=self.low.device) + 0.5) / CELLS
        side = self.high - self.low
        x = self.low - 0.5 * side + 2 * side * torch.cartesian_prod(steps, steps)
        self.field.gradients += 1
        found = torch.linalg.matrix_norm(self.slope(x).detach()).nan_to_num(0.0, 0.0, 0.0).clamp(min=1e-30)
        return torch.nn.functional.max_pool2d(found.reshape(1, CELLS, CELLS), 3, stride=1, padding=1)[0]

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
        turned, time, gone = torch.zeros_like(r), torch.zeros_like(r), torch.zeros_like(r)
        ends, when, side = torch.full_like(x, torch.nan), torch.full_like(r, torch.nan), torch.zeros_like(r)
        going = torch.ones_like(r, dtype=torch.bool)
        margin = 0.5 * (self.high - self.low)
        near, still = SWALLOWED * float(ray.norm()), STILL * self.v(x).norm(dim=1)
        for _ in range(int(STEPS * finer * 2 * pi / ANGLE)):
            if not bool(going.any()):
                break
            here, v = x[going], self.v(x[going])
            speed = v.norm(dim=1).clamp(min=1e-300)
            reach = torch.minimum(ANGLE * (here - c).norm(dim=1), torch.full_like(speed, STRIDE * self.size))
            dt = torch.minimum(reach / speed, STIFF / self.rate(here)) / finer
            there = self.step(here, dt, v)
            angle = turned[going] + _angle(here - c, there - c)
            around = angle.abs() >= 2 * pi
            if bool(around.any()):
                dt_last, last = self.last(here[around], dt[around], v[around], c, turned[going][around])
                place = going.nonzero()[:, 0][around]
                ends[place], when[place], side[place] = last, time[place] + dt_last, angle[around].sign()
            time[going] += dt
            gone[going] += dt * speed / reach
            turned[going] = angle
            x[going] = there
            lost = ~torch.isfinite(there).all(dim=1) | ((there - c).norm(dim=1) < near)
            lost |= (speed < still[going]) | (gone[going] > SPIRALS * 2 * pi / ANGLE)
            lost |= ((there < self.low - margin) | (there > self.high + margin)).any(dim=1)
            going[going.nonzero()[:, 0][around | lost]] = False
        self.given_up += int(going.sum())
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

    def orbit(self, start: Tensor, period: float, samples: int) -> tuple[Tensor, float]:
        """Points at equal times over a period, and the distance by which the orbit fails to close; backwards for a negative period."""
        x, points = start[None], []
        for _ in range(samples):
            points.append(x[0])
            parts = max(1, ceil(min(abs(period) / samples * float(self.rate(x)) * FINER / STIFF, 1e4)))
            dt = torch.full((1,), period / samples / parts, dtype=x.dtype, device=x.device)
            for _ in range(parts):
                x = self.step(x, dt, self.v(x))
        return torch.stack(points), float((x[0] - start).norm())

    def log_multiplier(self, orbit: Tensor, period: float) -> tuple[float, float]:
        """By Liouville's formula, the integral of the divergence over a turn; and how it changes with every second point."""
        with torch.no_grad():
            trace = self.sign * self.slope(orbit).diagonal(dim1=1, dim2=2).sum(dim=1)
        value = float(trace.mean()) * period
        return value, abs(value - float(trace[::2].mean()) * period)

    def v(self, x: Tensor) -> Tensor:
        self.field.gradients += 1
        with torch.no_grad():
            found: Tensor = self.sign * self.value(x)
        return found

    def rate(self, x: Tensor) -> Tensor:
        """The inverse of the fastest time scale near some points."""
        side = self.high - self.low
        cell = ((x - self.low + 0.5 * side) / (2 * side) * CELLS).nan_to_num(0.0).long().clamp(0, CELLS - 1)
        return self.rates[cell[:, 0], cell[:, 1]]

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
