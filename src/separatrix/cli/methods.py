"""``--method NAME:key=value,...`` and ``--optimizer NAME:key=value,...``: from their text to a Method."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from separatrix.dynamics import (
    SGD,
    Adam,
    AdamW,
    Alternating,
    Base,
    Clip,
    Competitive,
    ComplexMomentum,
    Consensus,
    CurvatureClipped,
    Extragradient,
    ExtragradientPlus,
    JacobianRegularisation,
    Lookahead,
    Method,
    Normalise,
    Optimistic,
    PastExtragradient,
    Problem,
    Proximal,
    Reflected,
    RMSprop,
    RungeKutta,
    Scheme,
    Simultaneous,
    Stabilised,
    SymplecticAdjustment,
    Transform,
)
from separatrix.errors import InputError, did_you_mean

# Name to the base and what it stands for.
OPTIMIZERS: Mapping[str, tuple[type[Base], Mapping[str, Any]]] = {
    "sgd": (SGD, {}),
    "momentum": (SGD, {"momentum": 0.9}),
    "rmsprop": (RMSprop, {}),
    "adam": (Adam, {}),
    "adamw": (AdamW, {}),
    "complex-momentum": (ComplexMomentum, {}),
}
SCHEMES: Mapping[str, type[Scheme]] = {
    "simultaneous": Simultaneous,
    "alternating": Alternating,
    "extragradient": Extragradient,
    "extragradient-plus": ExtragradientPlus,
    "past-extragradient": PastExtragradient,
    "optimistic": Optimistic,
    "reflected": Reflected,
    "runge-kutta": RungeKutta,
    "competitive": Competitive,
    "proximal": Proximal,
    "stabilised": Stabilised,
    "curvature-clipped": CurvatureClipped,
    "lookahead": Lookahead,
}
# Transforms of the field under simultaneous steps, with what they have no default for.
TRANSFORMS: Mapping[str, tuple[type[Transform], Mapping[str, Any]]] = {
    "consensus": (Consensus, {"gamma": 10.0}),
    "symplectic-adjustment": (SymplecticAdjustment, {}),
    "jacobian-regularisation": (JacobianRegularisation, {"alpha": 10.0}),
    "clip": (Clip, {"norm": 1.0}),
    "normalise": (Normalise, {}),
}


@dataclass(frozen=True)
class Spec:
    """``NAME:key=value,...`` taken apart."""

    option: str
    text: str
    name: str
    settings: Mapping[str, str]

    @classmethod
    def read(cls, option: str, text: str) -> Spec:
        name, _, rest = text.partition(":")
        settings: dict[str, str] = {}
        for piece in filter(None, rest.split(",")):
            key, equals, value = piece.partition("=")
            if not equals or not value:
                raise InputError(f"{option} {text}: {piece!r} is not key=value; write {name}:key=value,key=value.")
            settings[key.strip()] = value.strip()
        return cls(option, text, name.strip().lower(), settings)

    def read_settings(self, readers: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
        """The settings' values.

        Raises:
            InputError: an unknown key, or a value that cannot be read.
        """
        found = {}
        for key, value in self.settings.items():
            if key not in readers:
                known = ", ".join(readers) or "none"
                hint = did_you_mean(key, readers)
                raise InputError(f"{self.option} {self.text}: {self.name} has no setting {key!r}{hint} It has {known}.")
            try:
                found[key] = readers[key](value)
            except ValueError:
                raise InputError(
                    f"{self.option} {self.text}: {key} cannot be {value!r}; write {_FORMS[readers[key]]}."
                ) from None
        return found


def find_method(problem: Problem, optimizers: Sequence[str], method: str | None) -> Method | None:
    """The method that the options name; what they leave open is the problem's own.

    Without a scheme of the problem's, several players alternate in the game's order.

    Raises:
        InputError: an unknown name or setting, or a scheme without optimizers.
    """
    own, players = problem.method, problem.subject.players
    spec = None if method is None else _known(Spec.read("--method", method))
    bases = _find_bases(own, players, optimizers)
    if bases is None:
        if method is not None:
            raise InputError(
                f"--method {method} needs to know the step, and {problem.name!r} has no method of its own; add an "
                "optimizer, such as --optimizer adam:lr=2e-4,betas=0.5/0.999."
            )
        return None
    if spec is not None:
        scheme, transforms = _find_scheme(spec, own)
    elif own is not None:
        scheme, transforms = own.scheme, own.transforms
    else:
        scheme, transforms = (Alternating() if len(players) > 1 else Simultaneous()), ()
    scheme.check(players)
    return Method(bases, scheme, transforms)


def split_methods(text: str) -> list[str]:
    """``a,b:x=1,y=2,c`` into ``a``, ``b:x=1,y=2`` and ``c``: a piece ``key=value`` belongs to the method before it."""
    found: list[str] = []
    for piece in filter(None, (part.strip() for part in text.split(","))):
        if found and re.match(r"\w+=", piece):
            found[-1] += f",{piece}"
        else:
            found.append(piece)
    return found


def check_methods(text: str) -> None:
    """Refuse misspelt names of ``--methods`` before minutes of training.

    Raises:
        InputError: an unknown name; says which are near.
    """
    for method in split_methods(text):
        _known(Spec.read("--methods", method))


def _find_bases(own: Method | None, players: Sequence[str], optimizers: Sequence[str]) -> Mapping[str, Base] | None:
    given: dict[str, Base] = {}
    for text in optimizers:
        player, equals, rest = text.partition("=")
        if equals and ":" not in player:
            if player not in players:
                raise InputError(
                    f"--optimizer {text}: there is no player {player!r}; the players are {', '.join(players)}."
                )
            given[player] = _find_base(Spec.read("--optimizer", rest))
        else:
            given = {**dict.fromkeys(players, _find_base(Spec.read("--optimizer", text))), **given}
    bases = {**(own.bases_for(players) if own else {}), **given}
    missing = [p for p in players if p not in bases]
    if bases and missing:
        raise InputError(
            f"no optimizer for {', '.join(missing)}; add --optimizer {missing[0]}=adam:lr=2e-4, for instance."
        )
    return bases or None


def _find_base(spec: Spec) -> Base:
    if spec.name not in OPTIMIZERS:
        raise InputError(
            f"--optimizer {spec.text}: there is no optimizer {spec.name!r}{did_you_mean(spec.name, OPTIMIZERS)} There are "
            f"{', '.join(OPTIMIZERS)}."
        )
    kind, meant = OPTIMIZERS[spec.name]
    own = fields(kind)  # type: ignore[arg-type]
    settings = {**meant, **spec.read_settings({f.name: _READERS[str(f.type)] for f in own})}
    if "lr" not in settings and all(f.default is MISSING for f in own if f.name == "lr"):
        raise InputError(
            f"--optimizer {spec.text}: {spec.name} needs its rate; write {spec.name}:lr=0.01, for instance."
        )
    try:
        return kind(**settings)
    except InputError as error:
        raise InputError(f"--optimizer {spec.text}: {error}") from None


def _find_scheme(spec: Spec, own: Method | None) -> tuple[Scheme, tuple[Transform, ...]]:
    try:
        if spec.name in SCHEMES:
            return _scheme(spec, own), ()
        if spec.name in TRANSFORMS:
            kind, defaults = TRANSFORMS[spec.name]
            return Simultaneous(), (kind(**{**defaults, **spec.read_settings(_readers(kind))}),)
    except InputError as error:
        said = str(error)
        raise InputError(said if said.startswith(spec.option) else f"{spec.option} {spec.text}: {said}") from None
    raise AssertionError(spec.name)


def _known(spec: Spec) -> Spec:
    """The spec of a method that there is: a misspelling is told before anything that it would need."""
    known = [*SCHEMES, *TRANSFORMS]
    if spec.name not in known:
        hint = did_you_mean(spec.name, known)
        raise InputError(
            f"{spec.option} {spec.text}: there is no method {spec.name!r}{hint} There are {', '.join(known)}."
        )
    return spec


def _scheme(spec: Spec, own: Method | None) -> Scheme:
    kind = SCHEMES[spec.name]
    before: dict[str, Any] = {}
    if own and kind is Alternating and isinstance(own.scheme, Alternating):
        before = {f.name: getattr(own.scheme, f.name) for f in fields(own.scheme)}
    return kind(**{**before, **spec.read_settings(_readers(kind))})


def _readers(kind: type) -> dict[str, Callable[[str], Any]]:
    return {f.name: _READERS[str(f.type)] for f in fields(kind)}


def _inner(text: str) -> Scheme:
    if text not in SCHEMES:
        raise ValueError(text)
    return SCHEMES[text]()


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _pair(text: str) -> tuple[float, float]:
    first, second = text.split("/")
    return float(first), float(second)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split("/"))


def _counts(text: str) -> dict[str, int]:
    return {name: int(count) for name, count in (part.rsplit(":", 1) for part in text.split("/"))}


def _words(text: str) -> str:
    return text.replace("-", " ")


_READERS: Mapping[str, Callable[[str], Any]] = {
    "float": float,
    "int": int,
    "bool": _flag,
    "str": _words,
    "tuple[float, float]": _pair,
    "tuple[str, ...]": _names,
    "Mapping[str, int]": _counts,
    "Scheme": _inner,
}
_FORMS: Mapping[Callable[[str], Any], str] = {
    float: "a number",
    int: "a whole number",
    _flag: "true or false",
    _pair: "two numbers, such as 0.5/0.999",
    _names: "the players in their order, such as D/G",
    _counts: "a name with a whole number, such as D:5",
    _words: "roll-back, freeze or commit",
    _inner: "the name of a method without settings",
}
