"""The patch GAN: convolutions without normalisation layers on colour patches of photographs, the notoriously hard case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from separatrix.dynamics import Adam, Alternating, Fact, Method, Problem
from separatrix.errors import InputError
from separatrix.fields import Game
from separatrix.fields.gan_losses import GAN_LOSSES, gan_losses
from separatrix.fields.gradient_penalties import slope_penalty, watched
from separatrix.fields.surroundings import default_dtype, frozen_randomness
from separatrix.zoo.digits_data import minibatches
from separatrix.zoo.patch_networks import discriminator, generator
from separatrix.zoo.patches_data import patches
from separatrix.zoo.patches_score import BETTER, score_patches

LATENT, SCORED, MEASURED = 64, 2000, 256


def patch_gan(
    *,
    seed: int = 0,
    loss: str = "non-saturating",
    r1: float = 0.0,
    r2: float = 0.0,
    smooth: bool = False,
    width: int = 16,
    batch_size: int = 32,
) -> Problem:
    """A DCGAN without batch normalisation on 32x32 colour patches of photographs [radford2016; mescheder2017, section 6].

    Generator 64-(4x4x64)-(8x8x32)-(16x16x16)-(32x32x3), discriminator the other way round, 4x4 kernels of stride 2, 151 204
    parameters together; alternating Adam, discriminator first, 2e-4, betas 0.5 and 0.999, batches of 32. Both losses
    read one undetached fake, whose latents are drawn from the global stream, so that a field can freeze them.

    As it stands it fails: at 3000 steps the discriminator has won, and one mode is left. With ``r1=20`` (the weight 10 of code
    that leaves the 1/2 out) and 5e-4 without momentum, 2000 steps reach a Fréchet distance of 79 and 8 modes.

    The stream goes through all 3080 training patches; ``data`` are 256 of them, one batch to measure on, ``held_out`` 256
    from other blocks of the photographs. Judge by ``score``: ``frechet`` and ``modes`` of
    :func:`separatrix.zoo.patches_score.score_patches` on 2000 samples of fixed latents. Held-out patches have 2.6 and 15.

    Args:
        seed: of the initial parameters; torch's default initialisation.
        loss: a key of :data:`separatrix.fields.GAN_LOSSES`.
        r1, r2: weights of the penalties on real and on generated patches, in the convention of
            :mod:`separatrix.fields.gradient_penalties`.
        smooth: tanh in place of ReLU and LeakyReLU: the twin for which a derivative at a point says what happens at a
            finite step.
        width: channels of the widest resolution.
        batch_size: of the stream's minibatches.

    Raises:
        ImportError: scikit-learn is missing; ends with the command that installs it.
        InputError: an unknown loss, a negative penalty, or a batch size beyond the data.
    """
    data = patches()
    if loss not in GAN_LOSSES:
        raise InputError(f"loss must be one of {', '.join(GAN_LOSSES)}, got {loss!r}.")
    if not (r1 >= 0 and r2 >= 0):
        raise InputError(f"r1 and r2 must not be negative, got r1={r1}, r2={r2}.")
    if not 1 <= batch_size <= len(data.images):
        raise InputError(
            f"batch_size must lie between 1 and the {len(data.images)} training patches, got {batch_size}."
        )
    with frozen_randomness(seed), default_dtype(torch.float32):
        models = {"G": generator(LATENT, width, smooth), "D": discriminator(width, smooth)}

    def losses(models: Mapping[str, Any], real: Tensor) -> dict[str, dict[str, Tensor]]:
        real = watched(real) if r1 > 0 else real
        fake = models["G"](torch.randn(len(real), LATENT, device=real.device))
        fake = watched(fake) if r2 > 0 else fake
        on_real, on_fake = models["D"](real), models["D"](fake)
        adversarial = gan_losses(on_real, on_fake, kind=loss)
        terms = {"G": {"adv": adversarial.generator}, "D": {"adv": adversarial.discriminator}}
        if r1 > 0:
            terms["D"]["r1"] = slope_penalty(on_real, real, r1)
        if r2 > 0:
            terms["D"]["r2"] = slope_penalty(on_fake, fake, r2)
        return terms

    def stream(seed: int) -> Iterator[Tensor]:
        return (data.images[index] for index in minibatches(len(data.images), batch_size, seed))

    base = Adam(2e-4, (0.5, 0.999))
    name = _name(loss, r1, r2, smooth)
    return Problem(
        Game(models, losses, name=name),
        name=name,
        data=spread(data.images),
        held_out=spread(data.held_images),
        stream=stream,
        method=Method({"G": base, "D": base}, Alternating(("D", "G"))),
        score=lambda models: score_patches(_generate(models["G"], SCORED)),
        better=BETTER,
        samples=lambda models: (_generate(models["G"], 64) + 1) / 2,
        facts=(
            Fact("score_of_held_out_patches", score_patches(data.held_images), "the score of real patches, measured"),
        ),
    )


def _name(loss: str, r1: float, r2: float, smooth: bool) -> str:
    kinds = [] if loss == "non-saturating" else ["rp" if loss == "relativistic" else loss]
    kinds += [penalty for penalty, weight in (("r1", r1), ("r2", r2)) if weight > 0]
    return "-".join(["patch-gan", *kinds, *(["smooth"] if smooth else [])])


def spread(images: Tensor) -> Tensor:
    """256 images, evenly spread over all."""
    return images[torch.linspace(0, len(images) - 1, MEASURED).round().long()].clone()


def _generate(generator: nn.Module, count: int) -> Tensor:
    """Patches of fixed latents, ``(count, 3, 32, 32)`` in [-1, 1]; no random stream moves."""
    own = next(generator.parameters())
    latents = torch.randn(count, LATENT, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    with torch.no_grad():
        return torch.cat([generator(z.to(own)).cpu().float() for z in latents.chunk(4)])
