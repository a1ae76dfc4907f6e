"""The words of a report, explained where they stand."""

from __future__ import annotations

import re

# The word as it is shown, what it is known by, and what it means.
WORDS: tuple[tuple[str, str, str], ...] = (
    (
        "multiplier m",
        r"multipl(?:ier|ied)|\|m\|",
        "the factor by which one step of the method, a turn of every player, multiplies a small displacement along a mode. It "
        "grows where |m| > 1; the angle of m is how far it turns.",
    ),
    (
        "neutral",
        r"\bneutral\b|T \|log",
        "over the T steps to go (--remaining) the mode changes by less than a factor e, T |log |m|| < 1: whether it grows or "
        "shrinks makes no difference within that time.",
    ),
    (
        "residual",
        r"\bresiduals?\b",
        "what is left of J y − λ y for the value and its vector of length 1, computed anew after the search. A value is exact for "
        "an operator that differs by so much; it counts as converged below a thousandth of its size.",
    ),
    (
        "preconditioned",
        r"precondition",
        "seen in the optimizer's own units: coordinate by coordinate the learning rate, for Adam over the root of its second "
        "moments. There plain descent is stable where |1 + h·λ| ≤ 1, whatever the optimizer.",
    ),
    (
        "linear picture, trust horizon",
        r"linear picture|trust horizon|linear model",
        "the field near this point replaced by its Jacobian; the horizon is the number of steps over which growth rates from it "
        "err by less than the threshold.",
    ),
    (
        "smooth twin",
        r"smooth twin",
        "the same network with a smooth activation (tanh, softplus) in place of ReLU, as zoo:digits-gan-smooth is to "
        "zoo:digits-gan. If its report says the same, the kinks of ReLU are not what made it.",
    ),
    (
        "twin runs",
        r"\btwin runs\b|\bthe twins\b|\btwins\b",
        "two runs with the same batches and noise that start a hair apart: sx.twins(run). No derivative is involved.",
    ),
    (
        "best response",
        r"best.response|duality gap",
        "what a player lowers its own loss by in steps of its own, the others frozen; summed over the players, a duality gap.",
    ),
    ("held-out", r"held-out", "on data that were never trained on."),
    ("R1", r"\bR1\b", "a penalty on the critic: gamma / 2 times the squared gradient of its output at the real data."),
    (
        "consensus",
        r"\bconsensus\b",
        "all players also descend gamma / 2 times the squared length of the field: sx.optim.Consensus.",
    ),
    (
        "extragradient",
        r"extragradient",
        "look one step ahead, then step with the direction found there, at twice the cost: sx.optim.Extragradient.",
    ),
    ("critic", r"\bcritic\b", "the player that judges samples: the discriminator of a GAN."),
    (
        "skill",
        r"\bskill\b",
        "one minus the error of the forecast over that of the forecast that nothing changes: 1 is perfect, 0 useless.",
    ),
    ("gradient-equivalent", r"gradient-equivalent|per gradient", "the cost of evaluating the whole field once."),
)


def explained(*texts: str) -> list[tuple[str, str]]:
    """The words that stand in the texts, with their meanings, in a fixed order.

    Example:
        >>> [word for word, _ in explained("The residual is small.", "|m| = 1: neutral")]
        ['multiplier m', 'neutral', 'residual']
    """
    text = "\n".join(texts)
    return [(word, meaning) for word, pattern, meaning in WORDS if re.search(pattern, text, re.IGNORECASE)]
