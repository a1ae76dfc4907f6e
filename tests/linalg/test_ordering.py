"""The orders in which eigenvalues are wanted, and searches for several ends at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix_families import gaussian, orthogonal, planted_pair, wishart_plus_skew

from separatrix.errors import InputError
from separatrix.linalg import Dense, Diagonal, Divergence, eigenvalues, step_limit
from separatrix.linalg.ordering import TARGETS, as_ends, as_key, select
from separatrix.linalg.projected import ordered_schur

N = 250


def turned(blocks, seed):
    """``Q blockdiag(...) Q.T`` of 1x1 and 2x2 blocks ``(real, imag)``."""
    a = torch.block_diag(
        *(torch.tensor([[re, im], [-im, re]] if im else [[re]], dtype=torch.float64) for re, im in blocks)
    )
    q = orthogonal(len(a), seed)
    return q @ a @ q.T


# the step limit


def test_the_step_limit_is_where_plain_descent_stops_shrinking_a_mode():
    lam = torch.tensor([-2 + 0j, -1 + 3j, -0.01 + 0.5j], dtype=torch.complex128)
    h = step_limit(lam)
    assert torch.allclose((1 + h * lam).abs(), torch.ones(3, dtype=torch.float64), atol=1e-12)
    assert ((1 + 0.99 * h * lam).abs() < 1).all()
    assert ((1 + 1.01 * h * lam).abs() > 1).all()


def test_no_step_is_small_enough_on_or_right_of_the_axis_and_any_is_at_zero():
    assert step_limit(torch.tensor([1j, 0.1 + 1j, 3 + 0j, 0j], dtype=torch.complex128)).tolist() == [0, 0, 0, torch.inf]


@pytest.mark.parametrize("dense", [True, False])
def test_the_mode_with_the_smallest_step_limit_comes_first(dense):
    """A weakly damped rotation limits more than a stiff mode ten times its size; slow modes count for nothing."""
    a = turned([(-10, 0), (-0.01, 1.0), (-1, 1), *((-x, 0) for x in torch.linspace(1e-9, 2, 60).tolist())], 0)
    found = eigenvalues(Dense(a), 3, target="step-limit", dense_up_to=2000 if dense else 0, max_products=400)
    assert found.values[:2].imag.abs().tolist() == pytest.approx([1, 1], abs=1e-6)
    assert found.values[2].real == pytest.approx(-10, abs=1e-5)
    limits = step_limit(found.values).tolist()
    assert limits == sorted(limits)
    assert found.target == "step-limit"


def test_of_modes_that_no_step_damps_the_largest_comes_first():
    values = torch.tensor([-9 + 0j, 2j, -2j, 0.5 + 1j, 0.5 - 1j, 1e-6 + 0j], dtype=torch.complex128)
    assert select(values, TARGETS["step-limit"], 5) == [1, 2, 3, 4, 0]
    assert as_ends(["step-limit"], [6]).chosen(values) == [1, 2, 3, 4, 0]


# the divergence of a scheme


@pytest.mark.parametrize("step", [0.05, 0.4])
def test_the_modes_that_a_scheme_multiplies_most_are_found(step):
    a = wishart_plus_skew(N, 1)
    extragradient = Divergence(lambda lam: 1 + step * lam + (step * lam) ** 2, "extragradient")
    found = eigenvalues(Dense(a), 3, target=extragradient, dense_up_to=0, tol=1e-8)
    z = step * torch.linalg.eigvals(a)
    factors = (1 + z + z**2).abs().sort(descending=True).values
    assert torch.allclose(extragradient(found.values)[:3], factors[:3], atol=1e-6)
    assert found.target == "divergence of extragradient"


# several ends at once


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 20), counts=st.tuples(*[st.integers(1, 6)] * 2))
def test_several_ends_want_what_each_wants_alone(seed, n, counts):
    values = torch.from_numpy(np.linalg.eigvals(gaussian(n, n, seed).numpy()).astype(complex))
    ends = as_ends(["rightmost", "rotation"], counts)
    turning = [i for i in select(values, TARGETS["rotation"], counts[1]) if values[i].imag != 0]
    alone = {*select(values, TARGETS["rightmost"], counts[0]), *turning}
    chosen = select(values, ends, sum(counts))
    assert set(chosen) == alone
    assert len(chosen) == len(alone)
    wanted = ends(values) > -1
    assert set(wanted.nonzero()[:, 0].tolist()) == alone


def test_where_nothing_turns_only_a_search_for_rotations_alone_gives_others():
    d = Diagonal(torch.tensor([-3.0, 1, 2]))
    assert len(eigenvalues(d, 2, target="rotation")) == 2
    assert len(eigenvalues(d, 2, target=["rotation"])) == 2
    both = eigenvalues(d, 1, target=["rotation", "rightmost"])
    assert both.values.tolist() == [2]


def test_a_restart_keeps_what_any_end_wants_in_front():
    b = gaussian(30, 30, 3).numpy()
    ends = as_ends(["rightmost", "largest", "rotation"], [3, 4, 4])
    values = torch.linalg.eigvals(torch.from_numpy(b))
    t, _ = ordered_schur(b, ends, "general")
    count = len(select(torch.from_numpy(np.linalg.eigvals(b)), ends, 11))
    front = torch.linalg.eigvals(torch.from_numpy(t[:count, :count].copy()))
    for target, k in (("rightmost", 3), ("largest", 4), ("rotation", 4)):
        key = as_key(target)
        edge = key(values).sort(descending=True).values[k - 1]
        assert int((key(front) >= edge - 1e-9).sum()) >= k


def test_one_krylov_space_finds_the_ends_that_three_would():
    a = planted_pair(N, 4) + turned([(-6, 0), (-4, 3), *((0, 0),) * (N - 3)], 5)
    targets = ["largest", "rightmost", "rotation"]
    together = eigenvalues(Dense(a), [3, 2, 4], target=targets, dense_up_to=0, tol=1e-8)
    apart = [
        eigenvalues(Dense(a), k, target=target, dense_up_to=0, tol=1e-8)
        for k, target in zip([3, 2, 4], targets, strict=True)
    ]
    assert together.converged.all()
    assert together.target == "largest+rightmost+rotation"
    for single in apart:
        for value in single.values:
            assert (together.values - value).abs().min() < 1e-6
    assert together.products < sum(single.products for single in apart)
    assert torch.allclose(together.values[: len(apart[0])], apart[0].values, atol=1e-6)


def test_the_dense_route_takes_several_ends_too():
    d = Diagonal(torch.tensor([-3.0, -1, 0, 2]))
    found = eigenvalues(d, 1, target=["leftmost", "rightmost", "largest"])
    assert found.values.real.tolist() == [-3, 2]
    assert found.complete
    assert found.converged.all()


def test_what_does_not_fit_several_ends_is_named():
    a = Dense(torch.eye(4))
    with pytest.raises(InputError, match="got 2 for 3"):
        eigenvalues(a, [1, 2], target=["largest", "rightmost", "rotation"])
    with pytest.raises(InputError, match=r"got k=\[1, 2\] for the target 'largest'"):
        eigenvalues(a, [1, 2], target="largest")
    with pytest.raises(InputError, match="got k=5 with n=4"):
        eigenvalues(a, [1, 5], target=["largest", "rightmost"])
    with pytest.raises(InputError, match="target must be one of"):
        eigenvalues(a, 1, target=["largest", "topmost"])
    with pytest.raises(InputError, match="one target"):
        eigenvalues(a, 1, target=["largest", "rightmost"], second_look=True)


# copies of multiple eigenvalues


@pytest.mark.parametrize("copies", [3, 7, 12])
def test_every_copy_of_a_multiple_eigenvalue_is_found_after_breakdowns(copies):
    """Each invariant subspace holds one copy of each value, and all it holds has converged."""
    d = torch.cat([torch.full((copies,), 3.0), torch.full((100,), 2.0), torch.full((100,), 1.0)]).double()
    q = orthogonal(len(d), 6)
    found = eigenvalues(Dense(q @ torch.diag(d) @ q.T), copies + 1, dense_up_to=0)
    assert found.values.real.tolist() == pytest.approx([3.0] * copies + [2.0], abs=1e-9)
    assert found.converged.all()
