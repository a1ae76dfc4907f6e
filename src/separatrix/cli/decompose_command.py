"""``separatrix decompose``: its options. Fields and finite games go their own ways, imported when it runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli import options as opt
from separatrix.cli.command import Job, starting

_HOW = "How it is measured"


Decomposed = Annotated[
    str | None,
    typer.Argument(
        metavar="TARGET",
        help="zoo:NAME, path/to/file.py:NAME or package.module:NAME: a Problem, a Field, a Game, or a function that "
        "returns one; a NormalForm or PolynomialGame; or payoffs.npy (players first) or payoffs.npz. Without TARGET: the "
        "bundled digits GAN.",
        show_default=False,
    ),
]


@starting(target=Decomposed)
def decompose(
    request: opt.Request,
    *,
    probes: Annotated[
        int,
        typer.Option(callback=opt.at_least(2), metavar="N", help="Random vectors for the norms.", rich_help_panel=_HOW),
    ] = 30,
    k: Annotated[
        int, typer.Option("-k", callback=opt.at_least(1), help="Planes of rotation.", rich_help_panel=_HOW)
    ] = 3,
    loops: Annotated[
        int,
        typer.Option(callback=opt.at_least(0), metavar="N", help="Circles in the first planes.", rich_help_panel=_HOW),
    ] = 1,
    radius: Annotated[
        float | None,
        typer.Option(metavar="R", help="Of the circles.", show_default="the length of 20 steps", rich_help_panel=_HOW),
    ] = None,
    output: Annotated[list[Path] | None, opt.written("Draw into .svg or .png. Repeatable.")] = None,
) -> Job:
    """Split a field or a game: what descends, what turns, and what the players do not care about."""
    if radius is not None and not radius > 0:
        raise typer.BadParameter(f"--radius must be positive, got {radius:g}")
    from separatrix.cli.decomposing import decompose_target

    return partial(decompose_target, request, probes=probes, k=k, loops=loops, radius=radius, outputs=output or [])
