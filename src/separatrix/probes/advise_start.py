"""Where an advice is measured: after a few steps, where second moments are not known yet."""

from __future__ import annotations

from dataclasses import replace

from torch.utils.data import DataLoader

from separatrix.dynamics import Method, Problem, train
from separatrix.dynamics.schemes import States
from separatrix.fields import Field, FunctionField, Game


def moments_unknown(own: Method, field: Field) -> bool:
    """Whether a base has second moments and has not seen a step yet; what never has a prediction is left alone."""
    bases = own.bases_for(field.players)
    return any(
        b.frozen(b.init(field.space.take(field.point, p))) is None for p, b in bases.items() if not hasattr(b, "why")
    )


def has_minibatches(problem: Problem) -> bool:
    """Whether single minibatches can be drawn."""
    return isinstance(problem.subject, Game) and (problem.stream is not None or isinstance(problem.data, DataLoader))


def warmed(
    problem: Problem, own: Method, states: States | None, steps: int, seed: int
) -> tuple[Problem, States, float]:
    """The problem after some steps of its method, its states, and what they cost; modules are moved."""
    run = train(problem, steps, method=own, states=states, seed=seed, points=0, progress=False)
    if isinstance(problem.subject, FunctionField):
        problem = replace(problem, subject=problem.subject.at(run.x))
    return problem, run.states, run.gradients
