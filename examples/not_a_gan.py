"""A two-loss game that is not a GAN: regression against an adversary that shifts the inputs.

    python examples/not_a_gan.py

The model minimises the error on shifted inputs; the adversary maximises it and pays `price` for each unit of squared
shift. For a linear model with weights w the rightmost eigenvalue of the adversary's own block of the Jacobian is, in field
sign, `2 / count (|w|^2 - price)`: if shifts cost less than |w|^2 the adversary runs away, and no step size mends that.
"""

import torch
from torch import nn

import separatrix as sx


def measure(price: float, *, steps: int = 400, count: int = 64, seed: int = 0) -> tuple[sx.Diagnosis, float, float]:
    """The diagnosis after training, and the adversary's own rightmost eigenvalue: measured, and by the formula."""
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

    field = game.on((inputs, targets))
    own = sx.linalg.eigenvalues(field.jacobian()["adversary", "adversary"], 1, target="rightmost").values
    formula = 2 / count * (float(model.weight.detach().square().sum()) - price)
    return sx.diagnose(field, method=opt.method, states=opt.states), float(own[0].real), formula


def main(steps: int = 400) -> None:
    for price in (20.0, 1.0):
        diagnosis, own, formula = measure(price, steps=steps)
        print(f"price {price:g}: the adversary's own rightmost eigenvalue is {own:+.6f}, by the formula {formula:+.6f}")
        print(f"  all together: {diagnosis['spectrum']['verdict']['sentence']}")


if __name__ == "__main__":
    main()
