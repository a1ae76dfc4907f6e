"""Helmholtz-Hodge decomposition on a box, with a condition at the walls, by fast cosine and sine transforms.

``tangential``: nothing of the rest crosses the walls, ``w . n = 0``, a Neumann problem for ``U``. ``normal``: ``U`` is constant
on the walls, so that its gradient is normal to them and the rest takes all that flows through, a Dirichlet problem. Both are
least-squares projections, so the parts are orthogonal in L2; they differ by a field that is gradient and free of divergence
at once. The grids are staggered: the discrete parts are orthogonal and the rest is free of divergence to rounding, and the
discretisation is of second order in the spacing [bhatia2013].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from scipy.fft import dctn, dstn, idctn, idstn

from separatrix.errors import InputError
from separatrix.fields import Field
from separatrix.probes.decompose.grids import Array, GridDecomposition, check_grid, corners, result, sample

Boundary = Literal["tangential", "normal"]
Parts = tuple[Array, list[Array], list[Array]]


def decompose_box(
    field: Field, low: Sequence[float], high: Sequence[float], cells: int = 64, *, boundary: Boundary = "tangential"
) -> GridDecomposition:
    """Gradient and divergence-free part of a field on a box.

    Args:
        field: of ``d`` coordinates; it need not be defined outside the box.
        low, high: the corners.
        cells: for each coordinate, even.
        boundary: ``tangential`` or ``normal``, as above.

    Raises:
        InputError: the corners do not fit, ``cells`` is odd, an unknown boundary, or more than two million evaluations.

    Cost: about ``d cells ** d`` gradients, and a fast transform.

    References: [bhatia2013].
    """
    box = corners(field, low, high)
    d = field.space.n
    check_grid(cells, "cells", d * (cells + 1) ** d, d)
    if boundary not in ("tangential", "normal"):
        raise InputError(f"boundary must be 'tangential' or 'normal', got {boundary!r}; a torus has decompose_torus.")
    spent = field.gradients
    nodes = [np.linspace(a, b, cells + 1) for a, b in zip(*box, strict=True)]
    centres = [(n[1:] + n[:-1]) / 2 for n in nodes]
    values = []
    for j in range(d):
        # Component j lives on the faces across axis j (tangential) or on the edges along it (normal).
        axes = [nodes[i] if (i == j) == (boundary == "tangential") else centres[i] for i in range(d)]
        values.append(sample(field, axes)[j])
    spacing = np.array([(b - a) / cells for a, b in zip(*box, strict=True)])
    split = _split_faces if boundary == "tangential" else _split_edges
    potential, gradient, rotation = split(values, spacing)
    coarse = [_coarsen(v, j, boundary) for j, v in enumerate(values)]
    _, coarse_gradient, coarse_rotation = split(coarse, 2 * spacing)
    return result(
        field,
        spent,
        box,
        boundary,
        potential,
        (gradient, rotation, np.zeros(d)),
        _shares(values, gradient, rotation, boundary),
        _shares(coarse, coarse_gradient, coarse_rotation, boundary),
        _residual(values, gradient, rotation, spacing, boundary),
    )


def _split_faces(values: list[Array], spacing: Array) -> Parts:
    """Least squares over the inner faces; through the walls all flow is the gradient's."""
    d = len(values)
    cells = tuple(values[i].shape[i] - 1 for i in range(d))
    outflow = np.zeros(cells)
    for j, v in enumerate(values):
        inner = np.zeros_like(v)
        inner[_inner(j, d)] = v[_inner(j, d)]
        outflow += np.diff(inner, axis=j) / spacing[j]
    eigen = _laplacian([np.arange(n) for n in cells], cells, spacing)
    eigen[(0,) * d] = 1
    modes = dctn(outflow, type=2, norm="ortho") / eigen
    modes[(0,) * d] = 0
    potential = np.asarray(idctn(modes, type=2, norm="ortho"))
    gradient = []
    for j, v in enumerate(values):
        part = v.copy()
        part[_inner(j, d)] = -np.diff(potential, axis=j) / spacing[j]
        gradient.append(part)
    return potential, gradient, [v - g for v, g in zip(values, gradient, strict=True)]


