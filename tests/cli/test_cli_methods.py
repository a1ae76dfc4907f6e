"""``--method`` and ``--optimizer``: from text to a Method."""

from __future__ import annotations

import re

import pytest
import torch

from separatrix.cli.methods import find_method, split_methods
from separatrix.dynamics import (
    SGD,
    Adam,
    AdamW,
    Alternating,
    Clip,
    Competitive,
    Consensus,
    Extragradient,
    Lookahead,
    Method,
    Optimistic,
    PastExtragradient,
    Problem,
    RMSprop,
    RungeKutta,
    Simultaneous,
    SymplecticAdjustment,
)
from separatrix.errors import InputError
from separatrix.fields import FunctionField, Game

GAME = Game({"G": torch.ones(1), "D": torch.ones(1)}, lambda m, batch: (m["G"] * m["D"]).sum())
BARE = Problem(GAME, "bare")
OWN = Problem(GAME, "own", method=Method(SGD(0.1), Alternating(("D", "G"), {"D": 2}), (Consensus(3.0),)))


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("sgd:lr=0.1", SGD(0.1)),
        ("sgd:lr=0.1,momentum=0.5,nesterov=true", SGD(0.1, 0.5, nesterov=True)),
        ("momentum:lr=1e-2", SGD(0.01, 0.9)),
        ("momentum:lr=1e-2,momentum=-0.5", SGD(0.01, -0.5)),
        ("rmsprop:lr=1e-3,alpha=0.9", RMSprop(1e-3, 0.9)),
        ("adam", Adam()),
        ("adam:lr=2e-4,betas=0.5/0.999", Adam(2e-4, (0.5, 0.999))),
        ("Adam:lr=1e-3", Adam(1e-3)),
        ("adamw:weight_decay=0.1", AdamW(weight_decay=0.1)),
    ],
)
def test_an_optimizer_serves_every_player(text: str, base: object) -> None:
    found = find_method(BARE, [text], None)
    assert found == Method({"G": base, "D": base}, Alternating())


def test_a_player_may_have_its_own() -> None:
    both = Method({"G": Adam(1e-4), "D": SGD(0.1)}, Alternating())
    assert find_method(BARE, ["adam:lr=1e-4", "D=sgd:lr=0.1"], None) == both
    assert find_method(BARE, ["D=sgd:lr=0.1", "adam:lr=1e-4"], None) == both
    assert find_method(OWN, ["D=adam"], None).bases == {"G": SGD(0.1), "D": Adam()}


def test_what_the_options_leave_open_is_the_problems_own() -> None:
    bases = {"G": SGD(0.1), "D": SGD(0.1)}
    assert find_method(BARE, [], None) is None
    assert find_method(OWN, [], None) == Method(bases, OWN.method.scheme, OWN.method.transforms)
    assert find_method(OWN, [], "alternating").scheme == OWN.method.scheme
    assert find_method(OWN, [], "alternating").transforms == ()
    assert find_method(OWN, ["adam"], None).scheme == OWN.method.scheme


def test_one_player_descends() -> None:
    field = Problem(FunctionField(lambda x: -x, torch.ones(1)), "sink")
    assert find_method(field, ["sgd:lr=1"], None) == Method({"x": SGD(1.0)}, Simultaneous())


@pytest.mark.parametrize(
    ("text", "scheme", "transforms"),
    [
        ("simultaneous", Simultaneous(), ()),
        ("alternating:order=D/G,repeats=D:5,fresh=false", Alternating(("D", "G"), {"D": 5}, False), ()),
        ("alternating:order=D/G,lazy=r1:16/ema:4", Alternating(("D", "G"), {"D": 2}, lazy={"r1": 16, "ema": 4}), ()),
        ("simultaneous:lazy=r1:16", Simultaneous({"r1": 16}), ()),
        ("extragradient", Extragradient(), ()),
        ("extragradient:moments=commit,same_draw=false", Extragradient("commit", False), ()),
        ("extragradient:moments=roll-back", Extragradient("roll back"), ()),
        ("extragradient:ahead=2,moments=freeze", Extragradient("freeze", ahead=2.0), ()),
        ("symplectic-adjustment:weight=0.5,align=true", Simultaneous(), (SymplecticAdjustment(0.5, True),)),
        ("clip:norm=0.1,players=D", Simultaneous(), (Clip(0.1, ("D",)),)),
        ("past-extragradient:ahead=1.5", PastExtragradient(1.5), ()),
        ("competitive:tol=1e-4", Competitive(1e-4), ()),
        ("runge-kutta:order=2", RungeKutta(2), ()),
        ("lookahead:inner=optimistic,every=3", Lookahead(Optimistic(), 3), ()),
        ("consensus", Simultaneous(), (Consensus(10.0),)),
        ("consensus:gamma=0.5", Simultaneous(), (Consensus(0.5),)),
    ],
)
def test_a_method_is_a_scheme_with_transforms(text: str, scheme: object, transforms: object) -> None:
    found = find_method(OWN, [], text)
    assert (found.scheme, found.transforms) == (scheme, transforms)


