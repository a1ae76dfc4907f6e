"""The discrete gradient of a ReLU network, relatively perfect for its piecewise linear Morse function [brooks2024].

F is affine on convex cells, so a cell that is bounded above in F and has a vertex has one highest vertex, and the
lower stars, the cells around a vertex that lie below it, are disjoint. In coordinates tau of the star of a vertex with
descending sides ``A_k`` of its k-th zero neuron the lower star is the product of the ``{0} u A_k``.

* Some ``|A_k| = 1``, the first such k with ``A_k = {s}``: pair ``tau_k = 0`` with ``tau_k = s``. Nothing is left.
* Otherwise: at the first k with ``|A_k| = 2`` and ``tau_k != -1`` pair ``tau_k = 0`` with ``tau_k = +1``. One cell is left,
  with -1 on all descending neurons: its dimension is the index.

Flat edges are ordered by a fixed generic linear function, as if F were ``F + eps l``: then all of this holds, and the
extra critical cells of flat parts cancel without persistence.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from separatrix.topology.complexes import CellComplex
from separatrix.topology.filtration import Filtration
from separatrix.topology.gradient import DiscreteGradient
from separatrix.topology.pl_directions import EdgeSigns, edge_signs
from separatrix.topology.pl_order import vertex_order
from separatrix.topology.relu_cells import star_choices
from separatrix.topology.relu_complex import ReLUComplex
from separatrix.topology.relu_forms import Columns

__all__ = ["PLGradient", "pl_gradient"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PLGradient:
    """A discrete gradient on the cells with a highest vertex.

    Attributes:
        gradient: on the complex K of these cells, with the filtration by the values at highest vertices. Faces at
            infinity are left out, so homology is that of ``{F <= c}`` relative to ``{F <= -c}`` for large c.
        cells: ``(K,)`` int64, which cell of ``complex.chain_complex`` each cell of K is.
        vertex: ``(K,)`` int64, the highest 0-cell of each.
        flat: ``(K,)`` bool, whether that 0-cell touches a flat edge: critical cells there come from ties.
    """

    gradient: DiscreteGradient
    cells: Tensor
    vertex: Tensor
    flat: Tensor


def pl_gradient(complex: ReLUComplex, signs: EdgeSigns | None = None) -> PLGradient:
    """The discrete gradient of a network with one output; critical k-cells are the critical vertices of index k.

    With it ``morse_complex``, ``persistence`` (whose ``betti_numbers(level)`` are those of sublevel sets relative
    to minus infinity) and ``cancel`` work as for any gradient.

    Args:
        complex: a complete complex.
        signs: of its edges, if they are known already.

    Raises:
        InputError: F has more than one output.
        ComputationError: the complex is incomplete.

    Cost: O(3^d) a vertex in time and memory.
    """
    signs = edge_signs(complex) if signs is None else signs
    table, d = complex.cells, complex.dimension
    row, choice = np.nonzero(_in_lower_star(signs, d))
    partner = choice + _step_to_mate(signs, row, choice, d)

    dims = (star_choices(d) != 0).sum(axis=1)
    starts, ids = np.array(table.starts), table.groups[d].ids
    cells = starts[dims[choice]] + ids[row, choice]
    mates = starts[dims[partner]] + ids[row, partner]
    order = np.argsort(cells)
    cells, mates, row = cells[order], mates[order], row[order]
    place = np.full(len(complex.chain_complex), -1)
    place[cells] = np.arange(len(cells))

    values, rank = vertex_order(complex, signs)
    return PLGradient(
        DiscreteGradient(
            _restricted(complex.chain_complex, cells, place),
            torch.from_numpy(place[mates]),
            Filtration(torch.from_numpy(values), torch.from_numpy(rank[row])),
        ),
        torch.from_numpy(cells),
        torch.from_numpy(row),
        torch.from_numpy(signs.touches_flat[row]),
    )


def _in_lower_star(signs: EdgeSigns, d: int) -> npt.NDArray[np.bool_]:
    """``(f_0, 3^d)``: which choices lie below each vertex."""
    inside = np.ones((len(signs.lower), 3**d), dtype=np.bool_)
    digits = np.arange(3**d)[:, None] // 3 ** np.arange(d) % 3
    for k in range(d):
        sides = np.concatenate([np.ones((len(inside), 1), dtype=np.bool_), signs.lower[:, k]], axis=1)
        inside &= sides[:, digits[:, k]]
    return inside


def _step_to_mate(signs: EdgeSigns, row: Integers, choice: Integers, d: int) -> Integers:
    """What to add to each choice to get its mate's; 0 for a critical cell."""
    sides = signs.lower.sum(axis=2)
    single = sides == 1
    regular = single.any(axis=1)
    first = np.argmax(single, axis=1)
    digit = np.where(signs.lower[np.arange(len(first)), first, 0], 1, 2)  # which side descends at that axis
    step = np.zeros(len(row), dtype=np.int64)
    open_ = np.ones(len(row), dtype=np.bool_)
    for k in range(d):
        tau = choice // 3**k % 3
        here = open_ & np.where(regular[row], first[row] == k, (sides[row, k] == 2) & (tau != 2))
        upward = np.where(regular[row], digit[row], 1) * 3**k
        step[here] = np.where(tau[here] == 0, upward[here], -upward[here])
        open_ &= ~here
    return step


def _restricted(lists: CellComplex, cells: Columns, place: Columns) -> CellComplex:
    """The complex of some cells; faces outside are left out."""
    faces = place[lists.faces.numpy()]
    owner = place[lists.cells_of_faces.numpy()]
    kept = (faces >= 0) & (owner >= 0)
    lengths = np.bincount(owner[kept], minlength=len(cells))
    assert lists.signs is not None
    return CellComplex(
        lists.dims[torch.from_numpy(cells)],
        torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)])),
        torch.from_numpy(faces[kept]),
        lists.signs[torch.from_numpy(kept)],
    )
