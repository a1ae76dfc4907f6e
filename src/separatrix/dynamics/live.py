"""LiveField: a game evaluated as an ordinary training loop evaluates it, on the modules themselves.

A :class:`GameField` measures: it works on copies and freezes the draw. Here the parameters are the modules' own, buffers
(BatchNorm's averages) and random streams move on, kernels and autocast are the user's. Only training uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import isfinite
from typing import Any, TypeVar

import torch
from torch import Tensor

from separatrix.dynamics.accumulated import Accumulated
from separatrix.dynamics.lengths import length
from separatrix.errors import InputError, SeparatrixError, raised_by
from separatrix.fields import Field, Game
from separatrix.fields.batches import moved
from separatrix.fields.field import Rows
from separatrix.fields.flops import counted
from separatrix.fields.loss_terms import check_terms, read_losses, term_names, total
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
        norms: length of each player's direction, likewise, transforms left out.
        zero_sum: whether the losses that were seen last are one scalar for two players.
        loss_scale: losses are multiplied by it and gradients divided, so that small ones survive in half precision.
        factors: of single terms of the losses in the next evaluation, 0 to leave one out; ``losses`` are without them.
    """

    def __init__(self, game: Game) -> None:
        own = game.parameters[0]
        super().__init__(game.space, dtype=own.dtype, device=own.device, name=game.name)
        self.game = game
        self.batch: Any = None
        self.losses: dict[str, dict[str, Tensor]] = {}
        self.norms: dict[str, float] = {}
        self.zero_sum = False
        self.loss_scale = 1.0
        self.factors: Mapping[str, float] = {}
        self._terms: dict[str, tuple[str, ...]] = {}
        self._stands: Tensor | None = None
        # Floating-point operations: of the forward pass for each set of players, and for each player of its terms that are
        # functions and of its backward pass, by the terms that were left out.
        self._forward: dict[tuple[str, ...], int] = {}
        self._own: dict[tuple[str, frozenset[str]], int] = {}

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
        self.losses, self.norms = {}, {}
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

    def directions(self, x: Tensor | None = None, players: Iterable[str] | None = None) -> dict[str, Tensor]:
        wanted = self.players if players is None else tuple(players)
        leaves = self.leaves(x)
        found = self.inside(leaves, lambda: self._gradients(leaves, wanted, False), create_graph=False)
        parts = {player: self.space.join(grads).neg() for player, grads in found.items()}
        for player, v in parts.items():
            self._note(player, v, found[player])
        return parts

    def _note(self, player: str, v: Tensor, grads: Sequence[Tensor]) -> None:
        """Keep the length of a player's first direction, and raise where one is not finite."""
        norm = length(v)
        self.norms.setdefault(player, norm)
        # The norm is cheaper than a look at every entry, which only decides where it overflows.
        if not isfinite(norm) and not bool(torch.isfinite(v).all()):
            self._name_non_finite(player, [-g.detach() for g in grads])

    def trace(
        self, leaves: Sequence[Tensor], *, players: Iterable[str] | None = None, create_graph: bool = False
    ) -> Rows:
        wanted = self.players if players is None else tuple(players)
        found = self.inside(leaves, lambda: self._gradients(leaves, wanted, create_graph), create_graph)
        for player, grads in found.items():
            self._note(player, self.space.join([g.detach() for g in grads]), grads)
        return {
            (player, i): -grad
            for player, grads in found.items()
            for i, grad in zip(self.space.owned(player), grads, strict=True)
        }

    def inside(self, leaves: Sequence[Tensor], run: Callable[[], T], create_graph: bool = True) -> T:
        with torch.enable_grad():
            if not create_graph:
                return run()
            rnns = any(isinstance(m, torch.nn.RNNBase) for m in self.game.arena.modules())
            with translated(self.name), differentiable_kernels(rnns=rnns):
                return run()

    def share(self, players: Iterable[str] | None = None) -> float:
        """The players' part of a gradient with all its terms, by floating-point operations.

        It is known once each player was evaluated with all its terms; until then, counted by the number of players.
        """
        wanted = tuple(self.players if players is None else players)
        out = self._left_out
        if set(wanted) == set(self.players) and not any(self._out_of(p, out) for p in wanted):
            return 1.0
        whole = [(p, frozenset[str]()) for p in self.players]
        mine = [(p, self._out_of(p, out)) for p in wanted]
        if not {*whole, *mine} <= set(self._own) or wanted not in self._forward:
            return len(wanted) / len(self.players)
        separate = isinstance(self.game.losses, Mapping)
        alone = [self._forward[(p,)] for p in self.players if (p,) in self._forward]
        forward = sum(alone) if separate and len(alone) == len(self.players) else self._forward[wanted]
        total = forward + sum(self._own[key] for key in whole)
        return (
            (self._forward[wanted] + sum(self._own[key] for key in mine)) / total
            if total
            else len(wanted) / len(self.players)
        )

    @property
    def _left_out(self) -> frozenset[str]:
        return frozenset(term for term, factor in self.factors.items() if factor == 0)

    def _out_of(self, player: str, out: frozenset[str]) -> frozenset[str]:
        """Which of a player's own terms are among these."""
        return out & set(self._terms.get(player, ()))

    def _gradients(
        self, leaves: Sequence[Tensor], wanted: tuple[str, ...], create_graph: bool
    ) -> dict[str, list[Tensor]]:
        """Each player's own gradient, tensor by tensor, averaged over the parts of a batch that comes in parts."""
        parts = self.batch.parts() if isinstance(self.batch, Accumulated) else [(self.batch, 1.0)]
        total: dict[str, list[Tensor]] = {}
        losses: dict[str, dict[str, Tensor]] = {}
        for batch, weight in parts:
            grads, values = self._of_batch(batch, leaves, wanted, create_graph)
            if len(parts) == 1:
                total, losses = grads, values
                break
            for player in wanted:
                weighted = [weight * g for g in grads[player]]
                before = total.get(player)
                total[player] = weighted if before is None else [a + b for a, b in zip(before, weighted, strict=True)]
                terms = losses.setdefault(player, {})
                for term, value in values[player].items():
                    terms[term] = terms.get(term, torch.zeros_like(value)) + weight * value
        for player in wanted:
            self.losses.setdefault(player, losses[player])
        return total

    def _of_batch(
        self, batch: Any, leaves: Sequence[Tensor], wanted: tuple[str, ...], create_graph: bool
    ) -> tuple[dict[str, list[Tensor]], dict[str, dict[str, Tensor]]]:
        """Gradients and losses on one batch; counts operations where a player's share is not yet known."""
        out = self._left_out
        parts_known = all((p, self._out_of(p, out)) in self._own for p in wanted) and wanted in self._forward
        counting = (len(wanted) < len(self.players) or bool(self.factors)) and not parts_known
        given, flops = _counted(lambda: self._losses(batch, wanted), counting)
        if counting:
            self._forward[wanted] = flops
        losses: dict[str, dict[str, Tensor]] = {}
        for player in wanted:
            read = partial(read_losses, given, self.players, (player,), self.dtype, out)
            found_one, flops = _counted(read, counting)
            losses[player] = found_one[player]
            if counting:
                self._own[player, self._out_of(player, out)] = flops
        found: dict[str, list[Tensor]] = {}
        together = self._of_one_scalar(losses, leaves) if create_graph and self.zero_sum and not counting else {}
        for number, player in enumerate(wanted):
            value = total(losses[player], self.factors, self.dtype, self.device)
            value = value * self.loss_scale if self.loss_scale != 1.0 else value
            own = [leaves[i] for i in self.space.owned(player)]
            keep = create_graph or number + 1 < len(wanted)
            if together:
                grads = together[player]
            else:
                grads, flops = _counted(partial(_grad, value, own, keep, create_graph), counting)
            if counting:
                self._own[player, self._out_of(player, out)] += flops
            # A term that is left out may be all that moves a player.
            if all(g is None for g in grads) and not self._out_of(player, out):
                raise InputError(
                    f"the loss of player {player!r} does not depend on any trainable parameter of {player!r}; "
                    "look for .detach(), torch.no_grad(), .item() or requires_grad_(False) on the way, or for a loss that "
                    "was returned under the wrong player."
                )
            found[player] = [torch.zeros_like(p) if g is None else g for p, g in zip(own, grads, strict=True)]
            if self.loss_scale != 1.0:
                found[player] = [g / self.loss_scale for g in found[player]]
        return found, {p: {term: value.detach() for term, value in losses[p].items()} for p in wanted}

    def _of_one_scalar(
        self, losses: Mapping[str, Mapping[str, Tensor]], leaves: Sequence[Tensor]
    ) -> dict[str, tuple[Tensor | None, ...]]:
        """Both players' gradients of one scalar, with their graph, from one pass back; empty where one player only is wanted."""
        if len(losses) < 2:
            return {}
        first, second = self.players
        value = self.loss_scale * total(losses[first], self.factors, self.dtype, self.device)
        numbers = [self.space.owned(p) for p in (first, second)]
        grads = _grad(value, [leaves[i] for own in numbers for i in own], True, True)
        split = len(numbers[0])
        return {first: grads[:split], second: tuple(None if g is None else -g for g in grads[split:])}

    def _losses(self, batch: Any, wanted: Sequence[str]) -> Any:
        """What the losses return; terms that are functions are not called yet."""
        models, batch = self.game.views(), moved(batch, device=self.device, dtype=self.dtype)
        try:
            if isinstance(self.game.losses, Mapping):
                found: Any = {p: self.game.losses[p](models, batch) for p in wanted}
            else:
                found = self.game.losses(models, batch)
            self.zero_sum = isinstance(found, Tensor) and len(self.players) == 2
        except (SeparatrixError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise InputError(f"the losses of {self.name!r} raised {raised_by(error)}.") from error
        self._terms |= term_names(found, self.players)
        check_terms(self.factors, self._terms, self.players, self.name)
        return found


def _grad(total: Tensor, own: Sequence[Tensor], keep: bool, create_graph: bool) -> tuple[Tensor | None, ...]:
    if not total.requires_grad:
        return (None,) * len(own)
    return torch.autograd.grad(total, own, create_graph=create_graph, retain_graph=keep, allow_unused=True)


def _counted(run: Callable[[], T], counting: bool) -> tuple[T, int]:
    """The result, and the floating-point operations that it took where they are asked for."""
    if not counting:
        return run(), 0
    return counted(run)
