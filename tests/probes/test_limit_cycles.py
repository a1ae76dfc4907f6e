"""Limit cycles by return maps: periods, radii and multipliers against closed forms and published integrations."""

from __future__ import annotations

import math

import pytest
import torch

from separatrix.errors import InputError
from separatrix.fields import FunctionField
from separatrix.probes.limit_cycles import limit_cycles
from separatrix.zoo import load

CENTRE = [torch.zeros(2, dtype=torch.float64)]
BOX = ((-1.1, 1.1), (-1.1, 1.1))


def bumps(z):
    return z / 2 - 2 * z**3 + z**5


FORSAKEN = FunctionField(
    lambda z: torch.stack([-(z[1] - 0.45 + bumps(z[0])), z[0] - bumps(z[1])]), torch.zeros(2, dtype=torch.float64)
)


@pytest.mark.parametrize("a", [1.0, 1 / 3])
def test_the_cycles_of_the_polar_game_have_their_closed_forms(a):
    problem = load("polar-game", a=a)
    found = limit_cycles(problem.field(), CENTRE, BOX, starts=32)
    assert [cycle.kind for cycle in found.cycles] == ["unstable cycle", "stable cycle"]
    for cycle, known in zip(found.cycles, problem.fact("cycles"), strict=True):
        assert abs(cycle.period - known["period"]) <= cycle.period_error < 1e-6
        assert abs(cycle.radius - known["radius"]) <= cycle.radius_error < 1e-6
        assert cycle.multiplier == pytest.approx(known["multiplier"], rel=2e-3)
        assert cycle.residual < 1e-6
        assert cycle.centre.norm() < 1e-6
        assert cycle.orbit.norm(dim=1).std() < 1e-6
    assert len(found.families) == 0
    assert found.evaluations > 0


def test_both_cycles_of_forsaken_are_found_also_the_weak_inner_one():
    problem = load("forsaken")
    at = [torch.tensor(problem.fact("equilibrium"), dtype=torch.float64)]
    found = limit_cycles(FORSAKEN, at, ((-1.5, 1.5), (-1.5, 1.5)), starts=32)
    assert len(found.cycles) == 2
    for cycle, known in zip(found.cycles, problem.fact("cycles"), strict=True):
        assert cycle.period == pytest.approx(known["period"], abs=3 * cycle.period_error)
        assert cycle.radius == pytest.approx(known["radius"], abs=3 * cycle.radius_error)
        assert cycle.multiplier == pytest.approx(known["multiplier"], rel=1e-3, abs=1e-5)
        assert (cycle.kind == "stable cycle") == known["stable"]
    assert "unstable cycle around (0.034, 0.437), period 7.16988 (within" in found.cycles[0].sentence


def test_a_centre_has_a_family_and_a_focus_nothing():
    turn = FunctionField(lambda x: torch.stack([-x[1], 2 * x[0]]), torch.zeros(2, dtype=torch.float64))
    found = limit_cycles(turn, CENTRE, BOX, starts=16)
    assert found.cycles == ()
    assert found.families.tolist() == [[0.0, 0.0]]
    sink = FunctionField(lambda x: torch.stack([-x[1] - 0.1 * x[0], x[0]]), torch.zeros(2, dtype=torch.float64))
    found = limit_cycles(sink, CENTRE, BOX, starts=16)
    assert (found.cycles, len(found.families)) == ((), 0)
    node = FunctionField(lambda x: -x, torch.zeros(2, dtype=torch.float64))
    assert limit_cycles(node, CENTRE, BOX, starts=16).cycles == ()


def test_one_cycle_around_several_rest_points_is_one():
    """Rotation of radius 1 around the origin, counted from two centres within it."""

    def field(z):
        square = z @ z
        return torch.stack([z[1] - z[0] * (square - 1), -z[0] - z[1] * (square - 1)])

    centres = [torch.tensor([0.0, 0.0]).double(), torch.tensor([0.2, 0.1]).double()]
    found = limit_cycles(
        FunctionField(field, torch.zeros(2, dtype=torch.float64)), centres, ((-2.0, 2.0), (-2.0, 2.0)), starts=24
    )
    (cycle,) = found.cycles
    assert cycle.radius == pytest.approx(1, abs=1e-6)
    assert cycle.multiplier == pytest.approx(math.exp(-4 * math.pi), abs=2e-4)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="has 3 dimensions"):
        limit_cycles(FunctionField(lambda x: -x, torch.zeros(3)), [], BOX)
    with pytest.raises(InputError, match="starts must be at least 8, got 2"):
        limit_cycles(FunctionField(lambda x: -x, torch.zeros(2)), [], BOX, starts=2)
