"""Names for the coordinates of a flat point: which player, which parameter, which shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from separatrix.errors import InputError


@dataclass(frozen=True)
class Entry:
    """One tensor of the point: its name, shape, place and the players that move it."""

    name: str
    shape: tuple[int, ...]
    offset: int
    owners: tuple[str, ...]

    @property
    def numel(self) -> int:
        return int(torch.Size(self.shape).numel())


class Space:
    """The layout of a flat point ``(n,)``.

    Flat to named is by views; named to flat is one copy. A tensor owned by several players stands once, with all its
    owners, and moves by the sum of their directions.

    Args:
        entries: the tensors in their order, as ``(name, shape, owners)``.
        players: the players in their order.
    """

    def __init__(self, entries: Sequence[tuple[str, tuple[int, ...], tuple[str, ...]]], players: Sequence[str]) -> None:
        placed, offset = [], 0
        for name, shape, owners in entries:
            entry = Entry(name, tuple(shape), offset, tuple(owners))
            placed.append(entry)
            offset += entry.numel
        self.entries = tuple(placed)
        self.players = tuple(players)
        self.n = offset
        self.shared = any(len(e.owners) > 1 for e in self.entries)

    @classmethod
    def of_sizes(cls, sizes: Mapping[str, int]) -> Space:
        """A space of named vectors, one a player: ``Space.of_sizes({"x": 2, "y": 3})``."""
        return cls([(name, (size,), (name,)) for name, size in sizes.items()], list(sizes))

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the named tensors."""
        return [e.shape for e in self.entries]

    def split(self, x: Tensor) -> list[Tensor]:
        """The named tensors of a flat point, as views, in the order of ``entries``."""
        self.check(x)
        return [x[e.offset : e.offset + e.numel].view(e.shape) for e in self.entries]

    def join(self, pieces: Sequence[Tensor]) -> Tensor:
        """The flat point of named tensors: one copy."""
        return torch.cat([p.reshape(-1) for p in pieces])

    def owned(self, player: str) -> list[int]:
        """The numbers of the entries that a player moves."""
        if player not in self.players:
            raise InputError(f"no player {player!r}; the players are {', '.join(map(repr, self.players))}.")
        return [i for i, e in enumerate(self.entries) if player in e.owners]

    def index(self, player: str) -> slice | Tensor:
        """Where a player's coordinates lie: a slice where they are contiguous, else an index tensor."""
        owned = [self.entries[i] for i in self.owned(player)]
        spans = [(e.offset, e.offset + e.numel) for e in owned]
        if not spans:
            return slice(0, 0)
        if all(a[1] == b[0] for a, b in pairwise(spans)):
            return slice(spans[0][0], spans[-1][1])
        return torch.cat([torch.arange(a, b) for a, b in spans])

    def size(self, player: str) -> int:
        """How many coordinates a player moves."""
        return sum(self.entries[i].numel for i in self.owned(player))

    def take(self, x: Tensor, player: str) -> Tensor:
        """A player's coordinates of a flat point."""
        return x[self.index(player)]

    def put(self, x: Tensor, parts: Mapping[str, Tensor]) -> Tensor:
        """``x`` with the coordinates of some players replaced; differentiable, ``x`` is left as it is.

        A coordinate that several of the given players own moves by the sum of their displacements.
        """
        shared = self.shared and len(parts) > 1
        moved = x.clone()
        for player, part in parts.items():
            index = self.index(player)
            moved[index] = moved[index] + (part - x[index]) if shared else part
        return moved

    def name_of(self, i: int) -> str:
        """The name of the tensor that holds coordinate ``i``."""
        return next(e.name for e in self.entries if e.offset <= i < e.offset + e.numel)

    def check(self, x: Tensor) -> None:
        if x.shape != (self.n,):
            raise InputError(f"a point of this field has shape ({self.n},), got {tuple(x.shape)}.")

    def __repr__(self) -> str:
        sizes = ", ".join(f"{p}: {self.size(p)}" for p in self.players)
        return f"Space(n={self.n}, {sizes})"
