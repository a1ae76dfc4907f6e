"""Torch optimizers become pure bases with their state, and back."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from separatrix.dynamics import SGD, Adam, AdamW, Base, RMSprop
from separatrix.dynamics.convert import base_of, bases_of, torch_state_dict
from separatrix.dynamics.wrapped import WrappedBase
from separatrix.errors import InputError, UnsupportedOperatorError
from separatrix.fields import Game

Make = Callable[[list[Tensor]], torch.optim.Optimizer]

OURS: list[tuple[str, type[Base], Make]] = [
    ("sgd", SGD, lambda p: torch.optim.SGD(p, lr=0.03)),
    ("heavy ball", SGD, lambda p: torch.optim.SGD(p, lr=0.03, momentum=0.7, weight_decay=0.01)),
    ("dampened", SGD, lambda p: torch.optim.SGD(p, lr=0.03, momentum=0.7, dampening=0.3)),
    ("nesterov", SGD, lambda p: torch.optim.SGD(p, lr=0.03, momentum=0.7, nesterov=True)),
    ("rmsprop", RMSprop, lambda p: torch.optim.RMSprop(p, lr=1e-3)),
    ("rmsprop with momentum", RMSprop, lambda p: torch.optim.RMSprop(p, lr=1e-3, momentum=0.5)),
    ("adam", Adam, lambda p: torch.optim.Adam(p, lr=2e-3, betas=(0.5, 0.99))),
    ("adam with decay", Adam, lambda p: torch.optim.Adam(p, weight_decay=0.1)),
    ("adamw", AdamW, lambda p: torch.optim.AdamW(p, lr=2e-3)),
    ("adam, decoupled", AdamW, lambda p: torch.optim.Adam(p, decoupled_weight_decay=True, weight_decay=0.1)),
]
WRAPPED: list[tuple[str, Make]] = [
    ("Adagrad", lambda p: torch.optim.Adagrad(p, lr=0.01)),
    ("amsgrad", lambda p: torch.optim.Adam(p, amsgrad=True)),
    ("maximize", lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.5, maximize=True)),
    ("centered", lambda p: torch.optim.RMSprop(p, centered=True)),
    ("lr that is a tensor", lambda p: torch.optim.Adam(p, lr=torch.tensor(1e-3))),
    ("differ in lr", lambda p: torch.optim.Adam([{"params": p[:1]}, {"params": p[1:], "lr": 0.1}])),
]


def a_game(dtype: torch.dtype = torch.float64) -> Game:
    torch.manual_seed(0)
    g, d = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).to(dtype), nn.Linear(2, 1).to(dtype)
    return Game({"G": g, "D": d}, lambda m, z: m["D"](m["G"](z)).square().mean())


def gradients(game: Game, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p) for p in game.models["G"].parameters()]


def drive(optimizer: torch.optim.Optimizer, game: Game, steps: range) -> None:
    for seed in steps:
        for p, g in zip(game.models["G"].parameters(), gradients(game, seed), strict=True):
            p.grad = g.clone()
        optimizer.step()


def follow(base: Base, state: dict[str, Any], x: Tensor, game: Game, steps: range) -> tuple[Tensor, dict[str, Any]]:
    for seed in steps:
        v = -torch.cat([g.reshape(-1) for g in gradients(game, seed)])
        x, state = base.step(v, x, state)
    return x, state


def flat(game: Game) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in game.models["G"].parameters()])


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@pytest.mark.parametrize(("kind", "make"), [(k, m) for _, k, m in OURS], ids=[n for n, _, _ in OURS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("before", [0, 7])
def test_a_lifted_base_goes_on_bitwise_where_the_optimizer_stands(
    kind: type[Base], make: Make, dtype: torch.dtype, before: int
) -> None:
    game = a_game(dtype)
    optimizer = make(list(game.models["G"].parameters()))
    drive(optimizer, game, range(before))
    frozen_copy = deepcopy(optimizer.state_dict())
    base, state = base_of(optimizer, game, "G")
    assert type(base) is kind
    assert same(optimizer.state_dict(), frozen_copy)
    x, _ = follow(base, state, flat(game), game, range(before, before + 20))
    assert same(optimizer.state_dict(), frozen_copy)
    drive(optimizer, game, range(before, before + 20))
    assert torch.equal(x, flat(game))


@pytest.mark.parametrize(("words", "make"), WRAPPED, ids=[n for n, _ in WRAPPED])
def test_what_has_no_base_of_our_own_is_wrapped_and_steps_as_torch_does(words: str, make: Make) -> None:
    game = a_game()
    optimizer = make(list(game.models["G"].parameters()))
    drive(optimizer, game, range(4))
    base, state = base_of(optimizer, game, "G")
    assert isinstance(base, WrappedBase)
    assert words in base.why
    assert "no prediction" in base.why
    assert base.frozen(state) is None
    start, kept = flat(game), deepcopy(state)
    x, last = follow(base, state, start, game, range(4, 12))
    again, _ = follow(base, state, start, game, range(4, 12))
    assert torch.equal(x, again)
    assert same(state, kept)
    assert same(flat(game), start)
    drive(optimizer, game, range(4, 12))
    assert torch.equal(x, flat(game))
    assert last["step"] == 8


def test_a_wrapped_base_at_another_rate_scales_all_its_groups() -> None:
    game = a_game()
    p = list(game.models["G"].parameters())
    base, state = base_of(torch.optim.SGD([{"params": p[:2]}, {"params": p[2:], "lr": 0.3}], lr=0.1), game, "G")
    assert isinstance(base, WrappedBase)
    v, x = torch.ones(len(flat(game)), dtype=torch.float64), flat(game)
    moved, _ = base.step(v, x, state)
    halved, _ = base.with_lr(0.05).step(v, x, state)
    torch.testing.assert_close(halved - x, (moved - x) / 2)


def test_a_wrapped_step_refuses_to_be_differentiated() -> None:
    game = a_game()
    base, state = base_of(torch.optim.Adagrad(game.models["G"].parameters()), game, "G")
    x = flat(game).requires_grad_()
    with pytest.raises(UnsupportedOperatorError, match="cannot be differentiated"):
        base.step(x * 2, x, state)


@pytest.mark.parametrize("make", [m for _, _, m in OURS], ids=[n for n, _, _ in OURS])
def test_a_state_goes_back_into_torch_and_torch_goes_on_bitwise(make: Make) -> None:
    game = a_game()
    optimizer = make(list(game.models["G"].parameters()))
    base, state = base_of(optimizer, game, "G")
    x, state = follow(base, state, flat(game), game, range(9))
    untouched = deepcopy(optimizer.state_dict())
    packed = torch_state_dict(base, state, optimizer, game, "G")
    assert same(optimizer.state_dict(), untouched)
    optimizer.load_state_dict(packed)
    offset = 0
    with torch.no_grad():
        for p in game.models["G"].parameters():
            p.copy_(x[offset : offset + p.numel()].view_as(p))
            offset += p.numel()
    drive(optimizer, game, range(9, 15))
    x, _ = follow(base, state, x, game, range(9, 15))
    assert torch.equal(x, flat(game))


def test_the_order_of_the_optimizer_s_tensors_does_not_matter() -> None:
    game = a_game()
    optimizer = torch.optim.Adam(list(game.models["G"].parameters())[::-1], lr=0.01)
    drive(optimizer, game, range(3))
    base, state = base_of(optimizer, game, "G")
    x, _ = follow(base, state, flat(game), game, range(3, 6))
    drive(optimizer, game, range(3, 6))
    assert torch.equal(x, flat(game))


def test_an_optimizer_of_somebody_else_s_parameters_is_refused_by_player_and_tensor() -> None:
    game = a_game()
    g, d = game.models["G"], game.models["D"]
    with pytest.raises(InputError, match=r"Adam given for player 'G' does not hold its tensor G\.0\.weight"):
        base_of(torch.optim.Adam(d.parameters()), game, "G")
    with pytest.raises(InputError, match=r"SGD given for player 'G' also holds the tensor D\.weight"):
        base_of(torch.optim.SGD([*g.parameters(), *d.parameters()], lr=0.1), game, "G")
    with pytest.raises(InputError, match=r"optimizers for \['G'\], the players are \['G', 'D'\]"):
        bases_of({"G": torch.optim.Adam(g.parameters())}, game)
    with pytest.raises(InputError, match="is a str"):
        base_of("adam", game, "G")  # type: ignore[arg-type]


def test_classes_with_settings_make_bases_and_bad_settings_are_named() -> None:
    game = a_game()
    bases, states = bases_of(torch.optim.RMSprop, game, lr=1e-4)
    assert bases == {"G": RMSprop(1e-4), "D": RMSprop(1e-4)}
    assert states["D"]["square"].shape == (3,)
    with pytest.raises(InputError, match=r"Adam does not take .*rate"):
        base_of(torch.optim.Adam, game, "G", rate=0.1)
    with pytest.raises(InputError, match="evaluates the losses inside its step"):
        base_of(torch.optim.LBFGS, game, "G")
    with pytest.raises(InputError, match="for an optimizer's class"):
        base_of(SGD(0.1), game, "G", lr=0.2)


def test_raw_tensors_that_play_are_found_in_their_optimizer() -> None:
    x, y = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    game = Game({"x": x, "y": y}, lambda m, _: (m["x"].sum() * m["y"]).sum())
    optimizer = torch.optim.Adam([x], lr=0.1)
    x.grad = torch.tensor([1.0, -1.0])
    optimizer.step()
    _, state = base_of(optimizer, game, "x")
    assert state["step"] == 1
    torch.testing.assert_close(state["mean"], torch.tensor([0.1, -0.1]))


class _Remembering(torch.optim.SGD):
    """An optimizer by another author: keeps something of its own outside torch's state."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr=lr)
        self.inner = torch.optim.Adam(self.param_groups)

    def step(self, closure: Any = None) -> Any:
        return self.inner.step(closure)


def test_optimizers_with_attributes_of_their_own_are_copied_with_them() -> None:
    game = a_game()
    optimizer = _Remembering(game.models["G"].parameters(), lr=0.01)
    base, state = base_of(optimizer, game, "G")
    assert "_Remembering" in base.why  # type: ignore[attr-defined]
    x = flat(game)
    moved, _ = base.step(torch.ones_like(x), x, state)
    torch.testing.assert_close(moved - x, torch.full_like(x, 0.01), rtol=1e-6, atol=0)
