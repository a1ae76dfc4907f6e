"""Finite games in normal form, and the dynamics that learning in mixed strategies follows.

A player ``i`` with ``m_i`` actions *maximises* its payoff ``u_i(a_1, ..., a_N)``. For mixed strategies ``x_j`` its payoff
vector is ``u_i(x)_a = E u_i(a, a_-i)`` with the others' actions drawn from theirs. Field sign: every field here points
where the players go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.field import FunctionField


@dataclass(frozen=True, eq=False)
class NormalForm:
    """A finite game: one payoff array for each player over all action profiles.

    Attributes:
        payoffs: for each player ``(m_1, ..., m_N)`` float64; axis ``j`` is player ``j``'s action. More is better.
        players: their names.

    Raises:
        InputError: arrays of the wrong shape, not one for each axis, or not finite.

    Example:
        >>> pennies = NormalForm.of([[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]])
        >>> pennies
        NormalForm(2 x 2: p1, p2)
    """

    payoffs: tuple[Tensor, ...]
    players: tuple[str, ...]

    def __post_init__(self) -> None:
        count = len(self.payoffs)
        if count == 0:
            raise InputError("a game needs at least one player, got no payoff array.")
        shape = tuple(self.payoffs[0].shape)
        for name, array in zip(self.players, self.payoffs, strict=False):
            if tuple(array.shape) != shape or array.ndim != count or 0 in array.shape:
                seen = f"that of {name!r} has shape {tuple(array.shape)}"
                if tuple(array.shape) != shape:
                    seen += f", the first has {shape}"
                elif array.ndim != count:
                    seen += (
                        f", {array.ndim} axes; {array.ndim} players need {array.ndim} arrays, or one with players first"
                    )
                raise InputError(
                    f"every one of the {count} payoff arrays has one axis for each of the {count} players and the same "
                    f"shape; {seen}."
                )
            if array.dtype != torch.float64 or not bool(torch.isfinite(array).all()):
                raise InputError(
                    f"payoffs are finite float64, those of {name!r} are not; build the game with NormalForm.of."
                )
        if len(set(self.players)) != count or len(self.players) != count:
            raise InputError(f"{count} players need {count} distinct names, got {list(self.players)}.")

    @classmethod
    def of(cls, game: Any, *, players: Sequence[str] | None = None) -> NormalForm:
        """The game of payoff arrays, or of an object that holds some.

        Args:
            game: a sequence of N arrays ``(m_1, ..., m_N)``; one array ``(N, m_1, ..., m_N)``; or an object shaped like a
                nashpy game (``payoff_matrices``), a pygambit game (``to_arrays()``) or a quantecon game
                (``payoff_profile_array``, the players on its last axis).
            players: names; ``p1, p2, ...`` where ``None``.

        Raises:
            InputError: nothing of these, or arrays that do not fit together.
        """
        if isinstance(game, NormalForm):
            return game if players is None else cls(game.payoffs, tuple(players))
        try:
            arrays = [torch.as_tensor(a.astype(np.float64)) for a in map(_array, _payoffs_of(game))]
        except (TypeError, ValueError) as error:
            raise InputError(
                f"the payoffs of this {type(game).__name__} are not arrays of numbers: {error}."
            ) from error
        names = players if players is not None else [f"p{i + 1}" for i in range(len(arrays))]
        return cls(tuple(arrays), tuple(names))

    @classmethod
    def zero_sum(cls, payoff: Any, *, players: Sequence[str] | None = None) -> NormalForm:
        """The two-player game in which the first gets ``payoff`` ``(m_1, m_2)`` and the second minus that."""
        matrix = _array(payoff).astype(np.float64)
        return cls.of([matrix, -matrix], players=players)

    @property
    def actions(self) -> tuple[int, ...]:
        """``(m_1, ..., m_N)``: how many actions each player has."""
        return tuple(self.payoffs[0].shape)

    @property
    def sizes(self) -> dict[str, int]:
        """How many actions each player has, by name."""
        return dict(zip(self.players, self.actions, strict=True))

    def uniform(self) -> Tensor:
        """The mixed profile in which everybody plays every action alike, ``(sum m_i,)``."""
        return torch.cat([torch.full((m,), 1 / m, dtype=torch.float64) for m in self.actions])

    def payoff_vectors(self, strategies: Sequence[Tensor]) -> list[Tensor]:
        """``u_i(x)``, ``(m_i,)`` for each player; linear in every other player's strategy, free of its own."""
        found = []
        for i, array in enumerate(self.payoffs):
            left = array.to(strategies[0])
            for j in reversed(range(len(strategies))):
                if j != i:
                    left = torch.tensordot(left, strategies[j], dims=([j], [0]))
            found.append(left)
        return found

    def expected_payoffs(self, strategies: Sequence[Tensor]) -> list[Tensor]:
        """Each player's expected payoff, scalars."""
        vectors = self.payoff_vectors(strategies)
        return [x @ u for x, u in zip(strategies, vectors, strict=True)]

    def regret(self, strategies: Sequence[Tensor]) -> list[Tensor]:
        """What each player would gain by its best action alone, scalars; all zero exactly at a Nash equilibrium."""
        vectors = self.payoff_vectors(strategies)
        return [u.max() - x @ u for x, u in zip(strategies, vectors, strict=True)]

    def __repr__(self) -> str:
        return f"NormalForm({' x '.join(map(str, self.actions))}: {', '.join(self.players)})"


