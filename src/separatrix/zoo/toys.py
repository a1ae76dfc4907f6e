"""Games small enough to know everything about: the Dirac-GAN and the bilinear game. Field sign throughout."""

from __future__ import annotations

from cmath import sqrt as root
from collections.abc import Callable, Mapping
from math import sqrt

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from separatrix.dynamics import SGD, Alternating, Fact, Method, Problem, Simultaneous
from separatrix.errors import InputError
from separatrix.fields import Game
from separatrix.zoo.limits import alternating_limit, extragradient_limit, simultaneous_limit

# By loss: f of the discriminator's output on the fake, and -g with the generator minimising g.
_LOSSES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "saturating": (logsigmoid, logsigmoid),
    "non-saturating": (logsigmoid, lambda t: -logsigmoid(-t)),
    "wasserstein": (lambda t: t, lambda t: t),
}


def dirac_gan(
    *, loss: str = "saturating", r1: float = 0.0, noise: float = 0.0, theta: float = 1.0, psi: float = 1.0
) -> Problem:
    """The Dirac-GAN [mescheder2018]: data at 0, a generator that is the point ``theta``, a discriminator ``D(x) = psi x``.

    ``L = E f(D(theta + noise)) + E f(-D(0 + noise))`` with ``f(t) = -log(1 + exp(-t))``; G (``theta``) minimises, D (``psi``)
    maximises. One equilibrium, (0, 0); there ``v' = [[0, -f'], [f', 2 f'' noise^2 - r1]]``. Without regularisation it is a
    pure rotation, ``+-i f'(0)``, and no simultaneous step is safe. Points are ``(theta, psi)``, float64.

    Args:
        loss: ``saturating``; ``non-saturating``, where G minimises ``-f(-D)`` instead: the spectrum at 0 is the same, but
            simultaneous steps ``h`` settle on a cycle of radius ``sqrt(2 h)``, which the spectrum cannot see;
            ``wasserstein``, where ``f(t) = t`` and ``f'(0) = 1``.
        r1: weight of the penalty ``r1 / 2 psi^2``, which is R1 and R2 alike here.
        noise: standard deviation of the instance noise on real and fake, averaged by 40-point Gauss-Hermite quadrature.
        theta, psi: where the game stands.

    Raises:
        InputError: an unknown loss, a negative ``r1`` or ``noise``, or noise with another loss than ``saturating``.
    """
    if loss not in _LOSSES:
        raise InputError(f"loss must be one of {', '.join(_LOSSES)}, got {loss!r}.")
    if not (r1 >= 0 and noise >= 0):
        raise InputError(f"r1 and noise must not be negative, got r1={r1}, noise={noise}.")
    if noise and loss != "saturating":
        raise InputError(f"noise goes with loss='saturating' only, whose averages are known; got loss={loss!r}.")
    f, g = _LOSSES[loss]
    places, weights = (torch.as_tensor(a) for a in np.polynomial.hermite_e.hermegauss(40 if noise else 1))
    weights = weights / weights.sum()

    def losses(models: Mapping[str, Tensor], batch: None) -> dict[str, dict[str, Tensor]]:
        theta, psi = models["G"], models["D"]
        spread = noise * places.to(theta)
        on_fake, on_real = psi * (theta + spread), psi * spread
        average = weights.to(theta)
        adversarial = -(average * (f(on_fake) + f(-on_real))).sum()
        terms = {"G": {"adv": (average * g(on_fake)).sum()}, "D": {"adv": adversarial}}
        if r1 > 0:
            terms["D"]["r1"] = r1 / 2 * psi.square().sum()
        return terms

    start = {"G": torch.tensor([theta], dtype=torch.float64), "D": torch.tensor([psi], dtype=torch.float64)}
    return Problem(
        Game(start, losses, name="dirac-gan"),
        name="dirac-gan",
        method=Method(SGD(0.2), Alternating()),
        facts=_dirac_facts(slope=1.0 if loss == "wasserstein" else 0.5, damping=r1 + noise**2 / 2, loss=loss),
    )


