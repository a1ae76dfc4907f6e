"""Advice as figures: the steps that each method allows with what they gain, and the race.

A bar is the range of safe steps on a logarithmic axis of multiples of the present one. What a method does is told by hue and by
filling: full where it contracts, hollow where it is bounded and no more, hatched where it grows.
"""

from __future__ import annotations

from math import isfinite

from matplotlib.axes import Axes

from separatrix.errors import InputError
from separatrix.probes.advice import Advice
from separatrix.probes.advice_row import Candidate, multiple
from separatrix.probes.advise_range import STILL, SafeSteps
from separatrix.probes.numbers import growth_percent
from separatrix.report import lanes
from separatrix.report.advice_tables import picked
from separatrix.report.lanes import FRAME, ROW, WIDTH, beside, row_name, said, ticks
from separatrix.report.style import DECAY, GROW, INK, MUTED, PAPER, RULE, UNSURE, axes_or_new

COLOURS = {"contracts": DECAY, "bounded": UNSURE, "grows": GROW}


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
    gains = ax.inset_axes((1.05, 0.0, 0.34, 1.0))
    most = max([abs(1 - g) for row, s in rows if isfinite(g := _shown(row, s))], default=0.0) or 1.0
    pick, raced = picked(advice), advice.raced.get(advice.pick)
    for i, (row, s) in enumerate(rows):
        _bar(row, s, i + 0.16, ax, left, right)
        if row.noisy_high is not None:
            _in_mean_square(row, s, i + 0.36, ax, left)
        _gain(row, s, i + 0.16, gains, most)
        if row is pick and raced is not None:
            ax.plot(raced[1], i + 0.16, "o", ms=11, mfc="none", mec=INK, mew=1.3, zorder=5)
        row_name(row.name, i, ax, left, strong=row is pick, running=row.name == advice.running)
    ax.axvline(1, color=MUTED, lw=1.0, ls=(0, (4, 3)), zorder=0)
    ax.set_xscale("log")
    ax.set_xlim(left, right)
    ticks(ax, left, right)
    ax.set_xlabel("× the present step")
    gains.set(xlim=(0, 2.0 * most), xticks=[], xlabel="per gradient")
    gains.spines["bottom"].set_visible(False)
    for part in (ax, gains):
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
        said("✕ no step is safe", left, y, ax)
        return
    kind = state(s.growth)
    start, end = s.low or left, s.high if isfinite(s.high) else right
    ax.plot([left, right], [y, y], color=RULE, lw=1.0, zorder=0)
    bar = ax.barh(y, end - start, left=start, height=0.22, facecolor=COLOURS[kind], edgecolor=COLOURS[kind], lw=1.2)[0]
    if kind != "contracts":
        bar.set(facecolor=PAPER, hatch="////" if kind == "grows" else "")
    if isfinite(s.high):
        beside(multiple(s.high), s.high, y, ax)
    else:
        ax.plot(right, y, ">", color=COLOURS[kind], ms=8, clip_on=False, zorder=3)
    ax.plot(s.best, y, "D", ms=6.5, mfc=INK, mec=PAPER, mew=1.0, zorder=4)


def _in_mean_square(row: Candidate, s: SafeSteps, y: float, ax: Axes, left: float) -> None:
    """The steps among those tried at which the noise lets it contract in mean square."""
    if s.best is None or row.noisy_high is None:
        return
    if row.noisy_high == 0:
        said("✕ in mean square none that was tried", left, y + 0.06, ax)
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


def measures(advice: Advice) -> list[str]:
    """What can be drawn of the race: its scores, or the growth of the field's length where there are none."""
    if advice.race is None:
        return []
    return list(advice.race.rows[0].score) or [lanes.GROWTH]


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
    return lanes.draw(advice.race, measure, axes_or_new(ax, lanes.size(advice.race)), strong=advice.pick)
