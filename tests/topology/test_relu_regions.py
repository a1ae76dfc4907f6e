import numpy as np
import pytest
import torch
from relu_families import network
from scipy.spatial import ConvexHull
from torch import nn

from separatrix.topology import bounded_cells, relu_complex, relu_regions


def test_three_lines_enclose_a_triangle_of_known_area():
    model = network((2, 3, 1), 0)
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
        model[0].bias.copy_(torch.tensor([0.0, 0.0, 3.0]))
    regions = relu_regions(relu_complex(model))
    assert regions.bounded.sum() == 1
    assert float(regions.volume[regions.bounded]) == pytest.approx(4.5, rel=1e-14)
    assert regions.signs[regions.bounded].tolist() == [[1, 1, 1]]
    assert regions.volume[~regions.bounded].isinf().all()


@pytest.mark.parametrize("n", [5, 7])
@pytest.mark.parametrize("d", [2, 3])
def test_an_arrangement_has_its_number_of_bounded_regions(n, d):
    from math import comb

    assert int(bounded_cells(relu_complex(network((d, n, 1), 1)), d).sum()) == comb(n - 1, d)


@pytest.mark.parametrize(("d", "width"), [(1, 6), (2, 6), (3, 4)])
def test_volumes_are_those_of_the_hulls_of_the_vertices(d, width):
    complex = relu_complex(network((d, width, width, 1), 2))
    regions = relu_regions(complex)
    corners = {int(r): [] for r in torch.nonzero(regions.bounded)}
    group = complex.cells.groups[d]
    tops = [c for c in range(3**d) if all(c // 3**i % 3 for i in range(d))]
    for vertex, row in enumerate(group.ids[:, tops]):
        for region in row:
            corners.get(int(region), []).append(vertex)
    assert len(corners) > 3
    for region, own in corners.items():
        points = complex.vertices[own].numpy()
        volume = np.ptp(points) if d == 1 else ConvexHull(points).volume
        assert float(regions.volume[region]) == pytest.approx(volume, rel=1e-7, abs=1e-12)


def test_the_affine_maps_are_the_derivatives_that_autograd_finds():
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.LeakyReLU(0.1), nn.Linear(4, 2)).double()
    complex = relu_complex(model)
    regions = relu_regions(complex)
    points = torch.randn(50, 3, dtype=torch.float64)
    jacobians = torch.func.vmap(torch.func.jacrev(model))(points)
    before, _ = complex.program.evaluate(points.numpy())
    number = {tuple(row): i for i, row in enumerate(regions.signs.tolist())}
    where = [number[tuple(row)] for row in np.where(before > 0, 1, -1).tolist()]
    torch.testing.assert_close(regions.gradient[where], jacobians.detach())
