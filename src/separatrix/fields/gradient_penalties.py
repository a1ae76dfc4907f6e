"""Penalties on the slope of a discriminator with respect to its input.

One convention throughout: the squared slope of a sample is *summed* over its pixels and channels, the samples are
*averaged* over the batch, and zero-centred penalties carry the factor 1/2. Much published code leaves out the 1/2 (its
weight 10 is 20 here), or averages over pixels by mistake (its weight is the number of pixels times too small).

The slope is taken of the sum of a batch's outputs, which is right where samples do not see each other: a discriminator
with batch normalisation in train mode is no function of one sample, and has no such slope.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from separatrix.errors import InputError

Discriminator = Callable[[Tensor], Tensor]


def watched(x: Tensor) -> Tensor:
    """Samples whose slope can be asked for: ``x`` itself where it has a graph, else a view of a fresh copy of its handle.

    Call the discriminator on what this returns, then :func:`slope_penalty`. The values are not copied, and ``x`` does
    not start to require gradients. Generated samples keep their graph, so that the penalty's dependence on the generator
    is not lost to a Jacobian.

    Raises:
        InputError: samples of whole numbers, which have no slope.
    """
    if not x.is_floating_point():
        raise InputError(
            f"a slope needs samples of floating-point numbers, got {x.dtype}; scale them first: x / 127.5 - 1."
        )
    # A view, since torch's count of floating-point operations refuses a module whose input is a leaf.
    return x if x.requires_grad else x.detach().requires_grad_().view_as(x)


def squared_slopes(outputs: Tensor, x: Tensor) -> Tensor:
    """``|grad_x D(x_b)|^2`` of each sample, ``(b,)``, summed over all its entries, with a graph.

    Args:
        outputs: ``D(x)``, one number for each sample: ``(b,)`` or ``(b, 1)``.
        x: what :func:`watched` returned, ``(b, ...)``.

    Raises:
        InputError: several outputs for a sample, outputs that do not depend on ``x``, or ``torch.no_grad()``.

    Cost: one backward pass through the discriminator; a gradient of the result needs second derivatives of it.
    """
    if outputs.numel() != len(x):
        raise InputError(
            f"a slope needs one output for each sample, got outputs of shape {tuple(outputs.shape)} for {len(x)} samples; "
            "reduce a map of outputs to its mean: D(x).flatten(1).mean(1)."
        )
    if not torch.is_grad_enabled():
        raise InputError(
            "a slope is a gradient, and gradients are off here; leave the penalty out under torch.no_grad(), or take it under "
            "torch.enable_grad()."
        )
    if not x.requires_grad:
        raise InputError("the samples carry no graph; call the discriminator on watched(x), and give that x.")
    try:
        (slope,) = torch.autograd.grad(outputs.sum(), x, create_graph=True)
    except RuntimeError as error:
        raise InputError(
            f"the outputs do not depend on these samples ({error}); call the discriminator on watched(x), and give that x."
        ) from error
    return slope.square().flatten(1).sum(1)


def slope_penalty(outputs: Tensor, x: Tensor, weight: float) -> Tensor:
    """``weight / 2 E |grad_x D(x)|^2``, from outputs that are there already, so that the pass is not made twice.

    Example:
        >>> x = watched(torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
        >>> slope_penalty((x * x).sum(1), x, weight=1.0)  # slopes 2x: squares 20 and 4
        tensor(6., grad_fn=<MulBackward0>)

    Raises:
        InputError: a negative weight, and as :func:`squared_slopes`.
    """
    _check(weight)
    return squared_slopes(outputs, x).mean() * (weight / 2)


def r1(discriminator: Discriminator, real: Tensor, weight: float) -> Tensor:
    """R1, for the discriminator's loss: ``weight / 2 E_data |grad_x D(x)|^2`` [mescheder2018, eq. 9].

    Near an equilibrium it damps the discriminator and with it the rotation: the Dirac-GAN has the eigenvalues
    ``-w/2 +- sqrt(w^2/4 - f'^2)``. Weights from 0.1 to 10 are usual for images in [-1, 1]; too large a weight is stiff.

    Args:
        discriminator: returns one number for each sample, ``(b,)`` or ``(b, 1)``; bind labels with a lambda.
        real: samples ``(b, ...)``.
        weight: ``gamma``.

    Raises:
        InputError: as :func:`slope_penalty`.

    Cost: a forward and a backward pass of the discriminator, and second derivatives in its gradient: about twice the
    price of the discriminator's step without it.
    """
    x = watched(real)
    return slope_penalty(discriminator(x), x, weight)


def r2(discriminator: Discriminator, fake: Tensor, weight: float) -> Tensor:
    """R2: the same on generated samples, ``weight / 2 E_gen |grad_x D(g)|^2`` [mescheder2018, eq. 10].

    Give ``fake`` undetached. It belongs to the discriminator's loss; with relativistic pairing R1 and R2 go together
    [huang2024]. Raises and costs as :func:`r1`.
    """
    return r1(discriminator, fake, weight)


def between(real: Tensor, fake: Tensor) -> Tensor:
    """A point on the line from each real sample to a generated one, ``u x + (1 - u) g`` with ``u`` uniform, one a sample.

    Draws from the global stream, so that a field can freeze it.

    Raises:
        InputError: the two have not the same shape.
    """
    if real.shape != fake.shape:
        raise InputError(
            f"each real sample is joined to a generated one, so the two must have one shape; got {tuple(real.shape)} and "
            f"{tuple(fake.shape)}."
        )
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    return share * real + (1 - share) * fake


def zero_centred(discriminator: Discriminator, real: Tensor, fake: Tensor, weight: float) -> Tensor:
    """The zero-centred penalty between the samples: ``weight / 2 E |grad_x D(u x + (1 - u) g)|^2`` [thanhtung2019].

    The paper writes no 1/2: its weight ``lambda`` is ``2 lambda`` here. Arguments, errors and cost as :func:`wgan_gp`.
    """
    return r1(discriminator, between(real, fake), weight)


def wgan_gp(
    discriminator: Discriminator, real: Tensor, fake: Tensor, weight: float = 10.0, *, slope: float = 1.0
) -> Tensor:
    """WGAN-GP: ``weight E (|grad_x D(u x + (1 - u) g)| - slope)^2`` [gulrajani2017, eq. 3]; there is no 1/2.

    For the Wasserstein loss. It bounds the discriminator but does not damp it: the Dirac-GAN still cycles
    [mescheder2018, section 3]. Where the slope vanishes its length is no differentiable function, and 0 is taken as its gradient.

    Args:
        discriminator: returns one number for each sample.
        real, fake: of one shape ``(b, ...)``; ``fake`` undetached.
        weight: ``lambda``.
        slope: what the length of the slope is drawn to.

    Raises:
        InputError: a negative weight, two shapes, or several outputs for a sample.

    Cost: as :func:`r1`; draws one number for each sample from the global stream.
    """
    _check(weight)
    x = watched(between(real, fake))
    squares = squared_slopes(discriminator(x), x)
    flat = squares == 0
    length = torch.where(flat, torch.ones_like(squares), squares).sqrt().masked_fill(flat, 0.0)
    return weight * (length - slope).square().mean()


def _check(weight: float) -> None:
    if weight < 0:
        raise InputError(f"the weight must not be negative, got {weight}; a penalty is added to the loss.")
