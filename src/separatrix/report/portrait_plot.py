"""Drawing a portrait: basins, streams, nullclines, rest points by shape, cycles and separatrices by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from separatrix.probes.record import write_text
from separatrix.report.portrait import Portrait
from separatrix.report.style import ACCENT, DECAY, GROW, INK, MUTED, PAPER, RC, UNSURE, literal

# By shape and fill as well as by colour: filled attracts, open repels, half of each at a saddle.
MARKS: dict[str, dict[str, Any]] = {
    "stable node": {"marker": "o", "mfc": DECAY},
    "stable focus": {"marker": "o", "mfc": DECAY},
    "stable node or focus": {"marker": "o", "mfc": DECAY},
    "unstable node": {"marker": "o", "mfc": PAPER},
    "unstable focus": {"marker": "o", "mfc": PAPER},
    "unstable node or focus": {"marker": "o", "mfc": PAPER},
    "saddle": {"marker": "D", "mfc": GROW},
    "centre?": {"marker": "s", "mfc": UNSURE},
    "degenerate": {"marker": "s", "mfc": PAPER},
}
TINTS = ("#cfe3f2", "#f6dfc0", "#cdeadf", "#eed7e4", "#f5f0c5", "#d3d9ea")


def draw_portrait(found: Portrait, ax: Axes | None = None) -> Figure:
    """The figure of a portrait; of a slice with losses one panel for each player and one for the share out of the plane.

    Args:
        found: of :func:`portrait`.
        ax: axes for the field itself; new ones if ``None``.
    """
    with matplotlib.rc_context(RC):
        if ax is not None:
            _field(found, ax)
            figure = ax.figure
            assert isinstance(figure, Figure)
            return figure
        panels = 1 + (not found.planar) + len(found.slice.losses)
        columns = min(panels, 2)
        figure = Figure(figsize=(5.2 * columns, 4.8 * -(-panels // columns)), layout="constrained")
        axes = np.atleast_1d(figure.subplots(-(-panels // columns), columns)).ravel()
        _field(found, axes[0])
        number = 1
        if not found.planar:
            _shade(found, axes[1], found.slice.outside.numpy(), "share of |v|² out of the plane", top=1.0)
            number = 2
        for player, values in found.slice.losses.items():
            _shade(found, axes[number], values.numpy(), f"loss of {player}")
            number += 1
        for left in axes[number:]:
            left.set_visible(False)
        return figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure whole or not at all; SVG without a date, so that the same portrait is the same file."""
    import io

    stream = io.BytesIO()
    with matplotlib.rc_context({**RC, "svg.hashsalt": "separatrix", "savefig.facecolor": PAPER}):
        metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(stream, format=path.suffix[1:], dpi=150, metadata=metadata, facecolor=PAPER)
    return write_text(path, stream.getvalue())


def _field(found: Portrait, ax: Axes) -> None:
    piece = found.slice
    x, y, along = piece.x.numpy(), piece.y.numpy(), piece.along.numpy()
    handles: list[Any] = []
    if found.basins is not None:
        labels = found.basins.labels.T.numpy()
        shown = np.ma.masked_where(labels < 0, labels % len(TINTS))
        ax.imshow(
            shown,
            cmap=ListedColormap(TINTS),
            vmin=-0.5,
            vmax=len(TINTS) - 0.5,
            origin="lower",
            extent=(*found.basins.box[0], *found.basins.box[1]),
            zorder=0,
            interpolation="nearest",
        )
    speed = np.hypot(along[..., 0], along[..., 1])
    if np.nanmax(speed, initial=0.0) > 0:
        width = 0.5 + 1.0 * np.sqrt(speed / np.nanmax(speed))
        u, v = (np.nan_to_num(along[..., i]) for i in (0, 1))
        ax.streamplot(x, y, u, v, color=MUTED, linewidth=np.nan_to_num(width), density=1.1, arrowsize=0.8, zorder=1)
    lines: tuple[Any, ...] = ("--", ":")
    for i, (style, name) in enumerate(zip(lines, piece.plane.labels, strict=True)):
        values = along[..., i]
        if found.planar and np.nanmin(values) < 0 < np.nanmax(values):
            ax.contour(x, y, values, levels=[0.0], colors=ACCENT, linestyles=style, linewidths=1.0, zorder=2)
            handles.append(Line2D([], [], color=ACCENT, linestyle=style, linewidth=1, label=literal(f"d{name}/dt = 0")))
    for curve in found.separatrices:
        ax.plot(*curve.T.numpy(), color=GROW, linewidth=1.8, zorder=3)
    if found.separatrices:
        handles.append(Line2D([], [], color=GROW, linewidth=1.8, label="separatrix"))
    for cycle in found.cycles:
        orbit = np.concatenate([cycle.orbit.numpy(), cycle.orbit[:1].numpy()])
        line: Any = "-" if cycle.kind == "stable cycle" else (0, (4, 2))
        ax.plot(*orbit.T, color=INK, linewidth=2.2, linestyle=line, zorder=4)
        label = f"{cycle.kind}, period {cycle.period:.3g}"
        handles.append(Line2D([], [], color=INK, linewidth=2.2, linestyle=line, label=label))
    for rest in found.rest:
        mark = {**MARKS[rest.kind], "mec": INK, "ms": 7.5, "mew": 1.2, "linestyle": "none"}
        ax.plot(*rest.point.tolist(), zorder=6, **mark)
        if all(handle.get_label() != rest.kind for handle in handles):
            handles.append(Line2D([], [], label=rest.kind, **mark))
    if found.path is not None:
        ax.plot(*found.path.T.numpy(), color=DECAY, linewidth=1.2, zorder=5)
        ax.plot(*found.path[-1].tolist(), marker="*", color=DECAY, ms=11, mec=PAPER, zorder=7)
        handles.append(Line2D([], [], color=DECAY, marker="*", linewidth=1.2, label="path of training"))
    elif not found.planar:
        ax.plot(0.0, 0.0, marker="*", color=DECAY, ms=11, mec=PAPER, zorder=7)
        handles.append(Line2D([], [], color=DECAY, marker="*", linestyle="none", label="where it stands"))
    ax.set(xlabel=literal(piece.plane.labels[0]), ylabel=literal(piece.plane.labels[1]))
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), aspect="equal")
    ax.set_title(literal(found.name), color=INK)
    if handles:
        ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize="small")


def _shade(found: Portrait, ax: Axes, values: Any, title: str, *, top: float | None = None) -> None:
    """A quantity on the slice in greys, with the field's streams over it."""
    piece = found.slice
    x, y, along = piece.x.numpy(), piece.y.numpy(), np.nan_to_num(piece.along.numpy())
    low, high = (0.0, top) if top is not None else (np.nanmin(values), np.nanmax(values))
    image = ax.pcolormesh(x, y, values, cmap="Greys", vmin=low, vmax=high, shading="nearest", rasterized=True)
    ax.figure.colorbar(image, ax=ax, shrink=0.85)
    if np.hypot(along[..., 0], along[..., 1]).max() > 0:
        ax.streamplot(x, y, along[..., 0], along[..., 1], color=ACCENT, linewidth=0.7, density=0.8, arrowsize=0.7)
    if found.path is not None:
        ax.plot(*found.path.T.numpy(), color=DECAY, linewidth=1.2)
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), aspect="equal")
    ax.set(xlabel=literal(piece.plane.labels[0]), ylabel=literal(piece.plane.labels[1]))
    ax.set_title(literal(title), color=INK)
