"""The two decompositions of differentiable games, tested against what the parts are defined to be, not merely adding back."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from separatrix.errors import InputError
from separatrix.fields import FunctionField, PolynomialGame, common_interest, random_polynomial_game
from separatrix.fields.polynomial_games import added, all_exponents, derivative, evaluate
from separatrix.probes.decompose import decompose_differential_game, decompose_polynomial_game
from separatrix.probes.decompose.hermite import from_hermite, to_hermite

# Players and coordinates, degree, centre and scale of the Gaussian.
CASES = [
    ({"x": 1, "y": 1}, 4, 0.0, 1.0),
    ({"x": 1, "y": 1, "z": 1}, 3, 0.7, 0.5),
    ({"x": 2, "y": 1}, 4, -0.3, 1.7),
    ({"x": 2, "y": 2}, 3, 0.2, 1.0),
    ({"x": 3}, 3, 0.0, 0.8),
]


def points(n, count=7, seed=0):
    return torch.randn(count, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def jacobian(game, x):
    return torch.func.jacrev(game.field().function)(x)


def quadrature(n, centre, scale, nodes=8):
    """Nodes and weights of the Gaussian, exact up to degree 15 in each coordinate."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    grid = torch.tensor(list(product(z, repeat=n)), dtype=torch.float64)
    weight = torch.tensor([float(np.prod(c)) for c in product(w / w.sum(), repeat=n)], dtype=torch.float64)
    return centre + scale * grid, weight


def inner(a, b, nodes, weight):
    """``E_mu <xi, eta>`` by quadrature; both fields turned by the same sign."""
    return float((weight[:, None] * a.field()(nodes) * b.field()(nodes)).sum())


@pytest.mark.parametrize(("sizes", "degree", "centre", "scale"), CASES)
def test_both_add_back_to_the_losses_and_the_field(sizes, degree, centre, scale):
    for seed in range(4):
        game = random_polynomial_game(sizes, degree, seed=seed)
        found = decompose_polynomial_game(game, centre=centre, scale=scale)
        assert found.residual < 1e-10
        x = points(game.n)
        for a, b in ((found.scalar, found.near_vector), (found.near_scalar, found.vector)):
            whole = a + b + found.nonstrategic
            for player, loss in game.losses.items():
                gap = evaluate(added(loss, whole.losses[player], -1.0), x).abs().max()
                assert float(gap) < 1e-10 * float(evaluate(loss, x).abs().max())
            assert torch.allclose(
                a.field()(x) + b.field()(x), game.field()(x), atol=1e-10 * float(game.field()(x).abs().max())
            )


@pytest.mark.parametrize(("sizes", "degree", "centre", "scale"), CASES)
def test_the_scalar_part_is_a_potential_game_and_the_rest_has_no_weighted_divergence(sizes, degree, centre, scale):
    game = random_polynomial_game(sizes, degree, seed=11)
    found = decompose_polynomial_game(game, centre=centre, scale=scale)
    for x in points(game.n, 4):
        J = jacobian(found.scalar, x)
        assert float((J - J.T).norm()) < 1e-10 * (1 + float(J.norm()))
        slope = torch.func.grad(lambda p: evaluate(found.potential, p))(x)
        assert torch.allclose(found.scalar.field()(x), -slope, atol=1e-10 * (1 + float(slope.norm())))
        r = found.near_vector.field()(x)
        divergence = torch.trace(jacobian(found.near_vector, x)) - r @ (x - centre) / scale**2
        assert abs(float(divergence)) < 1e-9 * (1 + float(r.norm()))


@pytest.mark.parametrize(("sizes", "degree", "centre", "scale"), CASES)
def test_the_scalar_part_is_the_nearest_of_all_potential_games(sizes, degree, centre, scale):
    """What is left is orthogonal to the gradient of every polynomial, also of higher degree, by quadrature."""
    game = random_polynomial_game(sizes, degree, seed=12)
    found = decompose_polynomial_game(game, centre=centre, scale=scale)
    nodes, weight = quadrature(game.n, centre, scale)
    size = inner(game, game, nodes, weight) ** 0.5
    assert size == pytest.approx(found.norms["game"], rel=1e-10)
    for terms in all_exponents(game.n, degree + 1)[1:]:
        other = common_interest({terms: 1.0}, sizes)
        length = inner(other, other, nodes, weight) ** 0.5
        assert abs(inner(found.near_vector, other, nodes, weight)) < 1e-9 * size * length


