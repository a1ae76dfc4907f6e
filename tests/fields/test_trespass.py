"""What losses must not do to the players: use their raw tensors, share their memory, or change them."""

import pytest
import torch
from small_games import data, net
from torch import nn

from separatrix.errors import InputError
from separatrix.fields import Game, Loss
from untouched import untouched


def value(m, batch):
    return m["D"](m["G"](batch)).mean()


def test_two_views_of_one_memory_are_refused_also_where_they_only_overlap():
    flat = data(10)
    tail = nn.Module()
    tail.register_buffer("alias", flat[4:6])
    tail.weight = nn.Parameter(data(1))
    for a, b in ((flat, flat), (flat[:5], flat[3:8]), (flat[0::2], flat[2:5]), (flat[:5], tail)):
        with pytest.raises(InputError, match=r"x and y.* are two views of one memory; .* same torch.nn.Parameter"):
            Game({"x": a, "y": b}, value)
    Game({"x": flat[0::2], "y": flat[1::2]}, value)
    Game({"x": flat[:5], "y": flat[5:]}, value)


CAPTURES = {
    "a parameter": lambda G: G[0].weight,
    "its slice": lambda G: G[0].weight[:2],
    "its transpose": lambda G: G[0].weight.T,
    "its detached self": lambda G: G[0].weight.detach(),
    "its data": lambda G: G[0].weight.data[1:],
}


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize("player", ["G", "D"])
def test_a_raw_tensor_captured_from_outside_is_named(name, player):
    players = {"G": net(2, 3), "D": net(3, 1)}
    raw = CAPTURES[name](players["G"])

    def losses(m, batch):
        v = value(m, batch)
        return {"G": v, "D": -v} | {player: v + raw.square().sum()}

    field = Game(players, losses).on(data(6, 2))
    with (
        untouched(*players.values()),
        pytest.raises(InputError, match=r"the tensor G\.0\.weight captured from outside"),
    ):
        field()


def test_a_raw_tensor_in_the_second_players_own_loss_is_found_when_that_player_is_asked():
    players = {"G": net(2, 3), "D": net(3, 1)}
    raw = players["D"][0].weight
    field = Game(players, {"G": value, "D": lambda m, b: -value(m, b) + raw.sum()}).on(data(6, 2))
    field.trace(field.leaves(), players=["G"])
    with pytest.raises(InputError, match=r"D\.0\.weight captured"):
        field.directions(players=["D"])


def test_a_tensor_player_used_raw_is_named():
    x, y = data(2), data(2)
    with pytest.raises(InputError, match="the tensor y captured from outside"):
        Game({"x": x, "y": y}, lambda m, b: (m["x"] * y).sum() + m["y"].sum()).on()()


def test_a_clone_from_outside_is_a_constant():
    x = data(3)
    anchor = x.clone()
    assert torch.equal(Loss(x, lambda m, b: (m - anchor).square().sum()).on()(), torch.zeros(3, dtype=torch.float64))


def changing(kind):
    class Changing(nn.Linear):
        def forward(self, x):
            with torch.no_grad():
                if kind == "clipping its data":
                    self.weight.data.clamp_(-0.01, 0.01)
                elif kind == "normalising":
                    self.weight.div_(self.weight.norm())
            return super().forward(x)

    if kind == "renormalising an embedding":
        return nn.Embedding(5, 3, max_norm=0.1)
    return Changing(3, 3)


@pytest.mark.parametrize("kind", ["clipping its data", "normalising", "renormalising an embedding"])
def test_a_forward_that_changes_its_parameters_is_named(kind):
    model = changing(kind).double()
    batch = torch.arange(3) if "embedding" in kind else data(6, 3)
    with untouched(model), pytest.raises(InputError, match=r"change the parameter model.weight in their forward pass"):
        Loss(model, lambda m, b: m(b).square().mean()).on(batch)()


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("foreach", [False, True])
def test_an_optimizer_step_inside_the_losses_is_named_before_it_moves_anything(kind, foreach):
    model = net(2, 3)
    optimizer = kind(model.parameters(), lr=0.1, foreach=foreach)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()

    def loss(m, b):
        optimizer.step()
        return m(b).square().mean()

    with untouched(model, optimizer), pytest.raises(InputError, match=r"the losses (change|use) the .*model.0.weight"):
        Loss(model, loss).on(data(6, 2))()
