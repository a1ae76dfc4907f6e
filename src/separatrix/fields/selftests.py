"""Self-tests of a Jacobian when it is built; each has caught a real defect.

T0 field: ``v`` twice, bitwise, with one evaluation elsewhere in between. T1 repeat: one vector, twice. T2 adjoint, when
the second product is first built. T3 block symmetry: a player's own block is a Hessian. T4 cross blocks: an empty one
means detached players. T5 difference: ``J z`` against central differences of the field in float64, at two step sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from separatrix.errors import ComputationError, InputError, SeparatrixError, WrongDerivativeError
from separatrix.fields.field import Field
from separatrix.fields.game_field import GameField
from separatrix.fields.jacobian import Jacobian
from separatrix.fields.support import refuse_known_wrong, suspects

# Relative steps of T5: at larger ones a piecewise-linear net crosses kinks, at smaller ones rounding shows.
DIFFERENCE_STEPS = (1e-7, 1e-8)
DIFFERENCE_TOLERANCE = 1e-4
DETACHED = (
    "detached: the direction of {row!r} changes with the parameters of {column!r}, but its loss hides that from autograd, so "
    "this block of the Jacobian is missing. The usual reason is fake.detach() in the loss of {row!r}: right for a training "
    "step, but it hides the interaction that is to be measured. Return both losses from one function and let both read the "
    "same undetached fake = models['G'](z); each player's gradient stays as it was."
)
EMPTY = (
    "empty-cross-block: the block of {row!r} against {column!r} is zero, and whether that is so or comes from a .detach() could "
    "not be checked, since the losses cannot be evaluated in float64."
)


def test_build(jacobian: Jacobian) -> None:
    """T0, T1, T3, T4 and T5. Cost: about 20 gradients, most of them for T5."""
    field = jacobian.field
    refuse_known_wrong(field)
    check_repeatable(field, jacobian.x)
    generator = torch.Generator().manual_seed(0)
    for player in field.players:
        _check_player(jacobian, player, generator)
    _check_repeat(jacobian, generator)
    if isinstance(field, GameField):
        _check_blocks(jacobian, generator)


test_build.__test__ = False  # type: ignore[attr-defined]


def test_adjoint(jacobian: Jacobian) -> None:
    """T2: ``<u, J v> = <J.T u, v>`` to rounding.

    Raises:
        WrongDerivativeError: the two products contradict each other.
    """
    generator = torch.Generator().manual_seed(2)
    u, v = (_draw(jacobian, generator) for _ in range(2))
    forward, backward = jacobian._sum(jacobian._push(v)), jacobian.T @ u
    gap = abs(float(u @ forward) - float(backward @ v))
    scale = float(u.norm() * forward.norm()) + float(backward.norm() * v.norm())
    if gap > _rounding(jacobian) * scale:
        raise WrongDerivativeError(
            f"the products J @ v and J.T @ u of {jacobian.field.name!r} contradict each other: <u, J v> and <J.T u, v> differ "
            f"by {gap:.3g} at scale {scale:.3g}. An operator in the losses has a wrong double backward; use J.T only, or sx.Run."
        )


test_adjoint.__test__ = False  # type: ignore[attr-defined]


def check_repeatable(field: Field, x: Tensor | None = None) -> None:
    """T0: the field is a function of the point.

    Raises:
        InputError: two evaluations at one point differ: randomness beyond the global streams, or hidden state.
    """
    here = field.point if x is None else x
    first = field(here)
    elsewhere = torch.randn(here.shape, generator=torch.Generator().manual_seed(1)).to(here)
    try:
        field(here + 1e-3 * elsewhere * (here.norm() / elsewhere.norm() + 1e-3))
    except (InputError, ComputationError):
        pass  # whether the field exists elsewhere is not the question
    second = field(here)
    gap = float((first - second).norm())
    allowed = 0.0 if field.device.type == "cpu" else 1e-4 * float(first.norm())
    if gap > allowed:
        raise InputError(
            f"the losses of {field.name!r} give different gradients at the same point (difference {gap:.3g} of "
            f"{float(first.norm()):.3g}): a torch.Generator of their own, or state kept between calls. Draw noise from the global "
            "stream (torch.randn without generator=), pass it in the batch, or reset the generator inside the losses."
        )


def _check_player(jacobian: Jacobian, player: str, generator: torch.Generator) -> None:
    """T3 for one player: two products."""
    space = jacobian.field.space
    index = _exclusive(jacobian, player)
    if len(index) == 0:
        return
    u, w = (torch.zeros(space.n, dtype=jacobian.dtype, device=jacobian.device) for _ in range(2))
    u[index] = _draw(jacobian, generator)[index]
    w[index] = _draw(jacobian, generator)[index]
    ju, jw = jacobian.T @ u, jacobian.T @ w
    left, right = float(ju[index] @ w[index]), float(jw[index] @ u[index])
    # The norm of the products on the block alone: a large cross block must not hide an asymmetric own one.
    scale = float(ju[index].norm() * w.norm() + jw[index].norm() * u.norm()) / max(len(index), 1) ** 0.5
    cross = float(ju.norm() * w.norm()) * torch.finfo(jacobian.dtype).eps
    if abs(left - right) > _rounding(jacobian) * 10 * scale + 100 * cross:
        _asymmetric(jacobian, player, u, abs(left - right), max(abs(left), abs(right), scale))


def _asymmetric(jacobian: Jacobian, player: str, u: Tensor, gap: float, scale: float) -> None:
    """A player's own block is not symmetric: wrong derivatives, unless the differences agree with it."""
    if not isinstance(jacobian.field, GameField):
        return  # a field given as a function need not be anybody's gradient
    compared = compare_with_differences(jacobian.field, jacobian.x, u)
    if compared is not None and compared[player].agrees:
        jacobian.findings.append(
            f"not-a-gradient: {player!r} does not descend its own loss: its block of the Jacobian is asymmetric by {gap:.2g} of "
            f"{scale:.2g}, and differences of the field agree with it (a gradient reversal or another custom backward)."
        )
        return
    where = (
        suspects(jacobian.field, player) or "an operator with a custom or fused backward; compare modules one by one"
    )
    raise WrongDerivativeError(
        f"second derivatives of player {player!r} are wrong: its own block of the Jacobian should be symmetric but "
        f"<u, J w> and <w, J u> differ by {gap:.3g} at scale {scale:.3g}. Likely: {where}."
    )


