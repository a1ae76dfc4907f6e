"""The studies there are: one file each, ``<family>/<slug>.py``, read without running them.

``STUDY = Study(...)`` is written as literals; its values and the docstring are taken from the file's syntax tree. So the
list costs no torch, and a study is listed where the extra that it needs is missing.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from separatrix.atlas.study import Outcome, Scale, Study
from separatrix.errors import InputError

ROOT = Path(__file__).parent
# What a study has besides its docstring and its declaration, with what it takes.
NEEDED = {"run": "scale", "draw": "figure, data"}


@dataclass(frozen=True)
class Entry:
    """A study in the catalogue.

    Attributes:
        id: the file's name, with hyphens.
        family: the folder's name.
        path: of the file.
        study: what it declares.
        essay: its docstring.
    """

    id: str
    family: str
    path: Path
    study: Study
    essay: str

    @property
    def code(self) -> str:
        """The text of the file."""
        return self.path.read_text(encoding="utf-8")

    @property
    def digest(self) -> str:
        """Of what the file computes; results of another one are out of date.

        Docstring, declaration, comments and layout may change without a new run.
        """
        tree, lines = ast.parse(self.code), self.code.splitlines()
        for node in tree.body:
            if isinstance(node, ast.Expr) or _declaration(node):
                lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or node.lineno) - node.lineno + 1)
        text = "".join(re.sub(r"(^|\s)#.*", "", line) for line in lines)
        return sha256(re.sub(r"\s|,(?=\s*[)\]}])", "", text).encode()).hexdigest()[:16]

    @property
    def claim(self) -> str:
        """The first sentence of the docstring: the claim."""
        return " ".join(self.essay.strip().split("\n\n")[0].split())

    def module(self) -> ModuleType:
        """The study itself, imported.

        Raises:
            ImportError: an extra is missing; ends with the command that installs it.
        """
        try:
            if self.path.is_relative_to(ROOT):
                return import_module(f"separatrix.atlas.{self.family}.{self.path.stem}")
            spec = spec_from_file_location(f"separatrix_study_{self.path.stem}", self.path)
            assert spec is not None
            assert spec.loader is not None
            module = module_from_spec(spec)
            sys.modules[spec.name] = module  # dataclasses look themselves up there
            spec.loader.exec_module(module)
            return module
        except ModuleNotFoundError as error:
            if not self.study.needs or (error.name or "").startswith("separatrix"):
                raise
            extras = ",".join(self.study.needs)
            raise ImportError(f"the study {self.id} needs {error.name}: pip install 'separatrix[{extras}]'") from error

    def run(self) -> Callable[[Scale], Outcome]:
        """Its ``run(scale)``."""
        run, _ = self._functions()
        return run

    def draw(self) -> Callable[[Any, Mapping[str, Any]], None]:
        """Its ``draw(figure, data)``."""
        _, draw = self._functions()
        return draw

    def _functions(self) -> tuple[Callable[[Scale], Outcome], Callable[[Any, Mapping[str, Any]], None]]:
        module = self.module()
        if missing := [f"{name}({takes})" for name, takes in NEEDED.items() if not hasattr(module, name)]:
            raise InputError(f"{self.path} lacks {' and '.join(missing)}; see CONTRIBUTING.md, Add a study.")
        return module.run, module.draw


@cache
def catalogue() -> Mapping[str, Entry]:
    """All studies of the package by id, in the order of families and names."""
    files = sorted(path for path in ROOT.glob("*/*.py") if path.stem != "__init__")
    return {entry.id: entry for entry in map(read_study, files)}


@cache
def families() -> Mapping[str, str]:
    """Family to what it is about: the docstring of its folder."""
    names = dict.fromkeys(entry.family for entry in catalogue().values())
    return {name: _docstring(ROOT / name / "__init__.py") for name in names}


def find_study(name: str) -> Entry:
    """The study of this id, or that of a file ``path/to/study.py``.

    Raises:
        InputError: there is none; names those that are alike.
    """
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise InputError(f"there is no study at {name}.")
        return read_study(Path(name).resolve())
    if name not in catalogue():
        from difflib import get_close_matches

        alike = get_close_matches(name, catalogue(), n=3) or list(catalogue())
        raise InputError(
            f"the atlas has no study {name!r}; did you mean {', '.join(alike)}? See separatrix atlas list."
        )
    return catalogue()[name]


def read_study(path: Path) -> Entry:
    """The entry of a file.

    Raises:
        InputError: the file is not Python, has no docstring or no ``STUDY = Study(...)`` of literals.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except SyntaxError as error:
        raise InputError(f"{path}, line {error.lineno}, is not Python: {error.msg}.") from None
    essay = ast.get_docstring(tree)
    if essay is None:
        raise InputError(f"{path} has no docstring; a study begins with its claim in one sentence.")
    for node in tree.body:
        if call := _declaration(node):
            try:
                values = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
                study = Study(**values)
            except (ValueError, TypeError) as error:
                raise InputError(
                    f"{path}: STUDY must be Study(name=literal, ...), so that it can be read without running the file "
                    f"({error})."
                ) from None
            return Entry(path.stem.replace("_", "-"), path.parent.name, path, study, essay)
    raise InputError(f"{path} declares no STUDY = Study(...).")


def _declaration(node: ast.stmt) -> ast.Call | None:
    """The call in ``STUDY = Study(...)``; ``None`` for any other statement."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
        return None
    return node.value if [getattr(target, "id", "") for target in node.targets] == ["STUDY"] else None


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
