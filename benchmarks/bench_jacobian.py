"""The price of one Jacobian or Hessian product: floating-point operations, CPU time and memory, beside other libraries.

Two GANs with nothing detached (an MLP of 313 153 parameters at batch 256, a DCGAN of 2.1 million at batch 32), and two
classifiers for libraries that know Hessians only; see jacobian_cases.py. In every round each contender runs once, in random
order, on one thread; its CPU time is divided by the field's in the same round. Medians over rounds, with quartiles.
Operations are counted by torch's ``FlopCounterMode`` and free of noise. Memory is the peak of the resident set above the
loaded game, in a process of its own for each contender (Linux). Contenders must give the same numbers; libraries that are
not installed are reported as absent.

    python benchmarks/bench_jacobian.py [--rounds 15] [--quick] [--out FILE]
"""

import argparse
import ctypes
import importlib.metadata
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from jacobian_cases import CASES, Case, Product
from torch.utils.flop_counter import FlopCounterMode

RESULTS = Path(__file__).parent / "results" / "jacobian.json"
PEERS = ("curvlinops-for-pytorch", "pyhessian", "hessian-eigenthings", "backpack-for-pytorch")
Built = dict[str, tuple[Product, int]]


def build(case: Case) -> tuple[Built, list[str]]:
    """The products that can be built, and the names of those that are absent; all that can give the same numbers."""
    found: Built = {}
    absent = []
    for name, make in case.contenders.items():
        try:
            found[name] = make()
        except ImportError:
            absent.append(name)
    ours: dict[str, torch.Tensor] = {}
    for name, (product, vectors) in list(found.items())[1:]:
        answer = product()
        answer = answer if vectors == 1 else answer[0]
        kind = name.split(",")[0]
        first = ours.setdefault(kind, answer)
        gap = float((answer - first).norm() / first.norm())
        assert gap < 1e-3, f"{name} differs by {gap:.2g} from the first of its kind"
    return found, absent


def count_operations(found: Built) -> dict[str, float]:
    """Floating-point operations a vector, over those of the field, which comes first."""
    operations = {}
    for name, (product, vectors) in found.items():
        with FlopCounterMode(display=False) as counter:
            product()
        operations[name] = float(counter.get_total_flops()) / vectors
    base = next(iter(operations.values()))
    return {name: count / base for name, count in operations.items()}


def time_rounds(found: Built, rounds: int) -> tuple[dict[str, list[float]], float]:
    """CPU time a vector over the field's in the same round, ``{name: quartiles}``, and the field's median."""
    ratios: dict[str, list[float]] = {name: [] for name in found}
    field_seconds = []
    first, order = next(iter(found)), list(found)
    for _ in range(rounds):
        seconds = {}
        random.shuffle(order)
        for name in order:
            product, vectors = found[name]
            start = time.process_time()
            product()
            seconds[name] = (time.process_time() - start) / vectors
        field_seconds.append(seconds[first])
        for name in found:
            ratios[name].append(seconds[name] / seconds[first])
    quartiles = {n: statistics.quantiles(r, n=4, method="inclusive") for n, r in ratios.items()}
    return quartiles, statistics.median(field_seconds)


def peak(name: str, contender: str) -> float:
    """MiB of the resident set at its peak above the loaded game. To be run in a process of its own."""
    make, batch, small = CASES[name]
    make(small).contenders[contender]()[0]()  # what is imported on the way is no memory of the product
    case = make(batch)
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts here
    before = _resident("VmRSS")
    product, _ = case.contenders[contender]()
    product()
    product()
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def measure_peak(name: str, contender: str) -> float | None:
    """The peak of a contender, by a process of its own; None where the system does not tell."""
    command = [sys.executable, __file__, "--peak", name, contender]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return float(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def measure(name: str, *, quick: bool, rounds: int) -> dict[str, Any]:
    """One case's record."""
    torch.manual_seed(0)
    make, batch, small = CASES[name]
    case = make(small if quick else batch)
    found, absent = build(case)
    operations = count_operations(found)
    times, seconds = time_rounds(found, rounds)
    rows = {
        contender: {
            "operations": operations[contender],
            "time": dict(zip(("q1", "median", "q3"), times[contender], strict=True)),
            "peak_mib": None if quick else measure_peak(name, contender),
        }
        for contender in found
    }
    return {
        "parameters": case.parameters,
        "batch": case.batch,
        "rounds": rounds,
        "field_cpu_seconds": seconds,
        "absent": absent,
        "contenders": rows,
    }


def versions() -> dict[str, str]:
    """Of what was measured; peers that are not installed are left out."""
    found = {"torch": torch.__version__, "python": platform.python_version()}
    for peer in PEERS:
        try:
            found[peer] = importlib.metadata.version(peer)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def show(record: dict[str, Any]) -> None:
    for name, network in record["networks"].items():
        print(
            f"{name}: {network['parameters']} parameters, batch {network['batch']}, field {network['field_cpu_seconds']:.4f} s"
        )
        print(f"  {'':<44} {'operations':>10}   CPU time, median [quartiles]   peak MiB")
        for contender, row in network["contenders"].items():
            q, high = row["time"], row["peak_mib"]
            shown = f"{q['median']:.2f} [{q['q1']:.2f}, {q['q3']:.2f}]"
            print(
                f"  {contender:<44} {row['operations']:>10.2f}   {shown:<28}   {'' if high is None else f'{high:.0f}':>8}"
            )
        for contender in network["absent"]:
            print(f"  {contender:<44} {'absent':>10}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds (default 15)")
    parser.add_argument("--quick", action="store_true", help="two rounds on small batches: operations, no usable times")
    parser.add_argument("--only", nargs="*", choices=list(CASES), help="measure these and keep the others as stored")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the JSON goes")
    parser.add_argument("--peak", nargs=2, metavar=("CASE", "CONTENDER"), help="print one peak in MiB and stop")
    options = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    if options.peak:
        print(peak(*options.peak))
        return
    rounds = 2 if options.quick else options.rounds
    kept = json.loads(options.out.read_text())["networks"] if options.only and options.out.exists() else {}
    found = {name: measure(name, quick=options.quick, rounds=rounds) for name in options.only or CASES}
    record = {
        "versions": versions(),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "threads": 1},
        "quick": options.quick,
        "networks": {name: (kept | found)[name] for name in CASES if name in kept | found},
    }
    show(record)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
