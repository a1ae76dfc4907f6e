"""What a loss must not do: use raw tensors of the players from outside, or change the parameters in its forward.

And what it may do but has to be told about: draw from a distribution that its players move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode

from separatrix.errors import InputError, UnsupportedOperatorError
from separatrix.fields.normalisation import FORMULAS

if TYPE_CHECKING:
    from separatrix.fields.game import Game

# Draws whose probabilities are arguments and whose result is not differentiable in them.
SAMPLERS = frozenset({"multinomial", "bernoulli", "bernoulli_", "poisson", "binomial"})


class Watch(TorchFunctionMode):
    """Sees every torch call of one evaluation, and every tensor that goes into it.

    A tensor captured before the evaluation (``w = G.weight`` outside the losses, with or without ``detach``) is a
    constant to the field: its part of the gradient would be missing without a word. It is known by its memory, where
    nothing that belongs to the evaluation lies. Draws are known by what they were computed from, through ``no_grad``
    and ``detach``.

    Args:
        game: the game whose losses run.
        leaves: the tensors that stand for its parameters in this evaluation.

    Attributes:
        sampled: names of samplers whose probabilities depend on the leaves.
        differentiates: whether a gradient was taken inside, for a penalty say.
        normalises: whether there was a fused normalisation.
    """

    def __init__(self, game: Game, leaves: Sequence[Tensor]) -> None:
        super().__init__()
        self.memory = game.memory
        self.sampled: set[str] = set()
        self.differentiates = self.normalises = False
        # By identity; the tensors are kept so that no identity is used twice.
        self._moved_by_players = {id(leaf): leaf for leaf in leaves}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        inputs, called = list(_tensors((args, kwargs or {}))), getattr(func, "__name__", "")
        self.differentiates |= func is torch.autograd.grad  # torch.func comes here too
        self.normalises |= func in FORMULAS
        if called != "__get__":  # .shape, .grad, .data: nothing is computed yet
            for tensor in inputs:
                name = self.memory.owner(tensor)
                if name is not None:
                    in_place = called.endswith("_") and not called.endswith("__")
                    raise InputError(changed(name) if in_place else captured(name))
        result = func(*args, **(kwargs or {}))
        if any(id(t) in self._moved_by_players for t in inputs):
            self._moved_by_players.update((id(t), t) for t in _tensors(result))
            if called in SAMPLERS:
                self.sampled.add(called)
        return result


def captured(name: str) -> str:
    """What to say about a raw tensor."""
    return (
        f"the losses use the tensor {name} captured from outside, so its gradient is lost; inside the losses "
        "reach it through the models given to them (models['...'].weight), or through the module itself; a constant that "
        "was copied from it must be a .clone()."
    )


def changed(name: str) -> str:
    """What to say about a parameter that the forward pass writes to."""
    return (
        f"the losses change the parameter {name} in their forward pass; move that (weight clipping, an "
        "optimiser step, an in-place update) out of the losses, or make the state a buffer."
    )


def _tensors(nest: Any) -> Iterator[Tensor]:
    if isinstance(nest, Tensor):
        yield nest
    elif isinstance(nest, (list, tuple)):
        for part in nest:
            yield from _tensors(part)
    elif isinstance(nest, Mapping):
        for part in nest.values():
            yield from _tensors(part)


def inspect_graph(game: Game, losses: Iterable[Tensor]) -> set[str]:
    """The names of the custom autograd functions in the graph of the losses.

    Raises:
        InputError: the graph reaches a player's own parameter instead of its copy; this backs :class:`Watch` where torch
            calls do not pass through Python.
        UnsupportedOperatorError: reentrant checkpointing, which hands gradients to the parameters inside by ``backward()``
            alone: asked for a gradient, it gives none and says nothing where nothing before it is asked for.
    """
    custom = set()
    pending: list[Any] = [t.grad_fn for t in losses if t.grad_fn is not None]
    seen = set(pending)
    while pending:
        node = pending.pop()
        if isinstance(node, BackwardCFunction):
            custom.add(type(node).__name__.removesuffix("Backward"))
        leaf = getattr(node, "variable", None)  # what a node of accumulation accumulates into
        name = game.memory.owner(leaf) if isinstance(leaf, Tensor) else None
        if name is not None:
            raise InputError(captured(name))
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                pending.append(following)
    if "CheckpointFunction" in custom:
        raise UnsupportedOperatorError(
            f"reentrant checkpointing in the losses of {game.name!r} hides the parameters inside it from torch.autograd.grad; pass "
            "use_reentrant=False to torch.utils.checkpoint.checkpoint."
        )
    return custom


@contextmanager
def forbid_self_changing(game: Game, leaves: Sequence[Tensor]) -> Iterator[None]:
    """Raise where the losses' forward changes a parameter in place; the user's own gets its value back.

    Raises:
        InputError: names the parameter.
    """
    before = [leaf.detach().clone() for leaf in leaves]
    own = [p.detach().clone() for p in game.parameters]
    written: list[str] = []
    try:
        yield
    finally:
        for parameter, kept, entry in zip(game.parameters, own, game.space.entries, strict=True):
            if not _same(parameter, kept):
                with torch.no_grad():
                    parameter.copy_(kept)
                written.append(entry.name)
    for leaf, old, entry in zip(leaves, before, game.space.entries, strict=True):
        if not _same(leaf, old):
            written.append(entry.name)
    if written:
        raise InputError(changed(written[0]))


def _same(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a.detach().nan_to_num(), b.detach().nan_to_num())
