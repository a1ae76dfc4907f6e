"""Annealed importance sampling: chains that follow the base on its way to the target [neal2001]."""

from __future__ import annotations

import torch
from torch import Tensor

from separatrix.dynamics.sample.langevin import LogDensity, langevin, stream
from separatrix.errors import InputError


def annealed(
    log_base: LogDensity,
    log_target: LogDensity,
    points: Tensor,
    *,
    rungs: int,
    step_size: float,
    seed: int | torch.Generator = 0,
) -> Tensor:
    """``(b,)``: logarithms of weights whose mean estimates the target's normalising constant without bias.

    Between ``log_base`` and ``log_target`` stand ``rungs`` equal steps of a straight line; on each but the last, one corrected Langevin step.

    Args:
        log_base: ``(b, n)`` to ``(b,)``, normalised.
        log_target: the same, up to the constant that is wanted.
        points: ``(b, n)``, independent samples of the base.
        rungs: one is plain importance sampling.
        step_size: of the Langevin steps.
        seed: an int or a generator.

    Raises:
        InputError: less than one rung; as :func:`~separatrix.dynamics.sample.langevin`.

    Cost: ``2 rungs - 1`` values and ``rungs`` gradients of each density for each point.

    Example:
        >>> from math import log, pi
        >>> from separatrix.dynamics.sample import normalising_constant
        >>> x = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0))
        >>> logs = annealed(lambda x: (-x**2 / 2 - log(2 * pi) / 2).sum(1), lambda x: (-2 * x**2).sum(1), x, rungs=20, step_size=0.2)
        >>> abs(normalising_constant(logs).log_value - log(pi / 2) / 2) < 0.05
        True
    """
    if rungs < 1:
        raise InputError(f"annealing needs at least one rung, got {rungs}.")
    generator = stream(seed, points)
    x, logs = points.detach(), points.new_zeros(len(points))
    for rung in range(1, rungs + 1):
        with torch.no_grad():
            logs = logs + (log_target(x) - log_base(x)) / rungs
        if rung < rungs:
            share = rung / rungs

            def between(at: Tensor, share: float = share) -> Tensor:
                return (1 - share) * log_base(at) + share * log_target(at)

            x = langevin(between, x, step_size=step_size, steps=1, seed=generator).points
    return logs
