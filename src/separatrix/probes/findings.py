"""From measurements to findings: each has a definition, a threshold, a source and a remedy.

All are relative: to the limit of the base in use, to the steps that remain (a mode is neutral while ``T |log |m|| < 1``),
and to the residuals. A healthy classifier and a well-regularised GAN raise none above ``note``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, isfinite, log, pi

from separatrix.dynamics import advise_half_life
from separatrix.probes.forecast import Forecast
from separatrix.probes.horizon import THRESHOLD, Horizon
from separatrix.probes.numbers import growth_percent, number
from separatrix.probes.record import Finding
from separatrix.probes.sharpness import Sharpness
from separatrix.probes.signature import Signature
from separatrix.probes.stability import Outlook

# Step times curvature over the base's limit, above which it is more than hovering at the edge.
BEYOND_LIMIT = 1.5
# Observed over forecast growth of a rotation, within which (and its inverse) the real method confirms it.
CONFIRMED = 0.5
# What a player may still gain by its own steps, as a share of its loss and the gain together.
BEST_RESPONSE_SHARE = 0.15


def turning(found: Signature, remaining: int) -> list[int]:
    """Modes that turn at least as fast as they grow, by less than a quarter turn a step, and grow; the fastest first.

    A mode that turns by more overshoots: that is the step's doing, see :func:`overshoot_findings`.
    """
    kept = []
    for i, m in enumerate(found.multipliers.tolist()):
        angle = abs(found.multipliers[i].angle().item())
        if not (m.imag > 0 and m.real > 0 and found.grows(i) and remaining * log(found.growth(i)) >= 1):
            continue
        if angle > 5 * float(found.residuals[i]) and angle >= log(abs(m)):
            kept.append(i)
    return sorted(kept, key=lambda i: -found.growth(i))


def rotation_findings(
    found: Signature, remaining: int, *, tried: Sequence[Forecast] | None = None, rows: Sequence[Outlook] = ()
) -> list[Finding]:
    """Modes of :func:`turning`: a warning where the real method grows along one as forecast, a note where it does not.

    Args:
        found: the signature.
        remaining: steps to go.
        tried: the forecasts made on the real method, these modes among them; ``None`` where none were made.
        rows: the stability table, for the remedy; the running method first.
    """
    modes = turning(found, remaining)
    if not modes:
        return []
    seen = {row.index: row for row in tried or () if row.steps}
    confirmed = [i for i in modes if i in seen and CONFIRMED <= _agreement(seen[i]) <= 1 / CONFIRMED]
    failed = [i for i in modes if i in seen and i not in confirmed]
    if not confirmed and failed:
        return [_unconfirmed(found, failed[0], seen[failed[0]])]
    top = (confirmed or modes)[0]
    growth = found.growth(top)
    average = advise_half_life([complex(found.multipliers[top]) ** (1 / found.steps)])
    aside = f" Where the mode turns faster within its {found.steps} steps, another one does." if found.steps > 1 else ""
    how = "it was not tried on the real method"
    if top in seen:
        how = f"tried on the real method, it grew by {_rate(seen[top], found):.2%}"
    return [
        Finding(
            "undamped-rotation",
            "warning",
            "Undamped rotation",
            f"A mode turns once in {_period(found, top):.0f} steps{found.caveat} and grows by {growth - 1:.2%} per step (|m| = {growth:.4f}, residual "
            f"{number(float(found.residuals[top]), 1)}; {how}): while the field stays as it is, the swing doubles every "
            f"{_doubling(growth)}. The players chase each other.",
            growth,
            1.0,
            "multiplier of the linear map of one period; neutral while T |log |m|| < 1 [mescheder2018, sec. 2]",
            f"Damp it: {PENALTY}, or consensus. {damping(rows)}".rstrip()
            + (f" What is scored can be an average meanwhile: {average.sentence}{aside}" if average.multiplier else ""),
        )
    ]


PENALTY = "a gradient penalty on the real data for the critic (R1, gamma about 1, or more of it if there is one)"


def damping(rows: Sequence[Outlook]) -> str:
    """What the stability table offers against growth at the present step: read off, not recommended from memory."""
    if not rows:
        return ""
    own = rows[0].safe_step
    lower = f" Learning rates at {own:.2g} of their values would do, too." if 0 < own < 1 else ""
    calm = [r for r in rows[1:] if r.growth <= 1 and r.safe_step >= 1]
    if not calm:
        return (
            "No scheme or momentum of the stability table keeps the measured modes bounded at the present step." + lower
        )
    best = min(calm, key=lambda r: r.growth_per_gradient)
    reach = f", and up to {best.safe_step:.2g} times it" if isfinite(best.safe_step) else ""
    return f"Of the stability table, {best.method} keeps the measured modes bounded at the present step{reach}." + lower


def _unconfirmed(found: Signature, i: int, row: Forecast) -> Finding:
    growth = found.growth(i)
    return Finding(
        "unconfirmed-rotation",
        "note",
        "A rotation whose growth the method does not show",
        f"The Jacobian has a mode that turns once in {_period(found, i):.0f} steps{found.caveat} and grows by {growth - 1:.2%} per step (|m| = "
        f"{growth:.4f}, residual {number(float(found.residuals[i]), 1)}), but the real method, set off along it by "
        f"{'one step length' if row.scale == 1 else f'{row.scale:g} step lengths'}, changed it by {_rate(row, found):+.2%} per step: the growth that was forecast is off by more than a factor of two.",
        _agreement(row),
        CONFIRMED,
        "forecast against fact over the trust horizon, docs/findings.md",
        "None yet: measure again later in the run, or measure the smooth twin of the network.",
    )


def _agreement(row: Forecast) -> float:
    """Observed over forecast growth."""
    return row.observed.real / row.predicted.real


def _rate(row: Forecast, found: Signature) -> float:
    return exp(row.observed.real / (row.steps * found.steps)) - 1


def _period(found: Signature, i: int) -> float:
    return 2 * pi / abs(float(found.multipliers[i].angle())) * found.steps


def _doubling(growth: float) -> str:
    steps = log(2) / log(growth)
    return "step or faster" if steps < 1 else f"{steps:.0f} steps" if steps >= 1.5 else "step or two"


def limit_findings(rows: Sequence[Sharpness], *, turns: bool = False) -> list[Finding]:
    """A player, or all together, well beyond the limit of its base.

    Args:
        rows: of :func:`separatrix.probes.sharpness`.
        turns: a rotation grows as well, which more momentum would feed.
    """
    over = [r for r in rows if r.ratio is not None and r.ratio > BEYOND_LIMIT and r.converged]
    if not over:
        return []
    worst = max(over, key=lambda r: r.ratio or 0.0)
    assert worst.ratio is not None
    who = "All players together" if worst.name == "joint" else f"Player {worst.name}"
    momentum = "" if turns else "; more momentum raises the limit of Adam's averaged kind"
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
            f"{1 / worst.ratio:.2g} of its value, or warm it up{momentum}.",
        )
    ]


def overshoot_findings(rows: Sequence[Outlook], remaining: int) -> list[Finding]:
    """The running method's step lies well beyond the range in which its measured modes stay bounded.

    Sharpness cannot see this where the players' coupling sets the limit, as in a bilinear game. Where no step is safe
    (``safe_step`` 0), or what grows most is a slow rotation (:func:`rotation_findings`), the step is not to blame.

    Args:
        rows: the stability table, the running method first.
        remaining: steps to go.
    """
    own = rows[0]
    if own.turns_slowly:
        return []
    beyond = 1 / own.safe_step if own.safe_step > 0 else 0.0
    if beyond <= BEYOND_LIMIT or remaining * log(max(own.growth, 1.0)) < 1:
        return []
    return [
        Finding(
            "step-beyond-limit",
            "warning",
            "The step is too large for the method",
            f"The running method ({own.method}) keeps its measured modes bounded up to {own.safe_step:.2g} of the present step; at the "
            f"present one a mode changes by {growth_percent(own.growth)} per step: {own.at_present}. What sets the limit: {own.limited_by}.",
            beyond,
            BEYOND_LIMIT,
            "largest safe step over the resolved modes; hovering near 1 is normal [cohen2022]",
            f"Lower all learning rates to about {own.safe_step:.2g} of their values. {damping([replace(own, safe_step=0.0), *rows[1:]])}",
        )
    ]


def growth_findings(found: Signature, remaining: int) -> list[Finding]:
    """Modes that grow more than they turn: normal while a network learns, a saddle at an equilibrium."""
    growing = []
    for i, m in enumerate(found.multipliers.tolist()):
        growth, angle = found.growth(i), abs(found.multipliers[i].angle().item())
        if m.real > 0 and found.grows(i) and angle < log(abs(m)):
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
    frozen critic gains much in healthy runs too. A single player that still gains is one that is still learning.
    """
    shares = []
    for row in rows:
        gain, loss = row["gain_train"], abs(losses[str(row["player"])])
        assert isinstance(gain, float)
        if not isfinite(gain):
            continue
        shares.append((gain / (loss + abs(gain)) if loss + abs(gain) > 0 else 0.0, gain, str(row["player"]), row))
    if len(shares) < 2:
        return []
    share, gain, player, row = min(shares)
    lagging = max(shares)[2]
    if share < BEST_RESPONSE_SHARE:
        return []
    held = row["gain_held_out"]
    beside = f" ({number(held)} on held-out data)" if isinstance(held, float) else ""
    return [
        Finding(
            "far-from-best-response",
            "warning",
            "Every player could still gain much alone",
            f"{player}, which gains least for the size of its loss, still lowers it by {number(gain)}{beside} in {row['steps']} own "
            f"steps with the others frozen ({share:.0%} of loss and gain): the players are far from an equilibrium and keep moving "
            "the target.",
            share,
            BEST_RESPONSE_SHARE,
            "k-step best response, sum over players is a duality gap [grnarova2019]",
            f"Give {lagging}, which could gain most, more steps or a larger rate, or regularise the critic (R1); measure again.",
        )
    ]
