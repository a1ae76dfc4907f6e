import doctest
import importlib
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from separatrix import topology
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import FunctionField
from separatrix.topology.field_basins import CAUGHT, OUTSIDE, field_basins

SQUARE = ((-1.0, 1.0), (-1.0, 1.0))


def field(function, dtype=torch.float64, size=2):
    return FunctionField(function, torch.zeros(size, dtype=dtype), name="tried")


def wells(x):
    return torch.stack([x[0] - x[0] ** 3, -x[1]])


def polar(x):
    return torch.stack([-x[1] + x[0] * (1 - x @ x), x[0] + x[1] * (1 - x @ x)])


def rotation(x):
    return torch.stack([-x[1], x[0]])


@pytest.fixture(scope="module")
def double_well():
    return field_basins(field(wells), ((-1.8, 1.8), (-1.0, 1.0)), resolution=40, rounds=2)


@pytest.fixture(scope="module")
def limit_cycle():
    return field_basins(field(polar), ((-1.5, 1.5), (-1.5, 1.5)), resolution=32, rounds=2)


def test_a_double_well_has_two_basins_parted_by_the_axis(double_well):
    kinds = [attractor.kind for attractor in double_well.attractors]
    assert kinds == ["equilibrium", "equilibrium"]
    for number, attractor in enumerate(double_well.attractors):
        side = attractor.point[0].sign()
        torch.testing.assert_close(attractor.point, torch.stack([side, 0 * side]), atol=1e-8, rtol=0)
        assert attractor.residual < 1e-8
        torch.testing.assert_close(attractor.eigenvalues.real.sort().values, torch.tensor([-2.0, -1.0]).double())
        assert torch.equal(double_well.labels == number, double_well.centres[..., 0].sign() == side)
    expected = torch.zeros(40, 40, dtype=torch.bool)
    expected[19:21] = True
    assert torch.equal(double_well.separatrix, expected)
    assert double_well.undecided_share == 0
    assert double_well.evaluations > 0


def test_cells_whose_centres_lie_on_the_stable_set_of_a_saddle_are_caught_and_undecided():
    # An odd number of cells puts centres on the axis, from where the flow leads into the saddle.
    found = field_basins(field(wells), ((-1.8, 1.8), (-1.0, 1.0)), resolution=15, rounds=2)
    assert bool((found.labels[7] == CAUGHT).all())
    assert int((found.labels == CAUGHT).sum()) == 15
    assert bool(found.undecided[7].all())
    assert len(found.attractors) == 2


def test_basins_of_a_gradient_are_those_of_the_discrete_gradient_of_its_potential():
    def potential(x):  # wells of different depth
        return (x[0] ** 2 - 1) ** 2 / 4 + 0.1 * x[0] + x[0] * x[1] / 4 + x[1] ** 2 / 2

    def downhill(x):
        return -torch.stack([x[0] ** 3 - x[0] + 0.1 + x[1] / 4, x[0] / 4 + x[1]])

    n = 40
    found = field_basins(field(downhill), ((-1.6, 1.6), (-1.6, 1.6)), resolution=n, rounds=2)
    assert [attractor.kind for attractor in found.attractors] == ["equilibrium", "equilibrium"]
    values = torch.vmap(potential)(found.centres.reshape(-1, 2)).reshape(n, n)
    gradient = topology.lower_star_gradient(topology.CubicalComplex((n, n)), values)
    gradient = topology.cancel(gradient, min_persistence=0.01).gradient
    assert gradient.counts[0] == 2
    minima = topology.basins(gradient).reshape(n, n)
    bottoms = [((attractor.point + 1.6) / 3.2 * n).long() for attractor in found.attractors]
    discrete = (minima == minima[tuple(bottoms[1])]).long()
    assert int(discrete[tuple(bottoms[0])]) == 0
    inside = found.labels != OUTSIDE  # orbits that leave the box have no discrete counterpart
    assert inside.double().mean() > 0.9
    # Steepest descent on a grid moves along its axes, so it drifts: a strip along the boundary differs.
    assert (discrete != found.labels)[inside].double().mean() < 0.04
    assert found.undecided_share < 0.08


def test_a_limit_cycle_is_measured(limit_cycle):
    (cycle,) = limit_cycle.attractors
    assert cycle.kind == "cycle"
    # RK4 in 128 steps or more: (2 pi / 128)^4 / 120 of a radian in each, so 3e-7 in a turn.
    assert cycle.period == pytest.approx(2 * math.pi, abs=1e-6)
    assert cycle.radius == pytest.approx(1, abs=1e-6)
    assert abs(cycle.period - 2 * math.pi) <= cycle.period_error < 1e-4
    assert abs(cycle.radius - 1) <= cycle.radius_error < 1e-4
    assert cycle.point.norm() < 1e-6
    assert cycle.residual < 1e-5  # the circle of RK4 with the coarser step, from where the last turn begins, lies off
    assert (cycle.orbit.norm(dim=1) - 1).abs().max() < 1e-5
    assert limit_cycle.share(0) == 1


