"""How the skeletons of networks and arrays are printed and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from separatrix.cli.outputs import write_whole
from separatrix.cli.talk import Talk

SUFFIXES = (".svg", ".png")
ROWS = 12  # of a table; --json lists all


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[RenderableType]:
    """The first rows, and how many more there are."""
    grown = Table(box=None, header_style="dim", pad_edge=False)
    for name in names:
        grown.add_column(name, justify="left" if "at" in name.split() else "right")
    for row in rows[:ROWS]:
        grown.add_row(*row)
    more = len(rows) - ROWS
    return [grown, *([Text(f"and {more} more; --json lists all")] if more > 0 else [])]


def listed(numbers: Sequence[int]) -> str:
    """``(1, 2, 3)``."""
    return f"({', '.join(str(number) for number in numbers)})"


def write_figure(figure: Figure, outputs: Sequence[Path], talk: Talk) -> None:
    """Each file whole or not at all; the same bytes for the same picture."""
    for path in outputs:
        kind = path.suffix[1:]
        metadata = {"Date": None} if kind == "svg" else {}
        with rc_context({"svg.hashsalt": "separatrix"}):
            write_whole(path, partial(figure.savefig, format=kind, metadata=metadata))
        talk.note(f"wrote {path}")
