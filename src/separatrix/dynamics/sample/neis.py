"""Importance sampling along the lines of a flow: non-equilibrium importance sampling (NEIS).

A sample ``x`` of the base ``rho_0`` is moved both ways along ``dX/dt = b(X)``; with ``J_t = exp int_0^t div b(X_s) ds`` and
``F_t = rho(X_t(x)) J_t(x)``, the mean over the base of

    A(x) = sum_{t in T} F^1_t / sum_{s in T} F^0_{t - s},     T = t_-, ..., t_+ in equal steps,

is the target's constant for every ``b`` [cao2022, sec. 2; thin2021]: each point of a line is weighted by the target over the density at which
all lines together visit it. Without a flow it is plain importance sampling. In the limit of fine steps and long times ``A`` is constant,
that is free of variance, for example where base and target are functions of ``|x|`` and ``b(x) = x``; so there is a flow to be
learned, by descent of ``log mean A^2``.

Sums in place of integrals keep the mean right for any number of steps, up to the Runge-Kutta error (order 4) of lines and ``J``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from separatrix.dynamics.sample.langevin import LogDensity
from separatrix.errors import InputError

Flow = Callable[[Tensor], tuple[Tensor, Tensor]]


def neis(
    flow: Flow,
    log_base: LogDensity,
    log_target: LogDensity,
    points: Tensor,
    *,
    back: float = 0.5,
    forth: float = 0.5,
    steps: int = 20,
) -> Tensor:
    """``(b,)``: ``log A`` for each sample of the base; differentiable in the flow's parameters.

    Args:
        flow: ``(b, n)`` to the velocity ``(b, n)`` and its divergence ``(b,)``; see :func:`with_divergence`.
        log_base: ``(b, n)`` to ``(b,)``, normalised.
        log_target: the same, up to the constant that is wanted.
        points: ``(b, n)``, independent samples of the base.
        back, forth: ``-t_-`` and ``t_+``. The lines are followed for ``back + forth`` both ways.
        steps: of ``T``, over ``back + forth``; rounded so that time 0 is one of them.

    Raises:
        InputError: times that are negative or both zero, no steps, or a flow that returns other shapes.

    Cost: ``8 steps`` of the flow, ``steps + 1`` values of the target and ``2 steps + 1`` of the base for each point.

    Example:
        >>> x = torch.randn(5, 3, dtype=torch.float64)
        >>> narrow, wide = (lambda x, s=s: -x.square().sum(1) / (2 * s * s) - 3 * torch.log(torch.tensor(s)) for s in (1.0, 2.0))
        >>> logs = neis(lambda x: (x, torch.full((len(x),), 3.0)), narrow, wide, x, back=6, forth=6, steps=120)
        >>> bool((logs.abs() < 1e-4).all())  # the constants are equal, and no sample is off
        True
    """
    if back < 0 or forth < 0 or back + forth == 0 or steps < 1:
        raise InputError(f"neis needs back, forth >= 0, not both 0, and steps >= 1, got {back}, {forth} and {steps}.")
    h, behind = (back + forth) / steps, round(steps * back / (back + forth))
    before, after = _line(flow, points, -h, steps), _line(flow, points, h, steps)
    line = [*before[:0:-1], *after]
    base = torch.stack([log_base(x) + j for x, j in line])
    seen = line[steps - behind : 2 * steps - behind + 1]
    target = torch.stack([log_target(x) + j for x, j in seen])
    return (target - base.unfold(0, steps + 1, 1).logsumexp(dim=-1)).logsumexp(dim=0)


def _line(flow: Flow, x: Tensor, h: float, steps: int) -> list[tuple[Tensor, Tensor]]:
    """Points and ``log J`` at times ``0, h, ...``."""
    log_j = x.new_zeros(len(x))
    line = [(x, log_j)]
    for _ in range(steps):
        k1, d1 = flow(x)
        if k1.shape != x.shape or d1.shape != log_j.shape:
            raise InputError(
                f"the flow must return velocity {tuple(x.shape)} and divergence {tuple(log_j.shape)}, got {tuple(k1.shape)} and {tuple(d1.shape)}."
            )
        k2, d2 = flow(x + h / 2 * k1)
        k3, d3 = flow(x + h / 2 * k2)
        k4, d4 = flow(x + h * k3)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        log_j = log_j + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
        line.append((x, log_j))
    return line


def with_divergence(velocity: Callable[[Tensor], Tensor]) -> Flow:
    """A flow from a velocity alone, which treats rows of ``(b, n)`` apart; its divergence is exact and costs ``n`` vector products."""

    def flow(x: Tensor) -> tuple[Tensor, Tensor]:
        def one(row: Tensor) -> Tensor:
            return velocity(row[None])[0]

        return velocity(x), torch.vmap(torch.func.jacrev(one))(x).diagonal(dim1=-2, dim2=-1).sum(dim=-1)

    return flow


class TanhFlow(nn.Module):
    """``b(x) = A tanh(W x + c) + B x + d`` with its divergence in closed form, ``sum_i (W A)_ii sech^2_i + tr B``.

    Args:
        n: dimension.
        width: hidden units.
        seed: of ``W`` and ``c``; ``A``, ``B`` and ``d`` begin at zero, where NEIS is plain importance sampling.
        dtype: of the parameters.
    """

    def __init__(self, n: int, width: int, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.inner = nn.Parameter(torch.randn(width, n, generator=generator, dtype=dtype) / n**0.5)
        self.bias = nn.Parameter(torch.randn(width, generator=generator, dtype=dtype))
        self.outer = nn.Parameter(torch.zeros(n, width, dtype=dtype))
        self.linear = nn.Parameter(torch.zeros(n, n, dtype=dtype))
        self.shift = nn.Parameter(torch.zeros(n, dtype=dtype))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity ``(b, n)`` and divergence ``(b,)``."""
        hidden = torch.tanh(x @ self.inner.T + self.bias)
        loops = (self.inner * self.outer.T).sum(dim=1)
        return hidden @ self.outer.T + x @ self.linear.T + self.shift, (
            1 - hidden.square()
        ) @ loops + self.linear.trace()
