"""The pages' templates, rendered: every value escaped, every name known, the style sheet at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def asset(name: str) -> str:
    """A file beside the templates, such as the style sheet ``page.css``."""
    return (files("separatrix.report") / "templates" / name).read_text(encoding="utf-8")


def render(template: str, *, filters: Mapping[str, Callable[..., Any]] | None = None, **values: Any) -> str:
    """A page as text.

    Args:
        template: its file name.
        filters: what the template calls by these names.
        values: what it shows; ``css`` is there besides.
    """
    environment = Environment(
        loader=PackageLoader("separatrix.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters or {})
    return environment.get_template(template).render(css=asset("page.css"), **values)
