"""Chains, annealing and flows against constants, variances and biases known in closed form."""

import math

import pytest
import torch
from torch import Tensor

from separatrix.dynamics.sample import (
    TanhFlow,
    annealed,
    langevin,
    neis,
    normalising_constant,
    with_divergence,
)
from separatrix.errors import ComputationError, InputError


def gaussian(x: Tensor) -> Tensor:
    return -x.square().sum(dim=1) / 2 - x.shape[1] / 2 * math.log(2 * math.pi)


def wide(x: Tensor) -> Tensor:
    """Of deviation 2, without its constant."""
    return -x.square().sum(dim=1) / 8


def wide_constant(n: int) -> float:
    return n / 2 * math.log(8 * math.pi)


def draws(count: int, n: int, seed: int = 0) -> Tensor:
    return torch.randn(count, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_weights_give_mean_error_and_effective_share() -> None:
    found = normalising_constant(torch.tensor([1.0, 3.0], dtype=torch.float64).log() + 1000)
    assert found.log_value == pytest.approx(1000 + math.log(2))
    assert found.relative_variance == pytest.approx(0.5)
    assert found.stderr == pytest.approx(0.5)
    assert found.effective == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="every weight is zero"):
        normalising_constant(torch.full((3,), -math.inf))
    with pytest.raises(InputError, match=r"at least two numbers .* got shape \(1,\)"):
        normalising_constant(torch.zeros(1))
    with pytest.raises(InputError, match="none NaN"):
        normalising_constant(torch.tensor([0.0, math.nan]))


def test_corrected_chains_leave_their_density_as_it_is_and_uncorrected_ones_have_the_known_bias() -> None:
    h, start = 0.8, draws(20_000, 2)
    right = langevin(gaussian, start, step_size=h, steps=12)
    assert float(right.points.var()) == pytest.approx(1.0, abs=0.03)
    assert 0.5 < right.accepted < 0.95
    assert right.evaluations == 13
    wrong = langevin(gaussian, start, step_size=h, steps=12, adjusted=False)
    assert float(wrong.points.var()) == pytest.approx(2 / (2 - h), abs=0.04)
    assert torch.equal(right.points, langevin(gaussian, start, step_size=h, steps=12).points)


def test_chains_find_a_skewed_density() -> None:
    """``p ~ x exp(-x)`` on the half line: mean and variance 2; proposals outside have no density."""
    found = langevin(lambda x: (x.log() - x)[:, 0], torch.ones(20_000, 1).double(), step_size=0.5, steps=60).points
    assert bool((found > 0).all())
    assert float(found.mean()) == pytest.approx(2, abs=0.06)
    assert float(found.var()) == pytest.approx(2, abs=0.15)


def test_chains_that_cannot_be_run_are_named() -> None:
    with pytest.raises(ComputationError, match="left the finite numbers with step_size=3"):
        langevin(lambda x: -x.pow(4).sum(dim=1), draws(10, 1), step_size=3, steps=20, adjusted=False)
    with pytest.raises(InputError, match=r"log_density must return \(10,\)"):
        langevin(lambda x: x, draws(10, 1), step_size=0.1, steps=1)
    with pytest.raises(InputError, match="positive step_size"):
        langevin(gaussian, draws(10, 1), step_size=0, steps=1)
    with pytest.raises(InputError, match="at least one rung"):
        annealed(gaussian, wide, draws(10, 1), rungs=0, step_size=0.1)


def test_annealing_with_one_rung_is_plain_importance_sampling_and_more_rungs_scatter_less() -> None:
    def narrow(x: Tensor) -> Tensor:
        return -(x - 1).square().sum(dim=1) * 2

    x, exact = draws(3000, 3), 1.5 * math.log(math.pi / 2)
    torch.testing.assert_close(annealed(gaussian, narrow, x, rungs=1, step_size=0.1), narrow(x) - gaussian(x))
    spread = []
    for rungs in (1, 5, 20):
        found = normalising_constant(annealed(gaussian, narrow, x, rungs=rungs, step_size=0.2))
        assert abs(found.log_value - exact) < 4 * found.stderr
        spread.append(found.relative_variance)
    assert spread[0] > 2 * spread[1] > 4 * spread[2]


