"""Langevin chains, many at once, with or without Metropolis' correction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import ComputationError, InputError

LogDensity = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Chains:
    """Where the chains are, and how they came there.

    Attributes:
        points: ``(b, n)``, the last of each chain.
        accepted: mean share of proposals that were accepted; 1 without correction. About 0.57 is best in many dimensions [roberts1998].
        evaluations: of value and gradient of the density, for each chain.
    """

    points: Tensor
    accepted: float
    evaluations: int


def langevin(
    log_density: LogDensity,
    points: Tensor,
    *,
    step_size: float,
    steps: int,
    seed: int | torch.Generator = 0,
    adjusted: bool = True,
) -> Chains:
    """Chains ``y = x + h grad log p(x) + sqrt(2 h) xi`` from the points given.

    With Metropolis' correction they leave ``p`` as it is [roberts1998]; without, they are off by a bias of order ``h`` and
    may leave for infinity.

    Args:
        log_density: ``(b, n)`` to ``(b,)``, up to a constant, differentiable; it increases where the chain wants to go.
        points: ``(b, n)``, not changed.
        step_size: ``h``.
        steps: of every chain.
        seed: an int or a generator.
        adjusted: with Metropolis' correction.

    Raises:
        InputError: points that are no matrix, a step size that is not positive, a negative number of steps.
        ComputationError: the density is not a number somewhere, or chains without correction left the finite numbers.

    Cost: ``steps + 1`` values and gradients of the density for each chain.

    Example:
        >>> chains = langevin(lambda x: -x.square().sum(1) / 2, torch.zeros(4000, 1), step_size=0.5, steps=20)
        >>> round(float(chains.points.var()), 1)
        1.0
    """
    if points.ndim != 2 or not step_size > 0 or steps < 0:
        raise InputError(
            f"langevin takes points (b, n), a positive step_size and steps >= 0, got shape {tuple(points.shape)}, {step_size}, {steps}."
        )
    generator = stream(seed, points)
    x = points.detach()
    value, gradient = _value_and_gradient(log_density, x)
    accepted = 0.0
    for _ in range(steps):
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        y = x + step_size * gradient + (2 * step_size) ** 0.5 * noise
        there, slope = _value_and_gradient(log_density, y)
        if not adjusted:
            x, value, gradient = y, there, slope
            continue
        back = (x - y - step_size * slope).square().sum(dim=1) / (4 * step_size)
        # A proposal that is not finite has no density, and is refused.
        gain = torch.nan_to_num(there - value + noise.square().sum(dim=1) / 2 - back, nan=-torch.inf)
        taken = torch.rand(len(x), generator=generator, dtype=x.dtype, device=x.device).log() < gain
        x, gradient = (torch.where(taken[:, None], a, b) for a, b in ((y, x), (slope, gradient)))
        value = torch.where(taken, there, value)
        accepted += float(taken.double().mean())
    if not bool(x.isfinite().all()):
        raise ComputationError(
            f"Langevin chains left the finite numbers with step_size={step_size}; take a smaller one, or adjusted=True."
        )
    return Chains(x, accepted / steps if adjusted and steps else 1.0, steps + 1)


def _value_and_gradient(log_density: LogDensity, x: Tensor) -> tuple[Tensor, Tensor]:
    at = x.clone().requires_grad_()
    with torch.enable_grad():
        value = log_density(at)
        if value.shape != (len(x),):
            raise InputError(f"log_density must return ({len(x)},), a number for each point, got {tuple(value.shape)}.")
        (gradient,) = torch.autograd.grad(value.sum(), at)
    return value.detach(), gradient


def stream(seed: int | torch.Generator, points: Tensor) -> torch.Generator:
    """A generator of its own: points that the caller drew with the same number must not come back as noise."""
    if isinstance(seed, torch.Generator):
        return seed
    return torch.Generator(points.device).manual_seed((seed ^ 0x5EED_0F_C4A1) & 0x7FFF_FFFF_FFFF_FFFF)
