"""What every optimizer of ``sx.optim`` must do."""

from __future__ import annotations

import inspect
import io
from copy import deepcopy

import pytest
import torch
from every_optimizer import LEFT_OUT, MAKE, a_batch, a_gan, losses, point

from separatrix.dynamics import SGD, Method, Problem, schemes, simulate, train
from separatrix.dynamics import optim as methods
from separatrix.dynamics.game_optimizer import GameOptimizer
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import FunctionField, Game

every = pytest.mark.parametrize("name", MAKE)


def test_the_suite_leaves_no_optimizer_out() -> None:
    public = {
        n
        for n in methods.__all__
        if inspect.isclass(getattr(methods, n)) and issubclass(getattr(methods, n), GameOptimizer)
    }
    assert public - {type(make(a_gan())).__name__ for make in MAKE.values()} - {"GameOptimizer"} == LEFT_OUT


@every
def test_steps_are_those_of_the_pure_method(name: str) -> None:
    game, twin = a_gan(), a_gan()
    opt = MAKE[name](game)
    field = twin.on(a_batch())
    x, states = opt.method.init(field)
    assert set(states) == set(opt.states)
    for _ in range(3):
        step = opt.step(a_batch())
        x, states = opt.method.step(field, x, states)
    torch.testing.assert_close(point(game), x, rtol=0, atol=1e-9)
    assert step.number == 3
    assert set(step.losses) == set(step.norms) == {"G", "D"}
    if not opt.scheme.solves:
        assert step.gradients == pytest.approx(opt.method.gradients(field), rel=1e-9)


@every
def test_a_state_dict_round_trip_in_mid_run_is_bitwise(name: str) -> None:
    game = a_gan()
    opt = MAKE[name](game)
    for i in range(3):
        opt.step(a_batch(i))
    saved = io.BytesIO()
    torch.save({"modules": {p: m.state_dict() for p, m in game.models.items()}, "opt": opt.state_dict()}, saved)
    for i in range(3, 6):
        opt.step(a_batch(i))
    saved.seek(0)
    loaded = torch.load(saved, weights_only=True)
    other = a_gan()
    for p, m in other.models.items():
        m.load_state_dict(loaded["modules"][p])
    resumed = MAKE[name](other)
    resumed.load_state_dict(loaded["opt"])
    for i in range(3, 6):
        last = resumed.step(a_batch(i))
    assert torch.equal(point(game), point(other))
    assert last.number == 6


