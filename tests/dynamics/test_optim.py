"""Methods as torch optimizers, held against the loops people write by hand."""

import io
import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from separatrix.dynamics import SGD, Adam, Clip, Method, optim, schemes, transforms
from separatrix.dynamics.game_optimizer import GameOptimizer
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import Game


def networks(dtype: torch.dtype = torch.float32) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    g = nn.Sequential(nn.Linear(3, 7), nn.BatchNorm1d(7), nn.LeakyReLU(0.2), nn.Linear(7, 5))
    d = nn.Sequential(nn.Linear(5, 9), nn.Dropout(0.3), nn.LeakyReLU(0.2), nn.Linear(9, 1))
    return g.to(dtype), d.to(dtype)


def losses(models: dict[str, nn.Module], real: Tensor) -> dict[str, Any]:
    g, d = models["G"], models["D"]
    fake = g(torch.randn(len(real), 3, dtype=real.dtype))
    on_real, on_fake = d(real), d(fake)
    return {
        "G": {"adv": softplus(-on_fake).mean()},
        "D": {"real": softplus(-on_real).mean(), "fake": softplus(on_fake).mean()},
    }


def a_game(dtype: torch.dtype = torch.float32) -> Game:
    g, d = networks(dtype)
    return Game({"G": g, "D": d}, losses, name="small GAN")


def a_batch(dtype: torch.dtype = torch.float32, seed: int = 5) -> Tensor:
    return torch.randn(16, 5, generator=torch.Generator().manual_seed(seed)).to(dtype)


def everything(game: Game) -> list[Tensor]:
    return [t.detach().clone() for m in game.models.values() for t in m.state_dict().values()]  # type: ignore[union-attr]


def all_equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


