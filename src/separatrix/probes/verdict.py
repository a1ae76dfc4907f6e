"""The verdict about the linear operator, and the spectrum's section of the record.

Verdicts speak of the operator, not of the run. They follow from the certificates of :func:`separatrix.probes.certify` and only
from them; without any, the operator is *undecided*.
"""

from __future__ import annotations

from separatrix.linalg import Stability
from separatrix.probes.leading import Leading
from separatrix.probes.numbers import complex_number, number
from separatrix.probes.setting import Setting
from separatrix.probes.signature import Signature


def verdict(modes: Leading, certificate: Stability | None) -> tuple[str, str]:
    """Name and sentence."""
    if certificate is not None:
        name = certificate.verdict
        return name, f"{name.capitalize()}: {certificate.status}"
    kept = [
        (value, residual)
        for value, residual, ok in zip(
            modes.values.tolist(), modes.residuals.tolist(), modes.converged.tolist(), strict=True
        )
        if ok
    ]
    if not kept:
        return "undecided", f"Undecided: no eigenvalue converged in {modes.products} products; give a larger budget."
    value, residual = max(kept, key=lambda pair: pair[0].real)
    return (
        "undecided",
        f"Undecided: the rightmost converged eigenvalue is {complex_number(value.real, value.imag)} (residual "
        f"{number(residual, 1)}), but nothing was certified about it.",
    )


def verdict_section(
    modes: Leading, setting: Setting, signature: Signature | None, certificate: Stability | None = None
) -> dict[str, object]:
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
    name, sentence = verdict(modes, certificate)
    return {
        "rows": rows,
        "verdict": {
            "name": name,
            "sentence": sentence,
            "upper_bound": None if certificate is None else certificate.numerical_abscissa.upper_bound,
            "products": None if certificate is None else certificate.products,
        },
        "complete": modes.complete,
        "products": modes.products,
        "metric": setting.metric,
    }
