"""Averages: closed forms, what they do to rotations, restarts, state, and scores for raw and averaged players."""

from __future__ import annotations

import cmath
import doctest
import math
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from separatrix.dynamics import SGD, Alternating, Method, Problem, Simultaneous, Snapshot, compare, train
from separatrix.dynamics.averaging import Average, averaged_models
from separatrix.dynamics.half_life import advise_half_life, ema_gain
from separatrix.errors import InputError
from separatrix.zoo import load
from untouched import untouched


def point(value: float = 0.0) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


def test_the_exponential_average_has_its_half_life():
    x = point(0.0)
    average = Average(x, half_life=10.0, ramp=None)
    x.fill_(1.0)
    for _ in range(10):
        average.update()
    assert float(average.value) == pytest.approx(0.5)
    for _ in range(20):
        average.update()
    assert float(average.value) == pytest.approx(1 - 1 / 8)


def test_it_is_torchs_own_with_the_same_decay():
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    mine = Average(net, half_life=math.log(0.5) / math.log(0.9), ramp=None)
    theirs = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    theirs.update_parameters(net)  # its first update copies
    for _ in range(5):
        with torch.no_grad():
            for p in net.parameters():
                p.add_(torch.randn_like(p))
        mine.update()
        theirs.update_parameters(net)
    for a, b in zip(mine.value.parameters(), theirs.module.parameters(), strict=True):
        torch.testing.assert_close(a, b)
        assert not a.requires_grad


def test_the_uniform_average_is_the_mean_and_restarts_on_time():
    x = point()
    average, restarted = Average(x, half_life=None), Average(x, half_life=None, restart_every=3)
    seen = []
    for k in range(8):
        x.fill_(float(k * k))
        average.update()
        restarted.update()
        seen.append(float(restarted.value))
        assert float(average.value) == pytest.approx(sum(j * j for j in range(k + 1)) / (k + 1))
    assert seen == pytest.approx([0, 1 / 2, 5 / 3, 9, 25 / 2, 50 / 3, 36, 85 / 2])


def test_the_ramp_forgets_the_first_points():
    x = point(1000.0)
    average = Average(x, half_life=1e9, ramp=0.05)
    x.fill_(1.0)
    average.update()
    assert float(average.value) == pytest.approx(1.0, abs=1e-2)
    for _ in range(400):
        average.update()
    assert average.weight == pytest.approx(1 - 2 ** (-1 / (0.05 * 401)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_player_in_16_bits_is_averaged_and_does_not_stand_still(dtype):
    x = torch.ones(3, dtype=dtype)
    average = Average(x, half_life=1000.0, ramp=None)
    x.fill_(2.0)
    for _ in range(1000):
        average.update()
    assert average.value.dtype == dtype
    assert average.value.float().tolist() == pytest.approx([1.5] * 3, rel=4e-3)
    saved = {name: tensor.clone() for name, tensor in average.state_dict().items()}
    average.restart()
    assert average.value.tolist() == [2.0] * 3
    average.load_state_dict(saved)
    average.update()
    assert average.value.float().tolist() == pytest.approx([1.5] * 3, rel=4e-3)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.spectral_norm])
def test_a_player_with_old_norms_is_averaged_after_a_forward_pass(norm):
    net = norm(nn.Linear(3, 2))
    net(torch.ones(1, 3)).sum().backward()
    with untouched(net):
        average = Average(net)
    assert average.value(torch.ones(1, 3)).shape == (1, 2)


def test_buffers_are_copied_and_the_player_is_left_alone():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = Average(net)
    net(torch.randn(10, 2))
    with untouched(net):
        average.update()
    assert torch.equal(average.value[1].running_mean, net[1].running_mean)
    assert int(average.value[1].num_batches_tracked) == 1


def test_an_average_is_state_that_can_be_put_back():
    x = {"a": point(1.0), "b": [point(2.0)]}
    average = Average(x, half_life=2.0)
    before = Snapshot.of(average)
    x["b"][0].fill_(9.0)
    average.update()
    assert float(average.value["b"][0]) > 2
    saved = {name: tensor.clone() for name, tensor in average.state_dict().items()}
    before.restore()
    assert (float(average.value["b"][0]), int(average.made)) == (2.0, 0)
    average.load_state_dict(saved)
    assert float(average.value["b"][0]) > 2


@pytest.mark.parametrize("omega", [0.02, 0.3, 2.0])
@pytest.mark.parametrize("radius", [1.0, 1.01, 0.97])
@pytest.mark.parametrize("half_life", [5.0, 15.0])
def test_a_mode_is_damped_by_the_formula(omega, radius, half_life):
    """Against an average that was really taken, of the real part of ``m^k``."""
    m = radius * cmath.exp(1j * omega)
    x = torch.ones(1, dtype=torch.complex128)
    average = Average(x, half_life=half_life, ramp=None)
    for _ in range(2000):
        x.mul_(m / abs(m) if radius == 1 else m)
        average.update()
    measured = abs(complex(average.value[0])) / abs(complex(x[0]))
    assert measured == pytest.approx(ema_gain(m, half_life), rel=1e-6)


