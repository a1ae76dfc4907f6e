"""The command line: ``separatrix diagnose | train | compare | spectrum | topology TARGET``.

Thin: it parses, calls the rooms above and prints. What costs torch is imported when a command runs, so that ``--help``
and ``--version`` are instant. Results go to stdout, talk to stderr; exit codes are part of the interface:
0 done; 1 findings at or above ``--fail-on``; 2 the user's input; 3 could not compute; 130 interrupted.
"""

from separatrix.cli.main import main

__all__ = ["main"]
