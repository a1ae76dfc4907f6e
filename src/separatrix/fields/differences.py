"""Products of a Jacobian against central differences of its field, in float64: an oracle that shares no code with
autograd's second derivatives.

A coordinate is moved in proportion to the size of its tensor, by relative steps of 1e-7, and of 1e-8 and 1e-9 where that
does not settle it: at larger steps a piecewise-linear net crosses kinks, at smaller ones rounding shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from separatrix.errors import SeparatrixError
from separatrix.fields.field import Field
from separatrix.fields.game_field import GameField
from separatrix.fields.jacobian import Jacobian
from separatrix.fields.support import padding_rows

STEPS = (1e-7, 1e-8, 1e-9)
TOLERANCE = 1e-4
# Below this share of its block a tensor's part is not judged on its own: rounding may be all there is to it.
SMALL_PART = 1e-2


@dataclass(frozen=True)
class Comparison:
    """One player's rows of ``J z`` against differences of the field.

    Attributes:
        gap: relative distance of the worst tensor, at the best step.
        spread: how far the differences contradict each other, between steps or from one side to the other.
        absent: ``J z`` is exactly zero there while the differences are not.
    """

    gap: float
    spread: float
    absent: bool

    @property
    def agrees(self) -> bool:
        return self.gap <= TOLERANCE

    @property
    def decided(self) -> bool:
        """The differences agree among themselves far better than with ``J z``, so that they can be believed."""
        return self.spread <= max(TOLERANCE, 0.1 * self.gap)


class Differences:
    """The float64 twin of a Jacobian's field, at the same point, and its Jacobian by the same route.

    A matrix is not formed again: its rows come from a kept graph, and so do the twin's products.

    Raises:
        SeparatrixError, RuntimeError, TypeError: the losses cannot be evaluated in float64.

    Cost: 2 gradients; 5 more for the first comparison.
    """

    def __init__(self, jacobian: Jacobian) -> None:
        self.twin = in_float64(jacobian.field)
        self.space = jacobian.field.space
        self.x = jacobian.x.double()
        route = "retained" if jacobian.route == "dense" else jacobian.route
        self.jacobian = Jacobian(self.twin, self.x, route=route, checks=False)
        self.here = self._at(self.x)

    def compare(self, z: Tensor) -> dict[str, Comparison]:
        """``J z`` against the differences along ``z``, by player. Cost: about 5 gradients."""
        z = z.double()
        pushed = self.jacobian.rows_apply(z)
        exact = {player: self._pieces(player, part) for player, part in pushed.items()}
        tries: dict[str, list[tuple[float, list[Tensor]]]] = {player: [] for player in exact}
        one_sided = dict.fromkeys(exact, 0.0)
        for step in STEPS:
            up, down = self._at(self.x + step * z), self._at(self.x - step * z)
            for player, found in tries.items():
                here = self.here[player]
                central = [(a - b) / (2 * step) for a, b in zip(up[player], down[player], strict=True)]
                rounding = 10 * torch.finfo(torch.float64).eps * _norm(here) / step
                found.append((_gap(exact[player], central, rounding), central))
                sides = [(a + b - 2 * c) / step for a, b, c in zip(up[player], down[player], here, strict=True)]
                one_sided[player] = _norm(sides) / max(
                    _norm(exact[player]), _norm(central), rounding / TOLERANCE, 1e-300
                )
            if all(min(gap for gap, _ in found) <= TOLERANCE for found in tries.values()):
                break
        result = {}
        for player, found in tries.items():
            gap = min(gap for gap, _ in found)
            rounding = 10 * torch.finfo(torch.float64).eps * _norm(self.here[player]) / STEPS[len(found) - 1]
            spreads = [_gap(a, b, rounding) for (_, a), (_, b) in pairwise(found)]
            absent = gap > TOLERANCE and not bool(pushed[player].any())
            result[player] = Comparison(gap, max([*spreads, one_sided[player]]), absent)
        return result

    def _at(self, x: Tensor) -> dict[str, list[Tensor]]:
        return {player: self._pieces(player, part) for player, part in self.twin.directions(x).items()}

    def _pieces(self, player: str, part: Tensor) -> list[Tensor]:
        return list(torch.split(part, [self.space.entries[i].numel for i in self.space.owned(player)]))


def in_float64(field: Field) -> Field:
    """The same field computed in float64, under the same transforms."""
    if field.dtype == torch.float64:
        return field
    if isinstance(field, GameField):
        return field.with_dtype(torch.float64)
    inner, transform = getattr(field, "inner", None), getattr(field, "transform", None)
    if inner is None or transform is None:
        raise TypeError(f"a {type(field).__name__} has no float64 twin")
    twin: Field = transform(in_float64(inner))
    return twin


def differences(jacobian: Jacobian) -> Differences | str:
    """The oracle of a Jacobian; where the losses cannot be evaluated in float64, the reason in words."""
    try:
        return Differences(jacobian)
    except (SeparatrixError, RuntimeError, TypeError) as error:
        return str(error).strip().splitlines()[0][:200]


def natural_direction(jacobian: Jacobian, player: str, generator: torch.Generator) -> Tensor:
    """A random direction of one player's coordinates, each tensor moved in proportion to its size; padding stays."""
    space, x = jacobian.field.space, jacobian.x.double().cpu()
    own = space.take(x, player)
    middle = float(own.norm()) / max(len(own), 1) ** 0.5
    z, fixed = torch.zeros(space.n, dtype=torch.float64), padding_rows(jacobian.field)
    for i in space.owned(player):
        entry = space.entries[i]
        where = slice(entry.offset, entry.offset + entry.numel)
        size = float(x[where].norm()) / max(entry.numel, 1) ** 0.5
        z[where] = max(size, 0.1 * middle, 1e-3) * torch.randn(entry.numel, generator=generator, dtype=torch.float64)
        for row in fixed.get(i, []):
            space.split(z)[i][row] = 0
    return z.to(jacobian.device, jacobian.dtype)


def _norm(pieces: Sequence[Tensor]) -> float:
    return float(torch.cat(list(pieces)).norm())


def _gap(a: Sequence[Tensor], b: Sequence[Tensor], rounding: float) -> float:
    """The largest relative distance of two lists of tensors, rounding aside."""
    whole = max(_norm(a), _norm(b), rounding / TOLERANCE, 1e-300)
    gaps = [0.0]
    for p, q in zip(a, b, strict=True):
        scale = max(float(p.norm()), float(q.norm()), SMALL_PART * whole)
        gaps.append(max(float((p - q).norm()) - rounding, 0.0) / scale)
    return max(gaps)
