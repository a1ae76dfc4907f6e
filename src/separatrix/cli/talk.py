"""What a command says: results on stdout; progress, notes and the user's own prints on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from math import isfinite
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

# Where stdout is no terminal its width is unknown; tables are made for a hundred characters.
WIDTH = 100


@dataclass(frozen=True)
class Talk:
    """The two streams of a command and how much it says.

    Attributes:
        out: for results.
        err: for everything else.
        json: results as JSON.
        quiet: no talk, and of the results the shortest form.
        arguments: the command line as typed.
    """

    out: TextIO
    err: TextIO
    json: bool = False
    quiet: bool = False
    arguments: tuple[str, ...] = ()

    @classmethod
    def of(cls, arguments: Sequence[str]) -> Talk:
        """On the streams of the process."""
        return cls(sys.stdout, sys.stderr, "--json" in arguments, "--quiet" in arguments, tuple(arguments))

    def note(self, text: str) -> None:
        """A line on stderr."""
        if not self.quiet:
            print(text, file=self.err)

    def result(self, data: Mapping[str, Any], *shown: RenderableType, laid_out: bool = False) -> None:
        """The result: as JSON, or as ``rich`` shows it: in colour on a terminal (not with NO_COLOR), plain elsewhere.

        With ``quiet``, and where text that is ``laid_out`` with a table does not go to a terminal, a line is a line, however long.
        """
        if self.json:
            print(json.dumps(finite(data), indent=1, allow_nan=False), file=self.out)
        elif self.out.isatty():
            Console(file=self.out, highlight=False).print(Group(*shown), soft_wrap=self.quiet)
        else:
            plain = Console(file=StringIO(), width=WIDTH, color_system=None, highlight=False)
            with plain.capture() as capture:
                plain.print(Group(*shown), soft_wrap=self.quiet or laid_out)
            self.out.writelines(line.rstrip() + "\n" for line in capture.get().splitlines())

    @contextmanager
    def progress(self, doing: str, total: int | None = None) -> Iterator[Callable[..., None]]:
        """A bar (or a spinner without ``total``) on stderr while it is a terminal.

        The callable takes the steps done, the name of the part that begins, or both.
        """
        columns = [SpinnerColumn(), TextColumn("{task.description}")]
        columns += [BarColumn(), MofNCompleteColumn()] if total is not None else []
        bar = Progress(
            *columns,
            TimeElapsedColumn(),
            console=Console(file=self.err),
            transient=True,
            disable=self.quiet or not self.err.isatty(),
        )
        with bar:
            task = bar.add_task(doing, total=total)

            def advance(done: int | None = None, part: str | None = None) -> None:
                bar.update(task, completed=done, description=doing if part is None else f"{doing}: {part}")

            yield advance


def finite(data: Any) -> Any:
    """Plain data with ``None`` for numbers that JSON does not know, and complex numbers as pairs."""
    if isinstance(data, Mapping):
        return {str(key): finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [finite(value) for value in data]
    if isinstance(data, complex):
        return [finite(data.real), finite(data.imag)]
    return None if isinstance(data, float) and not isfinite(data) else data
