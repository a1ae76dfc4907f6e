"""The regions of a ReLU network: affine map, volume, bounded or not."""

from dataclasses import dataclass
from itertools import permutations
from math import factorial

import numpy as np
import torch
from torch import Tensor

from separatrix.topology.relu_cells import star_choices
from separatrix.topology.relu_complex import ReLUComplex
from separatrix.topology.relu_forms import Signs, layer_forms
from separatrix.topology.relu_program import Floats, ReLUProgram

__all__ = ["Regions", "bounded_cells", "relu_regions"]


@dataclass(frozen=True, eq=False)
class Regions:
    """What is known of each d-cell, in the order of ``complex.signs(d)``.

    Attributes:
        signs: ``(r, N)`` int8.
        gradient: ``(r, outputs, d)``; on the region ``F(x) = gradient @ x + offset``.
        offset: ``(r, outputs)``.
        bounded: ``(r,)`` bool.
        volume: ``(r,)``, infinite where not bounded.
    """

    signs: Tensor
    gradient: Tensor
    offset: Tensor
    bounded: Tensor
    volume: Tensor


def relu_regions(complex: ReLUComplex) -> Regions:
    """The affine map and the volume of every region.

    The volume is summed over the barycentric subdivision, one simplex for each flag vertex < edge < ... < region, with the mean
    of its vertices as the centre of a cell; all terms are positive, so the relative error is that of a simplex.

    Cost: one forward pass of d gradients a region, and ``2^d d!`` determinants a vertex.

    Raises:
        ComputationError: the complex is incomplete.
    """
    complex.require_complete("relu_regions")
    d = complex.dimension
    signs = complex.cells.signs(d, complex.subdivision)
    gradient, offset = affine_maps(complex.program, signs)
    bounded = bounded_cells(complex, d)
    volume = torch.where(bounded, torch.from_numpy(_volumes(complex, bounded.numpy())), torch.inf)
    return Regions(torch.from_numpy(signs), torch.from_numpy(gradient), torch.from_numpy(offset), bounded, volume)


def bounded_cells(complex: ReLUComplex, k: int) -> Tensor:
    """``(f_k,)``: which k-cells are bounded, that is, have no vertex at infinity."""
    bounded = np.ones(complex.f_vector[k], dtype=np.bool_)
    for m, group in enumerate(complex.cells.groups[: complex.dimension]):
        choices = (star_choices(m) == 0).sum(axis=1) == complex.dimension - k
        bounded[group.ids[:, choices].ravel()] = False
    return torch.from_numpy(bounded)


def affine_maps(program: ReLUProgram, signs: Signs) -> tuple[Floats, Floats]:
    """Gradients ``(r, outputs, d)`` and offsets ``(r, outputs)`` of F where the neurons have these signs ``(r, N)``."""
    d, size = program.inputs, len(signs)
    batch = max(1, 2**22 // ((d + 1) * max(program.widths)))
    if size > batch:
        parts = [affine_maps(program, signs[i : i + batch]) for i in range(0, size, batch)]
        return np.concatenate([g for g, _ in parts]), np.concatenate([c for _, c in parts])
    forms = np.moveaxis(layer_forms(program, signs.T, len(program.layers))[0][-1], 2, 0)
    return np.ascontiguousarray(forms[:, :, :d]), np.ascontiguousarray(forms[:, :, d])


def _volumes(complex: ReLUComplex, bounded: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
    """Volumes of the bounded regions, 0 for the others."""
    d, group, points = complex.dimension, complex.cells.groups[-1], complex.vertices.numpy()
    choices = star_choices(d)
    size = (choices != 0).sum(axis=1)
    centres = []
    for k in range(d + 1):
        ids = group.ids[:, size == k]
        count = np.maximum(np.bincount(ids.ravel(), minlength=complex.f_vector[k]), 1)
        sums = [
            np.bincount(ids.ravel(), np.repeat(points[:, i], ids.shape[1]), minlength=complex.f_vector[k])
            for i in range(d)
        ]
        centres.append(np.stack(sums, axis=1) / count[:, None])
    volume = np.zeros(complex.f_vector[d])
    for choice in np.flatnonzero(size == d):
        region = group.ids[:, choice]
        rows = np.flatnonzero(bounded[region])
        digits = choice // 3 ** np.arange(d) % 3
        for order in permutations(range(d)):
            code, sides = 0, []
            for k, axis in enumerate(order):
                code += int(digits[axis]) * 3**axis
                sides.append(centres[k + 1][group.ids[rows, code]] - points[rows])
            simplex = np.abs(np.linalg.det(np.stack(sides, axis=1))) / factorial(d)
            volume += np.bincount(region[rows], simplex, minlength=len(volume))
    return volume