def test_a_list_of_methods_is_split_at_names_and_not_at_settings() -> None:
    text = (
        "simultaneous, extragradient:moments=commit,same_draw=false,alternating:order=D/G,repeats=D:5,consensus:gamma=1"
    )
    assert split_methods(text) == [
        "simultaneous",
        "extragradient:moments=commit,same_draw=false",
        "alternating:order=D/G,repeats=D:5",
        "consensus:gamma=1",
    ]


@pytest.mark.parametrize(
    ("optimizers", "method", "message"),
    [
        (
            ["lion:lr=1"],
            None,
            "--optimizer lion:lr=1: there is no optimizer 'lion'. There are sgd, momentum, rmsprop, adam",
        ),
        (["sgd"], None, "--optimizer sgd: sgd needs its rate; write sgd:lr=0.01, for instance"),
        (
            ["adam:beta=0.5"],
            None,
            "adam has no setting 'beta'; did you mean 'betas'? It has lr, betas, eps, weight_decay",
        ),
        (["adam:lr"], None, "'lr' is not key=value; write adam:key=value,key=value"),
        (["adam:lr="], None, "'lr=' is not key=value"),
        (["adam:lr=fast"], None, "lr cannot be 'fast'; write a number"),
        (["adam:betas=0.5"], None, "betas cannot be '0.5'; write two numbers, such as 0.5/0.999"),
        (["adam:lr=-1"], None, "--optimizer adam:lr=-1: lr must be positive, got -1.0"),
        (["sgd:lr=1,nesterov=yes"], None, "nesterov cannot be 'yes'; write true or false"),
        (["X=adam"], None, "there is no player 'X'; the players are G, D"),
        (["G=adam"], None, "no optimizer for D; add --optimizer D=adam:lr=2e-4, for instance"),
        ([], "extragradient", "--method extragradient needs to know the step, and 'bare' has no method of its own"),
        (["adam"], "unrolled", "there is no method 'unrolled'. There are simultaneous, alternating, extragradient,"),
        ([], "alternatin", "there is no method 'alternatin'; did you mean 'alternating'? There are simultaneous,"),
        (["adma"], None, "there is no optimizer 'adma'; did you mean 'adam'?"),
        (["adam"], "simultaneous:gamma=1", "simultaneous has no setting 'gamma'. It has lazy"),
        (["adam"], "consensus:gamma=-1", "--method consensus:gamma=-1: gamma must not be negative, got -1.0"),
        (["adam"], "consensus:gamma=big", "gamma cannot be 'big'; write a number"),
        (["adam"], "alternating:order=D/X", "the order names unknown players"),
        (["adam"], "alternating:repeats=D", "repeats cannot be 'D'; write a name with a whole number, such as D:5"),
        (["adam"], "alternating:lazy=r1:0", "a whole number from 1 on, got 0 for 'r1'"),
        (["adam"], "alternating:repeats=D:0", "a player repeats its move at least once"),
        (["adam"], "lookahead:inner=nothing", "inner cannot be 'nothing'; write the name of a method without settings"),
        (["adam"], "runge-kutta:order=4.5", "order cannot be '4.5'; write a whole number"),
        (
            ["adam"],
            "extragradient:moments=keep",
            "--method extragradient:moments=keep: moments must be one of 'roll back', 'freeze'",
        ),
    ],
)
def test_wrong_text_is_named_with_what_would_be_right(optimizers: list[str], method: str | None, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        find_method(BARE, optimizers, method)
