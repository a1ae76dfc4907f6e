"""The lower-star filtration of a function on vertices, with ties broken by index.

A cell enters with its highest vertex, so its value is ``max_{v in c} f(v)``. Vertices are compared by
``(f(v), index of v)``: simulation of simplicity, which makes every function injective, plateaus included, and every
result deterministic [edelsbrunner1990].
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.topology.complexes import CellComplex

__all__ = ["Filtration", "rank_of_values"]


@dataclass(frozen=True, eq=False)
class Filtration:
    """Values on vertices, and the highest vertex of each cell.

    Args:
        values: ``(vertices,)``, any real dtype; may require a gradient.
        vertex: ``(cells,)`` int64, the position in ``values`` of the highest vertex of each cell.

    Raises:
        InputError: a value is NaN or infinite.
    """

    values: Tensor
    vertex: Tensor

    @cached_property
    def rank(self) -> Tensor:
        """``(vertices,)``: the place of each vertex in the order by value, then index."""
        return rank_of_values(self.values)

    def of(self, cells: Tensor) -> Tensor:
        """Values at which these cells enter; differentiable, the gradient goes to the highest vertex."""
        return self.values[self.vertex[cells]]

    def sort(self, cells: Tensor, dims: Tensor) -> Tensor:
        """The permutation that puts these cells, of these dimensions, in the order in which they enter.

        Ties: the highest vertex's rank, then dimension, then the cell's index, so faces precede cofaces.
        """
        rank = self.rank[self.vertex[cells]]
        return torch.from_numpy(np.lexsort((cells.numpy(), dims.numpy(), rank.numpy())))

    @classmethod
    def lower_star(cls, complex: CellComplex, values: Tensor) -> "Filtration":
        """The filtration of ``values``, one for each 0-cell of the complex in the order of their indices.

        Raises:
            InputError: wrong number of values, a value that is not finite, or a cell without vertices.
        """
        vertices = complex.cells(0)
        if values.shape != vertices.shape:
            raise InputError(
                f"values must have shape ({len(vertices)},), one for each 0-cell, got {tuple(values.shape)}."
            )
        rank = rank_of_values(values)
        top = torch.full((len(complex),), -1, dtype=torch.int64)
        top[vertices] = rank
        for dimension in range(1, complex.dimension + 1):
            entries = complex.dims[complex.cells_of_faces] == dimension
            top.scatter_reduce_(0, complex.cells_of_faces[entries], top[complex.faces[entries]], "amax")
        if bool((top < 0).any()):
            cell = int(torch.nonzero(top < 0)[0])
            raise InputError(
                f"Cell {cell} of dimension {int(complex.dims[cell])} has no vertex, so no value; "
                "add its faces, or build Filtration(values, vertex) yourself."
            )
        filtration = cls(values, torch.argsort(rank)[top])
        filtration.__dict__["rank"] = rank  # known already: fill the cache
        return filtration


def rank_of_values(values: Tensor) -> Tensor:
    """``(vertices,)``: each entry's place in the order by value, then flat index; refuses NaN and infinity."""
    if values.device.type != "cpu":
        raise InputError(f"values must be on the CPU, got {values.device}; pass values.cpu(), gradients follow.")
    flat = values.detach().flatten()
    if flat.is_complex():
        raise InputError(f"values must be real, got {flat.dtype}; take .real or .abs().")
    finite = torch.isfinite(flat)
    if not bool(finite.all()):
        first = int(torch.nonzero(~finite)[0])
        raise InputError(
            f"values must be finite, got {float(flat[first])} at flat index {first} "
            f"({int((~finite).sum())} of {len(flat)} entries); replace them or cut them out of the complex."
        )
    order = torch.argsort(flat, stable=True)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    return rank
