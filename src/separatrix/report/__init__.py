"""Reports: a diagnosis as an HTML page, as Markdown, in the terminal, as figures, and beside another.

Importing this room teaches :meth:`separatrix.probes.record.Diagnosis.save` the suffixes ``.html``, ``.md`` and
``.txt``, and how to show itself in a notebook and to ``rich``. The shapes of the sections it draws are listed in :mod:`separatrix.report.page`.

Example:
    >>> from separatrix.probes.record import Diagnosis
    >>> calm = Diagnosis("Quadratic game", "Every mode decays.", "ok", findings=(), sections={})
    >>> print(to_text(calm).splitlines()[1])
    ✓ ok  Every mode decays.
"""

from separatrix.probes import diagnose
from separatrix.probes.record import VIEWS, WRITERS, Diagnosis
from separatrix.report import figures
from separatrix.report.compare import Comparison, compare_diagnoses
from separatrix.report.html import to_html
from separatrix.report.markdown import to_markdown
from separatrix.report.notebook import to_cell
from separatrix.report.terminal import renderable, show, to_text

WRITERS.update({".html": to_html, ".md": to_markdown, ".txt": to_text})
VIEWS.update({"rich": renderable, "html": to_cell})

__all__ = [
    "Comparison",
    "Diagnosis",
    "compare_diagnoses",
    "diagnose",
    "figures",
    "renderable",
    "show",
    "to_cell",
    "to_html",
    "to_markdown",
    "to_text",
]
