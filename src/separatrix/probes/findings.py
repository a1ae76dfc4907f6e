"""From measurements to findings: each has a definition, a threshold, a source and a remedy.

All are relative: to the limit of the base in use, to the steps that remain (a mode is neutral while ``T |log |m|| < 1``),
and to the residuals. A healthy classifier and a well-regularised GAN raise none above ``note``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, isfinite, log, pi

from separatrix.probes.horizon import THRESHOLD, Horizon
from separatrix.probes.numbers import number, times
from separatrix.probes.record import Finding
from separatrix.probes.sharpness import Sharpness
from separatrix.probes.signature import Signature
from separatrix.probes.stability import Outlook

# Step times curvature over the base's limit, above which it is more than hovering at the edge.
BEYOND_LIMIT = 1.5
# What a player may still gain by its own steps, as a share of its loss and the gain together.
BEST_RESPONSE_SHARE = 0.15


def rotation_findings(found: Signature, remaining: int) -> list[Finding]:
    """Modes that turn at least as fast as they grow, by less than a quarter turn a step, and grow.

    A mode that turns by more overshoots: that is the step's doing, see :func:`overshoot_findings`.
    """
    turning = []
    for i, m in enumerate(found.multipliers.tolist()):
        angle, growth, residual = abs(found.multipliers[i].angle().item()), abs(m), float(found.residuals[i])
        if m.imag > 0 and m.real > 0 and found.grows(i) and angle > 5 * residual and angle >= log(growth):
            turning.append((growth, angle, residual))
    if not turning:
        return []
    growth, angle, residual = max(turning)
    period = 2 * pi / angle
    change = remaining * log(growth)
    if change < 1:
        return []
    return [
        Finding(
            "undamped-rotation",
            "warning",
            "Undamped rotation",
            f"A mode turns once in {period:.0f} steps and grows by {growth - 1:.2%} per step (|m| = {growth:.4f}, residual "
            f"{number(residual, 1)}): such a swing would grow {_times(change)} within {remaining} steps if the field stayed as it is. The players chase each other.",
            growth,
            1.0,
            "multiplier of the linear map of one period; neutral while T |log |m|| < 1 [mescheder2018, sec. 2]",
            "Damp it: a gradient penalty on the real data for the critic (R1, gamma about 1), or consensus. Less momentum "
            "(beta1 = 0) and smaller steps slow the growth; extragradient damps it where the stability table allows its step.",
        )
    ]


def limit_findings(rows: Sequence[Sharpness], remaining: int) -> list[Finding]:
    """A player, or all together, well beyond the limit of its base."""
    over = [r for r in rows if r.ratio is not None and r.ratio > BEYOND_LIMIT and r.converged]
    if not over:
        return []
    worst = max(over, key=lambda r: r.ratio or 0.0)
    assert worst.ratio is not None
    who = "All players together" if worst.name == "joint" else f"Player {worst.name}"
    return [
        Finding(
            "step-beyond-limit",
            "warning",
            "The step is too large for the curvature",
            f"{who}: step times preconditioned curvature is {number(worst.value)} (residual {number(worst.residual, 1)}), "
            f"{worst.ratio:.1f} times the limit {worst.limit:.3g} of the base in use.",
            worst.ratio,
            BEYOND_LIMIT,
            "limit of the base on a quadratic; hovering near 1 is normal [cohen2022]",
            f"Lower the learning rate of {worst.name if worst.name != 'joint' else 'the sharpest player'} to about "
            f"{1 / worst.ratio:.2g} of its value, or warm it up; more momentum raises Adam's limit.",
        )
    ]


def overshoot_findings(own: Outlook, remaining: int) -> list[Finding]:
    """The running method's step lies well beyond the range in which its measured modes stay bounded.

    Sharpness cannot see this where the players' coupling sets the limit, as in a bilinear game. Where no step is safe
    (``safe_step`` 0), the step is not to blame.
    """
    beyond = 1 / own.safe_step if own.safe_step > 0 else 0.0
    if beyond <= BEYOND_LIMIT or remaining * log(max(own.growth, 1.0)) < 1:
        return []
    return [
        Finding(
            "step-beyond-limit",
            "warning",
            "The step is too large for the method",
            f"The running method ({own.method}) keeps its measured modes bounded up to {own.safe_step:.2g} of the present step; at the "
            f"present one a mode is multiplied by {number(own.growth)} per step. What sets the limit: {own.limited_by}.",
            beyond,
            BEYOND_LIMIT,
            "largest safe step over the resolved modes; hovering near 1 is normal [cohen2022]",
            f"Lower all learning rates to about {own.safe_step:.2g} of their values.",
        )
    ]


def growth_findings(found: Signature, remaining: int) -> list[Finding]:
    """Modes that grow more than they turn: normal while a network learns, a saddle at an equilibrium."""
    growing = []
    for i, m in enumerate(found.multipliers.tolist()):
        growth, angle = abs(m), abs(found.multipliers[i].angle().item())
        if m.real > 0 and found.grows(i) and angle < log(growth):
            growing.append((growth, float(found.residuals[i])))
    if not growing or remaining * log(max(growing)[0]) < 1:
        return []
    growth, residual = max(growing)
    return [
        Finding(
            "growing-mode",
            "note",
            "Directions that grow without turning",
            f"{'A measured mode grows' if len(growing) == 1 else f'{len(growing)} measured modes grow, the fastest'} by "
            f"{growth - 1:.2%} per step (residual {number(residual, 1)}). Away from an "
            "equilibrium this is what learning looks like; at a converged point it would be a saddle.",
            growth,
            1.0,
            "multiplier of the linear map of one period",
            "Nothing, while the score improves. If training has stalled, measure again later: a saddle keeps the mode.",
        )
    ]


def self_test_findings(messages: Sequence[str]) -> list[Finding]:
    """What the Jacobian's self-tests noticed."""
    titles = {
        "detached": ("warning", "The players' interaction is hidden"),
        "empty-cross-block": ("note", "A player does not feel another"),
        "not-a-gradient": ("note", "A player does not descend its own loss"),
        "discontinuous": ("note", "The field jumps"),
        "unchecked": ("note", "The Jacobian could not be checked"),
    }
    found = []
    for message in messages:
        code, _, text = message.partition(": ")
        severity, title = titles.get(code, ("note", code))
        remedy = (
            "Let both losses read one undetached fake; the gradients stay the same."
            if code == "detached"
            else "Read the spectrum with this in mind."
        )
        found.append(
            Finding(code, severity, title, text, source="self-tests of the Jacobian at its build", remedy=remedy)
        )
    return found


