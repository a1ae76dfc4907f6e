"""The signature picture: measured modes over the region where the running method damps them.

Field sign throughout: an equilibrium attracts on the left of the imaginary axis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from separatrix.report import regions
from separatrix.report.style import DECAY, GROW, INK, MUTED, PAPER, REGION, RULE, UNSURE

# A mode's fate is told by shape and fill as well as by colour.
MARKS: dict[str, dict[str, Any]] = {
    "decays": {"marker": "o", "mfc": DECAY, "mec": PAPER, "ms": 6.5, "mew": 0.8},
    "grows": {"marker": "D", "mfc": GROW, "mec": PAPER, "ms": 7.5, "mew": 0.8},
    "neutral": {"marker": "^", "mfc": PAPER, "mec": DECAY, "ms": 6.5, "mew": 1.4},
    "undecided": {"marker": "s", "mfc": PAPER, "mec": UNSURE, "ms": 5.5, "mew": 1.5},
    "not converged": {"marker": "x", "mfc": "none", "mec": MUTED, "ms": 6.0, "mew": 1.3},
}
DASHES: tuple[tuple[float, ...], ...] = ((5, 3), (1, 2.2), (6, 2, 1, 2))


def alternatives(section: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Other methods whose regions are outlined for comparison: name, rule and momentum."""
    rule, b = regions.rule_of(section), section["momentum"]
    others = []
    if rule == "extragradient" or b > 0:
        others.append({"name": "no momentum", "rule": "averaged", "momentum": 0.0})
    elif b == 0:
        others.append({"name": "momentum 0.5", "rule": rule, "momentum": 0.5})
    if rule != "extragradient":
        others.append({"name": "extragradient", "rule": "extragradient", "momentum": 0.0})
    return others


def near_radius(section: Mapping[str, Any]) -> float | None:
    """Half width of a window around 0 (the plane) or 1 (the disc) that shows the modes at the edge of stability.

    ``None`` where they lie far enough apart in the whole picture.
    """
    disc = section["kind"] == "disc"
    centre = 1.0 if disc else 0.0
    found = [m for m in regions.modes(section) if m.state != "not converged"]
    reach = max((abs(m.at - centre) for m in found), default=0.0)
    # In the disc the whole picture is as wide as the circle, in the plane as wide as the modes reach.
    widest = 0.5 if disc else 0.2 * reach
    close = [m for m in found if 0 < abs(m.at - centre) < (widest if disc else 0.25 * reach)]
    edge = [m for m in close if m.state != "decays"]
    edge = edge or sorted(close, key=lambda m: -abs(m.multiplier))[:4]
    radius = snap((1.3 if disc else 1.8) * max(abs(m.at - centre) for m in edge)) if edge else reach
    return radius if radius < widest else None


def snap(x: float) -> float:
    """The next of 1, 1.5, 2, 3, 5, 7, 10 ... above."""
    power = 10.0 ** math.floor(math.log10(x))
    return next(factor * power for factor in (1, 1.5, 2, 3, 5, 7, 10) if factor * power >= x * (1 - 1e-9))


def draw(section: Mapping[str, Any], ax: Axes, *, near: bool = False) -> Axes:
    """The static picture at the present setting; ``near`` magnifies the edge of stability."""
    found, disc = regions.modes(section), section["kind"] == "disc"
    if disc:
        circle = np.exp(1j * np.linspace(0, 2 * np.pi, 721))
        _region(ax, circle, "unit-circle")
    else:
        rule = regions.rule_of(section)
        _region(ax, regions.boundary(section["momentum"], rule), "running-region")
        for other, dash in zip(alternatives(section), DASHES, strict=False):
            curve = regions.boundary(other["momentum"], other["rule"])
            line = ax.plot(curve.real, curve.imag, color=MUTED, lw=0.9, ls=(0, dash), label=other["name"], zorder=2)[0]
            line.set_gid("region-" + other["name"].replace(" ", "-"))
    centre = 1.0 if disc else 0.0
    for value in (0.0, centre):
        ax.axvline(value, color=RULE, lw=0.7, zorder=0)
    ax.axhline(0, color=RULE, lw=0.7, zorder=0)
    for state, mark in MARKS.items():
        at = [m.at for m in found if m.state == state]
        if at:
            ax.plot(np.real(at), np.imag(at), ls="none", label=f"{state} ({len(at)})", zorder=4, **mark)
    if near and (radius := near_radius(section)):
        ax.set_xlim(centre - radius, centre + radius)
        ax.set_ylim(-radius, radius)
        ax.locator_params(nbins=4)
    else:
        _whole_view(section, [m.at for m in found], ax)
        if disc and (radius := near_radius(section)):
            corner = (centre - radius, -radius)
            ax.add_patch(Rectangle(corner, 2 * radius, 2 * radius, fill=False, edgecolor=MUTED, lw=0.9, zorder=5))
    ax.set_aspect("equal", adjustable="box")
    ax.set_xlabel("Re m" if disc else "Re h·λ", color=INK)
    ax.set_ylabel("Im m" if disc else "Im h·λ", color=INK)
    return ax


def _region(ax: Axes, curve: np.ndarray[Any, np.dtype[np.complex128]], name: str) -> None:
    ax.fill(curve.real, curve.imag, facecolor=REGION, edgecolor="none", zorder=-1)
    outline = ax.plot(curve.real, curve.imag, color=INK, lw=1.4, label="running method", zorder=2)[0]
    outline.set_gid(name)


def _whole_view(section: Mapping[str, Any], at: list[complex], ax: Axes) -> None:
    """All modes and the region, of which no more than two and a half times the modes' extent."""
    points = np.array(at or [0j])
    if section["kind"] == "disc":
        reach = 1.12 * max(1.0, float(np.abs(points).max()))
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
        return
    leftmost = float(points.real.min())
    region = float(regions.boundary(section["momentum"], regions.rule_of(section)).real.min())
    left = min(leftmost, max(region, min(2.5 * leftmost, -2.2)))
    right, high = max(0.25, float(points.real.max())), max(1.4, float(np.abs(points.imag).max()))
    margin = 0.05 * (right - left)
    ax.set(xlim=(left - margin, right + margin), ylim=(-1.1 * high, 1.1 * high))
