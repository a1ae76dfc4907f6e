"""Steps of one player's optimizer on a loss of its own: on the run's live objects, which the caller puts back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics import Run
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields.batches import copied
from separatrix.fields.surroundings import frozen_randomness

Terms = dict[str, dict[str, Tensor]]
Loss = Callable[[Terms], Tensor]


def own_loss(player: str) -> Loss:
    """The sum of a player's terms."""
    return lambda found: torch.stack(list(found[player].values())).sum()


def own_steps(
    run: Run,
    player: str,
    steps: int,
    *,
    loss: Loss,
    rate: float = 1.0,
    fresh: bool = False,
    averaged: int = 1,
    shuffled: bool = False,
    seed: int = 0,
) -> tuple[int, str]:
    """Step a player on a loss with its optimizer; how many steps were made, and how it ended.

    Args:
        run: with the roles ``losses``, ``data`` and the player's optimizer.
        player: who steps.
        steps: how many.
        loss: from the losses of all players, what is descended.
        rate: multiple of the learning rates.
        fresh: without the optimizer's state.
        averaged: batches whose gradients are averaged in a step.
        shuffled: draw the training batches, in place of taking them in turn.
        seed: of the draws, other ones for each batch of each step.

    Raises:
        InputError: an optimizer that cannot be stepped so, or a batch that the losses refuse.
        NonFiniteError: losses that are not finite from the start.

    Cost: ``steps averaged`` gradients of the player.
    """
    roles = run.roles
    optimizer = roles.optimizers[player]
    if isinstance(optimizer, torch.optim.LBFGS):
        raise InputError(f"the optimizer of player {player!r} evaluates the losses inside its step; use SGD or Adam.")
    tensors = list(roles.named_tensors(player).values())
    held = [p for group in optimizer.param_groups for p in group["params"]]
    if fresh:
        optimizer.state.clear()
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * rate
    good = [t.detach().clone() for t in tensors]
    order = list(range(steps * averaged))
    if shuffled:
        order = torch.randint(len(roles.data), (len(order),), generator=torch.Generator().manual_seed(seed)).tolist()
    for step in range(steps):
        first = step * averaged
        try:
            gradients = _gradients(run, player, tensors, loss, order[first : first + averaged], first, seed)
        except NonFiniteError as error:  # the losses are no longer finite
            if step == 0:
                raise
            _put(tensors, good)
            return step - 1, f"stopped after {step - 1} steps: {error}"
        good = [t.detach().clone() for t in tensors]
        for tensor in held:
            tensor.grad = None
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.grad = gradient
        with frozen_randomness(seed + 2000 + step):
            optimizer.step()
    end = run.snapshot()
    try:
        _gradients(run, player, tensors, loss, order[:1], 0, seed)
    except NonFiniteError as error:
        run.restore(end)
        _put(tensors, good)
        return steps - 1, f"stopped after {steps - 1} steps: {error}"
    run.restore(end)
    return steps, "done"


def _gradients(
    run: Run, player: str, tensors: Sequence[Tensor], loss: Loss, batches: Sequence[int], first: int, seed: int
) -> list[Tensor | None]:
    """The mean gradient over some batches; ``None`` for tensors that the loss does not reach."""
    data: Sequence[Any] = run.roles.data
    total: list[Tensor | None] = [None] * len(tensors)
    for draw, i in enumerate(batches, start=first):
        with frozen_randomness(seed + 1000 + draw), torch.enable_grad():
            value = loss(run.roles.value(copied(data[i % len(data)]), [player]))
            found = torch.autograd.grad(value, tensors, allow_unused=True)
        for k, gradient in enumerate(found):
            if gradient is not None:
                part = gradient.to(tensors[k].dtype) / len(batches)
                before = total[k]
                total[k] = part if before is None else before + part
    return total


def _put(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for tensor, value in zip(tensors, values, strict=True):
            tensor.copy_(value)
