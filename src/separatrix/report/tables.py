"""Sections of the record as tables of text: what the HTML page, the Markdown and the terminal have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from separatrix.probes.numbers import MISSING, complex_number, growth_percent, number, plain, significant, with_error
from separatrix.report import regions

Section = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows of text; the first column names the row. ``strong`` is the row to stand out, if any."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: int | None = None

    @property
    def wordy(self) -> bool:
        """Whether the last column holds words rather than numbers."""
        return any(len(word) > 1 and word.isalpha() for *_, cell in self.rows for word in cell.split())


def _without_empty(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    """The table without the columns in which nothing stands."""
    kept = [i for i in range(len(columns)) if i == 0 or any(row[i] != MISSING for row in rows)]
    return Table(tuple(columns[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in rows))


def _paired(values: Sequence[complex]) -> list[tuple[int, bool]]:
    """Indices in their order, of a conjugate pair the member above the axis only, and whether it stands for a pair."""
    above = {(value.real, value.imag) for value in values if value.imag > 0}
    below = {(value.real, -value.imag) for value in values if value.imag < 0}
    kept = (i for i, value in enumerate(values) if not (value.imag < 0 and (value.real, -value.imag) in above))
    return [(i, values[i].imag > 0 and (values[i].real, values[i].imag) in below) for i in kept]


def _with_conjugate(value: complex, pair: bool) -> str:
    text = complex_number(value.real, value.imag)
    return text.replace(" + ", " ± ") if pair else text


def spectrum(section: Section) -> Table:
    found = section["rows"]
    rows = []
    for i, pair in _paired([complex(r["real"], r["imag"]) for r in found]):
        r = found[i]
        rows.append(
            (
                _with_conjugate(complex(r["real"], r["imag"]), pair),
                number(r["residual"], 1),
                _with_conjugate(complex(*r["multiplier"]), pair) if r["multiplier"] else MISSING,
                growth_percent(r["growth"]),
                number(r["period_steps"]),
                str(r["target"]).replace("+", ", "),
                "yes" if r["converged"] else "no",
            )
        )
    # Without an optimizer there is no step to multiply by.
    value = "λ" if str(section["metric"]).endswith("per unit of time") else "h·λ"
    columns = (value, "residual", "multiplier", "per step", "period, steps", "sought", "converged")
    return _without_empty(columns, rows)


def signature(section: Section) -> Table:
    what = "multiplier" if section["kind"] == "disc" else "h·λ"
    found = regions.modes(section)
    rows = [
        (
            _with_conjugate(found[i].at, pair),
            number(found[i].residual, 1),
            f"{abs(found[i].multiplier):.4f}",
            found[i].state,
            found[i].label or MISSING,
        )
        for i, pair in _paired([m.at for m in found])
    ]
    return _without_empty((what, "residual", "|m|", "what it does", "name"), rows)


def interplay(section: Section) -> Table:
    rows = [
        (f"on {player}", *(with_error(value, error) for value, error in zip(norms, errors, strict=True)))
        for player, norms, errors in zip(section["players"], section["norms"], section["stderr"], strict=True)
    ]
    rows.append(("rotation share", with_error(section["rotation_share"], section["rotation_stderr"])))
    if section["angle_deg"] is not None:
        rows.append(("angle", f"{number(section['angle_deg'])}°"))
    width = len(section["players"]) + 1
    padded = tuple(row + ("",) * (width - len(row)) for row in rows)
    return Table(("block norm", *(f"of {p}" for p in section["players"])), padded)


def decomposition(section: Section) -> Table:
    share = section["potentialness"]
    rows = [
        ("as measured", with_error(share["value"], share["stderr"] or None)),
        ("in balanced units", with_error(share["balanced"], share["balanced_stderr"] or None)),
        ("in all units", f"{number(share['least'])} to {number(share['most'])}"),
    ]
    rows += [(f"balanced unit of {player}", number(unit)) for player, unit in (share["scales"] or {}).items()]
    return Table(("share of a potential", ""), tuple(rows))


def sharpness(section: Section) -> Table:
    rows = [
        (
            str(r["name"]),
            with_error(r["value"], r["residual"]),
            number(r["limit"]),
            MISSING if r["ratio"] is None else f"{100 * r['ratio']:.0f}%".replace("-", "−"),
        )
        for r in section["rows"]
    ]
    return Table(("map", "step × curvature", "limit", "share"), tuple(rows))


def stability(section: Section) -> Table:
    rows = [
        (
            str(r["method"]) + (" (running)" if r["running"] else ""),
            _window(r["min_step"], r["safe_step"]),
            growth_percent(r["growth"]),
            growth_percent(r["growth_per_gradient"]),
            number(r["gradients"], 2),
            str(r["limited_by"]),
        )
        for r in section["rows"]
    ]
    columns = ("method", "safe steps", "per step", "per gradient", "gradients", "limited by")
    running = next((i for i, r in enumerate(section["rows"]) if r["running"]), None)
    return Table(columns, tuple(rows), running)


def _window(low: float | None, high: float | None) -> str:
    """A range of steps as multiples of the present one; no upper end where none was found, nothing where none is safe."""
    if high == 0:
        return "none"
    if high is None:
        return "no limit found" if low is None else f"from {number(low)} ×"
    return f"up to {number(high)} ×" if low is None else f"{number(low)} to {number(high)} ×"


def horizon(section: Section) -> Table:
    beside = {name: {r["step"]: r for r in section.get(name) or []} for name in ("unexplained", "drift")}
    rows = []
    for r in section["curve"]:
        parts = [beside[name].get(r["step"]) for name in beside]
        told = [MISSING if part is None else _share(part.get("error", part.get("drift"))) for part in parts]
        rows.append((number(r["step"]), _share(r["error"]), *told))
    return _without_empty(("steps", "error of growth rates", "unexplained share", "drift of the preconditioner"), rows)


def _share(value: float) -> str:
    return f"{significant(100 * value)}%"


def forecast(section: Section) -> Table:
    rows = [
        (
            complex_number(*r["multiplier"]),
            number(r["steps"] if r.get("steps") is not None else section["steps"]),
            *(growth_percent(math.exp(min(r[name], 700.0))) for name in ("predicted_growth", "observed_growth")),
            *(number(r[name]) for name in ("predicted_angle", "observed_angle")),
            number(r["skill"], 2),
        )
        for r in section["rows"]
    ]
    columns = ("mode", "steps", "growth: forecast", "observed", "angle, rad: forecast", "observed", "skill")
    return Table(columns, tuple(rows))


def best_response(section: Section) -> Table:
    rows = [
        (
            str(r["player"]),
            number(r["steps"]),
            with_error(r["gain_train"], r.get("stderr")),
            number(r["gain_held_out"]),
        )
        for r in section["rows"]
    ]
    return Table(("player", "own steps", "gain, training", "gain, held-out"), tuple(rows))


def twins(section: Section) -> Table:
    rows = [(str(r["name"]), with_error(r["exponent"], r["stderr"])) for r in section["rows"]]
    return Table(("pair of runs", "rate of parting per step"), tuple(rows))


def evidence(section: Section) -> Table:
    rows = [(str(r["name"]), number(r.get("step")), str(r["sentence"])) for r in section["rows"]]
    return _without_empty(("measurement", "at step", "what it says"), rows)


def along(section: Section) -> Table:
    rows = [
        (str(r["name"]), *(number(r[k]) for k in ("first", "last", "low", "high", "count"))) for r in section["rows"]
    ]
    return Table(("number", "first", "last", "lowest", "highest", "times"), tuple(rows))


def slice_(section: Section) -> Table:
    points = section["path"]
    chosen = sorted({round(i * (len(points) - 1) / 8) for i in range(9)}) if points else []
    rows = [(f"path, step {i + 1} of {len(points)}", *map(number, points[i])) for i in chosen]
    rows.append(("measured here", *map(number, section["point"])))
    return Table(("place", str(section["x_label"]), str(section["y_label"])), tuple(rows))


def score(section: Section) -> Table:
    rows = [(str(r["name"]), number(r["value"]), str(r["sentence"])) for r in section["rows"]]
    return Table(("score", "value", "what it means"), tuple(rows))


def cost(section: Section) -> Table:
    rows = [(str(r["part"]).replace("_", " "), number(r["gradients"]), number(r["seconds"])) for r in section["rows"]]
    rows.append(("in all", number(section["gradients"]), number(section["seconds"])))
    return Table(("part", "gradient-equivalents", "seconds"), tuple(rows), len(rows) - 1)


def facts(section: Section) -> Table:
    """A flat section as name and value."""
    rows = [(str(key).replace("_", " "), plain(value)) for key, value in section.items() if key != "sentence"]
    return Table(("what", "value"), tuple(rows))


def problem(section: Section) -> Table:
    """The problem, each known fact in a row of its own."""
    flat = {key: value for key, value in section.items() if key != "known"}
    known = (section.get("known") or {}).items()
    return facts(flat | {f"known {name}": f"{fact['value']} ({fact['source']})" for name, fact in known})


def method(section: Section) -> Table:
    flat = {key: value for key, value in section.items() if key != "bases"}
    bases = section.get("bases") or {}
    return facts(flat | {f"base of {player}": _base(settings) for player, settings in bases.items()})


def _base(settings: object) -> str:
    if not isinstance(settings, Mapping) or "kind" not in settings:
        return plain(settings)
    rest = {key: value for key, value in settings.items() if key != "kind"}
    return ", ".join(filter(None, (plain(settings["kind"]), plain(rest))))


def reproduce(section: Section) -> Table:
    flat = {key: value for key, value in section.items() if key not in {"command", "versions"}}
    return facts({"command": section["command"], **flat, **(section.get("versions") or {})})


TABLES: dict[str, Callable[[Section], Table]] = {
    "problem": problem,
    "method": method,
    "spectrum": spectrum,
    "signature": signature,
    "interplay": interplay,
    "decomposition": decomposition,
    "sharpness": sharpness,
    "stability": stability,
    "horizon": horizon,
    "forecast": forecast,
    "best_response": best_response,
    "twins": twins,
    "evidence": evidence,
    "along": along,
    "slice": slice_,
    "score": score,
    "cost": cost,
    "reproduce": reproduce,
}
