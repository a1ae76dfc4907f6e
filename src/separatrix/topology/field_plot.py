"""The portrait of a planar field: its basins, what they lead to, and the cells that part them.

matplotlib is imported when a picture is drawn, so that the rest of the room loads without it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from separatrix.topology.field_basins import CAUGHT, OUTSIDE, FieldBasins

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_field_basins"]

# Colour-blind safe, and never without the hatch; six colours and seven hatches make 42 pairs.
COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#0072B2")
HATCHES = ("//", "\\\\", "..", "--", "xx", "++", "oo")
NAMES = {OUTSIDE: ("white", "", "leaves the box"), CAUGHT: ("0.6", "", "caught at a zero that repels")}


def plot_field_basins(basins: FieldBasins, ax: Axes | None = None) -> Axes:
    """Basins by colour and hatch, separatrix cells in black, equilibria as dots, cycles as curves.

    Args:
        basins: of :func:`field_basins`.
        ax: axes to draw into; new ones if None.
    """
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    ax = plt.figure(layout="constrained").add_subplot() if ax is None else ax
    labels, extent = basins.labels.T.numpy(), (*basins.box[0], *basins.box[1])
    present = torch.unique(basins.labels).tolist()
    styles = [
        NAMES.get(k, (COLOURS[k % len(COLOURS)], HATCHES[k % len(HATCHES)], _described(basins, k))) for k in present
    ]
    shown = torch.searchsorted(torch.tensor(present), basins.labels.contiguous()).T.numpy()
    cmap = ListedColormap([colour for colour, _, _ in styles])
    ax.imshow(shown, cmap=cmap, vmin=-0.5, vmax=len(present) - 0.5, origin="lower", extent=extent, alpha=0.6)
    x, y = basins.centres[:, 0, 0].numpy(), basins.centres[0, :, 1].numpy()
    for k, (_, hatch, _) in zip(present, styles, strict=True):
        if hatch:
            ax.contourf(x, y, (labels == k).astype(float), levels=[0.5, 1.5], colors="none", hatches=[hatch])
    edge = basins.separatrix.T.double().numpy()
    ax.imshow(edge, cmap=ListedColormap([(0, 0, 0, 0), (0, 0, 0, 1)]), vmin=0, vmax=1, origin="lower", extent=extent)
    for attractor in basins.attractors:
        if attractor.orbit is not None:
            orbit = torch.cat([attractor.orbit, attractor.orbit[:1]]).cpu().T.numpy()
            ax.plot(*orbit, color="white", linewidth=4.5)
            ax.plot(*orbit, color="black", linewidth=2)
        elif attractor.point is not None:
            ax.plot(*attractor.point.cpu().tolist(), "o", color="black", markeredgecolor="white", markersize=8)
    parts = [
        Patch(facecolor=colour, hatch=hatch, edgecolor="black", linewidth=0.5, alpha=0.6, label=text)
        for colour, hatch, text in styles
    ]
    ax.legend(handles=parts, loc="upper center", bbox_to_anchor=(0.5, -0.08), fontsize="small")
    count, share = len(basins.attractors), basins.undecided_share
    ax.set_title(f"{count} basin{'s' * (count != 1)}, {share:.2%} of the cells undecided")
    ax.set(xlim=basins.box[0], ylim=basins.box[1], aspect="equal")
    return ax


def _described(basins: FieldBasins, number: int) -> str:
    attractor, share = basins.attractors[number], f"{basins.share(number):.1%}"
    if attractor.kind == "equilibrium" and attractor.point is not None:
        digits = 3 - math.floor(math.log10(max(high - low for low, high in basins.box)))
        x, y = (round(coordinate, digits) + 0.0 for coordinate in attractor.point.tolist())  # no minus zero
        return f"equilibrium ({x:g}, {y:g}): {share}"
    if attractor.kind == "cycle":
        return f"cycle, period {attractor.period:.4g}, radius {attractor.radius:.3g}: {share}"
    return f"undecided: {share}"
