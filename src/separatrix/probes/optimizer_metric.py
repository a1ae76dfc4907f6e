"""How far an optimizer moves a coordinate for a unit gradient, read from its state: the metric that it measures lengths in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def step_scales(optimizer: torch.optim.Optimizer | None, tensors: Sequence[Tensor]) -> list[Tensor] | None:
    """The displacement for a unit gradient, coordinate by coordinate, momentum left out; ``None`` where it is not known.

    Known for torch's SGD (``lr``), RMSprop and Adagrad (``lr / (sqrt(s) + eps)``), Adam and AdamW (the same with the
    bias-corrected second moment). Before the first step the second moments are not known either.
    """
    if optimizer is None:
        return None
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    found = []
    for tensor in tensors:
        group = groups.get(id(tensor))
        scale = None if group is None else _scale(optimizer, group, optimizer.state.get(tensor, {}), tensor)
        if scale is None:
            return None
        found.append(scale)
    return found


def _scale(
    optimizer: torch.optim.Optimizer, group: Mapping[str, Any], state: Mapping[str, Any], tensor: Tensor
) -> Tensor | None:
    lr, kind = float(group["lr"]), type(optimizer)
    if kind is torch.optim.SGD:
        return torch.full_like(tensor, lr, requires_grad=False)
    if kind in (torch.optim.Adam, torch.optim.AdamW) and not group["amsgrad"]:
        square, corrected = state.get("exp_avg_sq"), 1 - float(group["betas"][1]) ** float(state.get("step", 0))
    elif kind is torch.optim.RMSprop and not group["centered"]:
        square, corrected = state.get("square_avg"), 1.0
    elif kind is torch.optim.Adagrad:
        square, corrected = state.get("sum"), 1.0
    else:
        return None
    if square is None or corrected == 0:
        return None
    root: Tensor = (square.detach() / corrected).sqrt() + float(group["eps"])
    return lr / root
