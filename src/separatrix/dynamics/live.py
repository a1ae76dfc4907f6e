"""LiveField: a game evaluated as an ordinary training loop evaluates it, on the modules themselves.

A :class:`GameField` measures: it works on copies and freezes the draw. Here the parameters are the modules' own, buffers
(BatchNorm's averages) and random streams move on, kernels and autocast are the user's. Only training uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from separatrix.errors import InputError, NonFiniteError, SeparatrixError
from separatrix.fields import Field, Game
from separatrix.fields.batches import moved, tensors_of
from separatrix.fields.field import Rows
from separatrix.fields.loss_terms import read_losses
from separatrix.fields.surroundings import differentiable_kernels
from separatrix.fields.unsupported import translated

T = TypeVar("T")


class LiveField(Field):
    """``v = -(grad_i L_i)_i`` on one minibatch, evaluated on the modules themselves.

    Evaluating it at a point writes that point into the modules' parameters; whoever does so puts them where they belong.

    Args:
        game: the game.

    Attributes:
        batch: what the next evaluation sees.
        losses: ``{player: {term: 0-dim tensor}}``, of the first evaluation of each player since ``begin``.
        directions_seen: ``{player: (n_player,)}``, likewise.
    """

    def __init__(self, game: Game) -> None:
        own = game.parameters[0]
        super().__init__(game.space, dtype=own.dtype, device=own.device, name=game.name)
        self.game = game
        self.batch: Any = None
        self.losses: dict[str, dict[str, Tensor]] = {}
        self.directions_seen: dict[str, Tensor] = {}
        self._stands: Tensor | None = None
        # Floating-point operations: of the forward pass for each set of players, and of each player's backward pass.
        self._forward: dict[tuple[str, ...], int] = {}
        self._backward: dict[str, int] = {}

    @property
    def point(self) -> Tensor:
        return torch.cat([p.detach().reshape(-1) for p in self.game.parameters])

    def begin(self) -> Tensor:
        """Start a step: the point where the modules stand now, ``(n,)``.

        Raises:
            InputError: a parameter was replaced by another one since the game was made.
        """
        now = {id(p) for p in self.game.arena.parameters()}
        for parameter, entry in zip(self.game.parameters, self.space.entries, strict=True):
            if id(parameter) not in now:
                raise InputError(
                    f"{entry.name} was replaced by another parameter since the game was made; make the Game and its "
                    "optimizer again."
                )
        self.losses, self.directions_seen = {}, {}
        self._stands = self.point
        return self._stands

    def leaves(self, x: Tensor | None = None) -> list[Tensor]:
        """The modules' own parameters, at ``x``."""
        if x is not None:
            self.move_to(x)
        return list(self.game.parameters)

    def move_to(self, x: Tensor) -> None:
        """Write a point into the modules' parameters."""
        if x is self._stands:
            return
        with torch.no_grad():
            for parameter, piece in zip(self.game.parameters, self.space.split(x), strict=True):
                parameter.copy_(piece)
        self._stands = x

    def trace(
        self, leaves: Sequence[Tensor], *, players: Iterable[str] | None = None, create_graph: bool = False
    ) -> Rows:
        wanted = self.players if players is None else tuple(players)
        counting = len(wanted) < len(self.players) and any(p not in self._backward for p in wanted)
        return self.inside(leaves, lambda: self._trace(leaves, wanted, create_graph, counting), create_graph)

    def inside(self, leaves: Sequence[Tensor], run: Callable[[], T], create_graph: bool = True) -> T:
        with torch.enable_grad():
            if not create_graph:
                return run()
            rnns = any(isinstance(m, torch.nn.RNNBase) for m in self.game.arena.modules())
            with translated(self.name), differentiable_kernels(rnns=rnns):
                return run()

    def share(self, players: Iterable[str] | None = None) -> float:
        """The players' part of a gradient by floating-point operations, known once each of them was evaluated."""
        wanted = tuple(self.players if players is None else players)
        if set(wanted) == set(self.players):
            return 1.0
        if not set(self.players) <= set(self._backward) or wanted not in self._forward:
            return len(wanted) / len(self.players)
        separate = isinstance(self.game.losses, Mapping)
        alone = [self._forward[(p,)] for p in self.players if (p,) in self._forward]
        forward = sum(alone) if separate else self._forward[wanted]
        total = forward + sum(self._backward.values())
        return (self._forward[wanted] + sum(self._backward[p] for p in wanted)) / total if total else 1.0

    def _trace(self, leaves: Sequence[Tensor], wanted: tuple[str, ...], create_graph: bool, counting: bool) -> Rows:
        rows: Rows = {}
        losses, flops = _counted(lambda: self._losses(wanted), counting)
        if counting:
            self._forward[wanted] = flops
        for number, player in enumerate(wanted):
            total = sum(losses[player].values(), torch.zeros((), dtype=self.dtype, device=self.device))
            owned = self.space.owned(player)
            keep = create_graph or number + 1 < len(wanted)
            grads, flops = _counted(
                lambda total=total, owned=owned, keep=keep: (
                    torch.autograd.grad(  # type: ignore[misc]
                        total,
                        [leaves[i] for i in owned],
                        create_graph=create_graph,
                        retain_graph=keep,
                        allow_unused=True,
                    )
                    if total.requires_grad
                    else (None,) * len(owned)
                ),
                counting,
            )
            if counting:
                self._backward[player] = flops
            if all(g is None for g in grads):
                raise InputError(
                    f"the loss of player {player!r} does not depend on any trainable parameter of {player!r}; "
                    "look for .detach(), torch.no_grad(), .item() or requires_grad_(False) on the way, or for a loss that "
                    "was returned under the wrong player."
                )
            pieces = [-(torch.zeros_like(leaves[i]) if g is None else g) for i, g in zip(owned, grads, strict=True)]
            rows.update({(player, i): piece for i, piece in zip(owned, pieces, strict=True)})
            if player not in self.losses:
                self.losses[player] = {term: value.detach() for term, value in losses[player].items()}
                self.directions_seen[player] = self.space.join([piece.detach() for piece in pieces])
        return rows

    def _losses(self, wanted: Sequence[str]) -> dict[str, dict[str, Tensor]]:
        models, batch = self.game.views(), moved(self.batch, device=self.device, dtype=self.dtype)
        try:
            if isinstance(self.game.losses, Mapping):
                found: Any = {p: self.game.losses[p](models, batch) for p in wanted}
            else:
                found = self.game.losses(models, batch)
        except (SeparatrixError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise InputError(f"the losses of {self.name!r} raised {type(error).__name__}: {error}") from error
        try:
            return read_losses(found, self.players, wanted, self.dtype)
        except InputError as error:
            if all(bool(torch.isfinite(t.detach()).all()) for t in tensors_of(found)):
                raise
            raise NonFiniteError(str(error)) from None


def _counted(run: Callable[[], T], counting: bool) -> tuple[T, int]:
    """The result, and the floating-point operations that it took where they are asked for."""
    if not counting:
        return run(), 0
    with FlopCounterMode(display=False) as counter:
        result = run()
    return result, int(counter.get_total_flops())
