"""TARGET: from ``zoo:NAME``, ``path/to/file.py:NAME`` or ``package.module:NAME`` to a Problem."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from separatrix.cli.place import placed
from separatrix.dynamics import Problem, Run
from separatrix.errors import InputError, SeparatrixError
from separatrix.fields import Field, Game, GameField
from separatrix.zoo import load

FORMS = "zoo:NAME, path/to/file.py:NAME or package.module:NAME"


def find_target(target: str) -> Problem:
    """The problem that a TARGET names.

    Raises:
        InputError: it does not import, lacks the name, or is of the wrong type; names file, line and what is there.
    """
    return _as_problem(find_object(target), target)


def find_object(target: str) -> Any:
    """What a TARGET names, whatever it is.

    Raises:
        InputError: it does not import or lacks the name.
    """
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise InputError(f"TARGET {target!r} does not say which object is meant; write {FORMS}.")
    if place == "zoo":
        return load(name)
    if place.endswith(".py"):
        module = _import_file(Path(place))
    elif "/" in place or "\\" in place:
        raise InputError(f"TARGET {target!r} names a file without its suffix; write {place}.py:{name}.")
    else:
        module = _import_module(place)
    return _named(module, name, place)


def batches_as_data(batches: list[Any]) -> Any:
    """Several batches as what a Problem holds: the batch itself, or a loader that hands them out as they are."""
    return batches[0] if len(batches) == 1 else DataLoader(batches, batch_size=None, collate_fn=lambda b: b)  # type: ignore[arg-type]


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(f"there is no file {path} (seen from {Path.cwd()}).")
    name = f"separatrix_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _user_code(f"importing {path}", str(path)), _importable(path.resolve().parent):
        sys.modules[name] = module  # dataclasses and pickle look their module up
        spec.loader.exec_module(module)
    return module


def _import_module(name: str) -> ModuleType:
    with _user_code(f"importing {name}"), _importable(Path.cwd()):
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                raise InputError(
                    f"there is no module {error.name!r} in {Path.cwd()} or among the installed ones; for a file write "
                    "path/to/file.py:NAME."
                ) from None
            raise


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """The folder first on the path, also afterwards (losses may import late); no ``__pycache__`` is written."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


@contextmanager
def _user_code(doing: str, path: str = "") -> Iterator[None]:
    """What the user's own code raises, as one sentence with file and line."""
    try:
        yield
    except SyntaxError as error:
        raise InputError(f"{error.filename}, line {error.lineno}: syntax error: {error.msg}.") from error
    except SeparatrixError:
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        place = next((f for f in reversed(frames) if f.filename == path), frames[-1])
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        raise InputError(f"{doing} raised {said} ({place.filename}, line {place.lineno}).") from error


def _named(module: ModuleType, name: str, place: str) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    # What the module defines itself, its imports left out.
    own = [
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and not inspect.ismodule(value)
        and getattr(value, "__module__", module.__name__) in (module.__name__, *_OURS)
    ]
    close = get_close_matches(name, own, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it defines {', '.join(own) or 'nothing'}."
    raise InputError(f"{place} has no {name!r}; {hint}")


_OURS = tuple(kind.__module__ for kind in (Problem, Game, Field, GameField, nn.Sequential))


def _as_problem(found: Any, target: str) -> Problem:
    if not isinstance(found, (Problem, Game, Field)) and inspect.isroutine(found):
        found = called(found, target)
    if isinstance(found, Problem):
        return found
    if isinstance(found, GameField):
        game = placed(found.game, dtype=found.dtype)
        return Problem(game, found.name, data=batches_as_data(found.batches))
    if isinstance(found, (Game, Field)):
        return Problem(found, found.name)
    if isinstance(found, Run):
        remedy = "a Run is measured from Python: sx.twins(run)"
    elif hasattr(found, "parameters"):
        remedy = "a model becomes a one-player game with its loss: sx.Loss(model, f)"
    else:
        remedy = "sx.Game(players, losses) makes a Game"
    kind = f"the class {found.__name__}" if inspect.isclass(found) else f"a {type(found).__name__}"
    raise InputError(
        f"TARGET {target!r} is {kind}; it must be a Problem, a Field, a Game or a function that returns one; {remedy}."
    )


def called(function: Callable[..., Any], target: str) -> Any:
    """What the user's function returns; ``InputError`` where it needs arguments or raises."""
    required = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if required:
        raise InputError(
            f"TARGET {target!r} is a function that needs {', '.join(required)}; give its arguments default values."
        )
    code = getattr(inspect.unwrap(function), "__code__", None)
    with _user_code(f"calling {target}", code.co_filename if code else ""):
        return function()
