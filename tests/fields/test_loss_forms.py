"""Every loss form: products agree with differences of the field, or the form is refused by name."""

import re
from contextlib import nullcontext

import pytest
import torch
from field_oracle import assert_products_are_right, differences
from small_games import classes, data, net
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from separatrix.errors import UnsupportedOperatorError, WrongDerivativeError
from separatrix.fields import Game, Loss
from untouched import untouched

LABELS = classes(3, 6)

SUPERVISED = {
    "cross-entropy": lambda out: F.cross_entropy(out, LABELS),
    "cross-entropy, smoothed and weighted": lambda out: F.cross_entropy(
        out, LABELS, label_smoothing=0.1, weight=torch.tensor([1.0, 2.0, 3.0], dtype=out.dtype)
    ),
    "BCE with logits": lambda out: F.binary_cross_entropy_with_logits(out, (out > 9).to(out)),
    "BCE": lambda out: F.binary_cross_entropy(out.sigmoid(), torch.full_like(out, 0.3)),
    "Huber": lambda out: F.huber_loss(out, torch.zeros_like(out), delta=0.5),
    "smooth L1": lambda out: F.smooth_l1_loss(out, torch.ones_like(out)),
    "MSE with a constant target": lambda out: F.mse_loss(out, torch.ones_like(out)),
    "Kullback-Leibler": lambda out: F.kl_div(out.log_softmax(1), torch.full_like(out, 1 / 3), reduction="batchmean"),
    "cosine similarity": lambda out: F.cosine_similarity(out, torch.ones_like(out)).mean(),
    "logsumexp contrast": lambda out: (out @ out.T).logsumexp(1).mean() - (out * out).sum(1).mean(),
    "focal": lambda out: ((1 - out.softmax(1)).pow(2) * -out.log_softmax(1))[:, 0].mean(),
    "triplet": lambda out: F.triplet_margin_loss(out[:2], out[2:4], out[4:], margin=5.0),
}


@pytest.mark.parametrize("name", SUPERVISED)
def test_a_supervised_loss_agrees_with_differences(name):
    model, x = net(4, 5, 3), data(6, 4)
    field = Loss(model, lambda m, batch: SUPERVISED[name](m(batch))).on(x)
    with untouched(model):
        J = assert_products_are_right(field, step=1e-6, tolerance=1e-6)
        assert "symmetric" in J.tags


# What torch has no forward-mode derivatives for, or refuses to combine with backward ones.
NOT_DUAL = {"Huber", "MSE with a constant target"}


@pytest.mark.parametrize("name", SUPERVISED)
def test_a_supervised_loss_is_right_on_the_dual_route_or_refused_there(name):
    field = Loss(net(4, 5, 3), lambda m, batch: SUPERVISED[name](m(batch))).on(data(6, 4))
    J = field.jacobian(route="dual", checks=False)
    z = J.x.flip(0)
    with pytest.raises(UnsupportedOperatorError, match="use route='stream'") if name in NOT_DUAL else nullcontext():
        torch.testing.assert_close(J @ z, differences(field, z, step=1e-6), rtol=1e-5, atol=1e-7)


def adversarial(penalty):
    """A GAN whose critic loss has a gradient penalty."""

    def losses(models, batch):
        real, z = batch
        fake = models["G"](z)
        d_loss = models["D"](fake).mean() - models["D"](real).mean() + penalty(models["D"], real, fake)
        return {"G": -models["D"](fake).mean(), "D": d_loss}

    return losses


def r1(critic, real, fake):
    real = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(real).sum(), real, create_graph=True)
    return 0.5 * slope.square().sum(1).mean()


def r1_in_place(critic, real, fake):
    real.requires_grad_()  # writes to the batch
    (slope,) = torch.autograd.grad(critic(real).sum(), real, create_graph=True)
    return 0.5 * slope.square().sum(1).mean()


def wgan_gp(critic, real, fake):
    mix = torch.rand(len(real), 1)
    between = mix * real + (1 - mix) * fake
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return 10 * (slope.norm(dim=1) - 1).square().mean()


def functional_penalty(critic, real, fake):
    slopes = torch.func.vmap(torch.func.grad(lambda x: critic(x).sum()))(real)
    return slopes.square().sum(1).mean()


@pytest.mark.parametrize("penalty", [r1, r1_in_place, wgan_gp, functional_penalty])
def test_a_gradient_penalty_inside_the_loss_agrees_with_differences(penalty):
    players = {"G": net(2, 4, 3), "D": net(3, 4, 1, seed=1)}
    batch = (data(6, 3), data(6, 2, seed=4))
    field = Game(players, adversarial(penalty)).on(batch)
    with untouched(*players.values(), *batch):
        assert assert_products_are_right(field).findings == []
        J = field.jacobian(route="dual", checks=False)
        torch.testing.assert_close(J @ J.x, differences(field, J.x), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("attention", [False, True])
def test_checkpointing_without_reentrance_agrees_with_differences(attention):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Dropout(0.3), nn.Linear(4, 12))

        def heads(self, x):
            q, k, v = self.inner(x).chunk(3, -1)
            return F.scaled_dot_product_attention(q, k, v) if attention else q * k + v

        def forward(self, x):
            return checkpoint(self.heads, x, use_reentrant=False)

    torch.manual_seed(0)
    players = {"G": Block().double(), "D": net(4, 3, 1, seed=1)}

    def losses(models, batch):
        out = models["D"](models["G"](batch))
        return {"G": -out.mean(), "D": out.square().mean()}

    with untouched(*players.values()):
        assert_products_are_right(Game(players, losses).on(data(2, 5, 4)))


