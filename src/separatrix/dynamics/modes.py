"""What momentum does to one eigenmode: multipliers, and the limit of the step.

For an eigenvalue ``lambda`` of the field's Jacobian (field sign) and a step ``h`` let ``z = h lambda``. A one-step method
multiplies the mode by the roots ``m`` of its characteristic polynomial; it is stable where all ``|m| <= 1``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from separatrix.errors import InputError

KINDS = ("none", "heavy-ball", "nesterov", "averaged", "complex")


@dataclass(frozen=True)
class Mode:
    """Momentum of a base and its decoupled decay.

    Kinds, with momentum ``b``:

    - ``none``: ``m = 1 + z``; real limit ``z = -2``.
    - ``heavy-ball``: ``m^2 - (1 + b + z) m + b = 0``; limit ``-2 (1 + b)``.
    - ``nesterov``: ``m^2 - (1 + b + (1 + b) z) m + b (1 + z) = 0``; limit ``-2 (1 + b) / (1 + 2 b)``.
    - ``averaged`` (Adam's): ``m^2 - (1 + b + (1 - b) z) m + b = 0``; limit ``-2 (1 + b) / (1 - b)``.

    - ``complex``: heavy ball with the momentum ``b e^(i angle)``, of which the real part moves the point [lorraine2022]; three roots,
      and a limit that is found by bisection.

    A decoupled decay ``d`` replaces the point ``x`` by ``(1 - d) x`` before the step.

    Raises:
        InputError: an unknown kind, or a momentum outside (-1, 1).

    Example:
        >>> Mode("averaged", 0.5).limit
        6.0
        >>> Mode("none").multipliers(-0.5 + 0j).tolist()
        [(0.5+0j)]
    """

    kind: str = "none"
    momentum: float = 0.0
    decay: float = 0.0
    angle: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"the kind of momentum must be one of {KINDS}, got {self.kind!r}.")
        if not -1 < self.momentum < 1:
            raise InputError(f"momentum must lie in (-1, 1), got {self.momentum}.")

    def matrix(self, z: complex) -> NDArray[np.complex128]:
        """One step on ``(x, buffer)`` for a mode with ``h lambda = z``; ``(1, 1)``, ``(2, 2)``, with the imaginary part ``(3, 3)``."""
        b, kept = self.momentum, 1 - self.decay
        if self.kind == "none":
            return np.array([[kept + z]], dtype=complex)
        if self.kind == "nesterov":
            return np.array([[kept + z + b * z, b * b], [z, b]], dtype=complex)
        if self.kind == "complex":
            p, q = b * np.cos(self.angle), b * np.sin(self.angle)
            return np.array([[kept + z, p, -q], [z, p, -q], [0, q, p]], dtype=complex)
        push = (1 - b) * z if self.kind == "averaged" else z
        return np.array([[kept + push, b], [push, b]], dtype=complex)

    def multipliers(self, z: complex) -> NDArray[np.complex128]:
        """All roots, largest modulus first."""
        roots: NDArray[np.complex128] = np.linalg.eigvals(self.matrix(z)).astype(complex)
        return roots[np.argsort(-np.abs(roots))]

    def growth(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """The modulus of the largest root for each of many ``z``, ``(k,)``."""
        roots = np.linalg.eigvals(np.stack([self.matrix(each) for each in z]))
        moduli: NDArray[np.float64] = np.abs(roots).max(axis=1)
        return moduli

    @property
    def limit(self) -> float:
        """The largest ``-z`` on the negative real axis at which the mode still does not grow."""
        if self.kind == "complex":
            return self._bisected_limit()
        # det(M(z) + I) is affine in z, and the root of a real mode leaves the disc at -1.
        at0, at1 = (_determinant_plus_one(self.matrix(z)) for z in (0.0, 1.0))
        return at0 / (at1 - at0)

    def _bisected_limit(self) -> float:
        scan = np.geomspace(1e-4, 100, 400)
        grows = [abs(self.multipliers(complex(-z))[0]) > 1 + 1e-9 for z in scan]
        if grows[0]:
            return 0.0
        low, high = scan[grows.index(True) - 1], scan[grows.index(True)]
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if abs(self.multipliers(complex(-middle))[0]) > 1 else (middle, high)
        return float(low)


def _determinant_plus_one(m: NDArray[np.complex128]) -> float:
    if len(m) == 1:
        return float(m[0, 0].real) + 1
    return float(((m[0, 0] + 1) * (m[1, 1] + 1) - m[0, 1] * m[1, 0]).real)
