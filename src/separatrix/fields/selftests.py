"""Self-tests of a Jacobian when it is built; each has caught a real defect.

T0 field: ``v`` twice, with one evaluation elsewhere in between. T1 repeat: one vector, twice. T2 adjoint, when the second
product is first built. T3 block symmetry: a player's own block is a Hessian. T4 cross blocks: an empty one means detached
players. T5 difference: ``J z`` against central differences of the field in float64. T6 first order: the retained
directions are the field's. T7 precision: the products against their float64 twins.
"""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import Tensor

from separatrix.errors import ComputationError, InputError, WrongDerivativeError
from separatrix.fields.differences import Comparison, Differences, differences, natural_direction
from separatrix.fields.field import Field
from separatrix.fields.game_field import GameField
from separatrix.fields.jacobian import Jacobian
from separatrix.fields.support import custom_functions, padding_rows, refuse_known_wrong, suspects, underneath

# What rounding may do to a product, relative; the wrong derivatives that were met are off by 1e-2 and more.
ROUNDING = {torch.float64: 1e-6, torch.float32: 2e-3}
DETACHED = (
    "detached: the direction of {row!r} changes with the parameters of {column!r}, but its loss hides that from autograd, so "
    "this block of the Jacobian is missing. The usual reason is fake.detach() in the loss of {row!r}: right for a training "
    "step, but it hides the interaction that is to be measured. Return both losses from one function and let both read the "
    "same undetached fake = models['G'](z); each player's gradient stays as it was."
)


def test_build(jacobian: Jacobian) -> None:
    """All tests but T2. Cost: about 15 gradients and 8 a player."""
    field = jacobian.field
    refuse_known_wrong(field)
    check_repeatable(field, jacobian.x)
    _check_first_order(jacobian)
    for number, rows in padding_rows(field).items():
        jacobian.findings.append(
            f"padding: row {rows[0]} of {field.space.entries[number].name} is held fixed by padding_idx; its row and column of the "
            "Jacobian are zero, since nothing moves it."
        )
    generator = torch.Generator().manual_seed(0)
    _check_repeat(jacobian, generator)
    oracle = differences(jacobian)
    if isinstance(field, GameField):
        for player in field.players:
            _check_own_block(jacobian, player, oracle, generator)
        _note_sampling(jacobian, field)
    if isinstance(oracle, Differences):
        _check_precision(jacobian, oracle, generator)
    elif isinstance(underneath(field), GameField):
        jacobian.findings.append(
            f"unchecked: the losses cannot be evaluated in float64 ({oracle}), so the Jacobian was not compared with differences "
            "of the field; a constant in float32 is the usual reason: pass it in the batch, or write .to(x) where it is used."
        )
    for column in field.players:
        _check_column(jacobian, column, oracle, natural_direction(jacobian, column, generator))
    if isinstance(oracle, Differences) and oracle.twin is not field:
        field.gradients += oracle.twin.gradients


test_build.__test__ = False  # type: ignore[attr-defined]


def test_adjoint(jacobian: Jacobian) -> None:
    """T2: ``<u, J v> = <J.T u, v>`` to rounding.

    Raises:
        WrongDerivativeError: the two products contradict each other.
    """
    generator = torch.Generator().manual_seed(2)
    u, v = (_draw(jacobian, generator) for _ in range(2))
    forward, backward = jacobian._sum(jacobian._push([v])[0]), jacobian._apply_transpose(u)
    u, v, forward, backward = u.double(), v.double(), forward.double(), backward.double()
    gap = abs(float(u @ forward) - float(backward @ v))
    scale = float(u.norm() * forward.norm()) + float(backward.norm() * v.norm())
    if gap > rounding(jacobian.dtype) * scale:
        if scale < torch.finfo(jacobian.dtype).tiny / torch.finfo(jacobian.dtype).eps:
            raise ComputationError(
                f"the products with the Jacobian of {jacobian.field.name!r} are so small that they vanish in {jacobian.dtype}; multiply "
                "the losses by a large number, and divide the rates by it."
            )
        raise WrongDerivativeError(
            f"the products J @ v and J.T @ u of {jacobian.field.name!r} contradict each other: <u, J v> and <J.T u, v> differ "
            f"by {gap:.3g} at scale {scale:.3g}. An operator in the losses has a wrong double backward; use J.T only, or sx.Run."
        )


test_adjoint.__test__ = False  # type: ignore[attr-defined]


