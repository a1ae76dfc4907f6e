"""Sparse least squares for flows: what of a flow a potential explains, with weights of any ratio.

Gradients on graphs come from a factorised Laplacian, all else from LSMR with refinement.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import lsmr

# Rounds of iterative refinement at most, and where they stop.
ROUNDS, TOLERANCE = 5, 1e-13
# Potentials of graphs with no more vertices come from a factorisation, which weights of any ratio do not harm.
DIRECT_UP_TO = 4000


def project_on_gradients(boundary: Any, root: Any, target: Any) -> tuple[Any, Any, float]:
    """``phi``, its weighted gradient ``root * (boundary.T @ phi)`` nearest to the target, and the relative residual.

    Args:
        boundary: from the cells of the flow to those below, ``(below, m)``.
        root: square roots of the weights, ``(m,)``.
        target: the flow times these, ``(m,)``.
    """
    matrix = sparse.csr_array(sparse.diags_array(root) @ boundary.T)
    graph = 0 < boundary.shape[0] <= DIRECT_UP_TO and boundary.shape[1] > 0 and _is_graph(boundary)
    return (_grounded if graph else project)(matrix, target)


def project(matrix: Any, target: Any) -> tuple[Any, Any, float]:
    """Least-norm ``x``, ``matrix @ x`` nearest to the target, and the relative residual of the normal equations.

    Columns are scaled to one length, so that weights cost few iterations; ``x`` is of least norm in these units, which
    changes no part.
    """
    x, size = np.zeros(matrix.shape[1]), float(np.linalg.norm(target))
    norm = float(sparse.linalg.norm(matrix)) if matrix.shape[1] else 0.0
    if size == 0 or norm == 0:
        return x, np.zeros_like(target), 0.0
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(0)).ravel())
    lengths[lengths == 0] = 1.0
    scaled = sparse.csr_array(matrix @ sparse.diags_array(1 / lengths))
    norm, gap = float(sparse.linalg.norm(scaled)), np.inf
    for _ in range(ROUNDS):
        better = (
            x + lsmr(scaled, target - scaled @ x, atol=1e-15, btol=1e-15, conlim=0, maxiter=20 * max(matrix.shape))[0]
        )
        now = float(np.linalg.norm(scaled.T @ (target - scaled @ better))) / (norm * size)
        if now >= gap:
            break
        x, gap = better, now
        if gap <= TOLERANCE:
            break
    return x / lengths, scaled @ x, gap


def _grounded(matrix: Any, target: Any) -> tuple[Any, Any, float]:
    """The same for the weighted gradient of a graph: its Laplacian, one vertex of each component held at 0, is factorised."""
    size = float(np.linalg.norm(target))
    if size == 0:
        return np.zeros(matrix.shape[1]), np.zeros_like(target), 0.0
    laplacian = sparse.csc_array(matrix.T @ matrix)
    count, component = connected_components(laplacian, directed=False)
    free = np.setdiff1d(np.arange(matrix.shape[1]), np.unique(component, return_index=True)[1])
    solve = sparse.linalg.factorized(laplacian[free][:, free].tocsc())
    x, gap = np.zeros(matrix.shape[1]), np.inf
    for _ in range(ROUNDS):
        better = x.copy()
        better[free] += solve((matrix.T @ (target - matrix @ x))[free])
        now = float(np.linalg.norm(matrix.T @ (target - matrix @ better))) / (float(sparse.linalg.norm(matrix)) * size)
        if now >= gap:
            break
        x, gap = better, now
    means = np.bincount(component, x, minlength=count) / np.bincount(component, minlength=count)
    return x - means[component], matrix @ x, gap


def _is_graph(boundary: Any) -> bool:
    """Every column one -1 and one +1."""
    ends = abs(boundary)
    return bool((ends.sum(0) == 2).all() and (boundary.sum(0) == 0).all() and ends.max() == 1)
