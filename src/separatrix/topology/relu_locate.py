"""Vertices of a ReLU complex in float64, with bounds that say which signs are certain.

A vertex is where ``d`` forms vanish: facets of the simplex at infinity, or pre-activations, affine on any cell that
touches the vertex. The system is solved once, its residual bounds the error of ``x = R u + p``, and one forward pass
carries the bound along, by Cauchy and Schwarz, which costs no second product and little sharpness:

    |z_j - z_j^| <= |W_j|_2 |e + gamma |a||_2 + gamma |b_j|,   gamma = (terms) 2^-52.

A sign is certain when ``|z^|`` exceeds the bound. Where one is not, the vertex is done again in integers: a sign
is never decided by a tolerance. (Bounds as in Higham, Accuracy and Stability of Numerical Algorithms, 3.1 and 7.2;
underflow is not covered.)
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from separatrix.topology.relu_box import simplex_at_infinity
from separatrix.topology.relu_exact import ExactVertices
from separatrix.topology.relu_forms import Columns, Signs, combine, layer_forms, row_forms
from separatrix.topology.relu_program import Floats, Layer, ReLUProgram

__all__ = ["Located", "VertexLocator"]

UNIT = 2.0**-52
SLACK = 1.0 + 2.0**-20  # covers the rounding of the bounds themselves


@dataclass(frozen=True, eq=False)
class Located:
    """Where ``B`` vertices lie: pairs ``(u, p)`` and ``F = R alpha + beta``, each with a bound on its error.

    Attributes:
        place, place_error: ``(2, B, d)`` and ``(2, B)``.
        value, value_error: ``(2, B, outputs)``.
        exact: how many vertices needed integers.
    """

    place: Floats
    place_error: Floats
    value: Floats
    value_error: Floats
    exact: int


class VertexLocator:
    """Finds batches of vertices of one network's complex; columns are the ``d + 1`` facets, then the neurons."""

    def __init__(self, program: ReLUProgram) -> None:
        self.program = program
        self.facets = program.inputs + 1
        self.box = simplex_at_infinity(program.inputs)
        self.exact = ExactVertices(program)
        self.majorant, self.gamma = self._majorants()
        columns = self.facets + program.neurons
        self.batch = max(64, 2**19 // (columns * (program.inputs + 1)))

    def _majorants(self) -> tuple[Floats, float]:
        """``(columns, d + 1)`` bounds on the absolute sums behind every form, whichever neurons are active."""
        d = self.program.inputs
        activations = [np.hstack([np.eye(d), np.zeros((d, 1))])]
        rows, gamma = [np.zeros_like(self.box)], 0.0
        for layer in self.program.layers:
            total = np.zeros((len(layer.bias), d + 1))
            total[:, d] = np.abs(layer.bias)
            for k, block in layer.weights.items():
                total += np.abs(block) @ activations[k]
            rows.append(total)
            activations.append(total * np.maximum(1.0, np.abs(layer.slope))[:, None])
            gamma += layer.terms * UNIT
        return np.concatenate(rows) * SLACK, gamma * SLACK

    def locate(self, signs: Signs, zeros: Columns, known: int) -> Located:
        """The vertices with these zeros; writes their signs in the columns from ``known`` on.

        Args:
            signs: ``(columns, B)``, right for the neurons in layers before a zero, at least on a cell at the vertex.
            zeros: ``(B, d)`` columns that vanish.
            known: how many columns are decided.

        Raises:
            NonGenericError: more than ``d`` forms vanish at a vertex.

        Cost: per vertex one forward pass, one of ``d`` gradients up to the layer in hand, one ``d``-system.
        """
        parts = [
            self._locate(signs[:, i : i + self.batch], zeros[i : i + self.batch], known)
            for i in range(0, len(zeros), self.batch)
        ]
        if len(parts) == 1:
            return parts[0]
        return Located(
            np.concatenate([part.place for part in parts], axis=1),
            np.concatenate([part.place_error for part in parts], axis=1),
            np.concatenate([part.value for part in parts], axis=1),
            np.concatenate([part.value_error for part in parts], axis=1),
            sum(part.exact for part in parts),
        )

    def _locate(self, signs: Signs, zeros: Columns, known: int) -> Located:
        matrix, right = self._systems(signs, zeros)
        place, place_error, uncertain = self._solve(matrix, right, zeros)
        value, value_error, unsure = self._forward(signs, zeros, known, place, place_error)
        uncertain |= unsure
        for b in np.flatnonzero(uncertain):
            column = signs[:, b].copy()
            vertex = self.exact.solve(column, zeros[b], known)
            signs[:, b] = column
            place[:, b], value[:, b] = vertex.place_floats(), vertex.value_floats()
            place_error[:, b] = UNIT * np.abs(place[:, b]).max(axis=1)
            value_error[:, b] = UNIT * np.abs(value[:, b])
        return Located(place, place_error, value, value_error, int(uncertain.sum()))

    def _systems(self, signs: Signs, zeros: Columns) -> tuple[Floats, Floats]:
        """``(B, d, d)`` coefficients of the vanishing forms and ``(2, B, d)`` right sides for u and p."""
        d, size = self.program.inputs, len(zeros)
        last = self.program.layer_of(int(zeros.max()) - self.facets) if zeros.max() >= self.facets else -1
        box = np.broadcast_to(self.box[:, :, None], (*self.box.shape, size))
        forms, activations = layer_forms(self.program, signs[self.facets :], last - 1)
        table = np.concatenate([box, *forms])
        rows = np.empty((size, d, d + 1))
        earlier = zeros < len(table)
        rows[earlier] = table[zeros[earlier], :, np.nonzero(earlier)[0]]
        for k in range(d):  # in the last layer only the rows that are asked for
            here = np.flatnonzero(~earlier[:, k])
            if len(here):
                rows[here, k] = row_forms(self.program.layers[last], zeros[here, k] - len(table), activations, here)
        at_infinity = zeros < self.facets
        right = np.stack([np.where(at_infinity, -rows[:, :, d], 0.0), np.where(at_infinity, 0.0, -rows[:, :, d])])
        return np.ascontiguousarray(rows[:, :, :d]), right

    def _solve(self, matrix: Floats, right: Floats, zeros: Columns) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
        """Solutions ``(2, B, d)``, bounds ``(2, B)`` on their errors, and where there is no bound.

        With X close to the inverse, ``kappa = ||I - X M|| + || |X| dM || < 1`` bounds the error by
        ``|| |X| rho || / (1 - kappa)``, where rho bounds the residual of the exact system.
        """
        d = self.program.inputs
        inverse = _inverse(matrix)
        with np.errstate(all="ignore"):
            size = np.abs(inverse)
            majorant = self.gamma * self.majorant[zeros]
            spread = size @ majorant[:, :, :d]
            defect = np.abs(inverse @ matrix - np.eye(d)) + 2 * d * UNIT * (size @ np.abs(matrix)) + spread
            kappa = defect.sum(axis=2).max(axis=1)
            place = np.einsum("bij,qbj->qbi", inverse, right)
            place -= np.einsum("bij,qbj->qbi", inverse, np.einsum("bij,qbj->qbi", matrix, place) - right)
            residual = np.abs(np.einsum("bij,qbj->qbi", matrix, place) - right)
            about = np.abs(place)
            residual += (d + 4) * UNIT * (np.einsum("bij,qbj->qbi", np.abs(matrix), about) + np.abs(right))
            residual += np.einsum("bij,qbj->qbi", majorant[:, :, :d], about)
            residual[1] += majorant[:, :, d]
            error = np.einsum("bij,qbj->qbi", size, residual).max(axis=2) / (1.0 - kappa) * SLACK
            uncertain = ~(kappa < 0.5) | ~np.isfinite(error).all(axis=0)
        place[:, uncertain], error[:, uncertain] = 0.0, 0.0
        finite = (zeros >= self.facets).all(axis=1)
        place[0, finite], error[0, finite] = 0.0, 0.0
        return place, error, uncertain

    def _forward(
        self, signs: Signs, zeros: Columns, known: int, place: Floats, place_error: Floats
    ) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
        """Values ``(2, B, outputs)`` with bounds; writes undecided signs and says at which vertices one is uncertain."""
        program, size = self.program, len(zeros)
        infinite = np.flatnonzero((zeros < self.facets).any(axis=1))
        # columns of the pass: p of every vertex, then u of those at infinity
        activations = [np.concatenate([place[1].T, place[0, infinite].T], axis=1)]
        spread = np.concatenate([place_error[1], place_error[0, infinite]])
        errors = [np.broadcast_to(spread, activations[0].shape)]
        uncertain = np.zeros(size, dtype=np.bool_)
        for number, layer in enumerate(program.layers):
            z, error = _combine_with_error(layer, activations, errors, size)
            first = self.facets + program.starts[number]
            undecided = min(max(known - first, 0), len(z))
            if undecided < len(z):
                found, sure = _lexicographic_signs(z[undecided:], error[undecided:], size, infinite)
                if (zeros >= first + undecided).any():
                    vanish = (zeros[:, :, None] == first + np.arange(undecided, len(z))).any(axis=1).T
                    found[vanish], sure[vanish] = 0, True
                signs[first + undecided : first + len(z)] = found
                uncertain |= ~sure.all(axis=0)
            own = signs[first : first + len(z)]
            own = np.concatenate([own, own[:, infinite]], axis=1)
            slope = np.where(own > 0, 1.0, np.where(own < 0, layer.slope[:, None], 0.0))
            activations.append(z * slope)
            errors.append((error + UNIT * np.abs(z)) * np.abs(slope))
        z, error = _combine_with_error(program.output, activations, errors, size)
        value, bound = np.zeros((2, size, len(z))), np.zeros((2, size, len(z)))
        value[1], bound[1] = z[:, :size].T, error[:, :size].T
        value[0, infinite], bound[0, infinite] = z[:, size:].T, error[:, size:].T
        return value, bound, uncertain


def _inverse(matrix: Floats) -> Floats:
    """Inverses ``(B, d, d)``, with non-finite entries where there is none."""
    try:
        return np.asarray(np.linalg.inv(matrix))
    except np.linalg.LinAlgError:  # one singular matrix stops NumPy; PyTorch, slower on small batches, goes on
        return np.asarray(torch.linalg.inv_ex(torch.from_numpy(matrix)).inverse.numpy())


def _combine_with_error(
    layer: Layer, activations: list[Floats], errors: list[Floats], size: int
) -> tuple[Floats, Floats]:
    """``(n, columns)`` pre-activations and bounds; the bias belongs to the first ``size`` columns only."""
    gamma = layer.terms * UNIT
    z = combine(layer, activations)
    error = np.zeros_like(z)
    for k, norms in layer.row_norms.items():
        error += np.multiply.outer(norms, np.linalg.norm(errors[k] + gamma * np.abs(activations[k]), axis=0))
    z[:, :size] += layer.bias[:, None]
    error[:, :size] += gamma * np.abs(layer.bias)[:, None]
    return z, error * SLACK


def _lexicographic_signs(
    z: Floats, error: Floats, size: int, infinite: npt.NDArray[np.int64]
) -> tuple[Signs, npt.NDArray[np.bool_]]:
    """Signs ``(n, size)`` of ``R alpha + beta``, and whether they are certain."""
    beta, beta_sure = z[:, :size], np.abs(z[:, :size]) > error[:, :size]
    signs = np.sign(beta).astype(np.int8)
    if len(infinite) == 0:
        return signs, beta_sure
    alpha, alpha_error = z[:, size:], error[:, size:]
    vanishes = (alpha == 0) & (alpha_error == 0)
    signs[:, infinite] = np.where(vanishes, signs[:, infinite], np.sign(alpha).astype(np.int8))
    beta_sure[:, infinite] = np.where(vanishes, beta_sure[:, infinite], np.abs(alpha) > alpha_error)
    return signs, beta_sure