@pytest.mark.parametrize(("sizes", "degree", "centre", "scale"), CASES)
def test_the_vector_part_is_the_nearest_game_without_divergence(sizes, degree, centre, scale):
    game = random_polynomial_game(sizes, degree, seed=13)
    found = decompose_polynomial_game(game, centre=centre, scale=scale)
    for x in points(game.n, 4):
        J = jacobian(found.vector, x)
        assert abs(float(torch.trace(J))) < 1e-9 * (1 + float(J.norm()))
    nodes, weight = quadrature(game.n, centre, scale)
    size = found.norms["game"]
    tried = 0
    for seed in range(12):
        other = harmonic_game(sizes, degree + 1, seed)
        length = inner(other, other, nodes, weight) ** 0.5
        assert abs(float(torch.trace(jacobian(other, points(game.n, 1)[0])))) < 1e-8 * length
        assert abs(inner(found.near_scalar, other, nodes, weight)) < 1e-8 * size * length
        tried += length > 0
    assert tried == 12


def harmonic_game(sizes, degree, seed):
    """A random game with ``sum_i Delta_i l_i = 0``, found by linear algebra on the coefficients alone."""
    n = sum(sizes.values())
    terms = all_exponents(n, degree)
    own, first = {}, 0
    for player, size in sizes.items():
        own[player] = range(first, first + size)
        first += size
    columns = [(p, e) for p in sizes for e in terms if any(e[k] for k in own[p])]
    place = {e: i for i, e in enumerate(terms)}
    matrix = np.zeros((len(terms), len(columns)))
    for column, (player, e) in enumerate(columns):
        for k in own[player]:
            for lower, value in derivative(derivative({e: 1.0}, k), k).items():
                matrix[place[lower], column] += value
    _, values, rows = np.linalg.svd(matrix)
    null = rows[int((values > 1e-9 * values[0]).sum()) :]
    chosen = null.T @ np.random.default_rng(seed).normal(size=len(null))
    losses = {p: {} for p in sizes}
    for (player, e), value in zip(columns, chosen, strict=True):
        losses[player][e] = float(value)
    return PolynomialGame(dict(sizes), losses)


def test_the_near_scalar_part_has_a_weighted_potential_where_players_have_one_coordinate():
    """``curl(mu s) = 0``: ``d_i s_j - d_j s_i = (x_i s_j - x_j s_i) / scale^2``."""
    game = random_polynomial_game({"x": 1, "y": 1, "z": 1}, 4, seed=3)
    found = decompose_polynomial_game(game, centre=0.0, scale=1.3)
    for x in points(3, 5):
        s, J = found.near_scalar.field()(x), jacobian(found.near_scalar, x)
        curl = J.T - J  # entry (i, j): d_i s_j - d_j s_i
        wanted = (x[:, None] * s[None, :] - s[:, None] * x[None, :]) / 1.3**2
        assert torch.allclose(curl, wanted, atol=1e-9 * (1 + float(J.norm())))


def test_the_nonstrategic_part_moves_nobody_and_is_the_mean_over_own_coordinates():
    sizes = {"x": 1, "y": 2}
    game = random_polynomial_game(sizes, 3, seed=5)
    found = decompose_polynomial_game(game, centre=0.4, scale=0.9)
    x = points(3)
    assert not bool(found.nonstrategic.field()(x).any())
    z, w = np.polynomial.hermite_e.hermegauss(8)
    w = w / w.sum()
    others = x[0].clone()
    mean = sum(
        weight
        * float(
            evaluate(game.losses["x"], torch.cat([torch.tensor([0.4 + 0.9 * node], dtype=torch.float64), others[1:]]))
        )
        for node, weight in zip(z, w, strict=True)
    )
    assert float(evaluate(found.nonstrategic.losses["x"], others)) == pytest.approx(mean, rel=1e-10)