def test_chains_do_not_repeat_the_noise_that_the_callers_points_were_drawn_with() -> None:
    """Points and noise from the same number made the estimate wrong by a tenth."""
    for seed in (0, 3):
        logs = annealed(gaussian, lambda x: -2 * x.square().sum(dim=1), draws(10_000, 1, seed), rungs=20, step_size=0.2, seed=seed)  # fmt: skip
        found = normalising_constant(logs)
        assert abs(found.log_value - math.log(math.pi / 2) / 2) < 4 * found.stderr


def test_without_a_flow_it_is_plain_importance_sampling() -> None:
    x = draws(50, 3)
    torch.testing.assert_close(neis(TanhFlow(3, 4), gaussian, wide, x), wide(x) - gaussian(x))


@pytest.mark.parametrize(("n", "off"), [(1, 1e-3), (2, 1e-5), (5, 1e-5)])
def test_a_radial_flow_between_radial_densities_has_no_variance(n: int, off: float) -> None:
    """Up to the Runge-Kutta error, and to ``e^{-9 n}`` of a line that is cut off."""
    x = draws(50, n)
    logs = neis(lambda x: (x, torch.full((len(x),), float(n)).double()), gaussian, wide, x, back=9, forth=9, steps=240)
    assert float((logs - wide_constant(n)).abs().max()) < off
    short = neis(lambda x: (x, torch.full((len(x),), float(n)).double()), gaussian, wide, x, steps=20)
    assert float(short.std()) > 0.1


@pytest.mark.parametrize(("back", "forth", "steps"), [(0.5, 0.5, 8), (0.0, 1.0, 5), (1.0, 0.0, 5), (0.3, 1.1, 6)])
def test_the_mean_is_right_for_any_flow_and_any_times(back: float, forth: float, steps: int) -> None:
    """Integrated over the base in one dimension, up to the Runge-Kutta error."""
    x = torch.linspace(-9, 9, 4001, dtype=torch.float64)[:, None]

    def flow(x: Tensor) -> tuple[Tensor, Tensor]:
        return 0.5 * torch.sin(x) + 0.4, 0.5 * torch.cos(x[:, 0])

    logs = neis(flow, gaussian, lambda x: -2 * (x[:, 0] - 1).square(), x, back=back, forth=forth, steps=steps)
    mean = float((gaussian(x) + logs).exp().sum()) * float(x[1, 0] - x[0, 0])
    assert mean == pytest.approx(math.sqrt(math.pi / 2), rel=2e-5)
    careless = neis(lambda x: (flow(x)[0], torch.zeros(len(x)).double()), gaussian, lambda x: -2 * (x[:, 0] - 1).square(), x, back=back, forth=forth, steps=steps)  # fmt: skip
    wrong = float((gaussian(x) + careless).exp().sum()) * float(x[1, 0] - x[0, 0])
    assert abs(wrong / math.sqrt(math.pi / 2) - 1) > 1e-3


def test_a_flow_can_be_trained_and_its_divergence_is_that_of_its_velocity() -> None:
    flow = TanhFlow(2, 8, seed=1)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.3 * draws(1, parameter.numel(), seed=2).reshape(parameter.shape)
    velocity, divergence = flow(x := draws(20, 2))
    other = with_divergence(lambda x: flow(x)[0])(x)
    torch.testing.assert_close((velocity, divergence), other)
    flow, points = TanhFlow(2, 8), draws(300, 2)

    def shifted(x: Tensor) -> Tensor:
        return gaussian(x - 1)

    optimizer = torch.optim.Adam(flow.parameters(), lr=0.02)
    before = normalising_constant(neis(flow, gaussian, shifted, points, steps=6)).relative_variance
    for _ in range(35):
        optimizer.zero_grad()
        (2 * neis(flow, gaussian, shifted, points, steps=6)).logsumexp(0).backward()
        optimizer.step()
    found = normalising_constant(neis(flow, gaussian, shifted, draws(2000, 2, seed=9), steps=6))
    assert found.relative_variance < before / 4
    assert abs(found.log_value) < 4 * found.stderr


def test_a_flow_of_the_wrong_shape_and_bad_times_are_named() -> None:
    with pytest.raises(InputError, match=r"divergence \(4,\), got \(4, 2\) and \(4, 1\)"):
        neis(lambda x: (x, x[:, :1]), gaussian, wide, draws(4, 2))
    with pytest.raises(InputError, match="not both 0"):
        neis(TanhFlow(2, 2), gaussian, wide, draws(4, 2), back=0, forth=0)
