"""The catalogue of small games: every stated fact against the field, its Jacobian, integration by SciPy, or enumeration."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from separatrix.dynamics import SGD, Consensus, Extragradient, Method, Simultaneous, UpdateMap, simulate
from separatrix.dynamics.live_step import LiveStep
from separatrix.errors import InputError
from separatrix.fields import NormalForm
from separatrix.probes.decompose.finite_games import decompose_game
from separatrix.zoo import load
from separatrix.zoo.gaussians import drawn, score_points

SMALL = [
    ("attracting-not-nash", {}),
    ("follow-the-ridge-1", {}),
    ("follow-the-ridge-2", {}),
    ("follow-the-ridge-3", {}),
    ("forsaken", {}),
    ("global-forsaken", {}),
    ("polar-game", {}),
    ("polar-game", {"a": 1 / 3}),
    ("almost-bilinear", {}),
    ("almost-bilinear", {"epsilon": 0.5}),
    ("weak-minty", {}),
    ("weak-minty", {"a": 1.0, "b": -0.2}),
    ("four-players", {}),
    ("four-players", {"epsilon": 0.0}),
    ("tandem", {}),
    ("matching-pennies", {}),
    ("team-pennies", {}),
    ("kelly-auction", {}),
    ("kelly-auction", {"bidders": 2, "gain": 1.0, "quantity": 5.0, "reserve": 1.0}),
    ("torus-gan", {}),
    ("torus-gan", {"epsilon": 0.2}),
    ("variance-gan", {}),
    ("variance-gan", {"s": 0.5, "r1": 1.3}),
    ("covariance-gan", {}),
    ("covariance-gan", {"variances": (1.0, 3.0)}),
    ("isolated-points", {}),
    ("isolated-points", {"p": 0.5, "q": 0.8, "decay": 0.7, "width": 1.5, "rate": 2.0}),
    ("noisy-bilinear", {}),
    ("finite-game", {}),
    ("finite-game", {"game": "matching-pennies"}),
]
CYCLES = [("forsaken", {}), ("global-forsaken", {}), ("polar-game", {}), ("polar-game", {"a": 1 / 3})]


def equilibrium(problem):
    return torch.tensor(problem.fact("equilibrium"), dtype=torch.float64)


def dense(problem):
    return problem.field().jacobian(equilibrium(problem), checks=False).to_dense().numpy()


def distance(found, expected):
    rest, worst = list(expected), 0.0
    for value in found:
        nearest = min(range(len(rest)), key=lambda i: abs(rest[i] - value))
        worst = max(worst, abs(rest.pop(nearest) - value))
    return worst


def bumps(z):
    return z / 2 - 2 * z**3 + z**5


def gentle(z):
    return 4 * z**5 / 7 - 4 * z**3 / 3 + 2 * z / 3


def polar(z, a=1.0):
    square = z[0] ** 2 + z[1] ** 2
    p = a / 16 * (square - 1) * (16 * square - 9)
    return [z[1] - z[0] * p, -z[0] - z[1] * p]


def points(z, p=1.0, q=1.0, decay=0.5, width=1.0, rate=1.0):
    n = np.arange(12)
    u, w = z[0] / width, z[1:]
    scale = np.sqrt([math.factorial(k) for k in n])
    kernel = np.exp(-u * u / 2) * u**n / scale
    slope = np.exp(-u * u / 2) * (n * u ** np.maximum(n - 1, 0) - u ** (n + 1)) / scale / width
    return [rate * w @ slope, *(p * (n == 0) - q * kernel - decay * w)]


def scissors(z):
    A = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    x, y = z[:3], z[3:]
    return [*(x * (A @ y - x @ A @ y)), *(y * (-A.T @ x + x @ A @ y))]


# Every flow once more, written by hand.
FLOWS = {
    "forsaken": lambda z: [-(z[1] - 0.45 + bumps(z[0])), z[0] - bumps(z[1])],
    "global-forsaken": lambda z: [-(z[1] + gentle(z[0])), z[0] - gentle(z[1])],
    "polar-game": polar,
    "almost-bilinear": lambda z, epsilon=0.1: [-z[1], z[0] + epsilon * (z[1] - z[1] ** 3)],
    "matching-pennies": lambda z: [
        -np.tanh(z[1] / 2) / np.cosh(z[0] / 2) ** 2 / 2,
        np.tanh(z[0] / 2) / np.cosh(z[1] / 2) ** 2 / 2,
    ],
    "torus-gan": lambda z: [-np.cos(z[0]) * np.sin(z[1]), np.sin(z[0]) * np.cos(z[1])],
    "variance-gan": lambda z: [2 * z[0] * z[1], 1 - z[0] ** 2],
    "isolated-points": points,
    "finite-game": scissors,
}


def flow(name, start, time, options=None, **settings):
    """The orbit of the flow written by hand, by SciPy."""
    settings = {"rtol": 1e-10, "atol": 1e-12, "method": "DOP853", **settings}
    return solve_ivp(lambda _, z: FLOWS[name](z, **(options or {})), (0, time), start, **settings)


@pytest.mark.parametrize("name", list(FLOWS))
def test_the_field_is_the_flow_written_by_hand(name):
    field = load(name).field()
    for seed in range(5):
        z = torch.rand(field.space.n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
        torch.testing.assert_close(field(z), torch.tensor(np.array(FLOWS[name](z.numpy())), dtype=torch.float64))


@pytest.mark.parametrize(("name", "options"), SMALL)
def test_the_field_rests_at_the_equilibrium_and_has_the_known_eigenvalues(name, options):
    problem = load(name, **options)
    assert problem.field()(equilibrium(problem)).norm() < 1e-13
    known = problem.fact("eigenvalues")
    found = np.linalg.eigvals(dense(problem))
    assert len(found) == len(known)
    # Where an eigenvalue is double without two eigenvectors, rounding moves it by its root.
    assert distance(found, known) < 1e-6


@pytest.mark.parametrize(
    "name",
    [
        n
        for n, o in SMALL
        if not o
        and n
        in {
            "attracting-not-nash",
            "follow-the-ridge-1",
            "follow-the-ridge-2",
            "follow-the-ridge-3",
            "forsaken",
            "global-forsaken",
            "almost-bilinear",
            "weak-minty",
        }
    ],
)
def test_nash_and_minimax_are_told_by_the_hessian(name):
    problem = load(name)
    a = dense(problem)
    f_xx, f_xy, f_yy = -a[0, 0], -a[0, 1], a[1, 1]
    assert problem.fact("nash") == (f_xx > 0 and f_yy < 0)
    assert problem.fact("minimax") == (f_yy < 0 and f_xx - f_xy**2 / f_yy > 0)


@pytest.mark.parametrize(("name", "options"), CYCLES)
def test_the_cycles_close_and_attract_or_repel_as_stated(name, options):
    """The multiplier by Liouville: the exponential of the divergence, integrated over a turn."""
    problem = load(name, **options)
    for cycle in problem.fact("cycles"):
        period, count = cycle["period"], 400
        path = flow(name, cycle["start"], period, options, t_eval=np.linspace(0, period, count + 1)).y.T
        assert np.linalg.norm(path[-1] - path[0]) < 1e-8 * max(1, cycle["multiplier"])
        path = path[:-1]
        assert np.linalg.norm(path - path.mean(0), axis=1).mean() == pytest.approx(cycle["radius"], rel=1e-8)
        divergence = sum(
            (FLOWS[name](path.T + e[:, None], **options)[i] - FLOWS[name](path.T - e[:, None], **options)[i]) / 2e-6
            for i, e in enumerate(1e-6 * np.eye(2))
        )
        multiplier = math.exp(divergence.mean() * period)
        assert multiplier == pytest.approx(cycle["multiplier"], rel=1e-5, abs=1e-7)
        assert cycle["stable"] == (multiplier < 1)


def test_van_der_pol_is_in_the_almost_bilinear_game():
    problem = load("almost-bilinear", epsilon=0.2)
    settled = flow("almost-bilinear", [1.1547, 0.0], 100.0, {"epsilon": 0.2}).y[:, -1]

    def crosses(_, x):
        return x[1]

    crosses.direction = 1
    found = flow("almost-bilinear", settled, 30.0, {"epsilon": 0.2}, events=crosses, dense_output=True)
    assert np.diff(found.t_events[0]).mean() == pytest.approx(problem.fact("cycle_period"), rel=5e-6)
    amplitude = np.abs(found.sol(np.linspace(0, 30, 5000))[1]).max()
    assert amplitude == pytest.approx(problem.fact("cycle_amplitude"), rel=4e-3)
    assert problem.fact("cycle_period") != pytest.approx(2 * math.pi, rel=1e-4)


def test_extragradient_plus_contracts_below_the_largest_alpha():
    for options in ({}, {"a": 3.0, "b": -0.4}):
        problem = load("weak-minty", **options)
        l = -problem.fact("eigenvalues")[0] / problem.fact("lipschitz")
        limit = problem.fact("largest_alpha[extragradient-plus]")
        assert abs(1 - limit * (1 - 1e-6) * l * (1 - l)) < 1 < abs(1 - limit * (1 + 1e-6) * l * (1 - l))
        z = torch.tensor([0.3, -1.2], dtype=torch.float64)
        v = problem.field()(z)
        assert float(-v @ z) == pytest.approx(problem.fact("rho") * float(v @ v))


@pytest.mark.parametrize("name", ["four-players", "kelly-auction", "attracting-not-nash", "isolated-points"])
def test_the_safe_steps_part_growth_from_decay_in_the_update_map(name):
    problem = load(name)
    for scheme in (Simultaneous(), Extragradient()):
        key = f"safe_step[{type(scheme).__name__.lower()}]"
        if key not in {fact.name for fact in problem.facts}:
            continue

        def radius(h, scheme=scheme):
            update = UpdateMap(Method(SGD(h), scheme), problem.field(), equilibrium(problem))
            return float(np.abs(np.linalg.eigvals(update.to_dense().numpy())).max())

        limit = problem.fact(key)
        assert radius(limit * 0.999) < 1 < radius(limit * 1.001)


def test_the_published_numbers_of_the_four_player_game():
    problem = load("four-players")
    assert problem.fact("safe_step[simultaneous]") == pytest.approx(0.0034314, rel=1e-4)
    assert problem.fact("safe_step[extragradient]") == pytest.approx(0.41761, rel=1e-4)
    for scheme, radius in ((Simultaneous(), 1.02776), (Extragradient(), 0.998142)):
        update = UpdateMap(Method(SGD(0.1), scheme), problem.field(), equilibrium(problem)).to_dense().numpy()
        assert np.abs(np.linalg.eigvals(update)).max() == pytest.approx(radius, abs=1e-5)
    assert load("four-players", epsilon=0.0).fact("safe_step[extragradient]") == pytest.approx(math.sqrt(2) - 1)


@pytest.mark.parametrize(
    ("name", "start", "quantity"),
    [
        ("matching-pennies", [1.0, 0.5], lambda x: np.cosh(x[0]) + np.cosh(x[1])),
        ("torus-gan", [1.0, 0.5], lambda x: np.cos(x[0]) * np.cos(x[1])),
        ("variance-gan", [1.2, 0.3], lambda x: np.log(np.abs(x[0])) - x[0] ** 2 / 2 - x[1] ** 2),
        ("finite-game", [0.5, 0.3, 0.2, 0.2, 0.2, 0.6], lambda x: np.log(x).sum(0)),
    ],
)
def test_what_is_conserved_is_conserved(name, start, quantity):
    problem = load(name)
    assert isinstance(problem.fact("conserved"), str)
    moved = flow(name, start, 30.0).y
    assert np.ptp(quantity(moved)) < 1e-8
    assert np.ptp(moved[0]) > 0.1


def test_the_torus_has_its_saddles_and_the_variance_its_dead_generator():
    field = load("torus-gan").field()
    at = torch.full((2,), math.pi / 2, dtype=torch.float64)
    assert field(at).norm() < 1e-15
    assert distance(np.linalg.eigvals(field.jacobian(at, checks=False).to_dense().numpy()), [1, -1]) < 1e-12
    problem = load("variance-gan", s=0.8, r1=0.5)
    dead = torch.tensor(problem.fact("repelling_equilibrium"), dtype=torch.float64)
    assert problem.field()(dead).norm() < 1e-15
    found = np.linalg.eigvals(problem.field().jacobian(dead, checks=False).to_dense().numpy())
    assert distance(found, [2 * 0.8**2 / 0.5, -0.5]) < 1e-12


@pytest.mark.parametrize("surplus", [0.8, 1.25])
@pytest.mark.parametrize(("decay", "width", "rate"), [(0.5, 1.0, 0.7), (0.8, 0.6, 0.5), (0.3, 1.3, 0.2)])
def test_a_surplus_of_generated_mass_is_held_up_to_the_threshold(surplus, decay, width, rate):
    limit = decay**2 * width**2 / rate
    options = {"p": 1.0, "q": 1 + surplus * limit, "decay": decay, "width": width, "rate": rate}
    problem = load("isolated-points", **options)
    assert problem.fact("largest_surplus") == pytest.approx(limit)
    start = equilibrium(problem)
    start[0] = 1e-3
    found = flow("isolated-points", start.numpy(), 400.0, options)
    away = np.abs(found.y[0])
    late, early = away[found.t > 350].max(), away[found.t < 50].max()
    assert (late < early) == (surplus < 1)


@pytest.mark.parametrize(("same", "key"), [(False, "fresh"), (True, "same draw")])
def test_the_mean_square_of_the_noisy_game_by_all_draws(same, key):
    problem = load("noisy-bilinear")
    squares = []
    for draws in product([3.0, -1.0], repeat=1 if same else 2):
        game = load("noisy-bilinear").game
        step = LiveStep(game)
        method = Method(SGD(0.1), Extragradient(same_draw=same))
        x, states = method.init(step.field)
        step.step(method, states, [torch.tensor([b], dtype=torch.float64) for b in draws])
        squares.append(float(step.field.point.square().sum() / x.square().sum()))
    assert np.mean(squares) == pytest.approx(problem.fact(f"mean_square[extragradient, {key}]"), rel=1e-12)
    batches = problem.minibatches(0)
    seen = {float(next(batches)) for _ in range(20)}
    assert seen == {3.0, -1.0}


def test_who_finds_which_point_of_the_ridge():
    """Gradient methods leave a minimax point and come to a point that is none; consensus comes to both."""

    def ends(function, method, steps):
        problem = load(f"follow-the-ridge-{function}")
        x, _, _ = simulate(method, problem.field(), steps=steps)
        return float(x.norm())

    for scheme in (Simultaneous(), Extragradient()):
        assert not ends(1, Method(SGD(0.05), scheme), steps=60) < 100
        assert ends(2, Method(SGD(0.05), scheme), steps=250) < 1e-3
        assert 1.5 < ends(3, Method(SGD(0.05), scheme), steps=300) < 4
    consensus = Method(SGD(0.05), Simultaneous(), (Consensus(0.1),))
    assert ends(1, consensus, steps=150) < 0.01
    assert ends(2, consensus, steps=200) < 0.1


def test_tandem_players_end_on_the_line_and_simultaneous_pennies_spiral_out():
    problem = load("tandem")
    x, _, _ = simulate(problem.method, problem.field(), steps=200)
    assert float(x.sum()) == pytest.approx(1, abs=1e-8)
    losses = problem.field().losses(x)
    assert sum(t for terms in losses.values() for t in terms.values()) / 2 == pytest.approx(
        problem.fact("mean_loss"), abs=1e-8
    )
    pennies = load("matching-pennies")
    x, _, _ = simulate(Method(SGD(1.0)), pennies.field(), steps=100)
    assert float(x.norm()) > 1.5 * float(pennies.field().point.norm())


@pytest.mark.parametrize(
    "game", ["rock-paper-scissors", "matching-pennies", "prisoners-dilemma", "chicken", "battle-of-the-sexes"]
)
def test_finite_games_have_their_equilibria_and_potential_share(game):
    for dynamics in ("replicator", "hedge", "softmax-gradient"):
        problem = load("finite-game", game=game, dynamics=dynamics)
        assert bool(torch.isfinite(problem.field()()).all())
    from separatrix.zoo.finite import _GAMES

    form = NormalForm.of([torch.tensor(p, dtype=torch.float64) for p in _GAMES[game][0]])
    for profile in problem.fact("nash"):
        parts = torch.tensor(profile, dtype=torch.float64).split(list(form.actions))
        assert max(float(r) for r in form.regret(parts)) < 1e-12
        assert load("finite-game", game=game).field()(torch.tensor(profile, dtype=torch.float64)).norm() < 1e-12
    assert decompose_game(form).potentialness == pytest.approx(problem.fact("potential_share"), abs=1e-12)


def test_the_grid_has_sixteen_modes_and_a_score_that_counts_them():
    problem = load("sixteen-gaussians", width=8)
    where = torch.tensor(problem.fact("centres"), dtype=torch.float64)
    assert len(where.unique(dim=0)) == 16
    points = drawn(where, 0.02, 4096, torch.Generator().manual_seed(0))
    assert score_points(points, where) == {"modes": 16, "good": pytest.approx(1, abs=1e-3)}
    assert score_points(points[(points - torch.tensor([0.5, 0.5])).norm(dim=1) < 0.2], where)["modes"] == 1
    assert problem.score(problem.game.models)["modes"] <= 1
    assert problem.data.shape == (2048, 2)
    assert float(problem.data.std()) == pytest.approx(math.sqrt(1.25), rel=0.05)


def test_bad_options_are_named():
    for name, options, message in (
        ("follow-the-ridge-1", {"function": 4}, "function must be 1, 2 or 3, got 4"),
        ("polar-game", {"a": 0.0}, r"a must be positive, got 0\.0"),
        ("almost-bilinear", {"epsilon": 2.0}, r"between 0 and 2, got 2\.0"),
        ("weak-minty", {"b": 1.0}, "a must be positive and b negative"),
        ("four-players", {"epsilon": -1.0}, "must not be negative"),
        ("kelly-auction", {"bidders": 1}, "2 bidders or more"),
        ("torus-gan", {"epsilon": 0.5}, r"in \[0, 1/2\), got 0\.5"),
        ("variance-gan", {"s": 0.0}, "s must be positive"),
        ("covariance-gan", {"variances": ()}, r"must be positive, got \[\]"),
        ("isolated-points", {"decay": 0.0}, r"must be positive, got \{'decay': 0\.0\}"),
        ("finite-game", {"game": "go"}, "game must be one of rock-paper-scissors, .* got 'go'"),
    ):
        with pytest.raises(InputError, match=message):
            load(name, **options)
