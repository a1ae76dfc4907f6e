"""Level sets of a ReLU network, the decision boundary among them, and the topology of sub- and superlevel sets.

``F - level`` is appended as a neuron that does not bend; its zero cells are the level set. The cells on which it has
one sign are closed under cofaces, so by the nerve lemma the open set they cover has the homotopy type of their dual
complex, which is cubical: a k-cell is a cube of dimension ``top - k`` whose faces are its cofaces. No cell at
infinity is needed, and unbounded sets get their ordinary homology.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from separatrix.errors import InputError
from separatrix.topology.complexes import CellComplex
from separatrix.topology.homology import betti_numbers
from separatrix.topology.relu_compile import compile_relu
from separatrix.topology.relu_complex import ReLUComplex, complex_of_program
from separatrix.topology.relu_program import Layer, ReLUProgram

__all__ = ["LevelSet", "relu_level_set"]


@dataclass(frozen=True, eq=False)
class LevelSet:
    """The set ``{F = level}`` in the complex of the network with ``F - level`` as its last neuron.

    Attributes:
        complex: that complex.
        level: the level.
    """

    complex: ReLUComplex
    level: float

    @cached_property
    def _sides(self) -> tuple[Tensor, ...]:
        """For each dimension the sign of ``F - level`` on the cells."""
        table, sub = self.complex.cells, self.complex.subdivision
        return tuple(torch.from_numpy(table.last_signs(k, sub)) for k in range(self.complex.dimension + 1))

    @cached_property
    def f_vector(self) -> tuple[int, ...]:
        """The number of cells of dimension ``0 .. d - 1`` in the level set."""
        return tuple(int((side == 0).sum()) for side in self._sides[:-1])

    def cells(self, k: int) -> Tensor:
        """Which k-cells of the complex lie in the level set."""
        return torch.nonzero(self._sides[k] == 0).flatten()

    def betti_numbers(self) -> tuple[int, ...]:
        """``(b_0, ..., b_{d-1})`` over GF(2) of ``{F = level}``: its components, loops, ..."""
        return self._betti(0)

    def sublevel_betti_numbers(self) -> tuple[int, ...]:
        """``(b_0, ..., b_{d-1})`` over GF(2) of ``{F < level}``."""
        return self._betti(-1)

    def superlevel_betti_numbers(self) -> tuple[int, ...]:
        """``(b_0, ..., b_{d-1})`` over GF(2) of ``{F > level}``."""
        return self._betti(1)

    def dual_complex(self, side: int) -> CellComplex:
        """The cubical complex dual to the cells on which ``F - level`` has this sign; cubes in ascending dimension."""
        d, table = self.complex.dimension, self.complex.cells
        top = d if side else d - 1
        offsets, faces, signs, dims = [np.zeros(1, dtype=np.int64)], [], [], []
        total, place = 0, np.empty(0, dtype=np.int64)
        start = 0
        for k in range(top, -1, -1):
            own = np.flatnonzero(self._sides[k].numpy() == side)
            if k < top:
                cofaces, incidence = table.cofaces(k)
                width = 2 * (top - k)  # in the level set the last pair leaves it
                faces.append(place[cofaces[own, :width]].ravel())
                signs.append(incidence[own, :width].ravel())
                offsets.append(total + width * np.arange(1, len(own) + 1))
                total += width * len(own)
            else:
                offsets.append(np.zeros(len(own), dtype=np.int64))
            place = np.full(table.counts[k], -1)
            place[own] = start + np.arange(len(own))
            dims.append(np.full(len(own), top - k))
            start += len(own)
        return CellComplex(
            torch.from_numpy(np.concatenate(dims)),
            torch.from_numpy(np.concatenate(offsets)),
            torch.from_numpy(np.concatenate([*faces, np.empty(0, dtype=np.int64)])),
            torch.from_numpy(np.concatenate([*signs, np.empty(0, dtype=np.int8)])),
        )

    def _betti(self, side: int) -> tuple[int, ...]:
        found = betti_numbers(self.dual_complex(side))
        return (*found, *[0] * self.complex.dimension)[: self.complex.dimension]


def relu_level_set(model: nn.Module, level: float = 0.0, *, max_vertices: int = 2_000_000) -> LevelSet:
    """The level set ``{F = level}``; for two outputs the decision boundary ``{F_1 - F_0 = level}``.

    Args:
        model: as for ``relu_complex``, with one or two outputs.
        level: a value that F does not take at a vertex or on a whole region.
        max_vertices: the budget of the complex.

    Raises:
        InputError: more than two outputs, or as for ``relu_complex``.
        NonGenericError: F takes the value ``level`` at a vertex or on a region.
        ComputationError: the budget ran out.

    Cost: the complex of the network with one more neuron.

    Example:
        >>> from separatrix.topology import relu_level_set
        >>> model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)).double()
        >>> _ = [p.data.copy_(torch.tensor(v)) for p, v in zip(model.parameters(), (
        ...     [[1.0, 0.5], [-1.0, -0.5], [-0.5, 1.0], [0.5, -1.0]], [0.1] * 4, [[1.0] * 4], [-3.0]))]
        >>> relu_level_set(model).betti_numbers()  # a sum of four hinges: the boundary of an octagon
        (1, 1)
    """
    program = compile_relu(model)
    if program.outputs == 2:
        program = _difference(program)
    if program.outputs != 1:
        raise InputError(
            f"A level set needs one output, or two to take the difference of, got {program.outputs}; "
            "append a Linear layer that selects or combines them."
        )
    if not np.isfinite(level):
        raise InputError(f"level must be a finite number, got {level}.")
    complex = complex_of_program(program.with_level_neuron(float(level)), max_vertices)
    complex.require_complete("relu_level_set")
    return LevelSet(complex, float(level))


def _difference(program: ReLUProgram) -> ReLUProgram:
    """The network with ``F_1 - F_0`` as its only output."""
    output = program.output
    weights = {k: block[1:] - block[:1] for k, block in output.weights.items()}
    layer = Layer(weights, output.bias[1:] - output.bias[:1], output.slope[:1], output.name)
    return ReLUProgram(program.inputs, program.layers, layer)
