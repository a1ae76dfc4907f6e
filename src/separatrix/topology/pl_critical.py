"""Critical vertices of a ReLU network and their index, by signs along edges [brooks2024, section 4].

The lower link of a generic vertex is the join, over its d zero neurons, of the set of descending sides of each. One
neuron with exactly one descending side makes it contractible (regular); otherwise it is a sphere of dimension
index - 1, where the index counts the neurons with both sides descending. There are no monkey saddles.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from separatrix.topology.pl_directions import EdgeSigns, edge_signs
from separatrix.topology.relu_complex import ReLUComplex

__all__ = ["PLCritical", "pl_critical"]


@dataclass(frozen=True, eq=False)
class PLCritical:
    """The critical vertices that touch no flat edge, and what touches one.

    Attributes:
        cells: ``(c,)`` int64, which 0-cells of the complex.
        points, values: ``(c, d)`` positions and ``(c,)`` values of F.
        index: ``(c,)`` int64: 0 for minima, d for maxima.
        flat: ``(f_0,)`` bool: vertices with an edge along which F is constant; they have no index.
        dimension: d.
    """

    cells: Tensor
    points: Tensor
    values: Tensor
    index: Tensor
    flat: Tensor
    dimension: int

    @property
    def counts(self) -> tuple[int, ...]:
        """``(c_0, ..., c_d)``: the number of nondegenerate critical vertices of each index."""
        return tuple(int(n) for n in torch.bincount(self.index, minlength=self.dimension + 1))

    @property
    def is_pl_morse(self) -> bool:
        """Whether no edge at a vertex is flat."""
        return not bool(self.flat.any())

    @property
    def euler_characteristic(self) -> int:
        """``sum_k (-1)^k c_k``: without flat edges chi(F <= c) - chi(F <= -c) for large c."""
        return sum((-1) ** k * count for k, count in enumerate(self.counts))


def pl_critical(complex: ReLUComplex, signs: EdgeSigns | None = None) -> PLCritical:
    """The nondegenerate critical vertices of a network with one output.

    Args:
        complex: a complete complex.
        signs: of its edges, if they are known already.

    Raises:
        InputError: F has more than one output.
        ComputationError: the complex is incomplete.

    Example:
        >>> from separatrix.topology import relu_complex
        >>> model = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).double()
        >>> _ = [p.data.copy_(torch.tensor(v)) for p, v in zip(
        ...     model.parameters(), ([[2.0], [-1.0]], [0.0, 1.0], [[1.0, 1.0]], [0.0]))]
        >>> pl_critical(relu_complex(model)).points  # relu(2 x) + relu(1 - x) falls with slope -1, then rises with 1
        tensor([[0.]], dtype=torch.float64)
    """
    signs = edge_signs(complex) if signs is None else signs
    sides = (signs.change < 0).sum(axis=2)
    critical = np.flatnonzero((sides != 1).all(axis=1) & ~signs.touches_flat)
    cells = torch.from_numpy(critical)
    return PLCritical(
        cells,
        complex.vertices[cells],
        complex.values[cells, 0],
        torch.from_numpy((sides[critical] == 2).sum(axis=1)),
        torch.from_numpy(signs.touches_flat),
        complex.dimension,
    )
