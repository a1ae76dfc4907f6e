"""What moves: Field, Space, Game and the Jacobian.

A :class:`Field` says where a point moves, ``dx/dt = v(x)``, in the direction of motion. It is a pure function
(:class:`FunctionField`) or a :class:`Game` bound to data (:meth:`Game.on`). Its :class:`Jacobian` is an operator with
cheap, checked products.
"""

from separatrix.fields.augmentation import Augmentation
from separatrix.fields.exact_norms import SpectralNorm, WeightNorm, with_exact_norms
from separatrix.fields.field import Field, FunctionField
from separatrix.fields.finite_scale import FiniteScale, finite_scale
from separatrix.fields.game import Game, Loss
from separatrix.fields.game_field import GameField
from separatrix.fields.gan_losses import GAN_LOSSES, AdversarialLosses, gan_losses
from separatrix.fields.gradient_penalties import r1, r2, slope_penalty, squared_slopes, watched, wgan_gp, zero_centred
from separatrix.fields.input_noise import instance_noise, noise_penalty
from separatrix.fields.jacobian import Jacobian
from separatrix.fields.lecam import LeCam
from separatrix.fields.normal_form import NormalForm, hedge, projected_gradient, replicator, softmax_gradient
from separatrix.fields.normalised_direction import NormalisedDirection, SanOutputs, san_outputs, san_players, to_san
from separatrix.fields.space import Space
from separatrix.fields.support import freeze_spectral_norm

__all__ = [
    "GAN_LOSSES",
    "AdversarialLosses",
    "Augmentation",
    "Field",
    "FiniteScale",
    "FunctionField",
    "Game",
    "GameField",
    "Jacobian",
    "LeCam",
    "Loss",
    "NormalForm",
    "NormalisedDirection",
    "SanOutputs",
    "Space",
    "SpectralNorm",
    "WeightNorm",
    "finite_scale",
    "freeze_spectral_norm",
    "gan_losses",
    "hedge",
    "instance_noise",
    "noise_penalty",
    "projected_gradient",
    "r1",
    "r2",
    "replicator",
    "san_outputs",
    "san_players",
    "slope_penalty",
    "softmax_gradient",
    "squared_slopes",
    "to_san",
    "watched",
    "wgan_gp",
    "with_exact_norms",
    "zero_centred",
]
