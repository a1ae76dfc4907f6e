"""The digits GAN and classifier: data, networks, losses, and a score that can tell good from bad."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import nn

from separatrix.dynamics import simulate
from separatrix.errors import InputError
from separatrix.zoo import load
from separatrix.zoo.digits_data import digits
from separatrix.zoo.digits_score import _judge, frechet_distance, moments, score_images

DATA = digits()


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_data_are_all_digits_in_a_fixed_split_and_scaled():
    assert DATA.images.shape == (1437, 64)
    assert DATA.held_images.shape == (360, 64)
    everything = torch.cat([DATA.images, DATA.held_images])
    assert (everything.min().item(), everything.max().item()) == (-1.0, 1.0)
    assert len(everything.unique(dim=0)) == 1797, "training and held-out digits overlap"
    assert torch.cat([DATA.labels, DATA.held_labels]).bincount().tolist() == [
        178,
        182,
        177,
        183,
        181,
        182,
        181,
        179,
        174,
        180,
    ]
    assert DATA.held_labels.bincount(minlength=10).min() > 20


def test_the_data_handed_out_are_copies():
    digits().images.zero_()
    assert torch.equal(digits().images, DATA.images)


def test_the_networks_have_their_sizes():
    models = load("digits-gan").game.models
    sizes = {p: [tuple(w.shape) for w in m.parameters() if w.ndim == 2] for p, m in models.items()}
    assert sizes == {"G": [(128, 32), (128, 128), (64, 128)], "D": [(128, 64), (128, 128), (1, 128)]}
    assert sum(w.numel() for m in models.values() for w in m.parameters()) == 53_953
    assert isinstance(models["G"][-1], nn.Tanh)
    smooth = load("digits-gan-smooth").game.models
    assert not any(isinstance(layer, nn.LeakyReLU) for m in smooth.values() for layer in m)


def test_the_losses_are_the_non_saturating_ones_and_both_players_see_the_fake():
    problem = load("digits-gan-r1", r1=2.0, width=8)
    models, real = problem.game.models, DATA.images[:50]
    torch.manual_seed(0)
    losses = problem.game.losses(models, real)
    torch.manual_seed(0)
    fake = models["G"](torch.randn(50, 32))
    ones, zeros = torch.ones(50, 1), torch.zeros(50, 1)
    bce = nn.functional.binary_cross_entropy_with_logits
    torch.testing.assert_close(losses["G"]["adv"], bce(models["D"](fake), ones))
    torch.testing.assert_close(losses["D"]["adv"], bce(models["D"](real), ones) + bce(models["D"](fake), zeros))
    slopes = torch.stack([torch.func.grad(lambda x: models["D"](x).sum())(image) for image in real])
    torch.testing.assert_close(losses["D"]["r1"], 2.0 / 2 * slopes.square().sum(dim=1).mean())
    assert all(
        g is not None
        for g in torch.autograd.grad(losses["D"]["adv"], list(models["G"].parameters()), retain_graph=True)
    )
    assert torch.autograd.grad(losses["D"]["r1"], models["D"][0].weight)[0].abs().sum() > 0
    assert "r1" not in load("digits-gan").game.losses(load("digits-gan").game.models, real)["D"]


def test_the_draw_of_a_field_is_frozen_and_the_cross_blocks_are_there():
    problem = load("digits-gan-smooth", width=6, r1=1.0)
    field = problem.game.on(DATA.images[:32], dtype=torch.float64)
    assert torch.equal(field(), field())
    assert not torch.equal(field(), field.with_seed(1)())
    jacobian = field.jacobian()
    assert not jacobian.findings
    u = torch.randn(field.space.n, generator=drawn(), dtype=torch.float64)
    expected = (field(field.point + 1e-5 * u) - field(field.point - 1e-5 * u)) / 2e-5
    assert (jacobian @ u - expected).norm() < 1e-7 * expected.norm()


def test_losses_of_a_flat_discriminator_are_at_rest_with_no_mode_covered():
    """Why losses near ln 2 and 2 ln 2 say nothing."""
    problem = load("digits-gan")
    models = problem.game.models
    with torch.no_grad():
        for w in models["D"][-1].parameters():
            w.zero_()
    losses = problem.field().losses()
    known = problem.fact("losses_of_a_flat_discriminator")
    assert known == {"G": log(2), "D": 2 * log(2)}
    for player, value in known.items():
        assert losses[player]["adv"] == pytest.approx(value, rel=1e-6)
    assert problem.score(models)["modes"] == 0


def test_the_classifier_behind_the_score_knows_the_held_out_digits():
    judge = _judge()[0]
    assert (judge(DATA.held_images).argmax(dim=1) == DATA.held_labels).double().mean() > 0.96


def test_real_digits_score_well():
    held_out, training = score_images(DATA.held_images), score_images(DATA.images)
    assert held_out["modes"] == training["modes"] == 10
    assert held_out["frechet"] < 0.5
    assert held_out["confident"] > 0.85
    assert training["frechet"] < 1e-8


@pytest.mark.parametrize("kind", ["uniform", "normal", "shuffled", "grey"])
def test_noise_scores_badly(kind):
    noise = {
        "uniform": 2 * torch.rand(1000, 64, generator=drawn()) - 1,
        "normal": torch.randn(1000, 64, generator=drawn()).tanh(),
        "shuffled": torch.stack([image[torch.randperm(64, generator=drawn(i))] for i, image in enumerate(DATA.images)]),
        "grey": torch.zeros(1000, 64) + 0.01 * torch.randn(1000, 64, generator=drawn()),
    }[kind]
    score = score_images(noise)
    assert score["modes"] == 0
    assert score["frechet"] > 30
    assert score["confident"] < 0.02


class Repeats(nn.Module):
    """A generator that answers with the same images over and over, whatever the latents."""

    def __init__(self, images: torch.Tensor) -> None:
        super().__init__()
        self.images = nn.Parameter(images.clone())

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.images[torch.arange(len(z)) % len(self.images)] + 0.01 * z.mean()


@pytest.mark.parametrize("digit", range(10))
def test_a_collapsed_generator_has_one_mode(digit):
    one = DATA.held_images[(DATA.held_labels == digit).nonzero()[:, 0]]
    clearest = one[_judge()[0](one).softmax(dim=1)[:, digit].argmax()][None]
    score = load("digits-gan").score({"G": Repeats(clearest)})
    assert score["modes"] == 1
    assert score["frechet"] > 20


def test_half_the_digits_are_half_the_modes():
    score = load("digits-gan").score({"G": Repeats(DATA.images[DATA.labels < 5])})
    assert score["modes"] == 5
    assert 3 < score["frechet"] < 20


def test_a_rare_digit_is_no_mode_until_its_share_is_a_fiftieth():
    others, zeros = DATA.images[DATA.labels != 0], DATA.images[DATA.labels == 0]
    assert score_images(torch.cat([others[:990], zeros[:10]]))["modes"] == 9
    assert score_images(torch.cat([others[:970], zeros[:30]]))["modes"] == 10


@pytest.mark.parametrize("name", ["digits-gan", "digits-gan-r1", "digits-gan-smooth"])
@pytest.mark.parametrize("seed", [0, 1])
def test_an_untrained_generator_covers_one_mode_at_most(name, seed):
    problem = load(name, seed=seed)
    score = problem.score(problem.game.models)
    assert score["modes"] <= 1
    assert score["frechet"] > 30


def test_the_frechet_distance_has_its_closed_form():
    a, b = (torch.randn(5, 5, generator=drawn(s), dtype=torch.float64) for s in (0, 1))
    mean = torch.arange(5.0, dtype=torch.float64)
    zero = torch.zeros(5, dtype=torch.float64)
    one, other = a @ a.T, b @ b.T
    assert frechet_distance(mean, one, mean, one) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(mean, one, zero, one) == pytest.approx(30, rel=1e-10)
    assert frechet_distance(zero, torch.diag(mean), zero, torch.eye(5, dtype=torch.float64)) == pytest.approx(
        sum((k**0.5 - 1) ** 2 for k in range(5)), rel=1e-10
    )
    values = torch.linalg.eigvals(one @ other).real.clamp(min=0).sqrt().sum()
    expected = float(one.trace() + other.trace() - 2 * values)
    assert frechet_distance(zero, one, zero, other) == pytest.approx(expected, rel=1e-9)
    mean, covariance = moments(DATA.images)
    assert mean.dtype == torch.float64
    assert covariance.shape == (64, 64)


def test_samples_are_images_between_black_and_white():
    problem = load("digits-gan")
    images = problem.samples(problem.game.models)
    assert images.shape == (64, 1, 8, 8)
    assert 0 <= images.min() <= images.max() <= 1
    assert torch.equal(images, problem.samples(problem.game.models))


def test_a_score_does_not_depend_on_the_precision_or_mode_of_the_players():
    problem = load("digits-gan")
    models = problem.game.models
    expected = problem.score(models)
    models["G"].double().train(False)
    assert problem.score(models) == pytest.approx(expected, rel=1e-4)
    assert problem.samples(models).dtype == torch.float32


def test_an_epoch_shows_every_image_at_most_once():
    stream = load("digits-gan", batch_size=100).minibatches(0)
    shown = torch.cat([next(stream) for _ in range(14)])
    assert shown.shape == (1400, 64)
    assert len(shown.unique(dim=0)) == 1400


def test_the_penalised_gan_learns_digits_within_a_few_hundred_steps():
    """Alternating Adam with R1: from no mode to some, and the Fréchet distance falls to a fraction."""
    problem = load("digits-gan-r1")
    game, stream = problem.game, problem.minibatches(0)
    optimizers = {p: torch.optim.Adam(m.parameters(), 2e-4, betas=(0.5, 0.999)) for p, m in game.models.items()}
    before = problem.score(game.models)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(300):
            for player in ("D", "G"):
                own = list(game.models[player].parameters())
                loss = sum(game.losses(game.models, next(stream))[player].values())
                for w, g in zip(own, torch.autograd.grad(loss, own), strict=True):
                    w.grad = g
                optimizers[player].step()
    after = problem.score(game.models)
    assert after["frechet"] < before["frechet"] / 4
    assert after["modes"] >= 2


def test_the_classifier_is_healthy():
    problem = load("digits-classifier")
    field = problem.game.on(problem.data)
    assert problem.score(problem.game.models)["accuracy"] < 0.3
    x, _, path = simulate(problem.method, field, steps=150, every=150)
    with torch.no_grad():
        for parameter, piece in zip(problem.game.parameters, field.space.split(x), strict=True):
            parameter.copy_(piece)
    assert problem.score(problem.game.models)["accuracy"] > 0.94
    assert field.losses(x)["model"]["loss"] < 0.3 * field.losses(path[0])["model"]["loss"]
    assert problem.held_out[0].shape == (360, 64)


def test_bad_options_are_named():
    with pytest.raises(InputError, match=r"r1 must not be negative, got -1"):
        load("digits-gan", r1=-1.0)
    for name in ("digits-gan", "digits-classifier"):
        with pytest.raises(InputError, match=r"batch_size must lie between 1 and the 1437 training images, got 1438"):
            load(name, batch_size=1438)
