"""``separatrix topology``: its options. Networks and arrays go their own ways, imported when it runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli import options as opt
from separatrix.cli.command import Job, talking

_NETWORK, _ARRAY, _HOW = "Networks", "Arrays", "How it is measured"


@talking
def topology(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="path/to/file.py:NAME or package.module:NAME, a ReLU network (nn.Sequential, say) or a function that "
            "returns one; or file.npy, an array.",
        ),
    ],
    *,
    level: Annotated[
        float | None,
        typer.Option(metavar="C", help="Of the level set {F = C}; 0 if not given.", rich_help_panel=_NETWORK),
    ] = None,
    min_persistence: Annotated[
        float | None,
        typer.Option(
            callback=opt.at_least(0),
            metavar="P",
            help="Cancel and leave out pairs that live shorter.",
            rich_help_panel=_ARRAY,
        ),
    ] = None,
    periodic: Annotated[
        bool, typer.Option("--periodic", help="Join the ends of every axis.", rich_help_panel=_ARRAY)
    ] = False,
    max_vertices: Annotated[
        int,
        typer.Option(
            callback=opt.at_least(1),
            metavar="N",
            help="A network that has more is cut along its first neurons only, and the result marked incomplete; "
            "an array with more entries is refused.",
            rich_help_panel=_HOW,
        ),
    ] = 2_000_000,
    seed: Annotated[int, typer.Option(help="Set before the target is made.", rich_help_panel=_HOW)] = 0,
    output: Annotated[
        list[Path] | None, opt.written("Draw into .svg or .png: networks of two or three inputs, arrays. Repeatable.")
    ] = None,
) -> Job:
    """Find the skeleton of a ReLU network or of an array: cells, critical points, Betti numbers."""
    if target.endswith(".npy"):
        if level is not None:
            raise typer.BadParameter(
                "--level is for networks; the sublevel sets of an array are in its persistence pairs"
            )
        from separatrix.cli.array_skeleton import skeleton_of_array

        return partial(
            skeleton_of_array,
            target,
            min_persistence=min_persistence,
            periodic=periodic,
            max_vertices=max_vertices,
            outputs=output or [],
        )
    if periodic or min_persistence is not None:
        option = "--periodic" if periodic else "--min-persistence"
        raise typer.BadParameter(f"{option} is for arrays (file.npy); TARGET is {target!r}")
    from separatrix.cli.network_skeleton import skeleton_of_network

    return partial(skeleton_of_network, target, level=level, max_vertices=max_vertices, seed=seed, outputs=output or [])
