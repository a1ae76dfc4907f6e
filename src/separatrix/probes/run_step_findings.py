"""Findings about how a run moves: steps beyond the limit, noise that decides where they go, undamped rotation."""

from __future__ import annotations

from math import inf, isfinite

from separatrix.probes.critical_step import SMALLEST
from separatrix.probes.evidence import Evidence
from separatrix.probes.numbers import growth_percent, number
from separatrix.probes.record import Finding

# The critical multiple of an update, and how much less a smaller rate would leave of a player's loss.
CRITICAL, SLOWER = 2 / 3, 0.5
# Noise: the spread over what is gained on average, and over the scale of the loss for own steps and for futures.
SPREAD, WORTH, PARTED = 0.4, 0.1, 0.3
# Rotation: what is left after a turn, and the share of the motion.
KEPT, MOTION = 0.6, 0.3


def beyond(evidence: Evidence) -> list[Finding]:
    found = []
    for player, noise in evidence.noise.items():
        left = {rate: noise.loss - gain for rate, gain in noise.slower.items() if isfinite(gain)}
        if not left:
            continue
        rate = min(left, key=lambda r: left[r])
        own = noise.loss - noise.potential
        # Measured against a player that says nothing: close to zero a loss halves at any rate.
        scale = max(abs(own), abs(noise.flat_loss) if isfinite(noise.flat_loss) else 0.0)
        better = 1.0 if own == inf else (own - left[rate]) / scale if scale > 0 else 0.0
        if better >= SLOWER:
            found.append((better, player, rate, own, left[rate]))
    if found:
        better, player, rate, own, less = max(found)
        return [
            Finding(
                "step-beyond-limit",
                "warning",
                "The step is too large",
                f"{player}: with the others standing still, {evidence.noise[player].steps} own steps on averaged gradients end at a loss of "
                f"{number(own)}; at {rate:g} times the learning rate they end at {number(less)}.",
                better,
                SLOWER,
                "own steps at smaller rates, docs/runs.md; hovering near the limit is normal [cohen2022]",
                f"Lower the learning rate of {player} to about {rate:g} of its value, or warm it up.",
            )
        ]
    # At the smallest multiple that is tried it rises from the start: no step along it is small enough, so the direction is at fault.
    rising = [c for c in evidence.critical_steps.values() if c.high < 1 and SMALLEST < c.value < CRITICAL]
    beyond = [c for c in rising if c.share_that_rise > 0.5]
    if not beyond:
        return []
    worst = min(beyond, key=lambda c: c.value)
    seen = evidence.noise.get(worst.player)
    if seen is None or seen.batches > 1:
        return []  # an update that follows the noise of its batch rises, too
    return [
        Finding(
            "step-beyond-limit",
            "warning",
            "The step is too large for the curvature",
            f"{worst.player}: its loss rises beyond {number(worst.value, 2)} times its update ({number(worst.low, 2)} to "
            f"{number(worst.high, 2)}), so {worst.share_that_rise:.0%} of its steps make its own loss worse.",
            worst.value,
            CRITICAL,
            "critical step, docs/runs.md; hovering near 1 is normal [cohen2021]",
            f"Lower the learning rate of {worst.player} to about {number(worst.value / 2, 1)} of its value.",
        )
    ]


def noisy(evidence: Evidence) -> list[Finding]:
    found = []
    for noise in evidence.noise.values():
        if noise.spread > 0 and noise.spread >= max(WORTH * noise.scale, SPREAD * noise.potential):
            found.append((noise.spread / noise.scale if noise.scale else inf, WORTH, noise.sentence))
    for seen in evidence.futures.values():
        if seen.spread > 0 and seen.spread >= max(PARTED * seen.scale, SPREAD * abs(seen.change)):
            found.append((seen.spread / seen.scale if seen.scale else inf, PARTED, seen.sentence))
    if not found:
        return []
    worth, threshold, sentence = max(found, key=lambda f: f[0] / f[1])
    return [
        Finding(
            "noise-dominated",
            "warning",
            "Noise decides where the steps go",
            sentence,
            worth,
            threshold,
            "own steps on single and averaged batches, and futures on other draws, docs/runs.md; noise scale [mccandlish2018]",
            "Larger batches, or a smaller learning rate, which averages over more of them; for score functions a baseline and more plays.",
        )
    ]


def rotation(evidence: Evidence) -> list[Finding]:
    turn = None if evidence.modes is None else evidence.modes.turning
    if turn is None or turn.kept < KEPT or turn.share[""] < MOTION:
        return []
    return [
        Finding(
            "undamped-rotation",
            "warning",
            "Undamped rotation",
            f"The run turns once in {number(turn.period)} ± {number(turn.period_stderr, 1)} steps and changes by {growth_percent(turn.growth)} "
            f"a step, so that {turn.kept:.0%} of a swing is left after a turn; {turn.share['']:.0%} of its motion is this. The players chase "
            "each other.",
            turn.kept,
            KEPT,
            "slow modes of the recorded run [colbrook2024]",
            "Damp it: a gradient penalty for the critic (R1), entropy for policies, consensus, or extragradient; less momentum and smaller "
            "steps slow the growth.",
        )
    ]
