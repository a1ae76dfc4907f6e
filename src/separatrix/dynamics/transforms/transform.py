"""Transform: a field in, a field out. It uses the field's directions and products, never autograd directly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.field import Field, Rows

T = TypeVar("T")


class Products:
    """Products with the Jacobian ``v'`` of the field underneath, at the point where it was traced.

    Args:
        field, leaves, rows: as traced, with the graph.
        create_graph: whether the products are to be differentiable themselves.
    """

    def __init__(self, field: Field, leaves: Sequence[Tensor], rows: Rows, create_graph: bool) -> None:
        self.field, self.leaves, self.rows, self.create_graph = field, leaves, rows, create_graph

    def pull(self, u: Rows) -> list[Tensor]:
        """``v'^T u`` for cotangents of some rows, one tensor for each entry of the space. Costs 2 gradients for all rows."""
        return self._pull(u, self.create_graph)

    def pull_and_push(self, u: Rows, w: Sequence[Tensor]) -> tuple[list[Tensor], Rows]:
        """``v'^T u`` and ``v' w``; the second by rows. Costs 4.6 gradients, the first product's graph serving the second."""
        # Copies, since a row may be saved by its own graph (that of exp is), and only its role as a cotangent is meant here.
        with torch.enable_grad():
            keep = self.create_graph
            dummies = {
                k: row.clone() if keep and row.requires_grad else row.detach().clone().requires_grad_()
                for k, row in u.items()
            }
        pulled = self._pull(dummies, True)
        live = [(p, piece) for p, piece in zip(pulled, w, strict=True) if p.requires_grad]
        if not live:
            return pulled, {k: torch.zeros_like(row) for k, row in u.items()}
        outputs, cotangents = zip(*live, strict=True)
        pushed = self._grad(outputs, list(dummies.values()), cotangents, self.create_graph)
        if not self.create_graph:
            pulled = [p.detach() for p in pulled]
        return pulled, dict(zip(dummies, pushed, strict=True))

    def _pull(self, u: Rows, create_graph: bool) -> list[Tensor]:
        live = [key for key in u if self.rows[key].requires_grad]
        if not live:
            return [torch.zeros_like(leaf) for leaf in self.leaves]
        return self._grad([self.rows[k] for k in live], self.leaves, [u[k] for k in live], create_graph)

    def _grad(
        self, outputs: Sequence[Tensor], inputs: Sequence[Tensor], cotangents: Sequence[Tensor], create_graph: bool
    ) -> list[Tensor]:
        def run() -> tuple[Tensor, ...]:
            return torch.autograd.grad(
                outputs, inputs, cotangents, create_graph=create_graph, retain_graph=True, materialize_grads=True
            )

        return list(self.field.inside(self.leaves, run))


class Transform(ABC):
    """Maps a field to a field: ``Consensus(10.0)(field)``."""

    #: cost of one evaluation of the transformed field, in gradient-equivalents.
    gradients: float = 1.0
    #: a player's new direction depends on its old one alone; no products are needed then.
    local: bool = False

    @abstractmethod
    def apply(self, v: Rows, products: Products | None) -> Rows:
        """The new directions from the old ones; products with the old field's Jacobian are there unless ``local``."""

    @property
    def linear(self) -> bool:
        """Whether a linear field becomes a linear one; of others the derivative at the point is taken."""
        return True

    def check(self, players: Sequence[str]) -> None:  # noqa: B027 - most transforms fit all players
        """Raise ``InputError`` where the transform does not fit the players."""

    def __call__(self, field: Field) -> TransformedField:
        self.check(field.players)
        return TransformedField(field, self)

    def describe(self) -> dict[str, Any]:
        """Kind and settings, for records."""
        return {"kind": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]


class TransformedField(Field):
    """A field seen through a transform. Where that needs products, its Jacobian costs one more derivative.

    Attributes:
        inner: the field underneath.
        transform: what was done to it.
    """

    def __init__(self, inner: Field, transform: Transform) -> None:
        name = f"{type(transform).__name__}({inner.name})"
        super().__init__(inner.space, dtype=inner.dtype, device=inner.device, name=name)
        self.inner, self.transform = inner, transform

    @property
    def point(self) -> Tensor:
        return self.inner.point

    def leaves(self, x: Tensor | None = None) -> list[Tensor]:
        return self.inner.leaves(x)

    def inside(self, leaves: Sequence[Tensor], run: Callable[[], T]) -> T:
        return self.inner.inside(leaves, run)

    def share(self, players: Iterable[str] | None = None) -> float:
        if self.transform.local:
            return self.transform.gradients * self.inner.share(players)
        return self.transform.gradients * self.inner.share()

    def weighted(self, factors: Mapping[str, float]) -> TransformedField:
        found = TransformedField(self.inner.weighted(factors), self.transform)
        found._payer = self
        return found

    def trace(
        self, leaves: Sequence[Tensor], *, players: Iterable[str] | None = None, create_graph: bool = False
    ) -> Rows:
        wanted = tuple(self.players if players is None else players)
        local = self.transform.local
        with torch.enable_grad():
            inner = self.inner.trace(leaves, players=wanted if local else None, create_graph=create_graph or not local)
        products = None if local else Products(self.inner, leaves, inner, create_graph)
        with torch.set_grad_enabled(create_graph):
            rows = self.transform.apply(inner, products)
        rows = {key: row for key, row in rows.items() if key[0] in wanted}
        return rows if create_graph else {key: row.detach() for key, row in rows.items()}


def totals(v: Rows) -> dict[int, Tensor]:
    """The flat field by entry: in a shared one the sum over its owners."""
    total: dict[int, Tensor] = {}
    for (_, i), row in v.items():
        total[i] = total[i] + row if i in total else row
    return total


def corrected(v: Rows, correction: Mapping[int, Tensor] | Sequence[Tensor]) -> Rows:
    """The rows with a correction of the flat field added: a shared entry moves by the sum over its owners, so only the first of
    them carries it."""
    first: set[int] = set()
    rows: Rows = {}
    for (player, i), row in v.items():
        rows[player, i] = row if i in first else row + correction[i]
        first.add(i)
    return rows


def norms(v: Rows) -> dict[str, Tensor]:
    """The length of each player's direction, 0-dim."""
    by_player: dict[str, list[Tensor]] = {}
    for (player, _), row in v.items():
        by_player.setdefault(player, []).append(row.reshape(-1))
    return {player: torch.linalg.vector_norm(torch.cat(rows)) for player, rows in by_player.items()}


def check_named(players: Iterable[str], known: Sequence[str], what: str) -> None:
    if unknown := sorted(set(players) - set(known)):
        raise InputError(f"{what} names unknown players {unknown}; the players are {list(known)}.")


def check_not_negative(**settings: float) -> None:
    for name, value in settings.items():
        if not 0 <= value < float("inf"):
            raise InputError(f"{name} must be finite and not negative, got {value}.")
