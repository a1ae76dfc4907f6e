"""How the products of a Jacobian are computed: from kept graphs, from graphs built anew for each block, from the matrix."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad

from separatrix.errors import InputError, SeparatrixError, StaleOperatorError, UnsupportedOperatorError
from separatrix.fields.field import Field, Rows
from separatrix.fields.graph import Graph
from separatrix.fields.normalisation import third_derivatives
from separatrix.fields.support import takes_third_derivatives

# Beyond this the matrix alone is 0.8 GB in float64, and forming it costs 2 gradients a row.
MOST_DENSE = 10_000
ROWS_AT_A_TIME = 256


class Route(ABC):
    """Products at fixed leaves. Each adds what it spends to ``field.gradients``.

    Args:
        field: the field.
        leaves: the point, as tensors that require gradients.

    Attributes:
        rows: the field's directions there, by player and entry.
        passes: how often graphs were built anew for products.
    """

    rows: Rows

    @property
    def passes(self) -> int:
        return 0

    def __init__(self, field: Field, leaves: Sequence[Tensor]) -> None:
        self.field, self.leaves = field, list(leaves)

    @abstractmethod
    def pull(self, block: Sequence[Mapping[tuple[str, int], Tensor]]) -> Tensor:
        """``J.T c`` for each of ``k`` cotangents given by player and entry, all with the same keys: ``(k, n)``."""

    @abstractmethod
    def push(self, block: Sequence[Tensor]) -> list[Rows]:
        """``J u`` for each of ``k`` flat vectors, by player and entry."""

    def _share(self, keys: Mapping[tuple[str, int], Tensor]) -> float:
        players = {player for player, _ in keys}
        return self.field.share(None if players == set(self.field.players) else players)


class Retained(Route):
    """One graph of the whole field, kept.

    Cost: 1 gradient and the memory of the graphs of all batches; ``pull`` 2 a vector, ``push`` 2 to 2.7, and 2 once.
    """

    def __init__(self, field: Field, leaves: Sequence[Tensor]) -> None:
        super().__init__(field, leaves)
        with third_derivatives(takes_third_derivatives(field)):
            self.rows = field.trace(self.leaves, create_graph=True)
        self.graph = Graph(field, self.leaves, list(self.rows.values()))
        field.gradients += field.share()

    def pull(self, block: Sequence[Mapping[tuple[str, int], Tensor]]) -> Tensor:
        self.field.gradients += 2.0 * sum(self._share(cotangents) for cotangents in block)
        pulled = self.graph.pull([[c.get(key) for key in self.rows] for c in block])
        if len(pulled) == 1:  # without another copy of n numbers
            return self.field.space.join(pulled[0])[None]
        return torch.stack([self.field.space.join(pieces) for pieces in pulled])

    def push(self, block: Sequence[Tensor]) -> list[Rows]:
        self.field.gradients += (2.6 * len(block) + 2.0 * (not self.graph.can_push)) * self.field.share()
        pushed = self.graph.push([self.field.space.split(u) for u in block])
        return [dict(zip(self.rows, pieces, strict=True)) for pieces in pushed]


class Stream(Route):
    """One batch after the other: its graph is built, serves all vectors of a block, and is freed.

    Cost: the memory of one batch's graph; ``pull`` ``(1 + 2k)`` gradients for k vectors, ``push`` ``(3 + 2.6k)``. So give
    vectors in blocks: ``J.rows(U)``.
    """

    def __init__(self, field: Field, leaves: Sequence[Tensor]) -> None:
        super().__init__(field, leaves)
        self._passes = 0
        self.rows = {}
        for number in range(field.parts):  # with a graph, as the passes build it: to the last bit the same
            for key, row in self.trace(number, field.players, self.leaves).items():
                self.rows[key] = self.rows[key] + row.detach() if key in self.rows else row.detach()
        field.gradients += field.share()

    @property
    def passes(self) -> int:
        return self._passes

    def pull(self, block: Sequence[Mapping[tuple[str, int], Tensor]]) -> Tensor:
        total = torch.zeros(len(block), self.field.space.n, dtype=self.field.dtype, device=self.field.device)

        def add(graph: Graph, keys: Sequence[tuple[str, int]]) -> None:
            pulled = graph.pull([[cotangents[key] for key in keys] for cotangents in block])
            for sum_, pieces in zip(total, pulled, strict=True):
                sum_ += self.field.space.join(pieces)

        self._pass(block[0], add)
        self.field.gradients += (1.0 + 2.0 * len(block)) * self._share(block[0])
        return total

    def push(self, block: Sequence[Tensor]) -> list[Rows]:
        total: list[Rows] = [{key: torch.zeros_like(row) for key, row in self.rows.items()} for _ in block]

        def add(graph: Graph, keys: Sequence[tuple[str, int]]) -> None:
            pushed = graph.push([self.field.space.split(u) for u in block])
            for sums, pieces in zip(total, pushed, strict=True):
                for key, piece in zip(keys, pieces, strict=True):
                    sums[key] += piece

        self._pass(self.rows, add)
        self.field.gradients += (3.0 + 2.6 * len(block)) * self.field.share()
        return total

    def _pass(
        self, keys: Mapping[tuple[str, int], Tensor], use: Callable[[Graph, Sequence[tuple[str, int]]], None]
    ) -> None:
        """Build the graph of each batch, use it, and let it go before the next."""
        players = [p for p in self.field.players if any(p == player for player, _ in keys)]
        found = {key: torch.zeros_like(row) for key, row in self.rows.items() if key[0] in players}

        def one(number: int) -> None:
            rows = self.trace(number, players, self.leaves)
            for key, row in rows.items():
                found[key] += row.detach()
            use(Graph(self.field, self.leaves, list(rows.values())), list(rows))

        for number in range(self.field.parts):
            one(number)
        self._passes += 1
        self.check_same_field(found)

    def trace(self, number: int, players: Sequence[str], leaves: Sequence[Tensor]) -> Rows:
        """One batch's part of the directions, with its graph."""
        with torch.inference_mode(False), third_derivatives(takes_third_derivatives(self.field)):
            return self.field.trace_part(number, leaves, players=players, create_graph=True)

    def check_same_field(self, found: Rows) -> None:
        """The rebuilt directions against those of the build: free, and it sees buffers, modes and frozen parameters."""
        now, built = (torch.cat([rows[key].reshape(-1) for key in found]) for rows in (found, self.rows))
        gap, size = float((now - built).norm()), float(built.norm())
        # Sums over threads may come in any order; a GPU's do.
        if not gap <= (100 * torch.finfo(now.dtype).eps if now.device.type == "cpu" else 1e-4) * size:
            raise StaleOperatorError(
                f"{self.field.name!r} gives other directions than when this Jacobian was built, at the same parameters (difference "
                f"{gap:.3g} of {size:.3g}): a buffer (running statistics), a train or eval mode, a frozen parameter or "
                "something that the losses read has changed. Build it again with field.jacobian(route='stream')."
            )


