"""A cell complex is the dimension of each cell and the list of its faces.

Cubical, simplicial and polyhedral complexes differ only in how these lists are made; homology, gradients,
V-paths and Morse complexes read nothing else. The lists are in compressed rows: the faces of cell ``c`` are
``faces[offsets[c]:offsets[c + 1]]``, with incidence numbers ``signs`` (+1 or -1) at the same places.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from separatrix.errors import InputError

__all__ = ["CellComplex"]


@dataclass(frozen=True, eq=False)
class CellComplex:
    """A finite chain complex with a basis of cells.

    The boundary of a cell is ``d c = sum_i signs[i] * faces[i]`` over its row; without ``signs`` only
    GF(2) is known. A cell may have fewer faces than geometry suggests: then the complex is a relative one
    (cells modulo the missing faces), and homology means relative homology.

    Args:
        dims: ``(cells,)`` int64, the dimension of each cell.
        offsets: ``(cells + 1,)`` int64, row starts into ``faces``.
        faces: ``(incidences,)`` int64, faces of codimension one.
        signs: ``(incidences,)`` int8 of +1 and -1, or None.

    Raises:
        InputError: a list has the wrong shape or type. The entries are read by :meth:`check` only.

    Cost:
        16 bytes per cell and 9 per incidence.

    Example:
        >>> edge = CellComplex.from_lists([0, 0, 1], [[], [], [0, 1]], [[], [], [-1, 1]])
        >>> edge.f_vector, edge.euler_characteristic
        ((2, 1), 1)
    """

    dims: Tensor
    offsets: Tensor
    faces: Tensor
    signs: Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("dims", "offsets", "faces"):
            value = getattr(self, name)
            if value.dtype != torch.int64 or value.ndim != 1:
                raise InputError(
                    f"{name} must be a one-dimensional int64 tensor, got {value.dtype} {tuple(value.shape)}."
                )
        if len(self.offsets) != len(self.dims) + 1:
            raise InputError(
                f"offsets must have one entry more than dims ({len(self.dims) + 1}), got {len(self.offsets)}."
            )
        if self.signs is not None and (self.signs.shape != self.faces.shape or self.signs.dtype != torch.int8):
            raise InputError("signs must be an int8 tensor of +1 and -1, one for each entry of faces.")

    def check(self) -> None:
        """Read every entry, and refuse lists that describe no complex; ``d d = 0`` is left to the caller.

        Raises:
            InputError: offsets that fall, an incidence number other than +1 and -1, a face out of range or not
                one dimension below its cell.
        """
        falling = bool((self.offsets.diff() < 0).any())
        if falling or int(self.offsets[0]) != 0 or int(self.offsets[-1]) != len(self.faces):
            raise InputError("offsets must rise from 0 to the number of faces; build them with torch.cumsum.")
        if self.signs is not None and bool((self.signs.abs() != 1).any()):
            raise InputError(f"signs must be +1 or -1, got {int(self.signs[self.signs.abs() != 1][0])}.")
        if len(self.faces) == 0:
            return
        low, high = int(self.faces.min()), int(self.faces.max())
        if low < 0 or high >= len(self.dims):
            raise InputError(f"faces must lie in 0..{len(self.dims) - 1}, got {low if low < 0 else high}.")
        wrong = self.dims[self.faces] + 1 != self.dims[self.cells_of_faces]
        if bool(wrong.any()):
            cell, face = int(self.cells_of_faces[wrong][0]), int(self.faces[wrong][0])
            raise InputError(
                f"Faces must be one dimension below their cell; cell {cell} has dimension "
                f"{int(self.dims[cell])} and its face {face} has dimension {int(self.dims[face])}."
            )

    @classmethod
    def from_lists(cls, dims: list[int], faces: list[list[int]], signs: list[list[int]] | None = None) -> "CellComplex":
        """The complex with these faces (and incidence numbers) for each cell, checked."""
        flat = [face for row in faces for face in row]
        lengths = torch.tensor([0, *(len(row) for row in faces)], dtype=torch.int64)
        flat_signs = None if signs is None else torch.tensor([s for row in signs for s in row], dtype=torch.int8)
        made = cls(
            torch.tensor(dims, dtype=torch.int64),
            lengths.cumsum(0),
            torch.tensor(flat, dtype=torch.int64),
            flat_signs,
        )
        made.check()
        return made

    def __len__(self) -> int:
        """The number of cells."""
        return len(self.dims)

    @cached_property
    def dimension(self) -> int:
        """The largest dimension of a cell, -1 for the empty complex."""
        return int(self.dims.max()) if len(self) else -1

    @cached_property
    def f_vector(self) -> tuple[int, ...]:
        """``(f_0, ..., f_d)``: the number of cells of each dimension."""
        return tuple(int(count) for count in torch.bincount(self.dims)) if len(self) else ()

    @property
    def euler_characteristic(self) -> int:
        """``sum_k (-1)^k f_k``."""
        return sum((-1) ** k * count for k, count in enumerate(self.f_vector))

    @cached_property
    def cells_of_faces(self) -> Tensor:
        """``(incidences,)``: the cell whose row each entry of ``faces`` is in."""
        return torch.repeat_interleave(torch.arange(len(self.dims)), self.offsets.diff())

    @cached_property
    def cofaces(self) -> tuple[Tensor, Tensor]:
        """``(offsets, cofaces)``: the transposed lists, the cells that have a given cell as a face."""
        order = torch.argsort(self.faces, stable=True)
        counts = torch.bincount(self.faces, minlength=len(self))
        offsets = torch.zeros(len(self) + 1, dtype=torch.int64)
        torch.cumsum(counts, 0, out=offsets[1:])
        return offsets, self.cells_of_faces[order]

    def cells(self, dimension: int) -> Tensor:
        """Indices of the cells of one dimension, ascending."""
        return torch.nonzero(self.dims == dimension).flatten()

    def boundary(self, dimension: int, *, modulo_two: bool = False) -> Tensor:
        """The matrix of ``d: C_k -> C_(k-1)`` as a sparse int64 tensor ``(f_(k-1), f_k)``.

        Rows and columns follow :meth:`cells`. Repeated incidences are summed, then reduced if asked.

        Raises:
            InputError: integer coefficients are asked of a complex without signs.
        """
        if self.signs is None and not modulo_two:
            raise InputError("This complex has no signs, only its GF(2) boundary is known: pass modulo_two=True.")
        place = torch.zeros(len(self), dtype=torch.int64)
        rows, columns = self.cells(dimension - 1), self.cells(dimension)
        place[rows] = torch.arange(len(rows))
        place[columns] = torch.arange(len(columns))
        entries = self.dims[self.cells_of_faces] == dimension
        index = torch.stack([place[self.faces[entries]], place[self.cells_of_faces[entries]]])
        ones = torch.ones(index.shape[1], dtype=torch.int64)
        values = ones if self.signs is None or modulo_two else self.signs[entries].to(torch.int64)
        shape = (len(rows), len(columns))
        # Said for the whole block, since torch 2.11 warns at coalesce() otherwise.
        with torch.sparse.check_sparse_tensor_invariants(False):  # type: ignore[no-untyped-call]
            matrix = torch.sparse_coo_tensor(index, values, shape).coalesce()
            kept = matrix.values() % 2 if modulo_two else matrix.values()
            index, kept = matrix.indices()[:, kept != 0], kept[kept != 0]
            return torch.sparse_coo_tensor(index, kept, shape, is_coalesced=True)

    def is_chain_complex(self) -> bool:
        """Whether ``d d = 0``, over Z where signs are known and over GF(2) otherwise."""
        ones = np.ones(len(self.faces), dtype=np.int64)
        values = ones if self.signs is None else self.signs.numpy().astype(np.int64)
        square = (len(self), len(self))
        boundary = scipy.sparse.csr_array((values, self.faces.numpy(), self.offsets.numpy()), shape=square)
        twice = (boundary @ boundary).data
        return not bool((twice % 2 if self.signs is None else twice).any())
