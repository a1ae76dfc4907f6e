"""A base with an energy on it: generalised energy-based models, of which a generator with its critic is one.

The base ``B`` is what a generator makes of latent noise, ``x = G(z)``; the model weights it by ``exp(-E(x))``. The energy is learned by
ascending the generalised likelihood, whose supremum over ``E``, KALE, is the Kullback-Leibler divergence where data have a density
against the base, stays finite where not, and vanishes only where they are equal [arbel2021, eq. 4 to 8]. Samples are images of
latent points drawn by MCMC: no need for a density of the base.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log

from torch import Tensor

from separatrix.dynamics.sample.densities import standard_normal
from separatrix.dynamics.sample.langevin import LogDensity
from separatrix.errors import InputError


def kale(on_data: Tensor, on_base: Tensor) -> Tensor:
    """The generalised likelihood ``-mean E(data) - log mean exp(-E(base))``, a lower bound of ``KL(data || base)``.

    The energy ascends it, the generator descends it. It does not change with a constant added to the energy.

    Args:
        on_data: ``(b,)`` energies of data.
        on_base: ``(c,)`` energies of samples of the base.

    Raises:
        InputError: energies that are no vectors, or none.

    Example:
        >>> import torch
        >>> float(kale(torch.tensor([-1.0, -1.0]), torch.tensor([-1.0, -1.0])))  # the energy tells nothing apart
        0.0
    """
    if on_data.ndim != 1 or on_base.ndim != 1 or not len(on_data) or not len(on_base):
        raise InputError(
            f"energies must be vectors (b,) and (c,), got {tuple(on_data.shape)} and {tuple(on_base.shape)}."
        )
    return -on_data.mean() - ((-on_base).logsumexp(dim=0) - log(len(on_base)))


def posterior(
    generator: Callable[[Tensor], Tensor], energy: Callable[[Tensor], Tensor], *, prior: LogDensity = standard_normal
) -> LogDensity:
    """The density of latent points of the model, ``log prior(z) - E(G(z))``, up to its constant; for :func:`~separatrix.dynamics.sample.langevin`."""

    def log_density(z: Tensor) -> Tensor:
        return prior(z) - energy(generator(z))

    return log_density
