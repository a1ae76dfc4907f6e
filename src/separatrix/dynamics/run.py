"""Run: any training step as a black box, with a state that can be copied and put back."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from separatrix.dynamics.guard import finished, refuse_unfinished
from separatrix.dynamics.nests import same
from separatrix.dynamics.roles import Roles
from separatrix.dynamics.snapshot import Snapshot
from separatrix.errors import InputError

_KEEPERS = (
    nn.Module,
    torch.optim.Optimizer,
    torch.optim.lr_scheduler.LRScheduler,
    torch.Generator,
    np.random.Generator,
    np.random.RandomState,
    random.Random,
    DataLoader,
    Iterator,
)


@dataclass(frozen=True)
class Replay:
    """Whether a step can be replayed.

    Attributes:
        value: the same step from the same snapshot gave the same result, bitwise.
        leaks: paths in the state that came out differently.
        suspects: what the step reaches and the state does not list, by name.
        sentence: the same in words, with the remedy.
    """

    value: bool
    leaks: tuple[str, ...]
    suspects: tuple[str, ...]
    sentence: str


class Run:
    """A training step of the user's, as it is.

    Args:
        step: makes one training step; takes nothing. What it returns is handed through.
        state: all that the step reads and changes: modules, optimizers, schedulers, averaged copies, scalers, tensors,
            random generators, position in the data (an entry of a dict), and dicts or lists of these. The global random
            streams of torch, numpy and Python always belong to it.
        name: used in messages.
        roles: what in the loop is what, for the measurements that need to know.
        time_limit: seconds after which a step is taken to hang, and stopped; none where ``None``, and none outside the
            main thread or where the program uses alarms of its own.

    Raises:
        InputError: a step that cannot be called, or something in the state that cannot be copied; names it.

    Example:
        >>> x = torch.tensor([1.0])
        >>> run = Run(lambda: x.mul_(0.5), {"x": x})
        >>> before = run.snapshot()
        >>> run.step().item(), run.restore(before), x.item(), run.check_replay().value
        (0.5, None, 1.0, True)
    """

    def __init__(
        self,
        step: Callable[[], Any],
        state: Any,
        *,
        name: str = "run",
        roles: Roles | None = None,
        time_limit: float | None = 600.0,
    ) -> None:
        if not callable(step):
            raise InputError(f"the step of a Run is a function without arguments, got {type(step).__name__}.")
        if time_limit is not None and not time_limit > 0:
            raise InputError(f"time_limit must be positive, in seconds, got {time_limit}.")
        refuse_unfinished(step)
        self._step, self.state, self.name, self.time_limit = step, state, name, time_limit
        self.roles = Roles() if roles is None else roles
        Snapshot.of(state)

    def step(self) -> Any:
        """One training step; returns what the user's function returns.

        Raises:
            InputError: the step ran out of data (``StopIteration``), or did not return within the time limit.
        """
        return finished(self._step, self.name, self.time_limit)

    @contextmanager
    def kept(self) -> Iterator[Snapshot]:
        """Whatever happens inside, the state and the random streams are put back afterwards; yields where it stands."""
        start = self.snapshot()
        try:
            yield start
        finally:
            self.restore(start)

    def snapshot(self) -> Snapshot:
        """A copy of the state and of the global random streams. Cost: the memory of the state."""
        return Snapshot.of(self.state)

    def restore(self, snapshot: Snapshot) -> None:
        """Put a snapshot of this run back."""
        snapshot.restore()

    def check_replay(self, steps: int = 1) -> Replay:
        """Whether the same steps from the same snapshot give the same result, bitwise; the state is put back.

        Args:
            steps: how many steps; some leaks need two to show.

        Cost: ``2 steps`` steps.
        """
        with self.kept() as start:
            first = [self.step() for _ in range(steps)], self.snapshot()
            self.restore(start)
            leaks = [f"{path} (cannot be put back)" for path in start.differences(self.snapshot())]
            second = [self.step() for _ in range(steps)], self.snapshot()
        leaks += first[1].differences(second[1])
        if not same(first[0], second[0]):
            leaks.append("what the step returns")
        suspects = self._unlisted() if leaks else []
        return Replay(not leaks, tuple(leaks), tuple(suspects), self._sentence(leaks, suspects))

    def _sentence(self, leaks: list[str], suspects: list[str]) -> str:
        if not leaks:
            return "The step can be replayed: from the same snapshot it gives the same result, bitwise."
        shown = ", ".join(leaks[:4]) + (f" and {len(leaks) - 4} more" if len(leaks) > 4 else "")
        cause = (
            f"the step reaches {', '.join(suspects)}, which the state does not list: list what can be copied, and draw "
            "batches by a position in the state"
            if suspects
            else "something that the step reads is not in the state (a generator, a data loader, a counter), or a kernel "
            "is not deterministic (torch.use_deterministic_algorithms)"
        )
        return f"The step of {self.name!r} cannot be replayed: {shown} came out differently; {cause}."

    def _unlisted(self) -> list[str]:
        """Things with a state that the step's code reaches by name, or through its object, and the state does not list."""
        listed = _objects(self.state)
        function = inspect.unwrap(getattr(self._step, "func", self._step))
        reached: dict[str, Any] = {}
        owner = getattr(function, "__self__", None)
        if owner is not None and not inspect.ismodule(owner):
            reached |= {f"self.{key}": value for key, value in getattr(owner, "__dict__", {}).items()}
        if inspect.isfunction(function) or inspect.ismethod(function):
            variables = inspect.getclosurevars(function)
            reached |= {**variables.globals, **variables.nonlocals}
        else:  # an object with a __call__
            reached |= {f"self.{key}": value for key, value in getattr(function, "__dict__", {}).items()}
        return [
            f"{name} ({type(value).__name__})"
            for name, value in reached.items()
            if isinstance(value, _KEEPERS) and id(value) not in listed
        ]


def _objects(state: Any) -> set[int]:
    """Identities of all that a state lists, submodules included."""
    found = {id(state)}
    if isinstance(state, dict):
        state = list(state.values())
    if isinstance(state, nn.Module):
        found |= {id(m) for m in state.modules()}
    elif not isinstance(state, (str, bytes)) and isinstance(state, (list, tuple)):
        for item in state:
            found |= _objects(item)
    return found
