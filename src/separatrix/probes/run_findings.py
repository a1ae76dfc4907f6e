"""From the evidence about a run to findings: each has a definition, a threshold, a source and a remedy (``docs/runs.md``).

None needs second derivatives. Causes come before their symptoms: a step that is far too long also kills units and collapses
modes, so it is named first. Healthy runs are the negative controls of every finding.
"""

from __future__ import annotations

from separatrix.probes.evidence import Evidence
from separatrix.probes.record import Finding
from separatrix.probes.run_critic_findings import collapse, dead, overfits, strong, weak
from separatrix.probes.run_step_findings import beyond, noisy, rotation
from separatrix.probes.run_term_findings import conflict, imbalance

CAUSES_FIRST = (dead, beyond, overfits, weak, strong, conflict, imbalance, noisy, collapse, rotation)


def findings_of(evidence: Evidence) -> list[Finding]:
    """All findings, causes before symptoms."""
    return [finding for judge in CAUSES_FIRST for finding in judge(evidence)]
