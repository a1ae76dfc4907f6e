"""Residual DMD against golden numbers, exact eigenvalues, dense algebra, and the noise it must take out."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.probes.koopman import Koopman, resdmd


def legendre(x: np.ndarray, count: int) -> Tensor:
    """Legendre polynomials, orthonormal on [-1, 0]."""
    columns = [np.polynomial.legendre.legval(2 * x + 1, np.eye(count)[n]) * math.sqrt(2 * n + 1) for n in range(count)]
    return torch.tensor(np.stack(columns, axis=1))


def gauss_map(points: int = 100) -> Koopman:
    """``F(x) = exp(-2 x^2) - 1 - exp(-2)`` on [-1, 0], 40 polynomials, Gauss-Legendre quadrature [colbrook2024, sec. 4]."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    x = (nodes - 1) / 2
    image = np.exp(-2 * x**2) - 1 - np.exp(-2)
    return resdmd(legendre(x, 40), legendre(image, 40), weights=torch.tensor(weights / 2))


@pytest.mark.parametrize("points", [100, 200])
def test_the_gauss_map_has_its_golden_values_residuals_and_counts(points: int) -> None:
    found = gauss_map(points)
    true = int((found.values - 1).abs().argmin())
    assert abs(complex(found.values[true]) - 1) < 1e-12
    assert found.residuals[true] < 1e-12
    golden = {
        1.000156: 7.3e-5,
        0.986386 + 0.06756j: 0.0234,
        0.950225 + 0.210193j: 0.0610,
        0.876361 + 0.388701j: 0.1036,
        0.744522 + 0.581414j: 0.1496,
        0.265009 + 0.905108j: 0.229,
    }
    for value, residual in golden.items():
        near = (found.values - value).abs()
        near[true] = 1.0
        i = int(near.argmin())
        assert near[i] < 2e-6
        assert found.residuals[i] == pytest.approx(residual, rel=0.01)
    assert [int((found.residuals < e).sum()) for e in (1e-3, 1e-2, 0.1)] == [14, 16, 20]
    assert float(found.residuals.max()) == pytest.approx(0.4886, abs=1e-4)
    # The fixed point at -1 has the multiplier 4 e^-2; its powers are eigenvalues, and the kept ones hold the first.
    near = (found.values - 4 * math.exp(-2)).abs().argmin()
    assert found.residuals[near] < 1e-2


def test_the_gauss_map_has_its_golden_pseudospectrum() -> None:
    found = gauss_map()
    tau = found.tau(torch.tensor([0.5, 0.5j, 1j, 1.2, -0.5]))
    for value, golden in zip(tau.tolist(), (2.594e-4, 0.03066, 0.11552, 0.04062, 0.09449), strict=True):
        assert value == pytest.approx(golden, rel=1e-3)
    i = 5
    assert float(found.tau(complex(found.values[i]))) <= float(found.residuals[i]) * (1 + 1e-9)
    dense = torch.linalg.svdvals(found.images - (0.3 + 0.2j) * found.basis)[-1]
    assert float(found.tau(0.3 + 0.2j)) == pytest.approx(float(dense), rel=1e-9)


def test_a_rotation_has_exact_values_and_residuals_to_machine_precision() -> None:
    """The quadratic form of the matrices would give 3e-8 here."""
    omega = math.sqrt(2) * math.pi
    x = torch.arange(64, dtype=torch.float64) * 2 * math.pi / 64
    orders = torch.arange(-5, 6, dtype=torch.float64)
    found = resdmd(torch.exp(1j * x[:, None] * orders), torch.exp(1j * (x + omega)[:, None] * orders))
    expected = torch.exp(1j * omega * orders)
    assert float((found.values[:, None] - expected[None, :]).abs().amin(dim=1).max()) < 1e-12
    assert float(found.residuals.max()) < 1e-13


