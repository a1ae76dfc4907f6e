"""Preference learning on a character-level language model: the chosen answers become less likely, and the logs show it.

The model learns to write on text that comes with Python (docstrings of its own library). Then DPO prefers true
continuations to the same ones with one character exchanged. The margin grows; and after a few steps the *chosen* falls,
because pairs this alike share most of their gradients. The probe says so from the log alone, the gradients measured on the
model say when it begins and how heavy a likelihood term prevents it, and a second run with that term shows it.
"""

from __future__ import annotations

import copy
import importlib
import inspect

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from separatrix.fields import PreferenceLoss
from separatrix.fields.preferences import dpo
from separatrix.probes import PreferenceGradients, PreferenceLog, PreferenceRun, preference_gradients, preference_run

MODULES = ("argparse", "difflib", "heapq", "statistics", "textwrap", "decimal", "shlex", "string", "collections")
PROMPT, ANSWER = 16, 10


def shipped_text() -> str:
    """The docstrings of some modules of the standard library."""
    pieces = []
    for name in MODULES:
        module = importlib.import_module(name)
        pieces += [inspect.getdoc(module)]
        pieces += [inspect.getdoc(thing) for _, thing in sorted(vars(module).items()) if inspect.isclass(thing)]
    return "\n".join(piece for piece in pieces if piece and piece.isascii())


class Writer(nn.Module):
    """Characters to logits of the next one."""

    def __init__(self, letters: int, width: int = 32) -> None:
        super().__init__()
        self.embed, self.recall, self.out = (
            nn.Embedding(letters, 16),
            nn.GRU(16, width, batch_first=True),
            nn.Linear(width, letters),
        )

    def forward(self, codes: Tensor) -> Tensor:
        logits: Tensor = self.out(self.recall(self.embed(codes))[0])
        return logits


def log_probabilities(model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Of the chosen and of the rejected answers, ``(b,)`` each; prompts don't count."""
    found = []
    for codes in batch:
        each = model(codes[:, :-1]).log_softmax(-1).gather(2, codes[:, 1:, None])[..., 0]
        found.append(each[:, PROMPT - 1 :].sum(1))
    return found[0], found[1]


def pretrain(codes: Tensor, letters: int, steps: int, generator: torch.Generator) -> Writer:
    model = Writer(letters)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(steps):
        starts = torch.randint(0, len(codes) - 33, (32,), generator=generator)
        batch = torch.stack([codes[i : i + 33] for i in starts])
        loss = cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def pairs(codes: Tensor, letters: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """True continuations, and the same with one character of the answer exchanged."""
    starts = torch.randint(0, len(codes) - PROMPT - ANSWER, (count,), generator=generator)
    chosen = torch.stack([codes[i : i + PROMPT + ANSWER] for i in starts])
    rejected = chosen.clone()
    where = torch.randint(PROMPT, PROMPT + ANSWER, (count,), generator=generator)
    rejected[torch.arange(count), where] = torch.randint(0, letters, (count,), generator=generator)
    return chosen, rejected


def prefer(
    model: nn.Module, batch: tuple[Tensor, Tensor], loss: PreferenceLoss, *, steps: int, likelihood: float
) -> tuple[PreferenceRun, PreferenceGradients, PreferenceGradients]:
    """Gradient descent on the preference loss plus a likelihood term; the log, and the gradients before and after."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        reference = log_probabilities(model, batch)
    before = preference_gradients(model, log_probabilities, batch, loss=loss, reference=reference, pairs=4)
    optimizer, log = torch.optim.SGD(model.parameters(), 0.1), PreferenceLog()
    for step in range(steps):
        chosen, rejected = log_probabilities(model, batch)
        log(step, chosen, rejected)
        objective = loss(chosen - reference[0], rejected - reference[1]).mean() - likelihood * chosen.mean()
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()
    after = preference_gradients(model, log_probabilities, batch, loss=loss, reference=reference, pairs=4)
    return preference_run(log), before, after


def main(*, pretraining: int = 150, steps: int = 60) -> dict[str, PreferenceRun]:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    text = shipped_text()
    alphabet = {letter: code for code, letter in enumerate(sorted(set(text)))}
    codes = torch.tensor([alphabet[letter] for letter in text])
    model = pretrain(codes, len(alphabet), pretraining, generator)
    batch = pairs(codes, len(alphabet), 48, generator)
    plain, before, after = prefer(model, batch, dpo(), steps=steps, likelihood=0.0)
    print("DPO:", plain.sentence)
    print("  remedy:", plain.remedy)
    print("  before the first step:", before.sentence)
    print("  after the last:", after.sentence)
    # A few times what the gradients ask for, since the need grows while the run goes on.
    weight = 4 * after.likelihood_weight
    mended, _, _ = prefer(model, batch, dpo(), steps=steps, likelihood=weight)
    print(f"DPO with a likelihood term of weight {weight:.3g}:", mended.sentence)
    return {"plain": plain, "mended": mended}


if __name__ == "__main__":
    main()
