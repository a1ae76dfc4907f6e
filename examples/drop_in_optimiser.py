"""Game methods as torch optimizers: schedulers act on them, and a state_dict continues a run bitwise.

    python examples/drop_in_optimiser.py

`sx.optim.Consensus`, `Extragradient`, `Alternating` and `Simultaneous` compute the gradients themselves: a step is
`opt.step(batch)`, without `zero_grad` and `backward`. They keep their own states; a diagnosis is told the optimizer itself.
"""

import torch
from torch import nn
from torch.nn.functional import softplus

import separatrix as sx


def losses(models, batch):
    real, z = batch
    fake = models["G"](z)
    on_real, on_fake = models["D"](real), models["D"](fake)
    return {"G": softplus(-on_fake).mean(), "D": softplus(-on_real).mean() + softplus(on_fake).mean()}


def begin(name: str):
    """The modules, the optimizer and its scheduler before the first step."""
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
    D = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    game = sx.Game({"G": G, "D": D}, losses, name=name)
    if name == "consensus":
        opt = sx.optim.Consensus(game, torch.optim.RMSprop, lr=1e-3, gamma=1.0)
    else:  # one base for each player; existing torch optimizers are taken over too
        adam = {"G": sx.dynamics.Adam(lr=1e-3, betas=(0.5, 0.999)), "D": sx.dynamics.Adam(lr=2e-3, betas=(0.5, 0.999))}
        opt = sx.optim.Extragradient(game, adam)
    return nn.ModuleDict({"G": G, "D": D}), opt, torch.optim.lr_scheduler.StepLR(opt, step_size=50, gamma=0.5)


def train(name: str, steps: int, *, stop: int | None = None) -> dict[str, torch.Tensor]:
    """Train; with `stop`, save everything after so many steps and go on from what was saved."""
    models, opt, scheduler = begin(name)
    generator = torch.Generator().manual_seed(1)
    for number in range(1, steps + 1):
        batch = torch.randn(128, 2, generator=generator) + 2, torch.randn(128, 4, generator=generator)
        step = opt.step(batch)
        scheduler.step()
        if number == stop:
            saved = [part.state_dict() for part in (models, opt, scheduler)]
            models, opt, scheduler = begin(name)
            for part, state in zip((models, opt, scheduler), saved, strict=True):
                part.load_state_dict(state)
    rates = [group["lr"] for group in opt.param_groups]
    print(f"{name}: {step.losses}, |v| = {step.field_norm:.3f}, {step.gradients:g} gradients a step, lr {rates}")
    return models.state_dict()


def measure(name: str, steps: int) -> sx.Diagnosis:
    """What the field looks like to the optimizer that trained: its scheme, transforms, rates and moments."""
    _, opt, _ = begin(name)
    generator = torch.Generator().manual_seed(1)

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.randn(count, 2, generator=generator) + 2, torch.randn(count, 4, generator=generator)

    for _ in range(steps):
        opt.step(draw(128))
    return sx.diagnose(opt.game.on(draw(512)), method=opt)


def main(steps: int = 200) -> tuple[bool, list[sx.Diagnosis]]:
    same = True
    for name in ("consensus", "extragradient"):
        straight, resumed = train(name, steps), train(name, steps, stop=steps // 2)
        same &= all(torch.equal(straight[key], resumed[key]) for key in straight)
    print("stopped and resumed runs agree bitwise:", same)

    found = [measure(name, steps) for name in ("consensus", "extragradient")]
    print(f"\n{sx.compare_diagnoses(*found)}")
    return same, found


if __name__ == "__main__":
    main()
