"""Draw and tabulate `benchmarks/results/numerics_of_gans.json`, which `benchmarks/numerics_of_gans.py` measures.

    python docs/make_numerics_of_gans.py [RESULTS]

Writes `docs/img/numerics_of_gans.svg`, and the tables between the markers of `docs/numerics_of_gans.md`.
"""

import json
import re
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from separatrix.report.style import ACCENT, DECAY, GROW, INK, MUTED, UNSURE

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "numerics_of_gans.json"
PAGE, IMAGE = ROOT / "docs" / "numerics_of_gans.md", ROOT / "docs" / "img" / "numerics_of_gans.svg"
COLOURS = (GROW, INK, ACCENT, UNSURE, MUTED, DECAY)
Row = dict[str, Any]


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Median, and the range over seeds behind it."""
    low, middle, high = (
        f"{v:.0f}" if v >= 100 else f"{v:.{digits}g}" for v in (min(values), statistics.median(values), max(values))
    )
    return middle if low == high else f"{middle} ({low} to {high})"


def table(columns: dict[str, Callable[[Row], str]], rows: dict[str, list[Row]]) -> str:
    lines = ["| training | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    lines += [
        f"| {name} | " + " | ".join(cell(found) for cell in columns.values()) + " |" for name, found in rows.items()
    ]
    return "\n".join(lines)


def growth(said: str) -> str:
    """The twins' ``log |m|`` with its error, as the record says it."""
    found = re.search(r"log \|m\| = (\S+ ± \S+?),", said)
    return found.group(1) if found else "-"


def gains(section: list[Row] | None) -> str:
    return " / ".join(f"{r['gain_train']:.2g}" for r in section) if section else "-"


def fastest(section: Row) -> str:
    """What grows most and what turns fastest, of the converged ``h lambda``."""
    points = section["spectrum"]
    return f"{max(p[0] for p in points):+.3f}, {max(abs(p[1]) for p in points):.3f}" if points else "none converged"


def tables(rows: dict[str, list[Row]]) -> str:
    def last(found: list[Row], side: str, score: str, digits: int = 3) -> str:
        return spread([r["curve"][-1][side][score] for r in found], digits)

    ends = {
        "steps": lambda f: str(f[0]["steps"]),
        "gradients a step": lambda f: f"{f[0]['gradients_per_step']:.2f}",
        "CPU-seconds": lambda f: spread([r["cpu_seconds"] for r in f], 2),
        "Fréchet, raw": lambda f: last(f, "raw", "frechet"),
        "Fréchet, averaged": lambda f: last(f, "averaged", "frechet"),
        "modes of 16, raw": lambda f: last(f, "raw", "modes", 2),
        "modes of 16, averaged": lambda f: last(f, "averaged", "modes", 2),
        "field's norm": lambda f: spread([r["field_norm_last_tenth"] for r in f], 2),
    }
    first = {name: [r for r in found if r["seed"] == 0 and r.get("after")] for name, found in rows.items()}
    point = {
        f"{what}, {when}": (lambda f, when=when, cell=cell: cell(f[0][when]) if f else "stopped")
        for what, cell in (
            ("h λ: growth, rotation", fastest),
            ("gain alone, G / D", lambda s: gains(s["best_response"])),
            ("twins, log growth a step", lambda s: growth(s["twins"])),
        )
        for when in ("before", "after")
    }
    return table(ends, rows) + "\n\nSeed 0, after 20 steps (before) and at the end (after):\n\n" + table(point, first)


def draw(rows: dict[str, list[Row]]) -> None:
    plt.rcParams["svg.hashsalt"] = "separatrix"
    figure, (curves, plane) = plt.subplots(1, 2, figsize=(11.0, 4.4), layout="constrained")
    for (name, found), colour in zip(rows.items(), COLOURS, strict=False):
        for side, style in (("raw", "-"), ("averaged", ":")):
            points = zip(*[[p[side]["frechet"] for p in r["curve"]] for r in found], strict=False)
            at = [p["gradients"] for p in found[0]["curve"]]
            medians = [statistics.median(p) for p in points]
            curves.semilogy(at[: len(medians)], medians, style, color=colour, label=name if side == "raw" else None)
        if after := next((r["after"] for r in found if r["seed"] == 0), None):
            plane.plot(*zip(*[p[:2] for p in after["spectrum"]], strict=True), "o", ms=4, color=colour, label=name)
    curves.set(xlabel="gradient-equivalents", ylabel="Fréchet distance, median; averaged weights dotted")
    figure.legend(*curves.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    plane.axvline(0, color=MUTED, lw=0.8)
    plane.set(xlabel="Re h λ", ylabel="Im h λ", title="leading eigenvalues at the end, seed 0")
    figure.savefig(IMAGE, metadata={"Date": None})


def main(results: Path) -> None:
    rows: dict[str, list[Row]] = {}
    for row in json.loads(results.read_text(encoding="utf-8"))["rows"]:
        rows.setdefault(row["method"], []).append(row)
    draw(rows)
    page = PAGE.read_text(encoding="utf-8")
    marked = re.compile(r"(<!-- tables -->\n).*?(<!-- /tables -->)", re.DOTALL)
    PAGE.write_text(marked.sub(lambda m: f"{m[1]}\n{tables(rows)}\n\n{m[2]}", page), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS)
