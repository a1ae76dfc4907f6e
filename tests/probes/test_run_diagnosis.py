"""What a diagnosis says of a training step as a black box."""

import json
import math

import pytest
import torch

import separatrix as sx
from separatrix.dynamics import Run


def a_pair(rate: float = 0.1, **roles: object) -> tuple[Run, torch.Tensor, torch.Tensor]:
    """``f = x^2 / 2 - y^2 / 2 + x y``: both players step by ``rate`` from the same point."""
    x, y = (torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (1.0, 2.0))
    opts = {"x": torch.optim.SGD([x], lr=rate), "y": torch.optim.SGD([y], lr=rate)}

    def losses(batch: object) -> dict[str, torch.Tensor]:
        f = (x * x / 2 - y * y / 2 + x * y).sum()
        return {"x": f, "y": -f}

    def step() -> None:
        found = losses(None)
        gradients = {p: torch.autograd.grad(found[p], t, retain_graph=True)[0] for p, t in (("x", x), ("y", y))}
        for player, tensor in (("x", x), ("y", y)):
            tensor.grad = gradients[player]
            opts[player].step()
            tensor.grad = None

    given = {"optimizers": opts, "losses": losses, "data": [0], "score": lambda: float(x.abs().detach())} | roles
    return Run(step, {"x": x, "y": y, "opts": opts}, roles=sx.Roles(**given)), x, y  # type: ignore[arg-type]


def test_twins_best_responses_and_score_stand_in_one_record_and_nothing_moves() -> None:
    run, x, y = a_pair()
    found = sx.diagnose(run)
    assert (x.item(), y.item()) == (1.0, 2.0)
    # Both move by 1 - h (1 +- i): the spectral radius is known.
    rate = math.log(abs(1 - 0.1 * (1 + 1j)))
    for row in found.sections["twins"]["rows"]:
        assert row["exponent"] == pytest.approx(rate, rel=0.02)
    # 100 own steps of descent on x^2 / 2 + x y: the gain is (x + y)^2 / 2 but for (1 - h)^200 of it.
    gains = {row["player"]: row["gain_train"] for row in found["best_response"]["rows"]}
    assert gains["x"] == pytest.approx(4.5, rel=1e-6)
    assert found["score"]["rows"] == [{"name": "score", "value": 1.0, "sentence": "lower is better"}]
    assert "far-from-best-response" in [f.code for f in found.findings]
    assert found.verdict.startswith(found.findings[0].title)
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_the_roles_do_not_name_is_left_out_with_the_reason() -> None:
    run, _, _ = a_pair(losses=None, score=None)
    found = sx.diagnose(run)
    notes = dict(note.split(": ", 1) for note in found.notes)
    assert "roles=sx.Roles(losses=..., data=[...])" in notes["best_response"]
    assert notes["spectrum"] == notes["signature"]
    assert "sx.Roles(score=...)" in notes["score"]
    assert found["best_response"] is None


def test_a_run_that_does_not_replay_is_a_warning_and_twins_that_become_equal_still_save() -> None:
    x, count = torch.ones(2, dtype=torch.float64), [0]

    def step() -> None:
        count[0] += 1
        x.add_(count[0])

    found = sx.diagnose(Run(step, {"x": x}))
    assert [f.code for f in found.findings] == ["not-replayable"]
    assert found.severity == "warning"
    still = sx.diagnose(Run(lambda: x.zero_(), {"x": x}))
    assert "became equal" in still.verdict
    json.dumps(still.to_dict(), allow_nan=False)
