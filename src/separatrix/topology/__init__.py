"""Topology: skeletons of fields. Cell complexes, discrete Morse theory, planning.

A *cell complex* lists cells and their faces. A *discrete gradient* pairs most cells with a face or coface;
what is left over, the critical cells, carries all of the topology, and the paths through the pairs (V-paths)
are the combinatorial flow lines between them.

A *ReLU complex* is the cell complex on which a ReLU network is affine; its *PL critical* vertices are those where the
topology of sublevel sets changes, and its discrete gradient has exactly these as critical cells.

A *field* of two dimensions, gradient or not, has basins of attraction: a grid shows them, with equilibria and limit cycles.

A *family of measures* (samples of a distribution that depends on parameters, say) is a manifold in Wasserstein space: its
distances, coordinates and tangent spaces come from optimal transport.
"""

from separatrix.topology.cancellation import Simplification, cancel
from separatrix.topology.complexes import CellComplex
from separatrix.topology.cubical import CubicalComplex
from separatrix.topology.field_attractors import FieldAttractor
from separatrix.topology.field_basins import FieldBasins, field_basins
from separatrix.topology.field_plot import plot_field_basins
from separatrix.topology.filtration import Filtration
from separatrix.topology.gradient import DiscreteGradient
from separatrix.topology.homology import IntegerHomology, betti_numbers, integer_homology
from separatrix.topology.lower_stars import lower_star_gradient
from separatrix.topology.manifolds import VPaths, ascending_manifold, basins, descending_manifold, v_paths
from separatrix.topology.morse_complex import MorseComplex, morse_complex
from separatrix.topology.morse_plot import plot_critical_cells, plot_persistence
from separatrix.topology.persistence import Persistence, persistence
from separatrix.topology.pl_critical import PLCritical, pl_critical
from separatrix.topology.pl_directions import EdgeSigns, edge_signs
from separatrix.topology.pl_gradient import PLGradient, pl_gradient
from separatrix.topology.planning import Passage, Plan, Route, plan_routes
from separatrix.topology.relu_complex import ReLUComplex, relu_complex
from separatrix.topology.relu_exact import NonGenericError
from separatrix.topology.relu_level import LevelSet, relu_level_set
from separatrix.topology.relu_plot import plot_relu_complex, plot_relu_level_set
from separatrix.topology.relu_regions import Regions, bounded_cells, relu_regions
from separatrix.topology.relu_star import VertexStar, vertex_star
from separatrix.topology.roadmap import Roadmap, roadmap
from separatrix.topology.simplicial import SimplicialComplex
from separatrix.topology.taut import TautPath, pull_taut
from separatrix.topology.wasserstein import WassersteinDistances, bures_distances, wasserstein_distances
from separatrix.topology.wasserstein_tangent import (
    Displacements,
    TangentSpace,
    cloud_displacements,
    gaussian_displacements,
    tangent_space,
)
from separatrix.topology.wassmap import Embedding, GeodesicGraph, embed_distances, geodesic_graph
from separatrix.topology.worlds import World

__all__ = [  # noqa: RUF022 (grouped by kind)
    # complexes and their homology
    "CellComplex",
    "CubicalComplex",
    "IntegerHomology",
    "SimplicialComplex",
    "betti_numbers",
    "integer_homology",
    # functions and their discrete gradients
    "DiscreteGradient",
    "Filtration",
    "lower_star_gradient",
    # what a gradient shows
    "MorseComplex",
    "Persistence",
    "Simplification",
    "VPaths",
    "ascending_manifold",
    "basins",
    "cancel",
    "descending_manifold",
    "morse_complex",
    "persistence",
    "plot_critical_cells",
    "plot_persistence",
    "v_paths",
    # fields of two dimensions
    "FieldAttractor",
    "FieldBasins",
    "field_basins",
    "plot_field_basins",
    # motion planning
    "Passage",
    "Plan",
    "Roadmap",
    "Route",
    "TautPath",
    "World",
    "plan_routes",
    "pull_taut",
    "roadmap",
    # families of measures
    "Displacements",
    "Embedding",
    "GeodesicGraph",
    "TangentSpace",
    "WassersteinDistances",
    "bures_distances",
    "cloud_displacements",
    "embed_distances",
    "gaussian_displacements",
    "geodesic_graph",
    "tangent_space",
    "wasserstein_distances",
    # ReLU networks
    "EdgeSigns",
    "LevelSet",
    "NonGenericError",
    "PLCritical",
    "PLGradient",
    "ReLUComplex",
    "Regions",
    "VertexStar",
    "bounded_cells",
    "edge_signs",
    "pl_critical",
    "pl_gradient",
    "plot_relu_complex",
    "plot_relu_level_set",
    "relu_complex",
    "relu_level_set",
    "relu_regions",
    "vertex_star",
]
