"""Operators that torch cannot differentiate twice: from its message to a name that people know and the way round."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from separatrix.errors import UnsupportedOperatorError

# What torch says where an operator has no second derivative.
NO_SECOND_DERIVATIVE = (
    "is not implemented",
    "once_differentiable",
    "double backward",
    "double backwards",
    "not differentiable twice",
    "use_reentrant",
    "torch.utils.checkpoint: A different number of tensors",
)

# What appears in torch's message, the name people know, and the way round.
REMEDIES = (
    ("use_reentrant", "reentrant checkpointing", "pass use_reentrant=False to torch.utils.checkpoint.checkpoint"),
    (
        "torch.utils.checkpoint: A different number of tensors",
        "checkpointing that does not recompute what it computed (a normalisation whose third derivative is needed, here)",
        "switch checkpointing off for measuring",
    ),
    ("embedding_bag", "EmbeddingBag", "use torch.nn.Embedding followed by a sum or mean over the bag"),
    ("ctc_loss", "the CTC loss", "no replacement is known"),
    ("cdist", "torch.cdist", "write ((a[:, None] - b[None]) ** 2).sum(-1).sqrt()"),
    ("pdist", "torch.pdist", "write ((a[:, None] - a[None]) ** 2).sum(-1).sqrt() and take the upper triangle"),
    (
        "scaled_dot_product",
        "a fused attention kernel",
        "let torch.nn.functional.scaled_dot_product_attention choose the kernel",
    ),
    ("cudnn_rnn", "a cuDNN RNN", "wrap its forward in torch.backends.cudnn.flags(enabled=False)"),
    ("SyncBatchNorm", "SyncBatchNorm", "convert it to BatchNorm for measuring"),
    ("aot_autograd", "a module compiled by torch.compile", "give the module that was compiled (compiled._orig_mod)"),
    (
        "once_differentiable",
        "an autograd.Function marked once_differentiable",
        "write its backward in differentiable torch operations",
    ),
)


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Torch's errors about missing second derivatives as ours.

    Args:
        name: of the field.

    Raises:
        UnsupportedOperatorError: names the operator and the remedy.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, NotImplementedError) as error:
        message = str(error)
        if not any(words in message for words in NO_SECOND_DERIVATIVE):
            raise
        first_line = message.strip().splitlines()[0][:200]
        for words, operator, remedy in REMEDIES:
            if words.lower() in message.lower():
                raise UnsupportedOperatorError(
                    f"{operator} in the losses of {name!r} cannot be differentiated twice by torch; {remedy}, or measure "
                    f"without second derivatives: sx.Run. (torch: {first_line})"
                ) from error
        raise UnsupportedOperatorError(
            f"an operator in the losses of {name!r} cannot be differentiated twice by torch ({first_line}); replace it, or "
            "measure without second derivatives: sx.Run."
        ) from error
