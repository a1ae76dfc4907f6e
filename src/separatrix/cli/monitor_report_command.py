"""``separatrix report``: a monitored run as a report."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli import options as opt
from separatrix.cli.command import Job, talking
from separatrix.cli.talk import Talk


@talking
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder that sx.Monitor(..., folder=RUN) writes.")],
    *,
    output: opt.Reports = None,
    fail_on: opt.FailOn = None,
) -> Job:
    """Report a monitored run, finished or not: findings, last measurements, numbers along the run."""
    return partial(report_folder, run, outputs=output or [], fail_on=fail_on)


def report_folder(place: Path, talk: Talk, *, outputs: Sequence[Path], fail_on: str | None) -> int:
    """Write what is asked for, print; 1 where a finding is as severe as ``fail_on``."""
    from rich.text import Text

    from separatrix.atlas.links import name_studies
    from separatrix.cli.outputs import check_outputs
    from separatrix.probes.monitored_diagnosis import diagnose_folder
    from separatrix.probes.record import SEVERITIES
    from separatrix.report import show

    check_outputs(outputs, (".html", ".json", ".md"))
    name_studies()
    diagnosis = diagnose_folder(place, command=shlex.join(["separatrix", *talk.arguments]))
    for path in outputs:
        diagnosis.save(path)
        talk.note(f"wrote {path}")
    if talk.json or talk.quiet:
        talk.result(diagnosis.to_dict(), Text(f"{diagnosis.severity}: {diagnosis.verdict}"))
    else:
        show(diagnosis, file=talk.out)
    failed = fail_on is not None and SEVERITIES.index(diagnosis.worst()) >= SEVERITIES.index(fail_on)
    return 1 if failed else 0
