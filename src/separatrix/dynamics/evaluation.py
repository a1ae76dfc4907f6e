"""What a scheme evaluates: a field as it stands, and the field near a point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from separatrix.dynamics.near import FieldNear
from separatrix.dynamics.schemes import Evaluate
from separatrix.fields.field import Field


class FieldEvaluation:
    """A field whose draw is frozen, as schemes call it.

    Args:
        seen: the field, transforms applied.

    Attributes:
        first: each player's direction where it was first evaluated.
        residual: of the equation that the step solved, relative; 0 for schemes that solve none.
    """

    def __init__(self, seen: Field) -> None:
        self.seen = seen
        self.first: dict[str, Tensor] = {}
        self.residual = 0.0

    def __call__(self, at: Tensor, players: Sequence[str], draw: int) -> Mapping[str, Tensor]:
        found = self.seen.directions(at, players)
        self._note(found)
        return found

    def weighted(self, factors: Mapping[str, float]) -> Evaluate:
        """The evaluation with single terms of the losses multiplied."""
        seen = self.seen.weighted(factors)

        def evaluate(at: Tensor, players: Sequence[str], draw: int) -> Mapping[str, Tensor]:
            found = seen.directions(at, players)
            self._note(found)
            return found

        return evaluate

    def near(self, x: Tensor, draw: int) -> FieldNear:
        """The field near ``x``, with second derivatives."""
        found = FieldNear(self.seen, x, self.report)
        self._note(found.directions)
        return found

    @property
    def gradients(self) -> float:
        """Gradient-equivalents of the evaluations so far."""
        return self.seen.gradients

    def report(self, residual: float) -> None:
        self.residual = max(self.residual, residual)

    def _note(self, found: Mapping[str, Tensor]) -> None:
        for player, v in found.items():
            self.first.setdefault(player, v)
