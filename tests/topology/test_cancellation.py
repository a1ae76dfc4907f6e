import pytest
import torch
from complex_families import random_function, random_simplices
from hypothesis import given, settings
from hypothesis import strategies as st

from separatrix.errors import InputError
from separatrix.topology import CubicalComplex, SimplicialComplex, cancel, lower_star_gradient, persistence

SURFACES = [CubicalComplex((11, 12)), CubicalComplex((9, 8), True), CubicalComplex((40,)), CubicalComplex((30,), True)]


def pairs_and_ends(found, without=frozenset()):
    entries = zip(found.dims, found.births, found.deaths, found.birth_cells, strict=True)
    return sorted((int(k), float(b), float(d)) for k, b, d, cell in entries if int(cell) not in without)


def assert_only_the_cancelled_bars_are_gone(gradient, threshold):
    before = persistence(gradient)
    result = cancel(gradient, min_persistence=threshold)
    assert result.gradient.is_matching()
    assert result.gradient.is_acyclic()
    gone = set(result.cancelled[:, 0].tolist())
    assert pairs_and_ends(persistence(result.gradient)) == pairs_and_ends(before, gone)
    assert len(result.cancelled) + len(result.obstructed) == int((before.lengths < threshold).sum())
    assert set(gradient.critical().tolist()) - set(result.gradient.critical().tolist()) == set(
        result.cancelled.flatten().tolist()
    )
    return result


@pytest.mark.parametrize("threshold", [0.3, 1.0, 100.0])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("grid", SURFACES, ids=str)
def test_on_surfaces_exactly_the_short_bars_are_cancelled(grid, seed, threshold):
    result = assert_only_the_cancelled_bars_are_gone(
        lower_star_gradient(grid, random_function(grid.shape, seed)), threshold
    )
    assert len(result.obstructed) == 0
    if threshold == 100.0:
        assert sum(result.gradient.counts) == 2 ** sum(grid.wraps)


@pytest.mark.parametrize("seed", range(9))
@pytest.mark.parametrize(
    "grid", [CubicalComplex((5, 6, 7)), CubicalComplex((4, 5, 4), True), CubicalComplex((3,) * 4, True)], ids=str
)
def test_in_volumes_obstructed_pairs_are_reported_and_the_rest_is_kept(grid, seed):
    assert_only_the_cancelled_bars_are_gone(lower_star_gradient(grid, random_function(grid.shape, seed)), 1.0)


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_in_simplicial_complexes_only_the_cancelled_bars_are_gone(seed):
    complex = SimplicialComplex.from_simplices(random_simplices(seed)).cells
    gradient = lower_star_gradient(complex, random_function((complex.f_vector[0],), seed))
    assert_only_the_cancelled_bars_are_gone(gradient, 1.5)


def test_a_threshold_below_the_shortest_bar_changes_nothing():
    gradient = lower_star_gradient(CubicalComplex((8, 8)), random_function((8, 8), 0))
    shortest = float(persistence(gradient).lengths.min())
    assert torch.equal(cancel(gradient, min_persistence=shortest).gradient.mate, gradient.mate)
    assert len(cancel(gradient, min_persistence=shortest * 1.0001).cancelled) == 1


def test_the_given_gradient_is_not_changed():
    gradient = lower_star_gradient(CubicalComplex((8, 8)), random_function((8, 8), 0))
    mate = gradient.mate.clone()
    cancel(gradient, min_persistence=5.0)
    assert torch.equal(gradient.mate, mate)


@pytest.mark.parametrize("threshold", [-1.0, float("nan")])
def test_a_threshold_that_is_no_length_is_refused(threshold):
    gradient = lower_star_gradient(CubicalComplex((3,)), torch.zeros(3))
    with pytest.raises(InputError, match=f"min_persistence must be a number at least 0, got {threshold}"):
        cancel(gradient, min_persistence=threshold)
