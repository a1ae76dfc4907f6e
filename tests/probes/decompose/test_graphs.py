"""Flows on graphs and complexes: known answers, a dense oracle, and what is refused."""

from itertools import combinations

import networkx
import numpy as np
import pytest
import torch

from separatrix.errors import InputError
from separatrix.probes.decompose import decompose_cochain, decompose_flow, decompose_game, rank_by_hodge
from separatrix.topology import SimplicialComplex


def random_graph(seed: int, n: int = 25, p: float = 0.3):
    edges = [e for e in networkx.gnp_random_graph(n, p, seed=seed).edges if e[0] != e[1]]
    rng = np.random.default_rng(seed)
    turned = [(b, a) if rng.random() < 0.5 else (a, b) for a, b in edges]
    return turned, rng.normal(size=len(edges)), rng.uniform(0.2, 5, size=len(edges))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_add_back_and_are_orthogonal(seed, weighted):
    edges, flow, weights = random_graph(seed)
    w = weights if weighted else np.ones(len(flow))
    found = decompose_flow(edges, flow, weights=w if weighted else None)
    parts = [found.gradient.numpy(), found.curl.numpy(), found.harmonic.numpy()]
    assert np.allclose(sum(parts), flow, atol=1e-10)
    for a, b in combinations(parts, 2):
        assert abs(a @ (w * b)) < 1e-10 * (flow @ (w * flow))
    assert sum(found.shares.values()) == pytest.approx(1, abs=1e-10)
    assert found.residual < 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_a_dense_solver_agrees(seed):
    edges, flow, weights = random_graph(seed)
    found = decompose_flow(edges, flow, weights=weights)
    gradient = np.zeros((len(edges), 25))
    for row, (a, b) in enumerate(edges):
        gradient[row, a], gradient[row, b] = -1, 1
    root = np.sqrt(weights)
    phi = np.linalg.lstsq(root[:, None] * gradient, root * flow, rcond=None)[0]
    assert np.allclose(gradient @ phi, found.gradient, atol=1e-10)
    place = {frozenset(e): i for i, e in enumerate(edges)}
    corners = [t for t in combinations(range(25), 3) if all(frozenset(p) in place for p in combinations(t, 2))]
    boundary = np.zeros((len(edges), len(corners)))
    for column, (a, b, c) in enumerate(corners):
        for start, end in ((a, b), (b, c), (c, a)):
            i = place[frozenset((start, end))]
            boundary[i, column] = 1 if edges[i] == (start, end) else -1
    psi = np.linalg.lstsq(boundary / root[:, None], root * flow, rcond=None)[0]
    assert np.allclose(boundary @ psi / weights, found.curl, atol=1e-9)
    # The harmonic part has no curl round any triangle and no divergence at any vertex.
    assert np.abs(boundary.T @ found.harmonic.numpy()).max() < 1e-9
    assert np.abs(gradient.T @ (weights * found.harmonic.numpy())).max() < 1e-9


def test_a_potential_a_triangle_and_a_hole():
    path = decompose_flow([(0, 1), (1, 2), (2, 3)], [1.0, -2.0, 5.0])
    assert path.shares["gradient"] == pytest.approx(1)
    assert path.potential.tolist() == pytest.approx([-1, 0, -2, 3], abs=1e-12)
    square = [(0, 1), (1, 2), (2, 3), (3, 0)]
    assert decompose_flow(square, [1.0] * 4).shares["harmonic"] == pytest.approx(1)
    triangle = [(0, 1), (1, 2), (2, 0)]
    assert decompose_flow(triangle, [1.0] * 3).shares["curl"] == pytest.approx(1)
    assert decompose_flow(triangle, [1.0] * 3, triangles=()).shares["harmonic"] == pytest.approx(1)


def test_a_triangulated_torus_has_two_harmonic_flows():
    torus = SimplicialComplex.from_simplices([(i, (i + a) % 7, (i + 3) % 7) for i in range(7) for a in (1, 2)])
    lower, upper = torus.cells.boundary(1), torus.cells.boundary(2)
    generator = torch.Generator().manual_seed(0)
    flows = torch.randn(6, 21, generator=generator, dtype=torch.float64)
    harmonic = torch.stack([decompose_cochain(f, lower, upper).harmonic for f in flows])
    values = torch.linalg.svdvals(harmonic)
    assert values[1] > 0.1
    assert values[2] < 1e-10


def test_the_flow_of_a_game_has_its_potential():
    """A finite game's graph of deviations, decomposed by edges, against the closed form."""
    generator = torch.Generator().manual_seed(2)
    payoffs = [torch.randn(3, 4, generator=generator, dtype=torch.float64) for _ in range(2)]
    game = decompose_game(payoffs)
    edges, flow = [], []
    for a in range(3):
        for b in range(4):
            for other in range(a + 1, 3):
                edges.append((4 * a + b, 4 * other + b))
                flow.append(float(payoffs[0][other, b] - payoffs[0][a, b]))
            for other in range(b + 1, 4):
                edges.append((4 * a + b, 4 * a + other))
                flow.append(float(payoffs[1][a, other] - payoffs[1][a, b]))
    found = decompose_flow(edges, flow)
    assert np.allclose(found.potential, game.potential_function.reshape(-1), atol=1e-10)
    # Deviations of one player go round no circle, so what is left is not local.
    assert found.shares["curl"] == pytest.approx(0, abs=1e-12)


