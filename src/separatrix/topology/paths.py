"""Walks along V-paths, compiled: closed paths, boundaries of critical cells, unique paths and their reversal.

All of them see the graph whose nodes are ``p``-cells and whose arrows go from ``a`` to the other faces of its mate
``b > a``. Exchanging faces for cofaces turns every walk upside down, so ascending walks are the same code on the
transposed lists.
"""

import numpy as np
import numpy.typing as npt

from separatrix.topology.compiled import compiled

__all__ = ["boundaries", "has_closed_path", "reachable", "reverse_paths"]

Integers = npt.NDArray[np.int64]
Signs = npt.NDArray[np.int8]
Booleans = npt.NDArray[np.bool_]


@compiled
def has_closed_path(offsets: Integers, faces: Integers, mate: Integers, dims: Integers) -> bool:
    """Whether some V-path returns to its start: depth-first search with three colours."""
    cells = len(mate)
    colour = np.zeros(cells, dtype=np.int8)  # 0 unseen, 1 on the stack, 2 done
    stack = np.empty(cells, dtype=np.int64)
    cursor = np.zeros(cells, dtype=np.int64)
    for root in range(cells):
        if colour[root] != 0 or dims[mate[root]] != dims[root] + 1:
            continue
        top = 0
        stack[0] = root
        colour[root] = 1
        while top >= 0:
            a = stack[top]
            b = mate[a]
            if dims[b] != dims[a] + 1 or offsets[b] + cursor[a] >= offsets[b + 1]:
                colour[a] = 2
                top -= 1
                continue
            face = faces[offsets[b] + cursor[a]]
            cursor[a] += 1
            if face == a:
                continue
            if colour[face] == 1:
                return True
            if colour[face] == 0:
                colour[face] = 1
                top += 1
                stack[top] = face
    return False


@compiled
def visit(
    offsets: Integers,
    faces: Integers,
    mate: Integers,
    levels: Integers,
    source: int,
    seen: Integers,
    stack: Integers,
    cursor: Integers,
    finished: Integers,
) -> int:
    """Depth-first search from the faces of ``source``; returns how many cells ``finished`` now lists.

    Read backwards, ``finished`` is a topological order of the cells that V-paths from ``source`` reach.
    """
    count = 0
    for entry in range(offsets[source], offsets[source + 1]):
        if seen[faces[entry]] == source:
            continue
        top = 0
        stack[0] = faces[entry]
        cursor[0] = 0
        seen[faces[entry]] = source
        while top >= 0:
            a = stack[top]
            b = mate[a]
            place = offsets[b] + cursor[top]
            if levels[b] != levels[a] + 1 or place >= offsets[b + 1]:
                finished[count] = a
                count += 1
                top -= 1
                continue
            cursor[top] += 1
            face = faces[place]
            if seen[face] != source:
                seen[face] = source
                top += 1
                stack[top] = face
                cursor[top] = 0
    return count


@compiled
def reachable(offsets: Integers, faces: Integers, mate: Integers, levels: Integers, source: int) -> Integers:
    """All cells, one level below ``source``, that V-paths from ``source`` reach."""
    cells = len(mate)
    seen = np.full(cells, -1, dtype=np.int64)
    finished = np.empty(cells, dtype=np.int64)
    count = visit(offsets, faces, mate, levels, source, seen, np.empty_like(seen), np.empty_like(seen), finished)
    return finished[:count]


