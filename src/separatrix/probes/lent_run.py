"""A loop that makes its own steps and lends its optimizers, as something to measure on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from separatrix.dynamics import Roles, Run
from separatrix.dynamics.reached import reached_by
from separatrix.errors import InputError


def lent_run(given: Any, roles: Roles | None, name: str | None) -> tuple[Run, bool]:
    """The Run to measure, and whether its steps are made elsewhere.

    Of a loop, the state are its optimizers, what they move, and the modules and generators that the roles' functions reach.

    Raises:
        InputError: neither a Run nor optimizers, or roles twice.
    """
    if isinstance(given, Run):
        if roles is not None:
            raise InputError("a Run has its own roles: sx.Run(step, state, roles=...).")
        return given, False
    optimizers = {"model": given} if isinstance(given, torch.optim.Optimizer) else given
    if not isinstance(optimizers, Mapping) or not all(
        isinstance(o, torch.optim.Optimizer) for o in optimizers.values()
    ):
        raise InputError(f"a monitor takes a Run, or optimizers by player, got {type(given).__name__}.")
    known = Roles() if roles is None else roles
    known = replace(known, optimizers=dict(optimizers))
    tensors = {player: known.named_tensors(player) for player in known.names}
    read = (
        known.losses,
        known.objective,
        known.critic,
        known.generated,
        known.features,
        known.score,
        *known.outputs.values(),
    )
    reached = reached_by(
        [*read, known.players], (torch.nn.Module, torch.Generator, np.random.Generator, np.random.RandomState)
    )

    def step() -> None:
        raise InputError(
            "this loop makes its own steps; measurements that need to make some take a Run: sx.Run(step, state)."
        )

    state = {"reached": reached, "tensors": tensors, "optimizers": dict(optimizers)}
    return Run(step, state, name=name or "loop", roles=known), True
