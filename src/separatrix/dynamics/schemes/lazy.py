"""Lazy terms: parts of the losses that a scheme takes now and then, and then as many times as strongly [karras2020]."""

from __future__ import annotations

from collections.abc import Mapping
from math import lcm

from torch import Tensor

from separatrix.dynamics.schemes.scheme import SCHEME, Evaluate, Scheme, States, recall, weighted
from separatrix.errors import InputError
from separatrix.fields.space import Space

MADE = "made"


def check_lazy(lazy: Mapping[str, int]) -> None:
    """Raise ``InputError`` where a term is to be taken every so many steps that are no number of steps."""
    if not isinstance(lazy, Mapping):
        raise InputError(f"lazy says how often each term is taken, {{'r1': 16}}, got {lazy!r}.")
    for term, every in lazy.items():
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InputError(
                f"a lazy term is taken every so many steps, a whole number from 1 on, got {every!r} for {term!r}."
            )


def period_of(lazy: Mapping[str, int]) -> int:
    """After how many steps the same terms are due again."""
    return lcm(*lazy.values())


def factors_after(made: int, lazy: Mapping[str, int]) -> dict[str, float]:
    """Each lazy term's factor in the step that follows so many: ``every`` where it is due, at the first step too, and 0 between.

    Example:
        >>> [factors_after(made, {"r1": 2}) for made in range(3)]
        [{'r1': 2.0}, {'r1': 0.0}, {'r1': 2.0}]
    """
    return {term: 0.0 if made % every else float(every) for term, every in lazy.items()}


def in_words(lazy: Mapping[str, int]) -> str:
    """``r1 every 16``; empty where nothing is lazy."""
    return ", ".join(f"{term} every {every}" for term, every in lazy.items())


def with_due_terms(
    lazy: Mapping[str, int], evaluate: Evaluate, scheme: Scheme, space: Space, x: Tensor, states: States
) -> tuple[Evaluate, States]:
    """The evaluation of this step with the terms that are due, and the states with the step counted."""
    if not lazy:
        return evaluate, states
    own = recall(scheme, space, x, states)
    made = own[MADE]
    return weighted(evaluate, factors_after(made, lazy)), {**states, SCHEME: {**own, MADE: made + 1}}
