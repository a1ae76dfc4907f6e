"""The entry point: parse, run what was asked for, and turn whatever is raised into one message and an exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout

from rich.console import Console
from rich.text import Text

from separatrix.cli.app import app
from separatrix.cli.talk import Talk
from separatrix.cli.usage import usage_message
from separatrix.errors import SeparatrixError

INPUT, COMPUTATION, INTERRUPTED = 2, 3, 130


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Args:
        argv: the arguments without the program's name; those of the process where ``None``.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Where other work runs on the same cores, OpenMP threads that spin at their barriers cost ten times the computation.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        # Typer only parses: what it returns is an exit code (of --help) or the command, ready to run.
        parsed: int | Callable[[Talk], int] = app(arguments, prog_name="separatrix", standalone_mode=False)
        if not callable(parsed):
            if parsed == INTERRUPTED:  # while a command was being imported: the parser swallows the interrupt
                raise KeyboardInterrupt
            return int(parsed or 0)
        talk = Talk.of(arguments)
        with redirect_stdout(talk.err):  # what the user's own code prints is talk
            code = parsed(talk)
            talk.out.flush()
            return code
    except BrokenPipeError:
        # The reader of stdout is gone (`| head`); keep Python from complaining about it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return COMPUTATION
    except KeyboardInterrupt as error:
        return _report("interrupted; nothing was left half-written.", INTERRUPTED, error, arguments)
    except Exception as error:
        message, code = explain(error, arguments)
        return _report(message, code, error, arguments)


def explain(error: Exception, arguments: Sequence[str] = ()) -> tuple[str, int]:
    """What to tell the user about an error, and the exit code."""
    if hasattr(error, "format_message"):  # typer's own errors
        return usage_message(error, arguments), INPUT
    if isinstance(error, SeparatrixError):
        return str(error), error.exit_code
    # An ImportError raised by hand has no name: a missing extra, with the command that installs it.
    if isinstance(error, OSError) or (isinstance(error, ImportError) and error.name is None):
        return str(error), INPUT
    if _out_of_memory(error):
        first = (str(error).strip().splitlines() or ["MemoryError"])[0]
        return f"out of memory: {first} Measure on fewer --batches, ask for a smaller -k, or use another --device.", 3
    kind = type(error).__name__
    return f"a fault of Separatrix itself: {kind}: {error}. Run it again with --debug and report what it prints.", 3


def _out_of_memory(error: Exception) -> bool:
    # By name, so that torch need not be imported; its CPU allocator raises a bare RuntimeError.
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def _report(message: str, code: int, error: BaseException, arguments: Sequence[str]) -> int:
    """One message on stderr, and with ``--json`` the same as data on stdout."""
    if "--debug" in arguments:
        traceback.print_exception(error, file=sys.stderr)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(Text.assemble(("separatrix: ", "bold red"), message))
    if "--json" in arguments:
        kind = type(error).__name__
        print(json.dumps({"error": {"kind": kind, "message": message, "exit_code": code}}, indent=1))
    return code
