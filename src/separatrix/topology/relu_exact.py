"""Vertices and signs in exact integer arithmetic, for the few decisions that float64 cannot certify.

Weights are dyadic rationals, so a layer is an integer matrix and a power of two. A vertex is the solution of the
linear system of its ``d`` vanishing forms, kept as integers over one positive denominator; the forward pass then needs no division at all,
and the sign of every pre-activation is the sign of an integer.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from separatrix.errors import ComputationError
from separatrix.topology.relu_box import simplex_at_infinity
from separatrix.topology.relu_program import Floats, Layer, ReLUProgram

__all__ = ["ExactVertex", "ExactVertices", "NonGenericError"]

Integers = npt.NDArray[np.object_]


class NonGenericError(ComputationError):
    """More hyperplanes meet in a point than the dimension allows; names the neurons."""


@dataclass(frozen=True, eq=False)
class ExactVertex:
    """A vertex ``x = R u + p`` and F there, as integers over positive denominators; column 0 is the part with R.

    Attributes:
        place: ``(d, 2)``, over ``place_scale``.
        value: ``(outputs, 2)``, over ``value_scale``.
    """

    place: Integers
    place_scale: int
    value: Integers
    value_scale: int

    def output(self, part: int) -> Fraction:
        """``alpha`` (part 0) or ``beta`` (part 1) of the first output."""
        return Fraction(int(self.value[0, part]), self.value_scale)

    def along(self, direction: Floats, part: int) -> Fraction:
        """``direction . u`` (part 0) or ``direction . p`` (part 1)."""
        terms = zip(direction.tolist(), self.place[:, part], strict=True)
        return sum((Fraction(w) * int(c) for w, c in terms), Fraction(0)) / self.place_scale

    def place_floats(self) -> list[list[float]]:
        """``u`` and ``p``, correctly rounded."""
        return [[int(c) / self.place_scale for c in self.place[:, part]] for part in range(2)]

    def value_floats(self) -> list[list[float]]:
        """F as ``R alpha + beta``, correctly rounded: ``alpha`` and ``beta`` for each output."""
        return [[int(c) / self.value_scale for c in self.value[:, part]] for part in range(2)]


class ExactVertices:
    """Exact answers about the vertices of one network's complex; columns are the ``d + 1`` facets, then the neurons.

    Cost: about ``sum_l n_l n_{l-1} d`` integer products a vertex: a tenth of a millisecond to some milliseconds.
    """

    def __init__(self, program: ReLUProgram) -> None:
        self.program = program
        self.facets = program.inputs + 1

    @cached_property
    def _layers(self) -> list[tuple[dict[int, Integers], Integers, int, Integers, int]]:
        """Each layer as integers: weights, bias and their binary exponent; slopes and theirs."""
        return [self._integers(layer) for layer in (*self.program.layers, self.program.output)]

    @cached_property
    def _box(self) -> Integers:
        """The facets at infinity, as integers."""
        box = simplex_at_infinity(self.program.inputs)
        return _scaled(box, _exponent(box))

    @staticmethod
    def _integers(layer: Layer) -> tuple[dict[int, Integers], Integers, int, Integers, int]:
        arrays = [*layer.weights.values(), layer.bias]
        shift = max(_exponent(array) for array in arrays)
        weights = {k: _scaled(block, shift) for k, block in layer.weights.items()}
        slope_shift = _exponent(layer.slope)
        return weights, _scaled(layer.bias, shift), shift, _scaled(layer.slope, slope_shift), slope_shift

    def solve(self, signs: npt.NDArray[np.int8], zeros: npt.NDArray[np.int64], known: int) -> ExactVertex:
        """The vertex where the columns ``zeros`` vanish; writes the signs of the columns from ``known`` on.

        Args:
            signs: ``(columns,)``, as for ``VertexLocator.locate``; those from ``known`` on are written.
            zeros: ``(d,)`` columns.
            known: how many columns are decided.

        Raises:
            NonGenericError: one more neuron vanishes there, or the forms are dependent.
        """
        d, facets = self.program.inputs, self.facets
        box = self._box
        identity = np.array([[int(i == j) for j in range(d + 1)] for i in range(d)], dtype=object)
        constant = np.array([0] * d + [1], dtype=object)
        hidden = np.array([int(z) - facets for z in zeros if z >= facets])
        last = self.program.layer_of(int(hidden.max())) if len(hidden) else -1
        forms = self._propagate(identity, constant, signs, known, last, decide=False)
        system = np.empty((d, d + 2), dtype=object)  # right sides for u and p, then the coefficients
        for i, z in enumerate(zeros):
            if z < facets:
                system[i] = [-box[z, d], 0, *box[z, :d]]
            else:
                layer = self.program.layer_of(int(z) - facets)
                form = forms[layer][0][int(z) - facets - self.program.starts[layer]]
                system[i] = [0, -form[d], *form[:d]]
        solution = _solve(system)
        if solution is None:
            raise NonGenericError(
                f"The forms of {self._names(zeros)} are linearly dependent at a point where they should meet in a "
                "vertex; move their weights or biases slightly (by 1e-9, say)."
            )
        x, scale = solution
        if not any(z < facets for z in zeros):
            x[:, 0] = 0
        one = np.array([0, scale], dtype=object)
        values = self._propagate(x, one, signs, known, len(self.program.layers), decide=True, zeros=zeros)[-1]
        weight = scale << values[1]
        return ExactVertex(x, scale, values[0], weight)

    def _propagate(
        self,
        x: Integers,
        one: Integers,
        signs: npt.NDArray[np.int8],
        known: int,
        last: int,
        *,
        decide: bool,
        zeros: npt.NDArray[np.int64] | None = None,
    ) -> list[tuple[Integers, int]]:
        """Pre-activations of the layers up to ``last``, as integers and a binary exponent, from ``x`` and the unit."""
        activations: list[tuple[Integers, int]] = [(x, 0)]
        before: list[tuple[Integers, int]] = []
        for number, (weights, bias, shift, slope, slope_shift) in enumerate(self._layers[: last + 1]):
            common = max((activations[k][1] for k in weights), default=0)
            z = np.multiply.outer(bias, one) * (1 << common)
            for k, block in weights.items():
                z = z + block.dot(activations[k][0] * (1 << (common - activations[k][1])))
            before.append((z, common + shift))
            if number == len(self.program.layers):
                break
            first = self.facets + self.program.starts[number]
            if decide:
                self._decide(signs, z, first, known, zeros)
            negative = signs[first : first + len(z)] < 0
            factor = np.array([s if n else 1 << slope_shift for s, n in zip(slope, negative, strict=True)])
            activations.append((z * factor.astype(object)[:, None], common + shift + slope_shift))
        return before

    def _decide(
        self, signs: npt.NDArray[np.int8], z: Integers, first: int, known: int, zeros: npt.NDArray[np.int64] | None
    ) -> None:
        """Write the signs of one layer's undecided columns; pairs compare by their first entry."""
        for j in range(max(0, known - first), len(z)):
            if zeros is not None and first + j in zeros:
                signs[first + j] = 0
                continue
            leading = z[j][0] if z[j][0] != 0 else z[j][1]
            if leading == 0:
                name = self.program.neuron_name(first + j - self.facets)
                raise NonGenericError(
                    f"{name.capitalize()} also vanishes where {self._names(zeros)} meet; the complex of this "
                    "network is not generic: move the neuron's bias slightly (by 1e-9, say)."
                )
            signs[first + j] = 1 if leading > 0 else -1

    def _names(self, zeros: npt.NDArray[np.int64] | None) -> str:
        hidden = [] if zeros is None else [int(z) - self.facets for z in zeros if z >= self.facets]
        return ", ".join(self.program.neuron_name(n) for n in hidden) or "the facets at infinity"


