import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_families import gaussian, orthogonal, wishart_plus_skew

from separatrix.errors import ComputationError, InputError, NonFiniteError
from separatrix.linalg import (
    Dense,
    Diagonal,
    Tagged,
    cg,
    eigenvalues,
    fgmres,
    gmres,
    lsmr,
    minres,
    schur_preconditioner,
)

N = 120


def right_side(n=N, seed=50):
    return gaussian(n, 1, seed)[:, 0]


def true_residual(a, found, b):
    return (torch.linalg.vector_norm(b - a @ found.value) / torch.linalg.vector_norm(b)).item()


def symmetric(values, seed=51, tags=("symmetric",)):
    q = orthogonal(len(values), seed)
    return Tagged(Dense(q @ torch.diag(values.double()) @ q.T), tags)


# every solver, on a system it is made for

DEFINITE = symmetric(torch.linspace(1, 50, N), tags=("symmetric", "definite"))
SOLVERS = {
    "gmres": gmres,
    "fgmres": lambda a, b, **o: fgmres(a, b, lambda u: u, **o),
    "cg": cg,
    "minres": minres,
    "lsmr": lsmr,
}


@pytest.mark.parametrize("name", SOLVERS)
def test_the_solution_agrees_with_a_dense_solve_and_reports_its_true_residual(name):
    b = right_side()
    found = SOLVERS[name](DEFINITE, b, tol=1e-10)
    assert found.converged
    assert torch.allclose(found.value, torch.linalg.solve(DEFINITE.to_dense(), b), atol=1e-7)
    assert found.residual == pytest.approx(true_residual(DEFINITE.to_dense(), found, b), rel=1e-6)
    assert found.method == name


@pytest.mark.parametrize("name", SOLVERS)
def test_the_reported_residual_is_true_in_float32_where_the_recurrence_drifts(name):
    d = torch.logspace(0, 5, N)
    a = Diagonal(d)
    b = torch.ones(N)
    found = SOLVERS[name](a, b, tol=1e-7, max_products=400)
    fresh = (torch.linalg.vector_norm(b - d * found.value) / torch.linalg.vector_norm(b)).item()
    assert found.residual == pytest.approx(fresh, rel=1e-3, abs=1e-7)
    assert found.converged == (found.residual <= 1e-7 or (name == "lsmr" and found.optimality <= 1e-7))


@pytest.mark.parametrize("name", SOLVERS)
def test_a_zero_right_side_has_a_zero_solution(name):
    found = SOLVERS[name](DEFINITE, torch.zeros(N, dtype=torch.float64))
    assert found.converged
    assert found.value.abs().max() == 0


@pytest.mark.parametrize("name", SOLVERS)
def test_a_small_budget_is_flagged_and_kept(name):
    found = SOLVERS[name](DEFINITE, right_side(), tol=1e-12, max_products=8)
    assert not found.converged
    assert found.products <= 8
    assert "raise max_products" in found.status


@pytest.mark.parametrize("name", SOLVERS)
def test_a_nan_is_named(name):
    d = torch.ones(6)
    d[2] = math.nan
    bad = Tagged(Diagonal(d), {"symmetric", "definite"})
    with pytest.raises(NonFiniteError, match=r"product 1 .*nan"):
        SOLVERS[name](bad, torch.ones(6))
    with pytest.raises(NonFiniteError, match="b has"):
        SOLVERS[name](Diagonal(torch.ones(6)), d)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_right_side_of_the_wrong_shape_or_dtype_is_refused(name):
    with pytest.raises(InputError, match=r"b must be a \(120,\) vector of torch.float64"):
        SOLVERS[name](DEFINITE, torch.ones(7, dtype=torch.float64))
    with pytest.raises(InputError, match=r"torch.float32"):
        SOLVERS[name](DEFINITE, torch.ones(N))


@pytest.mark.parametrize("solver", [gmres, cg, minres])
def test_a_good_start_needs_one_product(solver):
    b = right_side()
    x = torch.linalg.solve(DEFINITE.to_dense(), b)
    assert solver(DEFINITE, b, start=x).products == 1


