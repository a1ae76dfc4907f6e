"""The curves that run into the saddles of a planar field: what parts the starts that go one way from those that go the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from separatrix.fields.field import FunctionField
from separatrix.probes.rest_points import Box, RestPoint

PIECE = 1 / 400  # of the box, that a step goes at most
STIFF = 0.25  # of the fastest time scale, that a step takes at most
BEGIN, STILL = 0.1, 0.01  # pieces from the saddle; and where a curve that comes to rest is left


def stable_curves(field: FunctionField, saddles: Sequence[RestPoint], box: Box, *, steps: int = 3000) -> list[Tensor]:
    """Two curves ``(m, 2)`` for each saddle, from it backwards in time until they leave the box, come to rest, or grow too long.

    By RK4, all at once. What is off the curve shrinks on the way, since backwards in time the curve attracts.

    Args:
        field: planar and pure.
        saddles: as :func:`rest_points` finds them.
        box: ``((x_low, x_high), (y_low, y_high))``.
        steps: at most.

    Cost: up to five evaluations a step for each curve.
    """
    if not saddles:
        return []
    low, high = (torch.tensor(side, dtype=field.dtype, device=field.device) for side in zip(*box, strict=True))
    value, slope = torch.vmap(field.function), torch.vmap(torch.func.jacrev(field.function))
    piece = PIECE * float((high - low).norm())
    at = torch.stack([saddle.point for saddle in saddles for _ in (0, 1)]).to(low)
    ways = [saddle.eigenvectors[:, int(saddle.eigenvalues.real.argmin())].real for saddle in saddles]
    x = at + BEGIN * piece * torch.stack([sign * way for way in ways for sign in (1.0, -1.0)]).to(low)
    still = (
        STILL
        * piece
        * torch.tensor(
            [-float(saddle.eigenvalues.real.min()) for saddle in saddles for _ in (0, 1)],
            dtype=low.dtype,
            device=low.device,
        )
    )
    points = [[start, begun] for start, begun in zip(at, x.clone(), strict=True)]
    going = torch.arange(len(x), device=x.device)
    for _ in range(steps):
        here = x[going]
        v = -value(here).detach()
        speed = v.norm(dim=1)
        stays = (speed > still[going]) & ((here >= low) & (here <= high)).all(dim=1)
        going, here, v, speed = going[stays], here[stays], v[stays], speed[stays]
        if not len(going):
            break
        rate = torch.linalg.matrix_norm(slope(here).detach())
        h = torch.minimum(piece / speed, STIFF / rate)[:, None]
        k2 = -value(here + h / 2 * v).detach()
        k3 = -value(here + h / 2 * k2).detach()
        k4 = -value(here + h * k3).detach()
        x[going] = here + h / 6 * (v + 2 * k2 + 2 * k3 + k4)
        field.gradients += 5 * len(going)
        for i in going.tolist():
            points[i].append(x[i].clone())
    return [torch.stack(curve).double().cpu() for curve in points]
