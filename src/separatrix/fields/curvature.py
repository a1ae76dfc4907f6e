"""Curvature matrices that are no Hessians: Gauss-Newton, and Gram matrices of gradients; Fisher's have a file of their own.

All are ``F' M F`` or ``F F'`` with ``F`` the Jacobian of what the model puts out, so no gradient of a single sample is ever
stored. Sign: of the loss, positive where it is curved upwards; a field points downhill, so where the loss is nearly
quadratic in the outputs its Jacobian is near minus these. The Hessian itself is ``-1.0 * field.jacobian()``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.batches import copied
from separatrix.fields.game_field import GameField
from separatrix.fields.graph import Graph
from separatrix.fields.outputs import OutputJacobian, Outputs
from separatrix.linalg.extremes import extremes
from separatrix.linalg.operator import LinearOperator

# Steps of the search for a direction in the outputs along which the loss curves downwards.
SEARCH = 20


class Curvature(LinearOperator):
    """``F' M F``, ``(n, n)``, symmetric.

    Attributes:
        jacobian: ``F``, ``(m, n)``.
        middle: ``M``, ``(m, m)``: the curvature in the space of the outputs.
        findings: what was noticed at the build, in words.
    """

    def __init__(self, jacobian: OutputJacobian, middle: LinearOperator, findings: list[str] | None = None) -> None:
        n = jacobian.shape[1]
        super().__init__((n, n), dtype=jacobian.dtype, device=jacobian.device, tags=middle.tags - {"definite"})
        self.jacobian, self.middle, self.findings = jacobian, middle, findings or []

    def _apply(self, u: Tensor) -> Tensor:
        return self._apply_rows(u[None])[0]

    def _apply_rows(self, block: Tensor) -> Tensor:
        pushed = self.jacobian._apply_rows(block)
        return self.jacobian._apply_transpose_rows(self.middle._apply_rows(pushed))

    _apply_transpose, _apply_transpose_rows = _apply, _apply_rows


class Middle(LinearOperator):
    """A symmetric operator on the outputs, batch by batch: ``change(number, u)`` for the outputs of one batch."""

    def __init__(
        self, jacobian: OutputJacobian, change: Callable[[int, Tensor], Tensor], *, semidefinite: bool
    ) -> None:
        m = jacobian.shape[0]
        tags = {"symmetric", "semidefinite"} if semidefinite else {"symmetric"}
        super().__init__((m, m), dtype=jacobian.dtype, device=jacobian.device, tags=tags)
        self._cut, self._change = jacobian.cut, change

    def _apply(self, u: Tensor) -> Tensor:
        return torch.cat([self._change(number, piece).reshape(-1) for number, piece in enumerate(self._cut(u))])

    _apply_transpose = _apply


def gauss_newton(
    field: GameField,
    outputs: Outputs,
    loss: Callable[[Tensor, Any], Tensor],
    *,
    x: Tensor | None = None,
    route: str = "retained",
) -> Curvature:
    """``G = F' H F`` with ``H`` the Hessian of the loss in the outputs [schraudolph2002].

    What remains of the Hessian where the outputs are taken as linear in the parameters. It is positive semidefinite, and
    tagged so, where the loss is convex in the outputs; that is looked for, and where it is not so a finding says it.

    Args:
        field: the field of ``sx.Loss`` on data: its batches and weights.
        outputs: ``outputs(model, batch)``, a tensor ``(samples, ...)``.
        loss: ``loss(outputs, batch)``, a scalar: the field's own loss, so that ``loss(outputs(model, batch), batch)`` is it. Where it
            is not (a penalty on the weights, which G leaves out), a finding says so.
        x, route: as for :class:`~separatrix.fields.OutputJacobian`.

    Raises:
        InputError: the loss is no scalar tensor, or does not depend on the outputs.

    Cost: a product 4/3 gradients, up to 2.3 for convolutions; the build 1/3 and the loss alone.

    Example:
        >>> from separatrix.fields import Loss
        >>> data = torch.tensor([[1.0], [3.0]], dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64)
        >>> model = torch.nn.Linear(1, 1, bias=False).double()
        >>> mse = torch.nn.functional.mse_loss
        >>> field = Loss(model, lambda m, b: mse(m(b[0]), b[1])).on(data)
        >>> gauss_newton(field, lambda m, b: m(b[0]), lambda out, b: mse(out, b[1])).to_dense().item()  # 2 (1 + 9) / 2
        10.0
    """
    F = OutputJacobian(field, outputs, x=x, route=route)
    graphs, values = [], []
    for number, at in enumerate(F.values):
        graph, value = _loss_graph(F, at, loss, number)
        graphs.append(graph)
        values.append(field.weights[number] * value)

    def change(number: int, u: Tensor) -> Tensor:
        return field.weights[number] * graphs[number].pull([[u]])[0][0]

    findings = _compare(F, sum(values))
    middle = Middle(F, change, semidefinite=False)
    found = extremes(middle, max_products=SEARCH)
    size = max(abs(found.lowest), abs(found.highest))
    if found.lowest >= -1e3 * torch.finfo(field.dtype).eps * size:
        middle = Middle(F, change, semidefinite=True)
    else:
        findings.append(
            f"indefinite: the loss is not convex in the outputs (curvature {found.lowest:.3g} along some direction, {found.highest:.3g} "
            "along another), so this Gauss-Newton matrix is not positive semidefinite."
        )
    return Curvature(F, middle, findings)


class Gram(LinearOperator):
    """``F F'``, ``(m, m)``: the inner products of the gradients of all outputs.

    Attributes:
        jacobian: ``F``.
    """

    def __init__(self, jacobian: OutputJacobian) -> None:
        m = jacobian.shape[0]
        tags = {"symmetric", "semidefinite"}
        super().__init__((m, m), dtype=jacobian.dtype, device=jacobian.device, tags=tags)
        self.jacobian = jacobian

    def _apply(self, u: Tensor) -> Tensor:
        return self._apply_rows(u[None])[0]

    def _apply_rows(self, block: Tensor) -> Tensor:
        return self.jacobian._apply_rows(self.jacobian._apply_transpose_rows(block))

    _apply_transpose, _apply_transpose_rows = _apply, _apply_rows


def gradient_gram(field: GameField, outputs: Outputs, *, x: Tensor | None = None, route: str = "retained") -> Gram:
    """``K_ij = <grad out_i, grad out_j>``: with losses of samples their gradients' Gram matrix, with outputs of a network its
    neural tangent kernel [jacot2018].

    Its eigenvalues other than zero are those of ``F' F``, at the size of the data instead of the parameters'.

    Args:
        field: the field of a game on data.
        outputs: ``outputs(model, batch)``, ``(samples, ...)``.
        x, route: as for :class:`~separatrix.fields.OutputJacobian`.

    Cost: a product 4/3 gradients, up to 2.3 for convolutions; a graph's memory, never ``m x n`` numbers.
    """
    return Gram(OutputJacobian(field, outputs, x=x, route=route))


def _loss_graph(
    F: OutputJacobian, at: Tensor, loss: Callable[[Tensor, Any], Tensor], number: int
) -> tuple[Graph, float]:
    """The graph of the loss's gradient in the outputs of one batch, and the loss."""
    field = F.field

    def run() -> tuple[Tensor, Tensor, Tensor]:
        leaf = at.clone().requires_grad_()
        value = loss(leaf, copied(field.batches[number]))
        if not isinstance(value, Tensor) or value.numel() != 1:
            what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"loss(outputs, batch) must return a scalar tensor, got {what}; take .mean() or .sum().")
        if not value.requires_grad:
            raise InputError("loss(outputs, batch) does not depend on the outputs that it is given.")
        return leaf, torch.autograd.grad(value.reshape(()), leaf, create_graph=True)[0], value.detach()

    leaf, slope, value = field.inside(F._leaves, run)
    return Graph(field, F._leaves, [slope], inputs=[leaf]), float(value)


def _compare(F: OutputJacobian, value: float) -> list[str]:
    """Whether the loss of the outputs is the field's own."""
    field = F.field
    own = sum(sum(terms.values()) for terms in field.losses(F.x).values())
    if len(field.players) > 1 or abs(value - own) <= 1e-5 * abs(own) + 1e-12:
        return []
    return [
        f"partial: the loss of the outputs is {value:.6g}, the field's {own:.6g}; what does not go through the outputs (a penalty on "
        "the weights, say) is left out of this matrix."
    ]
