"""The signature of a method in a field: its measured modes over its stability region, or its multipliers in the unit disc.

A scheme in which all players move at once, with one kind of momentum, has a region in the plane of ``h lambda``. All
others are shown by the multipliers of the linear map of their full period; there the slider's values come from the small
model, whose residual on the real map is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from separatrix.dynamics.bases import Frozen
from separatrix.dynamics.modes import Mode
from separatrix.dynamics.schemes import Extragradient, Scheme, Simultaneous
from separatrix.errors import ComputationError
from separatrix.linalg import Dense, Eigenvalues, LinearOperator, eigenvalues
from separatrix.probes.leading import Leading
from separatrix.probes.reduced import Reduced
from separatrix.probes.setting import Setting
from separatrix.probes.stability import ROUNDING, unit_bases, with_momentum

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
        vectors: left vectors of the period map in the optimiser's metric, rows ``(q, N)`` complex.
        table: multipliers over steps and momenta for the slider; disc only.
        model_gap: residual of the small model's multipliers on the real map; disc only.
        steps: that make up the period.
    """

    kind: str
    multipliers: Tensor
    residuals: Tensor
    converged: Tensor
    points: Tensor
    vectors: Tensor
    table: dict[str, object] | None = None
    model_gap: float | None = None
    steps: int = 1

    def leading(self, most: int) -> list[int]:
        """Indices of converged modes, one of each pair, largest multiplier first."""
        kept = [i for i, m in enumerate(self.multipliers.tolist()) if m.imag >= 0 and bool(self.converged[i])]
        return sorted(kept, key=lambda i: -self.growth(i))[:most]

    def growth(self, i: int) -> float:
        """The modulus per step."""
        return float(float(self.multipliers[i].abs()) ** (1 / self.steps))

    def grows(self, i: int) -> bool:
        """Converged, and outside the unit circle by more than its residual and rounding."""
        return bool(self.converged[i]) and float(self.multipliers[i].abs()) - 1 > max(
            float(self.residuals[i]), ROUNDING
        )

    def period_steps(self, i: int) -> float | None:
        """Steps for one turn of mode i; ``None`` where it does not turn.

        A period of several steps shows the turn once a period, so that a whole turn within it is not seen: the mode may turn
        faster.
        """
        angle = float(self.multipliers[i].angle().abs())
        return None if angle < 1e-9 or abs(angle - np.pi) < 1e-6 else 2 * np.pi / angle * self.steps

    @property
    def caveat(self) -> str:
        """What is to be said after the steps of a turn."""
        return "" if self.steps == 1 else f", or faster: it is looked at once in {self.steps} steps"


def has_region(scheme: Scheme, mode: Mode | None) -> bool:
    """Whether the method has a stability region in the plane of ``h lambda``."""
    if mode is None or mode.decay or mode.kind in ("nesterov", "complex"):
        return False
    ahead = isinstance(scheme, Extragradient) and scheme.ahead == 1.0 and mode.kind == "none"
    return (isinstance(scheme, Simultaneous) and scheme.uniform) or ahead


def plane_mode(scheme: Scheme, mode: Mode, z: complex) -> tuple[complex, list[complex]]:
    """The largest multiplier of a mode with ``h lambda = z`` and its left vector on ``(x, buffer)``."""
    if isinstance(scheme, Extragradient):
        return 1 + z + z * z, [1.0 + 0j]
    values, vectors = np.linalg.eig(mode.matrix(z).T)
    # Of two conjugate roots the upper one, which stands for both.
    largest = max(range(len(values)), key=lambda i: (round(float(abs(values[i])), 12), float(values[i].imag)))
    return complex(values[largest]), [complex(c) for c in vectors[:, largest]]