def test_a_mode_that_dies_sooner_is_said_to_last_longer_in_the_average():
    assert ema_gain(0.5 * cmath.exp(0.3j), 10) == math.inf
    assert ema_gain(0.99, 1.0) == pytest.approx(0.5 / (1 - 0.5 / 0.99))


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-3, 3.1), st.floats(0.9, 1.1), st.floats(0.02, 0.9))
def test_the_advised_half_life_leaves_exactly_the_gain_asked_for(omega, radius, gain):
    m = radius * cmath.exp(1j * omega)
    advised = advise_half_life([m, m.conjugate()], gain=gain)
    if advised.multiplier is None:
        assert advised.left_out == 1
        # Then no average that the mode outlives leaves so little of it.
        shortest = [ema_gain(m, -1 / math.log2(b)) for b in (radius * k / 2001 for k in range(1, 2001)) if b < 1]
        assert min(shortest) > gain * (1 - 1e-3)
    else:
        assert ema_gain(m, advised.value) == pytest.approx(gain, rel=1e-6)
        assert advised.gain == pytest.approx(gain, rel=1e-6)


def test_the_sentence_says_the_lag_of_short_averages_too():
    """Not that of long ones, ``H / ln 2``, which is 0.91 here."""
    advised = advise_half_life([cmath.exp(3j)], gain=0.5)
    x, average = point(0.0), Average(point(), half_life=advised.value, ramp=None)
    average._player = (x,)
    for step in range(60):
        x.fill_(float(step))
        average.update()
    assert advised.lag == pytest.approx(59 - float(average.value))
    assert "lags 0.502 updates" in advised.sentence


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_a_change_of_sign_turns_whatever_the_sign_of_zero(zero):
    assert advise_half_life([complex(-1.0, zero)]).sentence.startswith("A half-life of 3.45 updates leaves 0.1 of the")


def test_the_slowest_rotation_decides_and_decays_do_not():
    slow, fast = cmath.exp(0.01j), cmath.exp(0.5j)
    found = advise_half_life([fast, slow, slow.conjugate(), 0.999, -0.9, 0.2 * cmath.exp(0.001j)])
    assert found.multiplier == slow
    assert found.left_out == 1
    assert found.value == pytest.approx(advise_half_life([slow]).value)
    assert found.value / (2 * math.pi / 0.01) == pytest.approx(1.1, abs=0.01)
    assert "leaves 0.1 of the rotation of period 628" in found.sentence
    none = advise_half_life([0.9, 1.0, 1.1])
    assert "2 rotations die out sooner than averages long enough for them" in advise_half_life([0.1j, 0.2j]).sentence
    assert (none.value, none.multiplier) == (0.0, None)
    assert none.sentence == "No rotation outlives an average; none is needed."


def bilinear(half_life=None, **options) -> Problem:
    problem = load("bilinear")
    averages = {p: Average(problem.game.models[p], half_life=half_life, **options) for p in ("x", "y")}
    return replace(
        problem,
        method=Method(SGD(0.1), Alternating()),
        averages=averages,
        score=lambda models: {"distance": float(torch.cat([models["x"], models["y"]]).norm().detach())},
        better={"distance": "lower"},
    )


def test_training_updates_the_averages_and_the_advice_comes_true():
    """Alternating steps turn for ever; of the rotation the advised average leaves a tenth."""
    lam = 0.1**2 / 2
    m = complex(1 - lam, math.sqrt(lam * (2 - lam)))  # m^2 - (2 - h^2) m + 1 = 0
    advised = advise_half_life([m])
    problem = bilinear(advised.value, ramp=None)
    training = train(problem, 700, progress=False)
    assert int(problem.averages["x"].made) == 700
    averaged = averaged_models(problem.averages, problem.game.models)
    ratio = problem.score(averaged)["distance"] / problem.score(problem.game.models)["distance"]
    assert 1.2 < float(training.x.norm()) < 1.6
    assert ratio == pytest.approx(0.1, rel=0.12)  # the orbit of alternating steps is an ellipse


@pytest.mark.parametrize("turn", [0.2, 0.7, 1.4, 2.1])
@pytest.mark.parametrize(("every", "weight"), [(3, 0.5), (5, 0.8), (7, 1.0)])
def test_within_a_period_of_several_steps_the_average_leaves_what_was_asked_for(turn: float, every: int, weight: float):
    """A rotation of 1.4 in a step turns by more than a whole turn in five, which the multiplier of the period does not show."""
    inner, point, slow, course = 1.3 * cmath.exp(1j * turn), 1.0 + 0j, 1.0 + 0j, []
    for step in range(every):
        point = inner * point
        if step == every - 1:
            point = slow + weight * (point - slow)
        course.append([point])
    m = complex(point)
    m, course = (m, np.array(course)) if m.imag > 0 else (m.conjugate(), np.array(course).conj())
    advised = advise_half_life([m], courses=[course])
    assert advised.value > 0
    # The average itself, long after the start, read as the envelope of a complex mode; both are scaled back in every period.
    weight_of_old, average, place = 2 ** (-1 / advised.value), 0j, 1.0 + 0j
    for _ in range(int(40 * advised.value / every) + 40):
        seen = place * course[:, 0]
        for x in seen:
            average = weight_of_old * average + (1 - weight_of_old) * x
        left = abs(average) / float(np.sqrt((abs(seen) ** 2).mean()))
        average, place = average / abs(m), place * m / abs(m)
    assert left <= 0.1 * (1 + 1e-4)
    assert left == pytest.approx(advised.gain, rel=1e-6)


