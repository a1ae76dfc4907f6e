"""Advice as tables of text: the methods, the race, every seed of it, the costs, and what their columns mean."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, isnan

from separatrix.dynamics import Observed, Spread
from separatrix.probes.advice import Advice
from separatrix.probes.advice_row import Candidate, multiple, range_words
from separatrix.probes.numbers import MISSING, growth_percent, number, times
from separatrix.report.tables import Table

# What stands in a column, said below its table.
MEANING: Mapping[str, str] = {
    "safe steps": "multiples of the present step at which no mode that counts grows; some methods have a least one.",
    "best": "the multiple at which the slowest mode fades fastest for what it costs.",
    "growth": "what happens per gradient-equivalent to the slowest mode that counts at the best step: −3% means that 3% of it are gone after "
    "each. With noise that of the root mean square.",
    "at present": "the same at the present step, without noise; not resolved: the model does not follow all of its modes there.",
    "residual": "of the multiplier per period that decides: rounding, and what leaves the small model in a period.",
    "transient": "at least how much a difference can grow on its way before it fades, at the best step, and after how many steps.",
    "in mean square": "the largest step tried at which the square of differences contracts on average under minibatch noise.",
    "floor": "the distance from rest that minibatch noise keeps up at the best step.",
    "cost": "of a step, in gradient-equivalents: evaluations of the whole field.",
}


def picked(advice: Advice) -> Candidate | None:
    """The picked candidate; ``None`` where nothing is known to be safe and nothing was raced."""
    found = advice[advice.raced.get(advice.pick, (advice.pick, 1.0))[0]]
    return found if advice.race is not None or (found.steps is not None and found.steps.best is not None) else None


def methods(advice: Advice) -> Table:
    """The candidates, best first; columns that say nothing here are left out."""
    columns = ("method", *MEANING)
    rows = [_method(advice, row) for row in advice.candidates]
    kept = [0, *(i for i in range(1, len(columns)) if any(row[i] != MISSING for row in rows))]
    pick = picked(advice)
    strong = None if pick is None else advice.candidates.index(pick)
    return Table(tuple(columns[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in rows), strong)


def _method(advice: Advice, row: Candidate) -> tuple[str, ...]:
    cells = {} if isnan(row.gradients) else {"cost": number(row.gradients, 2)}
    s = row.steps
    if s is None:
        cells["safe steps"] = "no prediction"
    else:
        cells["safe steps"] = range_words(s)
        cells["at present"] = growth_percent(s.present) if isfinite(s.present) else "not resolved"
    if s is not None and s.best is not None:
        cells["best"] = multiple(s.best)
        cells["growth"] = growth_percent(row.growth) if isfinite(row.growth) else "without bound"
        cells["residual"] = number(row.residual, 1)
        cells["transient"] = _transient(row)
        cells["in mean square"], cells["floor"] = _noise(row)
    name = row.name + (" (running)" if row.name == advice.running else "")
    return (name, *(cells.get(column, MISSING) for column in MEANING))


def _transient(row: Candidate) -> str:
    found = row.transient
    if found is None:
        return MISSING
    if not isfinite(found.value):
        return "without bound"
    return f"× {times(found.value)}" + (f" after {found.step}" if found.step else "")


def _noise(row: Candidate) -> tuple[str, str]:
    if row.noise is None or row.noisy_high is None:
        return MISSING, MISSING
    if row.noisy_high == 0:
        return "none tried", "none: it grows"
    floor = row.noise.floor
    return f"up to {multiple(row.noisy_high)}", MISSING if floor is None or not isfinite(floor) else number(floor)


def race(advice: Advice) -> Table | None:
    """The lanes: medians with the lowest and the highest seed; ``None`` where there was no race."""
    if advice.race is None:
        return None
    first = advice.race.rows[0]
    better = advice.race.better
    scores = [f"{name} ({better[name]} is better)" if name in better else name for name in first.score]
    averages = [f"{name} of the averages" for name in first.averaged_score]
    rows = [
        (
            row.name,
            *(_spread(row.score.get(name)) for name in first.score),
            *(_spread(row.averaged_score.get(name)) for name in first.averaged_score),
            _growth(row.growth),
            _spread(row.field_norm),
            _counts(row.steps),
            _counts(row.gradients),
            _status(row),
        )
        for row in advice.race.rows
    ]
    columns = (
        "lane",
        *scores,
        *averages,
        "field's growth per gradient",
        "field's length",
        "steps",
        "gradients",
        "status",
    )
    strong = next((i for i, row in enumerate(advice.race.rows) if row.name == advice.pick), None)
    return Table(columns, tuple(rows), strong)


def seeds(advice: Advice) -> Table | None:
    """Every seed of every lane."""
    if advice.race is None:
        return None
    first = advice.race.rows[0]
    columns = ("lane", "seed", *first.score, *(f"{name} of the averages" for name in first.averaged_score))
    rows = []
    for row in advice.race.rows:
        of = [*(row.score.get(n) for n in first.score), *(row.averaged_score.get(n) for n in first.averaged_score)]
        for i, seed in enumerate(advice.race.seeds):
            cells = [MISSING if spread is None else number(spread.values[i]) for spread in of]
            growth = row.growth.values[i]
            told = "not finite" if isnan(growth) else growth_percent(growth)
            rows.append((row.name, str(seed), *cells, told, number(row.field_norm.values[i]), row.status[i]))
    return Table((*columns, "field's growth per gradient", "field's length", "status"), tuple(rows))


def costs(advice: Advice) -> Table:
    """What the advice itself took."""
    rows = tuple((part, number(value)) for part, value in advice.costs.items())
    return Table(("part", "gradients"), rows)


def _spread(spread: Spread | None) -> str:
    if spread is None or isnan(spread.median):
        return "no number"
    if spread.low == spread.high:
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.low)} to {number(spread.high)})"


def _growth(spread: Spread) -> str:
    if isnan(spread.median):
        return "not finite"
    low, middle, high = map(growth_percent, (spread.low, spread.median, spread.high))
    return middle if low == high else f"{middle} ({low} to {high})"


def _counts(values: tuple[float, ...]) -> str:
    low, high = min(values), max(values)
    return number(high, 4) if low == high else f"{number(low, 4)} to {number(high, 4)}"


def _status(row: Observed) -> str:
    stopped = sum(status != "done" for status in row.status)
    return f"{stopped} of {len(row.status)} stopped" if stopped else "done"
