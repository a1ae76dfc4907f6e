"""Persistent homology over GF(2) by column reduction with clearing, compiled [chen2011]."""

import heapq

import numpy as np
import numpy.typing as npt

from separatrix.topology.compiled import compiled

__all__ = ["pair_columns"]

Integers = npt.NDArray[np.int64]


@compiled
def pair_columns(offsets: Integers, faces: Integers, dims: Integers, dimension: int) -> Integers:
    """The partner of each cell, itself if essential; cells are numbered in the order in which they enter.

    Columns are reduced from the highest dimension down, so the lower cells of pairs already found are known to
    have zero columns and are skipped. A column in work is a set of marks and a heap of candidates for its lowest one.
    """
    cells = len(dims)
    partner = np.arange(cells)
    owner = np.full(cells, -1, dtype=np.int64)  # the column whose lowest entry is here
    begin = np.zeros(cells, dtype=np.int64)
    end = np.zeros(cells, dtype=np.int64)
    stored = np.empty(len(faces) + 16, dtype=np.int64)
    used = 0
    marked = np.zeros(cells, dtype=np.bool_)
    for k in range(dimension, 0, -1):
        for column in range(cells):
            if dims[column] != k or partner[column] != column:
                continue
            heap = [np.int64(0) for _ in range(0)]
            for entry in range(offsets[column], offsets[column + 1]):
                row = faces[entry]
                marked[row] = not marked[row]
                if marked[row]:
                    heapq.heappush(heap, -row)
            while len(heap) > 0:
                lowest = -heapq.heappop(heap)
                if not marked[lowest]:
                    continue
                other = owner[lowest]
                if other < 0:
                    owner[lowest] = column
                    partner[lowest] = column
                    partner[column] = lowest
                    begin[column] = used
                    heapq.heappush(heap, -lowest)
                    for candidate in heap:
                        if marked[-candidate]:
                            marked[-candidate] = False
                            if used == len(stored):
                                stored = np.concatenate((stored, np.empty_like(stored)))
                            stored[used] = -candidate
                            used += 1
                    end[column] = used
                    break
                marked[lowest] = False
                for entry in range(begin[other], end[other]):
                    row = stored[entry]
                    if row != lowest:
                        marked[row] = not marked[row]
                        if marked[row]:
                            heapq.heappush(heap, -row)
    return partner
