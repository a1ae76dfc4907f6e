import pytest
import torch
from complex_families import (
    bars,
    gudhi_of_grid,
    gudhi_of_simplices,
    klein_bottle,
    padded,
    prism,
    random_function,
    random_simplices,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from separatrix.errors import InputError
from separatrix.topology import (
    CubicalComplex,
    DiscreteGradient,
    SimplicialComplex,
    betti_numbers,
    cancel,
    integer_homology,
    lower_star_gradient,
    morse_complex,
    persistence,
)

GRIDS = [
    CubicalComplex(shape, periodic)
    for shape in [(9,), (7, 8), (4, 5, 6), (3, 4, 3, 3)]
    for periodic in (False, True, tuple(axis == 0 for axis in range(len(shape))))
]


@pytest.mark.parametrize("seed", range(9))
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_bars_and_betti_numbers_of_images_equal_those_of_gudhi(grid, seed):
    values = random_function(grid.shape, seed)
    found = persistence(lower_star_gradient(grid, values))
    for k, expected in enumerate(gudhi_of_grid(grid, values)):
        assert bars(found, k) == expected
    assert padded(found.betti_numbers(torch.inf)) == (0,) * 6
    assert padded(found.betti_numbers(float(values.max()))) == padded(betti_numbers(grid.cells))


@given(st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_bars_of_simplicial_complexes_equal_those_of_gudhi(seed):
    complex = SimplicialComplex.from_simplices(random_simplices(seed))
    values = random_function((complex.cells.f_vector[0],), seed)
    found = persistence(lower_star_gradient(complex.cells, values))
    theirs = gudhi_of_simplices(complex, values)
    for k, expected in enumerate(theirs):
        assert bars(found, k) == expected
    finite = [death - birth for expected in theirs for birth, death in expected if death < torch.inf]
    assert float(found.total) == pytest.approx(sum(finite), abs=1e-9)


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_the_morse_complex_squares_to_zero_and_has_the_integer_homology(seed):
    cells = SimplicialComplex.from_simplices(random_simplices(seed)).cells
    morse = morse_complex(lower_star_gradient(cells, random_function((cells.f_vector[0],), seed))).complex
    assert morse.is_chain_complex()
    whole, small = integer_homology(cells), integer_homology(morse)
    assert padded(whole.betti) == padded(small.betti)
    assert [t for t in whole.torsion if t] == [t for t in small.torsion if t]
    assert padded(betti_numbers(cells)) == padded(betti_numbers(morse))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_the_morse_complex_of_an_image_squares_to_zero_before_and_after_cancelling(grid, seed):
    gradient = lower_star_gradient(grid, random_function(grid.shape, seed))
    for field in (gradient, cancel(gradient, min_persistence=0.8).gradient):
        morse = morse_complex(field)
        assert morse.complex.is_chain_complex()
        assert padded(betti_numbers(morse.complex)) == padded(betti_numbers(grid.cells))


def test_torsion_survives_the_reduction():
    # The projective plane as a square grid with opposite sides glued head to tail is the minimal triangulation's
    # homology; here by the gradient of its six-vertex triangulation, whose Morse complex has one cell per dimension.
    triangles = [
        (0, 1, 4),
        (0, 1, 5),
        (0, 2, 3),
        (0, 2, 5),
        (0, 3, 4),
        (1, 2, 3),
        (1, 2, 4),
        (1, 3, 5),
        (2, 4, 5),
        (3, 4, 5),
    ]
    cells = SimplicialComplex.from_simplices(triangles).cells
    gradient = lower_star_gradient(cells, torch.arange(6))
    morse = morse_complex(gradient)
    assert gradient.counts == (1, 1, 1)
    assert abs(int(morse.complex.boundary(2).to_dense())) == 2
    assert integer_homology(morse.complex).torsion == ((), (2,), ())


def test_a_gradient_that_pairs_nothing_has_the_complex_itself_as_morse_complex():
    cells = klein_bottle()
    morse = morse_complex(DiscreteGradient(cells, torch.arange(4)))
    assert morse.cells.tolist() == [0, 1, 2, 3]
    for k in (1, 2):
        assert torch.equal(morse.complex.boundary(k).to_dense(), cells.boundary(k).to_dense())


@pytest.mark.parametrize("seed", range(5))
def test_complexes_without_signs_reduce_over_gf2(seed):
    cells = prism(6)
    gradient = lower_star_gradient(cells, random_function((12,), seed))
    morse = morse_complex(gradient)
    assert morse.complex.signs is None
    assert morse.complex.is_chain_complex()
    assert padded(betti_numbers(morse.complex)) == padded((1,))


def test_the_gradient_of_a_bar_is_one_at_its_death_vertex_and_minus_one_at_its_birth_vertex():
    values = torch.tensor([0.0, 3.0, 1.0, 2.0, 0.5], dtype=torch.float64, requires_grad=True)
    bars_of_line = persistence(lower_star_gradient(CubicalComplex((5,)), values)).diagram(0)
    assert bars_of_line.tolist() == [[0.0, torch.inf], [0.5, 3.0], [1.0, 2.0]]
    (slope,) = torch.autograd.grad((bars_of_line[1:, 1] - bars_of_line[1:, 0]).sum(), values)
    assert slope.tolist() == [0.0, 1.0, -1.0, 1.0, -1.0]


def test_the_gradient_of_persistence_is_finite_although_some_classes_never_die():
    values = random_function((5, 6), 0).requires_grad_()
    found = persistence(lower_star_gradient(CubicalComplex((5, 6)), values))
    finite = found.deaths < torch.inf
    (slope,) = torch.autograd.grad(found.lengths[finite].square().sum(), values)
    assert bool(torch.isfinite(slope).all())
    step = 1e-6 * torch.randn(5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    totals = [
        persistence(lower_star_gradient(CubicalComplex((5, 6)), values.detach() + sign * step)).lengths
        for sign in (1, -1)
    ]
    difference = sum(sign * t[t < torch.inf].square().sum() for sign, t in zip((1, -1), totals, strict=True)) / 2
    assert torch.allclose((slope * step).sum(), difference, rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_sublevel_sets_have_the_betti_numbers_of_their_subcomplex(seed):
    complex = SimplicialComplex.from_simplices(random_simplices(seed))
    values = random_function((complex.cells.f_vector[0],), seed)
    found = persistence(lower_star_gradient(complex.cells, values))
    height = dict(zip(complex.vertices[0].flatten().tolist(), values.tolist(), strict=True))
    for level in values.tolist():
        below = [row for rows in complex.vertices for row in rows.tolist() if max(height[v] for v in row) <= level]
        assert padded(found.betti_numbers(level)) == padded(
            betti_numbers(SimplicialComplex.from_simplices(below).cells)
        )


def test_persistence_needs_a_filtration():
    with pytest.raises(InputError, match="no filtration; pass DiscreteGradient"):
        persistence(DiscreteGradient(klein_bottle(), torch.arange(4)))


def test_the_total_sums_finite_bars_and_differentiates_to_death_minus_birth():
    values = torch.tensor([0.0, 3.0, 1.0, 2.0, -1.0, 5.0], dtype=torch.float64, requires_grad=True)
    total = persistence(lower_star_gradient(CubicalComplex((6,)), values)).total
    total.backward()
    assert float(total.detach()) == (2 - 1) + (3 - 0)
    assert values.grad.tolist() == [-1.0, 1.0, -1.0, 1.0, 0.0, 0.0]
