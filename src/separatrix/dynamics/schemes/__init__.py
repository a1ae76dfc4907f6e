"""Schemes: where the field is evaluated and what is committed."""

from separatrix.dynamics.schemes.alternating import Alternating
from separatrix.dynamics.schemes.competitive import Competitive
from separatrix.dynamics.schemes.curvature_clipped import CurvatureClipped
from separatrix.dynamics.schemes.extragradient import Extragradient, ExtragradientPlus
from separatrix.dynamics.schemes.lazy import factors_after, in_words
from separatrix.dynamics.schemes.lookahead import Lookahead
from separatrix.dynamics.schemes.proximal import Proximal
from separatrix.dynamics.schemes.runge_kutta import RungeKutta
from separatrix.dynamics.schemes.scheme import SCHEME, Bases, Evaluate, Scheme, States, base_steps, recall
from separatrix.dynamics.schemes.simultaneous import Simultaneous
from separatrix.dynamics.schemes.single_call import Optimistic, PastExtragradient, Reflected
from separatrix.dynamics.schemes.stabilised import Stabilised

__all__ = [
    "SCHEME",
    "Alternating",
    "Bases",
    "Competitive",
    "CurvatureClipped",
    "Evaluate",
    "Extragradient",
    "ExtragradientPlus",
    "Lookahead",
    "Optimistic",
    "PastExtragradient",
    "Proximal",
    "Reflected",
    "RungeKutta",
    "Scheme",
    "Simultaneous",
    "Stabilised",
    "States",
    "base_steps",
    "factors_after",
    "in_words",
    "recall",
]
