"""The parts of a diagnosis that are told and not measured: the problem, the method, cost, how to do it again, the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import torch

from separatrix.dynamics import Problem
from separatrix.dynamics.problem import OF_AVERAGES, scores
from separatrix.fields import Field, GameField
from separatrix.probes.notebook import Notebook
from separatrix.probes.numbers import complex_number
from separatrix.probes.record import SEVERITIES, Diagnosis, Finding
from separatrix.probes.run_diagnosis import versions
from separatrix.probes.setting import Setting


def describe(book: Notebook, setting: Setting, problem: Problem | None, seed: int, command: str | None) -> None:
    """What was measured, on what, and how to do it again."""
    measured = setting.field
    book.sections["problem"] = {
        "name": measured.name,
        "parameters": measured.space.n,
        "players": {p: measured.space.size(p) for p in measured.players},
        "dtype": str(measured.dtype).removeprefix("torch."),
        "device": str(measured.device),
    }
    if isinstance(measured, GameField):
        book.sections["problem"].update(
            batches=len(measured.batches),
            samples=measured.samples,
            losses={p: sum(terms.values()) for p, terms in measured.losses().items()},
        )
    if setting.method is not None:
        steps = {p: s.get("step") for p, s in (setting.states or {}).items() if p in setting.field.players}
        book.sections["method"] = {**setting.method.describe(), "steps_made": steps}
        book.sections["method"]["sentence"] = (
            "Prediction with the second moments frozen."
            if setting.frozen
            else f"No prediction: {setting.why_not.rstrip('.')}."
        )
    if problem is not None:
        _describe_problem(book, problem)
    book.sections["cost"] = {
        "rows": book.costs,
        "gradients": book.spent(),
        "seconds": sum(row["seconds"] for row in book.costs),
    }
    book.sections["reproduce"] = {
        "command": command or "sx.diagnose(game.on(batch), optimizers=...)",
        "seed": seed,
        "versions": versions(),
    }


def _of_a_score(problem: Problem, name: str) -> str:
    better = (problem.better or {}).get(name)
    return "; ".join(filter(None, [(problem.means or {}).get(name), f"{better} is better" if better else None]))


def _known(value: Any) -> str:
    """A known value in short: numbers to six digits, lists of them, conjugate pairs as they are."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_known, value))}]"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_known(item)}" for key, item in value.items())
    if isinstance(value, complex):
        return complex_number(value.real, value.imag)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _describe_problem(book: Notebook, problem: Problem) -> None:
    if problem.facts:
        book.sections["problem"]["known"] = {
            fact.name.replace("_", " "): {"value": _known(fact.value), "source": fact.source} for fact in problem.facts
        }
    models: Mapping[str, Any] = problem.game.models if not isinstance(problem.subject, Field) else {}
    if found := scores(problem):
        rows = [
            {"name": name + side, "value": value, "sentence": _of_a_score(problem, name)}
            for side, values in zip(("", OF_AVERAGES), found.values(), strict=False)
            for name, value in values.items()
        ]
        book.sections["score"] = {"rows": rows}
    if problem.samples is not None:
        images = problem.samples(models)
        if images.ndim == 4:
            count, channels, height, width = images.shape
            pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).reshape(count, -1)
            book.sections["samples"] = {
                "images": pixels.tolist(),
                "height": height,
                "width": width,
                "channels": channels,
            }


def finite(value: Any) -> Any:
    """Plain data with ``None`` in place of NaN and infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(held) for key, held in value.items()}
    return [finite(held) for held in value] if isinstance(value, (list, tuple)) else value


def conclude(book: Notebook, name: str) -> Diagnosis:
    """The record, with the gravest finding as its verdict; a page without a signature never says that all is well."""
    if not book.sections.get("signature"):
        why = next((n for n in book.notes if n.startswith(("method:", "signature:", "spectrum:", "stability:"))), "")
        book.findings.append(_not_measured(why.partition(": ")[2]))
    ranked = sorted(book.findings, key=lambda f: -SEVERITIES.index(f.severity))
    worst = ranked[0].severity if ranked else "ok"
    grave = [f for f in ranked if f.severity == worst and worst != "note"]
    severity = worst if worst != "note" else "ok"
    if grave:
        verdict = f"{grave[0].title}. {grave[0].sentence}"
        if len(grave) > 1:
            verdict += " Also: " + "; ".join(f.title[0].lower() + f.title[1:] for f in grave[1:]) + "."
    elif not book.sections.get("signature"):
        severity = "note"
        verdict = next(f.sentence for f in ranked if f.code == "not-measured")
    else:
        doubtful = next((f.sentence for f in ranked if f.code == "unconfirmed-rotation"), None)
        verdict = f"Nothing looks wrong in what was measured. {doubtful or book.sections['signature']['sentence']}"
        codes = {finding.code for finding in ranked}
        if "growing-mode" in codes and not doubtful:
            verdict += " Away from an equilibrium that is what learning looks like."
        if "no-horizon" in codes:
            verdict += " The linear picture holds for less than one step."
    sections = {key: finite(value) for key, value in book.sections.items() if value is not None}
    return Diagnosis(name, verdict, severity, tuple(ranked), sections, tuple(book.notes))


def _not_measured(why: str) -> Finding:
    return Finding(
        "not-measured",
        "note",
        "Not enough was measured for a verdict",
        "Not enough was measured for a verdict: what the running method does to the modes is unknown"
        + (f" ({why.rstrip('.')})." if why else "."),
        source="a verdict needs the multipliers of the running method",
        remedy="Give the optimizers with the state they trained with (for sx.optim: method=opt.method, states=opt.states), after "
        "some steps, and a budget that reaches the signature.",
    )
