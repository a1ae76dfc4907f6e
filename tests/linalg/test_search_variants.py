import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_families import gaussian, grcar, non_normal, orthogonal, planted_pair, wishart_plus_skew

from separatrix.errors import InputError
from separatrix.linalg import (
    Deflated,
    Dense,
    Diagonal,
    ExponentialStep,
    Near,
    Tagged,
    eigenvalues,
    extremes,
    gmres,
    lsmr,
    minres,
    numerical_range,
    rightmost_by_filter,
    singular_values,
    spectral_density,
    stability,
    two_sided_eigenvalues,
)
from separatrix.linalg.counting import Counted
from separatrix.linalg.harmonic import harmonic_pairs, harmonic_restart, shifted
from separatrix.linalg.krylov_schur import expand, krylov_schur, thick_restart
from separatrix.linalg.ordering import as_key, select
from separatrix.linalg.projected import ordered_schur
from separatrix.linalg.second_look import look_again

N = 200


# the decomposition itself


def decomposition(a, m, seed=0):
    """An Arnoldi decomposition of m steps."""
    n = len(a)
    basis = torch.zeros(m + 1, n, dtype=torch.float64)
    v = gaussian(n, 1, seed)[:, 0]
    basis[0] = v / v.norm()
    H = np.zeros((m + 1, m))
    for j in range(m):
        expand(Dense(a), basis, H, j, torch.Generator())
    return basis, H


def defect(a, basis, H, j):
    """``||A V.T - V.T B - v b.T||`` and the loss of orthogonality."""
    V = basis[: j + 1]
    relation = a @ V[:j].T - V.T @ torch.from_numpy(H[: j + 1, :j])
    return relation.norm().item(), (V @ V.T - torch.eye(j + 1, dtype=torch.float64)).norm().item()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), wanted=st.integers(1, 12), harmonic=st.booleans())
def test_a_restart_keeps_the_krylov_relation(seed, wanted, harmonic):
    a = wishart_plus_skew(60, seed)
    basis, H = decomposition(a, 24, seed)
    if harmonic:
        p = harmonic_restart(basis, H, Near(-1.0), "general", wanted, shift=-1.0)
    else:
        p = thick_restart(basis, H, as_key("rightmost"), "general", wanted)
    assert wanted <= p < 24
    assert max(defect(a, basis, H, p)) < 1e-10
    for j in range(p, 24):
        expand(Dense(a), basis, H, j, torch.Generator())
    assert max(defect(a, basis, H, 24)) < 1e-10


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 30), target=st.sampled_from(["rightmost", "rotation"]))
def test_the_ordered_schur_form_is_one_and_is_ordered(seed, n, target):
    b = gaussian(n, n, seed).numpy()
    key = as_key(target)
    T, Z = ordered_schur(b, key, "general")
    np.testing.assert_allclose(Z @ T @ Z.T, b, atol=1e-10)
    np.testing.assert_allclose(Z.T @ Z, np.eye(n), atol=1e-12)
    assert np.abs(np.tril(T, -2)).max(initial=0) == 0
    leading = [key(torch.from_numpy(np.linalg.eigvals(T[:p, :p]).astype(complex))) for p in range(1, n + 1)]
    for p in range(1, n):
        if T[p, p - 1] == 0:  # the worst kept is no worse than the best left out
            rest = key(torch.from_numpy(np.linalg.eigvals(T[p:, p:]).astype(complex)))
            assert leading[p - 1].min() >= rest.max() - 1e-8


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 12), k=st.integers(1, 12))
def test_selection_is_closed_under_conjugation_and_ordered(seed, n, k):
    values = torch.from_numpy(np.linalg.eigvals(gaussian(n, n, seed).numpy()).astype(complex))
    chosen = select(values, as_key("largest"), min(k, n))
    picked = values[chosen]
    assert min(k, n) <= len(picked) <= min(k, n) + 1
    assert sorted(picked.conj().tolist(), key=str) == sorted(picked.tolist(), key=str)
    assert (picked.abs()[:-1] >= picked.abs()[1:] - 1e-12).all()


# deflation and the second look


def test_deflating_an_invariant_subspace_leaves_the_rest_of_the_spectrum():
    a = non_normal(50, 1, departure=2.0)
    found = eigenvalues(Dense(a), 4)
    rest = Deflated(Dense(a), found.vectors.real)
    assert rest.leak() < 1e-10
    left = torch.linalg.eigvals(rest.to_dense()).real.sort().values
    kept = torch.cat([torch.linspace(-2, 1, 50, dtype=torch.float64)[:-4], torch.zeros(4).double()])
    assert torch.allclose(left, kept.sort().values, atol=1e-6)
    assert Deflated(Dense(a), gaussian(3, 50, 2)).leak() > 0.1


