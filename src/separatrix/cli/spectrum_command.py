"""``separatrix spectrum``: its options. What it does is imported when it runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli import options as opt
from separatrix.cli.command import Job, starting

_HOW = "How it is measured"


@starting()
def spectrum(
    request: opt.Request,
    *,
    end: Annotated[
        list[opt.End] | None,
        typer.Option(
            "--target",
            help="Which end of the spectrum. Repeatable: all ends share one search.",
            show_default="largest, rightmost, rotation",
            rich_help_panel=_HOW,
        ),
    ] = None,
    pseudospectrum: Annotated[
        bool,
        typer.Option("--pseudospectrum", help="Where small perturbations move eigenvalues.", rich_help_panel=_HOW),
    ] = False,
    density: Annotated[
        bool,
        typer.Option("--density", help="Of the eigenvalues of the symmetric part, all of them.", rich_help_panel=_HOW),
    ] = False,
    max_products: opt.MaxProducts = 300,
    route: opt.Route = opt.JacobianRoute.retained,
    k: opt.Count = 6,
    output: Annotated[list[Path] | None, opt.written("Write .html, .png, .svg, .md or .json. Repeatable.")] = None,
) -> Job:
    """Find leading eigenvalues with their residuals, and the verdict with its certificate."""
    from separatrix.cli.eigenvalues import spectrum_of_target

    return partial(
        spectrum_of_target,
        request,
        ends=[e.value for e in end or []],
        k=k,
        max_products=max_products,
        route=route.value,
        pseudospectrum=pseudospectrum,
        density=density,
        outputs=output or [],
    )
