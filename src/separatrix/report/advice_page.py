"""Advice as a page, as pictures and as a notebook's cell: the pick, what each step does, the race, how far to trust it.

The HTML page is one file that asks for nothing and has no script; its figures are inline SVG. It shows what the advice holds and
measures nothing.
"""

from __future__ import annotations

import io
from functools import partial
from html import escape

from matplotlib import rc_context
from matplotlib.figure import Figure

from separatrix.probes.advice import Advice
from separatrix.probes.advice_row import multiple
from separatrix.probes.numbers import growth_percent, number
from separatrix.report import advice_figures, advice_tables, lanes
from separatrix.report.advice_tables import picked
from separatrix.report.rendering import render
from separatrix.report.style import PAPER, RC, literal, svg
from separatrix.report.tables import Table
from separatrix.report.words import explained

Tile = tuple[str, str, str]
# What a note about the race begins with; on the page it stands with the race.
RACE = "race: "


def advice_to_html(advice: Advice) -> str:
    """The whole page as text; the same advice gives the same text."""
    said = advice.remarks()
    table = advice_tables.methods(advice)
    whys = [(row.name, row.why) for row in advice.candidates]
    return render(
        "advice.html.j2",
        advice=advice,
        badge=_badge(advice),
        pick=picked(advice),
        glance=at_a_glance(advice),
        steps=_steps(advice),
        unpredicted=[row.name for row in advice.candidates if row.steps is None],
        settling=[row.name for row in advice.candidates if row.attracts],
        noisy=advice.outside is not None,
        table=table,
        meanings=[(name, advice_tables.MEANING[name]) for name in table.columns if name in advice_tables.MEANING],
        whys=whys,
        words=explained(*(why for _, why in whys), *(text for _, text in said)),
        races=_races(advice),
        race=advice_tables.race(advice),
        seeds=advice_tables.seeds(advice),
        facts=_facts(advice),
        notes=[note for note in advice.notes if not note.startswith(RACE)],
        race_notes=[_sentence(note.removeprefix(RACE)) for note in advice.notes if note.startswith(RACE)],
        costs=advice_tables.costs(advice),
    )


def _badge(advice: Advice) -> tuple[str, str]:
    """Tone and words of how sure the pick is."""
    if advice.race is not None:
        count = len(advice.race.seeds)
        return "ok", f"raced over {count} seed{'' if count == 1 else 's'}"
    return ("warning", "no safe step") if picked(advice) is None else ("note", "predicted, not raced")


def at_a_glance(advice: Advice) -> list[Tile]:
    """The few numbers one looks for first: name, value, what it is about."""
    tiles: list[Tile] = []
    pick = picked(advice)
    if pick is not None and pick.steps is not None and pick.steps.best is not None:
        step = advice.raced[advice.pick][1] if advice.race is not None else pick.steps.best
        tiles.append(("Step of the pick", f"{multiple(step)} ×", "the present one"))
        tiles.append(("Growth of the pick", growth_percent(pick.growth), "per gradient, predicted at its best step"))
    running = advice[advice.running].steps
    if running is not None and running.present < float("inf"):
        tiles.append(("Growth now", growth_percent(running.present), "per gradient, predicted for what runs"))
    if (steps := advice.horizon_steps) is not None:
        held = "for which the linear picture was seen to hold"
        tiles.append(("Trust horizon", f"{steps} step{'' if steps == 1 else 's'}", held))
    if advice.half_life is not None and advice.half_life.value > 0:
        tiles.append(
            ("Half-life", f"{number(advice.half_life.value)} updates", "of an average that removes what turns")
        )
    return tiles


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _steps(advice: Advice) -> str | None:
    """The figure of the steps; ``None`` without any prediction."""
    rows = advice_figures.drawn(advice)
    if not rows:
        return None
    size = (lanes.WIDTH, lanes.FRAME + lanes.ROW * len(rows))
    label = "Bars by method: the range of safe steps, its best step, and the growth per gradient there; the table below lists them."
    return svg(partial(advice_figures.ranges, advice), name="steps", size=size, label=label)


def _races(advice: Advice) -> list[str]:
    """A figure for each measure of the race."""
    if advice.race is None:
        return []
    size = (lanes.WIDTH, lanes.FRAME + lanes.ROW * len(advice.race.rows))
    label = "Dots by lane: median, range and every seed; the table below lists them."
    return [
        svg(partial(advice_figures.race, advice, measure), name=f"race-{i}", size=size, label=label)
        for i, measure in enumerate(advice_figures.measures(advice))
    ]


def _facts(advice: Advice) -> Table:
    """How far all this holds, and where the players stand."""
    told: dict[str, str] = {}
    for about, text in advice.remarks():
        if about not in ("note", "cost"):
            told[about] = text.removeprefix("Noise: ").removeprefix("Average: ")
    told.setdefault("trust horizon", "Not measured; a note says why.")
    if "average" not in told:
        unknown = "What runs has no prediction here, so no half-life of an average follows from it."
        told["average"] = unknown if advice.half_life is None else advice.half_life.sentence
    order = ("trust horizon", "point", "average", "scope", "noise")
    return Table(("about", ""), tuple((about, told[about]) for about in order if about in told))


def advice_picture(advice: Advice, kind: str) -> bytes:
    """The figure of the steps and, beside it, those of the race: ``png`` or ``svg``."""
    measures = advice_figures.measures(advice)
    rows, count = len(advice_figures.drawn(advice)), 0 if advice.race is None else len(advice.race.rows)
    frame, each = lanes.FRAME, lanes.ROW
    left, right = frame + each * max(rows, 1), len(measures) * (frame + each * count)
    with rc_context({**RC, "svg.hashsalt": "separatrix", "savefig.facecolor": PAPER}):
        figure = Figure(
            figsize=((1 + bool(measures)) * (lanes.WIDTH + 0.3), max(left, right) + 0.5), layout="constrained"
        )
        halves = figure.subfigures(1, 1 + bool(measures), squeeze=False)[0]
        advice_figures.ranges(advice, halves[0].add_subplot())
        for i, measure in enumerate(measures):
            advice_figures.race(advice, measure, halves[1].add_subplot(len(measures), 1, i + 1))
        figure.suptitle(literal(f"{advice.problem}: {lanes.cut(advice.pick)}"))
        stream = io.BytesIO()
        figure.savefig(
            stream, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {"Software": "separatrix"}
        )
    return stream.getvalue()


LEFT = "text-align:left;padding:0.15em 1.2em 0.15em 0"


def advice_to_cell(advice: Advice) -> str:
    """What a notebook shows: an HTML fragment without scripts, styles of its own or anything that asks for a file."""
    table = advice_tables.methods(advice)
    head = "".join(f'<th style="{LEFT}">{escape(name)}</th>' for name in table.columns)
    body = "".join(
        "<tr>" + "".join(f'<td style="{LEFT}">{escape(cell)}</td>' for cell in row) + "</tr>" for row in table.rows
    )
    said = [text for about, text in advice.remarks() if about in ("trust horizon", "point")]
    return "".join(
        [
            f"<div><p>{escape(advice.problem)}<br><b>{escape(advice.sentence)}</b></p>",
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>",
            *(f"<p>{escape(text)}</p>" for text in said),
            "<p>Figures, reasons and the race: <code>advice.save(&quot;advice.html&quot;)</code></p></div>",
        ]
    )
