"""From the evidence about a run to findings: each has a definition, a threshold, a source and a remedy (``docs/runs.md``).

None needs second derivatives. Causes come before their symptoms: a step that is far too long also kills units and collapses
modes, so it is named first. Healthy runs are the negative controls of every finding.
"""

from __future__ import annotations

from math import inf, isfinite

from separatrix.probes.evidence import Evidence
from separatrix.probes.numbers import growth_percent, number, with_error
from separatrix.probes.record import Finding
from separatrix.probes.trade_offs import TradeOffs
from separatrix.probes.update_shares import UpdateShares

# A share of lost units, and of generated samples without slope.
DEAD = 0.9
# The critical multiple of an update, and how much less a smaller rate would leave of a player's loss.
CRITICAL, SLOWER = 2 / 3, 0.5
# Overfitting: r_v, and the AUC of training against held-out samples.
OVERFIT, MEMORY = 0.4, 0.65
# What the critic's AUC would gain at a larger rate, of what it would not gain at its own.
WEAK = 0.2
# AUC, and the critic's loss over that of a flat critic.
STRONG, SATURATED = 0.98, 0.05
# Term imbalance: length against the largest term with a gain alone; or the price of a gain alone.
DROWNED, DROWNED_GAIN, PRICE, PRICED_GAIN = 0.05, 0.05, 30.0, 0.2
# Conflict: what cancels, and what each would gain alone.
CANCELLED, CONFLICT_GAIN = 0.8, 0.2
# Noise: the spread of gains over what averaged gradients gain, where that is worth something.
SPREAD, WORTH = 0.4, 0.1
# Collapse: coverage over its baseline, and spread over that of the real samples.
COVERED, NARROW = 0.5, 0.5
# Rotation: what is left after a turn, and the share of the motion.
KEPT, MOTION = 0.6, 0.3


def findings_of(evidence: Evidence) -> list[Finding]:
    """All findings, causes before symptoms."""
    return [
        *_dead(evidence),
        *_beyond(evidence),
        *_overfits(evidence),
        *_weak(evidence),
        *_strong(evidence),
        *_conflict(evidence),
        *_imbalance(evidence),
        *_noise(evidence),
        *_collapse(evidence),
        *_rotation(evidence),
    ]


def _dead(evidence: Evidence) -> list[Finding]:
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


def _beyond(evidence: Evidence) -> list[Finding]:
    found = []
    for player, noise in evidence.noise.items():
        own = noise.loss - noise.potential
        left = {rate: noise.loss - gain for rate, gain in noise.slower.items() if isfinite(gain)}
        rate = min(left, key=lambda r: left[r], default=1.0)
        better = (own - left[rate]) / abs(own) if left and own != 0 else 0.0
        if better == better and (better >= SLOWER or own == inf):
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
    beyond = [
        c for c in evidence.critical_steps.values() if c.high < 1 and c.value < CRITICAL and c.share_that_rise > 0.5
    ]
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


def _overfits(evidence: Evidence) -> list[Finding]:
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


def _weak(evidence: Evidence) -> list[Finding]:
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


def _strong(evidence: Evidence) -> list[Finding]:
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


def _conflict(evidence: Evidence) -> list[Finding]:
    found = []
    for player, trade in evidence.trade_offs.items():
        shares = evidence.shares.get(player)
        if shares is None or shares.cancelled < CANCELLED:
            continue
        names = list(trade.values)
        total = abs(sum(trade.values.values()))
        for i, first in enumerate(names):
            for second in names[:i]:
                gains = trade.gain(first), trade.gain(second)
                costs = trade.changes[first][second], trade.changes[second][first]
                if min(gains) >= CONFLICT_GAIN and min(costs) >= CONFLICT_GAIN * total:
                    found.append((shares.cancelled, player, first, second, gains))
    if not found:
        return []
    cancelled, player, first, second, gains = max(found)
    return [
        Finding(
            "conflicting-objectives",
            "warning",
            "Two objectives pull against each other",
            f"{player}: {cancelled:.0%} of the gradients of its terms cancel. Alone, {first} would lose {gains[0]:.0%} of its value and "
            f"{second} {gains[1]:.0%}, each at the other's cost.",
            cancelled,
            CANCELLED,
            "trade-offs in the optimizer's metric, docs/runs.md",
            f"Check that {first} and {second} can be met together (data, signs, units). If they can only be traded, choose their weights on "
            "purpose, or give each parameters of its own.",
        )
    ]


def _imbalance(evidence: Evidence) -> list[Finding]:
    found = []
    for player, trade in evidence.trade_offs.items():
        shares = evidence.shares.get(player)
        if shares is None:
            continue
        for term in trade.values:
            reason = _drowned(term, shares, trade)
            if reason:
                found.append((trade.gain(term), player, term, reason))
    if not found:
        return []
    gain, player, term, reason = max(found)
    share = evidence.shares[player].terms[term]
    return [
        Finding(
            "term-imbalance",
            "warning",
            "A term of the loss is drowned by the others",
            f"{player}: {term} supplies {share.share:.1%} of the update, though alone it would lose {gain:.0%} of its value within "
            f"{evidence.trade_offs[player].steps} steps; {reason}.",
            share.share,
            DROWNED,
            "update shares in the optimizer's metric, and trade-offs, docs/runs.md",
            f"Raise the weight of {term}, or lower those of the others, until it supplies a few per cent of the update; weigh terms by their "
            "gradients, not by their values.",
        )
    ]


def _drowned(term: str, shares: UpdateShares, trade: TradeOffs) -> str:
    gain = trade.gain(term)
    length = shares.terms[term].length
    if length < DROWNED and gain >= DROWNED_GAIN:
        return f"its gradient is {length:.1%} as long as that of the strongest term"
    if gain < PRICED_GAIN or shares.terms[term].share > 0.2:
        return ""
    cost = sum(max(change, 0.0) for other, change in trade.changes[term].items() if other != term)
    price = cost / (gain * abs(trade.values[term])) if trade.values[term] else 0.0
    return f"the others would lose {number(price)} times as much" if isfinite(price) and price >= PRICE else ""


def _noise(evidence: Evidence) -> list[Finding]:
    found = []
    for player, noise in evidence.noise.items():
        worth = noise.potential / (abs(noise.loss) + abs(noise.potential)) if noise.potential > 0 else 0.0
        if worth >= WORTH and noise.spread >= SPREAD * noise.potential:
            found.append((noise.spread / noise.potential, player))
    if not found:
        return []
    ratio, player = max(found)
    noise = evidence.noise[player]
    return [
        Finding(
            "noise-dominated",
            "warning",
            "Noise decides where the steps go",
            f"{player}: {noise.steps} own steps on averaged gradients gain {number(noise.potential)}; on single batches they gain "
            f"{number(noise.mean)} with a spread of {number(noise.spread, 2)}.",
            ratio,
            SPREAD,
            "own steps on single and averaged batches, docs/runs.md; noise scale [mccandlish2018]",
            f"Larger batches or fewer and averaged steps: noise equals signal at {number(noise.batches, 2)} batches. For score functions a "
            "baseline; a smaller learning rate averages over more batches.",
        )
    ]


def _collapse(evidence: Evidence) -> list[Finding]:
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


def _rotation(evidence: Evidence) -> list[Finding]:
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
