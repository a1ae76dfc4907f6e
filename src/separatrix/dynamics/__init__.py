"""How it moves: a training method is ``scheme(bases, transforms(field))``.

A :class:`Transform` maps a field to a field, a :class:`Base` turns a direction into a step, a :class:`Scheme` says where
the field is evaluated and what is committed. The same pure code trains, simulates and, traced by :class:`UpdateMap`,
gives the linear map of one period of the method that is really running.
"""

from separatrix.dynamics import optim
from separatrix.dynamics.averaging import Average, averaged_models
from separatrix.dynamics.balance import AdversarialWeight, two_time_scale
from separatrix.dynamics.bases import SGD, Adam, AdamW, Base, Frozen, RMSprop
from separatrix.dynamics.comparing import Comparison, Observed, Spread, compare
from separatrix.dynamics.complex_momentum import ComplexMomentum
from separatrix.dynamics.convert import base_of, bases_of, torch_state_dict
from separatrix.dynamics.game_optimizer import GameOptimizer
from separatrix.dynamics.half_life import HalfLife, advise_half_life, ema_gain
from separatrix.dynamics.linear_period import LinearPeriod, lazy_period, linear_period, multipliers
from separatrix.dynamics.live_step import Step
from separatrix.dynamics.many import simulate_many
from separatrix.dynamics.method import Method, simulate
from separatrix.dynamics.mirror import ExponentiatedGradient
from separatrix.dynamics.modes import Mode
from separatrix.dynamics.problem import Fact, Problem, scores
from separatrix.dynamics.roles import Roles
from separatrix.dynamics.run import Replay, Run
from separatrix.dynamics.schedules import Clock, Schedule, cosine, exponential, lazy, lazy_rates, linear
from separatrix.dynamics.schemes import (
    Alternating,
    Competitive,
    CurvatureClipped,
    Extragradient,
    ExtragradientPlus,
    Lookahead,
    Optimistic,
    PastExtragradient,
    Proximal,
    Reflected,
    RungeKutta,
    Scheme,
    Simultaneous,
    Stabilised,
)
from separatrix.dynamics.snapshot import Snapshot
from separatrix.dynamics.training import Training, train
from separatrix.dynamics.transforms import (
    Clip,
    Consensus,
    JacobianRegularisation,
    Normalise,
    StepRatio,
    SymplecticAdjustment,
    Transform,
    TransformedField,
)
from separatrix.dynamics.update_map import UpdateMap
from separatrix.dynamics.wrapped import WrappedBase

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "AdversarialWeight",
    "Alternating",
    "Average",
    "Base",
    "Clip",
    "Clock",
    "Comparison",
    "Competitive",
    "ComplexMomentum",
    "Consensus",
    "CurvatureClipped",
    "ExponentiatedGradient",
    "Extragradient",
    "ExtragradientPlus",
    "Fact",
    "Frozen",
    "GameOptimizer",
    "HalfLife",
    "JacobianRegularisation",
    "LinearPeriod",
    "Lookahead",
    "Method",
    "Mode",
    "Normalise",
    "Observed",
    "Optimistic",
    "PastExtragradient",
    "Problem",
    "Proximal",
    "RMSprop",
    "Reflected",
    "Replay",
    "Roles",
    "Run",
    "RungeKutta",
    "Schedule",
    "Scheme",
    "Simultaneous",
    "Snapshot",
    "Spread",
    "Stabilised",
    "Step",
    "StepRatio",
    "SymplecticAdjustment",
    "Training",
    "Transform",
    "TransformedField",
    "UpdateMap",
    "WrappedBase",
    "advise_half_life",
    "averaged_models",
    "base_of",
    "bases_of",
    "compare",
    "cosine",
    "ema_gain",
    "exponential",
    "lazy",
    "lazy_period",
    "lazy_rates",
    "linear",
    "linear_period",
    "multipliers",
    "optim",
    "scores",
    "simulate",
    "simulate_many",
    "torch_state_dict",
    "train",
    "two_time_scale",
]
