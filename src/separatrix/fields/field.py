"""Field: where a point moves, ``dx/dt = v(x)``.

Sign: ``v`` points in the direction of motion. For a loss ``v = -grad L``, for a game ``v = -(grad_i L_i)_i``. An
equilibrium attracts when the eigenvalues of ``v'`` have negative real part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from separatrix.errors import InputError, NonFiniteError
from separatrix.fields.space import Space

if TYPE_CHECKING:
    from separatrix.fields.jacobian import Jacobian

T = TypeVar("T")
# The directions of a field by (player, number of the entry in the space).
Rows = dict[tuple[str, int], Tensor]


class Field(ABC):
    """Where a point moves.

    Attributes:
        space: the layout of a point.
        dtype, device: of its points.
        name: used in messages and reports.
        gradients: gradient-equivalents spent so far; one is one evaluation of the whole field.
        findings: what the self-tests noticed, in words.
    """

    def __init__(self, space: Space, *, dtype: torch.dtype, device: torch.device, name: str = "field") -> None:
        self.space = space
        self.dtype = dtype
        self.device = torch.device(device)
        self.name = name
        self._spent = 0.0
        self._payer: Field | None = None

    @property
    def gradients(self) -> float:
        return self._spent if self._payer is None else self._payer.gradients

    @gradients.setter
    def gradients(self, spent: float) -> None:
        if self._payer is None:
            self._spent = spent
        else:
            self._payer.gradients = spent

    @property
    def players(self) -> tuple[str, ...]:
        return self.space.players

    @property
    @abstractmethod
    def point(self) -> Tensor:
        """A copy of the point the field stands at, ``(n,)``."""

    @abstractmethod
    def trace(
        self, leaves: Sequence[Tensor], *, players: Iterable[str] | None = None, create_graph: bool = False
    ) -> Rows:
        """The directions at the given tensors (one for each entry of the space), with a graph where asked for.

        Args:
            leaves: the point, as tensors that require gradients.
            players: whose directions; all where ``None``.
            create_graph: keep the graph for further differentiation.
        """

    @property
    def parts(self) -> int:
        """How many evaluations the field is the sum of; a game's are its batches."""
        return 1

    def trace_part(
        self, number: int, leaves: Sequence[Tensor], *, players: Iterable[str] | None = None, create_graph: bool = False
    ) -> Rows:
        """One term of the sum that :meth:`trace` is."""
        return self.trace(leaves, players=players, create_graph=create_graph)

    def inside(self, leaves: Sequence[Tensor], run: Callable[[], T]) -> T:
        """Call ``run`` in the surroundings that the graph was built in (recomputed activations need them)."""
        return run()

    def weighted(self, factors: Mapping[str, float]) -> Field:
        """The same field with single terms of the losses multiplied: ``{"r1": 0.0}`` leaves out the term ``r1``, whoever's it is.

        What it spends is added to ``gradients`` of this field, and its unit is one evaluation of this field.

        Raises:
            InputError: the field has no terms, or none of that name; a factor that is no finite number.
        """
        raise InputError(
            f"the {type(self).__name__} {self.name!r} is no sum of named loss terms, so {' and '.join(map(repr, factors))} "
            "cannot be weighted in it; give a Game whose losses return {player: {term: scalar}}."
        )

    def stands_at(self, leaves: Sequence[Tensor]) -> bool:
        """Whether the field still stands, bitwise, at the point that these tensors make up."""
        return torch.equal(self.point, self.space.join([leaf.detach() for leaf in leaves]))

    def share(self, players: Iterable[str] | None = None) -> float:
        """The cost of evaluating some players' directions alone, in gradient-equivalents."""
        return 1.0 if players is None else len(set(players)) / len(self.players)

    def leaves(self, x: Tensor | None = None) -> list[Tensor]:
        """Fresh tensors that require gradients, at ``x`` or where the field stands."""
        with torch.inference_mode(False):
            x = self.point if x is None else x.detach().to(self.device, self.dtype)
            return [piece.clone().requires_grad_() for piece in self.space.split(x)]

    def directions(self, x: Tensor | None = None, players: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Each player's direction of motion, ``{player: (n_player,)}``. Cost: the players' share of one gradient.

        Raises:
            NonFiniteError: a NaN or an infinity turned up; names the player and the tensor.
        """
        wanted = self.players if players is None else tuple(players)
        rows = self.trace(self.leaves(x), players=wanted)
        self.gradients += self.share(None if set(wanted) == set(self.players) else wanted)
        parts = {}
        for player in wanted:
            pieces = [rows[player, i].detach() for i in self.space.owned(player)]
            parts[player] = self.space.join(pieces)
            if not bool(torch.isfinite(parts[player]).all()):
                self._name_non_finite(player, pieces)
        return parts

    def __call__(self, x: Tensor | None = None) -> Tensor:
        """``v(x)``, ``(n,)``; a batch of points ``(b, n)`` gives ``(b, n)``. Cost: one gradient a point.

        Raises:
            InputError: a point of the wrong shape.
            NonFiniteError: a NaN or an infinity turned up.
        """
        if x is not None and x.ndim == 2:
            return torch.stack([self(row) for row in x])
        if x is not None:
            self.space.check(x)
        return self.assemble(self.directions(x))

    def assemble(self, parts: Mapping[str, Tensor]) -> Tensor:
        """The flat direction of the players' parts; a shared coordinate gets the sum."""
        v = torch.zeros(self.space.n, dtype=self.dtype, device=self.device)
        for player, part in parts.items():
            v[self.space.index(player)] += part
        return v

    def jacobian(
        self, x: Tensor | None = None, *, route: str = "retained", checks: bool = True, policy: str = "strict"
    ) -> Jacobian:
        """The operator ``v'(x)``, built once and applied many times; see :class:`Jacobian`.

        Args:
            x: the point; where the field stands if ``None``, and then the operator refuses to answer (``strict``) or
                is built anew (``rebuild``) once the field stands elsewhere.
            route: ``retained``; ``stream`` or ``dual`` where the graphs of all batches are too much to keep; ``dense`` for
                small n.
            checks: run the self-tests (about 30 gradients).
            policy: ``strict`` or ``rebuild``.
        """
        from separatrix.fields.jacobian import Jacobian

        return Jacobian(self, x, route=route, checks=checks, policy=policy)

    def _name_non_finite(self, player: str, pieces: Sequence[Tensor]) -> None:
        for i, piece in zip(self.space.owned(player), pieces, strict=True):
            bad = ~torch.isfinite(piece)
            if bool(bad.any()):
                value = piece[bad].reshape(-1)[0].item()
                raise NonFiniteError(
                    f"the gradient of player {player!r} is {value} in tensor {self.space.entries[i].name!r} "
                    f"({int(bad.sum())} of {piece.numel()} entries); check the loss at this point (a log or a square "
                    "root at zero, a step that was too large), or measure from an earlier checkpoint."
                )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.space!r}, {self.dtype}, {self.device})"


