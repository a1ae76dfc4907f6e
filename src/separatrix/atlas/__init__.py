"""The atlas: every published system is a study one can run.

A :class:`Study` is one short file in the folder of its family. ``run(scale)`` returns an :class:`Outcome`: claims, each
with a measured number, the bound that decides it and a verdict, and controls in which the claim must fail. Claims are
made by :func:`at_most` and :func:`at_least`.

>>> from separatrix.atlas import at_most
>>> at_most("The relative error stays below a hundredth.", 0.004, 0.01).verdict
'holds'
"""

from separatrix.atlas.catalogue import Entry, catalogue, families, find_study
from separatrix.atlas.claims import Claim, at_least, at_most
from separatrix.atlas.running import BudgetError, Failure, run_studies, run_study
from separatrix.atlas.stored import Result, load_result, save_result
from separatrix.atlas.study import FULL, SMOKE, Outcome, Scale, Study
from separatrix.atlas.symptoms import SYMPTOMS

__all__ = [
    "FULL",
    "SMOKE",
    "SYMPTOMS",
    "BudgetError",
    "Claim",
    "Entry",
    "Failure",
    "Outcome",
    "Result",
    "Scale",
    "Study",
    "at_least",
    "at_most",
    "catalogue",
    "families",
    "find_study",
    "load_result",
    "run_studies",
    "run_study",
    "save_result",
]
