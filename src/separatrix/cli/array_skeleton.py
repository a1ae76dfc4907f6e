"""``separatrix topology`` of an array: critical cells and persistence pairs of its values on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.text import Text

from separatrix import topology
from separatrix.cli.outputs import check_outputs
from separatrix.cli.skeleton_output import SUFFIXES, listed, table, write_figure
from separatrix.cli.talk import Talk
from separatrix.errors import ComputationError, InputError


def read_array(path: Path) -> torch.Tensor:
    """The array in a ``.npy`` file, in float64.

    Raises:
        InputError: no such file, or no array of real numbers.
    """
    if not path.is_file():
        raise InputError(f"TARGET {path}: there is no such file.")
    try:
        found = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"TARGET {path} holds no array of numbers; save one with numpy.save.") from error
    if found.dtype.kind not in "biuf" or found.ndim == 0 or found.size == 0:
        raise InputError(f"TARGET {path} must hold real numbers along axes, got {found.dtype} of shape {found.shape}.")
    return torch.from_numpy(np.ascontiguousarray(found, dtype=np.float64))


def skeleton_of_array(
    target: str,
    talk: Talk,
    *,
    min_persistence: float | None,
    periodic: bool,
    max_vertices: int,
    outputs: Sequence[Path],
) -> int:
    """Print it and draw it."""
    check_outputs(outputs, SUFFIXES)
    values = read_array(Path(target))
    if values.numel() > max_vertices:
        raise ComputationError(
            f"TARGET {target} has {values.numel()} entries, more than --max-vertices {max_vertices}; thin it "
            "out, or raise the budget: a cell takes about 100 bytes, an entry has 2^d cells."
        )
    least = min_persistence or 0.0
    grid = topology.CubicalComplex(tuple(values.shape), periodic=periodic)
    with talk.progress(f"gradient of {target}"):
        raw = topology.lower_star_gradient(grid, values)
        gradient = topology.cancel(raw, min_persistence=least).gradient if least else raw
        bars = topology.persistence(raw)
    data: dict[str, Any] = {
        "kind": "array",
        "target": target,
        "shape": list(values.shape),
        "f_vector": list(grid.cells.f_vector),
        "betti_numbers": list(bars.betti_numbers(float(values.max()))),
        "critical": list(raw.counts),
        "min_persistence": least,
        "critical_after_cancelling": list(gradient.counts),
        "pairs": _pairs(grid, bars, least),
    }
    size = " x ".join(str(n) for n in values.shape)
    cancelled = f", {listed(gradient.counts)} after cancelling below {least:g}" if least else ""
    shown: list[RenderableType] = [
        Text(f"{target}: {size}; critical cells by dimension: {listed(raw.counts)}{cancelled}")
    ]
    if not talk.quiet:
        shown += [Text(f"Betti numbers of the whole: {listed(data['betti_numbers'])}"), *_pair_table(data["pairs"])]
    talk.result(data, *shown)
    if outputs:
        drawn = values.ndim <= 2
        figure = Figure(figsize=(11 if drawn else 5.5, 5), layout="constrained")
        if drawn:
            topology.plot_critical_cells(grid, gradient, ax=figure.add_subplot(121))
        axes = figure.add_subplot(122 if drawn else 111)
        topology.plot_persistence(bars, min_persistence=least, ax=axes)
        write_figure(figure, outputs, talk)
    return 0


def _pairs(grid: topology.CubicalComplex, bars: topology.Persistence, least: float) -> list[dict[str, Any]]:
    """The pairs, longest first; ``death`` is infinite and ``death_at`` None for what stays."""
    kept = torch.nonzero((bars.lengths > 0) & (bars.lengths >= least)).flatten()
    kept = kept[torch.argsort(bars.lengths[kept], descending=True, stable=True)]
    born, died = (grid.centres(cells[kept].clamp(min=0)).tolist() for cells in (bars.birth_cells, bars.death_cells))
    columns = bars.dims[kept].tolist(), bars.births[kept].tolist(), bars.deaths[kept].tolist()
    stays = (bars.death_cells[kept] < 0).tolist()
    return [
        {"dimension": k, "birth": b, "death": e, "birth_at": at, "death_at": None if stay else until}
        for k, b, e, at, until, stay in zip(*columns, born, died, stays, strict=True)
    ]


def _pair_table(pairs: Any) -> list[RenderableType]:
    rows = [
        (
            str(pair["dimension"]),
            f"{pair['birth']:.6g}",
            "stays" if pair["death_at"] is None else f"{pair['death']:.6g}",
            ", ".join(f"{x:g}" for x in pair["birth_at"]),
            ", ".join(f"{x:g}" for x in pair["death_at"] or ()),
        )
        for pair in pairs
    ]
    return table(("dimension", "birth", "death", "born at", "dies at"), rows)
