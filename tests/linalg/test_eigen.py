import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_families import (
    clustered_and_defective,
    gaussian,
    grcar,
    non_normal,
    orthogonal,
    planted_pair,
    wishart_plus_skew,
)

from separatrix.errors import InputError, NonFiniteError
from separatrix.linalg import Dense, Diagonal, LinearOperator, Tagged, eigenvalues
from separatrix.linalg.counting import Counted
from separatrix.linalg.krylov_schur import krylov_schur
from separatrix.linalg.ordering import as_key

N = 300


class Hidden(LinearOperator):
    """A matrix that shows only its products, and counts them itself."""

    def __init__(self, matrix):
        super().__init__(tuple(matrix.shape), dtype=matrix.dtype, device=matrix.device)
        self.matrix, self.count = matrix, 0

    def _apply(self, u):
        self.count += 1
        return self.matrix @ u

    def _apply_transpose(self, u):
        self.count += 1
        return self.matrix.T @ u


def krylov(matrix, k=6, *, max_products=2500, **options):
    """Never the dense route."""
    return eigenvalues(Hidden(matrix), k, max_products=max_products, dense_up_to=0, **options)


def distances(found, matrix):
    """Of each value to the nearest true eigenvalue."""
    true = torch.linalg.eigvals(matrix.double())
    return (found.values[:, None] - true[None, :]).abs().min(dim=1).values


def best(matrix, target, k):
    true = torch.linalg.eigvals(matrix.double())
    key = {"rightmost": true.real, "leftmost": -true.real, "largest": true.abs(), "rotation": true.imag.abs()}
    return key[target].sort(descending=True).values[:k]


def measured(found, target):
    v = found.values
    return {"rightmost": v.real, "leftmost": -v.real, "largest": v.abs(), "rotation": v.imag.abs()}[target]


# closed forms


@pytest.mark.parametrize("method", ["dense", "krylov-schur"])
def test_one_eigenvalue_of_a_pure_rotation_comes_as_a_pair(method):
    turn = Dense(torch.tensor([[0.0, 2.0], [-2.0, 0.0]], dtype=torch.float64).kron(torch.eye(4)).double())
    found = eigenvalues(turn, k=1, dense_up_to=2000 if method == "dense" else 0)
    assert found.method == method
    assert found.values.tolist() == pytest.approx([2j, -2j], abs=1e-12)
    assert found.converged.all()


@pytest.mark.parametrize("n", [5, 2500])
def test_the_zero_operator_has_only_zeros(n):
    found = eigenvalues(Diagonal(torch.zeros(n)), k=3)
    assert found.values.tolist() == [0, 0, 0]
    assert found.residuals.tolist() == [0, 0, 0]
    assert found.converged.all()
    assert found.complete == (n == 5)


@pytest.mark.parametrize("n", [5, 2500])
def test_the_identity_breaks_down_happily_and_gives_its_multiplicity(n):
    found = eigenvalues(Diagonal(torch.ones(n)), k=4)
    assert found.values.tolist() == pytest.approx([1] * 4, abs=1e-6)
    assert found.converged.all()
    gram = found.vectors @ found.vectors.conj().T
    assert torch.allclose(gram, torch.eye(4, dtype=gram.dtype), atol=1e-5)


def test_an_invariant_subspace_smaller_than_k_is_left_by_a_random_vector():
    d = torch.tensor([3.0, 3, 3, 2, 2, 1], dtype=torch.float64).repeat_interleave(50)
    found = krylov(torch.diag(d), k=8, max_products=200)
    assert found.values.tolist() == pytest.approx([3] * 8, abs=1e-10)


def test_n_smaller_than_the_basis_gives_the_whole_spectrum():
    a = gaussian(7, 7, 0)
    form = krylov_schur(
        Counted(Dense(a)),
        k=6,
        key=as_key("rightmost"),
        tol=1e-6,
        start=torch.ones(7, dtype=torch.float64),
        basis_size=20,
        generator=torch.Generator(),
    )
    assert form.settled
    assert form.projected[7].tolist() == [0] * 7
    assert distances(form, a).max() < 1e-12


