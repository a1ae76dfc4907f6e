"""Advice against closed forms, against simulation, and its bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf

import pytest
import torch
from linear_games import linear

from separatrix.dynamics import (
    SGD,
    Alternating,
    Competitive,
    Consensus,
    CurvatureClipped,
    Extragradient,
    Frozen,
    Method,
    Mode,
    Optimistic,
    Problem,
    RungeKutta,
    Simultaneous,
    Stabilised,
)
from separatrix.errors import InputError
from separatrix.fields import FunctionField, Game
from separatrix.probes import advise, leading, reduce
from separatrix.probes.advise_range import Tried, safe_steps
from separatrix.probes.advise_rows import _why
from separatrix.zoo import load

MEANS = {"simultaneous": Simultaneous(), "alternating": Alternating(), "extragradient": Extragradient()}


def plain(scheme, *transforms):
    return Method(SGD(0.1), scheme, transforms)


def test_the_table_of_the_bilinear_game():
    sigma, gamma = 2.0, 0.3
    found = advise(
        load("bilinear", sigma=sigma),
        candidates={
            "simultaneous": plain(Simultaneous()),
            "alternating": plain(Alternating()),
            "extragradient": plain(Extragradient()),
            "optimistic": plain(Optimistic()),
            "rk4": plain(RungeKutta(4)),
            "consensus": plain(Simultaneous(), Consensus(gamma)),
        },
    )
    high = {
        name: found[name].steps.high * 0.1
        for name in ("alternating", "extragradient", "optimistic", "rk4", "consensus")
    }
    assert found["simultaneous"].steps.best is None
    assert found["simultaneous"].steps.high == 0
    # 2/s, 1/s, 1/(sqrt(3) s), 2 sqrt(2)/s and 2 gamma/(1 + gamma^2 s^2), all from zero on.
    wanted = {
        "alternating": 2 / sigma,
        "extragradient": 1 / sigma,
        "optimistic": 1 / (3**0.5 * sigma),
        "rk4": 8**0.5 / sigma,
        "consensus": 2 * gamma / (1 + gamma**2 * sigma**2),
    }
    for name, limit in wanted.items():
        assert high[name] == pytest.approx(limit, rel=1e-5), name
        assert found[name].steps.low == 0
    # 1 - y^2 + y^4 is least at y^2 = 1/2; two gradients a step.
    assert found["extragradient"].steps.best * 0.1 == pytest.approx(0.5**0.5 / sigma, rel=1e-3)
    assert found["extragradient"].growth == pytest.approx(0.75**0.25, rel=1e-6)
    assert found["alternating"].growth == pytest.approx(1, abs=1e-8)
    assert "Bounded and no more" in found["alternating"].why
    assert "a rotation grows at every step size" in found["simultaneous"].why
    assert found.candidates[-1].name in ("simultaneous", found.running)


def test_steps_with_a_minimum_and_points_that_the_flow_leaves():
    """Proximal steps settle at a repelling point once they are longer than 2 over its rate; that is said."""
    from separatrix.dynamics import Proximal

    field = linear(torch.diag(torch.tensor([0.5, -1.0], dtype=torch.float64)), {"a": 1, "b": 1})
    own = Method(SGD(1.0), Simultaneous())
    found = advise(field, method=own, candidates={"proximal": Method(SGD(1.0), Proximal())})
    assert found.growing == 1
    row = found["proximal"]
    assert row.steps.low == pytest.approx(4.0, rel=1e-5)
    assert row.attracts
    assert "small steps are not safe" in row.why
    assert not found["simultaneous, no momentum"].attracts


def test_an_attracting_point_that_is_no_local_nash_equilibrium_is_named():
    problem = load("attracting-not-nash")
    for tensor in problem.game.models.values():
        tensor.data.zero_()
    found = advise(problem, candidates={})
    assert "no local Nash equilibrium" in found.point
    assert "gradient play is drawn to" in found.point


@pytest.mark.parametrize("seed", range(12))
def test_the_range_on_random_games_agrees_with_bisection_of_the_simulated_map(seed: int):
    """The simulated radius comes from the method's own steps on unit vectors, with no eigenvalue of the field."""
    g = torch.Generator().manual_seed(seed)
    n = 2 + seed % 3
    matrix = torch.randn(2 * n, 2 * n, generator=g, dtype=torch.float64)
    matrix -= (0.3 + float(torch.linalg.eigvals(matrix).real.max())) * torch.eye(2 * n, dtype=torch.float64)
    field = linear(matrix, {"a": n, "b": n})
    found = advise(
        field, method=Method(SGD(1.0), Simultaneous()), candidates={k: Method(SGD(1.0), s) for k, s in MEANS.items()}
    )

    def radius(scheme, step: float) -> float:
        method = Method(SGD(step), scheme)
        columns = [method.step(field, e, method.init(field, e)[1])[0] for e in torch.eye(2 * n, dtype=torch.float64)]
        return float(torch.linalg.eigvals(torch.stack(columns, 1)).abs().max())

    for name, scheme in MEANS.items():
        steps = found[name].steps
        if steps.best is None:
            assert radius(scheme, 1e-3) > 1
            continue
        assert radius(scheme, steps.best) ** (1 / found[name].gradients) == pytest.approx(steps.growth, rel=1e-9)
        low, high = steps.best, 2 * steps.high
        assert radius(scheme, high) > 1
        for _ in range(24):
            middle = (low * high) ** 0.5
            low, high = (middle, high) if radius(scheme, middle) <= 1 else (low, middle)
        assert steps.high == pytest.approx(low, rel=1e-4)


