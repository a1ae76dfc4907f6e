"""Imports that happen late, in the middle of a user's program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unnoticed() -> Iterator[None]:
    """What is imported inside draws nothing from the user's stream of Python's ``random``; ``rich`` does as it loads."""
    import random

    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
