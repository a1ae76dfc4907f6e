"""Every finding on each side of its threshold and on it, and what must raise none."""

from dataclasses import replace
from math import exp, inf, log
from typing import Any

import numpy as np
import pytest
import torch
from linear_games import linear

import separatrix as sx
from separatrix.dynamics import SGD, Alternating, Simultaneous
from separatrix.probes import Forecast, Horizon, Outlook, Signature
from separatrix.probes.findings import (
    BEST_RESPONSE_SHARE,
    BEYOND_LIMIT,
    best_response_findings,
    growth_findings,
    horizon_findings,
    limit_findings,
    overshoot_findings,
    rotation_findings,
    self_test_findings,
)
from separatrix.probes.horizon import THRESHOLD
from separatrix.probes.sharpness import Sharpness
from separatrix.zoo import load


def signed(*multipliers: complex, residual: float = 1e-9, converged: bool = True) -> Signature:
    m = torch.tensor(multipliers, dtype=torch.complex128)
    k = len(m)
    return Signature(
        "disc", m, torch.full((k,), residual, dtype=torch.float64), torch.full((k,), converged), m, m[:, None]
    )


def turning(growth: float, angle: float) -> complex:
    return growth * complex(np.exp(1j * angle))


def codes(found: list[sx.probes.Finding]) -> list[str]:
    return [f.code for f in found]


@pytest.mark.parametrize(("change", "raised"), [(0.999, False), (1.0, True), (1.001, True)])
def test_a_rotation_is_undamped_where_it_grows_e_fold_over_the_steps_that_remain(change: float, raised: bool) -> None:
    growth = exp(change * (1 + 1e-9) / 1000)
    found = rotation_findings(signed(turning(growth, 0.1)), 1000)
    assert bool(found) == raised
    if found:
        assert (found[0].code, found[0].severity, found[0].threshold) == ("undamped-rotation", "warning", 1.0)
        assert found[0].value == pytest.approx(growth)
        assert "turns once in 63 steps" in found[0].sentence
        # ln 2 / 0.1 times about 10 updates, and a little less since the mode grows.
        assert (
            "an average meanwhile: A half-life of 69 updates leaves 0.1 of the rotation of period 62.8"
            in found[0].remedy
        )


def test_damped_unconverged_and_uncertain_rotations_raise_nothing() -> None:
    assert not rotation_findings(signed(turning(0.999, 0.1)), 10**6)
    assert not rotation_findings(signed(turning(1.01, 0.1), converged=False), 1000)
    assert not rotation_findings(signed(turning(1.01, 0.1), residual=0.011), 1000)
    assert rotation_findings(signed(turning(1.01, 0.1), residual=0.009), 1000)


@pytest.mark.parametrize(("share", "turns"), [(0.99, False), (1.0, True), (1.01, True)])
def test_what_grows_faster_than_it_turns_is_a_growing_mode_and_else_a_rotation(share: float, turns: bool) -> None:
    growth = 1.05
    found = signed(turning(growth, share * log(growth) * (1 + 1e-12)))
    assert codes(rotation_findings(found, 1000)) == (["undamped-rotation"] if turns else [])
    assert codes(growth_findings(found, 1000)) == ([] if turns else ["growing-mode"])


def test_an_uncertain_faster_rotation_does_not_hide_a_certain_one() -> None:
    m = torch.tensor([turning(1.02, 0.1), turning(1.01, 0.1)], dtype=torch.complex128)
    found = Signature("disc", m, torch.tensor([0.03, 1e-9]), torch.tensor([True, True]), m, m[:, None])
    assert rotation_findings(found, 1000)[0].value == pytest.approx(1.01)


@pytest.mark.parametrize(("angle", "raised"), [(np.pi / 2 - 0.01, True), (np.pi / 2 + 0.01, False), (3.1, False)])
def test_what_turns_by_more_than_a_quarter_a_step_overshoots_and_is_no_rotation_of_the_players(
    angle: float, raised: bool
) -> None:
    assert bool(rotation_findings(signed(turning(1.05, angle)), 1000)) == raised


@pytest.mark.parametrize(("change", "raised"), [(0.99, False), (1.0, True), (1.01, True)])
def test_a_growing_mode_is_a_note_where_it_matters(change: float, raised: bool) -> None:
    found = growth_findings(signed(exp(change * (1 + 1e-9) / 500)), 500)
    assert bool(found) == raised
    assert all(f.severity == "note" for f in found)
    assert not growth_findings(signed(-1.1), 500)


def row(ratio: float, *, converged: bool = True, name: str = "D") -> Sharpness:
    return Sharpness(name, 2 * ratio, 0.0, 2.0, converged)