def test_ranks_come_from_repeated_and_missing_comparisons():
    truth = np.array([0.0, 3.0, 1.0, -2.0])
    pairs = [(0, 1), (1, 2), (3, 2), (1, 2), (0, 3)]
    found = rank_by_hodge([(a, b, truth[b] - truth[a]) for a, b in pairs])
    assert np.allclose(found.potential.numpy(), truth - truth.mean(), atol=1e-12)
    assert found.cyclic == pytest.approx(0, abs=1e-12)
    wheel = rank_by_hodge([(0, 1, 1.0), (1, 2, 1.0), (2, 0, 1.0)])
    assert wheel.cyclic == pytest.approx(1)
    twice = rank_by_hodge([(0, 1, 1.0), (1, 0, -3.0)])
    assert twice.potential.tolist() == pytest.approx([-1, 1])
    assert rank_by_hodge([(0, 1, 1.0), (0, 1, 3.0)], weights=[3, 1]).potential.tolist() == pytest.approx([-0.75, 0.75])


def test_components_are_counted_and_the_zero_flow_is_said():
    found = decompose_flow([(0, 1), (2, 3)], [0.0, 0.0])
    assert found.components == 2
    assert found.status == "Nothing flows."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([(0, 0)], [1.0]), r"two different vertices with labels from 0 on, got \(0, 0\)"),
        (([(0, 1), (1, 0)], [1.0, 1.0]), r"the edge \(1, 0\) is given twice"),
        (([(0, 1)], [1.0, 2.0]), r"each of the 1 cells, got shape \(2,\)"),
        (([(0, 1)], [np.nan]), "must be finite, got nan at place 0"),
    ],
)
def test_what_is_no_flow_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        decompose_flow(*arguments)


def test_triangles_weights_and_complexes_that_do_not_fit_are_refused():
    square = [(0, 1), (1, 2), (2, 3), (0, 3)]
    with pytest.raises(InputError, match=r"the triangle \(0, 1, 2\) needs the edge \(0, 2\)"):
        decompose_flow(square, [1.0] * 4, triangles=[(0, 1, 2)])
    with pytest.raises(InputError, match="or 'all'; got 'some'"):
        decompose_flow(square, [1.0] * 4, triangles="some")
    with pytest.raises(InputError, match="weights are positive, got 0"):
        decompose_flow(square, [1.0] * 4, weights=[1, 1, 0, 1])
    with pytest.raises(InputError, match="boundary of a boundary"):
        decompose_cochain([1.0], np.ones((1, 1)), np.ones((1, 1)))
    with pytest.raises(InputError, match="no comparison"):
        rank_by_hodge([])


@pytest.mark.parametrize("spread", [0.0, 2.0, 4.0, 6.0])
def test_weights_that_differ_widely_leave_the_harmonic_part_of_a_ring_right(spread):
    """What goes round a ring is the same on every edge in units of its weight: ``h = c / w``, ``c = sum f / sum 1/w``."""
    count = 300
    generator = np.random.default_rng(0)
    weights = 10 ** generator.uniform(-spread, spread, count)
    flow = generator.normal(size=count) + 1
    ring = [(i, (i + 1) % count) for i in range(count)]
    found = decompose_flow(ring, flow, weights=weights)
    exact = flow.sum() / (1 / weights).sum() / weights
    assert np.sqrt(weights @ (found.harmonic.numpy() - exact) ** 2) < 1e-12 * np.sqrt(weights @ flow**2)


@pytest.mark.parametrize(
    ("edges", "error"),
    [
        ([(0, 0.5)], "whole ones"),
        ([("a", "b")], "whole ones"),
        ([(0, 1, 2)], "2 vertex numbers"),
        ([(0, 10**9)], "number them without gaps"),
    ],
)
def test_labels_that_are_no_vertex_numbers_are_refused(edges, error):
    with pytest.raises(InputError, match=error):
        decompose_flow(edges, [1.0])


@pytest.mark.parametrize(
    ("comparisons", "weights", "error"),
    [
        ([(0, 1.5, 1.0)], None, "whole ones"),
        ([("x", "y", 1.0)], None, "two vertex numbers"),
        ([(0, 1)], None, "two vertex numbers"),
        (5, None, "no comparison"),
        ([(0, 1, 1.0), (0, 1, 3.0)], [-1.0, 2.0], "weights are positive"),
    ],
)
def test_comparisons_that_make_no_sense_are_refused(comparisons, weights, error):
    with pytest.raises(InputError, match=error):
        rank_by_hodge(comparisons, weights=weights)
