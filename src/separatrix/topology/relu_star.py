"""The star of one vertex of a ReLU complex, without the complex: for wide networks, around a point.

From a point one walks down F inside its region, from facet to facet, until d neurons vanish. With ``a_Z`` the activations of
those neurons taken as free inputs, and the other neurons fixed on or off,

    z_Z = G x + H a_Z,   F = g . x + h . a_Z.

Along the edge that leaves neuron k to its side s all other z_Z stay 0 and ``a_k`` grows at the rate s or, on the
negative side, slope_k s; so its direction solves ``G r = s e_k - H_k a_k'``, and F changes at ``g . r + h_k a_k'``.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from separatrix.errors import ComputationError, InputError
from separatrix.topology.relu_compile import compile_relu
from separatrix.topology.relu_forms import Signs, combine, layer_forms
from separatrix.topology.relu_locate import UNIT, VertexLocator
from separatrix.topology.relu_program import Floats, ReLUProgram

__all__ = ["VertexStar", "vertex_star"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class VertexStar:
    """A vertex and its ``2 d`` edges; every choice of sides spans one of the ``3^d`` cells around it.

    Attributes:
        point: ``(d,)``, with ``error`` a bound on each coordinate's error.
        value: F there.
        neurons: ``(d,)`` the neurons that vanish, ascending; ``names`` are theirs.
        signs: ``(N,)`` int8, certified.
        directions: ``(d, 2, d)``: along edge (k, side), side 0 to neuron k's positive side; ``z_k`` changes by 1.
        slopes: ``(d, 2)``: the rate of F along them, with ``slope_errors``.
        kind: ``"critical"``, ``"regular"``, ``"flat"`` (an edge along which F is constant) or ``"undecided"`` (a slope
            within its error of 0).
        index: of a critical vertex, else None.
    """

    point: Tensor
    error: float
    value: float
    neurons: Tensor
    names: tuple[str, ...]
    signs: Tensor
    directions: Tensor
    slopes: Tensor
    slope_errors: Tensor
    kind: str
    index: int | None


def vertex_star(model: nn.Module, point: Tensor) -> VertexStar:
    """The star of a vertex of the region that holds ``point``, reached by descending F from it.

    Args:
        model: as for ``relu_complex``, with one output; its width and depth cost what a few gradients cost.
        point: ``(d,)``.

    Raises:
        InputError: wrong shape of ``point``, NaN, more than one output, or as for ``relu_complex``.
        ComputationError: the region has no vertex that can be reached; this includes networks with fewer than d neurons.
        NonGenericError: more than d neurons vanish at the vertex.

    Cost: d forms of all neurons, ``d`` projections and one d-system: O(d sum_l n_l n_{l-1} + d^3 + d^2 N).
    """
    program = compile_relu(model)
    if program.outputs != 1:
        raise InputError(f"vertex_star needs a network with one output, got {program.outputs}.")
    x = point.detach().to(device="cpu", dtype=torch.float64).numpy().copy()
    if x.shape != (program.inputs,) or not np.isfinite(x).all():
        raise InputError(f"point must be a finite vector of shape ({program.inputs},), got shape {tuple(x.shape)}.")
    signs, neurons = _walk(program, x)

    locator, facets = VertexLocator(program), program.inputs + 1
    column = np.concatenate([np.ones(facets, dtype=np.int8), signs])[:, None]
    assumed = column.copy()
    located = locator.locate(column, facets + neurons[None, :], facets)
    assumed[facets + neurons] = 0
    if (column != assumed).any():
        wrong = int(np.flatnonzero((column != assumed)[:, 0])[0]) - facets
        raise ComputationError(
            f"The walk to a vertex passed {program.neuron_name(wrong)} by rounding; start from another point."
        )
    directions, slopes, errors = _edges(program, column[facets:, 0], neurons)
    kind, index = _classify(slopes, errors)
    return VertexStar(
        torch.from_numpy(located.place[1, 0]),
        float(located.place_error[1, 0]),
        float(located.value[1, 0, 0]),
        torch.from_numpy(neurons),
        tuple(program.neuron_name(int(n)) for n in neurons),
        torch.from_numpy(column[facets:, 0].copy()),
        torch.from_numpy(directions),
        torch.from_numpy(slopes),
        torch.from_numpy(errors),
        kind,
        index,
    )


def _walk(program: ReLUProgram, x: Floats) -> tuple[Signs, Integers]:
    """The signs of the region of ``x`` and d of its neurons that vanish together at one of its vertices, ascending."""
    before, _ = program.evaluate(x[None])
    signs = np.where(before[0] > 0, 1, -1).astype(np.int8)
    forms, _ = layer_forms(program, signs[:, None], len(program.layers))
    gradient = forms[-1][0, :-1, 0]
    hidden = np.concatenate([form[:, :, 0] for form in forms[:-1]]) if program.layers else np.empty((0, len(x) + 1))
    normals, z = hidden[:, :-1], hidden[:, :-1] @ x + hidden[:, -1]
    reached: list[int] = []
    basis = np.empty((0, len(x)))  # orthonormal, spans the normals of the neurons reached
    for _ in range(len(x)):
        step = _step(normals, z, gradient, basis, reached)
        if step is None:
            raise ComputationError(
                f"The region of the point has no vertex within reach: after {len(reached)} of {len(x)} neurons every "
                "direction inside it is unbounded; start from another point, or use a network with more neurons."
            )
        neuron, direction, length = step
        x = x + length * direction
        z = normals @ x + hidden[:, -1]
        reached.append(neuron)
        normal = _project(normals[neuron], basis)
        basis = np.vstack([basis, normal / np.linalg.norm(normal)])
    return signs, np.sort(np.array(reached))


def _step(
    normals: Floats, z: Floats, gradient: Floats, basis: Floats, reached: list[int]
) -> tuple[int, Floats, float] | None:
    """The first neuron that vanishes on the way down F within the neurons reached; other directions if F is flat there."""
    candidates = [-gradient, gradient, *np.eye(len(gradient)), *-np.eye(len(gradient))]
    for candidate in candidates:
        direction = _project(candidate, basis)
        size = np.linalg.norm(direction)
        if size <= 1e-9 * np.linalg.norm(candidate):
            continue
        direction = direction / size
        rate = normals @ direction
        rate[reached] = 0.0
        rate[np.abs(rate) <= 1e-12 * np.linalg.norm(normals, axis=1)] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            length = np.where(rate * z < 0, -z / rate, np.inf)
        neuron = int(np.argmin(length))
        if np.isfinite(length[neuron]):
            return neuron, direction, float(length[neuron])
    return None


def _project(vector: Floats, basis: Floats) -> Floats:
    """The part orthogonal to the rows of ``basis``, projected twice so that rounding does not build up."""
    vector = vector - basis.T @ (basis @ vector)
    return np.asarray(vector - basis.T @ (basis @ vector))


def _edges(program: ReLUProgram, signs: Signs, neurons: Integers) -> tuple[Floats, Floats, Floats]:
    """Directions ``(d, 2, d)``, slopes ``(d, 2)`` and bounds on the slopes' errors, to first order."""
    d = program.inputs
    activations = [np.hstack([np.eye(d), np.zeros((d, d))])]
    majorants = [np.abs(activations[0])]
    rows, sizes = np.empty((d, 2 * d)), np.empty((d, 2 * d))
    terms = 0
    for number, layer in enumerate(program.layers):
        terms += layer.terms
        z, size = combine(layer, activations), _absolute(layer.weights, majorants)
        first = program.starts[number]
        own = signs[first : first + len(z)]
        slope = np.where(own > 0, 1.0, np.where(own < 0, layer.slope, 0.0))[:, None]
        here = np.flatnonzero((neurons >= first) & (neurons < first + len(z)))
        rows[here], sizes[here] = z[neurons[here] - first], size[neurons[here] - first]
        activations.append(z * slope)
        majorants.append(size * np.abs(slope))
        activations[-1][neurons[here] - first, d + here] = 1.0
        majorants[-1][neurons[here] - first, d + here] = 1.0
    out, out_size = combine(program.output, activations)[0], _absolute(program.output.weights, majorants)[0]
    slopes_below = np.concatenate([layer.slope for layer in program.layers])[neurons]
    inverse = np.linalg.inv(rows[:, :d])
    gamma = (terms + program.output.terms + 2 * d) * UNIT
    directions, slopes, errors = np.empty((d, 2, d)), np.empty((d, 2)), np.empty((d, 2))
    for side, rate in ((0, np.ones(d)), (1, -slopes_below)):
        right = np.eye(d) * (1 - 2 * side) - rows[:, d:] * rate  # column k belongs to neuron k
        directions[:, side] = (inverse @ right).T
        slopes[:, side] = directions[:, side] @ out[:d] + out[d:] * rate
        residual = sizes[:, :d] @ np.abs(directions[:, side].T) + sizes[:, d:] * np.abs(rate) + np.abs(right)
        moved = np.abs(out[:d] @ inverse) @ residual
        errors[:, side] = 4 * gamma * (moved + np.abs(directions[:, side]) @ out_size[:d] + out_size[d:] * np.abs(rate))
    return directions, slopes, errors


def _absolute(weights: dict[int, Floats], majorants: list[Floats]) -> Floats:
    return np.asarray(sum(np.abs(block) @ majorants[k] for k, block in weights.items()))


def _classify(slopes: Floats, errors: Floats) -> tuple[str, int | None]:
    """Kind and index from the signs of the slopes, none of which is decided within its error."""
    certain = np.abs(slopes) > errors
    if ((slopes == 0) & (errors == 0)).any():
        return "flat", None
    if not certain.all():
        return "undecided", None
    sides = (slopes < 0).sum(axis=1)
    return ("regular", None) if (sides == 1).any() else ("critical", int((sides == 2).sum()))
