"""The losses that adversarial players minimise, from the discriminator's outputs on real and on generated samples.

Both are to be *minimised*, by the discriminator and by the generator, and both are means over all outputs, so that a map of
outputs per sample counts as one sample each. ``D`` is the output before any sigmoid; ``sp`` is softplus.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import relu, softplus

from separatrix.errors import InputError


class AdversarialLosses(NamedTuple):
    """What each side minimises; scalars."""

    generator: Tensor
    discriminator: Tensor


def _saturating(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    return -softplus(fake).mean(), softplus(-real).mean() + softplus(fake).mean()


def _non_saturating(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    return softplus(-fake).mean(), softplus(-real).mean() + softplus(fake).mean()


def _hinge(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    return -fake.mean(), relu(1 - real).mean() + relu(1 + fake).mean()


def _wasserstein(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    return -fake.mean(), fake.mean() - real.mean()


def _least_squares(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    return (fake - 1).square().mean() / 2, ((real - 1).square().mean() + fake.square().mean()) / 2


def _relativistic(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    if real.shape != fake.shape:
        raise InputError(
            "relativistic pairing compares each real sample with a generated one, so the discriminator's outputs must have "
            f"one shape; got {tuple(real.shape)} on real and {tuple(fake.shape)} on generated samples."
        )
    return softplus(real - fake).mean(), softplus(fake - real).mean()


GAN_LOSSES: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "saturating": _saturating,
    "non-saturating": _non_saturating,
    "hinge": _hinge,
    "wasserstein": _wasserstein,
    "least-squares": _least_squares,
    "relativistic": _relativistic,
}


def gan_losses(on_real: Tensor, on_fake: Tensor, *, kind: str = "non-saturating") -> AdversarialLosses:
    """What generator and discriminator minimise.

    ==================  ==============================================  ===========================  ==================
    ``kind``            discriminator                                   generator                    source
    ==================  ==============================================  ===========================  ==================
    ``saturating``      ``E sp(-D(x)) + E sp(D(g))``                    ``-E sp(D(g))``              [goodfellow2014]
    ``non-saturating``  the same                                        ``E sp(-D(g))``              [goodfellow2014]
    ``hinge``           ``E relu(1 - D(x)) + E relu(1 + D(g))``         ``-E D(g)``                  [lim2017]
    ``wasserstein``     ``E D(g) - E D(x)``                             ``-E D(g)``                  [arjovsky2017]
    ``least-squares``   ``E (D(x) - 1)^2 / 2 + E D(g)^2 / 2``           ``E (D(g) - 1)^2 / 2``       [mao2017]
    ``relativistic``    ``E sp(-(D(x) - D(g)))``, pair by pair          ``E sp(-(D(g) - D(x)))``     [huang2024]
    ==================  ==============================================  ===========================  ==================

    Only ``saturating``, ``wasserstein`` and the hinge's linear part are zero-sum. ``wasserstein`` wants a discriminator
    that is held to a slope (:func:`wgan_gp`), ``relativistic`` goes with R1 and R2 together (:func:`r1`, :func:`r2`).

    Args:
        on_real: outputs before any sigmoid, of any shape with the batch in front.
        on_fake: the same on generated samples, not detached: let both losses read one ``fake``.
        kind: a key of ``GAN_LOSSES``.

    Raises:
        InputError: an unknown kind, or with ``relativistic`` two shapes, ``(b,)`` against ``(b, 1)`` for instance.

    Example:
        >>> import torch
        >>> gan_losses(torch.tensor([2.0]), torch.tensor([0.5]), kind="hinge")
        AdversarialLosses(generator=tensor(-0.5000), discriminator=tensor(1.5000))
    """
    if kind not in GAN_LOSSES:
        raise InputError(f"kind must be one of {', '.join(GAN_LOSSES)}, got {kind!r}.")
    return AdversarialLosses(*GAN_LOSSES[kind](on_real, on_fake))
