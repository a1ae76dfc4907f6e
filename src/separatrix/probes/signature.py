"""The signature of a method in a field: its measured modes over its stability region, or its multipliers in the unit disc.

A scheme in which all players move at once, with one kind of momentum, has a region in the plane of ``h lambda``. All
others are shown by the multipliers of the linear map of their full period; there the slider's values come from the small
model, whose residual on the real map is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from separatrix.dynamics.bases import Frozen
from separatrix.dynamics.modes import Mode
from separatrix.dynamics.schemes import Extragradient, Scheme, Simultaneous
from separatrix.linalg import LinearOperator
from separatrix.probes.leading import Leading, leading
from separatrix.probes.reduced import Reduced
from separatrix.probes.setting import Setting
from separatrix.probes.stability import unit_bases, with_momentum

STEPS = [float(s) for s in np.geomspace(1 / 16, 16, 33)]
MOMENTA = [0.0, 0.25, 0.5, 0.75, 0.9, 0.95]


@dataclass(frozen=True)
class Signature:
    """Multipliers of the running method.

    Attributes:
        kind: ``plane`` or ``disc``.
        multipliers: per period, ``(q,)`` complex128; of a mode with two roots the larger one.
        residuals: of the eigenvalues behind them (of ``h lambda`` or of the period map).
        converged: ``(q,)``.
        points: what is drawn: ``h lambda`` in the plane, else the multipliers.
        table: multipliers over steps and momenta for the slider; disc only.
        model_gap: residual of the small model's multipliers on the real map; disc only.
    """

    kind: str
    multipliers: Tensor
    residuals: Tensor
    converged: Tensor
    points: Tensor
    table: dict[str, object] | None = None
    model_gap: float | None = None

    def growth(self, i: int) -> float:
        return float(self.multipliers[i].abs())

    def period_steps(self, i: int) -> float | None:
        """Steps for one turn of mode i; ``None`` where it does not turn."""
        angle = float(self.multipliers[i].angle().abs())
        return None if angle < 1e-9 or abs(angle - np.pi) < 1e-6 else 2 * np.pi / angle


def has_region(scheme: Scheme, mode: Mode | None) -> bool:
    """Whether the method has a stability region in the plane of ``h lambda``."""
    if mode is None or mode.decay or mode.kind == "nesterov":
        return False
    return isinstance(scheme, Simultaneous) or (isinstance(scheme, Extragradient) and mode.kind == "none")


def plane_multiplier(scheme: Scheme, mode: Mode, z: complex) -> complex:
    """The largest multiplier of a mode with ``h lambda = z``; for schemes with a region."""
    if isinstance(scheme, Extragradient):
        return 1 + z + z * z
    return complex(mode.multipliers(z)[0])


def signature(
    setting: Setting, modes: Leading, reduced: Reduced, *, max_products: int = 200, seed: int = 0
) -> Signature:
    """The signature of the running method.

    Cost: none in the plane; for the disc at most ``max_products`` products with the period map and two for each of the
    small model's modes.
    """
    assert setting.method is not None
    assert setting.frozen is not None
    scheme = setting.method.scheme
    if has_region(scheme, setting.mode):
        assert setting.mode is not None
        found = [plane_multiplier(scheme, setting.mode, z) for z in modes.values.tolist()]
        multipliers = torch.tensor(found, dtype=torch.complex128)
        return Signature("plane", multipliers, modes.residuals, modes.converged, modes.values)
    bases = unit_bases(setting.frozen)
    period = setting.update_map()
    found_modes = leading(period, k=4, targets=("rotation", "largest"), max_products=max_products, seed=seed)
    gap = 0.0 if reduced.exact else model_gap(period, setting, reduced, scheme, bases)
    values = found_modes.values
    return Signature(
        "disc", values, found_modes.residuals, found_modes.converged, values, slider_table(reduced, scheme, bases), gap
    )


def slider_table(reduced: Reduced, scheme: Scheme, bases: Mapping[str, Frozen]) -> dict[str, object]:
    """Resolved multipliers of the small model over a grid of steps and momenta."""
    kinds = {b.mode.kind for b in bases.values()}
    present = {b.mode.momentum for b in bases.values()}
    momenta = sorted({*MOMENTA, *present}) if len(present) == 1 and kinds != {"none"} else [max(present)]
    table = []
    for step in STEPS:
        row = []
        for momentum in momenta:
            chosen = with_momentum(bases, momentum) if len(momenta) > 1 else bases
            values = reduced.multipliers(scheme, {p: b.times(step) for p, b in chosen.items()})
            row.append([[m.real, m.imag] for m in values.tolist()])
        table.append(row)
    return {"steps": STEPS, "momenta": momenta, "multipliers": table}


def model_gap(
    period: LinearOperator, setting: Setting, reduced: Reduced, scheme: Scheme, bases: Mapping[str, Frozen]
) -> float:
    """The largest residual ``|M^T y - m y| / |y|`` of the small model's resolved modes on the real period map."""
    small = reduced.period(scheme, bases)
    values, vectors = torch.linalg.eig(small.T)
    resolved = reduced.multipliers(scheme, bases)
    worst = 0.0
    for m in resolved.tolist():
        if m.imag < 0:
            continue
        i = int((values - m).abs().argmin())
        lifted = lift(vectors[:, i], setting, reduced, bases)
        residual = (period.T @ lifted).to(torch.complex128) - values[i] * lifted.to(torch.complex128)
        worst = max(worst, float(residual.norm() / lifted.norm()))
    return worst


def lift(y: Tensor, setting: Setting, reduced: Reduced, bases: Mapping[str, Frozen]) -> Tensor:
    """A vector of the small model as one of the real period map."""
    space = setting.field.space
    dtype = torch.complex128 if setting.x.dtype == torch.float64 else torch.complex64
    y = y.to(setting.x.device, dtype)
    players = reduced.space.players
    point = torch.zeros(space.n, dtype=dtype, device=setting.x.device)
    for player in players:
        basis = reduced.basis[player].to(dtype)
        point[space.index(player)] = y[: reduced.space.n][reduced.space.index(player)] @ basis
    parts, offset = [point], reduced.space.n
    for player in players:
        if bases[player].mode.kind != "none":
            size = reduced.space.size(player)
            parts.append(y[offset : offset + size] @ reduced.basis[player].to(dtype))
            offset += size
    return torch.cat(parts)


def section(found: Signature, setting: Setting, sentence: str) -> dict[str, object]:
    """The record's section."""
    assert setting.method is not None
    assert setting.frozen is not None
    momenta = {b.mode.momentum for b in setting.frozen.values()}
    kinds = {b.mode.kind for b in setting.frozen.values()}
    base = {"averaged": "Adam", "heavy-ball": "momentum", "nesterov": "Nesterov", "none": "none"}
    result: dict[str, object] = {
        "kind": found.kind,
        "step_scale": 1.0,
        "momentum": max(momenta),
        "base": base[kinds.pop()] if len(kinds) == 1 else "mixed",
        "scheme": setting.method.scheme.name,
        "points": [
            {
                "real": float(p.real),
                "imag": float(p.imag),
                "residual": float(r),
                "converged": bool(c),
                "label": f"{p.real:.3g} {p.imag:+.3g}i",
            }
            for p, r, c in zip(found.points.tolist(), found.residuals.tolist(), found.converged.tolist(), strict=True)
        ],
        "sentence": sentence,
    }
    if found.table is not None:
        result.update(table=found.table, model_gap=found.model_gap)
    return result