# GMRES


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), restart=st.integers(10, 60))
def test_gmres_solves_non_symmetric_systems_with_any_restart(seed, restart):
    a = wishart_plus_skew(60, seed) - torch.eye(60, dtype=torch.float64)
    b = right_side(60, seed)
    found = gmres(Dense(a), b, restart=restart, tol=1e-9)
    assert found.converged
    assert torch.allclose(found.value, torch.linalg.solve(a, b), atol=1e-7)


def test_gmres_on_a_cyclic_shift_stagnates_until_the_whole_space_is_there():
    """The classic: no progress in n - 1 steps, the answer in the n-th."""
    a = torch.roll(torch.eye(12, dtype=torch.float64), 1, 0)
    b = torch.eye(12, dtype=torch.float64)[0]
    short = gmres(Dense(a), b, restart=11)
    assert not short.converged
    assert "stagnated" in short.status
    whole = gmres(Dense(a), b, restart=12)
    assert whole.converged
    assert whole.products == 13


def test_gmres_breaks_down_happily():
    found = gmres(Diagonal(torch.tensor([2.0, 2, 2, 5])), torch.tensor([1.0, 1, 1, 0]))
    assert found.converged
    assert found.products == 2


def test_an_inconsistent_singular_system_stagnates_with_the_best_residual():
    d = torch.tensor([1.0, 2, 0], dtype=torch.float64)
    b = torch.ones(3, dtype=torch.float64)
    for solver in (gmres, minres):
        found = solver(Diagonal(d), b)
        assert not found.converged
        assert found.residual == pytest.approx(1 / 3**0.5, rel=1e-6)


def test_a_schur_preconditioner_removes_slow_modes():
    d = torch.cat([torch.tensor([1e-4, 3e-4, 1e-3]), torch.linspace(0.9, 1.1, N - 3)]).double()
    q = orthogonal(N, 52)
    upper = 0.02 * torch.triu(gaussian(N, N, 53), 1) / N**0.5
    a = Dense(q @ (torch.diag(d) + upper) @ q.T)
    b = right_side()
    slow = eigenvalues(a, 3, target="leftmost", dense_up_to=0, tol=1e-8)
    plain = gmres(a, b, restart=10, tol=1e-8)
    helped = gmres(a, b, restart=10, tol=1e-8, preconditioner=schur_preconditioner(slow.krylov, rest=1.0))
    recycled = gmres(a, b, restart=10, tol=1e-8, recycle=slow.vectors.real)
    assert helped.converged
    assert recycled.converged
    assert torch.allclose(helped.value, torch.linalg.solve(a.matrix, b), rtol=1e-3, atol=1e-3)
    assert helped.products < 0.5 * plain.products
    assert recycled.products < 0.5 * plain.products


def test_recycling_stays_right_when_the_operator_has_moved():
    a = wishart_plus_skew(N, 54) - 0.1 * torch.eye(N, dtype=torch.float64)
    old = eigenvalues(Dense(a + 0.1 * gaussian(N, N, 55) / N**0.5), 4, dense_up_to=0)
    b = right_side()
    found = gmres(Dense(a), b, recycle=old.vectors.real[::2], tol=1e-9)
    assert found.converged
    assert torch.allclose(found.value, torch.linalg.solve(a, b), atol=1e-6)


def slow_system(drift=0.0):
    """Five slow modes, one pair among them, before a cluster around one."""
    t = torch.diag(torch.cat([torch.tensor([1e-3, 2e-3, 5e-3]), torch.linspace(0.8, 1.2, N - 3)]).double())
    t[3:5, 3:5] = torch.tensor([[2e-3, 4e-3], [-4e-3, 2e-3]])
    t += 0.05 * torch.triu(gaussian(N, N, 59), 1) / N**0.5
    q = orthogonal(N, 60)
    return q @ (t + drift * 1e-4 * gaussian(N, N, 61) / N**0.5) @ q.T


