"""Gauss-Newton, Fisher and Gram matrices against dense formulas by ``torch.func``, against curvlinops, and against closed forms."""

import pytest
import torch
from module_cases import KINKED, SMOOTH, against_a_critic
from small_games import classes, data, gan_losses, net, small_gan
from torch import nn
from torch.nn import functional as F

from separatrix.errors import InputError, NonFiniteError, StaleOperatorError, WrongDerivativeError
from separatrix.fields import (
    FunctionField,
    Game,
    Loss,
    OutputJacobian,
    empirical_fisher,
    fisher,
    gauss_newton,
    gradient_gram,
)
from separatrix.linalg import cg, eigenvalues
from untouched import untouched

DOUBLE = torch.float64
BATCHES = [(data(5, 4), classes(3, 5)), (data(2, 4, seed=4), classes(3, 2, seed=4))]
TARGETS = [(x, data(len(x), 3, seed=8)) for x, _ in BATCHES]
TASKS = {
    "cross-entropy": (BATCHES, F.cross_entropy),
    "mean squared error": (TARGETS, F.mse_loss),
    "BCE with logits": ([(x, t.sigmoid()) for x, t in TARGETS], F.binary_cross_entropy_with_logits),
}
ROUTES = ["retained", "stream"]


def outputs(model, batch):
    return model(batch[0])


def case(task):
    """A small net, its loss on two batches of unequal size, and the same on all data at once."""
    batches, loss = TASKS[task]
    model = net(4, 5, 3)
    whole = tuple(torch.cat(parts) for parts in zip(*batches, strict=True))
    field = Loss(model, lambda m, b: loss(outputs(m, b), b[1])).on(batches=batches)
    return model, field, loss, whole