def test_a_one_by_one_operator_is_its_own_eigenvalue():
    assert eigenvalues(Dense(torch.tensor([[-3.0]])), k=1).values.tolist() == [-3]


# dense oracle


@pytest.mark.parametrize("target", ["rightmost", "leftmost", "largest", "rotation"])
@pytest.mark.parametrize("seed", [0, 1])
def test_krylov_schur_agrees_with_the_dense_spectrum(target, seed):
    a = wishart_plus_skew(N, seed, skew=1.0)
    found = krylov(a, k=6, target=target, tol=1e-8)
    assert distances(found, a)[found.converged].max() < 1e-6
    reached = measured(found, target)[found.converged]
    if target != "rightmost":  # an edge of many clustered values: what converges there is tested below
        assert found.converged.all()
        assert torch.allclose(reached[:6], best(a, target, 6), atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_unstable_pair_is_found(seed):
    found = krylov(planted_pair(N, seed), k=2)
    assert found.values[0].item() == pytest.approx(0.05 + 0.4j, abs=1e-8)
    assert found.converged[:2].all()


@pytest.mark.parametrize(
    "matrix",
    [
        wishart_plus_skew(N, 3, skew=2.5),
        planted_pair(N, 4),
        grcar(N),
        non_normal(N, 5, departure=10.0),
        clustered_and_defective(N, 6),
    ],
    ids=["wishart plus skew", "planted pair", "grcar", "non-normal", "clustered and defective"],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("budget", [60, 299])
def test_every_value_lies_in_the_pseudospectrum_its_residual_promises(matrix, dtype, budget):
    a = matrix.to(dtype)
    found = krylov(a, k=4, max_products=budget)
    for lam, residual in zip(found.values.tolist(), found.residuals.tolist(), strict=True):
        shifted = a.double().to(torch.complex128) - lam * torch.eye(N, dtype=torch.complex128)
        assert torch.linalg.svdvals(shifted)[-1] <= residual * (1 + 1e-6) + 1e-14


def test_grcar_is_flagged_rather_than_believed():
    found = krylov(grcar(N), k=4, max_products=60)
    assert not found.converged.any()
    assert "raise max_products" in found.status


def test_the_dense_route_is_complete_and_ordered():
    a = gaussian(50, 50, 7)
    found = eigenvalues(Dense(a), k=50, target="rightmost")
    assert found.complete
    assert torch.allclose(found.values.real, best(a, "rightmost", 50), atol=1e-12)
    assert found.converged.all()


@pytest.mark.parametrize("target", ["rightmost", "leftmost", "largest"])
@pytest.mark.parametrize("dense", [True, False])
def test_a_symmetric_tag_gives_orthonormal_vectors_and_the_right_end(target, dense):
    a = wishart_plus_skew(N, 18, skew=0.0)
    operator = Tagged(Hidden(a), {"symmetric"})
    found = eigenvalues(operator, k=5, target=target, dense_up_to=2000 if dense else 0)
    assert found.method == ("dense" if dense else "lanczos")
    assert found.converged.all()
    assert torch.allclose(measured(found, target), best(a, target, 5), atol=1e-8)
    gram = (found.vectors @ found.vectors.conj().T).real
    assert torch.allclose(gram, torch.eye(5, dtype=torch.float64), atol=1e-7)


@pytest.mark.parametrize("n", [N, N + 1])
@pytest.mark.parametrize("dense", [True, False])
def test_a_skew_tag_gives_pairs_on_the_imaginary_axis(n, dense):
    k = gaussian(n, n, 19)
    a = (k - k.T) / n**0.5
    operator = Tagged(Hidden(a), {"skew"})
    found = eigenvalues(operator, k=6, target="rotation", dense_up_to=2000 if dense else 0)
    assert found.method == ("dense" if dense else "skew-lanczos")
    assert found.converged.all()
    assert found.values.real.tolist() == [0] * 6
    assert found.values.imag[0] == pytest.approx(float(torch.linalg.matrix_norm(a, 2)), rel=1e-9)
    assert torch.allclose(measured(found, "rotation"), best(a, "rotation", 6), atol=1e-8)


# properties


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 9), n=st.integers(10, 60), dense=st.booleans())
def test_conjugate_pairs_are_never_split(seed, k, n, dense):
    a = gaussian(n, n, seed)
    found = eigenvalues(Dense(a), k) if dense else krylov(a, k, max_products=max(k + 6, n - 1))
    values = found.values.tolist()
    for lam in values:
        assert values.count(lam) == values.count(lam.conjugate())
    assert len(found) <= k + 1


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_bendixson_bounds_hold(seed):
    a = wishart_plus_skew(40, seed)
    s, k = (a + a.T) / 2, (a - a.T) / 2
    found = eigenvalues(Dense(a), k=40)
    edges = torch.linalg.eigvalsh(s)
    assert found.values.real.min() >= edges[0] - 1e-10
    assert found.values.real.max() <= edges[-1] + 1e-10
    assert found.values.imag.abs().max() <= torch.linalg.matrix_norm(k, 2) + 1e-10


