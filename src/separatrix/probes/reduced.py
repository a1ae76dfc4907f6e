"""A small model of the linearised game that keeps the players apart, so that any scheme can be tried on it.

The left vectors of the leading modes are cut by player and orthonormalised to ``W = diag(W_G, W_D, ...)``. The left
invariant space of the modes lies in the span of ``W``, so ``W^T P W`` has their eigenvalues exactly, and alternation,
repeats and momentum can be applied to its blocks. For small problems ``W`` is the identity and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.dynamics.bases import Frozen
from separatrix.dynamics.linear_period import linear_period
from separatrix.dynamics.schemes import Scheme
from separatrix.errors import ComputationError
from separatrix.fields import Space
from separatrix.linalg import LinearOperator
from separatrix.probes.leading import Leading

# With momentum the model is twice as large, and some hundreds of eigenproblems are solved for the tables.
EXACT_UP_TO = 32
# A mode of the small model counts where what leaves the model's space in one step is small against what the step does.
RESOLVED = 0.05


@dataclass(frozen=True)
class Reduced:
    """The small model.

    Exact but for one thing: extragradient with coupled decay, where ``P`` has the decay at the looked-ahead point and the real
    bases have it at the point itself, a relative difference of step size times decay in the second evaluation.

    Attributes:
        matrix: ``W^T P W``, ``(r, r)`` float64 on the host.
        space: its players and their sizes.
        leak: ``(I - W W^T) P^T W`` as a Gram matrix ``(r, r)``; zero where ``exact``.
        basis: ``W`` by player, rows ``(r_i, n_i)``.
        exact: nothing was left out.
    """

    matrix: Tensor
    space: Space
    leak: Tensor
    basis: dict[str, Tensor]
    exact: bool

    def period(self, scheme: Scheme, bases: Mapping[str, Frozen]) -> Tensor:
        """The linear map of one period, ``(N, N)``: the model's point, the bases' buffers and what the scheme remembers.

        Args:
            scheme: any scheme; its own code is run on the columns of the identity.
            bases: linear bases in the optimiser's metric: scale 1 is the present step.
        """
        return linear_period(self.matrix, scheme, bases, self.space).matrix

    def multipliers(self, scheme: Scheme, bases: Mapping[str, Frozen]) -> Tensor:
        """The resolved multipliers of one period, largest modulus first, ``(q,)`` complex128.

        A mode of the model counts as resolved where its leak is below 5% of ``|m - 1|``; in an exact model all count.
        """
        period = self.period(scheme, bases)
        if self.exact:
            values = torch.linalg.eigvals(period)
        else:
            values, vectors = torch.linalg.eig(period.T)
            values = values[self._leak(vectors, bases) <= RESOLVED * (values - 1).abs()]
        ordered: Tensor = values[values.abs().argsort(descending=True)]
        return ordered

    def _leak(self, vectors: Tensor, bases: Mapping[str, Frozen]) -> Tensor:
        """How much of one period, read along left vectors ``(N, k)``, leaves the model's space."""
        fed = vectors[: self.space.n].clone()  # what the directions are multiplied with: the point's part ...
        offset = self.space.n
        for player in self.space.players:
            base, index = bases[player], self.space.index(player)
            if base.mode.kind == "nesterov":
                fed[index] *= 1 + base.mode.momentum
            if base.mode.kind != "none":  # ... and the buffer's, which moves the point in the same step
                size = self.space.size(player)
                fed[index] += vectors[offset : offset + size]
                offset += size * (2 if base.mode.kind == "complex" else 1)
            weight = 1 - base.mode.momentum if base.mode.kind == "averaged" else 1.0
            fed[index] *= weight * float(torch.as_tensor(base.scale).max())
        squared: Tensor = torch.einsum("ik,ij,jk->k", fed.conj(), self.leak.to(fed.dtype), fed).real
        return squared.clamp(min=0).sqrt()


def reduce(operator: LinearOperator, space: Space, modes: Leading) -> Reduced:
    """The small model of ``operator`` (``P``) that holds the given modes.

    Raises:
        ComputationError: players share parameters, so they cannot be kept apart.

    Cost: one product for each row of ``W``: at most twice the players times the modes; none more than n.
    """
    if space.shared:
        raise ComputationError("players share parameters, so that there is no small model that keeps them apart.")
    n = operator.shape[0]
    players = [p for p in space.players if space.size(p)]
    if n <= EXACT_UP_TO:
        basis = {p: torch.eye(space.size(p), dtype=operator.dtype, device=operator.device) for p in players}
    else:
        basis = {p: _orthonormal(modes, space, p) for p in players}
    small = Space.of_sizes({p: len(basis[p]) for p in players})
    upright = torch.zeros(small.n, n, dtype=operator.dtype, device=operator.device)
    for player in players:
        upright[small.index(player), space.index(player)] = basis[player]
    rows = operator.T.rows(upright)
    inside = torch.cat([(rows[:, space.index(p)] @ basis[p].T) for p in players], dim=1)
    matrix = inside.double().cpu()
    gram = (rows.double() @ rows.double().T).cpu() - matrix @ matrix.T
    exact = all(len(basis[p]) == space.size(p) for p in players)
    return Reduced(matrix, small, torch.zeros_like(gram) if exact else gram, basis, exact)


def _orthonormal(modes: Leading, space: Space, player: str) -> Tensor:
    """An orthonormal basis of the modes' left vectors on one player's coordinates, rows."""
    parts = [space.take(v, player) for v in modes.vectors[modes.upper()]]
    rows = torch.stack([part for v in parts for part in (v.real, v.imag)])
    _, sizes, directions = torch.linalg.svd(rows.double(), full_matrices=False)
    kept = directions[sizes > 1e-6 * max(float(sizes[0]), 1e-300)]
    result: Tensor = kept.to(rows.dtype)
    return result
