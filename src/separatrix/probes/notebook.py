"""The notebook of a diagnosis: sections, findings, notes and costs as they come in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from separatrix.errors import ComputationError
from separatrix.fields import Field
from separatrix.probes.record import Finding

T = TypeVar("T")


@dataclass
class Notebook:
    """The sections, findings, notes and costs as they come in."""

    subject: Field
    budget: float | None
    progress: Callable[[str], None]
    sections: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    costs: list[dict[str, Any]] = field(default_factory=list)

    def spent(self) -> float:
        return float(sum(row["gradients"] for row in self.costs))

    def take(self, part: str, measure: Callable[[], T]) -> T | None:
        """Run one measurement within the budget; what cannot be computed becomes a note."""
        if self.budget is not None and self.spent() >= self.budget:
            self.notes.append(f"{part}: left out, the budget of {self.budget:g} gradients is spent.")
            return None
        try:
            return self.need(part, measure)
        except ComputationError as error:
            self.notes.append(f"{part}: {error}")
            return None

    def need(self, part: str, measure: Callable[[], T]) -> T:
        """Run one measurement that the others rest on; its errors are the caller's."""
        self.progress(part)
        before, start = self.subject.gradients, time.process_time()
        try:
            return measure()
        finally:
            gradients, seconds = self.subject.gradients - before, time.process_time() - start
            row = next((row for row in self.costs if row["part"] == part), None)
            if row is None:
                row = {"part": part, "gradients": 0.0, "seconds": 0.0}
                self.costs.append(row)
            row["gradients"] += gradients
            row["seconds"] += seconds
