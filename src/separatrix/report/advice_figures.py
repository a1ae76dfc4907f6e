"""Advice as figures: the steps that each method allows with what they gain, and the race.

A bar is the range of safe steps on a logarithmic axis of multiples of the present one. What a method does is told by hue and by
filling: full where it contracts, hollow where it is bounded and no more, hatched where it grows.
"""

from __future__ import annotations

from math import ceil, floor, isfinite, log10

import numpy as np
from matplotlib.axes import Axes

from separatrix.dynamics import Observed, Spread
from separatrix.errors import InputError
from separatrix.probes.advice import Advice
from separatrix.probes.advice_row import Candidate, multiple
from separatrix.probes.advise_range import STILL, SafeSteps
from separatrix.probes.numbers import growth_percent, number
from separatrix.report.advice_tables import picked
from separatrix.report.style import DECAY, GROW, INK, MUTED, PAPER, RULE, UNSURE, axes_or_new, literal

COLOURS = {"contracts": DECAY, "bounded": UNSURE, "grows": GROW}
GROWTH = "growth per gradient"
# Names longer than this are cut in the figures; the tables have them whole.
LONGEST = 54
# Inches: the width, a row, and the frame around the rows.
WIDTH, ROW, FRAME = 4.6, 0.46, 0.75
# Over a ratio beyond this a race is drawn in a logarithmic scale.
WIDE = 30.0


def state(growth: float) -> str:
    """``contracts``, ``bounded`` or ``grows``: what a factor per gradient does."""
    return "contracts" if growth < 1 - STILL else "bounded" if growth <= 1 + STILL else "grows"


def drawn(advice: Advice) -> list[tuple[Candidate, SafeSteps]]:
    """The candidates with a prediction, in their order."""
    return [(row, row.steps) for row in advice.candidates if row.steps is not None]


def ranges(advice: Advice, ax: Axes | None = None) -> Axes:
    """The safe steps of every candidate with a prediction, best first, and on the right what a gradient does there.

    At the best step; where no step is safe at the present one.

    Args:
        advice: the advice.
        ax: where to draw.
    """
    rows = drawn(advice)
    ax = axes_or_new(ax, (WIDTH, FRAME + ROW * len(rows)))
    left, right = _window(advice)
    beside = ax.inset_axes((1.05, 0.0, 0.34, 1.0))
    most = max([abs(1 - g) for row, s in rows if isfinite(g := _shown(row, s))], default=0.0) or 1.0
    pick, raced = picked(advice), advice.raced.get(advice.pick)
    for i, (row, s) in enumerate(rows):
        _bar(row, s, i + 0.16, ax, left, right)
        if row.noisy_high is not None:
            _in_mean_square(row, s, i + 0.36, ax, left)
        _gain(row, s, i + 0.16, beside, most)
        if row is pick and raced is not None:
            ax.plot(raced[1], i + 0.16, "o", ms=11, mfc="none", mec=INK, mew=1.3, zorder=5)
        _name(row.name, i, ax, left, strong=row is pick, running=row.name == advice.running)
    ax.axvline(1, color=MUTED, lw=1.0, ls=(0, (4, 3)), zorder=0)
    ax.set_xscale("log")
    ax.set_xlim(left, right)
    _ticks(ax, left, right)
    ax.set_xlabel("× the present step")
    beside.set(xlim=(0, 2.0 * most), xticks=[], xlabel="per gradient")
    beside.spines["bottom"].set_visible(False)
    for part in (ax, beside):
        part.set_ylim(max(len(rows), 1) - 0.4, -0.6)
        part.set_yticks([])
        part.spines["left"].set_visible(False)
    return ax


def _window(advice: Advice) -> tuple[float, float]:
    """The steps to be shown: every finite end, every best step and the present one, with room around them."""
    ends = [1.0, *(step for _, step in advice.raced.values())]
    for row, s in drawn(advice):
        ends += [e for e in (s.low, s.high, s.best, row.noisy_high) if e and isfinite(e)]
    return min(ends) / 4, max(ends) * 4


def _bar(row: Candidate, s: SafeSteps, y: float, ax: Axes, left: float, right: float) -> None:
    if s.best is None:
        _said("✕ no step is safe", left, y, ax)
        return
    kind = state(s.growth)
    start, end = s.low or left, s.high if isfinite(s.high) else right
    ax.plot([left, right], [y, y], color=RULE, lw=1.0, zorder=0)
    bar = ax.barh(y, end - start, left=start, height=0.22, facecolor=COLOURS[kind], edgecolor=COLOURS[kind], lw=1.2)[0]
    if kind != "contracts":
        bar.set(facecolor=PAPER, hatch="////" if kind == "grows" else "")
    if isfinite(s.high):
        _beside(multiple(s.high), s.high, y, ax)
    else:
        ax.plot(right, y, ">", color=COLOURS[kind], ms=8, clip_on=False, zorder=3)
    ax.plot(s.best, y, "D", ms=6.5, mfc=INK, mec=PAPER, mew=1.0, zorder=4)


def _in_mean_square(row: Candidate, s: SafeSteps, y: float, ax: Axes, left: float) -> None:
    """The steps among those tried at which the noise lets it contract in mean square."""
    if s.best is None or row.noisy_high is None:
        return
    if row.noisy_high == 0:
        _said("✕ in mean square none that was tried", left, y + 0.06, ax)
        return
    start = s.low or left
    ax.plot([start, row.noisy_high], [y, y], color=COLOURS["contracts"], lw=1.6, solid_capstyle="butt", zorder=2)
    ax.plot(row.noisy_high, y, "|", color=COLOURS["contracts"], ms=5, mew=1.4, zorder=2)


