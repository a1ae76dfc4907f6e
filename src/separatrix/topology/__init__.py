"""Topology: skeletons of fields. Cell complexes, discrete Morse theory, planning.

A *cell complex* lists cells and their faces. A *discrete gradient* pairs most cells with a face or coface;
what is left over, the critical cells, carries all of the topology, and the paths through the pairs (V-paths)
are the combinatorial flow lines between them.
"""

from separatrix.topology.complexes import CellComplex

__all__ = [
    "CellComplex",
]
