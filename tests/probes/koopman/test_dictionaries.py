"""Dictionaries against NumPy and SciPy, and their orthonormality under an exact quadrature."""

import math

import numpy as np
import pytest
import torch
from scipy.special import eval_hermite, eval_legendre

from separatrix.errors import InputError
from separatrix.probes.koopman import fourier_hermite, hermite, legendre


def test_legendre_polynomials_are_scipys_and_orthonormal_on_their_interval() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(40)
    x = torch.tensor(3 + 2 * nodes)
    found = legendre(x, 30, low=1, high=5)
    torch.testing.assert_close((found * torch.tensor(weights)[:, None] / 2).T @ found, torch.eye(30).double())
    expected = [math.sqrt(2 * n + 1) * eval_legendre(n, nodes) for n in range(30)]
    torch.testing.assert_close(found, torch.tensor(np.stack(expected, axis=1)))


def test_hermite_functions_are_scipys_and_orthonormal() -> None:
    x = torch.linspace(-14, 14, 400, dtype=torch.float64)
    found = hermite(x, 40)
    torch.testing.assert_close(found.T @ found * float(x[1] - x[0]), torch.eye(40).double())
    at = x.numpy()
    for n in (0, 1, 2, 9):
        scale = math.sqrt(2**n * math.factorial(n) * math.sqrt(math.pi))
        torch.testing.assert_close(found[:, n], torch.tensor(eval_hermite(n, at) * np.exp(-at * at / 2) / scale))
    assert hermite(x, 1).shape == (400, 1)


def test_the_hyperbolic_cross_is_orthonormal_and_counts_its_pairs() -> None:
    angle = torch.arange(24, dtype=torch.float64) * 2 * math.pi / 24
    speed = torch.linspace(-9, 9, 80, dtype=torch.float64)
    a, v = (t.reshape(-1) for t in torch.meshgrid(angle, speed, indexing="ij"))
    found = fourier_hermite(a, v, 8)
    assert found.shape[1] == sum((abs(k) + 1) * (n + 1) <= 8 for k in range(-9, 10) for n in range(10))
    weight = float(speed[1] - speed[0]) * 2 * math.pi / 24
    torch.testing.assert_close(found.mH @ found * weight, torch.eye(found.shape[1], dtype=torch.complex128))


def test_bad_input_is_named() -> None:
    x = torch.zeros(3)
    with pytest.raises(InputError, match=r"points must lie in \[-1, 0\], got 0.5 to 0.5"):
        legendre(x + 0.5, 2, low=-1, high=0)
    with pytest.raises(InputError, match=r"got shape \(3, 1\) and count=2"):
        hermite(x[:, None], 2)
    with pytest.raises(InputError, match="count=0"):
        legendre(x, 0)
    with pytest.raises(InputError, match=r"shapes \(3,\) and \(2,\)"):
        fourier_hermite(x, x[:2], 3)
