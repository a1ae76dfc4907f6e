"""A user's step that does not finish: told by name, not waited for."""

from __future__ import annotations

import inspect
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from separatrix.errors import InputError

T = TypeVar("T")


def refuse_unfinished(step: Callable[[], Any]) -> None:
    """Refuse functions whose call makes no step: generators and coroutines.

    Raises:
        InputError: what it is, and what to write instead.
    """
    if inspect.isgeneratorfunction(step):
        raise InputError("the step of a Run holds a yield, so that calling it makes no step; give lambda: next(steps).")
    if inspect.iscoroutinefunction(step):
        raise InputError("the step of a Run is a coroutine, so that calling it makes no step; give a plain function.")


def finished(step: Callable[[], T], name: str, time_limit: float | None) -> T:
    """``step()``, stopped after a time.

    Raises:
        InputError: it ran out of data, or took too long; says where it stood.
    """
    try:
        if time_limit is None or not _alarms_are_free():
            return step()
        return _within(step, name, time_limit)
    except StopIteration as error:
        raise InputError(
            f"the step of {name!r} ran out of data (StopIteration); let it start over at the end of an epoch, or draw "
            "batches by a position in the state."
        ) from error


def _alarms_are_free() -> bool:
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        return False
    return signal.getsignal(signal.SIGALRM) is signal.SIG_DFL and signal.getitimer(signal.ITIMER_REAL)[0] == 0


def _within(step: Callable[[], T], name: str, time_limit: float) -> T:
    def stop(_: int, frame: FrameType | None) -> None:
        place = "" if frame is None else f"; it stood at {frame.f_code.co_filename}:{frame.f_lineno}"
        raise InputError(
            f"the step of {name!r} did not return within {time_limit:g} s{place}. A step makes one update and returns; for "
            "slower ones give sx.Run(..., time_limit=seconds)."
        )

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, time_limit)
    try:
        return step()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
