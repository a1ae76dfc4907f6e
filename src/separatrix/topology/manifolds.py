"""Stable and unstable sets of critical cells: basins, descending and ascending manifolds, separatrices.

Everything flows down, with minus the gradient: a minimum attracts the vertices of its basin, and the separatrices
that part the basins rise from the critical edges to the maxima.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.topology.gradient import DiscreteGradient

__all__ = ["VPaths", "ascending_manifold", "basins", "descending_manifold", "v_paths"]


def basins(gradient: DiscreteGradient) -> Tensor:
    """For each vertex, in the order of the 0-cells, the critical vertex to which its V-path leads.

    A vertex with mate ``b`` steps to the other end of the edge ``b``. Entries are cell indices; -1 where the path
    runs into a face that was left out of a relative complex.

    Cost: pointer doubling, ``O(vertices log(longest path))``.
    """
    complex = gradient.complex
    step = torch.arange(len(complex) + 1)
    step[-1] = -1
    vertices = complex.cells(0)
    moving = vertices[gradient.mate[vertices] != vertices]
    edges = gradient.mate[moving]
    step[moving] = -1
    for end in range(2):
        place = complex.offsets[edges] + end
        exists = place < complex.offsets[edges + 1]
        other = complex.faces[place[exists]]
        away = other != moving[exists]
        step[moving[exists][away]] = other[away]
    while True:
        twice = step[step]
        if torch.equal(twice, step):
            return step[vertices]
        step = twice


def descending_manifold(gradient: DiscreteGradient, cell: int) -> Tensor:
    """The cells of the same dimension that V-paths from a critical cell reach, itself included: its unstable set.

    Raises:
        InputError: the cell is not critical.

    Cost: proportional to the cells, for the marks.
    """
    return reached_level(gradient, cell, ascending=False)


def ascending_manifold(gradient: DiscreteGradient, cell: int) -> Tensor:
    """The cells of the same dimension from which V-paths reach a critical cell, itself included: its stable set.

    For a minimum these are the vertices of its basin.

    Raises:
        InputError: the cell is not critical.

    Cost: proportional to the cells, for the marks.
    """
    return reached_level(gradient, cell, ascending=True)


def reached_level(gradient: DiscreteGradient, cell: int, *, ascending: bool) -> Tensor:
    """A critical cell with the mates of the matched cells next to its level that V-paths reach."""
    from separatrix.topology.paths import reachable

    require_critical(gradient, cell)
    complex, mate = gradient.complex, gradient.mate
    lists = complex.cofaces if ascending else (complex.offsets, complex.faces)
    levels = -complex.dims if ascending else complex.dims
    offsets, faces = (part.numpy() for part in lists)
    met = torch.from_numpy(reachable(offsets, faces, mate.numpy(), levels.numpy(), cell))
    same = mate[met][complex.dims[mate[met]] == complex.dims[cell]]
    return torch.cat([same, torch.tensor([cell])]).sort().values


def require_critical(gradient: DiscreteGradient, cell: int) -> None:
    """Refuse a cell that is not critical."""
    if not 0 <= cell < len(gradient.mate):
        raise InputError(f"cell must lie in 0..{len(gradient.mate) - 1}, got {cell}.")
    if int(gradient.mate[cell]) != cell:
        raise InputError(f"cell must be critical, got {cell}, whose mate is {int(gradient.mate[cell])}.")


@dataclass(frozen=True, eq=False)
class VPaths:
    """V-paths from one critical cell.

    Args:
        paths: each an int64 tensor of cells ``c, a_0, b_0, a_1, ..., a_r``, from critical to critical.
        complete: False if there are more paths than were asked for.
    """

    paths: tuple[Tensor, ...]
    complete: bool


def v_paths(gradient: DiscreteGradient, cell: int, *, ascending: bool = False, max_paths: int = 1000) -> VPaths:
    """The V-paths from a critical cell down to critical cells one dimension below, or up to those above.

    From a critical edge down these are its two separatrices to minima; in ``d`` dimensions those of a critical
    ``(d-1)``-cell up lead to maxima. Between, there can be exponentially many: ``complete`` says whether all are
    there.

    Raises:
        InputError: the cell is not critical, or ``max_paths`` is below 1.

    Cost: the total length of the paths, and of walks that end in cells matched the other way.
    """
    require_critical(gradient, cell)
    if max_paths < 1:
        raise InputError(f"max_paths must be at least 1, got {max_paths}.")
    paths: list[Tensor] = []
    for path in walk(gradient, cell, ascending):
        if len(paths) == max_paths:
            return VPaths(tuple(paths), complete=False)
        paths.append(torch.tensor(path))
    return VPaths(tuple(paths), complete=True)


def walk(gradient: DiscreteGradient, cell: int, ascending: bool) -> Iterator[list[int]]:
    """All V-paths from a critical cell, depth first in the order of the lists."""
    complex = gradient.complex
    lists = complex.cofaces if ascending else (complex.offsets, complex.faces)
    offsets, faces, mate, dims = (part.numpy() for part in (*lists, gradient.mate, complex.dims))
    up = -1 if ascending else 1
    path = [cell]
    pending = [faces[offsets[cell] : offsets[cell + 1]].tolist()[::-1]]
    while pending:
        if not pending[-1]:
            pending.pop()
            del path[-2:]
            continue
        a = pending[-1].pop()
        b = int(mate[a])
        if a == b:
            yield [*path, a]
        elif dims[b] == dims[a] + up:
            path += [a, b]
            pending.append([face for face in faces[offsets[b] : offsets[b + 1]].tolist()[::-1] if face != a])
