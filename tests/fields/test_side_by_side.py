"""Blocks of products in one pass: the same numbers as one by one, or none at all."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn

from separatrix import Game
from separatrix.fields import side_by_side as module
from separatrix.fields.side_by_side import side_by_side


def one(outputs: Any, inputs: Any, cotangents: Any) -> list[torch.Tensor]:
    return list(torch.autograd.grad(outputs, inputs, cotangents, retain_graph=True, materialize_grads=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_block_is_its_rows_one_by_one(dtype: torch.dtype):
    torch.manual_seed(0)
    x, y = torch.randn(5, dtype=dtype, requires_grad=True), torch.randn(3, dtype=dtype, requires_grad=True)
    outputs = [torch.tanh(x.outer(y)), (x**3).sum() * y]
    calls = [(outputs, [torch.randn(5, 3, dtype=dtype), torch.randn(3, dtype=dtype)]) for _ in range(70)]
    found = side_by_side(calls, [x, y], lambda o, c: one(o, [x, y], c))
    assert found is not None
    assert len(found) == 70
    for (o, c), pieces in zip(calls, found, strict=True):
        for a, b in zip(pieces, one(o, [x, y], c), strict=True):
            torch.testing.assert_close(a, b, rtol=20 * torch.finfo(dtype).eps, atol=20 * torch.finfo(dtype).eps)


def test_the_jacobian_of_a_game_is_formed_in_few_passes(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    G, D = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 2)), nn.Linear(2, 1)
    z = torch.randn(16, 2)
    field = Game({"G": G, "D": D}, lambda m, b: m["D"](m["G"](b)).tanh().mean()).on(z)
    passes = []
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: passes.append(1) or grad(*a, **k))
    jacobian = field.jacobian(checks=False)
    passes.clear()
    formed = jacobian.T.to_dense()
    assert len(passes) < 6  # the graph of the transpose, a block, its check; never one for each of the 35 rows
    monkeypatch.setattr(module, "FEWEST", 10**9)
    torch.testing.assert_close(formed, field.jacobian(checks=False).T.to_dense(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("row", [0, 5, 11])
def test_a_wrong_row_is_seen_and_all_are_taken_one_by_one(row: int, monkeypatch: pytest.MonkeyPatch):
    x = torch.randn(4, requires_grad=True)
    outputs = [x.sin()]
    calls = [(outputs, [c]) for c in torch.randn(12, 4)]
    pulled = module._pulled

    def planted(*args: Any) -> Any:
        (rows,) = pulled(*args)
        rows[row] *= 1.001
        return [rows]

    assert side_by_side(calls, [x], lambda o, c: one(o, [x], c)) is not None
    monkeypatch.setattr(module, "_pulled", planted)
    assert side_by_side(calls, [x], lambda o, c: one(o, [x], c)) is None


@pytest.mark.parametrize(("dtype", "scale"), [(torch.float32, 1e30), (torch.float32, 1e-30), (torch.float64, 1e140)])
@pytest.mark.parametrize("fault", ["sign", "swap", "short", "infinite"])
def test_a_fault_is_seen_at_any_scale(dtype: torch.dtype, scale: float, fault: str, monkeypatch: pytest.MonkeyPatch):
    """Rows in a wrong order, a short row among long ones, and where squares are no numbers any more."""
    x = torch.randn(4, dtype=dtype, requires_grad=True)
    outputs = [2 * x]
    cotangents = scale * torch.randn(12, 4, dtype=dtype)
    cotangents[3] *= 1e-7
    calls = [(outputs, [c]) for c in cotangents]
    pulled = module._pulled

    def planted(*args: Any) -> Any:
        (rows,) = pulled(*args)
        if fault == "swap":
            rows[[k, k + 1]] = rows[[k + 1, k]]
        else:
            rows[3 if fault == "short" else 5] *= torch.inf if fault == "infinite" else -1.0
        return [rows]

    assert side_by_side(calls, [x], lambda o, c: one(o, [x], c)) is not None
    monkeypatch.setattr(module, "_pulled", planted)
    for k in range(5, 11):  # noqa: B007 - read by planted
        assert side_by_side(calls, [x], lambda o, c: one(o, [x], c)) is None


@pytest.mark.parametrize("kind", [DeprecationWarning, FutureWarning, ValueError, KeyError])
def test_what_a_backward_pass_warns_of_or_raises_in_a_block_is_left_to_single_products(kind: type[Exception]):
    """Of a custom operator that minds the block, which comes first, or whose backward pass says that it is out of date."""
    seen: list[type[Exception]] = []

    class Minding(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
            if issubclass(kind, Warning):
                warnings.warn("out of date", kind, stacklevel=1)
            elif not seen:
                seen.append(kind)
                raise kind("no blocks")
            return g * 3.0

    x = torch.randn(4, requires_grad=True)
    outputs = [Minding.apply(x)]
    calls = [(outputs, [c]) for c in torch.randn(12, 4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        assert side_by_side(calls, [x], lambda o, c: one(o, [x], c)) is None


class Refusing(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        return g * float(g.sum() > -1e9)  # asks for a number, which vmap has not


def test_what_vmap_does_not_know_and_what_is_large_is_left_alone():
    x = torch.randn(4, requires_grad=True)
    outputs = [Refusing.apply(x)]
    calls = [(outputs, [c]) for c in torch.randn(12, 4)]
    assert side_by_side(calls, [x], lambda o, c: one(o, [x], c)) is None
    assert side_by_side(calls[:2], [x], lambda o, c: one(o, [x], c)) is None
    big = torch.randn(module.LARGEST + 1, requires_grad=True)
    outputs = [big * 2]
    calls = [(outputs, [torch.ones_like(big)])] * 12
    assert side_by_side(calls, [big], lambda o, c: one(o, [big], c)) is None
