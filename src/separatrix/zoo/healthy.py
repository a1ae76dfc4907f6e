"""A healthy one-player problem: the negative control of every finding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from separatrix.dynamics import Adam, Method, Problem, Simultaneous
from separatrix.errors import InputError
from separatrix.fields import Loss
from separatrix.fields.surroundings import default_dtype, frozen_randomness
from separatrix.zoo.digits_data import digits, minibatches

Batch = tuple[Tensor, Tensor]


def digits_classifier(*, seed: int = 0, smooth: bool = False, batch_size: int = 128) -> Problem:
    """A classifier of scikit-learn's digits: 64-128-10 with ReLU, cross entropy, Adam 1e-3, batches of 128.

    Nothing is wrong with it: after ten epochs some 97% of the held-out digits are right. Yet its field, too, has
    eigenvalues of both signs while it learns (the loss is not convex), and its sharpness comes near the limit of its
    step. A finding that calls it sick is at fault.

    Args:
        seed: of the initial parameters; torch's default initialisation.
        smooth: tanh in place of ReLU.
        batch_size: of the stream's minibatches.

    Raises:
        ImportError: scikit-learn is missing; ends with the command that installs it.
        InputError: a batch size beyond the data.
    """
    data = digits()
    if not 1 <= batch_size <= len(data.images):
        raise InputError(f"batch_size must lie between 1 and the {len(data.images)} training images, got {batch_size}.")
    with frozen_randomness(seed), default_dtype(torch.float32):
        model = nn.Sequential(nn.Linear(64, 128), nn.Tanh() if smooth else nn.ReLU(), nn.Linear(128, 10))

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        images, labels = batch
        return cross_entropy(model(images), labels)

    def stream(seed: int) -> Iterator[Batch]:
        return ((data.images[i], data.labels[i]) for i in minibatches(len(data.images), batch_size, seed))

    def score(models: Mapping[str, Any]) -> dict[str, float]:
        own = next(models["model"].parameters())
        with torch.no_grad():
            found = models["model"](data.held_images.to(own)).argmax(dim=1).cpu()
        return {"accuracy": float((found == data.held_labels).double().mean())}

    return Problem(
        Loss(model, loss),
        name="digits-classifier",
        data=(data.images, data.labels),
        held_out=(data.held_images, data.held_labels),
        stream=stream,
        method=Method({"model": Adam(1e-3)}, Simultaneous()),
        score=score,
        better={"accuracy": "higher"},
    )
