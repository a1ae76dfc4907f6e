"""A tokenizer with a vector quantiser and straight-through gradients: which term moves it, and what would help.

    python examples/vector_quantiser.py

No second derivative exists here, and none is needed. The training script is as it was; the added lines are marked.
"""

import torch
from torch import nn
from torch.nn import functional as F

import separatrix as sx  # added


class Tokenizer(nn.Module):
    def __init__(self, codes: int = 16, width: int = 4):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, width))
        self.decoder = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 8))
        self.codebook = nn.Embedding(codes, width)
        self.codebook.weight.data.uniform_(-1.0, 1.0)

    def forward(self, x):
        z = self.encoder(x)
        index = torch.cdist(z, self.codebook.weight).argmin(dim=1)
        q = self.codebook(index)
        codebook_loss, commitment_loss = F.mse_loss(q, z.detach()), F.mse_loss(z, q.detach())
        q = z + (q - z).detach()  # straight through
        return self.decoder(q), codebook_loss, commitment_loss


def compute_losses(model, x, beta):
    recon, codebook_loss, commitment_loss = model(x)
    return {"rec": F.mse_loss(recon, x), "codebook": codebook_loss, "commit": beta * commitment_loss}


def main(steps: int = 300, beta: float = 0.25):
    torch.manual_seed(0)
    mixing = torch.randn(3, 8)
    data = torch.tanh(torch.randn(1024, 3) @ mixing)
    model = Tokenizer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)

    def train_step():
        x = data[torch.randint(len(data), (64,))]
        loss = sum(compute_losses(model, x, beta).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(steps):
        train_step()

    roles = sx.Roles(  # added
        optimizers={"tokenizer": optimizer},  # added
        losses=lambda x: {"tokenizer": compute_losses(model, x, beta)},  # added
        data=list(data[:256].split(64)),  # added
    )  # added
    run = sx.Run(train_step, [model, optimizer], roles=roles)  # added
    diagnosis = sx.diagnose(run)  # added
    print(diagnosis)  # added
    return diagnosis  # added


if __name__ == "__main__":
    main()
