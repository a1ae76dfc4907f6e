"""What moves: Field, Space, Game and the Jacobian.

A :class:`Field` says where a point moves, ``dx/dt = v(x)``, in the direction of motion. It is a pure function
(:class:`FunctionField`) or a :class:`Game` bound to data (:meth:`Game.on`). Its :class:`Jacobian` is an operator with
cheap, checked products.
"""

from separatrix.fields.field import Field, FunctionField
from separatrix.fields.game import Game, Loss
from separatrix.fields.game_field import GameField
from separatrix.fields.jacobian import Jacobian
from separatrix.fields.normal_form import NormalForm, hedge, projected_gradient, replicator, softmax_gradient
from separatrix.fields.space import Space
from separatrix.fields.support import freeze_spectral_norm

__all__ = [
    "Field",
    "FunctionField",
    "Game",
    "GameField",
    "Jacobian",
    "Loss",
    "NormalForm",
    "Space",
    "freeze_spectral_norm",
    "hedge",
    "projected_gradient",
    "replicator",
    "softmax_gradient",
]
