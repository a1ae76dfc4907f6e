"""Operators whose second derivatives are missing or wrong, by name, with the way round."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.utils import parametrizations

from separatrix.errors import UnsupportedOperatorError
from separatrix.fields.game_field import GameField

if TYPE_CHECKING:
    from separatrix.fields.field import Field

# What appears in torch's message, the name people know, and the way round.
MISSING = (
    ("embedding_bag", "EmbeddingBag", "use torch.nn.Embedding followed by a sum or mean over the bag"),
    ("ctc_loss", "CTC loss", "no replacement is known; measure this run as a black box with sx.Run"),
    ("cdist", "torch.cdist", "write ((a[:, None] - b[None]) ** 2).sum(-1).sqrt()"),
    (
        "scaled_dot_product",
        "a fused attention kernel",
        "let torch.nn.functional.scaled_dot_product_attention choose the kernel",
    ),
    ("cudnn_rnn", "a cuDNN RNN", "wrap its forward in torch.backends.cudnn.flags(enabled=False)"),
    ("SyncBatchNorm", "SyncBatchNorm", "convert it to BatchNorm for measuring"),
    (
        "once_differentiable",
        "an autograd.Function marked once_differentiable",
        "write its backward in differentiable torch operations",
    ),
)


def no_second_derivative(field: Field, message: str) -> UnsupportedOperatorError:
    """The error for an operator that torch cannot differentiate twice."""
    for words, name, remedy in MISSING:
        if words.lower() in message.lower():
            return UnsupportedOperatorError(
                f"{name} in the losses of {field.name!r} has no second derivative in torch; {remedy}; or measure without "
                f"second derivatives: sx.Run. (torch: {_first_line(message)})"
            )
    return UnsupportedOperatorError(
        f"an operator in the losses of {field.name!r} has no second derivative in torch ({_first_line(message)}); replace it, or "
        "measure without second derivatives: sx.Run."
    )


def refuse_known_wrong(field: Field) -> None:
    """Raise for modules whose Jacobian is wrong in a way that no self-test sees.

    Spectral norm in train mode detaches its singular vectors: products are perfectly symmetric and 5 to 10% off.

    Raises:
        UnsupportedOperatorError: names player, module and remedy.
    """
    if not isinstance(field, GameField):
        return
    for player, module in zip(field.players, field.game.arena.members, strict=True):
        for name, part in module.named_modules():
            if part.training and _is_spectral_norm(part):
                where = re.sub(r"\.?parametrizations\..*$", "", name) or "itself"
                raise UnsupportedOperatorError(
                    f"player {player!r}, module {where!r}: spectral_norm in train mode moves its singular vectors at each "
                    "forward and hides them from autograd, so its Jacobian is silently wrong; measure with the vectors "
                    "frozen: sx.fields.freeze_spectral_norm(model)."
                )


def freeze_spectral_norm(module: nn.Module) -> nn.Module:
    """Put the spectral norms of a module (not the module) in eval mode: their singular vectors stand still.

    The field measured is then that of the loss with the vectors held where training left them. Returns the module;
    undo with ``module.train()``.
    """
    for part in module.modules():
        if _is_spectral_norm(part):
            part.eval()
    return module


def suspects(field: Field, player: str) -> str:
    """Modules of a player that are known for wrong second derivatives, in words; empty where there are none."""
    if not isinstance(field, GameField):
        return ""
    module = dict(zip(field.players, field.game.arena.members, strict=True))[player]
    weight_norms = [
        re.sub(r"\.?parametrizations\..*$", "", name) or "itself"
        for name, part in module.named_modules()
        if type(part).__name__ == "_WeightNorm"
        or any(type(h).__name__ == "WeightNorm" for h in part._forward_pre_hooks.values())
    ]
    if weight_norms:
        return (
            f"weight_norm in {', '.join(sorted(set(weight_norms)))} (its fused double backward is wrong in torch on CPU): "
            "remove it for measuring with torch.nn.utils.parametrize.remove_parametrizations, or write w = g * v / v.norm()"
        )
    return ""


def _is_spectral_norm(part: nn.Module) -> bool:
    return isinstance(part, _SPECTRAL) or any(
        type(h).__name__ == "SpectralNorm" for h in part._forward_pre_hooks.values()
    )


# The class is private; it is reached through what the public function registers.
_SPECTRAL = type(
    parametrizations.spectral_norm(nn.Linear(2, 2)).parametrizations["weight"][0]  # type: ignore[index]
)


def _first_line(message: str) -> str:
    return message.strip().splitlines()[0][:200]
