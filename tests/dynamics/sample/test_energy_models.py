"""Generalised likelihood and latent samples of Gaussian models, where all is known."""

import math

import pytest
import torch
from torch import Tensor

from separatrix.dynamics.sample import kale, langevin, posterior
from separatrix.errors import InputError


def normal_quantiles(count: int) -> Tensor:
    shares = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return math.sqrt(2) * torch.erfinv(2 * shares - 1)


def test_at_the_log_ratio_it_is_the_divergence_and_below_it_elsewhere() -> None:
    """Base N(0, 1), data N(m, 1): the log ratio is ``m x - m^2 / 2`` and the divergence ``m^2 / 2``."""
    base, m = normal_quantiles(200_001), 0.8
    data = base + m
    best = kale(-m * data, -m * base)
    assert float(best) == pytest.approx(m * m / 2, abs=1e-3)
    assert float(kale(5 - m * data, 5 - m * base)) == pytest.approx(float(best))
    for slope in (0.0, 0.4, 1.2):
        below = kale(-slope * data, -slope * base)
        assert float(below) == pytest.approx(slope * m - slope**2 / 2, abs=1e-3)
        assert float(below) < float(best)


def test_it_moves_a_base_that_shares_no_point_with_the_data() -> None:
    shift = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    x = torch.linspace(-1, 1, 50, dtype=torch.float64)
    value = kale(0.5 * x, 0.5 * (x + shift))
    value.backward()
    assert math.isfinite(float(value.detach()))
    assert shift.grad is not None
    assert float(shift.grad) == pytest.approx(0.5)  # descent brings the base back


def test_latent_chains_sample_the_model() -> None:
    """G(z) = 2 z and E(x) = x^2 / 8 - x: latent precision 2, mean 1, so x has mean 2 and variance 2."""

    def generator(z: Tensor) -> Tensor:
        return 2 * z

    def energy(x: Tensor) -> Tensor:
        return (x.square() / 8 - x).sum(dim=1)

    start = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = generator(langevin(posterior(generator, energy), start, step_size=0.3, steps=30).points)
    assert float(found.mean()) == pytest.approx(2, abs=0.05)
    assert float(found.var()) == pytest.approx(2, abs=0.08)


def test_energies_that_are_no_vectors_are_named() -> None:
    with pytest.raises(InputError, match=r"got \(3, 1\) and \(3,\)"):
        kale(torch.zeros(3, 1), torch.zeros(3))
