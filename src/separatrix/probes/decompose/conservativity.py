"""Is a field a gradient around a point? Loops that no gradient could have, and an answer that can be *undecided*."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from separatrix.fields import Field
from separatrix.probes.decompose.loops import Circulation, circulation
from separatrix.probes.numbers import number

Verdict = Literal["not a gradient", "a gradient as far as seen", "undecided"]


@dataclass(frozen=True)
class Conservativity:
    """Whether a field is a gradient around a point, on the evidence of loops.

    Attributes:
        verdict: *not a gradient*: a loop with a circulation of more than ``SURE`` errors and above the tolerance. *a
            gradient as far as seen*: every loop's circulation, error included, is below the tolerance. *undecided*: neither,
            or the field is discontinuous where it was looked at.
        largest: the largest ``relative`` circulation found.
        loops: all that was measured.
        gradients: spent.
        status: one sentence.
    """

    verdict: Verdict
    largest: float
    loops: tuple[Circulation, ...]
    gradients: float
    status: str


def conservativity(
    field: Field,
    centre: Tensor | None = None,
    radius: float = 1.0,
    *,
    planes: Sequence[Tensor] | None = None,
    loops: int = 4,
    tol: float = 1e-3,
    rings: int = 4,
    seed: int = 0,
) -> Conservativity:
    """Look for a loop that a gradient could not have.

    In high dimension a random plane shows next to nothing of a rotation, so where no planes are given the second direction
    of each is ``(J - J^T) u`` for the first, random direction ``u``: the plane in which the field turns most against ``u``.

    Args:
        field: the field, its draw frozen.
        centre: of the circles; where the field stands if ``None``.
        radius: of the circles: the scale at which it is asked.
        planes: instead of these ones; each ``(2, n)``.
        loops: how many planes.
        tol: relative circulation that counts as none.
        rings: as in :func:`circulation`.
        seed: of the random directions.

    Raises:
        UnsupportedOperatorError: the field has no Jacobian (give ``planes``).

    Cost: that of the circulations, and about 35 gradients for the Jacobian.
    """
    centre = field.point if centre is None else centre
    field.space.check(centre)
    spent = field.gradients
    if field.space.n < 2:
        status = "A field of one coordinate is always a gradient."
        return Conservativity("a gradient as far as seen", 0.0, (), 0.0, status)
    planes = _turning_planes(field, centre, loops, seed) if planes is None else planes
    found = tuple(circulation(field, centre, plane, radius, tol=tol / 10, rings=rings) for plane in planes)
    verdict, status = _judge(found, tol)
    known = [c.relative for c in found if not math.isnan(c.relative)]
    return Conservativity(verdict, max(known, default=math.nan), found, field.gradients - spent, status)


def _judge(found: tuple[Circulation, ...], tol: float) -> tuple[Verdict, str]:
    turning = [c for c in found if c.sure and c.relative > tol]
    if turning:
        worst = max(turning, key=lambda c: c.relative)
        return "not a gradient", (
            f"Around one loop the circulation is {number(worst.value)} +- {number(worst.error, 1)}, {worst.relative:.1%} of what "
            "a rigid rotation would have: no potential has that."
        )
    jumps = [c for c in found if c.jump is not None]
    if jumps:
        return "undecided", f"On {len(jumps)} of {len(found)} loops nothing was concluded. {jumps[0].status}"
    small = [c for c in found if math.isnan(c.relative) or _upper(c) <= tol]
    if len(small) == len(found):
        return (
            "a gradient as far as seen",
            f"No circulation above {tol:g} of a rigid rotation's around {len(found)} loops.",
        )
    return "undecided", (
        f"On {len(found) - len(small)} of {len(found)} loops the circulation cannot be told from its error; use float64, or "
        "another radius."
    )


def _upper(c: Circulation) -> float:
    """The relative circulation with its error."""
    return c.relative * (1 + 3 * c.error / abs(c.value)) if c.value else (0.0 if c.error == 0 else math.inf)


def _turning_planes(field: Field, centre: Tensor, count: int, seed: int) -> list[Tensor]:
    turning = field.jacobian(centre).antisym
    generator = torch.Generator().manual_seed(seed)
    planes = []
    for _ in range(count):
        u = torch.randn(field.space.n, generator=generator, dtype=torch.float64).to(field.device, field.dtype)
        w = turning @ u
        # Rounding decides the direction where nothing turns; a random one does as well then.
        if float(w.norm()) <= 1e-10 * float(u.norm()):
            w = torch.randn(field.space.n, generator=generator, dtype=torch.float64).to(u)
        planes.append(torch.stack([u, w]))
    return planes
