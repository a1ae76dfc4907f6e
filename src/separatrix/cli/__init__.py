"""The command line: ``separatrix diagnose | train | compare | spectrum | topology | zoo | atlas``.

Thin: it parses, calls the rooms above and prints. What costs torch is imported when a command runs, so that ``--help``
and ``--version`` are instant. Results go to stdout, talk to stderr; exit codes are part of the interface:
0 done; 1 findings at or above ``--fail-on``; 2 the user's input; 3 could not compute; 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Args:
        argv: the arguments without the program's name; those of the process where ``None``.
    """
    try:
        # Here, so that an interrupt while it loads is told as one.
        from separatrix.cli.entry import run

        return run(argv)
    except KeyboardInterrupt:
        print("separatrix: interrupted; nothing was left half-written.", file=sys.stderr)
        return 130


__all__ = ["main"]
