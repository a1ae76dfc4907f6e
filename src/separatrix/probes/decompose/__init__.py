"""Is it a gradient? What part of a field descends, what part turns, and what part the players do not care about.

- Whatever it is: :func:`decompose`, which is ``sx.decompose``.
- A differentiable game: :func:`decompose_polynomial_game`, :func:`decompose_differential_game`. A finite game:
  :func:`decompose_game`. A flow on a graph or complex: :func:`decompose_flow`, :func:`rank_by_hodge`.
- A learned score: :func:`gauge_split`, :func:`flow_dimension`.
- On a torus :func:`decompose_torus`, on a box :func:`decompose_box`, on samples :func:`decompose_samples`.
- All of it where a field stands: :func:`decompose_field`. At a point: :func:`local_split`, :func:`rotation_planes`, :func:`local_equilibrium`; along a segment :func:`path_angle`.
- Along paths: :func:`line_integral`, :func:`circulation`, :func:`conservativity`, :func:`reconstruct_potential`.

Fields point in the direction of motion; conversions from the cost fields of papers happen here and are said.
"""

from separatrix.probes.decompose.along_paths import Jump, LineIntegral, Potential, line_integral, reconstruct_potential
from separatrix.probes.decompose.balance import Balance, balance
from separatrix.probes.decompose.box import decompose_box
from separatrix.probes.decompose.conservativity import Conservativity, conservativity
from separatrix.probes.decompose.curvatures import Curvature
from separatrix.probes.decompose.differential_games import DifferentialDecomposition, decompose_polynomial_game
from separatrix.probes.decompose.equilibria import LocalEquilibrium, local_equilibrium
from separatrix.probes.decompose.features import Features, polynomial_features, radial_features, random_features
from separatrix.probes.decompose.finite_games import GameDecomposition, decompose_game, interactions
from separatrix.probes.decompose.flow_dimension import FlowDimension, flow_dimension
from separatrix.probes.decompose.gauge import GaugeSplit, WeakTest, gauge_split
from separatrix.probes.decompose.graphs import FlowDecomposition, decompose_cochain, decompose_flow, rank_by_hodge
from separatrix.probes.decompose.grids import GridDecomposition
from separatrix.probes.decompose.local import LocalSplit, Potentialness, local_split
from separatrix.probes.decompose.loops import Circulation, circulation
from separatrix.probes.decompose.path_angle import PathAngle, path_angle
from separatrix.probes.decompose.plane_field import PlaneField, split_plane
from separatrix.probes.decompose.planes import RotationPlane, rotation_planes
from separatrix.probes.decompose.polynomial_fit import GameFit, decompose_differential_game
from separatrix.probes.decompose.samples import SampleDecomposition, Share, decompose_samples
from separatrix.probes.decompose.subjects import decompose
from separatrix.probes.decompose.torus import decompose_torus
from separatrix.probes.decompose.whole import FieldDecomposition, decompose_field

__all__ = [
    "Balance",
    "Circulation",
    "Conservativity",
    "Curvature",
    "DifferentialDecomposition",
    "Features",
    "FieldDecomposition",
    "FlowDecomposition",
    "FlowDimension",
    "GameDecomposition",
    "GameFit",
    "GaugeSplit",
    "GridDecomposition",
    "Jump",
    "LineIntegral",
    "LocalEquilibrium",
    "LocalSplit",
    "PathAngle",
    "PlaneField",
    "Potential",
    "Potentialness",
    "RotationPlane",
    "SampleDecomposition",
    "Share",
    "WeakTest",
    "balance",
    "circulation",
    "conservativity",
    "decompose",
    "decompose_box",
    "decompose_cochain",
    "decompose_differential_game",
    "decompose_field",
    "decompose_flow",
    "decompose_game",
    "decompose_polynomial_game",
    "decompose_samples",
    "decompose_torus",
    "flow_dimension",
    "gauge_split",
    "interactions",
    "line_integral",
    "local_equilibrium",
    "local_split",
    "path_angle",
    "polynomial_features",
    "radial_features",
    "random_features",
    "rank_by_hodge",
    "reconstruct_potential",
    "rotation_planes",
    "split_plane",
]
