import math
from itertools import pairwise

import pytest
import torch
from complex_families import SURFACES, klein_bottle, padded, prism, random_simplices
from hypothesis import given, settings
from hypothesis import strategies as st

from separatrix.errors import InputError
from separatrix.topology import (
    CellComplex,
    CubicalComplex,
    IntegerHomology,
    SimplicialComplex,
    betti_numbers,
    integer_homology,
)
from separatrix.topology.homology import smith_divisors


@pytest.mark.parametrize("name", SURFACES)
def test_surfaces_have_their_homology_over_both_rings(name):
    triangles, modulo_two, rational, torsion = SURFACES[name]
    cells = SimplicialComplex.from_simplices(triangles).cells
    assert cells.is_chain_complex()
    assert betti_numbers(cells) == modulo_two
    assert integer_homology(cells) == IntegerHomology(rational, torsion)


def test_the_klein_bottle_has_torsion_two_and_two_loops_modulo_two():
    assert betti_numbers(klein_bottle()) == (1, 2, 1)
    assert integer_homology(klein_bottle()) == IntegerHomology((1, 1, 0), ((), (2,), ()))


def test_torsion_is_listed_as_invariant_factors():
    # Two discs glued to one loop along 4 and 6 turns: Z / gcd(4, 6).
    turns = CellComplex.from_lists([0, 1, 2, 2], [[], [0, 0], [1] * 4, [1] * 6], [[], [1, -1], [1] * 4, [1] * 6])
    assert integer_homology(turns) == IntegerHomology((1, 0, 1), ((), (2,), ()))
    # Two loops with relations 4a and 6b: Z/4 + Z/6 = Z/2 + Z/12.
    product = CellComplex.from_lists(
        [0, 1, 1, 2, 2], [[], [0, 0], [0, 0], [1] * 4, [2] * 6], [[], [1, -1], [1, -1], [1] * 4, [1] * 6]
    )
    assert integer_homology(product).torsion == ((), (2, 12), ())


@given(st.lists(st.integers(-6, 6), min_size=16, max_size=16))
@settings(max_examples=60, deadline=None)
def test_invariant_factors_divide_each_other_and_multiply_to_the_determinant(entries):
    matrix = torch.tensor(entries).reshape(4, 4)
    divisors = smith_divisors(matrix.tolist())
    assert all(b % a == 0 for a, b in pairwise(divisors))
    assert len(divisors) == int(torch.linalg.matrix_rank(matrix.double()))
    if len(divisors) == 4:
        assert math.prod(divisors) == round(abs(float(torch.linalg.det(matrix.double()))))
    if divisors:
        assert divisors[0] == math.gcd(*entries)


@pytest.mark.parametrize("sides", [3, 4, 7])
def test_a_prism_is_a_contractible_polyhedral_complex(sides):
    cells = prism(sides)
    assert cells.f_vector == (2 * sides, 3 * sides, sides + 2, 1)
    assert cells.euler_characteristic == 1
    assert cells.is_chain_complex()
    assert betti_numbers(cells) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("shape", "periodic", "betti"),
    [
        ((5,), False, (1, 0)),
        ((5,), True, (1, 1)),
        ((3, 4), (True, False), (1, 1, 0)),
        ((3, 4), True, (1, 2, 1)),
        ((3, 4, 3), True, (1, 3, 3, 1)),
        ((3, 3, 3, 3), True, (1, 4, 6, 4, 1)),
        ((2, 3, 1, 2), False, (1, 0, 0, 0, 0)),
    ],
)
def test_grids_are_boxes_and_tori(shape, periodic, betti):
    cells = CubicalComplex(shape, periodic).cells
    cells.check()
    assert cells.is_chain_complex()
    assert padded(betti_numbers(cells)) == padded(betti)
    assert cells.euler_characteristic == sum((-1) ** k * b for k, b in enumerate(betti))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_a_box_of_cubes_has_the_product_f_vector(shape):
    polynomial = torch.ones(1, dtype=torch.int64)
    for size in shape:
        factor = torch.tensor([size, size - 1])
        polynomial = (
            torch.stack(
                [
                    torch.cat([polynomial, torch.zeros(1, dtype=torch.int64)]),
                    torch.cat([torch.zeros(1, dtype=torch.int64), polynomial]),
                ]
            ).T
            @ factor
        )
    expected = tuple(int(c) for c in polynomial)
    found = CubicalComplex(tuple(shape)).cells.f_vector
    assert found + (0,) * (len(expected) - len(found)) == expected


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_simplicial_complexes_are_closed_and_satisfy_euler_poincare(seed):
    complex = SimplicialComplex.from_simplices(random_simplices(seed))
    cells = complex.cells
    cells.check()
    assert cells.is_chain_complex()
    assert sum((-1) ** k * b for k, b in enumerate(betti_numbers(cells))) == cells.euler_characteristic
    for k, rows in enumerate(complex.vertices):
        assert len(rows) == cells.f_vector[k]


