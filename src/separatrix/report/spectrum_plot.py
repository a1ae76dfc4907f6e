"""The plane of eigenvalues: values with their fate, the numerical range around them, pseudospectral level curves.

Field sign: left of the imaginary axis a mode dies out. The figures take the plain data of
:meth:`separatrix.probes.Spectrum.to_dict`, the spectrum's section of a diagnosis too where it holds such entries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from separatrix.probes.surroundings import near_radius
from separatrix.report.signature_plot import MARKS
from separatrix.report.style import DECAY, GROW, INK, MUTED, REGION, RULE, axes_or_new

Complex = NDArray[np.complex128]
LABELS = {"decays": "left of zero", "grows": "right of zero", "undecided": "zero within its error"}


def plane(data: Mapping[str, Any], ax: Axes | None = None, *, view: int = 0) -> Axes:
    """Eigenvalues, numerical range and level curves of ``log10 epsilon`` in the complex plane, axes equal.

    Args:
        data: rows, and ``range`` and ``pseudospectrum`` where they were measured.
        ax: axes to draw into; new ones if ``None``.
        view: 0 for all of it, 1 around zero (see :func:`views`).
    """
    ax = axes_or_new(ax, (5.2, 3.8))
    _range(data.get("range"), ax)
    curves = data.get("pseudospectrum")
    grids = curves["views"] if curves else []
    if len(grids) > view:
        _levels(grids[view], ax)
    ax.axvline(0, color=INK, lw=0.9, zorder=1)
    ax.axhline(0, color=RULE, lw=0.7, zorder=0)
    for state, mark in MARKS.items():
        at = [complex(r["real"], r["imag"]) for r in data["rows"] if _state(r) == state]
        if at:
            label = f"{LABELS.get(state, state)} ({len(at)})"
            ax.plot(np.real(at), np.imag(at), ls="none", label=label, zorder=4, **mark)
    left, right, high = window(data, view)
    ax.set(xlim=(left, right), ylim=(-high, high))
    ax.set_aspect("equal", adjustable="box")
    symbol = "h·λ" if str(data["metric"]).startswith("step size") else "λ"
    ax.set_xlabel(f"Re {symbol}")
    ax.set_ylabel(f"Im {symbol}")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=8, handletextpad=0.5)
    return ax


def views(data: Mapping[str, Any]) -> int:
    """How many pictures it takes: a second one around zero where most modes crowd there."""
    return 1 if near_radius(_values(data)) is None else 2


def window(data: Mapping[str, Any], view: int) -> tuple[float, float, float]:
    """Left, right and upper end of a view."""
    radius = near_radius(_values(data))
    if view and radius is not None:
        return -radius, radius, radius
    everything = np.concatenate([_values(data), _points(data.get("range")), [0j]])
    left, right = float(everything.real.min()), float(everything.real.max())
    high = float(np.abs(everything.imag).max())
    margin = 0.08 * max(right - left, high) or 1.0
    return left - margin, right + margin, max(high, 0.12 * (right - left)) + margin


def density(data: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """The density of the symmetric part's eigenvalues with a band of two standard errors; outliers show in a log scale."""
    found, ax = data["density"], axes_or_new(ax, (5.2, 2.6))
    x, y = np.array(found["x"]), np.array(found["density"])
    error = np.array([0.0 if e is None else e for e in found["stderr"]])
    floor = max(1e-6 * float(y.max()), np.finfo(float).tiny)
    ax.fill_between(x, np.maximum(y - 2 * error, floor), np.maximum(y + 2 * error, floor), color=REGION, lw=0)
    ax.plot(x, np.maximum(y, floor), color=DECAY, lw=1.4)
    ax.axvline(0, color=INK, lw=0.9)
    ax.set(yscale="log", ylim=(floor, 3 * float(y.max())), xlim=(x[0], x[-1]))
    ax.set_xlabel("eigenvalue of the symmetric part")
    ax.set_ylabel("density")
    return ax


def _values(data: Mapping[str, Any]) -> list[complex]:
    return [complex(row["real"], row["imag"]) for row in data["rows"]]


def _state(row: Mapping[str, Any]) -> str:
    if not row["converged"]:
        return "not converged"
    error = row.get("error")
    bar = row["residual"] if error is None else error
    if abs(row["real"]) <= bar:
        return "undecided"
    return "grows" if row["real"] > 0 else "decays"


def _range(found: Mapping[str, Any] | None, ax: Axes) -> None:
    """What is inside the numerical range, filled; what holds it, as lines."""
    if found is None:
        return
    inside = np.array([complex(*point) for point in found["points"]])
    hull = np.concatenate([inside, inside[::-1].conj()])
    ax.fill(hull.real, hull.imag, facecolor=REGION, edgecolor="none", zorder=-1, label="in the numerical range")
    corners = _corners(found)
    if corners is not None:
        closed = np.concatenate([corners, corners[:1]])
        ax.plot(closed.real, closed.imag, color=MUTED, lw=1.0, ls=(0, (4, 3)), zorder=1, label="bound on the range")
        return
    label: str | None = "bounds on the real parts"
    for end, side in ((0, 1), (-1, -1)):
        if (support := found["support"][end]) is not None:
            ax.axvline(side * support, color=MUTED, lw=1.0, ls=(0, (4, 3)), zorder=1, label=label)
            label = None


def _corners(found: Mapping[str, Any]) -> Complex | None:
    """Where neighbouring supporting lines meet, round the whole range; ``None`` unless all are known."""
    if any(s is None for s in found["support"]):
        return None
    angles, support = np.array(found["angles"]), np.array(found["support"], dtype=float)
    angles = np.concatenate([angles, -angles[-2:0:-1]])  # the mirror images; 0 and pi are their own
    support = np.concatenate([support, support[-2:0:-1]])
    following, beyond = np.roll(angles, -1), np.roll(support, -1)
    # Re(exp(-i a) z) = s at both angles: z = exp(i a) (s + i (s' - s cos d) / sin d) with d the turn between them.
    turn = (following - angles + math.pi) % (2 * math.pi) - math.pi
    corners: Complex = np.exp(1j * angles) * (support + 1j * (beyond - support * np.cos(turn)) / np.sin(turn))
    return corners


def _points(found: Mapping[str, Any] | None) -> Complex:
    """What of the range a picture must show."""
    if found is None:
        return np.zeros(0, dtype=complex)
    corners = _corners(found)
    if corners is not None:
        return corners
    ends = [side * found["support"][end] for end, side in ((0, 1), (-1, -1)) if found["support"][end] is not None]
    return np.array([*(complex(*point) for point in found["points"]), *ends])


def _levels(grid: Mapping[str, Any], ax: Axes) -> None:
    """Curves of equal ``epsilon``, a decade apart, or closer where there are few."""
    x, y, level = np.array(grid["x"]), np.array(grid["y"]), np.array(grid["log10"])
    low, high = math.floor(level.min()), math.ceil(level.max())
    step = 0.5 if high - low <= 4 else 1.0
    levels = [v for v in np.arange(low, high + step, step) if level.min() < v < level.max()][-6:]
    if not levels:
        return
    for side in (1, -1):
        drawn = ax.contour(x, side * y, level, levels=levels, colors=GROW, linewidths=0.7, linestyles="solid", zorder=2)
        if side == 1:
            ax.clabel(drawn, fmt=lambda v: f"{10**v:.1g}", fontsize=7, inline=True)
    ax.plot([], [], color=GROW, lw=0.7, label="pseudospectrum: size of the perturbation")