def _exponent(array: Floats) -> int:
    """The least e >= 0 with ``2^e array`` integer."""
    mantissa, exponent = np.frexp(array[array != 0])
    if len(mantissa) == 0:
        return 0
    whole = (mantissa * 2.0**53).astype(np.int64)
    trailing = np.log2((whole & -whole).astype(np.float64)).astype(np.int64)
    return max(0, int((53 - exponent - trailing).max()))


def _scaled(array: Floats, shift: int) -> Integers:
    """``2^shift array`` as Python integers."""
    flat: list[Any] = [int(Fraction(float(v)) * (1 << shift)) for v in array.ravel()]
    scaled = np.empty(len(flat), dtype=object)
    scaled[:] = flat
    return scaled.reshape(array.shape)


def _solve(system: Integers) -> tuple[Integers, int] | None:
    """``(d, 2)`` numerators and a positive denominator that solve ``(right sides, coefficients)``; None if singular.

    Gauss-Jordan without fractions: every division is exact [bareiss1968].
    """
    d = len(system)
    previous = 1
    for c in range(d):
        pivots = np.flatnonzero(system[c:, c + 2] != 0)
        if len(pivots) == 0:
            return None
        system[[c, c + int(pivots[0])]] = system[[c + int(pivots[0]), c]]
        lead, pivot = system[c].copy(), system[c, c + 2]
        system = (system * pivot - np.multiply.outer(system[:, c + 2], lead)) // previous
        system[c] = lead
        previous = pivot
    numerators = system[:, :2] * (1 if previous > 0 else -1)
    return numerators, abs(previous)
