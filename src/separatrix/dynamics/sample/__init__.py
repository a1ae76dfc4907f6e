"""Sampling: chains, annealing, and importance sampling along the lines of a flow.

A density is a function ``(b, n)`` to ``(b,)``, the logarithm, which increases where samples want to go. Weights are logarithms, too;
:func:`normalising_constant` sums them up with a standard error.
"""

from separatrix.dynamics.sample.annealed import annealed
from separatrix.dynamics.sample.densities import gaussian_mixture, standard_normal
from separatrix.dynamics.sample.energy_models import kale, posterior
from separatrix.dynamics.sample.langevin import Chains, LogDensity, langevin
from separatrix.dynamics.sample.neis import TanhFlow, neis, with_divergence
from separatrix.dynamics.sample.weights import NormalisingConstant, normalising_constant

__all__ = [
    "Chains",
    "LogDensity",
    "NormalisingConstant",
    "TanhFlow",
    "annealed",
    "gaussian_mixture",
    "kale",
    "langevin",
    "neis",
    "normalising_constant",
    "posterior",
    "standard_normal",
    "with_divergence",
]
