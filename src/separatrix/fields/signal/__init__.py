"""Signals: curves, their elastic distance, and the changes of time that align them.

A curve is a function of ``t`` in [0, 1]; its square-root velocity ``q`` turns changes of time into isometries. :class:`Warp` composes
elementary diffeomorphisms and is learned by descent (:func:`align`); :func:`dynamic_programming` searches a grid.
"""

from separatrix.fields.signal.elastic import GridAlignment, dynamic_programming, elastic_energy, square_root_velocity
from separatrix.fields.signal.warps import Warp, align

__all__ = ["GridAlignment", "Warp", "align", "dynamic_programming", "elastic_energy", "square_root_velocity"]