def test_a_cycle_and_an_equilibrium_share_the_plane_at_the_unstable_circle_between_them():
    def turning(x):
        inward = 2 * (x @ x - 0.25) * (1 - x @ x)
        return torch.stack([inward * x[0] - x[1], inward * x[1] + x[0]])

    tried = field(turning, torch.float32)
    found = field_basins(tried, ((-1.2, 1.2), (-1.2, 1.2)), resolution=20, time=1.0, rounds=2)
    assert [attractor.kind for attractor in found.attractors] == ["cycle", "equilibrium"]
    assert found.attractors[0].period == pytest.approx(2 * math.pi, rel=1e-4)
    assert found.attractors[1].point.norm() < 1e-6
    wrong = (found.labels == 1) != (found.centres.norm(dim=2) < 0.5)
    assert wrong.double().mean() <= found.undecided_share < 0.05


def test_a_pendulum_agrees_with_an_integrator_outside_the_undecided_cells():
    box = ((-4.0, 10.0), (-3.0, 3.0))
    found = field_basins(field(lambda x: torch.stack([x[1], -torch.sin(x[0]) - 0.5 * x[1]])), box, resolution=40)
    wells = [round(float(attractor.point[0] / math.pi)) for attractor in found.attractors]
    assert sorted(wells) == [0, 2]
    assert bool(found.separatrix[int((math.pi + 4) / 0.35), 19:21].any())  # it runs through the saddle
    chosen = torch.randperm(1600, generator=torch.Generator().manual_seed(0))[:60]

    def leaves(_, x):
        return min(x[0] - box[0][0], box[0][1] - x[0], x[1] - box[1][0], box[1][1] - x[1])

    leaves.terminal = True
    wrong = 0
    for start, seen, unsure in zip(
        found.centres.reshape(-1, 2)[chosen].tolist(),
        found.labels.reshape(-1)[chosen].tolist(),
        found.undecided.reshape(-1)[chosen].tolist(),
        strict=True,
    ):
        orbit = solve_ivp(lambda _, x: [x[1], -np.sin(x[0]) - 0.5 * x[1]], (0, 30), start, events=leaves, rtol=1e-7)
        true = OUTSIDE if len(orbit.t_events[0]) else wells.index(round(orbit.y[0, -1] / math.pi))
        wrong += true != seen and not unsure
    assert wrong == 0


def test_a_linear_centre_is_undecided():
    found = field_basins(field(rotation), SQUARE, resolution=16, rounds=2)
    assert found.attractors
    assert {attractor.kind for attractor in found.attractors} == {"undecided"}
    assert any("neither attracts nor repels" in attractor.reason for attractor in found.attractors)


@pytest.mark.parametrize(("rate", "kind"), [(-0.5, "equilibrium"), (0.0, "undecided")])
def test_a_focus_is_an_equilibrium_only_where_it_attracts(rate, kind):
    found = field_basins(field(lambda x: rotation(x) + rate * x), SQUARE, resolution=16, rounds=2)
    assert found.attractors[0].kind == kind


@pytest.mark.parametrize("resolution", [16, 17])
def test_an_outflow_leaves_everything_outside(resolution):
    found = field_basins(field(lambda x: x), SQUARE, resolution=resolution)
    assert found.attractors == ()
    # The centre of an odd grid is the source itself.
    assert int((found.labels == OUTSIDE).sum()) == resolution**2 - resolution % 2
    assert int((found.labels == CAUGHT).sum()) == resolution % 2


def test_a_field_that_stands_still_is_undecided():
    found = field_basins(field(torch.zeros_like), SQUARE, resolution=8, rounds=1)
    assert [attractor.kind for attractor in found.attractors] == ["undecided"]
    assert found.share(0) == 1


def test_a_time_that_is_too_short_leaves_everything_undecided():
    short = field_basins(field(wells), ((-1.8, 1.8), (-1.0, 1.0)), resolution=16, time=0.02, rounds=1)
    assert short.undecided_share == 1


def test_bad_input_is_refused_by_name():
    with pytest.raises(InputError, match="field must be of two dimensions, got 3 in 'tried'"):
        field_basins(field(lambda x: -x, size=3), SQUARE)
    with pytest.raises(InputError, match=r"low < high, got \(\(1, 1\), \(0, 1\)\)"):
        field_basins(field(wells), ((1, 1), (0, 1)))
    with pytest.raises(InputError, match="resolution must be at least 8 cells along each axis, got 3"):
        field_basins(field(wells), SQUARE, resolution=3)
    for name in ("time", "steps", "rounds"):
        with pytest.raises(InputError, match=f"{name} must be positive, got -1"):
            field_basins(field(wells), SQUARE, **{name: -1})
    with pytest.raises(NonFiniteError, match="the field 'tried' is not finite at point number 0 of 64"):
        field_basins(field(lambda x: torch.log(x)), SQUARE, resolution=8)


def test_the_picture_shows_basins_by_colour_hatch_and_words(double_well, limit_cycle):
    plt.switch_backend("Agg")
    own = plt.figure().add_subplot()
    ax = topology.plot_field_basins(double_well, own)
    assert ax is own
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(texts) == ["equilibrium (-1, 0): 50.0%", "equilibrium (1, 0): 50.0%"]
    assert len({patch.get_hatch() for patch in ax.get_legend().get_patches()}) == 2
    assert ax.get_title() == "2 basins, 0.00% of the cells undecided"
    assert ax.get_aspect() == 1
    ax.figure.canvas.draw()
    texts = [text.get_text() for text in topology.plot_field_basins(limit_cycle).get_legend().get_texts()]
    assert texts == ["cycle, period 6.283, radius 1: 100.0%"]
    plt.close("all")


def test_the_example_holds():
    result = doctest.testmod(importlib.import_module("separatrix.topology.field_basins"))
    assert (result.attempted, result.failed) == (4, 0)
