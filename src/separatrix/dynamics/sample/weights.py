"""A normalising constant from importance weights, with its standard error."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

from torch import Tensor

from separatrix.errors import InputError


@dataclass(frozen=True)
class NormalisingConstant:
    """The mean of weights.

    Attributes:
        log_value: logarithm of the constant.
        stderr: standard error of ``log_value``, by linearisation: only to be believed where it is well below 1.
        relative_variance: of one weight, ``var(w) / mean(w)^2``; that of the estimate is this over their number.
        effective: effective share of the samples, ``1 / (1 + relative_variance)``.
    """

    log_value: float
    stderr: float
    relative_variance: float
    effective: float


def normalising_constant(log_weights: Tensor) -> NormalisingConstant:
    """The constant that independent weights estimate, from their logarithms ``(b,)``.

    Raises:
        InputError: fewer than two weights, none above zero, or some that are not a number.

    Example:
        >>> import torch
        >>> round(normalising_constant(torch.tensor([1.0, 3.0]).log()).log_value, 4)  # log 2
        0.6931
    """
    if log_weights.ndim != 1 or len(log_weights) < 2 or bool((log_weights.isnan() | (log_weights == inf)).any()):
        raise InputError(
            f"log_weights must be at least two numbers (b,), none NaN or infinite, got shape {tuple(log_weights.shape)}."
        )
    logs = log_weights.detach().double()
    top = logs.max()
    if float(top) == -inf:
        raise InputError("every weight is zero: no sample met the target; try a wider base.")
    w = (logs - top).exp()
    spread = float(w.var() / w.mean().square())
    return NormalisingConstant(float(top + w.mean().log()), sqrt(spread / len(w)), spread, 1 / (1 + spread))
