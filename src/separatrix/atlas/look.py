"""The figures of the studies: the report's palette, and a result drawn as inline SVG."""

from __future__ import annotations

from separatrix.atlas.catalogue import Entry
from separatrix.atlas.stored import Result
from separatrix.report.style import ACCENT, DECAY, GROW, INK, MUTED, REGION, RULE, UNSURE, svg_of_figure

__all__ = ["ACCENT", "DECAY", "GROW", "INK", "MUTED", "REGION", "RULE", "UNSURE", "picture"]


def picture(entry: Entry, result: Result) -> str:
    """The study's figure, drawn from the stored data."""
    draw = entry.draw()
    return svg_of_figure(
        lambda figure: draw(figure, result.outcome.figure),
        name=entry.id,
        size=entry.study.size,
        label=entry.study.picture,
    )
