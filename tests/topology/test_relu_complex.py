import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from relu_families import (
    GOLDEN,
    arrangement_counts,
    member,
    nearly_degenerate,
    network,
    sign_vectors_by_linear_programs,
)
from torch import nn

from separatrix.errors import ComputationError, InputError
from separatrix.topology import NonGenericError, edge_signs, pl_critical, relu_complex, relu_level_set


@pytest.mark.parametrize(("net", "expected"), GOLDEN.items(), ids=str)
def test_default_networks_have_their_golden_cells_and_critical_vertices(net, expected):
    complex = relu_complex(network(*net))
    critical = pl_critical(complex)
    assert (complex.f_vector, critical.counts, int(critical.flat.sum())) == expected
    assert complex.status == "complete"


@pytest.mark.parametrize(("n", "d"), [(1, 1), (5, 1), (2, 2), (6, 2), (3, 3), (7, 3), (5, 4), (6, 5), (2, 4)])
def test_one_layer_has_the_counts_of_a_hyperplane_arrangement(n, d):
    assert relu_complex(network((d, n, 1), 3)).f_vector == arrangement_counts(n, d)


@pytest.mark.parametrize(
    ("widths", "seed"), [((1, 4, 3, 1), 0), ((2, 4, 3, 1), 1), ((3, 3, 2, 1), 2), ((2, 2, 2, 2, 1), 3)]
)
def test_the_cells_are_the_sign_vectors_that_linear_programs_find(widths, seed):
    model = network(widths, seed)
    complex = relu_complex(model)
    found = [tuple(row) for k in range(complex.dimension + 1) for row in complex.signs(k).tolist()]
    assert len(found) == len(set(found))
    assert set(found) == sign_vectors_by_linear_programs(model)


@pytest.mark.parametrize("number", range(200))
def test_euler_cross_polytope_deletion_and_boundary_identities_hold(number):
    _, d, model = member(number)
    complex = relu_complex(model)
    f = complex.f_vector
    assert sum((-1) ** k * count for k, count in enumerate(f)) == (-1) ** d
    complex.chain_complex.check()
    assert complex.chain_complex.is_chain_complex()
    # cross-polytope: every choice of sides of the d neurons at a vertex is a cell of its own, and there are 2 d edges
    stars = complex.cells.groups[d].ids
    assert stars.shape == (f[0], 3**d)
    for k in range(d + 1):
        size = np.array([sum(c // 3**i % 3 != 0 for i in range(d)) for c in range(3**d)])
        around = np.sort(stars[:, size == k], axis=1)
        assert (np.diff(around, axis=1) > 0).all()
    assert ((complex.signs(0) == 0).sum(dim=1) == d).all()
    if f[0]:
        assert (edge_signs(complex).order != 0).all()
    # deletion: cutting along one more hypersurface H adds a cell for each cell cut and the cells of H
    level_set = relu_level_set(model, float(complex.values.mean()) + 0.0137 if f[0] else 0.0137)
    on = (*level_set.f_vector, 0)
    assert level_set.complex.f_vector == tuple(f[k] + on[k] + (on[k - 1] if k else 0) for k in range(d + 1))


@pytest.mark.parametrize("seed", range(5))
def test_signs_that_float64_cannot_decide_are_decided_by_integers(seed):
    model = nearly_degenerate(2, 7, seed)
    complex = relu_complex(nn.Sequential(model[0], model[1], model[4]))
    assert complex.exact_decisions > 0
    assert complex.f_vector == arrangement_counts(7, 2)  # as floats the seven lines are in general position


def test_float64_places_every_vertex_within_its_bound():
    complex = relu_complex(network((3, 6, 6, 1), 4))
    sub = complex.subdivision
    from separatrix.topology.relu_exact import ExactVertices

    vertices = ExactVertices(complex.program)
    for v in range(len(sub.zeros)):
        signs = sub.signs[:, v].copy()
        exact = vertices.solve(signs, sub.zeros[v], complex.dimension + 1)  # decides every sign anew
        assert (signs == sub.signs[:, v]).all()
        miss = np.abs(np.array(exact.place_floats()) - sub.located.place[:, v]).max(axis=1)
        assert (miss <= sub.located.place_error[:, v]).all()
        gap = np.abs(np.array(exact.value_floats()) - sub.located.value[:, v])
        assert (gap <= sub.located.value_error[:, v]).all()


def test_a_vertex_far_away_is_not_lost():
    model = network((2, 2, 1), 0)
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 1e-12]]))
        model[0].bias.copy_(torch.tensor([0.0, 1.0]))
    complex = relu_complex(model)
    assert complex.f_vector == (1, 4, 4)
    assert complex.vertices[0].tolist() == pytest.approx([0.0, -1e12])


