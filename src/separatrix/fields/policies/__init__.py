"""Policies in tabular Markov decision processes, as exact fields: policy gradients and policy distillation."""

from separatrix.fields.policies.cycle import circling_distillation
from separatrix.fields.policies.distillation import (
    DISTILLATIONS,
    Distillation,
    distillation_field,
    distillation_objective,
)
from separatrix.fields.policies.episodes import sample_distillation
from separatrix.fields.policies.gradient import policy_gradient_field
from separatrix.fields.policies.grid_world import grid_world
from separatrix.fields.policies.mdp import TabularMDP, random_mdp, sigmoid_policy, softmax_policy

__all__ = [
    "DISTILLATIONS",
    "Distillation",
    "TabularMDP",
    "circling_distillation",
    "distillation_field",
    "distillation_objective",
    "grid_world",
    "policy_gradient_field",
    "random_mdp",
    "sample_distillation",
    "sigmoid_policy",
    "softmax_policy",
]
