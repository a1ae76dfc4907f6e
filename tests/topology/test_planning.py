import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from separatrix.errors import InputError
from separatrix.topology import CubicalComplex, World, cancel, lower_star_gradient, plan_routes, pull_taut
from separatrix.topology.planning import sample
from separatrix.topology.skeleton import draw_skeleton, simple_routes

THREE_DISCS = World((-1.0, -1.0), (1.0, 1.0), ((0.0, 0.0), (0.0, 0.75), (0.0, -0.75)), (0.3, 0.2, 0.2))
START, GOAL = (-0.9, 0.0), (0.9, 0.0)


@pytest.fixture(scope="module")
def plan():
    return plan_routes(THREE_DISCS, START, GOAL)


def test_three_discs_leave_four_rooms_and_six_passages_with_exact_clearances(plan):
    assert plan.betti_numbers == (1, 3)
    assert len(plan.rooms) == 4
    found = sorted(passage.clearance for passage in plan.passages)
    assert found == pytest.approx([0.025, 0.025, 0.125, 0.125, 0.35, 0.35], abs=1e-12)


def test_the_raw_gradient_on_the_closed_free_space_has_the_golden_staircase_noise():
    grid, points = sample(THREE_DISCS, 121)
    clearance = THREE_DISCS.clearance(points)
    height = torch.where(clearance >= 0, -clearance, 10 - clearance).reshape(121, 121)
    gradient = lower_star_gradient(grid, height)
    assert [int((gradient.critical_values(k) <= 0).sum()) for k in range(3)] == [51, 53, 0]


def test_all_noise_cancelled_a_disc_with_three_holes_keeps_one_minimum_and_three_saddles():
    grid, points = sample(THREE_DISCS, 121)
    clearance = THREE_DISCS.clearance(points)
    height = torch.where(clearance > 0, -clearance, 10 - clearance).reshape(121, 121)
    simple = cancel(lower_star_gradient(grid, height), min_persistence=5.0).gradient
    assert [int((simple.critical_values(k) < 0).sum()) for k in range(3)] == [1, 3, 0]


def test_three_discs_have_four_classes_and_the_widest_is_wide_as_the_widest_gap(plan):
    assert plan.complete
    assert [route.clearance for route in plan.routes] == pytest.approx([0.125, 0.125, 0.025, 0.025], abs=1e-12)
    assert len({route.homotopy_class for route in plan.routes}) == 4


def test_the_shortest_path_round_the_middle_disc_has_its_closed_form(plan):
    expected = 2 * math.sqrt(0.81 - 0.09) + 0.3 * (math.pi - 2 * math.acos(1 / 3))
    assert expected == pytest.approx(1.90096, abs=1e-5)
    for route in plan.routes[:2]:
        assert route.shortest.exact
        assert route.shortest.length == pytest.approx(expected, abs=1e-12)
    outer = 2 * math.sqrt(0.81 + 0.75**2 - 0.04) + 0.2 * 2 * (
        math.atan(0.75 / 0.9) + math.asin(0.2 / math.hypot(0.9, 0.75))
    )
    for route in plan.routes[2:]:
        assert route.shortest.length == pytest.approx(outer, abs=1e-12)


def test_every_route_stays_free_and_keeps_its_class_when_pulled_taut(plan):
    for route in plan.routes:
        assert torch.equal(route.path[0], torch.tensor(START, dtype=torch.float64))
        assert torch.equal(route.path[-1], torch.tensor(GOAL, dtype=torch.float64))
        assert bool((THREE_DISCS.clearance(route.path) > 0).all())
        assert THREE_DISCS.homotopy_class(route.shortest.points) == route.homotopy_class
        polygon = float(route.shortest.points.diff(dim=0).norm(dim=1).sum())
        assert polygon == pytest.approx(route.shortest.length, rel=2e-3)
        assert route.shortest.length < float(route.path.diff(dim=0).norm(dim=1).sum())


@pytest.mark.parametrize("discs", [1, 2, 4])
def test_a_column_of_discs_leaves_one_class_more_than_discs(discs):
    heights = [2 * (j + 1) / (discs + 1) - 1 for j in range(discs)]
    world = World((-1.0, -1.0), (1.0, 1.0), tuple((0.0, y) for y in heights), (0.6 / (discs + 1),) * discs)
    found = plan_routes(world, (-0.9, 0.05), (0.9, 0.05), resolution=81)
    assert found.betti_numbers == (1, discs)
    assert len(found.routes) == discs + 1
    assert found.routes[0].clearance == pytest.approx(max(2 / (discs + 1) - 1.2 / (discs + 1), 1.4 / (discs + 1)) / 2)


