"""Coordinates for a family of measures: the graph of short transports, its geodesics, and an embedding [hamm2023].

Distances *along* the family differ from distances in Wasserstein space wherever it bends; the shortest paths in the
graph of all pairs closer than a radius converge to them as samples become dense [hamm2025].
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree, shortest_path
from torch import Tensor

from separatrix.errors import InputError

__all__ = ["Embedding", "GeodesicGraph", "embed_distances", "geodesic_graph"]


@dataclass(frozen=True, eq=False)
class GeodesicGraph:
    """Shortest paths through pairs closer than a radius.

    Attributes:
        distances: ``(n, n)`` lengths of the shortest paths; never below the distances they were made of.
        edges: ``(e, 2)`` int64 pairs ``i < j``, each once.
        radius: the longest edge that was allowed.
    """

    distances: Tensor
    edges: Tensor
    radius: float


@dataclass(frozen=True, eq=False)
class Embedding:
    """Points in a Euclidean space whose distances resemble given ones.

    Attributes:
        points: ``(n, k)``, centred, axes by falling extent; defined up to reflections and, where eigenvalues agree,
            rotations.
        eigenvalues: ``(n,)`` of ``B = -1/2 J D J``, falling; the first k belong to the axes. The family is flat
            (isometric to points of R^k) exactly if all others are zero.
        residual: the largest ``| |x_i - x_j| - d_ij |``.
        stress: ``sqrt(sum (|x_i - x_j| - d_ij)^2 / sum d_ij^2)``.
    """

    points: Tensor
    eigenvalues: Tensor
    residual: float
    stress: float


def geodesic_graph(distances: Tensor, *, radius: float) -> GeodesicGraph:
    """The graph that joins measures closer than a radius, and the lengths of its shortest paths.

    Too large a radius cuts corners: a chord of a curve is short by a share of order ``radius^2``. Too small a one
    takes the graph apart, which is refused.

    Args:
        distances: ``(n, n)``, not squared.
        radius: edges have ``distance < radius``.

    Raises:
        InputError: the matrix is no matrix of distances, or the graph is in pieces; names the least radius that would do.

    Cost: O(n^2 log n + n e).

    References:
        [hamm2025].

    Example:
        >>> square = torch.tensor([[0.0, 1.0, 1.4, 1.0], [1.0, 0.0, 1.0, 1.4], [1.4, 1.0, 0.0, 1.0], [1.0, 1.4, 1.0, 0.0]])
        >>> float(geodesic_graph(square, radius=1.2).distances[0, 2])  # round the corner
        2.0
    """
    lengths = check_distances(distances).numpy()
    rows, columns = np.nonzero(np.triu(lengths < radius, 1))
    # Measures at distance zero are joined, too, which a dense matrix cannot tell from no edge.
    graph = csr_array((lengths[rows, columns], (rows, columns)), shape=lengths.shape)
    pieces, _ = connected_components(graph, directed=False)
    if pieces > 1:
        # Adding one keeps pairs at distance zero in the tree and changes no comparison.
        needed = float(minimum_spanning_tree(csr_array(np.triu(lengths + 1, 1))).max()) - 1
        raise InputError(
            f"With radius={radius:g} the graph falls into {pieces} pieces; it hangs together for a radius above {needed:.6g}."
        )
    paths = shortest_path(graph, directed=False)
    return GeodesicGraph(torch.from_numpy(paths), torch.from_numpy(np.stack([rows, columns], axis=1)), float(radius))


def embed_distances(distances: Tensor, *, dimension: int) -> Embedding:
    """Classical multidimensional scaling: the ``dimension`` leading eigenvectors of ``B = -1/2 J D J``.

    ``D`` holds the squared distances and ``J = I - 1/n`` centres. With Wasserstein distances this is Wassmap, which recovers
    translations and axis dilations of a measure exactly [hamm2023]; with those of a
    :func:`geodesic_graph` it unrolls families that bend.

    Args:
        distances: ``(n, n)``, not squared.
        dimension: k, of the space to embed into, below n.

    Raises:
        InputError: the matrix is no matrix of distances, or there are fewer than k positive eigenvalues.

    Cost: O(n^3).

    Example:
        >>> places = torch.tensor([0.0, 1.0, 3.0])
        >>> found = embed_distances((places[:, None] - places).abs(), dimension=1)
        >>> found.eigenvalues[0].round(decimals=9), found.residual < 1e-12  # 16/9 + 1/9 + 25/9
        (tensor(4.6667, dtype=torch.float64), True)
    """
    lengths = check_distances(distances)
    if not 1 <= dimension < len(lengths):
        raise InputError(f"dimension must lie in 1..{len(lengths) - 1} for {len(lengths)} measures, got {dimension}.")
    squared = lengths**2
    centred = squared - squared.mean(dim=0) - squared.mean(dim=1, keepdim=True) + squared.mean()
    eigenvalues, vectors = (part.flip(-1) for part in torch.linalg.eigh(-centred / 2))
    leading = eigenvalues[:dimension]
    positive = int((leading > len(lengths) * torch.finfo(torch.float64).eps * leading[0].clamp(min=0)).sum())
    if positive < dimension:
        raise InputError(
            f"The distances span {positive} dimensions, not dimension={dimension}; ask for at most {positive}."
        )
    points = vectors[:, :dimension] * leading.sqrt()
    off = (points[:, None] - points).norm(dim=-1) - lengths
    return Embedding(points, eigenvalues, float(off.abs().max()), float(off.norm() / lengths.norm()))


def check_distances(distances: Tensor) -> Tensor:
    """A matrix of distances in float64: square, finite, symmetric, nonnegative, zero on the diagonal."""
    shape = tuple(distances.shape)
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
        raise InputError(f"distances must be an (n, n) matrix with n of at least 2, got {shape}.")
    found = distances.detach().to("cpu", torch.float64)
    if not bool(torch.isfinite(found).all()) or float(found.min()) < 0:
        raise InputError(
            "distances must be finite and nonnegative; pass the distances, not -1/2 J D J or similarities."
        )
    tolerance = 1e-6 * float(found.max())
    if float((found - found.mT).abs().max()) > tolerance or float(found.diagonal().max()) > tolerance:
        raise InputError("distances must be symmetric with zeros on the diagonal; pass (D + D.T) / 2 if it should be.")
    return (found + found.mT) / 2