def test_a_course_that_changes_its_sign_by_a_detour_turns_by_half_a_turn_a_period():
    """From (1, 0) by (0, 1) to (-1, 0): no step shows an angle, the period does."""
    found = advise_half_life([-1.0], courses=[np.array([[0.0, 1.0], [-1.0, 0.0]])])
    assert "rotation of period 4," in found.sentence
    assert found.gain == pytest.approx(0.1, rel=1e-4)


def test_of_a_period_of_one_step_the_course_says_nothing_new():
    m = 1.002 * cmath.exp(0.1j)
    found = advise_half_life([m], courses=[np.array([[2 * m, 1j * m]])])
    assert found.value == pytest.approx(advise_half_life([m]).value, rel=1e-5)
    assert found.gain == pytest.approx(0.1, rel=1e-5)
    assert "period 62.8" in found.sentence
    with pytest.raises(InputError, match="one for each"):
        advise_half_life([m, m], courses=[np.ones((1, 1))])


def test_restarts_from_the_average_converge_where_averages_alone_do_not():
    problem = bilinear()
    for _ in range(6):
        train(problem, 63, progress=False)  # about a turn
        for average in problem.averages.values():
            average.write_back()
            average.restart()
    assert problem.score(problem.game.models)["distance"] < 1e-6
    alone = bilinear()
    train(alone, 6 * 63, progress=False)
    assert alone.score(averaged_models(alone.averages, alone.game.models))["distance"] > 1e-3


def test_a_comparison_scores_raw_and_averaged_players_and_puts_the_averages_back():
    problem = bilinear(70.0, ramp=None)
    methods = {"alternating": problem.method, "simultaneous": Method(SGD(0.1), Simultaneous())}
    before = Snapshot.of(list(problem.averages.values()))
    found = compare(problem, methods, gradients=600, seeds=(0,), progress=False)
    assert not before.differences(Snapshot.of(list(problem.averages.values())))
    row = found["alternating"]
    assert row.averaged_score["distance"].median < 0.2 * row.score["distance"].median
    assert found.to_dict()["rows"][0]["averaged_score"]["distance"]["median"] == row.averaged_score["distance"].median
    assert (
        compare(replace(problem, averages=None), methods, steps=2, seeds=(0,), progress=False)[
            "alternating"
        ].averaged_score
        == {}
    )


def test_what_comes_after_each_step_is_called_with_it_and_put_back_by_a_comparison():
    from separatrix.dynamics.schedules import Clock

    clock, seen = Clock(), []

    def after(step):
        clock.tick()
        seen.append(step.number)

    problem = replace(bilinear(), after=after, state={"clock": clock})
    train(problem, 3, progress=False)
    assert (seen, clock.steps) == ([1, 2, 3], 3)
    compare(problem, {"own": problem.method}, steps=5, seeds=(0, 1), progress=False)
    assert clock.steps == 3
    assert len(seen) == 3 + 2 * 5


def test_where_no_average_is_needed_the_advised_half_life_makes_one_that_is_the_player():
    player = torch.tensor([1.0])
    average = Average(player, half_life=advise_half_life([0.9, 1.0]).value)
    for value in (3.0, -2.0):
        player.fill_(value)
        average.update()
        assert torch.equal(average.value, player)


def test_bad_options_are_named():
    with pytest.raises(InputError, match=r"half_life positive, 0 or None, got \{'half_life': -1\}"):
        Average(point(), half_life=-1)
    with pytest.raises(InputError, match=r"must be positive or None.*got \{'ramp': 0\}"):
        Average(point(), ramp=0)
    with pytest.raises(InputError, match="modules, tensors, or lists and dicts of tensors, got str"):
        Average("x")
    with pytest.raises(InputError, match="gain must lie between 0 and 1, got 1"):
        advise_half_life([1j], gain=1)
    with pytest.raises(InputError, match=r"multipliers must be finite, got \[\(nan\+0j\)\]"):
        advise_half_life([float("nan")])
    with pytest.raises(InputError, match="half-life must be positive, got 0"):
        ema_gain(1j, 0)


@pytest.mark.parametrize("name", ["averaging", "half_life"])
def test_the_examples_in_the_docstrings_hold(name):
    result = doctest.testmod(import_module(f"separatrix.dynamics.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