def test_a_transient_equals_the_largest_power():
    matrix = torch.tensor([[-1.0, 40.0], [0.0, -1.2]], dtype=torch.float64)
    own = Method(SGD(0.1), Simultaneous())
    found = advise(linear(matrix, {"a": 1, "b": 1}), method=own, candidates={}, remaining=60)
    row = found["simultaneous, no momentum"]
    period = torch.eye(2, dtype=torch.float64) + 0.1 * row.steps.best * matrix
    powers = [float(torch.linalg.matrix_norm(torch.linalg.matrix_power(period, k), 2)) for k in range(61)]
    assert row.transient.value == pytest.approx(max(powers), rel=1e-12)
    assert row.transient.step == powers.index(max(powers))
    assert row.transient.value > 5
    assert "fold before it fades" in row.why


def test_modes_that_never_move_do_not_count():
    found = advise(load("bilinear", sigma=torch.tensor([[1.0], [0.0]])), candidates={"ahead": plain(Extragradient())})
    assert found.neutral == 1
    assert found["ahead"].steps.high * 0.1 == pytest.approx(1, rel=1e-5)
    assert found["ahead"].growth < 0.95


def test_what_has_no_linear_map_has_no_prediction_and_says_so():
    found = advise(load("bilinear"), candidates={"clipped": plain(CurvatureClipped())})
    assert found["clipped"].steps is None
    assert "no linear map" in found["clipped"].why
    problem = load("bilinear")
    players = problem.game.models
    optimizers = {p: torch.optim.Adagrad([t], lr=0.1) for p, t in players.items()}
    blind = advise(problem, optimizers=optimizers)
    assert all(row.steps is None for row in blind.candidates)
    assert "No method has a safe step" in blind.sentence
    assert "Adagrad" in str(blind)


def test_the_advice_is_saved_and_printed(tmp_path):
    found = advise(load("bilinear"), candidates={"ahead": plain(Extragradient())})
    data = json.loads(found.save(tmp_path / "advice.json").read_text())
    assert data["rows"][0]["method"] == found.candidates[0].name
    assert data["horizon"]["steps"] == 64
    page = found.save(tmp_path / "advice.md").read_text()
    assert page.startswith("# Advice for bilinear")
    assert "half-life of 69" in str(found)
    with pytest.raises(InputError, match="suffix must be one of"):
        found.save(tmp_path / "advice.txt")
    with pytest.raises(InputError, match="no candidate"):
        found["nobody"]


