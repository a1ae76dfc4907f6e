"""Hodge decomposition of flows on graphs and complexes: gradient, curl and harmonic part, by sparse least squares.

A flow ``f`` on edges ``(a, b)`` is antisymmetric: from ``b`` to ``a`` it is ``-f``. With the gradient
``(d phi)_(a, b) = phi_b - phi_a`` and the curl of a triangle ``f_ab + f_bc - f_ac`` it is, uniquely,
``f = d phi + d* psi + h`` with ``h`` free of curl and divergence [jiang2011, theorem 2]. The parts are orthogonal in the
inner product ``sum_e w_e f_e g_e``. Edges run from the smaller to the larger vertex.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sparse
import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from separatrix.errors import InputError
from separatrix.probes.decompose.projections import project, project_on_gradients
from separatrix.probes.numbers import number

# A residual above this is said.
UNSOLVED = 1e-11
# Vertices without an edge that are let pass.
SPARE_VERTICES = 100_000


@dataclass(frozen=True)
class FlowDecomposition:
    """Three orthogonal parts of a flow, or of any function on the cells of one dimension of a complex.

    Attributes:
        gradient, curl, harmonic: the parts, ``(m,)`` float64; they add up to the flow.
        potential: ``phi`` on the cells one dimension below: mean zero on each component of a graph, else least squares'.
        circulation: ``psi`` on the cells one dimension above.
        shares: of the weighted squared norm, by part; NaN for the zero flow.
        residual: of the least-squares problems, ``|B^T r| / (|B| |f|)``: how far the parts are from orthogonal.
        components: of the graph; between components nothing is compared. 0 for other cells than edges.
        status: one sentence.
    """

    gradient: Tensor
    curl: Tensor
    harmonic: Tensor
    potential: Tensor
    circulation: Tensor
    shares: dict[str, float]
    residual: float
    components: int
    status: str

    @property
    def cyclic(self) -> float:
        """The share that no potential explains: curl and harmonic together."""
        return self.shares["curl"] + self.shares["harmonic"]


def decompose_flow(
    edges: Any,
    flow: Any,
    *,
    triangles: Any | str = "all",
    weights: Any = None,
) -> FlowDecomposition:
    """Gradient, curl and harmonic part of a flow on a graph.

    Args:
        edges: ``(m, 2)`` distinct vertex pairs, from where to where.
        flow: ``(m,)``.
        triangles: ``(t, 3)`` vertices whose edges are all there; ``"all"`` for every triangle of the graph; ``()`` for
            none, and then all that is no gradient is called harmonic.
        weights: ``(m,)`` positive; how much each edge counts.

    Raises:
        InputError: edges that repeat or join a vertex with itself, lists of unequal length, a triangle without its edges,
            weights that are not positive, or a flow that is not finite.

    Cost: two sparse least-squares problems; memory of the edges and triangles.

    References: [jiang2011, section 4].

    Example:
        >>> found = decompose_flow([(0, 1), (1, 2), (0, 2)], [1.0, 1.0, -1.0])
        >>> found.curl.tolist(), found.gradient.round(decimals=12).tolist()
        ([1.0, 1.0, -1.0], [0.0, 0.0, 0.0])
    """
    pairs = _vertices(edges, 2, "edges")
    values = _values(flow, len(pairs), "flow")
    low, high = pairs.min(1), pairs.max(1)
    if (low == high).any() or (low < 0).any():
        bad = pairs[(low == high) | (low < 0)][0]
        raise InputError(f"an edge joins two different vertices with labels from 0 on, got {tuple(bad.tolist())}.")
    count = int(pairs.max()) + 1 if len(pairs) else 0
    if count > SPARE_VERTICES + 2 * len(pairs):
        raise InputError(
            f"vertices are numbered from 0 on, {len(pairs)} edges reach vertex {count - 1}; number them without gaps: "
            "labels, numbers = np.unique(edges, return_inverse=True)."
        )
    key = low * count + high
    if len(np.unique(key)) < len(key):
        repeated = pairs[np.setdiff1d(np.arange(len(key)), np.unique(key, return_index=True)[1])[0]]
        raise InputError(f"the edge {tuple(repeated.tolist())} is given twice; merge repeats, as rank_by_hodge does.")
    sign = np.where(pairs[:, 0] < pairs[:, 1], 1.0, -1.0)
    rows = np.arange(len(pairs))
    ones = np.ones(len(pairs))
    lower = sparse.csr_array(
        (np.concatenate([-ones, ones]), (np.concatenate([low, high]), np.concatenate([rows, rows]))),
        shape=(count, len(pairs)),
    )
    corners = _triangles(triangles, key, count, low, high)
    found = decompose_cochain(values * sign, lower, _triangle_boundary(corners, key, count), weights=weights)
    direction = torch.as_tensor(sign)
    neighbours = sparse.coo_array((ones, (low, high)), shape=(count, count))
    components = connected_components(neighbours, directed=False)[0] if len(pairs) else 0
    return replace(
        found,
        gradient=direction * found.gradient,
        curl=direction * found.curl,
        harmonic=direction * found.harmonic,
        components=int(components),
    )


def rank_by_hodge(comparisons: Iterable[tuple[int, int, float]], *, weights: Any = None) -> FlowDecomposition:
    """HodgeRank: scores from pairwise comparisons, and how much of the comparisons goes in circles.

    Args:
        comparisons: ``(a, b, by)``: ``b`` is better than ``a`` by so much. Repeats are averaged and weigh as many.
        weights: of the comparisons, one each.

    Returns:
        The decomposition over the merged edges; ``potential`` holds the scores, larger is better; ``cyclic`` is the share
        of inconsistency, of which ``curl`` is local (in triangles) and ``harmonic`` is not.

    References: [jiang2011, section 5].

    Example:
        >>> scores = rank_by_hodge([(0, 1, 1.0), (1, 2, 1.0), (0, 2, 2.0)]).potential
        >>> scores.round(decimals=12).tolist()
        [-1.0, 0.0, 1.0]
    """
    rows = list(comparisons) if isinstance(comparisons, Iterable) else []
    if not rows:
        raise InputError("there is no comparison to rank by.")
    try:
        table = np.array([(a, b, v) for a, b, v in rows], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"a comparison is (a, b, by), two vertex numbers and a number: {error}.") from None
    pairs = _vertices(table[:, :2], 2, "comparisons")
    each = np.ones(len(rows)) if weights is None else _values(weights, len(rows), "weights")
    swap = table[:, 0] > table[:, 1]
    if (each <= 0).any():
        raise InputError(f"weights are positive, got {each.min():g}; leave a comparison out that does not count.")
    ends = np.sort(pairs, axis=1)
    by = np.where(swap, -table[:, 2], table[:, 2])
    merged, place = np.unique(ends, axis=0, return_inverse=True)
    weight = np.bincount(place, each, minlength=len(merged))
    mean = np.bincount(place, each * by, minlength=len(merged)) / weight
    return decompose_flow(merged, mean, weights=weight)


def decompose_cochain(values: Any, lower: Any, upper: Any, *, weights: Any = None) -> FlowDecomposition:
    """The same on the cells of any one dimension ``k`` of a complex.

    Args:
        values: ``(m,)`` on the ``k``-cells.
        lower: the boundary matrix from ``k`` to ``k - 1``, ``(below, m)``: sparse or dense, of torch, scipy or numpy;
            ``CellComplex.boundary(k)`` is one.
        upper: from ``k + 1`` to ``k``, ``(m, above)``.
        weights: ``(m,)`` positive.

    Raises:
        InputError: shapes that do not fit, or matrices whose product is not zero, so that they belong to no complex.
    """
    down, up = _sparse(lower), _sparse(upper)
    m = down.shape[1]
    flow = _values(values, m, "values")
    if up.shape[0] != m:
        raise InputError(f"lower has {m} columns and upper {up.shape[0]} rows; both count the same cells.")
    if up.shape[1] and abs(down @ up).max() > 0:
        raise InputError("the boundary of a boundary is zero, but lower @ upper is not: the matrices fit no complex.")
    weight = np.ones(m) if weights is None else _values(weights, m, "weights")
    if (weight <= 0).any():
        raise InputError(f"weights are positive, got {weight.min():g}; leave an edge out that does not count.")
    root = np.sqrt(weight)
    scaled = root * flow
    phi, first, gap_one = project_on_gradients(down, root, scaled)
    psi, second, gap_two = project(sparse.diags_array(1 / root) @ up, scaled)
    rest = scaled - first - second
    total = float(scaled @ scaled)
    parts = {"gradient": first, "curl": second, "harmonic": rest}
    shares = {name: float(part @ part) / total if total > 0 else float("nan") for name, part in parts.items()}
    gradient, curl, harmonic = (torch.as_tensor(part / root) for part in parts.values())
    residual = max(gap_one, gap_two)
    status = _sentence(shares, total, residual)
    return FlowDecomposition(
        gradient, curl, harmonic, torch.as_tensor(phi), torch.as_tensor(psi), shares, residual, 0, status
    )


def _vertices(given: Any, columns: int, name: str) -> Any:
    """``(m, columns)`` vertex numbers; ones with a fraction would be cut to other vertices without a word."""
    try:
        numbers = np.asarray(given, dtype=np.float64)
        table = numbers.reshape(-1, columns) if not numbers.size or numbers.shape[-1] == columns else None
    except (TypeError, ValueError):
        table = None
    if table is None or (table != np.floor(table)).any():
        raise InputError(
            f"{name} hold {columns} vertex numbers each, whole ones from 0 on, got {str(given)[:60]}; number other labels by "
            "np.unique(labels, return_inverse=True)."
        )
    return table.astype(np.int64)


def _triangles(wanted: Any | str, key: Any, count: int, low: Any, high: Any) -> Any:
    if isinstance(wanted, str):
        if wanted != "all":
            raise InputError(f"triangles is a list of vertex triples, or 'all'; got {wanted!r}.")
        later: dict[int, set[int]] = {}
        for a, b in zip(low.tolist(), high.tolist(), strict=True):
            later.setdefault(a, set()).add(b)
        rows = [(a, b, c) for a, ends in later.items() for b in ends for c in ends & later.get(b, set()) if b < c]
        return np.array(sorted(rows), dtype=np.int64).reshape(-1, 3)
    corners = np.sort(_vertices(wanted, 3, "triangles"), axis=1)
    known = set(key.tolist())
    for a, b, c in corners.tolist():
        missing = [(p, q) for p, q in ((a, b), (b, c), (a, c)) if p == q or p * count + q not in known]
        if missing:
            raise InputError(f"the triangle {(a, b, c)} needs the edge {missing[0]}, which is not among the edges.")
    return corners


def _triangle_boundary(corners: Any, key: Any, count: int) -> Any:
    order = np.argsort(key)
    a, b, c = corners.T
    places = [order[np.searchsorted(key[order], p * count + q)] for p, q in ((a, b), (b, c), (a, c))] if len(a) else []
    rows = np.concatenate(places) if places else np.zeros(0, dtype=np.int64)
    columns = np.tile(np.arange(len(a)), 3) if places else np.zeros(0, dtype=np.int64)
    signs = np.repeat([1.0, 1.0, -1.0], len(a)) if places else np.zeros(0)
    return sparse.csr_array((signs, (rows, columns)), shape=(len(key), len(a)))


def _sparse(matrix: Any) -> Any:
    if isinstance(matrix, Tensor):
        coo = (matrix if matrix.is_sparse else matrix.to_sparse()).coalesce()
        data = coo.values().double().numpy()
        return sparse.csr_array((data, tuple(coo.indices().numpy())), shape=tuple(coo.shape))
    return sparse.csr_array(matrix, dtype=np.float64)


def _values(values: Any, length: int, name: str) -> Any:
    array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=np.float64)
    if array.shape != (length,):
        raise InputError(f"{name} holds one number for each of the {length} cells, got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise InputError(
            f"{name} must be finite, got {array[~np.isfinite(array)][0]} at place {int(np.argmin(np.isfinite(array)))}."
        )
    return array


def _sentence(shares: dict[str, float], total: float, residual: float) -> str:
    if total == 0:
        return "Nothing flows."
    said = [f"{shares[name]:.1%} {name}" for name in ("gradient", "curl", "harmonic")]
    text = f"Of the squared norm {number(total)} of the flow {said[0]}, {said[1]}, {said[2]}."
    if residual > UNSOLVED:
        text += f" The least squares did not converge (residual {number(residual, 1)}): take weights that differ less."
    return text