def test_potential_games_are_recognised_whatever_is_added_that_moves_nobody():
    """Monderer and Shapley: equal mixed second derivatives, not equal losses."""
    potential = {(2, 0, 1): 1.0, (1, 1, 0): -3.0, (0, 0, 4): 0.5, (1, 1, 2): 2.0}
    game = common_interest(potential, {"x": 1, "y": 1, "z": 1})
    game = PolynomialGame(
        game.sizes,
        {
            "x": added(game.losses["x"], {(0, 3, 1): 7.0}),
            "y": added(game.losses["y"], {(2, 0, 2): -5.0}),
            "z": added(game.losses["z"], {(1, 2, 0): 1.0}),
        },
    )
    for scale in (0.3, 1.0, 4.0):
        found = decompose_polynomial_game(game, scale=scale)
        assert found.potentialness == pytest.approx(1, abs=1e-12)
        assert found.norms["near_vector"] == 0
        assert "potential game" in found.status
        x = points(3)
        gap = evaluate(found.potential, x) - evaluate(potential, x)
        assert float(gap.std()) < 1e-9
    assert decompose_polynomial_game(random_polynomial_game(game.sizes, 3)).potentialness < 0.95


@pytest.mark.parametrize("sizes", [{"x": 1, "y": 1, "z": 1}, {"x": 2, "y": 1}])
def test_games_without_divergence_are_recognised(sizes):
    found = decompose_polynomial_game(harmonic_game(sizes, 3, 0), scale=1.5)
    assert found.divergence_free == pytest.approx(1, abs=1e-12)
    assert found.norms["near_scalar"] == 0
    assert "preserves volume" in found.status
    assert decompose_polynomial_game(random_polynomial_game(sizes, 3)).divergence_free < 0.95


def test_a_bilinear_zero_sum_game_has_neither_potential_nor_divergence():
    found = decompose_polynomial_game(PolynomialGame({"x": 1, "y": 1}, {"x": {(1, 1): 2.0}, "y": {(1, 1): -2.0}}))
    assert (found.potentialness, found.divergence_free) == (0.0, 1.0)
    assert found.near_vector.losses["x"] == {(1, 1): 2.0}


def follow(field, x, time, step):
    for _ in range(round(time / step)):
        a = field(x)
        b = field(x + step / 2 * a)
        c = field(x + step / 2 * b)
        x = x + step / 6 * (a + 2 * b + 2 * c + field(x + step * c))
    return x


def test_gradient_play_converges_in_every_coercive_potential_game():
    """50 random potentials with ``sum x^4`` on top, as games whose losses differ by what moves nobody."""
    for seed in range(50):
        noise = random_polynomial_game({"x": 1, "y": 1, "z": 1}, 3, seed=seed)
        potential = added(noise.losses["x"], {(4, 0, 0): 1.0, (0, 4, 0): 1.0, (0, 0, 4): 1.0})
        losses = {"x": potential, "y": added(potential, {(2, 0, 0): 3.0}), "z": added(potential, {(1, 1, 0): -2.0})}
        game = PolynomialGame(noise.sizes, losses)
        assert decompose_polynomial_game(game).potentialness == pytest.approx(1, abs=1e-12)
        function = game.field().function  # takes batches, too

        def flow(t, x):
            return function(torch.tensor(x).reshape(4, 3)).reshape(-1).numpy()  # noqa: B023

        end = solve_ivp(
            flow, (0, 2000), points(3, 4, seed).reshape(-1).numpy(), method="LSODA", rtol=1e-6, atol=1e-9
        ).y[:, -1]
        assert np.abs(flow(0, end)).max() < 1e-6, seed


def test_gradient_play_preserves_volume_without_divergence_and_does_not_converge():
    for seed in range(10):
        game = decompose_polynomial_game(random_polynomial_game({"x": 1, "y": 1}, 3, seed=seed), scale=0.7).vector
        function = game.field().function
        start = 0.3 * points(2, 1, seed)[0]
        volume = torch.func.jacrev(lambda x: follow(function, x, 0.2, 0.02))(start)  # noqa: B023
        assert float(torch.linalg.det(volume)) == pytest.approx(1, abs=1e-6)
    turn = PolynomialGame({"x": 1, "y": 1}, {"x": {(1, 1): 1.0}, "y": {(1, 1): -1.0}}).field()
    start = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert float(follow(turn.function, start, 20.0, 0.01).norm()) == pytest.approx(1, abs=1e-6)