def _check_repeat(jacobian: Jacobian, generator: torch.Generator) -> None:
    """T1: the same product twice."""
    u = _draw(jacobian, generator)
    first, second = jacobian.T @ u, jacobian.T @ u
    if float((first - second).norm()) > _rounding(jacobian) * float(first.norm()):
        raise WrongDerivativeError(
            f"the same product J.T @ u of {jacobian.field.name!r} gave two answers ({float((first - second).norm()):.3g} apart): an "
            "operator in the losses keeps state in its backward; use sx.Run, or replace it."
        )


@dataclass(frozen=True)
class Comparison:
    """One player's rows of ``J z`` against central differences of the field.

    Attributes:
        gap: relative distance, at the better of two steps.
        spread: relative distance between the two steps.
        absent: ``J z`` is exactly zero there while the differences are not.
    """

    gap: float
    spread: float
    absent: bool

    @property
    def agrees(self) -> bool:
        return self.gap <= DIFFERENCE_TOLERANCE

    @property
    def decided(self) -> bool:
        """The two steps agree with each other, so that the differences can be believed."""
        return self.spread <= DIFFERENCE_TOLERANCE


def compare_with_differences(field: GameField, x: Tensor, z: Tensor) -> dict[str, Comparison] | None:
    """T5 in float64, by player: shares no code with second derivatives. Cost: about 11 gradients.

    Returns:
        ``None`` where the losses cannot be evaluated in float64.
    """
    try:
        twin = field.with_dtype(torch.float64)
        x, z = x.double(), z.double()
        v = twin.directions(x)
        exact = Jacobian(twin, x, checks=False).rows_apply(z)
        differences = []
        for step in DIFFERENCE_STEPS:
            h = step * (float(x.norm()) + 1e-3) / float(z.norm())
            up, down = twin.directions(x + h * z), twin.directions(x - h * z)
            differences.append({p: (up[p] - down[p]) / (2 * h) for p in field.players})
    except (SeparatrixError, RuntimeError, TypeError):
        return None
    field.gradients += twin.gradients
    result = {}
    for player in field.players:
        found = [d[player] for d in differences]
        floor = 10 * torch.finfo(torch.float64).eps * float(v[player].norm()) / h  # rounding: eps |v| / h
        scale = max(float(exact[player].norm()), float(found[0].norm()), floor / DIFFERENCE_TOLERANCE, 1e-300)
        gaps = [float((exact[player] - d).norm()) / scale for d in found]
        spread = max(float((a - b).norm()) for a, b in pairwise(found)) / scale
        result[player] = Comparison(
            min(gaps), spread, not bool(exact[player].any()) and min(gaps) > DIFFERENCE_TOLERANCE
        )
    return result


