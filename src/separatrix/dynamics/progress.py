"""Progress on stderr: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from separatrix.loading import unnoticed


@contextmanager
def progress_bar(label: str, total: int, *, progress: bool | None = None) -> Iterator[Callable[[int, str], None]]:
    """Yields ``show(done, note)``, cheap enough to be called at every step.

    Args:
        label: what is going on.
        total: how much there is to do.
        progress: on or off; only on a terminal where ``None``.
    """
    if not (sys.stderr.isatty() if progress is None else progress):
        yield lambda done, note: None
        return
    with unnoticed():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total, note="")
        shown = 0.0

        def show(done: int, note: str) -> None:
            nonlocal shown
            if done >= total or perf_counter() - shown > 0.1:
                shown = perf_counter()
                bar.update(task, completed=done, note=note)

        yield show
