"""Candogan's decomposition: published numbers, the dense least-squares solution, and properties of random games."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from separatrix.errors import InputError
from separatrix.fields import NormalForm, hedge
from separatrix.probes.decompose import decompose_game

RPS = [[0, -1, 1], [1, 0, -1], [-1, 1, 0]]
SHAPES = [(2, 2), (3, 5), (2, 3, 4), (2, 2, 2, 3), (4,)]


def negative(matrix):
    return [[-v for v in row] for row in matrix]


def random_game(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return NormalForm.of([torch.randn(shape, generator=generator, dtype=torch.float64) for _ in shape])


@pytest.mark.parametrize(
    ("payoffs", "potentialness"),
    [
        (([[0, 10], [-1, -100]], [[0, -1], [10, -100]]), 1),  # chicken
        (([[1, -1], [-1, 1]], [[-1, 1], [1, -1]]), 0),  # matching pennies
        (([[1, -2], [3, -4]], [[4, -3], [2, -1]]), 0.63870),
        (([[3, 0], [0, 2]], [[2, 0], [0, 3]]), 1),  # battle of the sexes
        (([[-1, -3], [0, -2]], [[-1, 0], [-3, -2]]), 1),  # prisoner's dilemma
        ((RPS, negative(RPS)), 0),
        (([[0, -3, 6], [3, 0, -3], [-6, 3, 0]], [[0, 3, -6], [-3, 0, 3], [6, -3, 0]]), 0.2),
    ],
)
def test_published_numbers(payoffs, potentialness):
    found = decompose_game(payoffs)
    assert found.potentialness == pytest.approx(potentialness, abs=5e-6)
    assert found.residual < 1e-14


def test_the_parts_of_a_mixed_game_are_the_known_ones():
    found = decompose_game(([[1, -2], [3, -4]], [[4, -3], [2, -1]]))
    assert torch.equal(found.potential.payoffs[0], torch.zeros(2, 2, dtype=torch.float64))
    assert found.potential.payoffs[1].tolist() == [[2.5, -2.5], [2.5, -2.5]]
    assert found.harmonic.payoffs[0].tolist() == [[-1, 1], [1, -1]]


def test_the_prisoners_potential_is_the_known_one():
    phi = decompose_game(([[-1, -3], [0, -2]], [[-1, 0], [-3, -2]])).potential_function
    assert torch.allclose(phi - phi[0, 1], torch.tensor([[-1.0, 0], [0, 1]], dtype=torch.float64), atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
def test_parts_add_back_and_are_orthogonal(shape):
    for seed in range(10):
        game = random_game(shape, seed)
        found = decompose_game(game)
        parts = (found.potential, found.harmonic, found.nonstrategic)
        size = sum(float(u.norm()) for u in game.payoffs)
        for i, u in enumerate(game.payoffs):
            assert float((u - sum(p.payoffs[i] for p in parts)).norm()) <= 1e-10 * size
        for k, a in enumerate(parts):
            for b in parts[k + 1 :]:
                inner = sum(m * float((p * q).sum()) for m, p, q in zip(shape, a.payoffs, b.payoffs, strict=True))
                assert abs(inner) <= 1e-10 * size**2
        assert found.residual <= 1e-10


@pytest.mark.parametrize("shape", SHAPES)
def test_the_potential_is_the_least_squares_solution_on_the_graph_of_deviations(shape):
    """An oracle that builds the graph edge by edge and solves densely."""
    game = random_game(shape, 11)
    found = decompose_game(game)
    number = {p: k for k, p in enumerate(product(*map(range, shape)))}
    rows, flow = [], []
    for p in number:
        for i, m in enumerate(shape):
            for a in range(p[i] + 1, m):
                q = (*p[:i], a, *p[i + 1 :])
                row = np.zeros(len(number))
                row[number[p]], row[number[q]] = -1, 1
                rows.append(row)
                flow.append(float(game.payoffs[i][q] - game.payoffs[i][p]))
    gradient, flow = np.array(rows), np.array(flow)
    phi = np.linalg.lstsq(gradient, flow, rcond=None)[0]
    assert np.allclose(phi - phi.mean(), found.potential_function.numpy().ravel(), atol=1e-12)
    # Potentialness is that of flows, too.
    common = np.linalg.norm(gradient @ phi)
    rest = np.linalg.norm(flow - gradient @ phi)
    if len(shape) > 1:
        assert found.potentialness == pytest.approx(common / (common + rest), rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_part_decomposes_into_itself(shape):
    found = decompose_game(random_game(shape, 5))
    for name in ("potential", "harmonic", "nonstrategic"):
        again = decompose_game(getattr(found, name))
        for other in ("potential", "harmonic", "nonstrategic"):
            wanted = found.norms[name] if other == name else 0.0
            assert again.norms[other] == pytest.approx(wanted, abs=1e-12)


def test_playing_every_action_alike_is_an_equilibrium_of_the_harmonic_part():
    found = decompose_game(random_game((3, 4, 2), 7))
    strategies = list(torch.split(found.harmonic.uniform(), [3, 4, 2]))
    assert max(float(r) for r in found.harmonic.regret(strategies)) < 1e-14


def test_hedge_in_a_harmonic_game_has_a_constant_of_motion():
    """``sum_i m_i KL(uniform | x_i)`` [legacci2024], for players with different numbers of actions."""
    game = decompose_game(random_game((2, 3, 4), 8)).harmonic
    field = hedge(game)
    y = torch.randn(9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def constant(scores):
        parts = torch.split(scores, [2, 3, 4])
        return -sum(float(p.log_softmax(0).sum()) for p in parts)  # m_i KL up to a constant

    before, start = constant(y), y
    for _ in range(200):
        a = field(y)
        b = field(y + 0.01 * a)
        c = field(y + 0.01 * b)
        y = y + 0.02 / 6 * (a + 2 * b + 2 * c + field(y + 0.02 * c))
    assert float((y - start).norm()) > 0.3
    assert constant(y) == pytest.approx(before, abs=1e-9)


def test_equilibria_of_the_closest_potential_game_are_nearly_equilibria():
    for seed in range(20):
        game = random_game((3, 3, 3), seed)
        found = decompose_game(game)
        pure = [torch.eye(3, dtype=torch.float64)[a] for a in found.best_profile]
        assert max(float(r) for r in game.regret(pure)) <= found.harmonic_gain + 1e-12
    assert decompose_game(([[3, 0], [0, 2]], [[2, 0], [0, 3]])).harmonic_gain == 0


def test_games_of_other_libraries_and_names_are_taken():
    nashpy = SimpleNamespace(payoff_matrices=(np.array(RPS), -np.array(RPS)))
    found = decompose_game(nashpy, players=["row", "column"])
    assert found.potentialness == 0
    assert found.harmonic.players == ("row", "column")
    assert "harmonic game" in found.status
    assert found.section()["residual"] < 1e-15


def test_a_game_without_choices_that_matter_says_so():
    found = decompose_game(([[1, 2], [1, 2]], [[3, 3], [0, 0]]))
    assert found.potentialness != found.potentialness
    assert "non-strategic" in found.status
    assert found.section()["potentialness"] is None


def test_payoffs_of_the_wrong_shape_are_refused():
    with pytest.raises(InputError, match=r"that of 'p2' has shape \(3, 2\), the first has \(2, 3\)"):
        decompose_game((np.zeros((2, 3)), np.zeros((3, 2))))
