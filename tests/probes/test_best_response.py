"""Best responses against closed forms, and that nothing is touched."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader

from separatrix.dynamics import SGD, Adam, Run, Snapshot, optim
from separatrix.errors import InputError
from separatrix.fields import Game
from separatrix.probes.best_response import best_response


def a_matrix_game() -> tuple[Game, Tensor, Tensor, Tensor]:
    """``x' A y``: the first player minimises, the second maximises; both losses are linear in their own player."""
    g = torch.Generator().manual_seed(0)
    a, x, y = (torch.randn(s, generator=g, dtype=torch.float64) for s in ((3, 4), (3,), (4,)))
    return Game({"x": x, "y": y}, lambda m, _: m["x"] @ a @ m["y"]), a, x, y


def test_the_gap_of_a_matrix_game_is_exact() -> None:
    game, a, x, y = a_matrix_game()
    found = best_response(game, bases=SGD(0.05), steps=7)
    assert found["x"].gain_train == pytest.approx(7 * 0.05 * float((a @ y).square().sum()), rel=1e-12)
    assert found["y"].gain_train == pytest.approx(7 * 0.05 * float((a.T @ x).square().sum()), rel=1e-12)
    assert found.gap_train == pytest.approx(found["x"].gain_train + found["y"].gain_train)
    assert found["x"].distance == pytest.approx(7 * 0.05 * float((a @ y).norm()), rel=1e-12)
    assert found["x"].stderr_train == 0.0
    assert found.gap_held_out is None
    assert found["x"].gain_held_out is None


def test_the_gain_in_a_quadratic_game_is_exact_on_training_and_on_held_out_data() -> None:
    """``L_i = curvature_i / 2 (x_i - batch)^2 + coupling x_i x_j``: each own step contracts towards the minimiser."""
    x, y = torch.tensor([2.0], dtype=torch.float64), torch.tensor([-1.0], dtype=torch.float64)
    curvature, coupling = {"x": 1.5, "y": 0.7}, 0.4

    def losses(m: dict[str, Any], target: Tensor) -> dict[str, Tensor]:
        return {
            p: (curvature[p] / 2 * (m[p] - target).square() + coupling * m["x"] * m["y"]).mean() for p in ("x", "y")
        }

    k, lr, train, test = 9, 0.3, 0.5, 0.1
    found = best_response(
        Game({"x": x, "y": y}, losses), torch.tensor([train]), torch.tensor([test]), bases=SGD(lr), steps=k
    )
    for own, other in (("x", -1.0), ("y", 2.0)):
        start, c = {"x": 2.0, "y": -1.0}[own], curvature[own]
        best = train - coupling * other / c
        end = best + (1 - lr * c) ** k * (start - best)

        def loss(at: float, target: float, c: float = c, other: float = other) -> float:
            return c / 2 * (at - target) ** 2 + coupling * at * other

        # Data of single precision are moved to the field's dtype.
        t, h = float(torch.tensor(train)), float(torch.tensor(test))
        assert found[own].gain_train == pytest.approx(loss(start, t) - loss(end, t), rel=1e-10)
        assert found[own].gain_held_out == pytest.approx(loss(start, h) - loss(end, h), rel=1e-10)
    assert found.gap_held_out == pytest.approx(found["x"].gain_held_out + found["y"].gain_held_out)  # type: ignore[operator]


def test_there_is_nothing_to_gain_at_an_equilibrium() -> None:
    x, y = torch.zeros(2), torch.zeros(2)
    game = Game({"x": x, "y": y}, lambda m, _: (m["x"] * m["y"]).sum() + m["x"].square().sum() - m["y"].square().sum())
    assert best_response(game, bases=Adam(0.1), steps=5).gap_train == 0.0


def a_gan() -> Game:
    torch.manual_seed(0)
    g = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))
    d = nn.Sequential(nn.Linear(2, 16), nn.Dropout(0.1), nn.Tanh(), nn.Linear(16, 1))

    def losses(m: dict[str, Any], real: Tensor) -> dict[str, Any]:
        on_fake = m["D"](m["G"](torch.randn(len(real), 2)))
        return {
            "G": softplus(-on_fake).mean(),
            "D": {"real": softplus(-m["D"](real)).mean(), "fake": softplus(on_fake).mean()},
        }

    return Game({"G": g, "D": d}, losses)


def test_the_optimizers_in_use_are_copied_with_their_state_and_nothing_is_touched() -> None:
    game, data = a_gan(), torch.randn(32, 2, generator=torch.Generator().manual_seed(1))
    opts = {p: torch.optim.Adam(m.parameters(), lr=5e-3) for p, m in game.models.items()}  # type: ignore[union-attr]
    for _ in range(3):
        for p in ("D", "G"):
            game.models[p].zero_grad()  # type: ignore[union-attr]
            value = game.losses(game.models, data)[p]  # type: ignore[operator]
            (sum(value.values()) if isinstance(value, dict) else value).backward()
            opts[p].step()
    before = Snapshot.of([game.arena, opts])
    found = best_response(game, data, data + 0.1, optimizers=opts, steps=30)  # type: ignore[arg-type]
    fresh = best_response(game, data, data + 0.1, optimizers=_fresh(opts, game), steps=30)
    assert not before.differences(Snapshot.of([game.arena, opts]))
    assert found["D"].gain_train > 0.02
    assert 0 < found["D"].stderr_train < 0.1
    assert found["D"].gain_train != fresh["D"].gain_train
    assert found["D"].gain_held_out is not None
    assert found.gradients == pytest.approx(30 * sum(game.on(data).share([p]) for p in ("G", "D")))
    again = best_response(game, data, data + 0.1, optimizers=opts, steps=30)  # type: ignore[arg-type]
    assert again == found


