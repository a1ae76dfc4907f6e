"""The linear map of a method on a small matrix, by running the scheme's own code on the columns of the identity."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, lcm

import torch
from torch import Tensor

from separatrix.dynamics.bases import Frozen
from separatrix.dynamics.modes import Mode
from separatrix.dynamics.near import MatrixNear, ModesNear, Near
from separatrix.dynamics.schemes import SCHEME, Evaluate, Scheme, States
from separatrix.errors import ComputationError, InputError
from separatrix.fields.space import Space


@dataclass(frozen=True)
class LinearPeriod:
    """The map ``z' = M z`` of one period (one cycle of the scheme) on ``v(x) = A x``.

    Attributes:
        matrix: ``M``, ``(N, N)``.
        layout: owner, name and size of the parts of ``z``: the point (owner and name empty), the bases' tensors by player, and
            what the scheme remembers (owner :data:`SCHEME`).
        steps: of the method that make up the period.
    """

    matrix: Tensor
    layout: tuple[tuple[str, str, int], ...]
    steps: int

    def multipliers(self) -> Tensor:
        """All eigenvalues, largest modulus first, ``(N,)`` complex."""
        values = finite_eigenvalues(self.matrix)
        ordered: Tensor = values[values.abs().argsort(descending=True)]
        return ordered

    @property
    def radius(self) -> float:
        """The spectral radius per step: the period's, to the power ``1 / steps``."""
        return float(float(self.multipliers()[0].abs()) ** (1 / self.steps))


def linear_period(
    matrix: Tensor,
    scheme: Scheme,
    bases: Mapping[str, Frozen],
    space: Space,
    *,
    terms: Mapping[str, Tensor] | None = None,
) -> LinearPeriod:
    """The linear map of one period of a scheme on the field ``v(x) = A x``.

    Args:
        matrix: ``A``, ``(n, n)``, real or complex; field sign.
        scheme: whose code is run.
        bases: linear ones, by player.
        space: the players' coordinates.
        terms: what single loss terms add to ``A``, each as it is at its plain weight, ``(n, n)``; field sign. A scheme with lazy
            terms needs them: a step evaluates ``A`` plus ``factor - 1`` times each.

    Raises:
        ComputationError: the scheme's step is no linear map, or has a lazy term that ``terms`` does not know.

    Cost: the scheme's evaluations, each a product of ``A`` with an ``(n, N)`` matrix.

    Example:
        >>> import torch
        >>> from separatrix.dynamics import Frozen, Mode, Simultaneous, linear_period
        >>> from separatrix.fields import Space
        >>> A, bases, space = torch.tensor([[-1.0]]), {"x": Frozen(0.25, Mode())}, Space.of_sizes({"x": 1})
        >>> [round(linear_period(A, Simultaneous({"decay": k}), bases, space, terms={"decay": A}).radius, 4) for k in (1, 2, 4)]
        [0.75, 0.7071, 0.0]
    """
    upright = {p: _upright(b) for p, b in bases.items()}
    columns, parts = _run(_MatrixEvaluation(matrix, space, terms), scheme, upright, space, matrix.new_zeros(()))
    return LinearPeriod(columns, parts, scheme.cycle)


def lazy_period(
    matrix: Tensor, penalty: Tensor, every: int, scheme: Scheme, bases: Mapping[str, Frozen], space: Space
) -> LinearPeriod:
    """The linear map of a full period under a lazy penalty: ``A + every R`` in the first step, ``A`` in those between.

    The mean field is ``A + R``, but strong single steps and free ones between are not its steps: the safe range shrinks by up to
    ``every``, and rotations grow in between. This is for every scheme; one that takes the term lazily itself,
    ``Alternating(lazy={"r1": 16})``, has the same map in ``linear_period(A + R, scheme, ..., terms={"r1": R})``. See
    :func:`~separatrix.dynamics.schedules.lazy`, which trains any scheme like that.

    Args:
        matrix: ``A``, the field without the penalty, ``(n, n)``; field sign.
        penalty: ``R``, the Jacobian of the penalty's own directions at its plain weight, ``(n, n)``; field sign.
        every: how many steps make up a period; 1 is no laziness.
        scheme: the period is the least common multiple of its cycle and ``every``.
        bases, space: as in :func:`linear_period`.

    Raises:
        InputError: ``every`` below 1.
        ComputationError: the scheme's step is no linear map.

    Example:
        >>> import torch
        >>> from separatrix.dynamics import Frozen, Mode, Simultaneous, lazy_period
        >>> from separatrix.fields import Space
        >>> A, R = torch.zeros(1, 1), torch.tensor([[-1.0]])  # a penalty alone, step 0.25
        >>> [round(lazy_period(A, R, k, Simultaneous(), {"x": Frozen(0.25, Mode())}, Space.of_sizes({"x": 1})).radius, 4)
        ...  for k in (1, 2, 4)]
        [0.75, 0.7071, 0.0]
    """
    if every < 1:
        raise InputError(f"every must be at least 1, got {every}.")
    strong, free = _MatrixEvaluation(matrix + every * penalty, space), _MatrixEvaluation(matrix, space)
    steps = [free if step % every else strong for step in range(lcm(every, scheme.cycle))]
    upright = {p: _upright(b) for p, b in bases.items()}
    columns, parts = _run(steps, scheme, upright, space, matrix.new_zeros(()))
    return LinearPeriod(columns, parts, len(steps))


