"""Pictures of decompositions show the numbers of their records."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from separatrix.dynamics import SGD, Method
from separatrix.errors import InputError
from separatrix.fields import FunctionField, Space
from separatrix.linalg import Dense
from separatrix.probes import diagnose, interplay
from separatrix.probes.decompose import balance, decompose_box, decompose_game, local_split
from separatrix.probes.decompose.record_section import decomposition_section
from separatrix.probes.record import WRITERS
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


def test_a_report_says_whether_the_field_is_a_gradient():
    spiral = FunctionField(
        lambda x: torch.stack([-x[0] - 2 * x[1], 2 * x[0] - x[1]]),
        torch.ones(2, dtype=torch.float64),
        players={"x": 1, "y": 1},
    )
    found = diagnose(spiral, method=Method({"x": SGD(0.1), "y": SGD(0.1)}))
    assert found["decomposition"]["potentialness"]["value"] == pytest.approx(0.2)
    page, text = WRITERS[".html"](found), WRITERS[".md"](found)
    assert "Is it a gradient?" in page
    assert "potentialness (shaded: in any units)" in page
    assert "| in all units | 0.200 to 0.500 |" in text
    alone = FunctionField(lambda x: -x, torch.ones(2, dtype=torch.float64))
    assert diagnose(alone).sections.get("decomposition") is None


def test_the_section_agrees_with_the_split_within_its_errors():
    """From block norms that were measured anyway, on a game too large to be exact."""
    n = 400
    matrix = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix[: n // 2] *= 4
    space = Space.of_sizes({"a": n // 2, "b": n // 2})
    exact = local_split(Dense(matrix), space, probes=n).potentialness
    section = decomposition_section(interplay(Dense(matrix), space, probes=20))["potentialness"]
    assert 0 < abs(section["value"] - exact.value) <= 3 * section["stderr"]
    halves = (slice(0, n // 2), slice(n // 2, n))
    norms = torch.stack([torch.stack([matrix[i][:, j].norm() for j in halves]) for i in halves])
    whole = float((matrix * matrix.T).sum())
    wanted = (1 + whole / balance(norms.square()).square) / 2
    assert abs(section["balanced"] - wanted) <= 3 * section["balanced_stderr"]
    assert section["scales"]["a"] / section["scales"]["b"] == pytest.approx(4**0.5, rel=0.1)
