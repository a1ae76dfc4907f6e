"""Random quadratic games with a penalty of some players, given as a function, and a small GAN with an R1 penalty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from separatrix.fields import Game, Space


@dataclass(frozen=True)
class LazyGame:
    """``v(w) = (A + R) w`` in which ``R`` comes from the term ``pen``; the first player has none."""

    game: Game
    matrix: Tensor
    penalty: Tensor
    space: Space


def quadratic(seed: int) -> LazyGame:
    """Two or three players of one or two coordinates, symmetric own blocks."""
    g = torch.Generator().manual_seed(seed)
    sizes = {p: int(torch.randint(1, 3, (), generator=g)) for p in "abc"[: 2 + seed % 2]}
    space = Space.of_sizes(sizes)
    A, R = _matrix(space, g) - 0.3 * torch.eye(space.n), 0.5 * _matrix(space, g)
    A, R = A.double(), R.double()
    first, *others = space.players
    R[space.index(first)] = 0
    players = {p: torch.randn(size, generator=g, dtype=torch.float64) for p, size in sizes.items()}

    def term(m: dict[str, Tensor], p: str, matrix: Tensor) -> Tensor:
        rows = matrix[space.index(p)]
        pieces = torch.cat([m[q] if q != p else m[q] / 2 for q in space.players])
        return -(m[p] @ (rows @ pieces))

    def losses(m: dict[str, Tensor], batch: Any) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {p: {"game": term(m, p, A)} for p in space.players}
        for p in others:
            found[p]["pen"] = lambda p=p: term(m, p, R)
        return found

    return LazyGame(Game(players, losses, name=f"quadratic {seed}"), A, R, space)


def _matrix(space: Space, g: torch.Generator) -> Tensor:
    full = torch.randn(space.n, space.n, generator=g)
    for p in space.players:
        i = space.index(p)
        block = full[i, i]
        full[i, i] = -(block @ block.T) / 2
    return full


class Counted:
    """A function that counts its calls."""

    def __init__(self, run: Callable[..., Tensor]) -> None:
        self.run, self.calls = run, 0

    def __call__(self, *given: Any) -> Tensor:
        self.calls += 1
        return self.run(*given)


def r1(critic: nn.Module, real: Tensor) -> Tensor:
    """Half the mean squared slope at real samples."""
    at = real.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(critic(at).sum(), at, create_graph=True)
    return slope.square().sum(1).mean() / 2


def networks(seed: int = 0) -> dict[str, nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2)).double()
        critic = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1)).double()
    return {"G": generator, "D": critic}


def gan(penalty: Callable[..., Tensor] = r1, *, seed: int = 0, as_function: bool = True) -> Game:
    """A GAN on batches ``(real, latents)`` whose critic has the terms ``adv`` and ``r1``."""

    def losses(m: dict[str, Any], batch: tuple[Tensor, Tensor]) -> dict[str, dict[str, Any]]:
        real, z = batch
        fake = m["G"](z)
        adversarial = softplus(-m["D"](real)).mean() + softplus(m["D"](fake)).mean()
        term = (lambda: penalty(m["D"], real)) if as_function else penalty(m["D"], real)
        return {"G": {"adv": softplus(-m["D"](fake)).mean()}, "D": {"adv": adversarial, "r1": term}}

    return Game(networks(seed), losses, name="gan")


def batches(count: int, seed: int = 1) -> list[tuple[Tensor, Tensor]]:
    g = torch.Generator().manual_seed(seed)
    draw = torch.randn(count, 2, 8, 2, generator=g, dtype=torch.float64)
    return [(1 + 0.5 * real, latents) for real, latents in draw]


def point(game: Game) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in game.parameters])
