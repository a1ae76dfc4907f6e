"""The Jacobian of a field as an operator: a retained double-backward graph, built once and applied many times.

``J.T @ u`` differentiates ``<v, u>`` once: about 2 gradients a product. ``J @ u`` differentiates ``w(u0) = J.T u0``,
which is linear in ``u0``, with respect to ``u0``: about 2 to 2.7 gradients a product, its graph built when first asked
for [pearlmutter1994; specified and measured in docs/jacobian.md]. Field sign: stable means ``Re lambda < 0``.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from separatrix.errors import InputError, NonFiniteError, StaleOperatorError, UnsupportedOperatorError
from separatrix.fields.field import Field, Rows
from separatrix.fields.game_field import GameField
from separatrix.fields.unsupported import translated
from separatrix.linalg.operator import Block, LinearOperator


class Jacobian(LinearOperator):
    """``J = v'(x)``, ``(n, n)``.

    Args:
        field: the field.
        x: the point; where the field stands if ``None``.
        checks: run the self-tests of :mod:`separatrix.fields.selftests`.
        policy: what happens when the field has moved on since the build: ``strict`` raises, ``rebuild`` builds anew.
            An operator built at an explicit ``x`` never gets stale.

    Attributes:
        field, x: what it was built of.
        route: how products are computed; ``retained``.
        findings: what the self-tests noticed, in words; empty cross blocks for instance.
        products: how many products were made, ``{"J.T": ..., "J": ...}``.

    Raises:
        UnsupportedOperatorError: an operator inside the losses has no second derivative, or a wrong one.
        StaleOperatorError: at a product, when the field has moved on (``strict``).

    Cost: the build 1 gradient and the memory of its graph; the self-tests about 30 once; ``J.T @ u`` 2; ``J @ u`` 2 to
    2.7, and 2 more once.

    Example:
        >>> from separatrix.fields import FunctionField
        >>> spiral = FunctionField(lambda x: torch.stack([-x[0] - 2 * x[1], 2 * x[0] - x[1]]), torch.zeros(2))
        >>> (spiral.jacobian() @ torch.tensor([1.0, 0.0])).tolist()
        [-1.0, 2.0]
    """

    def __init__(self, field: Field, x: Tensor | None = None, *, checks: bool = True, policy: str = "strict") -> None:
        if policy not in ("strict", "rebuild"):
            raise InputError(f"policy must be 'strict' or 'rebuild', got {policy!r}.")
        if x is not None:
            field.space.check(x)
        n = field.space.n
        super().__init__((n, n), dtype=field.dtype, device=field.device)
        self.field, self.policy, self.route = field, policy, "retained"
        self.products = {"J.T": 0, "J": 0}
        self.findings: list[str] = []
        self._follows = x is None
        self._checks = checks
        with torch.inference_mode(False):
            self._build(field.leaves(x))
            if checks:
                from separatrix.fields.selftests import test_build

                test_build(self)
        # A gradient reversal makes even a one-player field the gradient of nothing: only the tests may vouch for symmetry.
        self._symmetric_blocks = checks and isinstance(field, GameField) and not self.findings_about("not-a-gradient")
        self.tags = frozenset({"symmetric"} if self._symmetric_blocks and len(field.players) == 1 else ())

    @property
    def x(self) -> Tensor:
        """The point it was built at."""
        return self.field.space.join([leaf.detach() for leaf in self._leaves])

    def directions(self, players: Iterable[str] | None = None) -> Tensor:
        """The players' directions at ``x``, one after the other. Costs nothing: the build evaluated them."""
        wanted = self.field.players if players is None else tuple(players)
        return self.field.space.join([self._rows[p, i].detach() for p in wanted for i in self.field.space.owned(p)])

    def _build(self, leaves: list[Tensor]) -> None:
        self._leaves = leaves
        self._rows: Rows = self.field.trace(leaves, create_graph=True)
        self.field.gradients += self.field.share()
        self._transposed: tuple[list[tuple[str, int]], list[Tensor], list[Tensor]] | None = None
        for (player, i), row in self._rows.items():
            if not bool(torch.isfinite(row).all()):
                raise NonFiniteError(
                    f"the gradient of player {player!r} is not finite in {self.field.space.entries[i].name}; check the "
                    "loss at this point, or measure from an earlier checkpoint."
                )

    def _fresh(self) -> None:
        if not self._follows or self.field.stands_at(self._leaves):
            return
        if self.policy == "strict":
            raise StaleOperatorError(
                f"the parameters of {self.field.name!r} have changed since this Jacobian was built, so it would answer for "
                "another point; build it again with field.jacobian(), or once with policy='rebuild'."
            )
        self._build(self.field.leaves())

    def _apply_transpose(self, u: Tensor) -> Tensor:
        self._fresh()
        pieces = self.field.space.split(u)
        self.products["J.T"] += 1
        self.field.gradients += 2.0 * self.field.share()
        return self._finite(self._pull({key: pieces[key[1]] for key in self._rows}), "J.T @ u")

    def rows_transpose(self, parts: dict[str, Tensor]) -> Tensor:
        """``sum_i (P_i J)^T u_i`` for cotangents given by player, ``{player: (n_player,)}``: ``(n,)``.

        Differs from ``J.T @ u`` only where players share parameters.
        """
        self._fresh()
        self.products["J.T"] += 1
        self.field.gradients += 2.0 * self.field.share(None if set(parts) == set(self.field.players) else parts)
        return self._finite(self._pull(self._cotangents(parts)), "J.T @ u")

    def rows_apply(self, u: Tensor, players: Iterable[str] | None = None) -> dict[str, Tensor]:
        """``J @ u`` by player, ``{player: (n_player,)}``; a shared coordinate stands with each owner's own part."""
        self._fresh()
        pushed = self._push(u)
        wanted = self.field.players if players is None else tuple(players)
        space = self.field.space
        return {p: space.join([pushed[p, i] for i in space.owned(p)]) for p in wanted}

    def _apply(self, u: Tensor) -> Tensor:
        if "symmetric" in self.tags:  # a Hessian needs no second graph
            return self._apply_transpose(u)
        self._fresh()
        return self._finite(self._sum(self._push(u)), "J @ u")

    def _cotangents(self, parts: dict[str, Tensor]) -> dict[tuple[str, int], Tensor]:
        cotangents = {}
        for player, part in parts.items():
            if part.shape != (size := (self.field.space.size(player),)):
                raise InputError(f"the part of player {player!r} has shape {size}, got {tuple(part.shape)}.")
            offset = 0
            for i in self.field.space.owned(player):
                entry = self.field.space.entries[i]
                cotangents[player, i] = part[offset : offset + entry.numel].view(entry.shape)
                offset += entry.numel
        return cotangents

    def _pull(self, cotangents: dict[tuple[str, int], Tensor]) -> Tensor:
        keys = [key for key in cotangents if self._rows[key].requires_grad]
        if not keys:  # linear in every player: no curvature at all
            return torch.zeros(self.shape[0], dtype=self.dtype, device=self.device)
        grads = self._grad([self._rows[k] for k in keys], self._leaves, [cotangents[k] for k in keys])
        return self.field.space.join(grads)

    def _push(self, u: Tensor) -> Rows:
        if self._transposed is None:
            keys = [key for key in self._rows if self._rows[key].requires_grad]
            with torch.inference_mode(False):
                dummies = [torch.zeros_like(self._rows[k], requires_grad=True) for k in keys]
            pulled = self._grad([self._rows[k] for k in keys], self._leaves, dummies, create_graph=True) if keys else []
            self._transposed = keys, dummies, pulled
            self.field.gradients += 2.0 * self.field.share()
            if self._checks:
                from separatrix.fields.selftests import test_adjoint

                test_adjoint(self)
        keys, dummies, pulled = self._transposed
        self.products["J"] += 1
        self.field.gradients += 2.6 * self.field.share()
        found = {key: torch.zeros_like(row) for key, row in self._rows.items()}
        live = (
            [(w, piece) for w, piece in zip(pulled, self.field.space.split(u), strict=True) if w.requires_grad]
            if pulled
            else []
        )
        if live:
            outputs, cotangents = zip(*live, strict=True)
            found.update(zip(keys, self._grad(list(outputs), dummies, list(cotangents)), strict=True))
        return found

    def _grad(
        self,
        outputs: list[Tensor],
        inputs: list[Tensor],
        cotangents: list[Tensor],
        *,
        create_graph: bool = False,
    ) -> list[Tensor]:
        def run() -> tuple[Tensor, ...]:
            return torch.autograd.grad(
                outputs,
                inputs,
                cotangents,
                retain_graph=True,
                create_graph=create_graph,
                materialize_grads=True,
            )

        try:
            with translated(self.field.name):
                return list(self.field.inside(self._leaves, run))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise UnsupportedOperatorError(
                f"a second derivative of {self.field.name!r} raised RuntimeError: {error}"
            ) from error

    def _sum(self, rows: Rows) -> Tensor:
        total = torch.zeros(self.shape[0], dtype=self.dtype, device=self.device)
        for (_, i), row in rows.items():
            entry = self.field.space.entries[i]
            total[entry.offset : entry.offset + entry.numel] += row.reshape(-1)
        return total

    def _finite(self, result: Tensor, product: str) -> Tensor:
        if not bool(torch.isfinite(result).all()):
            bad = int((~torch.isfinite(result)).nonzero()[0])
            raise NonFiniteError(
                f"the product {product} is {result[bad].item()} in {self.field.space.name_of(bad)}; a second derivative is "
                "infinite there (a square root or a norm at zero): add a small constant under it."
            )
        return result

    def __getitem__(self, blocks: tuple[str, str]) -> Block:
        """``J["G", "D"]``: how player G's direction changes with player D's parameters, ``(n_G, n_D)``.

        Where players share a parameter its row is that of the sum of their directions.
        """
        row, column = blocks
        space = self.field.space
        tags = {"symmetric"} if row == column and not space.shared and self._symmetric_blocks else ()
        return Block(self, space.index(row), space.index(column), tags=tags)

    def findings_about(self, code: str) -> list[str]:
        """The self-tests' findings of one code."""
        return [f for f in self.findings if f.startswith(code)]
