"""The path angle: along the straight line through an end point, does the field point to it, past it, or across?

With ``x(a) = start + a (end - start)`` it is the cosine between the field ``v(x(a))`` and ``end - start``
[berard2020]. Field sign: a potential's minimum at ``a = 1`` shows a *switch* from +1 to -1; a rotation about a point
beside the line shows a *bump* where the line passes it. On a line through the very centre of a pure rotation the field is
across everywhere and nothing switches: the sentence says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields import Field

# A switch or a bump below this is called none; the middle of the line is where both are looked for.
CLEAR = 0.1


@dataclass(frozen=True)
class PathAngle:
    """Cosines and lengths along the line.

    Attributes:
        alphas: where, ``(m,)``; 0 is the start, 1 the end.
        cosines: ``cos(v(x(a)), end - start)``, ``(m,)``; NaN where the field is zero.
        lengths: ``|v(x(a))|``, ``(m,)``.
        switch: ``(before - after) / 2`` with the mean cosines on both sides of the end: 1 for an attracting minimum, -1
            for a maximum.
        bump: how far the cosine goes, near the end, beyond its mean values on both sides, with its sign.
        label: ``attraction``, ``repulsion``, ``rotation``, ``attraction and rotation``, ``repulsion and rotation`` or
            ``neither``; a switch counts from ``CLEAR`` = 0.1 on, a bump too.
        gradients: spent.
    """

    alphas: Tensor
    cosines: Tensor
    lengths: Tensor
    switch: float
    bump: float
    label: str
    gradients: float

    @property
    def sentence(self) -> str:
        if float(self.cosines.abs().nanmean()) < CLEAR:
            return (
                "Along the line through the end point the field is across the line on both sides of the end (mean |cosine| "
                f"{float(self.cosines.abs().nanmean()):.2f}): it points neither to the end nor away from it. A rotation about the very "
                "end looks like that, and so does a field that has nothing to do with the line."
            )
        label = "neither attraction nor rotation" if self.label == "neither" else self.label
        return (
            f"Along the line through the end point the field shows {label} (switch {self.switch:+.2f}, bump "
            f"{self.bump:+.2f}; a pure minimum has switch +1 and no bump)."
        )


def path_angle(
    field: Field, start: Tensor, end: Tensor | None = None, *, alphas: Tensor | None = None, reach: float = 0.2
) -> PathAngle:
    """The path angle of a segment.

    The end should be a point that training came to; nothing is assumed of it. The sides are what lies farther than
    ``reach / 2`` from the end within ``reach``; the bump is looked for within ``reach / 2``.

    Args:
        field: the field.
        start: where the line begins, ``(n,)``, for instance the initial parameters.
        end: the point in question; where the field stands if ``None``.
        alphas: rising places on the line; 61 from ``1 - reach`` to ``1 + reach`` where ``None``.
        reach: how far around the end is looked, as a share of the segment.

    Raises:
        InputError: points of another shape, start and end alike, or alphas that leave one side of the end empty.

    Cost: one gradient a place.

    References: [berard2020]; they use the cost field, whose cosine has the other sign.
    """
    end = field.point if end is None else end
    for point in (start, end):
        field.space.check(point)
    line = (end - start).to(field.device, field.dtype)
    length = float(line.double().norm())
    if length == 0:
        raise InputError("start and end of the path are the same point; give two points that training went through.")
    places = torch.linspace(1 - reach, 1 + reach, 61, dtype=torch.float64) if alphas is None else alphas.double()
    near = (places - 1).abs() <= reach / 2
    before, after = places < 1 - reach / 2, places > 1 + reach / 2
    if not (bool(before.any()) and bool(after.any()) and bool(near.any())):
        raise InputError(
            f"alphas must lie on both sides of the end (1) and near it: below {1 - reach / 2:g}, within, and above "
            f"{1 + reach / 2:g}; got {places.min():g} to {places.max():g}."
        )
    spent = field.gradients
    values = [field(start.to(line) + float(a) * line).double() for a in places]
    lengths = torch.stack([v.norm() for v in values])
    inner = torch.stack([v @ line.double() for v in values])
    cosines = torch.where(lengths > 0, inner / (lengths * length).clamp(min=1e-300), torch.nan)
    low, high = cosines[before].nanmean(), cosines[after].nanmean()
    # Values between those of the sides belong to the switch.
    beyond = (cosines[near] - cosines[near].clamp(torch.minimum(low, high), torch.maximum(low, high))).nan_to_num(0.0)
    bump = float(beyond[beyond.abs().argmax()])
    switch = float((low - high) / 2)
    return PathAngle(places, cosines, lengths, switch, bump, _label(switch, bump), field.gradients - spent)


def _label(switch: float, bump: float) -> str:
    found = ["attraction"] if switch >= CLEAR else ["repulsion"] if switch <= -CLEAR else []
    if abs(bump) >= CLEAR:
        found.append("rotation")
    return " and ".join(found) or "neither"
