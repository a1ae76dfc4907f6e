"""Multipliers, regions and the sentence, against numpy's roots and closed forms."""

import cmath
import math

import fixture
import numpy as np
import pytest

from separatrix.report import regions


def oracle(z: complex, b: float, rule: str) -> complex:
    if rule == "extragradient":
        return 1 + z + z * z
    return max(np.roots([1, -(1 + b + (1 - b if rule == "averaged" else 1) * z), b]), key=abs)


@pytest.mark.parametrize("rule", ["averaged", "heavy ball", "extragradient"])
@pytest.mark.parametrize("b", [0.0, 0.3, 0.5, 0.9, 0.99])
def test_the_largest_multiplier_is_that_of_numpys_roots(rule: str, b: float) -> None:
    draws = np.random.default_rng(0).normal(size=(200, 2)) * [3, 1]
    for z in draws[:, 0] + 1j * draws[:, 1]:
        assert abs(regions.multipliers(z, b, rule)[0]) == pytest.approx(abs(oracle(z, b, rule)), abs=1e-9)


@pytest.mark.parametrize("b", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("rule", ["averaged", "heavy ball", "extragradient"])
def test_on_the_boundary_some_multiplier_has_modulus_one(rule: str, b: float) -> None:
    for z in regions.boundary(b, rule)[::7]:
        assert min(abs(abs(m) - 1) for m in regions.multipliers(z, b, rule)) < 1e-6


def test_adams_limit_is_twice_one_plus_b_over_one_minus_b_and_heavy_balls_is_not() -> None:
    assert regions.boundary(0.5, "averaged").real.min() == pytest.approx(-2 * 1.5 / 0.5)
    assert regions.boundary(0.5, "heavy ball").real.min() == pytest.approx(-2 * 1.5)
    assert regions.boundary(0.0, "averaged").real.min() == pytest.approx(-2)


def test_an_undamped_pair_grows_by_y_squared_times_one_plus_b_over_two_times_one_minus_b() -> None:
    y, b = 1e-3, 0.5
    growth = abs(regions.multipliers(1j * y, b, "averaged")[0]) - 1
    assert growth == pytest.approx(y**2 * (1 + b) / (2 * (1 - b)), rel=1e-4)


def plane(z: complex, residual: float, converged: bool = True, **more: object) -> dict[str, object]:
    point = {"real": z.real, "imag": z.imag, "residual": residual, "converged": converged, "label": None}
    section = {"kind": "plane", "momentum": 0.0, "base": "SGD", "scheme": "simultaneous", "points": [point]}
    return section | more


@pytest.mark.parametrize(
    ("z", "residual", "converged", "state"),
    [
        (-2.01, 1e-3, True, "grows"),
        (-1.99, 1e-3, True, "decays"),
        (-2.0, 1e-3, True, "undecided"),
        (-2.01, 2e-2, True, "undecided"),
        (-2.01, 1e-3, False, "not converged"),
        (0.0, 0.0, True, "decays"),
    ],
)
def test_a_mode_is_called_only_where_its_residual_leaves_no_doubt(
    z: complex, residual: float, converged: bool, state: str
) -> None:
    assert regions.modes(plane(complex(z), residual, converged))[0].state == state


# At 1000 steps to go: neutral is |log m| < 0.001; in the plane without momentum m = 1 + z.
@pytest.mark.parametrize(
    ("z", "residual", "state"),
    [
        (0.00101, 0.0, "grows"),
        (0.00099, 0.0, "neutral"),
        (-0.00099, 0.0, "neutral"),
        (-0.00101, 0.0, "decays"),
        (0.0, 5e-4, "neutral"),
        (0.0, 2e-3, "undecided"),
        (0.00101, 1e-4, "undecided"),
        (-0.0015, 1e-3, "decays"),
    ],
)
def test_a_mode_is_neutral_where_the_remaining_steps_hardly_change_it(z: float, residual: float, state: str) -> None:
    assert regions.modes(plane(complex(z), residual, remaining=1000))[0].state == state


def test_the_sentence_names_neutral_modes() -> None:
    points = [plane(z, 1e-6)["points"][0] for z in (0j, -0.5 + 0j)]  # type: ignore[index]
    section = plane(0j, 0.0, remaining=100) | {"points": points}
    assert regions.sentence(regions.modes(section), "Here", remaining=100) == (
        "Here: no measured mode grows; 1 of 2 is neutral over the 100 steps to go."
    )


@pytest.mark.parametrize(
    ("modulus", "angle", "remaining", "turns"),
    [
        (1.035, 6e-4, None, False),
        (1.05, 0.0487, None, False),
        (1.05, 0.0489, None, True),
        (1.0, 0.0062, None, False),
        (1.0, 0.0064, None, True),
        (0.9, 0.0064, None, True),
        (1.0, 0.0064, 500, False),
    ],
)
def test_what_grows_faster_than_it_turns_or_turns_too_slowly_is_said_not_to_turn(
    modulus: float, angle: float, remaining: int | None, turns: bool
) -> None:
    words = regions.turning(cmath.rect(modulus, angle), remaining)
    assert words.startswith("a rotation") if turns else words == "without turning"


def test_the_step_moves_modes_and_their_errors() -> None:
    mode = regions.modes(plane(-1 + 0.5j, 0.01), step=2.0)[0]
    assert mode.at == -2 + 1j
    assert mode.residual == 0.02
    assert mode.multiplier == -1 + 1j


def test_the_sentence_counts_names_the_fastest_and_how_it_turns() -> None:
    section = fixture.gan().sections["signature"]
    assert regions.sentence(regions.modes(section), regions.setting(1.0, 0.5)) == (
        "At 1.0 × the step and momentum 0.5: 2 of 11 measured modes grow; the fastest by 0.82% per step, "
        "a rotation with a period of 85 steps; 2 more are too close to call."
    )


@pytest.mark.parametrize(
    ("z", "words"),
    [
        (-2.5, "1 of 1 measured modes grows; the fastest by 50% per step, changing sign at every step."),
        (-4.0, "1 of 1 measured modes grows; the fastest by a factor of 3.0 per step, changing sign at every step."),
        (0.1, "1 of 1 measured modes grows; the fastest by 10% per step, without turning."),
        (-0.5, "the one measured mode decays by 50% per step, without turning."),
    ],
)
def test_the_sentence_for_one_real_mode(z: float, words: str) -> None:
    assert regions.sentence(regions.modes(plane(complex(z), 1e-6)), "Here") == f"Here: {words}"


def test_the_sentence_without_a_decision() -> None:
    assert "no converged mode" in regions.sentence([], "Here")
    assert "no measured mode surely grows; 1 of 1" in regions.sentence(regions.modes(plane(-2 + 0j, 0.1)), "Here")


def test_sgd_and_rmsprop_carry_heavy_ball_momentum_and_adam_an_average() -> None:
    assert regions.rule_of({"scheme": "simultaneous", "base": "SGD"}) == "heavy ball"
    assert regions.rule_of({"scheme": "simultaneous", "base": "RMSprop"}) == "heavy ball"
    assert regions.rule_of({"scheme": "simultaneous", "base": "AdamW"}) == "averaged"
    assert regions.rule_of({"scheme": "extragradient", "base": "Adam"}) == "extragradient"


def test_the_fixtures_period_is_that_of_its_multiplier() -> None:
    m = regions.multipliers(0.076j, 0.5, "averaged")[0]
    assert 2 * math.pi / cmath.phase(m) == pytest.approx(84.6, abs=0.1)
