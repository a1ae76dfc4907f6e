"""Slope penalties: conventions by hand (the 1/2, the sum over pixels, the mean over the batch), gradients, refusals."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest
import torch
from torch import nn

from separatrix.errors import InputError
from separatrix.fields import Game, r1, r2, slope_penalty, squared_slopes, watched, wgan_gp, zero_centred
from separatrix.fields.gradient_penalties import between
from separatrix.fields.input_noise import instance_noise, noise_penalty
from separatrix.fields.lecam import LeCam
from untouched import untouched

SLOPE = torch.tensor([[[3.0, 0.0], [0.0, 4.0]]], dtype=torch.float64)  # of an image (1, 2, 2): |slope|^2 = 25


def number(x) -> float:
    return torch.as_tensor(x).detach().item()


def flat(x: torch.Tensor) -> torch.Tensor:
    """A discriminator with the slope ``SLOPE`` everywhere, ``(b, 1)``."""
    return (x * SLOPE).flatten(1).sum(1, keepdim=True) + 7.0


def bent(x: torch.Tensor) -> torch.Tensor:
    """``|x|^2 / 2`` for each sample: its slope is the sample itself."""
    return x.flatten(1).square().sum(1) / 2


def images(seed: int = 0, count: int = 5) -> torch.Tensor:
    return torch.randn(count, 1, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_convention_is_half_the_sum_over_pixels_averaged_over_the_batch():
    x = images()
    assert number(r1(flat, x, 1.0)) == pytest.approx(25 / 2)
    assert number(r2(flat, x, 10.0)) == pytest.approx(125)
    assert r1(bent, x, 1.0).item() == pytest.approx(number(x.square().sum()) / 5 / 2)
    # Twice the batch, or the same batch twice: the same value.
    assert r1(bent, torch.cat([x, x]), 1.0).item() == pytest.approx(r1(bent, x, 1.0).item())
    torch.testing.assert_close(squared_slopes(bent(w := watched(x)), w).detach(), x.square().flatten(1).sum(1))


def test_between_the_samples_the_dirac_like_slopes_are_known():
    real, fake = images(0), images(1)
    torch.manual_seed(0)
    assert number(wgan_gp(flat, real, fake)) == pytest.approx(10 * (5 - 1) ** 2)
    assert number(wgan_gp(flat, real, fake, 2.0, slope=5.0)) == pytest.approx(0, abs=1e-20)
    assert number(zero_centred(flat, real, fake, 3.0)) == pytest.approx(3 / 2 * 25)
    torch.manual_seed(3)
    x = between(real, fake)
    share = ((x - fake) / (real - fake)).flatten(1)
    torch.testing.assert_close(share, share[:, :1].expand_as(share))  # one number for each sample
    assert 0 < number(share.min()) < number(share.max()) < 1
    torch.manual_seed(3)
    lengths = x.flatten(1).norm(dim=1)
    assert number(wgan_gp(bent, real, fake, 1.0)) == pytest.approx(number((lengths - 1).square().mean()))


def test_a_slope_of_zero_has_a_finite_gradient():
    weight = torch.zeros(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    value = wgan_gp(lambda x: (x * weight).flatten(1).sum(1), images(0), images(1))
    assert number(value) == pytest.approx(10)
    assert torch.autograd.grad(value, weight)[0].tolist() == torch.zeros_like(weight).tolist()


def test_gradients_agree_with_differences_and_reach_the_generator():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1)).double()
    shift = torch.zeros(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)

    def penalty(kind):
        fake = images(1) + shift
        torch.manual_seed(5)
        return {
            "r1": lambda: r1(net, images(0), 0.7),
            "r2": lambda: r2(net, fake, 0.7),
            "gp": lambda: wgan_gp(net, images(0), fake),
            "zero": lambda: zero_centred(net, images(0), fake, 0.7),
            "noise": lambda: noise_penalty(net, fake, 0.7, std=0.3),
        }[kind]()

    for kind in ("r1", "r2", "gp", "zero", "noise"):
        for tensor in (net[1].weight, *([shift] if kind != "r1" else [])):
            direction = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
            (slope,) = torch.autograd.grad(penalty(kind), tensor)
            ends = []
            for sign in (1, -1):
                with torch.no_grad():
                    tensor.add_(sign * 1e-6 * direction)
                ends.append(number(penalty(kind)))
                with torch.no_grad():
                    tensor.sub_(sign * 1e-6 * direction)
            assert number((slope * direction).sum()) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6), kind


def test_outputs_that_are_there_already_are_not_computed_again():
    calls = []

    def counted(x):
        calls.append(len(x))
        return bent(x)

    x = watched(images())
    assert number(slope_penalty(counted(x), x, 1.0)) == number(r1(bent, images(), 1.0))
    noise_penalty(counted, x, 1.0, outputs=bent(x))
    assert calls == [5, 5]


def test_a_batch_that_is_penalised_is_left_as_it_is():
    x = images()
    with untouched(x):
        r1(flat, x, 1.0)
        assert not x.requires_grad
    made = images().requires_grad_() * 2
    assert watched(made) is made


def test_maps_of_outputs_and_strangers_are_refused():
    x = images()
    with pytest.raises(InputError, match=r"outputs of shape \(5, 2\) for 5 samples.*D\(x\).flatten\(1\).mean\(1\)"):
        r1(lambda x: x.flatten(1)[:, :2], x, 1.0)
    with pytest.raises(InputError, match="outputs of shape"):
        noise_penalty(lambda x: x.flatten(1)[:, :2], x, 1.0)
    with pytest.raises(InputError, match=r"carry no graph; call the discriminator on watched\(x\)"):
        slope_penalty(bent(x), x, 1.0)
    with pytest.raises(InputError, match="do not depend on these samples"):
        slope_penalty(bent(watched(x)), watched(x), 1.0)
    with pytest.raises(InputError, match=r"one shape; got \(5, 1, 2, 2\) and \(4, 1, 2, 2\)"):
        wgan_gp(flat, x, images(1, 4))
    with pytest.raises(InputError, match="must not be negative, got -1"):
        instance_noise(x, -1.0)
    with pytest.raises(InputError, match=r"must be positive, got 0\.0"):
        noise_penalty(flat, x, 1.0, std=0.0)


def test_samples_and_places_without_slopes_and_weights_of_the_wrong_sign_are_named():
    d, images = nn.Sequential(nn.Flatten(), nn.Linear(4, 1)), torch.zeros(5, 1, 2, 2)
    with pytest.raises(InputError, match=r"samples of floating-point numbers, got torch\.uint8; scale them first"):
        r1(d, images.to(torch.uint8), 1.0)
    with (
        torch.no_grad(),
        pytest.raises(InputError, match=r"gradients are off here; leave the penalty out under torch\.no_grad"),
    ):
        r1(d, images, 1.0)
    for penalty in (
        lambda w: r2(d, images, w),
        lambda w: zero_centred(d, images, images, w),
        lambda w: wgan_gp(d, images, images, w),
    ):
        with pytest.raises(InputError, match=r"the weight must not be negative, got -0\.5"):
            penalty(-0.5)
        assert torch.isfinite(penalty(0.0))


def test_noise_on_the_input_is_r1_on_average():
    """Exactly for a flat discriminator; a bent one adds ``std^2 (tr(H)^2 + 2 |H|^2) / 4``, by hand ``std^2 (16 + 8) / 4``."""
    x = images(count=1).expand(200_000, 1, 2, 2)
    torch.manual_seed(0)
    assert number(noise_penalty(flat, x, 1.0, std=0.5)) == pytest.approx(25 / 2, rel=0.02)
    assert number(noise_penalty(bent, x, 1.0, std=0.01)) == pytest.approx(number(r1(bent, x, 1.0)), rel=0.02)
    bias = number(noise_penalty(bent, x, 1.0, std=1.0) - r1(bent, x, 1.0))
    assert bias == pytest.approx((16 + 8) / 4 / 2, rel=0.05)
    spread = torch.stack([noise_penalty(flat, x[:100], 1.0, std=0.1) for _ in range(300)]).std()
    assert number(spread) == pytest.approx(25 / 2 * 2**0.5 / 10, rel=0.15)


def test_instance_noise_has_its_width_and_draws_nothing_where_there_is_none():
    x = torch.zeros(100_000)
    torch.manual_seed(0)
    assert number(instance_noise(x, 0.3).std()) == pytest.approx(0.3, rel=0.02)
    with untouched(x):
        assert instance_noise(x, 0.0) is x


def test_instance_noise_damps_the_dirac_gan_by_what_is_said():
    from separatrix.zoo import load

    found = load("dirac-gan", noise=0.7, theta=0.0, psi=0.0).field().jacobian().to_dense()
    assert number(found[1, 1]) == pytest.approx(2 * -0.25 * 0.7**2)


def test_lecam_pulls_each_output_to_the_others_average():
    lecam = LeCam(0.3, decay=0.9)
    lecam.real.fill_(2.0), lecam.fake.fill_(-1.0)
    on_real, on_fake = torch.tensor([0.0, -3.0]), torch.tensor([1.0, 5.0])
    assert number(lecam(on_real, on_fake)) == pytest.approx(0.3 * ((1 + 0) / 2 + (1 + 0) / 2))
    assert number(lecam.real) == pytest.approx(0.9 * 2 + 0.1 * -1.5)
    assert number(lecam.fake) == pytest.approx(0.9 * -1 + 0.1 * 3)
    lecam.eval()
    before = number(lecam.real)
    lecam(on_real, on_fake)
    assert number(lecam.real) == before
    with pytest.raises(InputError, match=r"decay lie in \[0, 1\), got weight=0.1, decay=1"):
        LeCam(0.1, decay=1)


def test_a_field_with_lecam_is_a_function_of_the_point_and_moves_no_average():
    torch.manual_seed(0)
    models = {"G": nn.Linear(2, 2).double(), "D": nn.Linear(2, 1).double()}
    lecam = LeCam(0.3)

    def losses(models, real):
        on_real, on_fake = models["D"](real), models["D"](models["G"](real + 1))
        return {"G": -on_fake.mean(), "D": on_fake.mean() - on_real.mean() + lecam(on_real, on_fake)}

    field = Game(models, losses).on(images().reshape(10, 2))
    with untouched(lecam, *models.values()):
        jacobian = field.jacobian()
        assert torch.equal(field(), field())
    u = torch.ones(field.space.n, dtype=torch.float64)
    expected = (field(field.point + 1e-6 * u) - field(field.point - 1e-6 * u)) / 2e-6
    torch.testing.assert_close(jacobian @ u, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    "name",
    [
        "fields.gan_losses",
        "fields.gradient_penalties",
        "fields.lecam",
        "fields.augmentation",
        "fields.normalised_direction",
        "dynamics.schedules",
    ],
)
def test_the_examples_in_the_docstrings_hold(name):
    result = doctest.testmod(import_module(f"separatrix.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_noise_penalty_errs_by_curvature_and_by_its_change():
    """``D = x^2 / 2 + x^3`` at 1: slope 4, curvature 7, change of curvature 6."""
    x = torch.ones(400_000, 1, dtype=torch.float64)
    torch.manual_seed(0)
    found = number(noise_penalty(lambda x: (x**2 / 2 + x**3)[:, 0], x, 2.0, std=0.2))
    # Within three standard errors, sqrt(2) 16 / sqrt(400000) each, and the fourth order, 15 std^4.
    assert found == pytest.approx(4**2 + 0.04 * (3 * 7**2 / 4 + 4 * 6) + 0.024, abs=0.12)
