import numpy as np
import pytest
import torch
from relu_families import Residual
from torch import nn

from separatrix.errors import InputError
from separatrix.topology import relu_complex, relu_regions
from separatrix.topology.relu_compile import compile_relu


class Mixed(nn.Module):
    """Everything that forward() may contain."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(2, 4), nn.Linear(4, 4), nn.Linear(4, 1)
        self.shift = nn.Parameter(torch.tensor([0.3, -0.2, 0.1, 0.7]))

    def forward(self, x):
        h = torch.relu(self.a(x)) + self.shift
        k = torch.maximum(self.b(h), -h) - torch.minimum(h * 0.5, self.shift * 2 + self.b(h) / 3)
        return self.c(torch.abs(k - 0.25)) * 2.0 + 1


def normalised():
    model = nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.LeakyReLU(0.3), nn.Dropout(0.5), nn.Linear(6, 1))
    model(torch.randn(64, 2))  # moves the running statistics
    return model.eval()


MODELS = {
    "residual": lambda: Residual(2, 5),
    "mixed": Mixed,
    "batch norm, leaky, dropout": normalised,
    "pool after relu": lambda: nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.MaxPool1d(3), nn.Linear(2, 1)),
    "pool before relu": lambda: nn.Sequential(nn.Linear(2, 8), nn.MaxPool1d(3, stride=5), nn.ReLU(), nn.Linear(2, 1)),
    "prelu": lambda: nn.Sequential(nn.Linear(2, 4), nn.PReLU(4), nn.Flatten(), nn.Identity(), nn.Linear(4, 2)),
    "relu twice": lambda: nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.ReLU(), nn.Linear(4, 1)),
    "two linear": lambda: nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1), nn.ReLU()),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_region_has_the_affine_map_of_the_model(name):
    torch.manual_seed(1)
    model = MODELS[name]().double()
    complex = relu_complex(model)
    regions = relu_regions(complex)
    points = 2 * torch.randn(300, 2, dtype=torch.float64)
    before, _ = complex.program.evaluate(points.numpy())
    number = {tuple(row): i for i, row in enumerate(regions.signs.tolist())}
    where = [number[tuple(row)] for row in np.where(before > 0, 1, -1).tolist()]  # KeyError: a region is missing
    value = torch.einsum("bod,bd->bo", regions.gradient[where], points) + regions.offset[where]
    expected = model(points).detach().reshape(value.shape)
    assert (value - expected).abs().max() <= 1e-12 * (1 + expected.abs().max())


def test_a_value_used_twice_is_one_layer_of_neurons():
    assert [len(layer.bias) for layer in compile_relu(Residual(2, 5)).layers] == [5, 5, 5]


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 1)

    def forward(self, x):
        return self.a(x) if x.sum() > 0 else x


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 1)

    def forward(self, x, y):
        return self.a(x) + self.a(y)


def with_nan():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    model[2].weight.data[0, 1] = torch.nan
    return model


REFUSED = {
    "Layer '1' of type Tanh is not supported": lambda: nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)),
    "Layer '0' of type Conv1d is not supported|input dimension is unknown": lambda: nn.Sequential(nn.Conv1d(1, 1, 1)),
    "2.weight has a NaN": with_nan,
    "Layer '1' is BatchNorm1d in training mode; call model.eval": lambda: nn.Sequential(
        nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1)
    ),
    "Layer '1' is Dropout in training mode": lambda: nn.Sequential(nn.Linear(2, 3), nn.Dropout(), nn.ReLU()),
    "Layer '2' expects 4 entries, but gets 3": lambda: nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(4, 1)),
    "cannot be traced": Branching,
    "got a second input 'y'": TwoInputs,
    "model must be a torch.nn.Module, got str": lambda: "model",
    "pools 5 entries, but gets only 3": lambda: nn.Sequential(nn.Linear(2, 3), nn.MaxPool1d(5), nn.Linear(1, 1)),
    "windows must not overlap \\(stride 1 < kernel_size 3\\)": lambda: nn.Sequential(
        nn.Linear(2, 5), nn.MaxPool1d(3, stride=1), nn.Linear(3, 1)
    ),
    "must have no padding": lambda: nn.Sequential(nn.Linear(2, 3), nn.MaxPool1d(2, padding=1), nn.Linear(1, 1)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_compiled_is_named(message):
    with pytest.raises(InputError, match=message):
        relu_complex(REFUSED[message]())
