"""Findings about losses with terms: objectives in conflict, and terms that the others drown."""

from __future__ import annotations

from math import isfinite

from separatrix.probes.evidence import Evidence
from separatrix.probes.numbers import number
from separatrix.probes.record import Finding
from separatrix.probes.trade_offs import TradeOffs
from separatrix.probes.update_shares import UpdateShares

# Term imbalance: length against the largest term with a gain alone; or the price of a gain alone.
DROWNED, DROWNED_GAIN, PRICE, PRICED_GAIN = 0.05, 0.05, 30.0, 0.2
# Conflict: what cancels, and what each would gain alone.
CANCELLED, CONFLICT_GAIN = 0.8, 0.2


def conflict(evidence: Evidence) -> list[Finding]:
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


def imbalance(evidence: Evidence) -> list[Finding]:
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
