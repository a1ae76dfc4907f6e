"""Separatrix: see, measure, predict and fix the gradient vector fields of models that learn against each other.

Names are loaded when first used, so that importing the package costs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from separatrix.loading import unnoticed
from separatrix.version import __version__ as __version__

# Public name to the room that holds it.
_HOMES = {
    "Diagnosis": "separatrix.report",
    "Field": "separatrix.fields",
    "FunctionField": "separatrix.fields",
    "Game": "separatrix.fields",
    "Loss": "separatrix.fields",
    "Method": "separatrix.dynamics",
    "Monitor": "separatrix.probes",
    "Problem": "separatrix.dynamics",
    "Remedy": "separatrix.probes",
    "Roles": "separatrix.dynamics",
    "Run": "separatrix.dynamics",
    "advise": "separatrix.report",
    "best_response": "separatrix.probes",
    "compare": "separatrix.report",
    "compare_diagnoses": "separatrix.report",
    "critic": "separatrix.probes",
    "critical_step": "separatrix.probes",
    "decompose": "separatrix.probes.decompose",
    "diagnose": "separatrix.report",
    "portrait": "separatrix.report",
    "preference_run": "separatrix.probes",
    "race": "separatrix.probes",
    "simulate": "separatrix.dynamics",
    "spectrum": "separatrix.report",
    "train": "separatrix.dynamics",
    "twins": "separatrix.probes",
    "update_shares": "separatrix.probes",
}
_ROOMS = {"atlas", "dynamics", "fields", "linalg", "optim", "probes", "report", "topology", "zoo"}

if TYPE_CHECKING:
    # Not the atlas: its studies import this face, and in a cycle mypy takes functions for the modules of their name.
    from separatrix import dynamics, fields, linalg, probes, report, topology, zoo
    from separatrix.dynamics import Method, Problem, Roles, Run, optim, simulate, train
    from separatrix.fields import Field, FunctionField, Game, Loss
    from separatrix.probes import (
        Monitor,
        Remedy,
        best_response,
        critic,
        critical_step,
        preference_run,
        race,
        twins,
        update_shares,
    )
    from separatrix.probes.decompose import decompose
    from separatrix.report import Diagnosis, advise, compare, compare_diagnoses, diagnose, portrait, spectrum

__all__ = [
    "Diagnosis",
    "Field",
    "FunctionField",
    "Game",
    "Loss",
    "Method",
    "Monitor",
    "Problem",
    "Remedy",
    "Roles",
    "Run",
    "advise",
    "atlas",
    "best_response",
    "compare",
    "compare_diagnoses",
    "critic",
    "critical_step",
    "decompose",
    "diagnose",
    "dynamics",
    "fields",
    "linalg",
    "optim",
    "portrait",
    "preference_run",
    "probes",
    "race",
    "report",
    "simulate",
    "spectrum",
    "topology",
    "train",
    "twins",
    "update_shares",
    "zoo",
]


def __getattr__(name: str) -> Any:
    with unnoticed():
        return _loaded(name)


def _loaded(name: str) -> Any:
    if name in _HOMES:
        if _HOMES[name] == "separatrix.report":
            import_module("separatrix.atlas.links").name_studies()  # reports then name the studies of their findings
        return getattr(import_module(_HOMES[name]), name)
    if name == "optim":
        return import_module("separatrix.dynamics.optim")
    if name in _ROOMS:
        return import_module(f"separatrix.{name}")
    raise AttributeError(f"module 'separatrix' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
