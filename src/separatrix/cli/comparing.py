"""``separatrix compare``: methods from one start at equal cost, what was predicted beside what was observed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from separatrix.cli.methods import find_method, split_methods
from separatrix.cli.options import Request
from separatrix.cli.outputs import check_outputs
from separatrix.cli.prediction import Predictor
from separatrix.cli.starting import Start, method_needed, start
from separatrix.cli.talk import Talk, finite
from separatrix.dynamics import Comparison, Method, Observed, Spread, compare
from separatrix.dynamics.continued import continued
from separatrix.errors import InputError
from separatrix.probes import advise
from separatrix.probes.advice_row import multiple
from separatrix.probes.advise_candidates import with_step
from separatrix.probes.advise_race import REACH, SAME
from separatrix.probes.numbers import growth_percent, number
from separatrix.probes.record import write_text


def compare_target(
    request: Request,
    talk: Talk,
    *,
    methods: str,
    steps: int,
    seeds: int,
    k: int,
    best_steps: bool,
    output: Path | None,
) -> int:
    """Compare, write and print."""
    check_outputs([] if output is None else [output], (".json",))
    begun = start(request, talk)
    named = _named_methods(begun, request, methods)
    if best_steps:
        named = _with_best_steps(begun, named, k=k, seed=request.seed, talk=talk)
    comparison = compare(
        begun.problem,
        named,
        steps=steps,
        seeds=range(request.seed, request.seed + seeds),
        predict=Predictor(k=k, seed=request.seed),
        progress=False if talk.quiet else None,
    )
    rows = [_row(row) for row in comparison.rows]
    result = {"problem": comparison.problem, "budget": comparison.budget, "seeds": list(comparison.seeds), "rows": rows}
    if output is not None:
        write_text(output, json.dumps(finite(result), indent=1, allow_nan=False))
        talk.note(f"wrote {output}")
    notes = [] if talk.quiet else [*_notes(rows)]
    talk.result(result, _heading(comparison), _table(comparison, rows), *notes)
    return 0


def _named_methods(begun: Start, request: Request, methods: str) -> dict[str, Method]:
    """The methods by their text, each going on from the states of the start."""
    texts = split_methods(methods)
    if not texts:
        raise InputError("--methods is empty; write, for instance, --methods simultaneous,alternating,extragradient.")
    if twice := next((text for text in texts if texts.count(text) > 1), None):
        raise InputError(f"--methods names {twice!r} twice; name each method once.")
    # What a checkpoint says about the optimizers is the problem's own method from here on.
    method_needed(begun.method, begun.problem, "compare")
    problem = begun.with_method()
    found = {text: find_method(problem, (), text) for text in texts}
    return {text: continued(method, begun.states) for text, method in found.items() if method is not None}


def _with_best_steps(begun: Start, named: Mapping[str, Method], *, k: int, seed: int, talk: Talk) -> dict[str, Method]:
    """Each method as it is, and beside it at the step that advice finds best for it."""
    advice = advise(
        begun.with_method(),
        candidates=named,
        remedies={},
        states=begun.states,
        k=k,
        noise=0,
        transforms=False,
        seed=seed,
    )
    found: dict[str, Method] = {}
    for name, method in named.items():
        found[name] = method
        steps = advice[name].steps
        best = None if steps is None else steps.best
        if best is None:
            talk.note(f"{name}: {advice[name].why}")
            continue
        step = min(max(best, 1 / REACH), REACH)
        if step != best:
            talk.note(f"{name}: tried at {multiple(step)} times the present step; the model prefers {multiple(best)}.")
        if abs(step - 1) >= SAME:
            found[f"{name}, step × {multiple(step)}"] = with_step(method, step)
    return found


def _row(row: Observed) -> dict[str, Any]:
    """One method: predicted and observed growth per gradient-equivalent, score, losses, cost."""
    predicted: Mapping[str, Any] = (
        row.prediction if isinstance(row.prediction, Mapping) else {"why_not": row.prediction}
    )
    return {
        "method": row.name,
        "predicted": dict(predicted),
        "observed": {"growth_per_gradient": _spread(row.growth), "field_norm": _spread(row.field_norm)},
        "score": {name: _spread(value) for name, value in row.score.items()},
        "averaged_score": {name: _spread(value) for name, value in row.averaged_score.items()},
        "losses": {name: _spread(value) for name, value in row.losses.items()},
        "steps": list(row.steps),
        "gradients": list(row.gradients),
        "status": list(row.status),
        "seconds": row.seconds,
    }


def _spread(value: Spread) -> dict[str, float]:
    return {"median": value.median, "low": value.low, "high": value.high}


def _heading(comparison: Comparison) -> Text:
    count = len(comparison.seeds)
    return Text(
        f"{comparison.problem}: {comparison.budget:.4g} gradients for each method, {count} seed{'s' if count > 1 else ''}, "
        "median (lowest to highest)"
    )


def _table(comparison: Comparison, rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("method")
    for name in ("predicted growth", "observed growth"):
        table.add_column(name, justify="right")
    # The losses of players that work against each other say little; they stand in for a score where there is none.
    part = "score" if rows[0]["score"] else "losses"
    for name in rows[0][part]:
        better = comparison.better.get(name) if part == "score" else None
        head = name if part == "score" else f"loss {name}"
        table.add_column(f"{head}\n{better} is better" if better else head, justify="right")
    for name in rows[0]["averaged_score"]:
        table.add_column(f"{name}\nof the averages", justify="right")
    for row in rows:
        predicted = row["predicted"].get("growth_per_gradient")
        mark = " *" if row["predicted"].get("growing") else ""
        table.add_row(
            row["method"],
            "no prediction" if predicted is None else growth_percent(predicted) + mark,
            _shown(row["observed"]["growth_per_gradient"], growth_percent),
            *(_shown(value, number) for value in (*row[part].values(), *row["averaged_score"].values())),
        )
    return table


def _shown(spread: Mapping[str, float | None], form: Callable[[float], str]) -> str:
    middle, low, high = (spread[key] for key in ("median", "low", "high"))
    if middle is None or low is None or high is None or not isfinite(middle):
        return "not finite"
    return form(middle) if form(low) == form(high) else f"{form(middle)} ({form(low)} to {form(high)})"


def _notes(rows: list[dict[str, Any]]) -> list[Text]:
    """What the numbers mean, and what they do not say."""
    lines = [
        "Growth is per gradient-equivalent. Predicted: of the slowest resolved mode, from the field linearised at the start. "
        "Observed: of the field's norm over the last half of the run, when what fades early has faded."
    ]
    said: dict[str, list[str]] = {}  # a sentence about several methods stands once
    for row in rows:
        predicted = row["predicted"]
        sentences = [predicted.get("why_not"), *dict.fromkeys(m for m in row["status"] if m != "done")]
        if predicted.get("growing"):
            sentences.append(
                f"* {predicted['growing']} of the modes grow in the flow itself, under every method; the prediction leaves them out."
            )
        for sentence in filter(None, sentences):
            said.setdefault(sentence, []).append(row["method"])
    lines += [f"{', '.join(methods)}: {sentence}" for sentence, methods in said.items()]
    horizons = [row["predicted"]["horizon"] for row in rows if row["predicted"].get("horizon")]
    lines += horizons[:1]
    return [Text(line, "dim") for line in lines]
