"""Line integrals, circulations, the test for a gradient, and potentials: closed forms, and fields that must be refused."""

import math

import pytest
import torch
from torch import nn

from separatrix.errors import ComputationError, InputError
from separatrix.fields import FunctionField, Game
from separatrix.probes.decompose import circulation, conservativity, line_integral, reconstruct_potential


def field(function, n=2, dtype=torch.float64):
    return FunctionField(function, torch.zeros(n, dtype=dtype))


def tensor(*rows):
    return torch.tensor(rows, dtype=torch.float64)


PLANE = torch.eye(2, dtype=torch.float64)
ZERO = torch.zeros(2, dtype=torch.float64)
spin = field(lambda x: torch.stack([-x[1], x[0]]))
vortex = field(lambda x: torch.stack([-x[1], x[0]]) / x.square().sum())
step = field(lambda x: torch.stack([torch.where(x[0] > 0.3, 2.0, 1.0), 0 * x[0]]))
bowl = field(lambda x: -torch.func.grad(lambda p: torch.cosh(p[0]) + p[0] * p[1] ** 2)(x))


def test_the_work_of_a_gradient_field_is_the_drop_of_its_potential():
    path = tensor([0, 0], [1, 2], [-1, 0.5])
    found = line_integral(bowl, path)
    drop = 1 - (math.cosh(1) - 0.25)
    assert found.value == pytest.approx(drop, abs=1e-9)
    assert abs(found.value - drop) <= max(found.error, 1e-14)
    assert found.converged
    assert found.length == pytest.approx(5**0.5 + 2.5)


def test_the_error_of_a_hard_integral_is_honest():
    sharp = field(lambda x: torch.stack([1 / (x[0].square() + 1e-4), 0 * x[0]]))
    found = line_integral(sharp, tensor([-1, 0], [2, 0]), tol=1e-9)
    exact = 100 * (math.atan(200) + math.atan(100))
    assert found.converged
    assert abs(found.value - exact) <= found.error + 1e-9
    rough = line_integral(sharp, tensor([-1, 0], [2, 0]), tol=1e-12, max_gradients=300)
    assert not rough.converged
    assert abs(rough.value - exact) <= rough.error
    assert "raise max_gradients" in rough.status


def test_a_jump_is_said_on_a_path_and_not_integrated_over_in_a_loop():
    found = line_integral(step, tensor([0, 0], [1, 0]), tol=1e-9)
    assert found.value == pytest.approx(1.7, abs=1e-8)
    assert found.jump.place.tolist() == pytest.approx([0.3, 0], abs=1e-6)
    assert found.jump.size == pytest.approx(1)
    assert "jumps by 1.00 on the path" in found.status
    loop = line_integral(step, tensor([0, 0], [1, 0], [1, 1], [0, 0]), tol=1e-9)
    assert math.isnan(loop.value)
    assert "its circulation was not computed" in loop.status
    pole = line_integral(field(lambda x: torch.log(x)), tensor([1, 1], [-1, 1]))
    assert math.isnan(pole.value)
    assert math.isinf(pole.jump.size)


@pytest.mark.parametrize("radius", [0.1, 1.0, 3.0])
def test_a_rigid_rotation_has_twice_the_area(radius):
    found = circulation(spin, tensor([0.3, -2])[0], PLANE, radius)
    assert found.value == pytest.approx(2 * math.pi * radius**2, rel=1e-12)
    assert found.relative == pytest.approx(1, abs=1e-12)
    assert found.through_disc[0] == pytest.approx(found.value, rel=1e-8)
    assert found.sure
    backwards = circulation(spin, ZERO, PLANE.flip(0), radius)
    assert backwards.value == pytest.approx(-2 * math.pi * radius**2)


def test_a_gradient_has_no_circulation():
    found = circulation(bowl, tensor([0.5, 0.2])[0], PLANE, 1.0)
    assert abs(found.value) <= found.error + 1e-12
    assert not found.sure
    assert found.relative < 1e-6


