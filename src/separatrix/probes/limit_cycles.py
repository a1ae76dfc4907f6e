"""Limit cycles of a planar field, stable and unstable ones, from return maps around its rest points.

A closed orbit encloses a rest point (Poincaré's index theorem), so it crosses every ray from that point. Orbits begun along
the ray are followed until they have gone round once; where they come back to is the return map ``P(r)``, and a cycle is a
fixed point of it. It attracts where ``|P'| < 1``: ``P'`` is its Floquet multiplier. Where orbits run away from a cycle too
fast to come round, they are followed backwards in time, in which it attracts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, inf

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.field import FunctionField
from separatrix.probes.return_maps import Box, ReturnMap

SCAN = 0.5  # steps of the first look, twice as long
PARTS = 16
CLOSED = 1e-5  # where P(r) - r is below this part of the ray, it is compared with its error
BAND = 3  # so many starts, side by side, that close up within their error are no single cycle
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
        residual: by how much the orbit fails to close after a period, followed in the direction of time in which it attracts.
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
            f"{self.radius:.6g} (within {self.radius_error:.1g}), multiplier {self._multiplier}"
        )

    @property
    def _multiplier(self) -> str:
        away = self.multiplier - 1
        if self.kind != "cycle" and abs(away) < 0.005:
            return f"1 {'-' if away < 0 else '+'} {abs(away):.2g}"
        return f"{self.multiplier:.3g}"


@dataclass(frozen=True, eq=False)
class CycleSearch:
    """What a search for cycles found.

    Attributes:
        cycles: by radius.
        families: rest points around which orbits close up as far as can be told, so that none is isolated, ``(k, 2)``.
        family_errors: what these orbits may miss by in a turn, in parts of the ray: ``(k,)``. A slower drift is not seen.
        given_up: orbits, of all that were followed around other points than those, for which the steps did not suffice: in a stiff
            field, or where they stay near a saddle. Cycles may be missed there.
        evaluations: of the field or its derivative, by batches of orbits.
    """

    cycles: tuple[LimitCycle, ...]
    families: Tensor
    family_errors: Tensor
    given_up: int
    evaluations: int


def limit_cycles(field: FunctionField, centres: Sequence[Tensor], box: Box, *, starts: int = 96) -> CycleSearch:
    """The limit cycles in a box that go round one of some rest points.

    Cycles closer together than a ``starts``-th of the ray, and an even number of them between two starts (a semistable one
    too), can be missed; so can one that leaves the box.

    Args:
        field: planar and pure.
        centres: rest points that are no saddles; a cycle goes round at least one.
        box: ``((x_low, x_high), (y_low, y_high))``.
        starts: orbits along each ray.

    Raises:
        InputError: a field of another dimension, or fewer than 8 starts.

    Cost: some thousand evaluations of batches of ``starts`` points for each centre, twice that where orbits run away.
    """
    if field.space.n != 2:
        raise InputError(f"limit cycles are sought in the plane, {field.name!r} has {field.space.n} dimensions.")
    if starts < 8:
        raise InputError(f"starts must be at least 8, got {starts}.")
    found: list[LimitCycle] = []
    families: list[Tensor] = []
    errors: list[float] = []
    before = field.gradients
    forward, backward = ReturnMap(field, box), ReturnMap(field, box, sign=-1.0)
    r = (torch.arange(starts, dtype=field.dtype, device=field.device) + 0.5) / starts
    for centre in centres:
        given_up = forward.given_up
        brackets, closed, complete, finer = _brackets(forward, centre, r)
        if closed is not None:
            families.append(centre.detach().cpu())
            errors.append(closed)
            forward.given_up = given_up
            continue
        here = [_refined(forward, centre, a, b, finer) for a, b in brackets]
        if not complete or None in here:
            others, _, _, finer = _brackets(backward, centre, r)
            here += [_refined(backward, centre, a, b, finer) for a, b in others]
        kept: list[LimitCycle] = []
        for number, cycle in enumerate(here):
            # One search does not find a cycle twice.
            known = [*found, *(kept if number >= len(brackets) else [])]
            if cycle is not None and not any(_same(cycle, other) for other in known):
                kept.append(cycle)
        found += kept
    return CycleSearch(
        tuple(sorted(found, key=lambda cycle: cycle.radius)),
        torch.stack(families) if families else torch.zeros(0, 2),
        torch.tensor(errors, dtype=torch.float64),
        forward.given_up + backward.given_up,
        int(field.gradients - before),
    )


def _brackets(
    search: ReturnMap, centre: Tensor, r: Tensor
) -> tuple[list[tuple[float, float]], float | None, bool, int]:
    """Starts between which there is a cycle; within what all orbits close up, if they do; whether all came round; how fine
    the steps must be.
    """
    ray = search.ray(centre)
    gap, side = search.gaps(centre, ray, r, SCAN)
    noise, finer = torch.zeros_like(gap), 1
    if bool((gap.abs() < CLOSED).any()):
        finer, again = 2, torch.isfinite(gap)
        rough, _ = search.gaps(centre, ray, r[again], 1)
        gap[again], side[again] = search.gaps(centre, ray, r[again], 2)
        # Four times the error that is left after halving steps of the fourth order.
        noise[again] = (gap[again] - rough).abs() / 4 + ROUNDING + 100 * torch.finfo(r.dtype).eps
    finite = torch.isfinite(gap)
    unsure = gap.abs() <= noise
    if int(unsure.sum()) > 0.5 * int(finite.sum()) > 0:
        return [], float(noise[unsure].max()), True, finer
    known = (finite & ~unsure).nonzero()[:, 0].tolist()
    found = [
        (float(r[i]), float(r[j]))
        for i, j in pairwise(known)
        if j - i <= BAND
        and bool(finite[i:j].all())
        and bool(side[i] == side[j])
        and bool(gap[i] < 0) != bool(gap[j] < 0)
    ]
    return found, None, bool(finite.all()), finer


def _refined(search: ReturnMap, centre: Tensor, a: float, b: float, finer: int) -> LimitCycle | None:
    """The cycle between two starts, ``None`` where the map only jumps there."""
    wide, ray, c = b - a, search.ray(centre), centre.to(search.low)
    found = []
    for steps in (finer, 2 * finer):
        fixed = _fixed(search, centre, ray, a, b, steps, rounds=2)
        if fixed is None:
            return None
        # The slope from a stencil that is wide against rounding and narrow against the curvature of the map.
        width = 0.01 * wide
        r = torch.tensor([fixed - width, fixed, fixed + width], dtype=search.low.dtype, device=search.low.device)
        after, when, _ = search.returns(centre, ray, r, steps)
        back = ((after - c) @ ray) / (ray @ ray)
        if not bool(torch.isfinite(back).all()) or abs(float(back[1]) - fixed) > 1e-3 * wide:
            return None
        found.append((fixed, float(when[1]), float(back[2] - back[0]) / (2 * width)))
        # Where orbits drift slowly, what an error of the steps shifts the fixed point by is not small.
        apart = (0.05 if finer == 1 else 0.5) * wide
        a, b = fixed - apart, fixed + apart
    (rough_fixed, rough_period, rough_multiplier), (fixed, period, multiplier) = found
    rounding = max(ROUNDING, 50 * torch.finfo(search.low.dtype).eps)
    error = abs(multiplier - rough_multiplier) + 1e-6 + 4 * torch.finfo(search.low.dtype).eps / (2 * width)
    attracts = None if abs(abs(multiplier) - 1) <= error else abs(multiplier) < 1
    # Followed in the direction of time in which it attracts.
    sense = -1 if attracts is False else 1
    orbit, residual = search.orbit(c + fixed * ray, sense * period, SAMPLES)
    middle, radius = _mean_radius(orbit)
    _, rough_radius = _mean_radius(search.orbit(c + rough_fixed * ray, sense * rough_period, SAMPLES // 2)[0])
    if search.sign < 0:
        power, spread = search.log_multiplier(orbit, period)
        multiplier, error = _exp(-power), _exp(-power + spread) - _exp(-power)
        attracts = None if attracts is None else not attracts
        sense = -sense
    if sense < 0:  # in the direction of motion, whatever was followed
        orbit = torch.cat([orbit[:1], orbit[1:].flip(0)])
    return LimitCycle(
        "cycle" if attracts is None else "stable cycle" if attracts else "unstable cycle",
        middle.cpu(),
        period,
        abs(period - rough_period) + rounding * period,
        radius,
        abs(radius - rough_radius) + rounding * radius,
        multiplier,
        error,
        residual,
        orbit.cpu(),
    )


def _fixed(search: ReturnMap, centre: Tensor, ray: Tensor, a: float, b: float, finer: int, rounds: int) -> float | None:
    """Where ``P(r) = r`` between two starts, by cutting the bracket in parts and then along the chord."""
    for _ in range(rounds):
        r = torch.linspace(a, b, PARTS + 1, dtype=search.low.dtype, device=search.low.device)
        gap, side = search.gaps(centre, ray, r, finer)
        both = ((gap[:-1] * gap[1:] <= 0) & (side[:-1] == side[1:])).nonzero()[:, 0]
        if len(both) == 0:
            return None
        i = int(both[0])
        a, b = float(r[i]), float(r[i + 1])
        at_a, at_b = float(gap[i]), float(gap[i + 1])
    return a + (b - a) * (at_a / (at_a - at_b) if at_a != at_b else 0.5)


def _exp(power: float) -> float:
    return exp(power) if power < 700 else inf


def _mean_radius(orbit: Tensor) -> tuple[Tensor, float]:
    middle = orbit.mean(dim=0)
    return middle, float((orbit - middle).norm(dim=1).mean())


def _same(one: LimitCycle, other: LimitCycle) -> bool:
    """Whether two cycles, found from two centres or in both directions of time, are one."""
    size = max(one.radius, other.radius)
    return (
        float((one.centre - other.centre).norm()) < 1e-3 * size + 10 * (one.radius_error + other.radius_error)
        and abs(one.radius - other.radius) < 1e-3 * size + 10 * (one.radius_error + other.radius_error)
        and abs(one.period - other.period) < 1e-3 * one.period + 10 * (one.period_error + other.period_error)
    )
