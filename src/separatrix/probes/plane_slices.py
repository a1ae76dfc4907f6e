"""Planes through the space of a field, and the field on them.

What is drawn of a field on a plane is its part along the plane; what points out of it is hidden, so its share is always
given. A slice of a big field is no planar field: its zeros are no equilibria, its closed curves no orbits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.errors import ComputationError, InputError
from separatrix.fields import Field, GameField
from separatrix.linalg import frobenius_parts
from separatrix.probes.decompose.planes import rotation_planes
from separatrix.probes.spectrum import spectrum

# Coordinates up to which all turning is added up exactly; else so many probes estimate it.
EXACT, PROBES = 100, 30


@dataclass(frozen=True, eq=False)
class Plane:
    """``origin + a axes[0] + b axes[1]``.

    Attributes:
        origin: ``(n,)``.
        axes: orthonormal, ``(2, n)``.
        labels: of the two axes.
        name: what plane it is, as part of a sentence.
    """

    origin: Tensor
    axes: Tensor
    labels: tuple[str, str]
    name: str

    @classmethod
    def spanned(cls, origin: Tensor, pair: Tensor, labels: tuple[str, str], name: str) -> Plane:
        """The plane of two directions ``(2, n)``, made orthonormal; the first keeps its direction.

        Raises:
            InputError: directions that are parallel, or zero.
        """
        q, r = torch.linalg.qr(pair.double().T)
        size = r.diagonal().abs()
        if not float(size.min()) > 1e-10 * float(pair.double().norm(dim=1).max()):
            raise InputError(f"two directions span a plane where they are not parallel and not zero; {name} does not.")
        return cls(origin.detach(), (q * r.diagonal().sign()).T.to(origin), labels, name)

    def at(self, coordinates: Tensor) -> Tensor:
        """Points ``(..., n)`` of coordinates ``(..., 2)``."""
        return self.origin + coordinates.to(self.origin) @ self.axes

    def coordinates(self, points: Tensor) -> Tensor:
        """Coordinates ``(..., 2)`` of the projections of points ``(..., n)``."""
        return (points.to(self.origin) - self.origin) @ self.axes.T


def coordinate_plane(field: Field, first: int = 0, second: int = 1) -> Plane:
    """The plane of two coordinates, through where the field stands; of a planar field, with the origin at zero."""
    n = field.space.n
    if not (0 <= first < n and 0 <= second < n and first != second):
        raise InputError(f"two different coordinates between 0 and {n - 1} span a plane, got {first} and {second}.")
    axes = torch.eye(n, dtype=field.dtype, device=field.device)[[first, second]]
    origin = torch.zeros_like(field.point) if n == 2 else field.point
    labels = (field.space.name_of(first), field.space.name_of(second))
    return Plane(origin, axes, labels, f"coordinates {first} and {second}")


def mode_plane(field: Field, *, seed: int = 0) -> Plane:
    """The plane of the leading mode, the one that turns fastest where one turns: Re and Im of its *left* eigenvector ``w``.

    The amplitude ``w . (x - x0)`` grows and turns with the eigenvalue whatever the other coordinates do, so the field's part
    along this plane is the mode's own. Where the Jacobian is not normal, the mode moves out of it, too: along its right vector.

    Cost: that of a spectrum.

    Raises:
        ComputationError: no mode was resolved.
    """
    found = spectrum(field, k=6, certificate=False, seed=seed).modes
    if len(found) == 0:
        raise ComputationError(
            f"no mode of {field.name!r} was resolved, so there is no plane of modes; take a random plane."
        )
    turning = found.values.imag.abs()
    which = int(turning.argmax()) if bool((turning > 0).any()) else int(found.values.real.argmax())
    value, vector = complex(found.values[which]), found.vectors[which]
    if value.imag:
        pair, labels = torch.stack([vector.real, vector.imag]), ("along Re w", "along Im w")
    else:
        others = [i for i in range(len(found)) if i != which]
        second = found.vectors[others[0]].real if others else field().to(vector.real)
        pair, labels = torch.stack([vector.real, second]), ("along the mode", "along a second one")
    return Plane.spanned(field.point, pair, labels, f"the mode of eigenvalue {value:.3g}")


def turning_plane(field: Field, *, seed: int = 0) -> Plane:
    """The plane in which the antisymmetric part of the Jacobian turns fastest.

    Raises:
        ComputationError: nothing turns.
    """
    jacobian = field.jacobian()
    n = field.space.n
    total = frobenius_parts(jacobian, n if n <= EXACT else PROBES, seed=seed).antisymmetric
    planes = rotation_planes(jacobian, field.space, 1, total=total.value, seed=seed)
    if not planes:
        raise ComputationError(f"the Jacobian of {field.name!r} has no antisymmetric part here: nothing turns.")
    share = planes[0].share
    spread = "" if total.exact else f" (give or take {2 * share * total.stderr / total.value:.0%})"
    name = f"the fastest rotation, {planes[0].rate:.3g} rad per unit of time, {share:.0%}{spread} of all turning"
    return Plane.spanned(field.point, planes[0].basis, ("turning plane 1", "turning plane 2"), name)


def path_plane(path: Tensor) -> Plane:
    """The plane of the two directions in which a path of training ``(t, n)`` spreads most, through its last point.

    Principal components show slow drifts as waves even where nothing turns [antognini2018]: a round picture is no proof of a
    rotation; the field on it may be.

    Raises:
        InputError: fewer than three points, or a path on a line.
    """
    if path.ndim != 2 or len(path) < 3:
        raise InputError(f"a plane of a path needs three points (t, n) at least, got shape {tuple(path.shape)}.")
    centred = (path - path.mean(dim=0)).double()
    _, values, right = torch.linalg.svd(centred, full_matrices=False)
    shown = float(values[:2].square().sum() / values.square().sum()) if float(values[0]) > 0 else 0.0
    if not float(values[1]) > 1e-10 * float(values[0]):
        raise InputError("the path lies on a line, which spans no plane.")
    name = f"the path's two main directions, {shown:.0%} of its spread"
    return Plane.spanned(path[-1], right[:2], ("first direction", "second direction"), name)


def random_plane(field: Field, *, seed: int = 0) -> Plane:
    """A random plane through where the field stands; each tensor's part has the length of that tensor, as in [li2018]."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for _ in range(2):
        pieces = []
        for piece in field.space.split(field.point):
            drawn = torch.randn(piece.shape, generator=generator, dtype=torch.float64).to(piece)
            length = float(piece.norm())
            pieces.append(drawn * (length / float(drawn.norm())) if length > 0 else drawn)
        rows.append(field.space.join(pieces))
    return Plane.spanned(
        field.point, torch.stack(rows), ("random direction 1", "random direction 2"), "two random directions"
    )