def test_reentrant_checkpointing_is_refused_by_name():
    model = net(4, 5, 3)
    field = Loss(model, lambda m, b: checkpoint(m[1:], m[0](b), use_reentrant=True).square().mean()).on(data(6, 4))
    with pytest.raises(UnsupportedOperatorError, match=r"reentrant checkpointing.*use_reentrant=False"):
        field.jacobian()


def test_reentrant_checkpointing_of_the_first_layers_is_refused_too():
    """Nothing before the checkpoint is asked for, so torch skips what is inside it without a word."""
    model = net(4, 5, 3)

    def loss(m, batch):
        return m[2:](checkpoint(m[:2], batch.requires_grad_(), use_reentrant=True)).square().mean()

    field = Loss(model, loss).on(data(6, 4))
    with pytest.raises(UnsupportedOperatorError, match=r"reentrant checkpointing.*use_reentrant=False"):
        field(field.point)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
def test_weight_norm_is_right_or_refused_by_name(norm, dtype):
    players = {"G": net(2, 4, 3).to(dtype), "D": net(3, 4, 1, seed=1).to(dtype)}
    players["D"][0] = norm(players["D"][0])
    field = Game(players, adversarial(lambda *_: 0)).on((data(6, 3), data(6, 2)))
    with untouched(*players.values()):
        try:
            assert_products_are_right(field.with_dtype(torch.float64))
            field.jacobian()
        except WrongDerivativeError as refusal:
            said = str(refusal)
        else:
            return  # torch has mended it
    assert re.search(r"player 'D'.*weight_norm in 0.*sx.fields.with_exact_norms", said)


@pytest.mark.parametrize("norm", [nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm])
def test_spectral_norm_is_refused_by_name_in_train_mode_and_right_when_frozen(norm):
    from separatrix.fields import freeze_spectral_norm

    players = {"G": net(2, 4, 3), "D": net(3, 4, 1, seed=1)}
    players["D"][0] = norm(players["D"][0])
    field = Game(players, adversarial(lambda *_: 0)).on((data(6, 3), data(6, 2)))
    with (
        untouched(*players.values()),
        pytest.raises(
            UnsupportedOperatorError,
            match=r"player 'D', module '0': spectral_norm.*freeze_spectral_norm.*with_exact_norms",
        ),
    ):
        field.jacobian()
    if norm is nn.utils.spectral_norm:
        players["D"].eval()
    else:
        freeze_spectral_norm(players["D"])
        assert players["D"].training
    with untouched(*players.values()):
        assert_products_are_right(field)


def test_a_spectral_norm_of_ones_own_is_refused_in_train_mode():
    class Normed(nn.Linear):
        def __init__(self, *sizes):
            super().__init__(*sizes)
            self.register_buffer("u", torch.ones(sizes[1]) / 2)

        def forward(self, x):
            with torch.no_grad():
                v = F.normalize(self.weight.T @ self.u, dim=0)
                u = F.normalize(self.weight @ v, dim=0)
                self.u.copy_(u)
            return F.linear(x, self.weight / (u @ self.weight @ v), self.bias)

    torch.manual_seed(1)
    critic = nn.Sequential(Normed(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    field = Game({"G": net(2, 4, 3), "D": critic}, adversarial(lambda *_: 0)).on((data(6, 3), data(6, 2)))
    with (
        untouched(critic),
        pytest.raises(WrongDerivativeError, match=r"contradicts its field.*power iteration.*sx.Run"),
    ):
        field.jacobian()


def test_a_head_that_is_linear_in_its_player_has_no_curvature():
    G, D = net(2, 3), nn.Linear(3, 1).double()
    field = Game({"G": G, "D": D}, adversarial(lambda *_: 0)).on((data(6, 3), data(6, 2)))
    assert_products_are_right(field)
    J = field.jacobian()
    assert not J["D", "D"].to_dense().any()
    assert J["G", "D"].to_dense().any()
    x = data(5)
    plain = Loss(x.clone(), lambda m, b: (m * b).sum()).on(x).jacobian()
    assert not (plain @ x).any()
    assert not (plain.T @ x).any()


def test_tied_weights_within_a_player_are_one_tensor():
    class Auto(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.decode = nn.Linear(3, 3), nn.Linear(3, 3)
            self.decode.weight = self.encode.weight

        def forward(self, x):
            return self.decode(self.encode(x).tanh())

    torch.manual_seed(0)
    model = Auto().double()
    field = Loss(model, lambda m, b: (m(b) - b).square().mean()).on(data(6, 3))
    assert field.space.n == 15
    with untouched(model):
        assert_products_are_right(field)


def test_weights_tied_between_players_move_by_the_sum_of_their_directions():
    torch.manual_seed(0)
    trunk = nn.Linear(3, 3).double()
    players = {"a": nn.Sequential(trunk, nn.Tanh(), net(3, 1)), "b": nn.Sequential(trunk, nn.Tanh(), net(3, 1, seed=2))}

    def losses(models, batch):
        a, b = models["a"](batch), models["b"](batch)
        return {"a": (a * b).mean() + a.square().mean(), "b": (b - a.sin()).square().mean()}

    field = Game(players, losses).on(data(6, 3))
    parts = field.directions()
    assert field.space.n == 20
    torch.testing.assert_close(field()[:12], parts["a"][:12] + parts["b"][:12])
    assert_products_are_right(field)
