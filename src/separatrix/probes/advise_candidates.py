"""The methods that are tried where nobody names any: compositions around the method that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import pi

from separatrix.dynamics import (
    SGD,
    Adam,
    Alternating,
    Base,
    Competitive,
    ComplexMomentum,
    Consensus,
    CurvatureClipped,
    Extragradient,
    ExtragradientPlus,
    Frozen,
    Lookahead,
    Method,
    Optimistic,
    Proximal,
    RMSprop,
    RungeKutta,
    Scheme,
    Simultaneous,
    SymplecticAdjustment,
)
from separatrix.dynamics.continued import Continued
from separatrix.dynamics.schemes import in_words
from separatrix.dynamics.wrapped import WrappedBase
from separatrix.fields import Space

# Beyond so many coordinates the proximal step, a solve with the whole Jacobian within Newton's method, is left out.
PROXIMAL_UP_TO = 32


def standard_candidates(own: Method, space: Space, *, turn: float, transforms: bool) -> dict[str, Method]:
    """Schemes with the momentum that runs and with none; momenta made for games over SGD; transforms.

    Args:
        own: the method that runs; it stands first.
        space: whose players take part.
        turn: the largest ``|Im lambda|`` of the field, per unit of the step sizes' time: consensus damps with
            ``gamma = 1 / turn``, as fast as the field turns there.
        transforms: try consensus and the symplectic adjustment, which need a Jacobian of their own.
    """
    players = space.players
    bases = own.bases_for(players)
    bare = {p: without_momentum(b) for p, b in bases.items()}
    found = {method_name(own, players): own}

    def add(scheme: Scheme, with_bases: Mapping[str, Base], *more: object) -> None:
        method = Method(with_bases, scheme, (*own.transforms, *more))  # type: ignore[arg-type]
        found.setdefault(method_name(method, players), method)

    alternating = own.scheme if isinstance(own.scheme, Alternating) else Alternating()
    several = len(players) > 1
    for chosen in (bases, bare):
        add(Simultaneous(), chosen)
        if several:
            add(alternating, chosen)
        add(Extragradient(), chosen)
        add(Optimistic(), chosen)
        add(Lookahead(alternating if several else Simultaneous()), chosen)
    add(ExtragradientPlus(), bare)
    add(RungeKutta(4), bare)
    if all(isinstance(b, SGD) for b in bases.values()):
        add(Simultaneous(), {p: ComplexMomentum(b.lr, 0.7, pi / 4) for p, b in bases.items()})
        if several:
            add(alternating, {p: replace(b, momentum=-0.5) for p, b in bare.items() if isinstance(b, SGD)})
    if several and not space.shared:
        add(Competitive(), bare)
        if space.n <= PROXIMAL_UP_TO:
            add(Proximal(), bare)
        add(CurvatureClipped(), bare)
    if transforms and turn > 0:
        add(Simultaneous(), bare, Consensus(float(f"{1 / turn:.2g}")))
        add(Simultaneous(), bare, SymplecticAdjustment(float(f"{1 / turn:.2g}")))
    return found


def method_name(method: Method, players: tuple[str, ...]) -> str:
    """``alternating, momentum 0.5``; transforms stand before the scheme."""
    momenta = sorted({momentum_of(b) for b in method.bases_for(players).values()})
    scheme = method.scheme
    name = scheme.name
    if isinstance(scheme, Alternating) and scheme.repeats:
        name += " " + ", ".join(f"{p} x{k}" for p, k in scheme.repeats.items())
    if scheme.lazy_terms:
        name += f", {in_words(scheme.lazy_terms)}"
    if isinstance(scheme, Lookahead):
        name += f" over {scheme.inner.name}"
    parts = [_transform_name(t) for t in method.transforms]
    parts.append(name)
    if momenta not in ([""], ["0"]):
        parts.append(f"momentum {' / '.join(m for m in momenta if m)}")
    else:
        parts.append("no momentum" if momenta == ["0"] else "")
    return ", ".join(filter(None, parts))


def _transform_name(transform: object) -> str:
    if isinstance(transform, Consensus):
        return f"consensus {transform.gamma:g}"
    if isinstance(transform, SymplecticAdjustment):
        return f"symplectic adjustment {transform.weight:g}"
    return type(transform).__name__


def momentum_of(base: Base) -> str:
    """The momentum of a base as text; empty where it is not known."""
    if isinstance(base, Continued):
        return momentum_of(base.base)
    if isinstance(base, Adam):
        return f"{base.betas[0]:g}"
    if isinstance(base, (SGD, RMSprop)):
        return f"{base.momentum:g}"
    if isinstance(base, ComplexMomentum):
        return f"{base.momentum:g} turning"
    return f"{base.mode.momentum:g}" if isinstance(base, Frozen) else ""


def without_momentum(base: Base) -> Base:
    """The same base without its momentum; as it is where that is not one of its settings."""
    if isinstance(base, Continued):
        return replace(base, base=without_momentum(base.base))
    if isinstance(base, Adam):
        return replace(base, betas=(0.0, base.betas[1]))
    if isinstance(base, SGD):
        return replace(base, momentum=0.0, nesterov=False, dampening=0.0)
    if isinstance(base, RMSprop):
        return replace(base, momentum=0.0)
    return base


def with_step(method: Method, factor: float) -> Method:
    """The method with ``factor`` times the step size of every player."""
    return _with_bases(method, lambda base: _times(base, factor))


def fresh(method: Method) -> Method:
    """The method with bases that have forgotten the training that they go on from."""
    return _with_bases(method, lambda base: base.base if isinstance(base, Continued) else base)


def _with_bases(method: Method, change: Callable[[Base], Base]) -> Method:
    bases = method.bases
    changed = change(bases) if isinstance(bases, Base) else {p: change(b) for p, b in bases.items()}
    return replace(method, bases=changed)


def _times(base: Base, factor: float) -> Base:
    if isinstance(base, Continued):
        return replace(base, base=_times(base.base, factor))
    if isinstance(base, Frozen):
        return base.times(factor)
    if isinstance(base, WrappedBase):
        return base.with_lr(base.lr * factor)
    return replace(base, lr=base.lr * factor)  # type: ignore[type-var]
