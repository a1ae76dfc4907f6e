"""Planes and slices: coordinates, what points out, losses, and planes of modes, turning, paths and chance."""

from __future__ import annotations

import pytest
import torch

from separatrix.errors import ComputationError, InputError
from separatrix.fields import FunctionField, Game
from separatrix.probes.plane_slices import (
    Plane,
    coordinate_plane,
    field_slice,
    mode_plane,
    path_plane,
    random_plane,
    turning_plane,
)
from separatrix.zoo import load

BOX = ((-1.0, 1.0), (-2.0, 2.0))


def linear(n=5, seed=0, **changes):
    A = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return FunctionField(lambda x: A @ x, torch.ones(n, dtype=torch.float64)), A


def test_a_plane_is_orthonormal_and_its_coordinates_go_back_and_forth():
    pair = torch.tensor([[3.0, 0, 0, 4], [1, 1, 0, 0]], dtype=torch.float64)
    plane = Plane.spanned(torch.arange(4.0, dtype=torch.float64), pair, ("a", "b"), "a test")
    torch.testing.assert_close(plane.axes @ plane.axes.T, torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(plane.axes[0], pair[0] / 5)
    points = torch.randn(7, 2, dtype=torch.float64)
    torch.testing.assert_close(plane.coordinates(plane.at(points)), points)
    with pytest.raises(InputError, match="not parallel and not zero; a line does not"):
        Plane.spanned(torch.zeros(4), torch.ones(2, 4), ("a", "b"), "a line")


def test_a_slice_holds_the_part_in_the_plane_and_the_share_that_points_out():
    field, A = linear()
    plane = coordinate_plane(field, 1, 3)
    found = field_slice(field, plane, box=BOX, resolution=5)
    assert found.gradients == 25
    for row, b in enumerate(found.y.tolist()):
        for column, a in enumerate(found.x.tolist()):
            x = torch.ones(5, dtype=torch.float64)
            x[1] += a
            x[3] += b
            v = A @ x
            torch.testing.assert_close(found.along[row, column], v[[1, 3]])
            share = 1 - v[[1, 3]].square().sum() / v.square().sum()
            assert float(found.outside[row, column]) == pytest.approx(float(share))
    assert found.outside_share == float(found.outside.median())
    planar = FunctionField(lambda x: -x, torch.ones(2, dtype=torch.float64))
    assert field_slice(planar, coordinate_plane(planar), box=BOX).outside_share == pytest.approx(0, abs=1e-12)


def test_losses_are_drawn_where_there_are_some():
    field = load("four-players").field()
    found = field_slice(field, coordinate_plane(field, 0, 2), box=BOX, resolution=3, losses=True)
    x = field.point
    x[0] += found.x[2]
    x[2] += found.y[1]
    expected = {player: sum(terms.values()) for player, terms in field.losses(x).items()}
    assert {player: float(values[1, 2]) for player, values in found.losses.items()} == pytest.approx(expected)
    with pytest.raises(InputError, match="bare field and has no losses"):
        field_slice(linear()[0], coordinate_plane(linear()[0]), box=BOX, losses=True)


def test_places_where_the_field_is_not_finite_are_left_out():
    def rooted(x):
        return torch.stack([x[0].sqrt(), x[1]])

    field = FunctionField(rooted, torch.ones(2, dtype=torch.float64))
    found = field_slice(field, coordinate_plane(field), box=BOX, resolution=4)
    assert bool(found.along[:, :2].isnan().any(dim=-1).all())
    assert not bool(found.along[:, 2:].isnan().any())


def test_the_plane_of_the_mode_holds_the_rotation():
    J = torch.zeros(6, 6, dtype=torch.float64)
    J[0, 3], J[3, 0] = -2.0, 2.0
    J -= 0.1 * torch.eye(6, dtype=torch.float64)
    field = FunctionField(lambda x: J @ x, torch.ones(6, dtype=torch.float64), players={"a": 3, "b": 3})
    for plane in (mode_plane(field), turning_plane(field)):
        inside = torch.zeros(6, dtype=torch.float64)
        inside[[0, 3]] = 1
        assert float((plane.axes * (1 - inside)).norm()) < 1e-3
    assert "rad per unit of time" in turning_plane(field).name
    assert "-0.1+2j" in mode_plane(field).name
    still = FunctionField(lambda x: -x, torch.ones(4, dtype=torch.float64))
    with pytest.raises(ComputationError, match="nothing turns"):
        turning_plane(still)
    assert mode_plane(still).labels == ("along the mode", "along a second one")


def test_the_share_of_all_turning_is_exact_or_comes_with_its_spread():
    field, A = linear(11)
    turning = (A - A.T) / 2
    share = 2 * float(torch.linalg.eigvals(turning).imag.max()) ** 2 / float(turning.square().sum())
    assert turning_plane(field).name.endswith(f"per unit of time, {share:.0%} of all turning")
    assert "% (give or take" in turning_plane(linear(120)[0]).name


def test_the_plane_of_a_path_holds_its_spread():
    t = torch.linspace(0, 6, 50, dtype=torch.float64)
    path = torch.zeros(50, 4, dtype=torch.float64)
    path[:, 1], path[:, 3] = 3 * t.cos(), 2 * t.sin()
    path[:, 0] = 0.01 * torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plane = path_plane(path)
    assert torch.equal(plane.origin, path[-1])
    assert abs(float(plane.axes[0, 1])) > 0.99
    assert abs(float(plane.axes[1, 3])) > 0.99
    assert "100% of its spread" in plane.name
    with pytest.raises(InputError, match="three points"):
        path_plane(path[:2])
    with pytest.raises(InputError, match="on a line"):
        path_plane(t[:, None] * torch.ones(4, dtype=torch.float64))


def test_a_random_plane_has_the_lengths_of_the_tensors():
    x, y = torch.full((50,), 3.0, dtype=torch.float64), torch.full((50,), 0.01, dtype=torch.float64)
    field = Game({"x": x, "y": y}, lambda m, b: (m["x"] * m["y"]).sum()).on()
    one, other = random_plane(field, seed=0), random_plane(field, seed=1)
    assert not torch.equal(one.axes, other.axes)
    assert torch.equal(one.axes, random_plane(field, seed=0).axes)
    assert float(one.axes[0, :50].norm() / one.axes[0, 50:].norm()) == pytest.approx(300)


def test_bad_planes_are_named():
    field = linear()[0]
    with pytest.raises(InputError, match="between 0 and 4 span a plane, got 1 and 1"):
        coordinate_plane(field, 1, 1)
    with pytest.raises(InputError, match="two points a side and low < high"):
        field_slice(field, coordinate_plane(field), box=BOX, resolution=1)
