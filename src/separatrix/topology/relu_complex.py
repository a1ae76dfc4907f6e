"""The canonical polyhedral complex of a ReLU network [grigsby2022]: all cells, exactly, in any input dimension.

C(F) is the set of closures of the sets on which the sign of every neuron's pre-activation is constant. For generic
networks a cell *is* its sign vector, and its dimension is d minus the number of zeros in it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from separatrix.errors import ComputationError, InputError
from separatrix.topology.complexes import CellComplex
from separatrix.topology.relu_cells import CellTable, build_cells
from separatrix.topology.relu_compile import compile_relu
from separatrix.topology.relu_program import ReLUProgram
from separatrix.topology.relu_subdivision import Subdivision, subdivide

__all__ = ["ReLUComplex", "complex_of_program", "relu_complex"]


@dataclass(frozen=True, eq=False)
class ReLUComplex:
    """The cells of C(F), bounded or not, and where its vertices lie.

    Attributes:
        program: the network in normal form.
        subdivision: all vertices and edges, those at infinity included.
        status: ``"complete"``, or ``"incomplete"`` where the budget ran out: then this is the complex of the first
            ``processed`` neurons only, and everything that needs all of them refuses.
    """

    program: ReLUProgram
    subdivision: Subdivision
    status: str

    @property
    def dimension(self) -> int:
        """d, the number of inputs."""
        return self.program.inputs

    @property
    def processed(self) -> int:
        """How many neurons the complex is cut along."""
        return self.subdivision.processed

    @property
    def exact_decisions(self) -> int:
        """How many vertices needed integer arithmetic because float64 could not certify a sign."""
        return self.subdivision.located.exact

    @cached_property
    def finite(self) -> Tensor:
        """Numbers, in the subdivision, of the vertices of C(F); the others are ends of rays."""
        return torch.from_numpy(np.flatnonzero((self.subdivision.zeros > self.dimension).all(axis=1)))

    @cached_property
    def vertices(self) -> Tensor:
        """``(f_0, d)`` float64 positions; cell ``i`` of dimension 0 is row ``i``."""
        return torch.from_numpy(self.subdivision.located.place[1])[self.finite]

    @cached_property
    def vertex_errors(self) -> Tensor:
        """``(f_0,)`` bounds on the error of every coordinate."""
        return torch.from_numpy(self.subdivision.located.place_error[1])[self.finite]

    @cached_property
    def values(self) -> Tensor:
        """``(f_0, outputs)``: F at the vertices."""
        self.require_complete("values")
        return torch.from_numpy(self.subdivision.located.value[1])[self.finite]

    @cached_property
    def cells(self) -> CellTable:
        """The cells around each vertex; a sort of ``3^d`` hashes a vertex, made when first asked for."""
        table = build_cells(self.subdivision)
        euler = sum((-1) ** k * count for k, count in enumerate(table.counts))
        if euler != (-1) ** self.dimension:
            raise ComputationError(
                f"The cell counts {table.counts} have alternating sum {euler} instead of {(-1) ** self.dimension}: "
                "two sign vectors have the same 64-bit hash; permute the neurons of a layer and try again."
            )
        return table

    @property
    def f_vector(self) -> tuple[int, ...]:
        """``(f_0, ..., f_d)``: the number of cells of each dimension; the alternating sum is ``(-1)^d``."""
        return self.cells.counts

    def signs(self, k: int) -> Tensor:
        """``(f_k, N)`` int8 sign vectors of the k-cells; ``+1`` is an active neuron, 0 one that vanishes."""
        return torch.from_numpy(self.cells.signs(k, self.subdivision))

    @cached_property
    def chain_complex(self) -> CellComplex:
        """The cells, lowest dimension first, with faces and incidence numbers over Z.

        An unbounded cell lacks its faces at infinity, so homology is that of R^d relative to infinity: Z in degree d.
        """
        return self.cells.chain_complex()

    def require_complete(self, what: str) -> None:
        """Refuse what an incomplete complex cannot answer."""
        if self.status != "complete":
            raise ComputationError(
                f"{what} needs the whole complex, but this one stopped after {self.processed} of {self.program.neurons} "
                "neurons; raise max_vertices, or use vertex_star for one vertex."
            )

    def __repr__(self) -> str:
        cells = " + ".join(str(count) for count in self.f_vector)
        tail = "" if self.status == "complete" else f", only {self.processed} of {self.program.neurons} neurons"
        return f"ReLUComplex({cells} cells of dimension 0..{self.dimension}, {self.status}{tail})"


def relu_complex(model: nn.Module, *, max_vertices: int = 2_000_000) -> ReLUComplex:
    """The canonical polyhedral complex of a network of Linear, ReLU and a few other layers.

    Every sign is certified: float64 with an error bound, integers where that is not enough. Nothing is lost far away:
    the complex is closed by a simplex at infinity, not by a box of some size. The model is read, not changed.

    Args:
        model: an ``nn.Sequential``, or any module with a traceable ``forward`` of one vector; residual sums are fine.
            float32 weights are taken as the numbers they are; BatchNorm (eval) and consecutive affine layers are
            multiplied out in float64.
        max_vertices: the budget, vertices at infinity included. Cutting along a neuron that would exceed it is not
            begun, and the complex of the neurons before it is returned with ``status == "incomplete"``. A vertex has
            about ``2^d`` cells; with three inputs a cell takes about 400 bytes, its share of the gradient included.

    Raises:
        InputError: an unsupported layer, NaN or infinite weights, a layer in training mode: each named.
        NonGenericError: more than d neurons vanish in one point, for example through duplicate neurons or
            several without bias; it names them.

    Cost: per vertex one forward pass and one d-system; 1e5 to 4e5 cells per CPU-second for 2 and 3 inputs.

    References:
        [grigsby2022] for the complex, [berzins2023] for edge subdivision.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> relu_complex(model).f_vector  # three lines in the plane: 3 points, 9 pieces, 7 regions
        (3, 9, 7)
    """
    return complex_of_program(compile_relu(model), max_vertices)


def complex_of_program(program: ReLUProgram, max_vertices: int) -> ReLUComplex:
    """The complex of a network in normal form."""
    if max_vertices < program.inputs + 1:
        raise InputError(
            f"max_vertices must be at least d + 1 = {program.inputs + 1}, the corners at infinity, got {max_vertices}."
        )
    subdivision = subdivide(program, max_vertices=max_vertices)
    status = "complete" if subdivision.processed == program.neurons else "incomplete"
    return ReLUComplex(program, subdivision, status)
