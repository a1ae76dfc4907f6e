"""Reports: a diagnosis as an HTML page, as Markdown, in the terminal, as figures, and beside another.

Importing this room teaches diagnoses and spectra to save themselves as pages and pictures, and diagnoses to show
themselves in a notebook and to ``rich``. The shapes of the sections it draws are listed in
:mod:`separatrix.report.page`.

Example:
    >>> from separatrix.probes.record import Diagnosis
    >>> calm = Diagnosis("Quadratic game", "Every mode decays.", "ok", findings=(), sections={})
    >>> print(to_text(calm).splitlines()[1])
    ✓ ok  Every mode decays.
"""

from functools import partial

from separatrix.probes import diagnose, spectrum
from separatrix.probes.record import VIEWS, WRITERS, Diagnosis
from separatrix.probes.spectrum import WRITERS as SPECTRUM_WRITERS
from separatrix.report import decomposition_plot, figures
from separatrix.report.compare import Comparison, compare_diagnoses
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

__all__ = [
    "Comparison",
    "Diagnosis",
    "Portrait",
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
