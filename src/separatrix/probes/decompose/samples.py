"""The potential that explains a field best on samples, by least squares, and how well on samples it has not seen.

With points drawn from a density ``mu`` the fit minimises ``E_mu |v + grad U|^2``: a projection in L2(mu), whose rest ``r``
satisfies ``div(mu r) = 0``. The gradient share is therefore a statement about where the samples lie. Whether a rest is
rotation or merely beyond the basis is told by a second fit, with divergence-free fields of the same basis added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.probes.decompose.features import Features
from separatrix.probes.numbers import number

# Numbers in the samples for each unknown of the fit, at least.
OVER = 2
# A rotation needs n (n - 1) / 2 times the basis; it is fitted up to this dimension.
ROTATION_UP_TO = 4
CUTOFFS = (1e-12, 1e-10, 1e-8, 1e-6, 1e-4)


@dataclass(frozen=True)
class Share:
    """A share of the mean squared length on held-out samples, with its standard error over them."""

    value: float
    stderr: float


@dataclass(frozen=True)
class SampleDecomposition:
    """A potential fitted to samples of a field, ``v = -grad U + rest``.

    Attributes:
        potential: points ``(m, n)`` to ``U``, ``(m,)``; up to a constant.
        gradient: points to ``-grad U``, ``(m, n)``.
        laplacian: points to ``lap U``, ``(m,)``.
        explained: held-out share that ``-grad U`` explains; negative where the fit is worse than none.
        turning: held-out share that divergence-free fields of the basis explain beyond that; ``None`` where not fitted.
        unexplained: what neither explains: the basis is too small, or the samples too noisy.
        trained: the share explained on the training samples; far above ``explained`` means overfitting.
        features: the basis in words.
        unknowns, training, held_out: sizes of the fit.
        residual: of the normal equations, relative: the rest's largest correlation with a gradient of the basis.
        condition: of the scaled least-squares matrix.
        status: one sentence.
    """

    potential: Callable[[Tensor], Tensor]
    gradient: Callable[[Tensor], Tensor]
    laplacian: Callable[[Tensor], Tensor]
    explained: Share
    turning: Share | None
    unexplained: Share
    trained: float
    features: str
    unknowns: int
    training: int
    held_out: int
    residual: float
    condition: float
    status: str

    def section(self) -> dict[str, object]:
        """As plain data, for records."""
        skipped = ("potential", "gradient", "laplacian", "status")
        data = {k: vars(v) if isinstance(v, Share) else v for k, v in vars(self).items() if k not in skipped}
        return {**data, "sentence": self.status}


def decompose_samples(
    points: Tensor, values: Tensor, features: Features, *, held_out: float = 0.2, seed: int = 0
) -> SampleDecomposition:
    """Fit a potential to samples of a field.

    Args:
        points: ``(m, n)``.
        values: the field there, ``(m, n)``, field sign.
        features: what the potential is made of: :func:`polynomial_features`, :func:`radial_features`,
            :func:`random_features`.
        held_out: share of the samples kept for judging.
        seed: of the division.

    Raises:
        InputError: shapes that do not fit, samples that are not finite, or too few of them for the basis; says how many
            are needed.

    Cost: a dense least-squares problem with ``m n`` rows and ``k`` columns; in up to four dimensions a second one. No
    gradient.

    Example:
        >>> from separatrix.probes.decompose import polynomial_features
        >>> x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> found = decompose_samples(x, -x, polynomial_features(x, 2))
        >>> round(found.explained.value, 12)
        1.0
    """
    x, v = (t.detach().double().cpu() for t in (points, values))
    if x.ndim != 2 or x.shape != v.shape or x.shape[1] != features.n:
        raise InputError(
            f"points and values have one shape (m, {features.n}), got {tuple(points.shape)} and {tuple(values.shape)}."
        )
    if not bool(torch.isfinite(x).all() and torch.isfinite(v).all()):
        raise InputError("points and values must be finite; leave samples with NaN or infinity out.")
    if not 0 < held_out < 1:
        raise InputError(f"held_out is a share between 0 and 1, got {held_out}.")
    n, k = features.n, features.count
    judged = max(math.ceil(held_out * len(x)), 2)
    training = len(x) - judged
    needed = math.ceil(OVER * k / n)
    if training < needed:
        total = max(math.ceil(needed / (1 - held_out)), needed + 2)
        raise InputError(
            f"{len(x)} samples are too few for {features.name} ({k} unknowns): {training} are left for the fit and {needed} "
            f"are needed; take {total} samples in all, or a smaller basis."
        )
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    fit, held = order[:training], order[training:]
    matrix = _rows(features.gradients(x[fit]))
    target = v[fit].reshape(-1)
    solution, condition = _least_squares(matrix, target, n)
    rest = target - matrix @ solution
    scale = matrix.norm(dim=0).max() * target.norm()
    residual = float((matrix.T @ rest).abs().max() / scale) if float(scale) > 0 else 0.0
    left = v[held] - features.gradients(x[held]) @ solution
    explained = _share(v[held], v[held], left)
    turning, unexplained = None, Share(1 - explained.value, explained.stderr)
    pairs = n * (n - 1) // 2
    if 1 < n <= ROTATION_UP_TO and training * n >= OVER * k * (1 + pairs):
        both = torch.cat([matrix, _rows(_rotations(features, x[fit]))], dim=1)
        joint, _ = _least_squares(both, target, n)
        fields = torch.cat([features.gradients(x[held]), _rotations(features, x[held])], dim=2)
        beyond = v[held] - fields @ joint
        turning, together = _share(v[held], left, beyond), _share(v[held], v[held], beyond)
        unexplained = Share(1 - together.value, together.stderr)
    trained = 1 - float(rest.square().sum() / target.square().sum()) if bool(target.any()) else math.nan
    return SampleDecomposition(
        lambda p: -features.values(p) @ solution,
        lambda p: features.gradients(p) @ solution,
        lambda p: -features.laplacians(p) @ solution,
        explained,
        turning,
        unexplained,
        trained,
        features.name,
        k,
        training,
        judged,
        residual,
        condition,
        _sentence(explained, turning, unexplained, features.name, judged),
    )


def _rows(fields: Tensor) -> Tensor:
    """``(m, n, k)`` to ``(m n, k)``."""
    return fields.reshape(-1, fields.shape[2])


def _rotations(features: Features, x: Tensor) -> Tensor:
    """Divergence-free fields ``w_i = d_j psi, w_j = -d_i psi`` of every pair of coordinates, ``(m, n, k n (n - 1) / 2)``."""
    slopes = features.gradients(x)
    blocks = []
    for i in range(features.n):
        for j in range(i + 1, features.n):
            block = torch.zeros_like(slopes)
            block[:, i], block[:, j] = slopes[:, j], -slopes[:, i]
            blocks.append(block)
    return torch.cat(blocks, dim=2)


def _least_squares(matrix: Tensor, target: Tensor, n: int) -> tuple[Tensor, float]:
    """The least-norm solution with scaled columns, and the condition of what was kept.

    Overlapping functions make the matrix nearly singular, and directions that the samples hardly tell apart then blow up
    between them. Below which relative singular value directions are left out is chosen by fourfold cross-validation inside
    the training part: the largest of ``CUTOFFS`` that predicts as well as the best, within 5%.
    """
    lengths = matrix.norm(dim=0)
    lengths = torch.where(lengths > 0, lengths, torch.ones_like(lengths))
    scaled = matrix / lengths
    cutoff = CUTOFFS[0]
    s = torch.linalg.svdvals(scaled)
    if float(s[-1]) < CUTOFFS[-1] * float(s[0]):
        misses = torch.zeros(len(CUTOFFS), dtype=torch.float64)
        for fold in range(4):
            test = (torch.arange(len(target)) // n) % 4 == fold
            parts = torch.linalg.svd(scaled[~test], full_matrices=False)
            found = torch.stack([_solve(parts, target[~test], c) for c in CUTOFFS], dim=1)
            misses += (target[test, None] - scaled[test] @ found).square().sum(0)
        cutoff = max(c for c, miss in zip(CUTOFFS, misses.tolist(), strict=True) if miss <= 1.1 * float(misses.min()))
    parts = torch.linalg.svd(scaled, full_matrices=False)
    kept = s[s > cutoff * s[0]]
    return _solve(parts, target, cutoff) / lengths, float(s[0] / kept[-1])


def _solve(parts: tuple[Tensor, Tensor, Tensor], target: Tensor, cutoff: float) -> Tensor:
    U, s, Vh = parts
    kept = s > cutoff * s[0]
    return Vh[kept].T @ ((U[:, kept].T @ target) / s[kept])


def share_explained(values: Tensor, left: Tensor) -> Share:
    """``1 - |left|^2 / |values|^2`` over samples ``(m, n)``, with its standard error."""
    return _share(values, values, left)


def _share(values: Tensor, before: Tensor, after: Tensor) -> Share:
    """By how much of ``|values|^2`` the squared rest falls, with its standard error over the samples."""
    whole = values.square().sum(1)
    fall = before.square().sum(1) - after.square().sum(1)
    if not bool(whole.any()):
        return Share(math.nan, math.nan)
    value = float(fall.sum() / whole.sum())
    count = len(whole)
    return Share(value, float((fall - value * whole).norm() / whole.sum()) * math.sqrt(count / (count - 1)))


def _sentence(explained: Share, turning: Share | None, unexplained: Share, name: str, judged: int) -> str:
    if math.isnan(explained.value):
        return f"The field is zero on the {judged} held-out samples: there is nothing to explain."

    def said(share: Share) -> str:
        return f"{share.value:.1%} (standard error {number(100 * share.stderr, 1)} points)"

    text = (
        f"On {judged} held-out samples a potential made of {name} explains {said(explained)} of the mean squared length"
    )
    if turning is None:
        return f"{text}; how much of the rest turns was not fitted."
    return f"{text}, rotations {said(turning)} more, and {said(unexplained)} is beyond this basis."
