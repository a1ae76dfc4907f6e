"""``separatrix atlas list | show | run | build``: its options; what they do is imported when they run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli import options as opt
from separatrix.cli.command import Job, talking

_WHICH, _HOW, _OUT = "Which studies", "How they are run", "What is printed and written"

atlas = typer.Typer(
    help="Look up what is known: published systems as studies one can run, with claims that can fail.",
    epilog="Exit codes: 0 done; 1 a claim does not hold; 2 the input; 3 a study could not be finished; 130 interrupted.",
    no_args_is_help=True,
)

Family = Annotated[str | None, typer.Option(metavar="NAME", help="Of this family only.", rich_help_panel=_WHICH)]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="DIR",
        help="Results of your own runs, shown in place of those that come with the package.",
        rich_help_panel=_OUT,
    ),
]


@atlas.command("list")
@talking
def list_(
    *,
    family: Family = None,
    verdict: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="holds, does not hold, undecided or not run.", rich_help_panel=_WHICH),
    ] = None,
    method: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Whose methods contain this.", rich_help_panel=_WHICH)
    ] = None,
    symptom: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS", help="Whose symptoms contain this, or code of a finding.", rich_help_panel=_WHICH
        ),
    ] = None,
    results: Folder = None,
) -> Job:
    """List the studies with their verdicts."""
    from separatrix.cli.atlas_reading import list_studies

    return partial(list_studies, family=family, verdict=verdict, method=method, symptom=symptom, results=results)


@atlas.command("show")
@talking
def show(
    study: Annotated[str, typer.Argument(metavar="ID", help="As atlas list prints it.")],
    *,
    code: Annotated[bool, typer.Option("--code", help="Print the study itself.", rich_help_panel=_OUT)] = False,
    results: Folder = None,
) -> Job:
    """Show a study: its claims with numbers and verdicts, what it leaves out, where it comes from."""
    from separatrix.cli.atlas_reading import show_study

    return partial(show_study, study, code=code, results=results)


@atlas.command("run")
@talking
def run(
    studies: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID...]", help="Studies, or path/to/study.py.", show_default=False),
    ] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="All of them.", rich_help_panel=_WHICH)] = False,
    family: Family = None,
    smoke: Annotated[
        bool,
        typer.Option(
            "--smoke", help="In a second or two, to see that it works; decides nothing.", rich_help_panel=_HOW
        ),
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what is stored already.", rich_help_panel=_HOW)] = False,
    workers: Annotated[
        int, typer.Option(callback=opt.at_least(1), metavar="N", help="Processes at a time.", rich_help_panel=_HOW)
    ] = 1,
    budget: Annotated[
        float | None,
        typer.Option(
            callback=opt.at_least(1),
            metavar="S",
            help="CPU-seconds for each study, in place of its own.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder of the results: each study is written as it is finished, and not run again.",
            rich_help_panel=_OUT,
        ),
    ] = Path("atlas-results"),
) -> Job:
    """Run studies; what is finished is kept, so a run that was stopped goes on where it was."""
    from separatrix.cli.atlas_running import run_chosen

    if sum([bool(studies), all_, family is not None]) != 1:
        raise typer.BadParameter("name studies, or give --all, or --family NAME: one of the three")
    scale = "smoke" if smoke else "full"
    return partial(
        run_chosen,
        studies or [],
        family=family,
        scale=scale,
        again=again,
        workers=workers,
        budget=budget,
        store=output,
    )


@atlas.command("build")
@talking
def build(
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the site.")],
    results: Folder = None,
) -> Job:
    """Build the site: a static, offline page for every study, with search and indexes by symptom and method."""
    from separatrix.cli.atlas_reading import build_site

    return partial(build_site, output, results=results)
