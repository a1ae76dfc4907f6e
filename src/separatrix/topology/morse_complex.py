"""The Morse complex: critical cells, joined by the V-paths between them [forman1998, section 7]."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from separatrix.errors import ComputationError
from separatrix.topology.complexes import CellComplex
from separatrix.topology.gradient import DiscreteGradient

__all__ = ["MorseComplex", "morse_complex"]

LARGEST_COEFFICIENT_SUM = 10**8


@dataclass(frozen=True, eq=False)
class MorseComplex:
    """A complex whose cells are the critical cells of a gradient, with the homology of the complex it came from.

    Args:
        complex: its cell ``i`` stands for ``cells[i]``; an incidence number ``n`` is listed as ``|n|`` entries.
        cells: ``(critical,)`` int64, indices in the gradient's complex; in the filtration's order if it has one,
            else by dimension and index.
    """

    complex: CellComplex
    cells: Tensor


def morse_complex(gradient: DiscreteGradient) -> MorseComplex:
    """The critical cells with ``d c = sum over V-paths from the faces of c of their signs``.

    Pushing a face ``a`` with mate ``b`` on replaces it by ``a - [b:a] d b``, which leaves homology alone and ends at
    critical cells because no V-path closes. Over the integers if the complex has signs, else over GF(2).

    Raises:
        ComputationError: a coefficient, a signed number of V-paths, is too large to list.

    Cost:
        The sum over critical cells of what their V-paths reach; 40 bytes per cell of work space.
    """
    from separatrix.topology.paths import boundaries

    lists = gradient.complex
    cells = gradient.critical()
    dims = lists.dims[cells]
    if gradient.filtration is not None:
        order = gradient.filtration.sort(cells, dims)
    else:
        order = torch.argsort(dims, stable=True)
    cells, dims = cells[order], dims[order]
    signs = np.empty(0, dtype=np.int8) if lists.signs is None else lists.signs.numpy()
    *arrays, in_range = boundaries(
        lists.offsets.numpy(), lists.faces.numpy(), signs, gradient.mate.numpy(), lists.dims.numpy(), cells.numpy()
    )
    offsets, faces, coefficients = map(torch.from_numpy, arrays)
    if not in_range or int(coefficients.abs().sum()) > LARGEST_COEFFICIENT_SUM:
        raise ComputationError(
            "The signed number of V-paths between two critical cells is too large to list; "
            "drop the signs of the complex to work over GF(2)."
        )
    place = torch.full((len(lists),), -1, dtype=torch.int64)
    place[cells] = torch.arange(len(cells))
    times = coefficients.abs()
    grown = torch.cat([torch.zeros(1, dtype=torch.int64), times.cumsum(0)])
    repeated_signs = torch.repeat_interleave(coefficients.sign(), times).to(torch.int8)
    return MorseComplex(
        CellComplex(
            dims,
            grown[offsets],
            torch.repeat_interleave(place[faces], times),
            None if lists.signs is None else repeated_signs,
        ),
        cells,
    )