def _dirac_facts(*, slope: float, damping: float, loss: str) -> tuple[Fact, ...]:
    """Facts of ``v' = [[0, -f], [f, -c]]``, ``f`` the slope and ``c`` the damping (``f''(0) = -1/4``)."""
    middle, half = -damping / 2, root(damping**2 / 4 - slope**2)
    eigenvalues = [middle + half, middle - half]
    alternating = (-damping + sqrt(damping**2 + 4 * slope**2)) / slope**2
    facts = (
        Fact("equilibrium", [0.0, 0.0], "[mescheder2018, lemma 2.2]"),
        Fact("eigenvalues", eigenvalues, "of the field at the equilibrium [mescheder2018, sections 3 and 4]"),
        Fact("safe_step[simultaneous]", simultaneous_limit(eigenvalues), "2 |Re| / |.|^2 [mescheder2017, lemma 4]"),
        Fact("safe_step[alternating]", alternating, "m^2 - (2 - h c - h^2 f^2) m + 1 - h c = 0 leaves the disc at -1"),
        Fact("safe_step[extragradient]", extragradient_limit(eigenvalues), "|1 + z + z^2| = 1 [korpelevich1976]"),
    )
    if loss == "non-saturating" and not damping:
        cycle = "r of the cycle of simultaneous steps h is sqrt(2 h) (1 + O(h)): d(r^2)/dt = -theta^2 psi^2 against h r^2 / 4"
        return (*facts, Fact("cycle_radius_over_root_step", sqrt(2), cycle))
    return facts


def bilinear(*, sigma: float | Tensor = 1.0) -> Problem:
    """The bilinear game ``f = x^T M y``: ``x`` minimises, ``y`` maximises.

    ``v = (-M y, M^T x)``, eigenvalues ``+-i sigma_k`` with the singular values of ``M`` (and zeros where it is not square): a
    pure rotation. Simultaneous steps always diverge; alternating ones turn on the unit circle up to ``h = 2 / sigma``;
    extragradient contracts up to ``h = 1 / sigma``. Stands at all ones, float64.

    Args:
        sigma: ``M`` as a number or a matrix ``(p, q)``.

    Raises:
        InputError: neither a number nor a matrix, or zero.
    """
    matrix = torch.as_tensor(sigma, dtype=torch.float64).detach().clone()
    if matrix.ndim == 0:
        matrix = matrix.reshape(1, 1)
    if matrix.ndim != 2 or not bool(matrix.any()):
        raise InputError(f"sigma must be a non-zero number or a matrix (p, q), got shape {tuple(matrix.shape)}.")

    def losses(models: Mapping[str, Tensor], batch: None) -> Tensor:
        return models["x"] @ matrix.to(models["x"]) @ models["y"]

    values = torch.linalg.svdvals(matrix).tolist()
    p, q = matrix.shape
    eigenvalues = [sign * 1j * s for s in values for sign in (1, -1)] + [0j] * abs(p - q)
    source = "singular values of M"
    return Problem(
        Game(
            {"x": torch.ones(p, dtype=torch.float64), "y": torch.ones(q, dtype=torch.float64)}, losses, name="bilinear"
        ),
        name="bilinear",
        method=Method(SGD(0.1), Simultaneous()),
        facts=(
            Fact("equilibrium", [0.0] * (p + q), "M y = 0, M^T x = 0; the only one where M is invertible"),
            Fact("eigenvalues", eigenvalues, source),
            Fact("safe_step[simultaneous]", 0.0, "|1 + i h sigma| > 1"),
            Fact(
                "safe_step[alternating]",
                alternating_limit(eigenvalues),
                f"2 / sigma, {source}; bounded, no convergence",
            ),
            Fact(
                "safe_step[extragradient]", extragradient_limit(eigenvalues), f"1 / sigma, {source} [korpelevich1976]"
            ),
        ),
    )
