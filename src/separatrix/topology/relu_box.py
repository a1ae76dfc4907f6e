"""A simplex ``R T`` with R -> infinity, whose facets make every cell of a complex bounded.

    T = {x : g_j . x <= h_j, j = 0 .. d}

A point on the way to infinity is ``x = R u + p``: a pair ``(u, p)``, compared by ``u`` first. Every vertex is the
solution of a linear system whose right side is affine in R, so the pair is exact and not the start of a series. The
facets are in generic position, so that hyperplanes such as ``x_1 = x_2`` do not run into a corner; their
coordinates are short dyadic numbers, so that exact arithmetic stays cheap.
"""

from functools import lru_cache

import numpy as np

from separatrix.topology.relu_program import Floats

__all__ = ["simplex_at_infinity"]


@lru_cache(maxsize=32)
def simplex_at_infinity(dimension: int) -> Floats:
    """``(d + 1, d + 1)`` rows ``(-g_j, h_j)``: the form ``h_j R - g_j . x`` is positive inside the simplex.

    It is ``{x_i >= -1, sum x <= d}`` with every coefficient moved by up to ``0.2 / d``, which keeps it a simplex
    around the origin.
    """
    d = dimension
    noise = np.random.default_rng(20240).integers(-(2**18), 2**18, size=(d + 1, d + 1)) * 2.0**-18 * 0.25
    noise = np.round(noise / (d + 1) * 2.0**20) * 2.0**-20
    forms = np.zeros((d + 1, d + 1))
    forms[:d, :d] = np.eye(d)
    forms[d, :d] = -1.0
    forms[:, d] = 1.0
    forms[d, d] = d
    forms += noise
    forms.setflags(write=False)
    return forms
