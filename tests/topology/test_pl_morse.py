from math import comb

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from relu_families import member, network
from torch import nn

from separatrix.errors import InputError
from separatrix.topology import (
    basins,
    betti_numbers,
    cancel,
    edge_signs,
    integer_homology,
    morse_complex,
    persistence,
    pl_critical,
    pl_gradient,
    relu_complex,
    relu_level_set,
    v_paths,
)


def of_index(signs):
    """F = sum_i s_i (2 relu(x_i + 0.1 i) + relu(M + i - x_i)) has one critical vertex, of index #{s_i = -1}."""
    d = len(signs)
    model = nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Linear(2 * d, 1)).double()
    ramp = torch.arange(1, d + 1, dtype=torch.float64)
    with torch.no_grad():
        model[0].weight.copy_(torch.cat([torch.eye(d), -torch.eye(d)]))
        model[0].bias.copy_(torch.cat([0.1 * ramp, 50 + ramp]))
        model[2].weight.copy_(torch.tensor([[2.0 * s for s in signs] + [float(s) for s in signs]]))
        model[2].bias.zero_()
    return model


@pytest.mark.parametrize("signs", [(1,), (-1,), (1, 1), (1, -1), (-1, -1), (1, -1, 1), (-1, -1, -1), (1, -1, -1, -1)])
def test_a_critical_vertex_has_the_index_it_was_made_with(signs):
    complex = relu_complex(of_index(signs))
    critical = pl_critical(complex)
    d, index = len(signs), signs.count(-1)
    assert complex.f_vector[-1] == 3**d
    assert critical.counts == tuple(int(k == index) for k in range(d + 1))
    np.testing.assert_allclose(critical.points[0], [-0.1 * (i + 1) for i in range(d)], atol=1e-15)
    assert pl_gradient(complex).gradient.counts == critical.counts


@pytest.mark.parametrize("number", range(0, 200, 2))
def test_the_gradient_is_valid_acyclic_and_relatively_perfect(number):
    _, d, model = member(number)
    complex = relu_complex(model)
    signs = edge_signs(complex)
    critical, field = pl_critical(complex, signs), pl_gradient(complex, signs)
    gradient = field.gradient
    assert gradient.is_matching()
    assert gradient.is_acyclic()
    gradient.complex.check()
    assert gradient.complex.is_chain_complex()
    # critical cells away from flat edges are those of the critical vertices, dimension = index, at the same vertices
    own = gradient.critical()
    own = own[~field.flat[own]]
    found = sorted(zip(field.vertex[own].tolist(), gradient.complex.dims[own].tolist(), strict=True))
    assert found == sorted(zip(critical.cells.tolist(), critical.index.tolist(), strict=True))
    # homology and the Euler characteristic survive
    morse = morse_complex(gradient).complex
    assert morse.is_chain_complex()
    assert morse.euler_characteristic == gradient.complex.euler_characteristic
    pad = lambda b: (*b, *[0] * (d + 1))[: d + 1]  # noqa: E731
    assert pad(betti_numbers(morse)) == pad(betti_numbers(gradient.complex))
    # no bar of positive length starts or ends at a tie, and ties cancel
    if len(own):
        bars = persistence(gradient)
        alive = bars.lengths.detach() > 0
        assert int(alive.sum()) <= len(own) + int(critical.flat.sum())


def test_two_flat_parts_leave_only_the_critical_cells_that_persist():
    # F = -relu(2 - sum of hinges): flat outside, one minimum of -1.5 inside
    model = network((2, 4, 1, 1), 0)
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0.5], [-1.0, -0.5], [-0.5, 1.0], [0.5, -1.0]]))
        model[0].bias.fill_(0.125)
        model[2].weight.fill_(-1.0)
        model[2].bias.fill_(2.0)
        model[4].weight.fill_(-1.0)
        model[4].bias.fill_(0.0)
    complex = relu_complex(model)
    critical = pl_critical(complex)
    assert not critical.is_pl_morse
    bars = persistence(pl_gradient(complex).gradient)
    lasting = bars.lengths > 0
    assert bars.dims[lasting].tolist() == [0]
    assert float(bars.births[lasting].detach()) == pytest.approx(-1.5)


@pytest.mark.parametrize("seed", range(6))
def test_sublevel_sets_have_the_homology_of_their_own_complex(seed):
    # H(F <= c, F <= -inf) from the Morse complex against K_c reduced on its own
    complex = relu_complex(network((2, 8, 8, 1), seed))
    field = pl_gradient(complex)
    bars = persistence(field.gradient)
    values = field.gradient.filtration.values
    for level in torch.quantile(values, torch.tensor([0.1, 0.3, 0.5, 0.8], dtype=torch.float64)) + 1e-7:
        inside = field.gradient.filtration.of(torch.arange(len(field.gradient.complex))) <= level
        expected = betti_numbers(subcomplex(field.gradient.complex, inside))
        found = bars.betti_numbers(float(level))
        assert (*found, 0, 0, 0)[:3] == (*expected, 0, 0, 0)[:3]


