"""Rest points: all of them, each named by its eigenvalues, with names on each side of every threshold."""

from __future__ import annotations

import math

import pytest
import torch

from separatrix.errors import InputError
from separatrix.fields import FunctionField
from separatrix.fields.pure import pure
from separatrix.probes.rest_points import name_of, rest_points
from separatrix.zoo import load

BOX = ((-2.0, 2.0), (-2.0, 2.0))


def linear(matrix, at=(0.3, -0.2)):
    J, c = torch.tensor(matrix, dtype=torch.float64), torch.tensor(at, dtype=torch.float64)
    return FunctionField(lambda x: J @ (x - c), torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize(
    ("matrix", "kind"),
    [
        ([[-1.0, 0.0], [0.0, -3.0]], "stable node"),
        ([[2.0, 1.0], [0.0, 0.5]], "unstable node"),
        ([[1.0, 4.0], [0.0, -0.1]], "saddle"),
        ([[-0.1, 1.0], [-1.0, -0.1]], "stable focus"),
        ([[1e-6, 1.0], [-1.0, 1e-6]], "unstable focus"),
        ([[0.0, 1.0], [-1.0, 0.0]], "centre?"),
        ([[1.0, 2.0], [0.5, 1.0]], "degenerate"),
        ([[-1.0, 1.0], [0.0, -1.0]], "stable node or focus"),
        ([[2.0, 0.0], [0.0, 2.0]], "unstable node or focus"),
    ],
)
def test_linear_fields_have_their_textbook_names(matrix, kind):
    found = rest_points(linear(matrix), BOX, resolution=8)
    assert {rest.kind for rest in found} == {kind}
    if kind != "degenerate":
        (rest,) = found
        torch.testing.assert_close(rest.point, torch.tensor([0.3, -0.2], dtype=torch.float64))
        expected = torch.linalg.eigvals(torch.tensor(matrix, dtype=torch.float64))
        gap = torch.cdist(torch.view_as_real(expected), torch.view_as_real(rest.eigenvalues)).min(dim=1).values
        assert float(gap.max()) <= rest.eigenvalue_error
        assert rest.residual < 1e-12
        assert rest.sentence.startswith(f"{kind} at (0.3, -0.2), eigenvalues")


def test_names_change_exactly_at_their_thresholds():
    e = 1e-9
    assert name_of(-2 * e, -1.0, e, e)[0] == "stable focus"
    assert name_of(-e, -1.0, e, e)[0] == "centre?"
    assert name_of(e, -1.0, e, e)[0] == "centre?"
    assert name_of(2 * e, -1.0, e, e)[0] == "unstable focus"
    assert name_of(-1.0, 2 * e, 0.0, e)[0] == "stable node"
    assert name_of(-1.0, e, 0.0, e)[0] == "stable node or focus"
    assert name_of(1.0, -e, 0.0, e)[0] == "unstable node or focus"
    assert name_of(1.0, -2 * e, 0.0, e)[0] == "unstable focus"
    # Real eigenvalues -1 and high, with an error of e: sqrt(gap) = (1 + high) / 2.
    for high, kind in ((-3 * e, "stable node"), (-0.5 * e, "degenerate"), (0.5 * e, "degenerate"), (3 * e, "saddle")):
        assert name_of((high - 1) / 2, ((1 + high) / 2) ** 2, e, 0.0)[0] == kind
    for low, kind in ((-3 * e, "saddle"), (0.5 * e, "degenerate"), (3 * e, "unstable node")):
        assert name_of((low + 1) / 2, ((1 - low) / 2) ** 2, e, 0.0)[0] == kind


def test_all_zeros_of_the_torus_are_found_once():
    found = rest_points(pure(load("torus-gan", epsilon=0.1).field()), ((-2.0, 2.0), (-2.0, 2.0)))
    half = math.pi / 2
    assert [tuple(round(c, 6) + 0.0 for c in rest.point.tolist()) for rest in found] == [
        (pytest.approx(a, abs=1e-6), pytest.approx(b, abs=1e-6))
        for a, b in ((-half, -half), (-half, half), (0, 0), (half, -half), (half, half))
    ]
    assert [rest.kind for rest in found] == ["saddle", "saddle", "stable focus", "saddle", "saddle"]


def test_a_line_of_equilibria_is_degenerate_all_along():
    found = rest_points(pure(load("tandem").field()), BOX, resolution=10)
    assert len(found) > 5
    assert {rest.kind for rest in found} == {"degenerate"}
    assert all(abs(float(rest.point.sum()) - 1) < 1e-9 for rest in found)


@pytest.mark.parametrize("slope", [1.0, 10.0])
@pytest.mark.parametrize("order", [2, 3, 4, 7])
def test_a_zero_of_higher_order_is_one_degenerate_point(order, slope):
    """Newton's step is only a share of the way there, so that names by the derivative found under way would be wrong."""
    field = FunctionField(
        lambda z: torch.stack([slope * (z[0] - 0.37) ** order, -z[1]]), torch.zeros(2, dtype=torch.float64)
    )
    (rest,) = rest_points(field, BOX)
    assert rest.kind == "degenerate"
    assert abs(float(rest.point[0]) - 0.37) < 1e-7
    assert float(rest.eigenvalues.abs().min()) <= rest.eigenvalue_error


def test_a_zero_of_higher_order_in_both_directions_is_found():
    field = FunctionField(
        lambda z: (z @ z) ** 2 * torch.stack([-z[0] - z[1], z[0] - z[1]]), torch.zeros(2, dtype=torch.float64)
    )
    (rest,) = rest_points(field, BOX)
    assert rest.kind == "degenerate"
    assert float(rest.point.norm()) < 1e-7


@pytest.mark.parametrize("half", [1e-2, 1e-5, 1e-6])
def test_two_zeros_close_together_are_both_found_and_named(half):
    field = FunctionField(lambda z: torch.stack([z[0] ** 2 - half**2, -z[1]]), torch.zeros(2, dtype=torch.float64))
    node, saddle = rest_points(field, BOX)
    assert (node.kind, saddle.kind) == ("stable node", "saddle")
    assert float(saddle.point[0] - node.point[0]) == pytest.approx(2 * half, rel=1e-6)


def test_two_zeros_that_rounding_joins_are_one_degenerate_point():
    field = FunctionField(lambda z: torch.stack([z[0] ** 2 - 1e-16, -z[1]]), torch.zeros(2, dtype=torch.float64))
    (rest,) = rest_points(field, BOX)
    assert rest.kind == "degenerate"
    assert rest.error > 1e-8


def test_a_very_stiff_node_is_one_point_where_it_is():
    field = FunctionField(
        lambda z: torch.stack([0.3 - z[0], 1e-11 * (0.1 - z[1])]), torch.zeros(2, dtype=torch.float64)
    )
    (rest,) = rest_points(field, BOX)
    assert rest.kind == "stable node"
    assert rest.point.tolist() == pytest.approx([0.3, 0.1], abs=1e-6)


def test_zeros_in_a_field_that_is_tiny_over_most_of_the_box_are_found():
    """At their rounding, not at exactly nothing: the field there is far above its median over the box."""

    def field(z):
        rounded = torch.stack([z[0] + z[1] - 0.7, z[0] * z[1] - 0.1]) * torch.exp(-(z @ z))
        return rounded + 1e-17 * torch.exp(-(z @ z))

    found = rest_points(FunctionField(field, torch.zeros(2, dtype=torch.float64)), ((-8.0, 8.0), (-8.0, 8.0)))
    assert [rest.point.tolist() for rest in found] == [pytest.approx([0.2, 0.5]), pytest.approx([0.5, 0.2])]
    # v' = (1 1; y x) exp(-|z|^2) has the determinant x - y, times a positive number.
    assert [rest.kind for rest in found] == ["saddle", "unstable node"]


def test_a_field_without_zeros_has_none():
    assert rest_points(FunctionField(lambda x: torch.ones_like(x) + 0 * x, torch.zeros(2)), BOX) == ()


def test_float32_fields_are_named_within_their_precision():
    field = FunctionField(lambda x: torch.stack([x[1], -x[0]]), torch.zeros(2))
    (rest,) = rest_points(field, BOX, resolution=6)
    assert rest.kind == "centre?"
    assert rest.eigenvalue_error > 1e-6


def test_bad_input_is_named():
    with pytest.raises(InputError, match="has 3 dimensions"):
        rest_points(FunctionField(lambda x: -x, torch.zeros(3)), BOX)
    with pytest.raises(InputError, match="low < high and two starts"):
        rest_points(FunctionField(lambda x: -x, torch.zeros(2)), ((1.0, 1.0), (0.0, 1.0)))
    with pytest.raises(InputError, match="low < high and two starts"):
        rest_points(FunctionField(lambda x: -x, torch.zeros(2)), ((-math.inf, math.inf), (0.0, 1.0)))
