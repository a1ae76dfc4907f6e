"""Who is said to have won a race: hand-made results."""

import pytest

from separatrix.dynamics import Comparison, Observed, Spread
from separatrix.probes.advise_ranking import ranked, tied, what_decided

NAN = float("nan")


def lane(name: str, growth: float = 1.0, status: str = "done", **scores: tuple[float, ...]) -> Observed:
    spreads = {score: Spread.of(values) for score, values in scores.items()}
    return Observed(
        name, {}, (1, 1), (1.0, 1.0), spreads, {}, Spread.of([1.0]), Spread.of([growth]), ("done", status), None, 0.0
    )


def race(*rows: Observed, better: dict[str, str] | None = None) -> Comparison:
    return Comparison(
        "problem", 10.0, (0, 1), rows, {"modes": "higher", "error": "lower"} if better is None else better
    )


def test_a_tie_of_the_first_score_is_decided_by_the_next_one() -> None:
    found = race(
        lane("a", modes=(2, 2), error=(0.3, 0.5)),
        lane("b", modes=(2, 2), error=(0.1, 0.2)),
        lane("c", modes=(1, 1), error=(0.0, 0.0)),
    )
    assert [row.name for row in ranked(found)] == ["b", "a", "c"]
    assert tied(found) == ["b"]
    assert what_decided(found).startswith(
        "2 lanes are tied on modes; decided by error over 2 seeds; its worst seed is better"
    )


def test_lanes_that_nothing_tells_apart_are_tied_and_the_first_is_named() -> None:
    found = race(
        lane("a", modes=(0, 0), error=(1, 1)),
        lane("b", modes=(0, 0), error=(1, 1)),
        lane("c", modes=(0, 0), error=(2, 2)),
    )
    assert tied(found) == ["a", "b"]
    assert what_decided(found) == "2 lanes are tied on modes and error; the first of them is named."


def test_the_first_score_decides_where_it_can_and_says_how_clearly() -> None:
    clear = race(lane("a", modes=(3, 4), error=(9, 9)), lane("b", modes=(2, 2), error=(0, 0)))
    assert (
        what_decided(clear) == "decided by modes over 2 seeds; its worst seed is better than every other lane's median."
    )
    close = race(lane("a", modes=(1, 6), error=(9, 9)), lane("b", modes=(2, 3), error=(0, 0)))
    assert what_decided(close) == "decided by modes over 2 seeds; the seeds of the leading lanes overlap."
    assert ranked(close)[0].name == "a"


def test_lanes_that_stopped_or_have_no_number_come_last() -> None:
    found = race(
        lane("stopped", status="non-finite", modes=(9, 9), error=(0, 0)),
        lane("unknown", modes=(NAN, NAN), error=(0, 0)),
        lane("plain", modes=(1, 1), error=(5, 5)),
    )
    assert [row.name for row in ranked(found)] == ["plain", "unknown", "stopped"]
    assert what_decided(race(lane("a", modes=(1, 1), error=(1, 1)))) == "no other lane came through."


@pytest.mark.parametrize("better", [{}, {"modes": "higher"}])
def test_without_a_score_the_growth_decides(better: dict[str, str]) -> None:
    found = race(lane("a", growth=1.1), lane("b", growth=0.9), better=better)
    assert ranked(found)[0].name == "b"
    assert what_decided(found) == "decided by the growth of the field's length, there is no score."
