"""The gauge of a diffusion model: what of a learned score is a gradient, and whether the rest does any harm.

At one noise level with density ``p`` a learned field splits into ``s_theta = grad phi + r`` with ``div(p r) = 0``, orthogonally
and uniquely in L2(p): ``grad phi`` is the nearest gradient, and ``r`` lies in the gauge space, which moves no density
[horvat2024]. Sampling and density are exact if and only if ``grad phi`` is the true score: being a gradient is neither
necessary nor sufficient.

The true score is rarely known, but gradients of test functions see it: ``E_p[s . grad f] = -E_p[lap f]`` (Stein's identity).
So ``E_p[s_theta . grad f + lap f]`` vanishes for every ``f`` exactly where the model's flow keeps ``p``, gauge part or
not, and samples of ``p`` are all it takes. ``s_theta`` points uphill in density: the sign of scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from scipy.stats import f as f_distribution
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields import Field
from separatrix.probes.decompose.features import Features, random_features
from separatrix.probes.decompose.samples import SampleDecomposition, Share, decompose_samples, share_explained
from separatrix.probes.numbers import number

Score = Field | Callable[[Tensor], Tensor]
Answer = Literal["yes", "no", "undecided"]
# Test functions of the identity: random waves beside the coordinates.
WAVES = 8
# P-values above the first keep the hypothesis, below the second refuse it.
KEEP, REFUSE = 0.01, 1e-4
# Combinations of test functions with less than this share of the largest variance are left out, in units of their spread.
DISTINCT = 0.01
JACOBIANS = 64


@dataclass(frozen=True)
class WeakTest:
    """Whether a field makes ``E_p[field . grad f]`` what it should be, over several test functions at once.

    Attributes:
        means, stderr: of each test function's sample mean, ``(k,)``; what should be zero.
        p_value: of Hotelling's test that all are zero.
        holds: *yes* (as far as these functions see) from p = ``KEEP`` = 0.01 on, *no* below ``REFUSE`` = 1e-4.
        detectable: the share of the field's mean squared length that a violation along the best-seen test function must
            have to be found at three standard errors.
        samples: used.
    """

    means: Tensor
    stderr: Tensor
    p_value: float
    holds: Answer
    detectable: float
    samples: int


@dataclass(frozen=True)
class GaugeSplit:
    """A learned score at one noise level.

    Attributes:
        conservative: the fit of ``grad phi``; ``conservative.gradient(x)`` evaluates it.
        gauge_share: held-out share of the mean squared length that is not the gradient: ``E|r|^2 / E|s_theta|^2``.
        gauge: whether ``r`` satisfies the gauge condition ``E_p[r . grad f] = 0``; a *no* means that the basis left part of the
            gradient in ``r``.
        density_survives: whether ``s_theta`` obeys Stein's identity: sampling and density are right at this level.
        rotation_share: ``E|A|^2 / E|J|^2`` over the Jacobians at some samples, free of any basis.
        score_error: ``E|grad phi - s|^2 / E|s|^2`` with the true score, where it was given.
        drift: root mean square of ``div e + e . s`` with ``e = s_theta - s``, the rate at which log density is falsified (times
            half the squared noise rate), where the true score was given.
        status: one sentence.
    """

    conservative: SampleDecomposition
    gauge_share: Share
    gauge: WeakTest
    density_survives: WeakTest
    rotation_share: float
    score_error: Share | None
    drift: float | None
    status: str

    def rest(self, score: Score, x: Tensor) -> Tensor:
        """``r`` at points ``(m, n)``."""
        return _values(score, x) - self.conservative.gradient(x)

    def section(self) -> dict[str, object]:
        """As plain data, for records."""
        return {
            "conservative": self.conservative.section(),
            "gauge_share": vars(self.gauge_share),
            "gauge": {"p_value": self.gauge.p_value, "holds": self.gauge.holds},
            "density_survives": {"p_value": self.density_survives.p_value, "holds": self.density_survives.holds},
            "rotation_share": self.rotation_share,
            "score_error": None if self.score_error is None else vars(self.score_error),
            "drift": self.drift,
            "sentence": self.status,
        }


def gauge_split(
    score: Score,
    samples: Tensor,
    features: Features,
    *,
    true_score: Callable[[Tensor], Tensor] | None = None,
    held_out: float = 0.5,
    seed: int = 0,
) -> GaugeSplit:
    """Split a learned score into its gradient and its gauge part, and test whether density and sampling survive.

    Args:
        score: the field at one noise level: a :class:`Field`, or a function of points ``(m, n)``, differentiable by torch.
        samples: of the density at that level, ``(m, n)``, not those it was trained on: data plus noise.
        features: what ``phi`` is made of, for instance ``random_features(samples, 200)``.
        true_score: where it is known.
        held_out: share of the samples for the tests and the shares.
        seed: of the division and of the test functions.

    Raises:
        InputError: too few samples for the basis or for the tests (says how many are needed), or values that are not finite.

    Cost: one evaluation of the field a sample, ``n`` products for each of 64 Jacobians, and a least-squares problem.

    References: [horvat2024].
    """
    if samples.ndim != 2:
        raise InputError(f"samples have shape (m, n), got {tuple(samples.shape)}.")
    x = samples.detach().double().cpu()
    values = _values(score, x)
    fit = decompose_samples(x, values, features, held_out=held_out, seed=seed)
    # The division of decompose_samples, so that the tests see none of the samples that phi was fitted to.
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    held = order[fit.training :]
    probes = random_features(x, WAVES, seed=seed + 1)
    if len(held) < 4 * probes.count:
        raise InputError(
            f"{len(held)} held-out samples are too few to test {probes.count} functions; {4 * probes.count} are needed: give "
            f"{math.ceil(4 * probes.count / held_out)} samples in all."
        )
    y, v = x[held], values[held]
    rest = v - fit.gradient(y)
    # The fit makes the rest orthogonal to gradients on its own samples, so both samples' noise is in the means.
    nothing = torch.zeros(len(y), probes.count, dtype=torch.float64)
    gauge = _weak_test(rest, nothing, probes, y, v, inflation=1 + len(y) / fit.training)
    survives = _weak_test(v, probes.laplacians(y), probes, y, v)
    rotation = _rotation_share(score, y[:JACOBIANS])
    error, drift = None, None
    if true_score is not None:
        truth = true_score(y).detach().double()
        found = share_explained(truth, fit.gradient(y) - truth)
        error = Share(1 - found.value, found.stderr)
        drift = _drift(score, true_score, y[:JACOBIANS])
    share = Share(1 - fit.explained.value, fit.explained.stderr)
    return GaugeSplit(fit, share, gauge, survives, rotation, error, drift, _sentence(share, gauge, survives))


def _values(score: Score, x: Tensor) -> Tensor:
    if isinstance(score, Field):
        return score(x.to(score.device, score.dtype)).double().cpu()
    with torch.no_grad():
        found = score(x)
    if found.shape != x.shape:
        raise InputError(f"the score maps {tuple(x.shape)} to {tuple(found.shape)}; it must keep the shape.")
    return found.detach().double().cpu()


def _weak_test(
    field: Tensor, laplacians: Tensor, probes: Features, x: Tensor, values: Tensor, *, inflation: float = 1.0
) -> WeakTest:
    """Hotelling's test of ``E[field . grad f + laplacian] = 0`` over all test functions.

    ``values`` are of the whole score, for its size; ``inflation`` multiplies the variance of the means, for a field that was
    fitted to other samples.
    """
    slopes = probes.gradients(x)
    terms = (field[:, :, None] * slopes).sum(1) + laplacians
    count = len(terms)
    mean = terms.mean(0)
    stderr = terms.std(0) * math.sqrt(inflation / count)
    # A term that is zero at every sample, but for rounding, says nothing.
    size = float(values.square().sum(1).mean() * slopes.square().sum(1).mean()) ** 0.5
    useful = terms.std(0) > 1e-9 * size
    scaled = ((terms - mean) / terms.std(0).clamp(min=1e-300))[:, useful]
    variances, directions = torch.linalg.eigh(scaled.T @ scaled / (count - 1))
    # Waves that are nearly alike differ by functions with heavy tails, which are far from normal at these sample sizes.
    kept = variances > DISTINCT * variances[-1:]
    rank = int(kept.sum())
    if rank == 0:
        p = 1.0
    else:
        score = directions[:, kept].T @ (mean / stderr.clamp(min=1e-300))[useful]
        statistic = float((score.square() / variances[kept]).sum()) * (count - rank) / (rank * (count - 1))
        p = float(f_distribution.sf(statistic, rank, count - rank))
    holds: Answer = "yes" if p >= KEEP else "no" if p < REFUSE else "undecided"
    whole = float(field.square().sum(1).mean())
    reach = slopes.square().sum(1).mean(0).clamp(min=1e-300)
    detectable = float((9 * stderr.square() / (reach * max(whole, 1e-300))).min())
    return WeakTest(mean, stderr, p, holds, detectable, count)


def _function(score: Score) -> Callable[[Tensor], Tensor]:
    """Of one point."""
    if isinstance(score, Field):
        function = getattr(score, "function", None)
        if function is None:
            raise InputError("the score's Jacobians need a FunctionField or a function of points (m, n).")
        return function  # type: ignore[no-any-return]
    return lambda point: score(point[None])[0]


def _jacobians(score: Score, x: Tensor) -> Tensor:
    function = _function(score)
    return torch.stack([torch.autograd.functional.jacobian(function, point) for point in x]).double()  # type: ignore[no-untyped-call]


def _rotation_share(score: Score, x: Tensor) -> float:
    J = _jacobians(score, x)
    whole = float(J.square().sum())
    return float(((J - J.transpose(1, 2)) / 2).square().sum()) / whole if whole > 0 else math.nan


def _drift(score: Score, true_score: Callable[[Tensor], Tensor], x: Tensor) -> float:
    truth = true_score(x).detach().double()
    error = _values(score, x) - truth
    spread = _jacobians(score, x) - _jacobians(true_score, x)
    rate = spread.diagonal(dim1=1, dim2=2).sum(1) + (error * truth).sum(1)
    return float(rate.square().mean().sqrt())


def _sentence(share: Share, gauge: WeakTest, survives: WeakTest) -> str:
    text = f"{share.value:.1%} (standard error {number(100 * share.stderr, 1)} points) of the mean squared score is no gradient"
    text += {
        "yes": " and lies in the gauge space, as far as tested",
        "no": ", but that rest still holds part of a gradient: take a larger basis",
        "undecided": "; whether it lies in the gauge space is undecided",
    }[gauge.holds]
    text += {
        "yes": ". Density and sampling survive, as far as tested",
        "no": ". The gradient part is not the true score: sampling and density are off",
        "undecided": ". Whether density and sampling survive is undecided",
    }[survives.holds]
    return f"{text} (p = {survives.p_value:.2g})."
