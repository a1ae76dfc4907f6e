"""Players: modules as they are; tensors, lists and dicts of tensors held in a module that shares their memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from separatrix.errors import InputError

Player = nn.Module | Tensor | Sequence[Tensor] | Mapping[str, Tensor]


class HeldTensors(nn.Module):
    """A player made of raw tensors; shares their storage, so that it stands where they stand."""

    def __init__(self, player: str, tensors: Mapping[Any, Tensor], kind: str) -> None:
        super().__init__()
        self.labels, self.kind = list(tensors), kind
        for i, (label, tensor) in enumerate(tensors.items()):
            if not isinstance(tensor, Tensor):
                raise InputError(
                    f"player {player!r} holds a {type(tensor).__name__} at {label!r}; only tensors will do."
                )
            _check_floating(f"{player}[{label!r}]" if kind != "tensor" else player, tensor)
            if not tensor.is_leaf and not isinstance(tensor, nn.Parameter):
                raise InputError(
                    f"player {player!r} holds the result of a computation at {label!r}; give the leaf tensor itself."
                )
            held = tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor.detach())
            self.register_parameter(f"t{i}", held)

    def view(self) -> Any:
        tensors = [getattr(self, f"t{i}") for i in range(len(self.labels))]
        if self.kind == "tensor":
            return tensors[0]
        return dict(zip(self.labels, tensors, strict=True)) if self.kind == "dict" else tensors

    def suffix(self, key: str) -> str:
        label = self.labels[int(key[1:])]
        return "" if self.kind == "tensor" else f"[{label!r}]"


def hold(name: str, player: Player) -> nn.Module:
    """The player as a module.

    Raises:
        InputError: not something that can be a player, or with parameters that are no real floating-point numbers.
    """
    if not isinstance(name, str) or not name:
        raise InputError(f"a player's name is a non-empty string, got {name!r}.")
    if isinstance(player, nn.Module):
        for key, parameter in player.named_parameters():
            _check_floating(f"{name}.{key}", parameter)
        return player
    if isinstance(player, Tensor):
        return HeldTensors(name, {0: player}, "tensor")
    if isinstance(player, Mapping):
        return HeldTensors(name, player, "dict")
    if isinstance(player, (list, tuple)):
        return HeldTensors(name, dict(enumerate(player)), "list")
    raise InputError(
        f"player {name!r} is a {type(player).__name__}; a player is a torch.nn.Module, a tensor, or a list or dict of tensors."
    )


def _check_floating(name: str, tensor: Tensor) -> None:
    if nn.parameter.is_lazy(tensor):
        raise InputError(
            f"{name} has no shape yet (a lazy module); run the module once on data before making the game."
        )
    if not tensor.is_floating_point():
        raise InputError(f"{name} has dtype {tensor.dtype}; what a player learns must be real floating point.")
