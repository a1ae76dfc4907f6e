"""``separatrix advise``: its options. What it does is imported when it runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from separatrix.cli import options as opt
from separatrix.cli.command import Job, starting

_HOW = "How it is measured"


@starting()
def advise(
    request: opt.Request,
    *,
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Methods as --method takes them, separated by commas; schemes around the running one if not given.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    remedies: Annotated[
        bool,
        typer.Option(
            "--remedies/--no-remedies", help="Of a zoo target: its variants with penalties.", rich_help_panel=_HOW
        ),
    ] = True,
    race: Annotated[
        int,
        typer.Option(
            callback=opt.at_least(0),
            metavar="N",
            help="End in a race whose first round lasts N steps of the running method; 0 for none.",
            rich_help_panel=_HOW,
        ),
    ] = 0,
    rounds: Annotated[
        int,
        typer.Option(
            callback=opt.at_least(1),
            metavar="R",
            help="Of the race: in each further one the better third begins again for three times as long.",
            rich_help_panel=_HOW,
        ),
    ] = 3,
    seeds: Annotated[
        int,
        typer.Option(callback=opt.at_least(1), metavar="S", help="Of the race, from --seed on.", rich_help_panel=_HOW),
    ] = 3,
    noise: Annotated[
        int | None,
        typer.Option(
            callback=opt.at_least(0),
            metavar="N",
            help="Minibatches to sample; 8, or 0.",
            show_default=False,
            rich_help_panel=_HOW,
        ),
    ] = None,
    remaining: opt.Remaining = 1000,
    max_products: opt.MaxProducts = 150,
    k: opt.Count = 5,
    output: Annotated[list[Path] | None, opt.written("Write .html, .json, .md, .png or .svg. Repeatable.")] = None,
) -> Job:
    """Rank methods by what they are likely to do here, with the range of safe steps and the reason; race the best."""
    from separatrix.cli.advising import advise_target

    return partial(
        advise_target,
        request,
        methods=methods,
        remedies=remedies,
        race=race,
        rounds=rounds,
        seeds=seeds,
        noise=noise,
        remaining=remaining,
        k=k,
        max_products=max_products,
        outputs=output or [],
    )
