"""Cells per second and memory per cell of ReLU complexes with two and three inputs.

Timed is the whole way from the module: all cells, the sign of F along every edge, critical vertices and the discrete
gradient with its complex. Networks have PyTorch's default initialisation, seed 0, in float64. One thread; CPU-seconds
are shown beside wall time because other work may share the machine; medians of several runs. Peak memory is
measured in a fresh process for each size.

    python benchmarks/bench_relu_complex.py [--repeat 3]
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from separatrix.topology import edge_signs, pl_critical, pl_gradient, relu_complex

RESULTS = Path(__file__).parent / "results" / "relu_complex.json"
NETWORKS = [
    (2, 16, 16, 1),
    (2, 32, 32, 1),
    (2, 64, 64, 1),
    (2, 128, 128, 1),
    (2, 32, 32, 32, 32, 1),
    (3, 16, 16, 1),
    (3, 32, 32, 1),
    (3, 48, 48, 1),
    (3, 16, 16, 16, 1),
]


def network(widths: tuple[int, ...]) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).double()


def run(model: nn.Module) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, float]]:
    """Cell counts, critical vertices by index, and CPU-seconds of each part."""
    marks = [time.process_time()]
    complex = relu_complex(model)
    cells = complex.f_vector
    marks.append(time.process_time())
    signs = edge_signs(complex)
    critical = pl_critical(complex, signs)
    marks.append(time.process_time())
    pl_gradient(complex, signs)
    marks.append(time.process_time())
    parts = dict(zip(("complex", "critical", "gradient"), np.diff(marks).tolist(), strict=True))
    return cells, critical.counts, parts


def measure(widths: tuple[int, ...], repeat: int) -> dict[str, object]:
    model, cpu, wall, parts = network(widths), [], [], []
    for _ in range(repeat):
        start, used = time.perf_counter(), time.process_time()
        cells, critical, part = run(model)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
        parts.append(part)
    count, median = sum(cells), statistics.median(cpu)
    return {
        "widths": widths,
        "f_vector": cells,
        "critical": critical,
        "cells": count,
        "cpu_seconds": [round(t, 4) for t in cpu],
        "wall_seconds": [round(t, 4) for t in wall],
        "median_parts": {k: round(statistics.median(p[k] for p in parts), 4) for k in parts[0]},
        "cells_per_cpu_second": round(count / median),
        "cells_per_wall_second": round(count / statistics.median(wall)),
        "peak_bytes_per_cell": round(peak_bytes(widths) / count),
    }


def peak_bytes(widths: tuple[int, ...]) -> int:
    """By how much one run raises the resident memory of a fresh process, at its peak."""
    command = [sys.executable, __file__, "--memory", ",".join(map(str, widths))]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(widths: tuple[int, ...]) -> None:
    run(network((2, 4, 1)))
    model = network(widths)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the peak that the imports made
    before = resident("VmRSS")
    run(model)
    print(resident("VmHWM") - before)


def resident(entry: str) -> int:
    """A memory entry of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(entry))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        measure_memory(tuple(map(int, arguments.memory.split(","))))
        return
    run(network((2, 4, 1)))
    records = []
    print(f"{'network':18} {'cells':>8} {'CPU s':>8} {'cells / CPU s':>14} {'cells / wall s':>15} {'bytes / cell':>13}")
    for widths in NETWORKS:
        record = measure(widths, arguments.repeat)
        records.append(record)
        name, seconds = "-".join(map(str, widths)), sum(record["median_parts"].values())
        print(
            f"{name:18} {record['cells']:8} {seconds:8.3f} {record['cells_per_cpu_second']:14} "
            f"{record['cells_per_wall_second']:15} {record['peak_bytes_per_cell']:13}",
            flush=True,
        )
    versions = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    RESULTS.parent.mkdir(exist_ok=True)
    temporary = RESULTS.with_suffix(".tmp")
    temporary.write_text(json.dumps({"versions": versions, "networks": records}, indent=1) + "\n")
    temporary.replace(RESULTS)


if __name__ == "__main__":
    main()
