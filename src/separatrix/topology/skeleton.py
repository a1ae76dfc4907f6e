"""The graph that V-paths of vertices draw on a complex, and the routes on it that never meet themselves."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from separatrix.topology.gradient import DiscreteGradient

__all__ = ["Graph", "downhill", "draw_skeleton", "simple_routes"]

Graph = dict[int, set[int]]


def downhill(gradient: DiscreteGradient, vertex: int) -> list[int]:
    """The vertices on the V-path from a vertex to its minimum, both included, as cells."""
    complex, path = gradient.complex, [vertex]
    while (edge := int(gradient.mate[vertex])) != vertex:
        one, other = complex.faces[complex.offsets[edge] : complex.offsets[edge + 1]].tolist()
        vertex = other if one == vertex else one
        path.append(vertex)
    return path


def draw_skeleton(gradient: DiscreteGradient, edges: Iterable[int], vertices: Iterable[int]) -> Graph:
    """The union of the given edges with the V-paths from their ends and from the given vertices.

    V-paths merge on their way down, so inside a basin this is a tree, and the edges join the trees.
    """
    complex = gradient.complex
    graph: Graph = {}

    def join(one: int, other: int) -> None:
        graph.setdefault(one, set()).add(other)
        graph.setdefault(other, set()).add(one)

    sources = list(vertices)
    for edge in edges:
        one, other = complex.faces[complex.offsets[edge] : complex.offsets[edge + 1]].tolist()
        join(one, other)
        sources += [one, other]
    for source in sources:
        graph.setdefault(source, set())
        path = downhill(gradient, source)
        for one, other in pairwise(path):
            join(one, other)
    return graph


def simple_routes(graph: Graph, start: int, goal: int) -> Iterator[list[int] | None]:
    """All paths from start to goal without a repeated vertex, depth first; None marks each step of the search.

    The marks let the caller stop a search that finds nothing for long.
    """
    graph = without_dead_ends(graph, {start, goal})
    path, entered = [start], {start}
    pending = [sorted(graph[start], reverse=True)]
    if start == goal:
        yield path
        return
    while pending:
        if not pending[-1]:
            pending.pop()
            entered.discard(path.pop())
            continue
        vertex = pending[-1].pop()
        yield None
        if vertex == goal:
            yield [*path, goal]
        elif vertex not in entered:
            path.append(vertex)
            entered.add(vertex)
            pending.append(sorted(graph[vertex], reverse=True))


def without_dead_ends(graph: Graph, keep: set[int]) -> Graph:
    """The graph after vertices with a single neighbour, except those to keep, are removed until none is left."""
    graph = {vertex: set(near) for vertex, near in graph.items()}
    ends = [vertex for vertex, near in graph.items() if len(near) < 2 and vertex not in keep]
    while ends:
        vertex = ends.pop()
        for other in graph.pop(vertex):
            graph[other].discard(vertex)
            if len(graph[other]) == 1 and other not in keep:
                ends.append(other)
    return graph