TORCH: dict[str, tuple[Any, dict[str, Any]]] = {
    "adam": (torch.optim.Adam, {"lr": 2e-3, "betas": (0.5, 0.999)}),
    "rmsprop": (torch.optim.RMSprop, {"lr": 1e-3}),
    "heavy ball": (torch.optim.SGD, {"lr": 1e-2, "momentum": 0.9}),
    "adamw": (torch.optim.AdamW, {"lr": 1e-3}),
    "adagrad": (torch.optim.Adagrad, {"lr": 1e-2}),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", TORCH)
def test_simultaneous_steps_equal_the_hand_written_loop_bitwise(name: str, dtype: torch.dtype) -> None:
    kind, settings = TORCH[name]
    game, batch = a_game(dtype), a_batch(dtype)
    opt = optim.Simultaneous(game, kind, **settings)
    torch.manual_seed(1)
    for _ in range(20):
        opt.step(batch)
    after_ours = torch.get_rng_state()

    by_hand = a_game(dtype)
    g, d = by_hand.models["G"], by_hand.models["D"]
    opts = [kind(m.parameters(), **settings) for m in (g, d)]  # type: ignore[union-attr]
    torch.manual_seed(1)
    for _ in range(20):
        found = losses(by_hand.models, batch)  # type: ignore[arg-type]
        grads = [
            torch.autograd.grad(sum(found[p].values()), list(m.parameters()), retain_graph=True)  # type: ignore[union-attr]
            for p, m in (("G", g), ("D", d))
        ]
        for m, grad, o in zip((g, d), grads, opts, strict=True):
            for parameter, value in zip(m.parameters(), grad, strict=True):  # type: ignore[union-attr]
                parameter.grad = value
            o.step()
    assert all_equal(everything(game), everything(by_hand))
    assert torch.equal(after_ours, torch.get_rng_state())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", TORCH)
def test_alternating_steps_equal_the_hand_written_loop_bitwise(name: str, dtype: torch.dtype) -> None:
    kind, settings = TORCH[name]
    game = a_game(dtype)
    opt = optim.Alternating(game, kind, order=("D", "G"), repeats={"D": 2}, **settings)
    torch.manual_seed(1)
    for i in range(10):
        opt.step(*(a_batch(dtype, 3 * i + k) for k in range(3)))

    by_hand = a_game(dtype)
    players = {p: (by_hand.models[p], kind(by_hand.models[p].parameters(), **settings)) for p in ("G", "D")}  # type: ignore[union-attr]
    torch.manual_seed(1)
    for i in range(10):
        for k, player in enumerate(("D", "D", "G")):
            module, o = players[player]
            module.zero_grad()  # type: ignore[union-attr]
            sum(losses(by_hand.models, a_batch(dtype, 3 * i + k))[player].values()).backward()  # type: ignore[arg-type]
            o.step()
    assert all_equal(everything(game), everything(by_hand))


def test_existing_optimizers_are_taken_over_in_mid_run_and_left_alone() -> None:
    by_hand = a_game()
    opts = {p: torch.optim.Adam(by_hand.models[p].parameters(), lr=1e-3) for p in ("G", "D")}  # type: ignore[union-attr]

    def loop(steps: int) -> None:
        for _ in range(steps):
            for player in ("D", "G"):
                by_hand.models[player].zero_grad()  # type: ignore[union-attr]
                sum(losses(by_hand.models, a_batch())[player].values()).backward()  # type: ignore[arg-type]
                opts[player].step()

    torch.manual_seed(1)
    loop(5)
    middle = deepcopy({p: m.state_dict() for p, m in by_hand.models.items()})  # type: ignore[union-attr]
    stream = torch.get_rng_state()
    opt = optim.Alternating(by_hand, opts, order=("D", "G"))  # type: ignore[arg-type]
    kept = deepcopy({p: o.state_dict() for p, o in opts.items()})
    for _ in range(5):
        opt.step(a_batch())
    ours = everything(by_hand)
    for p, o in opts.items():
        for key, entry in o.state_dict()["state"].items():
            assert all(torch.equal(v, kept[p]["state"][key][n]) for n, v in entry.items())
    for p, m in by_hand.models.items():
        m.load_state_dict(middle[p])  # type: ignore[union-attr]
    torch.set_rng_state(stream)
    loop(5)
    assert all_equal(ours, everything(by_hand))


def test_consensus_and_extragradient_equal_the_pure_method_on_a_game_without_noise() -> None:
    def build() -> Game:
        torch.manual_seed(3)
        x, y = (torch.randn(4, dtype=torch.float64) for _ in range(2))
        a = torch.randn(4, 4, dtype=torch.float64)
        return Game({"x": x, "y": y}, lambda m, _: m["x"] @ a @ m["y"] + (m["x"] ** 4).sum() - m["y"].square().sum())

    cases: list[tuple[Callable[[Game], GameOptimizer], Method]] = [
        (
            lambda g: optim.Consensus(g, torch.optim.RMSprop, lr=1e-2, gamma=0.3),
            Method(optim_base(), schemes.Simultaneous(), (transforms.Consensus(0.3),)),
        ),
        (lambda g: optim.Extragradient(g, torch.optim.RMSprop, lr=1e-2), Method(optim_base(), schemes.Extragradient())),
        (
            lambda g: optim.Extragradient(g, torch.optim.RMSprop, lr=1e-2, moments="commit"),
            Method(optim_base(), schemes.Extragradient("commit")),
        ),
    ]
    for make, method in cases:
        game = build()
        opt = make(game)
        pure = build().on()
        x, states = method.init(pure)
        for _ in range(10):
            step = opt.step(None)
            x, states = method.step(pure, x, states)
        torch.testing.assert_close(game.on().point, x, rtol=1e-13, atol=1e-14)
        assert step.gradients == method.gradients(pure)


def optim_base() -> Any:
    from separatrix.dynamics import RMSprop

    return RMSprop(1e-2)


def test_extragradient_shares_its_noise_between_both_evaluations_where_asked() -> None:
    seen: list[float] = []

    def noisy(models: dict[str, Any], batch: Any) -> Tensor:
        z = torch.randn(())
        seen.append(float(z))
        return models["x"].sum() * z

    for same_draw in (True, False):
        seen.clear()
        x = torch.ones(2)
        optim.Extragradient(Game({"x": x}, noisy), SGD(0.1), same_draw=same_draw).step(None)
        assert (seen[0] == seen[1]) is same_draw


def test_as_many_batches_as_the_scheme_draws_are_used_and_the_last_one_serves_again() -> None:
    seen: list[str] = []

    def noting(models: dict[str, Any], batch: str) -> Tensor:
        seen.append(batch)
        return (models["x"] * models["y"]).sum()

    game = Game({"x": torch.ones(1), "y": torch.ones(1)}, noting)
    opt = optim.Alternating(game, SGD(0.1), repeats={"x": 2})
    opt.step("a", "b", "c")
    assert seen == ["a", "b", "c"]
    seen.clear()
    opt.step("a", "b")
    assert seen == ["a", "b", "b"]
    with pytest.raises(InputError, match="at least one batch"):
        opt.step()


def test_a_step_tells_losses_norm_and_cost() -> None:
    x, y = torch.tensor([3.0]), torch.tensor([4.0])
    game = Game({"x": x, "y": y}, lambda m, _: (m["x"] * m["y"]).sum())
    opt = optim.Simultaneous(game, SGD(0.1))
    step = opt.step(None)
    assert step.number == 1
    assert step.losses == {"x": {"loss": 12.0}, "y": {"loss": -12.0}}
    assert step.norms == {"x": 4.0, "y": 3.0}
    assert step.field_norm == 5.0
    assert step.gradients == 1.0
    assert opt.step(None).number == 2


def test_alternating_players_are_billed_their_share_as_the_measuring_field_bills_them() -> None:
    game = a_game()
    opt = optim.Alternating(game, torch.optim.Adam, order=("D", "G"), lr=1e-3)
    field = game.on(a_batch())
    expected = field.share(["D"]) + field.share(["G"])
    assert opt.step(a_batch()).gradients == pytest.approx(expected, rel=1e-12)
    assert opt.step(a_batch()).gradients == pytest.approx(expected, rel=1e-12)


def test_groups_carry_the_players_names_and_schedulers_act_on_them() -> None:
    game = a_game(torch.float64)
    opt = optim.Simultaneous(game, torch.optim.SGD, lr=0.1)
    assert [g["player"] for g in opt.param_groups] == ["G", "D"]
    assert opt.param_groups[1]["param_names"][0] == "D.0.weight"
    scheduler = torch.optim.lr_scheduler.LambdaLR(opt, [lambda step: 0.0 if step == 0 else 0.5, lambda step: 1.0])
    before = {p: [t.clone() for t in m.parameters()] for p, m in game.models.items()}  # type: ignore[union-attr]
    opt.step(a_batch(torch.float64))
    assert all_equal(before["G"], list(game.models["G"].parameters()))  # type: ignore[union-attr]
    assert not all_equal(before["D"], list(game.models["D"].parameters()))  # type: ignore[union-attr]
    scheduler.step()
    assert opt.method.bases_for(["G", "D"])["G"] == SGD(0.05)
    assert opt.param_groups[0]["lr"] == 0.05


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 5),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=8),
        lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.1),
    ],
)
def test_scheduled_training_equals_torch_s_own_bitwise(schedule: Callable[[Any], Any]) -> None:
    game, by_hand = a_game(), a_game()
    opt = optim.Simultaneous(game, torch.optim.Adam, lr=1e-3)
    theirs = torch.optim.Adam([{"params": m.parameters()} for m in by_hand.models.values()], lr=1e-3)  # type: ignore[union-attr]
    schedulers = schedule(opt), schedule(theirs)
    torch.manual_seed(1)
    for _ in range(6):
        opt.step(a_batch())
        schedulers[0].step()
    torch.manual_seed(1)
    for _ in range(6):
        found = losses(by_hand.models, a_batch())  # type: ignore[arg-type]
        for p, m in by_hand.models.items():
            grads = torch.autograd.grad(sum(found[p].values()), list(m.parameters()), retain_graph=True)  # type: ignore[union-attr]
            for parameter, grad in zip(m.parameters(), grads, strict=True):  # type: ignore[union-attr]
                parameter.grad = grad
        theirs.step()
        schedulers[1].step()
    assert all_equal(everything(game), everything(by_hand))