def test_deflation_keeps_tags_and_the_adjoint_and_refuses_dependent_directions():
    s = Tagged(Dense(wishart_plus_skew(30, 3, skew=0.0)), {"symmetric"})
    rest = Deflated(s, gaussian(2, 30, 4))
    assert "symmetric" in rest.tags
    general = Deflated(Dense(gaussian(30, 30, 5)), gaussian(2, 30, 6))
    assert torch.allclose(general.T.to_dense(), general.to_dense().T, atol=1e-12)
    with pytest.raises(InputError, match="linearly dependent"):
        Deflated(s, torch.ones(2, 30, dtype=torch.float64))
    with pytest.raises(InputError, match=r"shape \(q, 30\)"):
        Deflated(s, torch.ones(30, dtype=torch.float64))


def first_search(a, start):
    counted = Counted(Dense(a), 500)
    generator = torch.Generator().manual_seed(0)
    key = as_key("rightmost")
    form = krylov_schur(counted, k=2, key=key, tol=1e-8, start=start, basis_size=30, generator=generator)
    return form, look_again(counted, form, key, products=200, generator=generator)


def test_a_second_look_finds_what_a_deficient_start_missed():
    a = torch.diag(torch.cat([torch.tensor([2.0]), torch.linspace(1, -3, N - 1)]).double())
    blind = torch.ones(N, dtype=torch.float64)
    blind[0] = 0.0
    form, look = first_search(a, blind)
    assert form.settled
    assert form.values[0].real == pytest.approx(1.0)
    assert look.newcomer is not None
    assert look.newcomer[0].abs() > 0.5
    assert "found more" in look.sentence


def test_a_second_look_is_quiet_where_nothing_was_missed():
    a = planted_pair(N, 7)
    form, look = first_search(a, gaussian(N, 1, 8)[:, 0])
    assert form.settled
    assert look.newcomer is None
    assert "found nothing beyond" in look.sentence


def test_a_second_look_is_on_record_and_within_the_budget():
    found = eigenvalues(Dense(planted_pair(N, 9)), 2, dense_up_to=0, second_look=True, max_products=600)
    assert "a second search of" in found.status
    assert found.products <= 600
    assert found.values[0].item() == pytest.approx(0.05 + 0.4j, abs=1e-6)


# the interior


