"""``separatrix watch``: the latest numbers and findings of a monitored run, again and again while it is written."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from separatrix.cli import options as opt
from separatrix.cli.command import Job, talking
from separatrix.cli.talk import Talk

if TYPE_CHECKING:
    from rich.console import RenderableType


@talking
def watch(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder that sx.Monitor(..., folder=RUN) writes.")],
    *,
    every: Annotated[
        float, typer.Option(callback=opt.at_least(0.1), metavar="S", help="Seconds between two looks.")
    ] = 5.0,
    once: Annotated[
        bool, typer.Option("--once", help="Look once; this is also done where stdout is no terminal.")
    ] = False,
) -> Job:
    """Show the latest numbers and findings of a monitored run; ends with Ctrl-C."""
    return partial(watch_folder, run, every=every, once=once)


def watch_folder(place: Path, talk: Talk, *, every: float, once: bool) -> int:
    """Look once, or until interrupted on a terminal."""
    if once or talk.json or not talk.out.isatty():
        data, shown = look(place)
        talk.result(data, *shown)
        return 0
    from rich.console import Console, Group
    from rich.live import Live

    try:
        with Live(console=Console(file=talk.out, highlight=False), auto_refresh=False) as live:
            while True:
                live.update(Group(*look(place)[1]), refresh=True)
                time.sleep(every)
    except KeyboardInterrupt:
        return 0


def look(place: Path) -> tuple[dict[str, Any], list[RenderableType]]:
    """What the folder holds now: as data, and to be shown."""
    from rich.table import Table
    from rich.text import Text

    from separatrix.probes.numbers import number
    from separatrix.probes.run_folder import read_run

    run = read_run(place)
    latest = {name: points[-1] for name, points in run.series().items()}
    data = {
        "name": run.about["name"],
        "step": run.step,
        "found_at": run.found_at,
        "findings": [vars(f) for f in run.findings or ()],
        "numbers": {name: {"step": step, "value": value} for name, (step, value) in latest.items()},
    }
    shown: list[RenderableType] = [Text(f"{run.about['name']}, step {run.step}", "bold")]
    if run.findings is None:
        shown.append(Text("Nothing has been measured yet."))
    elif not run.findings:
        shown.append(Text(f"No findings at step {run.found_at}."))
    for finding in run.findings or ():
        shown.append(Text(f"{finding.severity}: {finding.title}. {finding.sentence}"))
        shown.append(Text(f"  Try: {finding.remedy}", "dim"))
    table = Table("number", "value", "step", "before", box=None, pad_edge=False)
    for name, points in sorted(run.series().items()):
        before = number(points[-2][1]) if len(points) > 1 else ""
        table.add_row(name.partition("/")[2], number(points[-1][1]), str(points[-1][0]), before)
    shown.append(table)
    return data, shown