def check_repeatable(field: Field, x: Tensor | None = None) -> None:
    """T0: the field is a function of the point. Cost: 3 gradients.

    Raises:
        InputError: two evaluations at one point differ: randomness beyond the global streams, or hidden state.
    """
    here = field.point if x is None else x
    first = field(here)
    elsewhere = torch.randn(here.shape, generator=torch.Generator().manual_seed(1)).to(here)
    with suppress(InputError, ComputationError):  # whether the field exists elsewhere is not the question
        field(here + 1e-3 * elsewhere * (here.norm() / elsewhere.norm() + 1e-3))
    second = field(here)
    gap = float((first - second).norm())
    # Sums over threads may come in any order; a GPU's do.
    allowed = (100 * torch.finfo(field.dtype).eps if field.device.type == "cpu" else 1e-4) * float(first.norm())
    if gap > allowed:
        raise InputError(
            f"the losses of {field.name!r} give different gradients at the same point (difference {gap:.3g} of "
            f"{float(first.norm()):.3g}): a torch.Generator of their own, or state kept between calls. Draw noise from the global "
            "stream (torch.randn without generator=), pass it in the batch, or reset the generator inside the losses."
        )


def _check_first_order(jacobian: Jacobian) -> None:
    """T6: what is differentiated again is the field itself."""
    field = jacobian.field
    plain = field.directions(jacobian.x)
    for player, part in plain.items():
        gap = float((jacobian.directions([player]) - part).norm())
        if gap > rounding(jacobian.dtype) * float(part.norm()):
            raise WrongDerivativeError(
                f"the gradient of player {player!r} changes by {gap:.3g} of {float(part.norm()):.3g} when its graph is kept for a "
                "second derivative; an operator in the losses chooses another kernel then. Measure in float64 "
                "(game.on(..., dtype=torch.float64)), or without second derivatives: sx.Run."
            )


def _check_own_block(jacobian: Jacobian, player: str, oracle: Differences | str, generator: torch.Generator) -> None:
    """T3 for one player: two products."""
    index = _exclusive(jacobian, player)
    u, w = (torch.zeros_like(jacobian.x) for _ in range(2))
    u[index] = _draw(jacobian, generator)[index]
    w[index] = _draw(jacobian, generator)[index]
    gap, scale = _asymmetry(jacobian, u, w)
    if gap <= rounding(jacobian.dtype) * scale:
        return
    where = (
        suspects(jacobian.field, player) or "an operator with a custom or fused backward; compare modules one by one"
    )
    if isinstance(oracle, Differences):
        exact_gap, exact_scale = _asymmetry(oracle.jacobian, u.double(), w.double())
        if exact_gap <= rounding(torch.float64) * exact_scale:
            raise WrongDerivativeError(
                f"second derivatives of player {player!r} are too coarse in {jacobian.dtype}: its own block of the Jacobian should be "
                f"symmetric but is off by {gap:.3g} at scale {scale:.3g}, and not in float64. Likely: autocast or TF32 inside the "
                "losses, or strong cancellation; measure in float64: game.on(..., dtype=torch.float64)."
            )
        if oracle.compare(u)[player].agrees:
            jacobian.findings.append(
                f"not-a-gradient: {player!r} does not descend its own loss: its block of the Jacobian is asymmetric by {gap:.2g} at "
                f"scale {scale:.2g}, and differences of the field agree with it (a gradient reversal or another custom backward)."
            )
            return
    raise WrongDerivativeError(
        f"second derivatives of player {player!r} are wrong: its own block of the Jacobian should be symmetric but "
        f"<u, J w> and <w, J u> differ by {gap:.3g} at scale {scale:.3g}. Likely: {where}.{custom_functions(jacobian.field)}"
    )


def _asymmetry(jacobian: Jacobian, u: Tensor, w: Tensor) -> tuple[float, float]:
    """``|<J.T u, w> - <J.T w, u>|`` and the size that either would have for vectors without relation."""
    ju, jw = jacobian._apply_transpose(u), jacobian._apply_transpose(w)
    own = (u != 0) | (w != 0)
    # The norm of the products on the block alone: a large cross block must not hide an asymmetric own one.
    block = float(ju[own].norm() * w.norm() + jw[own].norm() * u.norm()) / max(int(own.sum()), 1) ** 0.5
    noise = float(ju.norm() * w.norm()) * torch.finfo(jacobian.dtype).eps
    return max(abs(float(ju @ w) - float(jw @ u)) - 100 * noise, 0.0), block


def _check_repeat(jacobian: Jacobian, generator: torch.Generator) -> None:
    """T1: the same product twice."""
    u = _draw(jacobian, generator)
    first, second = jacobian._apply_transpose(u), jacobian._apply_transpose(u)
    if float((first - second).norm()) > rounding(jacobian.dtype) * float(first.norm()):
        raise WrongDerivativeError(
            f"the same product J.T @ u of {jacobian.field.name!r} gave two answers ({float((first - second).norm()):.3g} apart): an "
            "operator in the losses keeps state in its backward; use sx.Run, or replace it."
        )


