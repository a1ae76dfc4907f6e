"""A small image tokenizer: encoder, quantiser or plain bottleneck, decoder, and an adversary on its reconstructions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import log10
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics import Adam, Alternating, Method, Problem
from separatrix.errors import InputError
from separatrix.fields import Game
from separatrix.fields.gan_losses import GAN_LOSSES, gan_losses
from separatrix.fields.gradient_penalties import slope_penalty, watched
from separatrix.fields.surroundings import default_dtype, frozen_randomness
from separatrix.zoo.digits_data import minibatches
from separatrix.zoo.patch_gan import spread
from separatrix.zoo.patch_networks import decoder, discriminator, encoder
from separatrix.zoo.patches_data import patches
from separatrix.zoo.patches_score import score_patches

CODE, WORDS = 4, 64
BETTER = {"psnr": "higher", "frechet": "lower"}


def tokenizer(
    *,
    seed: int = 0,
    quantised: bool = True,
    adversarial: float = 0.1,
    loss: str = "hinge",
    r1: float = 0.0,
    commitment: float = 0.25,
    smooth: bool = False,
    width: int = 16,
    batch_size: int = 32,
) -> Problem:
    """Reconstruction against an adversary on 32x32 colour patches, as image tokenizers are trained [esser2021].

    Plain (``quantised=False``) two players: ``T``, encoder and decoder around a bottleneck of 8x8 cells of 4 numbers, minimises
    ``rec = E (x - T(x))^2`` plus ``adversarial`` times the generator's loss; ``D`` tells patches from reconstructions.

    Quantised four players: the encoder ``E``, a codebook ``C`` of 64 words, the decoder ``T``, the discriminator ``D``. Every cell
    becomes the word nearest to it, ``q``. ``C`` minimises ``|q - e|^2``, ``E`` minimises ``commitment |e - q|^2`` and, straight
    through, ``<e, h>`` with ``h = d/dq (rec + adversarial adv)``: the gradient at the words is handed on to the encoder
    [vandenoord2017]. Nobody descends ``h``'s loss with respect to ``e``, whose gradient is zero. Written as players, each
    with a loss of its own, it needs no ``detach``, and its Jacobian is exact almost everywhere. The usual training step, in which
    encoder, words and decoder move at once, is ``Simultaneous()`` on these losses; as it stands here they take turns.

    Alternating Adam, one player after the other, discriminator first, 5e-4, betas 0.5 and 0.999, batches of 32. ``score`` on the 760 held-out patches:
    ``psnr`` in dB of a range of 2 (from the mean squared error), ``frechet`` between the reconstructions and the training
    patches (the held-out patches themselves have 2.6), and for the quantised one ``words``, the perplexity of the codebook.

    Args:
        seed: of the initial parameters, torch's default initialisation; the words start as encodings of patches.
        quantised: with a codebook.
        adversarial: weight of the generator's loss against the reconstruction.
        loss: a key of :data:`separatrix.fields.GAN_LOSSES`.
        r1: weight of the penalty on real patches, :func:`separatrix.fields.r1`.
        commitment: weight of the encoder's distance to its words.
        smooth: tanh in place of ReLU and LeakyReLU.
        width: channels of the widest resolution.
        batch_size: of the stream's minibatches.

    Raises:
        ImportError: scikit-learn is missing; ends with the command that installs it.
        InputError: an unknown loss, a negative weight, or a batch size beyond the data.
    """
    data = patches()
    if loss not in GAN_LOSSES:
        raise InputError(f"loss must be one of {', '.join(GAN_LOSSES)}, got {loss!r}.")
    weights = {"adversarial": adversarial, "r1": r1, "commitment": commitment}
    if wrong := [f"{name}={value}" for name, value in weights.items() if not value >= 0]:
        raise InputError(f"weights must not be negative, got {', '.join(wrong)}.")
    if not 1 <= batch_size <= len(data.images):
        raise InputError(
            f"batch_size must lie between 1 and the {len(data.images)} training patches, got {batch_size}."
        )
    with frozen_randomness(seed), default_dtype(torch.float32):
        E, T, D = encoder(CODE, width, smooth), decoder(CODE, width, smooth), discriminator(width, smooth)
        players: dict[str, Any] = {"T": torch.nn.Sequential(E, T), "D": D}
        if quantised:
            players = {"E": E, "C": torch.nn.Parameter(_first_words(E, data.images)), "T": T, "D": D}

    def against(models: Mapping[str, Any], real: Tensor, remade: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The terms of who makes the reconstruction, and of the discriminator."""
        real = watched(real) if r1 > 0 else real
        on_real, on_fake = models["D"](real), models["D"](remade)
        losses = gan_losses(on_real, on_fake, kind=loss)
        made = {"rec": (real - remade).square().mean(), "adv": adversarial * losses.generator}
        told = {"adv": losses.discriminator}
        if r1 > 0:
            told["r1"] = slope_penalty(on_real, real, r1)
        return made, told

    def plain(models: Mapping[str, Any], real: Tensor) -> dict[str, dict[str, Tensor]]:
        made, told = against(models, real, models["T"](real))
        return {"T": made, "D": told}

    def straight_through(models: Mapping[str, Any], real: Tensor) -> dict[str, dict[str, Tensor]]:
        e = models["E"](real)
        q = quantise(e, models["C"])
        made, told = against(models, real, models["T"](q))
        (h,) = torch.autograd.grad(made["rec"] + made["adv"], q, create_graph=True)
        distance = (e - q).square().mean()
        return {
            "E": {"through": (e * h).sum(), "commit": commitment * distance},
            "C": {"words": distance},
            "T": made,
            "D": told,
        }

    def stream(seed: int) -> Iterator[Tensor]:
        return (data.images[index] for index in minibatches(len(data.images), batch_size, seed))

    def score(models: Mapping[str, Any]) -> dict[str, float]:
        remade, found = remake(models, data.held_images)
        error = float((remade - data.held_images).double().square().mean())
        scores = {"psnr": 10 * log10(4 / error), "frechet": score_patches(remade)["frechet"]}
        if quantised:
            share = found.flatten().bincount(minlength=WORDS) / found.numel()
            scores["words"] = float(torch.special.entr(share).sum().exp())
        return scores

    base = Adam(5e-4, (0.5, 0.999))
    name = "-".join(
        ["tokenizer", *([] if quantised else ["plain"]), *(["r1"] if r1 else []), *(["smooth"] if smooth else [])]
    )
    makers = [player for player in players if player != "D"]
    return Problem(
        Game(players, straight_through if quantised else plain, name=name),
        name=name,
        data=spread(data.images),
        held_out=spread(data.held_images),
        stream=stream,
        method=Method(dict.fromkeys(players, base), Alternating(("D", *makers))),
        score=score,
        better={**BETTER, **({"words": "higher"} if quantised else {})},
        samples=lambda models: (remake(models, spread(data.held_images)[::4])[0] + 1) / 2,
    )


