"""A two-loss game that is not a GAN: regression against an adversary that shifts the inputs.

    python examples/not_a_gan.py

The model minimises the error on shifted inputs; the adversary maximises it and pays `price` for each unit of squared
shift. For a linear model with weights w the adversary's own curvature is, in field sign, `2 / count (|w|^2 - price)`: if
shifts cost less than |w|^2 the adversary runs away, and no step size mends that. The measurement should say so.
"""

import torch
from torch import nn

import separatrix as sx


def measure(price: float, *, steps: int = 400, count: int = 64, seed: int = 0) -> tuple[sx.Diagnosis, float]:
    """The diagnosis at the end of training, and the adversary's own curvature by the formula."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 5, generator=generator, dtype=torch.float64)
    truth = torch.tensor([1.0, -1.0, 0.5, 0.0, 1.5], dtype=torch.float64)
    targets = inputs @ truth + 0.1 * torch.randn(count, generator=generator, dtype=torch.float64)

    model = nn.Linear(5, 1, bias=False, dtype=torch.float64)
    nn.init.zeros_(model.weight)
    shift = torch.zeros(count, 5, dtype=torch.float64)

    def losses(models, batch):
        inputs, targets = batch
        error = (models["model"](inputs + models["adversary"])[:, 0] - targets).square().mean()
        cost = price * models["adversary"].square().sum(dim=1).mean()
        return {"model": {"error": error}, "adversary": {"error": -error, "cost": cost}}

    game = sx.Game({"model": model, "adversary": shift}, losses, name=f"regression, price {price:g}")
    opt = sx.optim.Alternating(game, torch.optim.SGD, lr=0.05, fresh=False)
    for _ in range(steps):
        opt.step((inputs, targets))

    diagnosis = sx.diagnose(game.on((inputs, targets)), method=opt.method, states=opt.states)
    curvature = 2 / count * (float(model.weight.detach().square().sum()) - price)
    return diagnosis, curvature


def main(steps: int = 400) -> dict[float, sx.Diagnosis]:
    found = {}
    for price in (20.0, 1.0):
        found[price], curvature = measure(price, steps=steps)
        verdict = found[price]["spectrum"]["verdict"]
        print(f"price {price:g}: the adversary's own curvature is {curvature:+.3f}; measured: {verdict['name']}.")
        print(f"  {verdict['sentence']}")
    return found


if __name__ == "__main__":
    main()
