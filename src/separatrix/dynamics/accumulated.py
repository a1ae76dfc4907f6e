"""A batch in parts, for losses whose graph is too large for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from separatrix.errors import InputError


@dataclass(frozen=True)
class Accumulated:
    """One batch in several parts: their losses and gradients are averaged, one graph at a time.

    ``opt.step(Accumulated([first, second]))``; every part has noise of its own. Methods with second derivatives keep all graphs.

    Args:
        batches: the parts.
        weights: of their losses, such as their sizes; equal where ``None``.
    """

    batches: Sequence[Any]
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.batches, list | tuple):
            raise InputError(
                f"Accumulated takes the batches as a list, Accumulated([first, second]), got a {type(self.batches).__name__}."
            )
        if not self.batches:
            raise InputError("there is nothing to accumulate: give at least one batch.")
        if self.weights is not None and (len(self.weights) != len(self.batches) or not sum(self.weights) > 0):
            raise InputError(
                f"{len(self.batches)} batches need as many weights with a positive sum, got {list(self.weights)}."
            )

    def parts(self) -> list[tuple[Any, float]]:
        """The batches with their weights, which add up to one."""
        weights = [1.0] * len(self.batches) if self.weights is None else [float(w) for w in self.weights]
        return [(batch, weight / sum(weights)) for batch, weight in zip(self.batches, weights, strict=True)]
