"""Will the chosen answer fall? The inner products of the gradients that decide it, measured on the model.

Under gradient flow of a loss ``L(u, v)`` of one pair the chosen's log-probability obeys
``du/dt = -L_u |g_c|^2 - L_v <g_c, g_r>`` with the gradients ``g_c``, ``g_r`` of both log-probabilities with respect to the
parameters. For a loss of the margin ``L_v = -L_u > 0``, so it falls exactly when ``<g_c, g_r> > |g_c|^2``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from separatrix.errors import InputError
from separatrix.fields import Loss, PreferenceLoss, pull
from separatrix.fields.preferences import dpo
from separatrix.probes.numbers import number

LogProbabilities = Callable[[Any, Any], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class PreferenceGradients:
    """What one step of descent does to both answers, to first order.

    Attributes:
        kernel: for each measured pair the inner products ``[[|g_c|^2, <g_c, g_r>], [<g_c, g_r>, |g_r|^2]]``, ``(p, 2, 2)``.
        slopes: ``(L_u, L_v)`` of each measured pair, ``(p, 2)``.
        falls: which pairs' chosen answer falls under its own loss, ``(p,)``.
        chosen_rate, rejected_rate: change per unit of time of the batch's mean log-probabilities under the batch's loss.
        likelihood_weight: the weight ``w`` of a term ``-w mean u`` from which on the batch's chosen rises; 0 where it does.
        gradients: spent.
        sentence: in words.
    """

    kernel: Tensor
    slopes: Tensor
    falls: Tensor
    chosen_rate: float
    rejected_rate: float
    likelihood_weight: float
    gradients: float
    sentence: str

    @property
    def overlap(self) -> Tensor:
        """``<g_c, g_r> / |g_c|^2`` of each pair, ``(p,)``: above 1 the chosen falls under a loss of the margin."""
        return self.kernel[:, 0, 1] / self.kernel[:, 0, 0]


def preference_gradients(
    model: nn.Module,
    log_probabilities: LogProbabilities,
    batch: Any,
    *,
    loss: PreferenceLoss | None = None,
    reference: tuple[Tensor, Tensor] | None = None,
    pairs: int = 8,
    preconditioner: Tensor | None = None,
) -> PreferenceGradients:
    """Measure the inner products on a batch of pairs; nothing of the model changes.

    Args:
        model: the policy.
        log_probabilities: ``(model, batch)`` to the log-probabilities of chosen and rejected, ``(b,)`` each; means a token
            for losses without a reference.
        batch: whatever that function takes.
        loss: DPO with ``beta = 0.1`` where ``None``.
        reference: log-probabilities under the reference model, ``(b,)`` each; those of the model as it is where ``None``.
        pairs: of how many pairs, the first ones, single gradients are taken.
        preconditioner: positive, ``(n,)``: what the optimiser multiplies gradients by, to use its inner product.

    Raises:
        InputError: log-probabilities that are not two vectors of one length, or a preconditioner of another size.

    Cost: ``2 pairs + 3`` gradients of the whole batch.
    """
    chosen_loss = dpo() if loss is None else loss
    spent = 0.0

    def gradient(term: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        nonlocal spent
        field = Loss(model, lambda m, b: term(*_checked(log_probabilities(m, b))), name="policy").on(batch)
        found = field()  # minus the gradient
        spent += field.gradients
        return -found.double()

    measured: list[Tensor] = []

    def remembered(u: Tensor, v: Tensor) -> Tensor:
        measured[:] = [u.detach().double(), v.detach().double()]
        return u.mean()

    g_chosen = gradient(remembered)
    u, v = measured
    start = (u, v) if reference is None else tuple(t.detach().double() for t in reference)
    if any(t.shape != u.shape for t in start):
        raise InputError(
            f"the reference holds two vectors of shape {tuple(u.shape)}, got {[tuple(t.shape) for t in start]}."
        )
    shift = start if chosen_loss.reference else (torch.zeros_like(u), torch.zeros_like(v))
    weight = torch.ones_like(g_chosen) if preconditioner is None else preconditioner.detach().to(g_chosen)
    if weight.shape != g_chosen.shape or not bool((weight > 0).all()):
        raise InputError(
            f"the preconditioner is positive, of shape {tuple(g_chosen.shape)}, got {tuple(weight.shape)}."
        )
    g_rejected = gradient(lambda a, b: b.mean())
    descent = -weight * gradient(lambda a, b: chosen_loss(a - shift[0].to(a), b - shift[1].to(b)).mean())
    rates = float(g_chosen @ descent), float(g_rejected @ descent)
    count = min(pairs, len(u))
    kernel = torch.zeros(count, 2, 2, dtype=torch.float64)
    for i in range(count):
        both = torch.stack([gradient(lambda a, b, i=i: a[i]), gradient(lambda a, b, i=i: b[i])])  # type: ignore[misc]
        kernel[i] = (both * weight) @ both.T
    slopes = pull(chosen_loss, (u - shift[0])[:count], (v - shift[1])[:count]).log
    falls = -slopes[:, 0] * kernel[:, 0, 0] - slopes[:, 1] * kernel[:, 0, 1] < 0
    own = float(g_chosen @ (weight * g_chosen))
    needed = max(-rates[0] / own, 0.0) if own > 0 else 0.0
    return PreferenceGradients(
        kernel, slopes, falls, rates[0], rates[1], needed, spent, _sentence(chosen_loss, rates, falls, needed)
    )


def _checked(found: Any) -> tuple[Tensor, Tensor]:
    if not (isinstance(found, tuple) and len(found) == 2 and found[0].ndim == 1 and found[0].shape == found[1].shape):
        raise InputError(
            "log_probabilities must return two vectors (b,), those of the chosen and of the rejected answers."
        )
    return found


def _sentence(loss: PreferenceLoss, rates: tuple[float, float], falls: Tensor, needed: float) -> str:
    how = "falls" if rates[0] < 0 else "rises"
    text = (
        f"Under {loss.name} the batch's chosen {how} at {number(rates[0])} per unit of time, the rejected goes at {number(rates[1])}; "
        f"in {int(falls.sum())} of {len(falls)} single pairs the chosen falls."
    )
    if needed > 0:
        text += f" A likelihood term on the chosen of weight above {number(needed)} would make it rise."
    return text
