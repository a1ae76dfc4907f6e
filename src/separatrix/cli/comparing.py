"""``separatrix compare``: methods from one start at equal cost, what was predicted beside what was observed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from separatrix.cli.methods import check_methods, find_method, split_methods
from separatrix.cli.options import Request
from separatrix.cli.outputs import check_outputs
from separatrix.cli.starting import Start, method_needed, start
from separatrix.cli.talk import Talk
from separatrix.dynamics import Method
from separatrix.errors import InputError
from separatrix.report import Compared, compare

SUFFIXES = (".json", ".md", ".svg", ".png")


def compare_target(
    request: Request,
    talk: Talk,
    *,
    methods: str,
    steps: int,
    seeds: int,
    k: int,
    best_steps: bool,
    outputs: Sequence[Path],
) -> int:
    """Compare, write and print."""
    check_outputs(outputs, SUFFIXES)
    check_methods(methods)
    begun = start(request, talk)
    found = compare(
        begun.with_method(),
        _named_methods(begun, request, methods),
        steps=steps,
        seeds=range(request.seed, request.seed + seeds),
        best_steps=best_steps,
        states=begun.states,
        k=k,
        progress=False if talk.quiet else None,
    )
    remarks = [] if talk.quiet else [Text(line, "dim") for line in found.remarks()]
    talk.result(found.to_dict(), Text(found.heading), _table(found), *remarks)
    for path in outputs:
        found.save(path)
        talk.note(f"wrote {path}")
    return 0


def _named_methods(begun: Start, request: Request, methods: str) -> dict[str, Method]:
    """The methods by their text, each going on from the states of the start."""
    texts = split_methods(methods)
    if not texts:
        raise InputError("--methods is empty; write, for instance, --methods simultaneous,alternating,extragradient.")
    if twice := next((text for text in texts if texts.count(text) > 1), None):
        raise InputError(f"--methods names {twice!r} twice; name each method once.")
    # What a checkpoint says about the optimizers is the problem's own method from here on.
    method_needed(begun.method, begun.problem, "compare")
    problem = begun.with_method()
    found = {text: find_method(problem, (), text) for text in texts}
    return {text: method for text, method in found.items() if method is not None}


def _table(found: Compared) -> Table:
    head, *rows = found.table()
    table = Table(box=None, header_style="dim", pad_edge=False)
    for i, name in enumerate(head):
        table.add_column(name, justify="right" if i else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