@pytest.mark.parametrize(
    ("ratio", "raised"), [(BEYOND_LIMIT - 0.01, False), (BEYOND_LIMIT, False), (BEYOND_LIMIT + 0.01, True)]
)
def test_a_step_is_too_large_well_beyond_the_limit_and_not_near_it(ratio: float, raised: bool) -> None:
    found = limit_findings([row(0.5, name="joint"), row(ratio)])
    assert codes(found) == (["step-beyond-limit"] if raised else [])
    assert not limit_findings([row(ratio + 1, converged=False)])
    assert not limit_findings([Sharpness("joint", 99.0, 0.0, None, True)])
    assert all("momentum" not in f.remedy for f in limit_findings([row(ratio)], turns=True))


def outlook(
    safe: float, growth: float = 1.5, *, name: str = "alternating, no momentum", largest: complex = -1.5
) -> Outlook:
    return Outlook(name, growth, 1.0, safe, None, -1.1, True, largest)


@pytest.mark.parametrize(
    ("safe", "raised"),
    [(0.0, False), (0.66, True), (1 / BEYOND_LIMIT, False), (0.67, False), (2.0, False), (inf, False)],
)
def test_a_step_beyond_the_range_of_the_method_is_found_where_sharpness_cannot_see_it(
    safe: float, raised: bool
) -> None:
    assert bool(overshoot_findings([outlook(safe)], 1000)) == raised
    assert not overshoot_findings([outlook(0.5, growth=1 + 1e-9)], 1000)


def test_a_remedy_is_read_off_the_stability_table_and_not_out_of_a_book() -> None:
    own = outlook(0.0, 1.01, name="alternating, momentum 0.5", largest=turning(1.01, 0.1))
    worse, calm = (
        outlook(0.5, 1.2, name="simultaneous, no momentum"),
        outlook(3.0, 0.9, name="extragradient, no momentum"),
    )
    mode = signed(turning(1.01, 0.1))
    told = rotation_findings(mode, 1000, rows=[own, worse, calm])[0].remedy
    assert (
        "extragradient, no momentum keeps the measured modes bounded at the present step, and up to 3 times it" in told
    )
    assert "simultaneous" not in told
    told = rotation_findings(mode, 1000, rows=[own, worse])[0].remedy
    assert "No scheme or momentum of the stability table" in told
    told = overshoot_findings([outlook(0.2), calm], 1000)[0]
    assert "changes by +50% per step: overshooting of a stiff mode" in told.sentence
    assert "extragradient, no momentum keeps" in told.remedy


def foretold(growth: float, share: float) -> list[Forecast]:
    m = turning(growth, 0.1)
    return [Forecast(m, 2, 1.0, 2 * complex(np.log(m)), 2 * complex(share * log(growth), 0.1), 0)]


@pytest.mark.parametrize(
    ("share", "severity"),
    [(0.49, "note"), (0.5 + 1e-9, "warning"), (1.0, "warning"), (1.99, "warning"), (2.01, "note"), (-1.0, "note")],
)
def test_a_rotation_is_a_warning_where_the_real_method_grows_along_it_as_forecast(share: float, severity: str) -> None:
    found = rotation_findings(signed(turning(1.01, 0.1)), 1000, tried=foretold(1.01, share))
    assert [f.severity for f in found] == [severity]
    assert codes(found) == ["undamped-rotation" if severity == "warning" else "unconfirmed-rotation"]


def test_a_confirmed_rotation_is_told_before_a_faster_one_that_the_method_does_not_show() -> None:
    found = signed(turning(1.05, 0.3), turning(1.01, 0.1))
    fast, slow = foretold(1.05, 0.1)[0], replace(foretold(1.01, 1.0)[0], index=1)
    assert rotation_findings(found, 1000, tried=[fast, slow])[0].value == pytest.approx(1.01)
    assert codes(rotation_findings(found, 1000, tried=[fast])) == ["unconfirmed-rotation"]


def test_alternation_beyond_two_over_sigma_is_told() -> None:
    for h, wanted in ((2.9, []), (3.1, ["step-beyond-limit"])):
        found = sx.diagnose(load("bilinear"), method=sx.Method(SGD(h), Alternating()), own_steps=0, budget=120)
        assert codes([f for f in found.findings if f.severity == "warning"]) == wanted


@pytest.mark.parametrize(("first", "raised"), [(THRESHOLD * 0.99, False), (THRESHOLD * 1.01, True)])
def test_no_horizon_is_a_note_where_the_first_step_is_beyond_it(first: float, raised: bool) -> None:
    horizon = Horizon(int(not raised), ((1, first),), ((1, 0.0),), False)
    found = horizon_findings(horizon)
    assert codes(found) == (["no-horizon"] if raised else [])
    assert all(f.severity == "note" for f in found)
    assert not horizon_findings(Horizon(0, (), (), False))


def gain(player: str, share: float, loss: float = 2.0, held: float | None = None) -> dict[str, Any]:
    return {"player": player, "steps": 100, "gain_train": share * loss / (1 - share), "gain_held_out": held}


