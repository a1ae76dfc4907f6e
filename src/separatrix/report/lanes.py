"""Methods that were run side by side, as lines: median and range over the seeds, each seed, the averages, what was predicted."""

from __future__ import annotations

from math import ceil, floor, isfinite, log10

import numpy as np
from matplotlib.axes import Axes

from separatrix.dynamics import Comparison, Observed, Spread
from separatrix.probes.compared import prediction
from separatrix.probes.numbers import growth_percent, number
from separatrix.report.style import DECAY, GROW, INK, MUTED, PAPER, RULE, literal

GROWTH = "growth per gradient"
# Names longer than this are cut in the figures; the tables have them whole.
LONGEST = 54
# Inches: the width, a row, and the frame around the rows.
WIDTH, ROW, FRAME = 4.6, 0.46, 0.75
# Over a ratio beyond this the scale is logarithmic.
WIDE = 30.0


def size(found: Comparison) -> tuple[float, float]:
    """Width and height of a figure, inches."""
    return WIDTH, FRAME + ROW * len(found.rows)


def draw(found: Comparison, measure: str, ax: Axes, *, strong: str = "") -> Axes:
    """A line for each method; below it those of the players' averages; a hollow diamond where it was predicted.

    Args:
        found: what ran.
        measure: the name of a score, or ``GROWTH``.
        ax: where to draw.
        strong: the method that stands out.
    """
    rows = found.rows
    foretold = [_foretold(row) if measure == GROWTH else None for row in rows]
    seen = [v for row in rows for s in _spreads(row, measure) for v in s.values if isfinite(v)]
    seen += [value for value in foretold if value is not None]
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    wide = low > 0 and high / low > WIDE
    room = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
    left, right = (low / 1.2, high * 1.2) if wide else (low - room, high + room)
    for i, (row, expected) in enumerate(zip(rows, foretold, strict=True)):
        at = _spreads(row, measure)
        row_name(row.name, i, ax, left, strong=row.name == strong, running=False)
        ax.plot([left, right], [i + 0.16] * 2, color=RULE, lw=1.0, zorder=0)
        if expected is not None:
            ax.plot(expected, i + 0.16, "D", ms=9, mfc="none", mec=INK, mew=1.1, zorder=4)
        stopped = sum(status != "done" for status in row.status)
        if not at or not isfinite(at[0].median):
            why = f"{stopped} of {len(row.status)} seeds stopped" if stopped else "not measured"
            said(f"✕ no number: {why}", left, i + 0.16, ax)
            continue
        for k, spread in enumerate(at):
            _spread(spread, i + 0.16 + 0.2 * k, ax, averaged=k > 0)
        note = f" ({stopped} of {len(row.status)} stopped)" if stopped else ""
        told = growth_percent(at[0].median) if measure == GROWTH else number(at[0].median)
        told += note if expected is None else f"{note}  ◇ {growth_percent(expected)}"
        # In a column of its own, clear of all marks.
        ax.annotate(told, (1, i + 0.16), (6, 0), ax.get_yaxis_transform(), "offset points", va="center", fontsize=8.5)
    ax.set_xscale("log" if wide else "linear")
    ax.set_xlim(left, right)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    if wide:
        ticks(ax, left, right)
    else:
        ax.locator_params(axis="x", nbins=5)
    if measure == GROWTH:
        ax.xaxis.set_major_formatter(lambda x, _: growth_percent(x))
    better = "lower" if measure == GROWTH else found.better.get(measure)
    ax.set_xlabel(literal(f"{measure} ({better} is better)" if better else measure))
    return ax


def _foretold(row: Observed) -> float | None:
    value = prediction(row).get("growth_per_gradient")
    return value if value is not None and isfinite(value) else None


def _spreads(row: Observed, measure: str) -> list[Spread]:
    """Of the players, and of their averages where those were scored."""
    if measure == GROWTH:
        return [row.growth]
    return [of[measure] for of in (row.score, row.averaged_score) if measure in of]


def _spread(spread: Spread, y: float, ax: Axes, *, averaged: bool) -> None:
    color = MUTED if averaged else DECAY
    ax.plot([spread.low, spread.high], [y, y], color=color, lw=1.2 if averaged else 2.2, zorder=1)
    values = np.array([v for v in spread.values if isfinite(v)])
    ax.plot(values, np.full(len(values), y), "o", ms=3.2, mfc=PAPER, mec=color, mew=0.8, zorder=2)
    mark = {"marker": "s" if averaged else "o", "ms": 4.5 if averaged else 7}
    ax.plot(spread.median, y, ls="none", color=color, mec=PAPER, mew=0.8, zorder=3, **mark)  # type: ignore[arg-type]


def row_name(name: str, i: int, ax: Axes, at: float, *, strong: bool, running: bool) -> None:
    """The name above its line."""
    text = literal(cut(name)) + (" (running)" if running else "") + (" ◂" if strong else "")
    title = ax.text(at, i - 0.2, text, va="center", weight="bold" if strong else "normal", zorder=3)
    title.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 0.8})
    title.set_in_layout(False)  # a long name may reach beyond the axes; it must not make them small


def cut(name: str) -> str:
    """A name that fits the figure: of a long one the beginning and the end, where the step stands."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 22].rstrip()} … {name[-18:].lstrip()}"


def said(text: str, x: float, y: float, ax: Axes) -> None:
    """Words in place of a mark."""
    told = ax.text(x, y, text, va="center", color=GROW, fontsize=8.5, zorder=3)
    told.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 0.8})


def beside(text: str, x: float, y: float, ax: Axes) -> None:
    """A number beside its mark."""
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}
    ax.annotate(text, (x, y), (5, 0), textcoords="offset points", va="center", fontsize=8.5, bbox=box, zorder=3)


def ticks(ax: Axes, left: float, right: float) -> None:
    """Powers of ten, not more than six of them; twos and fives between where there are few."""
    low, high = ceil(log10(left)), floor(log10(right))
    powers = range(low, high + 1, max(1, ceil((high - low + 1) / 6)))
    at = [10.0**k for k in powers]
    if len(at) <= 2:
        at = [d * 10.0**k for k in range(low - 1, high + 1) for d in (1, 2, 5) if left <= d * 10.0**k <= right]
    ax.set_xticks(at, [f"{t:g}" for t in at])
    ax.minorticks_off()