def nearest_words(e: Tensor, words: Tensor) -> Tensor:
    """The word next to each cell of ``e (b, code, 8, 8)``, as indices ``(b, 8, 8)``."""
    cells = e.detach().permute(0, 2, 3, 1).reshape(-1, words.shape[1])
    return torch.cdist(cells, words.detach()).argmin(dim=1).reshape(len(e), *e.shape[2:])


def quantise(e: Tensor, words: Tensor) -> Tensor:
    """Each cell's word, ``(b, code, 8, 8)``: a differentiable function of the words, and of ``e`` piecewise constant."""
    return words[nearest_words(e, words)].permute(0, 3, 1, 2)


def remake(models: Mapping[str, Any], images: Tensor) -> tuple[Tensor, Tensor]:
    """Reconstructions in float32, and the words' indices (zeros where there is no codebook); no random stream moves."""
    made, found = [], []
    own = next(models["T"].parameters())
    with torch.no_grad():
        for batch in images.to(own).chunk(4):
            words = torch.zeros(len(batch), 8, 8, dtype=torch.long)
            if "C" in models:
                e = models["E"](batch)
                words = nearest_words(e, models["C"])
                batch = quantise(e, models["C"])
            made.append(models["T"](batch).cpu().float())
            found.append(words.cpu())
    return torch.cat(made), torch.cat(found)


def _first_words(encoder: torch.nn.Module, images: Tensor) -> Tensor:
    """Encodings of cells chosen at random, ``(64, 4)``, so that no word starts far from all of them."""
    with torch.no_grad():
        cells = encoder(spread(images)).permute(0, 2, 3, 1).reshape(-1, CODE)
    words: Tensor = cells[torch.randperm(len(cells))[:WORDS]].clone()
    return words
