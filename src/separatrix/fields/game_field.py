"""GameField: a game bound to data and to one frozen random draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from separatrix.errors import InputError, SeparatrixError
from separatrix.fields.batches import moved, samples_in
from separatrix.fields.field import Field, Rows
from separatrix.fields.game import Game
from separatrix.fields.surroundings import default_dtype, differentiable_kernels, frozen_randomness
from separatrix.fields.trespass import forbid_raw_tensors, forbid_self_changing

T = TypeVar("T")


class GameField(Field):
    """``v = -(grad_i L_i)_i`` of a game, averaged over fixed batches, with the random draw frozen.

    It stands where the modules' parameters are, also after they moved. Made by :meth:`Game.on`.

    Attributes:
        game, batches, weights, seed: what it was made of.
    """

    def __init__(
        self,
        game: Game,
        batches: Sequence[Any],
        weights: Sequence[float],
        *,
        seed: int,
        dtype: torch.dtype | None,
    ) -> None:
        own = game.parameters[0]
        super().__init__(game.space, dtype=dtype or own.dtype, device=own.device, name=game.name)
        self.game, self.seed = game, seed
        self.weights = list(weights)
        self.batches = [moved(b, device=self.device, dtype=self.dtype) for b in batches]
        self._shares: dict[tuple[str, ...], float] = {}
        self._inspected = False

    @property
    def point(self) -> Tensor:
        flat = torch.cat([p.detach().reshape(-1) for p in self.game.parameters])
        return flat.to(self.dtype, copy=True)

    def stands_at(self, leaves: Sequence[Tensor]) -> bool:
        """Whether the modules' parameters still equal the given tensors, bitwise."""
        pairs = zip(self.game.parameters, leaves, strict=True)
        return all(torch.equal(p.detach().to(self.dtype), leaf.detach()) for p, leaf in pairs)

    def with_dtype(self, dtype: torch.dtype) -> GameField:
        """The same field computed in another dtype."""
        return GameField(self.game, self.batches, self.weights, seed=self.seed, dtype=dtype)

    def with_seed(self, seed: int) -> GameField:
        """The same field with another random draw."""
        return GameField(self.game, self.batches, self.weights, seed=seed, dtype=self.dtype)

    def trace(
        self, leaves: Sequence[Tensor], *, players: Iterable[str] | None = None, create_graph: bool = False
    ) -> Rows:
        wanted = self.players if players is None else tuple(players)
        rows: Rows = {}
        for batch, weight in zip(self.batches, self.weights, strict=True):
            for key, direction in self._trace_batch(leaves, batch, wanted, create_graph).items():
                scaled = direction if weight == 1.0 else weight * direction
                rows[key] = rows[key] + scaled if key in rows else scaled
        return rows

    def inside(self, leaves: Sequence[Tensor], run: Callable[[], T]) -> T:
        return self.game.arena.call(self._tensors(leaves), run)

    def losses(self, x: Tensor | None = None) -> dict[str, dict[str, float]]:
        """Each player's loss by term, ``{player: {term: value}}``. Cost: the forward passes."""
        leaves = self.leaves(x)
        total: dict[str, dict[str, float]] = {p: {} for p in self.players}
        for batch, weight in zip(self.batches, self.weights, strict=True):
            with self._evaluation():
                found = self.inside(leaves, lambda batch=batch: self._losses(batch))  # type: ignore[misc]
            for player, terms in found.items():
                for term, value in terms.items():
                    total[player][term] = total[player].get(term, 0.0) + weight * float(value.detach())
        return total

    def share(self, players: Iterable[str] | None = None) -> float:
        """Floating-point operations of these players' directions over those of all, counted once."""
        if players is None:
            return 1.0
        key = tuple(sorted(set(players)))
        if key not in self._shares:
            everything, part = self._flops(None), self._flops(key)
            self._shares[key] = part / everything if everything else len(key) / len(self.players)
        return self._shares[key]

    def _flops(self, players: tuple[str, ...] | None) -> float:
        counter = FlopCounterMode(display=False)
        wanted = self.players if players is None else players
        with counter:
            self._trace_batch(self.leaves(), self.batches[0], wanted, create_graph=False)
        return float(counter.get_total_flops())

    def _tensors(self, leaves: Sequence[Tensor]) -> dict[str, Tensor]:
        named: dict[str, Tensor] = dict(zip(self.game.keys, leaves, strict=True))
        own = self.game.parameters[0].dtype
        for key, tensor in [*self.game.arena.named_parameters(), *self.game.arena.named_buffers()]:
            if key not in named:
                copy = tensor.detach().clone()
                named[key] = copy.to(self.dtype) if tensor.dtype == own and self.dtype != own else copy
        return named

    def _evaluation(self) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(frozen_randomness(self.seed))
        stack.enter_context(differentiable_kernels())
        stack.enter_context(default_dtype(self.dtype))
        stack.enter_context(torch.enable_grad())
        return stack

    def _trace_batch(self, leaves: Sequence[Tensor], batch: Any, wanted: Sequence[str], create_graph: bool) -> Rows:
        def run() -> Rows:
            losses = self._losses(batch, wanted)
            totals = {p: sum(losses[p].values(), torch.zeros((), dtype=self.dtype, device=self.device)) for p in wanted}
            if not self._inspected:
                forbid_raw_tensors(self.game, totals.values())
            rows: Rows = {}
            for player in wanted:
                owned = self.space.owned(player)
                grads = self._gradient(player, totals[player], [leaves[i] for i in owned], create_graph)
                rows.update(
                    {
                        (player, i): -(torch.zeros_like(leaves[i]) if g is None else g)
                        for i, g in zip(owned, grads, strict=True)
                    }
                )
            return rows

        with self._evaluation(), forbid_self_changing(self.game, leaves, active=not self._inspected):
            rows = self.inside(leaves, run)
        if not create_graph:
            rows = {key: row.detach() for key, row in rows.items()}
        self._inspected = True
        return rows

    def _gradient(
        self, player: str, total: Tensor, inputs: Sequence[Tensor], create_graph: bool
    ) -> tuple[Tensor | None, ...]:
        if not total.requires_grad:
            grads: tuple[Tensor | None, ...] = (None,) * len(inputs)
        else:
            grads = torch.autograd.grad(total, inputs, create_graph=create_graph, retain_graph=True, allow_unused=True)
        if all(g is None for g in grads):
            raise InputError(
                f"the loss of player {player!r} does not depend on any trainable parameter of {player!r}; "
                "look for .detach(), torch.no_grad(), .item() or requires_grad_(False) on the way, or for a loss that "
                "was returned under the wrong player."
            )
        return grads

    def _losses(self, batch: Any, wanted: Sequence[str] | None = None) -> dict[str, dict[str, Tensor]]:
        """The losses by player and term, checked one by one."""
        wanted = self.players if wanted is None else wanted
        models = self.game.views()
        try:
            if isinstance(self.game.losses, Mapping):
                found: Any = {p: self.game.losses[p](models, batch) for p in wanted}
            else:
                found = self.game.losses(models, batch)
        except (SeparatrixError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise InputError(f"the losses of {self.name!r} raised {type(error).__name__}: {error}") from error
        if isinstance(found, Tensor):
            found = self._of_one_scalar(found)
        if not isinstance(found, Mapping):
            raise InputError(
                f"losses must return {{player: scalar}} or {{player: {{term: scalar}}}}, got {type(found).__name__}."
            )
        if unknown := set(found) - set(self.players):
            raise InputError(
                f"the losses name unknown players {sorted(unknown)}; the players are {list(self.players)}."
            )
        return {p: self._terms(p, found) for p in wanted}

    def _of_one_scalar(self, value: Tensor) -> dict[str, Tensor]:
        if len(self.players) == 1:
            return {self.players[0]: value}
        if len(self.players) == 2:
            return {self.players[0]: value, self.players[1]: -value}
        raise InputError(
            f"the losses returned one scalar for {len(self.players)} players; that is only defined for one player, or two "
            "(zero-sum: the first minimises, the second maximises). Return {player: scalar}."
        )

    def _terms(self, player: str, found: Mapping[str, Any]) -> dict[str, Tensor]:
        if player not in found:
            raise InputError(f"the losses return nothing for player {player!r}; they return {sorted(found)}.")
        value = found[player]
        terms = dict(value) if isinstance(value, Mapping) else {"loss": value}
        if not terms:
            raise InputError(f"the loss of player {player!r} has no term.")
        for term, tensor in terms.items():
            label = f"the loss of player {player!r}" + (f", term {term!r}," if isinstance(value, Mapping) else "")
            if not isinstance(tensor, Tensor):
                raise InputError(f"{label} is a {type(tensor).__name__}; it must be a scalar tensor (no .item()).")
            if tensor.numel() != 1:
                raise InputError(
                    f"{label} has shape {tuple(tensor.shape)}; it must be a scalar: take .mean() or .sum()."
                )
            if not bool(torch.isfinite(tensor.detach()).all()):
                raise InputError(
                    f"{label} is {tensor.item()}; check the parameters and the batch (a log or a square root "
                    "at zero, a step that was too large), or measure from an earlier checkpoint."
                )
            terms[term] = tensor.reshape(()).to(self.dtype)
        return terms

    @property
    def samples(self) -> int:
        """How many samples the batches hold together."""
        return sum((self.game.batch_size or samples_in)(b) for b in self.batches)
