"""The vertices of a ReLU complex in ascending order of F, exactly; ties by a generic linear function.

Floating-point values with bounds decide most comparisons. Where intervals overlap, the values are taken as fractions.
Vertices joined by flat edges share one value.
"""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from separatrix.topology.pl_directions import EdgeSigns, ExactLookup, generic_direction
from separatrix.topology.relu_complex import ReLUComplex
from separatrix.topology.relu_forms import Columns
from separatrix.topology.relu_locate import UNIT
from separatrix.topology.relu_program import Floats

__all__ = ["vertex_order"]


def vertex_order(complex: ReLUComplex, signs: EdgeSigns) -> tuple[Floats, Columns]:
    """F at the vertices in ascending order, and the rank of each vertex: consistent with the sign of every edge.

    The values are moved within their error bounds so that they ascend.

    Cost: a sort, and an exact vertex for each value whose interval overlaps another's.
    """
    located, finite = complex.subdivision.located, complex.finite.numpy()
    value, error = located.value[1, finite, 0], located.value_error[1, finite, 0]
    lookup = ExactLookup(complex)

    a, b = signs.flat_edges.T
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(len(value), len(value)))
    count, flat_part = connected_components(graph, directed=False)
    best = np.lexsort((error, flat_part))
    member = best[np.searchsorted(flat_part[best], np.arange(count))]  # of each part the most accurate vertex
    place = _exact_ranks(value[member], error[member], lambda i: lookup(int(finite[member[i]])).output(1))[flat_part]

    l = generic_direction(complex.dimension)
    points = located.place[1, finite]
    along = points @ l
    spread = located.place_error[1, finite] * np.abs(l).sum() + (len(l) + 2) * UNIT * (np.abs(points) @ np.abs(l))

    def exactly_along(vertex: int) -> Fraction:
        return lookup(int(finite[vertex])).along(l, 1)

    tie = np.zeros(len(value), dtype=np.int64)
    tied = np.flatnonzero(np.bincount(place)[place] > 1)
    tied = tied[np.argsort(place[tied], kind="stable")]
    for group in np.split(tied, np.flatnonzero(np.diff(place[tied])) + 1):
        own = group.tolist()
        tie[group] = _exact_ranks(along[group], spread[group], lambda i, own=own: exactly_along(own[i]))  # type: ignore[misc]
    order = np.lexsort((tie, place))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return np.maximum.accumulate(value[member][flat_part][order]), rank


def _exact_ranks(value: Floats, error: Floats, exact: Callable[[int], Fraction]) -> Columns:
    """Dense ranks; equal only where the exact values are."""
    low, high = value - error, value + error
    order = np.argsort(low, kind="stable")
    reach = np.maximum.accumulate(high[order])
    apart = low[order][1:] > reach[:-1]
    rank = np.empty(len(value), dtype=np.int64)
    rank[order] = np.concatenate([[0], np.cumsum(apart)])[: len(order)]
    bounds = np.flatnonzero(np.concatenate([[True], apart, [True]])[: len(order) + 1])
    # ranks of a cluster are spread by position, so that the order of clusters stays as it is
    rank[order] = bounds[rank[order]]
    for start, end in pairwise(bounds.tolist()):
        if end - start > 1:
            cluster = order[start:end]
            exacts = [exact(int(i)) for i in cluster]
            places = {v: start + n for n, v in enumerate(sorted(set(exacts)))}
            rank[cluster] = [places[v] for v in exacts]
    return rank
