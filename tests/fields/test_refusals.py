"""Losses without second derivatives, or with gradients that are no derivatives, are refused by name."""

import pytest
import torch
from small_games import classes, data, net
from torch import nn
from torch.nn import functional as F

from separatrix.errors import UnsupportedOperatorError, WrongDerivativeError
from separatrix.fields import Game, Loss
from untouched import untouched


def test_an_embedding_bag_is_refused_by_name():
    torch.manual_seed(0)
    model = nn.Sequential(nn.EmbeddingBag(7, 3), nn.Tanh()).double()
    field = Loss(model, lambda m, b: m(b).square().mean()).on(classes(7, 12).view(4, 3))
    with untouched(model), pytest.raises(UnsupportedOperatorError, match=r"EmbeddingBag.*torch.nn.Embedding"):
        field.jacobian()


def test_the_ctc_loss_is_refused_by_name():
    def loss(model, batch):
        return F.ctc_loss(model(batch).log_softmax(-1), torch.tensor([[1, 2], [2, 1]]), (5, 5), (2, 2))

    with pytest.raises(UnsupportedOperatorError, match=r"CTC loss.*sx.Run"):
        Loss(net(4, 5, 3), loss).on(data(5, 2, 4)).jacobian()


def test_cdist_is_refused_by_name_in_the_loss_and_in_a_penalty():
    def energy(model, batch):
        return torch.cdist(model(batch), batch).mean()

    def penalised(model, batch):
        batch = batch.requires_grad_()
        (slope,) = torch.autograd.grad(torch.cdist(model(batch), batch).mean(), batch, create_graph=True)
        return slope.square().mean()

    for loss in (energy, penalised):
        with pytest.raises(UnsupportedOperatorError, match=r"torch.cdist.*\(a\[:, None\] - b\[None\]\)"):
            Loss(net(3, 5, 3), loss).on(data(6, 3)).jacobian()


def test_a_straight_through_estimator_is_refused():
    def loss(model, batch):
        soft = model(batch)
        hard = soft + (soft.round() - soft).detach()
        return (hard - 0.3).pow(4).mean()

    with pytest.raises(WrongDerivativeError, match=r"straight-through.*black box: sx.Run"):
        Loss(net(3, 5, 3), loss).on(data(6, 3)).jacobian()


