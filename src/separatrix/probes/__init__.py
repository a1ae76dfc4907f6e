"""What is measured at a point or along a run, what it predicts, and what it means.

:func:`diagnose` takes every measurement in order and returns a :class:`Diagnosis`. The single measurements are here too:
:func:`spectrum`, :func:`interplay`, :func:`horizon`, and those that need no second derivatives: :func:`twins`,
:func:`best_response`.
"""

from separatrix.probes.advice import Advice
from separatrix.probes.advise import advise
from separatrix.probes.best_response import best_response
from separatrix.probes.certificate import certify
from separatrix.probes.compared import Compared, compare
from separatrix.probes.coverage import Coverage, coverage
from separatrix.probes.critic import Critic, critic
from separatrix.probes.critic_units import LayerUnits
from separatrix.probes.critical_step import CriticalStep, critical_step
from separatrix.probes.diagnose import diagnose
from separatrix.probes.forecast import Forecast, forecast
from separatrix.probes.gains import BestResponse, Gain
from separatrix.probes.horizon import Horizon, horizon
from separatrix.probes.interplay import Interplay, interplay
from separatrix.probes.leading import Leading, leading
from separatrix.probes.limit_cycles import CycleSearch, LimitCycle, limit_cycles
from separatrix.probes.monitor import Monitor
from separatrix.probes.parting import Influence, Reading, Twins
from separatrix.probes.plane_slices import FieldSlice, Plane, field_slice
from separatrix.probes.preference_gradients import PreferenceGradients, preference_gradients
from separatrix.probes.preference_log import PreferenceLog
from separatrix.probes.preference_run import PreferenceRun, preference_run
from separatrix.probes.race import Lane, Race, Remedy, race
from separatrix.probes.record import Diagnosis, Finding
from separatrix.probes.reduced import Reduced, reduce
from separatrix.probes.rest_points import RestPoint, rest_points
from separatrix.probes.setting import Setting, settle
from separatrix.probes.sharpness import Sharpness, sharpness
from separatrix.probes.signature import Signature, signature
from separatrix.probes.spectrum import Spectrum, spectrum
from separatrix.probes.stability import Outlook, outlook, outlooks
from separatrix.probes.stable_curves import stable_curves
from separatrix.probes.twins import twins, twins_of_method
from separatrix.probes.update_shares import TermShare, UpdateShares, update_shares

__all__ = [
    "Advice",
    "BestResponse",
    "Compared",
    "Coverage",
    "Critic",
    "CriticalStep",
    "CycleSearch",
    "Diagnosis",
    "FieldSlice",
    "Finding",
    "Forecast",
    "Gain",
    "Horizon",
    "Influence",
    "Interplay",
    "Lane",
    "LayerUnits",
    "Leading",
    "LimitCycle",
    "Monitor",
    "Outlook",
    "Plane",
    "PreferenceGradients",
    "PreferenceLog",
    "PreferenceRun",
    "Race",
    "Reading",
    "Reduced",
    "Remedy",
    "RestPoint",
    "Setting",
    "Sharpness",
    "Signature",
    "Spectrum",
    "TermShare",
    "Twins",
    "UpdateShares",
    "advise",
    "best_response",
    "certify",
    "compare",
    "coverage",
    "critic",
    "critical_step",
    "diagnose",
    "field_slice",
    "forecast",
    "horizon",
    "interplay",
    "leading",
    "limit_cycles",
    "outlook",
    "outlooks",
    "preference_gradients",
    "preference_run",
    "race",
    "reduce",
    "rest_points",
    "settle",
    "sharpness",
    "signature",
    "spectrum",
    "stable_curves",
    "twins",
    "twins_of_method",
    "update_shares",
]
