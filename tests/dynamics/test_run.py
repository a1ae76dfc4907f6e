"""Runs: snapshots, replay, and naming what leaks."""

import random
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from separatrix.dynamics import SGD, optim
from separatrix.dynamics.run import Run
from separatrix.errors import InputError
from separatrix.fields import Game


class Loop:
    """An ordinary loop with everything in it: BatchNorm, dropout, Adam, scheduler, EMA, scaler, numpy and Python noise."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1))
        self.net.register_buffer("hidden", torch.zeros(2), persistent=False)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-2)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, 0.5)
        self.ema = torch.optim.swa_utils.AveragedModel(self.net)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=16.0, growth_interval=2)
        self.generator = torch.Generator().manual_seed(3)
        self.data = torch.randn(64, 4)
        self.position = {"batch": 0}
        self.replay: deque[Tensor] = deque(maxlen=3)
        self.state = {
            k: getattr(self, k)
            for k in ("net", "optimizer", "scheduler", "ema", "scaler", "generator", "position", "replay")
        }

    def step(self) -> float:
        i = self.position["batch"]
        self.position["batch"] = i + 1
        x = self.data[8 * i % 64 :][:8]
        self.replay.append(x.clone())
        x = x + 0.1 * torch.randn(x.shape, generator=self.generator) + np.random.rand() + random.random()  # noqa: NPY002
        self.net.hidden += torch.rand(2)  # type: ignore[operator]
        loss = self.net(x).square().mean()
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.scheduler.step()
        self.ema.update_parameters(self.net)
        return loss.item()


def test_the_same_step_from_the_same_snapshot_is_bitwise_the_same() -> None:
    loop = Loop()
    run = Run(loop.step, loop.state)
    for _ in range(3):
        run.step()
    replay = run.check_replay(3)
    assert replay.value, replay.sentence
    assert "bitwise" in replay.sentence


def test_a_checked_run_goes_on_as_an_unchecked_one() -> None:
    results = []
    for checked in (True, False):
        loop = Loop()
        torch.manual_seed(9)
        np.random.seed(9)  # noqa: NPY002
        random.seed(9)
        run = Run(loop.step, loop.state)
        first = [run.step() for _ in range(3)]
        if checked:
            run.check_replay(2)
        results.append([*first, *(run.step() for _ in range(4))])
    assert results[0] == results[1]


def test_a_snapshot_can_be_put_back_more_than_once() -> None:
    loop = Loop()
    run = Run(loop.step, loop.state)
    run.step()
    snapshot = run.snapshot()
    paths = []
    for _ in range(3):
        paths.append([run.step() for _ in range(4)])
        run.restore(snapshot)
    assert paths[0] == paths[1] == paths[2]
    assert not snapshot.differences(run.snapshot())
    assert loop.position == {"batch": 1}
    assert len(loop.replay) == 1


def test_a_game_optimizer_is_a_part_of_a_state_like_any_other() -> None:
    x, y = torch.tensor([1.0]), torch.tensor([2.0])
    opt = optim.Simultaneous(
        Game({"x": x, "y": y}, lambda m, _: (m["x"] * m["y"]).sum() * torch.rand(())), torch.optim.Adam, lr=0.1
    )
    assert Run(lambda: opt.step(None).losses, {"x": x, "y": y, "opt": opt}).check_replay(3).value


@pytest.mark.parametrize("missing", ["generator", "optimizer", "ema", "net"])
def test_what_the_step_reaches_and_the_state_does_not_list_is_named(missing: str) -> None:
    loop = Loop()
    state = {k: v for k, v in loop.state.items() if k != missing}
    if missing == "net":
        state.pop("ema")
    loop.step()
    replay = Run(
        loop.step, {**state, "watched": list(loop.net.parameters()) if missing != "net" else []}
    ).check_replay()
    if missing == "ema":  # nothing reads it, so nothing leaks
        assert replay.value
        return
    assert not replay.value
    assert any(name.startswith(f"self.{missing} ") for name in replay.suspects)
    assert f"self.{missing}" in replay.sentence


def test_a_loader_s_iterator_that_was_not_listed_is_named() -> None:
    x = torch.ones(1)
    loader = iter(DataLoader(torch.arange(8.0), batch_size=2))  # type: ignore[arg-type]

    def step() -> None:
        x.add_(next(loader).sum())

    replay = Run(step, {"x": x}).check_replay()
    assert replay.leaks == ("x",)
    assert replay.suspects[0].startswith("loader (")
    assert x.item() == 1.0


def endless() -> Iterator[int]:
    while True:
        yield 0


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (DataLoader(torch.arange(4.0)), "list the generator of the loader"),  # type: ignore[arg-type]
        (endless(), "a list of batches with a position"),
        (object(), "give modules, optimizers"),
    ],
)
def test_what_cannot_be_put_back_is_refused_by_name(part: Any, words: str) -> None:
    with pytest.raises(InputError, match=r"at 'data\.0'.*" + words):
        Run(lambda: None, {"data": [part]})


def test_a_step_that_is_no_function_is_refused() -> None:
    with pytest.raises(InputError, match="function without arguments, got int"):
        Run(3, {})  # type: ignore[arg-type]


def test_gradients_modes_attributes_and_replaced_buffers_come_back() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(2))
            self.register_buffer("seen", torch.zeros(1))
            self.count = 0

    net = Counting()
    net.w.grad = torch.full((2,), 5.0)

    def step() -> None:
        net.count += 1
        net.eval()
        net.seen = torch.cat([net.seen, torch.ones(1)])  # type: ignore[list-item]
        net.w.grad = None
        with torch.no_grad():
            net.w.mul_(2)

    run = Run(step, net)
    snapshot = run.snapshot()
    run.step()
    assert len(snapshot.differences(run.snapshot())) == 5
    run.restore(snapshot)
    assert net.count == 0
    assert net.training
    assert net.seen.tolist() == [0.0]
    assert net.w.grad.tolist() == [5.0, 5.0]
    assert net.w.tolist() == [1.0, 1.0]
    assert run.check_replay().value


def test_tensors_arrays_and_generators_of_all_kinds_come_back() -> None:
    state: dict[str, Any] = {
        "tensor": torch.ones(2),
        "array": np.ones(2),
        "numpy": np.random.default_rng(0),
        "legacy": np.random.RandomState(0),
        "python": random.Random(0),
        "list": [1, 2],
    }

    def step() -> list[float]:
        state["tensor"].mul_(3)
        state["array"][:] *= 3
        state["list"].append(7)
        return [state["numpy"].random(), state["legacy"].rand(), state["python"].random(), state["tensor"].sum().item()]

    run = Run(step, state)
    replay = run.check_replay(2)
    assert replay.value, replay.sentence
    assert state["list"] == [1, 2]
    assert state["array"].tolist() == [1.0, 1.0]


def test_a_floating_tensor_can_be_replaced_in_a_snapshot() -> None:
    loop = Loop()
    run = Run(loop.step, loop.state)
    run.step()
    snapshot = run.snapshot()
    name = "optimizer.state.0.exp_avg"
    assert "net.0.weight" in snapshot.parameters()
    assert "net.1.running_mean" in set(snapshot.floats()) - snapshot.parameters()
    other = snapshot.replaced({name: snapshot.floats()[name] + 1})
    run.restore(other)
    torch.testing.assert_close(run.snapshot().floats()[name], snapshot.floats()[name] + 1)
    run.restore(snapshot)
    assert not snapshot.differences(run.snapshot())


def test_sgd_of_our_own_needs_no_state() -> None:
    x = torch.ones(2)
    opt = optim.Simultaneous(Game({"x": x}, lambda m, _: m["x"].square().sum()), SGD(0.1))
    assert Run(lambda: opt.step(None), [x, opt]).check_replay().value
