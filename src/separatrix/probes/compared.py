"""Methods side by side: what the linearised field predicts for each, beside what it does at equal gradient cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from separatrix.dynamics import Comparison, Method, Observed, Problem, Spread
from separatrix.dynamics import compare as run_side_by_side
from separatrix.dynamics.continued import continued
from separatrix.dynamics.problem import OF_AVERAGES
from separatrix.dynamics.schemes import States
from separatrix.probes.advice_row import multiple, range_words
from separatrix.probes.advise import advise
from separatrix.probes.advise_candidates import with_step
from separatrix.probes.advise_race import REACH, SAME
from separatrix.probes.description import finite
from separatrix.probes.numbers import MISSING, growth_percent, number
from separatrix.probes.prediction import Predictor
from separatrix.probes.record import save_by_suffix

MEANING = (
    "Growth is per gradient-equivalent. Predicted: of the slowest resolved mode, from the field linearised at the start. "
    "Observed: of the field's norm over the last half of the run, when what fades early has faded."
)


@dataclass(frozen=True)
class Compared:
    """Prediction and observation of some methods; ``str()`` is a table.

    Attributes:
        observed: the runs, a row a method, each with its prediction or why there is none.
        notes: what was left out or changed, and why.
    """

    observed: Comparison
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Observed:
        return self.observed[name]

    @property
    def heading(self) -> str:
        """What ran, at which cost, over how many seeds."""
        found, count = self.observed, len(self.observed.seeds)
        return (
            f"{found.problem}: {found.budget:.4g} gradients for each method, {count} seed{'s' if count > 1 else ''}, "
            "median (lowest to highest)"
        )

    def table(self) -> list[list[str]]:
        """Head and rows. A name in the head may be followed by a second line."""
        rows = self.observed.rows
        # The losses of players that work against each other say little; they stand in for a score where there is none.
        scored = bool(rows[0].score)
        head = ["method", "predicted growth", "observed growth"]
        for name in rows[0].score or rows[0].losses:
            better = self.observed.better.get(name) if scored else None
            shown = name if scored else f"loss {name}"
            head.append(f"{shown}\n{better} is better" if better else shown)
        head += [f"{name}\n{OF_AVERAGES.strip()}" for name in rows[0].averaged_score]
        return [head, *(_cells(row) for row in rows)]

    def remarks(self) -> list[str]:
        """What the numbers mean, what they do not say, and what was left out."""
        said: dict[str, list[str]] = {}  # a sentence about several methods stands once
        for row in self.observed.rows:
            told = prediction(row)
            sentences = [told.get("why_not"), *dict.fromkeys(m for m in row.status if m != "done")]
            if told.get("growing"):
                sentences.append(
                    f"* {told['growing']} of the modes grow in the flow itself, under every method; the prediction leaves them out."
                )
            for sentence in filter(None, sentences):
                said.setdefault(sentence, []).append(row.name)
        lines = [MEANING, *(f"{'; '.join(methods)}: {sentence}" for sentence, methods in said.items())]
        horizons = [told["horizon"] for row in self.observed.rows if (told := prediction(row)).get("horizon")]
        return [*lines, *horizons[:1], *self.notes]

    def to_dict(self) -> dict[str, Any]:
        """Plain data that ``json.dumps`` takes; what is not finite is ``None``."""
        found: dict[str, Any] = finite(
            {
                "problem": self.observed.problem,
                "budget": self.observed.budget,
                "seeds": list(self.observed.seeds),
                "rows": [_data(row) for row in self.observed.rows],
                "remarks": self.remarks(),
            }
        )
        return found

    def save(self, path: str | Path) -> Path:
        """Write it by suffix, whole or not at all: ``.json``, ``.md``, or its figure as ``.png`` or ``.svg``.

        Raises:
            InputError: another suffix, or a folder that does not exist.
        """
        return save_by_suffix(self, path, WRITERS, "a comparison")

    def markdown(self) -> str:
        """Heading, table and remarks."""
        head, *rows = ([cell.replace("\n", ", ").replace("|", "\\|") for cell in row] for row in self.table())
        lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
        return "\n".join([f"# {self.heading}", "", *lines, "", *(f"- {text}" for text in self.remarks()), ""])

    def __str__(self) -> str:
        rows = [[cell.replace("\n", ", ") for cell in row] for row in self.table()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([self.heading, "", *lines, "", *self.remarks()])


# The report room adds pictures when it is imported; a room never imports one below it.
WRITERS: dict[str, Callable[[Compared], str | bytes]] = {
    ".json": lambda found: json.dumps(found.to_dict(), indent=1, allow_nan=False),
    ".md": Compared.markdown,
}


def compare(
    problem: Problem,
    methods: Mapping[str, Method],
    *,
    steps: int | None = None,
    gradients: float | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    best_steps: bool = False,
    states: States | None = None,
    k: int = 5,
    progress: bool | None = None,
) -> Compared:
    """Run methods from one start at equal gradient cost; what the linear picture predicts stands beside what happens.

    Args:
        problem: what is trained, from where it stands; its own method is what ``best_steps`` calls the present one.
        methods: by the name they are to have.
        steps: the budget in steps of the first method; or
        gradients: in gradient-equivalents.
        seeds: of minibatches and noise, the same for all methods.
        best_steps: run each method a second time, at the step that :func:`advise` finds best for it, at most eight times more or
            less than its own.
        states: of the bases and the scheme at the start, as a training left them; fresh where ``None``.
        k: eigenvalues at each end of the spectrum, for the prediction.
        progress: a bar on stderr; only on a terminal where ``None``.

    Raises:
        InputError: nothing to compare, no budget, or one too small for a step.

    A run that leaves the finite numbers is an observation and not an error, and so is a method without a prediction. The
    problem's modules, averages and other state are put back whatever happens. Cost: the budget times methods times seeds, and a
    spectrum of at most 150 Jacobian products for each kind of base and transform.

    Example:
        >>> from separatrix.dynamics import SGD, Extragradient, Method
        >>> from separatrix.zoo import load
        >>> found = compare(load("bilinear"), {"extragradient": Method(SGD(0.5), Extragradient())}, steps=40, seeds=(0,))
        >>> row = found["extragradient"]
        >>> round(row.prediction["growth_per_gradient"], 4), round(row.growth.median, 4)
        (0.9494, 0.9494)
    """
    named = {name: continued(method, states) for name, method in methods.items()}
    notes: list[str] = []
    if best_steps and named:
        named = _with_best_steps(problem, named, states, k, seeds, notes)
    predict = Predictor(k=k, seed=next(iter(seeds), 0) if isinstance(seeds, Sequence) else 0)
    found = run_side_by_side(
        problem, named, steps=steps, gradients=gradients, seeds=seeds, predict=predict, progress=progress
    )
    return Compared(found, tuple(notes))


def _with_best_steps(
    problem: Problem,
    named: Mapping[str, Method],
    states: States | None,
    k: int,
    seeds: Sequence[int],
    notes: list[str],
) -> dict[str, Method]:
    """Each method as it is, and beside it at the step that advice finds best for it."""
    own = problem if problem.method is not None else replace(problem, method=next(iter(named.values())))
    advice = advise(
        own, candidates=named, remedies={}, states=states, k=k, noise=0, transforms=False, seed=next(iter(seeds), 0)
    )
    found: dict[str, Method] = {}
    for name, method in named.items():
        found[name] = method
        steps = advice[name].steps
        if steps is None or steps.best is None:
            notes.append(f"{name}: {advice[name].why}")
            continue
        step = min(max(steps.best, 1 / REACH), REACH)
        if step != steps.best:
            unsafe = "" if steps.low <= step <= steps.high else f", and calls no step safe but {range_words(steps)}"
            notes.append(
                f"{name}: tried at {multiple(step)} times the present step; the model prefers {multiple(steps.best)}{unsafe}."
            )
        if abs(step - 1) >= SAME:
            found[f"{name}, step × {multiple(step)}"] = with_step(method, step)
    return found


def prediction(row: Observed) -> Mapping[str, Any]:
    """What was predicted of a method: numbers by name, or ``why_not``; empty where nothing was asked."""
    if row.prediction is None:
        return {}
    return row.prediction if isinstance(row.prediction, Mapping) else {"why_not": row.prediction}


def _data(row: Observed) -> dict[str, Any]:
    return {
        "method": row.name,
        "predicted": dict(prediction(row)),
        "observed": {"growth_per_gradient": _spread(row.growth), "field_norm": _spread(row.field_norm)},
        "score": {name: _spread(value) for name, value in row.score.items()},
        "averaged_score": {name: _spread(value) for name, value in row.averaged_score.items()},
        "losses": {name: _spread(value) for name, value in row.losses.items()},
        "steps": list(row.steps),
        "gradients": list(row.gradients),
        "status": list(row.status),
        "seconds": row.seconds,
    }


def _spread(value: Spread) -> dict[str, Any]:
    return {"median": value.median, "low": value.low, "high": value.high, "values": list(value.values)}


def _cells(row: Observed) -> list[str]:
    told = prediction(row)
    growth = told.get("growth_per_gradient")
    mark = " *" if told.get("growing") else ""
    return [
        row.name,
        growth_percent(growth) + mark if growth is not None else "no prediction" if told else MISSING,
        _shown(row.growth, growth_percent),
        *(_shown(value, number) for value in (row.score or row.losses).values()),
        *(_shown(value, number) for value in row.averaged_score.values()),
    ]


def _shown(spread: Spread, form: Callable[[float], str]) -> str:
    if not isfinite(spread.median):
        return "not finite"
    middle, low, high = form(spread.median), form(spread.low), form(spread.high)
    return middle if low == high else f"{middle} ({low} to {high})"