@pytest.mark.parametrize("target", ["largest", "rotation"])
def test_an_orthogonal_change_of_basis_changes_nothing(target):
    a, q = wishart_plus_skew(N, 8), orthogonal(N, 9)
    one, two = krylov(a, target=target), krylov(q @ a @ q.T, target=target)
    assert torch.allclose(one.values, two.values, atol=1e-6)


def test_the_transpose_gives_left_eigenvectors_of_the_same_values():
    a = planted_pair(N, 10)
    left = eigenvalues(Hidden(a).T, k=2, dense_up_to=0)
    y, lam = left.vectors[0], left.values[0]
    assert torch.linalg.vector_norm(y @ a.to(y.dtype) - lam * y) < 1e-5


@pytest.mark.parametrize("target", ["largest", "leftmost", "rotation"])
def test_float32_residuals_are_within_twice_the_recomputed_ones(target):
    a = wishart_plus_skew(N, 11).float()
    found = krylov(a, target=target)
    x = found.vectors.to(torch.complex128)
    r = (x @ a.T.to(torch.complex128) - found.values[:, None] * x).abs().square().sum(dim=1).sqrt()
    assert (r <= 2 * found.residuals).all()
    assert (found.residuals <= 2 * r.clamp(min=found.noise)).all()


def test_the_same_seed_gives_the_same_bits():
    a = planted_pair(N, 12)
    one, two = krylov(a, 2, seed=5), krylov(a, 2, seed=5)
    generator = torch.Generator().manual_seed(5)
    three = krylov(a, 2, seed=generator)
    assert torch.equal(one.values, two.values)
    assert torch.equal(one.vectors, two.vectors)
    assert torch.equal(one.values, three.values)
    assert (one.seed, three.seed) == (5, 5)
    assert not torch.equal(one.vectors, krylov(a, 2, seed=6).vectors)


AGAIN = """
import torch
from separatrix.linalg import Dense, eigenvalues, extremes, frobenius_parts, gmres, singular_values
a = Dense(torch.randn(150, 150, generator=torch.Generator().manual_seed(1)))
print(eigenvalues(a, 4, target=["largest", "rotation"], dense_up_to=0, max_products=80, seed=2).values.tolist())
print(extremes(a.sym, max_products=30, seed=2), frobenius_parts(a, 10, seed=2))
print(singular_values(a, 2, dense_up_to=0, max_products=60, seed=2).values.tolist())
print(gmres(a, torch.ones(150), max_products=30).value.sum().item())
"""


def test_another_process_with_the_same_seed_prints_the_same_numbers(capsys):
    exec(AGAIN, {})
    here = capsys.readouterr().out
    there = subprocess.run([sys.executable, "-c", AGAIN], check=True, capture_output=True, text=True).stdout
    assert here == there
    assert "(" in here


