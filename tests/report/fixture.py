"""Four hand-made records: a sick digits GAN, one that alternates, a healthy classifier, and one with many gaps."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from separatrix.probes.record import Diagnosis, Finding
from separatrix.report import to_html

PLANE_POINTS = [
    (-2.7, 0.0, 3e-4, True, "sharpest direction of D"),
    (-0.9, 0.0, 2e-4, True, ""),
    (-0.4, 0.0, 2e-4, True, ""),
    (-0.21, 0.11, 4e-4, True, "damped pair"),
    (-0.21, -0.11, 4e-4, True, "damped pair"),
    (-0.058, 0.122, 4e-4, True, "damped pair"),
    (-0.058, -0.122, 4e-4, True, "damped pair"),
    (0.0, 0.076, 2e-4, True, "rotation of G against D"),
    (0.0, -0.076, 2e-4, True, "rotation of G against D"),
    (-0.0022, 0.021, 4e-3, True, ""),
    (-0.0022, -0.021, 4e-3, True, ""),
    (-0.031, 0.0, 5e-2, False, ""),
]


def averaged(z: complex, b: float) -> complex:
    return max(np.roots([1, -(1 + b + (1 - b) * z), b]), key=abs)


def _points(rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(zip(("real", "imag", "residual", "converged", "label"), row, strict=True)) for row in rows]


def _spectrum(points: list[dict[str, Any]], momentum: float) -> dict[str, Any]:
    rows = []
    for i, p in enumerate(points):
        m = averaged(complex(p["real"], p["imag"]), momentum)
        turn = abs(np.angle(m))
        rows.append(
            {
                **{key: p[key] for key in ("real", "imag", "residual", "converged")},
                "multiplier": [float(m.real), float(m.imag)],
                "growth": float(abs(m)),
                "period_steps": float(2 * math.pi / turn) if 1e-9 < turn < math.pi - 1e-9 else None,
                "target": "largest" if i < 3 else "rightmost",
            }
        )
    return {
        "rows": rows,
        "verdict": {
            "name": "undecided",
            "sentence": "The rightmost pair is within its residual of the imaginary axis: the field itself neither damps "
            "nor drives it.",
        },
        "complete": False,
        "products": 184,
        "metric": "h·J preconditioned by Adam's second moments",
    }


def _slice() -> dict[str, Any]:
    axis = np.linspace(-1.5, 1.5, 25)
    x, y = np.meshgrid(axis, axis)
    u, v = -y - 0.12 * x * (x**2 + y**2 - 0.6), x - 0.12 * y * (x**2 + y**2 - 0.6)
    path, p = [], np.array([0.25, 0.05])
    for _ in range(220):
        r2 = float(p @ p)
        p = p + 0.09 * np.array([-p[1] - 0.12 * p[0] * (r2 - 0.6), p[0] - 0.12 * p[1] * (r2 - 0.6)])
        path.append(np.round(p, 4).tolist())
    return {
        "x": np.round(axis, 4).tolist(),
        "y": np.round(axis, 4).tolist(),
        "u": np.round(u, 5).tolist(),
        "v": np.round(v, 5).tolist(),
        "path": path,
        "point": path[-1],
        "x_label": "leading pair, real part",
        "y_label": "leading pair, imaginary part",
        "sentence": "In the plane of the leading pair the field turns around an equilibrium; the last 220 steps of training "
        "spiral outwards to a cycle.",
    }


@cache
def _digits() -> list[list[int]]:
    from sklearn.datasets import load_digits

    images = load_digits().images[:40]
    return [[int(v) for v in np.round(image * 255 / 16).ravel()] for image in images]


FINDINGS = (
    Finding(
        code="undamped-rotation",
        severity="critical",
        title="Undamped rotation that the momentum drives",
        sentence="A pair at 0.000 ± 0.076i turns without damping; Adam's momentum 0.5 makes it grow by 0.82% per step, "
        "once around in 85 steps: 1.6 e-foldings within the trust horizon of 190 steps.",
        value=1.0082,
        threshold=1.0053,
        source="[gidel2019negative, sec. 3]",
        remedy="Set the momentum of both players to 0, or damp the pair: an R1 penalty with gamma 1 moved it to "
        "−0.07 ± 0.15i in a trial.",
    ),
    Finding(
        code="far-from-best-response",
        severity="warning",
        title="The discriminator is far from its best response",
        sentence="100 own steps with the generator frozen gain the discriminator 0.38 on the training batches and 0.67 on "
        "held-out ones.",
        value=0.67,
        threshold=0.10,
        source="best-response gap over 100 steps",
        remedy="Give the discriminator more steps per generator step, or regularise it (R1).",
    ),
    Finding(
        code="plain-descent-limit",
        severity="note",
        title="Only Adam's wider limit holds the step",
        sentence="The largest eigenvalue −2.70 is inside Adam's limit of −6.00 at momentum 0.5 and beyond plain descent's "
        "−2.00.",
        value=2.7,
        threshold=2.0,
        source="[cohen2022]",
        remedy="If you lower the momentum, lower the step by a factor 0.74 with it.",
    ),
)


def gan() -> Diagnosis:
    """The digits GAN of the demonstration: simultaneous Adam, undamped rotation."""
    points = _points(PLANE_POINTS)
    sections: dict[str, Any] = {
        "problem": {
            "name": "digits GAN",
            "size": 54_305,
            "players": {"G": 29_536, "D": 24_769},
            "dtype": "float32",
            "device": "cpu",
            "batches": 14,
            "samples": 1_797,
            "seed": 0,
            "step": 2_000,
        },
        "method": {
            "scheme": "simultaneous",
            "period": 1,
            "bases": {
                "G": {"kind": "Adam", "lr": 2e-4, "betas": [0.5, 0.999]},
                "D": {"kind": "Adam", "lr": 2e-4, "betas": [0.5, 0.999]},
            },
            "sentence": "Both players move together, each with its own Adam.",
        },
        "spectrum": _spectrum(points, 0.5),
        "signature": {
            "kind": "plane",
            "step_scale": 1.0,
            "momentum": 0.5,
            "base": "Adam",
            "scheme": "simultaneous",
            "points": points,
            "sentence": "A pair of modes lies on the imaginary axis, where the field only turns; there averaged momentum "
            "0.5 leaves the region of stability.",
        },
        "interplay": {
            "players": ["G", "D"],
            "norms": [[0.21, 1.34], [0.97, 2.71]],
            "stderr": [[0.02, 0.08], [0.06, 0.11]],
            "rotation_share": 0.31,
            "rotation_stderr": 0.02,
            "angle_deg": 97.0,
            "sentence": "What D does to G weighs six times what G does to itself; 31% of the Jacobian is rotation.",
        },
        "sharpness": {
            "rows": [
                {"name": "joint", "value": 2.70, "residual": 3e-4, "limit": 6.0, "ratio": 0.45},
                {"name": "G", "value": 0.41, "residual": 2e-4, "limit": 6.0, "ratio": 0.068},
                {"name": "D", "value": 2.71, "residual": 3e-4, "limit": 6.0, "ratio": 0.452},
            ],
            "sentence": "The discriminator sets the sharpness of the game: 45% of the limit of Adam at momentum 0.5.",
        },
        "stability": {
            "rows": [
                {
                    "method": "simultaneous Adam, momentum 0.5",
                    "safe_step": 0.0,
                    "min_step": None,
                    "growth": 1.0082,
                    "growth_per_gradient": 1.0082,
                    "gradients": 1.0,
                    "limited_by": "0.000 ± 0.076i",
                    "running": True,
                },
                {
                    "method": "simultaneous, momentum 0",
                    "safe_step": 0.0,
                    "min_step": None,
                    "growth": 1.0029,
                    "growth_per_gradient": 1.0029,
                    "gradients": 1.0,
                    "limited_by": "0.000 ± 0.076i",
                    "running": False,
                },
                {
                    "method": "alternating Adam, momentum 0.5",
                    "safe_step": 0.0,
                    "min_step": None,
                    "growth": 1.0055,
                    "growth_per_gradient": 1.0055,
                    "gradients": 1.0,
                    "limited_by": "0.000 ± 0.076i",
                    "running": False,
                },
                {
                    "method": "extragradient, momentum 0",
                    "safe_step": 0.37,
                    "min_step": None,
                    "growth": 5.59,
                    "growth_per_gradient": 2.36,
                    "gradients": 2.0,
                    "limited_by": "−2.70",
                    "running": False,
                },
                {
                    "method": "consensus, gamma 1",
                    "safe_step": 2.1,
                    "min_step": 0.12,
                    "growth": 0.9964,
                    "growth_per_gradient": 0.9983,
                    "gradients": 2.1,
                    "limited_by": "−2.70",
                    "running": False,
                },
                {
                    "method": "implicit midpoint",
                    "safe_step": None,
                    "min_step": None,
                    "growth": 1.0,
                    "growth_per_gradient": 1.0,
                    "gradients": 6.0,
                    "limited_by": "no limit found",
                    "running": False,
                },
            ],
            "sentence": "No step size makes the running method stable; extragradient is stable below 0.37 of the present "
            "step.",
        },
        "horizon": {
            "steps": 190,
            "threshold": 0.5,
            "curve": [
                {"step": s, "error": round(0.5 * (s / 190) ** 1.4, 4)} for s in (1, 5, 10, 25, 50, 100, 150, 200, 300)
            ],
            "unexplained": [
                {"step": s, "error": round(0.38 * (s / 190) ** 1.4, 4)} for s in (1, 5, 10, 25, 50, 100, 150, 200, 300)
            ],
            "drift": [{"step": s, "drift": round(4e-4 * s, 4)} for s in (1, 5, 10, 25, 50, 100, 150, 200, 300)],
            "reached": False,
            "sentence": "The linear picture explains more than half of the change of the field for 190 steps.",
        },
        "forecast": {
            "rows": [
                {
                    "multiplier": [1.0054, 0.0758],
                    "steps": 190,
                    "predicted_growth": 1.55,
                    "observed_growth": 1.49,
                    "predicted_angle": 14.3,
                    "observed_angle": 14.1,
                    "skill": 0.985,
                },
                {
                    "multiplier": [0.9415, 0.0],
                    "steps": 60,
                    "predicted_growth": -3.62,
                    "observed_growth": -2.9,
                    "predicted_angle": 0.0,
                    "observed_angle": 0.0,
                    "skill": 0.75,
                },
            ],
            "steps": 190,
            "scale": 1.0,
            "sentence": "Over 190 steps the modes' skill is 0.75 to 0.98.",
        },
        "best_response": {
            "rows": [
                {"player": "G", "steps": 100, "gain_train": 0.51, "gain_held_out": 0.48},
                {"player": "D", "steps": 100, "gain_train": 0.38, "gain_held_out": 0.67},
            ],
            "sentence": "With the generator frozen, 100 steps of the discriminator gain 0.38 (training) and 0.67 (held-out).",
        },
        "twins": {
            "rows": [{"name": "perturbation 1e-3", "exponent": 0.0079, "stderr": 0.0006}],
            "sentence": "Two runs that start 0.001 apart part by 0.79% per step.",
        },
        "slice": _slice(),
        "samples": {"images": _digits(), "height": 8, "width": 8, "channels": 1},
        "score": {
            "rows": [
                {
                    "name": "Fréchet distance",
                    "value": 41.3,
                    "sentence": "Real against real gives 2.1; lower is better.",
                },
                {"name": "modes covered", "value": 7, "sentence": "of 10 digits, in 1 024 samples."},
            ]
        },
        "cost": {
            "rows": [
                {"part": "training", "gradients": 2000.0, "seconds": 21.4},
                {"part": "spectrum", "gradients": 412.0, "seconds": 9.8},
                {"part": "interplay", "gradients": 64.0, "seconds": 1.7},
                {"part": "best response", "gradients": 200.0, "seconds": 2.2},
            ],
            "gradients": 2676.0,
            "seconds": 35.1,
        },
        "reproduce": {
            "command": "separatrix diagnose zoo:digits-gan --train 2000 --seed 0",
            "seed": 0,
            "versions": {"separatrix": "0.1.0", "torch": "2.13.0", "python": "3.11"},
        },
    }
    return Diagnosis(
        title="Digits GAN after 2000 steps",
        verdict="The players circle each other and the momentum widens the circle: 2 modes grow by 0.82% per step, in an "
        "undamped rotation of 85 steps.",
        severity="critical",
        findings=FINDINGS,
        sections=sections,
        notes=(
            "LeakyReLU is piecewise linear: the finite-scale derivative differs from the Jacobian by 4% at one step.",
        ),
    )


def alternating() -> Diagnosis:
    """The same game, the discriminator first: multipliers of the full round in the unit disc."""
    measured = [averaged(complex(p[0], p[1]), 0.5) for p in PLANE_POINTS]
    measured[7], measured[8] = 1.0055 * np.exp(0.0758j), 1.0055 * np.exp(-0.0758j)
    points = _points(
        [
            (round(float(m.real), 6), round(float(m.imag), 6), p[2], p[3], p[4])
            for m, p in zip(measured, PLANE_POINTS, strict=True)
        ]
    )
    for point in points[9:11]:
        point["residual"] = 4e-4
    steps, momenta = [0.25, 0.5, 1.0, 2.0, 4.0], [0.0, 0.5, 0.9]
    table = [
        [
            [
                [round(float(m.real), 6), round(float(m.imag), 6)]
                for m in (averaged(s * complex(p[0], p[1]), b) for p in PLANE_POINTS)
            ]
            for b in momenta
        ]
        for s in steps
    ]
    base = gan()
    signature = {
        "kind": "disc",
        "step_scale": 1.0,
        "momentum": 0.5,
        "points": points,
        "table": {"steps": steps, "momenta": momenta, "multipliers": table},
        "model_gap": 1.2e-3,
        "remaining": 500,
        "sentence": "One pair of multipliers lies outside the unit circle, by 0.55% per step.",
    }
    method = {**base.sections["method"], "scheme": "alternating", "sentence": "D moves first, then G sees the new D."}
    return replace(
        base,
        title="Digits GAN, alternating",
        sections={**base.sections, "signature": signature, "method": method, "twins": None},
    )


def healthy() -> Diagnosis:
    """A classifier that trains well: one player, no findings."""
    points = _points(
        [(-1.6, 0.0, 2e-4, True, "sharpest direction"), (-0.7, 0.0, 2e-4, True, ""), (-0.2, 0.0, 1e-4, True, "")]
    )
    base = gan().sections
    return Diagnosis(
        title="Digits classifier",
        verdict="Nothing stands out: every measured mode decays, and the step uses 80% of its limit.",
        severity="ok",
        findings=(),
        sections={
            "problem": {"name": "digits classifier", "size": 9_610, "players": {"model": 9_610}, "dtype": "float64"},
            "method": {
                "scheme": "simultaneous",
                "period": 1,
                "bases": {"model": {"kind": "SGD", "lr": 0.1}},
                "sentence": "",
            },
            "spectrum": _spectrum(points, 0.0) | {"complete": True},
            "signature": {
                "kind": "plane",
                "step_scale": 1.0,
                "momentum": 0.0,
                "base": "SGD",
                "scheme": "simultaneous",
                "points": points,
                "sentence": "All modes lie inside the circle of plain descent.",
            },
            "sharpness": {
                "rows": [{"name": "joint", "value": 1.6, "residual": 2e-4, "limit": 2.0, "ratio": 0.8}],
                "sentence": "The step uses 80% of plain descent's limit.",
            },
            "horizon": {**base["horizon"], "unexplained": None, "drift": None, "reached": True},
            "forecast": {"rows": [], "sentence": "No mode could be tried."},
            "score": {"rows": [{"name": "accuracy", "value": 0.972, "sentence": "on held-out digits."}]},
            "cost": {"rows": [], "gradients": 120.0, "seconds": 0.8},
            "reproduce": {"command": "sx.diagnose(problem)", "seed": 0, "versions": {}},
        },
        notes=("interplay: a single player has no opponent.",),
    )


@cache
def page_of(case: str) -> str:
    """The HTML page of a case, drawn once."""
    return to_html({"gan": gan, "alternating": alternating, "healthy": healthy, "gaps": gaps}[case]())


def gaps() -> Diagnosis:
    """A measurement that stopped early: almost every section is None, and the names are hostile."""
    return Diagnosis(
        title="<script>alert('title')</script> & $x$ | *star* [red]",
        verdict="Undecided: the budget ran out before the spectrum converged.",
        severity="note",
        findings=(
            Finding(
                code="out-of-budget",
                severity="note",
                title="<b>bold</b>",
                sentence="Only 12 of 400 products were allowed.",
                value=12,
                threshold=400,
                source="--budget",
                remedy="",
            ),
        ),
        sections={
            "problem": {"name": "</script><img src=x onerror=alert(1)>", "size": 10, "players": {"$G": 5, "D<i>": 5}},
            "method": None,
            "spectrum": None,
            "signature": {
                "kind": "plane",
                "step_scale": 1.0,
                "momentum": 0.0,
                "base": "SGD",
                "scheme": "extragradient",
                "points": _points([(0.0, 0.4, 1e-3, True, "</script><script>alert(2)</script>")]),
                "sentence": "One pair.",
            },
            "sharpness": None,
            "interplay": {
                "players": ["$G", "D<i>"],
                "norms": [[0.0, 1.0], [1.0, 0.0]],
                "stderr": [[0.0, 0.0], [0.0, 0.0]],
                "rotation_share": 1.0,
                "rotation_stderr": 0.0,
                "angle_deg": None,
                "sentence": "Pure rotation.",
            },
            "horizon": None,
        },
        notes=("spectrum: the budget of 12 products was spent.",),
    )
