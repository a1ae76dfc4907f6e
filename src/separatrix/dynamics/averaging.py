"""Averages of a player over its training: exponential with a half-life, or uniform, with restarts.

Players that turn around an equilibrium average to it, while their last point does not come near. Averages do not change
the training, unless they are written back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from separatrix.errors import InputError
from separatrix.fields.exact_norms import copied


class Average(nn.Module):
    """A copy of a player that holds the average of its points: ``a <- a + w (x - a)`` at each :meth:`update`.

    Exponential: ``w = 1 - 2^(-1/H)``, with the half-life ``H`` in updates. While ``n`` updates were made, ``H`` is at most
    ``ramp n``, so that the first points, which are far from everything, are forgotten [karras2020ada]. Uniform
    (``half_life=None``): ``w = 1/n``. Buffers (BatchNorm's statistics) are not averaged but copied.
    Players in 16 bits are averaged in 32.

    Choose ``H`` by the slowest rotation that is to vanish, :func:`advise_half_life`; it lags about ``1.4 H`` updates behind
    what drifts. List it in ``Problem(averages={player: average})``: then :func:`~separatrix.dynamics.train` updates it, and
    scores are given for both.

    Args:
        player: a module, a tensor, or lists and dicts of tensors; it is read, never changed, but for :meth:`write_back`.
        half_life: in updates; 0, which :func:`advise_half_life` says where no average is needed, for the player as it is; ``None``
            for the uniform average.
        ramp: see above; ``None`` for none.
        restart_every: begin anew at the player's point after so many updates.

    Attributes:
        value: the averaged player, to be used in place of the player; its parameters need no gradients.

    Raises:
        InputError: a half-life, ramp or number of updates that is not positive, or a player that cannot be copied.

    Example:
        >>> x = torch.tensor([0.0])
        >>> average = Average(x, half_life=1, ramp=None)
        >>> _ = x.fill_(8.0); average.update(); average.update(); average.value
        tensor([6.])
    """

    made: Tensor

    def __init__(
        self,
        player: Any,
        *,
        half_life: float | None = 1000.0,
        ramp: float | None = 0.05,
        restart_every: int | None = None,
    ) -> None:
        super().__init__()
        positive = {"ramp": ramp, "restart_every": restart_every, "half_life": half_life or None}
        if wrong := {name: value for name, value in positive.items() if value is not None and not value > 0}:
            raise InputError(
                f"ramp and restart_every must be positive or None, half_life positive, 0 or None, got {wrong}."
            )
        self.half_life, self.ramp, self.restart_every = half_life, ramp, restart_every
        # In a tuple, so that the player does not become a part of its own average.
        self._player = (player,)
        self.register_buffer("made", torch.tensor(0))
        if isinstance(player, nn.Module):
            self.value: Any = copied(player).requires_grad_(False)
        else:
            held: list[Tensor] = []
            self.value = _copied(player, held)
            for number, tensor in enumerate(held):
                self.register_buffer(f"tensor{number}", tensor)
        # A small part of a small step is lost in 16 bits, so that the average would stand still.
        for number, (mine, _) in enumerate(self._pairs()):
            if mine.is_floating_point() and mine.itemsize < 4:
                self.register_buffer(f"precise{number}", mine.detach().float())

    @torch.no_grad()
    def update(self) -> None:
        """Take the player's present point in."""
        if self.restart_every is not None and int(self.made) >= self.restart_every:
            self.restart()
        self.made.add_(1)
        weight = self.weight
        for number, (mine, theirs) in enumerate(self._pairs()):
            kept: Tensor = getattr(self, f"precise{number}", mine)
            kept.lerp_(theirs.to(kept), weight) if weight < 1 else kept.copy_(theirs)
            if kept is not mine:
                mine.copy_(kept)
        self._copy_buffers()

    @property
    def weight(self) -> float:
        """What the last update gave to the player's point."""
        n = int(self.made)
        if self.half_life is None:
            return 1 / max(n, 1)
        half_life = self.half_life if self.ramp is None else min(self.half_life, self.ramp * max(n, 1))
        if half_life == 0:
            return 1.0
        return float(1 - 2 ** (-1 / half_life))

    @torch.no_grad()
    def restart(self) -> None:
        """Forget the past: the average stands at the player's point, with no update made."""
        self.made.zero_()
        for number, (mine, theirs) in enumerate(self._pairs()):
            getattr(self, f"precise{number}", mine).copy_(theirs)
            mine.copy_(theirs)
        self._copy_buffers()

    @torch.no_grad()
    def write_back(self) -> None:
        """Set the player to its average: training goes on from there. With a restart this is the restarted averaging of
        [applegate2023], which converges linearly on bilinear games where averaging alone does not.
        """
        for mine, theirs in self._pairs():
            theirs.copy_(mine)

    def forward(self, *args: Any, **options: Any) -> Any:
        """What the averaged module computes."""
        return self.value(*args, **options)

    def _pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each averaged tensor with the player's."""
        (player,) = self._player
        if isinstance(player, nn.Module):
            yield from zip(self.value.parameters(), player.parameters(), strict=True)
        else:
            yield from zip(_tensors(self.value), _tensors(player), strict=True)

    def _copy_buffers(self) -> None:
        (player,) = self._player
        if isinstance(player, nn.Module):
            for mine, theirs in zip(self.value.buffers(), player.buffers(), strict=True):
                mine.copy_(theirs)


def update_averages(averages: Mapping[str, Any] | None, models: Mapping[str, Any]) -> None:
    """Update each :class:`Average`, and each ``AveragedModel`` of torch from its player; other copies are left alone."""
    for player, average in (averages or {}).items():
        if isinstance(average, Average):
            average.update()
        elif isinstance(average, AveragedModel):
            average.update_parameters(models[player])


def averaged_models(averages: Mapping[str, Any] | None, models: Mapping[str, Any]) -> dict[str, Any]:
    """The players with their averages in place, where they have one."""

    def value(average: Any) -> Any:
        if isinstance(average, Average):
            return average.value
        return average.module if isinstance(average, AveragedModel) else average

    return {**models, **{player: value(average) for player, average in (averages or {}).items()}}


def _copied(nest: Any, held: list[Tensor]) -> Any:
    if isinstance(nest, Tensor):
        held.append(nest.detach().clone())
        return held[-1]
    if isinstance(nest, Mapping):
        return {key: _copied(value, held) for key, value in nest.items()}
    if isinstance(nest, (list, tuple)):
        return [_copied(value, held) for value in nest]
    raise InputError(
        f"an average is taken of modules, tensors, or lists and dicts of tensors, got {type(nest).__name__}."
    )


def _tensors(nest: Any) -> Iterator[Tensor]:
    if isinstance(nest, Tensor):
        yield nest
    else:
        for value in nest.values() if isinstance(nest, Mapping) else nest:
            yield from _tensors(value)