def test_bad_input_is_told():
    game = Game({"x": torch.ones(1), "y": torch.ones(1)}, lambda m, b: (m["x"] * m["y"]).sum())
    with pytest.raises(InputError, match="bind a game to data first"):
        advise(game)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least 2 minibatches"):
        advise(load("bilinear"), noise=1)
    with pytest.raises(InputError, match="race and lanes"):
        advise(load("bilinear"), race=-1)
    with pytest.raises(InputError, match="'fast' must be a Method, got a SGD"):
        advise(load("bilinear"), candidates={"fast": SGD(0.1)})  # type: ignore[dict-item]
    with pytest.raises(InputError, match="'same' must be a Problem"):
        advise(load("bilinear"), remedies={"same": load("bilinear").game})  # type: ignore[dict-item]
    with pytest.raises(InputError, match="same players"):
        advise(load("bilinear"), remedies={"other": load("dirac-gan")})


def test_the_race_runs_leaders_beside_the_running_method_and_puts_everything_back():
    problem = load("noisy-bilinear")
    before = {p: t.clone() for p, t in problem.game.models.items()}
    candidates = {"ahead": plain(Extragradient()), "alternating": plain(Alternating())}
    found = advise(problem, candidates=candidates, race=60, rounds=1, seeds=2, lanes=2, noise=6)
    assert found.race is not None
    assert found.race.rows[0].name == "simultaneous, no momentum, as it runs"
    assert found.pick in found.raced
    assert "it did best in the race; what leads early may fail later" in found.sentence
    assert found.costs["race"] > 0
    name, step = found.raced[found.pick]
    assert found.method.bases_for(("x", "y"))["x"].lr == pytest.approx(0.1 * step)
    assert found.method.scheme == found[name].method.scheme
    assert found.remedy == ""
    for player, tensor in problem.game.models.items():
        assert torch.equal(tensor, before[player])


def test_a_remedy_is_measured_at_the_same_point_and_raced_from_there():
    pairs = {"x": torch.ones(1, dtype=torch.float64), "y": torch.ones(1, dtype=torch.float64)}
    plain_game = Game(pairs, lambda m, b: (m["x"] * m["y"]).sum(), name="plain")
    damped = Game(
        {p: torch.full((1,), 5.0, dtype=torch.float64) for p in pairs},
        lambda m, b: {"x": (m["x"] * m["y"]).sum(), "y": -(m["x"] * m["y"]).sum() + m["y"].square().sum() / 2},
        name="damped",
    )
    score = lambda models: {"far": sum(float(t.abs().sum()) for t in models.values())}  # noqa: E731
    options = {"method": Method(SGD(0.1), Simultaneous()), "score": score, "better": {"far": "lower"}}
    found = advise(
        Problem(plain_game, "plain", **options),
        remedies={"damped": Problem(damped, "damped", **options)},
        candidates={},
        race=40,
        rounds=1,
        seeds=1,
    )
    row = found["damped: simultaneous, no momentum"]
    # m = 1 + h l with l = (-1 +- i sqrt 3) / 2: safe up to h = 1.
    assert row.steps.high * 0.1 == pytest.approx(1.0, rel=1e-5)
    assert found["simultaneous, no momentum"].steps.best is None
    assert any(lane.startswith("damped") for lane in found.raced)
    assert float(damped.models["x"].detach()) == 5.0
    assert float(plain_game.models["x"].detach()) == 1.0
    assert found.race["simultaneous, no momentum, as it runs"].score["far"].median > 1.5


def test_frozen_bases_are_candidates_too():
    found = advise(
        linear(torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64), {"x": 1, "y": 1}),
        method=Method(Frozen(0.1, Mode()), Extragradient()),
        candidates={},
    )
    assert found[found.running].steps.high == pytest.approx(10, rel=1e-5)
    assert found.candidates[0].growth < 1 < inf