def test_what_a_solve_keeps_are_its_slowest_directions():
    a = slow_system()
    found = gmres(Dense(a), right_side(), restart=40, keep=5, tol=1e-10)
    u = found.recycled
    values, vectors = torch.linalg.eig(a)
    slow = vectors[:, values.abs().argsort()[:5]]
    basis = torch.linalg.qr(u.T).Q.to(slow.dtype)
    assert len(u) in (5, 6)
    assert torch.linalg.vector_norm(slow - basis @ (basis.mH @ slow), dim=0).max() < 1e-4


@pytest.mark.parametrize("preconditioned", [False, True])
def test_a_sequence_of_drifting_systems_is_solved_with_far_fewer_products(preconditioned):
    scale = 1 + torch.rand(N, generator=torch.Generator().manual_seed(62), dtype=torch.float64)
    options = {"restart": 12, "tol": 1e-8, "preconditioner": (lambda u: scale * u) if preconditioned else None}
    cold = warm = 0
    kept = None
    for step in range(4):
        a, b = slow_system(step), right_side(seed=70 + step)
        plain = gmres(Dense(a), b, **options)
        found = gmres(Dense(a), b, recycle=kept, keep=5, **options)
        kept = found.recycled
        assert found.converged
        assert true_residual(a, found, b) < 2e-8
        cold, warm = cold + plain.products, warm + found.products
    assert warm < 0.6 * cold


def test_keeping_helps_the_restarts_of_a_single_solve_and_costs_no_product():
    a = Dense(slow_system())
    plain, kept = (gmres(a, right_side(), restart=12, tol=1e-8, keep=keep) for keep in (0, 5))
    assert kept.products < 0.6 * plain.products
    assert plain.recycled is None
    first = [gmres(a, right_side(), restart=12, max_products=14, keep=keep) for keep in (0, 5)]
    assert first[0].products == first[1].products
    assert first[0].residual == first[1].residual


def test_the_schur_vectors_of_a_search_can_be_recycled():
    a = Dense(slow_system())
    slow = eigenvalues(a, 5, target=lambda lam: -lam.abs(), dense_up_to=0, tol=1e-6)
    rows = slow.krylov.schur_vectors()
    assert torch.allclose(rows @ rows.T, torch.eye(len(rows), dtype=torch.float64), atol=1e-9)
    helped = gmres(a, right_side(), recycle=rows, restart=12, tol=1e-8)
    assert helped.converged
    assert helped.products < 0.5 * gmres(a, right_side(), restart=12, tol=1e-8).products


def test_dependent_recycled_vectors_are_refused():
    with pytest.raises(InputError, match="dependent"):
        gmres(DEFINITE, right_side(), recycle=torch.ones(2, N, dtype=torch.float64))


def test_fgmres_takes_a_preconditioner_that_changes():
    calls = []

    def inner(u):
        calls.append(1)
        return gmres(DEFINITE, u, tol=0.3 if len(calls) % 2 else 0.05).value

    found = fgmres(DEFINITE, right_side(), inner, tol=1e-9)
    assert found.converged
    assert found.products < 30
    assert true_residual(DEFINITE.to_dense(), found, right_side()) < 1e-9


# symmetric solvers


def test_cg_refuses_without_its_tags_and_exposes_a_wrong_one():
    with pytest.raises(InputError, match=r"tagged 'symmetric'.*gmres"):
        cg(Dense(torch.eye(3)), torch.ones(3))
    with pytest.raises(InputError, match=r"tagged 'definite'.*minres"):
        cg(symmetric(torch.ones(3)), torch.ones(3, dtype=torch.float64))
    wrong = symmetric(torch.linspace(-1, 1, N), tags=("symmetric", "definite"))
    with pytest.raises(ComputationError, match=r"p\.T A p = -"):
        cg(wrong, right_side())


