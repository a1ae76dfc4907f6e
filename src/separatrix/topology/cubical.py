"""Cubical complexes: grids of vertices in any dimension, each axis open or periodic.

Cells sit on the doubled grid: along each axis even coordinates are vertices and odd ones the intervals between,
so a cell's dimension is its number of odd coordinates. Cells are numbered in C order over the doubled grid.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.topology.complexes import CellComplex
from separatrix.topology.filtration import Filtration, rank_of_values

__all__ = ["CubicalComplex"]


@dataclass(frozen=True)
class CubicalComplex:
    """The cubes of a grid with ``shape`` vertices.

    Args:
        shape: number of vertices along each axis.
        periodic: for each axis, whether its last vertex is joined to its first; one bool stands for all.

    Raises:
        InputError: no axis, an empty axis, or a periodic axis with fewer than three vertices (its two
            intervals would have the same ends).

    Cost:
        ``cells`` holds about ``8 (1 + 2 d)`` bytes per cell, and there are up to ``2^d`` cells per vertex.

    Example:
        >>> CubicalComplex((3, 3), periodic=True).cells.f_vector
        (9, 18, 9)
    """

    shape: tuple[int, ...]
    periodic: bool | tuple[bool, ...] = False

    def __post_init__(self) -> None:
        if len(self.shape) == 0 or min(self.shape) < 1:
            raise InputError(f"shape must have at least one axis and no empty one, got {tuple(self.shape)}.")
        if isinstance(self.periodic, tuple) and len(self.periodic) != len(self.shape):
            raise InputError(
                f"periodic must be one bool or one for each of {len(self.shape)} axes, got {self.periodic}."
            )
        for size, wraps in zip(self.shape, self.wraps, strict=True):
            if wraps and size < 3:
                raise InputError(f"A periodic axis needs at least 3 vertices, got shape {tuple(self.shape)}.")

    @property
    def wraps(self) -> tuple[bool, ...]:
        """For each axis, whether it is periodic."""
        if isinstance(self.periodic, tuple):
            return self.periodic
        return (self.periodic,) * len(self.shape)

    @property
    def cell_shape(self) -> tuple[int, ...]:
        """The shape of the doubled grid: ``2 n`` along a periodic axis, ``2 n - 1`` along an open one."""
        return tuple(2 * n - (not wraps) for n, wraps in zip(self.shape, self.wraps, strict=True))

    @cached_property
    def cells(self) -> CellComplex:
        """All cells with their faces; along an odd axis the upper face counts ``+``, signs alternate by axis."""
        indices = np.arange(int(np.prod(self.cell_shape))).reshape(self.cell_shape)
        dims = np.zeros(self.cell_shape, dtype=np.int64)
        for axis in range(len(self.shape)):
            along = [slice(None)] * len(self.shape)
            along[axis] = slice(1, None, 2)
            dims[tuple(along)] += 1
        offsets = np.zeros(dims.size + 1, dtype=np.int64)
        np.cumsum(2 * dims.ravel(), out=offsets[1:])
        starts = offsets[:-1].reshape(self.cell_shape)
        faces = np.empty(offsets[-1], dtype=np.int64)
        signs = np.empty(offsets[-1], dtype=np.int8)
        for odd in product((False, True), repeat=len(self.shape)):
            block = tuple(slice(int(is_odd), None, 2) for is_odd in odd)
            axes = [axis for axis, is_odd in enumerate(odd) if is_odd]
            for number, axis in enumerate(axes):
                for side, step in enumerate((-1, 1)):
                    entries = starts[block] + 2 * number + side
                    faces[entries] = np.roll(indices, -step, axis)[block]
                    signs[entries] = step * (-1) ** number
        return CellComplex(*map(torch.from_numpy, (dims.ravel(), offsets, faces, signs)))

    @cached_property
    def vertices(self) -> Tensor:
        """``(vertices,)``: the cell index of each vertex, vertices in C order over ``shape``."""
        indices = torch.arange(int(np.prod(self.cell_shape))).reshape(self.cell_shape)
        return indices[tuple(slice(None, None, 2) for _ in self.shape)].flatten()

    def centres(self, cells: Tensor) -> Tensor:
        """``(k, d)`` float64 centres of cells, in units of the grid's spacing, the first vertex at 0."""
        return torch.stack(torch.unravel_index(cells, self.cell_shape), dim=-1).to(torch.float64) / 2

    def filtration(self, values: Tensor) -> Filtration:
        """The lower-star filtration of ``values``, which has the grid's shape.

        Raises:
            InputError: another shape, or a value that is not finite.
        """
        if tuple(values.shape) != tuple(self.shape):
            raise InputError(f"values must have the grid's shape {self.shape}, got {tuple(values.shape)}.")
        rank = rank_of_values(values)
        top = rank.numpy().reshape(self.shape)
        for axis, wraps in enumerate(self.wraps):
            size = self.cell_shape[axis]
            doubled = np.empty((*top.shape[:axis], size, *top.shape[axis + 1 :]), dtype=np.int64)
            even = (slice(None),) * axis + (slice(0, None, 2),)
            odd = (slice(None),) * axis + (slice(1, None, 2),)
            doubled[even] = top
            pairs = np.maximum(top, np.roll(top, -1, axis))
            doubled[odd] = pairs if wraps else pairs[(slice(None),) * axis + (slice(0, -1),)]
            top = doubled
        filtration = Filtration(values.flatten(), torch.argsort(rank)[torch.from_numpy(top.ravel())])
        filtration.__dict__["rank"] = rank  # known already: fill the cache
        return filtration
