"""Policy distillation: the variants of one update as exact fields, and which of them are gradients.

A student ``pi_theta`` learns from a teacher ``pi``. All variants descend [czarnecki2019, eq. 1 and table 1]

    g(theta) = E_q [ sum_t -grad log pi_theta(a_t | s_t) R_t + grad l(theta, s_t) ],   R_t = sum_(i >= t) r_i,

over episodes of the control policy ``q``; visits, episode ends and discount are exact here, by linear solves. *Field sign*:
``v = -g``, where the student goes; the paper writes ``g``, whose curl has the other sign. With the cross-entropy
``H(p, q) = -sum p log q``:

| variant | q | l | r_i | a gradient? |
| --- | --- | --- | --- | --- |
| ``teacher`` | teacher | ``H(pi, pi_theta)`` | 0 | yes |
| ``on-policy`` | student | ``H(pi, pi_theta)`` | 0 | **no** |
| ``entropy`` | student | 0 | ``log pi(a_i, s_i)`` | yes |
| ``n-distill`` | student | ``H(pi, pi_theta)`` | ``-H(pi, pi_theta)`` at ``s_(i+1)`` | yes |
| ``expected-entropy`` | student | ``H(pi_theta, pi)`` | ``-H(pi_theta, pi)`` at ``s_(i+1)`` | yes |
| ``teacher-value`` | student | 0 | ``r + gamma V_pi(s_(i+1)) - V_pi(s_i)`` | yes |

On-policy distillation differentiates the loss but not the visits that weigh it, so it is no gradient unless ``grad l`` and
``grad pi_theta`` are parallel [czarnecki2019, theorem 1]; the reward of ``n-distill`` is the missing part [czarnecki2019, theorem 2]. ``entropy`` and
``expected-entropy`` have the same expected field; as sampled updates the latter has less variance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.field import FunctionField
from separatrix.fields.policies.mdp import Policy, TabularMDP, softmax_policy

# Of the process, the teacher's and the student's log-probabilities (S, A).
OfStates = Callable[[TabularMDP, Tensor, Tensor], Tensor]


def _cross_entropy(mdp: TabularMDP, teacher: Tensor, student: Tensor) -> Tensor:
    """``H(pi, pi_theta)`` in each state."""
    return -(teacher.exp() * student).sum(1)


def _reverse_cross_entropy(mdp: TabularMDP, teacher: Tensor, student: Tensor) -> Tensor:
    """``H(pi_theta, pi)`` in each state."""
    return -(student.exp() * teacher).sum(1)


def _teacher_value_reward(mdp: TabularMDP, teacher: Tensor, student: Tensor) -> Tensor:
    values = mdp.values(teacher.exp())
    return mdp.rewards.to(values) + mdp.ahead(values) - values[:, None]


@dataclass(frozen=True)
class Distillation:
    """One row of the table.

    Attributes:
        control: who acts.
        loss: ``l`` in each state, ``(S,)``; ``None`` for 0.
        reward: expected ``r_i`` of each state and action, ``(S, A)``, without gradient; ``None`` for 0.
        gradient: whether the expected update is the gradient of some function for every process.
    """

    control: Literal["teacher", "student"]
    loss: OfStates | None
    reward: OfStates | None
    gradient: bool


DISTILLATIONS: Mapping[str, Distillation] = {
    "teacher": Distillation("teacher", _cross_entropy, None, True),
    "on-policy": Distillation("student", _cross_entropy, None, False),
    "entropy": Distillation("student", None, lambda mdp, teacher, student: teacher, True),
    "n-distill": Distillation("student", _cross_entropy, lambda m, p, q: -m.ahead(_cross_entropy(m, p, q)), True),
    "expected-entropy": Distillation(
        "student", _reverse_cross_entropy, lambda m, p, q: -m.ahead(_reverse_cross_entropy(m, p, q)), True
    ),
    "teacher-value": Distillation("student", None, _teacher_value_reward, True),
}


def distillation_field(
    mdp: TabularMDP,
    teacher: Tensor,
    variant: str,
    point: Tensor | None = None,
    *,
    policy: Policy | None = None,
    reward: float = 0.0,
) -> FunctionField:
    """``v = -g`` of one variant, exactly, and differentiable: its Jacobian counts the visits' dependence on the student.

    Args:
        mdp: the process.
        teacher: its action probabilities, ``(S, A)``, all positive: a teacher that excludes actions has infinite ``H``.
        variant: a key of ``DISTILLATIONS``.
        point: where the field stands; all zeros where ``None``.
        policy: the student, the flat point to log-probabilities ``(S, A)``; softmax with one logit for each state and action
            where ``None``. States may share parameters.
        reward: weight of the environment's own reward, added to ``r_i``.

    Raises:
        InputError: an unknown variant, or a teacher that is no strictly positive policy of this process.

    Cost: an evaluation solves two systems of ``S`` equations.
    """
    if variant not in DISTILLATIONS:
        raise InputError(f"variant must be one of {', '.join(DISTILLATIONS)}, got {variant!r}.")
    logs = _teacher_logs(mdp, teacher)
    chosen = DISTILLATIONS[variant]
    student = softmax_policy(mdp.states, mdp.actions) if policy is None else policy
    here = torch.zeros(mdp.states * mdp.actions, dtype=torch.float64) if point is None else point

    def descended(theta: Tensor, held: Tensor) -> Tensor:
        """Its gradient with respect to ``theta`` at ``held = theta`` is ``g``: what is held has no gradient in the update."""
        now, fixed = student(theta), student(held)
        teaches = logs.to(now)
        acting = teaches.exp() if chosen.control == "teacher" else fixed.exp()
        visits = mdp.visits(acting)
        total = torch.zeros((), dtype=now.dtype)
        if chosen.loss is not None:
            total = total + visits @ chosen.loss(mdp, teaches, now)
        if chosen.reward is not None or reward:
            rewards = reward * mdp.rewards.to(now)
            if chosen.reward is not None:
                rewards = rewards + chosen.reward(mdp, teaches, fixed)
            total = (
                total - (mdp.visits(fixed.exp())[:, None] * now.exp() * mdp.action_values(fixed.exp(), rewards)).sum()
            )
        return total

    return FunctionField(lambda theta: -torch.func.grad(descended)(theta, theta), here, name=f"{variant} distillation")


def distillation_objective(
    mdp: TabularMDP, teacher: Tensor, variant: str, *, policy: Policy | None = None
) -> Callable[[Tensor], Tensor]:
    """What a variant descends: a function of the flat point, for the rows that are gradients.

    Raises:
        InputError: the variant is no gradient, or unknown.
    """
    if variant not in DISTILLATIONS or not DISTILLATIONS[variant].gradient:
        known = [name for name, row in DISTILLATIONS.items() if row.gradient]
        raise InputError(f"only these variants descend a function: {', '.join(known)}; got {variant!r}.")
    logs = _teacher_logs(mdp, teacher)
    student = softmax_policy(mdp.states, mdp.actions) if policy is None else policy

    def objective(theta: Tensor) -> Tensor:
        now = student(theta)
        teaches = logs.to(now)
        if variant == "teacher":
            return mdp.visits(teaches.exp()) @ _cross_entropy(mdp, teaches, now)
        if variant == "n-distill":
            return mdp.visits(now.exp()) @ _cross_entropy(mdp, teaches, now)
        if variant == "teacher-value":
            return -mdp.expected_return(now.exp(), _teacher_value_reward(mdp, teaches, now))
        return mdp.visits(now.exp()) @ _reverse_cross_entropy(mdp, teaches, now)

    return objective


def _teacher_logs(mdp: TabularMDP, teacher: Tensor) -> Tensor:
    if teacher.shape != (mdp.states, mdp.actions):
        raise InputError(
            f"the teacher's probabilities have shape ({mdp.states}, {mdp.actions}), got {tuple(teacher.shape)}."
        )
    if not bool((teacher > 0).all()) or float((teacher.sum(1) - 1).abs().max()) > 1e-9:
        raise InputError(
            "the teacher gives every action a positive probability, adding up to 1; mix in a little of the uniform one."
        )
    return teacher.detach().double().log()
