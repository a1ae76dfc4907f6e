"""The inner products that decide whether the chosen answer falls, against closed forms and real steps."""

import pytest
import torch
from torch import nn

from separatrix.errors import InputError
from separatrix.fields.preferences import dpo, ipo, orpo
from separatrix.probes import preference_gradients
from untouched import untouched


class Policy(nn.Module):
    """A softmax policy over answers with features: ``log pi(y) = <w, f_y> - log sum exp``."""

    def __init__(self, features, seed=0):
        super().__init__()
        self.register_buffer("features", features)
        generator = torch.Generator().manual_seed(seed)
        self.w = nn.Parameter(0.1 * torch.randn(features.shape[1], generator=generator, dtype=torch.float64))

    def forward(self):
        return (self.features @ self.w).log_softmax(0)


def log_probabilities(model, batch):
    logs = model()
    return logs[batch[0]], logs[batch[1]]


def policy(likeness, answers=6, size=12):
    """Answers 0 and 1 alike, as are 2 and 3; the others apart."""
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(answers, size, generator=generator, dtype=torch.float64)
    for a, b in ((0, 1), (2, 3)):
        features[b] = likeness * features[a] + (1 - likeness) * features[b]
    return Policy(features)


PAIRS = (torch.tensor([0, 2]), torch.tensor([1, 3]))


def test_the_kernel_is_that_of_the_scores():
    model = policy(0.5)
    found = preference_gradients(model, log_probabilities, PAIRS)
    p = model().exp().detach()
    centred = model.features - p @ model.features
    for i, (c, r) in enumerate(((0, 1), (2, 3))):
        wanted = centred[[c, r]] @ centred[[c, r]].T
        assert torch.allclose(found.kernel[i], wanted, atol=1e-12)
    assert torch.allclose(found.slopes, torch.tensor([[-0.05, 0.05]] * 2, dtype=torch.float64))
    assert torch.equal(found.falls, found.overlap > 1)
    assert found.gradients == 2 * 2 + 3


@pytest.mark.parametrize("loss", [dpo(0.5), ipo(), orpo()])
@pytest.mark.parametrize("likeness", [0.0, 0.9])
def test_rates_are_those_of_a_small_step_of_descent(loss, likeness):
    model = policy(likeness)
    reference = tuple(t.detach() - 0.3 for t in log_probabilities(model, PAIRS))
    found = preference_gradients(model, log_probabilities, PAIRS, loss=loss, reference=reference)
    c, r = log_probabilities(model, PAIRS)
    shift = reference if loss.reference else (0.0, 0.0)
    (slope,) = torch.autograd.grad(loss(c - shift[0], r - shift[1]).mean(), [model.w])
    step, before = 1e-6, [float(t.detach().mean()) for t in (c, r)]
    with torch.no_grad():
        model.w -= step * slope
    after = [float(t.detach().mean()) for t in log_probabilities(model, PAIRS)]
    assert found.chosen_rate == pytest.approx((after[0] - before[0]) / step, rel=1e-4)
    assert found.rejected_rate == pytest.approx((after[1] - before[1]) / step, rel=1e-4)


def test_alike_answers_make_the_chosen_fall_and_the_stated_weight_mends_it():
    """Push up answer 0, down answer 1, which is the same only longer."""
    features = torch.tensor(
        [[1.0, 0.2, 0.0], [3.0, 0.1, 0.0], [-2.0, 0.0, 1.0], [-2.0, 0.0, -1.0]], dtype=torch.float64
    )
    model, one = Policy(features), (torch.tensor([0]), torch.tensor([1]))
    found = preference_gradients(model, log_probabilities, one)
    assert bool(found.falls[0])
    assert found.chosen_rate < 0
    assert found.likelihood_weight > 0
    assert "would make it rise" in found.sentence

    def rate(weight):
        c, r = log_probabilities(model, one)
        objective = dpo()(c - c.detach(), r - r.detach()).mean() - weight * c.mean()
        (slope,) = torch.autograd.grad(objective, [model.w], retain_graph=True)
        (up,) = torch.autograd.grad(c.mean(), [model.w])
        return -float(slope @ up)

    assert rate(0.99 * found.likelihood_weight) < 0 < rate(1.01 * found.likelihood_weight)


def test_a_tabular_policy_always_raises_the_chosen():
    """With one parameter an answer, ``d log pi_c/dt`` is proportional to ``1 - pi_c + pi_r``."""
    model = Policy(torch.eye(5, dtype=torch.float64))
    found = preference_gradients(model, log_probabilities, PAIRS)
    assert not bool(found.falls.any())
    p = model().exp().detach()
    assert float(found.kernel[0, 0, 0] - found.kernel[0, 0, 1]) == pytest.approx(float(1 - p[0] + p[1]))


def test_the_preconditioner_is_the_inner_product():
    model = policy(0.5)
    weight = torch.linspace(0.1, 2, 12, dtype=torch.float64)
    found = preference_gradients(model, log_probabilities, PAIRS, preconditioner=weight)
    centred = model.features - model().exp().detach() @ model.features
    assert torch.allclose(found.kernel[0], (centred[:2] * weight) @ centred[:2].T, atol=1e-12)
    with pytest.raises(InputError, match="preconditioner is positive"):
        preference_gradients(model, log_probabilities, PAIRS, preconditioner=-weight)


def test_nothing_of_the_model_changes():
    model = policy(0.5)
    model.w.grad = torch.ones_like(model.w)
    with untouched(model, *PAIRS):
        preference_gradients(model, log_probabilities, PAIRS)


def test_functions_of_another_form_are_refused():
    model = policy(0.5)
    with pytest.raises(InputError, match="must return two vectors"):
        preference_gradients(model, lambda m, b: m()[b[0]], PAIRS)
    with pytest.raises(InputError, match="the reference holds two vectors"):
        preference_gradients(model, log_probabilities, PAIRS, reference=(torch.zeros(3), torch.zeros(3)))