@pytest.mark.parametrize("make", ["adam", "adagrad", "consensus"])
def test_a_state_dict_round_trip_in_mid_run_is_bitwise(make: str) -> None:
    def build(game: Game) -> GameOptimizer:
        if make == "consensus":
            return optim.Consensus(game, torch.optim.RMSprop, lr=1e-3, gamma=1.0)
        kind, settings = TORCH[make]
        return optim.Alternating(game, kind, order=("D", "G"), **settings)

    game = a_game()
    opt = build(game)
    torch.manual_seed(1)
    for _ in range(5):
        opt.step(a_batch())
    saved, stream = io.BytesIO(), torch.get_rng_state()
    torch.save({"modules": {p: m.state_dict() for p, m in game.models.items()}, "opt": opt.state_dict()}, saved)  # type: ignore[union-attr]
    last = [opt.step(a_batch()) for _ in range(5)][-1]
    saved.seek(0)
    loaded = torch.load(saved, weights_only=True)
    other = a_game()
    for p, m in other.models.items():
        m.load_state_dict(loaded["modules"][p])  # type: ignore[union-attr]
    resumed = build(other)
    resumed.load_state_dict(loaded["opt"])
    torch.set_rng_state(stream)
    again = [resumed.step(a_batch()) for _ in range(5)][-1]
    assert all_equal(everything(game), everything(other))
    assert (again.number, again.losses, again.norms) == (last.number, last.losses, last.norms)


