"""Noise, trade-offs and the critic's room where they are known, and that the run is untouched."""

from math import inf
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from separatrix.dynamics import Roles, Run
from separatrix.errors import InputError
from separatrix.probes.critic_room import critic_room
from separatrix.probes.trade_offs import trade_offs
from separatrix.probes.update_noise import update_noise


def a_noisy_line(noise: float, lr: float = 0.01, curvature: float = 0.0) -> Run:
    """``(1 + noise draw) x + curvature x^2 / 2`` at ``x = 1``; its objective has no noise."""
    x = torch.ones(1, dtype=torch.float64, requires_grad=True)
    opt = torch.optim.SGD([x], lr=lr)

    def objective(_: Any = None) -> dict[str, Tensor]:
        return {"x": x.sum() + curvature / 2 * x.square().sum()}

    def losses(_: Any) -> dict[str, Tensor]:
        return {"x": objective()["x"] + noise * torch.randn((), dtype=torch.float64) * x.sum()}

    roles = Roles(optimizers={"x": opt}, losses=losses, objective=objective, data=[None])
    return Run(lambda: None, [x, opt], roles=roles)


def test_the_noise_scale_is_the_variance_over_the_square_of_the_mean() -> None:
    """Gradients ``1 + 3 draw``: noise equals signal at nine batches."""
    run = a_noisy_line(3.0)
    before = run.snapshot()
    found = update_noise(run, steps=5, averaged=2000, repeats=40, rates=())["x"]
    assert not before.differences(run.snapshot())
    assert found.batches == pytest.approx(9.0, rel=0.15)
    assert found.potential == pytest.approx(5 * 0.01, rel=0.1)
    assert found.spread == pytest.approx(0.01 * 3.0 * 5**0.5, rel=0.3)
    assert found.slower == {}
    assert "noise equals signal at" in found.sentence


def test_without_noise_single_batches_do_what_averages_do_and_smaller_rates_gain_less() -> None:
    found = update_noise(a_noisy_line(0.0), steps=5, averaged=3, repeats=2)["x"]
    assert found.batches == pytest.approx(0.0, abs=1e-20)
    assert found.spread == pytest.approx(0.0, abs=1e-15)
    assert found.slower[0.1] == pytest.approx(found.potential / 10)


def test_a_step_beyond_the_limit_gains_more_at_a_smaller_rate() -> None:
    found = update_noise(a_noisy_line(0.0, lr=2.2, curvature=1.0), steps=6, averaged=2, repeats=2)["x"]
    assert found.potential < 0 < found.slower[0.1]


def two_goals(apart: float) -> Run:
    """``(x - 0)^2`` and ``(x - apart)^2`` from the middle, with Adam."""
    x = torch.full((1,), apart / 2, dtype=torch.float64, requires_grad=True)
    opt = torch.optim.SGD([x], lr=0.05)
    roles = Roles(
        optimizers={"x": opt},
        losses=lambda _: {"x": {"here": x.square().sum(), "there": (x - apart).square().sum()}},
        data=[None],
    )
    return Run(lambda: None, [x, opt], roles=roles)


def test_two_goals_are_traded_as_the_formula_says() -> None:
    run = two_goals(2.0)
    found = trade_offs(run, steps=10)["x"]
    left = (1 - 2 * 0.05) ** 10  # of the distance to the goal that is stepped on
    assert found.values == {"here": 1.0, "there": 1.0}
    assert found.gain("here") == pytest.approx(1 - left**2)
    assert found.changes["here"]["there"] == pytest.approx((2 - left) ** 2 - 1)
    assert found.changes["there"]["here"] == pytest.approx((2 - left) ** 2 - 1)
    assert "10 steps on 'here' alone change it by" in found.sentence


def test_a_term_that_runs_away_is_told_by_infinity() -> None:
    x = torch.full((1,), 3.0, requires_grad=True)
    roles = Roles(
        optimizers={"x": torch.optim.SGD([x], lr=10.0)},
        losses=lambda _: {"x": {"steep": (x**4).sum(), "flat": 0 * x.sum()}},
        data=[None],
    )
    found = trade_offs(Run(lambda: None, [x], roles=roles), steps=30)["x"]
    assert found.changes["flat"] == {"steep": 0.0, "flat": 0.0}
    assert found.changes["steep"]["steep"] > 1e6 or found.changes["steep"]["steep"] == inf
    assert found.gain("flat") == 0.0
    assert x.item() == 3.0


def a_critic(lr: float) -> Run:
    """A linear critic of two clouds that are far apart, which begins with the wrong sign."""
    torch.manual_seed(0)
    d = nn.Linear(2, 1)
    with torch.no_grad():
        d.weight.fill_(-0.5)
    opt = torch.optim.SGD(d.parameters(), lr=lr)
    real, fake = torch.randn(200, 2) + 2, torch.randn(200, 2) - 2

    def losses(x: Tensor) -> dict[str, Tensor]:
        return {"D": softplus(-d(x)).mean() + softplus(d(fake[:100])).mean()}

    roles = Roles(
        optimizers={"D": opt},
        players={"D": d},
        losses=losses,
        data=[real[:100]],
        critic=d,
        critic_player="D",
        real=real[:100],
        real_held_out=real[100:],
        generated=lambda: fake[100:],
    )
    return Run(lambda: None, [d, opt], roles=roles)


def test_a_critic_that_has_not_learnt_gains_at_a_larger_rate_only() -> None:
    slow = a_critic(1e-4)
    before = slow.snapshot()
    found = critic_room(slow, steps=20, count=100)
    assert not before.differences(slow.snapshot())
    assert found.before < 0.05
    assert found.after[1.0] < 0.05
    assert found.best > 0.95
    assert found.rate >= 100.0
    assert found.flat_loss == pytest.approx(2 * torch.tensor(2.0).log().item(), rel=1e-6)
    quick = critic_room(a_critic(0.5), steps=20, count=100)
    assert quick.after[1.0] > 0.95
    assert "own steps at" in quick.sentence


def test_what_is_missing_is_named() -> None:
    run = a_noisy_line(0.0)
    with pytest.raises(InputError, match="repeats and averaged 2"):
        update_noise(run, repeats=1)
    with pytest.raises(InputError, match="steps and draws must be at least 1"):
        trade_offs(run, steps=0)
    with pytest.raises(InputError, match="the critic's room needs to know critic"):
        critic_room(run)
    bare = Run(run.step, run.state, roles=Roles(losses=lambda _: {}, data=[0]))
    with pytest.raises(InputError, match="needs to know optimizers"):
        update_noise(bare)