def _split_edges(values: list[Array], spacing: Array) -> Parts:
    """Least squares over all edges with ``U = 0`` at the nodes of the walls."""
    d = len(values)
    steps = tuple(values[i].shape[i] for i in range(d))
    outflow = sum(_node_difference(v, j) / spacing[j] for j, v in enumerate(values))
    eigen = _laplacian([np.arange(1, n) for n in steps], steps, spacing)
    potential = np.zeros(tuple(n + 1 for n in steps))
    potential[(slice(1, -1),) * d] = idstn(dstn(outflow, type=1, norm="ortho") / eigen, type=1, norm="ortho")
    gradient = [-np.diff(potential, axis=j) / spacing[j] for j in range(d)]
    return potential, gradient, [v - g for v, g in zip(values, gradient, strict=True)]


def _laplacian(numbers: Sequence[Any], sizes: tuple[int, ...], spacing: Array) -> Array:
    """Eigenvalues of minus the second difference with these wave numbers along each axis."""
    terms = [(2 - 2 * np.cos(np.pi * k / n)) / h**2 for k, n, h in zip(numbers, sizes, spacing, strict=True)]
    return np.asarray(np.sum(np.meshgrid(*terms, indexing="ij"), axis=0))


def _inner(axis: int, d: int) -> tuple[slice, ...]:
    return tuple(slice(1, -1) if i == axis else slice(None) for i in range(d))


def _node_difference(v: Array, axis: int) -> Array:
    """What flows out of each inner node along its axis."""
    across = tuple(slice(None) if i == axis else slice(1, -1) for i in range(v.ndim))
    return np.diff(v, axis=axis)[across]


def _coarsen(v: Array, axis: int, boundary: Boundary) -> Array:
    """The mean flow through faces, or along edges, twice as large."""
    for i in range(v.ndim):
        on_nodes = (i == axis) == (boundary == "tangential")
        v = np.moveaxis(v, i, 0)
        v = v[::2] if on_nodes else (v[::2] + v[1::2]) / 2
        v = np.moveaxis(v, 0, i)
    return v


def _weights(v: Array, axis: int, boundary: Boundary) -> Array:
    """The volume that belongs to each value, in cells: values on a wall have half a cell to one side."""
    total = np.ones(v.shape)
    for i, size in enumerate(v.shape):
        if (i == axis) == (boundary == "tangential"):
            line = np.ones(size)
            line[[0, -1]] = 0.5
            total = total * line.reshape([-1 if k == i else 1 for k in range(v.ndim)])
    return total


def _inner_product(a: list[Array], b: list[Array], boundary: Boundary) -> float:
    return float(sum((_weights(p, j, boundary) * p * q).sum() for j, (p, q) in enumerate(zip(a, b, strict=True))))


def _shares(values: list[Array], gradient: list[Array], rotation: list[Array], boundary: Boundary) -> dict[str, float]:
    total = _inner_product(values, values, boundary)
    if total == 0:
        return dict.fromkeys(("gradient", "rotation", "harmonic"), float("nan"))
    shares = [_inner_product(part, part, boundary) / total for part in (gradient, rotation)]
    return {"gradient": shares[0], "rotation": shares[1], "harmonic": 0.0}


def _residual(
    values: list[Array], gradient: list[Array], rotation: list[Array], spacing: Array, boundary: Boundary
) -> float:
    total = _inner_product(values, values, boundary)
    if total == 0:
        return 0.0
    difference = (lambda w, j: np.diff(w, axis=j)) if boundary == "tangential" else _node_difference
    divergence = sum(difference(w, j) / spacing[j] for j, w in enumerate(rotation))
    return max(
        abs(_inner_product(gradient, rotation, boundary)) / total,
        float(np.linalg.norm(divergence)) * float(spacing.min()) / math.sqrt(total),
    )
