"""Discrete gradients and persistence beside gudhi's cubical persistence, and memory per cell.

All contenders run in turn, several times, in one process on one thread; the table shows medians of CPU-seconds and
their ratio. gudhi builds its complex from vertex values and computes persistence over GF(2); "gradient" is the whole
way from the tensor to the mates, the list of cells included; "persistence" adds the Morse complex and the pairs.
Compilation is warmed up on a small grid first. Peak memory is measured in a fresh process for each size.

    python benchmarks/bench_topology.py [--repeat 5]
"""

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gudhi
import numba
import numpy as np
import torch
from torch import Tensor

from separatrix.topology import CubicalComplex, lower_star_gradient, persistence

RESULTS = Path(__file__).parent / "results" / "topology.json"
SHAPES = [(512, 512), (64, 64, 64)]
MEMORY_SHAPES = [(256, 256), (512, 512), (1024, 1024), (32,) * 3, (64,) * 3, (96,) * 3]


def waves(shape: tuple[int, ...]) -> Tensor:
    """A smooth function with a few dozen critical points."""
    axes = torch.meshgrid(*(torch.linspace(-1, 1, n, dtype=torch.float64) for n in shape), indexing="ij")
    return torch.stack([torch.cos(3 * math.pi * x) for x in axes]).prod(dim=0) + 0.1 * axes[0]


def noise(shape: tuple[int, ...]) -> Tensor:
    """Independent Gaussian values: as many critical points as there can be."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def gradient(values: Tensor) -> object:
    return lower_star_gradient(CubicalComplex(tuple(values.shape)), values)


def pairs(values: Tensor) -> object:
    return persistence(lower_star_gradient(CubicalComplex(tuple(values.shape)), values))


def gudhi_pairs(values: Tensor) -> object:
    complex = gudhi.CubicalComplex(vertices=values.numpy())
    complex.compute_persistence(homology_coeff_field=2)
    return complex


def cpu_seconds(run: Callable[[Tensor], object], values: Tensor) -> float:
    start = time.process_time()
    run(values)
    return time.process_time() - start


def compare(function: Callable[[tuple[int, ...]], Tensor], shape: tuple[int, ...], repeat: int) -> dict[str, object]:
    contenders = {"gradient": gradient, "persistence": pairs, "gudhi": gudhi_pairs}
    values = function(shape)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeat):
        for name, run in contenders.items():
            times[name].append(cpu_seconds(run, values))
    median = {name: statistics.median(runs) for name, runs in times.items()}
    return {
        "function": function.__name__,
        "shape": shape,
        "critical_cells": lower_star_gradient(CubicalComplex(shape), values).counts,
        "cpu_seconds": {name: [round(t, 4) for t in runs] for name, runs in times.items()},
        "median": {name: round(t, 4) for name, t in median.items()},
        "gradient_over_gudhi": round(median["gradient"] / median["gudhi"], 3),
        "persistence_over_gudhi": round(median["persistence"] / median["gudhi"], 3),
    }


def peak_bytes(shape: tuple[int, ...]) -> int:
    """By how much one gradient raises the resident memory of a fresh process, at its peak."""
    command = [sys.executable, __file__, "--memory", ",".join(map(str, shape))]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(shape: tuple[int, ...]) -> None:
    gradient(noise((4,) * len(shape)))
    values = noise(shape)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the peak that the imports made
    before = resident("VmRSS")
    kept = gradient(values)
    print(resident("VmHWM") - before)
    del kept


def resident(entry: str) -> int:
    """A memory entry of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(entry))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        measure_memory(tuple(map(int, arguments.memory.split(","))))
        return
    for shape in SHAPES:
        pairs(noise((4,) * len(shape)))
    records = []
    print(
        f"{'function':8} {'shape':14} {'gradient':>9} {'persist.':>9} {'gudhi':>9}   gradient/gudhi  persistence/gudhi"
    )
    for shape in SHAPES:
        for function in (waves, noise):
            record = compare(function, shape, arguments.repeat)
            records.append(record)
            row = (record["median"][name] for name in ("gradient", "persistence", "gudhi"))
            print(
                f"{function.__name__:8} {shape!s:14} {' '.join(f'{t:8.3f}s' for t in row)}   "
                f"{record['gradient_over_gudhi']:14} {record['persistence_over_gudhi']:18}",
                flush=True,
            )
    memory = []
    for shape in MEMORY_SHAPES:
        cells = int(np.prod(CubicalComplex(shape).cell_shape))
        per_cell = peak_bytes(shape) / cells
        memory.append({"shape": shape, "cells": cells, "peak_bytes_per_cell": round(per_cell, 1)})
        print(f"{shape!s:14} {cells:9} cells, peak {per_cell:.0f} bytes per cell", flush=True)
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numba": numba.__version__}
    versions["gudhi"] = gudhi.__version__
    RESULTS.parent.mkdir(exist_ok=True)
    temporary = RESULTS.with_suffix(".tmp")
    temporary.write_text(json.dumps({"versions": versions, "times": records, "memory": memory}, indent=1) + "\n")
    temporary.replace(RESULTS)


if __name__ == "__main__":
    main()
