import numpy as np
import pytest
import torch
from relu_families import member, network
from torch import nn

from separatrix.errors import ComputationError, InputError
from separatrix.topology import NonGenericError, integer_homology, relu_complex, relu_level_set


class Rings(nn.Module):
    """F = | |x|_octagon - 3 | - 1 in the plane: its zero set is two nested octagons."""

    def __init__(self):
        super().__init__()
        self.distance, self.sum = nn.Linear(2, 4), nn.Linear(4, 1)
        with torch.no_grad():
            self.distance.weight.copy_(torch.tensor([[1.0, 0.5], [-1.0, -0.5], [-0.5, 1.0], [0.5, -1.0]]))
            self.distance.bias.fill_(0.125)
            self.sum.weight.fill_(1.0)
            self.sum.bias.fill_(-3.0)

    def forward(self, x):
        return torch.abs(self.sum(torch.relu(self.distance(x)))) - 1.0


def test_two_nested_octagons_bound_an_annulus():
    level_set = relu_level_set(Rings())
    assert level_set.betti_numbers() == (2, 2)
    assert level_set.sublevel_betti_numbers() == (1, 1)
    assert level_set.superlevel_betti_numbers() == (2, 1)  # the hole, and the plane around
    assert level_set.f_vector[0] == level_set.f_vector[1] > 0


def test_a_surface_round_a_cube_is_a_sphere():
    model = network((3, 6, 1), 0)
    with torch.no_grad():
        model[0].weight.copy_(torch.cat([torch.eye(3), -torch.eye(3)]))
        model[0].bias.fill_(0.25)
        model[2].weight.fill_(1.0)
        model[2].bias.fill_(-4.0)
    level_set = relu_level_set(model)
    assert level_set.betti_numbers() == (1, 0, 1)
    assert level_set.sublevel_betti_numbers() == (1, 0, 0)
    assert level_set.superlevel_betti_numbers() == (1, 0, 1)


@pytest.mark.parametrize("number", range(24))
def test_level_and_sides_fulfil_mayer_and_vietoris(number):
    _, _, model = member(8 * 3 + number if number % 8 else number + 8)
    complex = relu_complex(model)
    level = float(complex.values.median()) + 0.0123 if len(complex.vertices) else 0.0123
    level_set = relu_level_set(model, level)
    sub, sup = level_set.sublevel_betti_numbers(), level_set.superlevel_betti_numbers()
    for side in (-1, 0, 1):
        dual = level_set.dual_complex(side)
        dual.check()
        assert dual.is_chain_complex()
    if sum(level_set.f_vector) == 0:
        assert sorted((sum(sub), sum(sup))) == [0, 1]
        return
    # R^d is contractible, so the reduced homology of the level set is the sum of those of its sides
    reduced = [b - (k == 0) for k, b in enumerate(level_set.betti_numbers())]
    assert reduced == [a + b - 2 * (k == 0) for k, (a, b) in enumerate(zip(sub, sup, strict=True))]


def test_homology_over_the_integers_agrees_and_is_free():
    homology = integer_homology(relu_level_set(Rings()).dual_complex(0))
    assert homology.betti == (2, 2)
    assert homology.torsion == ((), ())


def test_the_cells_of_the_level_set_have_the_level():
    model = network((2, 8, 8, 1), 3)
    level_set = relu_level_set(model, -0.21)
    points = level_set.complex.vertices[level_set.cells(0)]
    assert len(points) == level_set.f_vector[0] > 0
    np.testing.assert_allclose(model(points).detach().numpy(), -0.21, atol=1e-12)


def test_two_outputs_have_a_decision_boundary():
    model = network((2, 8, 2), 1)
    level_set = relu_level_set(model)
    points = level_set.complex.vertices[level_set.cells(0)]
    scores = model(points)
    torch.testing.assert_close(scores[:, 0], scores[:, 1])


def test_levels_without_a_level_set_are_refused():
    model = network((2, 4, 1), 0)
    with pytest.raises(InputError, match="level must be a finite number, got nan"):
        relu_level_set(model, float("nan"))
    with pytest.raises(InputError, match="A level set needs one output, or two to take the difference of, got 3"):
        relu_level_set(network((2, 4, 3), 0))
    with pytest.raises(ComputationError, match="relu_level_set needs the whole complex"):
        relu_level_set(model, max_vertices=6)
    with torch.no_grad():
        model[0].weight[:, 1] = 0.0
        model[0].weight[:, 0], model[0].bias[:] = 1.0, torch.arange(4.0)  # F is constant left of all kinks
    with pytest.raises(NonGenericError, match=r"[Nn]euron 0 of layer 'output'"):
        relu_level_set(model, float(model[2].bias.detach()))