def horizon_findings(found: Horizon) -> list[Finding]:
    """The linear picture does not even hold for one step."""
    if found.steps > 0 or not found.curve:
        return []
    (_, error), unexplained, moved = found.errors[0], found.curve[0][1], found.drift[0][1]
    return [
        Finding(
            "no-horizon",
            "note",
            "One step is already beyond the linear picture",
            f"After a single step the Jacobian misses {unexplained:.0%} of the field's change and the preconditioner has drifted by "
            f"{moved:.0%}: the spectrum speaks of smaller perturbations than the steps taken (usual for piecewise-linear networks, "
            "large steps and the first steps of Adam).",
            error,
            THRESHOLD,
            "trust horizon, docs/findings.md",
            "Trust the best-response gains and the twins; compare with the smooth twin of the network.",
        )
    ]


def best_response_findings(rows: Sequence[dict[str, object]], losses: dict[str, float]) -> list[Finding]:
    """A player that could gain much by moving alone; the generator's side of it is reported but raises nothing.

    Only the player whose opponents' samples it judges (the one that gains least) is held to it: a player that fools a
    frozen critic gains much in healthy runs too.
    """
    shares = []
    for row in rows:
        gain, loss = row["gain_train"], abs(losses[str(row["player"])])
        assert isinstance(gain, float)
        if not isfinite(gain):
            continue
        shares.append((gain / (loss + abs(gain)) if loss + abs(gain) > 0 else 0.0, gain, str(row["player"]), row))
    if not shares:
        return []
    share, gain, player, row = min(shares)
    if share < BEST_RESPONSE_SHARE:
        return []
    held = row["gain_held_out"]
    beside = f" ({number(held)} on held-out data)" if isinstance(held, float) else ""
    return [
        Finding(
            "far-from-best-response",
            "warning",
            "Every player could still gain much alone",
            f"{player}, which gains least, still lowers its loss by {number(gain)}{beside} in {row['steps']} own steps with the others "
            f"frozen ({share:.0%} of its loss): the players are far from an equilibrium and keep moving the target.",
            share,
            BEST_RESPONSE_SHARE,
            "k-step best response, sum over players is a duality gap [grnarova2019]",
            "Give the lagging player more steps or a larger rate, or regularise the critic (R1); measure again.",
        )
    ]


def _times(change: float) -> str:
    return f"{times(exp(change))} times" if change < 12 else "without bound"
