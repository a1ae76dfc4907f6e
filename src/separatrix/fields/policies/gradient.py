"""Policy gradients as fields. Field sign: they point where the parameters go, so returns rise."""

from __future__ import annotations

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.field import FunctionField
from separatrix.fields.policies.mdp import Policy, TabularMDP, softmax_policy


def policy_gradient_field(
    mdp: TabularMDP,
    point: Tensor | None = None,
    *,
    policy: Policy | None = None,
    drop_discount: bool = False,
    entropy: float = 0.0,
) -> FunctionField:
    """``sum_s d(s) sum_a grad pi(a|s) (Q(s, a) - entropy log pi(a|s))``, exactly [sutton2000].

    With the discounted visits ``d`` it is the gradient of the expected return (plus ``entropy`` times the discounted
    entropy). Implementations usually drop the discount from the visits and keep it in ``Q`` (``drop_discount``); what they
    follow then is the gradient of nothing [nota2020].

    Args:
        mdp: the process.
        point: where the field stands; the uniform policy where ``None`` (all zeros).
        policy: the flat point to log-probabilities ``(S, A)``; one logit for each state and action where ``None``.
        drop_discount: visits without discount; every policy must end.
        entropy: weight of the entropy, with its own future part.

    Raises:
        InputError: ``drop_discount`` in a process that need not end.
    """
    given = softmax_policy(mdp.states, mdp.actions) if policy is None else policy
    here = torch.zeros(mdp.states * mdp.actions, dtype=torch.float64) if point is None else point
    if drop_discount:
        try:
            TabularMDP(mdp.transitions, mdp.rewards, mdp.start, 1.0)
        except InputError as error:
            raise InputError(
                "visits without discount are infinite where episodes need not end; keep the discount."
            ) from error

    def advance(theta: Tensor, held: Tensor) -> Tensor:
        """Its gradient with respect to ``theta`` at ``held = theta`` is the field."""
        probabilities = given(held).exp()
        visits = mdp.visits(probabilities, 1.0 if drop_discount else None)
        bonus = -entropy * given(held)
        Q = mdp.action_values(probabilities, mdp.rewards.to(bonus) + bonus)
        return (visits[:, None] * given(theta).exp() * Q).sum()

    return FunctionField(
        lambda theta: torch.func.grad(advance)(theta, theta),
        here,
        name="policy gradient" + (", discount dropped" if drop_discount else ""),
    )
