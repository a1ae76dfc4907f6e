"""The Jacobian of a field as an operator, built once and applied many times.

``J.T @ u`` differentiates ``<v, u>`` once: about 2 gradients a product. ``J @ u`` differentiates ``w(u0) = J.T u0``,
which is linear in ``u0``, with respect to ``u0``: about 2 to 2.7 gradients a product [pearlmutter1994; specified and
measured in docs/jacobian_costs.md]. What is kept between products is the route. Field sign: stable means ``Re lambda < 0``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from separatrix.errors import InputError, NonFiniteError, StaleOperatorError
from separatrix.fields.field import Field, Rows
from separatrix.fields.game_field import GameField
from separatrix.fields.routes import ROUTES
from separatrix.linalg.block import Block
from separatrix.linalg.operator import LinearOperator
from separatrix.linalg.scaling import Congruent


class Jacobian(LinearOperator):
    """``J = v'(x)``, ``(n, n)``.

    Args:
        field: the field.
        x: the point; where the field stands if ``None``.
        route: how products are computed, the same numbers up to rounding. ``retained``: from one graph that is kept; the
            default. ``stream``: batch after batch, each graph built anew for a block of vectors and freed; for fields
            whose graphs do not fit in memory together. ``dual``: ``J @ u`` by forward-mode derivatives, where all operators have
            them; ``J.T @ u`` as ``stream``. ``dense``: from the matrix, formed at the build; for small n.
        checks: run the self-tests of :mod:`separatrix.fields.selftests`.
        policy: what happens when the field has moved on since the build: ``strict`` raises, ``rebuild`` builds anew.
            An operator built at an explicit ``x`` never gets stale.

    Attributes:
        field, x, route: what it was built of.
        findings: what the self-tests noticed, in words; empty cross blocks for instance.
        products: how many products were made, ``{"J.T": ..., "J": ...}``.

    Raises:
        UnsupportedOperatorError: an operator inside the losses has no second derivative, or a wrong one.
        StaleOperatorError: at a product, when the field has moved on (``strict``).

    Cost: in gradients; the self-tests 30 to 45 once. For k vectors at once (``J.rows(U)``):

    | route | build | ``J.T @ u`` | ``J @ u`` | memory |
    | --- | --- | --- | --- | --- |
    | retained | 1, and 2 for the first ``J @ u`` | 2 k | 2 k to 2.7 k | the graphs of all batches |
    | stream | 1 | 1 + 2 k | 3 + 2 k to 3 + 2.7 k | the graph of one batch |
    | dual | 1 | 1 + 2 k | 3 k | the graph of one batch |
    | dense | 1 + 2 n | none | none | n^2 numbers |

    Example:
        >>> from separatrix.fields import FunctionField
        >>> spiral = FunctionField(lambda x: torch.stack([-x[0] - 2 * x[1], 2 * x[0] - x[1]]), torch.zeros(2))
        >>> (spiral.jacobian() @ torch.tensor([1.0, 0.0])).tolist()
        [-1.0, 2.0]
    """

    def __init__(
        self,
        field: Field,
        x: Tensor | None = None,
        *,
        route: str = "retained",
        checks: bool = True,
        policy: str = "strict",
    ) -> None:
        if policy not in ("strict", "rebuild"):
            raise InputError(f"policy must be 'strict' or 'rebuild', got {policy!r}.")
        if route not in ROUTES:
            raise InputError(f"route must be one of {', '.join(map(repr, ROUTES))}, got {route!r}.")
        if x is not None:
            field.space.check(x)
        n = field.space.n
        super().__init__((n, n), dtype=field.dtype, device=field.device)
        self.field, self.policy, self.route = field, policy, route
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
    def passes(self) -> int:
        """How often the graphs of the batches were built anew for products; 0 for kept graphs."""
        return self._products.passes

    @property
    def x(self) -> Tensor:
        """The point it was built at."""
        return self.field.space.join([leaf.detach() for leaf in self._leaves])

    def directions(self, players: Iterable[str] | None = None) -> Tensor:
        """The players' directions at ``x``, one after the other. Costs nothing: the build evaluated them."""
        wanted = self.field.players if players is None else tuple(players)
        rows = self._products.rows
        return self.field.space.join([rows[p, i].detach() for p in wanted for i in self.field.space.owned(p)])

    def _build(self, leaves: list[Tensor]) -> None:
        self._leaves = leaves
        self._products = ROUTES[self.route](self.field, leaves)
        self._adjoint_tested = not self._checks
        for (player, i), row in self._products.rows.items():
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
        return self._apply_transpose_rows(u[None])[0]

    def _apply_transpose_rows(self, block: Tensor) -> Tensor:
        self._fresh()
        self.products["J.T"] += len(block)
        split, keys = self.field.space.split, list(self._products.rows)
        cotangents = [{key: pieces[key[1]] for key in keys} for pieces in map(split, block.contiguous())]
        return self._finite(self._products.pull(cotangents), "J.T @ u")

    def rows_transpose(self, parts: dict[str, Tensor]) -> Tensor:
        """``sum_i (P_i J)^T u_i`` for cotangents given by player, ``{player: (n_player,)}``: ``(n,)``.

        Differs from ``J.T @ u`` only where players share parameters.
        """
        self._fresh()
        self.products["J.T"] += 1
        return self._finite(self._products.pull([self._cotangents(parts)]), "J.T @ u")[0]

    def rows_apply(self, u: Tensor, players: Iterable[str] | None = None) -> dict[str, Tensor]:
        """``J @ u`` by player, ``{player: (n_player,)}``; a shared coordinate stands with each owner's own part."""
        self._fresh()
        pushed = self._push([u])[0]
        wanted = self.field.players if players is None else tuple(players)
        space = self.field.space
        return {p: space.join([pushed[p, i] for i in space.owned(p)]) for p in wanted}

    def _apply(self, u: Tensor) -> Tensor:
        return self._apply_rows(u[None])[0]

    def _apply_rows(self, block: Tensor) -> Tensor:
        if "symmetric" in self.tags:  # a Hessian needs no second graph
            return self._apply_transpose_rows(block)
        self._fresh()
        pushed = self._push(list(block.contiguous()))
        return self._finite(torch.stack([self._sum(rows) for rows in pushed]), "J @ u")

    def _cotangents(self, parts: dict[str, Tensor]) -> Rows:
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

    def _push(self, block: Sequence[Tensor]) -> list[Rows]:
        if not self._adjoint_tested:
            self._adjoint_tested = True
            from separatrix.fields.selftests import test_adjoint

            test_adjoint(self)
        self.products["J"] += len(block)
        return self._products.push(block)

    def _sum(self, rows: Rows) -> Tensor:
        total = torch.zeros(self.shape[0], dtype=self.dtype, device=self.device)
        for (_, i), row in rows.items():
            entry = self.field.space.entries[i]
            total[entry.offset : entry.offset + entry.numel] += row.reshape(-1)
        return total

    def _finite(self, results: Tensor, product: str) -> Tensor:
        # The cheap test; a sum may overflow, so only the full one accuses.
        if not math.isfinite(float(results.sum())) and not bool(torch.isfinite(results).all()):
            vector, bad = (~torch.isfinite(results)).nonzero()[0].tolist()
            raise NonFiniteError(
                f"the product {product} is {results[vector, bad].item()} in {self.field.space.name_of(bad)}; a second derivative is "
                "infinite there (a square root or a norm at zero): add a small constant under it."
            )
        return results

    def __getitem__(self, blocks: tuple[str, str]) -> Block:
        """``J["G", "D"]``: how player G's direction changes with player D's parameters, ``(n_G, n_D)``.

        Where players share a parameter its row is that of the sum of their directions.
        """
        row, column = blocks
        space = self.field.space
        tags = {"symmetric"} if row == column and not space.shared and self._symmetric_blocks else ()
        return Block(self, space.index(row), space.index(column), tags=tags)

    def scaled_by_players(self, rates: Mapping[str, float]) -> Congruent:
        """``D^(1/2) J D^(1/2)`` with a rate for each player: its eigenvalues are those of players that move at these rates.

        ``J.scaled_by_players({"G": 1e-4, "D": 4e-4})`` is the Jacobian of two-time-scale descent, per step; its eigenvectors
        are brought back by :meth:`~separatrix.linalg.Congruent.right_vectors`. For rates of single parameters see
        :class:`~separatrix.linalg.Congruent`.

        Raises:
            InputError: a player without a rate, a rate that is not positive, or two rates for a shared parameter.
        """
        if set(rates) != set(self.field.players):
            raise InputError(
                f"the rates are for {list(rates)}, the players are {list(self.field.players)}; give each one."
            )
        for player, rate in rates.items():
            if not 0 < rate < math.inf:
                raise InputError(f"the rate of player {player!r} must be positive and finite, got {rate!r}.")
        pieces = []
        for entry in self.field.space.entries:
            first, *others = (rates[owner] for owner in entry.owners)
            for other in others:
                if other != first:
                    raise InputError(
                        f"players {' and '.join(map(repr, entry.owners))} share {entry.name}, which has one rate: got {first} and {other}."
                    )
            pieces.append(torch.full((entry.numel,), first, dtype=self.dtype, device=self.device))
        return Congruent(self, torch.cat(pieces))

    def findings_about(self, code: str) -> list[str]:
        """The self-tests' findings of one code."""
        return [f for f in self.findings if f.startswith(code)]
