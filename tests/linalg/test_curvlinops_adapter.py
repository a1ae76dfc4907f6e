import sys

import numpy as np
import pytest
import torch
from matrix_families import gaussian
from scipy.sparse.linalg import eigs
from torch import nn

from separatrix.errors import InputError
from separatrix.linalg import Dense, eigenvalues, from_curvlinops, to_curvlinops


@pytest.fixture
def curvlinops():
    return pytest.importorskip("curvlinops", reason="pip install curvlinops-for-pytorch")


def test_vectors_matrices_and_lists_have_the_products_of_the_matrix(curvlinops):
    a = gaussian(6, 8, 0)
    op = to_curvlinops(Dense(a), columns=[(2, 3), (2,)], rows=[(6,)])
    assert tuple(op.shape) == (6, 8)
    u, block = gaussian(8, 1, 1)[:, 0], gaussian(8, 3, 2)
    torch.testing.assert_close(op @ u, a @ u)
    torch.testing.assert_close(op @ block, a @ block)
    (found,) = op @ [u[:6].view(2, 3), u[6:]]
    torch.testing.assert_close(found, a @ u)
    v = gaussian(6, 1, 3)[:, 0]
    torch.testing.assert_close(op.adjoint() @ v, a.T @ v)
    pieces = op.adjoint() @ [v]
    assert [tuple(p.shape) for p in pieces] == [(2, 3), (2,)]
    torch.testing.assert_close(op.adjoint().adjoint() @ u, a @ u)


def test_its_own_algebra_and_estimators_take_it(curvlinops):
    a = gaussian(20, 20, 4)
    op = to_curvlinops(Dense(a))
    assert not op.SELF_ADJOINT
    u = gaussian(20, 1, 5)[:, 0]
    torch.testing.assert_close((0.5 * (op + op.adjoint())) @ u, (a + a.T) @ u / 2)
    low_rank = a[:, :4] @ a[:4]  # of which Hutch++ needs no luck
    with torch.random.fork_rng(devices=[]):
        found = curvlinops.hutchpp_trace(to_curvlinops(Dense(low_rank)), num_matvecs=15)
    assert float(found) == pytest.approx(float(low_rank.trace()), rel=1e-6)
    found = eigs(op.to_scipy(), k=1, which="LM", v0=np.ones(20), return_eigenvectors=False)
    assert abs(found[0]) == pytest.approx(float(torch.linalg.eigvals(a).abs().max()), rel=1e-6)


def test_the_tag_symmetric_is_handed_over(curvlinops):
    s = gaussian(4, 4, 6)
    op = to_curvlinops(Dense(s + s.T, tags={"symmetric"}))
    assert op.SELF_ADJOINT
    assert op.adjoint() is op


def test_a_field_hands_over_its_tensors(curvlinops):
    from separatrix.fields import Loss

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x = gaussian(5, 3, 7)
    field = Loss(model, lambda m, b: m(b).square().mean()).on(x)
    J = field.jacobian()
    op = to_curvlinops(J, columns=field.space.shapes)
    expected = curvlinops.HessianLinearOperator(
        model,
        nn.MSELoss(),
        list(model.parameters()),
        [(x, torch.zeros(5, 2, dtype=torch.float64))],
        check_deterministic=False,
    )
    direction = [torch.ones_like(p) for p in model.parameters()]
    for found, theirs in zip(op @ direction, expected @ direction, strict=True):
        torch.testing.assert_close(found, -theirs)


def test_shapes_that_do_not_add_up_are_named(curvlinops):
    with pytest.raises(InputError, match=r"shapes of the columns add up to 6 numbers, the operator is 4x5"):
        to_curvlinops(Dense(gaussian(4, 5, 0)), columns=[(2, 3)])
    with pytest.raises(InputError, match=r"shapes of the rows add up to 5"):
        to_curvlinops(Dense(gaussian(4, 5, 0)), rows=[(5,)])


def test_a_round_trip_keeps_products_transpose_and_tags(curvlinops):
    a = gaussian(5, 7, 8)
    back = from_curvlinops(to_curvlinops(Dense(a)))
    assert back.tags == frozenset()
    torch.testing.assert_close(back.to_dense(), a)
    torch.testing.assert_close(back.T.to_dense(), a.T)
    z = torch.complex(gaussian(7, 1, 9)[:, 0], gaussian(7, 1, 10)[:, 0])
    torch.testing.assert_close(back @ z, a.to(z.dtype) @ z)
    s = gaussian(4, 4, 6)
    symmetric = from_curvlinops(to_curvlinops(Dense(s @ s.T, tags={"symmetric"})), tags={"semidefinite"})
    assert symmetric.tags == {"symmetric", "semidefinite"}


def test_our_solvers_take_its_curvature_matrices(curvlinops):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    data = [(gaussian(5, 3, 7), gaussian(5, 2, 8))]
    theirs = curvlinops.GGNLinearOperator(
        model, nn.MSELoss(), list(model.parameters()), data, check_deterministic=False
    )
    G = from_curvlinops(theirs)
    assert G.tags == {"symmetric"}
    found = eigenvalues(G, k=2, target="rightmost")
    exact = torch.linalg.eigvalsh(G.to_dense()).flip(0)[:2]
    torch.testing.assert_close(found.values.real, exact)


def test_what_is_no_operator_of_curvlinops_is_named(curvlinops):
    with pytest.raises(InputError, match="takes an operator of curvlinops, got Dense"):
        from_curvlinops(Dense(gaussian(2, 2, 0)))


def test_without_curvlinops_the_error_ends_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "curvlinops", None)
    for call in (lambda: to_curvlinops(Dense(gaussian(2, 2, 0))), lambda: from_curvlinops(None)):
        with pytest.raises(ImportError, match=r"run: pip install curvlinops-for-pytorch$"):
            call()
