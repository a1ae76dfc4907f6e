"""``separatrix portrait``: what it prints and writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from separatrix.cli.options import Request
from separatrix.cli.outputs import check_outputs
from separatrix.cli.starting import start
from separatrix.cli.talk import Talk
from separatrix.dynamics import Problem
from separatrix.report.portrait import Box, portrait

SUFFIXES = (".svg", ".png", ".pdf", ".json")


def portrait_of_target(
    request: Request,
    talk: Talk,
    *,
    box: Box | None,
    plane: str | tuple[int, int] | None,
    losses: bool,
    resolution: int,
    cells: int,
    cycles: bool,
    basins: bool,
    outputs: Sequence[Path],
) -> int:
    """Look, print what was found, and write what is asked for."""
    check_outputs(outputs, SUFFIXES)
    begun = start(request, talk)
    field = begun.field(request.seed)
    with talk.progress(f"portrait of {begun.problem.name}"):
        found = portrait(
            field,
            box=_known_box(begun.problem) if box is None and field.space.n == 2 else box,
            plane=plane,
            path=begun.path,
            resolution=resolution,
            cells=cells,
            cycles=cycles,
            basins=basins,
            losses=losses,
            seed=request.seed,
        )
    for path in outputs:
        found.save(path)
        talk.note(f"wrote {path}")
    heading = (
        [] if talk.quiet else [Text(f"{begun.problem.name}, sign of the field: it points in the direction of motion")]
    )
    talk.result({"problem": begun.problem.name, **found.to_dict()}, *heading, *map(Text, found.sentences))
    return 0


def _known_box(problem: Problem) -> Box | None:
    """The box that the problem knows of."""
    for fact in problem.facts:
        if fact.name == "box":
            (low, high), (below, above) = fact.value
            return (low, high), (below, above)
    return None
