"""Figures of a diagnosis. Each takes a Diagnosis or its section, draws on ``ax`` or a new figure, returns the axes.

They are matplotlib, made for paper and for notebooks alike; the HTML page shows the same ones. Eigenvalues are in
field sign: an equilibrium attracts where their real part is negative.

Example:
    >>> ax = figures.signature(diagnosis)  # doctest: +SKIP
    >>> ax.figure.savefig("signature.pdf")  # doctest: +SKIP
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import imsave
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from separatrix.errors import InputError
from separatrix.probes.numbers import number
from separatrix.probes.record import Diagnosis
from separatrix.report import signature_plot, stability_plot
from separatrix.report.style import ACCENT, DECAY, GROW, INK, MUTED, PAPER, RULE, axes_or_new, literal

Source = Diagnosis | Mapping[str, Any]


def section_of(source: Source, name: str) -> Mapping[str, Any]:
    """The named section of a diagnosis, or the section itself as given.

    Raises:
        InputError: the diagnosis has no such section.
    """
    if not isinstance(source, Diagnosis):
        return source
    section = source.sections.get(name)
    if section is None:
        raise InputError(f"this diagnosis has no section {name!r}, so there is nothing to draw; see its notes.")
    found: Mapping[str, Any] = section
    return found


def signature(source: Source, ax: Axes | None = None, *, near: bool = False) -> Axes:
    """Measured ``h lambda`` over the running method's stability region, or multipliers in the unit disc.

    Args:
        near: magnify the edge of stability: 0 in the plane, 1 in the disc.
    """
    return signature_plot.draw(section_of(source, "signature"), axes_or_new(ax, (5.2, 3.4)), near=near)


def interplay(source: Source, ax: Axes | None = None) -> Axes:
    """Who moves whom: squares whose areas are the norms of the blocks of the preconditioned Jacobian."""
    section, ax = section_of(source, "interplay"), axes_or_new(ax, (3.6, 3.2))
    norms = np.array(section["norms"], dtype=float)
    players, largest = [literal(p) for p in section["players"]], float(np.nanmax(norms)) or 1.0
    for i, row in enumerate(norms):
        for j, value in enumerate(row):
            side = 0.92 * float(np.sqrt(value / largest)) if value == value else 0.0
            own = i == j
            ax.add_patch(
                Rectangle(
                    (j - side / 2, i - side / 2),
                    side,
                    side,
                    facecolor=DECAY if own else PAPER,
                    edgecolor=DECAY if own else GROW,
                    hatch=None if own else "////",
                    lw=1.2,
                )
            )
            text = ax.text(j, i, number(value), ha="center", va="center", color=INK, fontsize=9.5)
            text.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 1.8})
    size = len(players)
    ax.set(xlim=(-0.55, size - 0.45), ylim=(size - 0.45, -0.55), aspect="equal")
    ax.set_xticks(range(size), [f"of {p}" for p in players])
    ax.set_yticks(range(size), [f"on {p}" for p in players])
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    return ax


def slice_figure(source: Source, ax: Axes | None = None) -> Axes:
    """The field in a plane through the present point, as streamlines, with the path of training."""
    section, ax = section_of(source, "slice"), axes_or_new(ax, (4.4, 4.2))
    x, y = np.array(section["x"], dtype=float), np.array(section["y"], dtype=float)
    u, v = np.array(section["u"], dtype=float), np.array(section["v"], dtype=float)
    ax.streamplot(x, y, u, v, color=MUTED, linewidth=0.7, arrowsize=0.8, density=0.8)
    if len(section["path"]) > 1:
        path = np.array(section["path"], dtype=float)
        ax.plot(path[:, 0], path[:, 1], color=DECAY, lw=2.0, label="path of training", zorder=3)
        ax.plot(*path[0], "o", mfc=PAPER, mec=DECAY, ms=6, mew=1.5, label="where the path starts", zorder=4)
    ax.plot(*section["point"], "D", mfc=GROW, mec=PAPER, ms=8, label="measured here", zorder=5)
    ax.set(xlim=(x.min(), x.max()), ylim=(y.min(), y.max()), aspect="equal")
    ax.set_xlabel(literal(section["x_label"]))
    ax.set_ylabel(literal(section["y_label"]))
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3, fontsize=8, handletextpad=0.4, columnspacing=1.0
    )
    return ax


def sharpness(source: Source, ax: Axes | None = None) -> Axes:
    """Step times curvature as a share of the limit of the base in use; at 1 the step is too long."""
    rows = section_of(source, "sharpness")["rows"]
    ax = axes_or_new(ax, (4.4, 0.7 + 0.42 * len(rows)))
    for i, row in enumerate(rows):
        ratio = row["ratio"]
        if ratio is None:
            ax.text(0.02, i, "no limit known", va="center", color=MUTED)
            continue
        over = ratio >= 1
        ax.barh(i, ratio, height=0.46, color=PAPER if over else DECAY, edgecolor=GROW if over else DECAY)
        ax.patches[-1].set_hatch("////" if over else "")
        text = ax.text(max(ratio, 0) + 0.02, i, f"{100 * ratio:.0f}%".replace("-", "−"), va="center", color=INK)
        text.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 1.0})
    ax.axvline(1, color=GROW, lw=1.6)
    ax.text(1, -0.62, "limit", ha="center", va="bottom", color=GROW)
    shares = [row["ratio"] or 0.0 for row in rows]
    widest, least = max([1.05, *shares]), min([0.0, *shares])
    ax.axvline(0, color=MUTED, lw=0.7)
    ax.set(xlim=(1.15 * least, 1.15 * widest), ylim=(max(len(rows), 1) - 0.5, -0.6))
    ax.set_yticks(range(len(rows)), [literal(row["name"]) for row in rows])
    ax.set_xlabel("share of the limit")
    ax.tick_params(axis="y", length=0)
    return ax


def stability(source: Source, ax: Axes | None = None) -> Axes:
    """The window of steps in which each method keeps the measured modes from growing; growth where no step is safe."""
    rows = section_of(source, "stability")["rows"]
    return stability_plot.draw(rows, axes_or_new(ax, (4.6, 0.7 + 0.48 * len(rows))))


def horizon(source: Source, ax: Axes | None = None) -> Axes:
    """The error of growth rates against the number of steps, and what it is made of: curvature and drifting moments."""
    section, ax = section_of(source, "horizon"), axes_or_new(ax, (4.4, 2.6))
    ax.axhline(section["threshold"], color=GROW, lw=1.1, ls=(0, (4, 3)))
    ax.annotate("threshold", (0, section["threshold"]), (4, 3), xycoords=("axes fraction", "data"),
                textcoords="offset points", color=GROW)  # fmt: skip
    lines: list[tuple[str, str, dict[str, Any]]] = [
        ("curve", "error of growth rates", {"color": DECAY, "lw": 1.8, "marker": "o", "ms": 4}),
        ("unexplained", "unexplained share", {"color": MUTED, "lw": 1.2, "marker": "s", "ms": 4, "mfc": PAPER}),
        (
            "drift",
            "drift of the preconditioner",
            {"color": ACCENT, "lw": 1.2, "marker": "^", "ms": 4, "ls": (0, (2, 2))},
        ),
    ]
    for name, label, look in lines:
        if rows := section.get(name):
            shares = [row["drift" if name == "drift" else "error"] for row in rows]
            ax.plot([row["step"] for row in rows], shares, label=label, **look)
    ax.set_ylim(bottom=0)
    ax.set_xlim(left=0, right=None if section["curve"] else 1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if ax.get_ylim()[1] > 0.06 else 1))
    _trusted(section, ax)
    ax.set_xlabel("steps")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8, handlelength=2.4)
    return ax


def _trusted(section: Mapping[str, Any], ax: Axes) -> None:
    """A line at the horizon; its name on the side where there is room."""
    steps = section["steps"]
    least = "at least " if section.get("reached") else ""
    right = steps > 0.6 * ax.get_xlim()[1]
    ax.axvline(steps, color=INK, lw=0.9)
    ax.annotate(f"{least}{steps} step{'' if steps == 1 else 's'}", (steps, 1), (-4 if right else 4, -1),
                xycoords=("data", "axes fraction"), textcoords="offset points", va="top",
                ha="right" if right else "left", color=INK)  # fmt: skip


def best_response(source: Source, ax: Axes | None = None) -> Axes:
    """What each player gains by its own steps with the others frozen, on training and on held-out data."""
    rows = section_of(source, "best_response")["rows"]
    ax = axes_or_new(ax, (4.4, 0.9 + 0.45 * len(rows)))
    training: dict[str, Any] = {"marker": "o", "color": DECAY, "ms": 8, "ls": "none"}
    held_out: dict[str, Any] = {"marker": "D", "mfc": PAPER, "mec": GROW, "ms": 8, "mew": 1.6, "ls": "none"}
    ax.axvline(0, color=RULE, lw=0.9)
    for i, row in enumerate(rows):
        ends = [value for value in (row["gain_train"], row["gain_held_out"]) if value is not None]
        ax.plot(ends, [i] * len(ends), color=RULE, lw=3, zorder=1)
        if row["gain_train"] is not None:
            ax.plot(row["gain_train"], i, **training)
        if row["gain_held_out"] is not None:
            ax.plot(row["gain_held_out"], i, **held_out)
    ax.plot([], [], label="training", **training)
    ax.plot([], [], label="held-out", **held_out)
    ax.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    ax.set_yticks(range(len(rows)), [literal(row["player"]) for row in rows])
    ax.set_xlabel("gain in the player's own loss")
    ax.tick_params(axis="y", length=0)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8)
    return ax


def sample_grid(source: Source, columns: int | None = None) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The generated images as one ``(rows, columns, 3)`` array with a margin of one pixel between them.

    Args:
        columns: images in a row; from 8 to 16, such that the last row is full if one of them does, where ``None``.
    """
    section = section_of(source, "samples")
    height, width, channels = section["height"], section["width"], section.get("channels", 1)
    pixels = np.array(section["images"], dtype=np.uint8).reshape(-1, height, width, channels)
    full = [c for c in range(16, 7, -1) if len(pixels) % c == 0]
    columns = min(columns or next(iter(full), 10), len(pixels))
    rows = -(-len(pixels) // columns)
    grid = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, 3), 128, dtype=np.uint8)
    for i, image in enumerate(pixels):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        grid[top : top + height, left : left + width] = image[..., :3]
    return grid


def samples(source: Source, ax: Axes | None = None) -> Axes:
    """What the generator makes."""
    ax = axes_or_new(ax, (5.0, 2.2))
    ax.imshow(sample_grid(source), interpolation="nearest")
    ax.set_axis_off()
    return ax


def samples_png(source: Source) -> bytes:
    """The same as a PNG, one pixel for a pixel."""
    stream = io.BytesIO()
    imsave(stream, sample_grid(source), format="png", metadata={"Software": "separatrix"})
    return stream.getvalue()
