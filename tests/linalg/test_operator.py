import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_families import gaussian

from separatrix.errors import InputError, NonFiniteError
from separatrix.linalg import Block, Dense, Diagonal, LinearOperator, Tagged
from separatrix.linalg.counting import Counted

A, B, S = gaussian(5, 5, 0), gaussian(5, 5, 1), gaussian(5, 5, 2)
S = S + S.T
K = A - A.T


class Plain(LinearOperator):
    """Only the two products, so that every default is exercised."""

    def __init__(self, matrix, tags=()):
        super().__init__(tuple(matrix.shape), dtype=matrix.dtype, device=matrix.device, tags=tags)
        self.matrix = matrix

    def _apply(self, u):
        return self.matrix @ u

    def _apply_transpose(self, u):
        return self.matrix.T @ u


a, b = Plain(A), Dense(B)
COMPOSITES = {
    "plain": (a, A),
    "transpose": (a.T, A.T),
    "sum": (a + b, A + B),
    "difference": (a - b, A - B),
    "scaled": (-2.5 * a, -2.5 * A),
    "product": (a @ b, A @ B),
    "product transposed": ((a @ b).T, (A @ B).T),
    "shift": (a.shift(0.3), A + 0.3 * torch.eye(5)),
    "symmetric part": (a.sym, (A + A.T) / 2),
    "antisymmetric part": (a.antisym, (A - A.T) / 2),
    "block": (Block(a, slice(0, 2), torch.tensor([1, 3, 4])), A[:2][:, [1, 3, 4]]),
    "diagonal": (Diagonal(A[0]), torch.diag(A[0])),
    "rectangular": (Plain(A[:, :3]), A[:, :3]),
    "counted": (Counted(a), A),
}


@pytest.mark.parametrize("name", COMPOSITES)
def test_products_blocks_complex_vectors_and_adjoints_agree_with_the_matrix(name):
    operator, matrix = COMPOSITES[name]
    rows, columns = matrix.shape
    u, v, z = gaussian(columns, 1, 3)[:, 0], gaussian(rows, 1, 4)[:, 0], gaussian(columns, 1, 5)[:, 0]
    assert operator.shape == (rows, columns)
    assert torch.allclose(operator @ u, matrix @ u)
    assert torch.allclose(operator.T @ v, matrix.T @ v)
    assert torch.allclose(operator @ torch.complex(u, z), torch.complex(matrix @ u, matrix @ z))
    block, wide = torch.stack([u, z]), torch.complex(torch.stack([u, z]), torch.stack([z, u]))
    assert torch.allclose(operator.rows(block), block @ matrix.T)
    assert torch.allclose(operator.rows(wide), wide @ matrix.T.to(wide.dtype))
    assert torch.allclose(operator.T.rows(torch.stack([v, 2 * v])), torch.stack([v, 2 * v]) @ matrix)
    assert torch.allclose(operator.to_dense(), matrix)
    assert torch.allclose(operator.T.to_dense(), matrix.T)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(sorted(COMPOSITES)))
def test_the_transpose_is_the_adjoint(seed, name):
    operator, _ = COMPOSITES[name]
    rows, columns = operator.shape
    u, v = gaussian(columns, 1, seed)[:, 0], gaussian(rows, 1, seed + 1)[:, 0]
    assert torch.dot(v, operator @ u) == pytest.approx(torch.dot(operator.T @ v, u).item(), abs=1e-10)


def test_tags_survive_exactly_where_they_hold():
    s, k = Plain(S, {"symmetric", "definite"}), Plain(K, {"skew"})
    assert (s + s).tags == {"symmetric", "definite"}
    assert (-1.0 * s).tags == {"symmetric"}
    assert (s + k).tags == set()
    assert (s @ s).tags == set()
    assert s.shift(1.0).tags == {"symmetric", "definite"}
    assert s.shift(-1.0).tags == {"symmetric"}
    assert k.T.tags == {"skew"}
    half = Plain(S, {"symmetric", "semidefinite"})
    assert (2 * half).tags == half.T.tags == (half + half).tags == {"symmetric", "semidefinite"}
    assert (-1.0 * half).tags == (0.0 * half).tags - {"semidefinite"} == {"symmetric"}
    assert (half + s).tags == half.shift(0.1).tags == {"symmetric", "definite"}
    assert half.shift(-0.1).tags == (half + Plain(S, {"symmetric"})).tags == {"symmetric"}
    assert s.T is s
    assert (a.sym.tags, a.antisym.tags) == ({"symmetric"}, {"skew"})
    assert Tagged(a, {"skew"}).antisym.tags == {"skew"}
    with pytest.raises(InputError, match="unknown operator tags"):
        Plain(A, {"hermitian"})


def test_a_meter_counts_real_products_of_every_kind():
    counted = Counted(a, 10)
    u = torch.ones(5, dtype=torch.float64)
    counted @ u
    counted.T @ u
    counted @ torch.complex(u, u)
    counted.rows(torch.stack([u, u, u]))
    counted.T.rows(torch.stack([u, u]))
    assert (counted.spent, counted.left) == (9, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: a @ torch.ones(4, dtype=torch.float64), r"vectors of shape \(5,\)"),
        (lambda: a @ torch.ones(5), r"convert the vector"),
        (lambda: a.rows(torch.ones(5, dtype=torch.float64)), r"shape \(k, 5\)"),
        (lambda: a.rows(torch.ones(2, 4, dtype=torch.float64)), r"vectors of shape \(5,\)"),
        (lambda: a + Dense(torch.ones(5, 5)), "same dtype and device"),
        (lambda: a + Dense(torch.ones(5, 5, dtype=torch.float64, device="meta")), "cannot be combined.*meta"),
        (lambda: a @ Dense(torch.ones(5, 5)), "same dtype and device"),
        (lambda: a @ torch.ones(5, dtype=torch.float64, device="meta"), "on cpu, the vector is .* on meta"),
        (lambda: a + Dense(B[:, :2]), r"\(5, 5\) and \(5, 2\)"),
        (lambda: a @ Dense(B[:2]), r"\(5, 5\) and \(2, 5\)"),
        (lambda: Dense(torch.ones(3)), "floating-point matrix"),
        (lambda: Dense(torch.ones(3, 3, dtype=torch.int64)), "floating-point matrix"),
        (
            lambda: Diagonal(torch.ones(3, dtype=torch.int64)),
            "floating-point vector, got shape .3,., dtype torch.int64",
        ),
        (lambda: a @ torch.ones(5).numpy(), r"multiplies torch tensors and operators, got a ndarray.*to_scipy"),
        (lambda: a * torch.ones(5), r"one real number, got a Tensor; for a vector take Diagonal"),
        (lambda: 1j * a, "one real number, got a complex"),
        (lambda: a + 1, r"only operators can be added .* got a int.*A\.shift"),
        (lambda: a - B, "only operators can be added .* got a Tensor"),
        (lambda: Dense(B, tags="symmetric"), r"a set of names, got the text 'symmetric'; write tags=\{'symmetric'\}"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_nan_in_a_block_is_named():
    bad = A.clone()
    bad[1, 1] = torch.nan
    with pytest.raises(NonFiniteError, match="block of 2 products of Dense"):
        Counted(Dense(bad)).rows(torch.ones(2, 5, dtype=torch.float64))
