"""Monitors: bitwise the same run, within the budget, in a folder that survives kill -9 and can be read meanwhile."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from separatrix.dynamics import Roles, Run
from separatrix.errors import InputError
from separatrix.probes import Monitor
from separatrix.probes.evidence import Effort
from separatrix.probes.run_folder import RunFolder, lines, read_run

SMALL = Effort(
    twin_steps=0, response_steps=2, own_steps=2, averaged=2, critical_steps=1, critic_steps=2, samples=32, recorded=0
)


class Loop:
    """An ordinary GAN loop with BatchNorm, dropout, a scheduler and a generator of its own."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.g = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
        self.d = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(), nn.Dropout(0.2), nn.Linear(8, 1))
        self.opts = {
            n: torch.optim.Adam(m.parameters(), lr=1e-2, betas=(0.5, 0.9)) for n, m in (("D", self.d), ("G", self.g))
        }
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.opts["G"], 5, 0.9)
        self.generator = torch.Generator().manual_seed(3)
        self.data = torch.randn(64, 2) + 1

    def losses(self, real: Tensor) -> dict[str, Any]:
        fake = self.g(torch.randn(len(real), 2, generator=self.generator))
        return {
            "D": {"real": softplus(-self.d(real)).mean(), "fake": softplus(self.d(fake.detach())).mean()},
            "G": softplus(-self.d(fake)).mean(),
        }

    def step(self) -> float:
        real = self.data[torch.randint(64, (16,))]
        for name in ("D", "G"):
            found = self.losses(real)[name]
            loss = sum(found.values()) if isinstance(found, dict) else found
            self.opts[name].zero_grad()
            loss.backward()
            self.opts[name].step()
        self.scheduler.step()
        return float(loss.detach())

    @property
    def roles(self) -> Roles:
        return Roles(
            optimizers=self.opts,
            players={"D": self.d, "G": self.g},
            losses=lambda real: self.losses(real),
            data=[self.data[:16], self.data[16:32]],
            critic=self.d,
            critic_player="D",
            real=self.data[:32],
            real_held_out=self.data[32:],
            generated=lambda: self.g(torch.randn(32, 2)),
            score=lambda: float(self.g(torch.zeros(4, 2)).detach().sum()),
        )

    @property
    def run(self) -> Run:
        state = [self.g, self.d, self.opts, self.scheduler, self.generator]
        return Run(self.step, state, roles=self.roles, name="loop")


def picture(loop: Loop) -> list[Tensor]:
    tensors = [*loop.g.state_dict().values(), *loop.d.state_dict().values(), loop.generator.get_state(), torch.rand(3)]
    moments = [v for o in loop.opts.values() for s in o.state_dict()["state"].values() for v in s.values()]
    return [t.clone() for t in (*tensors, *moments)]


@pytest.mark.parametrize("way", ["run", "optimizers"])
def test_the_monitored_run_is_bitwise_the_run_without_a_monitor(way: str, tmp_path: Path) -> None:
    plain = Loop()
    bare = [plain.step() for _ in range(24)]
    expected_picture = picture(plain)
    watched = Loop()
    logged: list[tuple[dict[str, float], int]] = []
    options: dict[str, Any] = {
        "every": 8,
        "budget": 1e6,
        "folder": tmp_path / "run",
        "log": lambda numbers, step: logged.append((numbers, step)),
        "effort": SMALL,
    }
    if way == "run":
        with Monitor(watched.run, **options) as monitor:
            made = [monitor.step() for _ in range(24)]
    else:
        with Monitor(watched.opts, roles=watched.roles, **options) as monitor:
            made = [watched.step() for _ in range(24)]
    assert made == bare
    assert all(torch.equal(a, b) for a, b in zip(expected_picture, picture(watched), strict=True))
    assert monitor.steps == 24
    names = {name.split("/")[1] for numbers, _ in logged for name in numbers}
    expected = {"score", "critic", "update_shares", "trade_offs", "critic_room", "update_noise", "best_response"}
    assert expected <= names
    assert ("critical_step" in names) is (way == "run")
    assert all(name.startswith("separatrix/") for numbers, _ in logged for name in numbers)
    assert {step for _, step in logged} == {8, 16, 24}
    found = read_run(tmp_path / "run")
    assert found.step == 24
    assert found.findings is not None
    assert set(found.latest()) >= expected
    shares = found.latest()["update_shares"].numbers
    assert shares["separatrix/update_shares/D/relative_step"] > 0
    assert shares["separatrix/update_shares/D/share/real"] + shares[
        "separatrix/update_shares/D/share/fake"
    ] == pytest.approx(1.0)
    assert len(lines(tmp_path / "run", "trace")) == 24
    assert len(found.series()["separatrix/critic/auc"]) == 3


def test_measurements_stay_within_the_budget(tmp_path: Path) -> None:
    loop = Loop()

    def slow() -> None:
        time.sleep(0.004)
        loop.step()

    run = Run(slow, loop.run.state, roles=loop.roles)
    with Monitor(run, every=20, budget=0.4, folder=tmp_path / "a", effort=SMALL) as monitor:
        for _ in range(100):
            monitor.step()
    seconds = [m.seconds for m in read_run(tmp_path / "a").measured]
    assert seconds
    assert sum(seconds) <= 0.4 * monitor._training + max(seconds)
    with Monitor(run, every=5, budget=1e-9, folder=tmp_path / "b", effort=SMALL) as monitor:
        for _ in range(20):
            monitor.step()
    assert len(read_run(tmp_path / "b").measured) == 0


SCRIPT = """
import sys
sys.path.insert(0, {here!r})
import torch
torch.set_num_threads(1)
from test_monitor import SMALL, Loop
from separatrix.probes import Monitor
loop = Loop()
with Monitor(loop.run, every=4, budget=1e6, folder={folder!r}, effort=SMALL) as monitor:
    while True:
        monitor.step()
"""


