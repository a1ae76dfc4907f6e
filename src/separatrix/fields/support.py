"""Modules whose second derivatives are wrong without a word, by name, with the way round."""

from __future__ import annotations

import re

from torch import nn
from torch.nn.utils.spectral_norm import SpectralNorm as OldSpectralNorm
from torch.nn.utils.weight_norm import WeightNorm as OldWeightNorm

from separatrix.errors import UnsupportedOperatorError
from separatrix.fields.exact_norms import TORCH_SPECTRAL_NORM, TORCH_WEIGHT_NORM
from separatrix.fields.field import Field
from separatrix.fields.game_field import GameField


def underneath(field: Field) -> Field:
    """The field under all transforms; itself where there is none."""
    inner = getattr(field, "inner", None)
    return field if inner is None else underneath(inner)


def takes_third_derivatives(field: Field) -> bool:
    """Whether the Jacobian of a field needs third derivatives of its losses."""
    own = underneath(field)
    return own is not field or (isinstance(own, GameField) and own.differentiates)


def refuse_known_wrong(field: Field) -> None:
    """Raise for modules whose Jacobian is wrong in a way that no self-test sees.

    Spectral norm in train mode detaches its singular vectors: products are perfectly symmetric and 5 to 10% off.

    Raises:
        UnsupportedOperatorError: names player, module and remedy.
    """
    field = underneath(field)
    if not isinstance(field, GameField):
        return
    for player, module in zip(field.players, field.game.arena.members, strict=True):
        for name, part in module.named_modules():
            if part.training and _is_spectral_norm(part):
                where = re.sub(r"\.?parametrizations\..*$", "", name) or "itself"
                raise UnsupportedOperatorError(
                    f"player {player!r}, module {where!r}: spectral_norm in train mode moves its singular vectors at each "
                    "forward and hides them from autograd, so its Jacobian is silently wrong; measure with the vectors "
                    "frozen, sx.fields.freeze_spectral_norm(model), or in a copy with the exact norm, "
                    "sx.fields.with_exact_norms(model)."
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


def padding_rows(field: Field) -> dict[int, list[int]]:
    """Rows of embeddings that ``padding_idx`` holds fixed, by the number of the tensor in the space.

    Their gradient is zero by decree, though the loss depends on them: no direction of motion ever leaves them.
    """
    field = underneath(field)
    if not isinstance(field, GameField):
        return {}
    number = {id(p): i for i, p in enumerate(field.game.parameters)}
    found: dict[int, list[int]] = {}
    for part in field.game.arena.modules():
        row = getattr(part, "padding_idx", None)
        if isinstance(part, (nn.Embedding, nn.EmbeddingBag)) and row is not None and id(part.weight) in number:
            found.setdefault(number[id(part.weight)], []).append(row)
    return found


def custom_functions(field: Field) -> str:
    """The user's own autograd functions in the losses, as a sentence; empty where there are none."""
    field = underneath(field)
    if not isinstance(field, GameField) or not field.custom_functions:
        return ""
    return f" Custom functions in the losses: {', '.join(sorted(field.custom_functions))}."


def suspects(field: Field, player: str) -> str:
    """Modules of a player that are known for wrong second derivatives, in words; empty where there are none."""
    field = underneath(field)
    if not isinstance(field, GameField):
        return ""
    module = dict(zip(field.players, field.game.arena.members, strict=True))[player]
    weight_norms = [
        re.sub(r"\.?parametrizations\..*$", "", name) or "itself"
        for name, part in module.named_modules()
        if isinstance(part, TORCH_WEIGHT_NORM)
        or any(isinstance(h, OldWeightNorm) for h in part._forward_pre_hooks.values())
    ]
    if weight_norms:
        return (
            f"weight_norm in {', '.join(sorted(set(weight_norms)))} (its fused double backward is wrong in torch on CPU): "
            "measure a copy that shares the parameters, sx.fields.with_exact_norms(model), or write w = g * v / v.norm()"
        )
    return ""


def _is_spectral_norm(part: nn.Module) -> bool:
    return isinstance(part, TORCH_SPECTRAL_NORM) or any(
        isinstance(h, OldSpectralNorm) for h in part._forward_pre_hooks.values()
    )
