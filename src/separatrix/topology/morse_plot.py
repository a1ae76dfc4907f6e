"""Pictures of a discrete gradient on a grid: critical cells over the values, and the persistence diagram.

matplotlib is imported when a picture is drawn, so that the rest of the room loads without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from separatrix.errors import InputError
from separatrix.topology.cubical import CubicalComplex
from separatrix.topology.gradient import DiscreteGradient
from separatrix.topology.persistence import Persistence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_critical_cells", "plot_persistence"]

MARKERS = ("v", "X", "^")  # of dimension 0, 1, 2: minima, saddles, maxima
COLOURS = ("#0072B2", "#E69F00", "#D55E00", "#CC79A7")  # colour-blind safe, and never without the marker


def plot_critical_cells(grid: CubicalComplex, gradient: DiscreteGradient, *, ax: Axes | None = None) -> Axes:
    """The critical cells of a gradient on a grid of one or two dimensions, over the values.

    Args:
        grid: that the gradient was made on. The first axis runs down, as in images.
        gradient: with its filtration.
        ax: axes to draw into; new ones if None.

    Raises:
        InputError: another number of dimensions, or no filtration.
    """
    d = len(grid.shape)
    if d > 2:
        raise InputError(f"Critical cells are drawn on grids of one or two dimensions, got {d}; see plot_persistence.")
    values = gradient.require_filtration().values.detach().reshape(grid.shape).numpy()
    ax = _axes(ax)
    if d == 1:
        ax.plot(np.arange(len(values)), values, color="0.4", linewidth=0.8)
        ax.set(xlabel="index", ylabel="value")
    else:
        image = ax.imshow(values, cmap="cividis", interpolation="nearest")
        ax.get_figure(root=True).colorbar(image, ax=ax, label="value")  # type: ignore[union-attr]
    for dimension in range(d + 1):
        cells = gradient.critical(dimension)
        places = grid.centres(cells).numpy()
        heights = gradient.critical_values(dimension).detach().numpy()
        across, up = (places[:, 0], heights) if d == 1 else (places[:, 1], places[:, 0])
        marker = "^" if dimension == d else MARKERS[dimension]
        style = {"marker": marker, "color": COLOURS[dimension], "edgecolors": "white", "linewidths": 0.5}
        ax.scatter(across, up, label=f"dimension {dimension} ({len(cells)})", zorder=3, **style)  # type: ignore[arg-type]
    ax.legend(loc="upper right", fontsize="small")
    ax.set_title("critical cells")
    return ax


def plot_persistence(bars: Persistence, *, min_persistence: float = 0.0, ax: Axes | None = None) -> Axes:
    """Deaths over births; classes that never die lie on the dotted line at the top.

    Args:
        bars: the classes.
        min_persistence: shorter ones are left out, and so are those of length zero.
        ax: axes to draw into; new ones if None.
    """
    ax = _axes(ax)
    births, deaths = bars.births.detach(), bars.deaths.detach()
    ends = torch.cat([births, deaths[deaths.isfinite()]])
    low, high = (float(ends.min()), float(ends.max())) if len(ends) else (0.0, 1.0)
    margin = 0.06 * (high - low or 1.0)
    top = high + margin
    ax.plot([low, high], [low, high], color="0.5", linewidth=0.8)
    ax.axhline(top, color="0.5", linewidth=0.8, linestyle=":")
    shown = (deaths > births) & (deaths - births >= min_persistence)
    for dimension in range(bars.dimension + 1):
        kept = shown & (bars.dims == dimension)
        if bool(kept.any()):
            marker, colour = "vXso"[min(dimension, 3)], COLOURS[min(dimension, 3)]
            label = f"dimension {dimension} ({int(kept.sum())})"
            ax.scatter(births[kept], deaths[kept].clamp(max=top), marker=marker, color=colour, label=label, zorder=3)
    ax.legend(loc="lower right", fontsize="small")
    limits = (low - margin, top + margin)
    ax.set(xlim=limits, ylim=limits, xlabel="birth", ylabel="death", aspect="equal", title="persistence")
    return ax


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.figure().add_subplot()
