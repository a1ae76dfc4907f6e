"""The verdict about the linear operator, and the spectrum's section of the record.

Verdicts speak of the operator, not of the run: *unstable* (an eigenvalue to the right of its error), *stable* (the whole
spectrum lies left), *marginal*, *no unstable mode found* (with the effort spent), *undecided* (nothing converged, or a value to
the right of zero did not).
"""

from __future__ import annotations

from separatrix.probes.leading import Leading
from separatrix.probes.numbers import complex_number, number
from separatrix.probes.setting import Setting
from separatrix.probes.signature import Signature

# An eigenvalue is to the right of zero where its real part exceeds so many times its residual.
MARGIN = 10.0


def verdict(modes: Leading) -> tuple[str, str]:
    """Name and sentence. The rightmost converged eigenvalue decides."""
    kept = [
        (value, residual)
        for value, residual, ok in zip(
            modes.values.tolist(), modes.residuals.tolist(), modes.converged.tolist(), strict=True
        )
        if ok
    ]
    if not kept:
        return "undecided", f"No eigenvalue converged in {modes.products} products; give a larger budget."
    scale = max(abs(value) for value, _ in kept)
    value, residual = max(kept, key=lambda pair: pair[0].real)
    error = max(MARGIN * residual, 1e-9 * scale)
    where = f"the rightmost converged eigenvalue is {complex_number(value.real, value.imag)} (residual {number(residual, 1)})"
    if value.real > error:
        return "unstable", f"Unstable operator: {where}."
    right = [
        v for v, ok in zip(modes.values.tolist(), modes.converged.tolist(), strict=True) if not ok and v.real > error
    ]
    if right:
        return "undecided", f"Undecided: {where}; {len(right)} more, to the right of zero, did not converge."
    if modes.complete and value.real < -error:
        return "stable", f"Stable: {where}, and the whole spectrum was computed."
    if abs(value.real) <= error:
        return "marginal", f"Marginal: {where}, too close to zero to call; higher orders decide."
    return "no unstable mode found", f"No unstable mode found in {modes.products} products: {where}."


def verdict_section(modes: Leading, setting: Setting, signature: Signature | None) -> dict[str, object]:
    """The spectrum's section of the record."""
    plane = signature if signature is not None and signature.kind == "plane" else None
    rows = []
    for i, value in enumerate(modes.values.tolist()):
        multiplier = None if plane is None else complex(plane.multipliers[i])
        rows.append(
            {
                "real": value.real,
                "imag": value.imag,
                "residual": float(modes.residuals[i]),
                "converged": bool(modes.converged[i]),
                "multiplier": None if multiplier is None else [multiplier.real, multiplier.imag],
                "growth": None if multiplier is None else abs(multiplier),
                "period_steps": None if plane is None else plane.period_steps(i),
                "target": modes.targets[i],
            }
        )
    name, sentence = verdict(modes)
    return {
        "rows": rows,
        "verdict": {"name": name, "sentence": sentence},
        "complete": modes.complete,
        "products": modes.products,
        "metric": setting.metric,
    }
