import math

import pytest
import torch
from complex_families import padded, prism, random_function, random_simplices
from hypothesis import given, settings
from hypothesis import strategies as st

from separatrix.errors import InputError
from separatrix.topology import (
    CellComplex,
    CubicalComplex,
    DiscreteGradient,
    SimplicialComplex,
    betti_numbers,
    lower_star_gradient,
    persistence,
)

SHAPES = [(1,), (6,), (4, 5), (6, 1, 4), (3, 4, 5)]
CYCLIC_SHAPES = [(5,), (4, 5), (3, 4, 5)]


def terrain(n):
    x = torch.linspace(-1, 1, n, dtype=torch.float64)
    x, y = torch.meshgrid(x, x, indexing="ij")
    return torch.cos(3 * math.pi * x) * torch.cos(3 * math.pi * y) + 0.1 * x


def assert_gradient_with_morse_inequalities(gradient):
    assert gradient.is_matching()
    assert gradient.is_acyclic()
    complex = gradient.complex
    assert sum((-1) ** k * c for k, c in enumerate(gradient.counts)) == complex.euler_characteristic
    betti = padded(betti_numbers(complex))
    counts = padded(gradient.counts)
    for k in range(len(counts)):
        strong = sum((-1) ** (k - i) * (counts[i] - betti[i]) for i in range(k + 1))
        assert strong >= 0, (k, counts, betti)


@pytest.mark.parametrize("n", [64, 100, 128, 512])
def test_the_golden_terrain_has_its_critical_cells_at_every_resolution(n):
    assert lower_star_gradient(CubicalComplex((n, n)), terrain(n)).counts == (24, 36, 13)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "grid", [*map(CubicalComplex, SHAPES), *(CubicalComplex(shape, True) for shape in CYCLIC_SHAPES)], ids=str
)
def test_the_kernels_for_grids_and_for_lists_agree_on_every_pair(grid, seed):
    values = random_function(grid.shape, seed)
    fast = lower_star_gradient(grid, values)
    slow = lower_star_gradient(grid.cells, values.flatten())
    assert torch.equal(fast.mate, slow.mate)
    assert torch.equal(fast.filtration.vertex, slow.filtration.vertex)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("shape", [(7,), (5, 6), (4, 3, 5), (3, 4, 3, 3)])
def test_lower_stars_of_grids_give_gradients(shape, periodic, seed):
    gradient = lower_star_gradient(CubicalComplex(shape, periodic), random_function(shape, seed))
    assert_gradient_with_morse_inequalities(gradient)


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_lower_stars_of_simplicial_complexes_give_gradients(seed):
    complex = SimplicialComplex.from_simplices(random_simplices(seed)).cells
    assert_gradient_with_morse_inequalities(lower_star_gradient(complex, random_function((complex.f_vector[0],), seed)))


@pytest.mark.parametrize("sides", [3, 5, 8])
@pytest.mark.parametrize("seed", range(6))
def test_lower_stars_of_polyhedra_give_gradients(sides, seed):
    complex = prism(sides)
    gradient = lower_star_gradient(complex, random_function((2 * sides,), seed))
    assert_gradient_with_morse_inequalities(gradient)


@pytest.mark.parametrize("seed", range(9))
@pytest.mark.parametrize("shape", [(30,), (14, 15), (6, 7, 8)])
def test_critical_cells_are_exactly_the_ends_of_bars_up_to_three_dimensions(shape, seed):
    gradient = lower_star_gradient(CubicalComplex(shape), random_function(shape, seed))
    found = persistence(gradient)
    lasting = found.death_cells < 0
    for k, count in enumerate(gradient.counts):
        # All bars, also those of length zero: ties are broken by index, which makes the function injective.
        ends = int(((found.dims == k - 1) & ~lasting).sum())
        assert count == ends + int((found.dims == k).sum())
        assert set(gradient.critical(k).tolist()) == set(
            found.death_cells[(found.dims == k - 1) & ~lasting].tolist() + found.birth_cells[found.dims == k].tolist()
        )


def test_a_plateau_collapses_to_one_minimum():
    assert lower_star_gradient(CubicalComplex((6, 7)), torch.zeros(6, 7)).counts == (1, 0, 0)
    assert lower_star_gradient(CubicalComplex((4, 4, 4)), torch.ones(4, 4, 4)).counts == (1, 0, 0, 0)
    assert lower_star_gradient(CubicalComplex((5, 5), True), torch.zeros(5, 5)).counts == (1, 2, 1)


def test_ties_are_broken_by_index():
    values = random_function((6, 6), 2)
    jittered = values + 1e-9 * torch.arange(36, dtype=torch.float64).reshape(6, 6)
    grid = CubicalComplex((6, 6))
    assert torch.equal(lower_star_gradient(grid, values).mate, lower_star_gradient(grid, jittered).mate)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64, torch.uint8])
