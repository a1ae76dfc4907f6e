"""Portraits: what is found and said, slices of big fields, files, and what is left out with its reason."""

from __future__ import annotations

import json

import pytest
import torch
from matplotlib.figure import Figure

import separatrix as sx
from separatrix.errors import InputError
from separatrix.fields import FunctionField, Game
from separatrix.probes.plane_slices import coordinate_plane
from separatrix.report.portrait import portrait
from separatrix.report.portrait_plot import draw_portrait
from separatrix.zoo import load
from untouched import untouched

WELLS = FunctionField(
    lambda x: torch.stack([x[0] - x[0] ** 3, -x[1]]), torch.zeros(2, dtype=torch.float64), name="wells"
)
BOX = ((-2.0, 2.0), (-1.0, 1.0))


def test_two_wells_have_two_basins_a_saddle_and_its_separatrix():
    found = portrait(WELLS, box=BOX, cells=24, cycles=False)
    assert [rest.kind for rest in found.rest] == ["stable node", "saddle", "stable node"]
    assert [found.basins.share(k) for k in (0, 1)] == [0.5, 0.5]
    assert len(found.separatrices) == 2
    for curve in found.separatrices:  # the line x = 0, up to the border
        assert float(curve[:, 0].abs().max()) < 1e-9
        assert float(curve[:, 1].abs().max()) == pytest.approx(1, abs=0.02)
    text = str(found)
    assert text.startswith("wells:\n  Stable node at (-1, 0), eigenvalues")
    assert (
        "Of the box lead 50.0% to attractor 1 (equilibrium), 50.0% to attractor 2 (equilibrium); 0.00% is undecided."
        in text
    )


@pytest.mark.parametrize("speed", [1e-9, 1e9])
def test_separatrices_do_not_depend_on_the_unit_of_time(speed):
    scaled = FunctionField(lambda x: speed * WELLS.function(x), WELLS.point)
    found = portrait(scaled, box=BOX, basins=False, cycles=False)
    assert [float(curve[-1, 1].abs()) for curve in found.separatrices] == [pytest.approx(1, abs=0.02)] * 2


def test_a_cycle_and_a_family_of_orbits_are_told_apart():
    found = portrait(load("polar-game").field(), box=((-1.1, 1.1), (-1.1, 1.1)), basins=False)
    assert [cycle.kind for cycle in found.cycles] == ["unstable cycle", "stable cycle"]
    assert found.basins is None
    turn = FunctionField(lambda x: torch.stack([-x[1], x[0]]), torch.zeros(2, dtype=torch.float64), name="turn")
    found = portrait(turn, box=BOX, basins=False)
    assert (found.cycles, found.rest[0].kind) == ((), "centre?")
    assert found.notes[0].startswith(
        "All orbits around (0, 0) close up: a family of them, and no limit cycle. (A drift of"
    )


def test_a_cycle_around_a_degenerate_rest_point_is_sought_too():
    def field(z):
        square = z @ z
        return square * torch.stack([z[0] * (1 - square) - z[1], z[1] * (1 - square) + z[0]])

    found = portrait(FunctionField(field, torch.zeros(2, dtype=torch.float64)), box=((-2, 2), (-2, 2)), basins=False)
    assert [rest.kind for rest in found.rest] == ["degenerate"]
    assert [cycle.kind for cycle in found.cycles] == ["stable cycle"]
    found = portrait(load("tandem").field(), box=((-2, 2), (-2, 2)), basins=False)
    assert found.notes == ("Limit cycles were not sought around the degenerate rest points, of which there are many.",)


def test_an_empty_box_is_said_to_be_empty():
    stream = FunctionField(lambda x: torch.ones_like(x) + 0 * x, torch.zeros(2, dtype=torch.float64))
    assert portrait(stream, box=BOX, basins=False).sentences == [
        "No rest point and no limit cycle was found in the box."
    ]


def test_a_game_is_looked_at_as_a_whole_and_left_as_it_is():
    problem = load("attracting-not-nash")
    with untouched(*problem.game.models.values()):
        found = sx.portrait(problem.field(), box=BOX, basins=False, cycles=False, losses=True)
    assert [rest.kind for rest in found.rest] == ["stable focus"]
    assert set(found.slice.losses) == {"x", "y"}
    torch.testing.assert_close(found.slice.losses["x"], -found.slice.losses["y"])


def test_of_a_planar_game_that_is_no_plain_function_only_the_field_is_shown():
    players = {"x": torch.ones(1), "y": torch.ones(1)}
    game = Game(players, lambda m, batch: (m["x"] * m["y"]).sum() * (1 + 0.1 * torch.randn(())))
    found = portrait(game.on(), box=BOX, resolution=5)
    assert found.rest == ()
    assert found.sentences[-1].startswith("Rest points, cycles and basins were not sought: the losses of")


