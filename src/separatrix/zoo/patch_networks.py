"""Convolutional networks for 32x32 colour patches, without any normalisation layer, as in the hard cases of [mescheder2017]."""

from __future__ import annotations

from torch import nn

from separatrix.zoo.patches_data import CHANNELS


def _between(smooth: bool, slope: float) -> nn.Module:
    if smooth:
        return nn.Tanh()
    return nn.LeakyReLU(slope) if slope else nn.ReLU()


def generator(latent: int, width: int, smooth: bool) -> nn.Sequential:
    """Latents ``(b, latent)`` to patches ``(b, 3, 32, 32)`` in [-1, 1]: 4x4, 8x8, 16x16, 32x32, ReLU between, tanh at the end."""
    return nn.Sequential(
        nn.Linear(latent, 4 * width * 16),
        nn.Unflatten(1, (4 * width, 4, 4)),
        _between(smooth, 0.0),
        nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1),
        _between(smooth, 0.0),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1),
        _between(smooth, 0.0),
        nn.ConvTranspose2d(width, CHANNELS, 4, 2, 1),
        nn.Tanh(),
    )


def discriminator(width: int, smooth: bool) -> nn.Sequential:
    """Patches ``(b, 3, 32, 32)`` to ``(b, 1)``: 16x16, 8x8, 4x4, LeakyReLU 0.2 between."""
    return nn.Sequential(
        nn.Conv2d(CHANNELS, width, 4, 2, 1),
        _between(smooth, 0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        _between(smooth, 0.2),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
        _between(smooth, 0.2),
        nn.Flatten(),
        nn.Linear(4 * width * 16, 1),
    )


def encoder(code: int, width: int, smooth: bool) -> nn.Sequential:
    """Patches ``(b, 3, 32, 32)`` to codes ``(b, code, 8, 8)``."""
    return nn.Sequential(
        nn.Conv2d(CHANNELS, width, 4, 2, 1),
        _between(smooth, 0.2),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        _between(smooth, 0.2),
        nn.Conv2d(2 * width, code, 3, 1, 1),
    )


def decoder(code: int, width: int, smooth: bool) -> nn.Sequential:
    """Codes ``(b, code, 8, 8)`` to patches ``(b, 3, 32, 32)`` in [-1, 1]."""
    return nn.Sequential(
        nn.Conv2d(code, 2 * width, 3, 1, 1),
        _between(smooth, 0.2),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1),
        _between(smooth, 0.2),
        nn.ConvTranspose2d(width, CHANNELS, 4, 2, 1),
        nn.Tanh(),
    )
