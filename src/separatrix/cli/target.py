"""TARGET: from ``zoo:NAME``, ``path/to/file.py:NAME`` or ``package.module:NAME`` to a Problem."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from ast import literal_eval
from collections.abc import Callable, Iterator, Mapping
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
from separatrix.errors import InputError, SeparatrixError, did_you_mean, raised_by
from separatrix.fields import Field, Game, GameField
from separatrix.zoo import ZOO, load

FORMS = "zoo:NAME, path/to/file.py:NAME or package.module:NAME"
# Where a zoo problem is measured that nobody placed: the Dirac-GAN near its equilibrium, whose rotation is known. Its
# published start (theta=1,psi=1) lies where the linear picture is that of a saddle.
PLACED: Mapping[str, Mapping[str, Any]] = {"dirac-gan": {"theta": 0.1, "psi": 0.1}}


def find_target(target: str) -> Problem:
    """The problem that a TARGET names.

    Raises:
        InputError: it does not import, lacks the name, or is of the wrong type; names file, line and what is there.
    """
    return _as_problem(find_object(target), target)


def find_measured(target: str) -> Problem | Run:
    """The problem or the run that a TARGET names.

    Raises:
        InputError: as for :func:`find_target`.
    """
    found = find_object(target)
    if not isinstance(found, _MEASURED) and inspect.isroutine(found):
        found = called(found, target)
    return found if isinstance(found, Run) else _as_problem(found, target)


def find_object(target: str) -> Any:
    """What a TARGET names, whatever it is.

    Raises:
        InputError: it does not import or lacks the name.
    """
    if target.startswith("zoo:"):
        return _from_zoo(target)
    place, _, name = target.rpartition(":")
    if not place or not name:
        raise InputError(f"TARGET {target!r} does not say which object is meant; {_meant(target)}")
    if place.endswith(".py"):
        module = _import_file(Path(place))
    elif "/" in place or "\\" in place:
        raise InputError(f"TARGET {target!r} names a file without its suffix; write {place}.py:{name}.")
    else:
        module = _import_module(place)
    return _named(module, name, place)


def _meant(target: str) -> str:
    """What somebody may have meant who wrote no colon."""
    if target.endswith(".py"):
        return f"write {target}:NAME, with the name of a Problem, Field, Game or function in it."
    if target == "zoo":
        return "separatrix zoo lists the names there are: zoo:NAME."
    close = get_close_matches(target, list(ZOO), n=1)
    return f"did you mean zoo:{close[0]}?" if close else f"write {FORMS}."


def _from_zoo(target: str) -> Problem:
    """``zoo:NAME`` or ``zoo:NAME:key=value,...`` with options of the entry's function."""
    name, _, rest = target.removeprefix("zoo:").partition(":")
    if not name:
        raise InputError(f"TARGET {target!r} names no problem; `separatrix zoo` lists those there are: zoo:NAME.")
    if name not in ZOO:
        raise InputError(
            f"TARGET {target!r}: the zoo has no {name!r}{did_you_mean(name, ZOO)} `separatrix zoo` lists the names there are."
        )
    options = dict(PLACED.get(name, {}))
    for piece in filter(None, rest.split(",")):
        key, equals, value = piece.partition("=")
        if not equals or not value:
            raise InputError(f"TARGET {target!r}: {piece!r} is not key=value; write zoo:{name}:key=value,key=value.")
        known = inspect.signature(ZOO[name]).parameters
        if (key := key.strip()) not in known:
            what = ", ".join(known) or "none"
            raise InputError(
                f"TARGET {target!r}: {name} has no option {key!r}{did_you_mean(key, known)} It has {what}."
            )
        options[key] = _literal(value.strip())
    return load(name, **options)


def _literal(text: str) -> Any:
    """A number, True, False or None where it is one, the text itself otherwise."""
    try:
        return literal_eval(text.capitalize() if text.lower() in ("true", "false", "none") else text)
    except (ValueError, SyntaxError):
        return text


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
    with _user_code(f"importing {path}"), _importable(path.resolve().parent):
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
def _user_code(doing: str) -> Iterator[None]:
    """What the user's own code raises, as one sentence with file and line."""
    try:
        yield
    except SyntaxError as error:
        raise InputError(f"{error.filename}, line {error.lineno}: syntax error: {error.msg}.") from error
    except SeparatrixError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{doing} raised {raised_by(error)}.") from error


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


_MEASURED = (Problem, Game, Field, Run)
_OURS = tuple(kind.__module__ for kind in (Problem, Game, Field, GameField, Run, nn.Sequential))


def _as_problem(found: Any, target: str) -> Problem:
    if not isinstance(found, _MEASURED) and inspect.isroutine(found):
        found = called(found, target)
    if isinstance(found, Problem):
        return found
    if isinstance(found, GameField):
        game = placed(found.game, dtype=found.dtype)
        return Problem(game, found.name, data=batches_as_data(found.batches))
    if isinstance(found, (Game, Field)):
        return Problem(found, found.name)
    if isinstance(found, Run):
        raise InputError(
            f"TARGET {target!r} is a Run, a training step as a black box, which has no field; `separatrix diagnose {target}` measures "
            "it. For this command write its losses as a Game: sx.Game(players, losses)."
        )
    if hasattr(found, "parameters"):
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
    with _user_code(f"calling {target}"):
        return function()