def test_a_model_of_the_leading_modes_gives_the_range_of_the_whole_game():
    """Three outlying rotations and a stiff mode among sixty coordinates: what limits the step lies in the model."""
    n, g = 30, torch.Generator().manual_seed(1)
    turn = torch.cat([torch.tensor([9.0, 7.0, 6.0]), 0.2 + 0.3 * torch.rand(n - 3, generator=g)]).double()
    left, right = (torch.linalg.qr(torch.randn(n, n, generator=g, dtype=torch.float64))[0] for _ in range(2))
    cross = left @ torch.diag(turn) @ right.T
    own = -0.5 * torch.eye(n, dtype=torch.float64)
    matrix = torch.cat([torch.cat([own, -cross], 1), torch.cat([cross.T, own], 1)])
    field = linear(matrix, {"a": n, "b": n})
    ahead = Method(SGD(0.01), Extragradient())
    found = advise(
        field,
        method=Method(SGD(0.01), Alternating()),
        candidates={"ahead": ahead, "solved": Method(SGD(0.01), Competitive())},
        k=3,
    )
    assert not found.exact
    assert found.modes < 60
    row = found["ahead"]
    identity = torch.eye(2 * n, dtype=torch.float64)
    low, high = row.steps.best, 4 * row.steps.best
    for _ in range(40):
        middle = (low + high) / 2
        period = identity + 0.01 * middle * matrix @ (identity + 0.01 * middle * matrix)
        inside = float(torch.linalg.eigvals(period).abs().max()) <= 1
        low, high = (middle, high) if inside else (low, middle)
    assert row.steps.high == pytest.approx(low, rel=1e-3)
    assert 0 < row.residual < 1e-6
    assert "slower ones may contract less" in str(found)
    assert found["solved"].steps is None
    assert "mixes the resolved modes" in found["solved"].why


def test_a_pure_field_is_raced_by_the_growth_of_its_length_and_nothing_is_random_about_it():
    field = linear(torch.tensor([[-0.1, -1.0], [1.0, -0.1]], dtype=torch.float64), {"a": 1, "b": 1})
    found = advise(
        field, method=plain(Simultaneous()), candidates={"ahead": plain(Extragradient())}, race=30, rounds=1, seeds=1
    )
    assert found.pick == "ahead, step × 8.0"
    assert found.method == Method(SGD(0.8), Extragradient())
    # What was predicted for that step is what the race shows.
    assert found.race[found.pick].growth.median == pytest.approx(found["ahead"].growth, rel=0.01)
    assert any("no lane leaves it by more" in note for note in found.notes)


def test_one_player_gets_advice_too():
    """Plain descent on curvatures 1 and 4: the best step is 2 / (1 + 4), and the slowest mode then 3/5."""
    problem = Problem(
        Game(
            {"model": torch.ones(2, dtype=torch.float64)},
            lambda m, b: {"model": (m["model"] ** 2 * torch.tensor([0.5, 2.0])).sum()},
        ),
        "descent",
        method=plain(Simultaneous()),
    )
    found = advise(problem)
    row = found["simultaneous, no momentum"]
    assert row.steps.best * 0.1 == pytest.approx(0.4, rel=1e-3)
    assert row.steps.growth == pytest.approx(0.6, rel=1e-3)
    assert all("alternating" not in c.name for c in found.candidates)


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0])
def test_alternation_helps_at_weak_damping_and_hurts_at_strong_damping(gamma: float):
    """The Dirac-GAN with R1: at once up to ``min 2 |Re l| / |l|^2``, in turns up to ``(-g + sqrt(g^2 + 4 f^2)) / f^2``."""
    f = 0.5
    matrix = torch.tensor([[0.0, -f], [f, -gamma]], dtype=torch.float64)
    found = advise(
        linear(matrix, {"G": 1, "D": 1}),
        method=Method(SGD(1.0), Simultaneous()),
        candidates={"in turns": Method(SGD(1.0), Alternating(("D", "G")))},
    )
    values = torch.linalg.eigvals(matrix)
    at_once = float((2 * values.real.abs() / values.abs().square()).min())
    in_turns = (-gamma + (gamma**2 + 4 * f**2) ** 0.5) / f**2
    assert found["simultaneous, no momentum"].steps.high == pytest.approx(at_once, rel=1e-5)
    assert found["in turns"].steps.high == pytest.approx(in_turns, rel=1e-5)
    assert (in_turns > at_once) == (gamma == 0.3)


