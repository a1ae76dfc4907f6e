"""Where a finding is read up. The report asks whoever registered, and knows none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """Works that belong to a finding.

    Attributes:
        names: the nearest ones.
        show: the command that shows one, to be followed by its name.
        rest: the command that lists all of them; empty where ``names`` are all.
    """

    names: tuple[str, ...]
    show: str
    rest: str = ""

    def __str__(self) -> str:
        """As one line of text."""
        line = f"{self.show} {' | '.join(self.names)}"
        return f"{line}; all of them: {self.rest}" if self.rest else line


# Each takes the code of a finding; ``separatrix.atlas.links`` adds the studies of the atlas.
SOURCES: dict[str, Callable[[str], Reading | None]] = {}


def readings(code: str) -> list[Reading]:
    """What is registered for a finding, in the order of registration."""
    found = (source(code) for source in SOURCES.values())
    return [reading for reading in found if reading is not None]
