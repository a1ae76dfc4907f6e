"""Reports: a diagnosis as an HTML page, as Markdown, in the terminal, as figures, and beside another.

Importing this room teaches diagnoses, spectra, advice and comparisons to save themselves as pages and pictures, diagnoses and advice to
show themselves in a notebook, and diagnoses to ``rich``. The shapes of the sections it draws are listed in
:mod:`separatrix.report.page`.

Example:
    >>> from separatrix.probes.record import Diagnosis
    >>> calm = Diagnosis("Quadratic game", "Every mode decays.", "ok", findings=(), sections={})
    >>> print(to_text(calm).splitlines()[1])
    ✓ ok  Every mode decays.
"""

from functools import partial

from separatrix.probes import Advice, Compared, advise, compare, diagnose, spectrum
from separatrix.probes.advice import VIEWS as ADVICE_VIEWS
from separatrix.probes.advice import WRITERS as ADVICE_WRITERS
from separatrix.probes.compared import WRITERS as COMPARED_WRITERS
from separatrix.probes.record import VIEWS, WRITERS, Diagnosis
from separatrix.probes.spectrum import WRITERS as SPECTRUM_WRITERS
from separatrix.report import advice_figures, decomposition_plot, figures
from separatrix.report.advice_page import advice_picture, advice_to_cell, advice_to_html
from separatrix.report.changes import Comparison, compare_diagnoses
from separatrix.report.compared_picture import compared_picture
from separatrix.report.html import to_html
from separatrix.report.markdown import to_markdown
from separatrix.report.notebook import to_cell
from separatrix.report.portrait import Portrait, portrait
from separatrix.report.preference_figures import preference_course, preference_portrait, preference_portraits
from separatrix.report.spectrum_page import spectrum_picture, spectrum_to_html, spectrum_to_markdown
from separatrix.report.terminal import renderable, show, to_text

WRITERS.update({".html": to_html, ".md": to_markdown, ".txt": to_text})
VIEWS.update({"rich": renderable, "html": to_cell})
SPECTRUM_WRITERS.update(
    {
        ".html": spectrum_to_html,
        ".md": spectrum_to_markdown,
        ".png": partial(spectrum_picture, kind="png"),
        ".svg": partial(spectrum_picture, kind="svg"),
    }
)
ADVICE_WRITERS.update(
    {
        ".html": advice_to_html,
        ".png": partial(advice_picture, kind="png"),
        ".svg": partial(advice_picture, kind="svg"),
    }
)
COMPARED_WRITERS.update({".png": partial(compared_picture, kind="png"), ".svg": partial(compared_picture, kind="svg")})
ADVICE_VIEWS["html"] = advice_to_cell

__all__ = [
    "Advice",
    "Compared",
    "Comparison",
    "Diagnosis",
    "Portrait",
    "advice_figures",
    "advise",
    "compare",
    "compare_diagnoses",
    "decomposition_plot",
    "diagnose",
    "figures",
    "portrait",
    "preference_course",
    "preference_portrait",
    "preference_portraits",
    "renderable",
    "show",
    "spectrum",
    "to_cell",
    "to_html",
    "to_markdown",
    "to_text",
]
