"""Noise on a discriminator's input: as a remedy, and as a slope penalty that needs no second derivatives.

Noise comes from the global stream, so that a field can freeze it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.gradient_penalties import Discriminator


def instance_noise(x: Tensor, std: float) -> Tensor:
    """``x + std n`` with standard normal ``n``, for real and generated samples alike [sonderby2017; arjovsky2017principled].

    It makes the two distributions overlap, and damps the discriminator: the Dirac-GAN gets the real part ``f'' std^2``, with
    ``f''(0) = -1/4``. Anneal it to nothing, for the generator learns to leave the noise out only as far as it is small:
    :func:`separatrix.dynamics.linear`.

    Args:
        x: samples in the units of ``std``; ``x`` itself comes back for 0, and nothing is drawn.
        std: of each entry, not negative.
    """
    if not std >= 0:
        raise InputError(f"the standard deviation of the noise must not be negative, got {std}.")
    return x + std * torch.randn_like(x) if std else x


def noise_penalty(
    discriminator: Discriminator, x: Tensor, weight: float, *, std: float = 0.01, outputs: Tensor | None = None
) -> Tensor:
    """R1 or R2 without second derivatives: ``weight / 2 E (D(x + std n) - D(x))^2 / std^2`` [lin2025].

    To first order in ``std`` the difference is ``std n . grad D``, whose square has the mean ``std^2 |grad D|^2``: the same as
    ``r1(D, x, weight)``. Use it where a penalty's double backward is too dear or not there (fused attention, checkpointing,
    sharded models). The paper leaves out the division: its weight ``lambda`` is ``2 lambda std^2`` here.

    What it errs by: one draw for each sample, so each sample's term has a relative standard deviation of ``sqrt(2)``;
    and curvature ``H`` of ``D`` adds ``std^2 (tr(H)^2 + 2 |H|_F^2) / 4`` to each square, and where it changes
    ``std^2 grad D . grad tr(H)``. In float32 ``std`` below 1e-3 loses the difference in rounding.

    Args:
        discriminator: returns one number for each sample, ``(b,)`` or ``(b, 1)``.
        x: samples ``(b, ...)``; generated ones undetached.
        weight: ``gamma``, as for R1.
        std: of the noise, in the units of ``x``.
        outputs: ``D(x)``, where it is there already.

    Raises:
        InputError: several outputs for a sample, or a ``std`` that is not positive.

    Cost: one more forward pass (two without ``outputs``), and their part of the gradient.
    """
    if not std > 0:
        raise InputError(f"the standard deviation of the noise must be positive, got {std}.")
    outputs = discriminator(x) if outputs is None else outputs
    if outputs.numel() != len(x):
        raise InputError(
            f"a slope needs one output for each sample, got outputs of shape {tuple(outputs.shape)} for {len(x)} samples; "
            "reduce a map of outputs to its mean: D(x).flatten(1).mean(1)."
        )
    difference = (discriminator(instance_noise(x, std)) - outputs) / std
    return difference.square().mean() * (weight / 2)