def test_circulation_obeys_stokes_where_the_curl_varies():
    """``v = (0, x^3)``: curl ``3 x^2``, so ``3 pi R^4 / 4`` about the origin."""
    found = circulation(field(lambda x: torch.stack([0 * x[0], x[0] ** 3])), ZERO, PLANE, 2.0)
    assert found.value == pytest.approx(3 * math.pi * 16 / 4, rel=1e-12)
    assert found.through_disc[0] == pytest.approx(found.value, rel=1e-7)


@pytest.mark.parametrize(("centre", "radius"), [((0.4, 0.1), 1.0), ((0.0, 0.0), 0.5), ((-2.0, 1.0), 3.0)])
def test_a_vortex_inside_is_said_and_not_called_a_curl(centre, radius):
    """Its curl is zero wherever it is defined, yet every loop around it has circulation 2 pi."""
    found = circulation(vortex, tensor(centre)[0], PLANE, radius)
    assert math.isnan(found.value)
    assert found.jump is not None
    assert "inside" in found.status
    outside = circulation(vortex, tensor([3, 0])[0], PLANE, 1.0)
    assert abs(outside.value) < 1e-5
    blind = circulation(vortex, tensor(centre)[0], PLANE, radius, rings=0)
    assert blind.value == pytest.approx(2 * math.pi, rel=1e-4)
    assert blind.through_disc is None


def test_a_discontinuity_on_or_in_a_loop_is_said():
    on = circulation(step, ZERO, PLANE, 1.0)
    assert math.isnan(on.value)
    assert on.jump.place[0] == pytest.approx(0.3, abs=1e-6)
    assert "on the loop" in on.status

    def inner(x):
        return torch.where(x.square().sum() < 0.25, 3.0, 1.0) * x

    inside = circulation(field(inner), ZERO, PLANE, 1.0)
    assert math.isnan(inside.value)
    assert "inside the loop" in inside.status
    assert float(inside.jump.place.norm()) == pytest.approx(0.5, abs=1e-6)


def test_the_verdict_is_one_of_three():
    turning = conservativity(spin)
    assert turning.verdict == "not a gradient"
    assert turning.largest == pytest.approx(1)
    straight = conservativity(bowl, tensor([0.1, 0.3])[0], 0.7)
    assert straight.verdict == "a gradient as far as seen"
    broken = conservativity(step, ZERO, 1.0, planes=[PLANE])
    assert broken.verdict == "undecided"
    assert "jumps by 1" in broken.status
    assert conservativity(field(lambda x: -x, n=1)).verdict == "a gradient as far as seen"


def test_a_small_rotation_in_float32_is_undecided_and_in_float64_is_found():
    slight = lambda x: -x + 3e-7 * torch.stack([-x[1], x[0]])  # noqa: E731
    single = conservativity(field(slight, dtype=torch.float32), radius=1.0, tol=1e-8)
    assert single.verdict == "undecided"
    assert conservativity(field(slight), radius=1.0, tol=1e-8).verdict == "not a gradient"
    assert conservativity(field(slight), radius=1.0).verdict == "a gradient as far as seen"


def test_a_rotation_in_one_plane_of_many_is_found():
    """A random plane sees ``1 / n`` of it; the plane of the turning sees it whole."""
    n = 200
    turn = torch.zeros(n, n, dtype=torch.float64)
    turn[0, 1], turn[1, 0] = -1.0, 1.0
    q = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).Q
    matrix = q @ turn @ q.T - 0.1 * torch.eye(n, dtype=torch.float64)
    found = conservativity(field(lambda x: matrix @ x, n), loops=2, rings=0)
    assert found.verdict == "not a gradient"
    assert found.largest > 0.01


