"""Decompose a field where it stands: what descends, what turns, in which planes, around which loops, and for whom.

Everything is in the optimiser's metric where a method runs (``xi = D^(-1/2) x``, motion per step); field sign.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from separatrix.errors import ComputationError, InputError
from separatrix.fields import Field
from separatrix.probes.decompose.conservativity import Conservativity, conservativity
from separatrix.probes.decompose.equilibria import LocalEquilibrium, local_equilibrium
from separatrix.probes.decompose.local import LocalSplit, local_split
from separatrix.probes.decompose.path_angle import PathAngle, path_angle
from separatrix.probes.decompose.planes import RotationPlane, rotation_planes
from separatrix.probes.interplay import EXACT_UP_TO
from separatrix.probes.numbers import number
from separatrix.probes.setting import Setting

T = TypeVar("T")
# Loops are as wide as so many steps, or as this share of the point's length where no step is known.
STEPS, SHARE = 20, 1e-2
# Circles inside a loop on which the curl is looked at.
RINGS = 2


@dataclass(frozen=True)
class FieldDecomposition:
    """What :func:`decompose_field` found; parts that could not be computed are ``None``, with a note.

    Attributes:
        name: of the field.
        metric: in which units.
        split: symmetric and antisymmetric part.
        planes: in which it turns fastest.
        loops: circulation around circles in these planes, at the scale ``radius``.
        radius: of the circles, in the field's coordinates.
        equilibrium: what kind of point it is to the players.
        path: the path angle, where training's path is known.
        costs: ``(part, gradients, seconds)``.
        notes: what was left out, and why.
    """

    name: str
    metric: str
    split: LocalSplit
    planes: tuple[RotationPlane, ...]
    loops: Conservativity | None
    radius: float
    equilibrium: LocalEquilibrium | None
    path: PathAngle | None
    costs: tuple[tuple[str, float, float], ...]
    notes: tuple[str, ...]

    @property
    def gradients(self) -> float:
        """Spent on all parts."""
        return sum(row[1] for row in self.costs)

    @property
    def sentence(self) -> str:
        """All that was found, in order."""
        said = [self.split.status]
        if self.planes and len(self.planes[0].players) > 1:
            first = self.planes[0]
            shares = ", ".join(f"{p} {share:.0%}" for p, share in first.players.items())
            said.append(f"The fastest plane of rotation holds {first.share:.0%} of all turning and lies in {shares}.")
        if self.loops is not None:
            said.append(self.loops.status)
        if self.equilibrium is not None:
            said.append(self.equilibrium.sentence)
        if self.path is not None:
            said.append(self.path.sentence)
        return " ".join(said)

    def __str__(self) -> str:
        return f"{self.name}, {self.metric}: {self.sentence}"

    def section(self) -> dict[str, object]:
        """As plain data, for records and ``--json``."""
        loops = None
        if self.loops is not None:
            rows = [{"circulation": c.value, "error": c.error, "relative": c.relative} for c in self.loops.loops]
            loops = {"verdict": self.loops.verdict, "largest": self.loops.largest, "radius": self.radius, "rows": rows}
        found: dict[str, object] = {
            "metric": self.metric,
            "split": self.split.section(),
            "planes": [
                {
                    "rate": p.rate,
                    "residual": p.residual,
                    "converged": p.converged,
                    "share": p.share,
                    "players": p.players,
                }
                for p in self.planes
            ],
            "loops": loops,
            "equilibrium": None if self.equilibrium is None else self.equilibrium.section(),
            "path": None
            if self.path is None
            else {"label": self.path.label, "switch": self.path.switch, "bump": self.path.bump},
            "notes": list(self.notes),
            "sentence": self.sentence,
        }
        return found


def decompose_field(
    setting: Setting,
    *,
    probes: int = 30,
    planes: int = 3,
    loops: int = 1,
    radius: float | None = None,
    path: Tensor | None = None,
    max_products: int = 60,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> FieldDecomposition:
    """Split a field where it stands, in the metric of the method that runs.

    Args:
        setting: field, point and metric, from :func:`separatrix.probes.settle`.
        probes: sign vectors for the norms.
        planes: how many planes of rotation.
        loops: how many of these planes are circled; 0 for none.
        radius: of the circles; as long as 20 steps if ``None``, or 1% of the point's length where no step is known.
        path: points that training went through, ``(t, n)``, for the path angle from the first to here.
        max_products: for the planes.
        seed: of all random vectors.
        progress: called with the name of each part as it begins.

    Raises:
        InputError: counts or a radius that make no sense.

    Cost: about 5 gradients a probe and 75 a player for the units, 5 a product for the planes, 200 to 450 a loop, 61 for the
        path. The kind of a point is told at rest points, and wherever there are at most 300 coordinates (5 for each of them).
    """
    if probes < 2 or planes < 1 or loops < 0 or (radius is not None and not radius > 0):
        raise InputError(
            f"probes is at least 2, planes at least 1, loops at least 0, radius positive; got {probes}, {planes}, {loops}, {radius}."
        )
    book = _Book(setting.seen, progress or (lambda part: None))
    space, root = setting.field.space, setting.scale.sqrt()
    split = book.need("split", lambda: local_split(setting.operator, space, probes=probes, seed=seed))
    turning = split.antisymmetric.value
    turns = turning > 1e-10 * split.total.value
    found = (
        book.take(
            "planes",
            lambda: rotation_planes(
                setting.operator, space, planes, total=turning, max_products=max_products, seed=seed
            ),
        )
        if turns
        else ()
    ) or ()
    wide = _radius(setting) if radius is None else radius
    around = None
    if loops and space.n > 1:
        chosen = [root * plane.basis.to(root) for plane in found[:loops]] or None
        around = book.take(
            "loops",
            lambda: conservativity(setting.seen, setting.x, wide, planes=chosen, loops=loops, rings=RINGS, seed=seed),
        )
    kind = book.take("equilibrium", lambda: _kind(setting, book, seed))
    angle = None
    if path is not None and len(path) and float((path[0].to(setting.x) - setting.x).norm()) > 0:
        angle = book.take("path angle", lambda: path_angle(setting.seen, path[0].to(setting.x), setting.x))
    return FieldDecomposition(
        setting.field.name,
        setting.metric,
        split,
        found,
        around,
        wide,
        kind,
        angle,
        tuple(book.costs),
        tuple(book.notes),
    )


def _kind(setting: Setting, book: _Book, seed: int) -> LocalEquilibrium | None:
    space, velocity = setting.field.space, setting.seen(setting.x)
    if space.shared:
        book.notes.append("equilibrium: players share parameters, so no player has a curvature of its own.")
        return None
    speed = float(velocity.double().norm())
    if speed > 1e-6 and space.n > EXACT_UP_TO:
        book.notes.append(
            f"equilibrium: the field still moves here (|v| = {number(speed)}), so it is none of any kind."
        )
        return None
    return local_equilibrium(setting.operator, space, velocity, seed=seed)


def _radius(setting: Setting) -> float:
    length = float(setting.x.double().norm()) or 1.0
    if setting.frozen is None:
        return SHARE * length
    step = float((setting.scale * setting.seen(setting.x)).double().norm())
    return STEPS * step if step > 0 else SHARE * length


class _Book:
    """Costs and notes as they come in."""

    def __init__(self, subject: Field, progress: Callable[[str], None]) -> None:
        self.subject, self.progress = subject, progress
        self.costs: list[tuple[str, float, float]] = []
        self.notes: list[str] = []

    def need(self, part: str, measure: Callable[[], T]) -> T:
        self.progress(part)
        before, start = self.subject.gradients, time.process_time()
        try:
            return measure()
        finally:
            self.costs.append((part, self.subject.gradients - before, time.process_time() - start))

    def take(self, part: str, measure: Callable[[], T]) -> T | None:
        try:
            return self.need(part, measure)
        except ComputationError as error:
            self.notes.append(f"{part}: {error}")
            return None
