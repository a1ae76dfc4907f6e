"""Balance between players and between the terms of one player: an adaptive weight, and rates of a discriminator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from separatrix.dynamics.bases import Adam
from separatrix.dynamics.method import Method
from separatrix.dynamics.schemes import Alternating
from separatrix.errors import InputError


class AdversarialWeight(nn.Module):
    """A weight for an adversarial term that gives it, at one layer, ``factor`` times the gradient of the other term.

    ``w = factor |grad_W rec| / (|grad_W adv| + 1e-6)``, at most ``most``, with ``W`` the decoder's last weight [esser2021, eq. 7].
    Multiply the generator's loss with what a call returns.

    The weight is a buffer: a call returns its present value and then, in train mode, moves it towards the ratio measured,
    by ``1 - decay``. (Published code uses the ratio of the same step and detaches it, which hides its change from a
    Jacobian. Here a measured field has a constant weight, and means it.) List the module in ``Problem(state=...)``.

    Args:
        factor: 0.8 in the paper's code, 1 for equal gradients.
        decay: of the moving average over calls; 0 takes the last ratio alone.
        begin: the weight before the first call.
        most: bound of the ratio, for discriminators that have gone flat.

    Raises:
        InputError: a negative number, or a decay outside [0, 1).

    Example:
        >>> w, balance = torch.tensor([1.0, 2.0], requires_grad=True), AdversarialWeight(decay=0.0)
        >>> rec, adv = (w * w).sum(), w.sum()  # gradients (2, 4) and (1, 1)
        >>> balance(rec, adv, w), balance.weight.square()  # 20 / 2
        (tensor(1.), tensor(10.0000))
    """

    weight: Tensor

    def __init__(self, *, factor: float = 1.0, decay: float = 0.9, begin: float = 1.0, most: float = 1e4) -> None:
        super().__init__()
        if not (factor > 0 and 0 <= decay < 1 and begin >= 0 and most > 0):
            raise InputError(
                "factor and most must be positive, begin not negative and decay in [0, 1), got "
                f"factor={factor}, most={most}, begin={begin}, decay={decay}."
            )
        self.factor, self.decay, self.most = factor, decay, most
        self.register_buffer("weight", torch.tensor(float(begin)))

    def forward(self, reconstruction: Tensor, adversarial: Tensor, parameter: Tensor) -> Tensor:
        """The weight, and in train mode a move of it.

        Args:
            reconstruction, adversarial: scalars with graphs; the adversarial one without a weight.
            parameter: ``W``, read from the models that the losses were given: ``models["T"][-2].weight``.

        Raises:
            InputError: one of the terms does not depend on the parameter.

        Cost: two backward passes down to ``W``.
        """
        present = self.weight.clone()
        if self.training:
            found = [self._norm(term, parameter) for term in (reconstruction, adversarial)]
            ratio = (self.factor * found[0] / (found[1] + 1e-6)).clamp(max=self.most)
            with torch.no_grad():
                self.weight.lerp_(ratio.to(self.weight), 1 - self.decay)
        return present

    @staticmethod
    def _norm(term: Tensor, parameter: Tensor) -> Tensor:
        grad = (
            torch.autograd.grad(term, parameter, retain_graph=True, allow_unused=True)[0]
            if term.requires_grad
            else None
        )
        if grad is None:
            raise InputError(
                "a term does not depend on the parameter at which the gradients are compared; give the last weight of what "
                "makes the samples, as read from the models inside the losses."
            )
        norm: Tensor = grad.norm()
        return norm


def two_time_scale(
    lr: float,
    *,
    ratio: float = 1.0,
    betas: tuple[float, float] = (0.0, 0.99),
    discriminator: str = "D",
    generators: Sequence[str] = ("G",),
    repeats: int = 1,
) -> Method:
    """Alternating Adam, discriminator first, with a rate of its own for it [heusel2017] and, by default, no momentum.

    Momentum in Adam's form multiplies an undamped rotation ``z = +-iy`` by about ``1 + y^2 (1 + b) / (2 (1 - b))`` a step, so ``beta1 = 0``
    leaves the least growth of all averages that look back.

    Args:
        lr: of the generators.
        ratio: the discriminator's rate over the generators'.
        betas: of all.
        discriminator, generators: the players' names.
        repeats: moves of the discriminator in its turn.

    Raises:
        InputError: a rate or ratio that is not positive.
    """
    if not (lr > 0 and ratio > 0):
        raise InputError(f"lr and ratio must be positive, got lr={lr}, ratio={ratio}.")
    bases = {discriminator: Adam(lr * ratio, betas), **{player: Adam(lr, betas) for player in generators}}
    return Method(bases, Alternating((discriminator, *generators), {discriminator: repeats}))
