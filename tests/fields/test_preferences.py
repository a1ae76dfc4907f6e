"""Preference losses: known values, the two charts, and the constants of motion of their flows."""

import math

import pytest
import torch

from separatrix.errors import InputError
from separatrix.fields import PREFERENCE_LOSSES, preference_field, pull
from separatrix.fields.preferences import cdpo, dpo, ipo, kto, orpo, simpo, slic
from separatrix.probes.decompose import conservativity


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def points(count=10_000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(count, generator=generator, dtype=torch.float64) * -6 - 0.05
    return u, torch.rand(count, generator=generator, dtype=torch.float64) * -6 - 0.05


@pytest.mark.parametrize(
    ("x", "loss", "gradient"),
    [
        ((1, 1), 0.693147, (-0.05, 0.05)),
        ((1.5, 0.5), 0.639724, (-0.031504, 0.094512)),
        ((2, 0.1), 0.554537, (-0.021283, 0.425662)),
        ((0.5, 1.5), 0.749586, (-0.105488, 0.035163)),
    ],
)
def test_dpo_in_ratios_has_its_known_values(x, loss, gradient):
    x = tensor(*x)
    assert float(dpo()(x[0].log(), x[1].log())) == pytest.approx(loss, abs=5e-7)
    assert (-preference_field(dpo(), "ratio", x)()).tolist() == pytest.approx(gradient, abs=5e-7)


@pytest.mark.parametrize("name", ["dpo", "cdpo", "ipo", "slic", "simpo"])
def test_a_loss_of_the_margin_pulls_logs_alike_and_ratios_by_their_ratio(name):
    u, v = points()
    at = pull(PREFERENCE_LOSSES[name](), u, v)
    pulled = at.log[:, 0] != 0  # a hinge does not pull everywhere
    assert int(pulled.sum()) > 1000
    assert torch.allclose(at.log_asymmetry[pulled], torch.ones(1, dtype=torch.float64), rtol=1e-12)
    assert torch.allclose(at.ratio_asymmetry[pulled], (u - v).exp()[pulled], rtol=1e-10)
    assert PREFERENCE_LOSSES[name]().margin_only


@pytest.mark.parametrize("name", PREFERENCE_LOSSES)
def test_derivatives_are_those_of_the_loss_in_both_charts(name):
    loss = PREFERENCE_LOSSES[name]()
    u, v = points(50, seed=1)
    at, h = pull(loss, u, v), 1e-6
    assert torch.allclose(at.log[:, 0], (loss(u + h, v) - loss(u - h, v)) / (2 * h), atol=1e-7)
    assert torch.allclose(at.log[:, 1], (loss(u, v + h) - loss(u, v - h)) / (2 * h), atol=1e-7)
    for i in range(3):
        here = torch.stack([u[i], v[i]])
        assert torch.allclose(preference_field(loss, "log", here)(), -at.log[i], atol=1e-12)
        assert torch.allclose(preference_field(loss, "ratio", here.exp())(), -at.ratio[i], atol=1e-12)


def test_optima_are_where_they_should_be():
    noise, beta = 0.2, 0.3
    best = math.log(1 / noise - 1) / beta
    assert preference_field(cdpo(beta, noise), "log", (best, 0.0))().abs().max() < 1e-15
    assert preference_field(ipo(beta), "log", (1 / (2 * beta), 0.0))().abs().max() < 1e-15
    assert preference_field(slic(beta), "log", (1.01 / beta, 0.0))().tolist() == [0, 0]
    assert float(cdpo(beta, 0.0)(tensor(1.0), tensor(0.0))) == float(dpo(beta)(tensor(1.0), tensor(0.0)))


def test_orpo_also_pulls_the_chosen_alone_and_kto_each_by_its_place():
    u, v = tensor(-1.0), tensor(-3.0)
    odds = [float(t - torch.log1p(-t.exp())) for t in (u, v)]
    wanted = 1.0 - 0.1 * math.log(1 / (1 + math.exp(odds[1] - odds[0])))
    assert float(orpo(0.1)(u, v)) == pytest.approx(wanted)
    assert float(pull(orpo(), u, v).log_asymmetry) < 0.1
    far = pull(kto(beta=1.0), tensor(4.0), tensor(0.0))
    assert float(far.log_asymmetry) == pytest.approx(
        0.25 / (torch.sigmoid(tensor(4.0)) * torch.sigmoid(tensor(-4.0))).item()
    )


def test_the_flow_in_ratios_is_a_circle_and_in_logs_a_straight_line():
    """``x1^2 + x2^2`` and ``u + v`` are constants of motion of every loss of the margin."""
    for loss in (dpo(1.0), ipo(0.5), simpo()):
        ratio = preference_field(loss, "ratio", (1.2, 0.9))
        log = preference_field(loss, "log", (0.2, -0.1))
        x, y = ratio.point, log.point
        for field, start in ((ratio, x), (log, y)):
            z = start
            for _ in range(100):
                a = field(z)
                z = z + 0.001 * field(z + 0.0005 * a)
            assert float((z - start).norm()) > 1e-3
            if field is ratio:
                assert float(z @ z) == pytest.approx(float(start @ start), abs=2e-6)
            else:
                assert float(z.sum()) == pytest.approx(float(start.sum()), abs=1e-12)


def test_from_equal_ratios_dpo_ends_on_the_axis():
    """The arc from (1, 1) ends near (sqrt 2, 0); Euler steps of 1e-3 drift outwards by about 0.1%."""
    x1, x2, beta, step = 1.0, 1.0, 0.1, 1e-3
    while x2 >= 1e-3:
        whole = x1**beta + x2**beta
        x1, x2 = x1 + step * beta * x2**beta / (x1 * whole), x2 - step * beta * x2 ** (beta - 1) / whole
    assert x1**2 + x2**2 == pytest.approx(2.00125, abs=2e-5)


@pytest.mark.parametrize("chart", ["log", "ratio"])
@pytest.mark.parametrize("name", ["dpo", "ipo", "kto", "simpo"])
def test_preference_fields_are_gradients_in_every_chart(name, chart):
    at = (-0.8, -1.3) if chart == "log" else (0.8, 0.4)
    field = preference_field(PREFERENCE_LOSSES[name](), chart, at)
    assert conservativity(field, radius=0.2, loops=1).verdict == "a gradient as far as seen"


def test_where_a_field_stands_if_nothing_is_said():
    assert preference_field(dpo(), "ratio").point.tolist() == [1, 1]
    assert preference_field(dpo()).point.tolist() == [0, 0]
    assert preference_field(orpo(), "ratio").point.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dpo(0), "beta must be positive and finite, got 0"),
        (lambda: cdpo(noise=0.5), "share of wrong labels, at least 0 and below 0.5, got 0.5"),
        (lambda: kto(chosen=-1), "chosen must be positive"),
        (lambda: preference_field(dpo(), "odds"), "chart must be 'log' or 'ratio', got 'odds'"),
        (lambda: pull(dpo(), torch.zeros(2), torch.zeros(3)), "one shape"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(("loss", "u"), [(orpo(), 0.1), (dpo(), float("nan")), (dpo(), float("inf"))])
def test_a_loss_has_no_slopes_where_it_is_not_defined(loss, u):
    with pytest.raises(InputError, match=f"{loss.name} has no slopes at u = {u:g}"):
        pull(loss, torch.tensor([-1.0, u]), torch.tensor([-1.0, float("inf") if u == float("inf") else -1.0]))
