"""An optimizer's state put back in place, so that whoever holds its groups or its tensors still holds the right ones."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor


def put_optimizer(optimizer: torch.optim.Optimizer, data: Mapping[str, Any]) -> None:
    """Write a ``state_dict`` into the optimizer; ``load_state_dict`` would make new groups and new tensors.

    Raises:
        ValueError: another number of groups or parameters.
    """
    groups = optimizer.param_groups
    if [len(g["params"]) for g in groups] != [len(g["params"]) for g in data["param_groups"]]:
        raise ValueError("its parameter groups are others")
    for group, kept in zip(groups, data["param_groups"], strict=True):
        for key in [k for k in group if k not in kept]:
            del group[key]
        for key, value in kept.items():
            if key != "params":
                group[key] = _placed(group.get(key), value, None)
    held = [p for group in groups for p in group["params"]]
    for number, parameter in enumerate(held):
        if number not in data["state"]:
            optimizer.state.pop(parameter, None)
            continue
        entry, kept = optimizer.state[parameter], data["state"][number]
        for key in [k for k in entry if k not in kept]:
            del entry[key]
        for key, value in kept.items():
            entry[key] = _placed(entry.get(key), value, parameter)


def _placed(now: Any, value: Any, beside: Tensor | None) -> Any:
    """``value``, written into the tensor that stands there where there is one of its kind."""
    if isinstance(value, Tensor):
        if isinstance(now, Tensor) and now.shape == value.shape and now.dtype == value.dtype:
            with torch.no_grad():
                now.copy_(value)
            return now
        # A count of steps may lie on the host; all else lies where its parameter does.
        return value.to(beside.device, copy=True) if beside is not None and value.ndim else value.clone()
    return deepcopy(value)
