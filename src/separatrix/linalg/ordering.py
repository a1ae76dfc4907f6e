"""Which eigenvalues are wanted: an order on the complex plane that treats conjugates alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError

Key = Callable[[Tensor], Tensor]
Target = str | Key

TARGETS: dict[str, Key] = {
    "rightmost": lambda lam: lam.real,
    "leftmost": lambda lam: -lam.real,
    "largest": lambda lam: lam.abs(),
    "rotation": lambda lam: lam.imag.abs(),
}


@dataclass(frozen=True)
class Near:
    """Eigenvalues nearest to a real ``shift`` are wanted most; Krylov searches extract them harmonically."""

    shift: float

    def __call__(self, lam: Tensor) -> Tensor:
        return -(lam - self.shift).abs()

    def __str__(self) -> str:
        return f"near {self.shift:g}"


def as_key(target: Target) -> Key:
    """The key of a named target, or the user's own, checked for conjugate symmetry at a few points.

    A key maps complex128 eigenvalues ``(k,)`` to real numbers ``(k,)``; higher is wanted more.
    """
    if isinstance(target, str):
        if target not in TARGETS:
            raise InputError(f"target must be one of {sorted(TARGETS)} or a callable key, got {target!r}.")
        return TARGETS[target]
    probe = torch.tensor([1 + 2j, -0.3 + 0.1j, 0.02 + 5j, -7 + 1e-3j], dtype=torch.complex128)
    above, below = target(probe), target(probe.conj().resolve_conj())
    if above.is_complex() or above.shape != probe.shape:
        raise InputError(
            "a target key maps complex eigenvalues (k,) to real numbers (k,), this one returned "
            f"{above.dtype} of shape {tuple(above.shape)}."
        )
    if not torch.allclose(above, below, rtol=1e-9, equal_nan=True):
        raise InputError(
            "a target key must be the same for conjugate eigenvalues (a real operator has both), this "
            f"one gives {above.tolist()} and {below.tolist()} at conjugate points; use lam.imag.abs(), "
            "not lam.imag."
        )
    return target


def target_name(target: Target) -> str:
    if isinstance(target, str | Near):
        return str(target)
    return getattr(target, "__name__", "key")


def select(values: Tensor, key: Key, k: int) -> list[int]:
    """Indices of the ``k`` most wanted eigenvalues, best first, or ``k + 1`` where a pair would be split.

    Args:
        values: eigenvalues of a real matrix as LAPACK gives them, conjugates adjacent, ``(n,)`` complex128.
        key: the order.
        k: how many.
    """
    imag = values.imag.tolist()
    units: list[list[int]] = []
    index = 0
    while index < len(imag):
        width = 2 if imag[index] != 0 and index + 1 < len(imag) else 1
        units.append(list(range(index, index + width)))
        index += width
    # NaN keys (0/0 in a user's ratio) go last rather than anywhere.
    scores = torch.nan_to_num(key(values).to(torch.float64), nan=float("-inf"), posinf=float("inf")).tolist()
    units.sort(key=lambda unit: -scores[unit[0]])
    chosen: list[int] = []
    for unit in units:
        if len(chosen) >= k:
            break
        chosen.extend(unit)
    return chosen
