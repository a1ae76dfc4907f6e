"""Which eigenvalues are wanted: an order on the complex plane that treats conjugates alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.linalg._checks import check_count

Key = Callable[[Tensor], Tensor]
Target = str | Key

# Against the largest modulus: below it the damping ratio of a computed eigenvalue is rounding.
SLOW = 1e-3
# A damping ratio below this counts as none.
UNDAMPED = 1e-3


def step_limit(lam: Tensor) -> Tensor:
    """The largest step ``h`` of plain descent at which each mode does not grow, ``|1 + h lam| <= 1``.

    Formula: ``h = -2 Re lam / |lam|^2``; zero where ``Re lam >= 0``, infinite for ``lam = 0``. Sign: the flow is
    ``dx/dt = A x``.

    Example:
        >>> import torch
        >>> from separatrix.linalg import step_limit
        >>> step_limit(torch.tensor([-2.0 + 0j, -1 + 2j, 1j, 0j], dtype=torch.complex128)).tolist()
        [1.0, 0.4, 0.0, inf]
    """
    damping = torch.where(lam.real < 0, -lam.real, 0.0)
    return torch.where(lam == 0, torch.inf, 2 * damping / (lam.real.square() + lam.imag.square()))


def _inverse_limit(lam: Tensor) -> Tensor:
    """``1 / step_limit``, of modes that move and with a floor under the damping.

    So modes to the right, whose limit is zero, come first, the largest in front.
    """
    size = lam.abs()
    damping = (-lam.real / size).nan_to_num(nan=0.0).clamp(min=UNDAMPED)
    return torch.where(size > SLOW * size.max(), size / (2 * damping), -torch.inf) if len(lam) else size


TARGETS: dict[str, Key] = {
    "rightmost": lambda lam: lam.real,
    "leftmost": lambda lam: -lam.real,
    "largest": lambda lam: lam.abs(),
    "rotation": lambda lam: torch.where(lam.imag == 0, -torch.inf, lam.imag.abs()),
    "step-limit": _inverse_limit,
}


@dataclass(frozen=True)
class Near:
    """Eigenvalues nearest to a real ``shift`` are wanted most; Krylov searches extract them harmonically."""

    shift: float

    def __call__(self, lam: Tensor) -> Tensor:
        return -(lam - self.shift).abs()

    def __str__(self) -> str:
        return f"near {self.shift:g}"


@dataclass(frozen=True)
class Divergence:
    """Modes that a scheme multiplies most are wanted most.

    Args:
        multiplier: from eigenvalues ``(k,)`` complex128 to the factor of one step, ``(k,)`` complex or its modulus; such
            as ``lambda lam: 1 + h * lam`` for plain descent with step ``h``, ``1 + h lam + (h lam)^2`` for extragradient.
        name: of the scheme.
    """

    multiplier: Callable[[Tensor], Tensor]
    name: str = "a scheme"

    def __call__(self, lam: Tensor) -> Tensor:
        return self.multiplier(lam).abs()

    def __str__(self) -> str:
        return f"divergence of {self.name}"


@dataclass(frozen=True)
class Ends:
    """Several ends of the spectrum in one search: the first ``counts[i]`` of each order ``keys[i]`` are wanted."""

    keys: tuple[Key, ...]
    counts: tuple[int, ...]

    def __call__(self, lam: Tensor) -> Tensor:
        """Higher is wanted more, and above -1 what is wanted at all: minus the best place over the end's count."""
        # Called for each swap of a reordering, so in whole tensors: a stable sort leaves conjugates side by side.
        place = torch.arange(len(lam))
        second = torch.zeros(len(lam), dtype=torch.bool)
        second[1:] = (lam.imag[1:] < 0) & (lam.imag[:-1] == -lam.imag[1:])
        best = torch.full((len(lam),), -torch.inf, dtype=torch.float64)
        for key, count in zip(self.keys, self.counts, strict=True):
            scores = _scores(key, lam)
            rank = torch.empty_like(place)
            rank[torch.argsort(scores, descending=True, stable=True)] = place
            rank = torch.where(second, rank.roll(1), rank)
            best = torch.maximum(best, torch.where(scores > -torch.inf, -rank.double() / count, -torch.inf))
        return best

    def chosen(self, lam: Tensor) -> list[int]:
        """What any of the ends wants, once, the first end's in front."""
        found: list[int] = []
        for strict in (True, False):
            for key, count in zip(self.keys, self.counts, strict=True):
                found += [index for index in _first(units(lam, key, strict=strict), count) if index not in found]
            if found:  # else nothing turns, say, and rotations were all that was asked for
                break
        return found


def as_ends(targets: Sequence[Target], counts: Sequence[int]) -> Ends:
    """Several targets with a count for each."""
    if not targets:
        raise InputError(f"give at least one target: {', '.join(map(repr, sorted(TARGETS)))} or a callable key.")
    if len(targets) != len(counts):
        raise InputError(f"give one k, or one for each of the targets: got {len(counts)} for {len(targets)}.")
    return Ends(tuple(as_key(target) for target in targets), tuple(check_count("k", count) for count in counts))


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
    if isinstance(target, str | Near | Divergence):
        return str(target)
    return getattr(target, "__name__", "key")


def units(values: Tensor, key: Key, *, strict: bool = False) -> list[list[int]]:
    """Indices of single eigenvalues and of whole conjugate pairs, most wanted first.

    Args:
        values: eigenvalues of a real matrix as LAPACK gives them, conjugates adjacent, ``(n,)`` complex128.
        key: the order.
        strict: leave out what the key puts at minus infinity, such as real eigenvalues among rotations.
    """
    imag = values.imag.tolist()
    found: list[list[int]] = []
    index = 0
    while index < len(imag):
        width = 2 if imag[index] != 0 and index + 1 < len(imag) else 1
        found.append(list(range(index, index + width)))
        index += width
    scores = _scores(key, values).tolist()
    kept = [unit for unit in found if not strict or scores[unit[0]] > -torch.inf]
    return sorted(kept, key=lambda unit: -scores[unit[0]])


def _scores(key: Key, values: Tensor) -> Tensor:
    """NaN keys (0/0 in a user's ratio) go last rather than anywhere."""
    return torch.nan_to_num(key(values).to(torch.float64), nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)


def select(values: Tensor, key: Key, k: int) -> list[int]:
    """Indices of the ``k`` most wanted eigenvalues, best first, or ``k + 1`` where a pair would be split.

    For several ends the counts are theirs: what any of them wants, once.
    """
    return key.chosen(values) if isinstance(key, Ends) else _first(units(values, key), k)


def _first(ordered: list[list[int]], count: int) -> list[int]:
    chosen: list[int] = []
    for unit in ordered:
        if len(chosen) >= count:
            break
        chosen.extend(unit)
    return chosen
