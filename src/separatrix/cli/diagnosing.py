"""``separatrix diagnose`` and ``separatrix compare-reports``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from separatrix.atlas.links import name_studies
from separatrix.cli.options import Request
from separatrix.cli.outputs import check_outputs
from separatrix.cli.starting import start
from separatrix.cli.talk import Talk
from separatrix.dynamics import Problem
from separatrix.linalg.eigen import DENSE_UP_TO
from separatrix.probes import Diagnosis, diagnose
from separatrix.probes.record import SEVERITIES
from separatrix.report import compare_diagnoses, show

SUFFIXES = (".html", ".json", ".md")


def diagnose_target(
    request: Request,
    talk: Talk,
    *,
    k: int,
    route: str,
    budget: float | None,
    remaining: int,
    outputs: Sequence[Path],
    fail_on: str | None,
) -> int:
    """Diagnose, write what is asked for, print; 1 where a finding is as severe as ``fail_on``."""
    check_outputs(outputs, SUFFIXES)
    name_studies()
    found = start(request, talk)
    _warn_of_overrun(found.problem, budget, talk)
    with talk.progress(f"measuring {found.problem.name}") as advance:
        diagnosis = diagnose(
            found.problem,
            method=found.method,
            states=found.states,
            k=k,
            route=route,
            budget=budget,
            remaining=remaining,
            path=found.path,
            seed=request.seed,
            command=shlex.join(["separatrix", *talk.arguments]),
            progress=lambda part: advance(part=part),
        )
    for path in outputs:
        diagnosis.save(path)
        talk.note(f"wrote {path}")
    if talk.json or talk.quiet:
        talk.result(diagnosis.to_dict(), Text(f"{diagnosis.severity}: {diagnosis.verdict}"))
    else:
        show(diagnosis, file=talk.out)
    failed = fail_on is not None and SEVERITIES.index(diagnosis.worst()) >= SEVERITIES.index(fail_on)
    return 1 if failed else 0


def _warn_of_overrun(problem: Problem, budget: float | None, talk: Talk) -> None:
    """Before it happens: what comes first is taken whole."""
    n = problem.subject.space.n
    # Products of about two gradients each: with every unit vector where the spectrum is computed densely, else of the search.
    least = 2 * (n if n <= DENSE_UP_TO else 150) + 30
    if budget is not None and budget < least:
        talk.note(
            f"--budget {budget:g}: the Jacobian's tests and the spectrum come first and are taken whole, about {least} "
            "gradient-equivalents here; what comes after them is left out."
        )


def compare_saved(before: Path, after: Path, talk: Talk) -> int:
    """What changed between two saved diagnoses."""
    comparison = compare_diagnoses(Diagnosis.load(before), Diagnosis.load(after))
    talk.result(asdict(comparison), Text(str(comparison)))
    return 0