@pytest.mark.parametrize("seed", range(4))
def test_no_safe_step_is_better_than_the_best(seed: int) -> None:
    """Also between the border and the scanned step before it, and where modes that take over leave several minima."""
    n, eye = 3, torch.eye(6, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    b = torch.randn(n, n, generator=generator, dtype=torch.float64)
    damping = 0.15 + 0.3 * torch.rand(2 * n, generator=generator, dtype=torch.float64)
    matrix = -damping.diag()
    matrix[:n, n:], matrix[n:, :n] = -b, b.T
    first, second = matrix.clone(), matrix.clone()
    first[n:], second[:n] = 0, 0
    maps = {
        "extragradient": lambda h: eye + h * matrix @ (eye + h * matrix),
        "alternating": lambda h: (eye + h * second) @ (eye + h * first),
    }
    field = FunctionField(lambda x: matrix @ x, torch.ones(2 * n, dtype=torch.float64), players={"x": n, "y": n})
    schemes = {"extragradient": Extragradient(), "alternating": Alternating(("x", "y"))}
    candidates = {name: Method(SGD(0.1), scheme) for name, scheme in schemes.items()}
    advice = advise(field, candidates=candidates, remedies={}, method=candidates["alternating"], transforms=False)
    for name, step_map in maps.items():
        steps = advice[name].steps
        assert steps is not None
        assert steps.best is not None

        def radius(h: float, step_map=step_map) -> float:
            return float(torch.linalg.eigvals(step_map(0.1 * h)).abs().max())

        ideal = min(radius(steps.high * share / 400) for share in range(1, 401))
        assert radius(steps.best) <= ideal + 1e-4, name
        assert radius(steps.high * 1.001) > 1 > radius(steps.high * 0.999)


def test_where_the_linear_picture_does_not_hold_the_advice_is_called_a_guess():
    far = advise(load("bilinear"), candidates={"extragradient": Method(SGD(0.1), Extragradient())})
    assert "a ranking to be tried" in far.sentence
    assert "a guess to be tried" in replace(far, horizon_steps=0).sentence


def test_a_best_step_at_the_border_is_said_to_lie_there():
    """Curvatures 1 and 20: the best step 2 / 21 is 5% below the limit 2 / 20; half of it contracts by a twenty-first."""
    at_edge = linear(torch.diag(torch.tensor([-1.0, -20.0], dtype=torch.float64)), {"x": 2})
    found = advise(at_edge, method=Method(SGD(0.01), Simultaneous()), candidates={})
    row = found["simultaneous, no momentum"]
    assert row.steps.edge == pytest.approx(10, rel=1e-5)
    assert (
        "This best step is 5.0% from the border; at 4.8 times the change of the mean is −4.8% per gradient" in row.why
    )
    assert "This lies at the border of its safe steps, up to 10." in found.sentence
    far = linear(torch.diag(torch.tensor([-1.0, -2.0], dtype=torch.float64)), {"x": 2})
    found = advise(far, method=Method(SGD(0.01), Simultaneous()), candidates={})
    assert found["simultaneous, no momentum"].steps.edge is None
    assert "border" not in str(found)


def test_what_does_best_early_need_not_win_a_race_of_several_rounds():
    """A long step comes near soon and is kept away by noise; a short one comes later and nearer."""
    start = torch.tensor([10.0], dtype=torch.float64)

    def pulled(seed: int):
        g = torch.Generator().manual_seed(seed)
        while True:
            yield torch.randn(1, generator=g, dtype=torch.float64)

    problem = Problem(
        Game({"x": start}, {"x": lambda m, b: (m["x"].square() / 2 + b * m["x"]).sum()}, name="pulled"),
        "pulled",
        data=torch.zeros(1, dtype=torch.float64),
        stream=pulled,
        method=Method(SGD(0.05), Simultaneous()),
        score=lambda models: {"far": float(models["x"].detach().abs())},
        better={"far": "lower"},
    )
    options = {"candidates": {}, "race": 40, "rounds": 1, "seeds": 3, "noise": 0}
    early, late = advise(problem, **options), advise(problem, **(options | {"rounds": 2}))
    assert early.raced[early.pick][1] == pytest.approx(8.0)
    assert late.raced[late.pick][1] == 1.0
    assert [heat.budget for heat in late.heats] == [40]
    assert late.race.budget == 120
    assert not set(late.race.seeds) & set(late.heats[0].seeds)
    assert "went on" in str(late)
    assert "it did best in the last of 2 rounds" in late.sentence
    assert len(late.to_dict()["heats"]) == 1
    assert late.costs["race, round 2"] == 120 * 3 * 2
    assert float(start) == 10.0
    with pytest.raises(InputError, match="rounds=0"):
        advise(problem, **(options | {"rounds": 0}))


def test_a_scheme_with_a_pace_of_its_own_has_no_prediction_from_the_small_model():
    """Its controller knows the rate itself; the model knows the rate together with the field only."""
    found = advise(load("bilinear"), candidates={"controlled": plain(Stabilised())}, warm_up=0)
    assert found["controlled"].steps is None
    assert found["controlled"].why.startswith("No prediction: stabilised")


class Banded(Tried):
    """Safe below 0.01 and between 1 and 10; beyond 10 it grows, or the model resolves nothing."""

    beyond = 3.0

    def modulus(self, step: float) -> float:
        return (0.9 if step < 0.01 else 2.0) if step < 1 else 0.5 if step < 10 else self.beyond


class Dim(Banded):
    beyond = inf


@pytest.mark.parametrize("kind", [Banded, Dim])
def test_a_second_safe_range_and_the_end_of_what_the_model_resolves_are_told(kind: type[Banded]):
    field = linear(torch.tensor([[-1.0]], dtype=torch.float64), {"x": 1})
    operator = field.jacobian()
    small = reduce(operator, field.space, leading(operator, k=1))
    tried = kind(small, Simultaneous(), {"x": Frozen(1.0, Mode())}, 1.0)
    found = safe_steps(tried)
    assert found.low == pytest.approx(1.0, rel=1e-5)
    assert found.high == pytest.approx(10.0, rel=1e-5)
    assert found.short
    assert found.unresolved == (kind is Dim)
    text = _why(tried, found, False, 1.0, None, None)
    assert "far shorter steps are safe again" in text
    assert ("does not resolve its modes, and nothing is known" in text) == (kind is Dim)
    assert ("takes over" in text) == (kind is Banded)


def test_growth_that_rounding_hides_at_short_steps_is_not_a_safe_range():
    """Of a rotation RungeKutta(2) has |m|^2 = 1 + z^4 / 4: 1e-10 a step at z = 0.005, and more than 1 at every step."""
    found = advise(load("bilinear"), candidates={"rk2": plain(RungeKutta(2)), "alternating": plain(Alternating())})
    assert found["rk2"].steps.best is None
    assert found["rk2"].steps.present == pytest.approx((1 + 0.1**4 / 4) ** 0.25, rel=1e-12)  # two gradients a step
    assert "No step is safe: a rotation grows at every step size" in found["rk2"].why
    assert found["alternating"].steps.high * 0.1 == pytest.approx(2, rel=1e-4)  # |m| = 1 up to there, exactly
