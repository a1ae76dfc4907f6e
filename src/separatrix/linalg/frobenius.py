"""How much of a field turns: Frobenius norms of the symmetric and antisymmetric part, and their share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.linalg._checks import check_count, check_square
from separatrix.linalg._draw import BLOCK, as_generator, seed_number, sign_blocks
from separatrix.linalg.counting import Counted
from separatrix.linalg.estimate import Estimate, ratio
from separatrix.linalg.operator import LinearOperator


@dataclass(frozen=True)
class FrobeniusParts:
    """Frobenius norms of ``A`` and its parts ``S = (A + A.T) / 2`` and ``K = (A - A.T) / 2``.

    Attributes:
        total: ``||A||_F``.
        symmetric: ``||S||_F``.
        antisymmetric: ``||K||_F``.
        rotational_share: ``||K||_F^2 / ||A||_F^2``, 0 for a potential field, 1 for a pure rotation, NaN for
            zero.
        trace: ``tr A``, from the same products.
    """

    total: Estimate
    symmetric: Estimate
    antisymmetric: Estimate
    rotational_share: Estimate
    trace: Estimate

    def __str__(self) -> str:
        return "\n".join(
            f"{name:>16} {getattr(self, name)}"
            for name in ("total", "symmetric", "antisymmetric", "rotational_share", "trace")
        )


def frobenius_parts(operator: LinearOperator, probes: int = 30, *, seed: int | torch.Generator = 0) -> FrobeniusParts:
    """Norms of both parts of a square operator and the rotational share, with standard errors.

    ``||S||_F^2 = E ||S z||^2`` and likewise for ``K``, over random signs ``z``; one ``A z`` and one ``A.T
    z`` give both. ``||A||_F^2`` is taken as their sum: ``||A z||^2`` has the same mean but the noise of the
    cross term. The share is a ratio of means, so its error is that of a ratio (delta method). With as many
    probes as rows the unit vectors are used instead, and everything is exact.

    Args:
        operator: square, ``(n, n)``.
        probes: how many, at least 2.
        seed: of the probes.

    Cost: one product of each kind per probe.

    Example:
        >>> import torch
        >>> from separatrix.linalg import Dense, frobenius_parts
        >>> frobenius_parts(Dense(torch.tensor([[1.0, 1.0], [-1.0, 1.0]]))).rotational_share.value
        0.5
    """
    n = check_square(operator, "Frobenius norms")
    check_count("probes", probes, least=2)
    exact = probes >= n
    count = n if exact else probes
    counted, generator = Counted(operator), as_generator(seed)
    blocks = _unit_blocks(operator, n) if exact else sign_blocks(operator, probes, generator)
    samples = []
    for Z in blocks:
        forward = counted.rows(Z)
        backward = -forward if "skew" in operator.tags else counted.T.rows(Z)
        for z, ahead, back in zip(Z.double(), forward.double(), backward.double(), strict=True):
            parts = torch.linalg.vector_norm((ahead + back) / 2), torch.linalg.vector_norm((ahead - back) / 2)
            samples.append([float(parts[0]) ** 2, float(parts[1]) ** 2, float(z @ ahead)])
    s, k, t = torch.tensor(samples, dtype=torch.float64).T
    drawn, number = 0 if exact else count, seed_number(seed)

    def estimate(value: float, stderr: float, what: str) -> Estimate:
        how = "exactly" if exact else f"from {count} probes"
        status = f"{what} {how}, {counted.spent} products."
        return Estimate(value, 0.0 if exact else stderr, exact, drawn, counted.spent, number, status)

    def norm(squares: torch.Tensor, what: str) -> Estimate:
        value = float(squares.mean()) ** 0.5
        error = float(squares.std()) / count**0.5 / (2 * value) if value > 0 and count > 1 else 0.0
        return estimate(value, error, what)

    share, share_error = ratio(k, s + k)
    trace_error = float(t.std()) / count**0.5 if count > 1 else 0.0
    return FrobeniusParts(
        total=norm(s + k, "Frobenius norm"),
        symmetric=norm(s, "norm of the symmetric part"),
        antisymmetric=norm(k, "norm of the antisymmetric part"),
        rotational_share=estimate(share, share_error, "rotational share"),
        trace=estimate(float(t.mean()), trace_error, "trace"),
    )


def _unit_blocks(operator: LinearOperator, n: int) -> Iterator[Tensor]:
    """``sqrt(n) e_i``: the mean over all of them is exact."""
    eye = n**0.5 * torch.eye(n, dtype=operator.dtype, device=operator.device)
    yield from torch.split(eye, BLOCK)
