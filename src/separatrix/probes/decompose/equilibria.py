"""What kind of point it is to the players: local Nash, local minimax, or stable and yet no Nash equilibrium.

For losses ``L_i`` the own curvature is ``H_i = d_i d_i L_i = -J_ii`` (positive = curved upwards, a minimum for its player).
At a rest point of the field, ``H_i > 0`` for all players makes it a strict local Nash equilibrium and a negative
eigenvalue of one ``H_i`` rules a local Nash equilibrium out [ratliff2016]. In a zero-sum game with leader ``x``
and follower ``y`` it is a strict local minimax point where the follower's ``H_y > 0`` and the leader's Schur complement
``H_x|y = -(J_xx - J_xy J_yy^-1 J_yx) > 0``, and none where one of them has a negative eigenvalue [jin2020;
fiez2020]. Neither is implied by, nor implies, that gradient play converges there.

Every answer is *yes*, *no* or *undecided*. A *no* rests on a direction and its recomputed curvature, a *yes* on bounds
below every eigenvalue that fail with a stated small probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import Space
from separatrix.linalg import Block, Dense, LinearOperator, Stability, stability
from separatrix.linalg.eigen import DENSE_UP_TO
from separatrix.probes.decompose.curvatures import Answer, Curvature, lowest_curvature, schur_curvature
from separatrix.probes.numbers import number


@dataclass(frozen=True)
class LocalEquilibrium:
    """The three second-order tests at a point.

    Attributes:
        at_rest: whether the field is shorter than ``rest``; elsewhere a point is no equilibrium of any kind.
        speed: ``|v|``.
        own: each player's own curvature.
        schur: the leader's curvature when the follower answers best, ``None`` where it is not defined.
        leader: who leads.
        zero_sum: relative distance of ``J_xy`` from ``-J_yx^T`` on random vectors; ``None`` for one or many players.
        nash, minimax: the answers for a *strict* local equilibrium; ``minimax`` is ``None`` where it is not defined.
        stability: of the flow ``dx/dt = v(x)`` in this metric.
        stable: *yes* where it is certified (contracting, or the whole spectrum computed), *no* where unstable.
        stable_but_not_nash: gradient play is drawn to a point that some player would leave.
        sentence: all this in words.
    """

    at_rest: bool
    speed: float
    own: dict[str, Curvature]
    schur: Curvature | None
    leader: str | None
    zero_sum: float | None
    nash: Answer
    minimax: Answer | None
    stability: Stability
    stable: Answer
    stable_but_not_nash: Answer
    sentence: str

    def section(self) -> dict[str, object]:
        """As plain data, for records."""
        rows = [{"player": p, **_plain(c)} for p, c in self.own.items()]
        return {
            "at_rest": self.at_rest,
            "speed": self.speed,
            "own": rows,
            "schur": None if self.schur is None else {"leader": self.leader, **_plain(self.schur)},
            "nash": self.nash,
            "minimax": self.minimax,
            "stability": self.stability.verdict,
            "stable_but_not_nash": self.stable_but_not_nash,
            "sentence": self.sentence,
        }


def local_equilibrium(
    operator: LinearOperator,
    space: Space,
    velocity: Tensor,
    *,
    rest: float = 1e-6,
    leader: str | None = None,
    max_products: int = 200,
    seed: int = 0,
) -> LocalEquilibrium:
    """Local Nash, local minimax (two players, zero-sum) and stability of a point, each with its certificate.

    Definiteness of each player's block, and so every answer but ``stable``, is the same in all metrics that rescale
    each player's own coordinates.

    Args:
        operator: the Jacobian ``v'``, ``(n, n)``, in the metric in which stability is asked.
        space: whose players own its rows; no shared coordinates.
        velocity: ``v``, ``(n,)``.
        rest: a field shorter than this counts as zero, if a Newton step would also be shorter than its square root: a field
            that is merely small everywhere has no rest point for it.
        leader: who moves first in minimax; the first of two players where ``None``.
        max_products: for each of the tests; up to n = 2000 the matrix is formed instead.
        seed: of the start vectors.

    Raises:
        InputError: shared coordinates, an unknown leader, or a velocity of another size.
        NonFiniteError: a velocity or a Jacobian that is not finite.

    Cost: ``n`` products up to n = 2000. Beyond, up to ``max_products`` of each kind for every player and the flow, and as
    many again for minimax, where each product of the Schur complement solves one system with the follower's block.
    """
    if space.shared:
        raise InputError("players share parameters, so no player's own curvature is defined; measure each loss alone.")
    space.check(velocity)
    players = [p for p in space.players if space.size(p)]
    if leader is not None and leader not in players:
        raise InputError(f"no player {leader!r} to lead; the players are {', '.join(players)}.")
    if not bool(torch.isfinite(velocity).all()):
        raise NonFiniteError("the velocity is not finite here, so this is no equilibrium and no point to ask about.")
    dense = space.n <= DENSE_UP_TO
    matrix: LinearOperator = Dense(_finite(operator.to_dense().double())) if dense else operator
    eps = float(torch.finfo(operator.dtype).eps)  # a Jacobian found in float32 is no better for being kept in float64
    own = {p: lowest_curvature(_own(matrix, space, p), max_products=max_products, seed=seed, eps=eps) for p in players}
    speed = float(velocity.double().norm())
    rest = min(rest, rest**0.5 * _gain(matrix, seed))
    at_rest = speed <= rest
    zero_sum, schur = None, None
    if len(players) == 2:
        leader = players[0] if leader is None else leader
        follower = next(p for p in players if p != leader)
        zero_sum = _distance_from_zero_sum(matrix, space, leader, follower, seed)
        if zero_sum <= 1e3 * torch.finfo(operator.dtype).eps and own[follower].positive == "yes":
            schur = schur_curvature(matrix, space, leader, follower, own[follower], eps, max_products, seed)
    else:
        leader = None
    flow = stability(matrix, max_products=max(6 * max_products, 2 * space.n if dense else 12), seed=seed)
    nash: Answer = _all([c.positive for c in own.values()]) if at_rest else "no"
    minimax = _minimax(at_rest, zero_sum, operator, own, schur, leader)
    stable: Answer = (
        "yes" if flow.verdict in ("contracting", "stable") else "no" if flow.verdict == "unstable" else "undecided"
    )
    no_nash: Answer = {"yes": "no", "no": "yes", "undecided": "undecided"}[nash]  # type: ignore[assignment]
    both = _all([stable, no_nash]) if at_rest else "no"
    sentence = _sentence(at_rest, speed, rest, own, nash, minimax, schur, leader, flow, both)
    return LocalEquilibrium(at_rest, speed, own, schur, leader, zero_sum, nash, minimax, flow, stable, both, sentence)


def _gain(matrix: LinearOperator, seed: int) -> float:
    """By how much the operator stretches a random vector: its root mean square singular value, roughly."""
    z = torch.randn(matrix.shape[1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return float((matrix @ z.to(matrix.device, matrix.dtype)).double().norm() / z.norm())


def _finite(matrix: Tensor) -> Tensor:
    if not bool(torch.isfinite(matrix).all()):
        bad = int((~torch.isfinite(matrix)).sum())
        raise NonFiniteError(
            f"{bad} of {matrix.numel()} entries of the Jacobian are not finite; check the losses at this point (a log or a "
            "square root at zero, an overflow)."
        )
    return matrix


def _own(matrix: LinearOperator, space: Space, player: str) -> LinearOperator:
    block = Block(matrix, space.index(player), space.index(player), tags={"symmetric"})
    return Dense(block.to_dense()) if isinstance(matrix, Dense) else block


def _distance_from_zero_sum(matrix: LinearOperator, space: Space, one: str, other: str, seed: int) -> float:
    """``|J_xy u + J_yx^T u| / (|J_xy u| + |J_yx^T u|)``, the largest of three random ``u``."""
    across = Block(matrix, space.index(one), space.index(other))
    back = Block(matrix, space.index(other), space.index(one))
    generator = torch.Generator().manual_seed(seed)
    worst = 0.0
    for _ in range(3):
        u = torch.randn(across.shape[1], generator=generator, dtype=torch.float64).to(matrix.device, matrix.dtype)
        a, b = (across @ u).double(), (back.T @ u).double()
        size = float(a.norm() + b.norm())
        worst = max(worst, float((a + b).norm()) / size if size > 0 else 0.0)
    return worst


def _minimax(
    at_rest: bool,
    zero_sum: float | None,
    operator: LinearOperator,
    own: dict[str, Curvature],
    schur: Curvature | None,
    leader: str | None,
) -> Answer | None:
    if zero_sum is None or zero_sum > 1e3 * torch.finfo(operator.dtype).eps:
        return None
    follower = next(c for p, c in own.items() if p != leader)
    if not at_rest:
        return "no"
    if schur is None:
        return follower.positive  # no, or undecided
    return schur.positive


def _all(answers: list[Answer]) -> Answer:
    if "no" in answers:
        return "no"
    return "undecided" if "undecided" in answers else "yes"


def _plain(curvature: Curvature) -> dict[str, object]:
    return {**vars(curvature), "positive": curvature.positive}


def _sentence(
    at_rest: bool,
    speed: float,
    rest: float,
    own: dict[str, Curvature],
    nash: Answer,
    minimax: Answer | None,
    schur: Curvature | None,
    leader: str | None,
    flow: Stability,
    both: Answer,
) -> str:
    if not at_rest:
        return f"The field still moves here (|v| = {number(speed)}, above {number(rest)}), so it is no equilibrium."
    said = {"yes": "a strict local Nash equilibrium", "no": "no local Nash equilibrium"}.get(nash)
    text = f"The point is {said}" if said else "Whether the point is a local Nash equilibrium is undecided"
    leaving = [f"{p} (curvature {number(c.lowest)})" for p, c in own.items() if c.positive == "no"]
    flat = [p for p, c in own.items() if c.positive == "undecided"]
    if leaving:
        text += f": {' and '.join(leaving)} would leave it"
    elif flat:
        text += f": the curvature of {' and '.join(flat)} cannot be told from zero"
    if minimax is not None:
        ending = {"yes": "it is a strict local minimax point", "no": "it is no local minimax point"}.get(
            minimax, "whether it is a local minimax point is undecided"
        )
        text += f"; with {leader} leading {ending}"
        if schur is not None:
            text += f" (Schur complement from {number(schur.lowest)} on)"
    text += f". The flow is {flow.verdict} there"
    if both == "yes":
        text += ": gradient play is drawn to a point that is no local Nash equilibrium"
    return text + "."
