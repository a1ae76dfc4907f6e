"""How good are generated patches? Fréchet distance and modes in a fixed space of colours and wavelet energies [heusel2017].

The features need no training: what a Haar transform finds at four scales, and a thumbnail. So a score is the same on
every machine, and each of its features can be named.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from separatrix.zoo.digits_score import frechet_distance, moments
from separatrix.zoo.patches_data import patches

MODES, ROUNDS = 16, 50
# The energy of rounding to 8 bits is 5e-6; below a visible texture all is one.
FLOOR = 1e-4
BETTER = {"frechet": "lower", "modes": "higher"}
# Luminance, red against green, blue against both.
OPPONENT = ((1 / 3, 1 / 3, 1 / 3), (0.5, -0.5, 0.0), (-0.25, -0.25, 0.5))


def patch_features(images: Tensor) -> Tensor:
    """84 features of patches ``(count, 3, 32, 32)`` in [-1, 1], in float64, in opponent colours.

    The logarithms of the energies of horizontal, vertical and diagonal Haar differences at 2, 4, 8 and 16 pixels (36), and
    the patch at 4x4 pixels (48).
    """
    colours = torch.einsum("ij,bjhw->bihw", torch.tensor(OPPONENT, dtype=torch.float64), images.detach().cpu().double())
    found = [avg_pool2d(colours, 8).flatten(1)]
    for _ in range(4):
        a, b, c, d = (colours[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1))
        for difference in (a + b - c - d, a - b + c - d, a - b - c + d):
            found.append((difference.square().mean(dim=(2, 3)) / 4 + FLOOR).log())
        colours = (a + b + c + d) / 4
    return torch.cat(found, dim=1)


def score_patches(images: Tensor) -> dict[str, float]:
    """Scores of patches ``(count, 3, 32, 32)`` in [-1, 1].

    - ``frechet``: the Fréchet distance between the Gaussians of the features of the images and of the training patches,
      each feature in units of its standard deviation over the training patches. Held-out patches have about 3.
    - ``modes``: of 16 clusters of the training patches (k-means in the same space), how many hold at least a quarter of
      the share that they have among the training patches [richardson2018].

    Cost: no gradient; about half a second for 2000 images, once as much for the training patches.
    """
    scale, centres, shares, mean, covariance = _reference()
    features = patch_features(images) / scale
    found = torch.cdist(features, centres).argmin(dim=1).bincount(minlength=MODES) / len(features)
    return {
        "frechet": frechet_distance(*moments(features), mean, covariance),
        "modes": float((found >= shares / 4).sum()),
    }


@lru_cache(maxsize=1)
def _reference() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Scales ``(84,)``, centres ``(16, 84)`` and shares ``(16,)`` of the clusters, mean and covariance of the training patches."""
    features = patch_features(patches().images)
    scale = features.std(dim=0)
    features = features / scale
    centres = features[torch.randperm(len(features), generator=torch.Generator().manual_seed(0))[:MODES]]
    for _ in range(ROUNDS):
        own = torch.cdist(features, centres).argmin(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, own, features)
        counts = own.bincount(minlength=MODES)
        centres = torch.where((counts > 0)[:, None], sums / counts.clamp(min=1)[:, None], centres)
    shares = torch.cdist(features, centres).argmin(dim=1).bincount(minlength=MODES) / len(features)
    return scale, centres, shares, *moments(features)
