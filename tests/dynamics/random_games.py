"""Two hundred random quadratic games with two to four players, normal and non-normal, and the methods tried on them.

Games with the same number of players stand side by side in one field, so that one step of a method steps them all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.dynamics import Alternating, Extragradient, Method, Simultaneous, schemes
from separatrix.dynamics.near import MatrixNear
from separatrix.dynamics.schemes import SCHEME
from separatrix.fields import FunctionField

COUNT = 200
# Every scheme whose step is a linear map, by name.
LINEAR = {
    "simultaneous": Simultaneous(),
    "alternating": Alternating(),
    "alternating, repeats": Alternating(repeats={"b": 2}),
    "extragradient": Extragradient(),
    "extragradient, long": Extragradient("freeze", ahead=2.0),
    "extragradient, commit": Extragradient("commit"),
    "EG+": schemes.ExtragradientPlus(0.5),
    "past": schemes.PastExtragradient(),
    "past, long, commit": schemes.PastExtragradient(2.0, "commit"),
    "past, freeze": schemes.PastExtragradient(1.5, "freeze"),
    "optimistic": schemes.Optimistic(),
    "optimistic, half": schemes.Optimistic(0.5),
    "reflected": schemes.Reflected(0.8),
    "runge-kutta 2": schemes.RungeKutta(2),
    "runge-kutta 4": schemes.RungeKutta(4, "freeze"),
    "competitive": schemes.Competitive(1e-13, 2000),
    "proximal": schemes.Proximal(1e-13, max_products=2000),
    "stabilised": schemes.Stabilised(),
    "lookahead": schemes.Lookahead(every=3, weight=0.4),
    "lookahead, nested": schemes.Lookahead(schemes.Lookahead(schemes.Optimistic(), 2, 0.5), 4, 0.5),
}


def matrix_of(seed: int) -> tuple[Tensor, dict[str, int]]:
    """``A`` of ``v(w) = A w`` with symmetric own blocks, as losses give, and the players' sizes.

    Those of even seeds are normal; in every fourth pair the equilibrium repels.
    """
    g = torch.Generator().manual_seed(seed)
    sizes = {p: int(torch.randint(1, 3, (), generator=g)) for p in "abcd"[: 2 + seed // 2 % 3]}
    n = sum(sizes.values())
    own = torch.block_diag(*(torch.ones(size, size) for size in sizes.values())).bool()
    cross = torch.randn(n, n, generator=g, dtype=torch.float64)
    damping = 0.1 + torch.rand((), generator=g, dtype=torch.float64)
    damping = damping if seed % 8 < 6 else -damping
    if seed % 2 == 0:
        skew = torch.where(own, torch.zeros(()), (cross - cross.T) / 2)
        return skew - damping * torch.eye(n, dtype=torch.float64), sizes
    curvature = torch.randn(n, n, generator=g, dtype=torch.float64)
    curvature = -(curvature @ curvature.T) / n - damping * torch.eye(n, dtype=torch.float64)
    return torch.where(own, curvature, (cross - 0.5 * cross.T)), sizes


@dataclass(frozen=True)
class SideBySide:
    """Games of equally many players in one field.

    Attributes:
        field: whose players own the coordinates of all games.
        matrices: of the games, zero-padded to the largest, ``(k, m, m)``.
        places: where each game's coordinates stand in the field, ``(k, m)``; -1 in the padding.
        owner: which player owns them, by number, ``(k, m)``.
    """

    field: FunctionField
    matrices: Tensor
    places: Tensor
    owner: Tensor

    def spread(self, values: Tensor) -> Tensor:
        """A number for each game as a number for each coordinate of the field."""
        spread = torch.zeros(self.field.space.n, dtype=values.dtype)
        for game, places in enumerate(self.places):
            spread[places[places >= 0]] = values[game]
        return spread

    def blocks(self, apply, parts: list[Tensor]) -> Tensor:
        """The games' own maps from one that acts on all of them at once, ``(k, M, M)``.

        Args:
            apply: ``(N,)`` to ``(N,)``.
            parts: for each part of ``z`` the places of the games' coordinates in it, ``(k, m_part)``, -1 in the padding.
        """
        places = torch.cat(parts, dim=1)
        k, m = places.shape
        size = int(places.max()) + 1
        found = torch.zeros(k, m, m, dtype=torch.float64)
        for column in range(m):
            probe = torch.zeros(size, dtype=torch.float64)
            probe[places[:, column][places[:, column] >= 0]] = 1.0
            found[:, :, column] = apply(probe)[places.clamp(min=0)]
        live = (places >= 0).double()
        return found * live[:, :, None] * live[:, None, :]

    def parts(self, layout: list[tuple[str, str, int]]) -> list[Tensor]:
        """The places of the games' coordinates in the parts of ``z``; see :class:`LinearPeriod` for the layout."""
        found, offset = [], 0
        players = self.field.players
        for owner, name, size in layout:
            player = owner or name.partition(":")[2]
            if player:
                index = self.field.space.index(player)
                mine = (self.owner == players.index(player)) & (self.places >= 0)
                found.append(torch.where(mine, self.places - index.start + offset, -1))
            else:
                found.append(torch.where(self.places >= 0, self.places + offset, -1))
            offset += size
        return found


