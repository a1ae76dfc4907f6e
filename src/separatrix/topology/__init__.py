"""Topology: skeletons of fields. Cell complexes, discrete Morse theory, planning.

A *cell complex* lists cells and their faces. A *discrete gradient* pairs most cells with a face or coface;
what is left over, the critical cells, carries all of the topology, and the paths through the pairs (V-paths)
are the combinatorial flow lines between them.
"""

from separatrix.topology.complexes import CellComplex
from separatrix.topology.cubical import CubicalComplex
from separatrix.topology.filtration import Filtration
from separatrix.topology.gradient import DiscreteGradient
from separatrix.topology.lower_stars import lower_star_gradient

__all__ = [
    # complexes
    "CellComplex",
    "CubicalComplex",
    # functions and their discrete gradients
    "DiscreteGradient",
    "Filtration",
    "lower_star_gradient",
]
