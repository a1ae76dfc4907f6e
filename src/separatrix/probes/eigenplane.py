"""A slice of the field through the plane of a leading mode, with the training path.

The plane is that of a *left* eigenvector ``w``: the amplitude ``w . xi`` obeys ``d(w . xi)/dt = lambda (w . xi)`` whatever
the other coordinates do, so what is drawn is the mode's own motion. Of a mode of the running method, whose vector has a part
for the momentum too, the part in the parameters is taken. Coordinates are in the optimiser's metric,
``xi = D^(-1/2) (x - x0)``, and the drawn velocities are per step.
"""

from __future__ import annotations

from cmath import phase
from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor

from separatrix.errors import NonFiniteError
from separatrix.probes.leading import Leading
from separatrix.probes.numbers import complex_number, growth_percent, number
from separatrix.probes.setting import Setting
from separatrix.probes.signature import Signature


@dataclass(frozen=True)
class Eigenplane:
    """The field on a grid of the plane.

    Attributes:
        axis: grid coordinates, ``(g,)``, the same for both directions.
        u, v: components of the velocity, ``(g, g)``; rows follow the second direction.
        path: projected training path, ``(t, 2)``, the present point last.
        value: the eigenvalue ``h lambda`` of the mode; of a mode of the running method its multiplier ``m``.
        of_method: whether it is the latter.
    """

    axis: Tensor
    u: Tensor
    v: Tensor
    path: Tensor
    value: complex
    of_method: bool = False

    def section(self) -> dict[str, object]:
        turns = abs(self.value.imag) > 0
        return {
            "x": self.axis.tolist(),
            "y": self.axis.tolist(),
            "u": self.u.tolist(),
            "v": self.v.tolist(),
            "path": self.path.tolist(),
            "point": [0.0, 0.0],
            "x_label": f"along {'Re w' if turns else 'the mode'} (optimizer's units)",
            "y_label": "along Im w" if turns else "along a second direction",
            "sentence": self._of_the_method() if self.of_method else self._of_the_flow(),
        }

    def _of_the_method(self) -> str:
        m, size = self.value, abs(self.value)
        change = growth_percent(size)
        told = (
            f"is multiplied by {number(size)}"
            if "×" in change
            else f"{'grows' if size > 1 else 'shrinks'} by {change[1:]}"
        )
        does = "neither grows nor shrinks" if change == "0%" else f"{told} per step of the running method"
        name = f"The plane of the mode m = {complex_number(m.real, m.imag)}, which {does}"
        if m.imag == 0:
            return f"{name}{' and changes sign' if m.real < 0 else ' without turning'}, and a second direction."
        return f"{name} and turns once in {2 * pi / abs(phase(m)):.0f} steps."

    def _of_the_flow(self) -> str:
        value = self.value
        if abs(value.imag) > 0:
            turning = f"turns once in {2 * torch.pi / abs(value.imag):.0f} steps of the flow"
            if value.real > 1e-3 * abs(value.imag):
                damping = "and grows"
            else:
                damping = "and shrinks" if value.real <= -0.1 * abs(value.imag) else "and is hardly damped"
            return f"The plane of the mode {complex_number(value.real, value.imag)}: the field {turning} {damping}."
        return f"The plane of the real mode {number(value.real)} and a second direction."


def eigenplane(
    setting: Setting,
    leading: Leading,
    *,
    which: int | None = None,
    signature: Signature | None = None,
    path: Tensor | None = None,
    grid: int = 11,
) -> Eigenplane:
    """The field through the plane of the mode that a report speaks of, of the fastest rotating one, or of mode ``which``.

    Args:
        setting: the field and metric.
        leading: its modes.
        which: an index into ``leading``.
        signature: multipliers of the running method; where they are given, and ``which`` is not, the plane is that of
            :func:`spoken_of`. Without them it is that of the largest imaginary part, else of the two leading real modes.
        path: points that the training went through, ``(t, n)``.
        grid: points a side.

    Cost: ``grid ** 2`` gradients.
    """
    root = setting.scale.sqrt()
    told = None if signature is None or which is not None else spoken_of(signature)
    if signature is not None and told is not None:
        size = len(setting.x)
        value, vector = complex(signature.multipliers[told]), signature.vectors[told][:size]
        others = [signature.vectors[i][:size] for i in signature.leading(len(signature.multipliers)) if i != told]
    else:
        which = int(leading.values.imag.abs().argmax()) if which is None else which
        value, vector = complex(leading.values[which]), leading.vectors[which]
        others = [leading.vectors[i] for i in range(len(leading)) if i != which]
    if value.imag == 0:
        # Where it is the only mode, the direction in which the field itself points.
        second = others[0].real if others else (root * setting.seen(setting.x)).to(vector.real)
        pair = torch.stack([vector.real, second])
    else:
        pair = torch.stack([vector.real, vector.imag])
    plane = torch.linalg.qr(pair.double().T)[0].T.to(setting.x)
    projected = torch.zeros(1, 2, dtype=setting.x.dtype)
    if path is not None and len(path):
        steps = ((path.to(setting.x) - setting.x) / root) @ plane.T
        projected = torch.cat([steps.cpu(), projected])
    reach = float(projected.abs().max()) or float((plane @ (root * setting.seen(setting.x))).norm()) * 20 or 1.0
    axis = torch.linspace(-1.1 * reach, 1.1 * reach, grid, dtype=torch.float64)
    u = torch.full((grid, grid), torch.nan, dtype=torch.float64)
    v = u.clone()
    for row, b in enumerate(axis.tolist()):
        for column, a in enumerate(axis.tolist()):
            try:
                velocity = plane @ (root * setting.seen(setting.x + root * (a * plane[0] + b * plane[1])))
            except NonFiniteError:
                continue
            u[row, column], v[row, column] = velocity.double().cpu()
    return Eigenplane(axis, u, v, projected, value, told is not None)


def spoken_of(signature: Signature) -> int | None:
    """The mode that findings and verdict speak of: the fastest that grows and turns, else the largest multiplier.

    ``None`` where none converged.
    """
    order = signature.leading(len(signature.multipliers))
    turning = [i for i in order if signature.grows(i) and _turns(complex(signature.multipliers[i]))]
    return next(iter(turning or order), None)


def _turns(m: complex) -> bool:
    return m.imag > 0 and m.real > 0 and phase(m) >= log(abs(m))
