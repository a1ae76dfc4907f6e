"""Finite games: a potential part, a harmonic part, and a part that no player can do anything about.

Two profiles are joined where one player alone changes its action; along such an edge the flow of a game is what that player
gains, ``X(p -> q) = u_i(q) - u_i(p)``. Then ``u = u^P + u^H + u^N`` [candogan2011, section 4]:

- *non-strategic*, ``u_i^N = E_i u_i``: the mean over a player's own actions, which its choice does not change;
- *potential*, ``u_i^P = (1 - E_i) phi``, where ``phi`` is the least-squares potential of the flow;
- *harmonic*, ``u_i^H``, the rest: what any profile's deviations win and lose adds up to zero.

The graph is a product of complete graphs, so its Laplacian ``sum_i m_i (1 - E_i)`` is diagonal in the interactions of the
players (the functional ANOVA parts ``f_S``, which depend on exactly the actions of the players in ``S``), and
``phi_S = sum_(i in S) m_i u_(i,S) / sum_(i in S) m_i``: no system is solved. Orthogonality is in the inner product
``<u, w> = sum_i m_i sum_p u_i(p) w_i(p)``, twice that of flows; payoffs are maximised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from separatrix.fields import NormalForm
from separatrix.probes.numbers import number


@dataclass(frozen=True)
class GameDecomposition:
    """The three parts of a finite game, each a game, with their norms.

    Attributes:
        game: what was decomposed.
        potential_function: ``phi``, ``(m_1, ..., m_N)``, mean zero; larger is better for all.
        potential, harmonic, nonstrategic: the parts; they add up to the payoffs.
        norms: of the parts, by name; ``sqrt(sum_i m_i |u_i|^2)``.
        potentialness: ``|u^P| / (|u^P| + |u^H|)``: 1 for a potential game, 0 for a harmonic one, NaN where no choice
            matters.
        harmonic_gain: the largest gain or loss that a deviation has in the harmonic part alone: every equilibrium of the
            closest potential game ``u^P + u^N`` is an ``epsilon``-equilibrium of the game with this ``epsilon``.
        residual: the larger of two rounding errors: of adding the parts up, and of their inner products, relative to
            the payoffs.
        status: one sentence.
    """

    game: NormalForm
    potential_function: Tensor
    potential: NormalForm
    harmonic: NormalForm
    nonstrategic: NormalForm
    norms: dict[str, float]
    potentialness: float
    harmonic_gain: float
    residual: float
    status: str

    @property
    def best_profile(self) -> tuple[int, ...]:
        """Where the potential is largest: a pure equilibrium of the closest potential game."""
        flat = int(self.potential_function.argmax())
        return tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), self.potential_function.shape))

    def __str__(self) -> str:
        return self.status

    def section(self) -> dict[str, object]:
        """As plain data, for records."""
        return {
            "players": list(self.game.players),
            "actions": list(self.game.actions),
            "norms": dict(self.norms),
            "potentialness": None if self.potentialness != self.potentialness else self.potentialness,
            "harmonic_gain": self.harmonic_gain,
            "residual": self.residual,
            "potential_function": self.potential_function.tolist(),
            "parts": {
                n: [p.tolist() for p in getattr(self, n).payoffs] for n in ("potential", "harmonic", "nonstrategic")
            },
            "sentence": self.status,
        }


def decompose_game(game: Any, *, players: Sequence[str] | None = None) -> GameDecomposition:
    """The potential, harmonic and non-strategic parts of a finite game of any number of players.

    Args:
        game: a :class:`NormalForm`, or whatever :meth:`NormalForm.of` reads: payoff arrays, or an object shaped like a
            nashpy, pygambit or quantecon game.
        players: names.

    Raises:
        InputError: payoff arrays that do not fit together, or are not finite.

    Cost: ``N 2^N`` passes over the payoffs; no gradient.

    References: [candogan2011, sections 4 and 5].

    Example:
        >>> battle = [[[3, 0], [0, 2]], [[2, 0], [0, 3]]]
        >>> decompose_game(battle).potentialness, decompose_game([[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]]).potentialness
        (1.0, 0.0)
    """
    game = NormalForm.of(game, players=players)
    payoffs, actions = game.payoffs, game.actions
    phi = _potential(payoffs, actions)
    constant = [u.mean(i, keepdim=True).expand_as(u).clone() for i, u in enumerate(payoffs)]
    common = [phi - phi.mean(i, keepdim=True) for i in range(len(payoffs))]
    rest = [u - n - p for u, n, p in zip(payoffs, constant, common, strict=True)]
    size = _norm(payoffs, actions)
    # What rounding leaves of a part that is zero is not a part.
    rest = _without_rounding(rest, actions, size)
    common = _without_rounding(common, actions, size)
    if not any(bool(p.any()) for p in common):
        phi = torch.zeros_like(phi)
    parts = {
        name: NormalForm(tuple(arrays), game.players)
        for name, arrays in (("potential", common), ("harmonic", rest), ("nonstrategic", constant))
    }
    norms = {name: _norm(part.payoffs, actions) for name, part in parts.items()}
    strategic = norms["potential"] + norms["harmonic"]
    share = norms["potential"] / strategic if strategic > 0 else float("nan")
    gain = max(float((u.amax(i) - u.amin(i)).max()) for i, u in enumerate(rest))
    residual = _residual(game, list(parts.values()), size)
    return GameDecomposition(
        game,
        phi,
        parts["potential"],
        parts["harmonic"],
        parts["nonstrategic"],
        norms,
        share,
        gain,
        residual,
        _sentence(share, gain),
    )


def interactions(array: Tensor) -> dict[tuple[int, ...], Tensor]:
    """The parts ``f_S`` of an array by the axes ``S`` they depend on; they are orthogonal and add up to it."""
    count = array.ndim
    found = {}
    for chosen in product((False, True), repeat=count):
        part = array
        for axis, kept in enumerate(chosen):
            mean = part.mean(axis, keepdim=True)
            part = part - mean if kept else mean.expand_as(part)
        found[tuple(axis for axis in range(count) if chosen[axis])] = part
    return found


def _potential(payoffs: Sequence[Tensor], actions: Sequence[int]) -> Tensor:
    phi = torch.zeros_like(payoffs[0])
    parts = [interactions(u) for u in payoffs]
    for players in parts[0]:
        weight = sum(actions[i] for i in players)
        for i in players:
            phi = phi + actions[i] / weight * parts[i][players]
    return phi


def _norm(payoffs: Sequence[Tensor], actions: Sequence[int]) -> float:
    return math.sqrt(_inner(payoffs, payoffs, actions))


def _inner(a: Sequence[Tensor], b: Sequence[Tensor], actions: Sequence[int]) -> float:
    return sum(m * float((p * q).sum()) for m, p, q in zip(actions, a, b, strict=True))


def _without_rounding(arrays: list[Tensor], actions: Sequence[int], size: float) -> list[Tensor]:
    small = 100 * torch.finfo(torch.float64).eps * size
    return [torch.zeros_like(a) for a in arrays] if _norm(arrays, actions) <= small else arrays


def _residual(game: NormalForm, parts: Sequence[NormalForm], size: float) -> float:
    if size == 0:
        return 0.0
    missing = [u - sum(p.payoffs[i] for p in parts) for i, u in enumerate(game.payoffs)]
    across = [abs(_inner(a.payoffs, b.payoffs, game.actions)) for k, a in enumerate(parts) for b in parts[k + 1 :]]
    return max(_norm(missing, game.actions) / size, *(value / size**2 for value in across))


def _sentence(share: float, gain: float) -> str:
    if share != share:
        return "No player's choice changes its own payoff: the game is non-strategic."
    if share == 1:
        return "A potential game: every player's gain by a deviation is that of one common function."
    if share == 0:
        return (
            "A harmonic game: at every profile the gains of all deviations add up to zero, and playing every action alike "
            "is an equilibrium."
        )
    return (
        f"Potentialness {number(share)}: {share:.0%} potential and {1 - share:.0%} harmonic by norm. Equilibria of the "
        f"closest potential game are within {number(gain)} of equilibria here."
    )
