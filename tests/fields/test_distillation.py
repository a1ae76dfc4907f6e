"""Policy distillation: the golden chain, the table's yes and no, objectives, and the student that circles."""

import math

import pytest
import torch

from separatrix.errors import InputError
from separatrix.fields.policies import (
    DISTILLATIONS,
    TabularMDP,
    circling_distillation,
    distillation_field,
    distillation_objective,
    random_mdp,
    sigmoid_policy,
    softmax_policy,
)
from separatrix.probes.decompose import line_integral


def tensor(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def chain():
    """From the first of two states the first action ends the episode, the second leads on; the second state ends it."""
    transitions = torch.zeros(2, 2, 2, dtype=torch.float64)
    transitions[0, 1, 1] = 1.0
    return TabularMDP(transitions, torch.zeros(2, 2, dtype=torch.float64), tensor(1.0, 0.0))


TEACHER = tensor([0.3, 0.7], [0.1, 0.9])
# Of the paper's cost field g = -v: its values at two points and d_1 g_2 - d_2 g_1 there.
GOLDEN = {
    "teacher": ((-0.2, -0.28), 0, (-0.077541, -0.441741), 0),
    "on-policy": ((-0.2, -0.2), -0.1, (-0.077541, -0.392808), -0.148301),
    "entropy": ((0.089169, -0.274653), 0, (0.203128, -0.268903), 0),
    "n-distill": ((-0.026713, -0.2), 0, (0.207580, -0.392808), 0),
    "expected-entropy": ((0.089169, -0.274653), 0, (0.203128, -0.268903), 0),
}


def field_of(variant, point=(0.0, 0.0)):
    return distillation_field(chain(), TEACHER, variant, tensor(*point), policy=sigmoid_policy(2))


def curl(field):
    J = torch.func.jacrev(field.function)(field.point)
    return float(J[1, 0] - J[0, 1])


@pytest.mark.parametrize("variant", GOLDEN)
def test_the_two_state_chain_has_its_known_fields_and_curls(variant):
    first, curl_one, second, curl_two = GOLDEN[variant]
    for point, value, turning in (((0.0, 0.0), first, curl_one), ((0.5, -1.0), second, curl_two)):
        field = field_of(variant, point)
        assert (-field()).tolist() == pytest.approx(value, abs=5e-7)
        assert -curl(field) == pytest.approx(turning, abs=5e-7 if turning else 1e-15)


def test_the_curl_of_on_policy_distillation_has_a_closed_form():
    """``sigma'(theta_1) (sigma(theta_2) - p_2)`` for the cost field."""
    for a, b in ((0.0, 0.0), (1.3, -0.4), (-2.0, 3.0)):
        s, t = torch.sigmoid(tensor(a, b)).tolist()
        assert -curl(field_of("on-policy", (a, b))) == pytest.approx(s * (1 - s) * (t - 0.9), abs=1e-14)


@pytest.mark.parametrize("variant", DISTILLATIONS)
def test_only_on_policy_distillation_does_work_around_a_square(variant):
    square = tensor([0, 0], [1, 0], [1, 1], [0, 1], [0, 0])
    found = line_integral(field_of(variant), square, tol=1e-11)
    sigmoid = 1 / (1 + math.exp(-1))
    cost = (sigmoid - 0.5) * (math.log((1 + math.e) / 2) - 0.9)
    wanted = -cost if variant == "on-policy" else 0.0
    assert found.value == pytest.approx(wanted, abs=1e-10)
    if variant == "on-policy":
        assert cost == pytest.approx(-0.0646699, abs=5e-8)


def teacher_of(mdp, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(mdp.states, mdp.actions, generator=generator, dtype=torch.float64).mul(1.5).softmax(1)


def asymmetry(field):
    J = torch.func.jacrev(field.function)(field.point)
    return float((J - J.T).norm() / J.norm())


@pytest.mark.parametrize("seed", range(6))
def test_the_table_holds_on_random_processes(seed):
    """Rows that are gradients have symmetric Jacobians, on-policy distillation does not."""
    mdp = random_mdp(4, 3, seed=seed)
    theta = torch.randn(12, generator=torch.Generator().manual_seed(50 + seed), dtype=torch.float64)
    for name, row in DISTILLATIONS.items():
        found = asymmetry(distillation_field(mdp, teacher_of(mdp, seed), name, theta))
        assert found < 1e-12 if row.gradient else found > 0.05, f"{name}: {found}"


@pytest.mark.parametrize("variant", [name for name, row in DISTILLATIONS.items() if row.gradient])
def test_gradients_descend_their_objective(variant):
    mdp = random_mdp(4, 3, seed=8)
    theta = torch.randn(12, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    teacher = teacher_of(mdp)
    objective = distillation_objective(mdp, teacher, variant)
    assert torch.allclose(
        distillation_field(mdp, teacher, variant)(theta), -torch.func.grad(objective)(theta), atol=1e-12
    )


def test_fields_are_expectations_over_episodes():
    """Sampled updates of on-policy distillation and of the entropy variant average to the exact field."""
    mdp, teacher = random_mdp(3, 2, discount=1.0, ending=0.5, seed=1), None
    teacher = teacher_of(mdp, 3)
    theta = torch.randn(6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    student = softmax_policy(3, 2)
    logs, scores = student(theta), torch.func.jacrev(student)(theta)
    probabilities = logs.exp()
    slope = torch.func.jacrev(lambda t: -(teacher * student(t)).sum(1))(theta)
    generator = torch.Generator().manual_seed(3)
    count = 20_000
    totals = {
        "on-policy": torch.zeros(count, 6, dtype=torch.float64),
        "entropy": torch.zeros(count, 6, dtype=torch.float64),
    }
    states = torch.multinomial(mdp.start, count, replacement=True, generator=generator)
    alive = torch.ones(count, dtype=torch.bool)
    gathered = torch.zeros(count, 6, dtype=torch.float64)  # sum of grad log pi so far
    while bool(alive.any()):
        actions = torch.multinomial(probabilities[states], 1, generator=generator)[:, 0]
        gathered += alive[:, None] * scores[states, actions]
        totals["on-policy"] += alive[:, None] * slope[states]
        # Every reward counts for all actions up to it.
        totals["entropy"] -= (alive * teacher.log()[states, actions])[:, None] * gathered
        ahead = mdp.transitions[states, actions]
        full = torch.cat([ahead, 1 - ahead.sum(1, keepdim=True)], dim=1).clamp(min=0)
        new = torch.multinomial(full, 1, generator=generator)[:, 0]
        alive = alive & (new < 3)
        states = torch.where(alive, new, 0)
    for name, sampled in totals.items():
        exact = -distillation_field(mdp, teacher, name)(theta)
        error = sampled.std(0) / count**0.5
        assert bool(((sampled.mean(0) - exact).abs() <= 4 * error + 1e-12).all()), name


def test_on_policy_distillation_of_a_table_still_reaches_its_teacher():
    """No gradient field, and yet every reachable state of a tabular student converges [czarnecki2019]."""
    mdp = random_mdp(3, 2, seed=4)
    teacher = teacher_of(mdp, 5)
    field, theta = distillation_field(mdp, teacher, "on-policy"), torch.zeros(6, dtype=torch.float64)
    for _ in range(400):
        theta = theta + 0.5 * field(theta)
    assert torch.allclose(softmax_policy(3, 2)(theta).exp(), teacher, atol=1e-6)


def test_the_environment_may_be_mixed_in():
    mdp = random_mdp(3, 2, seed=6)
    teacher = teacher_of(mdp)
    theta = torch.randn(6, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    plain = distillation_field(mdp, teacher, "n-distill", theta)()
    mixed = distillation_field(mdp, teacher, "n-distill", theta, reward=0.5)()
    student = softmax_policy(3, 2)
    gain = torch.func.grad(lambda t: mdp.expected_return(student(t).exp()))(theta)
    assert torch.allclose(mixed - plain, 0.5 * gain, atol=1e-12)


def follow(field, start, time, step=0.01):
    x, path = start, []
    for _ in range(round(time / step)):
        a = field.function(x)
        b = field.function(x + step / 2 * a)
        c = field.function(x + step / 2 * b)
        x = x + step / 6 * (a + 2 * b + 2 * c + field.function(x + step * c))
        path.append(x)
    return torch.stack(path)


@pytest.mark.parametrize(("beta", "radii", "period"), [(4.0, (0.470, 0.509), 6.415), (6.0, (0.562, 0.660), 6.937)])
def test_a_student_with_shared_parameters_circles(beta, radii, period):
    path = follow(circling_distillation(beta), tensor(0.5, 0.0), 40.0)[2000:]
    found = path.norm(dim=1)
    assert (float(found.min()), float(found.max())) == pytest.approx(radii, abs=1e-3)
    angle = torch.atan2(path[:, 1], path[:, 0])
    turns = torch.nonzero((angle[:-1] < 0) & (angle[1:] >= 0)).flatten()
    assert float(turns.diff().double().mean()) * 0.01 == pytest.approx(period, abs=0.01)


def test_it_circles_only_where_the_spectrum_says_so():
    below = circling_distillation(2.0)
    assert float(follow(below, tensor(0.3, 0.0), 30.0)[-1].norm()) < 1e-3
    at = circling_distillation(4.0, point=torch.zeros(2, dtype=torch.float64))
    eigenvalues = torch.linalg.eigvals(at.jacobian().to_dense())
    assert eigenvalues.real.tolist() == pytest.approx([2**0.5 - 1] * 2)
    assert sorted(eigenvalues.imag.tolist()) == pytest.approx([-(2**0.5), 2**0.5])
    assert float(follow(circling_distillation(6.0, own=0.1), tensor(0.3, 0.0), 60.0)[-1].norm()) < 0.01
    assert float(follow(circling_distillation(6.0, own=0.05), tensor(0.3, 0.0), 60.0)[-1].norm()) > 0.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: distillation_field(chain(), TEACHER, "kickstart"), "variant must be one of teacher, on-policy"),
        (lambda: distillation_field(chain(), TEACHER[:1], "teacher"), r"have shape \(2, 2\), got \(1, 2\)"),
        (lambda: distillation_field(chain(), tensor([1, 0], [0, 1]), "teacher"), "every action a positive probability"),
        (lambda: distillation_objective(chain(), TEACHER, "on-policy"), "only these variants descend a function"),
    ],
)
def test_what_cannot_be_distilled_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
