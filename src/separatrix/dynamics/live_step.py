"""One period of a method on the modules themselves: what every training loop here is made of."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import hypot, isfinite
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics.accumulated import Accumulated
from separatrix.dynamics.evaluation import FieldEvaluation
from separatrix.dynamics.given import GivenGradients
from separatrix.dynamics.live import LiveField
from separatrix.dynamics.method import Method
from separatrix.dynamics.near import FieldNear
from separatrix.dynamics.schemes import Evaluate, States
from separatrix.dynamics.streams import Streams
from separatrix.errors import InputError, NonFiniteError, SeparatrixError, UnsupportedOperatorError
from separatrix.fields import Field, Game
from separatrix.fields.batches import map_tensors
from separatrix.fields.space import Space


@dataclass(frozen=True)
class Step:
    """What one training step saw and cost.

    Attributes:
        number: steps made so far, this one included.
        losses: ``{player: {term: value}}``, each player's where it was first evaluated in this step; a lazy term as the losses
            return it, without its factor, and absent where it was left out.
        field_norm: length of the field there, transforms left out.
        norms: the same by player.
        gradients: gradient-equivalents spent.
        residual: relative residual of the equation that the step solved, where its scheme solves one.
        skipped: why no step was made: what was not finite under a loss scale, which is now lower. Empty where one was made.
    """

    number: int
    losses: dict[str, dict[str, float]]
    field_norm: float
    norms: dict[str, float]
    gradients: float
    residual: float = 0.0
    skipped: str = ""


class LiveStep:
    """Steps the modules of a game; holds no state of the method.

    Args:
        game: the game.
    """

    def __init__(self, game: Game) -> None:
        self.field = LiveField(game)
        self._vouched = False

    def step(self, method: Method, states: States, batches: Sequence[Any], number: int = 0) -> tuple[States, Step]:
        """One period: the modules move, the new states are returned, the given ones stay as they are.

        Args:
            method: its bases are asked for each player.
            states: of the bases.
            batches: one for each draw of the scheme; the last one serves again, with a new random draw, where there are
                fewer. None at all where the gradients stand in ``.grad`` and the method evaluates once, where the modules stand.
            number: steps made before.

        Raises:
            NonFiniteError: a loss, a gradient or a step is not finite; names player and tensor.
            InputError: no batch.
            UnsupportedOperatorError: the method needs second derivatives and the losses have none, or wrong ones. They are
                tested once, before the first such step, for about 30 gradients that no step is billed for. A block that a
                ``detach`` hides is a warning.

        Whatever is raised (``KeyboardInterrupt`` too), parameters and buffers are as before the call.
        """
        field = self.field
        before = field.begin()
        if batches:
            if method.second_derivatives and not self._vouched:
                self._vouch(batches[0])
            evaluate: FieldEvaluation = _LiveEvaluation(field, method.field(field), batches)
        else:
            _check_one_evaluation(method)
            given = GivenGradients(field.game)
            field.norms = given.norms
            evaluate = FieldEvaluation(method.field(given))
        try:
            with _put_back_on_failure(field, before):
                after, following = method.scheme.step(
                    evaluate, method.bases_for(field.players), field.space, before, states
                )
                check_finite(field.space, after)
                field.move_to(after)
        except NonFiniteError as error:
            if culprit := _not_finite_before(field.space, before, batches):
                raise NonFiniteError(f"{error} {culprit}") from error
            raise
        norms = dict(field.norms)
        return following, Step(
            number + 1,
            {p: {term: float(value) for term, value in terms.items()} for p, terms in field.losses.items()},
            hypot(*norms.values()),
            norms,
            evaluate.gradients,
            evaluate.residual,
        )

    def _vouch(self, batch: Any) -> None:
        """Test the second derivatives on a copy: some operators have wrong ones and torch says nothing."""
        try:
            first = batch.batches[0] if isinstance(batch, Accumulated) else batch
            findings = self.field.game.on(batches=[first]).jacobian().findings
        except UnsupportedOperatorError:
            raise
        except SeparatrixError:
            findings = []  # losses that train may be such as cannot be measured, for a random stream of their own
        self._vouched = True
        for hidden in (finding for finding in findings if finding.startswith("detached: ")):
            warnings.warn(f"this method steps with what is missing here. {hidden}", stacklevel=6)


def _not_finite_before(space: Space, x: Tensor, batches: Sequence[Any]) -> str:
    """What was not finite already before the step: a tensor of a player, or the batch; empty where neither."""
    if not bool(torch.isfinite(x).all()):
        i = int((~torch.isfinite(x)).nonzero()[0])
        entry = next(e for e in space.entries if e.offset <= i < e.offset + e.numel)
        return f"Tensor {entry.name} of player {entry.owners[0]!r} held {x[i].item()} before this step."
    seen: list[float] = []

    def look(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point():
            seen.extend(tensor[~torch.isfinite(tensor)][:1].tolist())
        return tensor

    for batch in batches:
        map_tensors(batch.batches if isinstance(batch, Accumulated) else batch, look)
    return f"The batch holds {seen[0]}." if seen else ""


def check_finite(space: Space, x: Tensor) -> None:
    """Raise ``NonFiniteError`` where a step left the finite numbers; names player and tensor."""
    if isfinite(float(x.norm())) or bool(torch.isfinite(x).all()):
        return
    i = int((~torch.isfinite(x)).nonzero()[0])
    entry = next(e for e in space.entries if e.offset <= i < e.offset + e.numel)
    raise NonFiniteError(
        f"the step of player {entry.owners[0]!r} is {x[i].item()} in tensor {entry.name}, though its gradient is finite; "
        "all is kept as it was before it. Use a smaller lr, or clip the gradient."
    )


def _check_one_evaluation(method: Method) -> None:
    if not method.scheme.one_evaluation or method.second_derivatives:
        own = [type(t).__name__ for t in method.transforms if not t.local]
        raise InputError(
            f"a step of {' and '.join([*own, method.scheme.name])} needs at least one batch: it evaluates the losses by itself, at other "
            "points or with second derivatives, so gradients that stand in .grad will not do; opt.step(batch), or step(None) where "
            "the losses need no data."
        )


class _LiveEvaluation(FieldEvaluation):
    """The modules' field on the batch of each draw, which also fixes the random streams."""

    def __init__(self, field: LiveField, seen: Field, batches: Sequence[Any]) -> None:
        super().__init__(seen)
        self.field, self.batches = field, batches
        self._streams: dict[int, Streams] = {}
        self._evaluated: list[tuple[tuple[str, ...], Mapping[str, float]]] = []
        self._solved: list[FieldNear] = []

    def __call__(self, at: Tensor, players: Sequence[str], draw: int) -> Mapping[str, Tensor]:
        self._begin(draw)
        self._evaluated.append((tuple(players), self.field.factors))
        return super().__call__(at, players, draw)

    def near(self, x: Tensor, draw: int) -> FieldNear:
        self._begin(draw)
        self._solved.append(super().near(x, draw))
        return self._solved[-1]

    def weighted(self, factors: Mapping[str, float]) -> Evaluate:
        def evaluate(at: Tensor, players: Sequence[str], draw: int) -> Mapping[str, Tensor]:
            with self._with(factors):
                return self(at, players, draw)

        return evaluate

    def _share(self, players: tuple[str, ...], factors: Mapping[str, float]) -> float:
        with self._with(factors):
            return self.seen.share(None if set(players) == set(self.seen.players) else players)

    @contextmanager
    def _with(self, factors: Mapping[str, float]) -> Iterator[None]:
        before, self.field.factors = self.field.factors, factors
        try:
            yield
        finally:
            self.field.factors = before

    @property
    def gradients(self) -> float:
        """Spent so far. Shares are known best at the end, when all players were evaluated."""
        return sum(self._share(*made) for made in self._evaluated) + sum(there.gradients for there in self._solved)

    def _begin(self, draw: int) -> None:
        self.field.batch = self.batches[min(draw, len(self.batches) - 1)]
        if draw in self._streams:
            self._streams[draw].restore()
        else:
            self._streams[draw] = Streams.now()


@contextmanager
def _put_back_on_failure(field: LiveField, before: Tensor) -> Iterator[None]:
    """Parameters and buffers as before where the step does not come to its end."""
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in field.game.arena.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    try:
        yield
    except BaseException:
        field.move_to(before.clone())  # a point of its own, so that it is written for sure
        with torch.no_grad():
            for module, name, buffer, kept in buffers:
                setattr(module, name, buffer.copy_(kept))
        raise
