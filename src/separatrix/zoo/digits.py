"""The digits GAN: a small generator and discriminator on scikit-learn's real handwritten digits, trained as people do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import log
from typing import Any

import torch
from torch import Tensor, nn

from separatrix.dynamics import Adam, Alternating, Fact, Method, Problem
from separatrix.errors import InputError
from separatrix.fields import Game
from separatrix.fields.gan_losses import gan_losses
from separatrix.fields.gradient_penalties import slope_penalty, watched
from separatrix.fields.surroundings import default_dtype, frozen_randomness
from separatrix.zoo.digits_data import SIDE, digits, minibatches
from separatrix.zoo.digits_score import BETTER, MEANS, score_images

LATENT = 32
SCORED = 2000


def digits_gan(
    *, seed: int = 0, r1: float = 0.0, smooth: bool = False, width: int = 128, batch_size: int = 128
) -> Problem:
    """The non-saturating GAN on 8x8 digits: ``L_G = E softplus(-D(G(z)))``, ``L_D = E softplus(-D(x)) + E softplus(D(G(z)))``.

    Multilayer perceptrons 32-128-128-64 with a tanh at the end and 64-128-128-1, LeakyReLU 0.2, 53 953 parameters
    together; alternating Adam, discriminator first, 2e-4, betas 0.5 and 0.999, batches of 128. Both losses come from one
    function and share one undetached fake, whose latents are drawn from the global stream, so that a field can freeze
    them. ``data`` are all 1437 training images as one batch, ``held_out`` the other 360.

    Losses near ``L_G = ln 2`` and ``L_D = 2 ln 2`` are no sign of convergence: a discriminator that has gone flat shows
    them too, with not one mode covered. Judge by ``score``: ``frechet``, ``modes`` and ``confident`` of
    :func:`separatrix.zoo.digits_score.score_images`, on 2000 samples of fixed latents.

    Args:
        seed: of the initial parameters; torch's default initialisation.
        r1: weight of the penalty ``r1 / 2 E |grad_x D(x)|^2`` on real images [mescheder2018, eq. 9].
        smooth: tanh in place of LeakyReLU: the twin for which a derivative at a point says what happens at a finite step.
        width: of the hidden layers.
        batch_size: of the stream's minibatches.

    Raises:
        ImportError: scikit-learn is missing; ends with the command that installs it.
        InputError: a negative ``r1``, or a batch size beyond the data.
    """
    data = digits()
    if not r1 >= 0:
        raise InputError(f"r1 must not be negative, got {r1}.")
    if not 1 <= batch_size <= len(data.images):
        raise InputError(f"batch_size must lie between 1 and the {len(data.images)} training images, got {batch_size}.")
    models = _networks(seed, smooth, width)

    def losses(models: Mapping[str, Any], real: Tensor) -> dict[str, dict[str, Tensor]]:
        generator, discriminator = models["G"], models["D"]
        real = watched(real) if r1 > 0 else real
        fake = generator(torch.randn(len(real), LATENT, device=real.device))
        on_real, on_fake = discriminator(real), discriminator(fake)
        adversarial = gan_losses(on_real, on_fake)
        terms = {"G": {"adv": adversarial.generator}, "D": {"adv": adversarial.discriminator}}
        if r1 > 0:
            terms["D"]["r1"] = slope_penalty(on_real, real, r1)
        return terms

    def stream(seed: int) -> Iterator[Tensor]:
        return (data.images[index] for index in minibatches(len(data.images), batch_size, seed))

    name = "digits-gan" + ("-r1" if r1 > 0 else "") + ("-smooth" if smooth else "")
    base = Adam(2e-4, (0.5, 0.999))
    return Problem(
        Game(models, losses, name=name),
        name=name,
        data=data.images,
        held_out=data.held_images,
        stream=stream,
        method=Method({"G": base, "D": base}, Alternating(("D", "G"))),
        score=lambda models: score_images(_generate(models["G"], SCORED)),
        better=BETTER,
        means=MEANS,
        samples=lambda models: (_generate(models["G"], 64).reshape(-1, 1, SIDE, SIDE) + 1) / 2,
        facts=(
            Fact(
                "losses_of_a_flat_discriminator",
                {"G": log(2), "D": 2 * log(2)},
                "D = 0: also at the solution, so these values are no sign of convergence",
            ),
        ),
    )


def _networks(seed: int, smooth: bool, width: int) -> dict[str, nn.Module]:
    def hidden() -> nn.Module:
        return nn.Tanh() if smooth else nn.LeakyReLU(0.2)

    def perceptron(sizes: tuple[int, ...]) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for wide, narrow in pairwise(sizes):
            layers += [nn.Linear(wide, narrow), hidden()]
        return layers[:-1]

    with frozen_randomness(seed), default_dtype(torch.float32):
        return {
            "G": nn.Sequential(*perceptron((LATENT, width, width, SIDE * SIDE)), nn.Tanh()),
            "D": nn.Sequential(*perceptron((SIDE * SIDE, width, width, 1))),
        }


def _generate(generator: nn.Module, count: int) -> Tensor:
    """Images of fixed latents, ``(count, 64)`` in [-1, 1]; no random stream moves."""
    own = next(generator.parameters())
    latents = torch.randn(count, LATENT, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    with torch.no_grad():
        images: Tensor = generator(latents.to(own))
    return images.cpu().float()
