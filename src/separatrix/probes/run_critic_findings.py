"""Findings about a run's critic and the samples it judges: dead, overfitting, too weak, too strong; and collapsed modes."""

from __future__ import annotations

from separatrix.probes.evidence import Evidence
from separatrix.probes.numbers import number, with_error
from separatrix.probes.record import Finding

# A share of lost units, and of generated samples without slope.
DEAD = 0.9
# Overfitting: r_v, and the AUC of training against held-out samples.
OVERFIT, MEMORY = 0.4, 0.65
# What the critic's AUC would gain at a larger rate, of what it would not gain at its own.
WEAK = 0.2
# AUC, and the critic's loss over that of a flat critic.
STRONG, SATURATED = 0.98, 0.05
# Collapse: coverage over its baseline, and spread over that of the real samples.
COVERED, NARROW = 0.5, 0.5


def dead(evidence: Evidence) -> list[Finding]:
    found = evidence.critic
    if found is None:
        return []
    lost = {name: units.lost for name, units in found.units.items()}
    worst = max(lost, key=lambda name: lost[name], default="")
    value = max(found.flat, lost.get(worst, 0.0))
    if value < DEAD:
        return []
    what = (
        f"{lost[worst]:.0%} of the units of its layer {worst} are dead or saturated"
        if lost.get(worst, 0.0) >= DEAD
        else ""
    )
    flat = f"its score has no slope at {found.flat:.0%} of the generated samples" if found.flat >= DEAD else ""
    return [
        Finding(
            "critic-dead",
            "critical",
            "The critic is dead",
            f"The critic gives no gradient: {' and '.join(filter(None, (flat, what)))}.",
            value,
            DEAD,
            "slopes of the score in samples and units, docs/runs.md",
            "Start the critic again with a smaller learning rate, LeakyReLU in place of ReLU, and a usual initialisation; a gradient "
            "penalty keeps it alive.",
        )
    ]


def overfits(evidence: Evidence) -> list[Finding]:
    found = evidence.critic
    if (
        found is None
        or found.r_v is None
        or found.memory is None
        or found.r_v_stderr is None
        or found.memory_stderr is None
    ):
        return []
    if found.r_v - 2 * found.r_v_stderr < OVERFIT or found.memory - 2 * found.memory_stderr < MEMORY:
        return []
    return [
        Finding(
            "critic-overfits",
            "warning",
            "The critic remembers its training samples",
            f"r_v = {with_error(found.r_v, found.r_v_stderr)}: held-out samples are scored more like generated ones than like training "
            f"samples, which it ranks above them with {with_error(found.memory, found.memory_stderr)}.",
            found.r_v,
            OVERFIT,
            "r_v [karras2020ada]",
            "More data, augmentation of what the critic sees, a gradient penalty on the real samples, or a smaller critic.",
        )
    ]


def weak(evidence: Evidence) -> list[Finding]:
    room = evidence.room
    if room is None or 1.0 not in room.after:
        return []
    gain = room.best - max(room.before, room.after[1.0])
    if gain < WEAK or room.rate <= 1:
        return []
    return [
        Finding(
            "critic-too-weak",
            "warning",
            "The critic is too weak",
            f"It ranks a real sample above a generated one with {with_error(room.before, room.before_stderr)}. {room.steps} own steps would make "
            f"it {number(room.after[1.0], 2)} at its own rate, and {number(room.best, 2)} at {room.rate:g} times that: the generator descends the "
            "score of a critic that has not learnt.",
            gain,
            WEAK,
            "the critic's room, docs/runs.md",
            "Raise the critic's learning rate, give it several steps for each of the generator's, or weaken its regularisation.",
        )
    ]


def strong(evidence: Evidence) -> list[Finding]:
    room = evidence.room
    if room is None or room.flat_loss <= 0 or room.before - 2 * room.before_stderr < STRONG:
        return []
    share = room.loss / room.flat_loss
    if share > SATURATED:
        return []
    return [
        Finding(
            "critic-too-strong",
            "warning",
            "The critic is too strong",
            f"It ranks {with_error(room.before, room.before_stderr)} of the pairs of a real and a generated sample rightly, and its loss is "
            f"{number(100 * share, 2)}% of that of a critic that tells nothing apart: it has nothing left to learn, and its scores say little "
            "about which way to go.",
            share,
            SATURATED,
            "the critic's loss over that of a flat critic, docs/runs.md",
            "A gradient penalty (R1, gamma about 1), a smaller learning rate or fewer steps for the critic, or a larger one for the generator.",
        )
    ]


def collapse(evidence: Evidence) -> list[Finding]:
    cover = None if evidence.critic is None else evidence.critic.coverage
    if cover is None or cover.relative + 2 * cover.stderr > COVERED or cover.spread > NARROW:
        return []
    return [
        Finding(
            "mode-collapse",
            "warning",
            "The generator makes only a part of what there is",
            f"Generated samples cover {with_error(cover.value, cover.stderr)} of the real ones"
            + ("" if cover.baseline is None else f", other real ones {cover.baseline:.0%}")
            + f", and spread {cover.spread:.0%} as much.",
            cover.relative,
            COVERED,
            "coverage [naeem2020]",
            "Look at the causes above first. Else: check that the latents reach the output, a gradient penalty for the critic, or a critic that "
            "sees several samples at once.",
        )
    ]
