"""A discrete gradient vector field: a matching of cells with faces, without closed V-paths [forman1998]."""

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.topology.complexes import CellComplex
from separatrix.topology.filtration import Filtration

__all__ = ["DiscreteGradient"]


@dataclass(frozen=True, eq=False)
class DiscreteGradient:
    """The pairs ``a < b`` of a discrete gradient as one list of mates.

    A V-path ``a_0, b_0, a_1, b_1, ...`` steps up a pair ``(a_i, b_i)`` and down to another face ``a_(i+1)`` of
    ``b_i``: it descends, in the direction of minus the gradient. A cell that is its own mate is critical.

    Args:
        complex: the cells.
        mate: ``(cells,)`` int64, an involution; ``mate[c] == c`` for critical cells.
        filtration: the function that the field descends, if there is one.

    Raises:
        InputError: ``mate`` has the wrong shape or type.
    """

    complex: CellComplex
    mate: Tensor
    filtration: Filtration | None = None

    def __post_init__(self) -> None:
        if self.mate.shape != self.complex.dims.shape or self.mate.dtype != torch.int64:
            raise InputError(
                f"mate must be int64 of shape ({len(self.complex)},), one entry for each cell, "
                f"got {self.mate.dtype} of shape {tuple(self.mate.shape)}."
            )

    def critical(self, dimension: int | None = None) -> Tensor:
        """Indices of the critical cells, of one dimension if given, ascending."""
        unpaired = self.mate == torch.arange(len(self.mate))
        if dimension is not None:
            unpaired &= self.complex.dims == dimension
        return torch.nonzero(unpaired).flatten()

    @property
    def counts(self) -> tuple[int, ...]:
        """``(c_0, ..., c_d)``: the number of critical cells of each dimension."""
        found = torch.bincount(self.complex.dims[self.critical()], minlength=self.complex.dimension + 1)
        return tuple(int(count) for count in found)

    def critical_values(self, dimension: int | None = None) -> Tensor:
        """The values of the critical cells, in the order of :meth:`critical`; differentiable.

        Raises:
            InputError: the field was made without a filtration.
        """
        return self.require_filtration().of(self.critical(dimension))

    def require_filtration(self) -> Filtration:
        """The filtration, or an error that says how to get one."""
        if self.filtration is None:
            raise InputError(
                "This gradient has no filtration; pass DiscreteGradient(complex, mate, filtration) or use lower_star_gradient."
            )
        return self.filtration

    def is_matching(self) -> bool:
        """Whether mates are mutual and every pair is a cell with one of its faces, incident exactly once."""
        cells = torch.arange(len(self.mate))
        if len(cells) == 0:
            return True
        if int(self.mate.min()) < 0 or int(self.mate.max()) >= len(cells):
            return False
        incidences = torch.zeros(len(cells), dtype=torch.int64)
        owners = self.complex.cells_of_faces
        matched = self.mate[owners] == self.complex.faces
        incidences.index_add_(0, owners[matched], torch.ones(int(matched.sum()), dtype=torch.int64))
        lower = (self.mate != cells) & (incidences == 0)
        upper = (self.mate != cells) & (incidences == 1)
        mutual = bool((self.mate[self.mate] == cells).all())
        return mutual and bool(upper[self.mate[lower]].all()) and int(lower.sum()) == int(upper.sum())

    def is_acyclic(self) -> bool:
        """Whether no V-path closes: the difference between a matching and a gradient.

        Cost: one depth-first pass over the incidences.
        """
        from separatrix.topology.paths import has_closed_path

        lists = self.complex
        return not has_closed_path(lists.offsets.numpy(), lists.faces.numpy(), self.mate.numpy(), lists.dims.numpy())
