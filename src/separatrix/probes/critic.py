"""The critic: does it remember, is it too strong, is it alive, and does the generator cover what is there?

All from scores, first derivatives in the samples, and features; the critic's loss is not needed.

- Memory: ``r_v = (E D(train) - E D(held out)) / (E D(train) - E D(generated))`` and ``r_t = E sign D(train)`` [karras2020ada]. ``r_v`` is 0
  where training samples are scored like held-out ones, 1 where held-out ones are scored like generated ones.
- Strength: the probability that a held-out sample is scored above a generated one (AUC; 0.5 tells nothing apart).
- Slopes: norms of the scores' gradients in the samples, on real and on generated ones. A generator learns from the latter alone.
- Units: dead where no sample's score depends on them, see :mod:`separatrix.probes.critic_units`.
- Coverage: see :mod:`separatrix.probes.coverage`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from separatrix.dynamics import Run
from separatrix.errors import InputError
from separatrix.fields.surroundings import frozen_randomness
from separatrix.probes.coverage import Coverage, coverage
from separatrix.probes.critic_units import LayerUnits, live_units
from separatrix.probes.numbers import number, with_error

Measured = tuple[float | None, float | None]  # a value and its standard error


@dataclass(frozen=True)
class Critic:
    """What the critic does with real, held-out and generated samples.

    Attributes:
        scores: mean and standard deviation of the scores by kind: ``real``, ``held_out``, ``generated``.
        auc, auc_stderr: of held-out (of real where there are none) against generated samples, DeLong's error.
        memory, memory_stderr: the same of training against held-out samples: 0.5 where nothing is remembered; ``None`` without
            held-out samples.
        r_v, r_v_stderr: as above; ``None`` without held-out samples, or where training samples score no higher than generated ones.
        r_t: as above; for scores whose border is 0.
        slopes: median norm of the gradient of the score in the sample, by kind.
        flat: share of the generated samples at which the score has no slope at all.
        units: by layer of the critic.
        coverage: of the held-out (or real) samples by generated ones, where the roles give a feature map.
        counts: how many samples of each kind.
    """

    scores: dict[str, tuple[float, float]]
    auc: float
    auc_stderr: float
    memory: float | None
    memory_stderr: float | None
    r_v: float | None
    r_v_stderr: float | None
    r_t: float
    slopes: dict[str, float]
    flat: float
    units: dict[str, LayerUnits]
    coverage: Coverage | None
    counts: dict[str, int]

    @property
    def sentence(self) -> str:
        """The same in words."""
        told = [f"the critic ranks a real sample above a generated one with {with_error(self.auc, self.auc_stderr)}"]
        if self.memory is not None:
            told.append(f"a training sample above a held-out one with {with_error(self.memory, self.memory_stderr)}")
        if self.r_v is not None:
            told.append(f"r_v = {with_error(self.r_v, self.r_v_stderr)}")
        told.append(
            f"slope {number(self.slopes['real'], 2)} on real and {number(self.slopes['generated'], 2)} on generated samples"
        )
        dead = {name: u for name, u in self.units.items() if u.dead or u.saturated}
        told += [f"{u.dead} of {u.count} units of {name} dead, {u.saturated} saturated" for name, u in dead.items()]
        if self.coverage is not None:
            told.append(self.coverage.sentence)
        first = told[0][0].upper() + told[0][1:]
        return "; ".join([first, *told[1:]]) + "."


def critic(run: Run, *, count: int = 512, seed: int = 0) -> Critic:
    """What the critic of a run does where it stands; the run is put back.

    Args:
        run: with the roles ``critic``, ``real`` and ``generated``; ``real_held_out`` and ``features`` for what rests on them.
        count: at most so many samples of each kind, from the first ones.
        seed: of the generated samples and of whatever the critic draws.

    Raises:
        InputError: a role is missing, or scores that are not one number a sample, or not finite.

    Cost: one forward and backward pass of ``3 count`` samples, and ``O(count^2)`` distances for the coverage.
    """
    roles = run.roles
    roles.needs("a critic", "critic", "real", "generated")
    if count < 2:
        raise InputError(f"count must be at least 2, got {count}.")
    assert roles.critic is not None
    assert roles.real is not None
    assert roles.generated is not None
    samples = {"real": roles.real[:count]}
    if roles.real_held_out is not None:
        samples["held_out"] = roles.real_held_out[:count]
    with run.kept() as start:
        with frozen_randomness(seed), torch.no_grad():
            samples["generated"] = drawn(roles.generated, count)
        scores, slopes = {}, {}
        for kind, x in samples.items():
            run.restore(start)
            with frozen_randomness(seed), torch.enable_grad():
                leaf = x.detach().clone().requires_grad_()
                score = scored(roles.critic, leaf, kind)
                (slope,) = torch.autograd.grad(score.sum(), leaf, allow_unused=True)
            scores[kind] = score.detach().double().cpu()
            slopes[kind] = torch.zeros(len(x)) if slope is None else slope.flatten(1).double().norm(dim=1).cpu()
        module = _module(run)
        run.restore(start)
        with frozen_randomness(seed):
            units = {} if module is None else live_units(module, roles.critic, list(samples.values()))
        covered = None
        if roles.features is not None:
            run.restore(start)
            with frozen_randomness(seed), torch.no_grad():
                features = {kind: roles.features(x).detach().flatten(1).double().cpu() for kind, x in samples.items()}
            target = features.get("held_out", features["real"])
            covered = coverage(target, features["generated"], features["real"] if "held_out" in features else None)
    return _summary(scores, slopes, units, covered)


def _summary(
    scores: dict[str, Tensor], slopes: dict[str, Tensor], units: dict[str, LayerUnits], covered: Coverage | None
) -> Critic:
    held = scores.get("held_out")
    strength = auc(scores["real"] if held is None else held, scores["generated"])
    memory: Measured = (None, None) if held is None else auc(scores["real"], held)
    ratio: Measured = (None, None) if held is None else _overfitting(scores["real"], held, scores["generated"])
    return Critic(
        {kind: (float(s.mean()), float(s.std())) for kind, s in scores.items()},
        strength[0],
        strength[1],
        memory[0],
        memory[1],
        ratio[0],
        ratio[1],
        float(scores["real"].sign().mean()),
        {kind: float(s.median()) for kind, s in slopes.items()},
        float((slopes["generated"] == 0).double().mean()),
        units,
        covered,
        {kind: len(s) for kind, s in scores.items()},
    )


def auc(above: Tensor, below: Tensor) -> tuple[float, float]:
    """The probability that a score of the first kind lies above one of the second, ties half, and its standard error [delong1988].

    Example:
        >>> auc(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0, 2.0]))[0]
        0.9166666666666666
    """
    wins = (above[:, None] > below[None, :]).double() + (above[:, None] == below[None, :]).double() / 2
    first, second = wins.mean(dim=1), wins.mean(dim=0)
    spread = [float(v.var()) / len(v) if len(v) > 1 else 0.0 for v in (first, second)]
    return float(wins.mean()), sum(spread) ** 0.5


def _overfitting(train: Tensor, held: Tensor, generated: Tensor) -> tuple[float | None, float | None]:
    """``r_v`` and its standard error by linearisation; none where the critic does not rank training above generated samples."""
    of_train, of_held, of_generated = (float(s.var()) / len(s) for s in (train, held, generated))
    top, bottom = float(train.mean() - held.mean()), float(train.mean() - generated.mean())
    if bottom <= 2 * (of_train + of_generated) ** 0.5:
        return None, None
    ratio = top / bottom
    variance = of_train + of_held - 2 * ratio * of_train + ratio**2 * (of_train + of_generated)
    return ratio, max(variance, 0.0) ** 0.5 / bottom


def drawn(generated: Callable[[], Tensor], count: int) -> Tensor:
    """So many generated samples.

    Raises:
        InputError: what is made are no samples.
    """
    parts: list[Tensor] = []
    while sum(map(len, parts)) < count:
        part = generated()
        if not isinstance(part, Tensor) or part.ndim < 1 or len(part) == 0:
            raise InputError(f"generated() must return samples (count, ...), got {_kind(part)}.")
        parts.append(part.detach())
    return torch.cat(parts)[:count]


def scored(critic: Callable[[Tensor], Tensor], x: Tensor, kind: str) -> Tensor:
    """One score a sample; a critic of patches scores a sample by their mean.

    Raises:
        InputError: scores of another shape, or not finite; names the kind of the samples.
    """
    score = critic(x)
    if not isinstance(score, Tensor) or score.ndim < 1 or len(score) != len(x):
        raise InputError(
            f"critic(samples) must return one score a sample, got {_kind(score)} for {len(x)} {kind} samples."
        )
    score = score.reshape(len(x), -1).mean(dim=1)
    if not bool(torch.isfinite(score).all()):
        raise InputError(f"the critic's scores of {kind} samples are not finite; measure from an earlier checkpoint.")
    return score


def _module(run: Run) -> nn.Module | None:
    if isinstance(run.roles.critic, nn.Module):
        return run.roles.critic
    player = run.roles.players.get(run.roles.critic_player or "")
    return player if isinstance(player, nn.Module) else None


def _kind(value: object) -> str:
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
