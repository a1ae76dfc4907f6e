"""From a user's module to the normal form of a ReLU network, by walking its torch.fx graph.

Every value in the graph is an affine expression in the input and the activations so far. Affine modules change the
expression, an activation starts a new layer of neurons. A maximum is ``max(a, b) = b + relu(a - b)``; pooling over
more than two entries is a tournament of such maxima, so its complex is cut along a few more hyperplanes than the
function bends on. Residual sums add expressions. Pooling after an activation is done before it, which is the
same function (activations are monotone) and keeps the complex generic.
"""

import operator
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from separatrix.errors import InputError
from separatrix.topology.relu_affine import Affine
from separatrix.topology.relu_program import Floats, Layer, ReLUProgram

__all__ = ["compile_relu"]

SUPPORTED = (
    "Linear, ReLU, LeakyReLU, PReLU, BatchNorm1d (eval), MaxPool1d, Dropout (eval), Flatten, Identity, "
    "and in forward(): +, -, * and / by constants, torch.relu, torch.maximum, torch.minimum, torch.abs"
)


def compile_relu(model: nn.Module) -> ReLUProgram:
    """The normal form of ``model``, a function of one vector; its weights are copied as float64.

    Raises:
        InputError: a layer or operation that is not piecewise linear or not supported (named), a parameter with NaN or
            infinity (named), BatchNorm or Dropout in training mode, shapes that do not fit.

    Cost: the products of consecutive affine layers.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, got {type(model).__name__}.")
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{name} has a NaN or an infinity; the complex needs finite weights.")
    if not list(model.children()) and type(model).__module__.startswith("torch.nn."):
        model = nn.Sequential(model)  # a single layer, whose own code is not to be traced
    try:
        graph = fx.Tracer().trace(model)
    except Exception as error:  # tracing runs the user's code with proxies
        raise InputError(
            f"forward() of {type(model).__name__} cannot be traced ({error}); write it without branches on values."
        ) from error
    return _Compiler(model).run(graph)


class _Compiler:
    def __init__(self, model: nn.Module) -> None:
        self.modules = dict(model.named_modules())
        self.model = model
        self.layers: list[Layer] = []
        self.taken: dict[int, tuple[Affine, Affine]] = {}  # by identity: a value used twice is one layer

    def run(self, graph: fx.Graph) -> ReLUProgram:
        inputs = self._input_dimension(graph)
        values: dict[fx.Node, Any] = {}
        for node in graph.nodes:
            args = fx.map_arg(node.args, lambda n: values[n])
            kwargs = fx.map_arg(node.kwargs, lambda n: values[n])
            if node.op == "placeholder":
                if any(isinstance(value, Affine) for value in values.values()):
                    raise InputError(f"forward() must take one vector; got a second input {node.name!r}.")
                values[node] = Affine.block(0, inputs)
            elif node.op == "get_attr":
                values[node] = operator.attrgetter(node.target)(self.model)
            elif node.op == "call_module":
                values[node] = self._module(node.target, args[0])
            elif node.op == "output":
                out = self._taken(args[0]) if isinstance(args[0], Affine) else None
                if out is None:
                    raise InputError("forward() must return one tensor that depends on the input.")
                output = Layer(out.blocks, out.constant, np.ones(len(out.constant)), "output")
                return ReLUProgram(inputs, tuple(self.layers), output)
            else:
                values[node] = self._function(node, args, kwargs)
        raise InputError("forward() returns nothing.")

    def _input_dimension(self, graph: fx.Graph) -> int:
        for node in graph.nodes:
            module = self.modules.get(node.target) if node.op == "call_module" else None
            if isinstance(module, nn.Linear):
                return int(module.weight.shape[1])
            if isinstance(module, nn.BatchNorm1d):
                return module.num_features
        raise InputError("The model has no Linear or BatchNorm1d layer, so its input dimension is unknown.")

    def _module(self, name: str, value: Affine | object) -> Affine:
        module = self.modules[name]
        if not isinstance(value, Affine):
            raise InputError(f"Layer {name!r} must be applied to the data, got {type(value).__name__}.")
        if isinstance(module, nn.Identity | nn.Flatten):
            return value
        if isinstance(module, nn.ReLU):
            return self._activated(value, 0.0, name)
        if isinstance(module, nn.LeakyReLU):
            return self._activated(value, float(module.negative_slope), name)
        if isinstance(module, nn.PReLU):
            return self._activated(value, _array(module.weight), name)
        if isinstance(module, nn.MaxPool1d):
            return self._pooled(value, module, name)
        value = self._taken(value)
        if isinstance(module, nn.Linear):
            _fits(name, int(module.weight.shape[1]), value)
            mapped = value.mapped(_array(module.weight))
            return mapped if module.bias is None else mapped.shifted(_array(module.bias))
        if isinstance(module, nn.BatchNorm1d | nn.Dropout) and module.training:
            raise InputError(f"Layer {name!r} is {type(module).__name__} in training mode; call model.eval() first.")
        if isinstance(module, nn.Dropout):
            return value
        if isinstance(module, nn.BatchNorm1d) and module.running_mean is not None and module.running_var is not None:
            _fits(name, module.num_features, value)
            weight = 1.0 if module.weight is None else _array(module.weight)
            factor = weight / np.sqrt(_array(module.running_var) + module.eps)
            shift = 0.0 if module.bias is None else _array(module.bias)
            return value.shifted(-_array(module.running_mean)).scaled(factor).shifted(shift)
        raise InputError(
            f"Layer {name!r} of type {type(module).__name__} is not supported; a ReLU complex can be made from "
            f"{SUPPORTED}."
        )

    def _function(self, node: fx.Node, args: Any, kwargs: dict[str, Any]) -> Any:
        name, target = node.name, node.target
        if target in (torch.relu, nn.functional.relu, "relu"):
            return self._activated(args[0], 0.0, name)
        if target is nn.functional.leaky_relu:
            slope = kwargs.get("negative_slope", args[1] if len(args) > 1 else 0.01)
            return self._activated(args[0], float(slope), name)
        args = [self._taken(arg) if isinstance(arg, Affine) else arg for arg in args]
        if not any(isinstance(arg, Affine) for arg in args) and callable(target):
            return target(*args, **kwargs)  # a constant
        if target in (torch.abs, operator.abs, "abs"):
            return self._activated(args[0], -1.0, name)
        if target in (torch.flatten, "flatten"):
            return args[0]
        if target in (operator.neg, torch.neg):
            return args[0].scaled(-1.0)
        if len(args) == 2:
            a, b = args
            if target in (operator.add, torch.add, operator.iadd, "add") and not kwargs:
                return _plus(a, b)
            if target in (operator.sub, torch.sub, "sub") and not kwargs:
                return _plus(a, b.scaled(-1.0) if isinstance(b, Affine) else -_constant(b))
            if target in (operator.mul, torch.mul, "mul") and not (isinstance(a, Affine) and isinstance(b, Affine)):
                return a.scaled(_constant(b)) if isinstance(a, Affine) else b.scaled(_constant(a))
            if target in (operator.truediv, torch.div, "div") and not isinstance(b, Affine) and not kwargs:
                return a.scaled(1.0 / _constant(b))
            if isinstance(a, Affine) and isinstance(b, Affine) and a.constant.shape == b.constant.shape:
                if target in (torch.maximum, torch.max):
                    return self._maximum(a, b, name)
                if target in (torch.minimum, torch.min):
                    return self._maximum(a.scaled(-1.0), b.scaled(-1.0), name).scaled(-1.0)
        raise InputError(f"Operation {target!s} ({name!r}) in forward() is not supported; supported are {SUPPORTED}.")

    def _activated(self, value: Affine, slope: Floats | float, name: str) -> Affine:
        slopes = np.broadcast_to(np.asarray(slope, dtype=np.float64), value.constant.shape)
        if value.pending is not None and not value.pending.any() and not slopes.any():
            return value  # relu(relu(z)) = relu(z)
        value = self._taken(value)
        return Affine(value.blocks, value.constant, slopes, name)

    def _taken(self, value: Affine) -> Affine:
        """The value after its pending activation, which becomes a layer."""
        if value.pending is None:
            return value
        if id(value) in self.taken:
            return self.taken[id(value)][1]
        blocks = {k: block for k, block in value.blocks.items() if block.any()}
        slopes, constant = value.pending.copy(), value.constant.copy()
        # a pre-activation that is zero everywhere is kept as a neuron that is never active: it bends nowhere
        never = constant == 0
        for block in blocks.values():
            never &= ~block.any(axis=1)
        slopes[never], constant[never] = 0.0, -1.0
        self.layers.append(Layer(blocks, constant, slopes, value.name))
        taken = Affine.block(len(self.layers), len(constant))
        self.taken[id(value)] = (value, taken)
        return taken

    def _maximum(self, a: Affine, b: Affine, name: str) -> Affine:
        difference = a - b
        return b + self._taken(Affine(difference.blocks, difference.constant, np.zeros(len(a)), name))

    def _pooled(self, value: Affine, module: nn.MaxPool1d, name: str) -> Affine:
        size, stride = _one(module.kernel_size), _one(module.stride)
        plain = _one(module.padding) == 0 and _one(module.dilation) == 1
        if not plain or module.ceil_mode or module.return_indices:
            raise InputError(f"Layer {name!r}: MaxPool1d must have no padding, dilation, ceil_mode or return_indices.")
        if stride < size:
            raise InputError(
                f"Layer {name!r}: MaxPool1d windows must not overlap (stride {stride} < kernel_size {size}): two windows "
                "compare the same entries, which is never generic."
            )
        slopes = value.pending
        if slopes is not None and ((slopes < 0).any() or (slopes != slopes[0]).any()):
            value, slopes = self._taken(value), None
        count = (len(value) - size) // stride + 1
        if count < 1:
            raise InputError(f"Layer {name!r} pools {size} entries, but gets only {len(value)}.")
        entries = [value.selected(slice(j, j + (count - 1) * stride + 1, stride)) for j in range(size)]
        while len(entries) > 1:
            pairs = zip(entries[0::2], entries[1::2], strict=False)
            maxima = [self._maximum(a, b, name) for a, b in pairs]
            entries = maxima + entries[2 * len(maxima) :]
        pooled = entries[0]
        return Affine(pooled.blocks, pooled.constant, None if slopes is None else slopes[:count], value.name)


def _plus(a: Any, b: Any) -> Affine:
    """A sum, one side of which may be a constant."""
    if isinstance(a, Affine) and isinstance(b, Affine):
        if len(a) != len(b):
            raise InputError(f"A sum in forward() joins vectors of {len(a)} and {len(b)} entries.")
        return a + b
    return a.shifted(_constant(b)) if isinstance(a, Affine) else b.shifted(_constant(a))


def _fits(name: str, expected: int, value: Affine) -> None:
    if len(value) != expected:
        raise InputError(f"Layer {name!r} expects {expected} entries, but gets {len(value)}.")


def _array(tensor: torch.Tensor) -> Floats:
    return tensor.detach().to(device="cpu", dtype=torch.float64).numpy().copy()


def _constant(value: Any) -> Floats | float:
    return _array(value) if isinstance(value, torch.Tensor) else np.asarray(value, dtype=np.float64)


def _one(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]
