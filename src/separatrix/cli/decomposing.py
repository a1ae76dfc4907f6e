"""``separatrix decompose``: fields where they stand, finite games and polynomial games as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from separatrix.cli.options import Request
from separatrix.cli.outputs import check_outputs
from separatrix.cli.skeleton_output import SUFFIXES, write_figure
from separatrix.cli.starting import start
from separatrix.cli.talk import Talk
from separatrix.cli.target import find_object
from separatrix.errors import InputError
from separatrix.fields import NormalForm, PolynomialGame
from separatrix.probes import Setting, settle
from separatrix.probes.decompose import (
    DifferentialDecomposition,
    FieldDecomposition,
    GameDecomposition,
    GridDecomposition,
    decompose_field,
    decompose_game,
    decompose_polynomial_game,
    split_plane,
)
from separatrix.probes.numbers import number, with_error
from separatrix.report import decomposition_plot

ARRAYS = (".npy", ".npz")


def decompose_target(
    request: Request,
    talk: Talk,
    *,
    probes: int,
    k: int,
    loops: int,
    radius: float | None,
    outputs: Sequence[Path],
) -> int:
    """Print the parts, draw them where asked for."""
    check_outputs(outputs, SUFFIXES)
    target = str(request.target)
    if Path(target).suffix in ARRAYS:
        return _finite(target, _stored_game(Path(target)), talk, outputs)
    try:
        begun = start(request, talk)
    except InputError:
        # A game as a whole is no Problem; looked at now, so that the file of every other target is run once only.
        game = _whole_game(request.target)
        if game is None:
            raise
        return (
            _finite(target, game, talk, outputs)
            if isinstance(game, NormalForm)
            else _smooth(target, game, talk, outputs)
        )
    with talk.progress(f"decomposing {begun.problem.name}") as advance:
        setting = settle(begun.field(request.seed), begun.method, states=begun.states)
        found = decompose_field(
            setting,
            probes=probes,
            planes=k,
            loops=loops,
            radius=radius,
            path=begun.path,
            seed=request.seed,
            progress=lambda part: advance(part=part),
        )
        drawn = _slice(setting, found) if outputs else None
    for finding in setting.jacobian.findings:
        talk.note(finding)
    if outputs:
        write_figure(_field_figure(found, drawn), outputs, talk)
    cost = {
        "gradients": found.gradients,
        "rows": [{"part": part, "gradients": g, "seconds": s} for part, g, s in found.costs],
    }
    data = {"problem": begun.problem.name, "kind": "field", **found.section(), "cost": cost}
    shown: list[RenderableType] = []
    if not talk.quiet:
        shown = [Text(f"{begun.problem.name}: {found.metric}"), _split_table(found), _planes_table(found)]
        shown += [Text(f"note: {note}") for note in found.notes]
        parts = ", ".join(f"{part} {number(g)}" for part, g, _ in found.costs)
        shown.append(Text(f"Cost: {number(found.gradients)} gradient-equivalents ({parts})."))
    talk.result(data, *shown, Text(found.sentence))
    return 0


def _stored_game(path: Path) -> NormalForm:
    """The finite game of payoff arrays in a file."""
    if not path.is_file():
        raise InputError(f"there is no file {path} (seen from {Path.cwd()}).")
    try:
        stored = np.load(path, allow_pickle=False)
        arrays = list(stored) if isinstance(stored, np.ndarray) else [stored[name] for name in stored.files]
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path} holds no arrays of numbers; save them with numpy.save or numpy.savez ({error})."
        ) from None
    return NormalForm.of(arrays)


def _whole_game(target: str | None) -> NormalForm | PolynomialGame | None:
    """The finite or polynomial game that the target names; ``None`` where it names something else."""
    if target is None or target.startswith("zoo:") or ":" not in target:
        return None
    try:
        found = find_object(target)
    except InputError:
        return None
    if isinstance(found, (NormalForm, PolynomialGame)):
        return found
    shaped = any(hasattr(found, name) for name in ("payoff_matrices", "payoff_profile_array", "to_arrays"))
    return NormalForm.of(found) if shaped else None


def _split_table(found: FieldDecomposition) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("part", "value", ""):
        table.add_column(name, justify="left" if name != "value" else "right")
    split, share = found.split, found.split.potentialness

    def shown(value: float, error: float) -> str:
        return with_error(value, error if error > 0 else None)

    table.add_row(
        "symmetric part", shown(split.symmetric.value, split.symmetric.stderr), "norm; what a potential could make"
    )
    table.add_row(
        "antisymmetric part", shown(split.antisymmetric.value, split.antisymmetric.stderr), "norm; what turns"
    )
    table.add_row("divergence", shown(split.divergence.value, split.divergence.stderr), "below 0 volume shrinks")
    if share.value == share.value:
        units = (
            ""
            if share.least == share.most
            else f"{number(share.least)} to {number(share.most)} in all units of the players"
        )
        table.add_row("potentialness", shown(share.value, share.stderr), units)
    if found.loops is not None:
        largest = found.loops.largest
        table.add_row(
            "largest circulation",
            number(largest) if largest == largest else "–",
            f"{found.loops.verdict}; radius {number(found.radius)}",
        )
    if found.path is not None:
        table.add_row(
            "path angle", number(found.path.switch), f"switch; bump {number(found.path.bump)}: {found.path.label}"
        )
    return table


def _planes_table(found: FieldDecomposition) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("plane turns at", "residual", "share of all turning"):
        table.add_column(name, justify="right")
    table.add_column("lies in")
    for plane in found.planes:
        players = ", ".join(f"{p} {share:.0%}" for p, share in plane.players.items())
        flag = "" if plane.converged else " (not converged)"
        table.add_row(number(plane.rate), f"{plane.residual:.0e}", f"{plane.share:.1%}", players + flag)
    return table


def _slice(setting: Setting, found: FieldDecomposition) -> GridDecomposition | None:
    if not found.planes:
        return None
    plane = found.planes[0].basis.to(setting.x)
    # In the optimiser's metric the circle of this radius in the field's coordinates is about so large.
    stretch = float((setting.scale.sqrt() * plane).norm(dim=1).mean())
    return split_plane(setting, plane, found.radius / max(stretch, 1e-300))


def _field_figure(found: FieldDecomposition, drawn: GridDecomposition | None) -> Figure:
    import matplotlib.pyplot as plt

    section = found.split.section()
    if drawn is None:
        figure = plt.figure(figsize=(5.0, 1.7), layout="constrained")
        decomposition_plot.potentialness(section, figure.add_subplot())
        return figure
    figure = plt.figure(figsize=(10.2, 5.2), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=[1, 3.2])
    decomposition_plot.potentialness(section, figure.add_subplot(grid[0, :]))
    axes = [figure.add_subplot(grid[1, j]) for j in range(3)]
    decomposition_plot.plane_parts(drawn, axes=axes, labels=("fastest plane of rotation", ""))
    return figure


def _finite(name: str, game: NormalForm, talk: Talk, outputs: Sequence[Path]) -> int:
    found = decompose_game(game)
    if outputs:
        write_figure(decomposition_plot.game_parts(found)[0].get_figure(), outputs, talk)  # type: ignore[arg-type]
    data = {"problem": name, "kind": "finite game", **found.section(), "cost": {"gradients": 0.0, "rows": []}}
    shown: list[RenderableType] = [] if talk.quiet else [Text(f"{name}: {game!r}"), _norms_table(found.norms)]
    talk.result(data, *shown, Text(_game_sentence(found)))
    return 0


def _game_sentence(found: GameDecomposition) -> str:
    if found.potentialness != found.potentialness or found.potentialness == 0:
        return found.status
    profile = ", ".join(f"{p} {a}" for p, a in zip(found.game.players, found.best_profile, strict=True))
    return f"{found.status} Its potential is largest at the profile {profile} (counted from 0)."


def _smooth(name: str, game: PolynomialGame, talk: Talk, outputs: Sequence[Path]) -> int:
    if outputs:
        raise InputError("-o draws fields and finite games; of a polynomial game draw its field, game.field().")
    found: DifferentialDecomposition = decompose_polynomial_game(game)
    data = {"problem": name, "kind": "polynomial game", **found.section(), "cost": {"gradients": 0.0, "rows": []}}
    shown: list[RenderableType] = []
    if not talk.quiet:
        where = f"{name}: {game.n} coordinates, degree {game.degree}; under a standard normal about 0"
        shown = [Text(where), _norms_table(found.norms)]
    talk.result(data, *shown, Text(found.status))
    return 0


def _norms_table(norms: dict[str, Any]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("part")
    table.add_column("norm", justify="right")
    for part, value in norms.items():
        table.add_row(part.replace("_", " ").replace("nonstrategic", "non-strategic"), number(value))
    return table