@dataclass(frozen=True, eq=False)
class FieldSlice:
    """A field on a grid of a plane; rows follow the second axis.

    Attributes:
        plane: where.
        x, y: coordinates along the axes, ``(r,)``.
        along: the part of the field in the plane, ``(r, r, 2)``; NaN where it is not finite.
        outside: the share ``|v_out|^2 / |v|^2`` that points out of the plane, ``(r, r)``.
        losses: each player's loss, ``(r, r)``, where asked for.
        gradients: gradient-equivalents spent.
    """

    plane: Plane
    x: Tensor
    y: Tensor
    along: Tensor
    outside: Tensor
    losses: dict[str, Tensor]
    gradients: float

    @property
    def outside_share(self) -> float:
        """The median of ``outside``; 0 for a planar field."""
        return float(self.outside.nanmedian())


def field_slice(
    field: Field,
    plane: Plane,
    *,
    box: tuple[tuple[float, float], tuple[float, float]],
    resolution: int = 25,
    losses: bool = False,
) -> FieldSlice:
    """The field on a plane.

    Args:
        field: of any dimension; many points at once where it is a :class:`FunctionField`.
        plane: in its space.
        box: of the plane's coordinates.
        resolution: points a side.
        losses: also each player's loss, of a game.

    Raises:
        InputError: a bad box or resolution, or losses of a field that has none.

    Cost: ``resolution^2`` gradients, and as many forward passes for the losses.
    """
    if int(resolution) != resolution or resolution < 2 or not all(low < high for low, high in box):
        raise InputError(f"a slice needs two points a side and low < high, got resolution={resolution}, box={box}.")
    if losses and not isinstance(field, GameField):
        raise InputError(f"{field.name!r} is a bare field and has no losses to draw; give a game.")
    spent = field.gradients
    x, y = (torch.linspace(low, high, resolution, dtype=torch.float64) for low, high in box)
    coordinates = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
    v = _values(field, plane.at(coordinates)).double()
    along = v @ plane.axes.T.to(v)
    total = v.square().sum(dim=1)
    outside = (1 - along.square().sum(dim=1) / total).clamp(min=0)
    outside[total == 0] = 0.0
    found: dict[str, list[float]] = {}
    if losses and isinstance(field, GameField):
        for point in plane.at(coordinates):
            for player, terms in field.losses(point).items():
                found.setdefault(player, []).append(sum(terms.values()))
    shape = (resolution, resolution)
    return FieldSlice(
        plane,
        x,
        y,
        along.reshape(*shape, 2).cpu(),
        outside.reshape(shape).cpu(),
        {player: torch.tensor(values, dtype=torch.float64).reshape(shape) for player, values in found.items()},
        field.gradients - spent,
    )


def _values(field: Field, points: Tensor) -> Tensor:
    """The field at points ``(b, n)``, NaN where it is not finite."""
    try:
        return field(points)
    except (ComputationError, InputError):
        rows = []
        for point in points:
            try:
                rows.append(field(point))
            except (ComputationError, InputError):
                rows.append(torch.full_like(point, torch.nan))
        if all(bool(row.isnan().all()) for row in rows):
            raise
        return torch.stack(rows)
