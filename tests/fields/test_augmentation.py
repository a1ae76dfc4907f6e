"""Differentiable augmentation: what each change does, its strength, the adaptive rule, and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from separatrix.errors import InputError
from separatrix.fields import Augmentation, Game, gan_losses
from separatrix.fields.augmentation import CHANGES, brightness, contrast, cutout, saturation, translation
from untouched import untouched


def number(x) -> float:
    return torch.as_tensor(x).detach().item()


def images(count: int = 200) -> torch.Tensor:
    return torch.randn(count, 3, 16, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_brightness_adds_one_number_to_each_image():
    gap = (brightness(x := images()) - x).flatten(1)
    torch.testing.assert_close(gap, gap[:, :1].expand_as(gap))
    assert -0.5 <= number(gap.min()) < -0.4 < 0.4 < number(gap.max()) <= 0.5


def test_saturation_stretches_the_distance_from_grey():
    x = images()
    changed, grey = saturation(x), x.mean(dim=1, keepdim=True)
    torch.testing.assert_close(changed.mean(dim=1, keepdim=True), grey)
    factor = ((changed - grey) / (x - grey)).flatten(1).median(dim=1).values
    assert 0 <= number(factor.min()) < 0.1 < 1.9 < number(factor.max()) <= 2


def test_contrast_stretches_the_distance_from_the_mean():
    x = images()
    factor = contrast(x).flatten(1).std(dim=1) / x.flatten(1).std(dim=1)
    assert 0.5 <= number(factor.min()) < 0.55 < 1.45 < number(factor.max()) <= 1.5
    torch.testing.assert_close(contrast(x).flatten(1).mean(1), x.flatten(1).mean(1))


def test_translation_moves_by_an_eighth_at_most_and_fills_with_zeros():
    marked = torch.zeros(300, 1, 16, 8, dtype=torch.float64)
    marked[:, :, 8, 4] = 1.0
    places = translation(marked).nonzero()
    assert len(places) == 300
    assert sorted(set((places[:, 2] - 8).tolist())) == [-2, -1, 0, 1, 2]
    assert sorted(set((places[:, 3] - 4).tolist())) == [-1, 0, 1]
    ones = translation(torch.ones(300, 1, 16, 8)).flatten(1).sum(1)
    assert set(ones.tolist()) <= {number((16 - i) * (8 - j)) for i in (0, 1, 2) for j in (0, 1)}


@pytest.mark.parametrize(("height", "width"), [(16, 8), (4, 6), (7, 5), (28, 32)])
def test_cutout_blackens_a_square_of_half_the_side(height: int, width: int):
    gone = cutout(torch.ones(3000, 1, height, width))[:, 0] == 0
    rows, columns = gone.any(2).sum(1), gone.any(1).sum(1)
    assert torch.equal(rows * columns, gone.sum((1, 2)))  # a rectangle
    assert int(rows.max()) == (height + 1) // 2
    assert int(columns.max()) == (width + 1) // 2
    assert int(rows.min()) == (height + 3) // 4  # centred at the border
    assert int(columns.min()) == (width + 3) // 4


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_change_happens_with_its_probability_and_independently(change):
    x = images(2000)
    for p in (0.0, 0.3, 1.0):
        changed = (Augmentation([change], p=p)(x) != x).flatten(1).any(dim=1).double().mean()
        # The shift by nothing, 1 of 15, is no change.
        assert number(changed) == pytest.approx(p * (14 / 15 if change == "translation" else 1), abs=0.04)


def test_gradients_go_through_all_changes():
    x = images(20).requires_grad_()
    torch.manual_seed(1)
    value = Augmentation(p=0.7)(x).square().sum()
    (slope,) = torch.autograd.grad(value, x)
    u = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ends = []
    for sign in (1, -1):
        torch.manual_seed(1)
        ends.append(Augmentation(p=0.7)(x.detach() + sign * 1e-6 * u).square().sum())
    assert number((slope * u).sum()) == pytest.approx(number(ends[0] - ends[1]) / 2e-6, rel=1e-6)


def test_the_rule_finds_the_strength_at_which_the_mean_sign_is_the_target():
    """A discriminator whose mean sign falls from 1 to 0 with the strength: 0.6 at p = 0.4."""
    augment = Augmentation(p=0.0, target=0.6, images=5000)
    for _ in range(200):
        augment.observe(torch.where(torch.rand(100) < 1 - augment.p / 2, 1.0, -1.0)[:, None])
        augment.adapt()
    assert number(augment.p) == pytest.approx(0.4, abs=0.08)


def test_the_rule_moves_by_the_images_seen_and_stays_in_bounds():
    augment = Augmentation(p=0.5, target=0.6, images=100)
    augment.observe(torch.tensor([1.0, 1.0, 1.0, 1.0, -1.0]))  # mean 0.6: on target
    augment.adapt()
    assert number(augment.p) == 0.5
    for _ in range(3):
        augment.observe(torch.ones(10))
    augment.adapt()
    assert number(augment.p) == pytest.approx(0.8)
    augment.adapt()  # nothing seen since
    assert number(augment.p) == pytest.approx(0.8)
    augment.observe(torch.ones(100))
    augment.adapt()
    assert number(augment.p) == 1
    for _ in range(2):
        augment.observe(-torch.ones(100))
        augment.adapt()
    assert number(augment.p) == 0


def test_a_field_with_augmentation_has_a_frozen_draw_and_leaves_the_strength_alone():
    models = {
        "G": nn.Sequential(nn.Linear(3, 48), nn.Unflatten(1, (3, 4, 4))).double(),
        "D": nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.Tanh(), nn.Linear(4, 1)).double(),
    }
    augment = Augmentation(p=0.5)

    def losses(models, real):
        fake = models["G"](torch.randn(len(real), 3, dtype=real.dtype))
        on_real, on_fake = models["D"](augment(real)), models["D"](augment(fake))
        augment.observe(on_real)
        found = gan_losses(on_real, on_fake)
        return {"G": found.generator, "D": found.discriminator}

    field = Game(models, losses).on(torch.randn(10, 3, 4, 4, dtype=torch.float64))
    with untouched(augment, *models.values()):
        jacobian = field.jacobian()
    assert not jacobian.findings
    u = torch.randn(field.space.n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = (field(field.point + 1e-6 * u) - field(field.point - 1e-6 * u)) / 2e-6
    torch.testing.assert_close(jacobian @ u, expected, rtol=1e-5, atol=1e-8)


def test_bad_options_are_named():
    with pytest.raises(InputError, match=r"changes must be among brightness, .*, got \['blur'\]"):
        Augmentation(["blur"])
    with pytest.raises(InputError, match=r"p must lie in \[0, 1\] and images be positive, got p=1.5"):
        Augmentation(p=1.5)
    with pytest.raises(InputError, match=r"images \(b, channels, height, width\), got shape \(4, 3\)"):
        Augmentation()(torch.zeros(4, 3))
