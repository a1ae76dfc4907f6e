"""A number found by sampling, and its standard error."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A sampled number.

    Attributes:
        value: the estimate.
        stderr: its standard error; 0 where the value is exact.
        exact: nothing was sampled, or the sample spans everything there is.
        probes: random vectors drawn.
        products: real products spent, shared by all estimates of one call.
        seed: of the probes.
        status: one sentence.
    """

    value: float
    stderr: float
    exact: bool
    probes: int
    products: int
    seed: int
    status: str

    def __str__(self) -> str:
        return f"{self.value:.6g} " + ("(exact)" if self.exact else f"+- {self.stderr:.2g}")


def from_samples(
    samples: Tensor, *, products: int, seed: int, what: str, exact: bool = False, offset: float = 0.0
) -> Estimate:
    """The mean of independent samples ``(l,)``, plus an offset known exactly."""
    count = len(samples)
    stderr = 0.0 if exact else float(samples.std()) / count**0.5
    value = offset + float(samples.mean())
    status = f"{what} exactly" if exact else f"{what} from {count} probes"
    return Estimate(value, stderr, exact, count, products, seed, f"{status}, {products} products.")


def exactly(value: float, *, products: int, seed: int, what: str) -> Estimate:
    """A number without sampling error."""
    return Estimate(value, 0.0, True, 0, products, seed, f"{what} exactly, {products} products.")


def ratio(above: Tensor, below: Tensor) -> tuple[float, float]:
    """``mean(above) / mean(below)`` of paired samples and its standard error by the delta method.

    Formula: ``stderr = sqrt(sum (a_i - r b_i)^2 / (l (l - 1))) / mean(b)``. Zero over zero is NaN.
    """
    count = len(above)
    r = float(above.mean() / below.mean())
    spread = torch.linalg.vector_norm(above - r * below) / (count * (count - 1)) ** 0.5
    return r, float(spread / below.mean())
