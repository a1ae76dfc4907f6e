"""The look of the figures: one palette by role, SVG that is the same on every run.

In the HTML page each role's colour becomes a CSS variable, so that figures follow the page into dark mode. The hues
are from Okabe and Ito's set, darkened until text in them reads on paper; nothing is told by colour alone.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1d232b"
MUTED = "#57606c"
RULE = "#d8d4ca"
PAPER = "#fbfaf6"
REGION = "#dfe9f1"
DECAY = "#0b5f9e"
GROW = "#b23c0a"
UNSURE = "#7d5600"
ACCENT = "#00705a"
ROLES = {
    INK: "ink",
    MUTED: "muted",
    RULE: "rule",
    PAPER: "paper",
    REGION: "region",
    DECAY: "decay",
    GROW: "grow",
    UNSURE: "unsure",
    ACCENT: "accent",
}

RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "axes.unicode_minus": True,
}


def literal(text: object) -> str:
    """Text that matplotlib does not read as mathematics: players may be called ``$G$``."""
    return str(text).replace("$", r"\$")


def axes_or_new(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """The axes given, or those of a new pyplot figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    new: Axes = plt.subplots(figsize=size, layout="constrained")[1]
    return new


def svg(draw: Callable[[Axes], object], *, name: str, size: tuple[float, float], label: str) -> str:
    """A figure of one pair of axes as an inline SVG element; see :func:`svg_of_figure`."""
    return svg_of_figure(lambda figure: draw(figure.add_subplot()), name=name, size=size, label=label)


def svg_of_figure(draw: Callable[[Figure], object], *, name: str, size: tuple[float, float], label: str) -> str:
    """A figure as an inline SVG element: named for screen readers, ids of its own, colours as CSS variables.

    Args:
        draw: draws on the empty figure it is given.
        name: prefix of every id, unique in the page.
        size: inches.
        label: what the picture shows, for those who don't see it.
    """
    with matplotlib.rc_context({**RC, "svg.hashsalt": name}), warnings.catch_warnings():
        # The fonts that lay the text out may lack a glyph of a user's name; the browser's have it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda m: f"var(--{ROLES[m[0]]})" if m[0] in ROLES else m[0], text)
    escaped = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{escaped}" ', 1).strip()
