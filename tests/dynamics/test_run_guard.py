"""Steps that do not finish, states that change or do not fit, roles; and that emulated mixed precision replays."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from separatrix.dynamics import Roles, Run, Snapshot, room
from separatrix.errors import InputError


def test_a_loop_in_emulated_half_precision_with_a_scaler_an_average_and_a_scheduler_replays_bitwise() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=50)
    average = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)

    def step() -> Tensor:
        x = torch.randn(12, 6)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = (net(x).float() - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        average.update_parameters(net)
        return loss.detach()

    run = Run(step, [net, optimizer, scheduler, average, scaler])
    for _ in range(4):
        assert run.check_replay(3).value
        run.step()
    assert scaler.get_scale() > 8.0


@pytest.mark.parametrize("kind", ["generator", "coroutine"])
def test_a_step_whose_call_makes_no_step_is_refused(kind: str) -> None:
    def generator() -> Iterator[int]:
        yield 1

    async def coroutine() -> None:
        pass

    given: Any = {"generator": generator, "coroutine": coroutine}[kind]
    with pytest.raises(InputError, match=r"calling it makes no step; give"):
        Run(given, {})


def test_a_step_that_runs_out_of_data_is_told_so() -> None:
    data, x = iter([1.0]), torch.zeros(1)
    run = Run(lambda: x.add_(next(data)), {"x": x}, name="loop")
    run.step()
    with pytest.raises(InputError, match="step of 'loop' ran out of data"):
        run.step()


def test_a_step_that_does_not_return_is_stopped_and_the_place_is_named() -> None:
    x = torch.zeros(1)

    def step() -> None:
        x.add_(1)
        while True:
            time.sleep(0.01)

    run = Run(step, {"x": x}, time_limit=0.1)
    with pytest.raises(InputError, match=r"did not return within 0.1 s; it stood at .*test_run_guard.py:\d+"):
        run.check_replay()
    assert x.item() == 0.0
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
    with pytest.raises(InputError, match="time_limit must be positive"):
        Run(step, {"x": x}, time_limit=0.0)


def a_growing(kind: str) -> tuple[Run, nn.Module]:
    net = nn.Sequential(nn.Linear(2, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def step() -> None:
        with torch.no_grad():
            net[0].bias.add_(1)
        if kind == "module":
            net.append(nn.Linear(2, 2))
        elif kind == "shape":
            net[0].weight = nn.Parameter(torch.zeros(3, 2))
        elif kind == "gone":
            del net[0].weight
        elif kind == "group":
            optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))]})

    return Run(step, {"net": net, "optimizer": optimizer}), net


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("module", r"parameter net\.1\.weight is new"),
        ("shape", r"parameter net\.0\.weight of shape \(2, 2\) has the shape \(3, 2\)"),
        ("gone", r"parameter net\.0\.weight of shape \(2, 2\) is gone"),
        ("group", r"optimizer cannot be put back"),
    ],
)
def test_a_state_that_changes_its_structure_is_named(kind: str, words: str) -> None:
    run, _ = a_growing(kind)
    with pytest.raises(InputError, match=words + ".*changed its structure"):
        run.check_replay()


def test_what_kept_its_structure_is_put_back_before_the_complaint() -> None:
    run, net = a_growing("group")
    before = net[0].bias.detach().clone()  # type: ignore[index, union-attr, operator]
    with pytest.raises(InputError), run.kept():
        run.step()
    assert torch.equal(net[0].bias.detach(), before)  # type: ignore[index, union-attr, arg-type]


def test_a_state_that_is_too_large_is_refused_with_its_size_before_anything_is_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = nn.Linear(1000, 500)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 1000)).sum().backward()
    optimizer.step()
    monkeypatch.setattr(room, "free_on_host", lambda: 3_000_000)
    with pytest.raises(
        InputError, match=r"8.02 MB a copy and the host has 3 MB free.*largest parts: net 4.01 MB|opt 4"
    ):
        Run(lambda: None, {"net": net, "opt": optimizer})


def test_copies_lie_on_the_host_where_an_accelerator_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    class OnDevice(Tensor):
        """A tensor that says it lies elsewhere."""

        @property
        def device(self) -> str:  # type: ignore[override]
            return "cuda:0"

    x = torch.ones(1000).as_subclass(OnDevice)
    monkeypatch.setattr(room, "free_on_device", lambda device: 9000)
    assert not room.plan({"x": x})
    monkeypatch.setattr(room, "free_on_device", lambda device: 7000)
    assert room.plan({"x": x})
    monkeypatch.setattr(room, "free_on_host", lambda: 100)
    with pytest.raises(InputError, match="4 kB a copy"):
        room.plan({"x": x})


def test_a_copy_on_the_host_is_put_back_like_any_other() -> None:
    from separatrix.dynamics.snapshot import _Reader
    from separatrix.dynamics.streams import Streams

    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(net.parameters())
    state = {"net": net, "optimizer": optimizer}
    net(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    away = Snapshot(tuple(_Reader(offload=True).read("", state)), Streams.now())
    here = Snapshot.of(state)
    assert not away.differences(here)
    optimizer.step()
    net(torch.randn(4, 3))
    assert here.differences(Snapshot.of(state))
    away.restore()
    assert not here.differences(Snapshot.of(state))


def test_live_tensors_are_found_in_a_snapshot() -> None:
    net, x = nn.Linear(2, 1), torch.zeros(3)
    found = Snapshot.of({"net": net, "more": [x, net]})
    assert found.paths_of([net.bias, x, torch.zeros(1)]) == ["more.0", "net.bias"]


def test_roles_tell_whose_tensors_are_whose() -> None:
    net, other, raw = nn.Linear(2, 1), nn.Linear(1, 1), torch.zeros(2)
    other.bias.requires_grad_(False)
    opt = torch.optim.SGD([{"params": [net.weight]}, {"params": [net.bias]}], lr=0.1)
    roles = Roles(optimizers={"a": opt}, players={"b": [other, raw], "c": {"x": raw}})
    assert roles.names == ("b", "c", "a")
    assert list(roles.named_tensors("a")) == ["0.0", "1.0"]
    assert list(roles.named_tensors("b")) == ["0.weight", "1"]
    assert roles.named_tensors("c")["x"] is raw
    with pytest.raises(InputError, match=r"no player 'z'; the roles name \['b', 'c', 'a'\]"):
        roles.named_tensors("z")
    with pytest.raises(InputError, match="needs to know losses and data: give"):
        roles.needs("a critical step", "losses", "data", "optimizers")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"losses": 3}, "'losses' must be a function, got int"),
        ({"data": torch.zeros(3)}, r"'data' is a list of batches, got Tensor; give \[batch"),
        ({"better": "best"}, "'higher' or 'lower', got 'best'"),
        ({"optimizers": {"a": 1}}, "optimizer of player 'a' is a int"),
        ({"critic_player": "D"}, "critic_player 'D' is none of"),
    ],
)
def test_roles_that_do_not_fit_are_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Roles(**given)


def test_who_holds_a_gradient_a_group_or_a_moment_still_holds_the_right_one() -> None:
    net, raw = nn.Linear(3, 2), torch.ones(2, requires_grad=True)
    optimizer = torch.optim.Adam([*net.parameters(), raw])
    (net(torch.ones(1, 3)).sum() + raw.sum()).backward()
    optimizer.step()
    held = (
        net.weight.grad,
        raw.grad,
        optimizer.param_groups[0],
        optimizer.state[net.weight]["exp_avg"],
        optimizer.state[raw]["step"],
    )
    values = [t.clone() for t in held if isinstance(t, Tensor)]
    run = Run(lambda: None, [net, raw, optimizer])
    with run.kept():
        optimizer.param_groups[0]["lr"] = 5.0
        optimizer.param_groups[0]["extra"] = 1
        optimizer.zero_grad()
        (net(torch.ones(1, 3)).sum() + raw.sum()).backward()
        optimizer.step()
        optimizer.state[raw]["other"] = torch.zeros(1)
    assert net.weight.grad is held[0]
    assert raw.grad is held[1]
    assert optimizer.param_groups[0] is held[2]
    assert optimizer.state[net.weight]["exp_avg"] is held[3]
    assert optimizer.state[raw]["step"] is held[4]
    assert all(torch.equal(a, b) for a, b in zip([t for t in held if isinstance(t, Tensor)], values, strict=True))
    assert optimizer.param_groups[0]["lr"] == 1e-3
    assert "extra" not in optimizer.param_groups[0]
    assert "other" not in optimizer.state[raw]


def test_an_optimizer_before_its_first_step_has_no_state_afterwards() -> None:
    net = nn.Linear(3, 2)
    optimizer = torch.optim.RMSprop(net.parameters(), momentum=0.9)
    run = Run(lambda: None, [net, optimizer])
    with run.kept():
        net(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        assert optimizer.state
    assert not optimizer.state
    assert net.weight.grad is None
