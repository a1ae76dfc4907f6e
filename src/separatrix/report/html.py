"""The HTML page: one file that asks for nothing, findings first, complete with scripts off.

The page declares its own policy (no request, no eval). Figures are inline SVG; its one script, ``signature.js``,
replaces the static signature by one with sliders.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from typing import Any

from matplotlib.axes import Axes

from separatrix.probes.numbers import exact, number
from separatrix.probes.record import Diagnosis
from separatrix.report import decomposition_plot, figures, page, regions, signature_plot, spectrum_plot
from separatrix.report.further import readings
from separatrix.report.glance import at_a_glance, headline
from separatrix.report.references import cited
from separatrix.report.rendering import asset, render
from separatrix.report.style import svg
from separatrix.report.words import explained

# Sections with a figure: how it is drawn, its size in inches, and what a reader who does not see it is told.
PLATES: dict[str, tuple[Callable[[Diagnosis, Axes], Axes], tuple[float, float], str]] = {
    "interplay": (figures.interplay, (3.5, 3.1), "Squares sized by the norms of the blocks of the Jacobian."),
    "decomposition": (decomposition_plot.decomposition, (4.4, 1.4), "A line from 0 to 1 with the share and its range."),
    "slice": (figures.slice_figure, (4.6, 4.7), "Streamlines of the field in a plane, with the path of training."),
    "sharpness": (figures.sharpness, (4.6, 0.0), "Bars: share of the limit for the joint map and each player."),
    "stability": (
        figures.stability,
        (4.6, 0.0),
        "Bars by method: the range of safe steps, or growth at the present step where none is safe.",
    ),
    "horizon": (figures.horizon, (4.6, 2.9), "Curves: the error of growth rates and its parts, against steps."),
    "best_response": (figures.best_response, (4.6, 0.0), "Points: gain on training and on held-out data by player."),
}
HEIGHT_PER_ROW = {"sharpness": (0.85, 0.36), "stability": (0.7, 0.46), "best_response": (1.05, 0.4)}


def to_html(diagnosis: Diagnosis) -> str:
    """The whole page as text; the same diagnosis gives the same text.

    Raises:
        InputError: a section is not in its shape.
    """
    sections = list(page.parts(diagnosis))
    lead, rest = headline(diagnosis)
    return render(
        "page.html.j2",
        filters={
            "shown": exact,
            "explained": lambda finding: explained(finding.sentence, finding.remedy, finding.source),
            "readings": lambda finding: readings(finding.code),
            "brief": partial(number, digits=2),
        },
        diagnosis=diagnosis,
        parts=[part for part in sections if not part.missing],
        absent=page.not_measured(sections),
        lead=lead,
        rest=rest,
        size="brief" if len(lead) <= 60 else "full" if len(lead) <= 150 else "long",
        glance=at_a_glance(diagnosis),
        notes=page.general_notes(diagnosis),
        works=cited(finding.source for finding in diagnosis.findings),
        script=asset("signature.js"),
        plates={
            **{part.key: _plate(diagnosis, part.key) for part in sections if part.key in PLATES and not part.missing},
            **_plane(diagnosis),
        },
        signature=_signature(diagnosis),
        samples=_samples(diagnosis),
    )


def _plate(diagnosis: Diagnosis, key: str) -> str:
    draw, (width, height), label = PLATES[key]
    if key in HEIGHT_PER_ROW:
        frame, row = HEIGHT_PER_ROW[key]
        height = frame + row * len(diagnosis.sections[key]["rows"])
    return svg(partial(draw, diagnosis), name=key.replace("_", "-"), size=(width, height), label=label)


def _plane(diagnosis: Diagnosis) -> dict[str, str]:
    """The spectrum's plate, where its numerical range was measured: without it the picture would be the signature's."""
    section = diagnosis.sections.get("spectrum")
    if not section or not section.get("range"):
        return {}
    label = "Eigenvalues in the complex plane, in the numerical range and with pseudospectral curves around them."
    return {"spectrum": svg(partial(spectrum_plot.plane, section), name="plane", size=(5.2, 4.7), label=label)}


def _signature(diagnosis: Diagnosis) -> dict[str, Any] | None:
    """The two static pictures, and what the script needs to draw them again elsewhere."""
    section = diagnosis.sections.get("signature")
    if section is None:
        return None
    disc, radius = section["kind"] == "disc", signature_plot.near_radius(section)
    region = "the unit circle" if disc else "the stability region of the running method"
    label = f"Measured modes and {region}. The sentence beside it says which of them grow."
    large, small = ((4.9, 4.1), (3.0, 2.9)) if disc else ((4.9, 3.3), (3.3, 3.3))
    size = small if disc and radius else large
    near = partial(figures.signature, diagnosis, near=True)
    closer = f"The same around {'one' if disc else 'zero'}, magnified."
    return {
        "whole": svg(partial(figures.signature, diagnosis), name="signature", size=size, label=label),
        "near": svg(near, name="signature-near", size=large if disc else small, label=closer) if radius else None,
        # The disc's large picture is the edge of stability, the plane's the whole region.
        "order": (["near", "whole"] if disc else ["whole", "near"]) if radius else ["whole"],
        "captions": {
            "near": f"around {'m = 1' if disc else '0'}, magnified",
            "whole": "the whole unit disc; the frame is what the large picture shows" if disc else "",
        },
        "hero": svg(partial(_hero, diagnosis), name="signature-hero", size=(3.0, 2.75), label=label),
        "outlines": [] if disc else signature_plot.alternatives(section),
        "data": {
            "remaining": None,
            **section,
            "rule": None if disc else regions.rule_of(section),
            "near": radius,
            "outlines": [] if disc else signature_plot.alternatives(section),
        },
    }


def _hero(diagnosis: Diagnosis, ax: Axes) -> Axes:
    """The edge of stability without the apparatus, beside the verdict."""
    figures.signature(diagnosis, ax, near=True).set(xlabel="", ylabel="", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def _samples(diagnosis: Diagnosis) -> dict[str, Any] | None:
    section = diagnosis.sections.get("samples")
    if not section or not section["images"]:
        return None
    height, width = figures.sample_grid(diagnosis).shape[:2]
    data = base64.b64encode(figures.samples_png(diagnosis)).decode("ascii")
    return {"uri": f"data:image/png;base64,{data}", "width": width, "height": height}
