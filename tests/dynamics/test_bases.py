"""Bases against torch.optim, bitwise, and their frozen forms against the step they linearise."""

from __future__ import annotations

import pytest
import torch

from separatrix.dynamics import SGD, Adam, AdamW, Frozen, Mode, RMSprop
from separatrix.errors import InputError

SHAPES = ((7, 5), (3,), (1,), (2, 3, 3, 3), (33,))
PAIRS = {
    "sgd": (SGD(0.05), torch.optim.SGD, {"lr": 0.05}),
    "sgd-decay": (SGD(0.05, weight_decay=0.1), torch.optim.SGD, {"lr": 0.05, "weight_decay": 0.1}),
    "momentum": (SGD(0.01, momentum=0.9), torch.optim.SGD, {"lr": 0.01, "momentum": 0.9}),
    "dampening": (
        SGD(0.03, momentum=0.7, dampening=0.4, weight_decay=0.01),
        torch.optim.SGD,
        {"lr": 0.03, "momentum": 0.7, "dampening": 0.4, "weight_decay": 0.01},
    ),
    "nesterov": (
        SGD(0.01, momentum=0.8, nesterov=True, weight_decay=0.02),
        torch.optim.SGD,
        {"lr": 0.01, "momentum": 0.8, "nesterov": True, "weight_decay": 0.02},
    ),
    "rmsprop": (RMSprop(1e-3), torch.optim.RMSprop, {"lr": 1e-3}),
    "rmsprop-gan": (RMSprop(1e-3, alpha=0.9, eps=1e-10), torch.optim.RMSprop, {"lr": 1e-3, "alpha": 0.9, "eps": 1e-10}),
    "rmsprop-momentum": (
        RMSprop(1e-3, momentum=0.6, weight_decay=0.1),
        torch.optim.RMSprop,
        {"lr": 1e-3, "momentum": 0.6, "weight_decay": 0.1},
    ),
    "adam": (Adam(), torch.optim.Adam, {}),
    "adam-gan": (Adam(2e-4, (0.5, 0.999)), torch.optim.Adam, {"lr": 2e-4, "betas": (0.5, 0.999)}),
    "adam-low": (Adam(1e-2, (0.0, 0.9)), torch.optim.Adam, {"lr": 1e-2, "betas": (0.0, 0.9)}),
    "adam-high": (Adam(1e-2, (0.3, 0.0)), torch.optim.Adam, {"lr": 1e-2, "betas": (0.3, 0.0)}),
    "adam-decay": (Adam(1e-3, weight_decay=0.1, eps=1e-6), torch.optim.Adam, {"weight_decay": 0.1, "eps": 1e-6}),
    "adamw": (AdamW(), torch.optim.AdamW, {}),
    "adamw-none": (AdamW(weight_decay=0.0), torch.optim.AdamW, {"weight_decay": 0.0}),
    "adamw-heavy": (
        AdamW(3e-3, (0.8, 0.99), weight_decay=0.3),
        torch.optim.AdamW,
        {"lr": 3e-3, "betas": (0.8, 0.99), "weight_decay": 0.3},
    ),
}


