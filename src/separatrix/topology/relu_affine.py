"""Affine expressions in the activations of a ReLU network: what its layers are composed from before they bend."""

from dataclasses import dataclass

import numpy as np

from separatrix.topology.relu_program import Floats

__all__ = ["Affine"]


@dataclass(frozen=True, eq=False)
class Affine:
    """``constant + sum_k blocks[k] a_k``, and the activation that is still to be taken of it, if any.

    Attributes:
        blocks: from the number of a block of activations to a matrix ``(n, its width)``.
        constant: ``(n,)``.
        pending: ``(n,)`` slopes of an activation not taken yet, None for none.
        name: how the user's model calls that activation.
    """

    blocks: dict[int, Floats]
    constant: Floats
    pending: Floats | None = None
    name: str = ""

    @classmethod
    def block(cls, number: int, width: int) -> "Affine":
        """The activations of one block themselves."""
        return cls({number: np.eye(width)}, np.zeros(width))

    def __len__(self) -> int:
        return len(self.constant)

    def __add__(self, other: "Affine") -> "Affine":
        blocks = dict(self.blocks)
        for k, block in other.blocks.items():
            blocks[k] = blocks[k] + block if k in blocks else block
        return Affine(blocks, self.constant + other.constant)

    def __sub__(self, other: "Affine") -> "Affine":
        return self + other.scaled(-1.0)

    def shifted(self, constant: Floats | float) -> "Affine":
        """Each entry plus its constant."""
        return Affine(self.blocks, self.constant + constant)

    def mapped(self, weight: Floats) -> "Affine":
        """``weight @ self``; exact where ``self`` is the activations of one block."""
        blocks = {k: weight if _is_identity(block) else weight @ block for k, block in self.blocks.items()}
        return Affine(blocks, weight @ self.constant)

    def scaled(self, factor: Floats | float) -> "Affine":
        """Each entry times its factor."""
        factors = np.broadcast_to(np.asarray(factor, dtype=np.float64), self.constant.shape)
        return Affine({k: factors[:, None] * block for k, block in self.blocks.items()}, factors * self.constant)

    def selected(self, rows: slice) -> "Affine":
        """Some entries, before any pending activation."""
        return Affine({k: block[rows] for k, block in self.blocks.items()}, self.constant[rows])


def _is_identity(block: Floats) -> bool:
    return block.shape[0] == block.shape[1] and bool((block == np.eye(len(block))).all())
