"""Setting: a field, the method that runs in it, and the metric that its bases define.

The optimiser's metric: with ``D`` the displacement that a base makes for a unit direction (step size over the root of
the second moment), ``P = D^(1/2) J D^(1/2)`` has the eigenvalues ``h lambda`` of ``D J``, and its symmetric and
antisymmetric parts mean something. Field sign: stable means ``Re < 0``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from separatrix.dynamics.bases import Frozen
from separatrix.dynamics.method import Method
from separatrix.dynamics.modes import Mode
from separatrix.dynamics.schemes import States
from separatrix.dynamics.update_map import UpdateMap, frozen_bases
from separatrix.errors import ComputationError
from separatrix.fields import Field, Jacobian
from separatrix.linalg import Diagonal, LinearOperator, Product, Sum


@dataclass(frozen=True)
class Setting:
    """What is measured: built by :func:`settle`.

    Attributes:
        field: the field before transforms.
        seen: the field that the scheme evaluates, transforms applied.
        jacobian: of ``seen`` at ``x``, self-tested.
        x: the point.
        method: the method that runs, or ``None``.
        states: its bases' states.
        frozen: the linear base of each player; ``None`` where there is none.
        scale: ``D``, ``(n,)``; ones where ``frozen`` is ``None``.
        operator: ``P``.
        why_not: why there is no metric, in words; empty where there is one.
    """

    field: Field
    seen: Field
    jacobian: Jacobian
    x: Tensor
    method: Method | None
    states: States | None
    frozen: dict[str, Frozen] | None
    scale: Tensor
    operator: LinearOperator
    why_not: str = ""

    @property
    def mode(self) -> Mode | None:
        """The momentum that all players share; ``None`` where they differ or there is none known."""
        if self.frozen is None:
            return None
        modes = {base.mode for base in self.frozen.values()}
        return modes.pop() if len(modes) == 1 else None

    @property
    def metric(self) -> str:
        return "step size times preconditioned Jacobian, h lambda" if self.frozen else "Jacobian, per unit of time"

    def update_map(self) -> LinearOperator:
        """The linear map of one full period in the optimiser's metric, linearised at the point.

        Raises:
            ComputationError: there is no linear base.
        """
        if self.method is None or self.frozen is None:
            raise ComputationError(self.why_not)
        bare = UpdateMap(self.method, self.field, self.x, self.states, frozen=True, jacobian=self.jacobian)
        roots = [self.scale.sqrt()]
        for name, _ in bare.layout[1:]:
            roots.append(self.field.space.take(self.scale, name.rsplit(".", 1)[0]).sqrt())
        root = torch.cat(roots)
        return Product(Diagonal(1 / root), Product(bare, Diagonal(root)))


def settle(
    field: Field,
    method: Method | None = None,
    *,
    x: Tensor | None = None,
    states: States | None = None,
) -> Setting:
    """The setting of a method in a field.

    Args:
        field: the field, its draw frozen.
        method: the method that runs; plain units of the Jacobian where ``None``.
        x: the point; where the field stands if ``None``.
        states: the bases' states there; needed by bases with second moments.

    Raises:
        what building a Jacobian raises.

    Cost: the build of one Jacobian with its self-tests.
    """
    seen = field if method is None else method.field(field)
    jacobian = seen.jacobian(x)
    at = jacobian.x
    plain = Setting(field, seen, jacobian, at, method, states, None, torch.ones_like(at), jacobian)
    if method is None:
        return replace(plain, why_not="no method was given, so there is no step to predict")
    if states is None:
        states = method.init(field)[1]
        plain = replace(plain, states=states)
    try:
        bases, _ = frozen_bases(method.bases_for(field.players), states, field, at)
    except ComputationError as error:
        return replace(plain, why_not=str(error))
    frozen = {p: b for p, b in bases.items() if isinstance(b, Frozen)}
    found = _scale(field, frozen, at)
    if found is None:
        return replace(plain, why_not="players share parameters that their bases scale differently")
    scale, decay = found
    inner: LinearOperator = jacobian if not bool(decay.any()) else Sum(jacobian, Diagonal(-decay))
    root = Diagonal(scale.sqrt())
    return replace(plain, frozen=frozen, scale=scale, operator=Product(root, Product(inner, root)))


def _scale(field: Field, frozen: dict[str, Frozen], x: Tensor) -> tuple[Tensor, Tensor] | None:
    """``D`` and the coupled decay of each coordinate; ``None`` where owners of a shared coordinate disagree."""
    scale, decay = torch.full_like(x, torch.nan), torch.zeros_like(x)
    for player, base in frozen.items():
        index = field.space.index(player)
        wanted = torch.as_tensor(base.scale, dtype=x.dtype, device=x.device).expand(field.space.size(player))
        before = scale[index]
        if bool((~torch.isnan(before) & (before != wanted)).any()):
            return None
        scale[index] = wanted
        decay[index] += base.coupled_decay  # every owner of a shared coordinate pulls it
    return scale, decay
