"""Schedules, the clock that drives them, and lazy penalties."""

from __future__ import annotations

import math

import pytest

from separatrix.dynamics.schedules import Clock, cosine, exponential, lazy, lazy_rates, linear
from separatrix.errors import InputError


def test_schedules_stand_still_before_and_after():
    for shape in (linear, cosine, exponential):
        schedule = shape(2.0, 0.5, over=10, start=5)
        assert [schedule(s) for s in (0, 5, 15, 100)] == pytest.approx([2, 2, 0.5, 0.5])
    assert linear(2.0, 0.5, over=10)(4) == pytest.approx(1.4)
    assert cosine(2.0, 0.5, over=10)(5) == pytest.approx(1.25)
    assert cosine(2.0, 0.5, over=10)(2) == pytest.approx(0.5 + 1.5 * (1 + math.cos(0.2 * math.pi)) / 2)
    assert exponential(2.0, 0.5, over=10)(5) == pytest.approx(1.0)


def test_a_warm_up_is_a_schedule_of_one_step():
    weight = linear(0.0, 0.8, over=1, start=100)
    assert [weight(s) for s in (0, 100, 101)] == [0.0, 0.0, 0.8]


def test_a_lazy_penalty_is_the_same_on_average():
    weight = lazy(0.5, 16)
    assert sum(weight(s) for s in range(160)) / 160 == pytest.approx(0.5)
    assert [s for s in range(40) if weight(s)] == [0, 16, 32]
    lr, (b1, b2) = lazy_rates(2e-3, (0.0, 0.99), 16)
    assert lr == pytest.approx(2e-3 * 16 / 17)
    assert (b1, b2) == (0.0, pytest.approx(0.99 ** (16 / 17)))


def test_the_clock_is_state():
    clock = Clock()
    for _ in range(3):
        clock.tick()
    other = Clock()
    other.load_state_dict(clock.state_dict())
    assert (clock.steps, other.steps) == (3, 3)


def test_bad_schedules_are_named():
    with pytest.raises(InputError, match="positive number of steps, got over=0"):
        linear(1.0, 0.0, over=0)
    with pytest.raises(InputError, match=r"between positive numbers, got 1.0 and 0.0"):
        exponential(1.0, 0.0, over=5)
    with pytest.raises(InputError, match="every must be at least 1, got 0"):
        lazy(1.0, 0)
