"""A line on stderr that says how far a long solve has come; none where nobody is watching."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[..., None]


@contextmanager
def progress_line(progress: bool | None, what: str) -> Iterator[Report | None]:
    """Yields ``report(products, excess)``, or None where the line is off; clears the line at the end.

    ``excess`` is the error over the tolerance; None where there is none to speak of.

    Args:
        progress: True, False, or None for "only on a terminal".
        what: first words of the line.
    """
    # Within a live display of rich, which has taken the stream over, a second line would only tear the first.
    taken = type(sys.stderr).__module__.startswith("rich.")
    if not (sys.stderr.isatty() and not taken if progress is None else progress):
        yield None
        return

    def report(products: int, excess: float | None = None) -> None:
        error = "" if excess is None else f", error {max(excess, 1.0):.1e} times the tolerance"
        sys.stderr.write(f"\r{what}: {products} products{error}\033[K")
        sys.stderr.flush()

    try:
        yield report
    finally:
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()
