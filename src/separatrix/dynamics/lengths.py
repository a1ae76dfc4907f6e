"""Lengths of vectors whose squares a dtype cannot hold."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

# Lengths whose squares float32 holds.
SQUARED = 1e-12, 1e18


def length(v: Tensor) -> float:
    """The Euclidean length, also where squares overflow or vanish; infinite or NaN where an entry is.

    Example:
        >>> import torch
        >>> length(torch.tensor([3e-30, 4e-30])) / 5e-30, length(torch.tensor([3e200, 4e200], dtype=torch.float64)) / 5e200
        (1.0, 1.0)
    """
    norm = float(torch.linalg.vector_norm(v))
    if SQUARED[0] < norm < SQUARED[1] or norm != norm or not v.numel():
        return norm
    most = float(v.abs().max())
    return most * float(torch.linalg.vector_norm(v.double() / most)) if 0 < most < inf else norm