def test_minres_solves_indefinite_systems_and_refuses_others():
    a = symmetric(torch.cat([torch.linspace(-5, -1, 60), torch.linspace(1, 5, 60)]))
    b = right_side()
    found = minres(a, b, tol=1e-9)
    assert found.converged
    assert torch.allclose(found.value, torch.linalg.solve(a.to_dense(), b), atol=1e-8)
    with pytest.raises(InputError, match="tagged 'symmetric'"):
        minres(Dense(torch.eye(3)), torch.ones(3))


def test_minres_and_gmres_minimise_the_same_residual():
    a = symmetric(torch.cat([torch.linspace(-5, -1, 40), torch.linspace(0.1, 5, 80)]))
    b = right_side()
    for steps in (5, 15, 30):
        short = minres(a, b, tol=1e-14, max_products=steps + 1)
        long = gmres(a, b, tol=1e-14, max_products=steps + 1, restart=200)
        assert short.residual == pytest.approx(long.residual, rel=1e-6)


# LSMR


@pytest.mark.parametrize("shape", [(80, 30), (30, 80), (40, 40)])
@pytest.mark.parametrize("damping", [0.0, 0.7])
def test_lsmr_agrees_with_dense_least_squares(shape, damping):
    a, b = gaussian(*shape, 56), right_side(shape[0])
    found = lsmr(Dense(a), b, damping=damping, tol=1e-12)
    stacked = torch.cat([a, damping * torch.eye(shape[1], dtype=torch.float64)]) if damping else a
    target = torch.cat([b, torch.zeros(shape[1], dtype=torch.float64)]) if damping else b
    true = torch.linalg.pinv(stacked) @ target
    assert found.converged
    assert torch.allclose(found.value, true, atol=1e-7)
    gradient = a.T @ (b - a @ found.value) - damping**2 * found.value
    assert torch.linalg.vector_norm(gradient) < 1e-9


def test_lsmr_gives_the_shortest_solution_of_a_singular_system():
    u, v = gaussian(50, 8, 57), gaussian(8, 50, 58)
    a = u @ v
    b = a @ right_side(50)
    found = lsmr(Dense(a), b, tol=1e-12)
    assert torch.allclose(found.value, torch.linalg.pinv(a, rtol=1e-10) @ b, atol=1e-6)


def test_a_right_side_outside_the_range_is_left_alone():
    a = Dense(torch.tensor([[1.0], [0.0]]))
    found = lsmr(a, torch.tensor([0.0, 2.0]))
    assert found.converged
    assert found.value.tolist() == [0]
    assert found.residual == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gmres(DEFINITE, right_side(), tol=-1.0), "tol must be a positive"),
        (lambda: gmres(DEFINITE, right_side(), restart=0), "restart must be at least 1"),
        (lambda: gmres(Dense(torch.ones(3, 2)), torch.ones(3)), "3x2"),
        (lambda: lsmr(DEFINITE, right_side(), damping=-1.0), "damping must be"),
        (lambda: lsmr(DEFINITE, right_side(), max_products=2), "max_products must be at least 5"),
        (lambda: gmres(DEFINITE, right_side(), recycle=torch.ones(2, 3)), "recycle must have shape"),
        (lambda: gmres(DEFINITE, right_side(), keep=N), f"keep must be between 0 and {N - 1}"),
    ],
)
def test_bad_settings_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(("n", "rank"), [(2, 1), (3, 2), (5, 4), (20, 10)])
def test_lsmr_is_not_spoilt_by_going_on_where_float32_calls_an_operator_singular(n, rank):
    for seed in range(8):
        g = torch.Generator().manual_seed(seed)
        left, right, b = (torch.randn(*shape, generator=g) for shape in ((n, rank), (rank, n), (n,)))
        found = lsmr(Dense(left @ right), b)
        nearest = left.double() @ torch.linalg.lstsq(left.double(), b.double()[:, None])[0][:, 0]
        least = float((b.double() - nearest).norm() / b.double().norm())
        assert found.residual <= least + 1e-5
