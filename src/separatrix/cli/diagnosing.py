"""``separatrix diagnose`` and ``separatrix compare-reports``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from separatrix.atlas.links import name_studies
from separatrix.cli.options import DEFAULT_TARGET, Request
from separatrix.cli.outputs import check_outputs
from separatrix.cli.starting import start
from separatrix.cli.talk import Talk
from separatrix.cli.target import find_measured
from separatrix.dynamics import Problem, Run
from separatrix.errors import InputError, SeparatrixError, raised_by
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
    subject = find_measured(request.target or DEFAULT_TARGET)
    command = shlex.join(["separatrix", *talk.arguments])
    if isinstance(subject, Run):
        _refuse_options_of_games(
            request, k=k != 5, route=route != "retained", budget=budget is not None, remaining=remaining != 1000
        )
        diagnosis = _diagnosis_of_run(subject, request, talk, command)
    else:
        found = start(request, talk, subject)
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
                command=command,
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


def _diagnosis_of_run(run: Run, request: Request, talk: Talk, command: str) -> Diagnosis:
    """The run's own steps first, as many as ``--train`` says."""
    with talk.progress(f"training {run.name}", total=request.steps) as advance:
        for step in range(request.steps):
            _stepped(run)
            advance(step + 1)
    with run.kept():  # a step that fails is told here, not in the midst of a measurement
        _stepped(run)
    with talk.progress(f"measuring {run.name}") as advance:
        return diagnose(run, seed=request.seed, command=command, progress=lambda part: advance(part=part))


def _stepped(run: Run) -> None:
    try:
        run.step()
    except SeparatrixError:
        raise
    except Exception as error:
        raise InputError(f"the step of {run.name!r} raised {raised_by(error)}.") from error


def _refuse_options_of_games(request: Request, **given: bool) -> None:
    """A Run brings its data, optimizers and devices itself, and has no derivatives to choose a route for.

    Raises:
        InputError: an option that would change nothing; names it.
    """
    typed = {
        "--data": request.data,
        "--method": request.method,
        "--optimizer": request.optimizers,
        "--checkpoint": request.checkpoint,
        "--batches": request.batches,
        "--device": request.device,
        "--dtype": request.dtype,
        **{"-k" if name == "k" else f"--{name}": said for name, said in given.items()},
    }
    for option, value in typed.items():
        if value:
            raise InputError(
                f"{option} is for a Game, and TARGET {request.target!r} is a Run, which makes its own steps; leave it out, or change "
                "the function that makes the Run. --train N, --seed and the options of output work."
            )


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
