"""The vertices and edges of a ReLU complex, by cutting edges one neuron at a time.

The idea of edge subdivision is from [berzins2023]; here a vertex carries all its signs from birth, and it is placed
by solving for it, not by interpolation. For neuron ``i``, in the order of layers:

1. an edge is cut when its ends have opposite signs in column ``i``; the new vertex takes its other signs from
   whichever end is not zero there, and the edge is replaced by two halves;
2. inside the bent hyperplane every 2-face that was cut gets a new edge. A 2-face at a new vertex is the vertex's
   sign vector with one zero set to +1 or -1; exactly two new vertices share it. Faces are compared by a 64-bit
   hash of their signs.

Columns are the ``d + 1`` facets of a simplex at infinity (0 on it, +1 inside), then the neurons.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from separatrix.errors import ComputationError
from separatrix.topology.relu_exact import NonGenericError
from separatrix.topology.relu_forms import Columns, Signs
from separatrix.topology.relu_locate import Located, VertexLocator
from separatrix.topology.relu_program import ReLUProgram

__all__ = ["Hashes", "Subdivision", "column_hashes", "subdivide"]

Hashes = npt.NDArray[np.uint64]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Subdivision:
    """All vertices and edges, those at infinity included.

    Attributes:
        signs: ``(columns, m)`` int8, the columns of the neurons that are cut.
        zeros: ``(m, d)`` columns that vanish, ascending.
        keys: ``(m,)`` hashes of the neurons' signs.
        located: places and outputs of the vertices, with bounds.
        edges: ``(e, 2)`` vertex numbers.
        processed: how many neurons are cut; fewer than all when the budget ran out.
    """

    signs: Signs
    zeros: Columns
    keys: Hashes
    located: Located
    edges: Columns
    processed: int


def column_hashes(columns: int) -> Hashes:
    """``(columns,)`` fixed odd numbers; a sign vector hashes to their signed sum modulo 2^64."""
    numbers = np.random.default_rng(7).integers(0, 2**63, size=columns, dtype=np.uint64)
    return numbers * np.uint64(2) + np.uint64(1)


def subdivide(program: ReLUProgram, *, max_vertices: int) -> Subdivision:
    """Cut along every neuron, or as many as ``max_vertices`` allows.

    Raises:
        NonGenericError: more than ``d`` neurons vanish at a point.
        ComputationError: the new edges do not pair, which a generic network cannot cause.

    Cost: O(m d) per neuron and a sort of its new faces, plus the placing of each vertex; memory O(m columns).
    """
    state = _State(program)
    for neuron in range(program.neurons):
        if not state.cut(neuron, max_vertices):
            return state.result(neuron)
    return state.result(program.neurons)


class _State:
    """Arrays that grow by doubling; the first ``m`` vertices and ``e`` edges are in use."""

    def __init__(self, program: ReLUProgram) -> None:
        d = program.inputs
        self.program, self.d, self.facets = program, d, d + 1
        self.locator = VertexLocator(program)
        self.hashes = column_hashes(self.facets + program.neurons)
        self.m, self.e = d + 1, d * (d + 1) // 2
        # corner j of the simplex lies on every facet but j
        self.zeros = np.array([[c for c in range(d + 1) if c != j] for j in range(d + 1)]).reshape(d + 1, d)
        self.signs = np.zeros((self.facets + program.neurons, d + 1), dtype=np.int8)
        self.signs[: d + 1] = np.eye(d + 1, dtype=np.int8)
        self.edges = np.array([(a, b) for a in range(d + 1) for b in range(a)]).reshape(-1, 2)
        self.located = [self.locator.locate(self.signs, self.zeros, self.facets)]
        self.key = self.hashes[: d + 1].copy()

    def cut(self, neuron: int, max_vertices: int) -> bool:
        """Subdivide along one neuron; False, with nothing changed, if that would exceed the budget."""
        column = self.facets + neuron
        sign = self.signs[column]
        ends = sign[self.edges[: self.e]]
        cut = np.flatnonzero(ends[:, 0] * ends[:, 1] == -1)
        if self.m + len(cut) > max_vertices:
            return False
        if len(cut):
            a, b = self.edges[cut, 0], self.edges[cut, 1]
            self._add(column, cut, a, b)
        weight = self.signs[column, : self.m].astype(np.int64).view(np.uint64)
        self.key[: self.m] += weight * self.hashes[column]
        return True

    def _add(self, column: int, cut: Columns, a: Columns, b: Columns) -> None:
        count, d, old = len(cut), self.d, self.m
        candidates = self.zeros[a]
        at_b = self.signs[candidates, b[:, None]]
        shared = at_b == 0
        if not (shared.sum(axis=1) == d - 1).all():
            raise ComputationError(
                "An edge does not lie on d - 1 hyperplanes; the sign decisions contradict each other."
            )
        left = candidates[~shared]  # the hyperplane that is left on the way from a to b
        side = at_b[~shared]
        zeros = np.concatenate([candidates[shared].reshape(count, d - 1), np.full((count, 1), column)], axis=1)
        signs = self.signs[:, a]
        signs[left, np.arange(count)] = side
        signs[column] = 0
        located = self.locator.locate(signs, zeros, column + 1)
        key = self.key[a] + side.astype(np.int64).view(np.uint64) * self.hashes[left]

        fresh = np.arange(old, old + count)
        inside = self._pair(key, zeros[:, : d - 1], fresh)
        halves = np.stack([fresh, b], axis=1)
        self._reserve(count, count + len(inside))
        self.signs[:, old : old + count] = signs
        self.zeros[old : old + count] = zeros
        self.key[old : old + count] = key
        self.located.append(located)
        self.edges[cut, 1] = fresh
        self.edges[self.e : self.e + count] = halves
        self.edges[self.e + count : self.e + count + len(inside)] = inside
        self.m += count
        self.e += count + len(inside)

    def _pair(self, key: Hashes, axes: Columns, fresh: Columns) -> Columns:
        """Edges between the new vertices that share a 2-face: ``(pairs, 2)``."""
        step = self.hashes[axes]
        plus, minus = key[:, None] + step, (key[:, None] - step)[axes >= self.facets]
        owner = np.broadcast_to(fresh[:, None], axes.shape)
        faces = np.concatenate([plus.ravel(), minus])
        owners = np.concatenate([owner.ravel(), owner[axes >= self.facets]])
        order = np.argsort(faces)
        faces, owners = faces[order], owners[order]
        if len(faces) % 2 or (faces[::2] != faces[1::2]).any() or (faces[2::2] == faces[1:-1:2]).any():
            raise NonGenericError(
                "A 2-face is not cut in exactly two points: several hyperplanes meet where only d can; "
                "move the weights or biases slightly (by 1e-9, say)."
            )
        return np.stack([owners[::2], owners[1::2]], axis=1)

    def _reserve(self, vertices: int, edges: int) -> None:
        """Make room for so many more vertices and edges."""
        if self.m + vertices > len(self.zeros):
            room = 2 * (self.m + vertices)
            self.signs = _grown(self.signs.T, self.m, room, order="F").T
            self.zeros = _grown(self.zeros, self.m, room)
            self.key = _grown(self.key, self.m, room)
        if self.e + edges > len(self.edges):
            self.edges = _grown(self.edges, self.e, 2 * (self.e + edges))

    def result(self, processed: int) -> Subdivision:
        """What is there, trimmed."""
        parts = self.located
        located = Located(
            np.concatenate([part.place for part in parts], axis=1),
            np.concatenate([part.place_error for part in parts], axis=1),
            np.concatenate([part.value for part in parts], axis=1),
            np.concatenate([part.value_error for part in parts], axis=1),
            sum(part.exact for part in parts),
        )
        signs = self.signs[: self.facets + processed, : self.m].copy()
        zeros = self.zeros[: self.m].copy()
        keys = self.key[: self.m] - self.hashes[: self.facets] @ signs[: self.facets].astype(np.uint64)
        return Subdivision(signs, zeros, keys, located, self.edges[: self.e].copy(), processed)


def _grown(array: npt.NDArray[T], used: int, room: int, order: Literal["C", "F"] = "C") -> npt.NDArray[T]:
    """A longer copy along the first axis."""
    grown: npt.NDArray[T] = np.empty((room, *array.shape[1:]), dtype=array.dtype, order=order)
    grown[:used] = array[:used]
    return grown