def test_a_big_field_is_sliced_and_says_what_points_out():
    problem = load("four-players")
    path = torch.stack([torch.tensor([a, b, a * b, 0.0]).double() for a, b in ((1, 0), (0, 1), (-1, 0.5), (0.2, 0.1))])
    for plane in (None, "turning", "random", "path", (0, 3), coordinate_plane(problem.field(), 1, 2)):
        found = portrait(problem.field(), plane=plane, path=path if plane == "path" else None, resolution=5)
        assert not found.planar
        assert found.rest == ()
        assert "of the field's squared length points out of it" in found.sentences[0]
    assert portrait(problem.field(), resolution=5).slice.outside_share < 1
    with pytest.raises(InputError, match="the plane of a path needs path="):
        portrait(problem.field(), plane="path")
    with pytest.raises(InputError, match=r"plane must be one of mode, turning, path, random, .* got 'xy'"):
        portrait(problem.field(), plane="xy")


def test_what_is_no_field_and_no_box_is_named():
    game = Game({"x": torch.ones(1), "y": torch.ones(1)}, lambda models, _: (models["x"] * models["y"]).sum())
    with pytest.raises(
        InputError, match=r"portrait takes a Field, got a Game; bind a game to data first, game\.on\(batch\)"
    ):
        portrait(game)
    with pytest.raises(InputError, match=r"box must be \(\(x_low, x_high\), \(y_low, y_high\)\), got \(1, 2\)"):
        portrait(game.on(), box=(1, 2))
    for side in ((float("-inf"), float("inf")), (float("nan"), 1.0), ("a", "b")):
        with pytest.raises(InputError, match="box must "):
            portrait(game.on(), box=(side, (0.0, 1.0)))


def test_a_field_of_one_dimension_and_paths_that_are_none_are_named():
    with pytest.raises(InputError, match="needs a plane, and 'field' has one dimension"):
        portrait(FunctionField(lambda x: -x, torch.zeros(1)))
    with pytest.raises(InputError, match=r"the field 'field' maps \(2,\) to \(1,\); it must keep the shape"):
        portrait(FunctionField(lambda x: x[:1], torch.zeros(2)))
    field = load("four-players").field()
    for path in ([[1.0, 2.0, 3.0, 4.0]], torch.ones(4), torch.full((4, 4), torch.nan)):
        with pytest.raises(InputError, match="path must be a tensor of finite points"):
            portrait(field, plane="path", path=path)
    with pytest.raises(InputError, match=r"got resolution=4\.5"):
        portrait(field, plane=(0, 1), resolution=4.5)


def test_of_a_field_that_is_not_finite_everywhere_the_basins_are_left_out_with_the_reason():
    rooted = FunctionField(
        lambda z: torch.stack([z[0].sqrt() - 0.5, -z[1]]), torch.ones(2, dtype=torch.float64), name="rooted"
    )
    found = portrait(rooted, box=((-1, 1), (-1, 1)), resolution=6, cycles=False)
    assert [rest.kind for rest in found.rest] == ["saddle"]
    assert found.basins is None
    assert found.notes[0].startswith("Basins were not sought: the field 'rooted' is not finite at point number")


def test_a_plane_out_of_which_nothing_points_is_said_to_be_one():
    turn = FunctionField(lambda x: torch.stack([-x[1], x[0], -x[2]]), torch.zeros(3, dtype=torch.float64))
    found = portrait(turn, plane=(0, 1), resolution=4)
    assert found.sentences == ["The plane of coordinates 0 and 1, out of which nothing of the field points here."]


def test_files_are_written_by_suffix_and_the_same_portrait_is_the_same_file(tmp_path):
    found = portrait(WELLS, box=BOX, cells=16, cycles=False, path=torch.tensor([[1.0, 0.5], [0.9, 0.2]]).double())
    first = found.save(tmp_path / "a.svg").read_bytes()
    assert first == found.save(tmp_path / "b.svg").read_bytes()
    assert b"<svg" in first
    assert found.save(str(tmp_path / "a.png")).read_bytes().startswith(b"\x89PNG")
    data = json.loads(found.save(tmp_path / "a.json").read_text())
    assert data["box"] == [[-2.0, 2.0], [-1.0, 1.0]]
    assert [rest["kind"] for rest in data["rest"]] == ["stable node", "saddle", "stable node"]
    assert data["sentences"] == found.sentences
    with pytest.raises(InputError, match=r"saved as \.svg, \.png, \.pdf or \.json, got 'a\.txt'"):
        found.save(tmp_path / "a.txt")


def test_the_figure_draws_into_given_axes_and_has_a_panel_for_each_loss():
    axes = Figure().add_subplot()
    found = portrait(WELLS, box=BOX, basins=False, cycles=False)
    assert draw_portrait(found, axes) is axes.figure
    assert axes.get_aspect() == 1
    labels = {text.get_text() for text in axes.get_legend().get_texts()}
    assert {"saddle", "stable node", "separatrix"} <= labels
    sliced = portrait(load("four-players").field(), plane=(0, 1), resolution=4, losses=True)
    titles = [ax.get_title() for ax in draw_portrait(sliced).axes if ax.get_title()]
    assert titles[1:] == ["share of |v|² out of the plane", *(f"loss of w{i}" for i in (1, 2, 3, 4))]
