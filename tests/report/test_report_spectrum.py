"""A spectrum as a page, as Markdown and as a picture."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import separatrix as sx
from separatrix.linalg import Verdict
from separatrix.probes import Spectrum
from separatrix.report import spectrum_plot, to_html
from separatrix.report.spectrum_page import MEANING, evidence, spectrum_to_html

GRCAR = torch.triu(torch.ones(30, 30)) - torch.triu(torch.ones(30, 30), 4) - torch.diag(torch.ones(29), -1)
STABLE = (GRCAR - 2.5 * torch.eye(30)).double()
SPREAD = torch.block_diag(torch.tensor([[-300.0]]), torch.tensor([[0.1, 2.0], [-2.0, 0.1]]), -torch.eye(3)).double()


@cache
def found(name: str) -> Spectrum:
    matrix = {"stable": STABLE, "spread": SPREAD}[name]
    title = {"stable": "grcar", "spread": "<b>$x$</b>"}[name]
    field = sx.FunctionField(lambda x: matrix @ x, torch.ones(len(matrix), dtype=torch.float64), name=title)
    return sx.spectrum(field, pseudospectrum=True, density=True)


def page(name: str) -> str:
    return spectrum_to_html(found(name))


@pytest.mark.parametrize("name", ["stable", "spread"])
def test_the_page_asks_for_nothing_and_its_references_lead_somewhere(name: str) -> None:
    ids: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag != "script"
            for key, value in attrs:
                assert not key.startswith("on")
                if key in ("src", "href", "xlink:href"):
                    assert (value or "").startswith(("#", "data:")), (tag, key, value)
                if key == "id":
                    ids.append(str(value))

    text = page(name)
    Reader().feed(text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    assert text == spectrum_to_html(found(name))


def test_the_page_leads_with_the_verdict_and_shows_what_it_rests_on() -> None:
    text, data = page("stable"), found("stable").to_dict()
    assert data["verdict"]["name"] == "stable"
    assert text.index(MEANING["stable"]) < text.index("What it rests on") < text.index('id="eigenvalues"')
    facts = dict(evidence(data))
    assert facts["transient growth"] == f"at least × {data['pseudospectrum']['growth']:.2f}"
    true = max(float(torch.linalg.matrix_norm(torch.linalg.matrix_exp(t * STABLE), 2)) for t in torch.linspace(0, 4, 9))
    assert 1.3 < data["pseudospectrum"]["growth"] <= true
    for name, value in facts.items():
        assert f"<dt>{name}</dt><dd>{value.replace(chr(39), '&#39;')}</dd>" in text
    assert text.count('<th scope="row">') == len(data["rows"])


def test_text_from_outside_is_escaped_and_an_unstable_operator_has_no_bound_on_its_growth() -> None:
    text = page("spread")
    assert "<b>$x$</b>" not in text
    assert "&lt;b&gt;$x$&lt;/b&gt;" in text
    assert "transient growth" not in text
    assert "around 0, magnified" in text


def test_every_verdict_has_its_meaning_in_words() -> None:
    assert set(MEANING) == set(get_args(Verdict))


def test_markdown_has_the_verdict_the_evidence_and_a_row_a_value(tmp_path: Path) -> None:
    text = found("stable").save(tmp_path / "s.md").read_text()
    assert text.startswith("# Spectrum of grcar\n\n**stable**: Stable: the rightmost")
    assert "- symmetric part: between" in text
    assert text.count("| yes |") == len(found("stable").modes)


@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_pictures_are_written_and_are_the_same_each_time(tmp_path: Path, suffix: str, begins: bytes) -> None:
    one, two = (found("spread").save(tmp_path / f"{i}{suffix}").read_bytes() for i in range(2))
    assert one.startswith(begins)
    assert one == two


# the figure


def test_the_outer_bound_of_a_disc_is_a_polygon_round_it_and_the_axes_are_equal() -> None:
    """A Jordan block of 2 has the unit disc as its numerical range; corners lie at 1 / cos(half the angle between lines)."""
    field = sx.FunctionField(lambda x: torch.stack([2 * x[1], 0 * x[0]]), torch.ones(2, dtype=torch.float64))
    data = sx.spectrum(field).to_dict()
    corners = spectrum_plot._corners(data["range"])
    angles = np.array(data["range"]["angles"])
    assert corners is not None
    assert len(corners) == 2 * (len(angles) - 1)
    assert np.abs(corners) == pytest.approx(1 / np.cos((angles[1] - angles[0]) / 2))
    ax = spectrum_plot.plane(data)
    assert ax.get_aspect() == 1
    drawn = [line for line in ax.lines if line.get_label() == "bound on the range"]
    assert len(drawn[0].get_xdata()) == len(corners) + 1


def test_marks_tell_the_fate_and_level_curves_are_where_the_pseudospectrum_is() -> None:
    data = found("spread").to_dict()
    ax = spectrum_plot.plane(data, view=1)
    names = {line.get_label() for line in ax.lines}
    assert "right of zero (2)" in names
    assert any(name.startswith("left of zero") for name in names)
    assert spectrum_plot.views(data) == 2
    assert spectrum_plot.views(found("stable").to_dict()) == 1
    grid = data["pseudospectrum"]["views"][1]
    assert abs(grid["x"][0]) == pytest.approx(ax.get_xlim()[1])
    curves = [c for c in ax.collections if len(c.get_paths())]
    assert len(curves) >= 2
    assert ax.get_xlim()[1] < 20


def test_where_only_the_real_parts_are_bounded_two_lines_are_drawn() -> None:
    data = found("stable").to_dict()
    support = [*data["range"]["support"]]
    data["range"]["support"] = [support[0], *[None] * (len(support) - 2), support[-1]]
    ax = spectrum_plot.plane(data)
    at = {line.get_xdata()[0] for line in ax.lines if line.get_linestyle() != "-"}
    assert {support[0], -support[-1]} <= at
    left, right = ax.get_xlim()
    assert left < -support[-1] < support[0] < right
    bare = spectrum_plot.plane({**data, "range": None, "pseudospectrum": None})
    assert "in the numerical range" not in {patch.get_label() for patch in bare.patches}


def test_values_within_their_error_of_zero_are_marked_as_such() -> None:
    row = {"real": 1e-3, "imag": 0.0, "residual": 1e-6, "converged": True, "error": 1e-2}
    assert spectrum_plot._state(row) == "undecided"
    assert spectrum_plot._state({**row, "error": 1e-4}) == "grows"
    assert spectrum_plot._state({**row, "error": None}) == "grows"
    assert spectrum_plot._state({**row, "real": -1.0}) == "decays"
    assert spectrum_plot._state({**row, "converged": False}) == "not converged"


def test_the_density_shows_outliers_in_a_logarithmic_scale() -> None:
    ax = spectrum_plot.density(found("spread").to_dict())
    assert ax.get_yscale() == "log"
    assert ax.get_xlim()[0] < -300


@pytest.mark.browser
def test_in_a_browser_the_page_is_quiet_fits_and_is_accessible(chromium: Any, tmp_path: Path) -> None:
    file = tmp_path / "s.html"
    file.write_text(page("spread"), encoding="utf-8")
    axe = Path(pytest.importorskip("axe_playwright_python").__file__).parent / "axe.min.js"
    heard: list[str] = []
    view = chromium.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True).new_page()
    view.on("console", lambda message: heard.append(message.text))
    view.on("request", lambda r: heard.append(r.url) if not r.url.startswith(("data:", file.as_uri())) else None)
    view.goto(file.as_uri())
    for width in (1280, 390, 320):
        view.set_viewport_size({"width": width, "height": 900})
        assert view.evaluate("document.documentElement.scrollWidth") <= width
    assert heard == []
    view.add_script_tag(content=axe.read_text(encoding="utf-8"))
    violations = view.evaluate("axe.run({exclude: [['svg > *']]}, {resultTypes: ['violations']})")["violations"]
    assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []
    view.context.close()


def test_no_figure_of_pyplot_is_left_by_saving(tmp_path: Path) -> None:
    open_before = plt.get_fignums()  # of other tests
    found("stable").save(tmp_path / "s.png")
    assert plt.get_fignums() == open_before


def test_a_diagnosis_shows_the_plane_where_its_range_was_measured() -> None:
    matrix = torch.tensor([[-0.1, 2.0], [0.0, -0.2]], dtype=torch.float64)
    field = sx.FunctionField(lambda x: matrix @ x, torch.ones(2, dtype=torch.float64), name="sheared")
    found = sx.diagnose(field)
    assert found["spectrum"]["pseudospectrum"]["growth"] > 2
    text = to_html(found)
    section = text[text.index('<section id="spectrum"') :]
    section = section[: section.index("</section>")]
    assert "bound on the range" in section
    assert "<summary>Data: spectrum</summary>" in section
    bare = {k: v for k, v in found["spectrum"].items() if k not in ("range", "pseudospectrum")}
    assert "bound on the range" not in to_html(replace(found, sections={**found.sections, "spectrum": bare}))
