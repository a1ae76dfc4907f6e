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
def match_grid(
    rank: Integers, shape: Integers, periodic: Booleans, cell_shape: Integers, directions: Integers, faces: Integers
) -> Integers:
    """The mates of all cells of the grid, numbered in C order over ``cell_shape``."""
    dimension, star = len(shape), len(directions)
    strides = np.ones(dimension, dtype=np.int64)
    cell_strides = np.ones(dimension, dtype=np.int64)
    for axis in range(dimension - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
        cell_strides[axis] = cell_strides[axis + 1] * cell_shape[axis + 1]
    mate = np.arange(cell_strides[0] * cell_shape[0])

    present = np.ones((dimension, 3), dtype=np.bool_)  # by axis and step -1, 0, 1
    vertex_steps = np.zeros((dimension, 3), dtype=np.int64)
    cell_steps = np.zeros((dimension, 3), dtype=np.int64)
    heights = np.zeros(star, dtype=np.int64)  # rank of the far corner
    index = np.zeros(star, dtype=np.int64)  # of the star's cells in the grid
    inside = np.zeros(star, dtype=np.bool_)  # the lower star
    ascending = np.zeros(star, dtype=np.int64)  # lower neighbours by rank
    keys = np.zeros(star, dtype=np.int64)  # a cell's vertices as bits, higher vertices in higher bits
    lower = np.zeros(star, dtype=np.int64)  # the lower star sorted by key; places are bits below
    bit = np.zeros(star, dtype=np.int64)
    free_faces = np.zeros(star, dtype=np.int64)

    for vertex in range(len(rank)):
        centre = 0
        for axis in range(dimension):
            here = (vertex // strides[axis]) % shape[axis]
            first, last = here == 0, here == shape[axis] - 1
            centre += 2 * here * cell_strides[axis]
            present[axis, 0], present[axis, 2] = periodic[axis] or not first, periodic[axis] or not last
            vertex_steps[axis, 0] = (shape[axis] - 1 if first else -1) * strides[axis]
            vertex_steps[axis, 2] = (1 - shape[axis] if last else 1) * strides[axis]
            cell_steps[axis, 0] = (cell_shape[axis] - 1 if first else -1) * cell_strides[axis]
            cell_steps[axis, 2] = cell_strides[axis]

        index[0], inside[0] = centre, True
        found = 0
        for s in range(1, star):
            neighbour, cell, exists = vertex, centre, True
            for axis in range(dimension):
                step = directions[s, axis] + 1
                exists = exists and present[axis, step]
                neighbour += vertex_steps[axis, step]
                cell += cell_steps[axis, step]
            inside[s] = exists and rank[neighbour] < rank[vertex]
            for axis in range(dimension):
                inside[s] = inside[s] and inside[faces[s, axis]]
            if not inside[s]:
                continue
            heights[s], index[s] = rank[neighbour], cell
            slot = found
            while slot > 0 and heights[ascending[slot - 1]] > heights[s]:
                ascending[slot] = ascending[slot - 1]
                slot -= 1
            ascending[slot] = s
            found += 1
        if found == 0:
            continue

        for slot in range(found):
            keys[ascending[slot]] = 1 << slot
        size = 0
        for s in range(1, star):
            if not inside[s]:
                continue
            for axis in range(dimension):
                keys[s] |= keys[faces[s, axis]]
            slot = size
            while slot > 0 and keys[lower[slot - 1]] > keys[s]:
                lower[slot] = lower[slot - 1]
                slot -= 1
            lower[slot] = s
            size += 1
        for slot in range(size):
            bit[lower[slot]] = 1 << slot
        for slot in range(size):
            free_faces[slot] = 0
            for axis in range(dimension):
                face = faces[lower[slot], axis]
                if face != 0:
                    free_faces[slot] |= bit[face]

        mate[centre], mate[index[lower[0]]] = index[lower[0]], centre
        unpaired = (1 << size) - 2
        while unpaired != 0:
            critical, upper, below = -1, -1, 0
            for slot in range(size):
                if (unpaired >> slot) & 1:
                    below = free_faces[slot] & unpaired
                    if below == 0:
                        if critical < 0:
                            critical = slot
                    elif below & (below - 1) == 0:
                        upper = slot
                        break
            if upper < 0:
                unpaired &= ~(1 << critical)
                continue
            face = 0
            while (below >> face) != 1:
                face += 1
            unpaired &= ~(below | (1 << upper))
            a, b = index[lower[face]], index[lower[upper]]
            mate[a], mate[b] = b, a
    return mate
