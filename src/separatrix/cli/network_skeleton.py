"""``separatrix topology`` of a ReLU network: its cells, critical vertices and level set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.text import Text
from torch import nn

from separatrix import topology
from separatrix.cli.outputs import check_outputs
from separatrix.cli.skeleton_output import SUFFIXES, listed, table, write_figure
from separatrix.cli.talk import Talk
from separatrix.cli.target import called, find_object
from separatrix.errors import ComputationError, InputError
from separatrix.topology.relu_compile import compile_relu
from separatrix.topology.relu_complex import complex_of_program

INCOMPLETE = 3
MOST_CELLS_AROUND_A_VERTEX = 3**12
FORMS = "path/to/file.py:NAME, package.module:NAME or file.npy"


def find_network(target: str) -> nn.Module:
    """The network that a TARGET names.

    Raises:
        InputError: it does not import, lacks the name, or is no network.
    """
    if ":" not in target or target.startswith("zoo:"):
        why = "the zoo holds no ReLU networks" if target.startswith("zoo:") else "it names no object"
        raise InputError(f"TARGET {target!r}: {why}; write {FORMS}.")
    found = find_object(target)
    if not isinstance(found, nn.Module) and callable(found) and not isinstance(found, type):
        found = called(found, target)
    if not isinstance(found, nn.Module):
        kind = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
        raise InputError(f"TARGET {target!r} is {kind}; it must be a ReLU network, such as an nn.Sequential, or a "
                         "function that returns one.")  # fmt: skip
    return found


def skeleton_of_network(
    target: str, talk: Talk, *, level: float | None, max_vertices: int, seed: int, outputs: Sequence[Path]
) -> int:
    """Print it and draw it; 3 where the budget did not suffice for all neurons."""
    check_outputs(outputs, SUFFIXES)
    torch.manual_seed(seed)
    model = find_network(target)
    program = compile_relu(model)
    d = program.inputs
    if outputs and d not in (2, 3):
        raise InputError(f"-o draws networks of two or three inputs, this one has {d}; leave it out.")
    if 3**d > MOST_CELLS_AROUND_A_VERTEX:
        raise ComputationError(
            f"The network has {d} inputs, so 3^{d} cells around each vertex; look at one vertex from Python: "
            "separatrix.topology.vertex_star(model, point)."
        )
    with talk.progress(f"cells of {target}"):
        complex = complex_of_program(program, max_vertices)
        data: dict[str, Any] = {
            "kind": "network",
            "target": target,
            "inputs": d,
            "outputs": program.outputs,
            "neurons": program.neurons,
            "status": complex.status,
            "processed": complex.processed,
            "f_vector": list(complex.f_vector),
            "regions": {"count": complex.f_vector[d], "bounded": int(topology.bounded_cells(complex, d).sum())},
            "critical": None,
            "level_set": None,
        }
        critical = None
        complete = complex.status == "complete"
        if complete and program.outputs == 1:
            critical = topology.pl_critical(complex)
            data["critical"] = _critical(critical)
        if complete:
            data["level_set"] = _level_set(model, program.outputs, level, max_vertices, talk)
    summary = _network_summary(data)
    talk.result(data, *([summary[0]] if talk.quiet else [*summary, *_critical_table(data["critical"])]))
    if outputs:
        figure = Figure(figsize=(7, 5.5), layout="constrained")
        axes = figure.add_subplot(projection="3d" if d == 3 else None)
        topology.plot_relu_complex(complex, critical=critical, ax=axes)
        write_figure(figure, outputs, talk)
    if not complete:
        talk.note(
            f"stopped after {complex.processed} of {program.neurons} neurons: the rest would exceed "
            f"--max-vertices {max_vertices}; raise it for critical points and Betti numbers."
        )
    return 0 if complete else INCOMPLETE


def _critical(critical: topology.PLCritical) -> dict[str, Any]:
    columns = critical.index.tolist(), critical.values.tolist(), critical.points.tolist()
    points = [{"index": i, "value": v, "point": p} for i, v, p in sorted(zip(*columns, strict=True))]
    return {"counts": list(critical.counts), "flat": int(critical.flat.sum()), "points": points}


def _level_set(
    model: nn.Module, outputs: int, wanted: float | None, max_vertices: int, talk: Talk
) -> dict[str, Any] | None:
    """Betti numbers below, on and above the level; None, with a note, where nobody asked for it and there are none."""
    level = 0.0 if wanted is None else wanted
    try:
        found = topology.relu_level_set(model, level, max_vertices=max_vertices)
    except (InputError, ComputationError) as error:
        if wanted is not None:
            raise
        talk.note(f"no level set at 0: {error}")
        return None
    return {
        "function": "F" if outputs == 1 else "F_1 - F_0",
        "level": level,
        "below": list(found.sublevel_betti_numbers()),
        "on": list(found.betti_numbers()),
        "above": list(found.superlevel_betti_numbers()),
    }


def _network_summary(data: dict[str, Any]) -> list[RenderableType]:
    cells, regions, status = data["f_vector"], data["regions"], data["status"]
    if status == "incomplete":
        status = f"incomplete: {data['processed']} of {data['neurons']} neurons"
    names = ["vertices", "edges", "faces"][: data["inputs"]]
    names += [f"{k}-cells" for k in range(3, data["inputs"])] + ["regions"]
    counts = ", ".join(f"{count} {name}" for count, name in zip(cells, names, strict=True))
    shown = [Text(f"{data['target']}: {counts} ({regions['bounded']} bounded); {status}")]
    if level := data["level_set"]:
        sets = ((sign, level[part]) for sign, part in (("<", "below"), ("=", "on"), (">", "above")))
        betti = "; ".join(
            f"{{{level['function']} {sign} {level['level']:g}}} {listed(numbers)}" for sign, numbers in sets
        )
        shown.append(Text(f"Betti numbers: {betti}"))
    if critical := data["critical"]:
        shown.append(Text(f"critical vertices by index: {listed(critical['counts'])}"))
        if critical["flat"]:
            shown.append(Text(f"{critical['flat']} vertices touch a flat edge and have no index"))
    elif data["status"] == "complete":
        shown.append(Text(f"critical vertices need one output, this network has {data['outputs']}"))
    return list(shown)


def _critical_table(critical: dict[str, Any] | None) -> list[RenderableType]:
    if not critical or not critical["points"]:
        return []
    rows = [
        (str(point["index"]), f"{point['value']:.6g}", ", ".join(f"{x:.6g}" for x in point["point"]))
        for point in critical["points"]
    ]
    return table(("index", "F", "at"), rows)
