"""How the players act on each other: norms of the Jacobian's blocks, the share that turns, the angle of the cross blocks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields import Space
from separatrix.linalg import LinearOperator
from separatrix.linalg.estimate import ratio


@dataclass(frozen=True)
class Interplay:
    """Block norms by sampling, with standard errors.

    Attributes:
        players: in order.
        norms: ``|P_ij|_F``, how player i's motion changes with player j's parameters, ``(N, N)``.
        stderr: of the norms.
        rotation_share: ``|A|_F^2 / |P|_F^2`` with ``A`` the antisymmetric part: 0 for a potential, 1 for a pure rotation.
        rotation_stderr: its standard error.
        angle_stderr: its standard error over the probes (jackknife); 0 where everything is exact.
        angle_deg: between ``P_12`` and ``-P_21^T`` for two players: 0 where they pull exactly against each other, 90 where
            their couplings have nothing in common, 180 where they pull together.
        probes: random vectors a player; all unit vectors where there are at most ``EXACT_UP_TO`` coordinates.
    """

    players: tuple[str, ...]
    norms: Tensor
    stderr: Tensor
    rotation_share: float
    rotation_stderr: float
    angle_deg: float | None
    angle_stderr: float
    probes: int

    def section(self) -> dict[str, object]:
        share, spread = self.rotation_share, self.rotation_stderr
        sentence = (
            f"{share:.0%} of the squared norm turns (standard error {spread:.1%}); the rest is descent or ascent."
        )
        if self.angle_deg is not None:
            how = "against" if self.angle_deg < 60 else "together with" if self.angle_deg > 120 else "across"
            sentence += (
                f" The couplings of {self.players[0]} and {self.players[1]} work {how} each other (angle {self.angle_deg:.0f} degrees, standard error {self.angle_stderr:.0f}; "
                "0 is pure opposition)."
            )
        return {
            "players": list(self.players),
            "norms": self.norms.tolist(),
            "stderr": self.stderr.tolist(),
            "rotation_share": share,
            "rotation_stderr": spread,
            "angle_deg": self.angle_deg,
            "angle_stderr": self.angle_stderr,
            "sentence": sentence,
        }


# Up to so many coordinates the matrix is formed and nothing is sampled.
EXACT_UP_TO = 300


def interplay(operator: LinearOperator, space: Space, *, probes: int = 8, seed: int = 0) -> Interplay:
    """Norms of all player blocks of an operator, exact for small ones, else by random signs.

    For signs ``z_j`` on player j, ``E |(P z_j)_i|^2 = |P_ij|_F^2`` and ``E (P z_j)_i . (P^T z_j)_i`` is the inner product
    of ``P_ij`` with ``P_ji^T``; the sum over j gives the whole. Both norms in the angle come from the probes of its inner product,
    so that the cosine cannot leave [-1, 1]. With few probes and blocks of low rank the standard errors are themselves rough.

    Args:
        operator: ``(n, n)``.
        space: whose players cut it into blocks; every coordinate has one owner.
        probes: random vectors a player, at least 2.
        seed: of the signs.

    Raises:
        InputError: fewer than two probes, or players that share coordinates.

    Cost: ``probes`` products of each kind for every player; n of one kind where it is exact.
    """
    if probes < 2:
        raise InputError(f"probes must be at least 2, for a standard error, got {probes}.")
    if space.shared:
        raise InputError("players share parameters, so that the operator has no blocks of single players.")
    players = [p for p in space.players if space.size(p)]
    count = len(players)
    if space.n <= EXACT_UP_TO:
        return _exact(operator.to_dense().double().cpu(), space, players)
    generator = torch.Generator().manual_seed(seed)
    squares, crossed, turned = (torch.zeros(probes, count, count, dtype=torch.float64) for _ in range(3))
    for j, column in enumerate(players):
        for sample in range(probes):
            z = torch.zeros(space.n, dtype=operator.dtype, device=operator.device)
            signs = torch.randint(0, 2, (space.size(column),), generator=generator) * 2 - 1
            z[space.index(column)] = signs.to(z)
            forward, backward = operator @ z, operator.T @ z
            for i, row in enumerate(players):
                a, b = space.take(forward, row).double(), space.take(backward, row).double()
                squares[sample, i, j], crossed[sample, i, j] = float(a @ a), float(a @ b)
                turned[sample, i, j] = float(b @ b)
    norms = squares.mean(0).sqrt()
    stderr = squares.std(0) / probes**0.5 / (2 * norms).clamp(min=1e-300)
    total = squares.sum((1, 2))
    turning = (total - crossed.sum((1, 2))) / 2  # |A|^2 = (|P|^2 - tr P^2) / 2
    share, spread = ratio(turning, total) if bool(total.any()) else (0.0, 0.0)  # nothing acts, so nothing turns
    angle, angle_error = None, 0.0
    if count == 2 and float(norms[0, 1] * norms[1, 0]) > 0:
        parts = [torch.stack([t[:, 0, 1], t[:, 1, 0]]) for t in (crossed, squares, turned)]
        angle = _angle(*parts)
        left_out = [_angle(*(torch.cat([t[:, :i], t[:, i + 1 :]], dim=1) for t in parts)) for i in range(probes)]
        angle_error = float(torch.tensor(left_out).std(correction=0)) * (probes - 1) ** 0.5
    return Interplay(tuple(players), norms, stderr, share, spread, angle, angle_error, probes)


def _angle(inner: Tensor, squares: Tensor, turned: Tensor) -> float:
    """Degrees between ``P_12`` and ``-P_21^T`` from the same probes, ``(2, probes)`` each."""
    size = float((squares.sum() * turned.sum()).sqrt())
    return float(torch.rad2deg(torch.acos(torch.tensor(-float(inner.sum()) / size).clamp(-1, 1)))) if size > 0 else 90.0


def _exact(matrix: Tensor, space: Space, players: list[str]) -> Interplay:
    """The same from the matrix itself."""

    def block(i: str, j: str) -> Tensor:
        return matrix[space.index(i)][:, space.index(j)]

    norms = torch.stack([torch.stack([block(i, j).norm() for j in players]) for i in players])
    total, turning = float(matrix.norm()) ** 2, float((matrix - matrix.T).norm()) ** 2 / 4
    share, angle = (turning / total if total > 0 else 0.0), None
    if len(players) == 2 and float(norms[0, 1] * norms[1, 0]) > 0:
        inner = (block(players[0], players[1]) * block(players[1], players[0]).T).sum()
        angle = float(torch.rad2deg(torch.acos((-inner / (norms[0, 1] * norms[1, 0])).clamp(-1, 1))))
    return Interplay(tuple(players), norms, torch.zeros_like(norms), share, 0.0, angle, 0.0, space.n)