def _fresh(opts: dict[str, torch.optim.Optimizer], game: Game) -> Any:
    return {p: torch.optim.Adam(game.models[p].parameters(), lr=5e-3) for p in opts}  # type: ignore[union-attr]


def test_memorising_shows_as_a_gain_on_training_data_alone() -> None:
    torch.manual_seed(0)
    d = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 1))
    x, y, x2, y2 = torch.randn(20, 8), torch.randn(20, 1), torch.randn(20, 8), torch.randn(20, 1)
    game = Game({"D": d}, lambda m, b: (m["D"](b[0]) - b[1]).square().mean())
    found = best_response(game, (x, y), (x2, y2), bases=Adam(1e-2), steps=150)
    assert found["D"].gain_train > 0.5
    assert found["D"].gain_held_out is not None
    assert found["D"].gain_held_out < found["D"].gain_train / 3


def test_steps_may_see_minibatches_of_a_list_a_loader_or_a_stream() -> None:
    x = torch.zeros(1, dtype=torch.float64)
    game = Game({"x": x}, lambda m, b: (m["x"] - b).square().mean() / 2)
    data = torch.tensor([1.0, 3.0])
    batches = [torch.tensor([1.0]), torch.tensor([3.0])]
    expected = 0.0
    for target in (1.0, 3.0, 1.0):
        expected += 0.5 * (target - expected)
    gain = (1 + 9) / 4 - ((1 - expected) ** 2 + (3 - expected) ** 2) / 4
    for source in (batches, DataLoader(data, batch_size=1), iter(batches * 2), lambda seed: iter(batches * 2)):  # type: ignore[arg-type]
        found = best_response(game, data, bases=SGD(0.5), steps=3, stream=source)
        assert found["x"].gain_train == pytest.approx(gain)
    with pytest.raises(InputError, match="minibatches ended"):
        best_response(game, data, bases=SGD(0.5), steps=3, stream=iter(batches))


def test_a_response_that_diverges_stops_at_its_last_good_point() -> None:
    x = torch.tensor([3.0])
    found = best_response(Game({"x": x}, lambda m, _: (m["x"] ** 4).sum()), bases=SGD(1.0), steps=50)
    assert found["x"].status.startswith("stopped after")
    assert found["x"].steps < 50
    assert x.item() == 3.0


def test_one_player_alone_can_be_asked() -> None:
    game, *_ = a_matrix_game()
    found = best_response(game, bases=SGD(0.05), steps=2, players=["y"])
    assert list(found.gains) == ["y"]
    assert found.section()["rows"][0]["player"] == "y"
    assert "2 own steps of 'y' gain" in found.sentence


def test_a_field_brings_its_data_with_it() -> None:
    game, data = a_gan(), torch.randn(16, 2, generator=torch.Generator().manual_seed(1))
    by_field = best_response(game.on(data), bases=Adam(1e-2), steps=3)
    assert by_field == best_response(game, data, bases=Adam(1e-2), steps=3)
    with pytest.raises(InputError, match="brings its data"):
        best_response(game.on(data), data, bases=Adam(1e-2))


def test_given_states_are_used_and_left_alone() -> None:
    game, a, _, y = a_matrix_game()
    base = SGD(0.1, momentum=0.9)
    states = {"x": {"step": 1, "buffer": a @ y}, "y": base.init(y)}
    kept = deepcopy(states)
    found = best_response(game, bases=base, states=states, steps=1)
    assert found["x"].gain_train == pytest.approx(0.19 * float((a @ y).square().sum()), rel=1e-12)
    assert torch.equal(states["x"]["buffer"], kept["x"]["buffer"])


def test_bad_arguments_are_named() -> None:
    game, *_ = a_matrix_game()
    with pytest.raises(InputError, match="how the players step"):
        best_response(game)
    with pytest.raises(InputError, match="no player 'z'"):
        best_response(game, bases=SGD(0.1), players=["z"])
    with pytest.raises(InputError, match="steps=0"):
        best_response(game, bases=SGD(0.1), steps=0)
    with pytest.raises(InputError, match="no states for players"):
        best_response(game, bases=SGD(0.1), states={})


def test_an_optimizer_of_sx_lends_its_bases_and_states() -> None:
    game, _, _, _ = a_matrix_game()
    opt = optim.Extragradient(game, Adam(0.05))
    for _ in range(3):
        opt.step(None)
    found = best_response(game, optimizers=opt, steps=3)
    by_hand = best_response(game, bases=Adam(0.05), states=opt.states, steps=3)
    assert found.gap_train == by_hand.gap_train != best_response(game, bases=Adam(0.05), steps=3).gap_train


def test_what_has_no_losses_is_refused() -> None:
    with pytest.raises(InputError, match="give a Game and its data, its field, or a Run with roles, got a Linear"):
        best_response(nn.Linear(1, 1), bases=SGD(0.1))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="needs to know losses and data"):
        best_response(Run(lambda: None, {"x": torch.ones(1)}))
