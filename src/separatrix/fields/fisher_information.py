"""Fisher information: of a model's own predictions, exact or drawn, and its empirical namesake.

Both are ``F' M F`` with ``F`` the Jacobian of what the model puts out; no sample's gradient is stored.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Normal

from separatrix.errors import InputError
from separatrix.fields.curvature import Curvature, Middle
from separatrix.fields.game_field import GameField
from separatrix.fields.outputs import OutputJacobian, Outputs
from separatrix.fields.surroundings import frozen_randomness


def fisher(
    field: GameField,
    outputs: Outputs,
    distribution: str | Callable[[Tensor], Distribution],
    *,
    samples: int | None = None,
    seed: int = 0,
    x: Tensor | None = None,
    route: str = "retained",
) -> Curvature:
    """``E[g g']`` over the model's own predictions ``y ~ p(y | outputs)``, ``g = grad log p(y)``: the Fisher information.

    Averaged over samples, and for one sample over its whole output: the sum over classes, pixels or tokens. With the mean of the
    matching negative log-likelihood as loss it is the Gauss-Newton matrix [martens2020].

    Args:
        field: the field of ``sx.Loss`` on data: its batches and weights.
        outputs: ``outputs(model, batch)``, a tensor ``(samples, ...)``.
        distribution: ``categorical`` (logits along the last dimension), ``bernoulli`` (logits), ``gaussian`` (means, variance 1), or a
            function of the outputs that returns a ``torch.distributions.Distribution``.
        samples: draws of each prediction; exact where ``None``, which needs one of the three names.
        seed: of the draws.
        x, route: as for :class:`~separatrix.fields.OutputJacobian`.

    Raises:
        InputError: an unknown name, or a function of one's own without ``samples``.

    Cost: a product 4/3 gradients, up to 2.3 for convolutions; drawn: ``samples`` times the size of the outputs in memory. Its error
    falls as ``1 / sqrt(samples * number of samples in the data)``.
    """
    if isinstance(distribution, str) and distribution not in _EXACT:
        raise InputError(
            f"distribution must be one of {', '.join(map(repr, _EXACT))} or a function, got {distribution!r}."
        )
    if samples is None and not isinstance(distribution, str):
        raise InputError(
            f"the exact Fisher information is known for {', '.join(map(repr, _EXACT))}; give samples=1 or more."
        )
    if samples is not None and (isinstance(samples, bool) or not isinstance(samples, int) or samples < 1):
        raise InputError(f"samples must be a positive integer or None, got {samples!r}.")
    F = OutputJacobian(field, outputs, x=x, route=route)
    if samples is None:
        assert isinstance(distribution, str)
        exact = _EXACT[distribution]

        def expected(number: int, u: Tensor) -> Tensor:
            at = F.values[number]
            return field.weights[number] / len(at) * exact(at, u)

        return Curvature(F, Middle(F, expected, semidefinite=True))
    make = _DRAWN[distribution] if isinstance(distribution, str) else distribution
    scores = [_scores(F, number, make, samples, seed + number) for number in range(field.parts)]

    def drawn(number: int, u: Tensor) -> Tensor:
        s, b = scores[number], len(u)
        along = torch.einsum("sbi,bi->sb", s, u.reshape(b, -1))
        return field.weights[number] / (b * samples) * torch.einsum("sb,sbi->bi", along, s)

    return Curvature(F, Middle(F, drawn, semidefinite=True))


def empirical_fisher(
    field: GameField, losses: Outputs, *, x: Tensor | None = None, route: str = "retained"
) -> Curvature:
    """``(1 / N) sum_i g_i g_i'`` over the gradients of the samples' own losses: their uncentred second moment.

    It is what Adam's second moments and gradient noise are made of, and in general not the Fisher information
    [kunstner2019].

    Args:
        field: the field of ``sx.Loss`` on data: its batches and weights.
        losses: ``losses(model, batch)``, each sample's loss, ``(samples,)``: with ``reduction="none"``.
        x, route: as for :class:`~separatrix.fields.OutputJacobian`.

    Raises:
        InputError: the losses are no vector.

    Cost: a product 4/3 gradients, up to 2.3 for convolutions; no sample's gradient is stored.
    """
    F = OutputJacobian(field, losses, x=x, route=route)
    for value in F.values:
        if value.ndim != 1:
            raise InputError(
                f"losses(model, batch) must return one loss a sample, (samples,), got shape {tuple(value.shape)}; take the mean over "
                "what belongs to a sample."
            )

    def change(number: int, u: Tensor) -> Tensor:
        return field.weights[number] / len(u) * u

    return Curvature(F, Middle(F, change, semidefinite=True))


def _scores(F: OutputJacobian, number: int, make: Callable[[Tensor], Distribution], samples: int, seed: int) -> Tensor:
    """``grad log p(y)`` in the outputs for drawn ``y``, ``(samples, b, outputs of a sample)``."""
    with torch.enable_grad(), frozen_randomness(seed):
        leaf = F.values[number].clone().requires_grad_()
        found = make(leaf)
        if not isinstance(found, Distribution):
            raise InputError(
                f"distribution(outputs) must return a torch.distributions.Distribution, got {type(found).__name__}."
            )
        scores = [
            torch.autograd.grad(found.log_prob(found.sample()).sum(), leaf, retain_graph=True)[0]
            for _ in range(samples)
        ]
    return torch.stack(scores).reshape(samples, len(leaf), -1)


def _categorical(logits: Tensor, u: Tensor) -> Tensor:
    p = logits.softmax(-1)
    return p * (u - (p * u).sum(-1, keepdim=True))


def _bernoulli(logits: Tensor, u: Tensor) -> Tensor:
    p = logits.sigmoid()
    return p * (1 - p) * u


def _gaussian(_: Tensor, u: Tensor) -> Tensor:
    return u


# The Fisher information in the outputs themselves, applied to a vector; and how predictions are drawn.
_EXACT = {"categorical": _categorical, "bernoulli": _bernoulli, "gaussian": _gaussian}
_DRAWN: dict[str, Callable[[Tensor], Distribution]] = {
    "categorical": lambda logits: Categorical(logits=logits),
    "bernoulli": lambda logits: Bernoulli(logits=logits),
    "gaussian": lambda means: Normal(means, torch.ones_like(means)),
}
