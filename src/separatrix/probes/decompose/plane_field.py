"""A field seen in a plane: for pictures, and for splitting what shows in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields import Field, Space
from separatrix.fields.field import Rows
from separatrix.probes.decompose.box import decompose_box
from separatrix.probes.decompose.grids import GridDecomposition
from separatrix.probes.setting import Setting


class PlaneField(Field):
    """The field's components in a plane through the measured point, in the optimiser's metric: ``(a, b)`` to ``(2,)``.

    The point ``(a, b)`` stands for ``x + D^(1/2) (a p_0 + b p_1)``, its velocity for ``p . D^(1/2) v`` there, per step. What
    moves out of the plane is not seen, so this is a field of its own.

    Args:
        setting: field, point and metric.
        basis: orthonormal directions ``(2, n)``.
    """

    def __init__(self, setting: Setting, basis: Tensor) -> None:
        if basis.shape != (2, setting.field.space.n):
            raise InputError(f"a plane is two directions, (2, {setting.field.space.n}), got {tuple(basis.shape)}.")
        place = torch.device("cpu")
        super().__init__(
            Space.of_sizes({"plane": 2}), dtype=torch.float64, device=place, name=f"{setting.field.name} in a plane"
        )
        self.setting, self.basis = setting, basis.to(setting.x)
        self._root = setting.scale.sqrt()

    @property
    def point(self) -> Tensor:
        return torch.zeros(2, dtype=torch.float64)

    def trace(
        self, leaves: Sequence[Tensor], *, players: Iterable[str] | None = None, create_graph: bool = False
    ) -> Rows:
        if create_graph:
            raise InputError("a field in a plane has values only; take the Jacobian of the whole field.")
        x = torch.cat(list(leaves)).detach().to(self.setting.x)
        v = self.setting.seen(self.setting.x + self._root * (x @ self.basis))
        return {("plane", 0): (self.basis @ (self._root * v)).double().cpu()}


def split_plane(setting: Setting, basis: Tensor, reach: float, *, cells: int = 12) -> GridDecomposition:
    """Gradient and rotation of what is seen in a plane, on the square ``[-reach, reach]^2`` about the measured point.

    Args:
        setting: field, point and metric.
        basis: orthonormal ``(2, n)``, such as :attr:`RotationPlane.basis`.
        reach: in the optimiser's metric.
        cells: a side, even.

    Cost: ``2 cells (cells + 1)`` gradients.
    """
    if not reach > 0:
        raise InputError(f"reach must be positive, got {reach}.")
    return decompose_box(PlaneField(setting, basis), (-reach, -reach), (reach, reach), cells)
