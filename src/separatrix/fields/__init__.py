"""What moves: Field, Space, Game and the Jacobian.

A :class:`Field` says where a point moves, ``dx/dt = v(x)``, in the direction of motion. It is a pure function
(:class:`FunctionField`) or a :class:`Game` bound to data (:meth:`Game.on`). Its :class:`Jacobian` is an operator with
cheap, checked products.
"""

from separatrix.fields.augmentation import Augmentation
from separatrix.fields.curvature import Curvature, Gram, gauss_newton, gradient_gram
from separatrix.fields.exact_norms import SpectralNorm, WeightNorm, with_exact_norms
from separatrix.fields.field import Field, FunctionField
from separatrix.fields.finite_scale import FiniteScale, finite_scale
from separatrix.fields.fisher_information import empirical_fisher, fisher
from separatrix.fields.game import Game, Loss
from separatrix.fields.game_field import GameField
from separatrix.fields.gan_losses import GAN_LOSSES, AdversarialLosses, gan_losses
from separatrix.fields.gradient_penalties import r1, r2, slope_penalty, squared_slopes, watched, wgan_gp, zero_centred
from separatrix.fields.input_noise import instance_noise, noise_penalty
from separatrix.fields.jacobian import Jacobian
from separatrix.fields.lecam import LeCam
from separatrix.fields.normal_form import NormalForm, hedge, projected_gradient, replicator, softmax_gradient
from separatrix.fields.normalised_direction import NormalisedDirection, SanOutputs, san_outputs, san_players, to_san
from separatrix.fields.outputs import OutputJacobian
from separatrix.fields.polynomial_games import PolynomialGame, common_interest, random_polynomial_game
from separatrix.fields.preferences import PREFERENCE_LOSSES, PreferenceLoss, Pull, preference_field, pull
from separatrix.fields.pure import pure
from separatrix.fields.space import Space
from separatrix.fields.support import freeze_spectral_norm

__all__ = [
    "GAN_LOSSES",
    "PREFERENCE_LOSSES",
    "AdversarialLosses",
    "Augmentation",
    "Curvature",
    "Field",
    "FiniteScale",
    "FunctionField",
    "Game",
    "GameField",
    "Gram",
    "Jacobian",
    "LeCam",
    "Loss",
    "NormalForm",
    "NormalisedDirection",
    "OutputJacobian",
    "PolynomialGame",
    "PreferenceLoss",
    "Pull",
    "SanOutputs",
    "Space",
    "SpectralNorm",
    "WeightNorm",
    "common_interest",
    "empirical_fisher",
    "finite_scale",
    "fisher",
    "freeze_spectral_norm",
    "gan_losses",
    "gauss_newton",
    "gradient_gram",
    "hedge",
    "instance_noise",
    "noise_penalty",
    "preference_field",
    "projected_gradient",
    "pull",
    "pure",
    "r1",
    "r2",
    "random_polynomial_game",
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