def test_kill_9_loses_nothing_finished_and_the_folder_is_read_while_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    script = SCRIPT.format(here=str(Path(__file__).parent), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    deadline, seen = time.monotonic() + 120, 0
    while time.monotonic() < deadline and seen < 12:
        time.sleep(0.05)
        if (folder / "run.json").exists():
            seen = len(read_run(folder).measured)  # while it is being written
    before = read_run(folder).measured
    os.killpg(process.pid, signal.SIGKILL)  # started here, with a session of its own
    process.wait()
    after = read_run(folder)
    assert seen >= 12
    assert after.measured[: len(before)] == before
    # A line that was torn, as a crash may leave it; the next writer goes on behind it.
    with (folder / "numbers.jsonl").open("a") as file:
        file.write('{"step": 99, "na')
    assert read_run(folder).measured == after.measured
    loop = Loop()
    with Monitor(loop.run, every=4, budget=1e6, folder=folder, effort=SMALL) as monitor:
        assert monitor.steps == after.step
        for _ in range(8):
            monitor.step()
    more = read_run(folder)
    assert more.measured[: len(after.measured)] == after.measured
    assert len(more.measured) > len(after.measured)
    assert more.step >= after.step + 8 - 4


def test_a_measurement_that_fails_is_left_out_and_told_and_training_goes_on(tmp_path: Path) -> None:
    loop = Loop()
    roles = replace(loop.roles, critic=lambda x: x.sum())
    run = Run(loop.step, loop.run.state, roles=roles)
    with Monitor(run, every=4, budget=1e6, folder=tmp_path / "run", effort=SMALL) as monitor:
        for _ in range(8):
            monitor.step()
    told = [m for m in read_run(tmp_path / "run").measured if m.name == "critic"]
    assert len(told) == 1
    assert told[0].sentence.startswith("Left out from here on: critic(samples) must return one score a sample")
    assert "separatrix/score/value" in read_run(tmp_path / "run").series()


def test_losses_that_draw_from_something_unknown_are_not_read(tmp_path: Path) -> None:
    loop, hidden = Loop(), iter(range(10_000))
    roles = replace(loop.roles, losses=lambda real: {"G": loop.g(real).sum() * next(hidden)})
    with Monitor(loop.opts, roles=roles, every=2, budget=1e6, folder=tmp_path / "run", effort=SMALL):
        for _ in range(4):
            loop.step()
    told = read_run(tmp_path / "run").measured
    assert [m.name for m in told] == ["losses"]
    assert "Nothing is measured: the losses give other values from the same state" in told[0].sentence


def test_an_exception_of_the_user_s_ends_the_monitor_cleanly() -> None:
    loop = Loop()
    loop.data = torch.zeros(3, 5)
    with pytest.raises(IndexError), Monitor(loop.opts, roles=loop.roles, every=2):
        loop.step()
    assert not any(o._optimizer_step_post_hooks or o._optimizer_step_pre_hooks for o in loop.opts.values())


def test_rotation_is_followed_along_the_run(tmp_path: Path) -> None:
    x, y = torch.tensor([1.0], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64)

    def step() -> None:
        dx, dy = -0.1 * y, 0.1 * x
        x.add_(dx).mul_(1 / 1.01**0.5)
        y.add_(dy).mul_(1 / 1.01**0.5)

    run = Run(step, {"x": x, "y": y}, roles=Roles(players={"x": x, "y": y}))
    with Monitor(run, every=100, budget=1e6, folder=tmp_path / "run") as monitor:
        for _ in range(2000):
            monitor.step()
    # No instrument can be used without losses, so nothing was judged; the trace is there.
    assert monitor.findings == []
    assert len(lines(tmp_path / "run", "trace")) == 200
    scored = Run(step, {"x": x, "y": y}, roles=Roles(players={"x": x, "y": y}, score=lambda: float(x * x + y * y)))
    with Monitor(scored, every=100, budget=1e6, folder=tmp_path / "scored") as monitor:
        for _ in range(1500):
            monitor.step()
    (rotation,) = monitor.findings
    assert rotation.code == "undamped-rotation"
    series = read_run(tmp_path / "scored").series()
    assert series["separatrix/slow_modes/period"][-1][1] == pytest.approx(2 * torch.pi / 0.0996687, rel=1e-3)


def test_folders_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    RunFolder(tmp_path / "a", {"name": "one"})
    with pytest.raises(InputError, match="holds the run 'one', not 'two'"):
        RunFolder(tmp_path / "a", {"name": "two"})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="holds other files and no run"):
        RunFolder(tmp_path / "b", {"name": "one"})
    with pytest.raises(InputError, match="no folder of a monitored run"):
        read_run(tmp_path / "b")
    (tmp_path / "a" / "run.json").write_text(json.dumps({"version": 99}))
    with pytest.raises(InputError, match="another version"):
        read_run(tmp_path / "a")


def test_what_cannot_be_monitored_is_named() -> None:
    loop = Loop()
    with pytest.raises(InputError, match="every must be at least 1"):
        Monitor(loop.run, every=0)
    with pytest.raises(InputError, match="takes a Run, or optimizers by player, got Linear"):
        Monitor(nn.Linear(1, 1))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a Run has its own roles"):
        Monitor(loop.run, roles=loop.roles)
    with pytest.raises(InputError, match="between entering and leaving"):
        Monitor(loop.run).step()
    with (
        pytest.raises(InputError, match="the loop makes them"),
        Monitor(loop.opts["D"], roles=Roles()) as monitor,
    ):
        monitor.step()