def _check_blocks(jacobian: Jacobian, generator: torch.Generator) -> None:
    """T4 and T5: every block against differences of the field along one random direction a player."""
    field = jacobian.field
    assert isinstance(field, GameField)
    for column in field.players:
        z = torch.zeros(jacobian.shape[0], dtype=jacobian.dtype, device=jacobian.device)
        index = field.space.index(column)
        z[index] = _draw(jacobian, generator)[index]
        compared = compare_with_differences(field, jacobian.x, z)
        if compared is None:
            _note_unchecked(jacobian, column, z)
            continue
        for row in field.players:
            _judge(jacobian, row, column, compared[row])


def _judge(jacobian: Jacobian, row: str, column: str, comparison: Comparison) -> None:
    if comparison.agrees:
        return
    if not comparison.decided:
        jacobian.findings.append(
            f"discontinuous: the direction of {row!r} jumps along a random direction of {column!r} at relative steps of "
            f"{DIFFERENCE_STEPS[0]:g} to {DIFFERENCE_STEPS[-1]:g} (differences disagree by {comparison.spread:.2g}); the Jacobian "
            "is the almost-everywhere one."
        )
    elif comparison.absent and row != column:
        jacobian.findings.append(DETACHED.format(row=row, column=column))
    else:
        raise WrongDerivativeError(
            f"the Jacobian of {jacobian.field.name!r} contradicts its field in the block of {row!r} against {column!r}: J z and central "
            f"differences of the field in float64 differ by {comparison.gap:.2g} relative. A straight-through estimator, "
            "quantiser, detached factor or score-function surrogate has gradients that are no derivatives of its values; "
            "measure such a run as a black box: sx.Run."
        )


def _note_unchecked(jacobian: Jacobian, column: str, z: Tensor) -> None:
    if not jacobian.findings_about("unchecked"):
        jacobian.findings.append(
            "unchecked: the losses cannot be evaluated in float64, so the Jacobian was not compared with differences of the field."
        )
    pushed = jacobian.rows_apply(z)
    for row in jacobian.field.players:
        if row != column and not bool(pushed[row].any()):
            jacobian.findings.append(EMPTY.format(row=row, column=column))


def _exclusive(jacobian: Jacobian, player: str) -> Tensor:
    """The coordinates that this player alone moves."""
    mask = torch.zeros(jacobian.shape[0], dtype=torch.bool)
    for entry in jacobian.field.space.entries:
        if entry.owners == (player,):
            mask[entry.offset : entry.offset + entry.numel] = True
    return mask.nonzero()[:, 0].to(jacobian.device)


def _draw(jacobian: Jacobian, generator: torch.Generator) -> Tensor:
    return torch.randn(jacobian.shape[0], generator=generator, dtype=torch.float64).to(jacobian.device, jacobian.dtype)


def _rounding(jacobian: Jacobian) -> float:
    """The relative disagreement that rounding explains, with a margin for long sums."""
    return 1e3 * torch.finfo(jacobian.dtype).eps
