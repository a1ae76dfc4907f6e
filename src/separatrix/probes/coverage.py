"""Coverage: how much of what is there does a generator make?

The share of real samples that have a generated one within the distance of their ``k``-th real neighbour [naeem2020, eq. 6], in a
space where what is alike lies near. It depends on the numbers of samples, so it is read against what as many real samples
of another set cover.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.probes.numbers import with_error

NEIGHBOURS = 5


@dataclass(frozen=True)
class Coverage:
    """How much is covered.

    Attributes:
        value, stderr: share of the real samples that are covered, and its binomial standard error.
        baseline: what as many other real samples cover; ``None`` where there are none.
        spread: total variance of the generated features over that of the real ones.
    """

    value: float
    stderr: float
    baseline: float | None
    spread: float

    @property
    def relative(self) -> float:
        """Coverage over its baseline."""
        return self.value / self.baseline if self.baseline else self.value

    @property
    def sentence(self) -> str:
        """The same in words."""
        beside = "" if self.baseline is None else f" (other real samples: {self.baseline:.0%})"
        return f"generated samples cover {with_error(self.value, self.stderr)} of the real ones{beside}"


def coverage(
    real: Tensor, generated: Tensor, other_real: Tensor | None = None, *, neighbours: int = NEIGHBOURS
) -> Coverage:
    """Coverage of real features ``(n, d)`` by generated ones ``(m, d)``.

    Args:
        real, generated: the features.
        other_real: features of other real samples, for the baseline; as many of them as are generated are used.
        neighbours: the ``k`` of the radius.

    Raises:
        InputError: too few real samples, or features of different sizes.
    """
    if len(real) <= neighbours or real.shape[1:] != generated.shape[1:]:
        raise InputError(
            f"coverage needs more than {neighbours} real samples and features of one size, got shapes {tuple(real.shape)} "
            f"and {tuple(generated.shape)}."
        )
    radius = torch.cdist(real, real).kthvalue(neighbours + 1, dim=1).values  # the nearest is the sample itself

    def share(samples: Tensor) -> float:
        return float((torch.cdist(real, samples).amin(dim=1) <= radius).double().mean())

    value = share(generated)
    baseline = None if other_real is None else share(other_real[: len(generated)])
    total = float(real.var(dim=0).sum())
    spread = float(generated.var(dim=0).sum()) / total if total > 0 else float("nan")
    return Coverage(value, (value * (1 - value) / len(real)) ** 0.5, baseline, spread)
