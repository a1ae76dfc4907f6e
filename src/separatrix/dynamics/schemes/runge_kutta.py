"""Runge-Kutta steps of order 2 and 4 on the flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from separatrix.dynamics.schemes.scheme import Bases, Evaluate, Scheme, States, base_steps, check_moments, look_ahead
from separatrix.errors import InputError
from separatrix.fields.space import Space


@dataclass(frozen=True)
class RungeKutta(Scheme):
    """The bases step along an average of directions found on the way [qin2020].

    With ``z = h lambda``: order 2 (Heun) ``m = 1 + z + z^2 / 2``, which makes every pure rotation grow, by ``|z|^4 / 8`` a step;
    order 4 ``m = 1 + z + z^2 / 2 + z^3 / 6 + z^4 / 24``, which makes it shrink for ``|z| < 2 sqrt(2)``. All evaluations share
    one draw.

    Args:
        order: 2 or 4, which is also the cost in gradients.
        moments: ``roll back`` or ``freeze``: what the way does to the bases' state, see :class:`Extragradient`; the step itself
            updates it once.
    """

    order: int = 4
    moments: str = "roll back"

    def __post_init__(self) -> None:
        check_moments(self.moments, ("roll back", "freeze"))
        if self.order not in (2, 4):
            raise InputError(f"the order must be 2 or 4, got {self.order}.")

    @property
    def name(self) -> str:
        return f"runge-kutta {self.order}"

    def step(self, evaluate: Evaluate, bases: Bases, space: Space, x: Tensor, states: States) -> tuple[Tensor, States]:
        def after(v: Mapping[str, Tensor], length: float) -> Mapping[str, Tensor]:
            at, _ = look_ahead(v, bases, space, x, states, moments=self.moments, length=length)
            return evaluate(at, space.players, 0)

        k1 = evaluate(x, space.players, 0)
        if self.order == 2:
            k2 = after(k1, 1.0)
            mean = {p: (k1[p] + k2[p]) / 2 for p in k1}
        else:
            k2 = after(k1, 0.5)
            k3 = after(k2, 0.5)
            k4 = after(k3, 1.0)
            mean = {p: (k1[p] + 2 * k2[p] + 2 * k3[p] + k4[p]) / 6 for p in k1}
        return base_steps(mean, bases, space, x, states)
