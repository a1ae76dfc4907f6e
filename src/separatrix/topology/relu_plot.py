"""Pictures of ReLU complexes with two or three inputs: cells, values, critical vertices, level sets.

matplotlib is imported when a picture is drawn, so that the rest of the room loads without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from separatrix.errors import InputError
from separatrix.topology.pl_critical import PLCritical
from separatrix.topology.relu_complex import ReLUComplex
from separatrix.topology.relu_level import LevelSet
from separatrix.topology.relu_program import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_relu_complex", "plot_relu_level_set"]

Window = tuple[tuple[float, float], ...]
MARKERS = ("v", "X", "s")  # of index 0, 1, 2; maxima have a triangle up
COLOURS = ("#0072B2", "#E69F00", "#CC79A7", "#D55E00")  # colour-blind safe, and never without the marker


def plot_relu_complex(
    complex: ReLUComplex,
    *,
    critical: PLCritical | None = None,
    window: Window | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The edges of the complex, over the values of F for two inputs; critical vertices marked by their index.

    Args:
        complex: with two or three inputs.
        critical: of this complex, to be marked: triangle down for minima, up for maxima, cross and square between.
        window: ``((low, high), ...)`` for each input; the default holds the middle four fifths of the vertices.
        ax: axes to draw into, three-dimensional for three inputs; new ones if None.

    Raises:
        InputError: another number of inputs, or flat axes for three.
    """
    ax, window = _canvas(complex, window, ax)
    program = complex.program
    if complex.dimension == 2 and complex.status == "complete" and program.outputs == 1:
        x, y = np.meshgrid(*(np.linspace(low, high, 200) for low, high in window))
        _, value = program.evaluate(np.stack([x.ravel(), y.ravel()], axis=1))
        filled = ax.contourf(x, y, value.reshape(x.shape), levels=20, cmap="cividis", alpha=0.6)
        ax.get_figure(root=True).colorbar(filled, ax=ax, label="F")  # type: ignore[union-attr]
    _draw(ax, _segments(complex, window), colour="0.25", width=0.6)
    if critical is not None:
        for index in range(complex.dimension + 1):
            points = critical.points[critical.index == index].numpy()
            inside = np.all([(p >= low) & (p <= high) for p, (low, high) in zip(points.T, window, strict=True)], axis=0)
            label = f"index {index} ({int(inside.sum())} of {len(points)})"
            style = {
                "marker": "^" if index == complex.dimension else MARKERS[index],
                "color": COLOURS[index],
                "label": label,
                "zorder": 3,
            }
            ax.scatter(*points[inside].T, **style)  # type: ignore[arg-type]
        ax.legend(loc="upper right", fontsize="small")
    ax.set_title(f"{complex.f_vector[-1]} regions, {complex.f_vector[0]} vertices ({complex.status})")
    return ax


def plot_relu_level_set(level_set: LevelSet, *, window: Window | None = None, ax: Axes | None = None) -> Axes:
    """The edges of ``{F = level}``: the curve itself for two inputs, a wire frame of the surface for three.

    Args:
        level_set: with two or three inputs.
        window: as for ``plot_relu_complex``.
        ax: axes to draw into, for example those of ``plot_relu_complex``; new ones if None.

    Raises:
        InputError: another number of inputs, or flat axes for three.
    """
    complex = level_set.complex
    ax, window = _canvas(complex, window, ax)
    on_level = complex.subdivision.signs[-1] == 0
    _draw(ax, _segments(complex, window, on_level), colour="#D55E00", width=1.8)
    betti = ", ".join(str(b) for b in level_set.betti_numbers())
    ax.set_title(f"F = {level_set.level:g}: Betti numbers {betti}")
    return ax


def _canvas(complex: ReLUComplex, window: Window | None, ax: Axes | None) -> tuple[Axes, Window]:
    d = complex.dimension
    if d not in (2, 3):
        raise InputError(f"A ReLU complex is drawn for two or three inputs, got {d}; fix some inputs in a first layer.")
    if window is None:
        points = complex.vertices.numpy() if len(complex.vertices) else np.zeros((1, d))
        low, high = np.quantile(points, 0.1, axis=0), np.quantile(points, 0.9, axis=0)
        margin = 0.1 * (high - low).max() + 1e-3
        window = tuple((float(a - margin), float(b + margin)) for a, b in zip(low, high, strict=True))
    if len(window) != d or any(not low < high for low, high in window):
        raise InputError(f"window must be {d} pairs (low, high) with low < high, got {window}.")
    if ax is None:
        import matplotlib.pyplot as plt

        figure = plt.figure()
        ax = figure.add_subplot(projection="3d" if d == 3 else None)
    if (ax.name == "3d") != (d == 3):
        raise InputError(
            f"ax must be {'three' if d == 3 else 'two'}-dimensional for {d} inputs, got a {ax.name!r} one."
        )
    for axis, limits in zip("xyz"[:d], window, strict=True):
        ax.set(**{f"{axis}lim": limits, f"{axis}label": f"$x_{'xyz'.index(axis) + 1}$"})
    return ax, window


def _segments(complex: ReLUComplex, window: Window, vertices: npt.NDArray[np.bool_] | None = None) -> Floats:
    """``(n, 2, d)`` edges between some vertices, clipped to the window; rays and lines are cut off far outside it."""
    sub, d = complex.subdivision, complex.dimension
    a, b = sub.edges.T
    kept = ~((sub.signs[: d + 1, a] == 0) & (sub.signs[: d + 1, b] == 0)).any(axis=0)
    if vertices is not None:
        kept &= vertices[a] & vertices[b]
    u, p = sub.located.place
    low, high = np.array(window).T
    norm = np.linalg.norm(u, axis=1, keepdims=True)
    reach = np.linalg.norm(high - low) + np.abs(p).max(axis=1, keepdims=True) + np.abs(np.array(window)).max()
    # an infinite end R u + p lies in direction u from its edge's other end, and from p on a line
    far = np.divide(2 * reach * u, norm, out=np.zeros_like(u), where=norm > 0)
    base = np.where(norm[a] > 0, np.where(norm[b] > 0, p[a], p[b]), p[a])
    start = np.where(norm[a] > 0, base + far[a], p[a])[kept]
    end = np.where(norm[b] > 0, base + far[b], p[b])[kept]
    return _clipped(start, end, low, high)


def _clipped(start: Floats, end: Floats, low: Floats, high: Floats) -> Floats:
    """Segments within a box, by the bounds on the parameter of each slab."""
    step = end - start
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = (low - start) / step, (high - start) / step
    entering = np.nan_to_num(np.minimum(first, second), nan=0.0).max(axis=1, initial=0.0)
    leaving = np.nan_to_num(np.maximum(first, second), nan=1.0).min(axis=1, initial=1.0)
    outside = ((step == 0) & ((start < low) | (start > high))).any(axis=1)
    kept = (entering < leaving) & ~outside
    start, step = start[kept], step[kept]
    return np.stack([start + entering[kept, None] * step, start + leaving[kept, None] * step], axis=1)


def _draw(ax: Axes, segments: Floats, *, colour: str, width: float) -> None:
    if segments.shape[2] == 3:
        from mpl_toolkits.mplot3d.art3d import Line3DCollection  # type: ignore[import-untyped]

        ax.add_collection3d(Line3DCollection(segments, colors=colour, linewidths=width))  # type: ignore[attr-defined]
    else:
        from matplotlib.collections import LineCollection

        ax.add_collection(LineCollection(list(segments), colors=colour, linewidths=width))
