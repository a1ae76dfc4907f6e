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
                      verdict {name, sentence}, complete, products, metric,
                      range? and pseudospectrum? as :mod:`separatrix.probes.surroundings` gives them, for the picture
    interplay         players, norms [[..]] and stderr [[..]] (row: on whom, column: of whom), rotation_share,
                      rotation_stderr, angle_deg?, sentence
    decomposition (optional)  potentialness {value?, stderr, balanced, balanced_stderr, least, most, scales? {player: unit}},
                      sentence
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
    evidence (optional)  rows [{name, step?, sentence}], sentence; a page that has it is about a run and names no missing parts
    along (optional)  rows [{name, first, last, low, high, count}], sentence
    slice             x, y, u and v (one row per y), path [[x, y]], point [x, y], x_label, y_label, sentence
    samples           images [[0..255, height x width x channels]], height, width, channels
    score             rows [{name, value, sentence}]
    cost              rows [{part, gradients, seconds}], gradients, seconds
    problem           flat: name to value, and known {fact: {value, source}}, in words (optional)
    method            scheme, period, bases {player: {kind, lr, ...}}, sentence
    reproduce         command, seed, versions {package: version}

A note that begins with a section's name and a colon says why that section is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from separatrix.errors import InputError
from separatrix.probes.numbers import number
from separatrix.probes.record import SECTIONS, Diagnosis
from separatrix.report.tables import TABLES, Table
from separatrix.report.words import explained

# In reading order: the heading, and how to read what stands below it.
PARTS: dict[str, tuple[str, str]] = {
    "signature": (
        "Signature",
        "Each mark is a mode: a direction in which a small displacement from this point grows, shrinks or turns. In the "
        "shaded region the running method damps it.",
    ),
    "spectrum": (
        "Spectrum",
        "Eigenvalues at several ends: largest, rightmost, fastest turning. Left of zero attracts, the imaginary part turns. "
        "Each carries its residual, computed anew after the search; what did not converge decides nothing.",
    ),
    "interplay": (
        "Interplay",
        "Who moves whom: each square's area is the norm of a block of the preconditioned Jacobian. Filled: a player's "
        "own curvature; hatched: what one player does to another.",
    ),
    "decomposition": (
        "Is it a gradient?",
        "The share of the squared Jacobian that a potential could make: 1 descends, 0 only turns. It depends on units, so "
        "the range over all units of the players stands beside it; one half is in reach where players act on each other.",
    ),
    "slice": (
        "A slice of the field",
        "The plane of one mode through the measured point, in the optimizer's units; streamlines show where the players would "
        "go. It is a projection: what happens in all other directions is not seen.",
    ),
    "sharpness": (
        "Sharpness",
        "Step size times curvature (positive = curved upwards) against the limit of the base in use. Hovering near the "
        "limit is normal for a healthy run.",
    ),
    "stability": (
        "Stability of methods",
        "The step sizes, as multiples of the present one, at which a method keeps the measured modes from growing, and what it "
        "does to them at the present step. Modes that grow in the flow itself, under every method, are left out.",
    ),
    "horizon": (
        "Trust horizon",
        "For how many steps the frozen Jacobian, and the frozen second moments of the optimizers, still explain how the "
        "field changes. Of what comes later this page predicts nothing.",
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
    "evidence": (
        "Evidence",
        "What was measured of the run without derivatives, in the words of each measurement.",
    ),
    "along": (
        "Along the run",
        "Each number of the monitor: where it began, where it is, and how far it went in between.",
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
OPTIONAL = frozenset({"twins", "decomposition", "evidence", "along"})
# What speaks of the players' interaction, and hence of nothing much where the losses hide it.
OF_THE_INTERACTION = frozenset(
    {"signature", "spectrum", "interplay", "decomposition", "slice", "stability", "forecast"}
)
NO_REASON = "not part of this measurement."
BRINGS_NONE = {
    "samples": "the problem brings no way to make them: sx.Problem(samples=...).",
    "score": "the problem brings none: sx.Problem(score=...).",
}
HIDDEN = (
    "The losses hide how each player's direction changes with the others (finding “{title}”): this is the field without "
    "those blocks, so rotation is missing from it."
)


@dataclass(frozen=True)
class Part:
    """One section of the report.

    Attributes:
        key: the section's name in the record.
        heading: its title.
        reading: how to read it, one or two sentences.
        sentence: its finding in words.
        table: its numbers; ``None`` where it has none.
        caveat: why it is not to be taken at its word; empty where it is.
        missing: why there is nothing, in one line; empty where there is something.
    """

    key: str
    heading: str
    reading: str
    sentence: str = ""
    table: Table | None = None
    caveat: str = ""
    missing: str = ""

    @property
    def words(self) -> list[tuple[str, str]]:
        """The words in it that want explaining."""
        heads = self.table.columns if self.table else ()
        return explained(self.heading, self.sentence, self.reading, *heads)


def parts(diagnosis: Diagnosis) -> Iterator[Part]:
    """The parts in reading order, missing ones included.

    Raises:
        InputError: a section lacks an entry that its shape asks for.
    """
    hidden = caveat(diagnosis)
    for key, (heading, reading) in PARTS.items():
        section = diagnosis.sections.get(key)
        if section is None:
            if key not in OPTIONAL and not diagnosis.sections.get("evidence"):
                yield Part(key, heading, reading, missing=_why_missing(diagnosis, key))
            continue
        try:
            table = TABLES[key](section) if key in TABLES else None
            doubt = hidden if key in OF_THE_INTERACTION else ""
            yield Part(key, heading, reading, _sentence(key, section), table if table and table.rows else None, doubt)
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise InputError(
                f"section {key!r} of the diagnosis {diagnosis.title!r} is not in its shape ({type(error).__name__}: "
                f"{error}); it should hold: {SECTIONS.get(key, 'rows, sentence')}."
            ) from error


def caveat(diagnosis: Diagnosis) -> str:
    """What limits all that is said of the interaction; empty where nothing does."""
    detached = next((f for f in diagnosis.findings if f.code == "detached"), None)
    return HIDDEN.format(title=detached.title) if detached else ""


def general_notes(diagnosis: Diagnosis) -> list[str]:
    """The caveat, and the notes that do not explain a missing section."""
    notes = [note for note in diagnosis.notes if note.split(":")[0] not in PARTS]
    return [*filter(None, [caveat(diagnosis)]), *notes]


def not_measured(found: Iterable[Part]) -> list[tuple[str, str]]:
    """Headings of the parts that are missing, those with one reason together, and the reason."""
    why: dict[str, list[str]] = {}
    for part in found:
        if part.missing:
            why.setdefault(part.missing, []).append(part.heading)
    # What has no reason comes last.
    return sorted(((", ".join(names), reason) for reason, names in why.items()), key=lambda pair: pair[1] == NO_REASON)


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
    return why.removeprefix(f"{key}:").strip() if why else BRINGS_NONE.get(key, NO_REASON)