def signature(
    setting: Setting, modes: Leading, reduced: Reduced | None, *, max_products: int = 200, seed: int = 0
) -> Signature:
    """The signature of the running method.

    Args:
        setting: with linear bases.
        modes: of its operator.
        reduced: their small model; only the disc needs one.
        max_products: for the disc.
        seed: of the start vector there.

    Raises:
        ComputationError: the disc without a small model, or none of its multipliers is resolved.

    Cost: none in the plane; for the disc at most ``max_products`` products with the period map and two for each of the
    small model's modes.
    """
    assert setting.method is not None
    assert setting.frozen is not None
    scheme = setting.method.scheme
    # Coupled decay stands in P, hence also at the point that extragradient looks ahead to, where the real one does not act.
    ahead = isinstance(scheme, Extragradient) and any(b.coupled_decay for b in setting.frozen.values())
    if has_region(scheme, setting.mode) and not ahead:
        assert setting.mode is not None
        pairs = [plane_mode(scheme, setting.mode, z) for z in modes.values.tolist()]
        multipliers = torch.tensor([m for m, _ in pairs], dtype=torch.complex128)
        space, players = setting.field.space, setting.field.space.players
        rows = []
        for (_, weights), w in zip(pairs, modes.vectors, strict=True):
            buffers = [weights[1] * space.take(w, p) for p in players] if len(weights) > 1 else []
            rows.append(torch.cat([weights[0] * w, *buffers]))
        vectors = torch.stack(rows)
        return Signature("plane", multipliers, modes.residuals, modes.converged, modes.values, vectors)
    if reduced is None:
        raise ComputationError("multipliers of this scheme need a small model that keeps the players apart.")
    bases = unit_bases(setting.frozen)
    period = setting.update_map()
    table = slider_table(reduced, scheme, bases)
    if reduced.exact:
        predicted, lifted = lifted_modes(setting, reduced, scheme, bases)
        gap = max(residual_of(period, m, y) for m, y in zip(predicted, lifted, strict=True))
        found = eigenvalues(Dense(period.to_dense().T.contiguous()), period.shape[0])
        assert found.vectors is not None
        return Signature(
            "disc",
            found.values,
            found.residuals,
            found.converged,
            found.values,
            found.vectors,
            table,
            gap,
            scheme.cycle,
        )
    # They are starts only, what is found is read on the real map: with lazy terms the model resolves few, and the others may grow.
    predicted, lifted = lifted_modes(setting, reduced, scheme, bases, resolved=not scheme.lazy_terms)
    if not predicted:
        raise ComputationError("no multiplier of the small model is resolved; ask for more eigenvalues.")
    gap = max((residual_of(period, m, y) for m, y in zip(predicted, lifted, strict=True)), default=0.0)
    refined = refine(period, predicted, lifted, max_products=max_products, seed=seed)
    assert refined.vectors is not None
    return Signature(
        "disc",
        refined.values,
        refined.residuals,
        refined.converged,
        refined.values,
        refined.vectors,
        table,
        gap,
        scheme.cycle,
    )


