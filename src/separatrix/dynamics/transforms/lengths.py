"""Clipping, normalisation and ratios of the players' directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from separatrix.dynamics.transforms.transform import Products, Transform, check_named, norms
from separatrix.errors import InputError
from separatrix.fields.field import Rows


@dataclass(frozen=True)
class Clip(Transform):
    """Each player's direction is cut to a length: ``w_i = v_i min(1, norm / (|v_i| + 1e-6))``, as ``clip_grad_norm_`` does.

    Before a base: what Adam's moments see is clipped.

    Args:
        norm: the largest length.
        players: whose; all players' where empty.
    """

    norm: float
    players: tuple[str, ...] = ()
    local = True
    linear = False

    def __post_init__(self) -> None:
        if not self.norm > 0:
            raise InputError(f"norm must be positive, got {self.norm}.")

    def check(self, players: Sequence[str]) -> None:
        check_named(self.players, players, "Clip")

    def apply(self, v: Rows, products: Products | None) -> Rows:
        factors = {p: (self.norm / (length + 1e-6)).clamp(max=1.0) for p, length in norms(v).items()}
        return {(p, i): row * factors[p] if p in (self.players or (p,)) else row for (p, i), row in v.items()}


@dataclass(frozen=True)
class Normalise(Transform):
    """Each player's direction keeps no length: ``w_i = v_i / (|v_i| + eps)``. Steps then have the length of the rate.

    Args:
        eps: keeps an equilibrium in its place; below it the direction fades linearly.
    """

    eps: float = 1e-8
    local = True
    linear = False

    def __post_init__(self) -> None:
        if not self.eps > 0:
            raise InputError(f"eps must be positive, got {self.eps}.")

    def apply(self, v: Rows, products: Products | None) -> Rows:
        lengths = norms(v)
        return {(p, i): row / (lengths[p] + self.eps) for (p, i), row in v.items()}


@dataclass(frozen=True)
class StepRatio(Transform):
    """Players move at rates of their own: ``w_i = ratio_i v_i``, 1 where not named [heusel2017].

    Over plain descent this is a step size for each player; over Adam, which divides by lengths, it does nothing, so there the
    bases' rates must differ.

    Args:
        ratios: by player, positive.
    """

    ratios: Mapping[str, float]
    local = True

    def __post_init__(self) -> None:
        if bad := {p: r for p, r in self.ratios.items() if not 0 < r < float("inf")}:
            raise InputError(f"ratios must be positive and finite, got {bad}.")

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.ratios.items())))

    def check(self, players: Sequence[str]) -> None:
        check_named(self.ratios, players, "StepRatio")

    def apply(self, v: Rows, products: Products | None) -> Rows:
        return {(p, i): row * self.ratios.get(p, 1.0) for (p, i), row in v.items()}

    def describe(self) -> dict[str, Any]:
        return {"kind": "StepRatio", "ratios": dict(self.ratios)}
