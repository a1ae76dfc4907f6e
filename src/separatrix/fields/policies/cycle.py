"""A student that never arrives: on-policy distillation whose update circles for ever.

In the start state the student picks one of four states with logits ``beta <c_i, R theta>``, ``R`` a rotation by ``phi``; in
state ``i`` it is a unit Gaussian with mean ``theta`` and the teacher one with mean ``c_i``. The same two parameters serve
everywhere, so the table's convergence proof does not apply. Field sign: ``v = C^T w(theta) - theta`` with the visits
``w = softmax(beta C R theta)``. At 0 the eigenvalues are ``beta/2 (cos phi +- i sin phi) - 1``: beyond
``beta = 2 / cos phi`` it turns outwards, to a limit cycle.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from separatrix.fields.field import FunctionField

_MEANS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)


def circling_distillation(
    beta: float = 4.0, phi: float = math.pi / 4, point: Tensor | None = None, *, own: float = 0.0
) -> FunctionField:
    """The field over ``theta``, two numbers.

    Args:
        beta: how strongly the student's parameters decide where it goes.
        phi: rotation between what it means and where it goes, in rad.
        point: where the field stands; (0.3, 0) where ``None``.
        own: weight of the start state's own distillation loss (a uniform teacher), which damps.
    """
    turn = torch.tensor([[math.cos(phi), -math.sin(phi)], [math.sin(phi), math.cos(phi)]], dtype=torch.float64)
    logits = beta * _MEANS @ turn

    def function(theta: Tensor) -> Tensor:
        w = (logits.to(theta) @ theta).softmax(0)
        v = _MEANS.to(theta).T @ w - theta
        if own:
            v = v - own * logits.to(theta).T @ (w - 0.25)
        return v

    here = torch.tensor([0.3, 0.0], dtype=torch.float64) if point is None else point
    return FunctionField(function, here, name="circling distillation")
