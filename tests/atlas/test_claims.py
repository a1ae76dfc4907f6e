"""Verdicts: on each side of the bound, on it, and inside the spread."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from separatrix.atlas import Claim, Outcome, at_least, at_most
from separatrix.atlas.claims import overall
from separatrix.errors import ComputationError, InputError

HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"


@pytest.mark.parametrize(
    ("value", "error", "verdict"),
    [(0.9, 0, HOLDS), (1.0, 0, HOLDS), (1.1, 0, FAILS), (0.9, 0.2, OPEN), (1.1, 0.2, OPEN), (1.3, 0.2, FAILS)],
)
def test_a_value_is_held_against_the_bound_with_its_error(value: float, error: float, verdict: str) -> None:
    assert at_most("x", value, 1.0, error=error).verdict == verdict
    assert at_least("x", -value, -1.0, error=error).verdict == verdict


def test_a_mean_is_undecided_while_the_bound_lies_in_students_interval() -> None:
    values = [1.0, 2.0, 3.0, 4.0]
    low, high = stats.t.interval(0.95, 3, loc=2.5, scale=stats.sem(values))
    claim = at_most("x", values, 10, over="mean")
    assert (claim.measured, claim.low, claim.high) == pytest.approx((2.5, low, high), rel=1e-9)
    assert at_most("x", values, high + 1e-9, over="mean").verdict == HOLDS
    assert at_most("x", values, high - 1e-9, over="mean").verdict == OPEN
    assert at_most("x", values, low + 1e-9, over="mean").verdict == OPEN
    assert at_most("x", values, low - 1e-9, over="mean").verdict == FAILS


def test_one_seed_decides_no_mean() -> None:
    assert at_most("x", [0.1], 1.0, over="mean").verdict == OPEN


def test_every_lets_the_worst_decide() -> None:
    assert at_most("x", [0.1, 0.9], 0.9, over="every").verdict == HOLDS
    assert at_most("x", [0.1, 0.91], 0.9, over="every").verdict == FAILS
    assert at_least("x", [0.1, 0.9], 0.2, over="every").verdict == FAILS
    assert at_least("x", [0.1, 0.9], 0.2, over="every").measured == 0.1


@pytest.mark.parametrize(("n", "cut"), [(5, 0), (6, 0), (8, 0), (9, 1), (20, 5), (100, 39)])
def test_the_medians_interval_is_that_of_the_order_statistics(n: int, cut: int) -> None:
    claim = at_most("x", range(n), 1e9, over="median")
    assert (claim.measured, claim.low, claim.high) == ((n - 1) / 2, cut, n - 1 - cut)
    if n >= 6:
        assert 2 * stats.binom.cdf(cut, n, 0.5) <= 0.05 < 2 * stats.binom.cdf(cut + 1, n, 0.5)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (96, 100), (50, 50)])
def test_a_share_has_wilsons_interval(hits: int, n: int) -> None:
    claim = at_least("x", [True] * hits + [False] * (n - hits), 0.5, over="share")
    expected = stats.binomtest(hits, n).proportion_ci(0.95, "wilson")
    assert (claim.measured, claim.low, claim.high) == pytest.approx((hits / n, *expected), abs=1e-6)


def test_a_diverged_run_fails_and_a_nan_is_refused() -> None:
    assert at_most("x", [1.0, math.inf], 2.0, over="mean").verdict == FAILS
    assert at_most("x", [1e200, 1e250], 2.0, over="mean").verdict == OPEN
    assert at_most("x", [1.0, 1.0, math.inf], 2.0, over="median").verdict == OPEN
    with pytest.raises(ComputationError, match="the claim 'x' is not a number"):
        at_most("x", [1.0, math.nan], 2.0, over="mean")


def test_what_cannot_be_summed_up_is_refused() -> None:
    with pytest.raises(InputError, match="over='value' cannot sum up 2 values"):
        at_most("x", [1.0, 2.0], 2.0)
    with pytest.raises(InputError, match="over must be one of value, mean"):
        at_most("x", [1.0], 2.0, over="best")
    with pytest.raises(InputError, match="0 values"):
        at_most("x", [], 2.0, over="every")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=30),
    st.floats(-5, 5),
    st.sampled_from(["mean", "median", "every", "share"]),
)
def test_at_least_is_at_most_mirrored_and_records_survive(values: list[float], bound: float, over: str) -> None:
    claim = at_most("x", values, bound, over=over)
    assert Claim.from_dict(claim.to_dict()) == claim
    if over != "share":
        assert at_least("x", [-v for v in values], -bound, over=over).verdict == claim.verdict
    assert claim.low <= claim.high
    assert claim.low - 1e-9 <= claim.measured <= claim.high + 1e-9


def test_infinite_numbers_survive_the_record() -> None:
    claim = at_most("x", math.inf, 1.0)
    assert claim.to_dict()["measured"] == "inf"
    assert Claim.from_dict(claim.to_dict()) == claim


def test_students_interval_covers_the_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(size=(2000, 5))
    covered = [at_most("x", row, 0, over="mean") for row in draws]
    assert np.mean([c.low <= 0 <= c.high for c in covered]) == pytest.approx(0.95, abs=0.015)


def test_one_claim_that_fails_outweighs_those_that_hold_and_a_blind_control_decides_nothing() -> None:
    holds, fails, open_ = at_most("a", 0, 1), at_most("b", 2, 1), at_most("c", 1, 1, error=1)
    assert [overall(c) for c in ([holds], [holds, open_], [holds, open_, fails], [])] == [HOLDS, OPEN, FAILS, OPEN]
    assert Outcome((holds,), (fails,)).verdict == HOLDS
    blind = Outcome((holds,), (fails, holds))
    assert (blind.verdict, blind.blind) == (OPEN, ("a",))
    with pytest.raises(InputError, match="at least one claim and one control"):
        Outcome((holds,), ())
