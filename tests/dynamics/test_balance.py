"""The adaptive weight equalises gradients and is a constant of the measured field; two time scales are what they say."""

from __future__ import annotations

import doctest

import pytest
import torch
from torch import nn

from separatrix.dynamics import Adam, Alternating, balance
from separatrix.dynamics.balance import AdversarialWeight, two_time_scale
from separatrix.errors import InputError
from separatrix.fields import Game, gan_losses
from untouched import untouched

X = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def parts():
    torch.manual_seed(0)
    return {
        "T": nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double(),
        "D": nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double(),
    }


def losses_with(weight):
    def losses(models, real):
        remade = models["T"](real)
        rec = (real - remade).square().mean()
        found = gan_losses(models["D"](real), models["D"](remade), kind="hinge")
        factor = weight(rec, found.generator, models["T"][-1].weight)
        return {"T": {"rec": rec, "adv": factor * found.generator}, "D": found.discriminator}

    return losses


def test_the_two_terms_get_gradients_of_one_length_at_the_layer():
    models, weight = parts(), AdversarialWeight(factor=0.7, decay=0.0)
    losses = losses_with(weight)
    losses(models, X)  # measures
    terms = losses(models, X)["T"]
    layer = models["T"][-1].weight
    rec, adv = (torch.autograd.grad(terms[t], layer, retain_graph=True)[0].norm().item() for t in ("rec", "adv"))
    assert adv == pytest.approx(0.7 * rec, rel=1e-4)


def test_it_moves_by_its_decay_and_not_in_eval_mode():
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    weight = AdversarialWeight(decay=0.9, begin=0.0)
    for _ in range(3):
        weight((w * w).sum(), w.sum(), w)
    assert float(weight.weight) == pytest.approx((1 - 0.9**3) * 10**0.5, rel=1e-5)
    weight.eval()
    before = float(weight.weight)
    assert float(weight((w * w).sum(), w.sum(), w)) == before == float(weight.weight)


def test_a_flat_discriminator_meets_the_bound():
    w = torch.ones(2, requires_grad=True)
    weight = AdversarialWeight(decay=0.0, most=50.0)
    weight((w * w).sum(), 0 * w.sum(), w)
    assert float(weight.weight) == 50


def test_the_measured_field_has_a_constant_weight_and_an_exact_jacobian():
    models, weight = parts(), AdversarialWeight()
    losses_with(weight)(models, X)
    field = Game(models, losses_with(weight)).on(X)
    with untouched(weight, *models.values()):
        jacobian = field.jacobian()
        assert torch.equal(field(), field())
    assert not jacobian.findings
    u = torch.randn(field.space.n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = (field(field.point + 1e-6 * u) - field(field.point - 1e-6 * u)) / 2e-6
    torch.testing.assert_close(jacobian @ u, expected, rtol=1e-5, atol=1e-8)


def test_two_time_scales_have_their_rates_and_order():
    method = two_time_scale(1e-4, ratio=4.0, repeats=2)
    assert method.bases == {"D": Adam(4e-4, (0.0, 0.99)), "G": Adam(1e-4, (0.0, 0.99))}
    assert method.scheme == Alternating(("D", "G"), {"D": 2})
    assert two_time_scale(1e-4, generators=("E", "T")).scheme.order == ("D", "E", "T")


def test_bad_options_are_named():
    with pytest.raises(InputError, match=r"decay in \[0, 1\), got factor=0, .*, decay=0.9"):
        AdversarialWeight(factor=0)
    with pytest.raises(InputError, match="does not depend on the parameter"):
        AdversarialWeight()((w := torch.ones(1, requires_grad=True)).sum(), torch.ones(1).sum(), w)
    with pytest.raises(InputError, match=r"must be positive, got lr=0\.1, ratio=0"):
        two_time_scale(0.1, ratio=0)


def test_the_example_in_the_docstring_holds():
    result = doctest.testmod(balance)
    assert result.attempted > 0
    assert result.failed == 0
