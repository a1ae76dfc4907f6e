"""Any training loop as a black box: no losses to rewrite, no second derivatives.

    python examples/black_box_run.py

The loop below keeps what loops keep: two optimizers, a learning-rate schedule, an averaged generator, a position in the data
and noise. `sx.Run` takes its step as it is, with a state that lists what the step reads and changes. Every measurement puts
the run back where it stood, bitwise. A state that forgets something is found out: the step cannot be replayed then.
"""

import copy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

import separatrix as sx


def make(batch: int = 128, *, forget: str = "") -> sx.Run:
    """An ordinary GAN loop on a ring of points, as a Run; `forget` leaves something out of its state."""
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
    D = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    averaged = copy.deepcopy(G)
    opt_g = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.999))
    schedule = torch.optim.lr_scheduler.StepLR(opt_g, step_size=1000, gamma=0.5)
    angle_rad = 2 * torch.pi * torch.rand(2048)
    data = torch.stack([angle_rad.cos(), angle_rad.sin()], dim=1)
    train, test = data[:1536], data[1536:]
    position = {"batch": 0}

    def losses(real: Tensor) -> dict[str, Tensor]:
        fake = G(torch.randn(len(real), 4))
        loss_d = softplus(-D(real)).mean() + softplus(D(fake.detach())).mean()
        return {"D": loss_d, "G": softplus(-D(fake)).mean()}

    def step() -> None:
        first = batch * position["batch"] % (len(train) - batch)
        real = train[first : first + batch]
        position["batch"] += 1
        for player, optimizer in (("D", opt_d), ("G", opt_g)):
            optimizer.zero_grad()
            losses(real)[player].backward()
            optimizer.step()
        schedule.step()
        with torch.no_grad():
            for mean, now in zip(averaged.parameters(), G.parameters(), strict=True):
                mean.lerp_(now, 0.01)

    # What the step reads and changes; the global random streams always belong to it.
    state = {"G": G, "D": D, "averaged": averaged, "opt_g": opt_g, "opt_d": opt_d, "schedule": schedule, "at": position}
    state.pop(forget, None)
    # What is what, for the measurements that want to know. All of it is optional.
    latents = torch.randn(64, 4)
    roles = sx.Roles(
        optimizers={"D": opt_d, "G": opt_g},
        losses=losses,
        data=[train],
        held_out=[test],
        outputs={"samples": lambda: G(latents)},
    )
    return sx.Run(step, state, roles=roles, name="ring")


def main(steps: int = 300, measured: int = 10, report: Path | None = None) -> tuple[sx.Run, sx.Diagnosis]:
    run = make()
    for _ in range(steps):
        run.step()
    before = run.snapshot()

    # Single measurements: does a hair's breadth matter, and who could still gain alone?
    print(sx.twins(run, steps=measured, directions=2), "\n")
    print(sx.best_response(run, steps=measured).sentence, "\n")

    # All of it in one record, which saves and compares as every other.
    diagnosis = sx.diagnose(run)
    print(diagnosis)
    if report is not None:
        diagnosis.save(report)
    assert not before.differences(run.snapshot())  # nothing was touched

    forgetful = make(forget="opt_d")
    for _ in range(3):
        forgetful.step()
    print(forgetful.check_replay().sentence)
    return run, diagnosis


if __name__ == "__main__":
    main(report=Path("black_box_run.html"))