def test_a_straight_way_is_its_own_shortest_path():
    world = World((-1.0, -1.0), (1.0, 1.0), ((0.0, 0.8),), (0.1,))
    found = plan_routes(world, (-0.9, -0.5), (0.9, -0.5), resolution=61)
    assert min(route.shortest.length for route in found.routes) == pytest.approx(1.8, abs=1e-12)


def test_an_empty_box_has_one_room_and_one_class():
    found = plan_routes(
        World((0.0, 0.0), (2.0, 1.0), (), ()), (0.2, 0.5), (1.8, 0.5), resolution=41, min_persistence=0.1
    )
    assert found.betti_numbers == (1, 0)
    (route,) = found.routes
    assert (route.homotopy_class, route.clearance) == ((), math.inf)
    assert route.shortest.length == pytest.approx(1.6, abs=1e-12)


def test_discs_at_the_wall_or_in_a_heap_are_one_hole_or_none():
    world = World((-1.0, -1.0), (1.0, 1.0), ((0.0, 0.0), (0.2, 0.0), (0.9, 0.9), (-0.5, 0.0)), (0.15, 0.15, 0.2, 0.1))
    assert world.holes == (0, 3)


def test_an_obstacle_chain_from_wall_to_wall_leaves_no_route():
    world = World((-1.0, -1.0), (1.0, 1.0), tuple((0.0, y / 4) for y in range(-4, 5)), (0.2,) * 9)
    found = plan_routes(world, START, GOAL, resolution=61)
    assert found.routes == ()
    assert found.complete
    assert found.betti_numbers == (2, 0)


def loop(centre, radius, turns, start=math.pi):
    angles = start + torch.linspace(0, 2 * math.pi * turns, 100, dtype=torch.float64)
    return torch.stack([centre[0] + radius * angles.cos(), centre[1] + radius * angles.sin()], dim=1)


def test_words_reduce_and_tell_loops_apart():
    world = World((-2.0, -2.0), (2.0, 2.0), ((-0.5, 0.0), (0.5, 0.1)), (0.2, 0.2))
    once, twice, back = (world.homotopy_class(loop((-0.5, 0.0), 0.4, turns)) for turns in (1, 2, -1))
    assert len(once) == 1
    assert twice == once * 2
    assert back == (-once[0],)
    there_and_back = torch.cat([loop((-0.5, 0.0), 0.4, 1), loop((-0.5, 0.0), 0.4, -1)])
    assert world.homotopy_class(there_and_back) == ()
    a, b = loop((-0.5, 0.0), 0.5, 1, 0.0), loop((0.5, 0.1), 0.5, 1)
    commutator = torch.cat([a, b, a.flip(0), b.flip(0)])
    assert len(world.homotopy_class(commutator)) == 4


def test_a_taut_path_may_pass_a_disc_on_either_side_and_wind_between_two():
    world = World((-2.0, -2.0), (2.0, 2.0), ((-0.5, 0.0), (0.5, 0.0)), (0.3, 0.3))
    slalom = torch.tensor([[-1.5, 0.0], [-0.5, 0.8], [0.5, -0.8], [1.5, 0.0]], dtype=torch.float64)
    found = pull_taut(world, slalom)
    # By symmetry: tangent, arc, half of the inner tangent; the ends are 1 from the centres, the centres 1 apart.
    outer = math.sqrt(1 - 0.09)
    inner = math.sqrt(1 - 0.36)
    arc = 0.3 * (math.asin(0.3) + math.asin(0.6))
    assert found.exact
    assert found.length == pytest.approx(2 * outer + inner + 2 * arc, abs=1e-12)


def test_a_band_that_slips_over_a_tiny_disc_is_not_passed_off_as_the_shortest_path():
    world = World((-1.0, -1.0), (1.0, 1.0), ((0.0, 0.0),), (0.003,))
    detour = torch.tensor([[-0.9, -0.3], [0.0, 0.8], [0.9, -0.3]], dtype=torch.float64)
    found = pull_taut(world, detour)
    assert world.homotopy_class(found.points) == world.homotopy_class(detour)
    shortest = 2 * math.hypot(0.9, 0.3)
    assert shortest <= found.length <= 2 * math.hypot(0.9, 1.1) + 1e-12
    assert found.exact == (found.length < shortest + 0.01)


@pytest.mark.parametrize("height", [-0.95, -0.5])
def test_a_disc_that_is_barely_met_is_no_stop_and_gets_no_whole_turn(height):
    world = World((-1.0, -1.0), (1.0, 1.0), ((0.0, height),), (0.2,))
    way = torch.tensor([[-0.9, height + 0.20001], [0.0, 0.5], [0.9, height + 0.20001]], dtype=torch.float64)
    found = pull_taut(world, way)
    assert found.exact
    assert found.length == pytest.approx(1.8, abs=1e-12)


