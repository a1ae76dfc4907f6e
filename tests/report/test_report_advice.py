"""Advice as a page, as figures and as a cell: it says what the advice holds, in words where a number is none."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

import separatrix as sx
from separatrix.dynamics import SGD, Alternating, Extragradient, Lookahead, Method, Spread
from separatrix.errors import InputError
from separatrix.probes import Advice
from separatrix.probes.advise_transient import Transient
from separatrix.report import advice_figures, advice_tables, lanes
from separatrix.report.advice_page import advice_to_html, at_a_glance
from separatrix.zoo import load

STRANGE = "<b>bold</b> & $x^2$"
CANDIDATES = {
    STRANGE: Method(SGD(0.1), Extragradient()),
    "alternating": Method(SGD(0.1), Alternating()),
    "lookahead": Method(SGD(0.1), Lookahead(Extragradient())),
}


@cache
def plain() -> Advice:
    """A pure rotation at the step 0.1: extragradient is safe up to 1, alternating bounded up to 2, simultaneous never safe."""
    return sx.advise(load("bilinear"), candidates=CANDIDATES)


@cache
def raced() -> Advice:
    return sx.advise(load("bilinear"), candidates=CANDIDATES, race=30, rounds=1, seeds=2)


@cache
def noisy() -> Advice:
    return sx.advise(load("noisy-bilinear"), candidates=CANDIDATES)


@cache
def ragged() -> Advice:
    """Everything that may be missing or infinite, scores and averages, and seeds that stopped; hand-made."""
    rows = list(noisy().candidates)
    first, second = rows[0].steps, rows[1].steps
    assert first is not None
    assert second is not None
    rows[0] = replace(rows[0], steps=replace(first, low=0.5, high=math.inf), transient=Transient(math.inf, 9, 9))
    rows[1] = replace(rows[1], steps=replace(second, present=math.inf), attracts=True)
    rows.append(replace(rows[0], name="unknown", steps=None, noise=None, noisy_high=None, why="No prediction: <none>."))
    race = raced().race
    assert race is not None
    lanes, nan = [], math.nan
    for i, row in enumerate(race.rows):
        values = [(nan, nan), (1.0, 400.0), (2.0, nan)][i % 3]
        status = tuple("done" if v == v else "step 3: player 'x': <odd>" for v in values)
        score = {"distance": Spread.of(values), "<i>": Spread.of([0.0, 1.0])}
        lanes.append(replace(row, score=score, averaged_score={"distance": Spread.of(values)}, status=status))
    return replace(
        noisy(),
        problem="<script>alert(1)</script>",
        candidates=tuple(rows),
        race=replace(race, rows=tuple(lanes), better={"distance": "lower"}),
        raced=raced().raced,
        pick=raced().pick,
        horizon="",
        horizon_steps=None,
        half_life=None,
        point="It attracts and is no local Nash equilibrium.",
        notes=("a <note>", "race: decided by <coin>"),
    )


CASES = {"plain": plain, "raced": raced, "noisy": noisy, "ragged": ragged}


# The page


@pytest.mark.parametrize("name", CASES)
def test_the_page_asks_for_nothing_runs_nothing_and_its_references_lead_somewhere(name: str) -> None:
    ids: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "b", "i", "note")
            for key, value in attrs:
                assert not key.startswith("on")
                if key in ("src", "href", "xlink:href"):
                    assert (value or "").startswith(("#", "data:")), (tag, key, value)
                if key == "id":
                    ids.append(str(value))

    text = advice_to_html(CASES[name]())
    Reader().feed(text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    assert text == advice_to_html(CASES[name]())
    assert re.search(r"\b(None|nan|inf|Infinity)\b", re.sub(r"<(style|svg)\b.*?</\1>", "", text, flags=re.S)) is None


@pytest.mark.parametrize("name", CASES)
def test_the_page_has_the_pick_every_reason_every_remark_and_every_cost(name: str) -> None:
    advice = CASES[name]()
    text = advice_to_html(advice).replace("&#39;", "'").replace("&#34;", '"')
    for said in (advice.sentence, *(row.why for row in advice.candidates), *(row.name for row in advice.candidates)):
        assert escape(said, quote=False) in text
    for about, said in advice.remarks():
        words = said.removeprefix("Noise: ").removeprefix("Average: ").removeprefix("race: ")
        if about != "cost":
            assert escape(words[1:], quote=False) in text, about
    for part in advice.costs:
        assert f'<th scope="row">{escape(part)}</th>' in text
    order = [text.index(f'<section id="{key}"') for key in ("steps", "methods", "trust", "cost")]
    assert order == sorted(order)
    assert ('<section id="race"' in text) == (advice.race is not None)


def test_the_badge_tells_a_race_from_a_prediction_and_from_nothing_safe() -> None:
    assert "</span> raced over 2 seeds" in advice_to_html(raced())
    assert "</span> predicted, not raced" in advice_to_html(plain())
    running = plain()[plain().running]
    hopeless = replace(plain(), candidates=(running,), pick=running.name)
    text = advice_to_html(hopeless)
    assert "</span> no safe step" in text
    assert "the pick, in bold" not in text
    assert [name for name, *_ in at_a_glance(hopeless)] == ["Growth now", "Trust horizon", "Half-life"]


def test_the_top_has_the_step_and_the_growth_of_the_pick() -> None:
    tiles = {name: value for name, value, _ in at_a_glance(plain())}
    best = plain().candidates[0]
    assert best.steps is not None
    assert best.steps.best is not None
    assert float(tiles["Step of the pick"].removesuffix(" ×")) == pytest.approx(best.steps.best, rel=0.05)
    # Simultaneous steps of 0.1 on a rotation: |1 + 0.1 i| = 1.00499 a gradient.
    assert tiles["Growth now"] == "+0.50%"
    assert tiles["Trust horizon"] == f"{plain().horizon_steps} steps"


def test_what_is_missing_or_without_bound_is_told_in_words() -> None:
    text = advice_to_html(ragged())
    assert "Not measured; a note says why." in text
    assert "no half-life of an average follows" in text
    assert "settle at a point that the flow itself leaves: " in text
    assert "It attracts and is no local Nash equilibrium." in text
    assert "Without a prediction: unknown." in text
    assert "Decided by &lt;coin&gt;" in text[text.index('<section id="race"') : text.index('<section id="trust"')]
    table = {row[0]: dict(zip(advice_tables.methods(ragged()).columns[1:], row[1:], strict=True)) for row in advice_tables.methods(ragged()).rows}  # fmt: skip
    rows = list(table.values())
    assert rows[0]["safe steps"] == "from 0.50"
    assert rows[0]["transient"] == "without bound"
    assert rows[1]["at present"] == "not resolved"
    assert table["unknown"]["safe steps"] == "no prediction"
    assert {cell for name, cell in table["unknown"].items() if name not in ("safe steps", "cost")} == {"–"}


# The tables


def test_the_table_has_the_numbers_of_closed_forms() -> None:
    """Extragradient on a rotation w = 0.1 s: |1 - w^2 + i w|^2 = 1 - w^2 + w^4, least at w^2 = 1/2: (3/4)^(1/4) a gradient."""
    table = advice_tables.methods(plain())
    assert "floor" not in table.columns  # no noise was sampled
    row = dict(zip(table.columns, next(r for r in table.rows if r[0] == STRANGE), strict=True))
    assert row["safe steps"] == "up to 10"
    assert row["best"] == "7.1"
    assert row["growth"] == f"−{100 * (1 - 0.75**0.25):.1f}%"
    assert row["cost"] == "2.0"
    running = dict(zip(table.columns, next(r for r in table.rows if r[0].endswith("(running)")), strict=True))
    assert (running["safe steps"], running["best"]) == ("none", "–")
    assert set(table.columns[1:]) <= set(advice_tables.MEANING)


def test_the_columns_of_noise_stand_where_it_was_sampled() -> None:
    table = advice_tables.methods(noisy())
    rows = {r[0]: dict(zip(table.columns, r, strict=True)) for r in table.rows}
    assert rows["alternating"]["in mean square"] == "none tried"
    assert rows["alternating"]["floor"] == "none: it grows"
    assert rows[STRANGE]["in mean square"].startswith("up to ")
    assert float(rows[STRANGE]["floor"]) > 0


def test_every_seed_of_the_race_has_a_row_with_its_own_numbers() -> None:
    race, seeds = advice_tables.race(ragged()), advice_tables.seeds(ragged())
    assert race is not None
    assert seeds is not None
    assert ragged().race is not None
    assert len(seeds.rows) == 2 * len(race.rows)
    by_lane = {row[0]: row for row in race.rows}
    lanes = [row.name for row in ragged().race.rows]  # type: ignore[union-attr]
    assert by_lane[lanes[0]][1] == "no number"
    assert by_lane[lanes[0]][-1] == "2 of 2 stopped"
    assert by_lane[lanes[1]][1] == "201 (1.00 to 400)"
    assert [row[2] for row in seeds.rows if row[0] == lanes[1]] == ["1.00", "400"]
    assert [row[-1] for row in seeds.rows if row[0] == lanes[2]] == ["done", "step 3: player 'x': <odd>"]
    assert race.strong is not None
    assert race.rows[race.strong][0] == ragged().pick
    assert advice_tables.race(plain()) is None
    assert advice_tables.seeds(plain()) is None


# The figures


def test_bars_end_where_the_safe_range_does_and_the_best_step_lies_in_them() -> None:
    ax = advice_figures.ranges(plain())
    assert ax.get_xscale() == "log"
    left, right = ax.get_xlim()
    rows = [(row, s) for row, s in advice_figures.drawn(plain()) if s.best is not None]
    assert len(ax.patches) == len(rows) == 3
    for (row, s), bar in zip(rows, ax.patches, strict=True):
        assert bar.get_x() == pytest.approx(left)  # small steps are safe
        assert bar.get_x() + bar.get_width() == pytest.approx(s.high)
        bounded = row.name == "alternating"
        assert (bar.get_facecolor() == bar.get_edgecolor()) == (not bounded)
        best = [line for line in ax.lines if line.get_marker() == "D" and line.get_xdata()[0] == s.best]
        assert best
        assert left < s.best <= s.high < right
    texts = [t.get_text() for t in ax.texts]
    assert "✕ no step is safe" in texts
    assert any(t.endswith(" ◂") for t in texts)
    assert ax.lines[-1].get_xdata()[0] == 1  # the present step


def test_the_gain_bars_are_as_long_as_what_a_gradient_does() -> None:
    ax = advice_figures.ranges(plain())
    beside = ax.child_axes[0]
    lengths = [bar.get_width() for bar in beside.patches]
    grown = [s.present if s.best is None else row.growth for row, s in advice_figures.drawn(plain())]
    assert lengths == pytest.approx([abs(1 - g) for g in grown])
    assert [bool(bar.get_hatch()) for bar in beside.patches] == [g > 1 + 1e-9 for g in grown]
    assert lengths[0] == max(lengths)


def test_no_end_is_an_arrow_and_the_mean_square_range_is_a_thin_line_below() -> None:
    ax = advice_figures.ranges(ragged())
    _, right = ax.get_xlim()
    first = ragged().candidates[0]
    assert ax.patches[0].get_x() == pytest.approx(0.5)
    arrows = [line for line in ax.lines if line.get_marker() == ">"]
    assert [line.get_xdata()[0] for line in arrows] == [right]
    thin = [line for line in ax.lines if line.get_linewidth() == 1.6]
    assert thin[0].get_xdata()[1] == first.noisy_high
    assert 0 < thin[0].get_ydata()[0] - ax.patches[0].get_y() < 0.5
    assert sum(t.get_text() == "✕ in mean square none that was tried" for t in ax.texts) == sum(
        row.noisy_high == 0 for row in ragged().candidates
    )


@pytest.mark.parametrize(
    ("growth", "said"),
    [
        (0.9, "contracts"),
        (1 - 2e-9, "contracts"),
        (1 - 1e-10, "bounded"),
        (1.0, "bounded"),
        (1 + 1e-10, "bounded"),
        (1 + 2e-9, "grows"),
        (math.inf, "grows"),
    ],
)
def test_a_growth_is_named_on_both_sides_of_its_thresholds(growth: float, said: str) -> None:
    assert advice_figures.state(growth) == said


def test_the_race_shows_every_seed_its_median_and_who_stopped() -> None:
    assert advice_figures.measures(plain()) == []
    assert advice_figures.measures(raced()) == ["growth per gradient"]
    assert advice_figures.measures(ragged()) == ["distance", "<i>"]
    ax = advice_figures.race(ragged(), "distance")
    assert ax.get_xscale() == "log"  # 1 to 400
    assert ax.get_xlabel() == "distance (lower is better)"
    medians = [line.get_xdata()[0] for line in ax.lines if line.get_markersize() == 7 and line.get_marker() == "o"]
    assert ragged().race is not None
    rows = ragged().race.rows  # type: ignore[union-attr]
    assert medians == [m for row in rows if math.isfinite(m := row.score["distance"].median)]
    averages = [line for line in ax.lines if line.get_marker() == "s"]
    assert len(averages) == len(medians)
    texts = [t.get_text() for t in ax.texts]
    assert "✕ no number: 2 of 2 seeds stopped" in texts
    assert "2.00 (1 of 2 stopped)" in texts
    assert advice_figures.race(ragged(), "<i>").get_xscale() == "linear"
    with pytest.raises(InputError, match="no 'score' in a race of this advice; there is"):
        advice_figures.race(raced(), "score")
    with pytest.raises(InputError, match="no race"):
        advice_figures.race(plain(), "distance")


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    name = "lookahead over alternating with a very long name, no momentum, step × 5.4"
    assert lanes.cut(name).startswith("lookahead over alternating")
    assert lanes.cut(name).endswith("step × 5.4")
    assert len(lanes.cut(name)) <= lanes.LONGEST
    assert lanes.cut("short") == "short"


# Files and cells


@pytest.mark.parametrize(
    ("suffix", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".html", b"<!doctype html>")]
)
@pytest.mark.parametrize("name", CASES)
def test_files_are_written_and_are_the_same_each_time(tmp_path: Path, name: str, suffix: str, begins: bytes) -> None:
    open_before = plt.get_fignums()  # of other tests
    one, two = (CASES[name]().save(tmp_path / f"{i}{suffix}").read_bytes() for i in range(2))
    assert one.lstrip().startswith(begins)
    assert one == two
    assert plt.get_fignums() == open_before


def test_the_page_is_there_for_who_imports_no_more_than_the_package(tmp_path: Path) -> None:
    code = "import separatrix as sx; from separatrix.zoo import load; sx.advise(load('bilinear'), candidates={}).save('a.html')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert "bilinear" in (tmp_path / "a.html").read_text()


def test_without_any_prediction_there_is_no_figure_of_steps(tmp_path: Path) -> None:
    blind = replace(ragged(), candidates=(ragged()["unknown"],), running="unknown", pick="unknown", race=None, raced={})
    text = advice_to_html(blind)
    assert '<section id="steps"' not in text
    assert "No prediction: &lt;none&gt;." in text
    assert blind.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_another_suffix_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot save advice as 'a.pdf'.*'.html', '.json', '.md', '.png', '.svg'"):
        plain().save(tmp_path / "a.pdf")


def test_markdown_has_the_race_and_keeps_its_columns(tmp_path: Path) -> None:
    odd = replace(raced().candidates[0], name="a|b")
    text = replace(raced(), candidates=(odd, *raced().candidates[1:])).save(tmp_path / "a.md").read_text()
    assert r"| a\|b |" in text
    assert "## Race\n\n```text\nrace lane" in text


def test_a_cell_has_the_table_and_escapes_names() -> None:
    cell = ragged()._repr_html_()
    assert "<script" not in cell
    assert escape(STRANGE) in cell
    assert cell.count("<tr>") == 1 + len(ragged().candidates)
    assert "advice.save(&quot;advice.html&quot;)" in cell


@pytest.mark.browser
@pytest.mark.parametrize("name", ["plain", "ragged"])
def test_in_a_browser_the_page_is_quiet_fits_and_is_accessible(chromium: Any, tmp_path: Path, name: str) -> None:
    file = CASES[name]().save(tmp_path / "a.html")
    axe = Path(pytest.importorskip("axe_playwright_python").__file__).parent / "axe.min.js"
    heard: list[str] = []
    view = chromium.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True).new_page()
    view.on("console", lambda message: heard.append(message.text))
    view.on("dialog", lambda dialog: heard.append(dialog.message) or dialog.dismiss())
    view.on("request", lambda r: heard.append(r.url) if not r.url.startswith(("data:", file.as_uri())) else None)
    view.goto(file.as_uri())
    view.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    for width in (1280, 390, 320):
        view.set_viewport_size({"width": width, "height": 900})
        assert view.evaluate("document.documentElement.scrollWidth") <= width
    # The first column stays where it is while the table goes by.
    view.set_viewport_size({"width": 390, "height": 900})
    where = "document.querySelector('#methods tbody th').getBoundingClientRect().left"
    before = view.evaluate(where)
    moved = view.evaluate("(() => { const s = document.querySelector('#methods .scroll'); s.scrollLeft = 99; return s.scrollLeft })()")  # fmt: skip
    assert moved > 50
    assert view.evaluate(where) == before
    assert heard == []
    view.add_script_tag(content=axe.read_text(encoding="utf-8"))
    for scheme in ("light", "dark"):
        view.emulate_media(color_scheme=scheme)
        violations = view.evaluate("axe.run({exclude: [['svg > *']]}, {resultTypes: ['violations']})")["violations"]
        assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []
    view.context.close()
