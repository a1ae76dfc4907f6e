"""How much of a field descends and how much turns near a point: symmetric and antisymmetric part of its Jacobian.

``P = S + A`` with ``S = (P + P^T)/2``, the part that a potential could make, and ``A = (P - P^T)/2``, the part that turns
[balduzzi2018, section 2]. The split depends on the metric: it is that of ``P``, which should be the Jacobian in the
optimiser's metric (:attr:`Setting.operator`); what of it a mere change of a player's units can change is stated beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields import Space
from separatrix.linalg import Estimate, LinearOperator, frobenius_parts
from separatrix.probes.decompose.balance import balance
from separatrix.probes.interplay import EXACT_UP_TO, interplay
from separatrix.probes.numbers import number

GROUPS = 8


@dataclass(frozen=True)
class Potentialness:
    """The share of the squared norm that a potential could make: 1 for a potential, 0 for a pure rotation.

    Attributes:
        value, stderr: ``|S|^2 / |P|^2`` in the metric of the operator; NaN for a field without any derivative.
        balanced, balanced_stderr: the same in balanced units of the players, farthest from 1/2 of all units.
        least, most: its infimum and supremum over all player scalings; one of them is 1/2, unless nobody acts on anybody else.
        scales: balanced units by player; ``None`` where players share parameters.
    """

    value: float
    stderr: float
    balanced: float
    balanced_stderr: float
    least: float
    most: float
    scales: dict[str, float] | None


@dataclass(frozen=True)
class LocalSplit:
    """Norms of both parts, with standard errors.

    Attributes:
        symmetric, antisymmetric, total: Frobenius norms of ``S``, ``A`` and ``P``.
        divergence: ``tr P``; field sign, so volume shrinks where it is negative.
        potentialness: the share of ``S``.
        status: one sentence.
    """

    symmetric: Estimate
    antisymmetric: Estimate
    total: Estimate
    divergence: Estimate
    potentialness: Potentialness
    status: str

    def section(self) -> dict[str, object]:
        """As plain data, for records."""
        norms = {name: getattr(self, name) for name in ("symmetric", "antisymmetric", "total", "divergence")}
        return {
            **{name: {"value": e.value, "stderr": e.stderr, "exact": e.exact} for name, e in norms.items()},
            **potentialness_section(self.total.value, self.potentialness),
        }


def local_split(operator: LinearOperator, space: Space | None = None, *, probes: int = 30, seed: int = 0) -> LocalSplit:
    """Norms of the symmetric and antisymmetric part and the potentialness, in this metric and over all player units.

    The norms come from one ``P z`` and one ``P^T z`` for each random sign vector ``z``
    (:func:`separatrix.linalg.frobenius_parts`); the block norms that balanced units need from :func:`interplay`, in
    independent groups whose spread gives the error (jackknife).

    Args:
        operator: ``P``, ``(n, n)``, in the optimiser's metric where there is one.
        space: whose players may change their units; a single unit for all where ``None``.
        probes: sign vectors for the norms, at least 2; with ``n`` of them everything is exact.
        seed: of the signs.

    Raises:
        InputError: fewer than two probes, or an operator of another size than the space.

    Cost: ``probes`` products of each kind, and 16 more of each kind for every player where there are several. A product is
    2 to 2.7 gradients.

    References: [balduzzi2018, section 2], [hutchinson1990], [osborne1960].

    Example:
        >>> from separatrix.linalg import Dense
        >>> turning = Dense(torch.tensor([[0.0, -2.0], [2.0, 0.0]], dtype=torch.float64))
        >>> local_split(turning, Space.of_sizes({"x": 1, "y": 1})).potentialness.value
        0.0
    """
    if space is not None and operator.shape != (space.n, space.n):
        raise InputError(f"the operator is {operator.shape[0]} x {operator.shape[1]}, the space has n={space.n}.")
    parts = frobenius_parts(operator, probes, seed=seed)
    value, stderr = 1 - parts.rotational_share.value, parts.rotational_share.stderr
    share = _over_units(operator, space, value, stderr, seed)
    return LocalSplit(
        parts.symmetric, parts.antisymmetric, parts.total, parts.trace, share, _sentence(parts.total.value, share)
    )


def _over_units(operator: LinearOperator, space: Space | None, value: float, stderr: float, seed: int) -> Potentialness:
    players = [] if space is None else [p for p in space.players if space.size(p)]
    alone = len(players) < 2
    if math.isnan(value) or space is None or alone or space.shared:
        scales = dict.fromkeys(players, 1.0) if alone else None
        return Potentialness(value, stderr, value, stderr, value, value, scales)
    if space.n <= EXACT_UP_TO:
        samples = interplay(operator, space).norms.square()[None]
    else:
        # Two probes a group: squared norms without bias, and independent from group to group.
        found = [interplay(operator, space, probes=2, seed=1 + 1000 * seed + g) for g in range(GROUPS)]
        samples = torch.stack([f.norms.square() for f in found])
    squares = samples.mean(0)
    return share_over_units(players, squares, value, stderr, _jackknife(samples) if len(samples) > 1 else 0.0)


def share_over_units(
    players: Sequence[str], squares: Tensor, value: float, stderr: float, left_error: float
) -> Potentialness:
    """The potentialness in all units, from the squared block norms and its value in the present ones.

    Args:
        players: their names.
        squares: ``|P_ij|_F^2``.
        value, stderr: of ``|S|^2 / |P|^2``.
        left_error: standard error of the share of ``|P|^2`` that is left in balanced units.
    """
    if math.isnan(value):
        return Potentialness(value, stderr, value, stderr, value, value, None)
    if not bool((squares - torch.diag(squares.diagonal())).any()):  # nobody acts on anybody: units change nothing
        return Potentialness(value, stderr, value, stderr, value, value, dict.fromkeys(players, 1.0))
    units = balance(squares)
    left = units.square / float(squares.sum())
    balanced = min(max((1 + (2 * value - 1) / left) / 2, 0.0), 1.0)
    spread = math.hypot(stderr / left, (balanced - 0.5) * left_error / left)
    scales = dict(zip(players, units.scales.tolist(), strict=True))
    return Potentialness(value, stderr, balanced, spread, min(balanced, 0.5), max(balanced, 0.5), scales)


def potentialness_section(total: float, share: Potentialness) -> dict[str, object]:
    """Plain data of a potentialness and its sentence; ``total`` is ``|P|_F``."""
    return {
        "potentialness": {k: v if _known(v) else None for k, v in vars(share).items()},
        "sentence": _sentence(total, share),
    }


def _jackknife(samples: Tensor) -> float:
    """Standard error of the balanced share of the squared norm, leaving one group out at a time."""
    count = len(samples)
    shares = []
    for i in range(count):
        rest = torch.cat([samples[:i], samples[i + 1 :]]).mean(0)
        shares.append(balance(rest).square / float(rest.sum()))
    spread = float(torch.tensor(shares, dtype=torch.float64).std(correction=0))
    return spread * math.sqrt(count - 1)


def _sentence(total: float, share: Potentialness) -> str:
    if total == 0 or math.isnan(share.value):
        return "The field does not change near this point, so nothing descends and nothing turns."
    text = f"{_share(share.value, share.stderr)} of the squared norm of the Jacobian could come from a potential, the rest turns"
    if share.scales is None:
        return f"{text}; players share parameters, so no player's units can be changed alone."
    if share.least == share.most:
        return f"{text}."
    if abs(share.balanced - 0.5) <= 3 * share.balanced_stderr:
        return f"{text}; in some units of the players it is one half."
    return (
        f"{text}. In whatever units the players are measured it stays between one half and "
        f"{_share(share.balanced, share.balanced_stderr)}."
    )


def _share(value: float, stderr: float) -> str:
    return f"{number(100 * value)}%" + (f" (standard error {number(100 * stderr, 1)} points)" if stderr > 0 else "")


def _known(value: object) -> bool:
    return not (isinstance(value, float) and math.isnan(value))
