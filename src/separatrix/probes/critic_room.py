"""How much better could the critic be? It makes own steps at several rates, its opponent standing still.

A critic whose learning rate is far too small gains nothing at its own rate, so larger ones are tried too. It is judged by the
probability that a held-out sample is scored above a generated one, on samples that it was not stepped on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from separatrix.dynamics import Run
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields.surroundings import frozen_randomness
from separatrix.probes.critic import auc, drawn, scored
from separatrix.probes.loss_reading import read_losses_at, silenced, summed
from separatrix.probes.numbers import with_error
from separatrix.probes.own_steps import own_loss, own_steps

RATES = (1.0, 10.0, 100.0, 1000.0)


@dataclass(frozen=True)
class CriticRoom:
    """What the critic could gain.

    Attributes:
        before, before_stderr: AUC of held-out against generated samples where the run stands.
        after: the same after own steps, by multiple of the learning rate; 0.5 where they ran away.
        steps: own steps at each rate.
        loss: of the critic where the run stands.
        flat_loss: the same for a critic whose tensors are all zero, which tells nothing apart.
    """

    before: float
    before_stderr: float
    after: dict[float, float]
    steps: int
    loss: float
    flat_loss: float

    @property
    def best(self) -> float:
        """The best of them."""
        return max(self.after.values())

    @property
    def rate(self) -> float:
        """The multiple of the rate that did best."""
        return max(self.after, key=lambda r: self.after[r])

    @property
    def sentence(self) -> str:
        """The same in words."""
        return (
            f"The critic ranks {with_error(self.before, self.before_stderr)} of the pairs rightly; {self.steps} own steps at "
            f"{self.rate:g} times its rate would make it {self.best:.2f}."
        )


def critic_room(
    run: Run, *, steps: int = 50, rates: Sequence[float] = RATES, count: int = 512, seed: int = 0
) -> CriticRoom:
    """How much better the critic could be where the run stands; it is put back.

    Args:
        run: with the roles ``critic``, ``critic_player`` and its optimizer, ``losses``, ``data``, ``real`` and ``generated``.
        steps: own steps at each rate.
        rates: multiples of the critic's learning rates.
        count: samples of each kind to judge by.
        seed: of the draws; the critic is judged on others than it is stepped on.

    Raises:
        InputError: a role is missing, or bad numbers.

    Cost: ``steps |rates|`` gradients of the critic.
    """
    roles = run.roles
    roles.needs("the critic's room", "critic", "critic_player", "losses", "data", "generated", "real")
    player = roles.critic_player
    assert player is not None
    if player not in roles.optimizers:
        raise InputError(f"the critic {player!r} has no optimizer in the roles; give optimizers={{{player!r}: ...}}.")
    if steps < 1 or not rates or min(rates) <= 0 or count < 2:
        raise InputError(
            f"the critic's room needs steps, positive rates and two samples, got {steps}, {tuple(rates)}, {count}."
        )
    assert roles.critic is not None
    assert roles.generated is not None
    real = roles.real if roles.real_held_out is None else roles.real_held_out
    assert real is not None
    with run.kept() as start:
        with frozen_randomness(seed + 7), torch.no_grad():
            samples: tuple[Tensor, Tensor] = (real[:count], drawn(roles.generated, count))
        run.restore(start)

        def judged() -> tuple[float, float]:
            with frozen_randomness(seed), torch.no_grad():
                scores = [scored(roles.critic, x, kind) for x, kind in zip(samples, ("real", "generated"), strict=True)]  # type: ignore[arg-type]
            return auc(scores[0].double(), scores[1].double())

        before = judged()
        after = {}
        for rate in rates:
            run.restore(start)
            try:
                own_steps(run, player, steps, loss=own_loss(player), rate=rate, seed=seed)
                after[rate] = judged()[0]
            except (NonFiniteError, InputError):
                after[rate] = 0.5
        loss, flat = (
            summed(read_losses_at(run, at, roles.data, seed, [player]))[player]
            for at in (start, silenced(run, start, player))
        )
    return CriticRoom(*before, after, steps, loss, flat)
