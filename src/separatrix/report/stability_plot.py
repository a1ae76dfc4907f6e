"""The stability of methods as a figure: windows of safe steps, or growth at the present step where no step is safe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from separatrix.probes.numbers import growth_percent, number
from separatrix.report.style import ACCENT, DECAY, GROW, INK, MUTED, PAPER, RULE, literal

Rows = Sequence[Mapping[str, Any]]


def draw(rows: Rows, ax: Axes) -> Axes:
    """The window of steps in which each method keeps the measured modes from growing; 1 is the present step.

    Where no method has one, what each does at the present step instead.
    """
    if rows and all(row["safe_step"] == 0 for row in rows):
        _growth(rows, ax)
    else:
        _windows(rows, ax)
    ax.set_ylim(max(len(rows), 1) - 0.5, -0.6)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    return ax


def _name(row: Mapping[str, Any], at: float, i: int, ax: Axes) -> None:
    text = literal(row["method"]) + (" (running)" if row["running"] else "")
    title = ax.text(at, i - 0.22, text, va="center", weight="bold" if row["running"] else "normal", zorder=3)
    title.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 0.8})


def _growth(rows: Rows, ax: Axes) -> None:
    """How much the fastest mode grows per gradient-equivalent at the present step."""
    rates = [100 * (min(row["growth_per_gradient"], 1e6) - 1) for row in rows]
    low, high = min(0.0, *rates), max(rates)
    span = (high - low) or 1.0
    ax.axvline(0, color=MUTED, lw=1.0, zorder=0)
    for i, (row, rate) in enumerate(zip(rows, rates, strict=True)):
        _name(row, low, i, ax)
        grows = rate > 0
        color = GROW if grows else DECAY
        bar = ax.barh(i + 0.16, rate, height=0.2, facecolor=PAPER if grows else color, edgecolor=color, lw=1.0)[0]
        bar.set_hatch("////" if grows else "")
        end = (max(rate, 0.0), i + 0.16)
        told = growth_percent(row["growth_per_gradient"])
        ax.annotate(told, end, (5, 0), textcoords="offset points", va="center", fontsize=8.5)
    ax.set_xlim(low - 0.02 * span, high + 0.16 * span)
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}%".replace("-", "−"))
    ax.locator_params(axis="x", nbins=6)
    ax.set_xlabel("no step is safe; growth per gradient at the present one")


def _windows(rows: Rows, ax: Axes) -> None:
    low = min([1 / 16] + [0.5 * r["min_step"] for r in rows if r["min_step"]])
    high = max([16.0] + [3.0 * r["safe_step"] for r in rows if r["safe_step"]])
    ax.axvline(1, color=MUTED, lw=1.0, ls=(0, (4, 3)), zorder=0)
    for i, row in enumerate(rows):
        _name(row, low, i, ax)
        if row["safe_step"] == 0:
            told = f"✕ no safe step ({growth_percent(row['growth'])} per step at the present one)"
            text = ax.text(low, i + 0.16, told, va="center", color=GROW, fontsize=8.5, zorder=3)
            text.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 0.8})
            continue
        ax.plot([low, high], [i + 0.16] * 2, color=RULE, lw=1.0, zorder=0)
        start, end = row["min_step"] or low, high if row["safe_step"] is None else row["safe_step"]
        color = ACCENT if start <= 1 <= end else DECAY
        ax.plot([start, end], [i + 0.16] * 2, color=color, lw=5, solid_capstyle="butt")
        if row["safe_step"] is None:
            ax.plot(high, i + 0.16, ">", color=color, ms=8, clip_on=False)
            continue
        ax.plot(row["safe_step"], i + 0.16, "|", color=INK, ms=9, mew=1.4)
        at = (row["safe_step"], i + 0.16)
        box = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}
        told = number(row["safe_step"], 2)
        ax.annotate(told, at, (5, 0), textcoords="offset points", va="center", fontsize=8.5, bbox=box)
    ax.set_xscale("log", base=2)
    ax.set_xlim(low, high)
    wide = range(int(np.log2(low) // 2), int(np.log2(high) // 2) + 1)
    ticks = [k for k in wide if low <= 4.0**k <= high and k % max(1, len(wide) // 6) == 0]
    ax.set_xticks([4.0**k for k in ticks], [str(4**k) if k >= 0 else f"1/{4**-k}" for k in ticks])
    ax.minorticks_off()
    ax.set_xlabel("× the present step")
