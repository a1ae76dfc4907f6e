"""Settings of the wrong kind are told by name, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from separatrix.dynamics import SGD, Adam, Alternating, Consensus, Extragradient, Lookahead, Method, compare
from separatrix.errors import InputError
from separatrix.zoo import load

WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "a rate in words": (lambda: SGD("x"), "lr must be positive, got 'x'"),  # type: ignore[arg-type]
    "no rate": (lambda: Adam(None), "lr must be positive, got None"),  # type: ignore[arg-type]
    "a weight in words": (lambda: Consensus("x"), "gamma must be a number"),  # type: ignore[arg-type]
    "a length in words": (lambda: Extragradient(ahead="x"), "ahead must be positive"),  # type: ignore[arg-type]
    "a scheme in words": (lambda: Lookahead("extragradient"), "inner must be a scheme"),  # type: ignore[arg-type]
    "half a round": (lambda: Lookahead(Alternating(), every=2.5), "every must be at least 1, a whole number, got 2.5"),  # type: ignore[arg-type]
    "lazy without a term": (lambda: Alternating(lazy=4), "lazy says how often each term"),  # type: ignore[arg-type]
    "half a move": (lambda: Alternating(repeats={"D": 1.5}), "a whole number of times"),  # type: ignore[dict-item]
    "a count of seeds": (
        lambda: compare(load("bilinear"), {"sgd": Method(SGD(0.1), Alternating())}, steps=3, seeds=2),  # type: ignore[arg-type]
        r"such as range\(2\)",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_setting_of_the_wrong_kind_is_named(what: str):
    make, message = WRONG[what]
    with pytest.raises(InputError, match=message):
        make()
