"""Koopman modes of maps and of recorded runs, each with a residual that says whether to believe it.

:func:`resdmd` works on a dictionary's values at points and their successors; :func:`record` writes down what a run does, in random
projections, and :func:`slow_modes` finds the periods and dampings in it.
"""

from separatrix.probes.koopman.recording import Recording, record
from separatrix.probes.koopman.resdmd import Koopman, resdmd
from separatrix.probes.koopman.sketch import Sketch
from separatrix.probes.koopman.slow_modes import SlowMode, SlowModes, slow_modes

__all__ = ["Koopman", "Recording", "Sketch", "SlowMode", "SlowModes", "record", "resdmd", "slow_modes"]