def test_a_foreign_state_dict_is_refused_and_nothing_is_loaded() -> None:
    opt = optim.Simultaneous(a_game(), torch.optim.Adam, lr=1e-3)
    other = optim.Simultaneous(a_game(), torch.optim.SGD, lr=1e-3)
    before = opt.param_groups[0]["lr"]
    with pytest.raises(InputError, match=r"which keeps \[.*saved with other players, bases or scheme"):
        opt.load_state_dict(other.state_dict())
    with pytest.raises(InputError, match="not one of a GameOptimizer"):
        opt.load_state_dict(torch.optim.Adam(a_game().parameters).state_dict())
    assert opt.param_groups[0]["lr"] == before


@pytest.mark.parametrize("to_none", [True, False])
def test_zero_grad_and_stray_gradients_change_nothing(to_none: bool) -> None:
    game, other = a_game(), a_game()
    opt, plain = (optim.Simultaneous(x, torch.optim.Adam, lr=1e-3) for x in (game, other))
    torch.manual_seed(1)
    for _ in range(3):
        plain.step(a_batch())
    torch.manual_seed(1)
    for p in game.parameters:
        p.grad = torch.ones_like(p)
    for _ in range(3):
        opt.zero_grad(set_to_none=to_none)
        opt.step(a_batch())
    assert all_equal(everything(game), everything(other))


class _Blowing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, 1.0]))
        self.norm = nn.BatchNorm1d(2, affine=False)


def test_a_non_finite_gradient_stops_with_the_last_good_state_and_names_player_and_tensor() -> None:
    a, b = _Blowing(), _Blowing()

    def bad(models: dict[str, Any], batch: float) -> dict[str, Tensor]:
        shifted = models["b"].norm(torch.randn(8, 2)) * models["a"].scale
        root = (models["b"].scale[0] - batch).abs().sqrt()  # infinite slope where the batch is 1
        return {"a": shifted.mean() + models["a"].scale.square().sum(), "b": root + 0 * shifted.sum()}

    game = Game({"a": a, "b": b}, bad)
    opt = optim.Alternating(game, torch.optim.Adam, order=("a", "b"), lr=1e-3)
    opt.step(0.5)
    with torch.no_grad():
        b.scale[0] = 1.0
    before, state = everything(game), deepcopy(opt.state_dict())
    with pytest.raises(NonFiniteError, match=r"gradient of player 'b' is (inf|nan|-inf) in tensor 'b\.scale'"):
        opt.step(1.0)
    assert all_equal(before, everything(game))
    for p in ("a", "b"):
        for name, value in opt.state_dict()["separatrix"]["states"][p].items():
            kept = state["separatrix"]["states"][p][name]
            assert torch.equal(value, kept) if isinstance(value, Tensor) else value == kept
    assert opt.step(0.5).number == 2


def test_a_non_finite_loss_or_step_is_named_too() -> None:
    x = torch.tensor([1.0])
    game = Game({"x": x}, lambda m, batch: (m["x"] * batch).sum())
    opt = optim.Simultaneous(game, SGD(1.0))
    with pytest.raises(NonFiniteError, match="the loss of player 'x' is nan"):
        opt.step(math.nan)
    with pytest.raises(NonFiniteError, match=r"the step of player 'x' is inf in tensor x"):
        optim.Simultaneous(game, SGD(1e30)).step(-1e30)
    assert x.tolist() == [1.0]


def test_an_interrupt_in_the_middle_leaves_the_last_whole_step() -> None:
    game = a_game()

    def interrupted(models: dict[str, Any], real: Tensor) -> Any:
        found = losses(models, real)
        if countdown and next(countdown[0], None) is None:
            raise KeyboardInterrupt
        return found

    countdown: list[Iterator[int]] = []
    game.losses = interrupted
    opt = optim.Alternating(game, torch.optim.Adam, order=("D", "G"), lr=1e-3)
    opt.step(a_batch())
    before = everything(game)
    countdown.append(iter([1]))
    with pytest.raises(KeyboardInterrupt):
        opt.step(a_batch())
    assert all_equal(before, everything(game))


