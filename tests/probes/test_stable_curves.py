"""Stable curves of saddles against closed forms."""

from __future__ import annotations

import pytest
import torch

from separatrix.fields import FunctionField
from separatrix.probes.rest_points import rest_points
from separatrix.probes.stable_curves import stable_curves

BOX = ((-2.0, 2.0), (-1.0, 1.0))
ZERO = torch.zeros(2, dtype=torch.float64)


def saddles(field):
    return [rest for rest in rest_points(field, BOX, resolution=10) if rest.kind == "saddle"]


@pytest.mark.parametrize("speed", [1e-9, 1.0, 1e9])
def test_a_parabola_runs_into_the_saddle(speed):
    """``x' = x - 3 y^2``, ``y' = -y``: the stable curve is ``x = y^2``."""
    field = FunctionField(lambda z: speed * torch.stack([z[0] - 3 * z[1] ** 2, -z[1]]), ZERO)
    spent = field.gradients
    curves = stable_curves(field, saddles(field), BOX)
    assert len(curves) == 2
    for curve in curves:
        assert float((curve[:, 0] - curve[:, 1] ** 2).abs().max()) < 1e-5
        assert float(curve[-1, 1].abs()) == pytest.approx(1, abs=0.02)
        assert float((curve[1:] - curve[:-1]).norm(dim=1).max()) < 0.02
    assert field.gradients > spent


def test_a_curve_from_a_source_ends_there():
    """``x' = x^3 - x``, ``y' = y - 4 y^3``: the saddle at 0 lies between the sources (-1, 0) and (1, 0)."""
    field = FunctionField(lambda z: torch.stack([z[0] ** 3 - z[0], z[1] - 4 * z[1] ** 3]), ZERO)
    (middle,) = [rest for rest in saddles(field) if float(rest.point.norm()) < 0.1]
    ends = sorted(curve[-1].tolist() for curve in stable_curves(field, [middle], BOX))
    assert ends == [pytest.approx([-1, 0], abs=1e-3), pytest.approx([1, 0], abs=1e-3)]


def test_without_saddles_there_are_no_curves():
    assert stable_curves(FunctionField(lambda z: -z, ZERO), [], BOX) == []
