"""Smoothed spectral measures of a rotation and of the doubling map, whose measures are known in closed form."""

import math

import pytest
import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.probes.koopman import SpectralDensity, spectral_density

ANGLES = torch.linspace(-math.pi, math.pi, 41, dtype=torch.float64)[:-1]


def doubling(functions: int, decay: float) -> tuple[Tensor, Tensor, Tensor]:
    """``x -> 2 x`` on the circle, functions ``e^{i 2^j x}``, ``g = sum_j decay^j e^{i 2^j x}``; 2 generates the residues modulo 101."""
    x = torch.arange(101, dtype=torch.float64) * 2 * math.pi / 101
    powers = torch.tensor([pow(2, j, 101) for j in range(functions + 1)], dtype=torch.float64)
    values = torch.exp(1j * x[:, None] * powers)
    return values[:, :-1], values[:, 1:], decay ** torch.arange(functions, dtype=torch.float64)


def exact(decay: float) -> Tensor:
    """``<K^n g, g> = decay^n / (1 - decay^2)``: the density is ``1 / (2 pi |1 - decay e^{i theta}|^2)``."""
    return 1 / (2 * math.pi * (1 - decay * torch.exp(1j * ANGLES)).abs() ** 2)


def smooth(eps: float, order: int, functions: int = 90, decay: float = 0.5) -> SpectralDensity:
    return spectral_density(*doubling(functions, decay), ANGLES, smoothing=eps, order=order)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_smoothings_error_falls_with_its_order_on_a_mixing_map(order: int) -> None:
    errors = [float((smooth(eps, order).value - exact(0.5)).abs().max()) for eps in (0.04, 0.02)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.3)


def test_an_atom_becomes_poissons_kernel_and_the_mass_is_kept() -> None:
    x = torch.arange(64, dtype=torch.float64)[:, None] * 2 * math.pi / 64
    k = torch.tensor([1.0, 2.0])
    turned = torch.exp(1j * x * k), torch.exp(1j * (x + 0.7) * k)
    found = spectral_density(*turned, torch.tensor([0.0, 3.0]), ANGLES, smoothing=0.2)
    r = math.exp(-0.2)
    poisson = (1 - r * r) / (1 - 2 * r * torch.cos(ANGLES - 1.4) + r * r) / (2 * math.pi)
    torch.testing.assert_close(found.value, 9 * poisson)
    assert float(found.error.max()) < 1e-10
    fine = torch.arange(400, dtype=torch.float64) * 2 * math.pi / 400
    for order in (1, 4):
        mass = spectral_density(*turned, torch.tensor([0.0, 3.0]), fine, smoothing=0.2, order=order)
        assert float(mass.value.mean()) * 2 * math.pi == pytest.approx(9.0)


@pytest.mark.parametrize("functions", [3, 6, 12])
def test_a_dictionary_that_is_too_small_is_told_by_the_error(functions: int) -> None:
    """Against the same, truncated observable in a dictionary that holds its whole orbit."""
    x, y, g = doubling(90, 0.8)
    g = torch.where(torch.arange(90) < functions, g, 0.0)
    whole = spectral_density(x, y, g, ANGLES, smoothing=0.3, order=2)
    part = spectral_density(x[:, :functions], y[:, :functions], g[:functions], ANGLES, smoothing=0.3, order=2)
    off = (part.value - whole.value).abs()
    assert bool((off <= part.error + whole.error).all())
    assert float(part.error.max()) > 0.01 > 1e-6 > float(whole.error.max())


def test_weights_count() -> None:
    """Points given twice are points of twice the weight."""
    x, y, g = doubling(20, 0.5)
    twice = torch.cat([x, x[:30]]), torch.cat([y, y[:30]])
    weights = torch.ones(101, dtype=torch.float64)
    weights[:30] = 2
    one = spectral_density(*twice, g, ANGLES, smoothing=0.5, weights=torch.ones(131) / 131)
    other = spectral_density(x, y, g, ANGLES, smoothing=0.5, weights=weights / 131)
    torch.testing.assert_close(one.value, other.value)


def test_bad_input_is_named() -> None:
    x, y, g = doubling(4, 0.5)
    with pytest.raises(InputError, match=r"smoothing and order must be positive, got 0\.0 and 1"):
        spectral_density(x, y, g, ANGLES, smoothing=0.0)
    with pytest.raises(InputError, match=r"g must be \(4,\)"):
        spectral_density(x, y, g[:2], ANGLES, smoothing=0.1)
