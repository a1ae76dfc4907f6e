"""What a loss must not do: use raw tensors of the players from outside, or change the parameters in its forward."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from separatrix.errors import InputError

if TYPE_CHECKING:
    from separatrix.fields.game import Game


def forbid_raw_tensors(game: Game, losses: Iterable[Tensor]) -> None:
    """Raise where the graph of the losses reaches a player's own parameter instead of its copy.

    A tensor captured before the evaluation (``w = G.weight`` outside the losses) is a constant to the field: its part
    of the gradient would be missing without a word.

    Raises:
        InputError: names the tensor.
    """
    own = {id(p): e.name for p, e in zip(game.parameters, game.space.entries, strict=True)}
    storages = {p.data_ptr(): e.name for p, e in zip(game.parameters, game.space.entries, strict=True) if p.numel()}
    for tensor in graph_leaves(losses):
        name = own.get(id(tensor)) or storages.get(tensor.data_ptr())
        if name is not None:
            raise InputError(
                f"the losses use the tensor {name} captured from outside, so its gradient is lost; inside the losses "
                "reach it through the models given to them (models['...'].weight), or through the module itself."
            )


def graph_leaves(outputs: Iterable[Tensor]) -> Iterator[Tensor]:
    """The tensors that an autograd graph accumulates into."""
    pending = [t.grad_fn for t in outputs if t.grad_fn is not None]
    seen = set(pending)
    while pending:
        node = pending.pop()
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor):
            yield variable
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                pending.append(following)


@contextmanager
def forbid_self_changing(game: Game, leaves: Sequence[Tensor], *, active: bool) -> Iterator[None]:
    """Raise where the losses' forward changes a parameter in place.

    Raises:
        InputError: names the parameter.
    """
    before = [leaf.detach().clone() for leaf in leaves] if active else []
    own = [p.detach().clone() for p in game.parameters] if active else []
    yield
    for leaf, old, parameter, kept, entry in zip(
        leaves if active else (),
        before,
        game.parameters if active else (),
        own,
        game.space.entries if active else (),
        strict=True,
    ):
        changed = not torch.equal(leaf.detach(), old)
        if not torch.equal(parameter.detach(), kept):
            with torch.no_grad():
                parameter.copy_(kept)
            changed = True
        if changed and not bool(torch.isnan(old).any()):
            raise InputError(
                f"the losses change the parameter {entry.name} in their forward pass; move that (weight clipping, an "
                "optimiser step, an in-place update) out of the losses, or make the state a buffer."
            )
