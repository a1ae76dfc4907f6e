import matplotlib.pyplot as plt
import pytest
import torch

from separatrix import topology
from separatrix.errors import InputError


@pytest.fixture(autouse=True)
def _closed():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def counted(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_critical_cells_are_drawn_where_they_lie():
    values = torch.tensor([[0.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 0.0]])
    grid = topology.CubicalComplex((3, 3))
    ax = topology.plot_critical_cells(grid, topology.lower_star_gradient(grid, values))
    assert counted(ax) == ["dimension 0 (4)", "dimension 1 (4)", "dimension 2 (1)"]
    corners = {tuple(point) for point in ax.collections[0].get_offsets().tolist()}
    assert corners == {(0, 0), (0, 2), (2, 0), (2, 2)}


def test_a_curve_has_its_critical_cells_on_it():
    values = torch.tensor([0.0, 3.0, 1.0, 2.0])
    grid = topology.CubicalComplex((4,))
    own = plt.figure().add_subplot()
    ax = topology.plot_critical_cells(grid, topology.lower_star_gradient(grid, values), ax=own)
    assert ax is own
    assert ax.collections[0].get_offsets().tolist() == [[0, 0], [2, 1]]
    assert ax.collections[1].get_offsets()[:, 1].tolist() == [3]


def test_the_diagram_shows_long_bars_and_those_that_stay_at_the_top():
    values = torch.tensor([0.0, 3.0, 1.0, 2.0, 1.75])
    bars = topology.persistence(topology.lower_star_gradient(topology.CubicalComplex((5,)), values))
    assert counted(topology.plot_persistence(bars)) == ["dimension 0 (3)"]
    ax = topology.plot_persistence(bars, min_persistence=1)
    stays, dies = ax.collections[0].get_offsets().tolist()
    assert dies == [1, 3]
    assert stays[0] == 0
    assert stays[1] > 3


def test_volumes_are_refused_by_name():
    grid = topology.CubicalComplex((2, 2, 2))
    gradient = topology.lower_star_gradient(grid, torch.arange(8.0).reshape(2, 2, 2))
    with pytest.raises(InputError, match="one or two dimensions, got 3; see plot_persistence"):
        topology.plot_critical_cells(grid, gradient)