def test_where_f_tends_to_infinity_relative_and_ordinary_homology_agree():
    model = network((2, 6, 1), 4)
    with torch.no_grad():
        model[2].weight.abs_()
        model[0].weight.copy_(
            torch.tensor([[1.0, 0.2], [-1.1, 0.3], [0.1, 1.0], [0.3, -1.2], [0.9, -1.0], [-1.0, 1.1]])
        )
    complex = relu_complex(model)
    bars = persistence(pl_gradient(complex).gradient)
    for level in (float(complex.values.min()) + 0.05, float(complex.values.median()) + 1e-4):
        ordinary = relu_level_set(model, level).sublevel_betti_numbers()
        assert (*bars.betti_numbers(level), 0, 0)[:2] == ordinary


@pytest.mark.parametrize(("second", "change"), [(-1.0, 0), (-(1 - 2.0**-53), 1), (-(1 + 2.0**-52), -1)])
def test_an_edge_is_flat_only_if_the_slope_is_exactly_zero(second, change):
    model = network((1, 2, 1), 0)  # F = relu(x) + second relu(x + 1): its slope right of 0 is 1 + second
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.copy_(torch.tensor([0.0, 1.0]))
        model[2].weight.copy_(torch.tensor([[1.0, second]], dtype=torch.float64))
    complex = relu_complex(model)
    right = int(complex.vertices[:, 0].argmax())
    assert edge_signs(complex).change[right, 0].tolist() == [change, 1]
    assert bool(pl_critical(complex).flat[right]) == (change == 0)


def test_v_paths_and_basins_end_at_minima_or_leave_for_infinity():
    complex = relu_complex(network((2, 16, 16, 1), 0))
    field = pl_gradient(complex)
    gradient, values = field.gradient, complex.values[:, 0]
    minima = gradient.critical(0)
    lowest = basins(gradient)
    assert set(lowest.tolist()) <= {-1, *minima.tolist()}
    settled = lowest >= 0
    assert (values[field.vertex[gradient.complex.cells(0)]][settled] >= values[field.vertex[lowest[settled]]]).all()
    for saddle in gradient.critical(1).tolist():
        for path in v_paths(gradient, saddle).paths:
            along = values[field.vertex[path]]
            assert (along.diff() <= 0).all()


def test_cancelling_leaves_the_homology_alone():
    gradient = pl_gradient(relu_complex(network((2, 16, 16, 1), 1))).gradient
    simplified = cancel(gradient, min_persistence=1e9).gradient
    assert simplified.counts == (0, 2, 0) == betti_numbers(morse_complex(gradient).complex)
    assert simplified.is_acyclic()


def test_the_morse_complex_is_one_over_the_integers():
    gradient = pl_gradient(relu_complex(network((3, 8, 8, 1), 3))).gradient
    morse = morse_complex(gradient).complex
    assert morse.signs is not None
    assert integer_homology(morse).betti == betti_numbers(morse)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_minus_f_has_the_opposite_indices(seed):
    model = network((2, 6, 5, 1), seed)
    counts = pl_critical(relu_complex(model)).counts
    with torch.no_grad():
        model[4].weight.neg_()
        model[4].bias.neg_()
    assert pl_critical(relu_complex(model)).counts == counts[::-1]


def test_networks_without_a_flat_region_are_as_frequent_as_signs_say():
    # one layer, weights of symmetric law: P(no flat cell) = 2^-n sum_{k > d} C(n, k)
    n, d, trials = 4, 2, 120
    morse = sum(not bool((relu_complex(network((d, n, 1), s)).signs(d) == -1).all(dim=1).any()) for s in range(trials))
    expected = sum(comb(n, k) for k in range(d + 1, n + 1)) / 2**n
    assert abs(morse / trials - expected) < 4 * (expected * (1 - expected) / trials) ** 0.5


def test_morse_theory_of_several_outputs_is_refused():
    with pytest.raises(InputError, match="needs a network with one output, got 2"):
        pl_critical(relu_complex(network((2, 4, 2), 0)))


def subcomplex(complex, inside):
    """The cells chosen, which must hold their faces."""
    place = torch.full((len(complex),), -1)
    place[inside] = torch.arange(int(inside.sum()))
    from separatrix.topology import CellComplex

    rows = inside[complex.cells_of_faces]
    lengths = complex.offsets.diff()[inside]
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    return CellComplex(complex.dims[inside], offsets, place[complex.faces[rows]], complex.signs[rows])