def side_by_side(players: int) -> SideBySide:
    """All of the two hundred games with so many players."""
    chosen = [matrix_of(seed) for seed in range(COUNT) if 2 + seed // 2 % 3 == players]
    names = "abcd"[:players]
    m = max(sum(sizes.values()) for _, sizes in chosen)
    totals = {p: sum(sizes[p] for _, sizes in chosen) for p in names}
    start = dict(zip(names, torch.tensor([0, *totals.values()]).cumsum(0).tolist(), strict=False))
    n = sum(totals.values())
    places = torch.full((len(chosen), m), -1)
    owner = torch.full((len(chosen), m), -1)
    matrices = torch.zeros(len(chosen), m, m, dtype=torch.float64)
    whole = torch.zeros(n, n, dtype=torch.float64)
    for game, (matrix, sizes) in enumerate(chosen):
        here = []
        for number, (p, size) in enumerate(sizes.items()):
            owner[game, len(here) : len(here) + size] = number
            here += range(start[p], start[p] + size)
            start[p] += size
        places[game, : len(here)] = torch.tensor(here)
        matrices[game, : len(here), : len(here)] = matrix
        whole[torch.tensor(here)[:, None], torch.tensor(here)] = matrix
    field = FunctionField(lambda w: whole @ w, torch.zeros(n, dtype=torch.float64), players=totals)
    return SideBySide(field, matrices, places, owner)


class _Dense:
    """A linear field whose equations are solved with its matrix: at large steps many games at once are too much for GMRES."""

    def __init__(self, field: FunctionField) -> None:
        self.field, self.matrix = field, field(torch.eye(field.space.n, dtype=torch.float64)).T

    def __call__(self, at, players, draw):
        return self.field.directions(at, players)

    def near(self, x, draw):
        return MatrixNear(self.matrix, x, self.field.space)


def simulated(method: Method, field: FunctionField, *, dense: bool = False):
    """One period of the real method on ``z``, past its first steps, and the layout of ``z``."""
    x, states = method.init(field)
    states = {p: {k: 5 if k == "step" else v for k, v in s.items()} for p, s in states.items()}
    if SCHEME in states:
        states[SCHEME] = method.scheme.memory(field.space, x, settled=True)
    keys = [(p, k) for p, s in states.items() for k, v in s.items() if isinstance(v, Tensor)]
    layout = [("", "", len(x))] + [(p, k, len(states[p][k])) for p, k in keys]

    def apply(z: Tensor) -> Tensor:
        x, *pieces = z.split([size for *_, size in layout])
        following = {p: dict(s) for p, s in states.items()}
        for (p, k), piece in zip(keys, pieces, strict=True):
            following[p][k] = piece
        for _ in range(method.scheme.cycle):
            if dense:
                x, following = method.scheme.step(_Dense(field), method.bases, field.space, x, following)
            else:
                x, following = method.step(field, x, following)
        return torch.cat([x, *(following[p][k] for p, k in keys)])

    return apply, layout
