"""Wrong usage in one sentence of our own: which option, the value seen, what it may be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

SEE = "see separatrix --help, or --help after the command."


def usage_message(error: Any, arguments: Sequence[str]) -> str:
    """What a parser's error says, without the parser's own jargon.

    Args:
        error: typer's; it has ``format_message``.
        arguments: the command line as typed.
    """
    said = str(error.format_message()).strip().rstrip(".")
    if not said:  # no command was named, and the help was printed
        return f"no command was named; separatrix diagnose, for one, measures the bundled digits GAN; {SEE}"
    said = said.replace("Value error, ", "")
    if match := re.search(r"Input should be a valid (integer|number)", said):
        what = "whole number" if match[1] == "integer" else "number"
        said = f"{said[: match.start()]}it must be a {what}{_seen(error, arguments)}"
    if "is not one of" in said:
        said = said.replace("'is", "' is").replace("' is not one of ", "' is not one of: ")
    if said.startswith("No such option"):
        said = said.partition(" (Possible")[0] + _nearest(error)
    return f"{said}{'' if said.endswith('?') else ';'} {SEE}"


def _names(error: Any) -> list[str]:
    """The names of the option that the error is about."""
    return list(getattr(getattr(error, "param", None), "opts", None) or [])


def _seen(error: Any, arguments: Sequence[str]) -> str:
    """``, got 'many'``: the value as typed."""
    for name in _names(error):
        for i, argument in enumerate(arguments):
            if argument == name and i + 1 < len(arguments):
                return f", got {arguments[i + 1]!r}"
            if argument.startswith(f"{name}="):
                return f", got {argument.partition('=')[2]!r}"
            if len(name) == 2 and argument.startswith(name) and len(argument) > 2 and not argument.startswith("--"):
                return f", got {argument[2:]!r}"
    return ""


def _nearest(error: Any) -> str:
    context = getattr(error, "ctx", None)
    wrong = getattr(error, "option_name", "")
    known = [name for param in (context.command.params if context else []) for name in getattr(param, "opts", [])]
    close = get_close_matches(str(wrong), [name for name in known if name.startswith("--")], n=1)
    return f"; did you mean {close[0]}?" if close else ""
