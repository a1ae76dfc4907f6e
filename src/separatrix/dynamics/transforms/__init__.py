"""Transforms: a field in, a field out."""

from separatrix.dynamics.transforms.consensus import Consensus
from separatrix.dynamics.transforms.jacobian_regularisation import JacobianRegularisation
from separatrix.dynamics.transforms.lengths import Clip, Normalise, StepRatio
from separatrix.dynamics.transforms.symplectic import SymplecticAdjustment
from separatrix.dynamics.transforms.transform import Products, Transform, TransformedField

__all__ = [
    "Clip",
    "Consensus",
    "JacobianRegularisation",
    "Normalise",
    "Products",
    "StepRatio",
    "SymplecticAdjustment",
    "Transform",
    "TransformedField",
]