@compiled
def boundaries(
    offsets: Integers, faces: Integers, signs: Signs, mate: Integers, levels: Integers, sources: Integers
) -> tuple[Integers, Integers, Integers, bool]:
    """Boundaries of ``sources`` in the Morse complex: ``(offsets, cells, coefficients, in range)``.

    A face ``a`` with mate ``b`` and incidence ``e = [b : a]`` is replaced by ``a - e d b``, until only critical
    cells are left. Without signs (an empty array) coefficients are added modulo two.
    """
    cells = len(mate)
    seen = np.full(cells, -1, dtype=np.int64)
    stack = np.empty(cells, dtype=np.int64)
    cursor = np.empty(cells, dtype=np.int64)
    finished = np.empty(cells, dtype=np.int64)
    coefficient = np.zeros(cells, dtype=np.int64)
    out_offsets = np.zeros(len(sources) + 1, dtype=np.int64)
    out_cells = np.empty(4 * len(sources) + 16, dtype=np.int64)
    out_values = np.empty(4 * len(sources) + 16, dtype=np.int64)
    modulo_two = len(signs) == 0
    in_range = True
    total = 0
    for number in range(len(sources)):
        source = sources[number]
        count = visit(offsets, faces, mate, levels, source, seen, stack, cursor, finished)
        for entry in range(offsets[source], offsets[source + 1]):
            coefficient[faces[entry]] += 1 if modulo_two else signs[entry]
        for place in range(count - 1, -1, -1):
            a = finished[place]
            b = mate[a]
            value = coefficient[a] & 1 if modulo_two else coefficient[a]
            coefficient[a] = 0
            if value == 0:
                continue
            if abs(value) > 1 << 40:
                in_range = False
            if b == a:
                if total == len(out_cells):
                    out_cells = np.concatenate((out_cells, np.empty_like(out_cells)))
                    out_values = np.concatenate((out_values, np.empty_like(out_values)))
                out_cells[total] = a
                out_values[total] = value
                total += 1
            elif levels[b] == levels[a] + 1:
                own = 1
                if not modulo_two:
                    for entry in range(offsets[b], offsets[b + 1]):
                        if faces[entry] == a:
                            own = signs[entry]
                for entry in range(offsets[b], offsets[b + 1]):
                    if faces[entry] != a:
                        coefficient[faces[entry]] += value if modulo_two else -own * signs[entry] * value
        out_offsets[number + 1] = total
    return out_offsets, out_cells[:total], out_values[:total], in_range


@compiled
def at_most_three(number: int) -> int:
    """The number itself up to three, above that two or three with the same parity."""
    return number if number < 4 else 2 + (number & 1)


@compiled
def reverse_paths(
    offsets: Integers,
    faces: Integers,
    mate: Integers,
    levels: Integers,
    entry_order: Integers,
    sources: Integers,
    targets: Integers,
) -> Booleans:
    """Cancel critical pairs joined by exactly one V-path, in order, by reversing it; writes into ``mate``.

    A target must also be, among the critical cells that an odd number of V-paths joins to its source, the one with the
    largest ``entry_order``: then cofaces still enter after faces. Refused pairs are tried again after the others,
    until nothing changes. Numbers of V-paths are kept as 0, 1, 2 (even, more than none) and 3 (odd, more than one).
    """
    cells = len(mate)
    seen = np.full(cells, -1, dtype=np.int64)
    stack = np.empty(cells, dtype=np.int64)
    cursor = np.empty(cells, dtype=np.int64)
    finished = np.empty(cells, dtype=np.int64)
    paths = np.zeros(cells, dtype=np.int64)
    parent = np.empty(cells, dtype=np.int64)
    done = np.zeros(len(sources), dtype=np.bool_)
    progress = True
    while progress:
        progress = False
        seen[:] = -1
        for number in range(len(sources)):
            if done[number]:
                continue
            source, target = sources[number], targets[number]
            count = visit(offsets, faces, mate, levels, source, seen, stack, cursor, finished)
            for entry in range(offsets[source], offsets[source + 1]):
                paths[faces[entry]] = at_most_three(paths[faces[entry]] + 1)
                parent[faces[entry]] = source
            joined, extreme = 0, True
            for place in range(count - 1, -1, -1):
                a = finished[place]
                b = mate[a]
                if a == target:
                    joined = paths[a]
                elif a == b and paths[a] & 1 and entry_order[a] > entry_order[target]:
                    extreme = False
                if levels[b] == levels[a] + 1:
                    for entry in range(offsets[b], offsets[b + 1]):
                        if faces[entry] != a:
                            paths[faces[entry]] = at_most_three(paths[faces[entry]] + paths[a])
                            parent[faces[entry]] = b
                paths[a] = 0
            if joined != 1 or not extreme:
                continue
            a = target
            while True:
                b = parent[a]
                onward = mate[b]
                mate[a] = b
                mate[b] = a
                if b == source:
                    break
                a = onward
            done[number] = True
            progress = True
    return done
