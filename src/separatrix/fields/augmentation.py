"""Differentiable augmentation of images with a strength, and the rule that adapts the strength to overfitting.

Real and generated images go through the same random changes, and the gradient goes through them to the generator, which
therefore does not learn to make changed images as long as the strength stays below about 0.8 [karras2020ada, section 2].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from separatrix.errors import InputError


def _each(x: Tensor) -> Tensor:
    """One uniform number a sample, ``(b, 1, 1, 1)``."""
    return torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype)


def brightness(x: Tensor) -> Tensor:
    """A constant from [-1/2, 1/2] is added."""
    return x + (_each(x) - 0.5)


def saturation(x: Tensor) -> Tensor:
    """The distance from grey is multiplied by a number from [0, 2]."""
    grey = x.mean(dim=1, keepdim=True)
    return (x - grey) * (2 * _each(x)) + grey


def contrast(x: Tensor) -> Tensor:
    """The distance from the mean is multiplied by a number from [1/2, 3/2]."""
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - mean) * (_each(x) + 0.5) + mean


def translation(x: Tensor) -> Tensor:
    """Moved by up to an eighth of the side along each axis, zeros where nothing is left."""
    count, _, height, width = x.shape
    reach = (height // 8, width // 8)
    padded = pad(x, (reach[1], reach[1], reach[0], reach[0]))
    rows, columns = (
        torch.randint(0, 2 * most + 1, (count, 1), device=x.device) + torch.arange(side, device=x.device)
        for most, side in zip(reach, (height, width), strict=True)
    )
    batch = torch.arange(count, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cutout(x: Tensor) -> Tensor:
    """A square of half the side, centred anywhere, is set to 0; at the border a part of it."""
    count, _, height, width = x.shape
    inside = []
    for side in (height, width):
        width = (side + 1) // 2
        first = torch.randint(0, side + 1 - width % 2, (count, 1), device=x.device) - width // 2
        place = torch.arange(side, device=x.device) - first
        inside.append((place >= 0) & (place < width))
    return x.masked_fill((inside[0][:, None, :, None] & inside[1][:, None, None, :]), 0.0)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "brightness": brightness,
    "saturation": saturation,
    "contrast": contrast,
    "translation": translation,
    "cutout": cutout,
}


class Augmentation(nn.Module):
    """Random changes of images, each with probability ``p`` for each image [zhao2020; karras2020ada].

    Call it on real and on generated images before the discriminator sees them, for both players' losses. For the
    adaptive strength say :meth:`observe` with the outputs on real images inside the losses, and :meth:`adapt` once a step.
    ``p`` and the counts are buffers: list the module in ``Problem(state=...)``. Draws come from the global stream.

    Args:
        changes: names from ``CHANGES``, applied in this order.
        p: the strength to begin with; 1 is DiffAugment.
        target: the rule holds ``E sign(D(x))`` on real images here [karras2020ada, section 3].
        images: real images until ``p`` has gone from 0 to 1, if it only rises.

    Raises:
        InputError: an unknown change, or a strength outside [0, 1].

    Example:
        >>> augment = Augmentation(p=0.0, target=0.6, images=100)
        >>> augment.observe(torch.tensor([3.0, 2.0, 1.0, 5.0])); augment.adapt()  # all positive: overfitting
        >>> augment.p
        tensor(0.0400)
    """

    p: Tensor
    signs: Tensor
    seen: Tensor

    def __init__(
        self,
        changes: Sequence[str] = tuple(CHANGES),
        *,
        p: float = 1.0,
        target: float = 0.6,
        images: int = 500_000,
    ) -> None:
        super().__init__()
        if unknown := [change for change in changes if change not in CHANGES]:
            raise InputError(f"changes must be among {', '.join(CHANGES)}, got {unknown}.")
        if not 0 <= p <= 1 or images < 1:
            raise InputError(f"p must lie in [0, 1] and images be positive, got p={p}, images={images}.")
        self.changes, self.target, self.images = tuple(changes), target, images
        self.register_buffer("p", torch.tensor(float(p)))
        self.register_buffer("signs", torch.tensor(0.0))
        self.register_buffer("seen", torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(b, channels, height, width)``, changed.

        Raises:
            InputError: the images have not four dimensions.
        """
        if x.ndim != 4:
            raise InputError(f"augmentation takes images (b, channels, height, width), got shape {tuple(x.shape)}.")
        for change in self.changes:
            x = torch.where(_each(x) < self.p, CHANGES[change](x), x)
        return x

    @torch.no_grad()
    def observe(self, on_real: Tensor) -> None:
        """Count the signs of the discriminator's outputs on real images."""
        self.signs.add_(on_real.sign().mean() * len(on_real))
        self.seen.add_(len(on_real))

    @torch.no_grad()
    def adapt(self) -> None:
        """Move ``p`` by ``seen / images``, up where the mean sign is above the target, else down; forget the counts."""
        if self.seen > 0:
            up = (self.signs / self.seen - self.target).sign()
            self.p.add_(up * self.seen / self.images).clamp_(0, 1)
            self.signs.zero_()
            self.seen.zero_()
