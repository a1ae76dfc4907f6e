"""One small two-player game for each module class: the module is in G, a smooth critic D reads what it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from separatrix.fields import Game, GameField


class Then(nn.Module):
    """A module whose output is picked apart and flattened; some return tuples."""

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.modules_ = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        for module in self.modules_:
            x = module(x)
            x = x[0] if isinstance(x, tuple) else x
        return x.flatten(1)


class Attention(nn.Module):
    def __init__(self, *, causal: bool) -> None:
        super().__init__()
        self.project, self.causal = nn.Linear(4, 12), causal

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x).chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)


class MultiheadSelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x, x, x, need_weights=False)[0]
        return out


class Apply(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def images() -> Tensor:
    return torch.randn(3, 4, 4, 4)


def sequences() -> Tensor:
    return torch.randn(3, 5, 4)


def vectors() -> Tensor:
    return torch.randn(6, 4)


def tokens() -> Tensor:
    return torch.randint(0, 7, (4, 3))


def conv(*after: nn.Module) -> Then:
    return Then(nn.Conv2d(4, 4, 3, padding=1), *after)


def linear(*after: nn.Module) -> Then:
    return Then(nn.Linear(4, 4), *after)


def frozen(module: nn.Module) -> nn.Module:
    return module.requires_grad_(False)


# Smooth: differences are exact to 1e-7. name -> (make, inputs)
SMOOTH: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "Tanh": (lambda: linear(nn.Tanh(), nn.Linear(4, 4)), vectors),
    "GELU": (lambda: linear(nn.GELU(), nn.Linear(4, 4)), vectors),
    "GELU by tanh": (lambda: linear(nn.GELU(approximate="tanh"), nn.Linear(4, 4)), vectors),
    "SiLU": (lambda: linear(nn.SiLU(), nn.Linear(4, 4)), vectors),
    "Softplus": (lambda: linear(nn.Softplus(), nn.Linear(4, 4)), vectors),
    "Mish": (lambda: linear(nn.Mish(), nn.Linear(4, 4)), vectors),
    "GLU": (lambda: linear(nn.GLU()), vectors),
    "Bilinear form": (lambda: linear(Apply(lambda x: torch.einsum("bi,bj->bij", x, x))), vectors),
    "Conv1d": (lambda: Then(nn.Conv1d(5, 3, 2), nn.Tanh()), sequences),
    "Conv2d": (lambda: Then(nn.Conv2d(4, 3, 3), nn.Tanh()), images),
    "Conv2d strided, dilated, circular": (
        lambda: Then(nn.Conv2d(4, 2, 2, stride=2, dilation=2, padding=1, padding_mode="circular"), nn.Tanh()),
        images,
    ),
    "grouped Conv2d": (lambda: Then(nn.Conv2d(4, 4, 3, groups=2), nn.Tanh()), images),
    "ConvTranspose2d": (lambda: Then(nn.ConvTranspose2d(4, 2, 3, stride=2), nn.Tanh()), images),
    "BatchNorm, batch statistics": (lambda: linear(nn.BatchNorm1d(4, track_running_stats=False), nn.Tanh()), vectors),
    "BatchNorm, running statistics": (lambda: conv(nn.BatchNorm2d(4), nn.Tanh()), images),
    "BatchNorm, eval": (lambda: conv(nn.BatchNorm2d(4), nn.Tanh()).eval(), images),
    "GroupNorm": (lambda: conv(nn.GroupNorm(2, 4), nn.Tanh()), images),
    "InstanceNorm": (lambda: conv(nn.InstanceNorm2d(4, affine=True), nn.Tanh()), images),
    "InstanceNorm, running statistics": (lambda: conv(nn.InstanceNorm2d(4, track_running_stats=True)), images),
    "LayerNorm": (lambda: linear(nn.LayerNorm(4), nn.Tanh()), vectors),
    "RMSNorm": (lambda: linear(nn.RMSNorm(4), nn.Tanh()), vectors),
    "average pooling": (lambda: conv(nn.Tanh(), nn.AvgPool2d(2)), images),
    "adaptive average pooling": (lambda: conv(nn.Tanh(), nn.AdaptiveAvgPool2d(3)), images),
    "bilinear upsampling": (lambda: conv(nn.Tanh(), nn.Upsample(scale_factor=2, mode="bilinear")), images),
    "bicubic upsampling": (lambda: conv(nn.Tanh(), nn.Upsample(size=5, mode="bicubic", align_corners=True)), images),
    "nearest upsampling": (lambda: conv(nn.Tanh(), nn.Upsample(scale_factor=2)), images),
    "PixelShuffle": (lambda: conv(nn.Tanh(), nn.PixelShuffle(2)), images),
    "unfold": (lambda: conv(nn.Unfold(2)), images),
    "Embedding": (lambda: Then(nn.Embedding(7, 3), nn.Tanh()), tokens),
    "LSTM": (lambda: Then(nn.LSTM(4, 3, batch_first=True)), sequences),
    "LSTM, two layers both ways": (
        lambda: Then(nn.LSTM(4, 2, num_layers=2, bidirectional=True, batch_first=True)),
        sequences,
    ),
    "GRU": (lambda: Then(nn.GRU(4, 3, batch_first=True)), sequences),
    "RNN": (lambda: Then(nn.RNN(4, 3, batch_first=True)), sequences),
    "attention": (lambda: Then(Attention(causal=False)), sequences),
    "causal attention": (lambda: Then(Attention(causal=True)), sequences),
    "MultiheadAttention": (lambda: Then(MultiheadSelfAttention()), sequences),
    "TransformerEncoderLayer, train": (
        lambda: Then(nn.TransformerEncoderLayer(4, 2, 6, dropout=0.3, activation="gelu", batch_first=True)),
        sequences,
    ),
    "TransformerEncoderLayer, eval": (
        lambda: Then(nn.TransformerEncoderLayer(4, 2, 6, activation="gelu", batch_first=True)).eval(),
        sequences,
    ),
    "Dropout in train mode": (lambda: linear(nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 4)), vectors),
    "Dropout2d in train mode": (lambda: conv(nn.Tanh(), nn.Dropout2d(0.5)), images),
    "softmax": (lambda: linear(nn.Softmax(-1), nn.Linear(4, 4)), vectors),
    "frozen layer": (lambda: Then(nn.Linear(4, 4), nn.Tanh(), frozen(nn.Linear(4, 4)), nn.Tanh()), vectors),
    "solve": (
        lambda: Then(
            nn.Linear(4, 9), Apply(lambda x: torch.linalg.solve(x.view(-1, 3, 3) + 5 * torch.eye(3), torch.ones(3, 1)))
        ),
        vectors,
    ),
    "slogdet": (
        lambda: Then(
            nn.Linear(4, 9), Apply(lambda x: torch.linalg.slogdet(x.view(-1, 3, 3) + 5 * torch.eye(3))[1][:, None])
        ),
        vectors,
    ),
    "svdvals": (lambda: Then(nn.Linear(4, 6), Apply(lambda x: torch.linalg.svdvals(x.view(-1, 2, 3)))), vectors),
    "fft": (lambda: linear(Apply(lambda x: torch.fft.rfft(x).abs())), vectors),
    "cumsum with logsumexp": (lambda: linear(Apply(lambda x: x.cumsum(1).logsumexp(1, keepdim=True))), vectors),
    "grid_sample": (
        lambda: Then(
            nn.Linear(4, 8),
            Apply(
                lambda x: F.grid_sample(
                    torch.arange(25.0).sin().view(1, 1, 5, 5).expand(len(x), 1, 5, 5),
                    0.5 * x.tanh().view(-1, 2, 2, 2),
                    mode="bicubic",
                    align_corners=True,
                )
            ),
        ),
        vectors,
    ),
}

# Piecewise smooth: right away from the kinks, that is along tiny steps.
KINKED: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "ReLU": (lambda: linear(nn.ReLU(), nn.Linear(4, 4)), vectors),
    "LeakyReLU": (lambda: linear(nn.LeakyReLU(0.2), nn.Linear(4, 4)), vectors),
    "ELU": (lambda: linear(nn.ELU(), nn.Linear(4, 4)), vectors),
    "PReLU": (lambda: linear(nn.PReLU(), nn.Linear(4, 4)), vectors),
    "PReLU by channel": (lambda: conv(nn.PReLU(4)), images),
    "Hardtanh": (lambda: linear(nn.Hardtanh(), nn.Linear(4, 4)), vectors),
    "max pooling": (lambda: conv(nn.Tanh(), nn.MaxPool2d(2)), images),
    "adaptive max pooling": (lambda: conv(nn.Tanh(), nn.AdaptiveMaxPool2d(2)), images),
    "RNN with ReLU": (lambda: Then(nn.RNN(4, 3, nonlinearity="relu", batch_first=True)), sequences),
    "TransformerEncoderLayer with ReLU": (
        lambda: Then(nn.TransformerEncoderLayer(4, 2, 6, dropout=0.1, batch_first=True)),
        sequences,
    ),
    "sort": (lambda: linear(Apply(lambda x: x.sort(1)[0]), nn.Tanh()), vectors),
    "topk": (lambda: linear(Apply(lambda x: x.topk(2)[0]), nn.Tanh()), vectors),
    "amax": (lambda: linear(Apply(lambda x: x.amax(1, keepdim=True))), vectors),
    "median": (lambda: linear(Apply(lambda x: x.median(1, keepdim=True)[0])), vectors),
    "bilinear grid_sample": (
        lambda: Then(
            nn.Linear(4, 8),
            Apply(
                lambda x: F.grid_sample(
                    torch.arange(25.0).sin().view(1, 1, 5, 5).expand(len(x), 1, 5, 5),
                    0.5 * x.tanh().view(-1, 2, 2, 2),
                    align_corners=True,
                )
            ),
        ),
        vectors,
    ),
}


def _samples_twice() -> bool:
    """Whether this torch has a second derivative of ``grid_sample``; 2.11 has none, and the refusal names it."""
    x = torch.zeros(1, 1, 2, 2, requires_grad=True)
    with torch.enable_grad():
        (g,) = torch.autograd.grad(
            F.grid_sample(x, x.permute(0, 2, 3, 1).expand(1, 2, 2, 2), align_corners=False).sum(), x, create_graph=True
        )
        try:
            g.sum().backward()
        except RuntimeError:
            return False
    return True


NOT_TWICE = {
    name: group.pop(name)
    for group in (SMOOTH, KINKED)
    for name in [*group]
    if "grid_sample" in name and not _samples_twice()
}


def against_a_critic(make: Callable[[], nn.Module], inputs: Callable[[], Tensor], dtype: torch.dtype) -> GameField:
    """The game of the module against a smooth critic, on one batch."""
    torch.set_default_dtype(dtype)
    try:
        torch.manual_seed(5)
        generator, data = make(), inputs()
        before = {k: b.clone() for k, b in generator.named_buffers()}
        with torch.no_grad():
            width = generator(data).shape[1]
        for k, b in generator.named_buffers():
            b.copy_(before[k])
        critic = nn.Sequential(nn.Linear(width, 3), nn.Tanh(), nn.Linear(3, 1))
        real = torch.randn(len(data), width)
    finally:
        torch.set_default_dtype(torch.float32)

    def losses(models: dict[str, Any], batch: Any) -> dict[str, Tensor]:
        fake = models["G"](batch["in"])
        on_fake, on_real = models["D"](fake), models["D"](batch["real"])
        return {"G": F.softplus(-on_fake).mean(), "D": (F.softplus(on_fake) + F.softplus(-on_real)).mean()}

    return Game({"G": generator, "D": critic}, losses).on({"in": data, "real": real})
