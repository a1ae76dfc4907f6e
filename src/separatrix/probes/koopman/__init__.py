"""Koopman modes of maps and of recorded runs, each with a residual that says whether to believe it.

:func:`resdmd` works on a dictionary's values at points and their successors; :func:`record` writes down what a run does, in random
projections, and :func:`slow_modes` finds the periods and dampings in it. :func:`spectral_density` is for maps that preserve a measure: how an
observable's motion is spread over frequencies.
"""

from separatrix.probes.koopman.dictionaries import fourier_hermite, hermite, legendre
from separatrix.probes.koopman.recording import Recording, record
from separatrix.probes.koopman.resdmd import Koopman, resdmd
from separatrix.probes.koopman.sketch import Sketch
from separatrix.probes.koopman.slow_modes import SlowMode, SlowModes, slow_modes
from separatrix.probes.koopman.spectral_density import SpectralDensity, spectral_density

__all__ = [
    "Koopman",
    "Recording",
    "Sketch",
    "SlowMode",
    "SlowModes",
    "SpectralDensity",
    "fourier_hermite",
    "hermite",
    "legendre",
    "record",
    "resdmd",
    "slow_modes",
    "spectral_density",
]