def test_parallel_and_axis_aligned_hyperplanes_are_generic_at_infinity():
    model = network((2, 4, 1), 0)
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0], [1.0, -1.0]]))
        model[0].bias.copy_(torch.tensor([0.0, 1.0, 0.0, 1.0]))
    assert relu_complex(model).f_vector == (4, 12, 9)  # two pairs of parallel diagonals: a grid


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_permuting_and_rescaling_neurons_changes_nothing(seed, d):
    model = network((d, 6, 5, 1), seed)
    complex = relu_complex(model)
    before = complex.f_vector, pl_critical(complex).counts
    with torch.no_grad():
        order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
        scale = 2.0 ** torch.arange(-3, 3, dtype=torch.float64)
        model[0].weight.copy_(model[0].weight[order] * scale[:, None])
        model[0].bias.copy_(model[0].bias[order] * scale)
        model[2].weight.copy_(model[2].weight[:, order] / scale)
    complex = relu_complex(model)
    assert (complex.f_vector, pl_critical(complex).counts) == before


def test_without_neurons_there_is_one_cell():
    assert relu_complex(nn.Linear(3, 1)).f_vector == (0, 0, 0, 1)


def test_a_neuron_that_is_zero_everywhere_bends_nowhere():
    model = network((2, 4, 1), 5)
    with torch.no_grad():
        model[0].weight[2], model[0].bias[2] = 0.0, 0.0
    assert relu_complex(model).f_vector == arrangement_counts(3, 2)


def test_nothing_of_the_model_is_changed():
    model = nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5).eval(), nn.ReLU(), nn.Linear(5, 1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    pl_critical(relu_complex(model))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert modes == [module.training for module in model.modules()]
    assert torch.equal(state[0], torch.get_rng_state())
    assert (state[1] == np.random.get_state()[1]).all()  # noqa: NPY002
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_budget_stops_with_the_complex_of_the_neurons_so_far_and_says_so():
    model = network((2, 16, 16, 1), 0)
    complex = relu_complex(model, max_vertices=300)
    assert complex.status == "incomplete"
    assert 16 < complex.processed < 32
    assert "incomplete, only" in repr(complex)
    shorter = network((2, 16, 16, 1), 0)
    kept = complex.processed - 16
    shorter[2].weight.data, shorter[2].bias.data = shorter[2].weight[:kept].data, shorter[2].bias[:kept].data
    shorter[4].weight.data = shorter[4].weight[:, :kept].data
    assert relu_complex(shorter).f_vector == complex.f_vector
    with pytest.raises(ComputationError, match=r"stopped after \d+ of 32 neurons; raise max_vertices"):
        pl_critical(complex)


def test_a_budget_below_the_corners_at_infinity_is_refused():
    with pytest.raises(InputError, match="max_vertices must be at least d \\+ 1 = 3"):
        relu_complex(network((2, 4, 1), 0), max_vertices=2)


def test_hyperplanes_through_one_point_are_named():
    model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 1))
    with pytest.raises(NonGenericError, match="also vanishes where neuron 0 of layer '1', neuron 1 of layer '1' meet"):
        relu_complex(model)


def test_duplicate_neurons_are_named():
    model = network((2, 3, 1), 0)
    with torch.no_grad():
        model[0].weight[2], model[0].bias[2] = model[0].weight[0], model[0].bias[0]
    with pytest.raises(NonGenericError, match=r"[Nn]euron \d of layer '1'"):
        relu_complex(model)


def test_float32_networks_are_taken_as_they_are():
    torch.manual_seed(0)
    single = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    assert relu_complex(single).f_vector == GOLDEN[((2, 16, 16, 1), 0)][0]
    assert relu_complex(single).vertices.dtype == torch.float64
