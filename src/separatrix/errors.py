"""Every error a user can meet. Each names the culprit, the value seen and the remedy."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class SeparatrixError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the command line returns for it."""

    exit_code = 3


class InputError(SeparatrixError):
    """The user's arguments, target, losses or checkpoint are at fault."""

    exit_code = 2


class ComputationError(SeparatrixError):
    """The input is in order but the answer could not be computed."""


class NonFiniteError(ComputationError):
    """A NaN or an infinity turned up where a finite number is needed."""


class UnsupportedOperatorError(ComputationError):
    """An operator has no second derivative, or none that can be trusted."""


class WrongDerivativeError(UnsupportedOperatorError):
    """A self-test found second derivatives that contradict the field."""


class StaleOperatorError(ComputationError):
    """The parameters moved since the operator was built."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A misspelt name's remedy, to stand after the message: the nearest known name, else nothing.

    Example:
        >>> did_you_mean("alternatin", ["simultaneous", "alternating"]), did_you_mean("x", ["alternating"])
        ("; did you mean 'alternating'?", '.')
    """
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else "."


def raised_by(error: BaseException) -> str:
    """What the user's own code raised and where, ``ValueError: no such thing (losses.py, line 12)``.

    The place is the innermost one that is neither ours nor of an installed package; it is left out where there is none.
    """
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not any(frame.filename.startswith(root) for root in _FOREIGN)]
    return f"{said} ({own[-1].filename}, line {own[-1].lineno})" if own else said


_FOREIGN = (
    str(Path(__file__).parent),
    *(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib")),
    "<frozen",
)
