"""The portrait of a field: its streams, rest points, limit cycles, basins and separatrices; or a slice of a big one."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from torch import Tensor

from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import Field, FunctionField
from separatrix.fields.pure import pure
from separatrix.probes.description import finite
from separatrix.probes.limit_cycles import LimitCycle, limit_cycles
from separatrix.probes.plane_slices import (
    FieldSlice,
    Plane,
    coordinate_plane,
    field_slice,
    mode_plane,
    path_plane,
    random_plane,
    turning_plane,
)
from separatrix.probes.record import write_text
from separatrix.probes.rest_points import RestPoint, rest_points
from separatrix.probes.stable_curves import stable_curves
from separatrix.topology import FieldBasins, field_basins

Box = tuple[tuple[float, float], tuple[float, float]]
PLANES = ("mode", "turning", "path", "random")
INSIDE = 1e-9  # of the field's squared length, out of the plane, counts as nothing
MOST_DEGENERATE = 4  # a curve of zeros shows as many of them


@dataclass(frozen=True, eq=False)
class Portrait:
    """What is known of a field in a box of a plane.

    Attributes:
        name: of the field.
        slice: the field on the grid.
        planar: the plane is the whole space; rest points and cycles are real ones.
        rest: rest points.
        cycles: limit cycles, stable and unstable, by radius.
        basins: of the attractors; ``None`` where they were not asked for or the field is not planar.
        separatrices: stable curves of the saddles, ``(m, 2)`` each: what parts the basins there.
        path: a path of training in the plane's coordinates, ``(t, 2)``.
        notes: what was left out, and why.
    """

    name: str
    slice: FieldSlice
    planar: bool
    rest: tuple[RestPoint, ...] = ()
    cycles: tuple[LimitCycle, ...] = ()
    basins: FieldBasins | None = None
    separatrices: tuple[Tensor, ...] = ()
    path: Tensor | None = None
    notes: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """All that the figure says, in words."""
        found = [_capital(rest.sentence) + "." for rest in self.rest]
        found += [_capital(cycle.sentence) + "." for cycle in self.cycles]
        if self.planar and not found:
            found = ["No rest point and no limit cycle was found in the box."]
        if self.basins is not None:
            shares = [self.basins.share(k) for k in range(len(self.basins.attractors))]
            kinds = [attractor.kind for attractor in self.basins.attractors]
            parts = [
                f"{share:.1%} to attractor {k + 1} ({kind})"
                for k, (share, kind) in enumerate(zip(shares, kinds, strict=True))
            ]
            lost = self.basins.share(-1)
            parts += [f"{lost:.1%} out of the box"] if lost else []
            found.append(f"Of the box lead {', '.join(parts)}; {self.basins.undecided_share:.2%} is undecided.")
        if not self.planar and float(self.slice.outside.nan_to_num(0.0).max()) < INSIDE:
            found.append(f"The plane of {self.slice.plane.name}, out of which nothing of the field points here.")
        elif not self.planar:
            found.append(
                f"The plane of {self.slice.plane.name}. In the median {self.slice.outside_share:.1%} of the field's squared length "
                "points out of it, so its streams are no trajectories and its zeros no equilibria."
            )
        return [*found, *self.notes]

    def __str__(self) -> str:
        return "\n".join([f"{self.name}:", *(f"  {sentence}" for sentence in self.sentences)])

    def to_dict(self) -> dict[str, Any]:
        """Plain data; the grids are left out, NaN and infinity become ``None``."""
        rest = [
            {
                "kind": r.kind,
                "point": r.point.tolist(),
                "eigenvalues": [[complex(m).real, complex(m).imag] for m in r.eigenvalues],
                "residual": r.residual,
                "error": r.error,
                "eigenvalue_error": r.eigenvalue_error,
            }
            for r in self.rest
        ]
        cycles = [
            {
                "kind": c.kind,
                "centre": c.centre.tolist(),
                "period": c.period,
                "period_error": c.period_error,
                "radius": c.radius,
                "radius_error": c.radius_error,
                "multiplier": c.multiplier,
                "multiplier_error": c.multiplier_error,
                "residual": c.residual,
            }
            for c in self.cycles
        ]
        basins = self.basins
        return {
            "name": self.name,
            "planar": self.planar,
            "plane": self.slice.plane.name,
            "box": [[float(a[0]), float(a[-1])] for a in (self.slice.x, self.slice.y)],
            "rest": rest,
            "cycles": cycles,
            "basins": None
            if basins is None
            else {
                "shares": [basins.share(k) for k in range(len(basins.attractors))],
                "kinds": [attractor.kind for attractor in basins.attractors],
                "outside": basins.share(-1),
                "undecided": basins.undecided_share,
            },
            "outside_share": self.slice.outside_share,
            "sentences": self.sentences,
        }

    def save(self, path: str | Path) -> Path:
        """Write by suffix: ``.svg``, ``.png``, ``.pdf`` the figure, ``.json`` the numbers.

        Raises:
            InputError: another suffix.
        """
        path = Path(path)
        if path.suffix == ".json":
            write_text(path, json.dumps(finite(self.to_dict()), indent=1, allow_nan=False))
            return path
        if path.suffix not in (".svg", ".png", ".pdf"):
            raise InputError(f"a portrait is saved as .svg, .png, .pdf or .json, got {path.name!r}.")
        from separatrix.report.portrait_plot import draw_portrait, save_figure

        save_figure(draw_portrait(self), path)
        return path


def portrait(
    field: Field,
    *,
    box: Box | None = None,
    plane: Plane | tuple[int, int] | str | None = None,
    path: Tensor | None = None,
    resolution: int = 25,
    cells: int = 80,
    cycles: bool = True,
    basins: bool = True,
    losses: bool = False,
    seed: int = 0,
) -> Portrait:
    """Look at a field: a planar one as a whole, a big one on a plane.

    Args:
        field: of two dimensions, with all that can be found in the box; or of more, on ``plane``.
        box: ``((x_low, x_high), (y_low, y_high))`` in the plane's coordinates. Where ``None``: around the path if there is one, else
            twice the distance of the field's point from zero, at least 2, around zero; on a plane of a big field a tenth of the
            point's length around it.
        plane: for more than two dimensions: ``mode`` (default), ``turning``, ``path``, ``random``, two coordinates, or a
            :class:`~separatrix.probes.plane_slices.Plane`.
        path: a path of training ``(t, n)``, drawn, and spanning the plane ``path``.
        resolution: of the field's grid, points a side.
        cells: of the basins' grid, a side; see :func:`separatrix.topology.field_basins`.
        cycles: seek the limit cycles of a planar field, :func:`separatrix.probes.limit_cycles`.
        basins: and its basins.
        losses: also draw each player's loss.
        seed: of random planes and eigenvalue searches.

    Raises:
        InputError: no field, one of a single dimension, or a box, plane or path that does not fit.
        ComputationError: no such plane (no mode was resolved, nothing turns).

    Cost: ``resolution^2`` gradients. Cycles some thousand evaluations of a hundred points at once for each rest point, basins
    some hundred of ``cells^2`` points: seconds for a plain function, up to a minute for a game.
    """
    if not isinstance(field, Field):
        raise InputError(
            f"portrait takes a Field, got a {type(field).__name__}; bind a game to data first, game.on(batch), and take that of a "
            "Problem, problem.field()."
        )
    if field.space.n < 2:
        raise InputError(f"a portrait needs a plane, and {field.name!r} has one dimension.")
    if path is not None and not (isinstance(path, Tensor) and path.ndim == 2 and bool(path.isfinite().all())):
        raise InputError("path must be a tensor of finite points (t, n), for instance sx.train(...).path.")
    planar = field.space.n == 2 and (plane is None or plane == "path")
    where = coordinate_plane(field) if planar else _plane(field, plane, path, seed)
    drawn = None if path is None else where.coordinates(path).double().cpu()
    box = _box(field, planar, drawn) if box is None else _given_box(box)
    whole, notes = field, list[str]()
    if planar:
        try:
            whole = pure(field)
        except InputError as error:
            notes.append(f"Rest points, cycles and basins were not sought: {error}")
    grid = field_slice(field if losses else whole, where, box=box, resolution=resolution, losses=losses)
    found = Portrait(field.name, grid, planar, path=drawn, notes=tuple(notes))
    if not planar or not isinstance(whole, FunctionField):
        return found
    rest = rest_points(whole, box)
    curves = stable_curves(whole, [point for point in rest if point.kind == "saddle"], box)
    found = replace(found, rest=rest, separatrices=tuple(curves))
    if cycles:
        within = [r for r in rest if r.kind != "saddle"]
        if sum(r.kind == "degenerate" for r in within) > MOST_DEGENERATE:
            within = [r for r in within if r.kind != "degenerate"]
            notes.append("Limit cycles were not sought around the degenerate rest points, of which there are many.")
        search = limit_cycles(whole, [r.point for r in within], box)
        for (x, y), unseen in zip(
            (search.families.double() + 0.0).tolist(), search.family_errors.tolist(), strict=True
        ):
            at = f"({round(x, 6) + 0.0:.3g}, {round(y, 6) + 0.0:.3g})"
            notes.append(
                f"All orbits around {at} close up: a family of them, and no limit cycle. (A drift of less than {unseen:.1g} of the "
                "box a turn would not be seen.)"
            )
        if search.given_up:
            notes.append(
                f"Limit cycles may be missing: {search.given_up} orbits were given up, in a stiff field or near a saddle."
            )
        found = replace(found, cycles=search.cycles, notes=tuple(notes))
    if basins:
        try:
            found = replace(found, basins=field_basins(whole, box, resolution=cells))
        except NonFiniteError as error:
            found = replace(found, notes=(*notes, f"Basins were not sought: {error}"))
    return found


def _given_box(box: Box) -> Box:
    try:
        (x_low, x_high), (y_low, y_high) = box
        finite = all(isfinite(side) for side in (x_low, x_high, y_low, y_high))
    except (TypeError, ValueError):
        raise InputError(f"box must be ((x_low, x_high), (y_low, y_high)), got {box!r}.") from None
    if not finite:
        raise InputError(f"box must hold four finite numbers, ((x_low, x_high), (y_low, y_high)), got {box!r}.")
    return (x_low, x_high), (y_low, y_high)


def _plane(field: Field, plane: Plane | tuple[int, int] | str | None, path: Tensor | None, seed: int) -> Plane:
    if isinstance(plane, Plane):
        return plane
    if isinstance(plane, tuple):
        return coordinate_plane(field, *plane)
    if plane == "path":
        if path is None:
            raise InputError("the plane of a path needs path=, for instance sx.train(...).path.")
        return path_plane(path)
    if plane in (None, "mode"):
        return mode_plane(field, seed=seed)
    if plane == "turning":
        return turning_plane(field, seed=seed)
    if plane == "random":
        return random_plane(field, seed=seed)
    raise InputError(f"plane must be one of {', '.join(PLANES)}, two coordinates or a Plane, got {plane!r}.")


def _box(field: Field, planar: bool, drawn: Tensor | None) -> Box:
    if drawn is not None:
        low, high = drawn.min(dim=0).values, drawn.max(dim=0).values
        middle, half = (low + high) / 2, float((high - low).max()) * 0.65 or 1.0
        x, y = middle.tolist()
    else:
        size = float(field.point.double().norm())
        x, y, half = 0.0, 0.0, max(2.0, 2 * size) if planar else (0.1 * size or 1.0)
    return (x - half, x + half), (y - half, y + half)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