def test_a_shared_tensor_stands_once_and_moves_by_the_sum() -> None:
    shared, own = nn.Parameter(torch.tensor([2.0])), nn.Parameter(torch.tensor([1.0]))
    game = Game(
        {"a": [shared], "b": [own, shared]}, lambda m, _: {"a": m["a"][0].sum(), "b": 3 * m["b"][1].sum() + own2(m)}
    )
    opt = optim.Simultaneous(game, torch.optim.SGD, lr=0.1)
    assert sum(len(g["params"]) for g in opt.param_groups) == 2
    opt.step(None)
    assert shared.item() == pytest.approx(2.0 - 0.1 * 4)
    opt.load_state_dict(opt.state_dict())


def own2(models: dict[str, Any]) -> Tensor:
    value: Tensor = models["b"][0].square().sum()
    return value


def test_bad_arguments_are_named() -> None:
    game = a_game()
    with pytest.raises(InputError, match="unknown players"):
        optim.Alternating(game, SGD(0.1), order=("D", "H"))
    with pytest.raises(InputError, match="gamma must not be negative"):
        optim.Consensus(game, SGD(0.1), gamma=-1.0)
    opt = optim.Simultaneous(game, SGD(0.1))
    opt.param_groups[0]["lr"] = -1.0
    with pytest.raises(InputError, match="learning rate of player 'G' is -1"):
        opt.step(a_batch())
    game.models["G"][0] = nn.Linear(3, 7)  # type: ignore[index]
    with pytest.raises(InputError, match=r"G\.0\.weight was replaced"):
        optim.Simultaneous(game, Adam(1e-3)).step(a_batch())


