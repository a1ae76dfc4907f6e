"""The usual GAN loop detaches its fakes in the discriminator's loss; what the tool says to it, and the remedy.

    python examples/detached_fakes.py

Detaching is right for a training step: the discriminator's loss must not move the generator. But it hides from autograd
how the discriminator's direction changes with the generator, so half of the interaction is missing in the Jacobian. The
self-tests see that the direction does change, and say so.
"""

import torch
from torch import nn
from torch.nn.functional import softplus

import separatrix as sx


def as_usual(models, batch):
    """What most loops compute, in two steps and with two fakes."""
    G, D, (real, z) = models["G"], models["D"], batch
    fake = G(z).detach()
    loss_d = softplus(-D(real)).mean() + softplus(D(fake)).mean()
    loss_g = softplus(-D(G(z))).mean()
    return {"D": loss_d, "G": loss_g}


def remedied(models, batch):
    """One undetached fake for both losses. Each player's gradient stays as it was."""
    G, D, (real, z) = models["G"], models["D"], batch
    fake = G(z)
    loss_d = softplus(-D(real)).mean() + softplus(D(fake)).mean()
    loss_g = softplus(-D(fake)).mean()
    return {"D": loss_d, "G": loss_g}


def main(count: int = 512) -> dict[str, list[str]]:
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    D = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1))
    batch = (torch.randn(count, 2) + 2, torch.randn(count, 4))

    fields = {f.__name__: sx.Game({"D": D, "G": G}, f).on(batch) for f in (as_usual, remedied)}
    gap = (fields["as_usual"]() - fields["remedied"]()).abs().max()
    print(f"largest difference between the two gradients: {gap:.1e}")

    findings = {}
    for name, field in fields.items():
        jacobian = field.jacobian()
        findings[name] = jacobian.findings
        print(f"\n{name}: how D's direction changes with G has norm {jacobian['D', 'G'].to_dense().norm():.3f}")
        print("\n".join(jacobian.findings) or "the self-tests have nothing to say")
    return findings


if __name__ == "__main__":
    main()
