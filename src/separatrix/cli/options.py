"""The options that several commands share, and the request that they make up. Knows no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

# What is taken where no TARGET is given, and how long it is trained before it is measured.
DEFAULT_TARGET, DEFAULT_TRAIN = "zoo:digits-gan", 2000


@dataclass(frozen=True)
class Request:
    """What a command starts from, as typed."""

    target: str | None = None
    data: Path | None = None
    train: int | None = None
    method: str | None = None
    optimizers: tuple[str, ...] = ()
    checkpoint: Path | None = None
    batches: int | None = None
    seed: int = 0
    device: str | None = None
    dtype: str | None = None

    @classmethod
    def typed(cls, *, optimizer: list[str] | None = None, dtype: Dtype | None = None, **others: Any) -> Request:
        """From the options as the command line hands them over."""
        return cls(optimizers=tuple(optimizer or ()), dtype=None if dtype is None else dtype.value, **others)

    @property
    def steps(self) -> int:
        """How long to train before measuring."""
        if self.train is not None:
            return self.train
        return DEFAULT_TRAIN if self.target is None and self.checkpoint is None else 0


class Dtype(StrEnum):
    float32 = "float32"
    float64 = "float64"


class Severity(StrEnum):
    note = "note"
    warning = "warning"
    critical = "critical"


class End(StrEnum):
    largest = "largest"
    rightmost = "rightmost"
    leftmost = "leftmost"
    rotation = "rotation"
    step_limit = "step-limit"


class JacobianRoute(StrEnum):
    retained = "retained"
    stream = "stream"
    dual = "dual"
    dense = "dense"


_START, _HOW, _OUT = "Where it starts", "How it is measured", "What is printed and written"


def at_least(minimum: int) -> Callable[[float | None], float | None]:
    """A check of an option's value, for typer."""

    def check(value: float | None) -> float | None:
        if value is not None and value < minimum:
            raise typer.BadParameter(f"it must be at least {minimum}, got {value:g}")
        return value

    return check


def written(help: str) -> Any:
    """The files that a command writes, ``-o``: what goes in an annotation beside ``list[Path] | None`` or ``Path | None``."""
    return typer.Option("-o", "--output", metavar="FILE", help=help, rich_help_panel=_OUT)


Target = Annotated[
    str | None,
    typer.Argument(
        metavar="TARGET",
        help="zoo:NAME (separatrix zoo lists them), path/to/file.py:NAME or package.module:NAME: a Problem, a Field, a Game, "
        "or a function that returns one; diagnose takes a Run too. Without TARGET: the bundled digits GAN.",
        show_default=False,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The batch of a Game: .pt, .npy or .npz.", rich_help_panel=_START),
]
Train = Annotated[
    int | None,
    typer.Option(
        callback=at_least(0),
        metavar="N",
        help=f"Train N steps first; 0, but {DEFAULT_TRAIN} where no TARGET is given.",
        show_default=False,
        rich_help_panel=_START,
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[:key=value,...]",
        help="simultaneous, alternating:order=D/G, extragradient, past-extragradient, optimistic, runge-kutta, lookahead, "
        "consensus:gamma=10 and more (an unknown name lists all); the target's own if not given.",
        rich_help_panel=_START,
    ),
]
Optimizer = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[PLAYER=]NAME[:key=value,...]",
        help="sgd, momentum, rmsprop, adam or adamw, such as adam:lr=2e-4,betas=0.5/0.999; for one player D=adam:lr=4e-4. "
        "Repeatable.",
        rich_help_panel=_START,
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Start from {'players': {name: state_dict}, 'optimizers': {name: state_dict}}, as saved by torch.save or by "
        "separatrix train -o.",
        rich_help_panel=_START,
    ),
]
Device = Annotated[str | None, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1 ...", rich_help_panel=_START)]
Precision = Annotated[Dtype | None, typer.Option("--dtype", help="Of players and data.", rich_help_panel=_START)]
Seed = Annotated[int, typer.Option(help="Of minibatches, noise and random vectors.", rich_help_panel=_HOW)]
Batches = Annotated[
    int | None,
    typer.Option(
        callback=at_least(1),
        metavar="N",
        help="Measure on N batches of the target's loader or stream.",
        rich_help_panel=_HOW,
    ),
]
Count = Annotated[
    int, typer.Option("-k", callback=at_least(1), help="Eigenvalues at each end of the spectrum.", rich_help_panel=_HOW)
]
Budget = Annotated[
    float | None,
    typer.Option(
        callback=at_least(0),
        metavar="G",
        help="Begin no further part once so many gradient-equivalents are spent; a part under way is finished, and the "
        "spectrum, which comes first, is always taken. Training is not counted.",
        rich_help_panel=_HOW,
    ),
]
Remaining = Annotated[
    int,
    typer.Option(callback=at_least(1), metavar="N", help="Steps that training still has to go.", rich_help_panel=_HOW),
]
MaxProducts = Annotated[
    int, typer.Option(callback=at_least(1), metavar="N", help="Jacobian products to spend.", rich_help_panel=_HOW)
]
Route = Annotated[
    JacobianRoute,
    typer.Option(
        "--route",
        help="How Jacobian products are computed: stream where the graphs of all batches do not fit in memory together.",
        rich_help_panel=_HOW,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Results as JSON on stdout.", rich_help_panel=_OUT)]
Quiet = Annotated[bool, typer.Option("--quiet", help="No talk, and results in a line.", rich_help_panel=_OUT)]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=_OUT)]
Reports = Annotated[list[Path] | None, written("Write .html, .json or .md. Repeatable.")]
CheckpointOut = Annotated[Path | None, written("Write the checkpoint: .pt or .pth.")]
ComparisonOut = Annotated[list[Path] | None, written("Write .svg, .png, .md or .json. Repeatable.")]
FailOn = Annotated[
    Severity | None,
    typer.Option(help="Exit with 1 where a finding is that severe.", rich_help_panel=_OUT),
]
