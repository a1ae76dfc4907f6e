"""The site: built from stored results, quiet, offline, readable at 1280 and 390 pixels, searchable, accessible."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from separatrix.atlas import Claim, at_least, at_most, catalogue, load_result
from separatrix.atlas.site import Card, build, index_of, prose
from separatrix.atlas.stored import SHIPPED
from separatrix.atlas.strip import strip
from separatrix.errors import InputError

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
RESULTS = {name: load_result(SHIPPED, name) for name in catalogue()}
FIRST = next(iter(catalogue()))
Tab = Callable[..., Any]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("atlas") / "site"
    seen: list[int] = []
    build(folder, RESULTS, progress=seen.append)
    assert seen == list(range(1, len(RESULTS) + 1))
    return folder


@pytest.fixture(scope="module")
def tab(site: Path) -> Iterator[Tab]:
    """A page at a width; what went wrong and what was asked for is in ``page.heard``."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no chromium at {CHROMIUM}: the browser tests of the atlas were left out")
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: the chromium tests were left out")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)

        def show(name: str, width: int = 1280, **options: Any) -> Any:
            page = browser.new_context(viewport={"width": width, "height": 900}, **options).new_page()
            page.heard = []
            page.on("console", lambda message: page.heard.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: page.heard.append(f"error: {error}"))
            page.on(
                "request", lambda r: None if r.url.startswith(("data:", site.as_uri())) else page.heard.append(r.url)
            )
            page.goto((site / name).as_uri())
            return page

        yield show
        browser.close()


def test_every_study_has_a_page_that_the_index_links_and_no_link_is_broken(site: Path) -> None:
    pages = {path.relative_to(site).as_posix(): path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert set(pages) == {"index.html", *(f"studies/{name}.html" for name in catalogue())}
    for name, text in pages.items():
        anchors = set(re.findall(r'\bid="([^"]+)"', text))
        for target in re.findall(r'href="([^"]+)"', text):
            file, _, anchor = target.partition("#")
            if target.startswith("data:"):
                continue
            found = (site / name).parent.joinpath(file).resolve() if file else site / name
            assert found.is_file(), (name, target)
            there = (
                anchors if not file else set(re.findall(r'\bid="([^"]+)"', pages[found.relative_to(site).as_posix()]))
            )
            assert not anchor or anchor in there, (name, target)


@pytest.mark.parametrize("name", list(catalogue()))
def test_a_page_says_the_claim_first_and_shows_every_number_of_the_result(site: Path, name: str) -> None:
    text, result = (site / "studies" / f"{name}.html").read_text(encoding="utf-8"), RESULTS[name]
    assert result is not None
    order = [
        text.index(part)
        for part in ('class="claim"', "<figure>", ">Claims<", ">Control<", ">Run it<", ">Code<", ">Cite<")
    ]
    assert order == sorted(order)
    assert text.count('class="numbers"') == len(result.outcome.claims) + len(result.outcome.controls)
    assert text.count("fails, as it must") == len(result.outcome.controls)
    for claim in (*result.outcome.claims, *result.outcome.controls):
        assert str(escape(claim.sentence)) in text
    assert f"{{{catalogue()[name].study.key}," in text


def test_the_index_counts_and_names_what_did_not_hold(site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    claims = [c for r in RESULTS.values() if r is not None for c in r.outcome.claims]
    rejected = [c for c in claims if c.verdict == "does not hold"]
    assert f"{len(RESULTS)} published systems, {len(claims)} claims." in text
    listed = text[text.index('id="rejected"') : text.index('id="families"')]
    assert listed.count("Measured <b>") == len(rejected)


@pytest.mark.browser
@pytest.mark.parametrize("name", ["index.html", f"studies/{FIRST}.html", "studies/dpo-field.html"])
def test_nothing_is_asked_for_nothing_complains_and_no_page_scrolls_sideways(tab: Tab, name: str) -> None:
    for scheme in ("light", "dark"):
        page = tab(name, color_scheme=scheme)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        for width in (1280, 768, 390, 320):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.heard == []


@pytest.mark.browser
def test_the_search_finds_by_author_symptom_and_verdict_and_says_how_many(tab: Tab) -> None:
    page = tab("index.html")
    everything = page.locator(".studies > li:visible").count()
    assert everything == len(catalogue())
    field, said = page.locator("#search"), page.locator("#said")
    field.fill("Mescheder CYCLES")
    assert page.locator(".studies > li:visible").count() >= 1
    assert said.inner_text() == f"{page.locator('.studies > li:visible').count()} of {everything} studies"
    assert not page.locator("#map").is_visible()
    field.fill("no such words at all")
    assert page.locator(".studies > li:visible, .members:visible").count() == 0
    assert said.inner_text() == f"0 of {everything} studies"
    field.fill("")
    assert page.locator(".studies > li:visible").count() == everything
    assert page.locator("#map").is_visible()


@pytest.mark.browser
def test_without_scripts_the_index_is_complete(tab: Tab) -> None:
    page = tab("index.html", java_script_enabled=False)
    assert page.locator(".studies > li:visible").count() == len(catalogue())
    assert not page.locator("#search").is_visible()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("name", "width", "scheme"), [("index.html", 390, "dark"), (f"studies/{FIRST}.html", 1280, "light")]
)
def test_axe_finds_nothing_serious(tab: Tab, name: str, width: int, scheme: str) -> None:
    axe_package = pytest.importorskip("axe_playwright_python")
    axe = (Path(axe_package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    page = tab(name, width, color_scheme=scheme, bypass_csp=True)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.add_script_tag(content=axe)
    found = page.evaluate("axe.run({exclude: [['svg > *']]}, {resultTypes: ['violations']})")["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in serious]


def test_a_study_without_a_result_is_shown_as_not_run(tmp_path: Path) -> None:
    card = Card(catalogue()[FIRST], None)
    assert (card.verdict, card.claims) == ("not run", ())
    assert index_of([card])["rejected"] == []


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site").write_text("")
    with pytest.raises(InputError, match="is a file; name a folder"):
        build(tmp_path / "site", RESULTS)


def test_words_of_a_docstring_are_escaped_and_code_and_stress_are_set() -> None:
    assert prose("a < b, ``x <= 1`` and *every* k * m * n") == (
        "a &lt; b, <code>x &lt;= 1</code> and <em>every</em> k * m * n"
    )


@pytest.mark.parametrize(
    "claim",
    [
        at_most("x", 2.0, 1.0),
        at_least("x", [1e-9, 1e3], 1.0, over="every"),
        at_most("x", float("inf"), 1.0),
        at_most("x", 0, 0),
    ],
)
def test_a_strip_shades_the_allowed_side(claim: Claim) -> None:
    drawn = strip(claim)
    edge = float(re.search(r'class="bound" d="M([\d.]+)', drawn)[1])  # type: ignore[index]
    dot = float(re.search(r'cx="([\d.]+)"', drawn)[1])  # type: ignore[index]
    start, width = (float(v) for v in re.search(r'x="([\d.]+)" y="4" width="([\d.]+)"', drawn).groups())  # type: ignore[union-attr]
    assert (start <= dot <= start + width) is (claim.verdict == "holds")
    assert edge in (start, start + width)
    assert strip(replace(claim, verdict="undecided")).startswith('<svg class="strip undecided"')