def drawn_steps(
    matrices: Tensor,
    offsets: Tensor,
    scheme: Scheme,
    bases: Mapping[str, Frozen],
    space: Space,
    *,
    terms: Mapping[str, tuple[Tensor, Tensor]] | None = None,
) -> list[tuple[Tensor, Tensor]]:
    """The maps ``z' = M z + n`` of each step of a period, for several combinations of draws of a step.

    Args:
        matrices: ``A_i`` of the fields ``v(x) = A_i x + c_i``, ``(t, draws, n, n)``, with ``draws = scheme.draws(players)``; field sign.
        offsets: ``c_i``, ``(t, draws, n)``.
        scheme, bases, space: as in :func:`linear_period`.
        terms: what single loss terms add to ``A_i`` and ``c_i``, for a scheme with lazy terms.

    Returns:
        ``M (t, N, N)`` and ``n (t, N)``, for each step.

    Raises:
        ComputationError: the scheme's step is no linear map, or has a lazy term that ``terms`` does not know.
    """
    upright = {p: _upright(b) for p, b in bases.items()}
    x, states, parts = _start(scheme, upright, space, matrices.new_zeros(()), origin=True)
    found = []
    for _ in range(scheme.cycle):
        maps = []
        for c in range(len(matrices)):
            own = {term: (more[c], push[c]) for term, (more, push) in (terms or {}).items()}
            evaluate = _DrawnEvaluation(matrices[c], offsets[c], space, own)
            there, after = scheme.step(evaluate, upright, space, x, states)
            maps.append(_gathered(there, after, parts))
        columns = torch.stack(maps)
        found.append((columns[..., :-1] - columns[..., -1:], columns[..., -1]))
        # What the scheme counts goes on, the columns begin anew.
        states = {
            p: {k: states[p][k] if isinstance(v, Tensor) else v for k, v in state.items()} for p, state in after.items()
        }
    return found


def multipliers(scheme: Scheme, z: complex | Tensor, mode: Mode | None = None, *, step: float | Tensor = 1.0) -> Tensor:
    """What one period does to modes with ``h lambda = z``: all multipliers, largest modulus first.

    Args:
        scheme: one that treats all players alike.
        z: step size times an eigenvalue of the field's Jacobian, field sign; or many of them, ``(k,)``.
        mode: the momentum of the bases; none where ``None``.
        step: ``h`` itself, a number or ``(k,)``, for a scheme with a pace of its own (:class:`Stabilised`); the others know
            ``h lambda`` only.

    Returns:
        ``(q,)`` complex128, or ``(k, q)``.

    Raises:
        ComputationError: the scheme treats players or steps differently, or its step is no linear map.

    Example:
        >>> from separatrix.dynamics import Extragradient, multipliers
        >>> multipliers(Extragradient(), -0.5).real.tolist()
        [0.75]
    """
    if not scheme.uniform:
        raise ComputationError(
            f"an eigenvalue has no multiplier of its own under {scheme.name}, which treats players or steps differently; take the "
            "linear map of the whole game: linear_period or UpdateMap."
        )
    many = torch.as_tensor(z, dtype=torch.complex128)
    bases = {"x": Frozen(step, mode or Mode())}
    columns, _ = _run(_ModesEvaluation(many / step), scheme, bases, Space.of_sizes({"x": 1}), torch.zeros_like(many))
    values = finite_eigenvalues(columns.movedim((0, 1), (-2, -1)))
    ordered: Tensor = values.gather(-1, values.abs().argsort(dim=-1, descending=True))
    return ordered


def finite_eigenvalues(matrices: Tensor) -> Tensor:
    """All eigenvalues of ``(..., N, N)``; infinite ones where steps so long overflow, from which LAPACK does not come back."""
    whole = torch.isfinite(matrices).flatten(-2).all(-1)
    try:
        values = torch.linalg.eigvals(torch.where(whole[..., None, None], matrices, torch.zeros_like(matrices)))
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # just below the largest number
        return torch.full(matrices.shape[:-1], complex(inf, 0), dtype=torch.complex128)
    return torch.where(whole[..., None], values, torch.full_like(values, complex(inf, 0)))


class _MatrixEvaluation:
    """``v(x) = A x``, on one or many columns; ``A`` may have terms of its own."""

    def __init__(self, matrix: Tensor, space: Space, terms: Mapping[str, Tensor] | None = None) -> None:
        self.matrix, self.space, self.terms = matrix, space, terms or {}

    def __call__(self, at: Tensor, players: Sequence[str], draw: int) -> dict[str, Tensor]:
        v = self.matrix @ at
        return {p: self.space.take(v, p) for p in players}

    def weighted(self, factors: Mapping[str, float]) -> _MatrixEvaluation:
        matrix = self.matrix
        for term, factor in _changed(factors, self.terms):
            matrix = matrix + (factor - 1) * self.terms[term]
        return _MatrixEvaluation(matrix, self.space)

    def near(self, x: Tensor, draw: int) -> Near:
        return MatrixNear(self.matrix, x, self.space)