def test_other_games_are_fitted_and_say_how_well():
    def function(x):
        return -torch.stack([torch.sin(x[0]) + x[1], torch.tanh(x[1]) - x[0]])

    smooth = FunctionField(function, torch.zeros(2, dtype=torch.float64), players={"x": 1, "y": 1})
    found, fit = decompose_differential_game(smooth, 6, scale=0.8)
    assert fit.explained["x"].value > 0.999
    assert fit.gradients == fit.samples
    # The turning part (y, -x) is orthogonal to the gradient part under the Gaussian.
    turning = 2 * 0.64 / (found.norms["game"] ** 2)
    assert found.potentialness == pytest.approx(1 - turning, abs=0.01)
    assert "Polynomials of degree 6 explain" in found.status
    rough, poor = decompose_differential_game(smooth, 2, scale=3.0)
    assert poor.explained["x"].value < 0.97
    assert rough.residual < 1e-10


def test_fits_of_polynomial_games_are_exact():
    game = random_polynomial_game({"x": 2, "y": 1}, 3, seed=1)
    exact = decompose_polynomial_game(game, centre=[0.1, 0.2, 0.3], scale=1.2)
    found, fit = decompose_differential_game(
        game.field(torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)), 3, scale=1.2
    )
    assert min(share.value for share in fit.explained.values()) == pytest.approx(1, abs=1e-12)
    assert found.norms["scalar"] == pytest.approx(exact.norms["scalar"], rel=1e-9)
    assert found.norms["vector"] == pytest.approx(exact.norms["vector"], rel=1e-9)


def test_hermite_and_powers_are_inverse():
    polynomial = random_polynomial_game({"x": 3}, 5, seed=2).losses["x"]
    there = to_hermite(polynomial, [0.3, -1.0, 2.0], [0.5, 2.0, 1.0])
    back = from_hermite(there, [0.3, -1.0, 2.0], [0.5, 2.0, 1.0])
    assert max(abs(back.get(e, 0.0) - v) for e, v in polynomial.items()) < 1e-10


def test_a_nonstrategic_game_says_so():
    found = decompose_polynomial_game(PolynomialGame({"x": 1, "y": 1}, {"x": {(0, 2): 1.0}, "y": {(3, 0): 1.0}}))
    assert "non-strategic" in found.status
    assert found.section()["potentialness"] is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PolynomialGame({"x": 1}, {"x": {(1, 1): 1.0}}), "exponents.*they are 1 whole numbers"),
        (lambda: PolynomialGame({"x": 1}, {"y": {(1,): 1.0}}), "both name every player"),
        (lambda: PolynomialGame({"x": 1}, {"x": {(1,): float("nan")}}), "it must be finite"),
        (lambda: decompose_polynomial_game(random_polynomial_game({"x": 2}), scale=[1.0, 2.0]), "one positive number"),
        (
            lambda: decompose_polynomial_game(random_polynomial_game({"x": 2}), centre=[1.0]),
            "each of the 2 coordinates, got 1",
        ),
        (
            lambda: decompose_differential_game(random_polynomial_game({"x": 2, "y": 1}).field(), 4, samples=20),
            "20 samples are too few for losses of degree 4 in 3 coordinates.*are needed",
        ),
    ],
)
def test_what_cannot_be_decomposed_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_gaussian_far_from_the_game_is_said_to_spoil_it_by_rounding():
    game = random_polynomial_game({"x": 1, "y": 2}, 3, seed=5)
    assert "Rounding" not in decompose_polynomial_game(game).status
    for centre, scale in ((1e6, 1.0), (0.0, 1e12)):
        found = decompose_polynomial_game(game, centre=centre, scale=scale)
        assert found.residual > 1e-6
        assert "Rounding spoils these parts" in found.status


@pytest.mark.parametrize(
    ("centre", "scale", "error"),
    [
        (float("inf"), 1.0, "centre must be finite"),
        (0.0, float("nan"), "scale must be finite"),
        ([0.0, 1.0], 1.0, "each of the 3"),
    ],
)
def test_a_gaussian_that_makes_no_sense_is_refused(centre, scale, error):
    game = random_polynomial_game({"x": 1, "y": 2}, 2)
    with pytest.raises(InputError, match=error):
        decompose_polynomial_game(game, centre=centre, scale=scale)
    assert decompose_polynomial_game(game, centre=torch.tensor(0.0), scale=np.float32(1)).residual < 1e-12


def test_exponents_are_whole_numbers():
    with pytest.raises(InputError, match="whole numbers"):
        PolynomialGame({"x": 1}, {"x": {(1.5,): 1.0}})
