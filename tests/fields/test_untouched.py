"""Nothing of the user's changes, whatever is asked of a field, and whether or not it succeeds."""

import contextlib
import random

import numpy as np
import pytest
import torch
from small_games import data, gan_losses, net
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from separatrix.errors import InputError, SeparatrixError
from separatrix.fields import Game, Loss
from untouched import untouched


class Busy(nn.Module):
    """Keeps counters, caches, statistics and a buffer that comes into being in its forward pass."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.2), nn.Tanh(), nn.Linear(4, 3))
        self.register_buffer("seen", torch.zeros(()))
        self.calls, self.history, self.cache, self.last = 0, [], {}, None

    def forward(self, x):
        self.calls += 1
        self.seen += len(x)
        self.last = self.inner(x)
        self.history.append(self.last)
        self.cache["last"] = self.last
        self.late = self.last.detach()
        if not hasattr(self, "positions"):
            self.register_buffer("positions", torch.arange(3.0))
        self.eval()
        self.train()
        return self.last + np.random.rand() + random.random()  # noqa: NPY002


def players():
    torch.manual_seed(0)
    critic = nn.utils.weight_norm(nn.Linear(3, 4))
    made = {"G": Busy().double(), "D": nn.Sequential(critic, nn.LSTM(4, 3), Last(), nn.Linear(3, 1)).double().eval()}
    made["D"][1].train()
    return made


class Last(nn.Module):
    def forward(self, pair):
        return pair[0]


def with_optimizers(made):
    optimizers = [torch.optim.Adam(p.parameters(), lr=1e-3) for p in made.values()]
    out = sum(p.square().sum() for m in made.values() for p in m.parameters())
    out.backward()
    for optimizer in optimizers:
        optimizer.step()
    return optimizers


CALLS = {
    "its value": lambda f: f(),
    "its value elsewhere": lambda f: f(f.point + 1),
    "one player's direction": lambda f: f.directions(players=["D"]),
    "its losses": lambda f: f.losses(),
    "its shares": lambda f: f.share(["G"]),
    "a Jacobian": lambda f: f.jacobian(),
    "products": lambda f: [f.jacobian(checks=False) @ f(), f.jacobian(checks=False).T @ f()],
    "a block": lambda f: f.jacobian(checks=False)["G", "D"].T @ f.directions()["G"],
    "another seed": lambda f: f.with_seed(3)(),
    "another dtype": lambda f: f.with_dtype(torch.float32)(),
}


@pytest.mark.parametrize("what", CALLS)
def test_a_call_leaves_everything_as_it_was(what):
    made = players()
    optimizers = with_optimizers(made)
    batch = data(6, 3)
    with untouched(*made.values(), *optimizers, batch):
        field = Game(made, gan_losses).on(batch)
        with contextlib.suppress(SeparatrixError):  # weight_norm may be refused
            CALLS[what](field)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, torch.OutOfMemoryError, SystemExit])
@pytest.mark.parametrize("moment", ["losses", "backward"])
def test_an_exception_leaves_everything_as_it_was(error, moment):
    made = players()

    class Raise(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            raise error("stop")

    def losses(models, batch):
        found = gan_losses(models, batch)
        if moment == "losses":
            raise error("stop")
        return found | {"G": Raise.apply(found["G"])}

    field = Game(made, losses).on(data(6, 3))
    expected = (error, InputError) if error is ValueError else error
    for call in (field, field.losses, field.jacobian):
        if moment == "backward" and call == field.losses:
            continue
        with untouched(*made.values()), pytest.raises(expected):
            call()


def test_a_bystander_in_a_closure_keeps_its_statistics_and_its_mode():
    features = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.3)).double()
    holder = {"nested": [nn.BatchNorm1d(3).double()]}

    def perceptual(x):
        return features(holder["nested"][0](x))

    model = net(2, 3)
    field = Loss(model, lambda m, b: perceptual(m(b)).square().mean()).on(data(6, 2))
    with untouched(model, features, holder):
        assert field.jacobian().findings == []

    class Objective:
        def __init__(self):
            self.norm = nn.BatchNorm1d(3)

        def __call__(self, m, b):
            return self.norm(m(b)).pow(4).mean()

    objective = Objective()
    model = net(2, 3).float()
    with untouched(model, objective.norm):
        J = Loss(model, objective).on(data(6, 2)).jacobian()
    assert J.findings == []  # its float32 statistics did not stand in the way of the float64 check


def test_a_bystander_that_wraps_the_players_sees_their_copies():
    class Whole(nn.Module):
        def __init__(self, G, D):
            super().__init__()
            self.G, self.D = G, D

        def losses(self, models, batch):
            out = self.D(self.G(batch))
            return {"G": -out.mean(), "D": out.square().mean()}

    whole = Whole(net(2, 3), net(3, 4, 1))
    field = Game({"G": whole.G, "D": whole.D}, whole.losses).on(data(6, 2))
    with untouched(whole):
        assert field.jacobian().findings == []


def test_a_loader_is_read_once_and_every_random_stream_put_back():
    read = []

    class Counting(TensorDataset):
        def __getitem__(self, index):
            read.append(index)
            return (super().__getitem__(index)[0] + torch.randn(3),)

    for generator in (None, torch.Generator().manual_seed(5)):
        read.clear()
        loader = DataLoader(Counting(data(10, 3)), batch_size=4, shuffle=True, generator=generator)
        game = Game({"G": net(2, 3), "D": net(3, 4, 1)}, lambda m, b: gan_losses(m, b[0]))
        with untouched(*([generator] if generator else [])):
            field = game.on(loader)
            field()
            field.jacobian()
        assert sorted(read) == list(range(10))
        assert field.weights == [0.4, 0.4, 0.2]
        assert torch.equal(game.on(loader)(), field())
        assert len(game.on(loader, limit=2).batches) == 2


def test_the_batch_may_be_written_to():
    def loss(m, batch):
        batch["x"].add_(1)
        batch["x"].requires_grad_()
        return m(batch["x"]).square().mean()

    batch = {"x": data(6, 2)}
    field = Loss(net(2, 3), loss).on(batch)
    with untouched(batch):
        assert torch.equal(field(), field())
        field.jacobian()


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_fields_work_where_gradients_are_switched_off(guard):
    field = Loss(net(2, 3), lambda m, b: m(b).pow(4).mean()).on(data(6, 2))
    expected, u = field(), data(9)
    product = field.jacobian() @ u
    with guard():
        assert torch.equal(field(), expected)
        J = field.jacobian()
        torch.testing.assert_close(J @ u, product)
        torch.testing.assert_close(J.rows_apply(u)["model"], product)


def test_an_lstm_works_in_its_owners_hands_afterwards():
    torch.manual_seed(0)
    model = nn.LSTM(3, 2).double()
    x = data(4, 2, 3)
    before = model(x)[0].detach()
    Loss(model, lambda m, b: F.softplus(m(b)[0]).mean()).on(x).jacobian()
    model(x)[0].sum().backward()
    assert torch.equal(model(x)[0], before)
    assert all(p.grad is not None for p in model.parameters())