class Dual(Route):
    """Forward-mode derivatives of a gradient with its graph, a vector at a time; nothing is kept.

    ``J @ u`` for little memory and one vector after the other; the transpose goes batch after batch.

    Cost: the memory of one batch's graph; ``push`` 3 gradients a vector, ``pull`` as :class:`Stream`.

    Raises:
        UnsupportedOperatorError: at the first ``J @ u``, where an operator has no forward-mode derivative.
    """

    def __init__(self, field: Field, leaves: Sequence[Tensor]) -> None:
        super().__init__(field, leaves)
        self.stream = Stream(field, leaves)
        self.rows = self.stream.rows

    @property
    def passes(self) -> int:
        return self.stream.passes

    def pull(self, block: Sequence[Mapping[tuple[str, int], Tensor]]) -> Tensor:
        return self.stream.pull(block)

    def push(self, block: Sequence[Tensor]) -> list[Rows]:
        self.field.gradients += 3.0 * len(block) * self.field.share()
        try:
            return [self._push(u) for u in block]
        except (StaleOperatorError, torch.OutOfMemoryError):
            raise
        except (SeparatrixError, RuntimeError) as error:  # the build has differentiated all of it backwards
            raise UnsupportedOperatorError(
                f"route='dual' needs forward-mode derivatives of what is inside {self.field.name!r}: "
                f"{str(error).strip().splitlines()[0][:200]}; use route='stream' or 'retained'."
            ) from error

    def _push(self, u: Tensor) -> Rows:
        primal = {key: torch.zeros_like(row) for key, row in self.rows.items()}
        found = {key: torch.zeros_like(row) for key, row in self.rows.items()}

        def one(number: int) -> None:
            with torch.inference_mode(False), forward_ad.dual_level():
                pieces = zip(self.leaves, self.field.space.split(u), strict=True)
                duals = [forward_ad.make_dual(leaf, piece) for leaf, piece in pieces]  # type: ignore[no-untyped-call]
                # Without a graph the tangents of what a gradient saved would be lost, silently.
                for key, row in self.stream.trace(number, self.field.players, duals).items():
                    value, tangent = forward_ad.unpack_dual(row)  # type: ignore[no-untyped-call]
                    primal[key] += value.detach()
                    if tangent is not None:
                        found[key] += tangent.detach()

        for number in range(self.field.parts):
            one(number)
        self.stream.check_same_field(primal)
        return found


class Dense(Route):
    """The matrix, formed once by rows; the graph is then freed.

    Cost: 1 + 2 n gradients and ``(n, n)`` numbers; products are matrix products.

    Raises:
        InputError: n is too large.
    """

    def __init__(self, field: Field, leaves: Sequence[Tensor]) -> None:
        super().__init__(field, leaves)
        if field.space.n > MOST_DENSE:
            raise InputError(
                f"route='dense' forms a matrix of {field.space.n} x {field.space.n}; it takes up to n = {MOST_DENSE}. Use "
                "route='retained', or 'stream', and products."
            )
        kept = Retained(field, leaves)
        self.rows = {key: row.detach() for key, row in kept.rows.items()}
        self._sizes = [row.numel() for row in self.rows.values()]
        count = sum(self._sizes)
        self.matrix = torch.empty(count, field.space.n, dtype=field.dtype, device=field.device)
        for start in range(0, count, ROWS_AT_A_TIME):  # so that the matrix is all that is held
            units = torch.zeros(min(ROWS_AT_A_TIME, count - start), count, dtype=field.dtype, device=field.device)
            units.diagonal(start).fill_(1)
            self.matrix[start : start + len(units)] = kept.pull([self._by_key(unit) for unit in units])

    def pull(self, block: Sequence[Mapping[tuple[str, int], Tensor]]) -> Tensor:
        flat = [
            torch.cat([c.get(key, row.new_zeros(row.shape)).reshape(-1) for key, row in self.rows.items()])
            for c in block
        ]
        return torch.stack(flat) @ self.matrix

    def push(self, block: Sequence[Tensor]) -> list[Rows]:
        return [self._by_key(row) for row in torch.stack(list(block)) @ self.matrix.T]

    def _by_key(self, flat: Tensor) -> Rows:
        pieces = torch.split(flat, self._sizes)
        return {key: piece.view(row.shape) for (key, row), piece in zip(self.rows.items(), pieces, strict=True)}


ROUTES: dict[str, type[Route]] = {"retained": Retained, "stream": Stream, "dual": Dual, "dense": Dense}
