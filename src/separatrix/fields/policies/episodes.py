"""Sampled updates of policy distillation: what a learner that sees episodes follows, and how noisy it is.

One episode's update is, with the notation of :mod:`separatrix.fields.policies.distillation`, in field sign

    v = sum_t gamma^t ( grad log pi_theta(a_t | s_t) sum_(i >= t) gamma^(i - t) r_i  -  grad l(theta, s_t) ),

whose mean over episodes of the control policy is the exact field. Where ``r_i`` speaks of the next state, the state that came is
taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.policies.distillation import DISTILLATIONS, _teacher_logs
from separatrix.fields.policies.mdp import TabularMDP


def sample_distillation(
    mdp: TabularMDP,
    teacher: Tensor,
    variant: str,
    theta: Tensor,
    *,
    episodes: int,
    horizon: int,
    seed: int | torch.Generator = 0,
) -> Tensor:
    """Each episode's update of a softmax student, ``(episodes, S A)``; its mean estimates the exact field.

    Args:
        mdp: the process.
        teacher: its action probabilities, ``(S, A)``, all positive.
        variant: a key of ``DISTILLATIONS``.
        theta: one logit for each state and action, ``(S A,)``.
        episodes: how many, drawn side by side.
        horizon: episodes are cut off there, which leaves out a share of at most ``discount^horizon``.
        seed: of the draw.

    Raises:
        InputError: an unknown variant, or a teacher that is no strictly positive policy of this process.

    Cost: ``horizon`` steps on all episodes at once.

    References: [czarnecki2019, eq. 1].
    """
    if variant not in DISTILLATIONS:
        raise InputError(f"variant must be one of {', '.join(DISTILLATIONS)}, got {variant!r}.")
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    kind, logs = DISTILLATIONS[variant], _teacher_logs(mdp, teacher)
    S, A = mdp.states, mdp.actions
    student = theta.detach().reshape(S, A).log_softmax(1).requires_grad_()
    probabilities = student.detach().exp()
    loss, slope = torch.zeros(S, dtype=torch.float64), torch.zeros(S, A, dtype=torch.float64)
    if kind.loss is not None:
        loss = kind.loss(mdp, logs, student)
        (on_logs,) = torch.autograd.grad(loss.sum(), student)
        slope = on_logs - probabilities * on_logs.sum(1, keepdim=True)  # through log_softmax, to the logits
        loss = loss.detach()
    ahead = variant in ("n-distill", "expected-entropy")  # r_i is minus the loss of the next state
    reward = kind.reward(mdp, logs, student.detach()) if kind.reward is not None and not ahead else torch.zeros(S, A)
    path = _roll_out(mdp, teacher if kind.control == "teacher" else probabilities, episodes, horizon, generator)
    rows = torch.arange(episodes)
    update, to_go = torch.zeros(episodes, S, A, dtype=torch.float64), torch.zeros(episodes, dtype=torch.float64)
    for t, (state, action, onward, alive) in reversed(list(enumerate(path))):
        coming = torch.where(onward < S, loss[onward.clamp(max=S - 1)], 0.0) if ahead else 0.0
        to_go = alive * (reward[state, action] - mdp.discount * coming + mdp.discount * to_go)
        score = torch.nn.functional.one_hot(action, A) - probabilities[state]
        step = score * to_go[:, None] - slope[state]
        update[rows, state] += mdp.discount**t * alive[:, None] * step
    return update.reshape(episodes, S * A)


def _roll_out(
    mdp: TabularMDP, policy: Tensor, episodes: int, horizon: int, generator: torch.Generator
) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """For each time: states, actions, next states (``S`` at the end), and whether the episode still runs."""
    ends = 1 - mdp.transitions.sum(2, keepdim=True)
    onwards = torch.cat([mdp.transitions, ends.clamp(min=0)], dim=2)
    state = torch.multinomial(mdp.start, episodes, replacement=True, generator=generator)
    alive, path = torch.ones(episodes, dtype=torch.bool), []
    for _ in range(horizon):
        action = torch.multinomial(policy[state], 1, generator=generator)[:, 0]
        onward = torch.multinomial(onwards[state, action], 1, generator=generator)[:, 0]
        path.append((state, action, onward, alive))
        alive, state = alive & (onward < mdp.states), onward.clamp(max=mdp.states - 1)
        if not bool(alive.any()):
            break
    return path
