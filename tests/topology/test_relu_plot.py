import matplotlib
import pytest
from relu_families import network

from separatrix.errors import InputError
from separatrix.topology import pl_critical, plot_relu_complex, plot_relu_level_set, relu_complex, relu_level_set

matplotlib.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("d", [2, 3])
def test_plots_return_their_axes_and_say_what_they_show(d):
    model = network((d, 8, 8, 1), 1)
    complex = relu_complex(model)
    axes = plot_relu_complex(complex, critical=pl_critical(complex))
    assert axes.get_title() == f"{complex.f_vector[d]} regions, {complex.f_vector[0]} vertices (complete)"
    assert [text.get_text().split(" (")[0] for text in axes.get_legend().get_texts()] == [
        f"index {k}" for k in range(d + 1)
    ]
    window = ((-1.0, 1.0),) * d
    again = plot_relu_level_set(relu_level_set(model, float(complex.values.median()) + 1e-3), window=window, ax=axes)
    assert again is axes
    assert axes.get_title().startswith("F = ")
    assert axes.get_xlim() == (-1.0, 1.0)
    axes.figure.canvas.draw()


def test_rays_and_lines_reach_the_edge_of_the_window():
    from separatrix.topology.relu_plot import _segments

    model = network((2, 1, 1), 0)
    model[0].weight.data[:], model[0].bias.data[:] = 1.0, 0.0  # the line x + y = 0
    (segment,) = _segments(relu_complex(model), ((-1.0, 1.0), (-2.0, 2.0)))
    assert sorted(segment[:, 0].tolist()) == pytest.approx([-1.0, 1.0])
    assert segment.sum(axis=1).tolist() == pytest.approx([0.0, 0.0])


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InputError, match="drawn for two or three inputs, got 1"):
        plot_relu_complex(relu_complex(network((1, 4, 1), 0)))
    complex = relu_complex(network((2, 4, 1), 0))
    with pytest.raises(InputError, match="window must be 2 pairs"):
        plot_relu_complex(complex, window=((0.0, 1.0),))
    with pytest.raises(InputError, match="ax must be two-dimensional"):
        plot_relu_complex(complex, ax=plt.figure().add_subplot(projection="3d"))