def test_the_field_depends_on_the_order_of_values_alone(dtype):
    values = torch.randperm(64, generator=torch.Generator().manual_seed(0)).reshape(8, 8)
    grid = CubicalComplex((8, 8))
    expected = lower_star_gradient(grid, values.to(torch.float64)).mate
    assert torch.equal(lower_star_gradient(grid, values.to(dtype)).mate, expected)
    assert torch.equal(lower_star_gradient(grid, torch.exp(values.to(torch.float64))).mate, expected)


def test_inputs_are_not_changed():
    values = random_function((3, 4, 3, 3), 0).requires_grad_()
    grid = CubicalComplex((3, 4, 3, 3))
    before = [part.clone() for part in (values, grid.cells.faces, grid.cells.signs, grid.cells.offsets)]
    lower_star_gradient(grid, values)
    after = (values, grid.cells.faces, grid.cells.signs, grid.cells.offsets)
    assert all(torch.equal(x, y) for x, y in zip(before, after, strict=True))
    assert values.grad is None


def test_critical_values_carry_a_gradient_to_the_highest_vertex():
    values = torch.tensor([[0.0, 1.0, 0.5], [2.0, 3.0, 2.5], [0.2, 1.2, 0.7]], dtype=torch.float64, requires_grad=True)
    gradient = lower_star_gradient(CubicalComplex((3, 3)), values)
    assert gradient.counts == (4, 4, 1)
    for k in range(3):
        assert torch.equal(
            gradient.critical_values(k), values.flatten()[gradient.filtration.vertex[gradient.critical(k)]]
        )
    total = gradient.critical_values().sum()
    (slope,) = torch.autograd.grad(total, values)
    expected = torch.bincount(gradient.filtration.vertex[gradient.critical()], minlength=9).reshape(3, 3)
    assert torch.equal(slope, expected.to(torch.float64))


def test_a_matching_with_a_closed_path_is_found_out():
    # A square as a cycle of four edges, every vertex paired with the next edge round.
    ring = CellComplex.from_lists([0] * 4 + [1] * 4, [[]] * 4 + [[0, 1], [1, 2], [2, 3], [0, 3]])
    turning = DiscreteGradient(ring, torch.tensor([4, 5, 6, 7, 0, 1, 2, 3]))
    assert turning.is_matching()
    assert not turning.is_acyclic()
    opened = DiscreteGradient(ring, torch.tensor([4, 5, 6, 3, 0, 1, 2, 7]))
    assert opened.is_matching()
    assert opened.is_acyclic()


@pytest.mark.parametrize("mate", [[1, 0, 2], [2, 1, 1], [0, 1, 9], [-1, 1, 2]])
def test_pairs_that_are_no_faces_are_no_matching(mate):
    edge = CellComplex.from_lists([0, 0, 1], [[], [], [0, 1]])
    assert not DiscreteGradient(edge, torch.tensor(mate)).is_matching()


def grid_values(**entries):
    values = torch.zeros(3, 3)
    for place, value in entries.items():
        values.view(-1)[int(place[1:])] = value
    return values


@pytest.mark.parametrize(
    ("complex", "values", "message"),
    [
        (CubicalComplex((3, 3)), grid_values(_4=math.nan), r"must be finite, got nan at flat index 4 \(1 of 9"),
        (CubicalComplex((3, 3)), grid_values(_2=math.inf, _5=-math.inf), r"got inf at flat index 2 \(2 of 9"),
        (CubicalComplex((3, 3)), torch.zeros(9), r"grid's shape \(3, 3\), got \(9,\)"),
        (CubicalComplex((3, 3)), torch.zeros(3, 3, device="meta"), "must be on the CPU, got meta; pass values.cpu"),
        (prism(3), torch.zeros(5), r"shape \(6,\), one for each 0-cell, got \(5,\)"),
        (CubicalComplex((3,)), torch.zeros(3, dtype=torch.complex64), "must be real, got torch.complex64"),
        (CellComplex.from_lists([0, 1], [[], []]), torch.zeros(1), "Cell 1 of dimension 1 has no vertex"),
        (CellComplex.from_lists([0, 1], [[], [0, 0]]), torch.zeros(1), "incident twice to the same face"),
    ],
)
def test_functions_that_fit_no_complex_are_refused(complex, values, message):
    with pytest.raises(InputError, match=message):
        lower_star_gradient(complex, values)


def test_a_gradient_refuses_mates_of_the_wrong_shape_and_a_missing_filtration():
    with pytest.raises(InputError, match=r"mate must be int64 of shape \(14,\).*got torch.int64 of shape \(3,\)"):
        DiscreteGradient(simplex(), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(InputError, match="no filtration"):
        DiscreteGradient(simplex(), torch.arange(14)).critical_values()


def simplex():
    return SimplicialComplex.from_simplices([(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]).cells
