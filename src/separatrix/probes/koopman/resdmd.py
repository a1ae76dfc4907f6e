"""Extended dynamic mode decomposition with residuals: which eigenvalues of the Koopman operator to believe.

A map ``F`` moves points; the Koopman operator moves functions, ``(K g)(x) = g(F(x))`` (the mean over the noise where there is
some). With a dictionary ``psi`` and snapshots ``y_m = F(x_m)`` with weights ``w_m``, the eigenvalues of the projected operator are
EDMD's [williams2015]; many are spurious. The residual of a pair, ``||(K - lam) g|| / ||g||``, comes from the same data [colbrook2024,
alg. 2]; here from a QR factorisation of ``sqrt(W) Psi_x = Q R``, as ``||(B - lam Q) u|| / ||u||`` with ``B = sqrt(W) Psi_y R^-1``, since
the quadratic form of the matrices squares the rounding errors. ``tau(z)``, the smallest singular value of ``B - z Q``, is the residual that
the best function of the dictionary has at ``z``: its sublevel sets are pseudospectra.

With noise the residual contains the variance of ``g(y)`` and never vanishes. A second, independent successor of each point
takes the variance out: ``Re <B_1 u - lam Q u, B_2 u - lam Q u> / ||u||^2`` estimates the squared residual of the mean without it
[colbrook2024beyond, sec. 3].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError

# Directions of the dictionary below this share of the largest are numerically dependent.
RANK_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Koopman:
    """Eigenpairs of the Koopman operator on a dictionary.

    Attributes:
        values: ``(r,)`` complex eigenvalues, the largest first.
        vectors: ``(N, r)`` coefficients of the eigenfunctions in the dictionary, of unit norm in the data's mean square.
        residuals: ``(r,)``; with the noise's variance in them where there is noise.
        corrected: ``(r,)`` squared residuals with the variance taken out, which may come out below 0; ``None`` without second successors.
        corrected_stderr: their standard errors over the snapshots.
        basis, images: ``Q`` ``(M, r)`` and ``B`` ``(M, r)``, for :meth:`tau`.
        rank: ``r``, at most the size of the dictionary.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    corrected: Tensor | None
    corrected_stderr: Tensor | None
    basis: Tensor
    images: Tensor
    rank: int

    def tau(self, z: complex | Tensor) -> Tensor:
        """The smallest residual that any function of the dictionary has at each ``z`` (any shape).

        Cost: one singular value decomposition ``(r, r)`` a point, after one QR of ``(M, 2 r)``.
        """
        at = torch.as_tensor(z, dtype=self.values.dtype)
        # Both lie in a space of at most 2 r dimensions, where norms are kept and the decompositions are small.
        joint = torch.linalg.qr(torch.cat([self.basis, self.images], dim=1)).Q
        q, b = joint.mH @ self.basis, joint.mH @ self.images
        found = [torch.linalg.svdvals(b - point * q)[-1] for point in at.reshape(-1)]
        return torch.stack(found).reshape(at.shape)

    def kept(self, residual: float) -> Tensor:
        """``(r,)`` bool: the pairs whose residual is at most this; the corrected one where there is one."""
        if self.corrected is None:
            return self.residuals <= residual
        return self.corrected <= residual**2

    def errors(self, psi_x: Tensor, psi_y: Tensor) -> Tensor:
        """``(r,)``: ``||g(y) - lam g(x)|| / ||g(x)||`` of each pair on other snapshots, ``(M', N)`` each.

        Residuals are measured on the snapshots that were fitted: with few more of them than functions they are too small.
        """
        x, y = (psi.to(self.vectors.dtype) @ self.vectors for psi in (psi_x, psi_y))
        off: Tensor = (y - self.values * x).norm(dim=0) / x.norm(dim=0)
        return off


