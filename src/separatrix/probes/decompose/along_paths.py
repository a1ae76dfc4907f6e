"""Line integrals of a field with error estimates, and potentials from them where there is one.

``W = integral v . dx`` along a polyline. For a gradient field ``v = -grad U`` it is ``U(start) - U(end)`` on every path. Each
segment is integrated by the 15-point Gauss-Kronrod rule, halved where its two orders disagree. A jump of the field shows in
very short intervals; it is located by bisection and said. Around a closed path nothing is integrated over a jump.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from scipy.integrate import quad_vec
from torch import Tensor

from separatrix.errors import ComputationError, InputError, NonFiniteError
from separatrix.fields import Field
from separatrix.probes.numbers import number

# A jump is a change by more than this share of the field's size that survives so many halvings of the distance.
JUMP, HALVINGS = 1e-3, 30
# An interval this short, as a share of a segment, is looked at for a jump.
SHORT = 1e-3
# On a closed path so are neighbouring places between which the field changes by this share of its size.
SUDDEN = 0.1


@dataclass(frozen=True)
class Jump:
    """Where a field is discontinuous.

    Attributes:
        place: the point, ``(n,)``, to about 1e-9 of the segment it was found on.
        size: ``|v|`` of the change there; infinite where the field has no finite value.
    """

    place: Tensor
    size: float


@dataclass(frozen=True)
class LineIntegral:
    """``integral v . dx`` along a path.

    Attributes:
        value: NaN on a closed path with a jump, and where the field is not finite.
        error: estimated, of the quadrature.
        length: of the path.
        converged: the error is below the tolerance.
        jump: a discontinuity met on the way; the place is unknown (NaN) where the field is not finite.
        gradients: spent.
        status: one sentence.
    """

    value: float
    error: float
    length: float
    converged: bool
    jump: Jump | None
    gradients: float
    status: str


def line_integral(field: Field, path: Tensor, *, tol: float = 1e-6, max_gradients: int = 3000) -> LineIntegral:
    """The work of a field along a polyline.

    Args:
        field: the field, its draw frozen.
        path: corners, ``(k, n)``; closed where the last is the first.
        tol: error wanted, relative to the length of the path times the field's root mean square.
        max_gradients: evaluations at most, beyond one pass of 15 a segment.

    Raises:
        InputError: fewer than two corners, or of another size.

    Cost: at least 17 gradients a segment, and 30 where a jump is chased.

    Example:
        >>> from separatrix.fields import FunctionField
        >>> spin = FunctionField(lambda x: torch.stack([-x[1], x[0]]), torch.zeros(2, dtype=torch.float64))
        >>> square = torch.tensor([[1.0, 1], [-1, 1], [-1, -1], [1, -1], [1, 1]], dtype=torch.float64)
        >>> round(line_integral(spin, square).value, 12)
        8.0
    """
    if path.ndim != 2 or len(path) < 2 or path.shape[1] != field.space.n:
        raise InputError(
            f"a path holds at least two points of the field, (k, {field.space.n}), got {tuple(path.shape)}."
        )
    path = path.detach().to(field.device, field.dtype)
    steps = path.diff(dim=0)
    lengths = steps.double().norm(dim=1)
    length, spent = float(lengths.sum()), field.gradients
    if length == 0:
        return LineIntegral(0.0, 0.0, 0.0, True, None, 0.0, "The path has no length.")

    # The segment is the integer part of the parameter: one adaptive integral, breaks at the corners.
    def along(s: float) -> Tensor:
        i = min(int(s), len(steps) - 1)
        return path[i] + (s - i) * steps[i]

    squares = []
    signs = (
        torch.randint(0, 2, (field.space.n,), generator=torch.Generator().manual_seed(0)).to(path.device) * 2.0 - 1.0
    )
    seen: list[tuple[float, float]] = []  # one number of each value, in which a jump across the path shows, too

    def integrand(s: float) -> float:
        v = field(along(s)).double()
        squares.append(float(v @ v))
        seen.append((s, float(v @ signs.double())))
        return float(v @ steps[min(int(s), len(steps) - 1)].double())

    try:
        # Off the middle, where symmetric fields are zero.
        sizes = [field(along(k + share)).double().norm() for k in range(len(steps)) for share in (0.21, 0.68)]
        scale = max(float(torch.stack(sizes).square().mean().sqrt()), 1e-300)
        found, error, info = quad_vec(
            integrand,
            0.0,
            float(len(steps)),
            epsabs=tol * length * scale,
            epsrel=0.0,
            norm="2",
            limit=max(max_gradients // 30, 1),
            quadrature="gk15",
            points=list(range(1, len(steps))),
            full_output=True,
        )
    except NonFiniteError as problem:
        return LineIntegral(
            math.nan, math.nan, length, False, Jump(path[0] * math.nan, math.inf), field.gradients - spent, f"{problem}"
        )
    size = math.sqrt(sum(squares) / len(squares))
    value, error = float(found), float(error)
    converged = error <= tol * length * size
    # Halving gathers where the field is rough: a jump, if there is one, lies in the shortest interval.
    a, b = min(info.intervals, key=lambda ends: float(ends[1] - ends[0]))
    jump = find_jump(field, along(float(a)), along(float(b)), size) if b - a < SHORT or not converged else None
    closed = torch.equal(path[0], path[-1])
    if closed and jump is None:
        # A jump across the path leaves the integrand smooth.
        seen.sort()
        changes = [abs(after[1] - before[1]) for before, after in pairwise(seen)]
        i = max(range(len(changes)), key=changes.__getitem__)
        if changes[i] > SUDDEN * size:
            jump = find_jump(field, along(seen[i][0]), along(seen[i + 1][0]), size)
    status = f"{number(value)} with an error of about {number(error, 1)}"
    if not converged:
        status += ", above the tolerance: raise max_gradients"
    if jump is not None:
        status += f"; the field jumps by {number(jump.size)} on the path"
        if closed:
            status = f"The field jumps by {number(jump.size)} on the loop, so its circulation was not computed"
            value, error, converged = math.nan, math.nan, False
    return LineIntegral(value, error, length, converged, jump, field.gradients - spent, f"{status}.")


def find_jump(field: Field, a: Tensor, b: Tensor, size: float) -> Jump | None:
    """Follow the larger change of the field from ``a`` to ``b`` by halving; a jump if it does not shrink with the distance.

    Cost: ``HALVINGS`` gradients.
    """
    try:
        at_a, at_b = field(a).double(), field(b).double()
        for _ in range(HALVINGS):
            middle = a + (b - a) / 2
            if torch.equal(middle, a) or torch.equal(middle, b):
                break
            value = field(middle).double()
            if float((value - at_a).norm()) > float((at_b - value).norm()):
                b, at_b = middle, value
            else:
                a, at_a = middle, value
    except NonFiniteError:
        return Jump((a + (b - a) / 2).double(), math.inf)
    change = float((at_b - at_a).norm())
    return Jump((a + (b - a) / 2).double(), change) if change > JUMP * max(size, 1e-300) else None


@dataclass(frozen=True)
class Potential:
    """A potential at some points.

    Attributes:
        values: ``U``, ``(k,)``, zero at the base; ``v = -grad U``.
        errors: of the quadrature, ``(k,)``.
        inconsistency: how far direct routes and those via another point differ, at most.
        gradients: spent.
        status: one sentence.
    """

    values: Tensor
    errors: Tensor
    inconsistency: float
    gradients: float
    status: str


def reconstruct_potential(
    field: Field, points: Tensor, base: Tensor | None = None, *, tol: float = 1e-6, agree: float = 1e-3
) -> Potential:
    """``U`` at some points by straight lines from a base, each checked by a detour through the point before it.

    Args:
        field: the field.
        points: ``(k, n)``.
        base: where ``U = 0``; where the field stands if ``None``.
        tol: of each line integral.
        agree: by how much a detour may differ, relative to the work that the field could do on it at most.

    Raises:
        InputError: points of another size.
        ComputationError: a detour differs by more, so that the field is no gradient here, or it is not finite on a line.

    Cost: at least 15 gradients a line, two lines a point.
    """
    base = field.point if base is None else base
    if points.ndim != 2 or points.shape[1] != field.space.n:
        raise InputError(f"points have shape (k, {field.space.n}), got {tuple(points.shape)}.")
    spent = field.gradients
    values, errors, worst = [], [], 0.0
    for i, point in enumerate(points):
        direct = _line(field, base, point, tol)
        values.append(-direct.value)
        errors.append(direct.error)
        if i == 0:
            continue
        detour = _line(field, points[i - 1], point, tol)
        gap = abs(values[-1] - (values[-2] - detour.value))
        size = float(torch.stack([field(p).double().norm() for p in (base, point, points[i - 1])]).max())
        length = direct.length + detour.length + float((points[i - 1] - base).double().norm())
        allowed = agree * size * length + 3 * (errors[-1] + errors[-2] + detour.error)
        if gap > allowed:
            raise ComputationError(
                f"{field.name!r} has no potential here: going to point {i} directly and through point {i - 1} differs by "
                f"{number(gap)}, allowed is {number(allowed)}; see local_split for what part of it is a gradient."
            )
        worst = max(worst, gap)
    status = f"Detours agree to {number(worst, 1)}." if len(points) > 1 else "One point; no detour was tried."
    return Potential(
        torch.tensor(values, dtype=torch.float64),
        torch.tensor(errors, dtype=torch.float64),
        worst,
        field.gradients - spent,
        status,
    )


def _line(field: Field, a: Tensor, b: Tensor, tol: float) -> LineIntegral:
    found = line_integral(field, torch.stack([a, b]), tol=tol)
    if math.isnan(found.value):
        raise ComputationError(f"no potential along a line on which {field.name!r} is not finite: {found.status}")
    return found