def _changed(factors: Mapping[str, float], known: Collection[str]) -> list[tuple[str, float]]:
    """The factors other than 1.

    Raises:
        ComputationError: of a term that is not known.
    """
    changed = [(term, factor) for term, factor in factors.items() if factor != 1]
    for term, _ in changed:
        if term not in known:
            raise ComputationError(
                f"no prediction: what the lazy term {term!r} adds to the Jacobian is not known, only the Jacobian of all terms "
                f"together; known are {', '.join(map(repr, known)) or 'none'}."
            )
    return changed


class _DrawnEvaluation:
    """``v(x) = A_i x + c_i`` for draw ``i``, on many columns."""

    def __init__(
        self, matrices: Tensor, offsets: Tensor, space: Space, terms: Mapping[str, tuple[Tensor, Tensor]]
    ) -> None:
        self.matrices, self.offsets, self.space, self.terms = matrices, offsets, space, terms

    def __call__(self, at: Tensor, players: Sequence[str], draw: int) -> dict[str, Tensor]:
        v = self.matrices[draw] @ at + self.offsets[draw][:, None]
        return {p: self.space.take(v, p) for p in players}

    def weighted(self, factors: Mapping[str, float]) -> _DrawnEvaluation:
        matrices, offsets = self.matrices, self.offsets
        for term, factor in _changed(factors, self.terms):
            more, push = self.terms[term]
            matrices, offsets = matrices + (factor - 1) * more, offsets + (factor - 1) * push
        return _DrawnEvaluation(matrices, offsets, self.space, {})

    def near(self, x: Tensor, draw: int) -> Near:
        found = MatrixNear(self.matrices[draw], x, self.space)
        found.directions = self(x, self.space.players, draw)
        return found


class _ModesEvaluation:
    """``v(x) = z x`` for many ``z`` at once."""

    def __init__(self, z: Tensor) -> None:
        self.z = z

    def __call__(self, at: Tensor, players: Sequence[str], draw: int) -> dict[str, Tensor]:
        return {"x": self.z * at}

    def near(self, x: Tensor, draw: int) -> Near:
        return ModesNear(self.z, x)


def check_linear(scheme: Scheme) -> None:
    """Raise where a scheme has no linear map."""
    if not scheme.linear:
        raise ComputationError(
            f"no prediction for {scheme.name}: its step is no linear map of point and state, not even near an equilibrium; "
            "simulate it, or measure twins."
        )


Layout = tuple[tuple[str, str, int], ...]


def _run(
    evaluate: Evaluate | Sequence[Evaluate], scheme: Scheme, bases: Mapping[str, Frozen], space: Space, like: Tensor
) -> tuple[Tensor, Layout]:
    """One period on the columns of the identity, ``(N, N, *like.shape)``, and the layout of its rows.

    Steps may have evaluations of their own.
    """
    x, states, parts = _start(scheme, bases, space, like)
    for seen in [evaluate] * scheme.cycle if callable(evaluate) else evaluate:
        x, states = scheme.step(seen, bases, space, x, states)
    return _gathered(x, states, parts), parts


def _start(
    scheme: Scheme, bases: Mapping[str, Frozen], space: Space, like: Tensor, *, origin: bool = False
) -> tuple[Tensor, States, Layout]:
    """The columns of the identity as point and states; with ``origin`` a column of zeros comes last."""
    check_linear(scheme)
    zero = like.new_zeros(space.n)
    empty = {p: bases[p].init(space.take(zero, p)) for p in space.players}
    empty[SCHEME] = scheme.memory(space, zero, settled=True)
    parts = [("", "", space.n)]
    parts += [(p, name, len(t)) for p, state in empty.items() for name, t in state.items() if isinstance(t, Tensor)]
    count = sum(size for *_, size in parts)
    wide = count + origin
    identity = torch.eye(count, wide, dtype=like.dtype, device=like.device).reshape(
        count, wide, *(1 for _ in like.shape)
    )
    pieces = torch.split(identity.expand(count, wide, *like.shape), [size for *_, size in parts])
    columns: dict[tuple[str, str], Tensor] = dict(zip([(p, name) for p, name, _ in parts], pieces, strict=True))
    states: States = {p: {k: columns.get((p, k), value) for k, value in state.items()} for p, state in empty.items()}
    return columns["", ""], states, tuple(parts)


def _gathered(x: Tensor, states: States, parts: Layout) -> Tensor:
    return torch.cat([x, *(states[p][name] for p, name, _ in parts[1:])])


def _upright(base: Frozen) -> Frozen:
    """A scale for every coordinate as a column, so that it acts on many columns at once."""
    return replace(base, scale=base.scale[:, None]) if isinstance(base.scale, Tensor) and base.scale.ndim else base