def resdmd(psi_x: Tensor, psi_y: Tensor, *, weights: Tensor | None = None, second: Tensor | None = None) -> Koopman:
    """Eigenpairs with residuals from a dictionary's values.

    Args:
        psi_x: ``(M, N)``, the dictionary at the points.
        psi_y: ``(M, N)``, at their successors.
        weights: ``(M,)`` non-negative, of a quadrature; ``1 / M`` where ``None``.
        second: ``(M, N)``, at successors drawn anew from the same points, independent of the first.

    Raises:
        InputError: shapes that do not fit, fewer points than functions, negative weights, or numbers that are not finite.

    Cost: ``O(M N^2)``.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
        >>> found = resdmd(x, x @ torch.tensor([[0.9, 0.0], [0.0, 0.5]], dtype=torch.float64))
        >>> [round(float(v), 6) for v in found.values.real], bool((found.residuals < 1e-12).all())
        ([0.9, 0.5], True)
    """
    _check(psi_x, psi_y, weights, second)
    count = len(psi_x)
    w = torch.full((count,), 1.0 / count, dtype=torch.float64) if weights is None else weights.double()
    root = w.sqrt()[:, None]
    kind = torch.complex128 if psi_x.is_complex() or psi_y.is_complex() else torch.float64
    x, y = root * psi_x.to(kind), root * psi_y.to(kind)
    basis, solve = _orthonormal(x)
    images = y @ solve
    values, u = torch.linalg.eig(basis.mH @ images)
    order = torch.argsort(values.abs(), descending=True, stable=True)
    values, u = values[order], u[:, order]
    q, b = basis.to(u.dtype), images.to(u.dtype)
    first = b @ u - (q @ u) * values
    norms = u.norm(dim=0)
    residuals = first.norm(dim=0) / norms
    corrected = stderr = None
    if second is not None:
        # Both successors are alike, so the eigenvalues rest on their mean, and the residual is the product of the two.
        other = (root * second.to(kind)) @ solve
        values, u = torch.linalg.eig(basis.mH @ (images + other) / 2)
        order = torch.argsort(values.abs(), descending=True, stable=True)
        values, u = values[order], u[:, order]
        norms = u.norm(dim=0)
        first, then = b @ u - (q @ u) * values, other.to(u.dtype) @ u - (q @ u) * values
        residuals = ((first.abs().square() + then.abs().square()).sum(dim=0) / 2).sqrt() / norms
        products = (first.conj() * then).real / norms.square()
        corrected = products.sum(dim=0)
        stderr = products.std(dim=0) * count**0.5
        images = (images + other) / 2
    return Koopman(
        values,
        solve.to(u.dtype) @ (u / norms),
        residuals,
        corrected,
        stderr,
        basis.to(torch.complex128),
        images.to(torch.complex128),
        basis.shape[1],
    )


def _orthonormal(x: Tensor) -> tuple[Tensor, Tensor]:
    """``Q`` with orthonormal columns and ``S`` with ``x S = Q``; dependent directions are left out."""
    q, r = torch.linalg.qr(x)
    left, singular, right = torch.linalg.svd(r)
    rank = int((singular > RANK_TOLERANCE * singular[0]).sum())
    if rank == x.shape[1]:
        return q, torch.linalg.inv(r)
    return q @ left[:, :rank], right[:rank].mH / singular[:rank]


def _check(psi_x: Tensor, psi_y: Tensor, weights: Tensor | None, second: Tensor | None) -> None:
    shapes = [tuple(t.shape) for t in (psi_x, psi_y, second) if t is not None]
    if psi_x.ndim != 2 or len(set(shapes)) != 1:
        raise InputError(f"the dictionary's values must be matrices (M, N) of one shape, got {shapes}.")
    if psi_x.shape[0] < psi_x.shape[1]:
        raise InputError(
            f"there are {psi_x.shape[0]} snapshots for {psi_x.shape[1]} functions; give more snapshots, or fewer functions."
        )
    for tensor in (psi_x, psi_y, second, weights):
        if tensor is not None and not bool(
            torch.isfinite(torch.view_as_real(tensor) if tensor.is_complex() else tensor).all()
        ):
            raise InputError("the dictionary's values and the weights must be finite.")
    if not bool(psi_x.any()):
        raise InputError("the dictionary vanishes at every point.")
    if weights is not None and (weights.shape != (len(psi_x),) or bool((weights < 0).any())):
        raise InputError(f"weights must be ({len(psi_x)},) and not negative, got shape {tuple(weights.shape)}.")
