"""Named problems with known answers: used by tests, docs and the command line.

Each entry is a function that returns a :class:`~separatrix.dynamics.Problem` with its facts, in field sign. Entries are
imported when asked for, so that the list costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

from separatrix.dynamics import Problem
from separatrix.errors import InputError

_PLACES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "digits-gan": ("digits", "digits_gan", {}),
    "digits-gan-r1": ("digits", "digits_gan", {"r1": 1.0}),
    "digits-gan-smooth": ("digits", "digits_gan", {"smooth": True}),
    "digits-classifier": ("healthy", "digits_classifier", {}),
    "eight-gaussians": ("gaussians", "eight_gaussians", {}),
    "eight-gaussians-smooth": ("gaussians", "eight_gaussians", {"smooth": True}),
    "patch-gan": ("patch_gan", "patch_gan", {}),
    "patch-gan-r1": ("patch_gan", "patch_gan", {"r1": 20.0}),
    "patch-gan-rp-r1-r2": ("patch_gan", "patch_gan", {"loss": "relativistic", "r1": 20.0, "r2": 20.0}),
    "patch-gan-smooth": ("patch_gan", "patch_gan", {"smooth": True}),
    "tokenizer": ("tokenizer", "tokenizer", {}),
    "tokenizer-plain": ("tokenizer", "tokenizer", {"quantised": False}),
    "tokenizer-plain-r1": ("tokenizer", "tokenizer", {"quantised": False, "r1": 20.0}),
    "tokenizer-plain-smooth": ("tokenizer", "tokenizer", {"quantised": False, "smooth": True}),
    "sixteen-gaussians": ("gaussians", "sixteen_gaussians", {}),
    "dirac-gan": ("toys", "dirac_gan", {}),
    "bilinear": ("toys", "bilinear", {}),
    "quadratic": ("quadratic", "quadratic_game", {}),
    "attracting-not-nash": ("planar", "attracting_not_nash", {}),
    "follow-the-ridge-1": ("planar", "follow_the_ridge", {"function": 1}),
    "follow-the-ridge-2": ("planar", "follow_the_ridge", {"function": 2}),
    "follow-the-ridge-3": ("planar", "follow_the_ridge", {"function": 3}),
    "forsaken": ("planar", "forsaken", {}),
    "global-forsaken": ("planar", "global_forsaken", {}),
    "polar-game": ("planar", "polar_game", {}),
    "almost-bilinear": ("planar", "almost_bilinear", {}),
    "weak-minty": ("planar", "weak_minty", {}),
    "four-players": ("many_players", "four_players", {}),
    "tandem": ("many_players", "tandem", {}),
    "matching-pennies": ("many_players", "matching_pennies", {}),
    "team-pennies": ("many_players", "team_pennies", {}),
    "kelly-auction": ("many_players", "kelly_auction", {}),
    "torus-gan": ("gan_models", "torus_gan", {}),
    "variance-gan": ("gan_models", "variance_gan", {}),
    "covariance-gan": ("gan_models", "covariance_gan", {}),
    "isolated-points": ("gan_models", "isolated_points", {}),
    "noisy-bilinear": ("gan_models", "noisy_bilinear", {}),
    "finite-game": ("finite", "finite_game", {}),
}


class _Zoo(Mapping[str, Callable[..., Problem]]):
    """The functions by name, each imported on access."""

    def __getitem__(self, name: str) -> Callable[..., Problem]:
        module, function, options = _PLACES[name]
        found: Callable[..., Problem] = getattr(import_module(f"separatrix.zoo.{module}"), function)
        return partial(found, **options) if options else found

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


ZOO: Mapping[str, Callable[..., Problem]] = _Zoo()


def load(name: str, **options: Any) -> Problem:
    """The problem of this name: ``load("digits-gan", seed=1)``.

    Args:
        name: a key of ``ZOO``.
        options: given to the entry's function; override those that the name stands for.

    Raises:
        InputError: an unknown name or option; lists the names, or the function's signature.
        ImportError: the entry needs an extra; ends with the command that installs it.
    """
    if name not in ZOO:
        raise InputError(f"the zoo has no {name!r}; it has {', '.join(ZOO)}.")
    entry = ZOO[name]
    try:
        signature(entry).bind(**options)
    except TypeError as error:
        raise InputError(f"{name!r}: {error}; its options are {signature(entry)}.") from error
    return entry(**options)


__all__ = ["ZOO", "load"]
