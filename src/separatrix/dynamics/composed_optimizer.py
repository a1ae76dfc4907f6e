"""Optimizers whose own settings are those of one scheme or transform, under the same names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from inspect import Parameter, Signature, signature
from typing import Any, ClassVar, TypeVar

from separatrix.dynamics import schemes
from separatrix.dynamics import transforms as of_fields
from separatrix.dynamics.convert import Given
from separatrix.dynamics.game_optimizer import GameOptimizer
from separatrix.dynamics.method import check_parts
from separatrix.errors import InputError
from separatrix.fields import Game

T = TypeVar("T")


class TransformOptimizer(GameOptimizer):
    """An optimizer whose own settings are those of one transform, under the same names; the others go to the bases.

    Simultaneous where no ``scheme`` is given.
    """

    transform_type: ClassVar[type[of_fields.Transform]]

    def __init_subclass__(cls, *, transform: type[of_fields.Transform]) -> None:
        super().__init_subclass__()
        cls.transform_type = transform
        cls.__signature__ = _with_settings_of(transform, ())  # type: ignore[attr-defined]

    def __init__(
        self,
        game: Game,
        bases: Given | Mapping[str, Given] | None = None,
        *,
        transforms: tuple[of_fields.Transform, ...] = (),
        **settings: Any,
    ) -> None:
        transform = _taken(self.transform_type, settings)
        check_parts(schemes.Simultaneous(), transforms)
        super().__init__(game, bases, transforms=(transform, *transforms), **settings)


class SchemeOptimizer(GameOptimizer):
    """An optimizer whose own settings are those of one scheme, under the same names; the others go to the bases."""

    scheme_type: ClassVar[type[schemes.Scheme]]

    def __init_subclass__(cls, *, scheme: type[schemes.Scheme]) -> None:
        super().__init_subclass__()
        cls.scheme_type = scheme
        cls.__signature__ = _with_settings_of(scheme, ("scheme",))  # type: ignore[attr-defined]

    def __init__(self, game: Game, bases: Given | Mapping[str, Given] | None = None, **settings: Any) -> None:
        scheme = _taken(self.scheme_type, settings)
        super().__init__(game, bases, scheme=scheme, **settings)


def _taken(kind: type[T], settings: dict[str, Any]) -> T:
    """The scheme or transform that the settings describe, which are taken out of them."""
    own = fields(kind)  # type: ignore[arg-type]
    if missing := [
        f.name for f in own if f.default is MISSING and f.default_factory is MISSING and f.name not in settings
    ]:
        raise InputError(f"sx.optim.{kind.__name__} needs {', '.join(f'{name}=...' for name in missing)}.")
    return kind(**{f.name: settings.pop(f.name) for f in own if f.name in settings})


def _with_settings_of(kind: type, without: tuple[str, ...]) -> Signature:
    """What :class:`GameOptimizer` takes, with the settings of a scheme or transform."""
    own = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in signature(kind).parameters.values()]
    shown = [p for p in signature(GameOptimizer).parameters.values() if p.name not in without]
    return Signature([*shown[:2], *own, *shown[2:]])
