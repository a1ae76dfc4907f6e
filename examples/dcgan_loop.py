"""A script as the DCGAN tutorials have it, fakes detached, and the lines that diagnose it while it runs.

    python examples/dcgan_loop.py

The loop is as people write it. The added lines are marked: they say what in the loop is what, and stand around it. The
monitor counts the optimizers' own steps, so not a line inside the loop changes.
"""

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

import separatrix as sx  # added

nz, ngf, ndf, batch_size = 16, 8, 8, 16


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, 1, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, input):
        return self.main(input)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(1, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, 1, 4, 1, 0, bias=False),
        )

    def forward(self, input):
        return self.main(input)


def stripes(count: int) -> torch.Tensor:
    """Images of one bright column or row."""
    images = -torch.ones(count, 1, 8, 8)
    for i, place in enumerate(torch.randint(16, (count,)).tolist()):
        images[i, 0, place % 8, :] = 1.0 if place < 8 else images[i, 0, place % 8, :]
        images[i, 0, :, place % 8] = 1.0 if place >= 8 else images[i, 0, :, place % 8]
    return images + 0.05 * torch.randn_like(images)


def main(num_epochs: int = 5, count: int = 512, every: int = 20, budget: float = 0.5, lr_d: float = 0.0002):
    torch.manual_seed(999)
    data = stripes(count)
    dataloader = DataLoader(TensorDataset(data), batch_size=batch_size, shuffle=True)
    netG, netD = Generator(), Discriminator()
    criterion = nn.BCEWithLogitsLoss()
    real_label, fake_label = 1.0, 0.0
    optimizerD = optim.Adam(netD.parameters(), lr=lr_d, betas=(0.5, 0.999))
    optimizerG = optim.Adam(netG.parameters(), lr=0.0002, betas=(0.5, 0.999))

    def loss_d(real):  # added
        ones, fake = torch.ones(len(real)), netG(torch.randn(len(real), nz, 1, 1)).detach()  # added
        return criterion(netD(real).view(-1), ones) + criterion(netD(fake).view(-1), 0 * ones)  # added

    def loss_g(real):  # added
        return criterion(netD(netG(torch.randn(len(real), nz, 1, 1))).view(-1), torch.ones(len(real)))  # added

    roles = sx.Roles(  # added
        players={"D": netD, "G": netG}, losses={"D": loss_d, "G": loss_g}, data=list(data[:64].split(batch_size)),  # added
        critic=netD, critic_player="D", real=data[:256], real_held_out=stripes(256),  # added
        generated=lambda: netG(torch.randn(64, nz, 1, 1)),  # added
    )  # added  # fmt: skip
    monitor = sx.Monitor({"D": optimizerD, "G": optimizerG}, every=every, budget=budget, roles=roles).start()  # added

    for _epoch in range(num_epochs):
        for data_batch in dataloader:
            # (1) Update D network: maximize log(D(x)) + log(1 - D(G(z)))
            netD.zero_grad()
            real_cpu = data_batch[0]
            b_size = real_cpu.size(0)
            label = torch.full((b_size,), real_label)
            output = netD(real_cpu).view(-1)
            errD_real = criterion(output, label)
            errD_real.backward()
            noise = torch.randn(b_size, nz, 1, 1)
            fake = netG(noise)
            label.fill_(fake_label)
            output = netD(fake.detach()).view(-1)
            errD_fake = criterion(output, label)
            errD_fake.backward()
            optimizerD.step()

            # (2) Update G network: maximize log(D(G(z)))
            netG.zero_grad()
            label.fill_(real_label)
            output = netD(fake).view(-1)
            errG = criterion(output, label)
            errG.backward()
            optimizerG.step()

    monitor.close()  # added
    print("\n".join(f"{f.title}: {f.sentence}" for f in monitor.findings) or "no findings")  # added
    return monitor  # added


if __name__ == "__main__":
    main()
