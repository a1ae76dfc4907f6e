"""Update noise: do a player's own steps on single batches do what the same steps on averaged batches would?

The noise scale is ``tr(P cov g) / |E g|_P^2``, the number of batches whose mean gradient has as much noise as signal
[mccandlish2018, eq. 2.9, in batches and in the optimizer's metric]. It grows without bound where a loss is at its minimum, so it
decides nothing by itself. What decides: a number of own steps, the others standing still, once on averaged gradients and
several times on single batches, drawn anew each time. The averaged steps are also made at a tenth and a hundredth of the rate: where those
gain more, the step is too long, and not the noise too loud.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan

import torch
from torch import Tensor

from separatrix.dynamics import Run
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields.batches import copied
from separatrix.fields.surroundings import frozen_randomness
from separatrix.probes.loss_reading import paths_by_player, read_losses_at, silenced, summed
from separatrix.probes.numbers import number
from separatrix.probes.optimizer_metric import step_scales
from separatrix.probes.own_steps import own_loss, own_steps

SLOWER = (0.1, 0.01)


@dataclass(frozen=True)
class UpdateNoise:
    """One player's noise.

    Attributes:
        player: whose.
        batches: at which noise equals signal; infinite where no signal was found.
        potential: what the steps gain with gradients averaged over ``averaged`` batches and draws.
        gains: of the same steps on single batches and draws, one a repeat.
        slower: what the averaged steps gain at smaller multiples of the learning rates.
        loss: before.
        flat_loss: of the player with all its tensors zero, which says nothing; not a number where that cannot be read.
        steps, averaged: as above.
    """

    player: str
    batches: float
    potential: float
    gains: tuple[float, ...]
    slower: dict[float, float]
    loss: float
    flat_loss: float
    steps: int
    averaged: int

    @property
    def scale(self) -> float:
        """What changes of the loss are measured against: its size, or that of a player that says nothing, the larger."""
        return max(abs(self.loss), abs(self.flat_loss) if isfinite(self.flat_loss) else 0.0)

    @property
    def mean(self) -> float:
        """Of the gains."""
        return sum(self.gains) / len(self.gains)

    @property
    def spread(self) -> float:
        """Standard deviation of the gains over the repeats."""
        values = torch.tensor(self.gains, dtype=torch.float64)
        return float(values.std()) if len(values) > 1 else float("nan")

    @property
    def sentence(self) -> str:
        """The same in words."""
        return (
            f"{self.player!r}: {self.steps} own steps gain {number(self.potential)} with {self.averaged} batches averaged, and "
            f"{number(self.mean)} with a spread of {number(self.spread, 2)} on single ones; noise equals signal at "
            f"{number(self.batches, 2)} batches."
        )


def update_noise(
    run: Run,
    *,
    steps: int = 20,
    repeats: int = 5,
    averaged: int = 8,
    rates: Sequence[float] = SLOWER,
    players: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, UpdateNoise]:
    """The noise in each player's updates where the run stands; it is put back there.

    Args:
        run: with the roles ``losses``, ``data`` (batches of the size that is trained on) and optimizers.
        steps: own steps of each player.
        repeats: times on single batches.
        averaged: batches and draws in an averaged gradient.
        rates: smaller multiples of the learning rates to try on averaged gradients.
        players: whose; all with an optimizer where ``None``.
        seed: of the draws.

    Raises:
        InputError: a role is missing, a player without an optimizer, or bad numbers.

    Cost: ``steps (averaged (1 + |rates|) + repeats) + averaged`` gradients a player.
    """
    if steps < 1 or repeats < 2 or averaged < 2:
        raise InputError(f"steps must be at least 1, repeats and averaged 2, got {steps}, {repeats} and {averaged}.")
    run.roles.needs("update noise", "losses", "data", "optimizers")
    found = {}
    with run.kept() as start:
        wanted = tuple(run.roles.optimizers) if players is None else tuple(players)
        for player in paths_by_player(run, start, wanted):
            if player not in run.roles.optimizers:
                raise InputError(f"player {player!r} has no optimizer in the roles; update noise is that of its steps.")
            batches = _noise_scale(run, player, averaged, seed)

            def value(player: str = player) -> float:
                return summed(read_losses_at(run, run.snapshot(), run.roles.data, seed, [player])).get(player, nan)

            run.restore(silenced(run, start, player))
            try:
                flat = value()
            except (InputError, NonFiniteError):
                flat = nan
            run.restore(start)
            before = value()

            def gain(averaged: int, rate: float, draw: int, player: str = player, before: float = before) -> float:
                run.restore(start)
                try:
                    own_steps(
                        run,
                        player,
                        steps,
                        loss=own_loss(player),
                        rate=rate,
                        averaged=averaged,
                        shuffled=averaged == 1,
                        seed=draw,
                    )
                    return before - value()
                except NonFiniteError:
                    return -inf

            potential, slower = gain(averaged, 1.0, seed), {rate: gain(averaged, rate, seed) for rate in rates}
            gains = tuple(gain(1, 1.0, seed + 100_000 * (repeat + 1)) for repeat in range(repeats))
            run.restore(start)
            found[player] = UpdateNoise(player, batches, potential, gains, slower, before, flat, steps, averaged)
    return found


def _noise_scale(run: Run, player: str, count: int, seed: int) -> float:
    tensors = list(run.roles.named_tensors(player).values())
    scales = step_scales(run.roles.optimizers.get(player), tensors)
    rows = []
    with run.kept() as start:
        for i in range(count):
            run.restore(start)
            batch = copied(run.roles.data[i % len(run.roles.data)])
            with frozen_randomness(seed + i), torch.enable_grad():
                gradients = torch.autograd.grad(
                    own_loss(player)(run.roles.value(batch, [player])), tensors, allow_unused=True
                )
            rows.append(_flat(gradients, tensors, scales))
    stacked = torch.stack(rows)
    mean = stacked.mean(dim=0)
    noise = float((stacked - mean).square().sum()) / (count - 1)
    signal = float(mean.square().sum()) - noise / count
    return noise / signal if signal > 0 else inf


def _flat(gradients: Sequence[Tensor | None], tensors: Sequence[Tensor], scales: Sequence[Tensor] | None) -> Tensor:
    """Times the root of the metric, so that plain lengths are those of the metric."""
    parts = []
    for k, (gradient, tensor) in enumerate(zip(gradients, tensors, strict=True)):
        part = torch.zeros_like(tensor) if gradient is None else gradient
        parts.append((part.double() if scales is None else part.double() * scales[k].double().sqrt()).reshape(-1))
    return torch.cat(parts)
