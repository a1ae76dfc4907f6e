"""A small model of the linearised game that keeps the players apart, so that any scheme can be tried on it.

The left vectors of the leading modes are cut by player and orthonormalised to ``W = diag(W_G, W_D, ...)``. The left
invariant space of the modes lies in the span of ``W``, so ``W^T P W`` has their eigenvalues exactly, and alternation,
repeats and momentum can be applied to its blocks. For small problems ``W`` is the identity and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from separatrix.dynamics.bases import Frozen
from separatrix.dynamics.linear_period import LinearPeriod, drawn_steps, finite_eigenvalues, linear_period
from separatrix.dynamics.schemes import Scheme, factors_after
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
        terms: what single loss terms add to ``matrix``, for schemes that take them lazily.
        leaks: the same Gram matrix for each pair of ``P`` and what the terms add to it, ``(1 + t, 1 + t, r, r)``.
    """

    matrix: Tensor
    space: Space
    leak: Tensor
    basis: dict[str, Tensor]
    exact: bool
    terms: Mapping[str, Tensor] = field(default_factory=dict)
    leaks: Tensor | None = None

    def linear(self, scheme: Scheme, bases: Mapping[str, Frozen]) -> LinearPeriod:
        """The linear map of one period: of the model's point, the bases' buffers and what the scheme remembers.

        Args:
            scheme: any scheme; its own code is run on the columns of the identity.
            bases: linear bases in the optimiser's metric: scale 1 is the present step.

        Raises:
            ComputationError: the scheme has no linear map, has a pace of its own, or takes a term lazily that the model does
                not know.
        """
        if scheme.paced:
            raise ComputationError(
                f"no prediction for {scheme.name}: its step depends on the step size itself, which the small model knows only "
                "together with the field; take UpdateMap, or measure twins."
            )
        return linear_period(self.matrix, scheme, bases, self.space, terms=self.terms)

    def period(self, scheme: Scheme, bases: Mapping[str, Frozen]) -> Tensor:
        """The matrix of :meth:`linear`, ``(N, N)``."""
        return self.linear(scheme, bases).matrix

    def steps(self, scheme: Scheme, bases: Mapping[str, Frozen]) -> list[Tensor]:
        """The matrices of a period's single steps, in the order in which they are made; their product is :meth:`period`."""
        draws = scheme.draws(self.space.players)

        def same(matrix: Tensor) -> tuple[Tensor, Tensor]:
            return matrix.expand(1, draws, *matrix.shape), matrix.new_zeros(1, draws, len(matrix))

        terms = {term: same(matrix) for term, matrix in self.terms.items()}
        return [maps[0] for maps, _ in drawn_steps(*same(self.matrix), scheme, bases, self.space, terms=terms)]

    def multipliers(self, scheme: Scheme, bases: Mapping[str, Frozen]) -> Tensor:
        """The resolved multipliers of one period, largest modulus first, ``(q,)`` complex128.

        A mode of the model counts as resolved where its leak is below 5% of ``|m - 1|``; in an exact model all count. All are infinite
        at a step so long that the map overflows.
        """
        period = self.period(scheme, bases)
        if self.exact or not bool(torch.isfinite(period).all()):
            values = finite_eigenvalues(period)
        else:
            values, vectors = torch.linalg.eig(period.T)
            values = values[self._leak(vectors, bases, scheme, period) <= RESOLVED * (values - 1).abs()]
        ordered: Tensor = values[values.abs().argsort(descending=True)]
        return ordered

    def _leak(self, vectors: Tensor, bases: Mapping[str, Frozen], scheme: Scheme, period: Tensor) -> Tensor:
        """How much of one period, a matrix ``(N, N)``, read along left vectors ``(N, k)``, leaves the model's space.

        With lazy terms each step has another field. What leaves in one step is made up for in another where the model holds
        modes of the mean, but for what has become of it in between: a share of it, the relative change that a period makes.
        """
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

        def leaving(gram: Tensor) -> Tensor:
            squared: Tensor = torch.einsum("ik,ij,jk->k", fed.conj(), gram.to(fed.dtype), fed).real
            return squared.clamp(min=0).sqrt()

        if not scheme.lazy_terms:
            return leaving(self.leak)
        steps = [factors_after(made, scheme.lazy_terms) for made in range(scheme.cycle)]
        mean = {term: sum(step[term] for step in steps) / len(steps) for term in scheme.lazy_terms}
        point = period[: self.space.n, : self.space.n].real
        change = min(1.0, float(torch.linalg.matrix_norm(point - torch.eye(self.space.n, dtype=point.dtype), 2)))
        apart = torch.stack([leaving(self._leak_with(step)) for step in steps]).sum(0)
        return len(steps) * leaving(self._leak_with(mean)) + change * apart

    def _leak_with(self, factors: Mapping[str, float]) -> Tensor:
        assert self.leaks is not None
        weight = torch.tensor([1.0, *(factors.get(term, 1.0) - 1 for term in self.terms)], dtype=self.leaks.dtype)
        return torch.einsum("a,b,abij->ij", weight, weight, self.leaks)


def reduce(
    operator: LinearOperator, space: Space, modes: Leading, *, terms: Mapping[str, LinearOperator] | None = None
) -> Reduced:
    """The small model of ``operator`` (``P``) that holds the given modes.

    Args:
        operator: ``P``.
        space: its players.
        modes: of ``P``.
        terms: what single loss terms add to ``P``; a scheme that takes them lazily needs them.

    Raises:
        ComputationError: players share parameters, so they cannot be kept apart.

    Cost: one product for each row of ``W``: at most twice the players times the modes; none more than n. As many with each of
    ``terms``.
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
    rows = torch.stack([each.T.rows(upright) for each in (operator, *(terms or {}).values())])
    inside = torch.cat([(rows[..., space.index(p)] @ basis[p].T) for p in players], dim=-1).double().cpu()
    exact = all(len(basis[p]) == space.size(p) for p in players)
    # Of the operator alone it is ``rows rows^T - inside inside^T``.
    leaks = torch.einsum("ain,bjn->abij", rows.double(), rows.double()).cpu() - torch.einsum(
        "aik,bjk->abij", inside, inside
    )
    leaks = torch.zeros_like(leaks) if exact else leaks
    return Reduced(inside[0], small, leaks[0, 0], basis, exact, dict(zip(terms or {}, inside[1:], strict=True)), leaks)


def _orthonormal(modes: Leading, space: Space, player: str) -> Tensor:
    """An orthonormal basis of the modes' left vectors on one player's coordinates, rows."""
    parts = [space.take(v, player) for v in modes.vectors[modes.upper()]]
    rows = torch.stack([part for v in parts for part in (v.real, v.imag)])
    _, sizes, directions = torch.linalg.svd(rows.double(), full_matrices=False)
    kept = directions[sizes > 1e-6 * max(float(sizes[0]), 1e-300)]
    result: Tensor = kept.to(rows.dtype)
    return result