def _check_precision(jacobian: Jacobian, oracle: Differences, generator: torch.Generator) -> None:
    """T7: the operator that answers against its float64 twin, where both see the same draw."""
    field = jacobian.field
    if oracle.twin is field or not isinstance(field, GameField):
        return
    v, exact = jacobian.directions(), oracle.jacobian.directions()
    what, gap = "the field", float((v.double() - exact).norm()) / max(float(exact.norm()), 1e-300)
    if gap > rounding(jacobian.dtype) and not torch.equal(
        field.with_seed(field.seed + 1)(jacobian.x), field(jacobian.x)
    ):
        return  # the losses draw, other numbers in float64: nothing can be said
    if gap <= rounding(jacobian.dtype):
        u = _draw(jacobian, generator)
        product, exact = jacobian._apply_transpose(u).double(), oracle.jacobian._apply_transpose(u.double())
        distance = float((product - exact).norm())
        # Curvature far below the gradient itself is rounding of nearly linear losses.
        what, gap = "products", distance / max(float(exact.norm()), 1e-6 * float(v.norm()), 1e-300)
    if gap > rounding(jacobian.dtype):
        jacobian.findings.append(
            f"coarse: in {jacobian.dtype} {what} differ from float64 by {gap:.2g} relative, more than rounding explains (autocast or "
            "TF32 inside the losses, strong cancellation); measure in float64: game.on(..., dtype=torch.float64)."
        )


def _check_column(jacobian: Jacobian, column: str, oracle: Differences | str, z: Tensor) -> None:
    """T4 and T5: every block of one player's column along one random direction."""
    if isinstance(oracle, Differences):
        for row, comparison in oracle.compare(z).items():
            _judge(jacobian, row, column, comparison)
    elif isinstance(jacobian.field, GameField):
        _look_for_detached(jacobian, column, z)


def _judge(jacobian: Jacobian, row: str, column: str, comparison: Comparison) -> None:
    if comparison.agrees:
        return
    if comparison.absent and row != column:
        jacobian.findings.append(DETACHED.format(row=row, column=column))
    elif not comparison.decided:
        jacobian.findings.append(
            f"discontinuous: the direction of {row!r} jumps or has a kink along a random direction of {column!r} (differences "
            f"disagree by {comparison.spread:.2g}); the Jacobian is the almost-everywhere one."
        )
    else:
        raise WrongDerivativeError(
            f"the Jacobian of {jacobian.field.name!r} contradicts its field in the block of {row!r} against {column!r}: J z and central "
            f"differences of the field in float64 differ by {comparison.gap:.2g} relative.{custom_functions(jacobian.field)} A straight-through "
            "estimator, quantiser, detached factor, power iteration, score-function surrogate or gradient reversal has gradients "
            "that are no derivatives of its values; measure such a run as a black box: sx.Run; write a gradient reversal as two "
            "players, {'features': task - weight * domain, 'domain': domain}. (A DiCE surrogate is right only on average over draws, "
            "which differences cannot see: build it with checks=False.)"
        )


def _look_for_detached(jacobian: Jacobian, column: str, z: Tensor) -> None:
    """Without float64 only this much can be told: a block that is zero where the field moves. Cost: 5 gradients."""
    field = jacobian.field
    pushed = jacobian.rows_apply(z)
    up, down = field.directions(jacobian.x + 1e-2 * z), field.directions(jacobian.x - 1e-2 * z)
    for row in field.players:
        moved = float((up[row] - down[row]).norm()) > 1e-4 * float(up[row].norm())
        if row != column and moved and not bool(pushed[row].any()):
            jacobian.findings.append(DETACHED.format(row=row, column=column))


def _note_sampling(jacobian: Jacobian, field: GameField) -> None:
    for player, samplers in field.sampled.items():
        jacobian.findings.append(
            f"sampled: the loss of {player!r} draws with {', '.join(sorted(samplers))} from a distribution that the players move. The draw "
            "is frozen here, so the Jacobian leaves out how the samples themselves would change: a score-function (REINFORCE) "
            "surrogate has the wrong second derivative. Use DiCE, a reparametrised sample, or measure as a black box: sx.Run."
        )


def _exclusive(jacobian: Jacobian, player: str) -> Tensor:
    """The coordinates that this player alone moves."""
    mask = torch.zeros(jacobian.shape[0], dtype=torch.bool)
    for entry in jacobian.field.space.entries:
        if entry.owners == (player,):
            mask[entry.offset : entry.offset + entry.numel] = True
    return mask.nonzero()[:, 0].to(jacobian.device)


def _draw(jacobian: Jacobian, generator: torch.Generator) -> Tensor:
    return torch.randn(jacobian.shape[0], generator=generator, dtype=torch.float64).to(jacobian.device, jacobian.dtype)


def rounding(dtype: torch.dtype) -> float:
    """The relative disagreement that rounding explains."""
    return ROUNDING.get(dtype, 100 * torch.finfo(dtype).eps)
