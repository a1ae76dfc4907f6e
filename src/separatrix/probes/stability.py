"""What the running method and its alternatives do to the resolved modes: growth, and the range of safe steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from separatrix.dynamics.bases import Frozen
from separatrix.dynamics.linear_period import multipliers
from separatrix.dynamics.modes import Mode
from separatrix.dynamics.schemes import Alternating, Extragradient, Scheme, Simultaneous, in_words
from separatrix.errors import ComputationError
from separatrix.fields import Field
from separatrix.probes.numbers import times
from separatrix.probes.reduced import Reduced

# A multiplier counts as growing above this; rounding of small eigenvalue problems stays below.
ROUNDING = 1e-10
# Steps tried, as multiples of 1 / (largest |h lambda|); the search ends at the first unsafe one beyond a safe one. Below the
# smallest, the growth of a pure rotation, half its square, comes near ROUNDING.
SCAN = np.geomspace(1e-4, 1e4, 97)


@dataclass(frozen=True)
class Outlook:
    """What one method does at the present step, and how far the step can go.

    Attributes:
        method: name with the momentum.
        growth: largest ``|m|`` per period among the resolved modes that do not grow in the flow itself.
        gradients: gradient-equivalents of a period.
        growth_per_gradient: ``growth ** (1 / gradients)``.
        safe_step: the largest multiple of the present step up to which all those modes stay bounded; 0 where none is
            down to 1e-4 of the inverse of the largest ``|h lambda|``, infinity where no limit was found.
        min_step: the smallest such multiple, where small steps are unsafe.
        limiting: the multiplier that leaves the unit disc just above ``safe_step``.
        running: this is the method that runs.
        largest: the multiplier with modulus ``growth``, at the present step.
        unresolved: beyond ``safe_step`` the small model no longer holds the modes; none of those it holds grows there.
    """

    method: str
    growth: float
    gradients: float
    safe_step: float
    min_step: float | None
    limiting: complex | None
    running: bool = False
    largest: complex | None = None
    unresolved: bool = False

    @property
    def growth_per_gradient(self) -> float:
        return float(self.growth ** (1 / self.gradients))

    @property
    def limited_by(self) -> str:
        """What sets the limit, in words."""
        if self.limiting is None:
            return "what the small model does not resolve" if self.unresolved else "no limit found"
        m = self.limiting
        if self.safe_step > 0:
            return kind_of(m)
        always = "a rotation that grows at every step size" if m.imag else "a mode that grows at every step size"
        if self.largest is not None and self.largest.real < 0:
            return f"{always}; at the present step, {kind_of(self.largest)}"
        return always

    @property
    def turns_slowly(self) -> bool:
        """Whether the largest multiplier at the present step turns, by less than a quarter turn a step."""
        m = self.largest
        return m is not None and m.real > 0 and abs(m.imag) > 1e-6 * abs(m)

    @property
    def at_present(self) -> str:
        """What the largest multiplier at the present step is, in words."""
        return "no mode was resolved" if self.largest is None else kind_of(self.largest)


def kind_of(m: complex) -> str:
    """What a multiplier is in words; one that turns by more than a quarter turn overshoots."""
    if abs(m.imag) <= 1e-6 * abs(m):
        return "overshooting of a stiff mode" if m.real < 0 else "a mode that grows without turning"
    turn = f"a rotation of {abs(np.angle(m)):.2g} rad per step"
    return f"overshooting, {turn}" if m.real < 0 else turn


def outlooks(
    reduced: Reduced, frozen: Mapping[str, Frozen], running: Scheme, field: Field, gradients: float
) -> list[Outlook]:
    """The running method first, then simultaneous, alternating and extragradient with the same momentum and with none.

    Args:
        reduced: the small model, in the optimiser's metric.
        frozen: the bases that run.
        running: the scheme that runs.
        field: for the cost of alternatives.
        gradients: of one period of the running method.
    """
    own = unit_bases(frozen)
    bare = {p: replace(b, mode=Mode("none", decay=b.mode.decay)) for p, b in own.items()}
    order = running.order if isinstance(running, Alternating) else ()
    rows = [outlook(reduced, running, own, gradients, name=describe(running, own), running=True)]
    whole, half = field.share(), sum(field.share([p]) for p in field.players)
    for scheme, cost in ((Simultaneous(), whole), (Alternating(order), half), (Extragradient(), 2 * whole)):
        for bases in (own, bare):
            name = describe(scheme, bases)
            if all(row.method != name for row in rows):
                rows.append(outlook(reduced, scheme, bases, cost, name=name))
    return rows


def outlook(
    reduced: Reduced,
    scheme: Scheme,
    bases: Mapping[str, Frozen],
    gradients: float,
    *,
    name: str = "",
    running: bool = False,
) -> Outlook:
    """Growth at the present step, and the range of safe steps by scan and bisection.

    Modes that grow in the flow itself (:func:`growth_rates`) are left out: no step size mends those. With lazy terms a step
    counts as safe only where the small model still resolves what it resolves at the smallest.

    Raises:
        ComputationError: the scheme has no linear map, or lazy terms under which the model does not resolve the present step.
    """
    loose = bool(scheme.lazy_terms) and not reduced.exact

    def resolved(step: float) -> int:
        return len(reduced.multipliers(scheme, {p: b.times(step) for p, b in bases.items()})) if loose else 0

    def growth(step: float) -> float:
        kept = kept_multipliers(reduced, scheme, bases, step)
        return float(kept[0].abs()) ** (1 / scheme.cycle) if len(kept) else 1.0

    def safe(step: float) -> bool:
        return growth(step) <= 1 + ROUNDING and (not loose or resolved(step) >= seen)

    scale = float(torch.linalg.eigvals(reduced.matrix).abs().max()) if reduced.space.n else 0.0
    if scale == 0.0:
        return Outlook(name, 1.0, gradients, float("inf"), None, None, running)
    steps = SCAN / scale
    seen = resolved(float(steps[0]))
    if loose and resolved(1.0) < max(seen, 1):
        raise ComputationError(
            f"no prediction for {name or scheme.name}: its strong steps mix the modes of the small model with others; the "
            "signature has the multipliers of the real period, and simulate, train and twins what they come to."
        )
    low, high, limiting, unresolved = None, float("inf"), None, False
    first = next((i for i, s in enumerate(steps) if safe(float(s))), None)
    if first is None:
        high = 0.0
    else:
        if first > 0:
            low = bisect(lambda s: not safe(s), float(steps[first - 1]), float(steps[first]))
        last = next((i for i in range(first + 1, len(steps)) if not safe(float(steps[i]))), None)
        if last is not None:
            high = bisect(safe, float(steps[last - 1]), float(steps[last]))
    if np.isfinite(high):
        above = kept_multipliers(reduced, scheme, bases, max(high, float(steps[0])) * (1 + 1e-6))
        limiting = complex(above[0]) if len(above) else None
        unresolved = loose and (limiting is None or abs(limiting) <= 1 + ROUNDING)
        limiting = None if unresolved else limiting
    now = kept_multipliers(reduced, scheme, bases, 1.0)
    largest = complex(now[0]) if len(now) else None
    return Outlook(name, growth(1.0), gradients, high, low, limiting, running, largest, unresolved)


def kept_multipliers(reduced: Reduced, scheme: Scheme, bases: Mapping[str, Frozen], step: float) -> Tensor:
    """The resolved multipliers at a multiple of the present step, without those of modes that grow in the flow itself."""
    values = reduced.multipliers(scheme, {p: b.times(step) for p, b in bases.items()})
    return without_growing(values, growth_rates(reduced), scheme, bases, step)


def without_growing(values: Tensor, rates: Tensor, scheme: Scheme, bases: Mapping[str, Frozen], step: float) -> Tensor:
    """The multipliers that are left when every growing mode has taken one at most.

    It is the nearest that grows more than it turns, at a rate within half of what the mode gives, in all its moves of the
    period, to a player that is alone with it.

    Args:
        values: multipliers of a period.
        rates: ``h lambda`` of the modes that grow, from :func:`growth_rates`.
        scheme, bases, step: what the period is of.
    """
    if not len(rates):
        return values
    z = step * rates.sort(descending=True).values.numpy()
    if scheme.uniform and not isinstance(scheme, Simultaneous):
        modes = {b.mode for b in bases.values()}
        alone = [multipliers(scheme, torch.from_numpy(z), m, step=step)[:, 0].abs().log().numpy() for m in modes]
    else:
        moves = scheme.moves(list(bases)) if isinstance(scheme, Alternating) else list(bases)
        alone = [scheme.cycle * moves.count(p) * np.log(b.mode.growth(z)) for p, b in bases.items()]
    expected = np.maximum(np.array(alone), 1e-12)  # a decay may outweigh the mode
    growth = values.abs().log().numpy()
    gaps = (np.abs(growth - expected[..., None]) / expected[..., None]).min(axis=0)  # (rates, values)
    free = (np.abs(values.angle().numpy()) <= growth) & (growth > 0) & (values.real.numpy() > 0)
    keep = np.ones(len(values), dtype=bool)
    for row in gaps:
        gap = np.where(free, row, np.inf)
        if len(gap) and gap.min() <= 0.5:
            keep[gap.argmin()] = free[gap.argmin()] = False
    return values[torch.from_numpy(keep)]


def growth_rates(reduced: Reduced, *, above: float = 0.0) -> Tensor:
    """Real parts of the eigenvalues ``h lambda`` that grow more than they turn: in the flow itself, under every method.

    Args:
        reduced: the small model.
        above: ``|h lambda|`` from which on a mode is not too slow to be asked about.
    """
    rates = torch.linalg.eigvals(reduced.matrix)
    growing: Tensor = rates.real[(rates.real > 1e-12) & (rates.imag.abs() <= rates.real) & (rates.abs() > above)]
    return growing


def bisect(holds: Callable[[float], bool], inside: float, outside: float, tol: float = 1e-9) -> float:
    """The border between ``inside``, where ``holds`` is true, and ``outside``, where it is not."""
    while outside / inside - 1 > tol:
        middle = inside**0.5 * outside**0.5  # the product itself may overflow or vanish
        inside, outside = (middle, outside) if holds(middle) else (inside, middle)
    return inside


def unit_bases(frozen: Mapping[str, Frozen]) -> dict[str, Frozen]:
    """The bases in the optimiser's metric, where the scale is 1 and coupled decay is in the operator."""
    return {p: replace(b, scale=1.0, coupled_decay=0.0, buffer=None, imaginary=None) for p, b in frozen.items()}


