"""The page before it has a form: the parts of a report in reading order, each a sentence, a table and its reading aid.

HTML, Markdown and terminal render the same parts. The shapes of the sections, beyond ``record.SECTIONS``; eigenvalues
in field sign, ``h lambda`` at the present step; ``x?`` may be ``None``, and a whole section may be:

    signature, plane  kind "plane", step_scale 1.0, momentum, base, scheme "simultaneous" | "extragradient", sentence,
                      points [{real, imag, residual, converged, label?}] with residual a distance in the plane,
                      remaining (optional): steps to go; a mode with remaining * |log |m|| < 1 is neutral
    signature, disc   kind "disc", step_scale, momentum, points (multipliers of the full round), model_gap, sentence,
                      table {steps [s], momenta [b], multipliers [s][b] = [[re, im], ...]} from the reduced model,
                      remaining (optional)
    spectrum          rows [{real, imag, residual, converged, multiplier? [re, im], growth? |m|, period_steps?, target}],
                      verdict {name, sentence}, complete, products, metric
    interplay         players, norms [[..]] and stderr [[..]] (row: on whom, column: of whom), rotation_share,
                      rotation_stderr, angle_deg?, sentence
    sharpness         rows [{name "joint" | player, value, residual, limit?, ratio?}], sentence
    stability         rows [{method, safe_step? (0: none, None: no limit found), min_step? (multiples of the present
                      step), growth |m| per step, growth_per_gradient, gradients, limited_by, running}], sentence
    horizon           steps, threshold, curve [{step, error}] (compared with the threshold), sentence, and what the error
                      is made of: unexplained [{step, error}], drift [{step, drift}] of the preconditioner (optional),
                      reached (the path ended before the error passed the threshold)
    forecast          rows [{multiplier [re, im], predicted_growth and observed_growth (logarithms over all steps),
                      predicted_angle and observed_angle (rad, over all steps), skill, steps (optional, of this row)}],
                      steps, scale (in step lengths), sentence
    best_response     rows [{player, steps, gain_train?, gain_held_out?}], sentence
    twins (optional)  rows [{name, exponent, stderr?}], sentence
    slice             x, y, u and v (one row per y), path [[x, y]], point [x, y], x_label, y_label, sentence
    samples           images [[0..255, height x width x channels]], height, width, channels
    score             rows [{name, value, sentence}]
    cost              rows [{part, gradients, seconds}], gradients, seconds
    problem           flat: name to value
    method            scheme, period, bases {player: {kind, lr, ...}}, sentence
    reproduce         command, seed, versions {package: version}

A note that begins with a section's name and a colon says why that section is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from separatrix.errors import InputError
from separatrix.probes.numbers import growth_percent, number
from separatrix.probes.record import SECTIONS, Diagnosis
from separatrix.report import regions
from separatrix.report.tables import TABLES, Table

# In reading order: the heading, and how to read what stands below it.
PARTS: dict[str, tuple[str, str]] = {
    "signature": (
        "Signature",
        "Each mark is a mode of the field: a direction in which a small displacement from this point grows, shrinks or "
        "turns. In the shaded region the running method damps it.",
    ),
    "spectrum": (
        "Spectrum",
        "Eigenvalues of step size times preconditioned Jacobian: left of zero attracts, the imaginary part turns. "
        "Every one carries its recomputed residual.",
    ),
    "interplay": (
        "Interplay",
        "Who moves whom: each square's area is the norm of a block of the preconditioned Jacobian. Filled: a player's "
        "own curvature; hatched: what one player does to another.",
    ),
    "slice": (
        "A slice of the field",
        "The plane of the leading modes through the measured point; streamlines show where the players would go.",
    ),
    "sharpness": (
        "Sharpness",
        "Step size times curvature (positive = curved upwards) against the limit of the base in use. Hovering near the "
        "limit is normal for a healthy run.",
    ),
    "stability": (
        "Stability of methods",
        "The step sizes, as multiples of the present one, at which a method damps every measured mode, and what it does "
        "at the present step.",
    ),
    "horizon": (
        "Trust horizon",
        "For how many steps the frozen Jacobian, and the frozen second moments of the optimisers, still explain how the "
        "field changes. Beyond it, this page is silent.",
    ),
    "forecast": (
        "Forecast against fact",
        "Two real runs that start a step's length apart, read along each mode: growth and turn of their difference over "
        'all steps, in the linear picture and as it came. Skill 1 is perfect, 0 no better than "nothing changes".',
    ),
    "best_response": (
        "Best response",
        "What a player gains by its own steps while the others stand still. Near an equilibrium nobody gains much.",
    ),
    "twins": (
        "Twin runs",
        "How fast two runs that start a hair apart drift from each other; positive means they part.",
    ),
    "samples": ("Samples", "What the generator makes at this point."),
    "score": ("Score", "The problem's own measure of success."),
    "problem": ("Problem", "What was measured."),
    "method": ("Method", "The training method whose step was linearised."),
    "cost": ("Cost", "One gradient-equivalent is one evaluation of the whole field."),
    "reproduce": ("Reproduce", "The same seed gives the same figures on the same machine."),
}
OPTIONAL = frozenset({"twins"})


@dataclass(frozen=True)
class Part:
    """One section of the report.

    Attributes:
        key: the section's name in the record.
        heading: its title.
        reading: how to read it, one or two sentences.
        sentence: its finding in words.
        table: its numbers; ``None`` where it has none.
        missing: why there is nothing, in one line; empty where there is something.
    """

    key: str
    heading: str
    reading: str
    sentence: str = ""
    table: Table | None = None
    missing: str = ""


def parts(diagnosis: Diagnosis) -> Iterator[Part]:
    """The parts in reading order, missing ones included.

    Raises:
        InputError: a section lacks an entry that its shape asks for.
    """
    for key, (heading, reading) in PARTS.items():
        section = diagnosis.sections.get(key)
        if section is None:
            if key not in OPTIONAL:
                yield Part(key, heading, reading, missing=_why_missing(diagnosis, key))
            continue
        try:
            table = TABLES[key](section) if key in TABLES else None
            yield Part(key, heading, reading, _sentence(key, section), table if table and table.rows else None)
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise InputError(
                f"section {key!r} of the diagnosis {diagnosis.title!r} is not in its shape ({type(error).__name__}: "
                f"{error}); it should hold: {SECTIONS.get(key, 'rows, sentence')}."
            ) from error


def general_notes(diagnosis: Diagnosis) -> list[str]:
    """The notes that do not explain a missing section."""
    return [note for note in diagnosis.notes if note.split(":")[0] not in PARTS]


def at_a_glance(diagnosis: Diagnosis) -> list[tuple[str, str, str]]:
    """The few numbers one looks for first: name, value, what it is compared with."""

    def found(name: str) -> Mapping[str, Any]:
        section: Mapping[str, Any] = diagnosis.sections.get(name) or {}
        return section

    signs: list[tuple[str, str, str]] = []
    modes = regions.modes(found("signature")) if found("signature") else []
    if growths := [mode.multiplier for mode in modes if mode.state != "not converged"]:
        first, remaining = max(growths, key=abs), found("signature").get("remaining")
        name = "Fastest growth" if abs(first) > 1 else "Slowest decay"
        signs.append((name, growth_percent(abs(first)), f"per step, {regions.turning(first, 'step', remaining)}"))
    sharp = next((row for row in found("sharpness").get("rows", []) if row["name"] == "joint"), None)
    if sharp and sharp["ratio"] is not None:
        limit = f"of the limit: {number(sharp['value'])} of {number(sharp['limit'])}"
        signs.append(("Sharpness", f"{100 * sharp['ratio']:.0f}%", limit))
    if (share := found("interplay").get("rotation_share")) is not None:
        signs.append(("Rotation", f"{100 * share:.0f}%", "share of the Jacobian that only turns"))
    gains = [row for row in found("best_response").get("rows", []) if row["gain_held_out"] is not None]
    if gains:
        most = max(gains, key=lambda row: float(row["gain_held_out"]))
        signs.append(("Best response", number(most["gain_held_out"]), f"held-out gain of {most['player']}"))
    if (steps := found("horizon").get("steps")) is not None:
        least = "≥ " if found("horizon").get("reached") else ""
        signs.append(("Trust horizon", f"{least}{steps} step{'' if steps == 1 else 's'}", "beyond it no prediction"))
    for row in found("score").get("rows", [])[:1]:
        signs.append((str(row["name"]).capitalize(), number(row["value"]), str(row["sentence"])))
    return signs


def headline(diagnosis: Diagnosis) -> tuple[str, str]:
    """The verdict as a headline and what follows it: its first sentence, where that is short and not all there is."""
    first, stop, rest = diagnosis.verdict.partition(". ")
    return (first, rest) if stop and len(first.split()) <= 12 else (diagnosis.verdict, "")


def _sentence(key: str, section: Mapping[str, Any]) -> str:
    if key == "spectrum":
        kind = "All" if section["complete"] else f"{len(section['rows'])}"
        return (
            f"{section['verdict']['sentence']} {kind} eigenvalues, {section['products']} products; {section['metric']}."
        )
    if key == "samples":
        return f"{len(section['images'])} samples of {section['height']} × {section['width']} pixels."
    if key == "cost":
        return f"{number(section['gradients'])} gradient-equivalents and {number(section['seconds'])} seconds in all."
    return str(section.get("sentence", ""))


def _why_missing(diagnosis: Diagnosis, key: str) -> str:
    why = next((note for note in diagnosis.notes if note.startswith(f"{key}:")), "")
    return f"Not measured: {why.removeprefix(f'{key}:').strip()}" if why else "Not measured."
