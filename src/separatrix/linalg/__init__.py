"""Matrix-free linear algebra on operators: what a numerical analyst would ask of a Jacobian.

A :class:`LinearOperator` is a matrix known by ``A @ u`` and ``A.T @ u``. Solvers work on its device, take
blocks as ``(k, n)``, draw randomness only from a ``seed`` and return frozen records in which every number
has its error beside it. Signs are those of the operator given: for the Jacobian of a field an equilibrium
attracts where all eigenvalues have negative real part, and the rightmost one is the dangerous one.

- A few eigenvalues: ``eigenvalues``, from both sides ``two_sided_eigenvalues``, with little memory
  ``rightmost_by_filter``; a few singular values: ``singular_values``.
- All of them at once: ``spectral_density`` (symmetric), ``frobenius_parts``, ``trace_xtrace``, ``diagonal``.
- What is certain: ``stability`` and the bounds it rests on, ``extremes``, ``numerical_range``,
  ``pseudospectrum``, ``condition_numbers``.
- Solves: ``gmres``, ``fgmres``, ``minres``, ``cg``, ``lsmr``; low rank: ``randomised_svd``, ``range_finder``.

>>> import torch
>>> from separatrix.linalg import Dense, eigenvalues
>>> A = Dense(torch.tensor([[-1.0, 3.0], [-3.0, -1.0]], dtype=torch.float64))
>>> found = eigenvalues(A, k=2)
>>> found.values.real.tolist(), found.values.imag.round(decimals=12).tolist()
([-1.0, -1.0], [3.0, -3.0])
"""

from separatrix.linalg.block import Block
from separatrix.linalg.condition import TwoSided, condition_numbers, two_sided_eigenvalues
from separatrix.linalg.curvlinops_adapter import from_curvlinops, to_curvlinops
from separatrix.linalg.deflation import Deflated
from separatrix.linalg.dense import Dense
from separatrix.linalg.density import SpectralDensity, spectral_density
from separatrix.linalg.eigen import eigenvalues
from separatrix.linalg.eigen_record import Eigenvalues
from separatrix.linalg.estimate import Estimate
from separatrix.linalg.exponential import ExponentialStep, rightmost_by_filter
from separatrix.linalg.extremes import Extremes, extremes
from separatrix.linalg.formed import Formed
from separatrix.linalg.frobenius import FrobeniusParts, frobenius_parts
from separatrix.linalg.gmres import fgmres, gmres, schur_preconditioner
from separatrix.linalg.krylov_schur import KrylovForm
from separatrix.linalg.low_rank import LowRank, Range, randomised_svd, range_finder
from separatrix.linalg.lsmr import lsmr
from separatrix.linalg.numerical_range import NumericalRange, inner_numerical_range, numerical_range
from separatrix.linalg.operator import Diagonal, LinearOperator, Product, Scaled, Sum, Tagged, Transpose
from separatrix.linalg.ordering import Divergence, Near, step_limit
from separatrix.linalg.pseudospectrum import Pseudospectrum, inner_pseudospectrum, pseudospectrum
from separatrix.linalg.scaling import Congruent
from separatrix.linalg.scipy_adapter import to_scipy
from separatrix.linalg.singular import SingularValues, singular_values
from separatrix.linalg.solution import Solution
from separatrix.linalg.stability import Stability, Verdict, stability
from separatrix.linalg.symmetric_solves import cg, minres
from separatrix.linalg.trace import (
    DiagonalEstimate,
    diagonal,
    trace_hutchinson,
    trace_hutchpp,
    trace_xtrace,
)

__all__ = [
    "Block",
    "Congruent",
    "Deflated",
    "Dense",
    "Diagonal",
    "DiagonalEstimate",
    "Divergence",
    "Eigenvalues",
    "Estimate",
    "ExponentialStep",
    "Extremes",
    "Formed",
    "FrobeniusParts",
    "KrylovForm",
    "LinearOperator",
    "LowRank",
    "Near",
    "NumericalRange",
    "Product",
    "Pseudospectrum",
    "Range",
    "Scaled",
    "SingularValues",
    "Solution",
    "SpectralDensity",
    "Stability",
    "Sum",
    "Tagged",
    "Transpose",
    "TwoSided",
    "Verdict",
    "cg",
    "condition_numbers",
    "diagonal",
    "eigenvalues",
    "extremes",
    "fgmres",
    "frobenius_parts",
    "from_curvlinops",
    "gmres",
    "inner_numerical_range",
    "inner_pseudospectrum",
    "lsmr",
    "minres",
    "numerical_range",
    "pseudospectrum",
    "randomised_svd",
    "range_finder",
    "rightmost_by_filter",
    "schur_preconditioner",
    "singular_values",
    "spectral_density",
    "stability",
    "step_limit",
    "to_curvlinops",
    "to_scipy",
    "trace_hutchinson",
    "trace_hutchpp",
    "trace_xtrace",
    "two_sided_eigenvalues",
]
