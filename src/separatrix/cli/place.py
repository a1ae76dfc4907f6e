"""Where and in which precision the players live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from separatrix.errors import InputError
from separatrix.fields import Game
from separatrix.fields.batches import map_tensors


def find_device(name: str) -> torch.device:
    """The device of this name.

    Raises:
        InputError: an unknown name, or a device that this machine cannot use.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"--device {name} is not available here ({first}); use --device cpu, or leave it out."
        ) from None
    return device


def placed(game: Game, *, device: torch.device | None = None, dtype: torch.dtype | None = None) -> Game:
    """The game with its players on a device and in a dtype; the same game where they are there already.

    Modules are moved themselves, and so are those that the losses reach; players made of raw tensors are copied.
    """
    own = game.parameters[0]
    device, dtype = device or own.device, dtype or own.dtype
    if own.device == device and own.dtype == dtype:
        return game
    game.arena.to(device=device, dtype=dtype)
    copies: dict[int, Tensor] = {}  # a tensor shared by players stays shared

    def moved(tensor: Tensor) -> Tensor:
        if id(tensor) not in copies:
            copy = tensor.detach().to(device, dtype)
            copies[id(tensor)] = nn.Parameter(copy, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else copy
        return copies[id(tensor)]

    models: Mapping[str, Any] = {
        name: model if isinstance(model, nn.Module) else map_tensors(model, moved)
        for name, model in game.models.items()
    }
    return Game(models, game.losses, batch_size=game.batch_size, name=game.name)