class FunctionField(Field):
    """A field given as a pure function of the flat point.

    Args:
        function: ``(n,)`` to ``(n,)``, in the direction of motion; written in torch, so that it can be
            differentiated. It may be called under ``torch.vmap``.
        point: where the field stands; also sets size, dtype and device.
        players: sizes by player, in order; one player ``x`` where ``None``.
        name: used in messages.

    Example:
        >>> rotation = FunctionField(lambda x: torch.stack([-x[1], x[0]]), torch.tensor([1.0, 0.0]))
        >>> rotation().tolist()
        [0.0, 1.0]
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        point: Tensor,
        *,
        players: Mapping[str, int] | None = None,
        name: str = "field",
    ) -> None:
        if point.ndim != 1 or not point.is_floating_point():
            raise InputError(
                f"the point of a field is a flat floating-point tensor, got shape {tuple(point.shape)}, {point.dtype}."
            )
        sizes = dict(players or {"x": len(point)})
        if sum(sizes.values()) != len(point):
            raise InputError(f"the players' sizes {sizes} add up to {sum(sizes.values())}, the point has {len(point)}.")
        super().__init__(Space.of_sizes(sizes), dtype=point.dtype, device=point.device, name=name)
        self.function = function
        self._point = point.detach().clone()

    @property
    def point(self) -> Tensor:
        return self._point.clone()

    def at(self, point: Tensor) -> FunctionField:
        """The same field, standing elsewhere."""
        sizes = {p: self.space.size(p) for p in self.players}
        return FunctionField(self.function, point, players=sizes, name=self.name)

    def trace(
        self, leaves: Sequence[Tensor], *, players: Iterable[str] | None = None, create_graph: bool = False
    ) -> Rows:
        wanted = self.players if players is None else tuple(players)
        # With gradients also where no graph is wanted: the function may be the gradient of a potential.
        with torch.enable_grad():
            x = torch.cat(list(leaves))
            v = self.function(x)
        if v.shape != x.shape:
            raise InputError(
                f"the field {self.name!r} maps {tuple(x.shape)} to {tuple(v.shape)}; it must keep the shape."
            )
        pieces = self.space.split(v if create_graph else v.detach())
        return {(p, i): pieces[i] for p in wanted for i in self.space.owned(p)}

    def __call__(self, x: Tensor | None = None) -> Tensor:
        if x is not None and x.ndim == 2:
            for row in x[:1]:
                self.space.check(row)
            self.gradients += len(x)
            v: Tensor = torch.vmap(self.function)(x.detach().to(self.device, self.dtype))
            if v.shape != x.shape:
                raise InputError(
                    f"the field {self.name!r} maps {tuple(x.shape[1:])} to {tuple(v.shape[1:])}; it must keep the shape."
                )
            if not bool(torch.isfinite(v).all()):
                bad = int((~torch.isfinite(v)).any(1).nonzero()[0])
                raise NonFiniteError(
                    f"the field {self.name!r} is not finite at point number {bad} of {len(x)}: {x[bad]}."
                )
            return v
        return super().__call__(x)
