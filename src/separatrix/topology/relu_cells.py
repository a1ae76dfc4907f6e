"""All cells of a ReLU complex from its vertices: the dual complex is cubical.

Around a vertex with zero neurons ``c_1 .. c_m`` every choice ``tau in {0, +1, -1}^m`` is one cell, of dimension
``d - #{tau_k = 0}``; a cell is its sign vector, found from each of its vertices and kept once. Its cofaces set one
more zero to +1 or -1, so a k-cell has exactly ``2 (d - k)`` of them, read off at any one of its vertices. With the
cell co-oriented by ``dz_{c_1} ^ ... ^ dz_{c_r}`` over its zeros in ascending order the incidence numbers are those
of a cube:

    [coface with tau_j = sigma : cell] = (-1)^j sigma.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array

from separatrix.topology.complexes import CellComplex
from separatrix.topology.relu_forms import Columns, Signs
from separatrix.topology.relu_subdivision import Subdivision, column_hashes

__all__ = ["CellTable", "StarGroup", "build_cells", "star_choices"]


@dataclass(frozen=True, eq=False)
class StarGroup:
    """Vertices with the same number ``m`` of zero neurons (``m = d`` at finite ones) and the cells around each.

    Attributes:
        vertices: ``(n,)`` numbers in the subdivision.
        axes: ``(n, m)`` zero columns, ascending.
        ids: ``(n, 3^m)``: for each choice, in the order of :func:`star_choices`, the cell's number within its dimension.
    """

    vertices: Columns
    axes: Columns
    ids: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class CellTable:
    """The cells of every dimension.

    Attributes:
        dimension: d.
        groups: ``groups[m]`` holds the vertices with ``m`` zero neurons.
        counts: ``(f_0, ..., f_d)``.
        representative: per dimension ``(f_k, 3)``: a vertex of each cell as (group, row), and its choice there.
    """

    dimension: int
    groups: tuple[StarGroup, ...]
    counts: tuple[int, ...]
    representative: tuple[npt.NDArray[np.int32], ...]

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where the cells of each dimension start in a numbering of all cells, lowest dimension first."""
        return tuple(int(n) for n in np.cumsum([0, *self.counts]))

    def cofaces(self, k: int) -> tuple[Columns, npt.NDArray[np.int8]]:
        """``(f_k, 2 (d - k))`` numbers of the (k+1)-cells at each k-cell, and incidence numbers."""
        width = 2 * (self.dimension - k)
        cofaces = np.empty((self.counts[k], width), dtype=np.int64)
        incidence = np.tile(
            np.array([(-1) ** (j // 2) * (1 - 2 * (j % 2)) for j in range(width)], dtype=np.int8), (self.counts[k], 1)
        )
        for m, group in enumerate(self.groups):
            own = np.flatnonzero(self.representative[k][:, 0] == m)
            if len(own) == 0:
                continue
            _, row, choice = self.representative[k][own].T
            choices = star_choices(m)
            zero_axes = np.stack(
                [
                    np.flatnonzero(t == 0) if (t == 0).sum() == width // 2 else np.zeros(width // 2, dtype=np.int64)
                    for t in choices
                ]
            )
            step = 3 ** zero_axes[choice]
            for j in range(width // 2):
                for digit in (1, 2):
                    cofaces[own, 2 * j + digit - 1] = group.ids[row, choice + digit * step[:, j]]
        return cofaces, incidence

    def signs(self, k: int, subdivision: Subdivision) -> Signs:
        """``(f_k, N)`` sign vectors of the k-cells."""
        out = np.empty((self.counts[k], len(subdivision.signs) - self.dimension - 1), dtype=np.int8)
        for m, group in enumerate(self.groups):
            own = np.flatnonzero(self.representative[k][:, 0] == m)
            _, row, choice = self.representative[k][own].T
            rows = subdivision.signs[self.dimension + 1 :, group.vertices[row]].T.copy()
            np.put_along_axis(rows, group.axes[row] - self.dimension - 1, star_choices(m)[choice], axis=1)
            out[own] = rows
        return out

    def last_signs(self, k: int, subdivision: Subdivision) -> Signs:
        """``(f_k,)``: the last neuron's sign on each k-cell."""
        out = np.empty(self.counts[k], dtype=np.int8)
        for m, group in enumerate(self.groups):
            own = np.flatnonzero(self.representative[k][:, 0] == m)
            _, row, choice = self.representative[k][own].T
            at_vertex = subdivision.signs[-1, group.vertices[row]]
            # where the last neuron vanishes at the vertex it is the last axis of the star
            out[own] = np.where(at_vertex != 0, at_vertex, star_choices(m)[choice][:, -1] if m else 0)
        return out

    def chain_complex(self) -> CellComplex:
        """The cells as a complex over Z, faces listed in rows; unbounded cells lack their faces at infinity.

        So it is the chain complex of locally finite chains: its homology is that of R^d relative to infinity.
        """
        offsets, faces, signs = [np.zeros(self.counts[0], dtype=np.int64)], [], []
        total = 0
        for k in range(self.dimension):
            cofaces, incidence = self.cofaces(k)
            rows = np.arange(0, cofaces.size + 1, cofaces.shape[1])
            shape = self.counts[k], self.counts[k + 1]
            transposed = csr_array((incidence.ravel(), cofaces.ravel(), rows), shape=shape).tocsc()
            faces.append(self.starts[k] + transposed.indices.astype(np.int64))
            signs.append(transposed.data)
            offsets.append(total + transposed.indptr[:-1].astype(np.int64))
            total += cofaces.size
        offsets.append(np.array([total]))
        dims = np.repeat(np.arange(self.dimension + 1), self.counts)
        return CellComplex(
            torch.from_numpy(dims),
            torch.from_numpy(np.concatenate(offsets)),
            torch.from_numpy(np.concatenate([*faces, np.empty(0, dtype=np.int64)])),
            torch.from_numpy(np.concatenate([*signs, np.empty(0, dtype=np.int8)])),
        )


def star_choices(m: int) -> Signs:
    """``(3^m, m)``: all tau in {0, +1, -1}^m; row ``t`` has in place ``k`` the k-th ternary digit of t (0, 1, 2)."""
    digits = np.arange(3**m)[:, None] // 3 ** np.arange(m)[None, :] % 3
    return np.array([0, 1, -1], dtype=np.int8)[digits]


def build_cells(subdivision: Subdivision) -> CellTable:
    """Every cell once. Vertices keep their order: cell ``i`` of dimension 0 is the i-th finite vertex.

    Cost: a sort of ``m 3^d`` hashes, as much memory.
    """
    d = subdivision.zeros.shape[1]
    hidden = subdivision.zeros > d
    hashes = column_hashes(len(subdivision.signs))
    groups, keys = [], []
    for m in range(d + 1):
        vertices = np.flatnonzero(hidden.sum(axis=1) == m)
        axes = subdivision.zeros[vertices][hidden[vertices]].reshape(len(vertices), m)
        groups.append(StarGroup(vertices, axes, np.empty((len(vertices), 3**m), dtype=np.int32)))
        steps = star_choices(m).T.astype(np.int64).view(np.uint64)
        keys.append(subdivision.keys[vertices][:, None] + hashes[axes] @ steps)
    representatives, counts = [], []
    for k in range(d + 1):
        places = [(m, np.flatnonzero((star_choices(m) == 0).sum(axis=1) == d - k)) for m in range(d, d - k - 1, -1)]
        found = np.concatenate([keys[m][:, choices].ravel() for m, choices in places])
        unique, first, inverse = _unique(found, keep_order=k == 0)
        representative = np.empty((len(first), 3), dtype=np.int32)
        start = 0
        for m, choices in places:
            size = len(groups[m].vertices) * len(choices)
            groups[m].ids[:, choices] = inverse[start : start + size].reshape(-1, len(choices))
            own = np.flatnonzero((first >= start) & (first < start + size))
            row, which = np.divmod(first[own] - start, max(len(choices), 1))
            representative[own] = np.stack([np.full(len(own), m), row, choices[which]], axis=1)
            start += size
        representatives.append(representative)
        counts.append(len(unique))
    return CellTable(d, tuple(groups), tuple(counts), tuple(representatives))


def _unique(keys: npt.NDArray[np.uint64], *, keep_order: bool) -> tuple[npt.NDArray[np.uint64], Columns, Columns]:
    """Distinct keys, where each is found first, and which one each entry is; ``keep_order`` for distinct entries."""
    if keep_order:
        numbers = np.arange(len(keys))
        return keys, numbers, numbers
    order = np.argsort(keys)
    ordered = keys[order]
    new = np.ones(len(keys), dtype=np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    inverse = np.empty(len(keys), dtype=np.int64)
    inverse[order] = np.cumsum(new) - 1
    return ordered[new], order[new], inverse
