"""Shortest paths in a homotopy class among discs: a band pulled tight, then tangents and arcs in closed form."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from separatrix.topology.worlds import World

__all__ = ["TautPath", "pull_taut"]

Floats = npt.NDArray[np.float64]
LEVELS = (32, 64, 128, 256)  # segments of the band at least; each level starts from the one before
MOST_SEGMENTS = 4096
SWEEPS = 4000
CONTACT = 1e-3  # band points this close to a disc, relative to its radius, rest on it


class TangentsAndArcs(NamedTuple):
    """A path as a polygon ``(k, 2)``, its length, and the angle it turns through on each disc, in ``[0, 2 pi)``."""

    points: Floats
    length: float
    sweeps: list[float]


@dataclass(frozen=True, eq=False)
class TautPath:
    """The shortest path of a homotopy class.

    Args:
        points: ``(k, 2)`` float64, the path as a polygon.
        length: its length; from tangents and arcs if ``exact``, else that of the polygon, an upper bound.
        exact: whether the closed form was found, clear of all discs and in the same class.
    """

    points: Tensor
    length: float
    exact: bool


def pull_taut(world: World, path: Tensor) -> TautPath:
    """The shortest path homotopic to a given one, ends fixed.

    A band of points is smoothed and pushed out of the discs until it rests; the discs it rests on and its turning
    directions determine the shortest path: common tangents, and arcs between them.

    Cost: ``LEVELS`` times ``SWEEPS`` passes over the band, some 10 ms.
    """
    from separatrix.topology.band import tighten

    centres = np.array(world.centres, dtype=np.float64).reshape(-1, 2)
    radii = np.array(world.radii, dtype=np.float64)
    homotopy_class = world.homotopy_class(path)
    band = path.to(torch.float64).numpy()
    for segments in LEVELS:
        # Segments shorter than half the smallest radius seldom slip over a disc; a band that did is not gone on with.
        fine = math.ceil(2 * polygon_length(band) / radii.min()) if len(radii) else 0
        tight = tighten(resample(band, min(max(segments, fine), MOST_SEGMENTS)), centres, radii, SWEEPS)
        if world.homotopy_class(torch.from_numpy(tight)) == homotopy_class:
            band = tight
    contacts = rests(band, centres, radii)
    while (found := tangents_and_arcs(band[0], band[-1], centres, radii, contacts)) is not None:
        points = torch.from_numpy(found.points)
        # A whole turn round a disc at the wall has the word of none, but leaves the box.
        inside = float(world.clearance(points).min()) > -1e-12
        if inside and world.homotopy_class(points) == homotopy_class and is_clear(found.points, centres, radii):
            return TautPath(points, found.length, exact=True)
        # A disc that is barely met is no stop of the shortest path: an arc round it would run backwards.
        if not contacts or max(found.sweeps) <= math.pi:
            break
        del contacts[int(np.argmax(found.sweeps))]
    return TautPath(torch.from_numpy(band), polygon_length(band), exact=False)


def polygon_length(path: Floats) -> float:
    """The length of a polygon ``(k, 2)``."""
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())


def resample(path: Floats, segments: int) -> Floats:
    """The polygon with this many segments of equal length along it."""
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    along = np.concatenate(([0.0], np.cumsum(steps)))
    places = np.linspace(0.0, along[-1], segments + 1)
    return np.stack([np.interp(places, along, path[:, axis]) for axis in range(2)], axis=1)


def rests(band: Floats, centres: Floats, radii: Floats) -> list[tuple[int, int]]:
    """The discs a band rests on, in order, with its direction round each: +1 counter-clockwise."""
    found: list[tuple[int, int]] = []
    for before, point, after in zip(band[:-2], band[1:-1], band[2:], strict=True):
        gaps = np.linalg.norm(point - centres, axis=1) - radii
        touched = np.flatnonzero(gaps < CONTACT * radii)
        if len(touched) == 0:
            continue
        disc = int(touched[np.argmin(gaps[touched])])
        radial, motion = point - centres[disc], after - before
        turn = 1 if radial[0] * motion[1] - radial[1] * motion[0] > 0 else -1
        if not found or found[-1] != (disc, turn):
            found.append((disc, turn))
    return found


def tangents_and_arcs(
    start: Floats, goal: Floats, centres: Floats, radii: Floats, contacts: list[tuple[int, int]]
) -> TangentsAndArcs | None:
    """The path along these discs, or None if two of them have no common tangent.

    With signed radii ``s = turn * r`` (zero at the ends) the common tangent of two discs with centres ``d`` apart has
    length ``sqrt(|d|^2 - (s_2 - s_1)^2)`` and is turned by ``-arcsin((s_2 - s_1) / |d|)`` against ``d``.
    """
    stops = [(start, 0.0), *((centres[disc], turn * radii[disc]) for disc, turn in contacts), (goal, 0.0)]
    angles: list[float] = []
    length = 0.0
    for (a, s), (b, t) in pairwise(stops):
        apart = float(np.linalg.norm(b - a))
        if apart <= abs(t - s):
            return None
        length += math.sqrt(apart**2 - (t - s) ** 2)
        angles.append(math.atan2(b[1] - a[1], b[0] - a[0]) - math.asin((t - s) / apart))
    points = [start]
    sweeps: list[float] = []
    for (centre, signed), arrival, departure in zip(stops[1:-1], angles[:-1], angles[1:], strict=True):
        turn = math.copysign(1.0, signed)
        sweep = (turn * (departure - arrival)) % (2 * math.pi)
        sweeps.append(sweep)
        length += abs(signed) * sweep
        for angle in arrival + turn * np.linspace(0.0, sweep, 65):
            # A disc passed counter-clockwise lies to the left of the motion.
            points.append(centre + signed * np.array([math.sin(angle), -math.cos(angle)]))
    return TangentsAndArcs(np.array([*points, goal]), length, sweeps)


def is_clear(path: Floats, centres: Floats, radii: Floats) -> bool:
    """Whether no segment enters a disc, chords of the arcs being forgiven their sagitta."""
    a, d = path[:-1, None], np.diff(path, axis=0)[:, None]
    share = ((centres - a) * d).sum(-1) / np.maximum((d * d).sum(-1), 1e-300)
    nearest = a + np.clip(share, 0.0, 1.0)[..., None] * d
    sagitta = 1 - math.cos(math.pi / 64)
    return bool((np.linalg.norm(nearest - centres, axis=-1) >= radii * (1 - sagitta) - 1e-12).all())
