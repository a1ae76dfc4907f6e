"""``separatrix portrait``: its options. What it does is imported when it runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli import options as opt
from separatrix.cli.command import Job, starting

_WHERE, _HOW = "What is looked at", "How it is measured"


@starting()
def portrait(
    request: opt.Request,
    *,
    box: Annotated[
        str | None,
        typer.Option(
            metavar="X0,X1,Y0,Y1",
            help="In the plane's coordinates; the target's own, or around where it stands, if not given.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    plane: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of a field of more than two dimensions: mode (if not given), turning, path (of --train), random, or the "
            "numbers of two coordinates, 0,3.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    losses: Annotated[
        bool, typer.Option("--losses", help="Draw the players' losses on the plane, too.", rich_help_panel=_WHERE)
    ] = False,
    resolution: Annotated[
        int,
        typer.Option(callback=opt.at_least(2), metavar="N", help="Points a side of the field.", rich_help_panel=_HOW),
    ] = 25,
    cells: Annotated[
        int,
        typer.Option(callback=opt.at_least(8), metavar="N", help="Cells a side of the basins.", rich_help_panel=_HOW),
    ] = 80,
    no_cycles: Annotated[
        bool, typer.Option("--no-cycles", help="Do not seek limit cycles.", rich_help_panel=_HOW)
    ] = False,
    no_basins: Annotated[bool, typer.Option("--no-basins", help="Do not seek basins.", rich_help_panel=_HOW)] = False,
    output: Annotated[list[Path] | None, opt.written("Write .svg, .png, .pdf or .json. Repeatable.")] = None,
) -> Job:
    """Draw a field: streams, rest points, limit cycles, basins; or a plane through a big one."""
    from separatrix.cli.portraying import portrait_of_target

    return partial(
        portrait_of_target,
        request,
        box=_numbers(box),
        plane=_plane(plane),
        losses=losses,
        resolution=resolution,
        cells=cells,
        cycles=not no_cycles,
        basins=not no_basins,
        outputs=output or [],
    )


def _numbers(text: str | None) -> tuple[tuple[float, float], tuple[float, float]] | None:
    if text is None:
        return None
    try:
        low, high, below, above = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--box takes four numbers X0,X1,Y0,Y1, got {text!r}") from None
    if not (low < high and below < above):
        raise typer.BadParameter(f"--box takes X0 < X1 and Y0 < Y1, got {text!r}")
    return (low, high), (below, above)


def _plane(text: str | None) -> str | tuple[int, int] | None:
    if text is None or "," not in text:
        return text
    try:
        first, second = (int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--plane takes a name or the numbers of two coordinates, 0,3, got {text!r}") from None
    return first, second