def test_networks_are_measured_and_left_alone():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    x = torch.randn(20, 2, dtype=torch.float64)
    one = Game({"f": net}, lambda m, b: m["f"](b).square().mean(), name="fit")
    before = [p.detach().clone() for p in net.parameters()]
    found = conservativity(one.on(x), radius=0.3, loops=2, rings=2)
    assert found.verdict == "a gradient as far as seen"
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_a_potential_is_rebuilt_and_a_rotation_refused():
    points = tensor([0, 0], [1, 1], [-1, 0.5], [0.3, 2])
    found = reconstruct_potential(bowl, points, ZERO)
    exact = torch.cosh(points[:, 0]) + points[:, 0] * points[:, 1] ** 2 - 1
    assert torch.allclose(found.values, exact, atol=1e-8)
    assert found.inconsistency < 1e-8
    with pytest.raises(
        ComputationError, match="no potential here: going to point 2 directly and through point 1 differs"
    ):
        reconstruct_potential(spin, points, ZERO)
    with pytest.raises(ComputationError, match="is not finite"):
        reconstruct_potential(field(lambda x: torch.log(x)), tensor([-1, 1]), ZERO + 1)
    assert reconstruct_potential(step, tensor([1, 0]), ZERO).values.tolist() == pytest.approx([-1.7], abs=1e-5)


def test_paths_planes_and_radii_that_are_none_are_refused():
    with pytest.raises(InputError, match="at least two points"):
        line_integral(spin, tensor([0, 0]))
    with pytest.raises(InputError, match="must be independent"):
        circulation(spin, ZERO, tensor([1, 0], [2, 0]), 1.0)
    with pytest.raises(InputError, match="radius must be positive, got 0"):
        circulation(spin, ZERO, PLANE, 0)
    with pytest.raises(InputError, match="a plane is two directions"):
        circulation(spin, ZERO, tensor([1, 0]), 1.0)
    assert line_integral(spin, tensor([1, 0], [1, 0])).value == 0


def test_a_field_that_is_zero_in_the_middle_of_a_segment_is_integrated_to_the_tolerance():
    field = FunctionField(lambda x: torch.stack([x[0] - 0.5, 0 * x[1]]), torch.zeros(2, dtype=torch.float64))
    found = line_integral(field, torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64))
    assert found.converged
    assert abs(found.value) <= found.error < 1e-9


def test_a_jump_across_a_closed_path_is_said_although_the_integrand_is_smooth():
    """The second component jumps where the two horizontal sides cross x = 0.123; along them only the first counts."""
    square = torch.tensor([[1.0, 1], [-1, 1], [-1, -1], [1, -1], [1, 1]], dtype=torch.float64)
    point = torch.zeros(2, dtype=torch.float64)
    field = FunctionField(lambda x: torch.stack([-x[0], (x[0] > 0.123).to(x) - x[1]]), point)
    found = line_integral(field, square)
    assert found.jump is not None
    assert torch.isnan(torch.tensor(found.value))
    assert abs(float(found.jump.place[0]) - 0.123) < 1e-6
    smooth = line_integral(FunctionField(lambda x: torch.stack([-x[0], -x[1] + x[0].sin()]), point), square)
    assert smooth.jump is None
    assert abs(smooth.value - 4 * torch.tensor(1.0, dtype=torch.float64).sin()) < 1e-9


@pytest.mark.parametrize("order", [32, 33, 128])
def test_a_gradient_that_turns_faster_than_the_first_points_is_not_called_singular(order):
    """``U = Im z^m``: at 16 and 32 points alike the work of ``m = 32`` looks like that of a rotation."""

    def potential(x):
        return x.norm() ** order * torch.sin(order * torch.atan2(x[1], x[0]))

    here = torch.tensor([1e-3, 1e-3], dtype=torch.float64)
    field = FunctionField(lambda x: -torch.func.grad(potential)(x), here)
    found = circulation(field, here, torch.eye(2, dtype=torch.float64), 1.0)
    assert found.jump is None
    assert abs(found.value) < 1e-6 * order
