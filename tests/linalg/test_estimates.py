import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_families import gaussian, orthogonal, wishart_plus_skew

from separatrix.errors import InputError
from separatrix.linalg import (
    Dense,
    Diagonal,
    Tagged,
    diagonal,
    frobenius_parts,
    spectral_density,
    trace_hutchinson,
    trace_hutchpp,
    trace_xtrace,
)

N = 120
TRACES = [trace_hutchinson, trace_hutchpp, trace_xtrace]


def decaying(seed):
    """Non-symmetric, singular values 1/i^2."""
    d = 1 / torch.arange(1, N + 1, dtype=torch.float64) ** 2
    return orthogonal(N, seed) @ torch.diag(d) @ orthogonal(N, seed + 1)


# traces


@pytest.mark.parametrize("trace", TRACES)
def test_traces_are_unbiased_and_their_errors_honest(trace):
    a = wishart_plus_skew(N, 0)
    found = [trace(Dense(a), 24, seed=seed) for seed in range(60)]
    z = torch.tensor([(f.value - torch.trace(a).item()) / f.stderr for f in found])
    assert z.mean().abs() < 0.6  # 60 draws: 0.13 is one standard error, more with the few samples of each
    assert 0.6 < z.std() < 1.9
    assert all(f.products <= 24 for f in found)


@pytest.mark.parametrize("trace", TRACES)
def test_a_trace_with_a_budget_of_n_is_exact(trace):
    a = gaussian(20, 20, 1)
    found = trace(Dense(a), 20)
    assert found.exact
    assert found.stderr == 0
    assert found.value == pytest.approx(torch.trace(a).item(), rel=1e-12)


def test_xtrace_beats_hutchinson_where_singular_values_decay():
    a = decaying(2)
    true = torch.trace(a).item()
    error = {t: sum(abs(t(Dense(a), 30, seed=s).value - true) for s in range(10)) for t in TRACES}
    assert error[trace_xtrace] < error[trace_hutchpp] < error[trace_hutchinson]
    assert error[trace_xtrace] < 0.1 * error[trace_hutchinson]


def test_xtrace_of_a_low_rank_matrix_is_exact():
    u, v = gaussian(N, 3, 3), gaussian(3, N, 4)
    found = trace_xtrace(Dense(u @ v), 20)
    assert found.exact
    assert found.value == pytest.approx(torch.trace(u @ v).item(), rel=1e-10)


def test_xtrace_agrees_with_its_definition():
    """Each left-out estimate recomputed with a QR of the other probes."""
    a, count, n = gaussian(30, 30, 5), 6, 30
    generator = torch.Generator().manual_seed(7)
    omega = torch.stack([torch.randn(n, generator=generator).double() for _ in range(count)])
    samples = []
    for i in range(count):
        others = torch.cat([omega[:i], omega[i + 1 :]])
        q = torch.linalg.qr(a @ others.T).Q
        rest = omega[i] - q @ (q.T @ omega[i])
        scale = (n - count + 1) / (rest @ rest)
        samples.append(torch.trace(q.T @ a @ q) + scale * rest @ a @ rest)
    found = trace_xtrace(Dense(a), 2 * count, seed=7)
    samples = torch.stack(samples)
    assert found.value == pytest.approx(samples.mean().item(), rel=1e-9)
    assert found.stderr == pytest.approx(samples.std().item() / count**0.5, rel=1e-9)


def test_the_diagonal_of_a_diagonal_matrix_is_found_with_no_error():
    d = torch.arange(50.0)
    found = diagonal(Diagonal(d), probes=3)
    assert torch.equal(found.value, d)
    assert found.stderr.abs().max() == 0


def test_the_diagonals_error_bars_cover():
    a = gaussian(N, N, 6)
    found = diagonal(Dense(a), probes=60)
    z = (found.value - torch.diagonal(a)) / found.stderr
    assert z.abs().max() < 5
    assert 0.7 < z.std() < 1.4
    assert diagonal(Dense(a), probes=N).exact


def test_the_error_bars_of_a_strong_diagonal_survive_float32():
    a = 1e-2 * gaussian(N, N, 6) + 1e3 * torch.diag(torch.linspace(1, 2, N, dtype=torch.float64))
    found, exact = diagonal(Dense(a.float()), probes=30, seed=1), diagonal(Dense(a), probes=30, seed=1)
    assert float(found.stderr.min()) > 0
    torch.testing.assert_close(found.stderr.double(), exact.stderr, rtol=0.05, atol=0)


# Frobenius norms


def test_a_potential_field_has_no_rotational_share_and_a_rotation_nothing_else():
    s, k = wishart_plus_skew(N, 7, skew=0.0), gaussian(N, N, 8)
    assert frobenius_parts(Dense(s)).rotational_share.value < 1e-25
    assert frobenius_parts(Dense(k - k.T)).rotational_share.value == 1
    assert frobenius_parts(Tagged(Dense(k - k.T), {"skew"})).symmetric.value == 0
    assert math.isnan(frobenius_parts(Dense(torch.zeros(50, 50))).rotational_share.value)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), skew=st.floats(0.1, 5))
