"""The patch GAN and the tokenizer: data, networks, losses, exact Jacobians, and scores that can tell good from bad."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, softplus

from separatrix.dynamics import train
from separatrix.errors import InputError
from separatrix.zoo import load
from separatrix.zoo.patches_data import patches
from separatrix.zoo.patches_score import patch_features, score_patches
from separatrix.zoo.tokenizer import nearest_words, quantise

DATA = patches()


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_patches_are_photographs_in_a_fixed_split_and_scaled():
    assert DATA.images.shape == (3080, 3, 32, 32)
    assert DATA.held_images.shape == (760, 3, 32, 32)
    assert (float(DATA.images.min()), float(DATA.images.max())) == (-1.0, 1.0)
    # Neighbouring pixels of photographs agree, shuffled ones do not.
    near = (DATA.images[..., 1:] - DATA.images[..., :-1]).square().mean()
    assert near < 0.1 * DATA.images.var()
    for part in (DATA.images, DATA.held_images):
        known = {image.numpy().tobytes() for image in part}
        assert {image.numpy().tobytes() for image in part.flip(3)} == known


def test_no_pixel_of_a_held_out_patch_is_trained_on():
    """No row of 32 pixels with any structure appears in both parts."""

    def rows(images):
        found = images.permute(0, 2, 3, 1).reshape(-1, 32 * 3)
        return {row.numpy().tobytes() for row in found[found.std(dim=1) > 0.1][::7]}

    assert not rows(DATA.held_images) & {r.numpy().tobytes() for r in DATA.images.permute(0, 2, 3, 1).reshape(-1, 96)}


def test_the_data_handed_out_are_copies():
    patches().images.zero_()
    assert torch.equal(patches().images, DATA.images)


def test_features_are_wavelet_energies_and_a_thumbnail():
    flat = torch.zeros(1, 3, 32, 32)
    flat[:, 0] = 0.6
    features = patch_features(flat)[0]
    assert features.shape == (84,)
    torch.testing.assert_close(features[:16], torch.full((16,), 0.2, dtype=torch.float64))  # luminance
    torch.testing.assert_close(features[16:32], torch.full((16,), 0.3, dtype=torch.float64))  # red against green
    torch.testing.assert_close(features[48:], torch.full((36,), math.log(1e-4), dtype=torch.float64))
    stripes = torch.ones(1, 3, 32, 32)
    stripes[
        :, :, 1::2
    ] = -1  # rows in turn: all energy in differences across rows at two pixels, of a half of (1+1+1+1)^2
    energies = patch_features(stripes)[0, 48:].reshape(4, 3, 3).exp()
    expected = torch.full((4, 3, 3), 1e-4, dtype=torch.float64)
    expected[0, 0, 0] += 4.0
    torch.testing.assert_close(energies, expected)


def test_real_patches_score_well_and_their_damaged_copies_worse():
    held = score_patches(DATA.held_images)
    assert held == load("patch-gan").fact("score_of_held_out_patches")
    assert held["frechet"] < 4
    assert held["modes"] >= 14
    assert score_patches(DATA.images) == {"frechet": pytest.approx(0, abs=1e-6), "modes": 16}
    blurred = score_patches(interpolate(avg_pool2d(DATA.held_images, 2), scale_factor=2))
    noisy = score_patches(DATA.held_images + 0.05 * torch.randn(DATA.held_images.shape, generator=drawn()))
    noise = score_patches(2 * torch.rand(1000, 3, 32, 32, generator=drawn()) - 1)
    grey = score_patches(0.01 * torch.randn(1000, 3, 32, 32, generator=drawn()))
    assert blurred["frechet"] > 4 * held["frechet"]
    assert noisy["frechet"] > 4 * held["frechet"]
    assert noise["modes"] <= 1
    assert grey["modes"] <= 1
    assert min(noise["frechet"], grey["frechet"]) > 100
    one = score_patches(DATA.images[7:8] + 0.01 * torch.randn(1000, 3, 32, 32, generator=drawn()))
    assert one["modes"] == 1
    assert one["frechet"] > 50


def test_the_networks_have_no_normalisation_and_their_sizes():
    models = load("patch-gan").game.models
    assert sum(w.numel() for m in models.values() for w in m.parameters()) == 151_204
    layers = {type(layer) for m in models.values() for layer in m.modules()} - {nn.Sequential}
    assert layers == {
        nn.Linear,
        nn.Unflatten,
        nn.ReLU,
        nn.ConvTranspose2d,
        nn.Tanh,
        nn.Conv2d,
        nn.LeakyReLU,
        nn.Flatten,
    }
    smooth = load("patch-gan-smooth").game.models
    assert not any(isinstance(layer, (nn.ReLU, nn.LeakyReLU)) for m in smooth.values() for layer in m)


def test_the_relativistic_variant_pairs_and_has_both_penalties():
    problem = load("patch-gan-rp-r1-r2", width=2, smooth=True)
    models, real = problem.game.models, DATA.images[:20]
    torch.manual_seed(0)
    losses = problem.game.losses(models, real)
    torch.manual_seed(0)
    fake = models["G"](torch.randn(20, 64))
    gap = models["D"](real) - models["D"](fake)
    torch.testing.assert_close(losses["D"]["adv"], softplus(-gap).mean())
    torch.testing.assert_close(losses["G"]["adv"], softplus(gap).mean())
    for term, images in (("r1", real), ("r2", fake.detach())):
        slopes = torch.stack([torch.func.grad(lambda x: models["D"](x[None]).sum())(image) for image in images])
        torch.testing.assert_close(losses["D"][term], 20 / 2 * slopes.square().flatten(1).sum(1).mean())
    # Nothing is detached: the penalty on generated patches moves with the generator.
    assert torch.autograd.grad(losses["D"]["r2"], next(models["G"].parameters()))[0].abs().sum() > 0


@pytest.mark.parametrize("name", ["patch-gan-smooth", "tokenizer-plain-smooth", "tokenizer"])
def test_the_jacobian_is_exact_also_through_the_words(name):
    """A straight-through estimator written with detach would be refused here."""
    problem = load(name, width=2, **({"smooth": True} if name == "tokenizer" else {}))
    field = problem.game.on(problem.data[:8], dtype=torch.float64)
    jacobian = field.jacobian()
    assert not jacobian.findings
    u = torch.randn(field.space.n, generator=drawn(), dtype=torch.float64)
    u /= u.norm()
    expected = (field(field.point + 1e-5 * u) - field(field.point - 1e-5 * u)) / 2e-5
    assert (jacobian @ u - expected).norm() < 1e-6 * expected.norm()


def test_the_encoder_gets_the_gradient_at_the_words_and_nobody_elses():
    problem = load("tokenizer", width=2, adversarial=0.3)
    models, real = problem.game.models, DATA.images[:10]
    losses = problem.game.losses(models, real)
    e = models["E"](real)
    straight = e + (quantise(e, models["C"]) - e).detach()
    made = models["T"](straight)
    whole = (real - made).square().mean() - 0.3 * models["D"](made).mean()
    whole = whole + 0.25 * (e - quantise(e, models["C"]).detach()).square().mean()
    for player in ("E", "T"):
        own = list(models[player].parameters())
        theirs = torch.autograd.grad(sum(losses[player].values()), own, retain_graph=True)
        for mine, other in zip(torch.autograd.grad(whole, own, retain_graph=True), theirs, strict=True):
            torch.testing.assert_close(mine, other)
    words = (e.detach() - quantise(e, models["C"])).square().mean()
    torch.testing.assert_close(
        torch.autograd.grad(words, models["C"])[0],
        torch.autograd.grad(losses["C"]["words"], models["C"])[0],
    )


def test_each_cell_becomes_the_word_nearest_to_it():
    words = torch.tensor([[0.0, 0.0], [1.0, 1.0], [4.0, 0.0]])
    e = torch.tensor([[[[0.2, 3.0]], [[0.1, 0.4]]]])  # cells (0.2, 0.1) and (3, 0.4)
    assert nearest_words(e, words).tolist() == [[[0, 2]]]
    assert quantise(e, words).tolist() == [[[[0.0, 4.0]], [[0.0, 0.0]]]]


def test_the_tokenizer_learns_to_remake_patches():
    problem = load("tokenizer-plain", width=4)
    before = problem.score(problem.game.models)["psnr"]
    train(problem, 100, progress=False)
    assert problem.score(problem.game.models)["psnr"] > before + 2


def test_bad_options_are_named():
    with pytest.raises(InputError, match=r"loss must be one of saturating, .*, relativistic, got 'js'"):
        load("patch-gan", loss="js")
    with pytest.raises(InputError, match=r"must not be negative, got r1=0.0, r2=-1.0"):
        load("patch-gan", r2=-1.0)
    with pytest.raises(InputError, match=r"between 1 and the 3080 training patches, got 0"):
        load("patch-gan", batch_size=0)
    with pytest.raises(InputError, match=r"weights must not be negative, got adversarial=-1.0, r1=-2.0"):
        load("tokenizer", adversarial=-1.0, r1=-2.0)
