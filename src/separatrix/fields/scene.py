"""Scene: what an evaluation read of the modules besides the point, so that a kept graph recomputes what it computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn

T = TypeVar("T")


@dataclass(frozen=True)
class Scene:
    """Buffers, frozen parameters and modes as they stood.

    Activation checkpointing evaluates parts of the losses again during each product, maybe long after the build.

    Attributes:
        tensors: copies of buffers and frozen parameters, by their names in the arena.
        modes: each module and whether it was training.
    """

    tensors: Mapping[str, Tensor]
    modes: tuple[tuple[nn.Module, bool], ...]

    def copied(self) -> dict[str, Tensor]:
        """The tensors, to be written to."""
        return {key: tensor.clone() for key, tensor in self.tensors.items()}

    def staged(self, run: Callable[[], T]) -> Callable[[], T]:
        """``run`` with the modules in their modes; whoever calls it puts them back."""

        def in_modes() -> T:
            for module, training in self.modes:
                module.training = training
            return run()

        return in_modes
