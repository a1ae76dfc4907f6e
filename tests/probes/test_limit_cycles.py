"""Limit cycles by return maps: periods, radii and multipliers against closed forms and published integrations."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.integrate import solve_ivp

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
    assert 0 < float(found.family_errors) < 1e-6
    sink = FunctionField(lambda x: torch.stack([-x[1] - 0.1 * x[0], x[0]]), torch.zeros(2, dtype=torch.float64))
    found = limit_cycles(sink, CENTRE, BOX, starts=16)
    assert (found.cycles, len(found.families)) == ((), 0)
    node = FunctionField(lambda x: -x, torch.zeros(2, dtype=torch.float64))
    assert limit_cycles(node, CENTRE, BOX, starts=16).cycles == ()


def van_der_pol(mu, sign=1.0):
    return FunctionField(
        lambda z: sign * torch.stack([z[1], mu * (1 - z[0] ** 2) * z[1] - z[0]]), torch.zeros(2, dtype=torch.float64)
    )


def turning(growth):
    """``r' = r growth(r^2)``, one turn in ``2 pi``."""

    def field(z):
        g = growth(z @ z)
        return torch.stack([z[0] * g - z[1], z[1] * g + z[0]])

    return FunctionField(field, torch.zeros(2, dtype=torch.float64))


def test_a_cycle_that_orbits_leave_too_fast_to_come_round_is_found_backwards():
    """Van der Pol's, reversed: the multiplier is the exponential of minus the divergence, integrated by SciPy over a turn."""
    (cycle,) = limit_cycles(van_der_pol(2.0, -1.0), CENTRE, ((-3.0, 3.0), (-5.0, 5.0)), starts=12).cycles

    def flow(_, z):
        return [z[1], 2 * (1 - z[0] ** 2) * z[1] - z[0], 2 * (1 - z[0] ** 2)]

    def down(t, z):
        return z[1] if t > 0.1 else 1.0

    down.direction = -1
    settled = solve_ivp(flow, (0, 60), [2.0, 0.0, 0.0], rtol=1e-10, atol=1e-12, events=down)
    start, end = settled.y_events[0][-2:]
    period = settled.t_events[0][-1] - settled.t_events[0][-2]
    assert cycle.kind == "unstable cycle"
    assert abs(cycle.period - period) <= cycle.period_error < 1e-3
    assert math.log(cycle.multiplier) == pytest.approx(-(end[2] - start[2]), rel=1e-4)
    assert cycle.residual < 1e-3
    # In the direction of motion of the reversed field.
    moved = cycle.orbit[1] - cycle.orbit[0]
    assert float(moved @ van_der_pol(2.0, -1.0)(cycle.orbit[0])) > 0


def test_a_stiff_cycle_has_the_period_of_other_integrators():
    (cycle,) = limit_cycles(van_der_pol(5.0), CENTRE, ((-3.0, 3.0), (-9.0, 9.0)), starts=8).cycles
    assert cycle.kind == "stable cycle"
    assert cycle.period == pytest.approx(11.612231, abs=2e-5)  # LSODA to 1e-11
    assert abs(cycle.multiplier) <= cycle.multiplier_error + 1e-10
    assert cycle.residual < 1e-3


def test_a_cycle_with_a_slow_drift_is_no_family_of_orbits():
    found = limit_cycles(turning(lambda s: 1e-6 * (1 - s)), CENTRE, ((-2.0, 2.0), (-2.0, 2.0)), starts=12)
    assert len(found.families) == 0
    (cycle,) = found.cycles
    assert cycle.kind == "stable cycle"
    assert cycle.multiplier - 1 == pytest.approx(-4e-6 * math.pi, rel=0.2)
    assert abs(cycle.radius - 1) <= cycle.radius_error < 1e-3
    assert "multiplier 1 - 1.3e-05" in cycle.sentence
    found = limit_cycles(turning(lambda s: -1e-6 + 0 * s), CENTRE, ((-2.0, 2.0), (-2.0, 2.0)), starts=12)
    assert (found.cycles, len(found.families)) == ((), 0)


def test_two_cycles_three_hundredths_apart_are_two():
    found = limit_cycles(turning(lambda s: -(s - 1) * (s - 1.03**2)), CENTRE, BOX, starts=96)
    assert [cycle.kind for cycle in found.cycles] == ["unstable cycle", "stable cycle"]
    assert [cycle.radius for cycle in found.cycles] == pytest.approx([1, 1.03], abs=1e-5)


def test_in_float32_the_errors_are_those_of_float32():
    def field(z):
        square = z @ z
        return torch.stack([-z[1] - z[0] * (square - 1), z[0] - z[1] * (square - 1)])

    field32 = FunctionField(field, torch.zeros(2))
    (cycle,) = limit_cycles(field32, [torch.zeros(2)], ((-2.0, 2.0), (-2.0, 2.0)), starts=12).cycles
    assert abs(cycle.period - 2 * math.pi) <= cycle.period_error < 1e-3
    assert abs(cycle.radius - 1) <= cycle.radius_error < 1e-3
    assert abs(cycle.multiplier - math.exp(-4 * math.pi)) <= cycle.multiplier_error < 0.01


def test_orbits_for_which_the_steps_do_not_suffice_are_counted():
    field = FunctionField(
        lambda z: torch.stack([-z[1] + 0 * z[0], z[0] - 1e5 * (z[0] ** 2 + z[1] ** 2 - 1) * z[1]]),
        torch.zeros(2, dtype=torch.float64),
    )
    assert limit_cycles(field, CENTRE, BOX, starts=8).given_up > 0


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
