"""Whether a piecewise linear function rises, falls or is flat along every edge at every vertex, decided exactly.

F is affine on an edge, so its sign of change is that of F(b) - F(a), or of the R-part of F at the end of a ray. Where the
error bounds leave it open, F is constant if no path of active neurons and nonzero weights joins input and output on
the edge; else the difference is taken in integers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

from separatrix.errors import InputError
from separatrix.topology.relu_complex import ReLUComplex
from separatrix.topology.relu_exact import ExactVertex, ExactVertices
from separatrix.topology.relu_forms import Columns, Signs
from separatrix.topology.relu_locate import UNIT
from separatrix.topology.relu_program import Floats

__all__ = ["EdgeSigns", "ExactLookup", "edge_signs", "generic_direction"]

Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class EdgeSigns:
    """Signs of change along the ``2 d`` edges at each vertex, on leaving it.

    Attributes:
        change: ``(f_0, d, 2)`` int8: of F, on leaving zero neuron ``k`` to its positive side ([..., 0]) or negative side.
        order: ``(f_0, d, 2)`` int8, never 0: the same with flat edges ordered by a fixed generic linear function
            ``l . x``, as if F were ``F + eps l``.
        flat_edges: ``(e, 2)`` 0-cells joined by a bounded flat edge.
        exact: how many edges needed integers.
    """

    change: Signs
    order: Signs
    flat_edges: Columns
    exact: int

    @cached_property
    def lower(self) -> Booleans:
        """``(f_0, d, 2)``: the descending directions, ties broken."""
        return self.order < 0

    @cached_property
    def touches_flat(self) -> Booleans:
        """``(f_0,)``: vertices with a flat edge."""
        return np.asarray((self.change == 0).any(axis=(1, 2)))


def generic_direction(dimension: int) -> Floats:
    """``(d,)``: the linear function ``l`` that orders flat edges, short dyadic numbers in generic position."""
    size = 1.0 + np.random.default_rng(11).integers(1, 2**20, size=dimension) * 2.0**-20
    return np.asarray(size * np.where(np.arange(dimension) % 2, -1.0, 1.0))


def edge_signs(complex: ReLUComplex) -> EdgeSigns:
    """The sign of change of F along every edge at every vertex of a complete complex.

    Raises:
        InputError: F has more than one output.
        ComputationError: the complex is incomplete.

    Cost: O(edges); an exact comparison costs two exact vertices.
    """
    complex.require_complete("The Morse theory of F")
    if complex.program.outputs != 1:
        raise InputError(
            f"Morse theory needs a network with one output, got {complex.program.outputs}; "
            "append a Linear layer that selects or combines them."
        )
    sub, d = complex.subdivision, complex.dimension
    number = np.full(len(sub.zeros), -1)
    number[complex.finite.numpy()] = np.arange(len(complex.finite))
    finite = number[sub.edges] >= 0
    edges = np.where(finite[:, :1], sub.edges, sub.edges[:, ::-1])[finite.any(axis=1)]
    comparison = _Comparison(complex, edges, number[edges[:, 1]] < 0)
    change = comparison.change()
    order = comparison.order(change == 0)
    order = np.where(change != 0, change, order).astype(np.int8)

    tables = np.zeros((2, len(complex.finite), d, 2), dtype=np.int8)
    for ends, sign in ((edges, 1), (edges[:, ::-1][number[edges[:, 1]] >= 0], -1)):
        kept = slice(None) if sign == 1 else number[edges[:, 1]] >= 0
        start, end = ends[:, 0], ends[:, 1]
        side = sub.signs[sub.zeros[start], end[:, None]]
        axis = np.argmax(side != 0, axis=1)
        place = number[start], axis, (side[np.arange(len(axis)), axis] < 0).astype(np.int64)
        tables[0][place], tables[1][place] = sign * change[kept], sign * order[kept]
    flat = (change == 0) & (number[edges[:, 1]] >= 0)
    return EdgeSigns(tables[0], tables[1], number[edges[flat]], comparison.exact)


class ExactLookup:
    """The vertices of a complex as fractions, each computed once."""

    def __init__(self, complex: ReLUComplex) -> None:
        self.subdivision, self.vertices = complex.subdivision, ExactVertices(complex.program)
        self.known: dict[int, ExactVertex] = {}

    def __call__(self, vertex: int) -> ExactVertex:
        """A vertex by its number in the subdivision."""
        if vertex not in self.known:
            signs = self.subdivision.signs[:, vertex].copy()
            self.known[vertex] = self.vertices.solve(signs, self.subdivision.zeros[vertex], len(signs))
        return self.known[vertex]


class _Comparison:
    """Differences of F, and of ``l . x``, from the first end of each edge to the second."""

    def __init__(self, complex: ReLUComplex, edges: Columns, ray: Booleans) -> None:
        self.program, self.sub, self.edges, self.ray = complex.program, complex.subdivision, edges, ray
        self.vertex = ExactLookup(complex)
        self.exact = 0

    def change(self) -> Signs:
        located, a, b = self.sub.located, self.edges[:, 0], self.edges[:, 1]
        value, error = located.value[:, :, 0], located.value_error[:, :, 0]
        difference = np.where(self.ray, value[0, b], value[1, b] - value[1, a])
        bound = np.where(self.ray, error[0, b], error[1, b] + error[1, a] + UNIT * np.abs(difference))
        signs: Signs = np.sign(difference).astype(np.int8)
        open_ = np.flatnonzero(~((np.abs(difference) > bound) | ((difference == 0) & (bound == 0))))
        flat = self._structurally_flat(open_)
        signs[open_[flat]] = 0
        for e in open_[~flat]:
            signs[e] = self._exact_sign(int(e), ExactVertex.output)
        return signs

    def order(self, flat: Booleans) -> Signs:
        """The sign of ``l . (x_b - x_a)``, certain on flat edges."""
        l = generic_direction(self.program.inputs)
        located, a, b = self.sub.located, self.edges[:, 0], self.edges[:, 1]
        reach = float(np.abs(l).sum())
        along, error = located.place @ l, located.place_error * reach
        error = error + (len(l) + 2) * UNIT * (np.abs(located.place) @ np.abs(l))
        difference = np.where(self.ray, along[0, b], along[1, b] - along[1, a])
        bound = np.where(self.ray, error[0, b], error[1, b] + error[1, a] + UNIT * np.abs(difference))
        signs: Signs = np.sign(difference).astype(np.int8)
        for e in np.flatnonzero((np.abs(difference) <= bound) & flat):
            signs[e] = self._exact_sign(int(e), lambda vertex, part: vertex.along(l, part))
        return signs

    def _exact_sign(self, e: int, measure: Callable[[ExactVertex, int], Fraction]) -> int:
        """The sign of a difference in fractions."""
        self.exact += 1
        start, end = (self.vertex(int(v)) for v in self.edges[e])
        difference = measure(end, 0) if self.ray[e] else measure(end, 1) - measure(start, 1)
        return (difference > 0) - (difference < 0)

    def _structurally_flat(self, edges: Columns) -> Booleans:
        """Where no chain of active neurons and nonzero weights leads from the input to the output."""
        program, d = self.program, self.program.inputs
        a, b = self.edges[edges].T
        signs = self.sub.signs[d + 1 :, a]
        signs = np.where(signs != 0, signs, self.sub.signs[d + 1 :, b])
        reached: dict[int, Floats] = {k: np.zeros((width, len(edges))) for k, width in enumerate(program.widths)}
        for number in range(len(program.layers), -1, -1):
            if number == len(program.layers):
                layer, passed = program.output, np.ones((1, len(edges)))
            else:
                layer = program.layers[number]
                own = signs[program.starts[number] : program.starts[number + 1]]
                active = (own > 0) | ((own < 0) & (layer.slope != 0)[:, None])
                passed = (reached[number + 1] > 0) & active
            for k, block in layer.weights.items():
                reached[k] += (block != 0).T.astype(np.float64) @ passed.astype(np.float64)
        return np.asarray((reached[0] == 0).all(axis=0))