def _shown(row: Candidate, s: SafeSteps) -> float:
    """The growth that is drawn: at the best step, at the present one where none is safe; a doubling stands for all beyond."""
    return min(s.present if s.best is None else row.growth, 2.0)


def _gain(row: Candidate, s: SafeSteps, y: float, ax: Axes, most: float) -> None:
    """A bar as long as the share of a difference that a gradient takes away or adds, and the number."""
    growth = s.present if s.best is None else row.growth
    if s.best is None and not isfinite(growth):
        return
    kind = state(growth)
    length = abs(1 - _shown(row, s))
    ax.plot([0, 0], [y - 0.2, y + 0.2], color=MUTED, lw=0.8, zorder=2)
    bar = ax.barh(y, length, height=0.22, facecolor=COLOURS[kind], edgecolor=COLOURS[kind], lw=1.0, zorder=1)[0]
    if kind == "grows":
        bar.set(facecolor=PAPER, hatch="////")
    told = growth_percent(growth) if isfinite(growth) else "without bound"
    color = INK if kind == "contracts" else COLOURS[kind]
    ax.annotate(told, (length, y), (4, 0), textcoords="offset points", va="center", fontsize=8.5, color=color)


def _name(name: str, i: int, ax: Axes, at: float, *, strong: bool, running: bool) -> None:
    text = literal(cut(name)) + (" (running)" if running else "") + (" ◂" if strong else "")
    title = ax.text(at, i - 0.2, text, va="center", weight="bold" if strong else "normal", zorder=3)
    title.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 0.8})
    title.set_in_layout(False)  # a long name may reach beyond the axes; it must not make them small


def cut(name: str) -> str:
    """A name that fits the figure: of a long one the beginning and the end, where the step stands."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 22].rstrip()} … {name[-18:].lstrip()}"


def _said(text: str, x: float, y: float, ax: Axes) -> None:
    told = ax.text(x, y, text, va="center", color=GROW, fontsize=8.5, zorder=3)
    told.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 0.8})


def _beside(text: str, x: float, y: float, ax: Axes) -> None:
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}
    ax.annotate(text, (x, y), (5, 0), textcoords="offset points", va="center", fontsize=8.5, bbox=box, zorder=3)


def _ticks(ax: Axes, left: float, right: float) -> None:
    """Powers of ten, not more than six of them; twos and fives between where there are few."""
    low, high = ceil(log10(left)), floor(log10(right))
    powers = range(low, high + 1, max(1, ceil((high - low + 1) / 6)))
    at = [10.0**k for k in powers]
    if len(at) <= 2:
        at = [d * 10.0**k for k in range(low - 1, high + 1) for d in (1, 2, 5) if left <= d * 10.0**k <= right]
    ax.set_xticks(at, [f"{t:g}" for t in at])
    ax.minorticks_off()


def measures(advice: Advice) -> list[str]:
    """What can be drawn of the race: its scores, or the growth of the field's length where there are none."""
    if advice.race is None:
        return []
    return list(advice.race.rows[0].score) or [GROWTH]


def race(advice: Advice, measure: str, ax: Axes | None = None) -> Axes:
    """A line for each lane: median and range over the seeds, and each seed; below it those of the players' averages.

    Args:
        advice: with a race.
        measure: one of :func:`measures`.
        ax: where to draw.

    Raises:
        InputError: there was no race, or nothing of this name was measured in it.
    """
    if advice.race is None or measure not in measures(advice):
        raise InputError(f"no {measure!r} in a race of this advice; there is {measures(advice) or 'no race'}.")
    rows = advice.race.rows
    ax = axes_or_new(ax, (WIDTH, FRAME + ROW * len(rows)))
    seen = [v for row in rows for s in _spreads(row, measure) for v in s.values if isfinite(v)]
    low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
    wide = low > 0 and high / low > WIDE
    room = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
    left, right = (low / 1.2, high * 1.6) if wide else (low - room, high + 3 * room)
    for i, row in enumerate(rows):
        at = _spreads(row, measure)
        _name(row.name, i, ax, left, strong=row.name == advice.pick, running=False)
        ax.plot([left, right], [i + 0.16] * 2, color=RULE, lw=1.0, zorder=0)
        stopped = sum(status != "done" for status in row.status)
        if not at or not isfinite(at[0].median):
            _said(f"✕ no number: {stopped} of {len(row.status)} seeds stopped", left, i + 0.16, ax)
            continue
        for k, spread in enumerate(at):
            _spread(spread, i + 0.16 + 0.2 * k, ax, averaged=k > 0)
        note = f" ({stopped} of {len(row.status)} stopped)" if stopped else ""
        told = growth_percent(at[0].median) if measure == GROWTH else number(at[0].median)
        _beside(told + note, at[0].high, i + 0.16, ax)
    ax.set_xscale("log" if wide else "linear")
    ax.set_xlim(left, right)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    if wide:
        _ticks(ax, left, right)
    else:
        ax.locator_params(axis="x", nbins=5)
    if measure == GROWTH:
        ax.xaxis.set_major_formatter(lambda x, _: growth_percent(x))
    ax.set_xlabel(literal(_direction(advice, measure)))
    return ax


def _direction(advice: Advice, measure: str) -> str:
    assert advice.race is not None
    better = "lower" if measure == GROWTH else advice.race.better.get(measure)
    return f"{measure} ({better} is better)" if better else measure


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
