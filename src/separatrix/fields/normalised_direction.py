"""SAN: the discriminator's last layer as a direction on the sphere with a loss of its own.

A discriminator is ``D(x) = s <w, h(x)> + c``. Trained by the usual losses, ``w`` need not be the direction in which the
features of real and generated samples lie furthest apart, and then the generator follows the gradient of no distance. The
slicing adversarial network trains ``h`` by the usual loss with ``w`` held, and ``w`` by the Wasserstein loss with ``h`` held
[takida2024].
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from separatrix.errors import InputError
from separatrix.fields.exact_norms import copied, refresh_norms


class SanOutputs(NamedTuple):
    """One output for each of the two losses.

    Attributes:
        function: ``s <sg(w), h(x)> + c``: for the usual loss.
        direction: ``sg(s) <w, sg(h(x))>``: for the Wasserstein loss.
    """

    function: Tensor
    direction: Tensor


class NormalisedDirection(nn.Module):
    """A last layer with its weight on the unit sphere, ``s <w / |w|, h> + c``; at first the same function as ``layer``.

    Used as it is, all of it follows the usual loss. With :func:`san_outputs` the direction follows its own. Its gradients
    are tangent to the sphere, so ``|w|`` only grows, and the angle of a step shrinks; :meth:`normalise`, once a step,
    brings it back to 1 and leaves the function as it is. (The paper's code adds its bias to the features, which spans the
    same functions.)

    Args:
        layer: ``nn.Linear`` or ``nn.Conv2d`` with one output.

    Raises:
        InputError: another layer, several outputs, or a weight of zeros.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 4.0]])), layer.bias.data.fill_(1.0)
        >>> san = NormalisedDirection(layer)
        >>> san.scale.item(), san(torch.tensor([[1.0, 1.0]])).item()
        (5.0, 8.0)
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        if not isinstance(layer, (nn.Linear, nn.Conv2d)) or len(layer.weight) != 1:
            raise InputError(f"the last layer must be nn.Linear or nn.Conv2d with one output, got {layer}.")
        if getattr(layer, "padding_mode", "zeros") != "zeros":
            raise InputError(f"the last convolution must pad with zeros, got padding_mode={layer.padding_mode!r}.")
        weight = layer.weight.detach()
        norm = weight.norm()
        if not norm > 0:
            raise InputError("the last layer's weight is zero and has no direction; initialise it first.")
        self.weight = nn.Parameter(weight / norm)
        self.scale = nn.Parameter(norm.clone())
        self.bias = nn.Parameter(
            torch.zeros_like(norm) if layer.bias is None else layer.bias.detach().reshape(()).clone()
        )
        self._settings = (
            None if isinstance(layer, nn.Linear) else (layer.stride, layer.padding, layer.dilation, layer.groups)
        )
        self._recorded: list[Tensor] | None = None

    def forward(self, features: Tensor) -> Tensor:
        weight = self.weight / self.weight.norm()
        if self._recorded is None:
            return self.scale * self._product(features, weight) + self.bias
        self._recorded.append(self.scale.detach() * self._product(features.detach(), weight))
        return self.scale * self._product(features, weight.detach()) + self.bias

    def _product(self, features: Tensor, weight: Tensor) -> Tensor:
        if self._settings is None:
            return linear(features, weight)
        stride, padding, dilation, groups = self._settings
        return conv2d(features, weight, None, stride, padding, dilation, groups)

    @torch.no_grad()
    def normalise(self) -> None:
        """Bring ``|w|`` back to 1; call it after each of the optimizer's steps."""
        self.weight.div_(self.weight.norm())


def san_outputs(discriminator: nn.Module, x: Tensor) -> SanOutputs:
    """The outputs for both losses of a plain training loop, in one pass.

    ``L_D = L(function on real, function on fake) + mean(direction on fake) - mean(direction on real)`` with any ``L`` of
    :func:`gan_losses`; the generator's loss takes ``discriminator(fake)``. The two are parted by ``detach``, which hides
    their interaction from a Jacobian: to measure, make two players of them, :func:`san_players`.

    Args:
        discriminator: holds one :class:`NormalisedDirection`.
        x: its input.

    Raises:
        InputError: no such layer, several, or the pass does not reach it.
    """
    layer = _direction_of(discriminator)
    recorded: list[Tensor] = []
    layer._recorded = recorded
    try:
        function = discriminator(x)
    finally:
        layer._recorded = None
    if not recorded:
        raise InputError("the discriminator's forward pass does not reach its NormalisedDirection.")
    return SanOutputs(function, recorded[0])


def san_players(discriminator: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The discriminator's parameters as two players of a :class:`Game`: the function ``(h, s, c)``, and the direction ``w``.

    Their losses read the same undetached ``discriminator(x)``: the function minimises the usual loss, the direction
    ``E D(g) - E D(x)``. Each player's gradient is the one that ``san_outputs`` gives it, up to the factor ``s`` that both
    give the direction, and nothing is hidden from the Jacobian.

    Raises:
        InputError: not exactly one :class:`NormalisedDirection`.
    """
    direction = _direction_of(discriminator).weight
    named = dict(discriminator.named_parameters())
    return (
        {name: p for name, p in named.items() if p is not direction},
        {name: p for name, p in named.items() if p is direction},
    )


def to_san(discriminator: nn.Module) -> nn.Module:
    """A copy of a discriminator with its last layer, in the order of registration, turned into a :class:`NormalisedDirection`.

    The copy computes the same function. Spectral or weight normalisation of that layer ends, for its norm is now ``s``.

    Raises:
        InputError: no linear or convolutional layer, the last one has several outputs, or the discriminator cannot be copied.
    """
    copy = copied(discriminator)
    layers = [(name, m) for name, m in copy.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    if not layers:
        raise InputError("the discriminator has no nn.Linear or nn.Conv2d layer that could hold a direction.")
    name, layer = layers[-1]
    refresh_norms(layer)
    direction = NormalisedDirection(layer)
    if not name:
        return direction
    parent, _, child = name.rpartition(".")
    setattr(copy.get_submodule(parent), child, direction)
    return copy


def _direction_of(discriminator: nn.Module) -> NormalisedDirection:
    found = [m for m in discriminator.modules() if isinstance(m, NormalisedDirection)]
    if len(found) != 1:
        raise InputError(
            f"the discriminator must hold one NormalisedDirection, it holds {len(found)}; make one with sx.fields.to_san(D)."
        )
    return found[0]
