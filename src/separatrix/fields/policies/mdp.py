"""Tabular Markov decision processes: values, visits and returns of any policy, exactly, by linear solves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError

Policy = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class TabularMDP:
    """States, actions and what they lead to. What a row of ``transitions`` lacks to 1 is the probability that the episode ends.

    Attributes:
        transitions: ``P[s, a, s']``, ``(S, A, S)`` float64, rows not above 1.
        rewards: expected reward of an action in a state, ``(S, A)``.
        start: where episodes begin, ``(S,)``, adding up to 1.
        discount: in ``(0, 1]``; 1 only where every policy ends.

    Raises:
        InputError: shapes that do not fit, probabilities that are none, or episodes that never end without a discount.
    """

    transitions: Tensor
    rewards: Tensor
    start: Tensor
    discount: float = 1.0

    def __post_init__(self) -> None:
        P, s = self.transitions, len(self.start)
        if P.ndim != 3 or P.shape[0] != s or P.shape[2] != s or self.rewards.shape != P.shape[:2]:
            raise InputError(
                f"transitions are (S, A, S), rewards (S, A), start (S,); got {tuple(P.shape)}, {tuple(self.rewards.shape)} and "
                f"{tuple(self.start.shape)}."
            )
        for name in ("transitions", "rewards", "start"):
            value = getattr(self, name)
            if value.dtype != torch.float64 or not bool(torch.isfinite(value).all()):
                raise InputError(f"{name} must be finite float64, got {value.dtype}; convert with .double().")
        if bool((P < 0).any()) or float(P.sum(2).max()) > 1 + 1e-12:
            raise InputError(
                f"transitions are probabilities with sums up to 1; they reach {float(P.sum(2).max()):g}, lowest {float(P.min()):g}."
            )
        if bool((self.start < 0).any()) or abs(float(self.start.sum()) - 1) > 1e-9:
            raise InputError(f"start holds probabilities that add up to 1, got a sum of {float(self.start.sum()):g}.")
        if not 0 < self.discount <= 1:
            raise InputError(f"discount lies in (0, 1], got {self.discount}.")
        if self.discount == 1 and not self._ends():
            raise InputError(
                "with discount 1 every policy must end; some states can stay among themselves for ever. Give a discount below 1, "
                "or transitions that leave some probability to the end."
            )

    @property
    def states(self) -> int:
        return len(self.start)

    @property
    def actions(self) -> int:
        return int(self.transitions.shape[1])

    def _ends(self) -> bool:
        """Whether even the actions that avoid the end longest end: the largest survival shrinks."""
        survival = torch.ones(self.states, dtype=torch.float64)
        for _ in range(self.states + 1):
            survival = (self.transitions @ survival).amax(1)
        return float(survival.max()) < 1 - 1e-12

    def visits(self, policy: Tensor, discount: float | None = None) -> Tensor:
        """Expected discounted numbers of visits, ``d = (I - gamma P_pi^T)^-1 start``, ``(S,)``.

        Args:
            policy: ``pi[s, a]``, ``(S, A)``.
            discount: instead of the process's own.
        """
        gamma = self.discount if discount is None else discount
        step = torch.einsum("sa,sat->st", policy, self.transitions.to(policy))
        eye = torch.eye(self.states, dtype=policy.dtype)
        found: Tensor = torch.linalg.solve(eye - gamma * step.T, self.start.to(policy))
        return found

    def values(self, policy: Tensor, rewards: Tensor | None = None) -> Tensor:
        """``V = (I - gamma P_pi)^-1 r_pi``, ``(S,)``, for the process's rewards or others ``(S, A)``."""
        given = self.rewards if rewards is None else rewards
        step = torch.einsum("sa,sat->st", policy, self.transitions.to(policy))
        eye = torch.eye(self.states, dtype=policy.dtype)
        found: Tensor = torch.linalg.solve(eye - self.discount * step, (policy * given.to(policy)).sum(1))
        return found

    def action_values(self, policy: Tensor, rewards: Tensor | None = None) -> Tensor:
        """``Q[s, a] = r[s, a] + gamma P[s, a] V``, ``(S, A)``."""
        given = (self.rewards if rewards is None else rewards).to(policy)
        return given + self.discount * self.transitions.to(policy) @ self.values(policy, rewards)

    def expected_return(self, policy: Tensor, rewards: Tensor | None = None) -> Tensor:
        """``start . V``, a scalar."""
        return self.start.to(policy) @ self.values(policy, rewards)

    def ahead(self, of_state: Tensor) -> Tensor:
        """``gamma E[f(s') | s, a]`` of a function of states, ``(S, A)``; 0 after the end."""
        return self.discount * self.transitions.to(of_state) @ of_state

    def optimal(self, *, tol: float = 1e-12, sweeps: int = 100_000) -> Tensor:
        """An optimal deterministic policy, ``(S, A)`` of zeros and ones, by value iteration; ties go to the first action."""
        V = torch.zeros(self.states, dtype=torch.float64)
        for _ in range(sweeps):
            Q = self.rewards + self.ahead(V)
            better = Q.amax(1)
            if float((better - V).abs().max()) <= tol * max(1.0, float(better.abs().max())):
                break
            V = better
        # The first action within rounding of the best, so that rounding decides nothing.
        near = Q.amax(1, keepdim=True) - Q <= 1e-9
        return torch.nn.functional.one_hot(near.double().argmax(1), self.actions).double()


def softmax_policy(states: int, actions: int) -> Policy:
    """One logit for each state and action: the flat point ``(S A,)`` to log-probabilities ``(S, A)``."""
    return lambda theta: theta.reshape(states, actions).log_softmax(1)


def sigmoid_policy(states: int) -> Policy:
    """Two actions, one parameter for each state: the probability of the second is ``sigmoid(theta_s)``."""
    return lambda theta: torch.stack([torch.zeros_like(theta), theta], dim=1).reshape(states, 2).log_softmax(1)


def random_mdp(
    states: int = 5, actions: int = 3, *, discount: float = 0.9, ending: float = 0.1, seed: int = 0
) -> TabularMDP:
    """Random transitions (uniform on the simplex), standard normal rewards, a uniform start.

    Args:
        states, actions: sizes.
        discount: of the process.
        ending: probability that an episode ends after each action.
        seed: of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = -torch.rand(states, actions, states, generator=generator, dtype=torch.float64).log()
    transitions = (1 - ending) * weights / weights.sum(2, keepdim=True)
    rewards = torch.randn(states, actions, generator=generator, dtype=torch.float64)
    return TabularMDP(transitions, rewards, torch.full((states,), 1 / states, dtype=torch.float64), discount)
