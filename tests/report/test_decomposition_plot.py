"""Pictures of decompositions show the numbers of their records."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from separatrix.errors import InputError
from separatrix.fields import FunctionField, Space
from separatrix.linalg import Dense
from separatrix.probes.decompose import decompose_box, decompose_game, local_split
from separatrix.report import decomposition_plot as plot


def field(function, n=2):
    return FunctionField(function, torch.zeros(n, dtype=torch.float64))


def test_potentialness_is_marked_with_its_range():
    matrix = torch.tensor([[-1.0, 3.0], [-2.0, -1.0]], dtype=torch.float64)
    section = local_split(Dense(matrix), Space.of_sizes({"x": 1, "y": 1})).section()
    ax = plot.potentialness(section)
    share = section["potentialness"]
    assert ax.texts[0].get_text() == f"{share['value']:.0%}"
    assert any(np.allclose(line.get_xdata(), [share["least"], share["most"]]) for line in ax.lines)
    plt.close("all")
    still = local_split(Dense(torch.zeros(2, 2))).section()
    with pytest.raises(InputError, match="no share to draw"):
        plot.potentialness(still)


def test_a_planar_field_is_drawn_in_three_panels():
    spiral = field(lambda x: torch.stack([-x[0] - 2 * x[1], 2 * x[0] - x[1]]))
    found = decompose_box(spiral, (-1, -1), (1, 1), 8)
    axes = plot.plane_parts(found, labels=("x", "y"))
    assert [ax.get_title() for ax in axes] == [
        "the field",
        f"descends: {found.shares['gradient']:.0%}",
        f"turns: {found.shares['rotation']:.0%}",
    ]
    still = decompose_box(field(lambda x: -x), (-1, -1), (1, 1), 8, boundary="normal")
    plot.plane_parts(still)
    plt.close("all")
    with pytest.raises(InputError, match="needs two dimensions, this grid has 3"):
        plot.plane_parts(decompose_box(field(lambda x: -x, 3), [-1] * 3, [1] * 3, 4))


def test_games_of_two_are_tables_and_others_bars():
    axes = plot.game_parts(decompose_game([[[1, -2], [3, -4]], [[4, -3], [2, -1]]], players=["$row$", "column"]))
    assert len(axes) == 8
    assert [t.get_text() for t in axes[0].texts] == ["1.00", "−2.00", "3.00", "−4.00"]
    assert [ax.get_title() for ax in axes[:4]] == ["payoffs", "potential", "harmonic", "non-strategic"]
    three = plot.game_parts(decompose_game(np.random.default_rng(0).normal(size=(3, 2, 2, 2))))
    assert len(three) == 1
    plt.close("all")
