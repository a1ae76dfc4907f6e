import math

import pytest
import torch
from complex_families import random_function

from separatrix.errors import InputError
from separatrix.topology import (
    CellComplex,
    CubicalComplex,
    DiscreteGradient,
    ascending_manifold,
    basins,
    cancel,
    descending_manifold,
    lower_star_gradient,
    morse_complex,
    v_paths,
)


def noisy(shape, seed=0, periodic=False):
    return lower_star_gradient(CubicalComplex(shape, periodic), random_function(shape, seed))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [(30,), (12, 13), (5, 6, 7)])
def test_there_are_as_many_basins_as_minima_and_they_part_the_vertices(shape, seed):
    gradient = noisy(shape, seed)
    labels = basins(gradient)
    assert sorted(set(labels.tolist())) == gradient.critical(0).tolist()
    vertices = gradient.complex.cells(0)
    for minimum in gradient.critical(0).tolist():
        assert torch.equal(ascending_manifold(gradient, minimum), vertices[labels == minimum])


@pytest.mark.parametrize("seed", range(4))
def test_mountains_of_an_image_are_the_descending_manifolds_of_its_maxima(seed):
    gradient = noisy((9, 10), seed, periodic=True)
    tops = gradient.critical(2).tolist()
    parts = [descending_manifold(gradient, top) for top in tops]
    squares = torch.cat(parts).sort().values
    assert torch.equal(squares, gradient.complex.cells(2))


def test_two_wells_meet_at_the_ridge():
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    gradient = lower_star_gradient(CubicalComplex((41,)), (x**2 - 1) ** 2)
    labels = basins(gradient)
    wells = x[gradient.filtration.vertex[gradient.critical(0)]]
    assert torch.allclose(wells, torch.tensor([-1.0, 1.0], dtype=torch.float64))
    assert (labels[x < -0.05] == gradient.critical(0)[0]).all()
    assert (labels[x > 0.05] == gradient.critical(0)[1]).all()
    (ridge,) = gradient.critical(1).tolist()
    assert abs(float(x[gradient.filtration.vertex[ridge]])) < 1e-12


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [(12, 13), (5, 6, 7)])
def test_two_separatrices_fall_from_each_critical_edge_to_the_minima_of_its_boundary(shape, seed):
    gradient = noisy(shape, seed)
    morse = morse_complex(gradient)
    rows = {
        int(c): morse.cells[morse.complex.faces[a:b]]
        for c, a, b in zip(morse.cells, morse.complex.offsets, morse.complex.offsets[1:], strict=False)
    }
    for edge in gradient.critical(1).tolist():
        found = v_paths(gradient, edge)
        assert found.complete
        assert len(found.paths) == 2
        ends = [int(path[-1]) for path in found.paths]
        boundary = sorted(rows[edge].tolist())
        assert boundary == (sorted(ends) if ends[0] != ends[1] else [])
        for path in found.paths:
            values = gradient.filtration.of(path[1::2])
            assert bool((values.diff() <= 0).all())


@pytest.mark.parametrize("seed", range(3))
def test_descending_paths_reach_what_ascending_paths_come_from(seed):
    gradient = noisy((4, 5, 4), seed)
    for k in range(1, 4):
        down = [
            (cell, int(path[-1])) for cell in gradient.critical(k).tolist() for path in v_paths(gradient, cell).paths
        ]
        up = [
            (int(path[-1]), cell)
            for cell in gradient.critical(k - 1).tolist()
            for path in v_paths(gradient, cell, ascending=True).paths
        ]
        assert sorted(down) == sorted(up)


def test_signed_v_paths_sum_to_the_morse_boundary():
    gradient = noisy((4, 5, 4), 1)
    complex = gradient.complex
    dense = torch.zeros(len(complex), len(complex), dtype=torch.int64)
    dense[complex.cells_of_faces, complex.faces] = complex.signs.to(torch.int64)
    morse = morse_complex(gradient)
    for k in range(1, 4):
        expected = torch.zeros(len(complex), len(complex), dtype=torch.int64)
        for cell in gradient.critical(k).tolist():
            for path in v_paths(gradient, cell, max_paths=10**5).paths:
                steps = path.tolist()
                sign = int(dense[steps[0], steps[1]])
                for a, b, onward in zip(steps[1::2], steps[2::2], steps[3::2], strict=False):
                    sign *= -int(dense[b, a]) * int(dense[b, onward])
                expected[int(path[-1]), cell] += sign
        rows, columns = morse.cells[morse.complex.cells(k - 1)], morse.cells[morse.complex.cells(k)]
        assert torch.equal(morse.complex.boundary(k).to_dense(), expected[rows][:, columns])


def test_a_budget_of_paths_is_reported_as_incomplete():
    gradient = noisy((6, 6, 6), 0)
    cell = max(gradient.critical(2).tolist(), key=lambda c: len(v_paths(gradient, c).paths))
    total = len(v_paths(gradient, cell).paths)
    assert total > 2
    short = v_paths(gradient, cell, max_paths=total - 1)
    assert not short.complete
    assert len(short.paths) == total - 1
    assert v_paths(gradient, cell, max_paths=total).complete


def test_after_cancelling_the_noise_one_basin_is_left_for_each_deep_well():
    x = torch.linspace(-2, 2, 61, dtype=torch.float64)
    x, y = torch.meshgrid(x, x, indexing="ij")
    clean = (x**2 - 1) ** 2 + y**2
    noise = 0.05 * torch.randn(61, 61, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gradient = lower_star_gradient(CubicalComplex((61, 61)), clean + noise)
    assert gradient.counts[0] > 20
    simple = cancel(gradient, min_persistence=0.4).gradient
    labels = basins(simple).reshape(61, 61)
    left, right = simple.critical(0).tolist()
    assert (labels[x < -0.3] == min(left, right)).double().mean() > 0.99
    assert (labels[x > 0.3] == max(left, right)).double().mean() > 0.99


def test_paths_that_leave_a_relative_complex_end_nowhere():
    # A vertex, an edge with only that vertex, matched: the path runs into the missing end.
    half_open = CellComplex.from_lists([0, 1], [[], [0]], [[], [1]])
    assert basins(DiscreteGradient(half_open, torch.tensor([1, 0]))).tolist() == [-1]


@pytest.mark.parametrize("walk", [ascending_manifold, descending_manifold, v_paths])
def test_walks_start_from_critical_cells_only(walk):
    gradient = noisy((5, 5))
    matched = int(torch.nonzero(gradient.mate != torch.arange(len(gradient.mate)))[0])
    with pytest.raises(InputError, match=f"cell must be critical, got {matched}, whose mate is"):
        walk(gradient, matched)
    with pytest.raises(InputError, match=r"cell must lie in 0..80, got 81"):
        walk(gradient, 81)
    with pytest.raises(InputError, match="max_paths must be at least 1, got 0"):
        v_paths(gradient, int(gradient.critical(0)[0]), max_paths=0)


def test_a_ring_shaped_ridge_parts_the_inside_from_the_outside():
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    x, y = torch.meshgrid(x, x, indexing="ij")
    radius = torch.hypot(x, y)
    gradient = cancel(
        lower_star_gradient(CubicalComplex((41, 41)), -((radius**2 - 1) ** 2)), min_persistence=0.2
    ).gradient
    labels = basins(gradient).reshape(41, 41)
    assert math.isclose(float((labels == labels[20, 20]).double().sum()) * 0.01, math.pi, rel_tol=0.1)
