"""LeCam: pull the discriminator's outputs on each kind of sample towards where it stood, of late, on the other kind."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from separatrix.errors import InputError


class LeCam(nn.Module):
    """``weight (E relu(D(x) - f)^2 + E relu(r - D(g))^2)`` for the discriminator's loss; no 1/2 [tseng2021].

    ``r`` and ``f`` are moving averages of the outputs on real and on generated samples. It keeps the two from drifting
    apart, which helps where data are few. (The paper's equation has no relu, its experiments do: only outputs on the
    right side of the other's average are held back.)

    The averages are buffers and move at each call in train mode, after the penalty was taken, with ``decay``: an
    alternating loop calls the losses once a player, so they move once a player. A measured field sees them held fixed,
    as the gradient does; list the module in ``Problem(state=...)``.

    Args:
        weight: 0.01 to 0.3 are usual.
        decay: of the averages, for each call.

    Raises:
        InputError: a negative weight, or a decay outside [0, 1).

    Example:
        >>> lecam = LeCam(1.0, decay=0.5)
        >>> lecam(torch.tensor([2.0]), torch.tensor([-1.0]))  # both averages start at 0: 2^2 + 1^2
        tensor(5.)
        >>> lecam.real, lecam.fake
        (tensor(1.), tensor(-0.5000))
    """

    real: Tensor
    fake: Tensor

    def __init__(self, weight: float, *, decay: float = 0.99) -> None:
        super().__init__()
        if not (weight >= 0 and 0 <= decay < 1):
            raise InputError(
                f"the weight must not be negative and the decay lie in [0, 1), got weight={weight}, decay={decay}."
            )
        self.weight, self.decay = weight, decay
        self.register_buffer("real", torch.tensor(0.0))
        self.register_buffer("fake", torch.tensor(0.0))

    def forward(self, on_real: Tensor, on_fake: Tensor) -> Tensor:
        """The penalty, and in train mode a move of the averages."""
        # Copies, since the averages move before the graph is used.
        real, fake = self.real.clone(), self.fake.clone()
        penalty = relu(on_real - fake).square().mean() + relu(real - on_fake).square().mean()
        if self.training:
            with torch.no_grad():
                self.real.lerp_(on_real.mean().to(self.real), 1 - self.decay)
                self.fake.lerp_(on_fake.mean().to(self.fake), 1 - self.decay)
        return penalty * self.weight
