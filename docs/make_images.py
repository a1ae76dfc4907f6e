"""Draw the picture of the README and quote the verdict that belongs to it, both from one run.

    python docs/make_images.py [--redraw]       (or: make images; a few minutes)

Trains the bundled digits GAN for 2000 steps with seed 0, as `separatrix diagnose` does without a target, once as it is and
once with a gradient penalty on the real images (R1, gamma 1). Writes `docs/img/signature.svg`, what the picture and the
verdicts rest on in `docs/img/digits-gan*.json`, and the verdicts between the markers in README.md. With `--redraw` the stored
measurements are drawn and quoted again.
"""

import re
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import torch

matplotlib.use("Agg")

import matplotlib.pyplot as plt

import separatrix as sx
from separatrix import zoo
from separatrix.report import figures

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "img"
STEPS, SEED = 2000, 0
# The other sections are large and can be measured again.
STORED = ("problem", "method", "spectrum", "sharpness", "horizon", "best_response", "score", "reproduce")
TITLES = {"digits-gan": "without regularisation", "digits-gan-r1": "with R1, gamma 1"}


def measure(name: str) -> sx.Diagnosis:
    """Train and diagnose, as the command line does."""
    problem = zoo.load(name, seed=SEED)
    trained = sx.train(problem, STEPS, seed=SEED, path_last=200)
    command = f"separatrix diagnose zoo:{name} --train {STEPS} --seed {SEED}"
    return sx.diagnose(
        problem, method=problem.method, states=trained.states, path=trained.path, seed=SEED, command=command
    )


def stored(diagnosis: sx.Diagnosis) -> sx.Diagnosis:
    """The part that is kept: no images and slider tables, and no more digits than a picture shows."""
    kept = {name: diagnosis.sections[name] for name in STORED if name in diagnosis.sections}
    kept["slice"] = {
        key: np.round(np.array(value), 6).tolist() if key in ("u", "v", "path") else value
        for key, value in diagnosis["slice"].items()
    }
    signature = {key: value for key, value in diagnosis["signature"].items() if key != "table"}
    return replace(diagnosis, sections={**kept, "signature": signature})


def draw(found: dict[str, sx.Diagnosis]) -> None:
    """The edge of stability of both in the same window round 1, and the plane of the rotation with the path in it."""
    plt.rcParams["svg.hashsalt"] = "separatrix"  # the same picture gives the same file
    figure, axes = plt.subplots(1, 3, figsize=(12.0, 4.2), layout="constrained")
    points = [complex(p["real"], p["imag"]) for d in found.values() for p in d["signature"]["points"]]
    reach = 1.15 * max(abs(m.imag) for m in points if abs(m) > 0.9)
    for ax, (name, diagnosis) in zip(axes[1:], found.items(), strict=True):
        assert diagnosis["signature"]["kind"] == "disc"
        figures.signature(diagnosis, ax)
        ax.set(xlim=(1 - 1.3 * reach, 1 + 0.7 * reach), ylim=(-reach, reach), title=TITLES[name])
        ax.legend(loc="lower left", fontsize=8, frameon=False)
        ax.annotate("grows", (0.97, 0.95), xycoords="axes fraction", ha="right", va="top", color="#444")
        ax.annotate("dies out", (0.03, 0.95), xycoords="axes fraction", va="top", color="#444")
    figures.slice_figure(found["digits-gan"], axes[0])
    axes[0].set(title="the field, and the last 200 steps of training", xlabel="Re w", ylabel="Im w")
    figure.get_layout_engine().set(h_pad=0.12)
    figure.savefig(IMAGES / "signature.svg", metadata={"Date": None})


def quote(found: dict[str, sx.Diagnosis]) -> None:
    """The verdicts, word for word, between the markers of the README."""
    readme = ROOT / "README.md"
    said = "\n>\n".join(
        textwrap.fill(f"**{name}** · {d.severity}: {d.verdict}", 118, initial_indent="> ", subsequent_indent="> ")
        for name, d in found.items()
    )
    text = re.sub(
        r"(<!-- verdict -->\n).*?(<!-- /verdict -->)",
        lambda m: f"{m[1]}{said}\n{m[2]}",
        readme.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    readme.write_text(text, encoding="utf-8")


def main(*, redraw: bool) -> None:
    torch.set_num_threads(1)
    IMAGES.mkdir(exist_ok=True)
    found = {}
    for name in TITLES:
        path = IMAGES / f"{name}.json"
        found[name] = sx.Diagnosis.load(path) if redraw else stored(measure(name))
        found[name].save(path)
        print(f"{name}: {found[name].severity}: {found[name].verdict}\n")
    draw(found)
    quote(found)


if __name__ == "__main__":
    main(redraw="--redraw" in sys.argv[1:])
