"""What a model puts out on a field's batches, and how it moves with the parameters: the root of every Gram-like curvature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from separatrix.errors import InputError, NonFiniteError, SeparatrixError, StaleOperatorError, WrongDerivativeError
from separatrix.fields.batches import copied
from separatrix.fields.game_field import GameField
from separatrix.fields.graph import Graph
from separatrix.fields.selftests import rounding
from separatrix.fields.trespass import Watch, inspect_graph
from separatrix.linalg.operator import LinearOperator

Outputs = Callable[[Any, Any], Tensor]
ROUTES = ("retained", "stream")


class OutputJacobian(LinearOperator):
    """``F = d outputs / d x``, ``(m, n)``: a row for each number that the model puts out on the field's batches.

    Rows stand batch after batch, each batch's outputs flattened; a batch has ``(b, ...)`` outputs, a first dimension of
    samples. ``F @ F.T`` is a neural tangent kernel, or a Gram matrix of gradients where the outputs are losses.

    Args:
        field: the field of a game on data; its draw and its precision are taken.
        outputs: ``outputs(model, batch)`` for one player, ``outputs(models, batch)`` with a dict for several.
        x: the point; where the field stands if ``None``, and then a later product refuses to answer once it has moved.
        route: ``retained`` keeps the graphs of all batches, ``stream`` builds each anew for a block of vectors.

    Attributes:
        values: the outputs at the point, a tensor for each batch.
        field, route: what it was built of.

    Raises:
        InputError: the outputs are no floating-point tensor with a first dimension of samples, or do not depend on the
            parameters, or reach them from outside.
        WrongDerivativeError: the products with ``F`` and its transpose contradict each other.
        StaleOperatorError: at a product, when the field has moved on, or the rebuilt outputs are others.

    Cost: in gradients of a loss of the outputs: the build 1/3; ``F.T @ c`` 2/3; ``F @ u`` 2/3, up to 1.6 for convolutions, and
    2/3 once. ``stream`` adds 1/3 and 1 for each block.

    Example:
        >>> from separatrix.fields import Loss
        >>> x = torch.tensor([[1.0, 2.0], [0.0, 1.0]], dtype=torch.float64)
        >>> model = torch.nn.Linear(2, 1, bias=False).double()
        >>> field = Loss(model, lambda m, b: m(b).square().mean()).on(x)
        >>> OutputJacobian(field, lambda m, b: m(b)).to_dense().tolist()
        [[1.0, 2.0], [0.0, 1.0]]
    """

    def __init__(self, field: GameField, outputs: Outputs, *, x: Tensor | None = None, route: str = "retained") -> None:
        if route not in ROUTES:
            raise InputError(f"route must be one of {', '.join(map(repr, ROUTES))}, got {route!r}.")
        if not isinstance(field, GameField):
            raise InputError(
                f"outputs belong to a game on data, got a {type(field).__name__}; build it with game.on(...)."
            )
        if x is not None:
            field.space.check(x)
        self.field, self.outputs, self.route = field, outputs, route
        self._follows = x is None
        self._leaves = field.leaves(x)
        graphs = [self._build(number, watched=True) for number in range(field.parts)]
        self.values = [graph.outputs[0].detach() for graph in graphs]
        self._graphs = graphs if route == "retained" else []
        self._sizes = [value.numel() for value in self.values]
        self._adjoint_tested = False
        super().__init__((sum(self._sizes), field.space.n), dtype=field.dtype, device=field.device)

    @property
    def x(self) -> Tensor:
        """The point it was built at."""
        return self.field.space.join([leaf.detach() for leaf in self._leaves])

    def cut(self, flat: Tensor) -> list[Tensor]:
        """A flat vector of outputs ``(m,)`` by batch, in the outputs' shapes."""
        return [piece.view(v.shape) for piece, v in zip(torch.split(flat, self._sizes), self.values, strict=True)]

    def _build(self, number: int, *, watched: bool = False) -> Graph:
        """The graph of one batch's outputs. Cost: 1/3 gradient, its share of it."""
        field, game = self.field, self.field.game

        def run() -> Any:
            models, batch = game.views(), copied(field.batches[number])
            return self.outputs(models if len(game.players) > 1 else models[game.players[0]], batch)

        def inside() -> Any:
            if not watched:
                return run()
            with Watch(game, self._leaves):
                return run()

        try:
            with torch.inference_mode(False):
                found = field.inside(self._leaves, inside)
        except (SeparatrixError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise InputError(f"the outputs of {field.name!r} raised {type(error).__name__}: {error}") from error
        self.field.gradients += field.weights[number] / 3
        self._check_outputs(found)
        inspect_graph(game, [found])
        return Graph(field, self._leaves, [found.to(field.dtype)])

    def _check_outputs(self, found: Any) -> None:
        if not isinstance(found, Tensor) or not found.is_floating_point() or found.ndim == 0:
            what = (
                f"a tensor of shape {tuple(found.shape)}, {found.dtype}"
                if isinstance(found, Tensor)
                else repr(type(found))
            )
            raise InputError(f"outputs(model, batch) must return a floating-point tensor (samples, ...), got {what}.")
        if not found.requires_grad:
            raise InputError(
                f"the outputs of {self.field.name!r} do not depend on its parameters; compute them with the model that is handed "
                "to outputs(model, batch), without detach() or no_grad()."
            )
        if not bool(torch.isfinite(found.detach()).all()):
            raise NonFiniteError(
                f"the outputs of {self.field.name!r} are not finite; check the parameters and the batch."
            )

    def _each(self, use: Callable[[int, Graph], None]) -> None:
        """Every batch's graph, one after the other; a graph that was built for this is freed before the next."""
        if self._follows and not self.field.stands_at(self._leaves):
            raise StaleOperatorError(
                f"the parameters of {self.field.name!r} have changed since these outputs were differentiated; build the operator again."
            )
        for number, graph in enumerate(self._graphs):
            use(number, graph)
        if self.route == "stream":
            for number in range(self.field.parts):
                self._rebuilt(number, use)

    def _rebuilt(self, number: int, use: Callable[[int, Graph], None]) -> None:
        graph = self._build(number)
        gap, size = float((graph.outputs[0].detach() - self.values[number]).norm()), float(self.values[number].norm())
        if not gap <= (100 * torch.finfo(self.dtype).eps if self.device.type == "cpu" else 1e-4) * size:
            raise StaleOperatorError(
                f"{self.field.name!r} puts out other numbers than when this operator was built, at the same parameters (difference "
                f"{gap:.3g} of {size:.3g}): a buffer, a train or eval mode or a frozen parameter has changed; build it again."
            )
        use(number, graph)

    def _apply(self, u: Tensor) -> Tensor:
        return self._apply_rows(u[None])[0]

    def _apply_transpose(self, c: Tensor) -> Tensor:
        return self._apply_transpose_rows(c[None])[0]

    def _apply_rows(self, block: Tensor) -> Tensor:
        if not self._adjoint_tested:
            self._adjoint_tested = True
            self._test_adjoint()
        pushed: list[Tensor] = []
        pieces = [self.field.space.split(u) for u in block.contiguous()]
        built = self.route == "stream" or not all(graph.can_push for graph in self._graphs)

        def use(number: int, graph: Graph) -> None:
            pushed.append(torch.stack([found[0].reshape(-1) for found in graph.push(pieces)]))

        self._each(use)
        self.field.gradients += (2 / 3) * (len(block) + built)
        return torch.cat(pushed, dim=1)

    def _apply_transpose_rows(self, block: Tensor) -> Tensor:
        total = torch.zeros(len(block), self.shape[1], dtype=self.dtype, device=self.device)
        cut = [self.cut(c) for c in block.contiguous()]

        def use(number: int, graph: Graph) -> None:
            for sum_, pieces in zip(total, graph.pull([[c[number]] for c in cut]), strict=True):
                sum_ += self.field.space.join(pieces)

        self._each(use)
        self.field.gradients += (2 / 3) * len(block)
        return total

    def _test_adjoint(self) -> None:
        """``<c, F u> = <F.T c, u>``: the second product goes through double backward formulas, and some are wrong."""
        generator = torch.Generator().manual_seed(0)
        u, c = (
            torch.randn(size, generator=generator, dtype=torch.float64).to(self.device, self.dtype)
            for size in (self.shape[1], self.shape[0])
        )
        forward, backward = self._apply(u), self._apply_transpose(c)
        gap = abs(float(c @ forward) - float(backward @ u))
        scale = float(c.norm() * forward.norm()) + float(backward.norm() * u.norm())
        if gap > rounding(self.dtype) * scale:
            raise WrongDerivativeError(
                f"the products with the Jacobian of the outputs of {self.field.name!r} and its transpose contradict each other by "
                f"{gap:.3g} at scale {scale:.3g}: an operator has a wrong double backward (weight_norm: measure a copy, "
                "sx.fields.with_exact_norms(model))."
            )