def with_momentum(bases: Mapping[str, Frozen], momentum: float) -> dict[str, Frozen]:
    """The same bases with another momentum of the same kind."""
    return {p: replace(b, mode=replace(b.mode, momentum=momentum)) for p, b in bases.items()}


def describe(scheme: Scheme, bases: Mapping[str, Frozen]) -> str:
    """``alternating, momentum 0.5``."""
    momenta = sorted({b.mode.momentum if b.mode.kind != "none" else 0.0 for b in bases.values()})
    text = " / ".join(f"{m:g}" for m in momenta)
    name = scheme.name
    if isinstance(scheme, Alternating) and scheme.repeats:
        name += " " + ", ".join(f"{p} x{k}" for p, k in scheme.repeats.items())
    if scheme.lazy_terms:
        name += f", {in_words(scheme.lazy_terms)}"
    return f"{name}, momentum {text}" if momenta != [0.0] else f"{name}, no momentum"


def stability_section(rows: Sequence[Outlook], reduced: Reduced) -> dict[str, object]:
    """The record's section.

    Methods are ranked only where every mode is known or one that grows decides: the slow modes that set a contraction are
    the ones that a few outliers do not show.
    """

    def finite(value: float | None) -> float | None:
        return None if value is None or not np.isfinite(value) else value

    best = min(rows, key=lambda r: r.growth_per_gradient)
    own = rows[0]
    if own.safe_step == 0:
        limit = "no step size keeps its resolved modes bounded"
    elif not np.isfinite(own.safe_step):
        limit = "no limit of its step was found"
    elif own.safe_step >= 1:
        limit = f"its step could grow {times(own.safe_step)} times before {own.limited_by} takes over"
    else:
        limit = f"its step is {times(1 / own.safe_step)} times too large for {own.limited_by}"
    sentence = f"The running method ({own.method}): {limit}."
    ranked = reduced.exact or own.growth > 1
    if ranked and best is not own and best.growth_per_gradient < own.growth_per_gradient - 1e-6:
        sentence += (
            f" At the present step {best.method} would do best per gradient "
            f"({best.growth_per_gradient:.5f} against {own.growth_per_gradient:.5f})."
        )
    if not reduced.exact:
        sentence += " All this is about the resolved modes: slower ones may contract less than the table says."
    if len(growth_rates(reduced)):
        sentence += " Modes that grow in the flow itself, under every method, are left out."
    return {
        "rows": [
            {
                "method": r.method,
                "safe_step": finite(r.safe_step),
                "min_step": finite(r.min_step),
                "growth": r.growth,
                "growth_per_gradient": r.growth_per_gradient,
                "gradients": r.gradients,
                "limited_by": r.limited_by,
                "running": r.running,
            }
            for r in rows
        ],
        "sentence": sentence,
    }
