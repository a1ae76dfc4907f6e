"""The atlas as a static site: an index with search, and a page for every study. It asks for nothing and runs offline."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from separatrix.atlas.catalogue import Entry, catalogue, families
from separatrix.atlas.claims import FAILS, VERDICTS, Claim
from separatrix.atlas.look import picture
from separatrix.atlas.stored import Result
from separatrix.atlas.strip import strip
from separatrix.atlas.symptoms import FINDINGS, SYMPTOMS
from separatrix.errors import InputError
from separatrix.probes.numbers import number
from separatrix.probes.record import write_text

NOT_RUN = "not run"
MARKS = {"holds": "✓", "does not hold": "✗", "undecided": "?", NOT_RUN: "·"}
_HEADED = re.compile(r"^([A-Z][\w ]{2,24}):\s")


@dataclass(frozen=True)
class Card:
    """A study as the pages show it."""

    entry: Entry
    result: Result | None

    @property
    def verdict(self) -> str:
        return NOT_RUN if self.result is None else self.result.outcome.verdict

    @property
    def tone(self) -> str:
        """The verdict as a CSS class."""
        return self.verdict.replace(" ", "-")

    @property
    def claims(self) -> tuple[Claim, ...]:
        return () if self.result is None else self.result.outcome.claims

    @property
    def authors(self) -> str:
        """Family names, as a line."""
        names = [name.split(",")[0].strip("{}") for name in self.entry.study.authors.split(" and ")]
        return ", ".join(names)

    @cached_property
    def essay(self) -> list[tuple[str, str]]:
        """The docstring after the claim: heading (may be empty) and text of each paragraph."""
        found = []
        for paragraph in self.entry.essay.strip().split("\n\n")[1:]:
            text = " ".join(paragraph.split())
            head = _HEADED.match(text)
            found.append((head[1], text[head.end() :]) if head else ("", text))
        return found

    @property
    def searched(self) -> str:
        """What the search looks through."""
        study = self.entry.study
        parts = [self.entry.id, self.entry.family, study.title, self.authors, str(study.year), study.question]
        parts += [self.entry.claim, self.verdict, *study.methods, *study.symptoms]
        return " ".join([*parts, *(claim.sentence for claim in self.claims)]).lower()


def build(output: Path, results: Mapping[str, Result | None], *, progress: Callable[..., None] | None = None) -> Path:
    """Write the site into a folder, made if there is none; returns its first page.

    Args:
        output: the folder; pages of the same name are replaced.
        results: by study; ``None`` for one that has not been run.
        progress: called with the number of pages written.

    Raises:
        InputError: ``output`` is a file.
        ImportError: a study needs an extra; ends with the command that installs it.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"-o {output} is a file; name a folder for the site.")
    cards = {entry.id: Card(entry, results.get(entry.id)) for entry in catalogue().values()}
    pages = _environment()
    (output / "studies").mkdir(parents=True, exist_ok=True)
    for count, card in enumerate(cards.values(), start=1):
        figure = "" if card.result is None else picture(card.entry, card.result)
        page = pages.get_template("study.html.j2").render(card=card, figure=figure, root="../")
        write_text(output / "studies" / f"{card.entry.id}.html", page)
        if progress is not None:
            progress(count)
    text = pages.get_template("index.html.j2").render(root="", **index_of(list(cards.values())))
    return write_text(output / "index.html", text)


def index_of(cards: list[Card]) -> dict[str, Any]:
    """What the first page shows."""
    by_family = {name: [card for card in cards if card.entry.family == name] for name in families()}
    claims = [(card, claim) for card in cards for claim in card.claims]
    symptoms = {s: [card for card in cards if s in card.entry.study.symptoms] for s in SYMPTOMS}
    methods = sorted({m for card in cards for m in card.entry.study.methods}, key=str.lower)
    return {
        "cards": cards,
        "families": {name: (families()[name], members) for name, members in by_family.items()},
        "rejected": [(card, claim) for card, claim in claims if claim.verdict == FAILS],
        "counts": {verdict: sum(c.verdict == verdict for _, c in claims) for verdict in VERDICTS},
        "symptoms": {
            s: (SYMPTOMS[s], found, [code for code, names in FINDINGS.items() if s in names])
            for s, found in symptoms.items()
            if found
        },
        "methods": {m: [card for card in cards if m in card.entry.study.methods] for m in methods},
    }


def prose(text: str) -> Markup:
    """A paragraph of a docstring as HTML: ``code`` and *stress*."""
    safe = re.sub(r"``(.+?)``", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*(\w[\w ]*)\*", r"<em>\1</em>", safe))


def coloured(code: str) -> str:
    """Python as HTML with classes; ``rich`` brings the lexer along."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return str(highlight(code, PythonLexer(), HtmlFormatter(nowrap=True)))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("separatrix.atlas"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates = files("separatrix.atlas") / "templates"
    environment.filters.update(number=number, coloured=coloured, prose=prose, strip=strip)
    environment.globals.update(
        marks=MARKS,
        css=(templates / "atlas.css").read_text(encoding="utf-8"),
        script=(templates / "atlas.js").read_text(encoding="utf-8"),
    )
    return environment
