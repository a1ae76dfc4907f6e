"""The affine forms of the neurons of a ReLU network where their signs are given, batched over sign vectors."""

import numpy as np
import numpy.typing as npt

from separatrix.topology.relu_program import Floats, Layer, ReLUProgram

__all__ = ["Columns", "Signs", "combine", "layer_forms", "row_forms"]

Signs = npt.NDArray[np.int8]
Columns = npt.NDArray[np.int64]


def combine(layer: Layer, activations: list[Floats]) -> Floats:
    """``(n, ...)``: the sum of ``W_k a_k`` over the blocks of a layer, without its bias, for activations ``(width, ...)``."""
    total = np.zeros((len(layer.bias), *activations[0].shape[1:]))
    for k, block in layer.weights.items():
        a = activations[k]
        total += (block @ a.reshape(len(a), -1)).reshape(total.shape)
    return total


def row_forms(layer: Layer, rows: Columns, activations: list[Floats], columns: Columns) -> Floats:
    """``(b, d + 1)``: the form of one neuron of a layer in each of some columns of activations ``(n, d + 1, B)``."""
    forms = np.zeros((len(rows), activations[0].shape[1]))
    for k, block in layer.weights.items():
        a = activations[k] if len(columns) == activations[k].shape[2] else activations[k][:, :, columns]
        forms += np.einsum("bn,nqb->bq", block[rows], a)
    forms[:, -1] += layer.bias[rows]
    return forms


def layer_forms(program: ReLUProgram, signs: Signs, last: int) -> tuple[list[Floats], list[Floats]]:
    """Pre-activations of the layers ``0 .. last`` as affine forms, and the activations: layer L is the output.

    Args:
        program: the network.
        signs: ``(N, B)`` of the neurons up to layer ``last``; 0 counts as active, as on the coface to that side.
        last: the last layer wanted.

    Returns:
        For each layer ``(n, d + 1, B)``: coefficients of x, then the constant; and the activations, from the input
        to layer ``last``, in the same form.

    Cost: ``sum_l n_l n_{l-1} (d + 1)`` products for each of the B sign vectors.
    """
    d, size = program.inputs, signs.shape[1]
    identity = np.zeros((d, d + 1, size))
    identity[np.arange(d), np.arange(d)] = 1.0
    activations, forms = [identity], []
    for number, layer in enumerate((*program.layers, program.output)[: last + 1]):
        z = combine(layer, activations)
        z[:, d] += layer.bias[:, None]
        forms.append(z)
        if number < len(program.layers):
            own = signs[program.starts[number] : program.starts[number + 1]]
            activations.append(z * np.where(own >= 0, 1.0, layer.slope[:, None])[:, None, :])
    return forms, activations
