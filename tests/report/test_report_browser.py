"""The page in Chromium: quiet, self-contained, round, reachable by keyboard, readable by everyone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fixture
import numpy as np
import pytest

from separatrix.report import regions, to_html

pytestmark = pytest.mark.browser
CASES = ["gan", "alternating", "healthy", "gaps"]
Tab = Callable[..., Any]


@pytest.fixture(scope="module")
def tab(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """A page of a case, loaded once for each setting; what went wrong and what was asked for is in ``page.heard``."""
    folder, kept = tmp_path_factory.mktemp("pages"), {}

    def show(case: str, width: int = 1280, **options: Any) -> Any:
        key = (case, width, *sorted(options.items()))
        if key not in kept:
            file = folder / f"{case}.html"
            file.write_text(fixture.page_of(case), encoding="utf-8")
            kept[key] = page = chromium.new_context(viewport={"width": width, "height": 900}, **options).new_page()
            page.heard, url = [], file.as_uri()
            page.on("console", lambda message: page.heard.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: page.heard.append(f"error: {error}"))
            page.on("dialog", lambda dialog: page.heard.append(f"dialog: {dialog.message}") or dialog.dismiss())
            page.on("request", lambda r: page.heard.append(r.url) if not r.url.startswith(("data:", url)) else None)
            page.goto(url)
        elif options.get("java_script_enabled", True):
            kept[key].set_viewport_size({"width": width, "height": 900})
            kept[key].locator("#reset").click()
        return kept[key]

    yield show
    for page in kept.values():
        page.context.close()


def says(page: Any) -> str:
    return str(page.locator("#signature-says").inner_text())


def slide(page: Any, name: str, value: float) -> None:
    page.locator(f"#{name}").evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", value
    )


# In user units: the painted outline without its stroke.
OUTLINE = "e => { const b = e.getBBox(), s = e.getScreenCTM(); return {width: b.width * s.a, height: b.height * s.d} }"


def assert_round(box: dict[str, float]) -> None:
    assert box["width"] > 50
    assert box["width"] == pytest.approx(box["height"], rel=0.01)


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_asked_for_nothing_complains_and_no_page_scrolls_sideways(tab: Tab, case: str) -> None:
    page = tab(case)
    slide(page, "step", 1)
    page.locator("#view-whole .mode").last.hover(timeout=5000)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    for width in (1280, 768, 390, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    asked = "performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:')).length"
    assert page.evaluate(asked) == 0
    assert page.heard == []


def test_the_policy_holds_and_forbids_eval(tab: Tab) -> None:
    page = tab("gaps", color_scheme="dark")
    # Later, and from within: what runs while the driver evaluates is outside the policy.
    page.evaluate(
        "() => { const s = document.createElement('script');"
        "s.textContent = \"setTimeout(() => { try { eval('1'); window.tried = 'allowed' }\""
        ' + "catch (e) { window.tried = e.name } })";'
        "document.body.append(s); }"
    )
    page.wait_for_function("window.tried")
    assert page.evaluate("window.tried") == "EvalError"
    assert page.evaluate("fetch('https://example.invalid/').then(() => 'sent', () => 'blocked')") == "blocked"
    assert "the one measured mode decays" in says(page)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_unit_circle_is_round(tab: Tab, width: int) -> None:
    circle = tab("alternating", width).locator("#view-whole .unit-circle")
    assert_round(circle.evaluate(OUTLINE))
    assert_round(circle.bounding_box())


def test_the_circle_of_plain_descent_stays_round_at_every_step(tab: Tab) -> None:
    page = tab("gan")
    for step in (-4, 0, 4):
        slide(page, "step", step)
        box = page.locator("#view-whole .outline-0").evaluate(OUTLINE)
        assert box["width"] == pytest.approx(box["height"], rel=0.01)


def test_the_sliders_change_the_sentence_and_the_button_brings_it_back(tab: Tab) -> None:
    page = tab("gan")
    measured = says(page)
    assert "2 of 11 measured modes grow" in measured
    slide(page, "step", -2)
    assert says(page).startswith("At 0.25 × the step and momentum 0.5: 2 of 11 measured modes grow")
    slide(page, "step", 3)
    assert "changing sign" in says(page) or "factor" in says(page)
    slide(page, "momentum", 0.9)
    assert "momentum 0.9" in says(page)
    assert says(page) != measured
    page.locator("#reset").click()
    assert says(page) == measured
    assert page.locator("#signature-says").get_attribute("aria-live") == "polite"


def test_the_disc_picks_from_its_table_and_names_the_gap_and_neutral_modes(tab: Tab) -> None:
    page = tab("alternating")
    assert says(page) == (
        "At 1.0 × the step and momentum 0.5: 2 of 11 measured modes grow; the fastest by 0.55% per step, "
        "a rotation with a period of 83 steps; 2 more are neutral over the 500 steps to go."
    )
    assert page.locator("#view-whole .mode.neutral").count() == 2
    assert "neutral over the 500 steps to go" in page.locator(".legend").inner_text()
    slide(page, "step", 4)
    assert "At 4.0 × the step and momentum 0.5 (reduced model, off by 0.0012 where it was measured)" in says(page)
    slide(page, "momentum", 0)
    assert "momentum 0 (" in says(page)


def test_the_keyboard_reaches_the_sliders_and_moves_them(tab: Tab) -> None:
    page = tab("gan")
    page.locator("h1").click()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
        if reached[-1] == "step":
            break
    assert reached[-1] == "step"
    before = says(page)
    page.keyboard.press("ArrowRight")
    assert says(page) != before
    assert page.locator("#step").get_attribute("aria-valuetext") == "1.0 times the step"
    page.keyboard.press("End")
    assert page.locator("#step").get_attribute("aria-valuetext") == "16 times the step"
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    assert "momentum 0:" in says(page)


@pytest.mark.parametrize("case", ["gan", "alternating"])
def test_the_figures_are_complete_and_round_without_scripts(tab: Tab, case: str) -> None:
    page = tab(case, java_script_enabled=False)
    assert page.locator("#signature-static svg").first.is_visible()
    assert not page.locator("#signature-live").is_visible()
    for figure in page.locator("section figure > svg[role=img]:not([id^=view])").all():
        assert figure.is_visible()
        assert figure.get_attribute("aria-label")
    drawn = page.locator("#signature-static svg").first.locator("use").count()
    assert drawn >= len(getattr(fixture, case)().sections["signature"]["points"])
    if case == "alternating":
        assert_round(page.locator("#signature-unit-circle path").first.bounding_box())


def test_with_scripts_the_static_signature_gives_way_and_a_mode_can_be_read(tab: Tab) -> None:
    page = tab("gan")
    assert not page.locator("#signature-static").is_visible()
    assert page.locator("#view-whole .mode").count() == 12
    page.locator("#view-near .mode.grows").first.hover()
    read = page.locator("#readout").inner_text()
    assert "rotation of G against D: h·λ = 0.0000" in read
    assert "a rotation with a period of 85 steps; residual 0.0002" in read


@pytest.mark.parametrize(("case", "width", "scheme"), [("gan", 1280, "dark"), ("alternating", 390, "light")])
def test_axe_finds_nothing_serious(tab: Tab, case: str, width: int, scheme: str) -> None:
    axe_package = pytest.importorskip("axe_playwright_python")
    axe = (Path(axe_package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    page = tab(case, width, color_scheme=scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.add_script_tag(content=axe)
    # What is inside a picture is told by its name; thousands of paths would only be counted.
    found = page.evaluate("axe.run({exclude: [['svg > *']]}, {resultTypes: ['violations']})")["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in serious]


def test_the_scripts_multipliers_are_numpys_roots(tab: Tab) -> None:
    draws = np.random.default_rng(1).normal(size=(300, 2)) * [3, 1]
    for rule in ("averaged", "heavy ball", "extragradient"):
        momenta = np.random.default_rng(2).uniform(0, 0.99, size=300) if rule != "extragradient" else np.zeros(300)
        answers = tab("gan").evaluate(
            "([draws, momenta, rule]) => draws.map((z, i) => separatrix.multiplier(z, momenta[i], rule))",
            [draws.tolist(), momenta.tolist(), rule],
        )
        for (x, y), b, (re_m, im_m) in zip(draws, momenta, answers, strict=True):
            z = complex(x, y)
            trace = 1 + b + (1 - b if rule == "averaged" else 1) * z
            roots = [1 + z + z * z] if rule == "extragradient" else np.roots([1, -trace, b])
            m = complex(re_m, im_m)
            assert abs(m) == pytest.approx(max(map(abs, roots)), abs=1e-9)
            assert min(abs(m - root) for root in roots) < 1e-9


@pytest.mark.parametrize("case", CASES)
def test_script_and_python_say_the_same(tab: Tab, case: str) -> None:
    section = getattr(fixture, case)().sections["signature"]
    disc, extra = section["kind"] == "disc", section.get("scheme") == "extragradient"
    if disc:
        settings = [(1.0, section["momentum"], 2, 1)]
    else:
        momenta = [0.0] if extra else [0.0, 0.25, 0.5, 0.9, 0.99]
        settings = [(2.0**s, b, s, b) for s in (-4, -1.5, 0, 0.35, 2, 4) for b in momenta]
    said = tab(case).evaluate(
        "([all, extra]) => all.map(([step, b, s, i]) => separatrix.sentence(separatrix.modesAt(s, i),"
        " separatrix.setting(step, extra ? null : b)))",
        [settings, extra],
    )
    for (step, momentum, _, _), words in zip(settings, said, strict=True):
        modes = regions.modes(section, step, momentum)
        here = regions.setting(float(step), None if extra else momentum)
        assert words == regions.sentence(modes, here, section.get("remaining"))


# Moduli and angles on both sides of each border, at 200 steps to go: |log m| = 1/200, one turn in 200 steps, turn = growth.
FATES = [
    (1.0051, 0.1, 0.0),
    (1.0049, 0.1, 0.0),
    (0.9951, 0.1, 0.0),
    (0.9949, 0.1, 0.0),
    (1.0051, 0.1, 0.001),
    (1.0, 0.0, 0.02),
    (1.05, 0.04, 0.0),
    (1.05, 0.06, 0.0),
    (0.9, 0.031, 0.0),
    (0.9, 0.032, 0.0),
    (0.0, 0.0, 0.0),
]


def test_script_and_python_agree_on_what_is_neutral_and_what_turns(tab: Tab) -> None:
    section = fixture.alternating().sections["signature"]
    page = tab("alternating")
    for remaining in (200, None):
        for size, angle, residual in FATES:
            m = complex(size * np.exp(1j * angle))
            point = {"real": m.real, "imag": m.imag, "residual": residual, "converged": True}
            modes = regions.modes({**section, "points": [point], "remaining": remaining})
            state, turns = page.evaluate(
                "([m, r, remaining]) => [separatrix.discMode(m, r, '', true, remaining).state,"
                " separatrix.turning(m, remaining)]",
                [[m.real, m.imag], residual, remaining],
            )
            assert (state, turns) == (modes[0].state, regions.turning(m, remaining)), (size, angle, remaining)


def test_script_and_python_draw_the_same_region(tab: Tab) -> None:
    for rule, b in [("averaged", 0.5), ("averaged", 0.9), ("heavy ball", 0.9), ("extragradient", 0.0)]:
        curve = np.array(tab("gan").evaluate("([b, rule]) => separatrix.boundary(b, rule)", [b, rule]))
        expected = regions.boundary(b, rule)
        # The two roots may be taken in either order; as sets of points the curves are the same.
        gaps = np.abs((curve[:, 0] + 1j * curve[:, 1])[:, None] - expected[None, :]).min(axis=1)
        assert gaps.max() < 1e-9


def test_verdicts_of_any_length_stay_beside_the_picture_and_above_the_fold(tab: Tab) -> None:
    page = tab("gan")
    for words in (1, 8, 25, 60):
        text = to_html(replace(fixture.gaps(), verdict=" ".join(["something"] * words) + ".", sections={}))
        verdict = text[text.index('<p class="verdict') : text.index("</p>", text.index('<p class="verdict'))] + "</p>"
        page.locator(".verdict").evaluate("(e, text) => { e.outerHTML = text }", verdict)
        picture, box = page.locator(".hero").bounding_box(), page.locator(".verdict").bounding_box()
        assert box["x"] + box["width"] <= picture["x"]
        assert box["height"] < 420


@pytest.mark.parametrize("case", CASES)
def test_a_table_that_is_cut_on_a_phone_says_so_and_keeps_its_first_column_in_view(tab: Tab, case: str) -> None:
    page = tab(case, 390)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    for box in page.locator(".scroll").all():
        seen = box.evaluate("e => [e.scrollWidth > e.clientWidth + 1, e.previousElementSibling?.className || '']")
        assert seen[0] <= (seen[1] == "sideways"), box.get_attribute("aria-label")
        if seen[0]:
            assert "gradient" in box.evaluate("e => getComputedStyle(e).backgroundImage")
            box.evaluate("e => { e.scrollLeft = 60 }")
            row = box.locator("tbody th").first
            assert row.bounding_box()["x"] == pytest.approx(box.bounding_box()["x"], abs=1)


def test_the_edge_of_stability_is_the_large_picture_of_the_disc(tab: Tab) -> None:
    page = tab("alternating")
    near, whole = (page.locator(f"#view-{name}").bounding_box() for name in ("near", "whole"))
    assert near["width"] > 1.5 * whole["width"]
    assert near["x"] < whole["x"]
    frame = page.locator("#view-whole .window").bounding_box()
    assert 5 < frame["width"] < whole["width"] / 2
