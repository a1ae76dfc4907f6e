"""A ReLU network in one normal form: layers of neurons, each an affine map of the input and of earlier neurons.

    z_l = b_l + sum_{k < l} W_{lk} a_k,   a_0 = x,   a_l = max(z_l, 0) + slope_l min(z_l, 0),   F = the last z.

Skip connections are the blocks ``W_{lk}`` with ``k < l - 1``. The weights are taken as exact numbers: every statement
about the complex of a network is one about this normal form in float64.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "Layer", "ReLUProgram"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of neurons.

    Attributes:
        weights: from the number of an earlier block (0 is the input) to a matrix ``(n, width of that block)``.
        bias: ``(n,)``.
        slope: ``(n,)``, the factor of negative pre-activations: 0 for ReLU, 1 for a neuron that does not bend.
        name: how the user's model calls it.
    """

    weights: dict[int, Floats]
    bias: Floats
    slope: Floats
    name: str

    @property
    def terms(self) -> int:
        """The number of products in the longest sum, which the rounding error grows with."""
        return 4 + sum(int(block.shape[1]) for block in self.weights.values())

    @cached_property
    def row_norms(self) -> dict[int, Floats]:
        """The Euclidean norms ``(n,)`` of the rows of each block."""
        return {k: np.linalg.norm(block, axis=1) for k, block in self.weights.items()}


@dataclass(frozen=True, eq=False)
class ReLUProgram:
    """The layers in the order of evaluation; ``output`` is a layer whose activations are not taken."""

    inputs: int
    layers: tuple[Layer, ...]
    output: Layer

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """``(n_0, n_1, ..., n_L)``: the input dimension, then the neurons of each layer."""
        return (self.inputs, *(len(layer.bias) for layer in self.layers))

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """``(L + 1,)``: the number of the first neuron of each layer, then the number of all neurons."""
        return tuple(int(n) for n in np.cumsum([0, *self.widths[1:]]))

    @property
    def neurons(self) -> int:
        """N, the number of all hidden neurons."""
        return self.starts[-1]

    @property
    def outputs(self) -> int:
        """The dimension of F."""
        return len(self.output.bias)

    def layer_of(self, neuron: int) -> int:
        """The position in ``layers`` of a neuron's layer."""
        return int(np.searchsorted(self.starts, neuron, side="right")) - 1

    def neuron_name(self, neuron: int) -> str:
        """A neuron as the user knows it, for messages."""
        layer = self.layer_of(neuron)
        return f"neuron {neuron - self.starts[layer]} of layer {self.layers[layer].name!r}"

    def evaluate(self, points: Floats) -> tuple[Floats, Floats]:
        """``(b, N)`` pre-activations and ``(b, outputs)`` values of F at ``(b, d)`` points, in plain float64."""
        activations, before = [points], []
        for layer in self.layers:
            z = layer.bias + sum(activations[k] @ block.T for k, block in layer.weights.items())
            before.append(z)
            activations.append(np.where(z > 0, z, layer.slope * z))
        value = self.output.bias + sum(activations[k] @ block.T for k, block in self.output.weights.items())
        hidden = np.concatenate(before, axis=1) if before else np.empty((len(points), 0))
        return hidden, value

    def with_level_neuron(self, level: float) -> "ReLUProgram":
        """This network with ``F - level`` as one more neuron, which does not bend, so that its sign is recorded."""
        output = self.output
        extra = Layer(output.weights, output.bias - level, np.ones(1), "output")
        return ReLUProgram(self.inputs, (*self.layers, extra), output)
