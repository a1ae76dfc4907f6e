"""Operators whose numbers lie where squares of float32 overflow or vanish: the same answers, scaled."""

import pytest
import torch

from separatrix.errors import NonFiniteError
from separatrix.linalg import (
    Dense,
    cg,
    eigenvalues,
    extremes,
    gmres,
    lsmr,
    minres,
    randomised_svd,
    singular_values,
    trace_xtrace,
)

SCALES = [1e-30, 1e-20, 1e20, 1e30]


def matrix(n=60, seed=0):
    return torch.randn(n, n, generator=torch.Generator().manual_seed(seed)) + 3 * torch.eye(n)


@pytest.mark.parametrize("scale", SCALES)
def test_eigenvalues_and_singular_values_scale_with_the_operator(scale):
    A = matrix()
    for search in (lambda op: eigenvalues(op, 2, dense_up_to=0), lambda op: singular_values(op, 2, dense_up_to=0)):
        found, expected = search(Dense(A * scale)), search(Dense(A))
        assert bool(found.converged.all())
        torch.testing.assert_close(found.values / scale, expected.values, rtol=1e-4, atol=0)
        assert float((found.residuals / scale).max()) < 1e-3


@pytest.mark.parametrize("scale", SCALES)
def test_bounds_and_estimates_scale_with_the_operator(scale):
    A = matrix()
    top, bound = float(torch.linalg.eigvalsh((A + A.T).double() / 2)[-1]), extremes(Dense(A * scale).sym).upper_bound
    assert top < bound / scale < 1.001 * top
    for value in (lambda op: trace_xtrace(op).value, lambda op: randomised_svd(op, 3).error_bound):
        assert value(Dense(A * scale)) / scale == pytest.approx(value(Dense(A)), rel=1e-4)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("side", [1.0, 1e-25, 1e25])
def test_solves_scale_with_the_operator_and_the_right_side(scale, side):
    A = matrix()
    S = Dense((A @ A.T + 30 * torch.eye(60)) * scale, tags={"symmetric", "definite"})
    b = torch.randn(60, generator=torch.Generator().manual_seed(1)) * side
    if not 1e-35 < side / scale < 1e35:  # the solution itself is out of range
        return
    for solve in (cg, minres, gmres, lsmr):
        found = solve(S, b, tol=1e-4)
        assert found.converged, solve
        assert float(torch.linalg.vector_norm((b - S @ found.value).double() / side)) < 2e-4 * 60**0.5


@pytest.mark.parametrize("search", [eigenvalues, singular_values])
def test_products_too_long_for_their_dtype_are_named(search):
    operator = Dense(torch.full((60, 60), 3e37))
    with pytest.raises(NonFiniteError, match=r"non-finite|has the length inf"):
        search(operator, 2, dense_up_to=0)