def with_interior(seed, inside):
    d = torch.cat([torch.linspace(-4, -2, N // 2 - 1), torch.linspace(2, 4, N // 2 - 1)]).double()
    t = torch.block_diag(torch.as_tensor(inside, dtype=torch.float64), torch.diag(d))
    t = t + 0.2 * torch.triu(gaussian(N, N, seed), 2) / N**0.5
    q = orthogonal(N, seed + 1)
    return q @ t @ q.T


@pytest.mark.parametrize("dense_up_to", [0, 2000])
def test_eigenvalues_inside_the_spectrum_are_found_near_a_shift(dense_up_to):
    a = with_interior(10, [[0.1, 0.4], [-0.4, 0.1]])
    found = eigenvalues(Dense(a), 2, target=Near(0.0), dense_up_to=dense_up_to, tol=1e-8)
    assert found.converged.all()
    assert found.target == "near 0"
    assert found.values[0].item() == pytest.approx(0.1 + 0.4j, abs=1e-7)


def test_harmonic_values_stay_out_of_a_gap_where_ritz_values_stray():
    """Symmetric, spectrum in 1 to 3 and its mirror image: an odd number of Ritz values must cross the gap."""
    half = torch.linspace(1, 3, N // 2, dtype=torch.float64)
    _, H = decomposition(torch.diag(torch.cat([-half, half])), 15)
    ritz = np.linalg.eigvals(H[:-1])
    harmonic, _ = shifted(H, 0.0)
    assert np.abs(ritz).min() < 0.9
    assert np.abs(np.linalg.eigvals(harmonic)).min() > 1 - 1e-8


def test_a_shift_on_an_eigenvalue_is_no_obstacle():
    found = eigenvalues(Diagonal(torch.arange(-20.0, 21.0).double()), 1, target=Near(0.0), dense_up_to=0)
    assert found.values[0].abs() < 1e-8
    _, H = decomposition(torch.diag(torch.arange(4.0).double()), 4)
    values, _, estimates = harmonic_pairs(H, Near(2.0), 1, "general", shift=2.0)
    assert values[0].real == pytest.approx(2.0, abs=1e-10)
    assert estimates[0] < 1e-10


# the exponential filter


def test_an_exponential_step_is_the_flow_to_fourth_order():
    a = wishart_plus_skew(20, 12)
    step = ExponentialStep(Dense(a), 0.01, 10).to_dense()
    assert torch.allclose(step, torch.matrix_exp(0.1 * a), atol=1e-8)
    assert not torch.allclose(ExponentialStep(Dense(a), 0.5, 1).to_dense(), torch.matrix_exp(0.5 * a), atol=1e-4)
    u = gaussian(20, 1, 13)[:, 0]
    assert torch.allclose(ExponentialStep(Dense(a), 0.1, 2).T @ u, ExponentialStep(Dense(a), 0.1, 2).to_dense().T @ u)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_filter_finds_a_planted_pair_with_ten_vectors(seed):
    found = rightmost_by_filter(Dense(planted_pair(N, seed)), 2, tol=1e-5)
    assert found.values[0].item() == pytest.approx(0.05 + 0.4j, abs=1e-4)
    assert found.converged.all()
    assert found.products <= 3000
    assert found.method == "exponential filter"


def test_the_filters_residuals_are_true_and_a_small_budget_is_flagged():
    a = grcar(N)
    found = rightmost_by_filter(Dense(a), 2, max_products=100)
    x = found.vectors
    r = torch.linalg.vector_norm(x @ a.T.to(x.dtype) - found.values[:, None] * x, dim=1)
    assert torch.allclose(r, found.residuals, rtol=1e-6)
    assert not found.converged.any()
    assert found.products <= 100


def test_the_filter_of_a_zero_operator_is_zero():
    found = rightmost_by_filter(Diagonal(torch.zeros(50)), 2)
    assert found.values.tolist() == [0, 0]


# both sides


def test_two_sided_error_bars_cover_the_true_errors():
    a = non_normal(80, 14, departure=3.0)
    found = two_sided_eigenvalues(Dense(a), 3, tol=1e-4, dense_up_to=0)
    true = torch.linspace(-2, 1, 80, dtype=torch.float64)
    error = (found.right.values[:, None] - true[None, :]).abs().min(dim=1).values
    assert (error <= 3 * found.errors + 1e-9).all()
    assert (found.condition > 1).all()
    assert "condition" in str(found)


# progress


def test_progress_is_one_line_on_stderr_and_only_when_asked(capsys):
    a = Dense(wishart_plus_skew(N, 15))
    quiet = eigenvalues(a, 2, dense_up_to=0)
    assert capsys.readouterr().err == ""
    loud = eigenvalues(a, 2, dense_up_to=0, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "rightmost eigenvalues: 10 products" in err
    assert "\n" not in err
    assert torch.equal(quiet.values, loud.values)


LONG = {
    "rightmost eigenvalues": lambda a, on: eigenvalues(a, 2, dense_up_to=0, max_products=60, progress=on),
    "filtered eigenvalues": lambda a, on: rightmost_by_filter(a, 1, max_products=200, progress=on),
    "largest singular values": lambda a, on: singular_values(a, 2, dense_up_to=0, max_products=60, progress=on),
    "ends of the spectrum": lambda a, on: extremes(a.sym, max_products=30, progress=on),
    "numerical range": lambda a, on: numerical_range(a, 2, max_products=80, dense_up_to=0, progress=on),
    "density from 2 probes": lambda a, on: spectral_density(a.sym, 2, steps=10, progress=on),
    "gmres": lambda a, on: gmres(a, torch.ones(N, dtype=torch.float64), max_products=60, progress=on),
    "minres": lambda a, on: minres(a.sym, torch.ones(N, dtype=torch.float64), max_products=60, progress=on),
    "lsmr": lambda a, on: lsmr(a, torch.ones(N, dtype=torch.float64), max_products=60, progress=on),
}


@pytest.mark.parametrize("name", LONG)
def test_every_long_solver_shows_its_progress_and_gives_the_same_with_and_without(name, capsys):
    a = Dense(wishart_plus_skew(N, 16))
    loud, out = LONG[name](a, True), capsys.readouterr()
    quiet, nothing = LONG[name](a, None), capsys.readouterr()
    assert out.err.startswith(f"\r{name}: ")
    assert " products" in out.err
    assert out.err.endswith("\r\033[K")
    assert nothing.err == nothing.out == out.out == ""
    assert loud.status == quiet.status


@pytest.mark.parametrize("both", [stability, two_sided_eigenvalues])
def test_a_question_of_several_searches_shows_each(both, capsys):
    both(Dense(wishart_plus_skew(N, 17)), 1, dense_up_to=0, max_products=200, progress=True)
    assert capsys.readouterr().err.count("\r\033[K") >= 2


# two sides


def test_the_left_search_starts_from_the_right_vectors_where_they_are_its_own():
    a = Dense(wishart_plus_skew(N, 18, skew=0.0))
    found = two_sided_eigenvalues(a, 3, target="largest", dense_up_to=0)
    alone = eigenvalues(a.T, 3, target="largest", dense_up_to=0)
    assert found.left.converged.all()
    assert found.left.products < alone.products
    assert found.condition.max() < 1 + 1e-6
    assert found.right.products + found.left.products <= 3000
