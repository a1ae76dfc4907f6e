"""What ``separatrix zoo`` prints."""

from __future__ import annotations

import inspect
import re
from functools import partial
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from separatrix.cli.talk import Talk
from separatrix.errors import InputError, did_you_mean
from separatrix.probes.numbers import plain
from separatrix.zoo import ZOO, load


def list_zoo(talk: Talk) -> int:
    """Name and one line of each."""
    rows = [{"name": name, "about": _about(name)} for name in ZOO]
    table = Table(box=None, show_header=False, pad_edge=False)
    for row in rows:
        table.add_row(Text(row["name"]), Text(row["about"]))
    shown: list[RenderableType] = (
        [Text("\n".join(ZOO))] if talk.quiet else [table, Text("separatrix diagnose zoo:NAME")]
    )
    talk.result({"problems": rows}, *shown)
    return 0


def show_problem(name: str, talk: Talk) -> int:
    """What the entry says of itself, its options, and its facts."""
    name = name.removeprefix("zoo:")
    if name not in ZOO:
        raise InputError(
            f"the zoo has no {name!r}{did_you_mean(name, ZOO)} `separatrix zoo` lists the names there are."
        )
    entry = ZOO[name]
    problem = load(name)
    facts = [{"name": fact.name, "value": fact.value, "source": fact.source} for fact in problem.facts]
    options = {p.name: p.default for p in inspect.signature(entry).parameters.values()}
    data: dict[str, Any] = {
        "name": name,
        "about": _about(name),
        "options": {k: plain(v) for k, v in options.items()},
        "facts": facts,
    }
    shown: list[RenderableType] = [Text(inspect.cleandoc(_function(name).__doc__ or ""))]
    if options:
        text = ",".join(f"{key}={value}" for key, value in options.items())
        shown.append(Text(f"\nTARGET with options: zoo:{name}:{text}"))
    if facts:
        table = Table("known", "value", "source", box=None, header_style="dim", pad_edge=False)
        for fact in problem.facts:
            table.add_row(*(Text(cell) for cell in (fact.name, _value(fact.value), fact.source)))
        shown += [Text(), table]
    talk.result(data, *([Text(_about(name))] if talk.quiet else shown))
    return 0


def _function(name: str) -> Any:
    entry = ZOO[name]
    return entry.func if isinstance(entry, partial) else entry


def _about(name: str) -> str:
    """The first sentence of the function's docstring; of a variant whose it is, and its options."""
    entry = ZOO[name]
    if isinstance(entry, partial):
        base = next((other for other in ZOO if not isinstance(ZOO[other], partial) and ZOO[other] is entry.func), None)
        if base is not None:
            return f"{base} with {', '.join(f'{key}={value}' for key, value in entry.keywords.items())}"
    text = inspect.cleandoc(_function(name).__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("``", "")
    return re.sub(r"\s*\[[a-z]+\d{4}[^\]]*\]", "", text)


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return f"{value:.6g}" if isinstance(value, (int, float, complex)) and not isinstance(value, bool) else str(value)
