"""Pictures of decompositions: the split at a point, a plane in its parts, and the parts of a finite game."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from separatrix.errors import InputError
from separatrix.probes.decompose import GameDecomposition, GridDecomposition
from separatrix.probes.numbers import number
from separatrix.probes.record import Diagnosis
from separatrix.report.figures import section_of
from separatrix.report.style import ACCENT, DECAY, GROW, INK, MUTED, PAPER, REGION, RULE, axes_or_new, literal


def potentialness(section: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """The share that a potential could make, as measured and over all units of the players, between 0 and 1.

    Args:
        section: of a local split, or a diagnosis's section ``decomposition``.
        ax: where to draw.
    """
    ax = axes_or_new(ax, (4.4, 1.3))
    share = section["potentialness"]
    if share["value"] is None:
        raise InputError("the field does not change near this point, so there is no share to draw.")
    low, high = share["least"], share["most"]
    ax.axhline(0, color=RULE, lw=6, solid_capstyle="butt", zorder=1)
    ax.plot([low, high], [0, 0], color=REGION, lw=14, solid_capstyle="butt", zorder=2)
    ax.plot([share["balanced"]], [0], "|", color=MUTED, ms=16, mew=2, zorder=3)
    ax.errorbar(
        [share["value"]],
        [0],
        xerr=[3 * share["stderr"]],
        fmt="o",
        color=ACCENT,
        ms=8,
        elinewidth=2,
        capsize=3,
        zorder=4,
    )
    ax.annotate(
        f"{share['value']:.0%}",
        (share["value"], 0),
        (0, 11),
        textcoords="offset points",
        ha="center",
        color=INK,
        zorder=5,
    )
    ax.set(xlim=(-0.02, 1.02), ylim=(-1, 1.6), yticks=[])
    ax.set_xticks([0, 0.5, 1], ["0: all turns", "½", "1: a potential"])
    ax.set_xlabel("potentialness (shaded: in any units)")
    ax.spines[:].set_visible(False)
    return ax


def decomposition(source: Diagnosis | Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """:func:`potentialness` of a diagnosis."""
    return potentialness(section_of(source, "decomposition"), ax)


def plane_parts(found: GridDecomposition, *, axes: Any = None, labels: tuple[str, str] = ("", "")) -> list[Axes]:
    """A planar field, its gradient part over the potential it descends, and the part that turns: three panels.

    Args:
        found: of :func:`decompose_box`, :func:`decompose_torus` or :func:`split_plane`, in two dimensions.
        axes: three axes; a new figure where ``None``.
        labels: of both coordinates.

    Raises:
        InputError: the grid has not two dimensions.
    """
    if len(found.low) != 2:
        raise InputError(f"a picture needs two dimensions, this grid has {len(found.low)}.")
    if axes is None:
        import matplotlib.pyplot as plt

        axes = plt.subplots(1, 3, figsize=(10.2, 3.5), layout="constrained")[1]
    gradient, rotation = (found.at_centres(part).numpy() for part in ("gradient", "rotation"))
    whole = gradient + rotation + found.harmonic.numpy().reshape(2, 1, 1)
    sides = [_places(found, axis, gradient.shape[axis + 1]) for axis in range(2)]
    titles = ["the field"]
    titles += [
        f"{name}: {_percent(found.shares[part])}" for name, part in (("descends", "gradient"), ("turns", "rotation"))
    ]
    for ax, part, title, colour in zip(axes, (whole, gradient, rotation), titles, (MUTED, DECAY, GROW), strict=True):
        if part is gradient:
            potential = _centred(found)
            ax.contourf(sides[0], sides[1], potential.T, levels=12, cmap="Greys", alpha=0.35)
        if float(np.abs(part).max()) > 1e-9 * max(float(np.abs(whole).max()), 1e-300):
            ax.streamplot(
                sides[0], sides[1], part[0].T, part[1].T, color=colour, linewidth=0.8, arrowsize=0.8, density=0.8
            )
        ax.plot(*[(a + b) / 2 for a, b in zip(found.low, found.high, strict=True)], "+", color=INK, ms=8)
        ax.set(title=title, aspect="equal", xlim=(found.low[0], found.high[0]), ylim=(found.low[1], found.high[1]))
        ax.set(xlabel=labels[0], ylabel=labels[1] if ax is axes[0] else "")
    return list(axes)


def game_parts(found: GameDecomposition, *, axes: Any = None) -> list[Axes]:
    """A finite game and its parts: a bar of norms, and for two players the payoffs of each part as tables.

    Args:
        found: of :func:`decompose_game`.
        axes: ``(players, 4)`` axes for two players, one for more; a new figure where ``None``.
    """
    import matplotlib.pyplot as plt

    if len(found.game.players) != 2:
        ax = plt.subplots(figsize=(4.4, 2.2), layout="constrained")[1] if axes is None else np.ravel(axes)[0]
        names = ["potential", "harmonic", "nonstrategic"]
        lengths = [found.norms[name] for name in names]
        ax.barh(names[::-1], lengths[::-1], color=[RULE, GROW, DECAY], hatch=["", "////", ""], edgecolor=PAPER)
        ax.set_xlabel("norm of the part")
        return [ax]
    if axes is None:
        axes = plt.subplots(2, 4, figsize=(10.4, 5.2), layout="constrained", squeeze=False)[1]
    games = {
        "payoffs": found.game,
        "potential": found.potential,
        "harmonic": found.harmonic,
        "non-strategic": found.nonstrategic,
    }
    top = max(float(u.abs().max()) for u in found.game.payoffs) or 1.0
    for i, player in enumerate(found.game.players):
        for j, (name, game) in enumerate(games.items()):
            ax, values = axes[i][j], game.payoffs[i].numpy()
            ax.imshow(values, cmap="PuOr", vmin=-top, vmax=top, aspect="auto")
            if values.size <= 64:
                for (row, column), value in np.ndenumerate(values):
                    text = ax.text(column, row, number(float(value)), ha="center", va="center", color=INK, fontsize=8.5)
                    text.set_bbox({"facecolor": PAPER, "edgecolor": "none", "pad": 1.5, "alpha": 0.85})
            ax.set(xticks=[], yticks=[])
            if i == 0:
                ax.set_title(name)
            if j == 0:
                ax.set_ylabel(literal(player))
    return [ax for row in axes for ax in row]


def _places(found: GridDecomposition, axis: int, count: int) -> Any:
    low, high = found.low[axis], found.high[axis]
    width = (high - low) / count
    return low + width * (np.arange(count) + (0.0 if found.boundary == "periodic" else 0.5))


def _centred(found: GridDecomposition) -> Any:
    potential = found.potential.numpy()
    if found.boundary == "normal":
        potential = (potential[:-1] + potential[1:]) / 2
        potential = (potential[:, :-1] + potential[:, 1:]) / 2
    return potential


def _percent(share: float) -> str:
    return "–" if share != share else f"{share:.0%}"
