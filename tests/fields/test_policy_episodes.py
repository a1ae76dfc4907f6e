"""Sampled updates of distillation against the exact fields."""

from __future__ import annotations

import pytest
import torch

from separatrix.errors import InputError
from separatrix.fields.policies import (
    DISTILLATIONS,
    TabularMDP,
    distillation_field,
    random_mdp,
    sample_distillation,
)


def case(seed=0, actions=3):
    mdp = random_mdp(4, actions, discount=0.8, ending=0.2, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    teacher = torch.randn(4, actions, generator=generator, dtype=torch.float64).softmax(1)
    theta = torch.randn(4 * actions, generator=generator, dtype=torch.float64)
    return mdp, teacher, theta


@pytest.mark.parametrize("variant", list(DISTILLATIONS))
def test_the_mean_update_is_the_exact_field(variant):
    mdp, teacher, theta = case()
    found = sample_distillation(mdp, teacher, variant, theta, episodes=6000, horizon=60, seed=1)
    exact = distillation_field(mdp, teacher, variant, theta)()
    stderr = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - exact).abs() <= 4.5 * stderr + 1e-9).all()
    assert float(exact.norm()) > 4 * float(stderr.norm()) or variant == "teacher-value"


def test_with_one_step_the_expected_form_has_no_noise_but_that_of_the_start():
    # a bandit: one state, every action ends the episode
    mdp = TabularMDP(torch.zeros(1, 4, 1, dtype=torch.float64), torch.zeros(1, 4).double(), torch.ones(1).double(), 0.9)
    teacher = torch.tensor([[0.1, 0.2, 0.3, 0.4]], dtype=torch.float64)
    theta = torch.zeros(4, dtype=torch.float64)
    noisy, calm = (
        sample_distillation(mdp, teacher, name, theta, episodes=500, horizon=5)
        for name in ("entropy", "expected-entropy")
    )
    assert float(calm.std(0).max()) < 1e-12
    assert float(noisy.std(0).min()) > 0.1
    torch.testing.assert_close(calm[0], distillation_field(mdp, teacher, "entropy", theta)())


def test_the_same_seed_gives_the_same_episodes_and_nothing_of_the_callers_moves():
    mdp, teacher, theta = case()
    before = torch.get_rng_state()
    one, two = (sample_distillation(mdp, teacher, "on-policy", theta, episodes=9, horizon=9, seed=3) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(torch.get_rng_state(), before)
    assert not theta.requires_grad


def test_an_unknown_variant_is_refused():
    mdp, teacher, theta = case()
    with pytest.raises(InputError, match="variant must be one of teacher, on-policy"):
        sample_distillation(mdp, teacher, "cloning", theta, episodes=1, horizon=1)
