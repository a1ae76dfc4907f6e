"""Changes of time as compositions of elementary diffeomorphisms, learned by descent [celledoni2022, sec. 3]."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor, nn

from separatrix.errors import InputError
from separatrix.fields.signal.elastic import Curve, elastic_energy


class Warp(nn.Module):
    """``phi = phi_L o ... o phi_1`` with ``phi_l(t) = t + sum_n w_ln sin(pi n t) / (pi n)``, increasing from 0 to 1.

    Weights are scaled so that ``sum_n |w_ln| <= margin < 1`` in each layer. Then ``1 - margin <= phi_l' <= 1 + margin``, so each
    layer is a diffeomorphism, with certainty, and slopes of the whole lie between ``(1 - margin)^L`` and ``(1 + margin)^L``.

    Args:
        layers: ``L``; they begin at the identity.
        functions: of each layer.
        margin: below 1.
    """

    def __init__(self, layers: int, functions: int, *, margin: float = 0.95) -> None:
        super().__init__()
        if layers < 1 or functions < 1 or not 0 < margin < 1:
            raise InputError(
                f"a warp needs layers, functions >= 1 and 0 < margin < 1, got {layers}, {functions}, {margin}."
            )
        self.margin = margin
        self.raw = nn.Parameter(torch.zeros(layers, functions, dtype=torch.float64))

    @property
    def weights(self) -> Tensor:
        """``(L, N)``, scaled."""
        return self.raw / (self.raw.abs().sum(dim=1, keepdim=True) / self.margin).clamp_min(1.0)

    def slope_bound(self) -> float:
        """``prod_l (1 + sum_n |w_ln|)``: no slope is larger."""
        return float((1 + self.weights.detach().abs().sum(dim=1)).prod())

    def forward(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """``phi`` and ``phi'`` at ``(m,)`` times."""
        slope = torch.ones_like(t)
        numbers = pi * torch.arange(1, self.raw.shape[1] + 1, dtype=t.dtype)
        for w in self.weights:
            angles = t[:, None] * numbers
            slope = slope * (1 + torch.cos(angles) @ w)
            t = t + torch.sin(angles) @ (w / numbers)
        return t, slope


def align(q1: Curve, q2: Curve, warp: Warp, *, points: int = 400, steps: int = 300, lr: float = 0.02) -> float:
    """Train ``warp`` in place by Adam on the elastic energy at ``points`` midpoints; returns the energy reached.

    L-BFGS is quicker where it arrives, but its first long steps often end in a poor minimum.

    Args:
        q1, q2: square-root velocities; the second is warped.
        warp: where the descent begins, too.
        points: of the midpoint rule.
        steps: of Adam.
        lr: its learning rate.

    Cost: ``steps`` gradients.
    """
    t = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    target = q1(t).detach()
    optimizer = torch.optim.Adam(warp.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        phi, slope = warp(t)
        torch.autograd.backward(elastic_energy(target, q2(phi), slope))
        optimizer.step()
    with torch.no_grad():
        phi, slope = warp(t)
        return float(elastic_energy(target, q2(phi), slope))
