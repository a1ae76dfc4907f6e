"""Any other ``torch.optim.Optimizer`` as a base: by displacement and a snapshot of its state."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics.bases import Base, State
from separatrix.errors import InputError, UnsupportedOperatorError


class WrappedBase(Base):
    """A private copy of a torch optimizer, stepped on flat tensors; the user's own object is never touched.

    There is no prediction for it: ``frozen`` is ``None``, and its step cannot be differentiated.

    Args:
        optimizer: the optimizer; it is copied, state included.
        tensors: the player's tensors in the order of its coordinates, all of them held by the optimizer.
        why: what keeps it from being one of our own bases, in words.

    Attributes:
        lr: of its first parameter group; the other groups keep their ratio to it.
        why: as given.

    Raises:
        InputError: the optimizer needs a closure (LBFGS), or cannot be copied.

    Cost: a step costs what the optimizer's own step costs, and one copy of its state.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, tensors: Sequence[Tensor], *, why: str) -> None:
        name = type(optimizer).__name__
        if isinstance(optimizer, torch.optim.LBFGS):
            raise InputError("LBFGS evaluates the losses inside its step, so it cannot be a base; use SGD or Adam.")
        memo: dict[int, Any] = {}
        try:
            self._optimizer = deepcopy(optimizer, memo)
            _bring_attributes(optimizer, self._optimizer, memo)
        except (TypeError, RuntimeError) as error:
            raise InputError(f"the optimizer {name} cannot be copied ({error}); use one of torch.optim.") from error
        self._tensors: list[Tensor] = [memo[id(t)] for t in tensors]
        for group in self._optimizer.param_groups:
            for tensor in group["params"]:
                tensor.grad = None  # of other tensors too: what has no gradient is left alone by a step
        self._rates = [float(group["lr"]) for group in self._optimizer.param_groups]
        self._initial = deepcopy(self._optimizer.state_dict())
        self._stands_at: Any = None
        self.kind, self.why = name, why

    @property
    def lr(self) -> float:  # type: ignore[override]
        return self._rates[0]

    def with_lr(self, lr: float) -> WrappedBase:
        """The same optimizer at another rate; its groups keep their ratios."""
        if lr == self._rates[0]:
            return self
        other = WrappedBase(self._optimizer, self._tensors, why=self.why)
        other._rates = [rate * lr / self._rates[0] if self._rates[0] else lr for rate in self._rates]
        other._initial = deepcopy(self._initial)
        return other

    def init(self, x: Tensor) -> State:
        return {"step": 0, "torch": self._initial}

    def step(self, v: Tensor, x: Tensor, state: State) -> tuple[Tensor, State]:
        if torch.is_grad_enabled() and (v.requires_grad or x.requires_grad):
            raise UnsupportedOperatorError(f"a step of {self.kind} cannot be differentiated: {self.why}.")
        self._set(x, v)
        if state["torch"] is not self._stands_at:
            self._optimizer.load_state_dict(deepcopy(state["torch"]))
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = torch.full_like(group["lr"], rate) if isinstance(group["lr"], Tensor) else rate
        self._optimizer.step()
        self._stands_at = deepcopy(self._optimizer.state_dict())
        moved = torch.cat([t.detach().reshape(-1) for t in self._tensors])
        return moved, {"step": state["step"] + 1, "torch": self._stands_at}

    def _set(self, x: Tensor, v: Tensor) -> None:
        offset = 0
        with torch.no_grad():
            for tensor in self._tensors:
                size = tensor.numel()
                tensor.copy_(x[offset : offset + size].view_as(tensor))
                tensor.grad = -v[offset : offset + size].view_as(tensor)
                offset += size

    def describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "lr": self.lr, "wrapped": True, "why": self.why}

    def __repr__(self) -> str:
        return f"WrappedBase({self.kind}, lr={self.lr})"


def _bring_attributes(optimizer: torch.optim.Optimizer, copy: torch.optim.Optimizer, memo: dict[int, Any]) -> None:
    """What ``Optimizer.__getstate__`` leaves out: the attributes of optimizers by other authors.

    ``step`` among the attributes is a learning-rate scheduler's wrapper and stays behind.
    """
    for name, value in vars(optimizer).items():
        if name not in vars(copy) and name != "step":
            setattr(copy, name, deepcopy(value, memo))
