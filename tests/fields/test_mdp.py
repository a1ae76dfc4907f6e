"""Tabular processes against sums over episodes, and policy gradients against autograd of the return."""

import pytest
import torch

from separatrix.errors import InputError
from separatrix.fields.policies import TabularMDP, policy_gradient_field, random_mdp, softmax_policy
from separatrix.probes.decompose import local_split


def random_policy(mdp, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(mdp.states, mdp.actions, generator=generator, dtype=torch.float64).softmax(1)


def test_values_and_visits_are_sums_over_time():
    mdp = random_mdp(4, 3, discount=0.8, seed=1)
    policy = random_policy(mdp)
    step = torch.einsum("sa,sat->st", policy, mdp.transitions)
    reward = (policy * mdp.rewards).sum(1)
    here, visits, values, weight = (
        mdp.start,
        torch.zeros(4, dtype=torch.float64),
        torch.zeros(4, dtype=torch.float64),
        1.0,
    )
    reach = torch.eye(4, dtype=torch.float64)
    for _ in range(200):
        visits, values = visits + weight * here, values + weight * reach @ reward
        here, reach, weight = here @ step, reach @ step, weight * 0.8
    assert torch.allclose(mdp.visits(policy), visits, atol=1e-12)
    assert torch.allclose(mdp.values(policy), values, atol=1e-12)
    assert float(mdp.expected_return(policy)) == pytest.approx(float(visits @ reward), abs=1e-12)
    assert torch.allclose((policy * mdp.action_values(policy)).sum(1), values, atol=1e-12)


def test_the_optimal_policy_is_greedy_for_its_own_values():
    mdp = random_mdp(6, 4, seed=2)
    best = mdp.optimal()
    Q = mdp.action_values(best)
    assert torch.equal(Q.argmax(1), best.argmax(1))
    assert float(mdp.expected_return(best)) >= max(float(mdp.expected_return(random_policy(mdp, s))) for s in range(20))


@pytest.mark.parametrize("entropy", [0.0, 0.3])
def test_the_policy_gradient_is_the_gradient_of_the_return(entropy):
    mdp = random_mdp(4, 3, seed=3)
    student = softmax_policy(4, 3)
    theta = torch.randn(12, generator=torch.Generator().manual_seed(4), dtype=torch.float64)

    def value(t):
        logs = student(t)
        return mdp.expected_return(logs.exp(), mdp.rewards - entropy * logs)

    field = policy_gradient_field(mdp, theta, entropy=entropy)
    assert torch.allclose(field(), torch.func.grad(value)(theta), atol=1e-12)
    assert local_split(field.jacobian(), probes=12).potentialness.value == pytest.approx(1, abs=1e-12)


def test_without_its_discount_it_is_the_gradient_of_nothing():
    mdp = random_mdp(4, 3, discount=0.7, ending=0.05, seed=5)
    theta = torch.randn(12, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    dropped = policy_gradient_field(mdp, theta, drop_discount=True)
    assert local_split(dropped.jacobian(), probes=12).potentialness.value < 0.9999
    endless = random_mdp(3, 2, ending=0.0)
    with pytest.raises(InputError, match="visits without discount are infinite"):
        policy_gradient_field(endless, drop_discount=True)


def make(**changes):
    options = {
        "transitions": torch.full((2, 2, 2), 0.5, dtype=torch.float64),
        "rewards": torch.zeros(2, 2, dtype=torch.float64),
        "start": torch.tensor([1.0, 0.0], dtype=torch.float64),
        "discount": 0.9,
    }
    return TabularMDP(**{**options, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"transitions": torch.ones(2, 2, 2, dtype=torch.float64)}, "sums up to 1; they reach 2"),
        ({"rewards": torch.zeros(2, 3, dtype=torch.float64)}, r"rewards \(S, A\)"),
        ({"start": torch.tensor([0.5, 0.4], dtype=torch.float64)}, "add up to 1, got a sum of 0.9"),
        ({"rewards": torch.zeros(2, 2)}, "rewards must be finite float64"),
        ({"discount": 0.0}, r"discount lies in \(0, 1\], got 0.0"),
        ({"discount": 1.0}, "with discount 1 every policy must end"),
    ],
)
def test_processes_that_are_none_are_refused(changes, message):
    make()
    with pytest.raises(InputError, match=message):
        make(**changes)
