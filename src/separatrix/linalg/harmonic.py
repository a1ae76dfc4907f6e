"""Harmonic extraction: eigenvalues inside the spectrum, near a real shift, without inverting anything.

Ritz values approach the outside of a spectrum; inside they come and go. Harmonic ones are Ritz values of
``(A - sigma I)^-1`` on a space that needs no inverse [morgan1998]: with ``f = (B - sigma I)^-T b`` the
eigenvalues of ``B + f b.T``. Reported are the Rayleigh quotients of their vectors, not they themselves.

What it buys is that no impostor appears in a gap of the spectrum. It is not faster: with thick restarts the
same order on plain Ritz values took as many products or up to 30% fewer on matrices with one isolated inner
eigenvalue.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from separatrix.linalg.krylov_schur import rows_to_keep, turn_rows
from separatrix.linalg.ordering import Key, select
from separatrix.linalg.projected import ComplexMatrix, Kind, Matrix, ordered_schur


def shifted(H: Matrix, shift: float) -> tuple[Matrix, Matrix]:
    """``B + f b.T`` and ``f``; least squares where the shift is a Ritz value itself."""
    B, b = H[:-1], H[-1]
    f = np.linalg.lstsq((B - shift * np.eye(len(B))).T, b, rcond=None)[0]
    return B + np.outer(f, b), f


def harmonic_pairs(H: Matrix, key: Key, k: int, kind: Kind, *, shift: float) -> tuple[Tensor, ComplexMatrix, Matrix]:
    """Rayleigh quotients of the ``k`` most wanted harmonic vectors, the vectors, and ``||A x - lam x||``."""
    harmonic, _ = shifted(H, shift)
    theta, vectors = np.linalg.eig(harmonic)
    chosen = select(torch.from_numpy(theta.astype(np.complex128)), key, k)
    S = vectors[:, chosen].astype(np.complex128)
    image = H[:-1] @ S
    quotients = np.sum(S.conj() * image, axis=0)
    estimates = np.hypot(np.linalg.norm(image - S * quotients, axis=0), np.abs(H[-1] @ S))
    return torch.from_numpy(quotients), S, estimates


def harmonic_restart(basis: Tensor, H: Matrix, key: Key, kind: Kind, wanted: int, *, shift: float) -> int:
    """Shrink to the leading harmonic Schur vectors, in place; returns how many.

    ``A V.T = V.T (B + f b.T) + (v - V.T f) b.T``. With ``Z`` the leading Schur vectors of ``B + f b.T`` and
    ``T`` their block, ``V Z`` is kept and the new direction is ``v - V.T (I - Z Z.T) f = gamma w``:

        A (V Z) = (V Z) (T - Z.T f b.T Z) + w gamma b.T Z.
    """
    m = H.shape[1]
    harmonic, f = shifted(H, shift)
    T, Z = ordered_schur(harmonic, key, "general")
    p = rows_to_keep(T, wanted)
    Z = Z[:, :p]
    b = H[m] @ Z
    outside = f - Z @ (Z.T @ f)
    direction = basis[m] - basis[:m].T @ torch.from_numpy(outside).to(basis)
    turn_rows(basis, Z)
    direction = direction - basis[:p].T @ (basis[:p] @ direction)
    length = float(torch.linalg.vector_norm(direction))
    basis[p] = direction / length
    block = T[:p, :p] - np.outer(Z.T @ f, b)
    H[:] = 0.0
    H[:p, :p] = block
    H[p, :p] = length * b
    return p
