"""A slice of the field through the plane of a leading mode, with the training path.

The plane is that of a *left* eigenvector ``w``: the amplitude ``w . xi`` obeys ``d(w . xi)/dt = lambda (w . xi)`` whatever
the other coordinates do, so what is drawn is the mode's own motion. Coordinates are in the optimiser's metric,
``xi = D^(-1/2) (x - x0)``, and the drawn velocities are per step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import NonFiniteError
from separatrix.probes.leading import Leading
from separatrix.probes.numbers import complex_number, number
from separatrix.probes.setting import Setting


@dataclass(frozen=True)
class Eigenplane:
    """The field on a grid of the plane.

    Attributes:
        axis: grid coordinates, ``(g,)``, the same for both directions.
        u, v: components of the velocity, ``(g, g)``; rows follow the second direction.
        path: projected training path, ``(t, 2)``, the present point last.
        value: the eigenvalue ``h lambda`` of the mode.
    """

    axis: Tensor
    u: Tensor
    v: Tensor
    path: Tensor
    value: complex

    def section(self) -> dict[str, object]:
        value = self.value
        if abs(value.imag) > 0:
            turning = f"turns once in {2 * torch.pi / abs(value.imag):.0f} steps of the flow"
            if abs(value.real) < 0.1 * abs(value.imag):
                damping = "and is hardly damped"
            else:
                damping = "and shrinks" if value.real < 0 else "and grows"
            sentence = f"The plane of the mode {complex_number(value.real, value.imag)}: the field {turning} {damping}."
        else:
            sentence = f"The plane of the real mode {number(value.real)} and a second direction."
        return {
            "x": self.axis.tolist(),
            "y": self.axis.tolist(),
            "u": self.u.tolist(),
            "v": self.v.tolist(),
            "path": self.path.tolist(),
            "point": [0.0, 0.0],
            "x_label": "along Re w (optimiser's metric)",
            "y_label": "along Im w",
            "sentence": sentence,
        }


def eigenplane(
    setting: Setting, leading: Leading, *, which: int | None = None, path: Tensor | None = None, grid: int = 11
) -> Eigenplane:
    """The field through the plane of the fastest rotating mode, or of mode ``which``.

    Args:
        setting: the field and metric.
        leading: its modes.
        which: an index into ``leading``; the largest imaginary part if ``None``, else the two leading real modes.
        path: points that the training went through, ``(t, n)``.
        grid: points a side.

    Cost: ``grid ** 2`` gradients.
    """
    root = setting.scale.sqrt()
    which = int(leading.values.imag.abs().argmax()) if which is None else which
    value = complex(leading.values[which])
    vector = leading.vectors[which]
    if value.imag == 0:
        others = [i for i in range(len(leading)) if i != which]
        # Where it is the only mode, the direction in which the field itself points.
        second = leading.vectors[others[0]].real if others else (root * setting.seen(setting.x)).to(vector.real)
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
    return Eigenplane(axis, u, v, projected, value)
