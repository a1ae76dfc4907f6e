"""One candidate on its model: range, growth, transient, noise, and the sentence that says why."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import torch

from separatrix.dynamics import Method
from separatrix.errors import ComputationError
from separatrix.fields import Field
from separatrix.probes.advice_row import Candidate, multiple
from separatrix.probes.advise_model import Model
from separatrix.probes.advise_noise import Draws, MeanSquare, mean_square
from separatrix.probes.advise_range import STILL, SafeSteps, Tried, safe_steps
from separatrix.probes.advise_slow import without_slow
from separatrix.probes.advise_transient import transient
from separatrix.probes.numbers import growth_percent, number
from separatrix.probes.second_moments import FORMED_UP_TO
from separatrix.probes.stability import ROUNDING, kind_of

# Steps tried for growth in mean square, over three decades below the limit of the mean; fewer in large models.
TRIED, TRIED_LARGE = 16, 6
# A transient growth is named from here on.
NAMED = 2.0


def predicted(
    name: str, method: Method, model: Model, field: Field, *, flow: Model, remaining: int, remedy: str = ""
) -> Candidate:
    """The row of a candidate.

    Args:
        name, method: as it is to be called, and what runs.
        model: of the field that it sees.
        field: for its cost.
        flow: the model of the field itself, which says whether the point attracts at all.
        remaining: steps that the transient is followed for.
        remedy: whose problem this is.
    """
    gradients = float("nan")
    try:
        method.scheme.check(field.players)
        if method.scheme.solves and method.scheme.linear and not model.exact:
            raise ComputationError("its solve mixes the resolved modes with those that are not")
        gradients = method.gradients(field)
        tried = model.tried(method, gradients)
        if tried is None:
            raise ComputationError(model.why_not)
        found = safe_steps(tried)
    except ComputationError as error:
        why = f"No prediction: {re.sub('^no prediction(?: for |: |, )', '', str(error))}"
        return Candidate(name, method, remedy, gradients, None, 0.0, None, None, None, False, _ended(why))
    noise, noisy_high = None, None
    if model.draws is not None and found.best is not None:
        found, noise, noisy_high = _with_noise(tried, found, model.draws)
    step = found.best
    passing = None if step is None else transient(tried, step, steps=remaining)
    attracts = step is not None and _leaves(flow) and _settles(tried, step)
    eps = torch.finfo(model.setting.x.dtype).eps
    residual = 0.0 if step is None else _residual(tried, step, found.slowest, eps)
    why = _why(tried, found, attracts, passing.value if passing else 1.0, noise, noisy_high)
    return Candidate(name, method, remedy, gradients, found, residual, passing, noise, noisy_high, attracts, why)


def _with_noise(tried: Tried, found: SafeSteps, draws: Draws) -> tuple[SafeSteps, MeanSquare, float]:
    """The best step in mean square among some, and the largest of them that contracts."""
    assert found.best is not None
    top = min(found.high, 10 * found.best)
    count = TRIED if tried.reduced.space.n <= FORMED_UP_TO else TRIED_LARGE
    steps = [s for s in np.geomspace(1e-3 * top, 0.999 * top, count).tolist() if s >= found.low]
    rows = [(mean_square(tried, draws, s, floor=False), s) for s in sorted([*steps, found.best])]
    contracting = [s for row, s in rows if row.growth < 1]
    if not contracting:
        return found, mean_square(tried, draws, found.best), 0.0
    best = min(rows, key=lambda pair: pair[0].growth)[1]
    noise = mean_square(tried, draws, best)
    slowest = tried.multipliers(best)
    found = replace(
        found,
        best=best,
        growth=tried.growth(best),
        slowest=complex(slowest[0]) if len(slowest) else None,
    )
    return found, noise, max(contracting, default=0.0)


def _leaves(flow: Model) -> bool:
    rates = flow.rates
    rates = rates[rates.abs().argsort()[flow.neutral :]]
    return bool(len(rates)) and float(rates.real.max()) > 1e-6 * float(rates.abs().max())


def _settles(tried: Tried, step: float) -> bool:
    """Whether all modes contract that are not too slow to count, those that grow in the flow too."""
    values = without_slow(tried.all_multipliers(step), tried.paces, step)
    return bool(len(values)) and float(values.abs().max()) < 1 - ROUNDING


def _residual(tried: Tried, step: float, decisive: complex | None, eps: float) -> float:
    """Of the multiplier that decides, read along its left vector: rounding of the products, and what leaves the model in a period."""
    if decisive is None:
        return 0.0
    bases = tried.at(step)
    period = tried.reduced.period(tried.scheme, bases).to(torch.complex128)
    values, vectors = torch.linalg.eig(period.T)
    i = int((values - decisive).abs().argmin())
    y = vectors[:, i : i + 1]
    rounding = float((period.T @ y - values[i] * y).norm()) + eps * float(period.norm())
    return rounding + (0.0 if tried.reduced.exact else float(tried.reduced._leak(y, bases, tried.scheme, period)[0]))


def _why(
    tried: Tried,
    found: SafeSteps,
    attracts: bool,
    passing: float,
    noise: MeanSquare | None,
    noisy_high: float | None,
) -> str:
    if found.best is None:
        kind = "a mode" if found.limiting is None or not found.limiting.imag else "a rotation"
        now = "" if found.slowest is None else f"; at the present step {growth_percent(found.present)} per gradient"
        return f"No step is safe: {kind} grows at every step size{now}."
    if found.slowest is None:
        what = (
            "what moves in the steps that remain grows in the flow itself"
            if len(tried.growing)
            else "nothing moves in the steps that remain"
        )
        return f"No mode counts: {what}."
    slow = _turning(found.slowest)
    if found.growth > 1 - STILL:
        text = f"Bounded and no more: {slow} neither grows nor fades"
    else:
        rate = growth_percent(found.growth).lstrip("−")
        text = f"{'Contracts' if noise is None else 'The mean contracts'} by {rate} per gradient at {multiple(found.best)} times the present step; the slowest is {slow}"
        if not np.isfinite(found.high):
            text += ", and longer steps are safe, too"
    if np.isfinite(found.high) and found.limiting is not None:
        text += f". Beyond {multiple(found.high)} times, {kind_of(found.limiting)} takes over"
    if found.unresolved:
        text += f". Beyond {multiple(found.high)} times the model does not resolve its modes, and nothing is known"
    if found.low > 0:
        text += (
            f". Just below {multiple(found.low)} times it grows, and far shorter steps are safe again"
            if found.short
            else f". Below {multiple(found.low)} times it grows: small steps are not safe"
        )
    if found.edge is not None:
        text += f". {_edge(tried, found, found.edge)}"
    if attracts:
        text += ". It settles at a point that the flow itself leaves: make sure that this is wanted"
    if passing >= NAMED:
        text += f". On the way a difference grows {multiple(passing)}-fold before it fades"
    if noise is not None:
        if noise.growth >= 1:
            text += ". With minibatch noise no step that was tried contracts in mean square"
        else:
            text += (
                f". With minibatch noise it contracts in mean square up to {multiple(noisy_high or 0.0)} times, and stays about "
                f"{number(noise.floor)} from rest"
            )
    return text + "."


def _edge(tried: Tried, found: SafeSteps, edge: float) -> str:
    """How near the border is, and what a step well inside does."""
    assert found.best is not None
    text = f"This best step is {abs(edge / found.best - 1):.1%} from the border"
    inside = found.best / 2 if edge == found.high else found.best * 2
    if not found.low <= inside <= found.high:
        return text
    return f"{text}; at {multiple(inside)} times the change of the mean is {growth_percent(tried.growth(inside))} per gradient"


def _turning(m: complex) -> str:
    if abs(m.imag) > 1e-6 * abs(m):
        return f"a rotation of {abs(np.angle(m)):.2g} rad a period"
    return "an overshooting mode" if m.real < 0 else "a mode that does not turn"


def _ended(text: str) -> str:
    return text.rstrip(".") + "."
