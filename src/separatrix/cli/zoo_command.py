"""``separatrix zoo [NAME]``: the named problems, or what is known of one. Imported when it runs."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from separatrix.cli.command import Job, talking


@talking
def zoo(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Of one problem: options and known facts.", show_default=False)
    ] = None,
) -> Job:
    """List the named problems that a TARGET can be, or what is known of one."""
    from separatrix.cli.zoo_listing import list_zoo, show_problem

    return list_zoo if name is None else partial(show_problem, name)