def test_routes_on_a_graph_meet_no_vertex_twice_and_skip_dead_ends():
    graph = {0: {1}, 1: {0, 2, 3}, 2: {1, 4, 5}, 3: {1, 4}, 4: {2, 3}, 5: {2, 6}, 6: {5}}
    found = [route for route in simple_routes(graph, 0, 4) if route is not None]
    assert found == [[0, 1, 2, 4], [0, 1, 3, 4]]
    assert [route for route in simple_routes(graph, 3, 3) if route is not None] == [[3]]
    assert graph[5] == {2, 6}


def test_the_skeleton_joins_critical_edges_to_minima():
    gradient = lower_star_gradient(CubicalComplex((5,)), torch.tensor([0.0, 2.0, 1.0, 3.0, 0.5]))
    (ridge,) = cancel(gradient, min_persistence=1.2).gradient.critical(1).tolist()
    graph = draw_skeleton(cancel(gradient, min_persistence=1.2).gradient, [ridge], [])
    assert graph == {0: {2}, 2: {0, 4}, 4: {2, 6}, 6: {4, 8}, 8: {6}}


@given(st.integers(0, 10**6))
@example(331797)  # two routes turn by more than half a circle on a disc
@example(21)  # a disc that is barely met by a nearly straight way
@example(132)  # a coarser band slips over a disc
@settings(max_examples=8, deadline=None)
def test_random_worlds_have_the_homology_of_their_holes_and_one_taut_path_per_class(seed):
    rng = np.random.default_rng(seed)
    discs: list[tuple[float, float, float]] = []
    while len(discs) < 4:
        x, y, radius = *rng.uniform(-0.55, 0.55, 2), rng.uniform(0.08, 0.15)
        if all(math.hypot(x - a, y - b) > radius + r + 0.1 for a, b, r in discs):
            discs.append((x, y, radius))
    world = World((-1.0, -1.0), (1.0, 1.0), tuple((x, y) for x, y, _ in discs), tuple(r for *_, r in discs))
    found = plan_routes(world, (-0.9, 0.0), (0.9, 0.0), resolution=61)
    assert found.betti_numbers == (1, 4)
    assert len({route.homotopy_class for route in found.routes}) == len(found.routes) >= 5
    assert all(route.shortest.exact for route in found.routes)
    for route in found.routes:
        assert world.homotopy_class(route.path) == route.homotopy_class
        assert world.homotopy_class(route.shortest.points) == route.homotopy_class
        assert 1.8 - 1e-12 <= route.shortest.length <= float(route.path.diff(dim=0).norm(dim=1).sum())


def test_a_budget_of_routes_is_reported_as_incomplete():
    short = plan_routes(THREE_DISCS, START, GOAL, max_routes=2)
    assert not short.complete
    assert len(short.routes) == 2
    assert plan_routes(THREE_DISCS, START, GOAL, max_routes=4).complete


def test_a_grid_that_closes_corridors_gives_an_incomplete_plan():
    coarse = plan_routes(THREE_DISCS, START, GOAL, resolution=31)
    assert coarse.betti_numbers == (1, 1)
    assert len(coarse.routes) == 2
    assert not coarse.complete


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": (0.0, 0.1)}, r"start must lie in free space, got \(0.0, 0.1\) with clearance -0.2"),
        ({"goal": (1.5, 0.0)}, r"goal must lie in free space"),
        ({"start": (-0.995, 0.005)}, "clearance 0.005, but the nearest grid point is 0.007071 away: raise resolution"),
        ({"resolution": 2}, "resolution must be at least 3"),
        ({"resolution": 4}, "Disc 0 contains no grid point: raise resolution above 4"),
        ({"max_routes": 0}, "max_routes 1, got 4, 0|max_routes 1, got 121, 0"),
    ],
)
def test_plans_that_cannot_be_made_are_refused(change, message):
    arguments = {"start": START, "goal": GOAL} | change
    with pytest.raises(InputError, match=message):
        plan_routes(THREE_DISCS, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((1.0, 0.0), (0.0, 1.0), (), ()), "lower must lie below upper"),
        (((0.0, 0.0), (1.0, 1.0), ((0.5, 0.5),), ()), "centres and radii must match, got 1 and 0"),
        (((0.0, 0.0), (1.0, 1.0), ((0.5, 0.5),), (0.0,)), r"radii must be positive, got \(0.0,\)"),
    ],
)
def test_worlds_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        World(*arguments)


def test_the_grid_has_equal_spacing_along_both_sides():
    grid, points = sample(World((0.0, 0.0), (2.0, 1.0), (), ()), 21)
    assert grid == CubicalComplex((21, 11))
    assert float(points[1, 1] - points[0, 1]) == pytest.approx(float(points[11, 0] - points[0, 0]))
