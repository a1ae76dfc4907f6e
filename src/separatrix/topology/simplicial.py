"""Simplicial complexes: the closure of a set of simplices given by their vertices."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.topology.complexes import CellComplex

__all__ = ["SimplicialComplex"]


@dataclass(frozen=True, eq=False)
class SimplicialComplex:
    """Simplices of all dimensions; cells are numbered by dimension, then by their sorted vertices.

    Args:
        cells: the complex; the face without the ``i``-th vertex has sign ``(-1)^i``.
        vertices: for each dimension ``k`` the vertex labels ``(f_k, k + 1)`` of its simplices, ascending in a row.

    Example:
        >>> SimplicialComplex.from_simplices([(0, 1, 2), (1, 2, 3)]).cells.f_vector
        (4, 5, 2)
    """

    cells: CellComplex
    vertices: tuple[Tensor, ...]

    @classmethod
    def from_simplices(cls, simplices: Iterable[Sequence[int]] | Tensor) -> "SimplicialComplex":
        """The smallest complex with these simplices, for instance the triangles ``(m, 3)`` of a mesh.

        Raises:
            InputError: a repeated vertex in a simplex, a negative label, or no simplex at all.

        Cost: sorting the simplices of each dimension once.
        """
        given: dict[int, list[Tensor]] = {}
        for rows in [simplices] if isinstance(simplices, Tensor) else map(one_row, simplices):
            given.setdefault(rows.shape[1] - 1, []).append(rows.sort(dim=1).values)
        if not given:
            raise InputError("simplices must hold at least one simplex, got none.")
        for rows in (row for group in given.values() for row in group):
            repeated = (rows.diff(dim=1) == 0).any(dim=1) | (rows[:, 0] < 0)
            if bool(repeated.any()):
                raise InputError(
                    f"The vertices of a simplex must be distinct and not negative, got {rows[repeated][0].tolist()}."
                )
        vertices: list[Tensor] = []
        rows_of_faces: list[Tensor] = []
        for k in range(max(given), -1, -1):
            implied = [drop_one(vertices[-1])] if vertices else []
            faces = len(implied[0]) if implied else 0
            unique, inverse = torch.unique(torch.cat([*implied, *given.get(k, [])]), dim=0, return_inverse=True)
            if implied:
                rows_of_faces.append(inverse[:faces].reshape(-1, k + 2))
            vertices.append(unique)
        vertices.reverse()
        rows_of_faces.reverse()
        counts = torch.tensor([len(rows) for rows in vertices])
        starts = counts.cumsum(0) - counts
        dims = torch.repeat_interleave(torch.arange(len(counts)), counts)
        lengths = torch.where(dims > 0, dims + 1, 0)
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        empty = torch.zeros(0, dtype=torch.int64)
        all_faces = torch.cat([empty, *((rows + starts[k]).flatten() for k, rows in enumerate(rows_of_faces))])
        signs = [(1 - 2 * (torch.arange(k + 2) % 2)).repeat(len(rows)) for k, rows in enumerate(rows_of_faces)]
        return cls(CellComplex(dims, offsets, all_faces, torch.cat([empty, *signs]).to(torch.int8)), tuple(vertices))


def one_row(simplex: Sequence[int]) -> Tensor:
    """One simplex as a tensor of one row."""
    if len(simplex) == 0:
        raise InputError("A simplex needs at least one vertex, got an empty one.")
    return torch.tensor([tuple(simplex)], dtype=torch.int64)


def drop_one(simplices: Tensor) -> Tensor:
    """All faces ``(m (k + 1), k)`` of ``m`` simplices, the ``i``-th without the ``i``-th vertex."""
    count = simplices.shape[1]
    keep = torch.tensor([[j for j in range(count) if j != i] for i in range(count)], dtype=torch.int64)
    return simplices[:, keep].reshape(-1, count - 1)
