"""What :func:`advise` found, as a table, a sentence for each method, and plain data."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from separatrix.dynamics import Comparison, HalfLife, Method
from separatrix.errors import InputError
from separatrix.probes.advice_row import Candidate, finite, multiple, race_lines, range_words, row_data
from separatrix.probes.advise_candidates import fresh, with_step
from separatrix.probes.advise_ranking import tied
from separatrix.probes.numbers import growth_percent, number, times
from separatrix.probes.record import save_by_suffix


@dataclass(frozen=True, repr=False)
class Advice:
    """What each method is likely to do here, best first; ``str()`` is a table, a notebook shows it as one.

    Attributes:
        problem: its name.
        candidates: by predicted growth per gradient, those without a prediction last.
        running: the name of the method that runs.
        exact: every mode is in the model; otherwise all is about the resolved ones.
        modes: how many modes the model holds; ``growing`` of them grow in the flow itself and ``neutral`` are too slow to
            count in ``remaining`` steps; both are left out.
        growing, neutral, remaining: see above.
        horizon: how far the linear picture is to be trusted, in words and steps.
        horizon_steps: the same; ``None`` where it was not measured.
        point: what kind of point it is to the players, in words.
        half_life: of an average that removes the rotations of the method that runs; ``None`` without a prediction.
        outside: how much of the noise leads out of the model, 0 to 1; ``None`` where no draws were sampled.
        draws: how many minibatches were sampled.
        race: the leading methods tried, at equal cost: the last round of it; ``None`` without one.
        raced: which lane is which candidate, and at which multiple of the present step.
        pick: the lane that won, or the candidate that leads where there was no race.
        costs: gradient-equivalents by part.
        notes: what is missing, and why.
        heats: the rounds of the race before the last one.
    """

    problem: str
    candidates: tuple[Candidate, ...]
    running: str
    exact: bool
    modes: int
    growing: int
    neutral: int
    remaining: int
    horizon: str
    horizon_steps: int | None
    point: str
    half_life: HalfLife | None
    outside: float | None
    draws: int
    race: Comparison | None
    raced: Mapping[str, tuple[str, float]]
    pick: str
    costs: Mapping[str, float]
    notes: tuple[str, ...] = field(default=())
    heats: tuple[Comparison, ...] = field(default=())

    def __getitem__(self, name: str) -> Candidate:
        for row in self.candidates:
            if row.name == name:
                return row
        raise InputError(f"no candidate {name!r} in this advice; there are {[row.name for row in self.candidates]}.")

    @property
    def method(self) -> Method:
        """The picked method at the picked step, with fresh bases: to be trained with, on the problem of :attr:`remedy`."""
        name, step = self.raced.get(self.pick, (self.pick, 1.0))
        chosen = self[name]
        if not self.raced and chosen.steps is not None and chosen.steps.best is not None:
            step = chosen.steps.best
        return with_step(fresh(chosen.method), step)

    @property
    def remedy(self) -> str:
        """The picked candidate's remedy; empty for the problem as it is."""
        return self[self.raced.get(self.pick, (self.pick, 1.0))[0]].remedy

    @property
    def sentence(self) -> str:
        """What to try first, in words."""
        if self.race is not None:
            name, step = self.raced[self.pick]
            at = "the present step" if step == 1 else f"{multiple(step)} times the present step"
            lasted = (
                f"in the last of {len(self.heats) + 1} rounds of the race"
                if self.heats
                else "in the race; what leads early may fail later, which rounds=3 would tell"
            )
            did = "it did best" if len(tied(self.race)) < 2 else "no lane did better"
            return f"Try {name} at {at}: {did} {lasted}."
        known = [row for row in self.candidates if row.steps is not None and row.steps.best is not None]
        if not known:
            return "No method has a safe step here that could be predicted; race a few: advise(problem, race=100)."
        top = known[0]
        assert top.steps is not None
        assert top.steps.best is not None
        what = (
            "The linear picture does not hold for a single step here, so this is a guess to be tried"
            if self.horizon_steps == 0
            else "A prediction is a ranking to be tried"
        )
        edge = (
            "" if top.steps.edge is None else f"This lies at the border of its safe steps, {range_words(top.steps)}. "
        )
        return (
            f"Try {top.name} first, at {multiple(top.steps.best)} times the present step: {growth_percent(top.growth)} per gradient is "
            f"predicted. {edge}{what}: advise(problem, race=100) tries it."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data that ``json.dumps`` takes; what is not finite or was not measured is ``None``."""
        return {
            "version": 1,
            "problem": self.problem,
            "sentence": self.sentence,
            "running": self.running,
            "exact": self.exact,
            "modes": self.modes,
            "growing": self.growing,
            "neutral": self.neutral,
            "remaining": self.remaining,
            "horizon": {"sentence": self.horizon, "steps": self.horizon_steps},
            "point": self.point,
            "half_life": None
            if self.half_life is None
            else {"value": self.half_life.value, "sentence": self.half_life.sentence},
            "noise": None if self.outside is None else {"draws": self.draws, "outside": self.outside},
            "rows": [row_data(row) for row in self.candidates],
            "race": None if self.race is None else finite(self.race.to_dict()),
            "heats": [finite(heat.to_dict()) for heat in self.heats],
            "raced": {lane: {"candidate": name, "step": step} for lane, (name, step) in self.raced.items()},
            "pick": self.pick,
            "costs": dict(self.costs),
            "notes": list(self.notes),
        }

    def save(self, path: str | Path) -> Path:
        """Write it by suffix, whole or not at all: ``.html``, ``.json``, ``.md``, or its figures as ``.png`` or ``.svg``.

        Raises:
            InputError: another suffix, or a folder that does not exist.
        """
        return save_by_suffix(self, path, WRITERS, "advice")

    def markdown(self) -> str:
        """The same as Markdown."""
        head, *rows = ([cell.replace("|", "\\|") for cell in row] for row in self._table())
        lines = [
            f"# Advice for {self.problem}",
            "",
            self.sentence,
            "",
            "| " + " | ".join(head) + " |",
            "|" + " --- |" * len(head),
        ]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        lines += ["", *(f"- **{row.name}**: {row.why}" for row in self.candidates), ""]
        if self.race is not None:
            lines += ["## Race", "", "```text", *race_lines(self.race), "```", ""]
        return "\n".join([*lines, *(f"{line}\n" for _, line in self.remarks())])

    def _table(self) -> list[tuple[str, ...]]:
        noisy = self.outside is not None
        head = ("method", "safe steps", "best", "growth per gradient", "at present", "transient")
        rows: list[tuple[str, ...]] = [head + (("floor",) if noisy else ())]
        for row in self.candidates:
            s = row.steps
            if s is None:
                rows.append((row.name, "no prediction", *["–"] * (len(rows[0]) - 2)))
                continue
            cells = (
                row.name + (" *" if row.name == self.running else ""),
                range_words(s),
                "–" if s.best is None else multiple(s.best),
                "–" if s.best is None else growth_percent(row.growth),
                growth_percent(s.present) if isfinite(s.present) else "not resolved",
                "–" if row.transient is None else f"× {times(row.transient.value)}",
            )
            rows.append(cells + ((("–" if row.noise is None else number(row.noise.floor)),) if noisy else ()))
        return rows

    def remarks(self) -> list[tuple[str, str]]:
        """What else there is to say, each with what it is about: ``scope``, ``noise``, ``trust horizon``, ``point``, ``average``,
        ``note``, ``cost``."""
        scope = f"{self.modes} modes" + (
            "" if self.exact else ", the leading ones; slower ones may contract less than the table says"
        )
        left = [
            f"{n} {what}"
            for n, what in (
                (self.growing, "grow in the flow itself"),
                (self.neutral, f"are too slow to count in {self.remaining} steps"),
            )
            if n
        ]
        said = [
            ("scope",
            "Steps are multiples of the present one; growth is that of the slowest mode at the best step, per gradient-equivalent"
            + (", of the root mean square" if self.outside is not None else "")
            + f". {scope}" + (f"; left out: {' and '.join(left)}" if left else "") + ".")
        ]  # fmt: skip
        if self.outside is not None:
            noise = (
                f"Noise: {self.draws} minibatches; {self.outside:.0%} of how their Jacobians differ leads out of the model, and what comes "
                "back from there is not seen. The floor is the distance from rest that noise keeps up at the best step."
            )
            said.append(("noise", noise))
        said += [(name, text) for name, text in (("trust horizon", self.horizon), ("point", self.point)) if text]
        if self.half_life is not None and self.half_life.value > 0:
            said.append(("average", f"Average: {self.half_life.sentence}"))
        said += [("note", note) for note in self.notes]
        spent = ", ".join(f"{part} {number(value)}" for part, value in self.costs.items())
        return [*said, ("cost", f"Cost in gradient-equivalents: {spent}.")]

    def __str__(self) -> str:
        rows = self._table()
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        table = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        raced = [] if self.race is None else ["", *race_lines(self.race)]
        whys = [f"{row.name}: {row.why}" for row in self.candidates]
        return "\n".join([self.sentence, "", *table, *raced, "", *whys, "", *(text for _, text in self.remarks())])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return VIEWS["html"](self)


# The report room adds pages, pictures and a better cell when it is imported; a room never imports one below it.
WRITERS: dict[str, Callable[[Advice], str | bytes]] = {
    ".json": lambda advice: json.dumps(advice.to_dict(), indent=1, allow_nan=False),
    ".md": Advice.markdown,
}
VIEWS: dict[str, Callable[[Advice], str]] = {"html": lambda advice: f"<pre>{html.escape(str(advice))}</pre>"}