def test_a_vector_quantiser_is_refused():
    class Quantiser(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.decode = nn.Linear(3, 2), net(2, 4, 3)
            self.codes = nn.Parameter(torch.randn(5, 2))

        def forward(self, x):
            z = self.encode(x)
            nearest = self.codes[(z[:, None] - self.codes).square().sum(-1).argmin(1)]
            commit = (z - nearest.detach()).square().mean() + (z.detach() - nearest).square().mean()
            return self.decode(z + (nearest - z).detach()), commit

    def loss(model, batch):
        out, commit = model(batch)
        return (out - batch).square().mean() + commit

    torch.manual_seed(0)
    with pytest.raises(WrongDerivativeError, match="quantiser"):
        Loss(Quantiser().double(), loss).on(data(6, 3)).jacobian()


def test_a_semi_gradient_is_refused():
    def temporal_difference(model, batch):
        return (model(batch) - 0.9 * model(batch.flip(0)).detach() - 1).square().mean()

    with pytest.raises(WrongDerivativeError, match="detached factor"):
        Loss(net(3, 4, 1), temporal_difference).on(data(6, 3)).jacobian()


def test_a_score_function_surrogate_at_frozen_draws_is_a_finding():
    def reinforce(model, batch):
        policy = torch.distributions.Categorical(logits=model(batch))
        action = policy.sample()
        return -(policy.log_prob(action) * torch.tensor([0.1, 1.0, 2.0], dtype=batch.dtype)[action]).mean()

    J = Loss(net(4, 5, 3), reinforce).on(data(6, 4)).jacobian()
    assert [f.split(":")[0] for f in J.findings] == ["sampled"]
    assert "multinomial" in J.findings[0]
    assert "DiCE" in J.findings[0]


def test_sampling_that_no_player_moves_is_no_finding():
    def loss(model, batch):
        noise = torch.bernoulli(torch.full((6, 4), 0.5)) + torch.multinomial(torch.ones(6, 4), 1)
        return model(batch + noise).square().mean()

    assert Loss(net(4, 5, 3), loss).on(data(6, 4)).jacobian().findings == []


def test_a_score_function_surrogate_with_gaussian_actions_is_refused():
    def reinforce(model, batch):
        policy = torch.distributions.Normal(model(batch), 0.5)
        action = policy.sample()  # moves with the mean, and hides it
        return -(policy.log_prob(action) * -action.square()).mean()

    with pytest.raises(WrongDerivativeError, match="score-function"):
        Loss(net(4, 5, 3), reinforce).on(data(6, 4)).jacobian()


def test_a_dice_surrogate_is_refused_with_a_word_on_how_to_build_it_all_the_same():
    def dice(model, batch):
        policy = torch.distributions.Categorical(logits=model(batch))
        action = policy.sample()
        log_prob = policy.log_prob(action)
        magic = torch.exp(log_prob - log_prob.detach())
        return -(magic * torch.tensor([0.1, 1.0, 2.0], dtype=batch.dtype)[action]).mean()

    field = Loss(net(4, 5, 3), dice).on(data(6, 4))
    with pytest.raises(WrongDerivativeError, match=r"DiCE.*checks=False"):
        field.jacobian()
    J = field.jacobian(checks=False)
    u = data(field.space.n)
    torch.testing.assert_close(J @ u, J.T @ u)
    assert "symmetric" not in J.tags  # nothing has vouched for it


def test_detached_fakes_are_a_finding_with_the_remedy():
    def losses(models, batch):
        real, z = batch
        fake = models["G"](z)
        d = F.softplus(models["D"](fake.detach())).mean() + F.softplus(-models["D"](real)).mean()
        return {"G": F.softplus(-models["D"](fake)).mean(), "D": d}

    for dtype in (torch.float32, torch.float64):
        players = {"G": net(2, 4, 3).to(dtype), "D": net(3, 4, 1, seed=1).to(dtype)}
        J = Game(players, losses).on((data(6, 3), data(6, 2))).jacobian()
        assert [f.split(":")[0] for f in J.findings] == ["detached"]
        assert "direction of 'D' changes with the parameters of 'G'" in J.findings[0]
        assert "fake = models['G'](z)" in J.findings[0]
        assert J.findings_about("detached") == J.findings


def test_without_float64_detached_fakes_are_still_found():
    real, z = data(6, 3).float(), data(6, 2).float()  # captured, so that no twin can convert them

    def losses(models, batch):
        fake = models["G"](z)
        d = F.softplus(models["D"](fake.detach())).mean() + F.softplus(-models["D"](real)).mean()
        return {"G": F.softplus(-models["D"](fake)).mean(), "D": d}

    J = Game({"G": net(2, 4, 3).float(), "D": net(3, 4, 1, seed=1).float()}, losses).on().jacobian()
    assert [f.split(":")[0] for f in J.findings] == ["unchecked", "detached"]
    assert "pass it in the batch" in J.findings[0]


def test_players_that_do_not_meet_are_no_finding():
    players = {"a": data(3), "b": data(4)}
    J = Game(players, lambda m, b: {"a": m["a"].pow(4).sum(), "b": m["b"].cos().sum()}).on().jacobian()
    assert J.findings == []
    assert not J["a", "b"].to_dense().any()


def test_a_kink_at_the_very_point_is_a_finding_and_no_refusal():
    x = torch.tensor([0.0, 1.0, -2.0], dtype=torch.float64)
    J = Loss(x, lambda m, b: (m.relu().square() + m.square()).sum()).on().jacobian()
    assert [f.split(":")[0] for f in J.findings] == ["discontinuous"]
    assert "kink" in J.findings[0]


def test_autocast_inside_the_losses_is_a_finding():
    def loss(model, batch):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return model(batch).square().mean()

    J = Loss(net(8, 32, 32, 4).float(), loss).on(data(32, 8)).jacobian()
    assert [f.split(":")[0] for f in J.findings] == ["coarse"]
    assert "autocast" in J.findings[0]


def test_autocast_around_the_call_does_not_reach_the_field():
    field = Loss(net(4, 5, 3), lambda m, b: m(b).square().mean()).on(data(6, 4))
    expected = field()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(field(), expected)
        assert field.jacobian().findings == []
