"""Loss scaling in half precision, with the state of a ``torch.amp.GradScaler``."""

from __future__ import annotations

import torch


def backed_off(scaler: torch.amp.GradScaler) -> None:
    """Lower the scale after a step that overflowed, as ``GradScaler.update`` does."""
    state = scaler.state_dict()
    scaler.load_state_dict({**state, "scale": state["scale"] * state["backoff_factor"], "_growth_tracker": 0})


def grown(scaler: torch.amp.GradScaler) -> None:
    """Count a step that went well, and raise the scale after so many of them."""
    state = scaler.state_dict()
    count = state["_growth_tracker"] + 1
    if count >= state["growth_interval"]:
        state, count = {**state, "scale": state["scale"] * state["growth_factor"]}, 0
    scaler.load_state_dict({**state, "_growth_tracker": count})
