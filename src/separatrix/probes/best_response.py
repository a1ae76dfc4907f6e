"""Best responses: how much can a player gain by its own steps while the others stand still?

With ``x_i(k)`` the point of player ``i`` after ``k`` steps of its own optimizer, the others frozen, the gain is
``L_i(x) - L_i(x_i(k), x_-i)``. Summed over the players it is a k-step duality gap [grnarova2019]: zero at a Nash
equilibrium, and a network that is merely still learning has one too, so it is read against a healthy run. Measured on
held-out data too, since a discriminator may gain by remembering the training data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any

from torch import Tensor

from separatrix.dynamics import Base, Run, bases_of
from separatrix.dynamics.bases import State
from separatrix.dynamics.convert import Given
from separatrix.dynamics.game_optimizer import GameOptimizer
from separatrix.dynamics.schemes import States
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import Game, GameField
from separatrix.fields.batches import moved
from separatrix.probes.gains import BestResponse, Gain, gain_of
from separatrix.probes.run_response import best_response_of_run

__all__ = ["BestResponse", "Gain", "best_response"]

Stream = Callable[[int], Iterator[Any]] | Iterable[Any] | None


def best_response(
    game: Game | GameField | Run,
    data: Any = None,
    held_out: Any = None,
    *,
    optimizers: Given | Mapping[str, Given] | GameOptimizer | None = None,
    bases: Base | Mapping[str, Base] | None = None,
    states: States | None = None,
    steps: int = 100,
    stream: Stream = None,
    players: Sequence[str] | None = None,
    draws: int = 4,
    limit: int | None = None,
    seed: int = 0,
) -> BestResponse:
    """The gain of each player's own steps from where the modules stand; nothing of the user's is touched.

    Args:
        game: the game, or its field, which brings the data with it; or a Run, whose roles say the rest: losses, data, held-out
            data and optimizers. A player of a run that has no optimizer in the roles makes the run's own steps, and the
            others are put back after each.
        data: one batch or a ``DataLoader``, as for ``game.on``; gains are measured on all of it.
        held_out: the same, never trained on.
        optimizers: the optimizers in use, ``{"G": opt_g, "D": opt_d}``: each player steps with a copy of its own, state
            included; or one of ``sx.optim``; or
        bases: one base, or ``{player: base}``, with
        states: their states by player; fresh ones where ``None``.
        steps: own steps a player.
        stream: the minibatches that the steps see: ``stream(seed)`` yields them without end, as a Problem's does; or a
            list or loader, read over and over. All of ``data`` at each step where ``None``.
        players: whose gains; all where ``None``.
        draws: random draws over which gains are averaged; before and after share each of them.
        limit: read at most so many batches of a loader.
        seed: of the draws; each own step has another one.

    Raises:
        InputError: no game, neither optimizers nor bases, an unknown player, empty minibatches, bad numbers.

    Cost: ``steps`` times the players' shares of a gradient, and ``2 draws`` forward passes of the data.
    """
    if steps < 1 or draws < 1:
        raise InputError(f"steps and draws must be at least 1, got steps={steps}, draws={draws}.")
    if isinstance(game, Run):
        if any(given is not None for given in (data, held_out, optimizers, bases, states, stream, limit)):
            raise InputError(
                "the roles of a Run say what its data and optimizers are; give sx.Run(..., roles=sx.Roles(...))."
            )
        return best_response_of_run(game, steps=steps, players=players, draws=draws, seed=seed)
    if not isinstance(game, (Game, GameField)):
        raise InputError(
            f"a best response needs to know the players and their losses: give a Game and its data, its field, or a Run with roles, got a "
            f"{type(game).__name__}."
        )
    if isinstance(game, GameField):
        if data is not None:
            raise InputError("a field brings its data with it; give the game and the data, or the field alone.")
        training, game = game.with_seed(seed), game.game
    else:
        training = game.on(data, limit=limit, seed=seed)
    own, begun = _bases(game, optimizers, bases, states)
    wanted = game.players if players is None else tuple(players)
    for player in wanted:
        game.space.owned(player)
    held = None if held_out is None else game.on(held_out, limit=limit, seed=seed, dtype=training.dtype)
    here = training.point
    before = [_losses(field, here, draws) for field in (training, held) if field is not None]
    gains, spent = {}, 0.0
    for player in wanted:
        x, made, status, cost = _respond(training, player, own[player], begun[player], steps, stream, seed)
        spent += cost
        after = [_losses(field, x, draws) for field in (training, held) if field is not None]
        found = [gain_of(b, a, player) for b, a in zip(before, after, strict=True)]
        gain_held, error_held = found[1] if held is not None else (None, None)
        distance = float((x - here).norm())
        gains[player] = Gain(player, made, *found[0], gain_held, error_held, distance, status)
    gap_held = None if held is None else sum(g.gain_held_out or 0.0 for g in gains.values())
    return BestResponse(gains, sum(g.gain_train for g in gains.values()), gap_held, spent)


def _bases(
    game: Game,
    optimizers: Given | Mapping[str, Given] | GameOptimizer | None,
    bases: Base | Mapping[str, Base] | None,
    states: States | None,
) -> tuple[dict[str, Base], States]:
    if (optimizers is None) == (bases is None):
        raise InputError(
            "a best response needs to know how the players step: give optimizers={'G': opt_g, ...} or bases=sx's own, "
            "one of the two."
        )
    if isinstance(optimizers, GameOptimizer):  # its scheme plays no part where a player moves alone
        bases, states = optimizers.method.bases, optimizers.states if states is None else states
        optimizers = None
    found, fresh = bases_of(optimizers if bases is None else bases, game)  # type: ignore[arg-type]
    if states is not None and (missing := set(game.players) - set(states)):
        raise InputError(f"there are no states for players {sorted(missing)}; give one for each, or none at all.")
    return found, fresh if states is None else states


def _respond(
    field: GameField, player: str, base: Base, state: State, steps: int, stream: Stream, seed: int
) -> tuple[Tensor, int, str, float]:
    """The point after the player's own steps, how many were made, how it ended, and what it cost."""
    x, space, spent = field.point, field.space, 0.0
    good = x  # the last point at which losses and gradient are known to be finite
    batches = _endless(stream, seed)
    moving = field.with_seed(seed)  # one field of our own, so that the losses are inspected once and not at each step
    if batches is not None:
        moving.weights = [1.0]
    for step in range(steps):
        moving.seed = seed + 1 + step
        if batches is not None:
            moving.batches = [moved(next(batches), device=field.device, dtype=field.dtype)]
        try:
            v = moving.directions(x, [player])[player]
        except (NonFiniteError, InputError) as error:
            if step == 0:
                raise
            return good, step - 1, f"stopped after {step - 1} steps: {error}", spent
        good = x
        spent += field.share([player])
        part, state = base.step(v, space.take(x, player), state)
        x = space.put(x, {player: part})
    try:
        field.losses(x)
    except NonFiniteError as error:
        return good, steps - 1, f"stopped after {steps - 1} steps: {error}", spent
    return x, steps, "done", spent


def _endless(stream: Stream, seed: int) -> Iterator[Any] | None:
    if stream is None:
        return None
    if callable(stream):
        return _told(stream(seed))
    # An iterator is drawn from; a list or a loader is read over again.
    return _told(stream if isinstance(stream, Iterator) else cycle(stream))


def _told(source: Iterator[Any]) -> Iterator[Any]:
    yield from source
    raise InputError("the minibatches ended; give a list, a loader, or a stream without end.")


def _losses(field: GameField, x: Tensor, draws: int) -> list[dict[str, float]]:
    """Each player's loss by draw."""
    return [
        {player: sum(terms.values()) for player, terms in field.with_seed(field.seed + d).losses(x).items()}
        for d in range(draws)
    ]
