import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_families import gaussian, grcar, orthogonal

from separatrix.errors import InputError, NonFiniteError
from separatrix.linalg import Dense, randomised_svd, range_finder, singular_values


def with_values(rows, columns, values, seed):
    s = torch.zeros(rows, columns, dtype=torch.float64)
    s[range(len(values)), range(len(values))] = torch.as_tensor(values, dtype=torch.float64)
    return orthogonal(rows, seed) @ s @ orthogonal(columns, seed + 1).T


@pytest.mark.parametrize("shape", [(200, 90), (90, 200), (120, 120)])
@pytest.mark.parametrize("dense_up_to", [0, 1000])
def test_the_largest_singular_values_agree_with_a_dense_decomposition(shape, dense_up_to):
    a = gaussian(*shape, 0)
    found = singular_values(Dense(a), 5, dense_up_to=dense_up_to, tol=1e-9)
    assert found.method == ("golub-kahan" if dense_up_to == 0 else "dense")
    assert found.converged.all()
    assert torch.allclose(found.values, torch.linalg.svdvals(a)[:5], rtol=1e-9)
    for vectors in (found.left, found.right):
        assert torch.allclose(vectors @ vectors.T, torch.eye(5, dtype=torch.float64), atol=1e-7)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(2, 30),
    columns=st.integers(2, 30),
    budget=st.integers(8, 80),
)
def test_some_singular_value_lies_within_every_residual(seed, rows, columns, budget):
    a = gaussian(rows, columns, seed)
    found = singular_values(Dense(a), 2, dense_up_to=0, max_products=budget)
    distance = (found.values[:, None] - torch.linalg.svdvals(a)[None, :]).abs().min(dim=1).values
    assert (distance <= found.residuals * 2**0.5 + 1e-12).all()


def test_thick_restarts_reach_a_slowly_decaying_end():
    a = with_values(300, 200, torch.linspace(1, 0.1, 200), 1)
    found = singular_values(Dense(a), 3, basis_size=12, dense_up_to=0, tol=1e-8)
    assert found.converged.all()
    assert found.values.tolist() == pytest.approx(torch.linspace(1, 0.1, 200)[:3].tolist(), abs=1e-7)


@pytest.mark.parametrize("dense_up_to", [0, 1000])
def test_low_rank_and_multiple_singular_values_are_no_obstacle(dense_up_to):
    a = with_values(40, 25, [3.0, 3.0, 3.0, 1.0], 2)
    found = singular_values(Dense(a), 6, dense_up_to=dense_up_to)
    assert found.values.tolist() == pytest.approx([3, 3, 3, 1, 0, 0], abs=1e-9)
    assert found.converged.all()


def test_the_zero_operator_has_zero_singular_values():
    found = singular_values(Dense(torch.zeros(30, 20)), 2, dense_up_to=0)
    assert found.values.tolist() == [0, 0]
    assert found.converged.all()


def test_a_small_budget_is_flagged_and_k_beyond_the_smaller_side_refused():
    found = singular_values(Dense(gaussian(300, 300, 3)), 4, max_products=20, dense_up_to=0)
    assert not found.converged.all()
    assert "raise max_products" in str(found)
    assert found.products <= 20
    with pytest.raises(InputError, match="k=4 for 3x9"):
        singular_values(Dense(torch.ones(3, 9)), 4)


def test_float32_residuals_are_those_of_the_vectors_returned():
    a = gaussian(150, 100, 4).float()
    found = singular_values(Dense(a), 3, dense_up_to=0)
    wide = a.double()
    r = found.right.double() @ wide.T - found.values[:, None] * found.left.double()
    assert (torch.linalg.vector_norm(r, dim=1) <= 2 * found.residuals).all()
    assert found.converged.all()


# range finder and randomised SVD


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), rank=st.integers(1, 20), powers=st.integers(0, 2))
def test_the_error_bound_covers_the_true_error(seed, rank, powers):
    a = with_values(50, 40, 0.8 ** torch.arange(40.0), seed)
    found = range_finder(Dense(a), rank, powers=powers, seed=seed)
    rest = a - found.basis.T @ (found.basis @ a)
    error = torch.linalg.matrix_norm(rest, 2).item()
    assert error <= found.error_bound
    assert found.error_bound <= 200 * error + 1e-12
    assert found.products == rank * (1 + 2 * powers) + 6


def test_power_iterations_sharpen_a_slowly_decaying_range():
    a = with_values(100, 100, 0.97 ** torch.arange(100.0), 5)
    errors = []
    for powers in (0, 1, 2):
        q = range_finder(Dense(a), 20, powers=powers).basis
        errors.append(torch.linalg.matrix_norm(a - q.T @ (q @ a), 2).item())
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 1.25 * 0.97**20


def test_the_randomised_decomposition_is_near_optimal_and_bounded():
    a = with_values(80, 60, 0.6 ** torch.arange(60.0), 6)
    found = randomised_svd(Dense(a), 8)
    assert torch.allclose(found.values, torch.linalg.svdvals(a)[:8], rtol=1e-4)
    rest = a - found.left.T @ torch.diag(found.values) @ found.right
    error = torch.linalg.matrix_norm(rest, 2).item()
    assert error <= found.error_bound + found.truncated
    assert error <= 1.05 * 0.6**8


def test_a_rank_beyond_the_smaller_side_is_refused_and_nan_named():
    with pytest.raises(InputError, match="rank must be between 1 and 3"):
        randomised_svd(Dense(torch.ones(3, 9)), 4)
    with pytest.raises(NonFiniteError, match="block of 2 products"):
        range_finder(Dense(torch.full((4, 4), math.nan)), 2)
    with pytest.raises(NonFiniteError, match="product 1"):
        singular_values(Dense(torch.full((4, 4), math.nan)), 2, dense_up_to=0)


def test_singular_values_repeat_with_their_seed():
    one, two = (singular_values(Dense(grcar(150)), 3, dense_up_to=0, seed=2) for _ in range(2))
    assert torch.equal(one.values, two.values)
    assert torch.equal(one.left, two.left)
