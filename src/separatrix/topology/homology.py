"""Homology of a cell complex: Betti numbers over GF(2), and Betti numbers with torsion over the integers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.topology.complexes import CellComplex

__all__ = ["IntegerHomology", "betti_numbers", "integer_homology", "persistent_partners"]


@dataclass(frozen=True)
class IntegerHomology:
    """``H_k = Z^betti[k] + sum_t Z/t`` over ``t`` in ``torsion[k]``, each ``t`` dividing the next."""

    betti: tuple[int, ...]
    torsion: tuple[tuple[int, ...], ...]


def betti_numbers(complex: CellComplex) -> tuple[int, ...]:
    """``(b_0, ..., b_d)`` over GF(2); relative Betti numbers if faces were left out.

    Cost: column reduction, near linear on what one meets and cubic at worst. For a large complex reduce it
    first: ``betti_numbers(morse_complex(lower_star_gradient(complex, values)).complex)`` is the same.

    Example:
        >>> betti_numbers(CellComplex.from_lists([0, 0, 1, 1], [[], [], [0, 1], [0, 1]]))
        (1, 1)
    """
    partner = persistent_partners(complex, torch.argsort(complex.dims, stable=True))
    essential = complex.dims[partner == torch.arange(len(complex))]
    return tuple(int(count) for count in torch.bincount(essential, minlength=complex.dimension + 1))


def persistent_partners(complex: CellComplex, order: Tensor) -> Tensor:
    """The persistence partner of each cell over GF(2), itself if it creates a class that never dies.

    Args:
        complex: the cells.
        order: ``(cells,)`` a permutation: the cells as they enter, faces before cofaces.

    Raises:
        InputError: a face enters after its coface.
    """
    from separatrix.topology.reduction import pair_columns

    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    late = place[complex.faces] > place[complex.cells_of_faces]
    late_pairs = torch.stack([complex.cells_of_faces[late], complex.faces[late]], dim=1)
    pairs, times = torch.unique(late_pairs, dim=0, return_counts=True)
    if bool((times % 2).any()):
        cell, face = pairs[times % 2 == 1][0].tolist()
        raise InputError(f"Faces must enter before their cofaces, but face {face} enters after cell {cell}.")
    by_place = torch.argsort(place[complex.cells_of_faces], stable=True)
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), complex.offsets.diff()[order].cumsum(0)])
    partner = pair_columns(
        offsets.numpy(), place[complex.faces[by_place]].numpy(), complex.dims[order].numpy(), complex.dimension
    )
    return order[torch.from_numpy(partner)[place]]


def integer_homology(complex: CellComplex) -> IntegerHomology:
    """Homology over the integers, by the Smith normal form of each boundary matrix, in exact arithmetic.

    Raises:
        InputError: the complex has no signs.

    Cost: for small complexes, up to some hundred cells per dimension. Reduce larger ones first to the Morse complex
    of a gradient, which has the same homology.

    Example:
        >>> projective_plane = CellComplex.from_lists([0, 1, 2], [[], [0, 0], [1, 1]], [[], [1, -1], [1, 1]])
        >>> integer_homology(projective_plane)
        IntegerHomology(betti=(1, 0, 0), torsion=((), (2,), ()))
    """
    counts = complex.f_vector
    factors = [smith_divisors(complex.boundary(k).to_dense().tolist()) for k in range(1, len(counts))]
    ranks = [0, *map(len, factors), 0]
    betti = tuple(count - ranks[k] - ranks[k + 1] for k, count in enumerate(counts))
    torsion = tuple(tuple(d for d in divisors if d > 1) for divisors in [*factors, []][: len(counts)])
    return IntegerHomology(betti, torsion)


def smith_divisors(matrix: list[list[int]]) -> list[int]:
    """The nonzero invariant factors ``d_1 | d_2 | ...`` of an integer matrix, in Python's unbounded integers."""
    rows = [list(row) for row in matrix if any(row)]
    divisors: list[int] = []
    while rows:
        size, i, j = min((abs(x), i, j) for i, row in enumerate(rows) for j, x in enumerate(row) if x)
        pivot = rows[i]
        for row in rows:
            if row is not pivot and row[j]:
                factor = row[j] // pivot[j]
                row[:] = [x - factor * y for x, y in zip(row, pivot, strict=True)]
        if any(row[j] for row in rows if row is not pivot):
            continue
        factors = [x // pivot[j] for x in pivot]
        remainders = [x - factor * pivot[j] for x, factor in zip(pivot, factors, strict=True)]
        if any(remainders):
            # Column operations act on the pivot row alone, because its column is clear.
            remainders[j] = pivot[j]
            pivot[:] = remainders
            continue
        foreign = next((row for row in rows if row is not pivot and any(x % size for x in row)), None)
        if foreign is not None:
            pivot[:] = [x + y for x, y in zip(pivot, foreign, strict=True)]
            continue
        divisors.append(size)
        rows = [row for row in rows if row is not pivot and any(row)]
    return divisors
