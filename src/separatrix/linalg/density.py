"""The density of eigenvalues of a symmetric operator, by stochastic Lanczos quadrature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from separatrix.linalg._checks import check_count, check_positive, check_square, check_tag
from separatrix.linalg._draw import as_generator, seed_number, signs
from separatrix.linalg._progress import progress_line
from separatrix.linalg.counting import Counted
from separatrix.linalg.estimate import Estimate, from_samples
from separatrix.linalg.krylov_schur import expand
from separatrix.linalg.operator import LinearOperator


@dataclass(frozen=True)
class SpectralDensity:
    """Gauss quadratures of a symmetric operator's eigenvalue distribution, one per probe.

    Attributes:
        nodes: Ritz values, ``(probes, steps)`` float64 on the host.
        weights: their weights, rows sum to 1; 0 where a probe's Krylov space ended early.
        n: size of the operator.
        products: products spent.
        seed: of the probes.
        status: one sentence.
    """

    nodes: Tensor
    weights: Tensor
    n: int
    products: int
    seed: int
    status: str

    def trace_of(self, f: Callable[[Tensor], Tensor]) -> Estimate:
        """``tr f(A)`` with its standard error over the probes.

        The quadrature itself is exact for polynomials of degree ``2 steps - 1``; its own error is not
        included.

        Args:
            f: from eigenvalues ``(k,)`` float64 to real ``(k,)``.
        """
        values = torch.stack([f(row) for row in self.nodes])
        # A node without weight may lie where f is infinite.
        samples = self.n * torch.where(self.weights > 0, self.weights * values, 0.0).sum(dim=1)
        return from_samples(samples, products=self.products, seed=self.seed, what="trace of a function")

    def at(self, x: Tensor, *, bandwidth: float) -> tuple[Tensor, Tensor]:
        """The density per unit length at ``x``, smoothed by a Gaussian, and its standard error, both
        ``(k,)``.

        Args:
            x: points, ``(k,)``.
            bandwidth: standard deviation of the Gaussian, in units of the eigenvalues.
        """
        check_positive("bandwidth", bandwidth)
        grid = x.to("cpu", torch.float64)
        distance = (grid[:, None, None] - self.nodes[None]) / bandwidth
        bumps = torch.exp(-(distance**2) / 2) / (bandwidth * (2 * torch.pi) ** 0.5)
        samples = (bumps * self.weights).sum(dim=2)
        return samples.mean(dim=1), samples.std(dim=1) / len(self.nodes) ** 0.5


def spectral_density(
    operator: LinearOperator,
    probes: int = 10,
    *,
    steps: int = 40,
    seed: int | torch.Generator = 0,
    progress: bool | None = None,
) -> SpectralDensity:
    """Where the eigenvalues of a symmetric operator lie, all of them, with error bars over the probes.

    Each probe ``z`` runs Lanczos (full reorthogonalisation); the eigenvalues of the tridiagonal matrix are
    the nodes and the squared first components of its eigenvectors the weights of a Gauss quadrature of
    ``z.T f(A) z``.

    Args:
        operator: tagged symmetric; for any other matrix the result would be meaningless, so it is refused.
        probes: random sign vectors, at least 2.
        steps: Lanczos steps per probe; about 40 resolves edges and outliers, smooth functions need fewer.
        seed: of the probes.
        progress: a line on stderr; None means only on a terminal.

    Raises:
        InputError: no symmetric tag.

    Cost: ``probes * steps`` products, ``steps`` vectors held.

    References: [ubaru2017], [ghorbani2019].

    Example:
        >>> import torch
        >>> from separatrix.linalg import Diagonal, spectral_density
        >>> found = spectral_density(Diagonal(torch.tensor([1.0, 2.0, 4.0])), probes=2)
        >>> round(found.trace_of(torch.log2).value, 5)
        3.0
    """
    n = check_square(operator, "spectral densities")
    check_tag(operator, "symmetric", "spectral_density", "take operator.sym, or eigenvalues for a non-symmetric one.")
    check_count("probes", probes, least=2)
    m = min(check_count("steps", steps), n)
    counted, generator = Counted(operator), as_generator(seed)
    nodes, weights = torch.zeros(2, probes, m, dtype=torch.float64)
    basis = torch.empty(m + 1, n, dtype=operator.dtype, device=operator.device)
    with progress_line(progress, f"density from {probes} probes") as counted.report:
        for i in range(probes):
            basis[0] = signs(operator, n, generator) / n**0.5
            H = np.zeros((m + 1, m))
            j = 0
            while j < m:
                expand(counted, basis, H, j, generator)
                j += 1
                if H[j, j - 1] == 0:
                    break
            T = H[:j, :j]
            values, vectors = np.linalg.eigh((T + T.T) / 2)
            nodes[i, :j] = torch.from_numpy(values)
            weights[i, :j] = torch.from_numpy(vectors[0] ** 2)
    status = f"density from {probes} probes of {m} Lanczos steps, {counted.spent} products."
    return SpectralDensity(nodes, weights, n, counted.spent, seed_number(seed), status)