def test_arguments_of_another_kind_are_named() -> None:
    game = a_game()
    for wrong, seen in ((Clip(1.0), "got Clip"), (("clip",), "got 'clip'"), ((Clip,), "got the class Clip")):
        for make in (optim.Extragradient, partial(optim.Consensus, gamma=0.1), optim.SymplecticAdjustment):
            with pytest.raises(InputError, match=f"transforms must be a tuple .*{seen}"):
                make(game, SGD(0.1), transforms=wrong)
    for scheme in ("extragradient", optim.Extragradient):
        with pytest.raises(InputError, match=r"the scheme must be one of separatrix\.dynamics, such as"):
            optim.Consensus(game, SGD(0.1), gamma=0.1, scheme=scheme)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"lazy must be a dict of names and whole numbers, got \['r1'\]"):
        optim.Simultaneous(game, SGD(0.1), lazy=["r1"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="repeats must be a dict"):
        optim.Alternating(game, SGD(0.1), repeats=5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"scaler must be a torch\.amp\.GradScaler, got a float"):
        optim.Simultaneous(game, SGD(0.1)).step(a_batch(), scaler=2.0)  # type: ignore[arg-type]


def test_consensus_takes_further_transforms_which_act_on_what_it_makes() -> None:
    opt = optim.Consensus(a_game(), SGD(0.1), gamma=0.1, transforms=(Clip(1e-3),))
    before = [p.detach().clone() for p in opt.game.parameters]
    opt.step(a_batch())
    moved = [q.detach() - p for p, q in zip(before, opt.game.parameters, strict=True)]
    assert [type(t).__name__ for t in opt.transforms] == ["Consensus", "Clip"]
    for player in opt.game.players:
        own = torch.cat([moved[i].flatten() for i in opt.game.space.owned(player)])
        assert own.norm().item() == pytest.approx(0.1 * 1e-3, rel=1e-3)  # cut after the regulariser was added


def test_states_of_a_training_can_be_given() -> None:
    game = a_game()
    opt = optim.Simultaneous(game, Adam(1e-3))
    opt.step(a_batch())
    again = optim.Simultaneous(game, Adam(1e-3), states=opt.states)
    assert again.states["G"]["step"] == 1
    with pytest.raises(InputError, match="the given state has nothing for player 'D'"):
        optim.Simultaneous(game, Adam(1e-3), states={"G": opt.states["G"]})


@pytest.mark.parametrize("kind", [optim.Simultaneous, optim.Alternating, optim.Extragradient, optim.GameOptimizer])
def test_what_torch_would_take_first_is_told_what_comes_first_here(kind: Any) -> None:
    game = a_game()
    with pytest.raises(InputError, match=rf"sx\.optim\.{kind.__name__} trains the players of a Game.*got a generator"):
        kind(nn.Linear(1, 1).parameters())
    with pytest.raises(InputError, match=rf"the Game comes first.*sx\.optim\.{kind.__name__}\(game, torch"):
        kind(nn.Linear(1, 1).parameters(), lr=0.1)
    with pytest.raises(InputError, match="how each player steps"):
        kind(game, lr=0.1)
    with pytest.raises(InputError, match="weight of its regulariser"):
        optim.Consensus(game, torch.optim.SGD, lr=0.1)


def test_where_no_operations_are_counted_a_player_alone_costs_its_part():
    """Elementwise losses have no matrix products; alternating still costs what the field does, as its method says beforehand."""
    pair = {"x": torch.ones(2), "y": torch.ones(2)}
    game = Game(pair, lambda m, _: {"x": (m["x"] * m["y"]).sum(), "y": -(m["x"] * m["y"]).sum()})
    opt = optim.Alternating(game, torch.optim.SGD, lr=0.1)
    assert [opt.step(None).gradients for _ in range(3)] == [1.0] * 3
    assert opt.method.gradients(game.on()) == 1.0


def test_a_whole_method_is_taken_as_it_is_and_goes_on_with_its_states() -> None:
    method = Method({"G": Adam(1e-3), "D": SGD(0.1)}, schemes.Alternating(("D", "G")), (Clip(1.0),))
    opt = GameOptimizer(a_game(), method)
    assert opt.method == method
    torch.manual_seed(1)
    opt.step(a_batch())
    twin = GameOptimizer(deepcopy(opt.game), opt.method, states=opt.states)
    for each in (opt, twin):
        torch.manual_seed(2)
        each.step(a_batch())
    assert all_equal(everything(opt.game), everything(twin.game))


@pytest.mark.parametrize("besides", [{"scheme": schemes.Simultaneous()}, {"transforms": (Clip(1.0),)}, {"lr": 0.1}])
def test_a_method_bears_no_parts_besides_it(besides: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"a Method has bases, scheme and transforms of its own"):
        GameOptimizer(a_game(), Method(SGD(0.1)), **besides)
    with pytest.raises(InputError, match=r"sx.optim.GameOptimizer\(game, method\)"):
        optim.Extragradient(a_game(), Method(SGD(0.1)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda game: optim.ACGD(game, lr=1e-3),
        lambda game: optim.Consensus(game, torch.optim.SGD, lr=1e-3, gamma=0.1),
        lambda game: optim.SymplecticAdjustment(game, torch.optim.SGD, lr=1e-3),
    ],
)
def test_methods_that_step_with_the_interaction_say_once_where_a_detach_hides_it(make: Any) -> None:
    def hidden(models: dict[str, nn.Module], real: Tensor) -> dict[str, Tensor]:
        fake = models["G"](torch.randn(len(real), 3, dtype=real.dtype))
        on_real, on_fake = models["D"](real), models["D"](fake.detach())
        return {"G": softplus(-models["D"](fake)).mean(), "D": softplus(-on_real).mean() + softplus(on_fake).mean()}

    torch.manual_seed(0)
    players = {"G": nn.Linear(3, 5), "D": nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1))}
    opt = make(Game(players, hidden))
    with pytest.warns(UserWarning, match=r"steps with what is missing here. detached: the direction of 'D'") as said:
        opt.step(a_batch())
    assert said[0].filename == __file__
    opt.step(a_batch())  # warnings are errors here: it is said once
    make(Game(players, lambda m, real: losses(m, real))).step(a_batch())


@pytest.mark.parametrize("where", ["tensor", "batch"])
def test_a_loss_that_is_not_finite_names_the_tensor_or_the_batch_that_was_not(where: str) -> None:
    opt = optim.Simultaneous(a_game(), torch.optim.SGD, lr=0.1)
    batch = a_batch()
    if where == "tensor":
        with torch.no_grad():
            opt.game.models["G"][3].weight[1, 2] = math.nan  # type: ignore[index]
    else:
        batch[3, 1] = math.inf
    said = (
        r"Tensor G\.3\.weight of player 'G' held nan before this step"
        if where == "tensor"
        else r"The batch holds inf\."
    )
    with pytest.raises(NonFiniteError, match=rf"the (loss|gradient) of player '[GD]'.*{said}"):
        opt.step(batch)
