"""A band of points pulled tight among discs, compiled."""

import math

import numpy as np
import numpy.typing as npt

from separatrix.topology.compiled import compiled

__all__ = ["tighten"]

Floats = npt.NDArray[np.float64]


@compiled
def tighten(band: Floats, centres: Floats, radii: Floats, sweeps: int) -> Floats:
    """Move each inner point to the middle of its neighbours, then out of the discs, over and over.

    Successive over-relaxation with the factor that is best for a free band of this many points.
    """
    band = band.copy()
    factor = 2 / (1 + math.sin(math.pi / (len(band) - 1)))
    for _ in range(sweeps):
        largest = 0.0
        for i in range(1, len(band) - 1):
            x = band[i, 0] + factor * ((band[i - 1, 0] + band[i + 1, 0]) / 2 - band[i, 0])
            y = band[i, 1] + factor * ((band[i - 1, 1] + band[i + 1, 1]) / 2 - band[i, 1])
            for disc in range(len(radii)):
                dx, dy = x - centres[disc, 0], y - centres[disc, 1]
                distance = math.sqrt(dx * dx + dy * dy)
                if distance < radii[disc]:
                    scale = radii[disc] / max(distance, 1e-300)
                    x, y = centres[disc, 0] + dx * scale, centres[disc, 1] + dy * scale
            largest = max(largest, abs(x - band[i, 0]) + abs(y - band[i, 1]))
            band[i, 0], band[i, 1] = x, y
        if largest < 1e-13:
            break
    return band
