"""Pictures of preference losses: portraits of their fields in either chart, and the course of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from separatrix.errors import InputError
from separatrix.fields import PREFERENCE_LOSSES, FunctionField, PreferenceLoss, preference_field
from separatrix.fields.preferences import Chart
from separatrix.probes import PreferenceRun
from separatrix.report.style import ACCENT, DECAY, GROW, INK, MUTED, RULE, axes_or_new


def preference_portrait(
    loss: PreferenceLoss,
    chart: Chart = "ratio",
    ax: Axes | None = None,
    *,
    window: tuple[float, float] | None = None,
    grid: int = 21,
) -> Axes:
    """The field of a loss over chosen (across) and rejected (up), with the path of descent from where training starts.

    Args:
        loss: the loss.
        chart: ``ratio`` or ``log``; descent in one is another motion than descent in the other.
        ax: where to draw.
        window: the same interval for both coordinates; around the start where ``None``.
        grid: points a side.
    """
    ax = axes_or_new(ax, (3.2, 3.2))
    field = preference_field(loss, chart)
    low, high = window or _window(loss, chart)
    axis = np.linspace(low, high, grid)
    x, y = np.meshgrid(axis, axis)
    points = torch.as_tensor(np.stack([x.ravel(), y.ravel()], axis=1))
    velocity = field(points).numpy().reshape(grid, grid, 2)
    ax.streamplot(
        axis, axis, velocity[..., 0], velocity[..., 1], color=MUTED, linewidth=0.6, arrowsize=0.7, density=0.8
    )
    path = _descent(field, (low, high))
    ax.plot(path[:, 0], path[:, 1], color=GROW, lw=1.8, label="descent in this chart")
    ax.plot(*path[0], "o", color=INK, ms=5)
    ax.plot([low, high], [low, high], color=RULE, lw=0.8, ls="--")
    kind = "ratio" if loss.reference else "probability"
    unit = kind if chart == "ratio" else f"log {kind}"
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal", title=loss.name)
    ax.set(xlabel=f"chosen, {unit}", ylabel=f"rejected, {unit}")
    return ax


def preference_portraits(
    losses: Sequence[PreferenceLoss] | None = None, charts: Sequence[Chart] = ("ratio", "log")
) -> list[Axes]:
    """Portraits side by side, a row for each chart; all known losses where ``None``."""
    import matplotlib.pyplot as plt

    chosen = [make() for make in PREFERENCE_LOSSES.values()] if losses is None else list(losses)
    if not chosen or not charts:
        raise InputError("there is no loss, or no chart, to draw.")
    size = (2.6 * len(chosen), 2.8 * len(charts))
    axes = plt.subplots(len(charts), len(chosen), figsize=size, layout="constrained", squeeze=False)[1]
    return [
        preference_portrait(loss, chart, axes[i, j]) for i, chart in enumerate(charts) for j, loss in enumerate(chosen)
    ]


def preference_course(run: PreferenceRun, ax: Axes | None = None) -> Axes:
    """How both answers moved since the start of a run, and where the chosen began to fall."""
    ax = axes_or_new(ax, (4.6, 2.8))
    steps = run.steps.numpy()
    ax.axhline(0, color=RULE, lw=0.8)
    for values, name, colour, dash in ((run.chosen, "chosen", DECAY, "-"), (run.rejected, "rejected", GROW, "--")):
        ax.plot(steps, (values - values[0]).numpy(), color=colour, ls=dash, lw=1.6, label=name)
    if run.falls_from is not None and run.falls_between is not None:
        ax.axvspan(*run.falls_between, color=ACCENT, alpha=0.15, lw=0)
        ax.axvline(run.falls_from, color=ACCENT, lw=1.2)
        ax.annotate(
            f"chosen falls from step {run.falls_from:g}",
            (run.falls_from, 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, -4),
            textcoords="offset points",
            va="top",
            color=ACCENT,
        )
    ax.set(xlabel="step", ylabel=f"change of the mean {run.unit}")
    ax.legend(loc="lower left")
    return ax


def _window(loss: PreferenceLoss, chart: Chart) -> tuple[float, float]:
    if loss.reference:
        return (0.05, 2.0) if chart == "ratio" else (-2.0, 2.0)
    return (0.02, 0.98) if chart == "ratio" else (-4.0, -0.02)


def _descent(field: FunctionField, window: tuple[float, float]) -> Any:
    """The path of the flow from where the field stands to the edge of the window, by steps of equal length."""
    low, high = window
    x, path = field.point, [field.point.numpy()]
    length = (high - low) / 200
    for _ in range(400):
        v = field(x)
        speed = float(v.norm())
        if speed < 1e-9:
            break
        middle = field(x + length / 2 * v / speed)
        onward = x + length * middle / max(float(middle.norm()), 1e-12)
        if not bool(((onward > low) & (onward < high)).all()) or float(v @ middle) < 0:
            break
        x = onward
        path.append(x.numpy())
    return np.array(path)