def replicator(game: NormalForm, point: Tensor | None = None, *, name: str = "replicator") -> FunctionField:
    """Replicator dynamics: ``dx_ia/dt = x_ia (u_ia(x) - x_i . u_i(x))`` [taylor1978].

    The gradient of the players' own payoffs in the Shahshahani metric, ``diag(1 / x_i)`` on the simplex. The point is the
    mixed profile ``(sum m_i,)``; the simplices are invariant, off them the same formula is used.

    Args:
        game: the game.
        point: where the field stands; the uniform profile where ``None``.
    """
    return _field(game, _growth, game.uniform() if point is None else point, name)


def hedge(game: NormalForm, point: Tensor | None = None, *, name: str = "hedge") -> FunctionField:
    """Hedge (exponential weights) in the scores: ``dy_i/dt = u_i(softmax y)``.

    A simultaneous Euler step of size ``eta`` is one round of Hedge with rate ``eta`` against the expected payoffs
    [freund1997]; in continuous time ``softmax y`` follows the replicator dynamics. The point is the scores ``(sum m_i,)``;
    adding a constant to a player's scores changes nothing.
    """

    def drift(game: NormalForm, scores: list[Tensor]) -> list[Tensor]:
        return game.payoff_vectors([y.softmax(0) for y in scores])

    return _field(game, drift, torch.zeros_like(game.uniform()) if point is None else point, name)


def softmax_gradient(game: NormalForm, point: Tensor | None = None, *, name: str = "softmax gradient") -> FunctionField:
    """Policy gradient in logits: ``dtheta_i/dt = grad_i (x_i . u_i(x))`` at ``x_i = softmax theta_i``.

    ``dtheta_ia/dt = x_ia (u_ia(x) - x_i . u_i(x))``: the replicator's right-hand side, but for the logits.
    """

    def drift(game: NormalForm, logits: list[Tensor]) -> list[Tensor]:
        return _growth(game, [theta.softmax(0) for theta in logits])

    return _field(game, drift, torch.zeros_like(game.uniform()) if point is None else point, name)


def projected_gradient(
    game: NormalForm, point: Tensor | None = None, *, name: str = "projected gradient"
) -> FunctionField:
    """The Euclidean gradient of the players' own payoffs along the simplex: ``dx_i/dt = u_i(x) - mean u_i(x)``.

    A potential game's field is the gradient of its multilinear potential here, in this metric. In the interior only: at
    the boundary nothing holds a strategy back.
    """

    def drift(game: NormalForm, strategies: list[Tensor]) -> list[Tensor]:
        return [u - u.mean() for u in game.payoff_vectors(strategies)]

    return _field(game, drift, game.uniform() if point is None else point, name)


def _growth(game: NormalForm, strategies: list[Tensor]) -> list[Tensor]:
    vectors = game.payoff_vectors(strategies)
    return [x * (u - x @ u) for x, u in zip(strategies, vectors, strict=True)]


def _field(
    game: NormalForm, drift: Callable[[NormalForm, list[Tensor]], list[Tensor]], point: Tensor, name: str
) -> FunctionField:
    sizes = game.sizes
    if point.shape != (sum(game.actions),):
        raise InputError(
            f"a point of this game has shape ({sum(game.actions)},), {sizes} one after the other, got {tuple(point.shape)}."
        )

    def function(x: Tensor) -> Tensor:
        return torch.cat(drift(game, list(torch.split(x, list(game.actions)))))

    return FunctionField(function, point.to(torch.float64), players=sizes, name=name)


def _payoffs_of(game: Any) -> Iterable[Any]:
    if hasattr(game, "payoff_matrices"):
        return list(game.payoff_matrices)
    if callable(getattr(game, "to_arrays", None)):
        return list(game.to_arrays(dtype=float))
    if hasattr(game, "payoff_profile_array"):
        return list(np.moveaxis(np.asarray(game.payoff_profile_array), -1, 0))
    return list(game)


def _array(values: Any) -> Any:
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if np.iscomplexobj(array):
        raise ValueError("they are complex")
    return array
