"""From a finding of a diagnosis to the studies of what it looks like."""

from __future__ import annotations

from separatrix.atlas.catalogue import catalogue
from separatrix.atlas.symptoms import FINDINGS
from separatrix.report.further import SOURCES, Reading

NAMED = 3


def studies_of(code: str) -> tuple[str, ...]:
    """The studies of a finding's symptoms: those that share most of them first, then those of few symptoms besides.

    Example:
        >>> "gan-training-convergence" in studies_of("undamped-rotation")
        True
        >>> studies_of("no-such-finding")
        ()
    """
    wanted = set(FINDINGS.get(code, ()))
    shared = {entry.id: wanted & set(entry.study.symptoms) for entry in catalogue().values()}
    found = [name for name, symptoms in shared.items() if symptoms]
    return tuple(sorted(found, key=lambda name: (-len(shared[name]), len(catalogue()[name].study.symptoms), name)))


def reading_of(code: str) -> Reading | None:
    """The line of a report that names them; ``None`` where there are none."""
    found = studies_of(code)
    rest = f"separatrix atlas list --symptom {code}" if len(found) > NAMED else ""
    return Reading(found[:NAMED], "separatrix atlas show", rest) if found else None


def name_studies() -> None:
    """Let reports name the studies of their findings."""
    SOURCES["atlas"] = reading_of
