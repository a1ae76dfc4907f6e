"""Wasserstein-2 distances between point clouds, between histograms and between Gaussians, with their errors.

    W(mu, nu)^2 = min over plans P with marginals mu, nu of  sum_ij P_ij |x_i - y_j|^2

In one dimension the plan that matches quantiles is optimal; otherwise the linear program is solved by POT's network
simplex. Any potentials ``u_i + v_j <= |x_i - y_j|^2`` give a lower bound, so the error of each distance is certified.
Everything is float64 on the CPU.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from separatrix.errors import ComputationError, InputError

__all__ = ["Plan", "WassersteinDistances", "bures_distances", "optimal_plan", "wasserstein_distances"]

Floats = npt.NDArray[np.float64]
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class WassersteinDistances:
    """Pairwise distances of ``n`` measures.

    Attributes:
        squared: ``(n, n)`` squared distances; symmetric, zero on the diagonal.
        error: ``(n, n)`` bounds on the error of ``squared``: the gap to a lower bound, or rounding.
    """

    squared: Tensor
    error: Tensor

    @property
    def values(self) -> Tensor:
        """``(n, n)``: the distances."""
        return self.squared.sqrt()


@dataclass(frozen=True, eq=False)
class Plan:
    """A transport plan: ``mass[k]`` goes from point ``source[k]`` to point ``target[k]``.

    Attributes:
        cost: ``sum_k mass[k] |x - y|^2``.
        error: its distance to a lower bound of the optimum, or rounding.
    """

    source: npt.NDArray[np.int64]
    target: npt.NDArray[np.int64]
    mass: Floats
    cost: float
    error: float


def wasserstein_distances(
    clouds: Sequence[Tensor], *, weights: Sequence[Tensor] | None = None, max_iterations: int = 1_000_000
) -> WassersteinDistances:
    """The distances ``W`` between all pairs of weighted point clouds.

    Args:
        clouds: ``(p_i, d)`` points each. For histograms on one support: ``[support] * n``.
        weights: ``(p_i,)`` nonnegative masses that sum to one; equal ones if None.
        max_iterations: of the network simplex, for one pair.

    Raises:
        InputError: shapes that do not fit, points that are not finite, weights that are negative or do not sum to one.
        ComputationError: ``max_iterations`` were not enough.
        ImportError: POT is missing, for more than one dimension; ends with the command that installs it.

    Cost: ``n (n - 1) / 2`` linear programs of about O(p^2 log p) to O(p^3) each, ``p^2`` memory; in one dimension sorts.

    References:
        [flamary2021] for the solver.

    Example:
        >>> there, back = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [2.0]])
        >>> wasserstein_distances([there, back]).squared[0, 1]  # shifted by two
        tensor(4., dtype=torch.float64)
    """
    points, masses = check_clouds(clouds, weights)
    squared, error = torch.zeros(2, len(points), len(points), dtype=torch.float64)
    for i, j in combinations(range(len(points)), 2):
        plan = optimal_plan(points[i], points[j], masses[i], masses[j], max_iterations)
        squared[i, j] = squared[j, i] = plan.cost
        error[i, j] = error[j, i] = plan.error
    return WassersteinDistances(squared, error)


def bures_distances(covariances: Tensor, *, means: Tensor | None = None) -> WassersteinDistances:
    """The distances between all pairs of Gaussians, in closed form.

        W^2 = |m - m'|^2 + tr(S + S' - 2 (S^1/2 S' S^1/2)^1/2)

    The last trace is taken as the nuclear norm of ``S^1/2 S'^1/2``, which keeps the accuracy that squaring would lose.

    Args:
        covariances: ``(n, d, d)`` symmetric, positive semidefinite.
        means: ``(n, d)``; zero if None.

    Raises:
        InputError: shapes that do not fit, a matrix that is not finite, not symmetric or has a negative eigenvalue.

    Cost: an eigenvalue decomposition a Gaussian and a singular value decomposition a pair.

    References:
        [dowson1982].

    Example:
        >>> one, four = torch.eye(2), 4 * torch.eye(2)
        >>> bures_distances(torch.stack([one, four])).squared[0, 1].round(decimals=9)  # d (2 - 1)^2
        tensor(2., dtype=torch.float64)
    """
    covariances = check_covariances(covariances, "covariances")
    n, d, _ = covariances.shape
    shifts = torch.zeros(n, d, dtype=torch.float64) if means is None else check_means(means, (n, d))
    values, vectors = torch.linalg.eigh(covariances)
    roots = (vectors * values.clamp(min=0).sqrt()[:, None, :]) @ vectors.mT
    # |S^1/2 - (S + E)^1/2| <= min(sqrt |E|, |E| / sqrt(smallest eigenvalue)), and it bounds W between the two.
    top, rounding = values[:, -1].clamp(min=0), d * EPSILON * values[:, -1].clamp(min=0)
    root_error = torch.minimum((d * rounding).sqrt(), d * rounding / values[:, 0].clamp(min=1e-300).sqrt())
    squared, error = torch.zeros(2, n, n, dtype=torch.float64)
    for i, j in combinations(range(n), 2):
        overlap = torch.linalg.matrix_norm(roots[i] @ roots[j], "nuc")
        shift = (shifts[i] - shifts[j]).square().sum()
        traces = values[i].sum() + values[j].sum()
        found = (shift + traces - 2 * overlap).clamp(min=0)
        moved = root_error[i] + root_error[j]
        cancelled = 4 * d * EPSILON * (shift + d * (top[i] + top[j]))
        squared[i, j] = squared[j, i] = found
        error[i, j] = error[j, i] = 2 * found.sqrt() * moved + moved**2 + cancelled
    return WassersteinDistances(squared, error)


def optimal_plan(x: Floats, y: Floats, a: Floats, b: Floats, max_iterations: int) -> Plan:
    """An optimal plan between points ``x`` with masses ``a`` and ``y`` with masses ``b``."""
    if x.shape[1] == 1:
        source, target, mass = match_quantiles(x[:, 0], y[:, 0], a, b)
        costs = (x[source, 0] - y[target, 0]) ** 2
        return Plan(source, target, mass, float(mass @ costs), _rounding(costs))
    try:
        import ot
    except ImportError as error:
        raise ImportError(
            "Transport in more than one dimension is solved by POT: pip install 'separatrix[transport]'"
        ) from error
    # Points without mass would leave their potentials undetermined, and the lower bound with them.
    rows, columns = np.flatnonzero(a), np.flatnonzero(b)
    costs = np.zeros((len(rows), len(columns)))
    for k in range(x.shape[1]):
        costs += (x[rows, None, k] - y[None, columns, k]) ** 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it says the same as the result code
        plan, log = ot.lp.emd(a[rows], b[columns], costs, numItermax=max_iterations, log=True)
    if log["warning"] is not None:
        raise ComputationError(
            f"{max_iterations} iterations did not solve the transport between {len(rows)} and {len(columns)} points; "
            "raise max_iterations or thin out the clouds."
        )
    source, target = np.nonzero(plan)
    mass = plan[source, target]
    cost = float(mass @ costs[source, target])
    lower = float(a[rows] @ (costs - log["v"]).min(axis=1) + b[columns] @ log["v"])
    return Plan(rows[source], columns[target], mass, cost, max(cost - lower, _rounding(costs)))


def match_quantiles(
    x: Floats, y: Floats, a: Floats, b: Floats
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """The plan ``F^-1(t) -> G^-1(t)`` on the line: sources, targets and the lengths of the intervals of ``t``."""
    by_x, by_y = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
    until_x, until_y = np.cumsum(a[by_x]), np.cumsum(b[by_y])
    steps = np.union1d(np.minimum(until_x, 1.0), np.minimum(until_y, 1.0))
    mass = np.diff(steps, prepend=0.0)
    steps, mass = steps[mass > 0], mass[mass > 0]
    middle = steps - mass / 2
    source = np.searchsorted(until_x, middle).clip(max=len(x) - 1)
    target = np.searchsorted(until_y, middle).clip(max=len(y) - 1)
    return by_x[source], by_y[target], mass


def check_clouds(
    clouds: Sequence[Tensor], weights: Sequence[Tensor] | None, *, least: int = 1
) -> tuple[list[Floats], list[Floats]]:
    """Clouds and weights as float64 arrays."""
    if len(clouds) < least:
        raise InputError(f"clouds must hold at least {least} point cloud(s), got {len(clouds)}.")
    if weights is not None and len(weights) != len(clouds):
        raise InputError(f"weights must have one entry for each of {len(clouds)} clouds, got {len(weights)}.")
    points, masses = [], []
    for number, cloud in enumerate(clouds):
        if cloud.ndim != 2 or 0 in cloud.shape or cloud.is_complex():
            raise InputError(f"clouds[{number}] must be real points (p, d), got {cloud.dtype} {tuple(cloud.shape)}.")
        if cloud.shape[1] != clouds[0].shape[1]:
            raise InputError(
                f"clouds[{number}] lies in dimension {cloud.shape[1]}, clouds[0] in {clouds[0].shape[1]}; "
                "all must lie in one space."
            )
        points.append(as_array(cloud, f"clouds[{number}]"))
        size = len(cloud)
        masses.append(
            np.full(size, 1 / size) if weights is None else check_mass(weights[number], size, f"weights[{number}]")
        )
    return points, masses


def check_mass(weights: Tensor, size: int, name: str) -> Floats:
    """Masses of ``size`` points, their sum exactly one up to rounding."""
    if tuple(weights.shape) != (size,):
        raise InputError(f"{name} must have shape ({size},), one mass for each point, got {tuple(weights.shape)}.")
    mass = as_array(weights, name)
    total = float(mass.sum())
    if mass.min() < 0 or abs(total - 1) > 1e-5:
        raise InputError(
            f"{name} must be nonnegative with sum 1, got smallest {mass.min():g} and sum {total:g}; "
            "divide a histogram by its sum."
        )
    found: Floats = mass / total
    return found


def check_covariances(covariances: Tensor, name: str) -> Tensor:
    """``(n, d, d)`` float64, symmetric and without negative eigenvalues beyond rounding."""
    shape = tuple(covariances.shape)
    if len(shape) != 3 or shape[1] != shape[2] or 0 in shape:
        raise InputError(f"{name} must be square matrices (n, d, d), got {shape}.")
    # float32 matrices are symmetric and semidefinite up to their own rounding.
    tolerance = 100 * (torch.finfo(covariances.dtype).eps if covariances.is_floating_point() else EPSILON)
    found = torch.from_numpy(as_array(covariances, name))
    for number, matrix in enumerate(found):
        size = float(matrix.abs().max())
        if float((matrix - matrix.mT).abs().max()) > tolerance * size:
            raise InputError(f"{name}[{number}] is not symmetric; pass (S + S.T) / 2 if it should be.")
        lowest = float(torch.linalg.eigvalsh(matrix)[0])
        if lowest < -tolerance * shape[1] * size:
            raise InputError(f"{name}[{number}] has the negative eigenvalue {lowest:g}: it is no covariance.")
    return (found + found.mT) / 2


def check_means(means: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Means of this shape, float64."""
    if tuple(means.shape) != shape:
        raise InputError(f"means must have shape {shape} like the covariances, got {tuple(means.shape)}.")
    return torch.from_numpy(as_array(means, "means"))


def as_array(values: Tensor, name: str) -> Floats:
    """A float64 copy in host memory; NaN and infinity are refused."""
    found: Floats = values.detach().to("cpu", torch.float64, copy=True).numpy()
    if not np.isfinite(found).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(found))[0])
        raise InputError(f"{name} must be finite, got {found[place]} at {place}.")
    return found


def _rounding(costs: Floats) -> float:
    """Masses are rounded, too: a share of ``eps`` each may go the longest way."""
    return 4 * EPSILON * sum(costs.shape) * float(costs.max())
