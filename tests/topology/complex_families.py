"""Families of complexes and functions with known homology, and the oracle that counts it another way."""

import gudhi
import numpy as np
import torch
from torch import Tensor

from separatrix.topology import CellComplex, CubicalComplex, Persistence, SimplicialComplex

# Minimal triangulations with (Betti over GF(2), Betti over Z, torsion).
SURFACES = {
    "sphere": ([(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)], (1, 0, 1), (1, 0, 1), ((), (), ())),
    "projective plane": (
        [(0, 1, 4), (0, 1, 5), (0, 2, 3), (0, 2, 5), (0, 3, 4), (1, 2, 3), (1, 2, 4), (1, 3, 5), (2, 4, 5), (3, 4, 5)],
        (1, 1, 1),
        (1, 0, 0),
        ((), (2,), ()),
    ),
    "torus": (
        [(i, (i + a) % 7, (i + 3) % 7) for i in range(7) for a in (1, 2)],
        (1, 2, 1),
        (1, 2, 1),
        ((), (), ()),
    ),
}


def klein_bottle() -> CellComplex:
    """One vertex, loops a and b, one square glued along a b a b^-1."""
    return CellComplex.from_lists(
        [0, 1, 1, 2], [[], [0, 0], [0, 0], [1, 2, 1, 2]], [[], [1, -1], [1, -1], [1, 1, 1, -1]]
    )


def prism(sides: int) -> CellComplex:
    """A solid prism over a polygon, without signs: vertices, edges, faces, one 3-cell; contractible."""
    n = sides
    ring = [(i + 1) % n for i in range(n)]
    edges = [[i, ring[i]] for i in range(n)] + [[n + i, n + ring[i]] for i in range(n)] + [[i, n + i] for i in range(n)]
    start = 2 * n
    faces = [
        [start + i for i in range(n)],
        [start + n + i for i in range(n)],
        *([start + i, start + n + i, start + 2 * n + i, start + 2 * n + ring[i]] for i in range(n)),
    ]
    walls = [start + 3 * n + i for i in range(n + 2)]
    dims = [0] * (2 * n) + [1] * (3 * n) + [2] * (n + 2) + [3]
    return CellComplex.from_lists(dims, [[] for _ in range(2 * n)] + edges + faces + [walls])


def random_simplices(seed: int) -> list[tuple[int, ...]]:
    """Some random simplices of dimension up to three on ten vertices."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, size=rng.integers(5, 30))
    return [tuple(rng.choice(10, size=size, replace=False).tolist()) for size in sizes]


def random_function(shape: tuple[int, ...], seed: int) -> Tensor:
    """Gaussian values, or few integers (many ties) for every third seed."""
    generator = torch.Generator().manual_seed(seed)
    if seed % 3 == 2:
        return torch.randint(0, 4, shape, generator=generator).to(torch.float64)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def gudhi_of_grid(grid: CubicalComplex, values: Tensor) -> list[list[tuple[float, float]]]:
    """Bars of positive length by dimension, from gudhi."""
    if any(grid.wraps):
        complex = gudhi.PeriodicCubicalComplex(vertices=values.numpy(), periodic_dimensions=list(grid.wraps))
    else:
        complex = gudhi.CubicalComplex(vertices=values.numpy())
    complex.compute_persistence(homology_coeff_field=2)
    return [bars_of(complex, k) for k in range(len(grid.shape) + 1)]


def gudhi_of_simplices(complex: SimplicialComplex, values: Tensor) -> list[list[tuple[float, float]]]:
    """Bars of positive length by dimension, from gudhi."""
    tree = gudhi.SimplexTree()
    labels = complex.vertices[0].flatten().tolist()
    height = dict(zip(labels, values.tolist(), strict=True))
    for rows in complex.vertices:
        for row in rows.tolist():
            tree.insert(row, max(height[label] for label in row))
    tree.compute_persistence(homology_coeff_field=2, persistence_dim_max=True)
    return [bars_of(tree, k) for k in range(len(complex.vertices))]


def bars_of(computed: gudhi.SimplexTree | gudhi.CubicalComplex, dimension: int) -> list[tuple[float, float]]:
    return sorted(map(tuple, np.asarray(computed.persistence_intervals_in_dimension(dimension)).tolist()))


def bars(found: Persistence, dimension: int) -> list[tuple[float, float]]:
    return sorted(map(tuple, found.diagram(dimension).detach().tolist()))


def padded(numbers: tuple[int, ...], length: int = 6) -> tuple[int, ...]:
    """Betti numbers with the zeros of dimensions that a complex does not have."""
    return numbers + (0,) * (length - len(numbers))
