"""A game that is no polynomial, fitted by one where a Gaussian puts its weight, and then decomposed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields import Field
from separatrix.fields.polynomial_games import Exponents, PolynomialGame, all_exponents
from separatrix.probes.decompose.differential_games import DifferentialDecomposition, decompose_polynomial_game
from separatrix.probes.decompose.hermite import from_hermite, shifted
from separatrix.probes.decompose.samples import OVER, Share, share_explained
from separatrix.probes.numbers import number


@dataclass(frozen=True)
class GameFit:
    """How well polynomials stand for a game.

    Attributes:
        degree: of the losses.
        explained: by player, the held-out share of the mean squared own gradient.
        samples: drawn, held out included.
        gradients: spent.
    """

    degree: int
    explained: dict[str, Share]
    samples: int
    gradients: float


def decompose_differential_game(
    field: Field,
    degree: int = 4,
    *,
    centre: Sequence[float] | float | None = None,
    scale: float = 1.0,
    samples: int | None = None,
    held_out: float = 0.25,
    seed: int = 0,
) -> tuple[DifferentialDecomposition, GameFit]:
    """Both decompositions of any differentiable game, through a polynomial fit judged on samples held out.

    Args:
        field: of the game, field sign; its players own their coordinates.
        degree: of the polynomial losses.
        centre: of the Gaussian; where the field stands if ``None``.
        scale: its standard deviation.
        samples: how many points; four times the unknowns if ``None``.
        held_out: share of them kept for judging.
        seed: of the draw.

    Returns:
        The decomposition of the fitted game, and how well it fits. For polynomial games of the degree both are exact.

    Raises:
        InputError: shared coordinates, or too few samples for the degree (says how many are needed).

    Cost: one gradient a sample, and a dense least-squares problem for each player.
    """
    space = field.space
    if space.shared:
        raise InputError("players share parameters, so that no loss belongs to a coordinate; measure them apart.")
    if degree < 1 or not scale > 0 or not 0 < held_out < 1:
        raise InputError(
            f"degree is at least 1, scale positive, held_out in (0, 1); got {degree}, {scale}, {held_out}."
        )
    sizes = {p: space.size(p) for p in space.players}
    own = {p: torch.arange(space.n)[space.index(p)].tolist() for p in sizes}
    terms = all_exponents(space.n, degree)
    unknowns = {p: sum(1 for e in terms if any(e[k] for k in own[p])) for p in sizes}
    needed = max(math.ceil(OVER * unknowns[p] / sizes[p] / (1 - held_out)) for p in sizes) + 2
    count = 2 * needed if samples is None else samples
    if count < needed:
        raise InputError(
            f"{count} samples are too few for losses of degree {degree} in {space.n} coordinates ({max(unknowns.values())} "
            f"unknowns): {needed} are needed; take more, or a lower degree."
        )
    mean = (
        field.point.double().cpu() if centre is None else torch.as_tensor(centre, dtype=torch.float64).expand(space.n)
    )
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(count, space.n, generator=generator, dtype=torch.float64)
    spent = field.gradients
    costs = -field((mean + scale * z).to(field.device, field.dtype)).double().cpu()
    judged = max(math.ceil(held_out * count), 2)
    losses, explained = {}, {}
    for player, coordinates in own.items():
        wanted = [e for e in terms if any(e[k] for k in coordinates)]
        slopes = torch.stack([_hermite_slopes(wanted, z, k) / scale for k in coordinates], dim=1)  # (m, own, K)
        target = costs[:, coordinates]
        fit, rest = slopes[judged:].flatten(0, 1), slopes[:judged]
        weight = fit.norm(dim=0).clamp(min=1e-300)
        found = torch.linalg.lstsq(fit / weight, target[judged:].reshape(-1, 1), driver="gelsd").solution[:, 0] / weight
        explained[player] = share_explained(target[:judged], target[:judged] - rest @ found)
        coefficients: dict[Exponents, float] = dict(zip(wanted, found.tolist(), strict=True))
        losses[player] = from_hermite(coefficients, mean.tolist(), [scale] * space.n)
    game = PolynomialGame(sizes, losses)
    result = decompose_polynomial_game(game, centre=mean.tolist(), scale=scale)
    worst = min(explained.values(), key=lambda share: share.value)
    note = f" Polynomials of degree {degree} explain {worst.value:.1%} (standard error {number(100 * worst.stderr, 1)} points) of the game or more."
    return replace(result, status=result.status + note), GameFit(degree, explained, count, field.gradients - spent)


def _hermite_slopes(terms: list[Exponents], z: Tensor, k: int) -> Tensor:
    """``d He_a / dz_k`` at points ``(m, n)``, ``(m, K)``."""
    degree = max(max(e) for e in terms)
    table = [torch.ones_like(z), z]
    for j in range(1, degree):
        table.append(z * table[-1] - j * table[-2])
    values = torch.stack(table)  # (degree + 1, m, n)
    found = torch.empty(len(z), len(terms), dtype=z.dtype)
    for column, e in enumerate(terms):
        if not e[k]:
            found[:, column] = 0
            continue
        lower = shifted(e, k, -1)
        product = torch.full((len(z),), float(e[k]), dtype=z.dtype)
        for j, power in enumerate(lower):
            if power:
                product = product * values[power, :, j]
        found[:, column] = product
    return found
