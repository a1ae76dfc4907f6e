"""``separatrix advise``: from the request to the advice, printed and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.text import Text

from separatrix.cli.methods import check_methods, find_method, split_methods
from separatrix.cli.options import DEFAULT_TARGET, Request
from separatrix.cli.outputs import check_outputs
from separatrix.cli.starting import Start, method_needed, start
from separatrix.cli.talk import Talk
from separatrix.cli.target import find_target
from separatrix.dynamics import Method, Problem
from separatrix.report import advise  # importing the reports teaches advice its pages and pictures
from separatrix.zoo import ZOO

SUFFIXES = (".html", ".json", ".md", ".png", ".svg")
# What the names of a problem's variants with penalties end with.
REMEDIES = ("-r1", "-rp-r1-r2")


def advise_target(
    request: Request,
    talk: Talk,
    *,
    methods: str | None,
    remedies: bool,
    race: int,
    rounds: int,
    seeds: int,
    noise: int | None,
    remaining: int,
    k: int,
    max_products: int,
    outputs: Sequence[Path],
) -> int:
    """Advise, write and print."""
    check_outputs(outputs, SUFFIXES)
    check_methods(methods or "")
    begun = start(request, talk)
    with talk.progress(f"advising on {begun.problem.name}") as advance:
        found = advise(
            begun.problem,
            candidates=None if methods is None else _named(begun, methods),
            remedies=_variants(request, begun.problem) if remedies else {},
            method=begun.method,
            states=begun.states,
            race=race,
            rounds=rounds,
            seeds=seeds,
            noise=noise,
            remaining=remaining,
            k=k,
            max_products=max_products,
            seed=request.seed,
            progress=lambda part: advance(part=part),
        )
    text = (found.sentence if talk.quiet else str(found)).replace("advise(problem, race=100)", "--race 100")
    talk.result(found.to_dict(), Text(text), laid_out=True)
    for path in outputs:
        found.save(path)
        talk.note(f"wrote {path}")
    return 0


def _named(begun: Start, methods: str) -> dict[str, Method]:
    method_needed(begun.method, begun.problem, "--methods")
    problem = begun.with_method()
    found = {text: find_method(problem, (), text) for text in split_methods(methods)}
    return {text: method for text, method in found.items() if method is not None}


def _variants(request: Request, problem: Problem) -> dict[str, Problem]:
    """The zoo's variants of a target with penalties, under the same options and on the data that are measured on."""
    name, colon, options = (request.target or DEFAULT_TARGET).removeprefix("zoo:").partition(":")
    if name not in ZOO or request.dtype is not None or request.device is not None:
        return {}
    found = {ending[1:]: f"zoo:{name}{ending}{colon}{options}" for ending in REMEDIES if f"{name}{ending}" in ZOO}
    return {short: replace(find_target(variant), data=problem.data) for short, variant in found.items()}
