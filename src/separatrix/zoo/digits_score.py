"""How good are generated digits? Fréchet distance and modes in the features of a small classifier [heusel2017].

The classifier is trained on the digits' training part, once a process, in about two seconds of CPU.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn

from separatrix.fields.surroundings import default_dtype, frozen_randomness
from separatrix.zoo.digits_data import digits, minibatches

CONFIDENT = 0.9
MODE_SHARE = 0.02
STEPS, BATCH = 400, 128
BETTER = {"frechet": "lower", "modes": "higher", "confident": "higher"}
MEANS = {
    "frechet": "distance from the digits in a classifier's features; digits held out have about 0.2",
    "modes": "of the 10 digits, counted where at least 2% of the samples surely show them",
    "confident": "share of the samples of which a classifier is sure",
}


def score_images(images: Tensor) -> dict[str, float]:
    """Scores of digits ``(count, 64)`` in [-1, 1].

    - ``frechet``: ``|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))`` between the features' Gaussians of the images and of the
      training digits. Held-out digits have about 0.2; biased upwards for fewer than some hundred images.
    - ``modes``: classes that at least 2% of all images belong to with a probability of 0.9 or more; 10 at best.
    - ``confident``: share of the images with a class of probability 0.9 or more.

    Cost: one pass of a small network; the first call trains it.
    """
    classifier, mean, covariance = _judge()
    images = images.detach().to("cpu", torch.float32).reshape(len(images), -1)
    with torch.no_grad():
        features = classifier[:-1](images)
        probability, label = classifier[-1](features).softmax(dim=1)[:, :10].max(dim=1)
    sure = probability >= CONFIDENT
    shares = torch.bincount(label[sure], minlength=10) / len(images)
    return {
        "frechet": frechet_distance(*moments(features), mean, covariance),
        "modes": float((shares >= MODE_SHARE).sum()),
        "confident": float(sure.double().mean()),
    }


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``(d,)`` and covariance ``(d, d)`` of features ``(count, d)``, in float64."""
    features = features.double()
    return features.mean(dim=0), torch.cov(features.T)


def frechet_distance(mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor) -> float:
    """The squared 2-Wasserstein distance of two Gaussians [dowson1982, eq. 4]; singular covariances will do."""
    root = _root(covariance)
    cross = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    total = (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * cross
    return max(float(total), 0.0)


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root


@lru_cache(maxsize=1)
def _judge() -> tuple[nn.Sequential, Tensor, Tensor]:
    """The classifier, and the moments of the training digits' features."""
    data = digits()
    with frozen_randomness(0), default_dtype(torch.float32), torch.enable_grad():
        judge = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32), nn.Tanh(), nn.Linear(32, 11))
        weights = list(judge.parameters())
        optimizer = torch.optim.Adam(weights, lr=2e-3)
        nothing = torch.full((BATCH,), 10)
        for _, index in zip(range(STEPS), minibatches(len(data.images), BATCH, 0), strict=False):
            real = data.images[index]
            images = torch.cat([real + 0.1 * torch.randn_like(real), _no_digits(real)])
            loss = nn.functional.cross_entropy(judge(images), torch.cat([data.labels[index], nothing]))
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                weight.grad = gradient
            optimizer.step()
    judge.eval().requires_grad_(False)
    return judge, *moments(judge[:-1](data.images))


def _no_digits(real: Tensor) -> Tensor:
    """What is no digit: shuffled pixels, noise, and even grey, so that the classifier is not sure of them."""
    shuffled = real[::2].gather(1, torch.rand_like(real[::2]).argsort(dim=1))
    noise = 2 * torch.rand_like(real[::4]) - 1
    grey = 2 * torch.rand(len(real[1::4]), 1) - 1 + 0.3 * torch.randn_like(real[1::4])
    return torch.cat([shuffled, noise, grey])
