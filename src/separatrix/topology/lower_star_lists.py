"""Lower stars of a complex given by lists, compiled: ``ProcessLowerStars`` with two priority queues."""

import heapq

import numpy as np
import numpy.typing as npt

from separatrix.topology.compiled import compiled

__all__ = ["match_segments"]

Integers = npt.NDArray[np.int64]


@compiled
def match_segments(
    starts: Integers,
    order: Integers,
    place: Integers,
    offsets: Integers,
    faces: Integers,
    coface_offsets: Integers,
    cofaces: Integers,
) -> Integers:
    """The mates of all cells.

    ``order`` lists the cells by their vertices, highest first; ``place`` is its inverse. Then each lower star is
    one segment ``order[starts[i]:starts[i + 1]]``, begun by its vertex, and priorities are places.
    """
    cells = len(order)
    mate = np.arange(cells)
    free_faces = np.zeros(cells, dtype=np.int64)  # unpaired faces inside the star, the vertex not counted
    unpaired = np.ones(cells, dtype=np.bool_)
    taken = np.empty(2, dtype=np.int64)
    for segment in range(len(starts) - 1):
        start, stop = starts[segment], starts[segment + 1]
        if stop - start == 1:
            continue
        for position in range(start + 1, stop):
            cell = order[position]
            for entry in range(offsets[cell], offsets[cell + 1]):
                if place[faces[entry]] > start:
                    free_faces[cell] += 1
        ones = [np.int64(0) for _ in range(0)]
        zeros = [np.int64(0) for _ in range(0)]
        for position in range(start + 2, stop):
            if free_faces[order[position]] == 0:
                heapq.heappush(zeros, np.int64(position))
        mate[order[start]], mate[order[start + 1]] = order[start + 1], order[start]
        taken[0], taken[1], number = order[start], order[start + 1], 2
        unpaired[order[start]] = False
        while number > 0:
            for cell in taken[:number]:
                unpaired[cell] = False
            for cell in taken[:number]:
                if cell == order[start]:
                    continue
                for entry in range(coface_offsets[cell], coface_offsets[cell + 1]):
                    coface = cofaces[entry]
                    if place[coface] < stop and unpaired[coface]:
                        free_faces[coface] -= 1
                        if free_faces[coface] == 1:
                            heapq.heappush(ones, place[coface])
                        elif free_faces[coface] == 0:
                            heapq.heappush(zeros, place[coface])
            number = 0
            while len(ones) > 0 and number == 0:
                cell = order[heapq.heappop(ones)]
                if unpaired[cell] and free_faces[cell] == 1:
                    for entry in range(offsets[cell], offsets[cell + 1]):
                        if place[faces[entry]] > start and unpaired[faces[entry]]:
                            taken[0], taken[1], number = faces[entry], cell, 2
                    mate[taken[0]], mate[taken[1]] = taken[1], taken[0]
            while len(zeros) > 0 and number == 0:
                cell = order[heapq.heappop(zeros)]
                if unpaired[cell]:
                    taken[0], number = cell, 1
    return mate
