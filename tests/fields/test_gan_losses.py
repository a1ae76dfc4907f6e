"""GAN losses against numbers worked out by hand, and against torch's own cross entropy."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from separatrix.errors import InputError
from separatrix.fields import GAN_LOSSES, gan_losses

REAL, FAKE = torch.tensor([2.0, -1.0], dtype=torch.float64), torch.tensor([0.5, -3.0], dtype=torch.float64)


def sp(x: float) -> float:
    return log(1 + exp(x))


# By hand on D(x) = 2, -1 and D(g) = 0.5, -3.
EXPECTED = {
    "saturating": (-(sp(0.5) + sp(-3)) / 2, (sp(-2) + sp(1)) / 2 + (sp(0.5) + sp(-3)) / 2),
    "non-saturating": ((sp(-0.5) + sp(3)) / 2, (sp(-2) + sp(1)) / 2 + (sp(0.5) + sp(-3)) / 2),
    "hinge": (1.25, (0 + 2) / 2 + (1.5 + 0) / 2),
    "wasserstein": (1.25, -1.25 - 0.5),
    "least-squares": ((0.25 + 16) / 4, (1 + 4) / 4 + (0.25 + 9) / 4),
    "relativistic": ((sp(1.5) + sp(2)) / 2, (sp(-1.5) + sp(-2)) / 2),
}


@pytest.mark.parametrize("kind", list(GAN_LOSSES))
def test_losses_have_the_values_worked_out_by_hand(kind):
    found = gan_losses(REAL, FAKE, kind=kind)
    assert (found.generator.item(), found.discriminator.item()) == pytest.approx(EXPECTED[kind], rel=1e-12)
    column = gan_losses(REAL[:, None], FAKE[:, None], kind=kind)
    assert [v.item() for v in column] == pytest.approx(list(EXPECTED[kind]), rel=1e-12)


def test_the_non_saturating_ones_are_cross_entropies():
    found = gan_losses(REAL, FAKE)
    assert found.generator == pytest.approx(bce(FAKE, torch.ones_like(FAKE)))
    assert found.discriminator == pytest.approx(bce(REAL, torch.ones_like(REAL)) + bce(FAKE, torch.zeros_like(FAKE)))


@pytest.mark.parametrize("kind", list(GAN_LOSSES))
def test_each_side_pulls_the_outputs_its_own_way(kind):
    """The discriminator wants real up and fake down near 0, the generator fake up."""
    real, fake = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    losses = gan_losses(real, fake, kind=kind)
    on_real, on_fake = torch.autograd.grad(losses.discriminator, (real, fake), retain_graph=True)
    assert bool((on_real < 0).all())
    assert bool((on_fake >= 0).all())  # the least squares at their target: 0
    assert bool((torch.autograd.grad(losses.generator, fake)[0] < 0).all())


def test_zero_sum_are_the_saturating_and_the_wasserstein_losses():
    fake = FAKE.clone().requires_grad_()
    for kind in GAN_LOSSES:
        losses = gan_losses(REAL, fake, kind=kind)
        theirs, mine = (torch.autograd.grad(loss, fake, retain_graph=True)[0] for loss in losses)
        assert torch.allclose(theirs, -mine) == (kind in {"saturating", "wasserstein"}), kind


def test_a_pairing_by_broadcast_is_refused():
    with pytest.raises(InputError, match=r"one shape; got \(2,\) on real and \(2, 1\) on generated"):
        gan_losses(REAL, FAKE[:, None], kind="relativistic")
    with pytest.raises(InputError, match=r"kind must be one of saturating, .*relativistic, got 'vanilla'"):
        gan_losses(REAL, FAKE, kind="vanilla")