def refine(
    period: LinearOperator, predicted: list[complex], lifted: list[Tensor], *, max_products: int, seed: int
) -> Eigenvalues:
    """The eigenvalues of the real period map near the predicted ones, from a start in the span of the lifted vectors."""
    wanted = torch.tensor(predicted, dtype=torch.complex128)

    def nearness(values: Tensor) -> Tensor:
        up = torch.complex(values.real, values.imag.abs())
        return -(up[:, None] - wanted[None, :]).abs().min(dim=1).values

    start = torch.stack([part for y in lifted for part in (y.real, y.imag)]).sum(0)
    k = min(sum(2 if m.imag > 0 else 1 for m in predicted), period.shape[0])
    budget = max(max_products, k + 2)
    # The largest two by name: where the model is coarse, values near its others would crowd them out.
    return eigenvalues(
        period.T, [k, min(2, k)], target=[nearness, "largest"], start=start, max_products=budget, tol=1e-3, seed=seed
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


def lifted_modes(
    setting: Setting,
    reduced: Reduced,
    scheme: Scheme,
    bases: Mapping[str, Frozen],
    most: int = 8,
    *,
    resolved: bool = True,
) -> tuple[list[complex], list[Tensor]]:
    """The small model's multipliers (one of each pair, largest first), resolved ones or all, and their vectors on the real map."""
    values, vectors = torch.linalg.eig(reduced.period(scheme, bases).T)
    found = reduced.multipliers(scheme, bases) if resolved else values[values.abs().argsort(descending=True)]
    chosen = [m for m in found.tolist() if m.imag >= 0][:most]
    indices = [int((values - m).abs().argmin()) for m in chosen]
    layout = reduced.linear(scheme, bases).layout
    return chosen, [lift(vectors[:, i], setting, reduced, layout) for i in indices]


def residual_of(period: LinearOperator, m: complex, y: Tensor) -> float:
    """``|M^T y - m y| / |y|``. Cost: two products."""
    gap = (period.T @ y).to(torch.complex128) - m * y.to(torch.complex128)
    return float(gap.norm() / y.norm())


def lift(y: Tensor, setting: Setting, reduced: Reduced, layout: Sequence[tuple[str, str, int]]) -> Tensor:
    """A vector of the small model's period, laid out so, as one of the real period map."""
    space = setting.field.space
    dtype = torch.complex128 if setting.x.dtype == torch.float64 else torch.complex64
    y = y.to(setting.x.device, dtype)
    parts = []
    for (owner, name, _), piece in zip(layout, torch.split(y, [size for *_, size in layout]), strict=True):
        player = owner or name.partition(":")[2]
        if player:
            parts.append(piece @ reduced.basis[player].to(dtype))
        else:
            whole = torch.zeros(space.n, dtype=dtype, device=setting.x.device)
            for p in reduced.space.players:
                whole[space.index(p)] = piece[reduced.space.index(p)] @ reduced.basis[p].to(dtype)
            parts.append(whole)
    return torch.cat(parts)


def signature_section(found: Signature, setting: Setting, sentence: str, remaining: int) -> dict[str, object]:
    """The record's section; over the ``remaining`` steps a mode with ``remaining |log |m|| < 1`` is neutral."""
    assert setting.method is not None
    assert setting.frozen is not None
    momenta = {b.mode.momentum for b in setting.frozen.values()}
    kinds = {b.mode.kind for b in setting.frozen.values()}
    base = {"averaged": "Adam", "heavy-ball": "momentum", "nesterov": "Nesterov", "none": "none", "complex": "complex"}
    result: dict[str, object] = {
        "kind": found.kind,
        "step_scale": 1.0,
        "momentum": max(momenta),
        "base": base[kinds.pop()] if len(kinds) == 1 else "mixed",
        "scheme": setting.method.scheme.name,
        "remaining": remaining,
        "points": [
            {
                "real": float(p.real),
                "imag": float(p.imag),
                "residual": float(r),
                "converged": bool(c),
            }
            for p, r, c in zip(found.points.tolist(), found.residuals.tolist(), found.converged.tolist(), strict=True)
        ],
        "sentence": sentence,
    }
    if found.table is not None:
        result.update(table=found.table, model_gap=found.model_gap)
    return result


def signature_sentence(found: Signature, remaining: int) -> str:
    """The signature in words: how many measured modes grow, and the one that grows fastest."""
    kept = [i for i in range(len(found.multipliers)) if bool(found.converged[i])]
    left_out = len(found.multipliers) - len(kept)
    tail = f" {left_out} more did not converge." if left_out else ""
    if not kept:
        return "No multiplier converged." + tail
    neutral = sum(remaining * abs(np.log(max(found.growth(i), 1e-300))) < 1 for i in kept)
    growing = [i for i in kept if found.grows(i) and remaining * np.log(found.growth(i)) >= 1]
    if neutral:
        tail = f" {neutral} {'is' if neutral == 1 else 'are'} neutral over the {remaining} steps to go." + tail
    if not growing:
        top = max(kept, key=found.growth)
        return (
            f"None of the {len(kept)} resolved multipliers grows; the largest has modulus {found.growth(top):.4f}."
            + tail
        )
    top = max(growing, key=found.growth)
    turn = found.period_steps(top)
    # As in the findings: what turns by less than it grows does not turn.
    idle = turn is None or turn > remaining or 2 * np.pi / turn < np.log(found.growth(top))
    how = "without turning" if idle else f"turning once in {turn:.0f} steps{found.caveat}"
    verb = "grows" if len(growing) == 1 else "grow"
    return (
        f"{len(growing)} of {len(kept)} resolved multipliers {verb}, the fastest by {found.growth(top) - 1:.2%} per step, {how}."
        + tail
    )
