"""One door to the decompositions: a field where it stands, a polynomial game or a finite game as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import overload

from torch import Tensor

from separatrix.dynamics import Method
from separatrix.dynamics.schemes import States
from separatrix.errors import InputError
from separatrix.fields import Field, Game, NormalForm, PolynomialGame
from separatrix.probes.decompose.differential_games import DifferentialDecomposition, decompose_polynomial_game
from separatrix.probes.decompose.finite_games import GameDecomposition, decompose_game
from separatrix.probes.decompose.whole import FieldDecomposition, decompose_field
from separatrix.probes.setting import settle


@overload
def decompose(  # type: ignore[overload-overlap]
    subject: Field,
    *,
    method: Method | None = None,
    states: States | None = None,
    probes: int = 30,
    planes: int = 3,
    loops: int = 1,
    radius: float | None = None,
    path: Tensor | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> FieldDecomposition: ...


@overload
def decompose(subject: PolynomialGame) -> DifferentialDecomposition: ...  # type: ignore[overload-overlap]


@overload
def decompose(subject: object) -> GameDecomposition: ...


def decompose(
    subject: object,
    *,
    method: Method | None = None,
    states: States | None = None,
    probes: int = 30,
    planes: int = 3,
    loops: int = 1,
    radius: float | None = None,
    path: Tensor | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> FieldDecomposition | DifferentialDecomposition | GameDecomposition:
    """What part of a field or a game descends, what part turns, and what part the players do not care about.

    Args:
        subject: a field, such as ``game.on(batch)``; a :class:`PolynomialGame`; or a finite game: payoff arrays, a
            :class:`NormalForm`, an object shaped like a nashpy, pygambit or quantecon game.
        method, states: give the metric of the method that runs; plain units where ``None``. These and all that follow are for
            fields, see :func:`decompose_field`.
        probes: sign vectors for the norms.
        planes: of rotation.
        loops: around which the circulation is measured.
        radius: of the loops.
        path: points that training went through, ``(t, n)``.
        seed: of all random vectors.
        progress: called with the name of each part as it begins.

    Raises:
        InputError: nothing of these, or what the parts raise.

    Cost: that of :func:`decompose_field` and a Jacobian with its self-tests; no gradient for games.

    Example:
        >>> import separatrix as sx
        >>> print(sx.decompose([[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]]).potentialness)
        0.0
    """
    if isinstance(subject, Field):
        setting = settle(subject, method, states=states)
        return decompose_field(
            setting,
            probes=probes,
            planes=planes,
            loops=loops,
            radius=radius,
            path=path,
            seed=seed,
            progress=progress,
        )
    if isinstance(subject, PolynomialGame):
        return decompose_polynomial_game(subject)
    if isinstance(subject, Game):
        raise InputError("a Game has no field before it sees data; decompose game.on(batch).")
    return decompose_game(subject if isinstance(subject, NormalForm) else NormalForm.of(subject))
