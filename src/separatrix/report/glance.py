"""The top of a report: the headline and the few numbers that one looks for first, in one voice with the findings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from separatrix.probes.numbers import growth_percent, number, with_error
from separatrix.probes.record import Diagnosis
from separatrix.report import regions

Tile = tuple[str, str, str]
# Findings whose number is the modulus of one mode's multiplier.
OF_A_MODE = {"undamped-rotation": "Growth of the rotation", "unconfirmed-rotation": "Forecast of the rotation"}
NAMES = {
    "grows": "Fastest growth",
    "undecided": "Too close to call",
    "neutral": "Leading mode",
    "decays": "Slowest decay",
}


def headline(diagnosis: Diagnosis) -> tuple[str, str]:
    """The verdict as a headline and what follows it: its first sentence, where that is short and not all there is."""
    first, stop, rest = diagnosis.verdict.partition(". ")
    return (first, rest) if stop and len(first.split()) <= 12 else (diagnosis.verdict, "")


def at_a_glance(diagnosis: Diagnosis) -> list[Tile]:
    """The few numbers one looks for first: name, value, what it is compared with."""

    def found(name: str) -> Mapping[str, Any]:
        section: Mapping[str, Any] = diagnosis.sections.get(name) or {}
        return section

    tiles = _mode(diagnosis, found("signature"))
    for row in found("twins").get("rows", [])[:1]:
        growth = growth_percent(math.exp(min(row["exponent"], 700.0)))
        tiles.append(("Twin runs", growth, f"per step (log: {with_error(row['exponent'], row['stderr'])})"))
    sharp = next((row for row in found("sharpness").get("rows", []) if row["name"] == "joint"), None)
    if sharp and sharp["ratio"] is not None:
        limit = f"of the limit: {number(sharp['value'])} of {number(sharp['limit'])}"
        tiles.append(("Sharpness", f"{100 * sharp['ratio']:.0f}%", limit))
    if (share := found("interplay").get("rotation_share")) is not None:
        tiles.append(("Rotation", f"{100 * share:.0f}%", "share of the Jacobian that only turns"))
    tiles += _gain(found("best_response").get("rows", []), found("problem").get("losses") or {})
    if (steps := found("horizon").get("steps")) is not None:
        least = "≥ " if found("horizon").get("reached") else ""
        tiles.append(("Trust horizon", f"{least}{steps} step{'' if steps == 1 else 's'}", "beyond it no prediction"))
    for row in found("score").get("rows", [])[:1]:
        # What it counts stands with the score; here, which way is better.
        better = str(row["sentence"]).rpartition("; ")[2]
        tiles.append((str(row["name"]).capitalize(), number(row["value"]), better))
    return tiles


def _mode(diagnosis: Diagnosis, section: Mapping[str, Any]) -> list[Tile]:
    """The mode that the first finding speaks of, else the one of largest modulus."""
    modes = [mode for mode in regions.modes(section) if mode.state != "not converged"] if section else []
    if not modes:
        return []
    mode, name = regions.leading(modes), ""
    top = diagnosis.findings[0] if diagnosis.findings else None
    if top is not None and top.code in OF_A_MODE and top.value is not None:
        modulus = top.value
        nearest = min(modes, key=lambda m: abs(abs(m.multiplier) - modulus))
        if abs(abs(nearest.multiplier) - modulus) < 0.01 * abs(modulus - 1) + 1e-6:
            mode, name = nearest, OF_A_MODE[top.code]
    remaining = section.get("remaining")
    beside = f"per step, {regions.turning(mode.multiplier, remaining)}"
    if mode.state == "neutral":
        beside += f"; neutral over {remaining} steps"
    return [(name or NAMES[mode.state], growth_percent(abs(mode.multiplier)), beside)]


def _gain(rows: list[Mapping[str, Any]], losses: Mapping[str, float]) -> list[Tile]:
    """What the player gains that gains least for the size of its loss: the one that the finding holds to it."""

    def share(row: Mapping[str, Any]) -> float:
        gain, loss = row["gain_train"] or row["gain_held_out"] or 0.0, abs(losses.get(str(row["player"])) or 0.0)
        return float(gain / (loss + abs(gain))) if loss else float(gain)

    known = [row for row in rows if row["gain_train"] is not None or row["gain_held_out"] is not None]
    if not known:
        return []
    least = min(known, key=share)
    on = "training" if least["gain_held_out"] is None else "held-out"
    gain = least["gain_train"] if least["gain_held_out"] is None else least["gain_held_out"]
    beside = f"{on} gain of {least['player']}{', which gains least' if len(known) > 1 else ''}"
    return [("Best response", number(gain), beside)]
