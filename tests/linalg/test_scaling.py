import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_families import gaussian

from separatrix.errors import InputError
from separatrix.linalg import Congruent, Dense, Diagonal, Tagged, eigenvalues


def positive(n, seed):
    return gaussian(n, 1, seed)[:, 0].exp()


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 8), seed=st.integers(0, 10**6))
def test_its_eigenvalues_and_vectors_are_those_of_the_scaled_matrix(n, seed):
    a, d = gaussian(n, n, seed), positive(n, seed + 1)
    scaled, P = torch.diag(d) @ a, Congruent(Dense(a), d)
    dense = P.to_dense()
    torch.testing.assert_close(dense, d.sqrt()[:, None] * a * d.sqrt())
    values, vectors = torch.linalg.eig(dense)
    right = P.right_vectors(vectors.T)
    torch.testing.assert_close(right @ scaled.T.to(right.dtype), values[:, None] * right, rtol=1e-8, atol=1e-9)
    left = P.left_vectors(torch.linalg.eig(dense.T)[1].T)
    assert float((left @ scaled.to(left.dtype) - torch.linalg.eig(dense.T)[0][:, None] * left).abs().max()) < 1e-8 * (
        1 + float(left.abs().max()) * float(scaled.abs().max())
    )
    u = gaussian(n, 3, seed + 2).T
    torch.testing.assert_close(P.T.rows(u), u @ dense)
    torch.testing.assert_close(P.rows(u)[0], P @ u[0])
    torch.testing.assert_close((Diagonal(d) @ Dense(a)).to_dense(), scaled)


def test_it_keeps_what_the_operator_is():
    a = Dense(gaussian(4, 4, 3))
    for tags in ({"symmetric"}, {"skew"}, {"symmetric", "definite"}, {"symmetric", "semidefinite"}):
        assert Congruent(Tagged(a, tags), positive(4, 0)).tags == tags
    skew = Congruent(a.antisym, positive(4, 0)).to_dense()
    torch.testing.assert_close(skew, -skew.T)


def test_a_solver_finds_the_eigenvalues_of_the_scaled_matrix():
    a, d = gaussian(40, 40, 5), positive(40, 6)
    found = eigenvalues(Congruent(Dense(a), d), k=2, target="largest").values
    expected = torch.linalg.eigvals(torch.diag(d) @ a)
    for value in found:
        assert float((expected - value).abs().min()) < 1e-8 * float(value.abs())


@pytest.mark.parametrize(
    ("matrix", "diagonal", "message"),
    [
        (torch.ones(2, 3), torch.ones(3), r"square operator, got 2x3"),
        (torch.ones(3, 3), torch.ones(2), r"shape \(3,\), got \(2,\)"),
        (torch.ones(3, 3), torch.tensor([1.0, 0.0, 2.0]), r"entry 1 is 0.0.*Diagonal\(d\) @ A"),
        (torch.ones(3, 3), torch.tensor([1.0, 2.0, torch.nan]), r"entry 2 is nan"),
    ],
)
def test_what_does_not_fit_is_named(matrix, diagonal, message):
    with pytest.raises(InputError, match=message):
        Congruent(Dense(matrix), diagonal)
