"""The small projected eigenproblem, float64 on the host: general, symmetric or skew.

LAPACK has a real Schur form and its reordering; torch has neither, and its dense eigensolver on a GPU is
far slower than the host at these sizes. A tag is used, not only checked: a symmetric or skew matrix is
normal, so its vectors come out orthonormal and its Schur form block-diagonal, and rounding cannot make a
defective matrix of it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray

from separatrix.errors import ComputationError
from separatrix.linalg.operator import LinearOperator
from separatrix.linalg.ordering import Key

Matrix = NDArray[np.float64]
ComplexMatrix = NDArray[np.complex128]
Kind = Literal["general", "symmetric", "skew"]


def kind_of(operator: LinearOperator) -> Kind:
    """What the tags promise."""
    if "symmetric" in operator.tags:
        return "symmetric"
    return "skew" if "skew" in operator.tags else "general"


def eigen_decomposition(B: Matrix, kind: Kind) -> tuple[ComplexMatrix, ComplexMatrix]:
    """Eigenvalues ``(m,)``, conjugates adjacent, and unit eigenvectors in columns ``(m, m)``.

    A skew block ``[[0, w], [-w, 0]]`` of the Schur form has the eigenvectors ``(1, +-i) / sqrt(2)``.
    """
    if kind == "general":
        values, vectors = np.linalg.eig(B)
        return values.astype(np.complex128), vectors.astype(np.complex128)
    T, Z = _normal_schur(B, kind)
    m = len(T)
    values, vectors = np.diag(T).astype(np.complex128), Z.astype(np.complex128)
    for i in range(m - 1):
        if T[i + 1, i] != 0:
            w = T[i, i + 1]
            values[i], values[i + 1] = 1j * abs(w), -1j * abs(w)
            x = (Z[:, i] + 1j * np.sign(w) * Z[:, i + 1]) / np.sqrt(2)
            vectors[:, i], vectors[:, i + 1] = x, x.conj()
    return values, vectors


def _normal_schur(B: Matrix, kind: Kind) -> tuple[Matrix, Matrix]:
    if kind == "symmetric":
        values, Z = np.linalg.eigh((B + B.T) / 2)
        return np.diag(values), Z
    T, Z = scipy.linalg.schur((B - B.T) / 2, output="real")
    T = (T - T.T) / 2
    off = np.diag(T, 1).copy()
    # Neighbouring couplings: only one of two can be real, the other is rounding.
    small = np.abs(off) <= 10 * np.finfo(np.float64).eps * max(1.0, len(T)) * np.abs(off).max(initial=0.0)
    off[small] = 0.0
    for i in range(1, len(off)):
        if off[i] != 0 and off[i - 1] != 0:
            raise ComputationError("the Schur form of a skew matrix has a block larger than 2x2.")
    return np.diag(off, 1) - np.diag(off, -1), Z


def ordered_schur(B: Matrix, key: Key, kind: Kind) -> tuple[Matrix, Matrix]:
    """Real Schur form ``B = Z T Z.T`` with the diagonal blocks in falling order of the key.

    LAPACK's ``trexc`` moves whole 1x1 and 2x2 blocks; where two blocks are too close to be swapped stably
    it says so, and the order found so far is kept (their keys are then as good as equal). The blocks of a
    normal matrix are not coupled and are simply permuted.
    """
    if kind != "general":
        T, Z = _normal_schur(B, kind)
        starts, scores = _blocks(T, key)
        widths = np.diff([*starts, len(T)])
        order = [
            starts[i] + offset
            for i in sorted(range(len(starts)), key=lambda i: -scores[i])
            for offset in range(widths[i])
        ]
        return T[np.ix_(order, order)], Z[:, order]
    T, Z = scipy.linalg.schur(B, output="real")
    position, m = 0, len(B)
    while position < m:
        starts, scores = _blocks(T, key)
        here = starts.index(position)
        best = max(range(here, len(starts)), key=lambda i: scores[i])
        if best != here:
            T, Z, info = scipy.linalg.lapack.dtrexc(T, Z, starts[best] + 1, position + 1)
            if info != 0:
                return T, Z
        position += 2 if position + 1 < m and T[position + 1, position] != 0 else 1
    return T, Z


def _blocks(T: Matrix, key: Key) -> tuple[list[int], list[float]]:
    """First rows of the diagonal blocks of a real Schur form, and the key of each."""
    m = len(T)
    starts = [i for i in range(m) if i == 0 or T[i, i - 1] == 0]
    real = np.diag(T)[starts]
    imag = np.zeros(len(starts))
    for index, i in enumerate(starts):
        if i + 1 < m and T[i + 1, i] != 0:
            imag[index] = np.sqrt(abs(T[i + 1, i])) * np.sqrt(abs(T[i, i + 1]))
    # A key may compare all eigenvalues with one another, so it sees both of each pair.
    whole = np.repeat(real + 1j * imag, np.diff([*starts, m]))
    whole[1:] = np.where(np.diff(np.repeat(starts, np.diff([*starts, m]))) == 0, whole[1:].conj(), whole[1:])
    scores = torch.nan_to_num(
        key(torch.from_numpy(whole)).to(torch.float64), nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf
    )
    return starts, [float(score) for score in scores[starts]]
