"""A claim as a strip: where the measurement lies, and on which side of the bound."""

from __future__ import annotations

import math

from separatrix.atlas.claims import Claim

WIDTH, HEIGHT, MARGIN = 160, 22, 8


def strip(claim: Claim) -> str:
    """An inline SVG: the allowed side shaded, the bound as a line, the interval as a bar, the number as a dot."""
    places = [v for v in (claim.measured, claim.low, claim.high, claim.bound) if math.isfinite(v)]
    ratio = max(places) / min(places) if min(places) > 0 else 0.0
    scale = math.log if ratio > 30 else float
    low, high = scale(min(places)), scale(max(places))
    if high == low:
        low, high = low - 1, high + 1
    low, high = low - 0.12 * (high - low), high + 0.12 * (high - low)

    def x(value: float) -> float:
        if not math.isfinite(value):
            return WIDTH - 2 if value > 0 else 2
        return round(MARGIN + (WIDTH - 2 * MARGIN) * (scale(value) - low) / (high - low), 1)

    bound, middle = x(claim.bound), HEIGHT / 2
    start, end = (0.0, bound) if claim.sense == "at most" else (bound, float(WIDTH))
    return (
        f'<svg class="strip {claim.verdict.replace(" ", "-")}" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">'
        f'<rect class="allowed" x="{start}" y="4" width="{end - start}" height="{HEIGHT - 8}"/>'
        f'<path class="bound" d="M{bound} 1V{HEIGHT - 1}"/>'
        f'<path class="interval" d="M{x(claim.low)} {middle}H{x(claim.high)}"/>'
        f'<circle cx="{x(claim.measured)}" cy="{middle}" r="4"/></svg>'
    )