def test_with_n_probes_the_parts_are_exact(seed, skew):
    a = wishart_plus_skew(12, seed, skew=skew)
    found = frobenius_parts(Dense(a), probes=12)
    s, k = (a + a.T) / 2, (a - a.T) / 2
    assert found.total.exact
    assert found.symmetric.value == pytest.approx(s.norm().item(), rel=1e-12)
    assert found.antisymmetric.value == pytest.approx(k.norm().item(), rel=1e-12)
    assert found.total.value == pytest.approx(a.norm().item(), rel=1e-12)
    assert found.rotational_share.value == pytest.approx((k.norm() / a.norm()).item() ** 2, rel=1e-12)
    assert found.trace.value == pytest.approx(torch.trace(a).item(), rel=1e-9)


def test_the_standard_errors_of_the_parts_are_honest():
    a = wishart_plus_skew(N, 9, skew=0.5) + torch.diag(torch.linspace(-3, 0, N, dtype=torch.float64))
    s, k = (a + a.T) / 2, (a - a.T) / 2
    true = {
        "total": a.norm().item(),
        "symmetric": s.norm().item(),
        "antisymmetric": k.norm().item(),
        "rotational_share": (k.norm() / a.norm()).item() ** 2,
        "trace": torch.trace(a).item(),
    }
    runs = [frobenius_parts(Dense(a), 20, seed=seed) for seed in range(60)]
    for name, value in true.items():
        z = torch.tensor([(getattr(r, name).value - value) / getattr(r, name).stderr for r in runs])
        assert z.mean().abs() < 0.6, name
        assert 0.6 < z.std() < 1.7, name
    assert "+-" in str(runs[0])


# densities


def test_the_density_is_refused_without_a_symmetric_tag():
    with pytest.raises(InputError, match=r"tagged 'symmetric'.*operator\.sym"):
        spectral_density(Dense(torch.eye(3)))


def test_quadrature_gives_the_log_determinant_within_its_error():
    a = Tagged(Dense(-wishart_plus_skew(N, 10, skew=0.0)), {"symmetric"})
    true = torch.logdet(a.to_dense()).item()
    found = spectral_density(a, probes=30).trace_of(torch.log)
    assert abs(found.value - true) < 4 * found.stderr
    assert found.stderr < 0.1 * abs(true)


def test_quadrature_is_exact_for_polynomials_it_resolves():
    d = torch.linspace(-1, 2, N, dtype=torch.float64)
    found = spectral_density(Diagonal(d), probes=2, steps=3)
    assert found.trace_of(lambda x: x**5).value == pytest.approx((d**5).sum().item(), rel=1e-10)
    assert found.trace_of(lambda x: x**6).value != pytest.approx((d**6).sum().item(), rel=1e-6)


def test_the_density_integrates_to_one_and_splits_two_clusters():
    d = torch.cat([torch.full((90,), -1.0), torch.full((30,), 2.0)]).double()
    found = spectral_density(Diagonal(d), probes=4)
    grid = torch.linspace(-2, 3, 501, dtype=torch.float64)
    value, stderr = found.at(grid, bandwidth=0.1)
    assert torch.trapezoid(value, grid).item() == pytest.approx(1, abs=1e-6)
    assert torch.trapezoid(value[grid < 0.5], grid[grid < 0.5]).item() == pytest.approx(0.75, abs=1e-6)
    assert stderr.max() < 1e-10  # signs weigh a diagonal matrix exactly


def test_a_constant_operator_ends_the_recursion_at_once():
    found = spectral_density(Diagonal(torch.full((40,), 3.0)), probes=2)
    assert found.products == 2
    assert found.trace_of(lambda x: x).value == pytest.approx(120, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: trace_hutchinson(a, 1), "probes must be at least 2"),
        (lambda a: trace_hutchpp(a, 5), "max_products must be at least 6"),
        (lambda a: trace_xtrace(a, 3), "max_products must be at least 4"),
        (lambda a: frobenius_parts(a, 0), "probes must be at least 2"),
        (lambda a: spectral_density(a, steps=0), "steps must be at least 1"),
        (lambda a: spectral_density(a).at(torch.zeros(1), bandwidth=0.0), "bandwidth must be a positive"),
    ],
)
def test_budgets_out_of_range_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call(Diagonal(torch.ones(10)))


def test_estimates_repeat_with_their_seed():
    a = Dense(wishart_plus_skew(N, 11))
    for estimator in [*TRACES, lambda a, **o: frobenius_parts(a, **o).total]:
        assert estimator(a, seed=3).value == estimator(a, seed=3).value
        assert estimator(a, seed=3).value != estimator(a, seed=4).value
