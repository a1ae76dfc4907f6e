"""The intrinsic dimension of data around a point, read from the flow of a diffusion model [horvat2024].

The probability-flow equation ``dx/dsigma = -sigma s(x, sigma)`` carries points from large to small noise. Its Jacobian
``Y = d x(sigma_min) / d x(sigma_max)`` keeps directions along the data and shrinks those across in proportion to the noise, so
its singular values part in two groups; the number of large ones is the dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError, NonFiniteError

# The groups of singular values must be this far apart.
GAP = 3.0


@dataclass(frozen=True)
class FlowDimension:
    """The dimension at one point.

    Attributes:
        value: number of directions that survive; ``None`` where no gap is wide enough to tell.
        gap: the ratio of the smallest surviving to the largest vanishing singular value.
        singular_values: of the flow's Jacobian, falling, ``(n,)``.
        end: where the flow led, ``(n,)``.
        error: largest relative change of a singular value when the steps are doubled.
        status: one sentence.
    """

    value: int | None
    gap: float
    singular_values: Tensor
    end: Tensor
    error: float
    status: str


def flow_dimension(
    score: Callable[[Tensor, float], Tensor],
    start: Tensor,
    *,
    sigma_max: float,
    sigma_min: float,
    steps: int = 100,
) -> FlowDimension:
    """The singular values of the flow from large to small noise, and the dimension they show.

    Args:
        score: ``(x, sigma)`` to the score at a point ``(n,)``, differentiable by torch.
        start: a point at ``sigma_max``, ``(n,)``.
        sigma_max: noise to start from, larger than the data.
        sigma_min: noise to end at, smaller than the structure that is to count as a dimension.
        steps: of fourth-order Runge-Kutta in ``log sigma``; half as many once more for the error.

    Raises:
        InputError: noise levels that do not fall, or too few steps.
        NonFiniteError: the flow diverged.

    Cost: ``6 n steps`` evaluations with gradients.
    """
    if not 0 < sigma_min < sigma_max or steps < 4:
        raise InputError(
            f"noise falls from sigma_max to sigma_min > 0 in at least 4 steps, got {sigma_max}, {sigma_min}, {steps}."
        )
    fine, end = _flow(score, start, sigma_max, sigma_min, steps)
    coarse, _ = _flow(score, start, sigma_max, sigma_min, max(steps // 2, 2))
    values, before = torch.linalg.svdvals(fine), torch.linalg.svdvals(coarse)
    error = float(((values - before).abs() / values.clamp(min=1e-300)).max())
    ratios = values[:-1] / values[1:].clamp(min=1e-300)
    if len(ratios) == 0 or float(ratios.max()) < GAP:
        widest = float(ratios.max()) if len(ratios) else math.nan
        status = f"The singular values show no gap (largest ratio {widest:.2g}): all directions survive alike, or the noise is too large."
        return FlowDimension(None, widest, values, end, error, status)
    place = int(ratios.argmax())
    gap = float(ratios[place])
    status = f"Dimension {place + 1}: the next singular value is {gap:.3g} times smaller."
    return FlowDimension(place + 1, gap, values, end, error, status)


def _flow(
    score: Callable[[Tensor, float], Tensor], start: Tensor, high: float, low: float, steps: int
) -> tuple[Tensor, Tensor]:
    """The Jacobian of the flow and its end, both from one Runge-Kutta integration."""
    x = start.detach().double()
    Y = torch.eye(len(x), dtype=torch.float64)
    h = math.log(low / high) / steps

    def rate(x: Tensor, Y: Tensor, u: float) -> tuple[Tensor, Tensor]:
        sigma = high * math.exp(u)

        def velocity(p: Tensor) -> Tensor:
            return -(sigma**2) * score(p, sigma)

        J = torch.autograd.functional.jacobian(velocity, x)  # type: ignore[no-untyped-call]
        return velocity(x).detach(), J @ Y

    for k in range(steps):
        u = k * h
        a, A = rate(x, Y, u)
        b, B = rate(x + h / 2 * a, Y + h / 2 * A, u + h / 2)
        c, C = rate(x + h / 2 * b, Y + h / 2 * B, u + h / 2)
        d, D = rate(x + h * c, Y + h * C, u + h)
        x, Y = x + h / 6 * (a + 2 * b + 2 * c + d), Y + h / 6 * (A + 2 * B + 2 * C + D)
    if not bool(torch.isfinite(Y).all() and torch.isfinite(x).all()):
        raise NonFiniteError("the flow of this score diverged on the way; take more steps or a smaller sigma_max.")
    return Y, x
