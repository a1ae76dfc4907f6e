"""A kept autograd graph: products with the Jacobian of some outputs at the leaves, and with its transpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from separatrix.errors import UnsupportedOperatorError
from separatrix.fields.field import Field
from separatrix.fields.game_field import GameField
from separatrix.fields.normalisation import third_derivatives
from separatrix.fields.side_by_side import side_by_side
from separatrix.fields.support import takes_third_derivatives, underneath
from separatrix.fields.unsupported import translated

T = TypeVar("T")


class Surroundings:
    """What graphs were built in, entered again for their products: activations that are recomputed must be what they were.

    Args:
        field: in whose surroundings.
        leaves: tensors that require gradients.
    """

    def __init__(self, field: Field, leaves: Sequence[Tensor]) -> None:
        self.name, self.leaves = field.name, list(leaves)
        # A transform adds nothing to the surroundings.
        self._place, self._third = underneath(field), takes_third_derivatives(field)
        self._scene = self._place.scene() if isinstance(self._place, GameField) else None
        self._held = False

    def around(self, run: Callable[[], T]) -> T:
        """Call ``run`` inside.

        Raises:
            UnsupportedOperatorError: torch raised a ``RuntimeError`` there.
        """
        if self._held:
            return run()
        try:
            with translated(self.name), third_derivatives(self._third):
                if isinstance(self._place, GameField):
                    return self._place.inside(self.leaves, run, self._scene)
                return self._place.inside(self.leaves, run)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise UnsupportedOperatorError(
                f"a second derivative of {self.name!r} raised RuntimeError: {error}"
            ) from error

    def held(self, run: Callable[[], T]) -> T:
        """Call ``run``, and enter once for all products that it takes.

        A measured field is entered for each of them nevertheless: buffers and random streams start anew there every time.
        """
        if self._scene is not None or self._held:
            return run()

        def holding() -> T:
            self._held = True
            try:
                return run()
            finally:
                self._held = False

        return self.around(holding)


class Graph:
    """The derivative of outputs in the leaves that they were computed from.

    ``pull`` differentiates ``<outputs, c>`` once. ``push`` uses that ``w(c0) = pull(c0)`` is linear in ``c0``: its graph is
    built when first asked for, and then differentiated in ``c0`` [pearlmutter1994].

    Args:
        field: whose surroundings the outputs were computed in.
        leaves: tensors that require gradients.
        outputs: what was computed from them, with its graph; an output without one has the derivative zero.
        inputs: what is differentiated in; the leaves where ``None``.
        surroundings: shared with other graphs of the same field and leaves; its own where ``None``.
    """

    def __init__(
        self,
        field: Field,
        leaves: Sequence[Tensor],
        outputs: Sequence[Tensor],
        inputs: Sequence[Tensor] | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        self.leaves, self.outputs = list(leaves), list(outputs)
        self.inputs = self.leaves if inputs is None else list(inputs)
        self.surroundings = surroundings or Surroundings(field, leaves)
        self._transposed: tuple[list[Tensor], list[Tensor]] | None = None

    @property
    def can_push(self) -> bool:
        """Whether the second graph was built."""
        return self._transposed is not None

    def pull(self, block: Sequence[Sequence[Tensor | None]]) -> list[list[Tensor]]:
        """``sum_j (d output_j)^T c_j`` for each of several ``c``: a tensor for each input; ``None`` leaves an output out."""
        calls = []
        for cotangents in block:
            pairs = [(o, c) for o, c in zip(self.outputs, cotangents, strict=True) if c is not None and o.requires_grad]
            calls.append(([o for o, _ in pairs], [c for _, c in pairs]))
        return self._grad(calls, self.inputs)

    def push(self, block: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
        """``(d output_j) t`` for each of several ``t``: one tensor for each output."""
        live = [o for o in self.outputs if o.requires_grad]
        if self._transposed is None:
            with torch.inference_mode(False):
                dummies = [torch.zeros_like(o, requires_grad=True) for o in live]
            self._transposed = dummies, self._grad([(live, dummies)], self.inputs, create_graph=True)[0]
        dummies, pulled = self._transposed
        calls = []
        for tangents in block:
            pairs = [(w, t) for w, t in zip(pulled, tangents, strict=True) if w.requires_grad]
            calls.append(([w for w, _ in pairs], [t for _, t in pairs]))
        results = []
        for found in self._grad(calls, dummies):
            pushed = iter(found)
            results.append([next(pushed) if o.requires_grad else torch.zeros_like(o) for o in self.outputs])
        return results

    def _grad(
        self, calls: Sequence[tuple[list[Tensor], list[Tensor]]], inputs: list[Tensor], *, create_graph: bool = False
    ) -> list[list[Tensor]]:
        """The gradient in ``inputs`` for each ``(outputs, cotangents)``; without outputs there is no curvature at all."""

        def one(outputs: list[Tensor], cotangents: list[Tensor]) -> list[Tensor]:
            if not outputs or not inputs:
                return [torch.zeros_like(i) for i in inputs]
            return list(
                torch.autograd.grad(
                    outputs, inputs, cotangents, retain_graph=True, create_graph=create_graph, materialize_grads=True
                )
            )

        def run() -> list[list[Tensor]]:
            if not create_graph and (found := side_by_side(calls, inputs, one)) is not None:
                return found
            return [one(*call) for call in calls]

        return self.surroundings.around(run)