def test_products_are_counted_and_kept_within_the_budget():
    a = wishart_plus_skew(N, 13)
    for budget in (1, 2, 5, 9, 40, 200):
        hidden = Hidden(a)
        found = eigenvalues(hidden, k=4, max_products=budget, dense_up_to=0)
        assert found.products == hidden.count
        assert found.products <= max(budget, 4)


def test_a_warm_start_saves_products():
    a = wishart_plus_skew(N, 14)
    cold = krylov(a, k=4, target="largest")
    near = a + 1e-4 * gaussian(N, N, 15) / N**0.5
    again = krylov(near, k=4, target="largest")
    warm = krylov(near, k=4, target="largest", start=cold)
    assert torch.allclose(warm.values, again.values, atol=1e-5)
    assert warm.products < again.products


def test_a_warm_start_does_not_hide_a_newcomer():
    a = wishart_plus_skew(N, 16)
    before = krylov(a, k=2, target="rightmost", max_products=299)
    b = a.clone()
    b[0, :] = b[:, 0] = 0
    b[0, 0] = 3.0
    assert krylov(b, k=1, start=before).values[0].item() == pytest.approx(3.0, abs=1e-6)


def test_a_users_key_orders_by_divergence_of_plain_descent():
    a = wishart_plus_skew(60, 17)
    found = eigenvalues(Dense(a), k=4, target=lambda lam: (1 + 0.5 * lam).abs())
    true = (1 + 0.5 * torch.linalg.eigvals(a)).abs().sort(descending=True).values
    assert torch.allclose((1 + 0.5 * found.values).abs()[:4], true[:4], atol=1e-12)


# bad input


def test_k_beyond_n_is_refused_with_both_numbers():
    with pytest.raises(InputError, match="k=7 with n=5"):
        eigenvalues(Diagonal(torch.ones(5)), k=7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be at least 1"),
        ({"k": 2.5}, "k must be an integer"),
        ({"max_products": 0}, "max_products must be at least 1"),
        ({"tol": 0.0}, "tol must be a positive"),
        ({"target": "leftest"}, "target must be one of"),
        ({"target": lambda lam: lam.imag}, "same for conjugate"),
        ({"target": lambda lam: lam}, "real numbers"),
        ({"seed": 1.5}, "seed must be an integer"),
        ({"start": torch.zeros(5)}, "zero vector"),
        ({"start": torch.ones(4)}, "n=5"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(InputError, match=message):
        eigenvalues(Diagonal(torch.arange(5.0)), **{"k": 2, **options})


def test_in_bfloat16_searches_give_complex_values_with_honest_residuals():
    A = torch.randn(60, 60, generator=torch.Generator().manual_seed(0)).bfloat16()
    found = eigenvalues(Dense(A), 2, dense_up_to=0, tol=1e-2, max_products=200)
    spectrum = torch.linalg.eigvals(A.double())
    for value, residual in zip(found.values, found.residuals, strict=True):
        smallest = torch.linalg.svdvals(A.double() - value * torch.eye(60))[-1]
        assert smallest <= 1.5 * residual
    assert float((found.values[0] - spectrum[spectrum.real.argmax()]).abs()) < 0.3


def test_a_rectangular_operator_is_refused():
    with pytest.raises(InputError, match="3x2"):
        eigenvalues(Dense(torch.ones(3, 2)), k=1)


def test_a_basis_too_small_for_k_is_refused():
    with pytest.raises(InputError, match="basis_size must be at least 9"):
        krylov(gaussian(40, 40, 0), k=6, basis_size=7, max_products=30)


@pytest.mark.parametrize("n", [5, 2500])
def test_a_nan_in_a_product_is_named_and_stops(n):
    d = torch.ones(n)
    d[3] = math.nan
    with pytest.raises(NonFiniteError, match=r"non-finite .*nan at index"):
        eigenvalues(Diagonal(d), k=2)


def test_the_record_prints_as_a_table_with_flags():
    text = str(krylov(grcar(N), k=2, max_products=40))
    assert "residual" in text
    assert "NO" in text
    assert text.splitlines()[-1].startswith("0 of 2 rightmost eigenvalues converged (krylov-schur, ")