def test_a_linear_system_and_least_squares_agree() -> None:
    a = torch.tensor([[0.9, -0.2], [0.2, 0.9]], dtype=torch.float64)
    path = [torch.tensor([1.0, 0.5], dtype=torch.float64)]
    for _ in range(60):
        path.append(a @ path[-1])
    x = torch.stack(path)
    found = resdmd(x[:-1], x[1:])
    assert abs(complex(found.values[0])) == pytest.approx(abs(0.9 + 0.2j), abs=1e-10)
    assert abs(float(found.values[0].imag)) == pytest.approx(0.2, abs=1e-10)
    g = torch.Generator().manual_seed(0)
    psi_x, psi_y = (
        torch.randn(50, 6, generator=g, dtype=torch.float64),
        torch.randn(50, 6, generator=g, dtype=torch.float64),
    )
    found = resdmd(psi_x, psi_y)
    by_numpy = np.linalg.eigvals(np.linalg.lstsq(psi_x.numpy(), psi_y.numpy(), rcond=None)[0])
    assert sorted(np.round(np.abs(by_numpy), 9)) == pytest.approx(sorted(np.round(found.values.abs().numpy(), 9)))
    # The residual is that of its definition, with the pair in hand.
    v = found.vectors[:, 2]
    gx, gy = psi_x.to(v.dtype) @ v, psi_y.to(v.dtype) @ v
    assert float(gx.abs().square().mean()) == pytest.approx(1.0)
    assert float(found.residuals[2]) == pytest.approx(float((gy - found.values[2] * gx).abs().square().mean().sqrt()))


def test_errors_are_the_residuals_on_the_same_snapshots_and_tell_on_others_what_was_fitted_too_closely() -> None:
    g = torch.Generator().manual_seed(0)
    draws = [torch.randn(count, 6, generator=g, dtype=torch.float64) for count in (6, 6, 400, 400)]
    found = resdmd(*draws[:2])
    assert float(found.residuals.max()) < 1e-10
    torch.testing.assert_close(found.errors(*draws[:2]), found.residuals, atol=1e-10, rtol=0)
    assert float(found.errors(*draws[2:]).min()) > 0.5
    found = resdmd(*draws[2:])
    torch.testing.assert_close(found.errors(*draws[2:]), found.residuals)


def test_second_successors_take_the_noise_out_of_the_residual() -> None:
    """``x' = a x + noise``: ``x`` is an eigenfunction of the mean, and its plain residual is ``sqrt(1 - a^2)``."""
    a, inside = 0.8, 0
    for seed in range(20):
        g = torch.Generator().manual_seed(seed)
        x = torch.randn(4000, 1, generator=g, dtype=torch.float64)
        y, second = (
            a * x + math.sqrt(1 - a * a) * torch.randn(4000, 1, generator=g, dtype=torch.float64) for _ in range(2)
        )
        found = resdmd(x, y, second=second)
        assert float(found.residuals[0]) == pytest.approx(math.sqrt(1 - a * a), rel=0.05)
        assert found.corrected is not None
        assert found.corrected_stderr is not None
        assert abs(float(found.corrected[0])) < 0.05
        inside += abs(float(found.corrected[0])) < 2 * float(found.corrected_stderr[0])
        assert bool(found.kept(0.3)[0])
        assert not bool(resdmd(x, y).kept(0.3)[0])
    assert inside >= 16


def test_noise_does_not_hide_that_a_function_is_no_eigenfunction() -> None:
    """The logistic map with little noise: no linear function of x is an eigenfunction but the constant."""
    g = torch.Generator().manual_seed(0)
    x = torch.rand(3000, 1, generator=g, dtype=torch.float64)

    def dictionary(x: Tensor) -> Tensor:
        return torch.cat([torch.ones_like(x), x], dim=1)

    y, second = (4 * x * (1 - x) + 0.05 * torch.randn(3000, 1, generator=g, dtype=torch.float64) for _ in range(2))
    found = resdmd(dictionary(x), dictionary(y), second=dictionary(second))
    assert found.corrected is not None
    i = int((found.values.abs() < 0.5).nonzero()[0])
    # At lam = 0 the function is x - 2/3, of mean square 1/9; its image 4 x (1 - x) - 2/3 has the variance 4/45.
    assert float(found.corrected[i]) == pytest.approx((4 / 45) / (1 / 9), rel=0.1)
    assert not bool(found.kept(0.5)[i])


def test_dependent_functions_are_left_out_and_bad_data_named() -> None:
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = resdmd(torch.cat([x, x[:, :1]], dim=1), torch.cat([0.5 * x, 0.5 * x[:, :1]], dim=1))
    assert found.rank == 2
    assert found.vectors.shape == (3, 2)
    torch.testing.assert_close(found.values.real, torch.full((2,), 0.5, dtype=torch.float64))
    with pytest.raises(InputError, match="2 snapshots for 3 functions"):
        resdmd(torch.ones(2, 3), torch.ones(2, 3))
    with pytest.raises(InputError, match="of one shape"):
        resdmd(x, x[:5])
    with pytest.raises(InputError, match="must be finite"):
        resdmd(x, x / 0)
    with pytest.raises(InputError, match="vanishes at every point"):
        resdmd(0 * x, x)
    with pytest.raises(InputError, match=r"weights must be \(30,\)"):
        resdmd(x, x, weights=-torch.ones(30))