def test_the_boundary_of_a_triangle_alternates():
    cells = SimplicialComplex.from_simplices(torch.tensor([[2, 0, 1]])).cells
    assert cells.boundary(2).to_dense().flatten().tolist() == [1, -1, 1]
    assert cells.boundary(1).to_dense().tolist() == [[-1, -1, 0], [1, 0, -1], [0, 1, 1]]
    assert cells.boundary(1, modulo_two=True).to_dense().tolist() == [[1, 1, 0], [1, 0, 1], [0, 1, 1]]


def test_cofaces_are_the_transposed_faces():
    cells = CubicalComplex((3, 3)).cells
    offsets, cofaces = cells.cofaces
    pairs = {(int(f), int(c)) for f, c in zip(cells.faces, cells.cells_of_faces, strict=True)}
    owners = torch.repeat_interleave(torch.arange(len(cells)), offsets.diff())
    assert pairs == {(int(f), int(c)) for f, c in zip(owners, cofaces, strict=True)}


def test_missing_faces_mean_relative_homology():
    interval_modulo_ends = CellComplex.from_lists([1], [[]], [[]])
    assert betti_numbers(interval_modulo_ends) == (0, 1)
    assert integer_homology(interval_modulo_ends).betti == (0, 1)


def test_the_empty_complex_has_no_homology():
    empty = CellComplex.from_lists([], [])
    assert (empty.f_vector, betti_numbers(empty), empty.euler_characteristic) == ((), (), 0)


def test_centres_of_cells_are_in_grid_units():
    grid = CubicalComplex((3, 4))
    assert grid.centres(grid.vertices[-1:]).tolist() == [[2.0, 3.0]]
    assert grid.centres(grid.cells.cells(2)[:1]).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CellComplex.from_lists([0, 1], [[], [5]]), r"faces must lie in 0..1, got 5"),
        (lambda: CellComplex.from_lists([0, 2], [[], [0]]), "cell 1 has dimension 2 and its face 0 has dimension 0"),
        (lambda: CellComplex.from_lists([0, 1], [[], [0]], [[], [2]]), "signs must be \\+1 or -1, got 2"),
        (
            lambda: CellComplex(torch.zeros(2), torch.zeros(3, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)),
            "dims must be a one-dimensional int64 tensor, got torch.float32",
        ),
        (
            lambda: CellComplex(*(torch.zeros(n, dtype=torch.int64) for n in (2, 2, 0))),
            r"offsets must have one entry more than dims \(3\), got 2",
        ),
        (lambda: prism(3).boundary(1), "no signs, only its GF\\(2\\) boundary is known: pass modulo_two=True"),
        (lambda: CubicalComplex((2, 5), True), "periodic axis needs at least 3 vertices, got shape \\(2, 5\\)"),
        (lambda: CubicalComplex((3, 0)), "no empty one, got \\(3, 0\\)"),
        (lambda: CubicalComplex((3, 3), (True,)), "one for each of 2 axes"),
        (lambda: SimplicialComplex.from_simplices([(0, 1, 1)]), r"must be distinct and not negative, got \[0, 1, 1\]"),
        (lambda: SimplicialComplex.from_simplices([]), "at least one simplex"),
        (lambda: SimplicialComplex.from_simplices([()]), "at least one vertex"),
    ],
)
def test_lists_that_describe_no_complex_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()
