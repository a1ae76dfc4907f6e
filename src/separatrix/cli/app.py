"""The commands and their options. A command only returns what is to be run, so parsing costs no torch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from separatrix import __version__
from separatrix.cli import options as opt
from separatrix.cli.advise_command import advise
from separatrix.cli.atlas_command import atlas
from separatrix.cli.command import Job, starting, talking
from separatrix.cli.decompose_command import decompose
from separatrix.cli.monitor_report_command import report
from separatrix.cli.portrait_command import portrait
from separatrix.cli.spectrum_command import spectrum
from separatrix.cli.topology_command import topology
from separatrix.cli.watch_command import watch
from separatrix.cli.zoo_command import zoo

app = typer.Typer(
    name="separatrix",
    help="See, measure, predict and fix the gradient vector fields of models that learn against each other.",
    epilog="Exit codes: 0 done; 1 findings at or above --fail-on; 2 the input; 3 could not compute; 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"separatrix {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
@starting()
def diagnose(
    request: opt.Request,
    *,
    k: opt.Count = 5,
    route: opt.Route = opt.JacobianRoute.retained,
    budget: opt.Budget = None,
    remaining: opt.Remaining = 1000,
    output: opt.Reports = None,
    fail_on: opt.FailOn = None,
) -> Job:
    """Measure everything at a point: verdict, findings with remedies, tables, figures."""
    from separatrix.cli.diagnosing import diagnose_target

    return partial(
        diagnose_target,
        request,
        k=k,
        route=route.value,
        budget=budget,
        remaining=remaining,
        outputs=output or [],
        fail_on=fail_on,
    )


@app.command()
@starting(without=("train", "batches"))
def train(
    request: opt.Request,
    *,
    steps: Annotated[
        int, typer.Option(callback=opt.at_least(0), metavar="N", help="How many steps.")
    ] = opt.DEFAULT_TRAIN,
    output: opt.CheckpointOut = None,
) -> Job:
    """Train a target and print losses, score before and after, and cost."""
    from separatrix.cli.training import train_target

    return partial(train_target, replace(request, train=0), steps=steps, output=output)


@app.command()
@starting(without=("method",))
def compare(
    request: opt.Request,
    *,
    methods: Annotated[
        str,
        typer.Option(metavar="A,B,...", help="Methods as --method takes them, separated by commas."),
    ] = "simultaneous,alternating,extragradient",
    steps: Annotated[
        int,
        typer.Option(callback=opt.at_least(1), metavar="N", help="Steps of the first method; the others get its cost."),
    ] = 500,
    seeds: Annotated[
        int, typer.Option(callback=opt.at_least(1), metavar="S", help="How many seeds, from --seed on.")
    ] = 3,
    best_steps: Annotated[
        bool, typer.Option("--best-steps", help="Run each method at the step that advice finds best for it, too.")
    ] = False,
    k: opt.Count = 5,
    output: opt.ComparisonOut = None,
) -> Job:
    """Run methods from one start at equal gradient cost: predicted beside observed."""
    from separatrix.cli.comparing import compare_target

    return partial(
        compare_target,
        request,
        methods=methods,
        steps=steps,
        seeds=seeds,
        k=k,
        best_steps=best_steps,
        outputs=output or [],
    )


app.command()(advise)
app.command()(spectrum)
app.command()(decompose)
app.command()(portrait)
app.command()(topology)
app.command()(watch)
app.command()(report)
app.command()(zoo)
app.add_typer(atlas, name="atlas")


@app.command("compare-reports")
@talking
def compare_reports(
    before: Annotated[Path, typer.Argument(help="A diagnosis saved as .json.")],
    after: Annotated[Path, typer.Argument(help="Another one.")],
) -> Job:
    """Show what changed between two saved diagnoses."""
    from separatrix.cli.diagnosing import compare_saved

    return partial(compare_saved, before, after)
