"""Schemes: where the field is evaluated and what is committed."""

from separatrix.dynamics.schemes.alternating import Alternating
from separatrix.dynamics.schemes.extragradient import Extragradient, ExtragradientPlus
from separatrix.dynamics.schemes.lookahead import Lookahead
from separatrix.dynamics.schemes.runge_kutta import RungeKutta
from separatrix.dynamics.schemes.scheme import SCHEME, Bases, Evaluate, Scheme, States, base_steps, recall
from separatrix.dynamics.schemes.simultaneous import Simultaneous
from separatrix.dynamics.schemes.single_call import Optimistic, PastExtragradient, Reflected

__all__ = [
    "SCHEME",
    "Alternating",
    "Bases",
    "Evaluate",
    "Extragradient",
    "ExtragradientPlus",
    "Lookahead",
    "Optimistic",
    "PastExtragradient",
    "Reflected",
    "RungeKutta",
    "Scheme",
    "Simultaneous",
    "States",
    "base_steps",
    "recall",
]
