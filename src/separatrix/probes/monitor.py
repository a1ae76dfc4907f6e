"""The monitor: measurements along a run, within a share of its time, in a folder that survives a crash.

The monitored run is bitwise the run without a monitor: every measurement puts the state and the random streams back. Two ways
in: around a :class:`~separatrix.dynamics.Run`, whose steps the monitor makes; or around the optimizers of any loop, whose own
steps it counts by their hooks, so that not a line of the loop changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from separatrix.dynamics import Roles, Run
from separatrix.errors import ComputationError, InputError
from separatrix.probes.evidence import Effort, Evidence
from separatrix.probes.instruments import PREFIX, Instrument, instruments
from separatrix.probes.koopman import Recording, Sketch, slow_modes
from separatrix.probes.lent_run import lent_run
from separatrix.probes.loss_reading import read_losses_at
from separatrix.probes.record import Finding
from separatrix.probes.run_findings import findings_of
from separatrix.probes.run_folder import RunFolder, read_run

Log = Callable[[dict[str, float], int], None]
LIGHT = Effort(
    twin_steps=0, response_steps=30, own_steps=20, averaged=2, critical_steps=4, critic_steps=30, samples=256
)
ROWS = 400  # of the trace, for slow modes
ROWS_AN_INTERVAL = 10  # of the trace, between two rounds of measurements


class Monitor:
    """Measures along a run.

    Args:
        run: a Run; or the optimizers of a loop, ``{"G": opt_g, "D": opt_d}`` or one of them. Of a loop a step is over when the
            optimizer named last has stepped.
        every: steps between two rounds of measurements.
        budget: share of the training time that measurements may take. Each round takes as many as the budget has room for, and the
            next goes on with those that were left out; the first round takes one of each kind as soon as the budget has room for the
            time of the last.
        folder: of the run; ``None`` keeps nothing but what is logged.
        log: called with flat numbers and the step: ``log({"separatrix/critic/auc": 0.8}, 300)``.
        roles: for optimizers: what in the loop is what. A Run has its own.
        effort: how much is spent on each measurement.
        name: of the run, for its folder; that of the Run, or ``loop``.
        step: the step that training stands at; where the folder ends if ``None``, else 0.
        seed: of directions and draws.

    Raises:
        InputError: bad numbers, neither a Run nor optimizers, or a folder that holds something else.

    Example:
        >>> x = torch.ones(2, requires_grad=True)
        >>> opt = torch.optim.SGD([x], lr=0.1)
        >>> roles = Roles(losses=lambda batch: {"x": x.square().sum()}, data=[0])
        >>> with Monitor({"x": opt}, every=5, budget=1.0, roles=roles) as monitor:
        ...     for _ in range(10):
        ...         opt.zero_grad()
        ...         x.square().sum().backward()
        ...         _ = opt.step()
        >>> monitor.steps, monitor.findings
        (10, [])
    """

    def __init__(
        self,
        run: Run | torch.optim.Optimizer | Mapping[str, torch.optim.Optimizer],
        *,
        every: int = 100,
        budget: float = 0.05,
        folder: str | Path | None = None,
        log: Log | None = None,
        roles: Roles | None = None,
        effort: Effort = LIGHT,
        name: str | None = None,
        step: int | None = None,
        seed: int = 0,
    ) -> None:
        if every < 1 or not budget > 0:
            raise InputError(f"every must be at least 1 and budget positive, got every={every}, budget={budget}.")
        self.run, self._hooked = lent_run(run, roles, name)
        self.every, self.budget, self.seed = every, budget, seed
        self._log, self._effort = log, effort
        about = {
            "name": self.run.name,
            "every": every,
            "budget": budget,
            "players": list(self.run.roles.names),
            "started": time.time(),
        }
        self.folder = None if folder is None else RunFolder(folder, about)
        stood = 0 if self.folder is None else read_run(self.folder.place).step
        self.steps = stood if step is None else step
        self.evidence, self.findings = Evidence(), list[Finding]()
        self._moved: dict[str, list[Tensor]] = {}
        moved = self._moved if self._hooked else None
        self._instruments = instruments(self.run, effort, moved=moved, seed=seed)
        self._waiting: list[Instrument] = []
        self._cost: dict[str, float] = {}
        self._training = self._measuring = self._traced = 0.0
        self._tracing = True
        self._resumed: float | None = None
        self._failed: dict[str, str] = {}
        self._sketch: Sketch | None = None
        self._rows: list[tuple[int, Tensor]] = []
        self._handles: list[Any] = []
        self._busy = self._checked = False

    def __enter__(self) -> Monitor:
        self._resumed = time.perf_counter()
        if self._hooked:
            for player, optimizer in self.run.roles.optimizers.items():
                self._handles.append(optimizer.register_step_pre_hook(partial(self._before, player)))
                self._handles.append(optimizer.register_step_post_hook(partial(self._after, player)))
            self._handles.append(optimizer.register_step_post_hook(lambda *_: self.tick()))
        return self

    def _before(self, player: str, *_: Any) -> None:
        """Where a player stands, before a step after which it is measured."""
        if not self._busy and (self.steps + 1) % self.every == 0:
            self._moved[player] = [t.detach().clone() for t in self.run.roles.named_tensors(player).values()]

    def _after(self, player: str, *_: Any) -> None:
        if not self._busy and (self.steps + 1) % self.every == 0:
            stood = zip(self.run.roles.named_tensors(player).values(), self._moved[player], strict=True)
            self._moved[player] = [t.detach() - before for t, before in stood]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> Monitor:
        """The same as entering it with ``with``, for loops that one does not want to indent; ends with :meth:`close`."""
        return self.__enter__()

    def close(self) -> None:
        """Stop counting, and close the folder."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self.folder is not None:
            self.folder.close()
        self._resumed = None

    def step(self) -> Any:
        """One step of the Run, and whatever measurement is due; returns what the step returns.

        Raises:
            InputError: the monitor counts the steps of optimizers, or is not entered.
        """
        if self._hooked:
            raise InputError("this monitor counts the steps of a loop's optimizers; the loop makes them.")
        made = self.run.step()
        self.tick()
        return made

    def tick(self) -> None:
        """Count one step of training that was made elsewhere, and measure what is due."""
        if self._busy:  # own steps of a measurement
            return
        if self._resumed is None:
            raise InputError("a monitor counts between entering and leaving: with sx.Monitor(...) as monitor: ...")
        now = time.perf_counter()
        self._training += now - self._resumed
        self.steps += 1
        self._busy = True
        try:
            if self.steps % max(1, self.every // ROWS_AN_INTERVAL) == 0 and self._tracing:
                self._trace()
            if self.steps % self.every == 0:
                self._round()
        finally:
            self._busy = False
            self._resumed = time.perf_counter()
            self._measuring += self._resumed - now

    def _round(self) -> None:
        """Take the measurements that were left out before, then all others, as far as the budget goes."""
        self._waiting += [i for i in self._instruments if i not in self._waiting and i.name not in self._failed]
        begun, measured = time.perf_counter(), 0
        self._check_draws()
        while self._waiting:
            spent = self._measuring + time.perf_counter() - begun
            if spent + self._cost.get(self._waiting[0].name, 0.0) > self.budget * self._training:
                break
            self._take(self._waiting.pop(0))
            measured += 1
        if measured:
            self._judge()

    def _check_draws(self) -> None:
        """Losses that draw from something unknown would change the run by being read: then nothing is read."""
        roles = self.run.roles
        if self._checked or roles.losses is None or not roles.data:
            return
        self._checked = True
        try:
            with self.run.kept() as here:
                first, second = (read_losses_at(self.run, here, roles.data[:1], self.seed) for _ in range(2))
        except (ComputationError, InputError):
            return  # told by the measurements
        if first != second:
            why = (
                "the losses give other values from the same state, so they use something that the monitor does not know; reading "
                "them could change the run. List it in the state of a Run, or let them draw from the global streams"
            )
            self._failed |= {instrument.name: why for instrument in self._instruments}
            self._waiting = []
            self._write("losses", {}, 0.0, f"Nothing is measured: {why}.")

    def _take(self, instrument: Instrument) -> None:
        begun = time.perf_counter()
        try:
            with self.run.kept():
                found = instrument.measure()
        except (ComputationError, InputError) as error:
            self._failed[instrument.name] = str(error)
            self._write(instrument.name, {}, time.perf_counter() - begun, f"Left out from here on: {error}")
            return
        self._cost[instrument.name] = time.perf_counter() - begun
        if instrument.evidence:
            self.evidence = replace(self.evidence, **{instrument.evidence: found})
        self._write(instrument.name, instrument.numbers(found), self._cost[instrument.name], instrument.tell(found))

    def _write(self, name: str, numbers: dict[str, float], seconds: float, sentence: str) -> None:
        if self.folder is not None:
            line = {"step": self.steps, "name": name, "numbers": numbers, "seconds": seconds, "time": time.time()}
            self.folder.add("numbers", {**line, "sentence": sentence})
        if self._log is not None and numbers:
            self._log(numbers, self.steps)

    def _judge(self) -> None:
        self._follow()
        self.findings = findings_of(self.evidence)
        codes = {f"{PREFIX}/finding/{f.code}": 1.0 for f in self.findings}
        if self.folder is not None:
            self.folder.add("findings", {"step": self.steps, "findings": [vars(f) for f in self.findings]})
        if self._log is not None and codes:
            self._log(codes, self.steps)

    def _trace(self) -> None:
        """One row of the recorded path: all trainable tensors in a random projection."""
        groups = self._groups()
        if self._sketch is None:
            self._sketch = Sketch(groups, seed=self.seed)
        begun = time.perf_counter()
        row = self._sketch(groups)
        self._traced += time.perf_counter() - begun
        # Rows must come at even steps, so they are given up altogether where they would eat up the budget.
        self._tracing = len(self._rows) < 10 or self._traced < self.budget * self._training / 2
        if not bool(torch.isfinite(row).all()):
            return
        self._rows = [*self._rows[-ROWS:], (self.steps, row)]
        if self.folder is not None:
            self.folder.add("trace", {"step": self.steps, "row": row.tolist()})

    def _groups(self) -> dict[str, dict[str, Tensor]]:
        roles = self.run.roles
        if roles.names:
            return {player: roles.named_tensors(player) for player in roles.names}
        at = self.run.snapshot()
        live, learning = at.live_tensors(), at.parameters()
        return {"state": {p: t for p, t in live.items() if t.is_floating_point() and (p in learning or not learning)}}

    def _follow(self) -> None:
        """The slow modes of the path so far; without second futures, so with the noise in their residuals."""
        if self._sketch is None or len(self._rows) < 60:
            return
        begun, rows = time.perf_counter(), [row for _, row in self._rows]
        every = self._rows[1][0] - self._rows[0][0]
        try:
            found = slow_modes(Recording(torch.stack(rows), None, every, tuple(self._sketch.columns), 0))
        except InputError:  # it stands still
            return
        self.evidence = replace(self.evidence, modes=found)
        turn = found.turning
        numbers = {} if turn is None else {"period": turn.period, "kept": turn.kept, "share": turn.share[""]}
        flat = {f"{PREFIX}/slow_modes/{key}": value for key, value in numbers.items()}
        self._write("slow_modes", flat, time.perf_counter() - begun, found.sentence)
