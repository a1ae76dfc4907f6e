"""Cancellation: removing short-lived pairs of critical cells by turning V-paths round [forman1998, theorem 11.1]."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.topology.gradient import DiscreteGradient
from separatrix.topology.persistence import persistence

__all__ = ["Simplification", "cancel"]


@dataclass(frozen=True, eq=False)
class Simplification:
    """A gradient with fewer critical cells, and what became of the pairs below the threshold.

    Args:
        gradient: the simplified gradient; critical cells that are left keep their values.
        cancelled: ``(pairs, 2)`` int64, lower and upper cell of each pair removed.
        obstructed: ``(pairs, 2)`` int64, pairs that cannot be removed in this way: joined by several V-paths, or
            nested round such a pair.
    """

    gradient: DiscreteGradient
    cancelled: Tensor
    obstructed: Tensor


def cancel(gradient: DiscreteGradient, *, min_persistence: float) -> Simplification:
    """The gradient without its persistence pairs shorter than ``min_persistence``.

    Pairs go from the shortest up. A pair of critical cells joined by exactly one V-path becomes regular when that
    path is reversed, and no V-path closes; with several paths reversing one would close another. On surfaces every
    pair goes; in three dimensions pairs of an edge and a square can be obstructed and are then reported. The other
    bars keep their births and deaths.

    Args:
        gradient: a gradient with a filtration; it is not changed.
        min_persistence: pairs with ``death - birth < min_persistence`` are cancelled; 0 leaves all.

    Raises:
        InputError: ``min_persistence`` is negative or NaN, or the gradient has no filtration.

    Cost:
        The persistence pairs, and for each cancelled pair what the V-paths from one of its cells reach.
    """
    if not min_persistence >= 0:
        raise InputError(f"min_persistence must be a number at least 0, got {min_persistence}.")
    from separatrix.topology.paths import reverse_paths

    bars = persistence(gradient)
    lengths = bars.lengths.detach()
    short = torch.nonzero(lengths < min_persistence).flatten()
    short = short[torch.argsort(lengths[short], stable=True)]
    pairs = torch.stack([bars.birth_cells[short], bars.death_cells[short]], dim=1)
    complex = gradient.complex
    mate = gradient.mate.clone()
    filtration = gradient.require_filtration()
    critical = gradient.critical()
    entry_order = torch.full((len(complex),), -1, dtype=torch.int64)
    entry_order[critical[filtration.sort(critical, complex.dims[critical])]] = torch.arange(len(critical))
    done = torch.zeros(len(pairs), dtype=torch.bool)
    # Pairs of different dimensions use different V-paths, so each dimension is one pass. Edges fall along two lines;
    # above, walks go up, where in a d-manifold they are lines again for pairs of a (d-1)- and a d-cell.
    for k in range(complex.dimension):
        chosen = bars.dims[short] == k
        lower, upper = pairs[chosen].unbind(dim=1)
        if k == 0:
            lists, sense, ends = (complex.offsets, complex.faces), 1, (upper, lower)
        else:
            lists, sense, ends = complex.cofaces, -1, (lower, upper)
        arrays = (*lists, mate, sense * complex.dims, sense * entry_order, *ends)
        done[chosen] = torch.from_numpy(reverse_paths(*(part.numpy() for part in arrays)))
    return Simplification(replace(gradient, mate=mate), pairs[done], pairs[~done])
