"""Lazy terms of schemes: predictions against the steps made, training against a hand-written loop, phases and counts."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest
import torch
from torch import Tensor

from lazy_games import Counted, LazyGame, batches, gan, point, quadratic, r1
from separatrix.dynamics import (
    SGD,
    Adam,
    Alternating,
    Clock,
    Competitive,
    Consensus,
    Frozen,
    GameOptimizer,
    LinearPeriod,
    Lookahead,
    Method,
    Mode,
    Problem,
    Simultaneous,
    UpdateMap,
    lazy,
    lazy_period,
    linear_period,
    multipliers,
    simulate,
    train,
)
from separatrix.dynamics.schemes import SCHEME, Scheme
from separatrix.errors import ComputationError, InputError
from separatrix.fields import FunctionField, Game

RATE = 0.15


def plain_and_lazy(name: str, game: LazyGame, every: int) -> tuple[Scheme, Scheme]:
    order = tuple(reversed(game.space.players))
    return {
        "simultaneous": (Simultaneous(), Simultaneous({"pen": every})),
        "alternating": (Alternating(order), Alternating(order, lazy={"pen": every})),
        "repeats": (Alternating(order, {order[0]: 2}), Alternating(order, {order[0]: 2}, lazy={"pen": every})),
        "lookahead": (Lookahead(Alternating(), 2), Lookahead(Alternating(lazy={"pen": every}), 2)),
    }[name]


def predicted(game: LazyGame, scheme: Scheme, momentum: float) -> LinearPeriod:
    bases = {p: Frozen(RATE, Mode("heavy-ball", momentum) if momentum else Mode()) for p in game.space.players}
    return linear_period(game.matrix + game.penalty, scheme, bases, game.space, terms={"pen": game.penalty})


def simulated(game: LazyGame, scheme: Scheme, momentum: float, steps: int) -> Tensor:
    """The map of so many steps from the columns of the identity; the momentum stands as in the middle of a run."""
    field = game.game.on()
    method = Method(SGD(RATE, momentum), scheme)
    ends = []
    for start in torch.eye(game.space.n, dtype=torch.float64):
        x, states = method.init(field, start)
        states = {p: {k: 5 if k == "step" else v for k, v in s.items()} for p, s in states.items()}
        if "slow" in states.get(SCHEME, {}):
            states[SCHEME]["slow"] = torch.zeros_like(x)
        ends.append(simulate(method, field, steps=steps, x=x, states=states)[0])
    return torch.stack(ends, 1)


@pytest.mark.parametrize("every", [1, 2, 3, 4])
@pytest.mark.parametrize("momentum", [0.0, 0.4])
@pytest.mark.parametrize("name", ["simultaneous", "alternating", "repeats", "lookahead"])
def test_the_map_of_a_full_period_equals_simulated_steps_and_lazy_period(
    name: str, momentum: float, every: int
) -> None:
    for seed in range(6):
        game = quadratic(seed)
        plain, scheme = plain_and_lazy(name, game, every)
        found = predicted(game, scheme, momentum)
        assert found.steps == scheme.cycle
        real = simulated(game, scheme, momentum, found.steps)
        n = game.space.n
        assert torch.allclose(found.matrix[:n, :n], real, rtol=1e-10, atol=1e-10)
        bases = {p: Frozen(RATE, Mode("heavy-ball", momentum) if momentum else Mode()) for p in game.space.players}
        other = lazy_period(game.matrix, game.penalty, every, plain, bases, game.space)
        assert torch.allclose(found.matrix, other.matrix, rtol=1e-10, atol=1e-10)
        if every > 1:  # the mean field is another map, and by far
            mean = linear_period(game.matrix + game.penalty, plain, bases, game.space)
            gap = (torch.linalg.matrix_power(mean.matrix, found.steps // mean.steps) - found.matrix)[:n, :n]
            assert float(gap.norm()) > 1e-3 * float(real.norm())


@pytest.mark.parametrize("momentum", [0.0, 0.4])
def test_two_lazy_terms_have_the_least_common_multiple_as_their_cycle(momentum: float) -> None:
    """The terms ``pen`` every second and ``game`` every third step: four different fields in six steps."""
    game = quadratic(2)
    scheme = Alternating(lazy={"pen": 2, "game": 3})
    bases = {p: Frozen(RATE, Mode("heavy-ball", momentum) if momentum else Mode()) for p in game.space.players}
    terms = {"pen": game.penalty, "game": game.matrix}
    found = linear_period(game.matrix + game.penalty, scheme, bases, game.space, terms=terms)
    assert found.steps == scheme.cycle == 6
    n = game.space.n
    assert torch.allclose(found.matrix[:n, :n], simulated(game, scheme, momentum, 6), atol=1e-10)


@pytest.mark.parametrize("name", ["simultaneous", "alternating", "repeats"])
def test_a_term_taken_every_step_is_no_laziness_bitwise(name: str) -> None:
    game = quadratic(1)
    field = game.game.on()
    plain, scheme = plain_and_lazy(name, game, 1)
    ends = [simulate(Method(Adam(0.05), s), field, steps=7)[0] for s in (plain, scheme)]
    assert torch.equal(*ends)
    drawn = batches(5)
    trained = []
    for lazily in ({}, {"r1": 1}):
        opt = GameOptimizer(made := gan(), Adam(0.01), scheme=Alternating(("D", "G"), lazy=lazily))
        for batch in drawn:
            opt.step(batch)
        trained.append(point(made))
    assert torch.equal(*trained)


@pytest.mark.parametrize("base", [SGD(0.05, 0.5), Adam(0.01, (0.5, 0.9))], ids=["sgd", "adam"])
@pytest.mark.parametrize("order", [("D", "G"), None], ids=["alternating", "simultaneous"])
@pytest.mark.parametrize("every", [1, 4])
def test_training_equals_a_loop_with_a_schedule_bitwise(base: Any, order: tuple[str, ...] | None, every: int) -> None:
    """By hand: the penalty stands in the losses with a weight from the ``lazy`` schedule and is left out where that is 0."""
    drawn = batches(10)
    clock, weight = Clock(), lazy(1.0, every)
    plain = gan()

    def losses(m: dict[str, Any], batch: Any) -> Any:
        found = plain.losses(m, batch)  # type: ignore[operator]
        term, factor = found["D"].pop("r1"), weight(clock.steps)
        return {**found, "D": {**found["D"], **({"r1": factor * term()} if factor else {})}}

    by_hand = Game(plain.models, losses)
    opt = GameOptimizer(by_hand, base, scheme=Alternating(order) if order else Simultaneous())
    for batch in drawn:
        opt.step(batch)
        clock.tick()
    counted = Counted(r1)
    game = gan(counted)
    lazily = {"r1": every}
    opt = GameOptimizer(game, base, scheme=Alternating(order, lazy=lazily) if order else Simultaneous(lazily))
    for batch in drawn:
        opt.step(batch)
    assert torch.equal(point(game), point(by_hand))
    assert counted.calls == ceil(len(drawn) / every)


def test_the_mean_field_is_told_from_the_lazy_one() -> None:
    """The same training without laziness ends elsewhere: what the equality above would miss if the option did nothing."""
    ends = []
    for lazily in ({}, {"r1": 4}):
        opt = GameOptimizer(game := gan(), SGD(0.05), scheme=Alternating(("D", "G"), lazy=lazily))
        for batch in batches(10):
            opt.step(batch)
        ends.append(point(game))
    assert float((ends[0] - ends[1]).norm()) > 1e-4


def test_a_resumed_run_stays_in_phase_bitwise() -> None:
    drawn = batches(11)

    def build(counted: Counted) -> GameOptimizer:
        return GameOptimizer(gan(counted), Adam(0.01), scheme=Alternating(("D", "G"), lazy={"r1": 4}))

    whole = build(first := Counted(r1))
    half = build(Counted(r1))
    for batch in drawn:
        whole.step(batch)
    for batch in drawn[:6]:
        half.step(batch)
    resumed = build(second := Counted(r1))
    for own, other in zip(resumed.game.parameters, half.game.parameters, strict=True):
        own.data.copy_(other.data)
    resumed.load_state_dict(half.state_dict())
    assert resumed.states[SCHEME] == {"made": 6}
    for batch in drawn[6:]:
        resumed.step(batch)
    assert torch.equal(point(resumed.game), point(whole.game))
    assert (first.calls, second.calls) == (3, 1)  # due at the steps 1, 5 and 9


def test_a_continued_training_stays_in_phase_and_logs_the_term_where_it_was_taken() -> None:
    def build() -> Problem:
        drawn = batches(1)
        return Problem(gan(), "gan", data=drawn[0], method=Method(Adam(0.01), Simultaneous({"r1": 3})))

    whole, parts = build(), build()
    full = train(whole, 8, progress=False)
    first = train(parts, 4, progress=False)
    train(parts, 4, states=first.states, progress=False)
    assert torch.equal(point(whole.game), point(parts.game))
    seen = ~full.losses["D"]["r1"].isnan()
    assert seen.tolist() == [True, False, False, True, False, False, True, False]
    assert float(full.losses["D"]["r1"][0]) == build().field().losses()["D"]["r1"]  # without its factor


def test_a_step_costs_less_without_its_term_and_a_period_what_its_steps_cost() -> None:
    game, batch = gan(), batches(1)[0]
    for scheme in (Simultaneous({"r1": 4}), Alternating(("D", "G"), lazy={"r1": 4})):
        opt = GameOptimizer(game, SGD(1e-6), scheme=scheme)
        costs = [opt.step(batch).gradients for _ in range(5)]
        assert costs[0] == costs[4] > costs[1] == costs[2] == costs[3]
        field = game.on(batch)
        stated = opt.method.gradients(field)
        # The measuring field counts the forward pass of a player alone with all that stands in the losses.
        assert stated == pytest.approx(sum(costs[:4]) / 4, rel=0.15)
        bare = Simultaneous() if isinstance(scheme, Simultaneous) else Alternating(("D", "G"))
        assert stated < Method(SGD(1e-6), bare).gradients(field)
    assert costs[0] > 1.0  # alternating players share no forward pass
    simultaneous = Method(SGD(1e-6), Simultaneous({"r1": 4}))
    assert simultaneous.gradients(field) == pytest.approx((1 + 3 * field.weighted({"r1": 0}).share()) / 4)


def test_a_simulated_period_is_billed_what_it_costs() -> None:
    field = gan().on(batches(1)[0])
    method = Method(SGD(0.01), Simultaneous({"r1": 4}))
    simulate(method, field, steps=8)
    assert field.gradients == pytest.approx(8 * method.gradients(field))
    assert 2 < field.gradients < 8


@pytest.mark.parametrize("transforms", [(), (Consensus(0.3),)], ids=["plain", "consensus"])
@pytest.mark.parametrize("base", [SGD(0.05, 0.5), Adam(0.01, (0.5, 0.9))], ids=["sgd", "adam"])
@pytest.mark.parametrize("scheme", [Simultaneous({"r1": 3}), Alternating(("D", "G"), lazy={"r1": 2})])
def test_the_exact_update_map_is_the_derivative_of_the_real_period(
    scheme: Scheme, base: Any, transforms: tuple[Any, ...]
) -> None:
    field = gan().on(batches(1)[0])
    method = Method(base, scheme, transforms)
    x, states, _ = simulate(method, field, steps=4)  # into the middle of a period
    operator = UpdateMap(method, field, x, states)
    assert operator.steps == scheme.cycle

    def period(z: Tensor) -> Tensor:
        at, *tensors = z.split([size for _, size in operator.layout])
        pieces = iter(tensors)
        given = {p: {k: next(pieces) if isinstance(v, Tensor) else v for k, v in s.items()} for p, s in states.items()}
        return flat(*simulate(method, field, steps=scheme.cycle, x=at, states=given)[:2])

    z = flat(x, states)
    assert torch.allclose(operator.after, period(z), rtol=1e-13, atol=1e-14)
    u = torch.randn(len(z), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    squares = [(part.abs() if "square" in name else torch.ones_like(part)) for (name, _), part in zip(
        operator.layout, z.split([s for _, s in operator.layout]), strict=True)]  # fmt: skip
    u, h = u * torch.cat(squares), 1e-4
    ends = [period(z + k * h * u) for k in (-2, -1, 1, 2)]
    expected = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * h)
    assert float((operator @ u - expected).norm()) < 1e-6 * float(expected.norm())
    w = torch.randn(len(z), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert float(w @ (operator @ u)) == pytest.approx(float(u @ (operator.T @ w)), rel=1e-9, abs=1e-12)


def flat(x: Tensor, states: Any) -> Tensor:
    return torch.cat([x, *(v for s in states.values() for v in s.values() if isinstance(v, Tensor))])


@pytest.mark.parametrize("momentum", [0.0, 0.4])
def test_the_frozen_update_map_is_the_predicted_period_from_anywhere_in_it(momentum: float) -> None:
    for seed in range(4):
        game = quadratic(seed)
        method = Method(SGD(RATE, momentum), Alternating(lazy={"pen": 3}))
        field = game.game.on()
        x, states, _ = simulate(method, field, steps=4)
        found = UpdateMap(method, field, x, states, frozen=True, jacobian=field.jacobian(x, checks=False))
        expected = predicted(game, method.scheme, momentum).matrix
        assert torch.allclose(found.to_dense(), expected, atol=1e-11)


def test_many_starts_are_followed_at_once_in_phase() -> None:
    game = quadratic(3)
    method = Method(SGD(RATE, 0.4), Alternating(lazy={"pen": 3}))
    field = game.game.on()
    starts = torch.randn(4, game.space.n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    _, _, paths = simulate(method, field, steps=5, x=starts)
    for i, start in enumerate(starts):
        alone = simulate(method, field, steps=5, x=start)[2]
        assert torch.allclose(paths[:, i], alone, atol=1e-12)


def test_a_term_that_is_a_tensor_may_be_lazy_too() -> None:
    ends, drawn = [], batches(6)
    for as_function in (True, False):
        opt = GameOptimizer(game := gan(as_function=as_function), SGD(0.05), scheme=Simultaneous({"r1": 4}))
        for batch in drawn:
            opt.step(batch)
        ends.append(point(game))
    assert torch.equal(*ends)


def test_a_player_stands_still_while_all_that_moves_it_is_left_out() -> None:
    x, y = (torch.ones(1, dtype=torch.float64) for _ in "xy")

    def losses(m: dict[str, Tensor], batch: Any) -> Any:
        return {"x": {"own": m["x"].square().sum()}, "y": {"pen": lambda: m["y"].square().sum() / 2}}

    field = (game := Game({"x": x, "y": y}, losses)).on()
    path = simulate(Method(SGD(0.1), Simultaneous({"pen": 2})), field, steps=3)[2]
    assert path[:, 1].tolist() == pytest.approx([1.0, 0.8, 0.8, 0.64])
    opt = GameOptimizer(game, SGD(0.1), scheme=Simultaneous({"pen": 2}))
    for _ in range(3):
        opt.step(None)
    assert float(y) == pytest.approx(0.64)


@pytest.mark.parametrize("every", [0, -1, 2.0, True, "4"])
@pytest.mark.parametrize("kind", [Simultaneous, Alternating])
def test_a_number_of_steps_that_is_none_is_refused(kind: Any, every: Any) -> None:
    with pytest.raises(InputError, match=r"a whole number from 1 on, got .* for 'r1'"):
        kind(lazy={"r1": every})


def test_an_unknown_term_is_named_with_those_that_there_are_and_nothing_moves() -> None:
    message = r"the losses of 'gan' have no term 'r2'\. Their terms are G: 'adv'; D: 'adv', 'r1'"
    game, batch = gan(), batches(1)[0]
    before = point(game)
    for scheme in (Simultaneous({"r2": 4}), Alternating(("D", "G"), lazy={"r2": 4})):
        with pytest.raises(InputError, match=message):
            GameOptimizer(game, SGD(0.1), scheme=scheme).step(batch)
        with pytest.raises(InputError, match=message):
            simulate(Method(SGD(0.1), scheme), game.on(batch), steps=1)
    assert torch.equal(point(game), before)
    with pytest.raises(InputError, match="no term 'advv'; did you mean 'adv'"):
        game.on(batch).weighted({"advv": 0.0})()
    by_player = Game(game.models, {p: lambda m, b, p=p: game.losses(m, b)[p] for p in "GD"}, name="gan")  # type: ignore[operator, misc]
    # Each player's terms are seen at its own move.
    with pytest.raises(InputError, match=r"no term 'r2'\. Their terms are D: 'adv', 'r1'; G: 'adv'\."):
        GameOptimizer(by_player, SGD(0.1), scheme=Alternating(("D", "G"), lazy={"r2": 4})).step(batch)
    assert torch.equal(point(game), before)


def test_what_cannot_weight_a_term_refuses_by_name() -> None:
    bare = FunctionField(lambda x: -x, torch.ones(2, dtype=torch.float64), players={"x": 1, "y": 1}, name="bare")
    method = Method(SGD(0.1), Simultaneous({"r1": 2}))
    with pytest.raises(InputError, match="the FunctionField 'bare' is no sum of named loss terms, so 'r1'"):
        simulate(method, bare, steps=1)
    with pytest.raises(InputError, match="the FunctionField 'bare' is no sum"):
        simulate(method, bare, steps=1, x=torch.ones(3, 2))
    with pytest.raises(InputError, match="the FunctionField 'bare' is no sum"):
        UpdateMap(method, bare, frozen=True)
    opt = GameOptimizer(gan(), SGD(0.1), scheme=Simultaneous({"r1": 2}))
    with pytest.raises(InputError, match=r"the gradients in \.grad are those of whole losses, in which 'r1'"):
        opt.step()
    game = quadratic(0)
    bases = {p: Frozen(RATE, Mode()) for p in game.space.players}
    with pytest.raises(ComputationError, match="what the lazy term 'pen' adds to the Jacobian is not known"):
        linear_period(game.matrix, Simultaneous({"pen": 2}), bases, game.space)
    with pytest.raises(ComputationError, match="an eigenvalue has no multiplier of its own under simultaneous"):
        multipliers(Simultaneous({"pen": 2}), -0.5)
    with pytest.raises(TypeError):
        Competitive(lazy={"pen": 2})  # type: ignore[call-arg]
