"""Families of ReLU networks, and the oracle that counts their cells by linear programs over all sign vectors."""

from itertools import pairwise
from math import comb

import numpy as np
import torch
from scipy.optimize import linprog
from torch import nn

GOLDEN = {  # widths, seed: f-vector, nondegenerate critical vertices by index, vertices at a flat edge
    ((2, 16, 16, 1), 0): ((540, 1111, 572), (3, 3, 0), 0),
    ((2, 16, 16, 1), 1): ((543, 1121, 579), (10, 20, 8), 0),
    ((2, 32, 32, 1), 0): ((2204, 4471, 2268), (3, 5, 2), 0),
    ((3, 8, 8, 1), 0): ((611, 1977, 2137, 772), (0, 1, 3, 2), 37),
    ((3, 16, 16, 1), 0): ((4480, 13951, 14498, 5028), (5, 8, 4, 1), 0),
    ((3, 32, 32, 1), 0): ((42106, 128376, 130499, 44230), (0, 3, 6, 3), 0),
}


def network(widths, seed, activation=nn.ReLU):
    """Linear layers in PyTorch's own initialisation, with an activation between them, in float64."""
    torch.manual_seed(seed)
    layers = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1]).double()


class Residual(nn.Module):
    """Two residual blocks between linear layers."""

    def __init__(self, inputs, width):
        super().__init__()
        self.first, self.inner = nn.Linear(inputs, width), nn.Linear(width, width)
        self.skip, self.last = nn.Linear(inputs, width), nn.Linear(width, 1)

    def forward(self, x):
        h = torch.relu(self.first(x))
        h = h + nn.functional.leaky_relu(self.inner(h), 0.2)
        return self.last(torch.relu(h - 0.5 * self.skip(x)))


def nearly_degenerate(inputs, width, seed):
    """All hyperplanes of the first layer within rounding of one point, near copies of neurons in the second."""
    model = network((inputs, width, width, 1), seed)
    with torch.no_grad():
        point = torch.randn(inputs, dtype=torch.float64)
        model[0].bias.copy_(-(model[0].weight @ point))
        model[0].bias.add_(1e-15 * torch.randn(width, dtype=torch.float64))
        model[2].weight[1] = model[2].weight[0] * (1 + 2.0**-50)
        model[2].bias[1] = model[2].bias[0] * (1 - 2.0**-49)
    return model


def with_dead_parts(inputs, width, seed):
    """Negative biases, so that whole regions are flat, and one neuron that never fires."""
    model = network((inputs, width, width, 1), seed)
    with torch.no_grad():
        model[0].bias.sub_(0.5)
        model[2].bias.sub_(0.3)
        model[2].weight[0] = 0.0
    return model


FAMILIES = {
    "generic": lambda d, n, seed: network((d, n, n, 1), seed),
    "deep": lambda d, n, seed: network((d, n, 3, 3, 1), seed),
    "leaky": lambda d, n, seed: network((d, n, n, 1), seed, lambda: nn.LeakyReLU(0.1)),
    "dead parts": with_dead_parts,
    "nearly degenerate": nearly_degenerate,
    "residual": lambda d, n, seed: (torch.manual_seed(seed), Residual(d, n).double())[1],
    "fewer neurons than inputs": lambda d, n, seed: network((d, max(1, d - 1), n, 1), seed),
    "one layer": lambda d, n, seed: network((d, n, 1), seed),
}


def member(number):
    """Network ``number`` of a sequence that goes through all families, with one to four inputs."""
    name = list(FAMILIES)[number % len(FAMILIES)]
    d = 1 + (number // len(FAMILIES)) % 4
    width = {1: 8, 2: 7, 3: 5, 4: 4}[d]
    return name, d, FAMILIES[name](d, width, number)


def arrangement_counts(n, d):
    """The f-vector of n hyperplanes in general position in R^d."""
    return tuple(
        comb(n, d - k) * sum(comb(n - d + k, i) for i in range(k + 1)) if n >= d - k else 0 for k in range(d + 1)
    )


def sign_vectors_by_linear_programs(model):
    """All sign vectors of a Linear-ReLU-...-Linear network, layer by layer, kept where a linear program has slack."""
    linear = [m for m in model if isinstance(m, nn.Linear)]
    weights = [(m.weight.detach().numpy(), m.bias.detach().numpy()) for m in linear]
    d = linear[0].in_features
    cells = [((), np.eye(d), np.zeros(d), [])]  # signs, map of the layer's input, constraints (normal, offset, sign)
    for w, b in weights[:-1]:
        grown = []
        for signs, matrix, offset, rows in cells:
            normal, constant = w @ matrix, w @ offset + b
            partial = [((), rows)]
            for i in range(len(b)):
                partial = [
                    ((*own, s), [*old, (normal[i], constant[i], s)])
                    for own, old in partial
                    for s in (-1, 0, 1)
                    if _feasible([*old, (normal[i], constant[i], s)], d)
                ]
            for own, kept in partial:
                mask = np.array(own) > 0
                grown.append(((*signs, *own), mask[:, None] * normal, mask * constant, kept))
        cells = grown
    return {signs for signs, *_ in cells}


def _feasible(rows, d):
    upper = [(-s * normal, s * constant) for normal, constant, s in rows if s]
    equal = [(normal, -constant) for normal, constant, s in rows if not s]
    a_ub = np.array([[*normal, 1.0] for normal, _ in upper]) if upper else None
    b_ub = np.array([bound for _, bound in upper]) if upper else None
    a_eq = np.array([[*normal, 0.0] for normal, _ in equal]) if equal else None
    b_eq = np.array([bound for _, bound in equal]) if equal else None
    found = linprog([0.0] * d + [-1.0], a_ub, b_ub, a_eq, b_eq, [(None, None)] * d + [(None, 1.0)], method="highs")
    return found.status == 0 and found.x[-1] > 1e-9
