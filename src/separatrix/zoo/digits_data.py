"""scikit-learn's real handwritten digits: 1797 images of 8x8 pixels, in a fixed split [alpaydin1998]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

TRAIN = 1437
SIDE = 8


@dataclass(frozen=True)
class Digits:
    """Images in [-1, 1], flat ``(count, 64)`` in float32, and their classes ``(count,)``.

    Attributes:
        images, labels: 1437 to train on.
        held_images, held_labels: the other 360.
    """

    images: Tensor
    labels: Tensor
    held_images: Tensor
    held_labels: Tensor


def digits() -> Digits:
    """The data, fresh copies at each call; the split is one fixed permutation, so that both parts hold all writers.

    Raises:
        ImportError: scikit-learn is missing; ends with the command that installs it.
    """
    images, labels = _read()
    return Digits(images[:TRAIN].clone(), labels[:TRAIN].clone(), images[TRAIN:].clone(), labels[TRAIN:].clone())


@lru_cache(maxsize=1)
def _read() -> tuple[Tensor, Tensor]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "the digits come with scikit-learn, which is not installed; run: pip install 'separatrix[demo]'"
        ) from error
    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return torch.as_tensor(images, dtype=torch.float32)[order] / 8 - 1, torch.as_tensor(labels)[order]


def minibatches(count: int, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Index tensors ``(batch_size,)`` without end, a fresh permutation each epoch; what does not fill a batch is left out."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(count, generator=generator)
        for start in range(0, count - batch_size + 1, batch_size):
            yield order[start : start + batch_size]