@pytest.mark.parametrize(
    ("share", "raised"),
    [(BEST_RESPONSE_SHARE - 0.001, False), (BEST_RESPONSE_SHARE, True), (BEST_RESPONSE_SHARE + 0.001, True)],
)
def test_players_are_far_from_their_best_responses_where_even_the_least_gain_is_large(
    share: float, raised: bool
) -> None:
    rows = [gain("G", 0.9), gain("D", share * (1 + 1e-12), held=0.25)]
    found = best_response_findings(rows, {"G": 2.0, "D": 2.0})
    assert codes(found) == (["far-from-best-response"] if raised else [])
    if found:
        assert "D, which gains least for the size of its loss" in found[0].sentence
        assert "Give G, which could gain most" in found[0].remedy
        assert "0.250 on held-out data" in found[0].sentence


def test_a_single_player_that_still_gains_is_learning() -> None:
    assert best_response_findings([gain("net", 0.5)], {"net": 2.0}) == []


def test_gains_that_are_nothing_lost_or_not_finite_raise_nothing() -> None:
    nothing = {"player": "D", "steps": 100, "gain_train": 0.0, "gain_held_out": None}
    assert not best_response_findings([nothing], {"D": 0.0})
    assert not best_response_findings([{**nothing, "gain_train": -5.0}], {"D": 1.0})
    assert not best_response_findings([{**nothing, "gain_train": inf}], {"D": 1.0})
    assert not best_response_findings([], {})


def test_what_the_self_tests_noticed_is_told_with_their_severity() -> None:
    found = self_test_findings(["detached: G does not feel D.", "empty-cross-block: ...", "new-code: text"])
    assert [(f.code, f.severity) for f in found] == [
        ("detached", "warning"),
        ("empty-cross-block", "note"),
        ("new-code", "note"),
    ]
    assert found[0].sentence == "G does not feel D."
    assert "undetached" in found[0].remedy


# Planted cases through diagnose.


def diagnosed(matrix: list[list[float]], lr: float = 0.1, **options: Any) -> list[str]:
    m = torch.tensor(matrix, dtype=torch.float64)
    field = linear(m, {"G": 1, "D": 1})
    method = sx.Method(SGD(lr), options.pop("scheme", Simultaneous()))
    return codes(list(sx.diagnose(field, method=method, **options).findings))


def test_a_planted_undamped_rotation_is_found_and_a_damped_one_is_not() -> None:
    assert diagnosed([[0.0, -1.0], [1.0, 0.0]]) == ["undamped-rotation"]
    assert diagnosed([[0.0, -1.0], [1.0, -0.5]]) == []
    # |1 + h mu|^2 = 1 - 2 h a + h^2 (a^2 + 1), so the border lies near a = h / 2.
    assert diagnosed([[-0.04, -1.0], [1.0, -0.04]]) == ["undamped-rotation"]
    assert diagnosed([[-0.06, -1.0], [1.0, -0.06]]) == []
    assert diagnosed([[0.0, -1.0], [1.0, 0.0]], remaining=100) == []


def test_a_planted_stiff_player_is_found() -> None:
    assert diagnosed([[-1.0, 0.0], [0.0, -25.0]]) == []
    assert diagnosed([[-1.0, 0.0], [0.0, -31.0]]) == ["step-beyond-limit"]


def test_a_planted_saddle_is_a_note() -> None:
    assert diagnosed([[0.1, 0.0], [0.0, -1.0]]) == ["growing-mode"]


@pytest.fixture(scope="module")
def classifier() -> sx.Diagnosis:
    problem = load("digits-classifier")
    trained = sx.train(problem, 300, points=0, progress=False)
    return sx.diagnose(problem, states=trained.states, max_products=90)


def test_a_healthy_classifier_raises_nothing_above_note(classifier: sx.Diagnosis) -> None:
    assert classifier.worst() in ("ok", "note"), classifier.verdict
    assert classifier.severity == "ok"
    assert classifier["sharpness"]["rows"][0]["converged"]
    assert classifier["score"]["rows"][0]["value"] > 0.9


@pytest.mark.parametrize(
    ("name", "steps", "raised"),
    [("digits-gan", 1200, True), ("digits-gan-r1", 300, False), ("digits-gan-r1", 1000, False)],
)
def test_a_trained_gan_turns_undamped_without_r1_and_with_it_nothing_is_above_note(
    name: str, steps: int, raised: bool
) -> None:
    """Narrow networks; the numbers are those of seed 0."""
    problem = load(name, width=32)
    trained = sx.train(problem, steps, points=0, progress=False)
    found = sx.diagnose(problem, states=trained.states, max_products=90, own_steps=40)
    loud = codes([f for f in found.findings if f.severity in ("warning", "critical")])
    assert ("undamped-rotation" in loud) == raised, found.verdict
    if not raised:
        assert loud == [], found.verdict
