"""Sections of the record as tables of text: what the HTML page, the Markdown and the terminal have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from separatrix.probes.numbers import MISSING, complex_number, growth_percent, number, plain, with_error
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


def spectrum(section: Section) -> Table:
    rows = [
        (
            complex_number(r["real"], r["imag"]),
            number(r["residual"], 1),
            complex_number(*r["multiplier"]) if r["multiplier"] else MISSING,
            growth_percent(r["growth"]),
            number(r["period_steps"]),
            str(r["target"]),
            "yes" if r["converged"] else "no",
        )
        for r in section["rows"]
    ]
    columns = ("h·λ", "residual", "multiplier", "per step", "period, steps", "sought", "converged")
    return Table(columns, tuple(rows))


def signature(section: Section) -> Table:
    what = "multiplier" if section["kind"] == "disc" else "h·λ"
    rows = [
        (
            complex_number(m.at.real, m.at.imag),
            number(m.residual, 1),
            f"{abs(m.multiplier):.4f}",
            m.state,
            m.label or MISSING,
        )
        for m in regions.modes(section)
    ]
    return Table((what, "residual", "|m|", "what it does", "name"), tuple(rows))


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


def sharpness(section: Section) -> Table:
    rows = [
        (
            str(r["name"]),
            with_error(r["value"], r["residual"]),
            number(r["limit"]),
            MISSING if r["ratio"] is None else f"{100 * r['ratio']:.0f}%",
        )
        for r in section["rows"]
    ]
    return Table(("map", "step × curvature", "limit", "share"), tuple(rows))


def stability(section: Section) -> Table:
    rows = [
        (
            str(r["method"]) + (" (running)" if r["running"] else ""),
            "none" if r["safe_step"] is None else f"{number(r['safe_step'])} ×",
            MISSING if r["min_step"] is None else f"{number(r['min_step'])} ×",
            growth_percent(r["growth"]),
            growth_percent(r["growth_per_gradient"]),
            number(r["gradients"], 2),
            str(r["limited_by"]),
        )
        for r in section["rows"]
    ]
    columns = ("method", "largest step", "smallest step", "per step", "per gradient", "gradients", "limited by")
    running = next((i for i, r in enumerate(section["rows"]) if r["running"]), None)
    return Table(columns, tuple(rows), running)


def horizon(section: Section) -> Table:
    return Table(
        ("steps", "unexplained share"),
        tuple((number(r["step"]), number(r["error"])) for r in section["curve"]),
    )


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
    rows = [(str(r["part"]), number(r["gradients"]), number(r["seconds"])) for r in section["rows"]]
    rows.append(("in all", number(section["gradients"]), number(section["seconds"])))
    return Table(("part", "gradient-equivalents", "seconds"), tuple(rows), len(rows) - 1)


def facts(section: Section) -> Table:
    """A flat section as name and value."""
    rows = [(str(key).replace("_", " "), plain(value)) for key, value in section.items() if key != "sentence"]
    return Table(("what", "value"), tuple(rows))


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
    "problem": facts,
    "method": method,
    "spectrum": spectrum,
    "signature": signature,
    "interplay": interplay,
    "sharpness": sharpness,
    "stability": stability,
    "horizon": horizon,
    "best_response": best_response,
    "twins": twins,
    "slice": slice_,
    "score": score,
    "cost": cost,
    "reproduce": reproduce,
}
