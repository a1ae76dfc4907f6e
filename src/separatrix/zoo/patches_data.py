"""Colour patches of 32x32 pixels from three photographs that ship with scikit-learn and matplotlib.

A Chinese pavilion and a flower (scikit-learn), and Grace Hopper's portrait (matplotlib); nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

SIDE, CHANNELS = 32, 3
# Whole blocks of a photograph are held out, so that no held-out pixel is ever trained on.
BLOCK, STRIDE, EVERY = 64, 16, 5


@dataclass(frozen=True)
class Patches:
    """Patches in [-1, 1], ``(count, 3, 32, 32)`` in float32.

    Attributes:
        images: 3080 to train on.
        held_images: 760 from other blocks of the same photographs.
    """

    images: Tensor
    held_images: Tensor


def patches() -> Patches:
    """The data, fresh copies at each call.

    Every photograph is cut into blocks of 64x64 pixels, of which a fifth, scattered evenly, is held out. A block gives nine
    patches in steps of 16 pixels, one of the whole block at half the resolution, and the mirror image of each.

    Raises:
        ImportError: scikit-learn is missing; ends with the command that installs it.
    """
    train, held_out = _read()
    return Patches(train.clone(), held_out.clone())


@lru_cache(maxsize=1)
def _read() -> tuple[Tensor, Tensor]:
    found = [_blocks(photograph) for photograph in _photographs()]
    blocks, held = (torch.cat(parts) for parts in zip(*found, strict=True))
    train, held_out = (torch.cat(list(_patches(blocks[chosen]))) for chosen in (~held, held))
    return train, held_out


def _photographs() -> list[Tensor]:
    """Each ``(3, height, width)`` in [-1, 1]."""
    try:
        from sklearn.datasets import load_sample_images
    except ImportError as error:
        raise ImportError(
            "the photographs come with scikit-learn, which is not installed; run: pip install 'separatrix[demo]'"
        ) from error
    from matplotlib.cbook import get_sample_data
    from matplotlib.image import imread

    portrait = imread(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    pixels = [*load_sample_images().images, portrait]
    return [torch.as_tensor(np.array(image), dtype=torch.float32).permute(2, 0, 1) / 127.5 - 1 for image in pixels]


def _blocks(photograph: Tensor) -> tuple[Tensor, Tensor]:
    """Blocks side by side, ``(count, 3, 64, 64)``, and which are held out: a knight's move from one to the next."""
    cut = photograph.unfold(1, BLOCK, BLOCK).unfold(2, BLOCK, BLOCK).permute(1, 2, 0, 3, 4)
    rows, columns = (torch.arange(count) for count in cut.shape[:2])
    return cut.flatten(0, 1), ((2 * rows[:, None] + columns) % EVERY == 0).flatten()


def _patches(blocks: Tensor) -> Iterator[Tensor]:
    cut = blocks.unfold(2, SIDE, STRIDE).unfold(3, SIDE, STRIDE).permute(0, 2, 3, 1, 4, 5)
    for plain in (cut.reshape(-1, CHANNELS, SIDE, SIDE), avg_pool2d(blocks, BLOCK // SIDE)):
        yield plain
        yield plain.flip(3)
