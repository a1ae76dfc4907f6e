"""Persistence pairs of a function, computed on the Morse complex of its discrete gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.topology.gradient import DiscreteGradient
from separatrix.topology.homology import persistent_partners
from separatrix.topology.morse_complex import morse_complex

__all__ = ["Persistence", "persistence"]


@dataclass(frozen=True, eq=False)
class Persistence:
    """Classes of sublevel sets, from birth to death; one entry per class, in order of birth.

    Args:
        dims: ``(classes,)`` int64, the dimension of each class.
        births: ``(classes,)``, differentiable with respect to the function's values.
        deaths: the same; infinity for classes that stay.
        birth_cells: ``(classes,)`` int64, the critical cell that creates the class.
        death_cells: ``(classes,)`` int64, the critical cell that fills it in, -1 if none does.
        dimension: that of the whole complex.
    """

    dims: Tensor
    births: Tensor
    deaths: Tensor
    birth_cells: Tensor
    death_cells: Tensor
    dimension: int

    @property
    def lengths(self) -> Tensor:
        """``deaths - births``; zero where a tie was broken by index."""
        return self.deaths - self.births

    @property
    def total(self) -> Tensor:
        """The sum of the lengths of all classes that die; differentiable, +1 where one dies and -1 where it was born."""
        return self.lengths[self.deaths.detach() < torch.inf].sum()

    def diagram(self, dimension: int) -> Tensor:
        """``(bars, 2)`` births and deaths of one dimension, without bars of length zero; differentiable."""
        kept = (self.dims == dimension) & (self.lengths.detach() > 0)
        return torch.stack([self.births[kept], self.deaths[kept]], dim=1)

    def betti_numbers(self, level: float) -> tuple[int, ...]:
        """``(b_0, ..., b_d)`` over GF(2) of the sublevel set ``{f <= level}``."""
        alive = (self.births.detach() <= level) & (level < self.deaths.detach())
        return tuple(int(count) for count in torch.bincount(self.dims[alive], minlength=self.dimension + 1))


def persistence(gradient: DiscreteGradient) -> Persistence:
    """The persistence pairs over GF(2) of the filtration that a gradient descends.

    The Morse complex, its cells in the order in which they enter, has the persistence of the whole complex
    [mischaikow2013, theorem 4.3], and is smaller.

    Raises:
        InputError: the gradient has no filtration.

    Cost: the Morse complex and a column reduction over the critical cells.

    Example:
        >>> from separatrix.topology import CubicalComplex, lower_star_gradient
        >>> valleys = torch.tensor([0.0, 3.0, 1.0, 2.0])
        >>> persistence(lower_star_gradient(CubicalComplex((4,)), valleys)).diagram(0)
        tensor([[0., inf],
                [1., 3.]])
    """
    filtration = gradient.require_filtration()
    morse = morse_complex(gradient)
    numbers = torch.arange(len(morse.cells))
    partner = persistent_partners(morse.complex, numbers)
    creators = numbers[partner >= numbers]
    killers = partner[creators]
    lasting = killers == creators
    births = filtration.of(morse.cells[creators])
    if not births.is_floating_point():
        births = births.to(torch.float64)
    deaths = filtration.of(morse.cells[killers]).to(births.dtype)
    deaths = torch.where(lasting, torch.full_like(deaths, torch.inf), deaths)
    death_cells = torch.where(lasting, -1, morse.cells[killers])
    dims, birth_cells = morse.complex.dims[creators], morse.cells[creators]
    return Persistence(dims, births, deaths, birth_cells, death_cells, gradient.complex.dimension)
