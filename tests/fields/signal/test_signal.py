"""Elastic distances and changes of time against closed forms."""

import math

import pytest
import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.signal import Warp, align, dynamic_programming, elastic_energy, square_root_velocity

TIMES = torch.linspace(0, 1, 1001, dtype=torch.float64)


def line(t: Tensor) -> Tensor:
    return t[:, None]


def bent(t: Tensor) -> Tensor:
    """Monotone, so the best change of time from ``line`` is the curve itself and the distance is zero."""
    return ((2 * t).exp() - 1)[:, None] / (math.exp(2) - 1)


def circle(t: Tensor) -> Tensor:
    return torch.stack([(2 * math.pi * t).cos(), (2 * math.pi * t).sin()], dim=1)


def test_square_root_velocities_have_the_curves_length_as_their_square() -> None:
    q = square_root_velocity(circle)(TIMES)
    torch.testing.assert_close(q.square().sum(dim=1), torch.full((1001,), 2 * math.pi).double())
    far = square_root_velocity(lambda t: -circle(t))(TIMES)
    assert float(elastic_energy(q, far, torch.ones(1001))) == pytest.approx(8 * math.pi)


def test_a_warp_is_increasing_has_its_derivative_and_keeps_to_its_bound() -> None:
    for seed in range(20):
        warp = Warp(5, 7)
        with torch.no_grad():
            warp.raw.copy_(5 * torch.randn(5, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
        phi, slope = warp(TIMES)
        assert float(phi[0].abs().detach()) < 1e-12
        assert float((phi[-1] - 1).abs().detach()) < 1e-12
        assert bool((slope > 0).all())
        assert bool((phi.diff() > 0).all())
        assert float(slope.max().detach()) <= warp.slope_bound() <= 1.95**5 + 1e-9
        by_autograd = torch.func.jvp(lambda t, warp=warp: warp(t)[0], (TIMES,), (torch.ones_like(TIMES),))[1]
        torch.testing.assert_close(slope, by_autograd)


def test_both_find_the_change_of_time_that_is_known() -> None:
    q1, q2 = square_root_velocity(bent), square_root_velocity(line)
    warp = Warp(4, 6)
    assert align(q1, q2, warp) < 1e-4
    torch.testing.assert_close(warp(TIMES)[0].detach(), bent(TIMES)[:, 0], atol=5e-3, rtol=0)
    grid = dynamic_programming(q1, q2, cells=30)
    assert grid.energy < 2e-3
    torch.testing.assert_close(grid.warped, bent(grid.times)[:, 0], atol=0.02, rtol=0)


def test_without_a_change_of_time_nothing_is_gained_where_none_helps() -> None:
    """A circle against itself: the identity; against a smaller one: the difference of the roots of their lengths, squared."""
    q, small = square_root_velocity(circle), square_root_velocity(lambda t: circle(t) / 4)
    same = dynamic_programming(q, q, cells=20, steepest=3)
    assert same.energy < 1e-12
    torch.testing.assert_close(same.times, same.warped)
    exact = 2 * math.pi * (1 - 0.5) ** 2
    assert dynamic_programming(q, small, cells=20, steepest=3).energy == pytest.approx(exact)
    assert align(q, small, Warp(2, 3), steps=10) == pytest.approx(exact, rel=0.02)


def test_bad_counts_are_named() -> None:
    with pytest.raises(InputError, match=r"got 0, 3, 0\.95"):
        Warp(0, 3)
    with pytest.raises(InputError, match="margin < 1, got 1, 1, 1"):
        Warp(1, 1, margin=1)
    with pytest.raises(InputError, match="got 0, 6 and 6"):
        dynamic_programming(square_root_velocity(line), square_root_velocity(line), cells=0)
