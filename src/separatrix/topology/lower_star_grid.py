"""Lower stars of a grid in one to three dimensions, compiled: sets of cells are bits of one integer.

The star of a vertex has ``3^d <= 27`` cells, one for each direction in ``{-1, 0, 1}^d``. Its lower part is
sorted once by the cells' vertices, highest first; after that a set of cells is a bit mask over sorted places, and
both priority queues of ``ProcessLowerStars`` are scans for the lowest place with one, or no, free face.
"""

from itertools import product

import numpy as np
import numpy.typing as npt

from separatrix.topology.compiled import compiled

__all__ = ["match_grid", "star_tables"]

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


def star_tables(dimension: int) -> tuple[Integers, Integers]:
    """``(directions, faces)`` of the ``3^d`` cells of a star, smaller dimensions first, each ``(3^d, d)``.

    Cell ``s`` reaches from the centre towards ``directions[s]``; its far corner is the neighbour in that
    direction. ``faces[s]`` are the numbers of its faces in the star, filled up with 0, the centre.
    """
    directions = sorted(product((-1, 0, 1), repeat=dimension), key=lambda step: sum(map(abs, step)))
    number = {step: s for s, step in enumerate(directions)}
    faces = np.zeros((len(directions), dimension), dtype=np.int64)
    for s, step in enumerate(directions):
        for axis in range(dimension):
            if step[axis] != 0:
                faces[s, axis] = number[(*step[:axis], 0, *step[axis + 1 :])]
    return np.array(directions, dtype=np.int64), faces


@compiled
def insert(sorted_cells: Integers, count: int, keys: Integers, cell: int) -> None:
    """Put a cell in its place among the first ``count`` sorted by key."""
    slot = count
    while slot > 0 and keys[sorted_cells[slot - 1]] > keys[cell]:
        sorted_cells[slot] = sorted_cells[slot - 1]
        slot -= 1
    sorted_cells[slot] = cell


@compiled
def sort_star(star: Integers, ranks: Integers, faces: Integers, keys: Integers, lower: Integers) -> None:
    """Sort the cells of a lower star, given in order of dimension, by their vertices from the highest down.

    ``ranks`` are those of the far corners. A cell's vertices become bits of ``keys``, higher vertices in higher
    bits; then comparing sorted lists of vertices is comparing integers.
    """
    for count in range(len(star)):
        insert(lower, count, ranks, star[count])
    for slot in range(len(star)):
        keys[lower[slot]] = 1 << slot
    for count in range(len(star)):
        for face in faces[star[count]]:
            keys[star[count]] |= keys[face]
        insert(lower, count, keys, star[count])


@compiled
def pair_star(
    lower: Integers, faces: Integers, index: Integers, bit: Integers, below: Integers, mate: Integers
) -> None:
    """``ProcessLowerStars`` on sorted cells: the vertex takes the first, an edge; then cells with one free face.

    ``bit`` and ``below`` are scratch: each cell's place as a bit, and the mask of its faces by place.
    """
    for slot in range(len(lower)):
        bit[lower[slot]] = 1 << slot
    for slot in range(len(lower)):
        below[slot] = 0
        for face in faces[lower[slot]]:
            if face != 0:
                below[slot] |= bit[face]
    vertex, edge = index[0], index[lower[0]]
    mate[vertex], mate[edge] = edge, vertex
    unpaired = (1 << len(lower)) - 2
    while unpaired != 0:
        critical, upper, free = -1, -1, 0
        for slot in range(len(lower)):
            if (unpaired >> slot) & 1:
                free = below[slot] & unpaired
                if free == 0 and critical < 0:
                    critical = slot
                elif free != 0 and free & (free - 1) == 0:
                    upper = slot
                    break
        if upper < 0:
            unpaired &= ~(1 << critical)
            continue
        face = 0
        while (free >> face) != 1:
            face += 1
        unpaired &= ~(free | (1 << upper))
        a, b = index[lower[face]], index[lower[upper]]
        mate[a], mate[b] = b, a


@compiled
def match_grid(
    rank: Integers, shape: Integers, periodic: Booleans, cell_shape: Integers, directions: Integers, faces: Integers
) -> Integers:
    """The mates of all cells of the grid, numbered in C order over ``cell_shape``."""
    dimension, cells = len(shape), len(directions)
    strides = np.ones(dimension, dtype=np.int64)
    cell_strides = np.ones(dimension, dtype=np.int64)
    for axis in range(dimension - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
        cell_strides[axis] = cell_strides[axis + 1] * cell_shape[axis + 1]
    mate = np.arange(cell_strides[0] * cell_shape[0])

    present = np.ones((dimension, 3), dtype=np.bool_)  # by axis and step -1, 0, 1
    vertex_steps = np.zeros((dimension, 3), dtype=np.int64)
    cell_steps = np.zeros((dimension, 3), dtype=np.int64)
    index = np.zeros(cells, dtype=np.int64)  # of the star's cells in the grid
    inside = np.zeros(cells, dtype=np.bool_)  # the lower star, as marks and, without the vertex, as a list
    star = np.zeros(cells, dtype=np.int64)
    lower = np.zeros(cells, dtype=np.int64)  # the same, sorted
    ranks = np.zeros(cells, dtype=np.int64)
    keys = np.zeros(cells, dtype=np.int64)
    bit = np.zeros(cells, dtype=np.int64)
    below = np.zeros(cells, dtype=np.int64)
    for vertex in range(len(rank)):
        index[0], inside[0] = 0, True
        for axis in range(dimension):
            here = (vertex // strides[axis]) % shape[axis]
            first, last = here == 0, here == shape[axis] - 1
            index[0] += 2 * here * cell_strides[axis]
            present[axis, 0], present[axis, 2] = periodic[axis] or not first, periodic[axis] or not last
            vertex_steps[axis, 0] = (shape[axis] - 1 if first else -1) * strides[axis]
            vertex_steps[axis, 2] = (1 - shape[axis] if last else 1) * strides[axis]
            cell_steps[axis, 0] = (cell_shape[axis] - 1 if first else -1) * cell_strides[axis]
            cell_steps[axis, 2] = cell_strides[axis]
        size = 0
        for s in range(1, cells):
            neighbour, cell, belongs = vertex, index[0], True
            for axis in range(dimension):
                step = directions[s, axis] + 1
                belongs = belongs and present[axis, step] and inside[faces[s, axis]]
                neighbour += vertex_steps[axis, step]
                cell += cell_steps[axis, step]
            inside[s] = belongs and rank[neighbour] < rank[vertex]
            if inside[s]:
                ranks[s], index[s], star[size] = rank[neighbour], cell, s
                size += 1
        if size > 0:
            sort_star(star[:size], ranks, faces, keys, lower)
            pair_star(lower[:size], faces, index, bit, below, mate)
    return mate
