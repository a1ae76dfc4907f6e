"""GameField: a game bound to data and to one frozen random draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from separatrix.errors import InputError, SeparatrixError, raised_by
from separatrix.fields.batches import copied, moved, samples_in
from separatrix.fields.field import Field, Rows
from separatrix.fields.flops import counted
from separatrix.fields.game import Game
from separatrix.fields.loss_terms import check_factors, check_terms, read_losses, term_names, total
from separatrix.fields.normalisation import WrittenOut, third_derivatives, third_derivatives_wanted
from separatrix.fields.scene import Scene
from separatrix.fields.surroundings import default_dtype, differentiable_kernels, frozen_randomness
from separatrix.fields.trespass import Watch, forbid_self_changing, inspect_graph
from separatrix.fields.unsupported import translated

T = TypeVar("T")


class GameField(Field):
    """``v = -(grad_i L_i)_i`` of a game, averaged over fixed batches, with the random draw frozen.

    It stands where the modules' parameters are, also after they moved. Made by :meth:`Game.on`.

    Attributes:
        game, batches, weights, seed: what it was made of.
        factors: of single terms of the losses, see :meth:`weighted`; empty where all are as the losses return them.
        custom_functions: names of the autograd functions of the user's own that were seen in the losses.
        differentiates: whether the losses that were seen take gradients themselves, for a penalty say.
        zero_sum: whether the losses that were seen last are one scalar for two players.
        sampled: by player whose losses were seen, the samplers that drew from a distribution that the players move.
    """

    def __init__(
        self,
        game: Game,
        batches: Sequence[Any],
        weights: Sequence[float],
        *,
        seed: int,
        dtype: torch.dtype | None,
        whole: GameField | None = None,
        factors: Mapping[str, float] | None = None,
    ) -> None:
        own = game.parameters[0]
        if dtype is not None and not dtype.is_floating_point:
            raise InputError(f"a field is computed in a floating-point dtype, got {dtype}.")
        self.factors = dict(factors or {})
        name = ", ".join([game.name, *(f"{term} x {factor:g}" for term, factor in self.factors.items())])
        super().__init__(game.space, dtype=dtype or own.dtype, device=own.device, name=name)
        self._payer = self._whole = whole
        self._weighted: dict[tuple[tuple[str, float], ...], GameField] = {}
        self._terms: dict[str, tuple[str, ...]] = {}
        self.game, self.seed = game, seed
        self.weights = list(weights)
        self.batches = [moved(b, device=self.device, dtype=self.dtype) for b in batches]
        self._shares: dict[tuple[str, ...], float] = {}
        self.custom_functions: set[str] = set()
        self.sampled: dict[str, set[str]] = {}
        self.differentiates = self._normalises = False
        self.zero_sum = False
        self._inspected: set[str] = set()
        self._has_rnn = any(isinstance(m, nn.RNNBase) for m in game.arena.modules())

    @property
    def point(self) -> Tensor:
        self._check_parameters()
        flat = torch.cat([p.detach().reshape(-1) for p in self.game.parameters])
        return flat.to(self.dtype, copy=True)

    def stands_at(self, leaves: Sequence[Tensor]) -> bool:
        self._check_parameters()
        pairs = zip(self.game.parameters, leaves, strict=True)
        return all(torch.equal(own.detach().to(self.dtype), leaf.detach()) for own, leaf in pairs)

    def _check_parameters(self) -> None:
        """The modules must still hold the parameters that the game was made with, on the device of this field."""
        now = dict(self.game.arena.named_parameters())
        for key, parameter, entry in zip(self.game.keys, self.game.parameters, self.space.entries, strict=True):
            if now.get(key) is not parameter or parameter.shape != entry.shape:
                raise InputError(
                    f"{entry.name} was replaced by another parameter since the game was made (a parametrization, pruning, "
                    "a new layer); make the Game again."
                )
            if parameter.device != self.device:
                raise InputError(
                    f"{entry.name} was moved to {parameter.device} since this field was made on {self.device}; call game.on(...) "
                    "again."
                )

    def with_dtype(self, dtype: torch.dtype) -> GameField:
        """The same field computed in another dtype."""
        return self._anew(self.seed, dtype)

    def with_seed(self, seed: int) -> GameField:
        """The same field with another random draw."""
        return self._anew(seed, self.dtype)

    def _anew(self, seed: int, dtype: torch.dtype) -> GameField:
        found = GameField(self.game, self.batches, self.weights, seed=seed, dtype=dtype)
        return found.weighted(self.factors) if self.factors else found

    def weighted(self, factors: Mapping[str, float]) -> GameField:
        """The same field with single terms of the losses multiplied: ``{"r1": 0.0}`` leaves out the term ``r1``, whoever's it is.

        A term that is left out and stands in the losses as a function is not called, so that its cost is saved. Factors of a
        field that has some already multiply those.

        Args:
            factors: by term; of the others it is 1.

        Returns:
            A field of its own, the same one for the same factors. What it spends is added to ``gradients`` of this field, in
            evaluations of the whole field with all terms, which is evaluated once to count them.

        Raises:
            InputError: a factor that is no finite number; when it is evaluated, a term that no player has.

        Example:
            >>> x = torch.tensor([2.0])
            >>> game = Game({"x": x}, {"x": lambda m, batch: {"fit": m["x"].sum(), "decay": lambda: m["x"].square().sum()}})
            >>> game.on()().tolist(), game.on().weighted({"decay": 0})().tolist()
            ([-5.0], [-1.0])
        """
        whole = self._whole or self
        given = check_factors(factors)
        merged = {**self.factors, **{term: f * self.factors.get(term, 1.0) for term, f in given.items()}}
        key = tuple(sorted(merged.items()))
        if key not in whole._weighted:
            whole._weighted[key] = GameField(
                self.game, self.batches, self.weights, seed=self.seed, dtype=self.dtype, whole=whole, factors=merged
            )
        return whole._weighted[key]

    def trace(
        self, leaves: Sequence[Tensor], *, players: Iterable[str] | None = None, create_graph: bool = False
    ) -> Rows:
        rows: Rows = {}
        for number in range(self.parts):
            for key, row in self.trace_part(number, leaves, players=players, create_graph=create_graph).items():
                rows[key] = rows[key] + row if key in rows else row
        return rows

    @property
    def parts(self) -> int:
        return len(self.batches)

    def trace_part(
        self, number: int, leaves: Sequence[Tensor], *, players: Iterable[str] | None = None, create_graph: bool = False
    ) -> Rows:
        wanted = self.players if players is None else tuple(players)
        rows, weight = self._trace_batch(leaves, self.batches[number], wanted, create_graph), self.weights[number]
        return rows if weight == 1.0 else {key: weight * row for key, row in rows.items()}

    def scene(self) -> Scene:
        """What an evaluation reads besides the point, as it stands now."""
        modes = tuple((m, m.training) for m in self.game.arena.modules())
        return Scene(self._others(), modes)

    def inside(self, leaves: Sequence[Tensor], run: Callable[[], T], scene: Scene | None = None) -> T:
        """Call ``run`` with these parameters; with what else was read as it stood in the ``scene``, or as it is now."""
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(frozen_randomness(self.seed))
            stack.enter_context(differentiable_kernels(rnns=self._has_rnn))
            stack.enter_context(default_dtype(self.dtype))
            if third_derivatives_wanted() and (self._normalises or not self._inspected):
                stack.enter_context(WrittenOut())
            if scene is None:
                return self.game.arena.call(self._tensors(leaves), run)
            return self.game.arena.call(self._tensors(leaves, scene.copied()), scene.staged(run))

    def losses(self, x: Tensor | None = None) -> dict[str, dict[str, float]]:
        """Each player's loss by term with its factor, ``{player: {term: value}}``. Cost: the forward passes."""
        leaves = self.leaves(x)
        found: dict[str, dict[str, float]] = {p: {} for p in self.players}
        for batch, weight in zip(self.batches, self.weights, strict=True):
            losses = self.inside(leaves, lambda batch=batch: self._losses(batch, self.players))  # type: ignore[misc]
            for player, terms in losses.items():
                for term, tensor in terms.items():
                    value = float(tensor.detach()) * self.factors.get(term, 1.0)
                    found[player][term] = found[player].get(term, 0.0) + weight * value
        return found

    def share(self, players: Iterable[str] | None = None) -> float:
        """Floating-point operations of these players' directions over those of all, with all terms; counted once."""
        if players is None and self._whole is None:
            return 1.0
        key = tuple(sorted(set(self.players if players is None else players)))
        if key not in self._shares:
            everything, part = (self._whole or self)._flops(self.players), self._flops(key)
            self._shares[key] = part / everything if everything else len(key) / len(self.players)
        return self._shares[key]

    def _flops(self, players: Sequence[str]) -> float:
        leaves, batch = self.leaves(), self.batches[0]
        return float(counted(lambda: self._trace_batch(leaves, batch, players, create_graph=False))[1])

    def _tensors(self, leaves: Sequence[Tensor], others: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """What stands in for the parameters and buffers of the arena during an evaluation."""
        return dict(zip(self.game.keys, leaves, strict=True)) | (self._others() if others is None else others)

    def _others(self) -> dict[str, Tensor]:
        """Copies of what stands in the arena besides the leaves: frozen parameters and buffers."""
        named: dict[str, Tensor] = {}
        own, leaves = self.game.parameters[0].dtype, set(self.game.keys)
        for key, parameter in self.game.arena.named_parameters():
            # A bystander may be large and is only read; it is copied only where the dtype asks for it.
            if key not in leaves and (key.startswith("members.") or own != self.dtype):
                named[key] = _copy(parameter, own, self.dtype)
        for key, tensor in self.game.arena.named_buffers():
            named[key] = _copy(tensor, own, self.dtype)
        return named

    def _trace_batch(self, leaves: Sequence[Tensor], batch: Any, wanted: Sequence[str], create_graph: bool) -> Rows:
        unseen = not self._inspected.issuperset(wanted)

        def run() -> Rows:
            losses = self._watched(leaves, batch, wanted) if unseen else self._losses(batch, wanted)
            totals = {p: total(losses[p], self.factors, self.dtype, self.device) for p in wanted}
            if unseen:
                self.custom_functions |= inspect_graph(self.game, totals.values())
            rows: Rows = {}
            for player in wanted:
                owned = self.space.owned(player)
                grads = self._gradient(player, totals[player], [leaves[i] for i in owned], create_graph)
                for i, grad in zip(owned, grads, strict=True):
                    rows[player, i] = -(torch.zeros_like(leaves[i]) if grad is None else grad)
            return rows

        def evaluate() -> Rows:
            with third_derivatives(create_graph and self.differentiates):
                return self.inside(leaves, run)

        with forbid_self_changing(self.game, leaves) if unseen else nullcontext():
            rows = evaluate()
            if unseen and create_graph and self.differentiates and self._normalises:
                rows = evaluate()  # what it was evaluated for is known only now
        self._inspected.update(wanted)
        return rows if create_graph else {key: row.detach() for key, row in rows.items()}

    def _gradient(
        self, player: str, total: Tensor, inputs: Sequence[Tensor], create_graph: bool
    ) -> tuple[Tensor | None, ...]:
        grads: tuple[Tensor | None, ...] = (None,) * len(inputs)
        if total.requires_grad:
            try:
                with translated(self.name):
                    grads = torch.autograd.grad(
                        total, inputs, create_graph=create_graph, retain_graph=True, allow_unused=True
                    )
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                raise InputError(f"the gradient of player {player!r} raised RuntimeError: {error}") from error
        # A term that is left out may be all that moves a player.
        if all(g is None for g in grads) and not any(self.factors.get(term) == 0 for term in self._terms[player]):
            raise InputError(
                f"the loss of player {player!r} does not depend on any trainable parameter of {player!r}; "
                "look for .detach(), torch.no_grad(), .item() or requires_grad_(False) on the way, or for a loss that "
                "was returned under the wrong player."
            )
        return grads

    def _watched(self, leaves: Sequence[Tensor], batch: Any, wanted: Sequence[str]) -> dict[str, dict[str, Tensor]]:
        watch = Watch(self.game, leaves)
        with watch:
            losses = self._losses(batch, wanted)
        self.differentiates |= watch.differentiates
        self._normalises |= watch.normalises
        if watch.sampled:
            self.sampled.update({player: self.sampled.get(player, set()) | watch.sampled for player in wanted})
        return losses

    def _losses(self, batch: Any, wanted: Sequence[str]) -> dict[str, dict[str, Tensor]]:
        """The losses by player and term, checked one by one."""
        models, batch = self.game.views(), copied(batch)
        try:
            with translated(self.name):
                if isinstance(self.game.losses, Mapping):
                    found: Any = {p: self.game.losses[p](models, batch) for p in wanted}
                else:
                    found = self.game.losses(models, batch)
                self.zero_sum = isinstance(found, Tensor) and len(self.players) == 2
        except (SeparatrixError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise InputError(
                f"the losses of {self.name!r} raised {raised_by(error)}.{self._hint(error, batch)}"
            ) from error
        self._terms |= term_names(found, self.players)
        check_terms(self.factors, self._terms, self.players, self.game.name)
        left_out = [term for term, factor in self.factors.items() if factor == 0]
        return read_losses(found, self.players, wanted, self.dtype, left_out)

    def _hint(self, error: Exception, batch: Any) -> str:
        if isinstance(error, KeyError) and error.args and error.args[0] not in self.players:
            return f" The players are {', '.join(self.players)}."
        if isinstance(batch, list) and batch and all(isinstance(piece, (tuple, list, dict)) for piece in batch):
            return f" The batch is a list of {len(batch)}: several batches go into a DataLoader."
        return ""

    @property
    def samples(self) -> int:
        """How many samples the batches hold together."""
        return sum((self.game.batch_size or samples_in)(b) for b in self.batches)


def _copy(tensor: Tensor, own: torch.dtype, dtype: torch.dtype) -> Tensor:
    copy = tensor.detach().clone()
    return copy.to(dtype) if tensor.dtype == own else copy