def rows(model, inputs):
    """``F`` of every output of every sample, ``(samples, outputs, n)``, by ``torch.func``: another road than double backward."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def of_one(parameters, x):
        return torch.func.functional_call(model, parameters, (x[None],))[0]

    jacobians = torch.func.vmap(torch.func.jacrev(of_one), in_dims=(None, 0))(parameters, inputs)
    return torch.cat([j.flatten(2) for j in jacobians.values()], dim=2)


def dense_gauss_newton(model, loss, batch):
    """Sample by sample, each with the weight that the mean gives it."""
    J, out = rows(model, batch[0]), model(batch[0]).detach()
    H = torch.stack(
        [torch.func.hessian(lambda o, y=y: loss(o[None], y[None]))(o) for o, y in zip(out, batch[1], strict=True)]
    )
    return torch.einsum("sin,sij,sjm->nm", J, H, J) / len(out)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("task", TASKS)
def test_gauss_newton_is_the_dense_sum_over_samples(task, route):
    model, field, loss, whole = case(task)
    with untouched(model, *field.batches):
        G = gauss_newton(field, outputs, lambda out, b: loss(out, b[1]), route=route)
    expected = dense_gauss_newton(model, loss, whole)
    torch.testing.assert_close(G.to_dense(), expected, rtol=1e-9, atol=1e-11)
    assert G.findings == []
    assert G.tags == {"symmetric", "semidefinite"}
    block = data(3, G.shape[0])
    torch.testing.assert_close(G.rows(block), block @ expected, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(
        G @ torch.complex(block[0], block[1]), torch.complex(expected @ block[0], expected @ block[1])
    )
    assert cg(G.shift(0.1), block[0]).converged


@pytest.mark.parametrize("route", ROUTES)
def test_the_exact_fisher_information_is_the_gauss_newton_matrix_of_its_likelihood(route):
    for task, distribution, factor in (
        ("cross-entropy", "categorical", 1.0),
        ("mean squared error", "gaussian", 2 / 3),  # the mean over three numbers of twice the negative log-likelihood
        ("BCE with logits", "bernoulli", 1 / 3),
    ):
        model, field, loss, whole = case(task)
        found = fisher(field, outputs, distribution, route=route)
        torch.testing.assert_close(
            factor * found.to_dense(), dense_gauss_newton(model, loss, whole), rtol=1e-9, atol=1e-11
        )
        assert found.tags == {"symmetric", "semidefinite"}


@pytest.mark.parametrize("distribution", ["categorical", "gaussian", "bernoulli"])
def test_a_drawn_fisher_information_tends_to_the_exact_one(distribution):
    _, field, _, _ = case("cross-entropy")
    exact = fisher(field, outputs, distribution).to_dense()
    gaps = []
    for samples in (4, 400):
        drawn = fisher(field, outputs, distribution, samples=samples, seed=3)
        again = fisher(field, outputs, distribution, samples=samples, seed=3)
        gaps.append(float((drawn.to_dense() - exact).norm() / exact.norm()))
        assert torch.equal(drawn.to_dense(), again.to_dense())
    assert gaps[1] < 0.25 * gaps[0]
    assert gaps[1] < 0.15


def test_a_distribution_of_ones_own_is_drawn_from():
    _, field, _, _ = case("mean squared error")

    def wide(means):
        return torch.distributions.Independent(torch.distributions.Normal(means, 2.0), 1)

    with untouched(*field.batches):
        found = fisher(field, outputs, wide, samples=1000).to_dense()
    exact = fisher(field, outputs, "gaussian").to_dense() / 4
    assert float((found - exact).norm()) < 0.1 * float(exact.norm())


@pytest.mark.parametrize("route", ROUTES)
def test_the_empirical_fisher_and_the_gram_matrix_are_made_of_the_samples_gradients(route):
    model, field, _, whole = case("cross-entropy")
    logits = model(whole[0]).detach()
    slopes = logits.softmax(1) - F.one_hot(whole[1], 3)
    gradients = torch.einsum("sin,si->sn", rows(model, whole[0]), slopes)

    def losses(m, batch):
        return F.cross_entropy(m(batch[0]), batch[1], reduction="none")

    E, K = empirical_fisher(field, losses, route=route), gradient_gram(field, losses, route=route)
    torch.testing.assert_close(E.to_dense(), gradients.T @ gradients / 7, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(K.to_dense(), gradients @ gradients.T, rtol=1e-9, atol=1e-11)
    assert E.tags == K.tags == {"symmetric", "semidefinite"}
    torch.testing.assert_close(
        eigenvalues(K, k=7).values.real.sort()[0], 7 * eigenvalues(E, k=7).values.real.sort()[0], rtol=1e-7, atol=1e-9
    )
    mean = -field()  # the gradient of the loss
    torch.testing.assert_close(K.jacobian.T @ torch.full((7,), 1 / 7, dtype=DOUBLE), mean)


def test_the_neural_tangent_kernel_of_a_linear_model_is_the_inner_product_of_its_inputs():
    model, x = nn.Linear(4, 1, bias=False).double(), data(6, 4)
    field = Loss(model, lambda m, b: m(b).square().mean()).on(x)
    torch.testing.assert_close(gradient_gram(field, lambda m, b: m(b)).to_dense(), x @ x.T)


def test_minus_the_jacobian_of_one_player_is_the_hessian_and_gauss_newton_its_outer_part():
    """For a linear model the two are one."""
    model = nn.Linear(4, 3).double()
    field = Loss(model, lambda m, b: F.cross_entropy(m(b[0]), b[1])).on(batches=BATCHES)
    hessian = -1.0 * field.jacobian()
    G = gauss_newton(field, outputs, lambda out, b: F.cross_entropy(out, b[1]))
    assert hessian.tags == {"symmetric"}
    torch.testing.assert_close(G.to_dense(), hessian.to_dense())


def test_curvlinops_finds_the_same():
    curvlinops = pytest.importorskip("curvlinops", reason="pip install curvlinops-for-pytorch")
    model, field, _, _ = case("cross-entropy")
    arguments = (model, nn.CrossEntropyLoss(), list(model.parameters()), BATCHES)

    def dense(operator):
        return operator @ torch.eye(operator.shape[1], dtype=DOUBLE)

    def loss(out, batch):
        return F.cross_entropy(out, batch[1])

    def losses(m, batch):
        return F.cross_entropy(m(batch[0]), batch[1], reduction="none")

    pairs = {
        "Gauss-Newton": (gauss_newton(field, outputs, loss), curvlinops.GGNLinearOperator(*arguments)),
        "Hessian": (-1.0 * field.jacobian(), curvlinops.HessianLinearOperator(*arguments)),
        "empirical Fisher": (empirical_fisher(field, losses), curvlinops.EFLinearOperator(*arguments)),
        "Jacobian of the outputs": (
            OutputJacobian(field, outputs),
            curvlinops.JacobianLinearOperator(model, list(model.parameters()), BATCHES),
        ),
    }
    for name, (ours, theirs) in pairs.items():
        found, expected = ours.to_dense(), dense(theirs)
        gap = float((found - expected).norm() / expected.norm())
        assert gap < 1e-9, f"{name}: {gap:.1e} apart"
    drawn = dense(curvlinops.FisherMCLinearOperator(*arguments, mc_samples=500))
    exact = fisher(field, outputs, "categorical").to_dense()
    assert float((drawn - exact).norm()) < 0.2 * float(exact.norm())


def test_several_players_have_one_matrix_over_all_their_parameters():
    game = small_gan()
    field = game.on(data(6, 3))

    def critic(models, batch):
        return models["D"](models["G"](torch.randn(len(batch), 2)))

    J = OutputJacobian(field, critic)
    assert J.shape == (6, game.space.n)
    z, h = data(game.space.n), 1e-5

    def at(x):
        return OutputJacobian(field, critic, x=x).values[0].reshape(-1)

    x = field.point
    torch.testing.assert_close(J @ z, (at(x + h * z) - at(x - h * z)) / (2 * h), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Tanh(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(12, 2)
        ),
        lambda: nn.Sequential(nn.Flatten(1), nn.LSTM(18, 3)),
    ],
)
def test_the_jacobian_of_outputs_agrees_with_differences_and_nothing_of_the_module_changes(make):
    torch.manual_seed(0)
    model = make().double()

    def output(m, b):
        out = m(b)
        return out[0] if isinstance(out, tuple) else out

    field = Loss(model, lambda m, b: output(m, b).square().mean()).on(
        batches=[data(4, 2, 3, 3), data(3, 2, 3, 3, seed=5)]
    )
    z, x, h = data(field.space.n), field.point, 1e-5
    for route in ROUTES:
        with untouched(model):
            J = OutputJacobian(field, output, route=route)
            up, down = (
                torch.cat([v.reshape(-1) for v in OutputJacobian(field, output, x=x + s * h * z).values])
                for s in (1, -1)
            )
            torch.testing.assert_close(J @ z, (up - down) / (2 * h), rtol=1e-6, atol=1e-8)
            c = data(J.shape[0], seed=9)
            assert float(c @ (J @ z)) == pytest.approx(float((J.T @ c) @ z))


@pytest.mark.parametrize("name", SMOOTH | KINKED)
def test_the_jacobian_of_outputs_goes_right_through_every_module(name):
    field = against_a_critic(*(SMOOTH | KINKED)[name], DOUBLE)

    def read(models, batch):
        return models["D"](models["G"](batch["in"]))

    z, x, h = data(field.space.n), field.point, 1e-6 if name in SMOOTH else 1e-8
    up, down = (OutputJacobian(field, read, x=x + s * h * z).values[0] for s in (1, -1))
    expected = ((up - down) / (2 * h)).reshape(-1)
    gap = float((OutputJacobian(field, read) @ z - expected).norm() / expected.norm())
    assert gap < 1e-6


def test_gradients_are_counted():
    _, field, _, _ = case("cross-entropy")
    J = OutputJacobian(field, outputs)
    assert field.gradients == pytest.approx(1 / 3)
    J.T.rows(data(3, J.shape[0]))
    assert field.gradients == pytest.approx(1 / 3 + 2)
    J @ J.x
    start = field.gradients
    J.rows(data(3, J.shape[1]))
    assert field.gradients - start == pytest.approx(2)
    streamed = OutputJacobian(field, outputs, route="stream")
    streamed @ J.x
    start = field.gradients
    streamed.rows(data(3, J.shape[1]))
    assert field.gradients - start == pytest.approx(1 / 3 + 2 / 3 + 2)


def test_a_loss_that_is_not_the_fields_or_not_convex_is_a_finding():
    model = net(4, 5, 3)
    penalised = Loss(
        model, lambda m, b: F.cross_entropy(m(b[0]), b[1]) + sum(p.square().sum() for p in m.parameters())
    ).on(batches=BATCHES)
    G = gauss_newton(penalised, outputs, lambda out, b: F.cross_entropy(out, b[1]))
    assert [f.split(":")[0] for f in G.findings] == ["partial"]
    assert "semidefinite" in G.tags
    saddle = Loss(model, lambda m, b: (outputs(m, b)[:, 0] * outputs(m, b)[:, 1]).mean()).on(batches=BATCHES)
    G = gauss_newton(saddle, outputs, lambda out, b: (out[:, 0] * out[:, 1]).mean())
    assert [f.split(":")[0] for f in G.findings] == ["indefinite"]
    assert G.tags == {"symmetric"}
    flat = gauss_newton(saddle, outputs, lambda out, b: out.mean())
    assert not flat.to_dense().any()


def test_a_moved_model_or_a_changed_mode_makes_the_operator_stale():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).double()
    field = Loss(model, lambda m, b: F.cross_entropy(m(b[0]), b[1])).on(batches=BATCHES)
    kept, streamed = (OutputJacobian(field, outputs, route=route) for route in ROUTES)
    elsewhere = OutputJacobian(field, outputs, x=field.point + 0.1)
    u = data(field.space.n)
    expected, there = kept @ u, elsewhere @ u
    model.eval()
    assert torch.equal(kept @ u, expected)
    with pytest.raises(StaleOperatorError, match=r"other numbers.*train or eval mode"):
        streamed @ u
    model.train()
    torch.testing.assert_close(streamed @ u, expected)
    with torch.no_grad():
        model[0].weight.mul_(2)
    for stale in (kept, streamed):
        with pytest.raises(StaleOperatorError, match="parameters of 'model' have changed"):
            stale.T @ data(stale.shape[0])
    assert torch.equal(elsewhere @ u, there)


def test_what_does_not_fit_is_named():
    model, field, loss, _ = case("cross-entropy")

    def of(out, batch):
        return loss(out, batch[1])

    weight = model[0].weight
    captured = lambda m, b: b[0] @ weight.T  # noqa: E731
    for call, message in (
        (lambda: OutputJacobian(field, lambda m, b: 3.0), r"must return a floating-point tensor"),
        (lambda: OutputJacobian(field, lambda m, b: m(b[0]).mean()), r"\(samples, ...\), got a tensor of shape \(\)"),
        (lambda: OutputJacobian(field, lambda m, b: m(b[0]).detach()), r"do not depend on its parameters"),
        (lambda: OutputJacobian(field, lambda m, b: m(b)), r"outputs of 'model' raised TypeError"),
        (lambda: OutputJacobian(field, captured), r"captured from outside"),
        (
            lambda: OutputJacobian(field, outputs, route="dense"),
            r"route must be one of 'retained', 'stream', got 'dense'",
        ),
        (lambda: OutputJacobian(FunctionField(lambda x: x, data(2)), outputs), r"a game on data, got a FunctionField"),
        (lambda: gauss_newton(field, outputs, lambda o, b: o), r"must return a scalar tensor, got \(5, 3\)"),
        (lambda: gauss_newton(field, outputs, lambda o, b: o.detach().sum()), r"does not depend on the outputs"),
        (
            lambda: fisher(field, outputs, "poisson"),
            r"one of 'categorical', 'bernoulli', 'gaussian' or a function, got 'poisson'",
        ),
        (lambda: fisher(field, outputs, torch.distributions.Bernoulli), r"give samples=1 or more"),
        (lambda: fisher(field, outputs, "categorical", samples=0), r"positive integer or None, got 0"),
        (
            lambda: fisher(field, outputs, lambda o: o, samples=1),
            r"return a torch.distributions.Distribution, got Tensor",
        ),
        (lambda: empirical_fisher(field, outputs), r"one loss a sample, \(samples,\), got shape \(5, 3\)"),
    ):
        with untouched(model), pytest.raises(InputError, match=message):
            call()
    with pytest.raises(NonFiniteError, match="not finite"):
        OutputJacobian(field, lambda m, b: m(b[0]) / 0)


def test_a_wrong_double_backward_is_found():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return Halved.apply(grad)

    class Halved(torch.autograd.Function):
        @staticmethod
        def forward(ctx, grad):
            return grad * 2

        @staticmethod
        def backward(ctx, grad):
            return grad

    field = Loss(net(4, 3), lambda m, b: m(b).square().mean()).on(data(5, 4))
    J = OutputJacobian(field, lambda m, b: Wrong.apply(m(b)))
    with pytest.raises(WrongDerivativeError, match="contradict each other"):
        J @ J.x


def test_with_noise_inside_the_draw_is_the_fields():
    field = Game({"G": net(2, 4, 3), "D": net(3, 4, 1, seed=1)}, gan_losses).on(data(6, 3), seed=5)

    def fake(models, batch):
        return models["G"](torch.randn(len(batch), 2))

    assert torch.equal(OutputJacobian(field, fake).values[0], OutputJacobian(field, fake).values[0])
    assert not torch.equal(OutputJacobian(field, fake).values[0], OutputJacobian(field.with_seed(6), fake).values[0])
