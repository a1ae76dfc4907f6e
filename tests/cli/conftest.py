"""The command line in this process: ``cli("diagnose", "game.py:game")`` gives exit code, stdout and stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from separatrix.cli import main

# A linear game whose step is known, a network game that needs data, and what a user may get wrong.
TARGETS = """
import torch
from torch import nn
from torch.utils.data import DataLoader
import separatrix as sx
from separatrix.dynamics import SGD, Adam, Alternating, Method

torch.manual_seed(0)
x, y = torch.ones(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)


def damped(m, batch):
    x, y = m["x"], m["y"]
    return {"x": (x * y + x * x / 2).sum(), "y": (y * y / 2 - x * y).sum()}


game = sx.Game({"x": x, "y": y}, damped, name="damped")
problem = sx.Problem(game, "damped", method=Method(SGD(0.1)), score=lambda m: {"size": float(m["x"].abs())},
                     better={"size": "lower"})
field = sx.FunctionField(lambda w: -2 * w, torch.ones(2, dtype=torch.float64), name="sink")
bound = game.on()

nets = {"G": nn.Linear(2, 2), "D": nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))}
real = torch.randn(8, 2)


def adversarial(m, batch):
    on_real, on_fake = m["D"](batch), m["D"](m["G"](batch.flip(0)))
    soft = nn.functional.softplus
    return {"G": soft(-on_fake).mean(), "D": soft(-on_real).mean() + soft(on_fake).mean()}




def detached(m, batch):
    on_real, on_fake = m["D"](batch), m["D"](m["G"](batch.flip(0)).detach())
    soft = nn.functional.softplus
    return {"G": soft(-m["D"](m["G"](batch))).mean(), "D": soft(-on_real).mean() + soft(on_fake).mean()}


gan = sx.Game(nets, adversarial, name="gan")
usual = sx.Game(nets, detached, name="usual").on(real)
adam = Method({"G": Adam(1e-2, (0.5, 0.9)), "D": Adam(1e-2, (0.5, 0.9))}, Alternating(("D", "G")))
trained = sx.Problem(gan, "gan", data=real, method=adam)
loaded = sx.Problem(gan, "gan", data=DataLoader(real, batch_size=2, shuffle=True), method=adam)
empty = sx.Problem(gan, "gan", data=DataLoader(real[:1], batch_size=2, drop_last=True), method=adam)


undefined = sx.Problem(sx.Game({"x": x, "y": y}, lambda m, b: (m["x"] - 9).log().sum() * m["y"].sum()), "undefined",
                       method=Method(SGD(0.1)))


def fails(m, batch):
    raise ValueError("no such loss")


raising = sx.Problem(sx.Game({"x": x, "y": y}, fails), "raising", method=Method(SGD(0.1)))


def build(width=2):
    return problem


def needy(width):
    return problem


def broken():
    raise RuntimeError("no such dataset")


number = 3
model = nn.Linear(2, 1)


def chatty(m, batch):
    print("inside the losses")
    return damped(m, batch)


talking = sx.Problem(sx.Game({"x": x, "y": y}, chatty, name="talking"), "talking", method=Method(SGD(0.1)))


def scoreless(models):
    raise ValueError("no classifier")


scored = sx.Problem(game, "scored", method=Method(SGD(0.1)), score=scoreless)
calls = []


def stopped(m, batch):
    calls.append(1)
    if len(calls) > 3:
        raise KeyboardInterrupt
    return damped(m, batch)


interrupted = sx.Problem(sx.Game({"x": x, "y": y}, stopped, name="interrupted"), "interrupted", method=Method(SGD(0.1)))
zero = torch.zeros(1, dtype=torch.float64)
steep = sx.Problem(sx.Game({"x": zero}, lambda m, b: {"x": m["x"].sqrt().sum()}), "steep", method=Method(SGD(0.1)))
nan = sx.Problem(sx.Game({"x": zero}, lambda m, b: {"x": (m["x"] / m["x"]).sum()}), "nan", method=Method(SGD(0.1)))
exploding = sx.Problem(sx.Game({"x": x}, lambda m, b: {"x": -(m["x"] ** 4).sum()}), "exploding", method=Method(SGD(1.0)))


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return a.exp()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].exp()


once = sx.Problem(sx.Game({"x": x}, lambda m, b: {"x": Once.apply(m["x"]).sum()}), "once", method=Method(SGD(0.1)))


def full(m, batch):
    raise torch.OutOfMemoryError("tried to allocate 80.00 GiB.")


hungry = sx.Problem(sx.Game({"x": x}, full), "hungry", method=Method(SGD(0.1)))
"""


@dataclass(frozen=True)
class Result:
    """What a call of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Result]]:
    """``main`` in an empty folder that holds ``game.py``, and nothing of it left behind in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "game.py").write_text(TARGETS)
    before = set(sys.modules)

    def call(*arguments: str) -> Result:
        with torch.random.fork_rng():
            code = main(arguments)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    yield call
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def refused(cli: Callable[..., Result]) -> Callable[..., str]:
    """The one message of a call that ends with the given code, on one line; nothing on stdout, nothing written."""

    def call(*arguments: str, code: int = 2) -> str:
        files = sorted(Path.cwd().rglob("*"))
        result = cli(*arguments)
        assert result.code == code, result.err
        assert result.out == ""
        assert "Traceback" not in result.err
        assert sorted(Path.cwd().rglob("*")) == files
        assert result.err.startswith("separatrix: ")
        return result.err.removeprefix("separatrix: ").strip()

    return call