@every
def test_schedulers_are_accepted_and_a_rate_of_zero_holds_a_player(name: str) -> None:
    game = a_gan()
    opt = MAKE[name](game)
    scheduler = torch.optim.lr_scheduler.LambdaLR(opt, [lambda i: 0.0 if i == 0 else 0.5, lambda i: 1.0])
    before = {p: [t.clone() for t in m.parameters()] for p, m in game.models.items()}
    opt.step(a_batch())
    assert all(torch.equal(a, b) for a, b in zip(before["G"], game.models["G"].parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(before["D"], game.models["D"].parameters(), strict=True))
    scheduler.step()
    assert opt.param_groups[0]["lr"] == 0.5 * scheduler.base_lrs[0]
    opt.step(a_batch())
    assert not all(torch.equal(a, b) for a, b in zip(before["G"], game.models["G"].parameters(), strict=True))


@every
def test_zero_grad_in_either_mode_changes_nothing(name: str) -> None:
    game, other = a_gan(), a_gan()
    opt, plain = MAKE[name](game), MAKE[name](other)
    for p in game.parameters:
        p.grad = torch.ones_like(p)
    for i, to_none in enumerate((False, True)):
        opt.zero_grad(set_to_none=to_none)
        opt.step(a_batch(i))
        plain.step(a_batch(i))
    assert torch.equal(point(game), point(other))


@every
def test_a_batch_in_parts_is_the_whole_batch(name: str) -> None:
    """Against losses that average both parts themselves."""
    game = a_gan()
    opt = MAKE[name](game)
    parts = [a_batch(0), a_batch(1)]
    joined = a_gan()

    def both(models, batch):
        found = [losses(models, part) for part in batch]
        return {p: 0.25 * found[0][p] + 0.75 * found[1][p] for p in found[0]}

    whole = MAKE[name](Game(dict(joined.models), both))
    for _ in range(2):
        step = opt.step(methods.Accumulated(parts, [1.0, 3.0]))
        expected = whole.step(parts)
    torch.testing.assert_close(point(game), point(joined), rtol=0, atol=1e-9)
    assert step.losses["G"]["loss"] == pytest.approx(expected.losses["G"]["loss"], rel=1e-6)


@every
def test_loss_scaling_is_undone_before_anything_else_and_a_step_that_overflows_is_skipped(name: str) -> None:
    game, other = a_gan(), a_gan()
    opt, plain = MAKE[name](game), MAKE[name](other)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    for i in range(2):
        scaled, expected = opt.step(a_batch(i), scaler=scaler), plain.step(a_batch(i))
        assert all(scaled.losses[p] == pytest.approx(expected.losses[p]) for p in ("G", "D"))
    torch.testing.assert_close(point(game), point(other), rtol=0, atol=1e-9)
    assert scaler.get_scale() == 2048.0
    loud = MAKE[name](Game(dict(game.models), lambda m, b: {p: 1e6 * found for p, found in losses(m, b).items()}))
    scaler.load_state_dict({**scaler.state_dict(), "scale": 1e308})
    before, states = point(game), deepcopy(loud.states)
    skipped = loud.step(a_batch(), scaler=scaler)
    assert "player" in skipped.skipped
    assert skipped.number == 0
    assert torch.equal(point(game), before)
    assert_same(loud.states, states)
    assert scaler.get_scale() == 0.5e308


@every
def test_a_step_that_is_not_finite_keeps_the_last_good_state_and_names_player_and_tensor(name: str) -> None:
    game = a_gan()

    def fail(models, batch):
        found = losses(models, batch)
        # Finite, with a gradient that is not.
        return {**found, "D": found["D"] + (models["D"][2].bias.sum() * 0).sqrt()}

    opt = MAKE[name](Game(dict(game.models), fail))
    before, states = point(game), deepcopy(opt.states)
    with pytest.raises(NonFiniteError, match=r"player 'D'"):
        opt.step(a_batch())
    assert torch.equal(point(game), before)
    assert_same(opt.states, states)
    assert opt._steps == 0


def assert_same(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for owner, state in a.items():
        for key, value in state.items():
            same = torch.equal(value, b[owner][key]) if isinstance(value, torch.Tensor) else True
            assert same, f"{owner}.{key}"


ONE_CALL = [
    n for n, make in MAKE.items() if (o := make(a_gan())).scheme.one_evaluation and not o.method.second_derivatives
]


@pytest.mark.parametrize("to_none", [True, False])
@pytest.mark.parametrize("name", ONE_CALL)
def test_gradients_from_backward_do_as_well_as_a_batch(name: str, to_none: bool) -> None:
    """Also where they are accumulated, and zeroed in place: a past gradient that aliased ``.grad`` would be zero then."""
    game, other = a_gan(), a_gan()
    opt, plain = MAKE[name](game), MAKE[name](other)
    for i in range(4):
        opt.zero_grad(set_to_none=to_none)
        for part in (a_batch(i), a_batch(i + 7)):
            found = losses(game.models, part)
            for player, module in game.models.items():
                for p, g in zip(
                    module.parameters(),
                    torch.autograd.grad(found[player] / 2, list(module.parameters()), retain_graph=True),
                    strict=True,
                ):
                    p.grad = g if p.grad is None else p.grad.add_(g)
        step = opt.step()
        expected = plain.step(methods.Accumulated([a_batch(i), a_batch(i + 7)]))
        assert step.norms == pytest.approx(expected.norms)
        assert step.gradients == 1.0
        assert step.losses == {}
    torch.testing.assert_close(point(game), point(other), rtol=0, atol=1e-14)


def test_a_torch_scaler_steps_an_optimizer_that_takes_gradients_as_they_stand() -> None:
    game, other = a_gan(), a_gan()
    opt, plain = MAKE["clipped"](game), MAKE["clipped"](other)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    for i in range(3):
        opt.zero_grad()
        found = losses(game.models, a_batch(i))
        grads = {
            p: torch.autograd.grad(scaler.scale(found[p]), list(m.parameters()), retain_graph=True)
            for p, m in game.models.items()
        }
        for player, module in game.models.items():
            for p, g in zip(module.parameters(), grads[player], strict=True):
                p.grad = g
        scaler.step(opt)
        scaler.update()
        plain.step(a_batch(i))
    torch.testing.assert_close(point(game), point(other), rtol=0, atol=1e-14)
    for p in game.parameters:
        p.grad = torch.full_like(p, float("inf"))
    before = point(game)
    assert scaler.step(opt) is None
    scaler.update()
    assert torch.equal(point(game), before)
    assert scaler.get_scale() == 128.0


def test_what_evaluates_by_itself_asks_for_a_batch() -> None:
    for name in MAKE:
        if name not in ONE_CALL:
            with pytest.raises(InputError, match=r"needs at least one batch: it evaluates the losses by itself"):
                MAKE[name](a_gan()).step()
    with pytest.raises(
        InputError, match=r"player 'G' has no gradient: call backward\(\) on its loss before opt.step\(\)"
    ):
        MAKE["optimistic"](a_gan()).step()
    shared = torch.nn.Parameter(torch.ones(2))
    game = Game({"a": {"w": shared}, "b": {"w": shared}}, lambda m, _: m["a"]["w"].sum() * m["b"]["w"].sum())
    with pytest.raises(InputError, match=r"players 'a' and 'b' share a\['w'\], whose .grad holds the sum"):
        methods.Simultaneous(game, SGD(0.1)).step()
    with pytest.raises(InputError, match="a scaler goes with a batch"):
        MAKE["optimistic"](a_gan()).step(scaler=torch.amp.GradScaler("cpu"))


@every
def test_a_base_whose_parameters_are_not_the_games_is_named(name: str) -> None:
    game = a_gan()
    opt = MAKE[name](game)
    foreign = {"G": torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1), "D": SGD(0.1)}
    with pytest.raises(InputError, match=r"player 'G'"):
        GameOptimizer(game, foreign, scheme=opt.scheme, transforms=opt.transforms)
    with pytest.raises(InputError, match=r"optimizers for \['G'\], the players are \['G', 'D'\]"):
        GameOptimizer(game, {"G": SGD(0.1)}, scheme=opt.scheme, transforms=opt.transforms)


@every
@pytest.mark.parametrize("lr", [0.0, -0.1])
def test_a_step_that_is_not_positive_is_refused(name: str, lr: float) -> None:
    with pytest.raises(InputError, match="lr must be positive, got"):
        Method(SGD(lr), MAKE[name](a_gan()).scheme)


def test_existing_optimizers_of_each_player_are_taken_over() -> None:
    game = a_gan()
    held = {p: torch.optim.SGD(m.parameters(), lr=0.1) for p, m in game.models.items()}
    for make in (methods.Competitive, methods.Stabilised, methods.Optimistic, methods.Extragradient):
        opt = make(a := a_gan(), {p: torch.optim.SGD(m.parameters(), lr=0.1) for p, m in a.models.items()})
        opt.step(a_batch())
        x, _, _ = simulate(Method(SGD(0.1), opt.scheme), a_gan().on(a_batch()), steps=1)
        torch.testing.assert_close(point(a), x, rtol=0, atol=1e-6)
    assert methods.PastExtragradient(game, held).method.bases["G"] == SGD(0.1)


def test_a_run_on_a_bare_field_stops_at_the_last_finite_point_too() -> None:
    field = FunctionField(
        lambda w: 1e200 * w, torch.tensor([1.0, 1e-200], dtype=torch.float64), players={"x": 1, "y": 1}
    )
    for method in (Method(SGD(0.1)), Method(SGD(0.1), schemes.RungeKutta(4)), Method(SGD(0.1), schemes.Optimistic())):
        run = train(Problem(field, "steep"), 5, method=method, throw=False)
        assert run.status == "non-finite"
        assert "player 'x'" in run.message
        assert run.steps < 5
        assert bool(torch.isfinite(run.x).all())


def test_batches_in_parts_that_cannot_be_are_named() -> None:
    with pytest.raises(InputError, match="nothing to accumulate"):
        methods.Accumulated([])
    with pytest.raises(InputError, match=r"2 batches need as many weights with a positive sum, got \[1.0\]"):
        methods.Accumulated([1, 2], [1.0])
    with pytest.raises(InputError, match=r"takes the batches as a list.*got a Tensor"):
        methods.Accumulated(torch.zeros(4, 2))
