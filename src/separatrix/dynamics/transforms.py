"""Transforms: a field in, a field out. They use the field's directions and products, never autograd directly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from separatrix.errors import InputError
from separatrix.fields.field import Field, Rows

T = TypeVar("T")
Pull = Callable[[Rows], list[Tensor]]


class Transform(ABC):
    """Maps a field to a field: ``Consensus(10.0)(field)``."""

    #: cost of one evaluation of the transformed field, in gradient-equivalents.
    gradients: float

    @abstractmethod
    def apply(self, v: Rows, pull: Pull) -> Rows:
        """The new directions from the old ones; ``pull(u)`` is ``v'^T u``, one tensor for each entry of the space."""

    def __call__(self, field: Field) -> TransformedField:
        return TransformedField(field, self)

    def describe(self) -> dict[str, Any]:
        """Kind and settings, for records."""
        return {"kind": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]


class TransformedField(Field):
    """A field seen through a transform. Its Jacobian needs one more derivative and costs in proportion.

    Attributes:
        inner: the field underneath.
        transform: what was done to it.
    """

    def __init__(self, inner: Field, transform: Transform) -> None:
        name = f"{type(transform).__name__}({inner.name})"
        super().__init__(inner.space, dtype=inner.dtype, device=inner.device, name=name)
        self.inner, self.transform = inner, transform

    @property
    def point(self) -> Tensor:
        return self.inner.point

    def leaves(self, x: Tensor | None = None) -> list[Tensor]:
        return self.inner.leaves(x)

    def inside(self, leaves: Sequence[Tensor], run: Callable[[], T]) -> T:
        return self.inner.inside(leaves, run)

    def share(self, players: Iterable[str] | None = None) -> float:
        return self.transform.gradients * self.inner.share()

    def trace(
        self, leaves: Sequence[Tensor], *, players: Iterable[str] | None = None, create_graph: bool = False
    ) -> Rows:
        with torch.enable_grad():
            inner = self.inner.trace(leaves, create_graph=True)

        def pull(u: Rows) -> list[Tensor]:
            live = [key for key in inner if inner[key].requires_grad]
            if not live:
                return [torch.zeros_like(leaf) for leaf in leaves]
            return list(
                self.inner.inside(
                    leaves,
                    lambda: torch.autograd.grad(
                        [inner[k] for k in live],
                        list(leaves),
                        [u[k] for k in live],
                        create_graph=create_graph,
                        retain_graph=True,
                        materialize_grads=True,
                    ),
                )
            )

        with torch.set_grad_enabled(create_graph):
            rows = self.transform.apply(inner, pull)
        wanted = set(self.players if players is None else players)
        rows = {key: row for key, row in rows.items() if key[0] in wanted}
        return rows if create_graph else {key: row.detach() for key, row in rows.items()}


@dataclass(frozen=True)
class Consensus(Transform):
    """Consensus optimisation: ``w = v - gamma grad (|v|^2 / 2) = v - gamma v'^T v`` [mescheder2017, eq. 9].

    Both players also descend the squared norm of the whole field, which turns rotation into attraction. Stationary
    points stay where they are; a large ``gamma`` attracts also to wrong ones, and shrinks the safe step.

    Args:
        gamma: weight of the regulariser.
    """

    gamma: float
    gradients = 3.0

    def __post_init__(self) -> None:
        if not self.gamma >= 0:
            raise InputError(f"gamma must not be negative, got {self.gamma}.")

    def apply(self, v: Rows, pull: Pull) -> Rows:
        # The flat field has the sum over its owners in a shared coordinate.
        total: dict[int, Tensor] = {}
        for (_, i), row in v.items():
            total[i] = total[i] + row if i in total else row
        pulled = pull({key: total[key[1]] for key in v})
        first: set[int] = set()
        rows: Rows = {}
        for (player, i), row in v.items():
            # A shared coordinate moves by the sum over its owners, so only the first one carries the pull.
            rows[player, i] = row if i in first else row - self.gamma * pulled[i]
            first.add(i)
        return rows
