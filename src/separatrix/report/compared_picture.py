"""A comparison of methods as a picture: predicted and observed growth, and the scores."""

from __future__ import annotations

import io

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from separatrix.errors import InputError
from separatrix.probes.compared import Compared
from separatrix.report import lanes
from separatrix.report.style import PAPER, RC, axes_or_new, literal


def measures(found: Compared) -> list[str]:
    """What can be drawn: the growth of the field's length, and the problem's scores."""
    return [lanes.GROWTH, *found.observed.rows[0].score]


def lines(found: Compared, measure: str = lanes.GROWTH, ax: Axes | None = None) -> Axes:
    """A line for each method: median and range over the seeds, each seed, and a hollow diamond at what was predicted.

    Args:
        found: the comparison.
        measure: one of :func:`measures`.
        ax: where to draw.

    Raises:
        InputError: nothing of this name was measured.
    """
    if measure not in measures(found):
        raise InputError(f"no {measure!r} in this comparison; there is {measures(found)}.")
    return lanes.draw(found.observed, measure, axes_or_new(ax, lanes.size(found.observed)))


def compared_picture(found: Compared, kind: str) -> bytes:
    """Growth and, beside it, the scores: ``png`` or ``svg``."""
    growth, *scores = measures(found)
    width, height = lanes.size(found.observed)
    with rc_context({**RC, "svg.hashsalt": "separatrix", "savefig.facecolor": PAPER}):
        size = (1 + bool(scores)) * (width + 0.3), max(1, len(scores)) * height + 0.5
        figure = Figure(figsize=size, layout="constrained")
        halves = figure.subfigures(1, 1 + bool(scores), squeeze=False)[0]
        lines(found, growth, halves[0].subplots())
        for i, score in enumerate(scores):
            lines(found, score, halves[1].add_subplot(len(scores), 1, i + 1))
        title = found.heading.replace(": ", ":\n", 1).replace(", median", ",\nmedian")
        figure.suptitle(literal(f"{title}; diamonds: predicted"), fontsize=10)
        stream = io.BytesIO()
        figure.savefig(
            stream, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {"Software": "separatrix"}
        )
    return stream.getvalue()
