"""What the user's losses returned, checked and brought to one form: ``{player: {term: scalar}}``.

A term may be given as a function without arguments, which is called only where the term is wanted; and a term may have a
factor, 0 to leave it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from separatrix.errors import InputError, NonFiniteError, SeparatrixError, did_you_mean, raised_by
from separatrix.fields.unsupported import translated

Factors = Mapping[str, float]


def read_losses(
    found: Any, players: Sequence[str], wanted: Sequence[str], dtype: torch.dtype, left_out: Iterable[str] = ()
) -> dict[str, dict[str, Tensor]]:
    """The wanted players' losses by term.

    Args:
        found: what the losses returned: a scalar, ``{player: scalar}`` or ``{player: {term: scalar}}``, where a term may be a
            function without arguments that returns the scalar.
        players: all players, in order.
        wanted: whose losses are needed.
        dtype: to bring them to.
        left_out: terms that are not wanted, of any player; they are neither called nor returned.

    Raises:
        InputError: names the player and the term that is missing, unknown or not a scalar tensor.
        NonFiniteError: names the player and the term that is a NaN or an infinity.
    """
    if isinstance(found, Tensor):
        found = _of_one_scalar(found, players)
    if not isinstance(found, Mapping):
        raise InputError(
            f"losses must return {{player: scalar}} or {{player: {{term: scalar}}}}, got {type(found).__name__}."
        )
    if unknown := [name for name in found if name not in players]:
        raise InputError(f"the losses name unknown players {unknown}; the players are {list(players)}.")
    return {player: _terms(player, found, dtype, frozenset(left_out)) for player in wanted}


def term_names(found: Any, players: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The names of the terms in what the losses returned, by player, those that nobody wants included."""
    if isinstance(found, Tensor):
        return dict.fromkeys(players, ("loss",))
    given = found if isinstance(found, Mapping) else {}
    return {p: tuple(given[p]) if isinstance(given[p], Mapping) else ("loss",) for p in players if p in given}


def check_factors(factors: Factors) -> dict[str, float]:
    """The factors as plain numbers.

    Raises:
        InputError: one that is no finite number.
    """
    for term, factor in factors.items():
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not isfinite(factor):
            raise InputError(f"the factor of the term {term!r} must be a finite number, got {factor!r}.")
    return {term: float(factor) for term, factor in factors.items()}


def check_terms(factors: Factors, named: Mapping[str, Sequence[str]], players: Sequence[str], name: str) -> None:
    """Refuse factors of terms that no player has; there is nothing to say while some players' terms were not seen.

    Args:
        factors: by term.
        named: the terms by player that were seen.
        players: all of them.
        name: of the field.

    Raises:
        InputError: names the term and those that there are.
    """
    known = dict.fromkeys(term for terms in named.values() for term in terms)
    unknown = [term for term in factors if term not in known]
    if unknown and set(players) <= set(named):
        listed = "; ".join(f"{p}: {', '.join(map(repr, terms))}" for p, terms in named.items())
        raise InputError(
            f"the losses of {name!r} have no term {unknown[0]!r}{did_you_mean(unknown[0], known)} Their terms are {listed}."
        )


def total(terms: Mapping[str, Tensor], factors: Factors, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The sum of a player's terms, each times its factor; 0 where there are none."""
    weighted = (value * factors[t] if factors.get(t, 1.0) != 1.0 else value for t, value in terms.items())
    return sum(weighted, torch.zeros((), dtype=dtype, device=device))


def _of_one_scalar(value: Tensor, players: Sequence[str]) -> dict[str, Tensor]:
    if len(players) == 1:
        return {players[0]: value}
    if len(players) == 2:
        return {players[0]: value, players[1]: -value}
    raise InputError(
        f"the losses returned one scalar for {len(players)} players; that is only defined for one player, or two "
        "(zero-sum: the first minimises, the second maximises). Return {player: scalar}."
    )


def _terms(player: str, found: Mapping[str, Any], dtype: torch.dtype, left_out: frozenset[str]) -> dict[str, Tensor]:
    if player not in found:
        raise InputError(f"the losses return nothing for player {player!r}; they return {list(found)}.")
    value = found[player]
    terms = dict(value) if isinstance(value, Mapping) else {"loss": value}
    if not terms:
        raise InputError(f"the loss of player {player!r} has no term.")
    read = {}
    for term, given in terms.items():
        label = f"the loss of player {player!r}" + (f", term {term!r}," if isinstance(value, Mapping) else "")
        if term not in left_out:
            called = isinstance(value, Mapping) and callable(given) and not isinstance(given, Tensor)
            read[term] = _scalar(_called(term, given, label) if called else given, label, dtype)
    return read


def _called(term: str, given: Callable[[], Any], label: str) -> Any:
    try:
        with translated(term):
            return given()
    except (SeparatrixError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise InputError(f"{label} raised {raised_by(error)}.") from error


def _scalar(tensor: Any, label: str, dtype: torch.dtype) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise InputError(f"{label} is a {type(tensor).__name__}; it must be a scalar tensor (no .item()).")
    if tensor.numel() != 1:
        raise InputError(f"{label} has shape {tuple(tensor.shape)}; it must be a scalar: take .mean() or .sum().")
    if not tensor.is_floating_point():
        raise InputError(f"{label} has dtype {tensor.dtype}; it must be real floating point.")
    if not bool(torch.isfinite(tensor.detach()).all()):
        raise NonFiniteError(
            f"{label} is {tensor.item()}; check the parameters and the batch (an empty one, a log or a square root "
            "at zero, a step that was too large), or measure from an earlier checkpoint."
        )
    return tensor.reshape(()).to(dtype)