def gradient(x: torch.Tensor, step: int) -> torch.Tensor:
    """Something like a training gradient: of the point, with noise over several scales, and a few exact zeros."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(step), dtype=torch.float64).to(x)
    g = torch.sin(3 * x) + 10.0 ** (step % 5 - 3) * noise
    g[::11] = 0.0
    return g


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", PAIRS)
def test_a_base_equals_torch_optim_bitwise_over_200_steps_on_tensors_of_odd_shapes(name, dtype):
    base, kind, settings = PAIRS[name]
    generator = torch.Generator().manual_seed(0)
    parameters = [
        torch.nn.Parameter(torch.randn(s, generator=generator, dtype=torch.float64).to(dtype)) for s in SHAPES
    ]
    optimizer = kind(parameters, **settings)
    x = torch.cat([p.detach().reshape(-1) for p in parameters])
    state = base.init(x)
    for step in range(200):
        g = gradient(x, step)
        before = x.clone()
        following, new_state = base.step(-g, x, state)
        assert torch.equal(x, before), "the base changed the point it was given"
        for p, piece in zip(parameters, g.split([p.numel() for p in parameters]), strict=True):
            p.grad = piece.view(p.shape).clone()
        optimizer.step()
        x, state = following, new_state
        theirs = torch.cat([p.detach().reshape(-1) for p in parameters])
        gap = (x - theirs).abs()
        assert torch.equal(x, theirs), f"{name}: step {step}, {int((gap > 0).sum())} entries, largest gap {gap.max()}"


@pytest.mark.parametrize("name", PAIRS)
def test_a_base_leaves_its_state_as_it_was(name):
    base = PAIRS[name][0]
    x = torch.linspace(-1, 1, 5, dtype=torch.float64)
    _, state = base.step(x.sin(), x, base.init(x))
    kept = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in state.items()}
    base.step(x.cos(), x, state)
    for key, value in kept.items():
        assert torch.equal(torch.as_tensor(state[key]), torch.as_tensor(value)), key


@pytest.mark.parametrize("name", [n for n in PAIRS if n not in ("adam-high",)])
def test_the_frozen_form_makes_the_steps_of_the_base_once_second_moments_have_settled(name):
    """With a constant gradient the second moments settle; then frozen and real base move alike, momentum included."""
    base = PAIRS[name][0]
    x = torch.linspace(-1, 1, 6, dtype=torch.float64)
    v = torch.linspace(0.5, 2.0, 6, dtype=torch.float64)
    if not isinstance(base, SGD):
        # Weight decay moves the gradient a little each step, so the second moments keep moving with it.
        v = v * 100
    state = base.init(x)
    for _ in range(40):
        x, state = base.step(v, x, state)
    if isinstance(base, Adam):
        state["step"] = 10**6
        state["square"] = (v - (base.weight_decay * x if type(base) is Adam else 0)).square()
    elif isinstance(base, RMSprop):
        state["square"] = (v - base.weight_decay * x).square()
    frozen = base.frozen(state)
    y, frozen_state = x.clone(), frozen.init(x)
    start = x.clone()
    for _ in range(5):
        x, state = base.step(v, x, state)
        y, frozen_state = frozen.step(v, y, frozen_state)
    ratio = ((x - y).norm() / (x - start).norm()).item()
    assert ratio < 1e-4, f"{name}: the paths part by {ratio:.2g} of their length"


def test_there_is_no_frozen_form_before_the_first_step_of_a_preconditioned_base():
    x = torch.ones(3)
    for base in (RMSprop(1e-3), Adam(), AdamW()):
        assert base.frozen(base.init(x)) is None
    assert isinstance(SGD(0.1, momentum=0.5).frozen(SGD(0.1, momentum=0.5).init(x)), Frozen)


def test_a_frozen_base_at_another_step_size_is_the_frozen_base_of_another_rate():
    x, v = torch.linspace(-1, 1, 4, dtype=torch.float64), torch.linspace(1, 2, 4, dtype=torch.float64)
    for base, doubled in (
        (SGD(0.1, momentum=0.5), SGD(0.2, momentum=0.5)),
        (RMSprop(1e-2, momentum=0.4, weight_decay=0.1), RMSprop(2e-2, momentum=0.4, weight_decay=0.1)),
        (AdamW(1e-2, weight_decay=0.3), AdamW(2e-2, weight_decay=0.3)),
    ):
        state = base.init(x)
        for _ in range(3):
            _, state = base.step(v, x, state)
        ours, theirs = base.frozen(state).times(2.0), doubled.frozen(state)
        for one, other in zip(ours.step(v, x, ours.init(x)), theirs.step(v, x, theirs.init(x)), strict=True):
            one, other = (o["buffer"] if isinstance(o, dict) else o for o in (one, other))
            torch.testing.assert_close(one, other, rtol=1e-13, atol=0)


def test_zero_gradients_leave_finite_derivatives():
    """The square root under Adam and RMSprop has an infinite slope at zero; a frozen player must not become NaN."""
    for base in (Adam(), AdamW(), RMSprop(1e-3)):
        x = torch.ones(3, dtype=torch.float64, requires_grad=True)
        v = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        moved, _ = base.step(v, x, base.init(x.detach()))
        slopes = torch.autograd.grad(moved.sum(), (v, x))
        assert all(bool(torch.isfinite(s).all()) for s in slopes), base


def test_settings_out_of_range_are_named():
    with pytest.raises(InputError, match=r"lr must be positive, got 0"):
        SGD(0.0)
    with pytest.raises(InputError, match=r"lr must be positive, got nan"):
        Adam(float("nan"))
    with pytest.raises(InputError, match=r"momentum must lie in \(-1, 1\), got 1.0"):
        SGD(0.1, momentum=1.0)
    with pytest.raises(InputError, match=r"nesterov momentum needs a positive momentum and zero dampening"):
        SGD(0.1, nesterov=True)
    with pytest.raises(InputError, match=r"alpha must lie in \[0, 1\), got 1.0"):
        RMSprop(0.1, alpha=1.0)
    with pytest.raises(InputError, match=r"betas\[1\] must lie in \[0, 1\), got 1.0"):
        AdamW(betas=(0.5, 1.0))
    with pytest.raises(InputError, match=r"momentum must lie in \(-1, 1\), got 1.5"):
        Mode("averaged", 1.5)


def test_a_base_describes_itself_as_plain_data():
    assert Adam(2e-4, (0.5, 0.999)).describe() == {
        "kind": "Adam", "lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-8, "weight_decay": 0.0,
    }  # fmt: skip
    assert Frozen(0.1, Mode("averaged", 0.5)).describe()["momentum_kind"] == "averaged"
