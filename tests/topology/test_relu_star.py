import numpy as np
import pytest
import torch
from relu_families import FAMILIES, network
from torch import nn

from separatrix.errors import ComputationError, InputError
from separatrix.topology import edge_signs, pl_critical, relu_complex, vertex_star


@pytest.mark.parametrize("family", ["generic", "deep", "leaky", "dead parts", "residual"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_star_found_locally_is_the_one_in_the_complex(family, d):
    model = FAMILIES[family](d, 6, 17)
    complex = relu_complex(model)
    signs, critical = edge_signs(complex), pl_critical(complex)
    index = dict(zip(critical.cells.tolist(), critical.index.tolist(), strict=True))
    number = {tuple(row): i for i, row in enumerate(complex.signs(0).tolist())}
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        point = 2 * torch.randn(d, dtype=torch.float64, generator=generator)
        try:
            star = vertex_star(model, point)
        except ComputationError as error:
            assert "no vertex within reach" in str(error)  # noqa: PT017
            continue
        vertex = number[tuple(star.signs.tolist())]
        torch.testing.assert_close(star.point, complex.vertices[vertex], atol=star.error + 1e-9, rtol=1e-9)
        assert star.value == pytest.approx(float(complex.values[vertex, 0]), abs=1e-9)
        certain = star.slopes.abs() > star.slope_errors
        assert (star.slopes.sign()[certain] == torch.from_numpy(signs.change[vertex])[certain]).all()
        expected = "critical" if vertex in index else "flat" if critical.flat[vertex] else "regular"
        assert star.kind in (expected, "undecided")
        assert star.index == index.get(vertex) or star.kind == "undecided"


@pytest.mark.parametrize(
    ("slopes", "errors", "expected"),
    [
        ([[1.0, -1.0], [1.0, 1.0]], 0.1, ("regular", None)),
        ([[1.0, 1.0], [1.0, 1.0]], 0.1, ("critical", 0)),
        ([[-1.0, -1.0], [1.0, 1.0]], 0.1, ("critical", 1)),
        ([[-1.0, -1.0], [-1.0, -1.0]], 0.1, ("critical", 2)),
        ([[-1.0, 0.11], [1.0, 1.0]], 0.1, ("regular", None)),
        ([[-1.0, 0.1], [1.0, 1.0]], 0.1, ("undecided", None)),
        ([[-1.0, 0.0], [1.0, 1.0]], 0.1, ("undecided", None)),
        ([[-1.0, 0.0], [1.0, 1.0]], 0.0, ("flat", None)),
    ],
)
def test_a_kind_is_claimed_only_when_no_slope_is_within_its_error(slopes, errors, expected):
    from separatrix.topology.relu_star import _classify

    assert _classify(np.array(slopes), np.full((2, 2), errors)) == expected


def test_along_every_edge_one_neuron_leaves_zero_and_the_output_changes_at_the_slope():
    model = network((3, 12, 12, 1), 2)
    star = vertex_star(model, torch.zeros(3, dtype=torch.float64))
    value = model(star.point).item()
    for k in range(3):
        for side in range(2):
            step = 1e-6 / float(star.directions[k, side].norm())
            moved = star.point + step * star.directions[k, side]
            assert model(moved).item() - value == pytest.approx(step * float(star.slopes[k, side]), rel=1e-5, abs=1e-14)


def test_the_minimum_of_a_sum_of_distances_is_critical_of_index_zero():
    model = network((4, 8, 1), 0)
    with torch.no_grad():
        model[0].weight.copy_(torch.cat([torch.eye(4), -torch.eye(4)]))
        model[0].bias.copy_(torch.tensor([0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5]))
        model[2].weight.copy_(torch.tensor([[2.0] * 4 + [1.0] * 4]))
    star = vertex_star(model, torch.tensor([-0.3, 0.1, -0.2, 0.4], dtype=torch.float64))
    assert (star.kind, star.index) == ("critical", 0)
    assert star.point.abs().max() < 1e-15
    assert star.names == tuple(f"neuron {i} of layer '1'" for i in range(4))


def test_a_wide_network_of_many_inputs_needs_no_complex():
    model = network((30, 300, 300, 1), 0)
    star = vertex_star(model, torch.zeros(30, dtype=torch.float64))
    assert star.kind in ("regular", "critical")
    assert (star.signs == 0).sum() == 30
    assert star.error < 1e-8


def test_points_and_networks_that_do_not_fit_are_refused():
    model = network((2, 6, 1), 0)
    with pytest.raises(InputError, match=r"point must be a finite vector of shape \(2,\), got shape \(3,\)"):
        vertex_star(model, torch.zeros(3))
    with pytest.raises(InputError, match="vertex_star needs a network with one output, got 2"):
        vertex_star(network((2, 6, 2), 0), torch.zeros(2))
    with pytest.raises(ComputationError, match="no vertex within reach: after 1 of 2 neurons"):
        vertex_star(nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1)), torch.zeros(2))
