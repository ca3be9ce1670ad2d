"""Appendix D: Theorem 1 as a procedure and where it fails, and Theorem 2's counterexample."""

import math

import pytest
import torch
from support import uniform
from torch import Tensor, nn

import lipteach as lt
from lipteach import linear

ROOT = math.sqrt(0.5)


class Softshrink(nn.Module):
    """φ(z) = z − 1 for z > 1, z + 1 for z < −1, and 0 between: monotone and 1-Lipschitz."""

    def forward(self, z: Tensor) -> Tensor:
        return nn.functional.softshrink(z, 1.0)


def relu_pair() -> nn.Sequential:
    """(relu(x₁) + relu(x₂))/√2."""
    return nn.Sequential(linear(torch.eye(2)), nn.ReLU(), linear([[ROOT, ROOT]]))


def scalar(phi: nn.Module) -> nn.Sequential:
    return nn.Sequential(linear([[1.0]]), phi, linear([[1.0]]))


def test_collapse_on_the_square_where_relu_is_linear() -> None:
    x = uniform(200, 2, low=0.01)
    W, b = lt.collapse_affine(relu_pair(), x)
    torch.testing.assert_close(W, torch.tensor([[ROOT, ROOT]]).double(), rtol=0, atol=1e-7)
    assert b.tolist() == [0]
    torch.testing.assert_close(relu_pair()(x), x @ W.T + b)


def test_the_gradient_norm_lost_on_the_whole_square() -> None:
    """Item 26: the mean gradient norm on [−1, 1]² is (1 + 2/√2 + 0)/4 = .603553."""
    x = uniform(4000, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(relu_pair()(x).sum(), x)
    norm = gradient.norm(dim=1)
    for size, share in ((1.0, 1 / 4), (ROOT, 1 / 2), (0.0, 1 / 4)):
        assert (norm - size).abs().lt(1e-12).double().mean() == pytest.approx(share, abs=0.03)
    assert norm.mean() == pytest.approx(0.603553, abs=0.02)
    with pytest.raises(lt.HypothesisError, match=r"‖∇f‖₂ = 0\.\d+ at x = .*Theorem 1 needs 1"):
        lt.collapse_affine(relu_pair(), x)


def test_collapse_keeps_the_constant_that_the_appendix_drops() -> None:
    """Item 28: on z > 1 softshrink is z − 1."""
    x = uniform(50, 1, low=1.5, high=3.0)
    W, b = lt.collapse_affine(scalar(Softshrink()), x)
    assert (W.item(), b.item()) == pytest.approx((1.0, -1.0))


def test_collapse_needs_a_connected_domain() -> None:
    """Item 26: on (−2, −1) ∪ (1, 2) the slope of softshrink is 1, and it is not affine."""
    x = torch.tensor([[-1.5], [1.5]]).double()
    assert scalar(Softshrink())(x).flatten().tolist() == [-0.5, 0.5]
    with pytest.raises(lt.HypothesisError, match="the domain is not connected"):
        lt.collapse_affine(scalar(Softshrink()), x)


def test_collapse_needs_monotone_activations() -> None:
    x = torch.tensor([[-1.5], [1.5]]).double()
    with pytest.raises(lt.HypothesisError, match="not monotone"):
        lt.collapse_affine(scalar(lt.Abs()), x)


def test_collapse_needs_elementwise_activations_one_output_and_small_weights() -> None:
    x = uniform(10, 2)
    with pytest.raises(lt.HypothesisError, match="MaxMin, not element-wise"):
        lt.collapse_affine(nn.Sequential(linear(torch.eye(2)), lt.MaxMin(), linear([[1, 0]])), x)
    with pytest.raises(lt.HypothesisError, match="one output; the network has 2"):
        lt.collapse_affine(nn.Sequential(linear(torch.eye(2))), x)
    with pytest.raises(lt.HypothesisError, match=r"Layer 1 has ‖W‖₂ = 1 \+ 1\.0e-01"):
        lt.collapse_affine(nn.Sequential(linear([[1.1, 0.0]])), x)


def test_collapse_sees_that_an_activation_mixes_units() -> None:
    """Its class does not say so, and the middle unit goes evenly to its neighbours; ‖∇f‖ = 1."""

    class Mixing(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return z @ torch.tensor([[1, 0, 0], [1, 1, 1], [0, 0, 1]], dtype=z.dtype)

    last = linear([[1 / math.sqrt(6), 0.0, 1 / math.sqrt(6)]])
    with pytest.raises(lt.HypothesisError, match="Activation 1 is not element-wise"):
        lt.collapse_affine(nn.Sequential(linear(torch.eye(3)), Mixing(), last), uniform(10, 3))


@pytest.mark.parametrize(("w", "dtype"), [(3e-5, torch.float64), (0.0099, torch.float32)])
def test_collapse_is_held_to_the_batch(w: float, dtype: torch.dtype) -> None:
    """(12) asks of a unit w² alone, which is as good as zero where w is not."""
    last = linear([[math.sqrt(1 - w * w), w]])
    network = nn.Sequential(linear(torch.eye(2)), nn.ReLU(), last).to(dtype)
    for far in (1.0, 1e6):
        x = torch.tensor([[1.0, far], [1.0, -far], [2.0, 3 * far]], dtype=dtype)
        with pytest.raises(lt.HypothesisError, match=r"no affine function on the batch up to tol"):
            lt.collapse_affine(network, x)


def test_collapse_ignores_units_without_weight() -> None:
    """Equation 12 says nothing of a unit with w = 0: it may lose what it likes."""
    network = nn.Sequential(linear(torch.eye(2)), nn.ReLU(), linear([[1.0, 0.0]]))
    x = torch.tensor([[1.0, -1.0], [2.0, 1.0]]).double()
    W, b = lt.collapse_affine(network, x)
    assert (W.tolist(), b.tolist()) == ([[1.0, 0.0]], [0.0])


@pytest.mark.parametrize("depth", [0, 1, 2, 4])
def test_collapse_follows_a_deep_network(depth: int) -> None:
    """Leaky units held on their side of slope 1 by a bias, and a falling φ(z) = 2 − z in turn."""

    class Falling(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return 2 - z

    generator = torch.Generator().manual_seed(depth)
    layers: list[nn.Module] = []
    for k in range(depth):
        Q = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q
        layers += [linear(Q, [10.0 ** (k + 1)] * 3), Falling() if k % 2 else nn.LeakyReLU(0.1)]
    network = nn.Sequential(*layers, linear([[0.6, 0.0, 0.8]], [0.5]))
    x = uniform(20, 3)
    W, b = lt.collapse_affine(network, x)
    torch.testing.assert_close(network(x), x @ W.T + b)
    assert lt.operator_norm(W) == pytest.approx(1)


def test_vector_outputs_need_more_than_the_spectral_norm_of_the_jacobian() -> None:
    """Item 26: (relu x₁, relu x₂) on x₁ > 0 has ‖J‖₂ = 1 and is not affine."""
    x = torch.tensor([1.0, -1.0]).double()
    J = torch.func.jacrev(torch.relu)(x)
    assert lt.operator_norm(J) == 1
    assert not torch.equal(torch.relu(x), J.new_tensor([1.0, -1.0]))


def grid() -> Tensor:
    axis = torch.linspace(-3, 3, 61, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis)


def test_theorem_2_counterexample() -> None:
    f, replaced = lt.theorem2_counterexample()
    x = grid()
    torch.testing.assert_close(f(x)[:, 0], x[:, 0].abs(), rtol=0, atol=1e-14)
    torch.testing.assert_close(replaced(x)[:, 0], x.abs().amax(1), rtol=0, atol=1e-14)
    U, sigma, Vh = torch.linalg.svd(f[0].weight)
    torch.testing.assert_close(sigma, torch.tensor([1.0, 0.0]).double(), rtol=0, atol=1e-15)
    # W̃₁ = U Σ̃ Vᵀ with Σ̃ = I, the free sign of the second singular pair apart.
    completions = [U @ torch.diag(torch.tensor([1.0, s]).double()) @ Vh for s in (1.0, -1.0)]
    distance = min((replaced[0].weight - W).abs().max() for W in completions)
    assert distance < 1e-12
    for network in (f, replaced):
        for layer in network:
            if isinstance(layer, nn.Linear) and layer is not f[0]:
                assert lt.is_orthonormal(layer.weight, tol=1e-14)


def test_theorem_2_counterexample_keeps_its_gradient_norm() -> None:
    f, _ = lt.theorem2_counterexample()
    x = uniform(500, 2, low=-3, high=3).requires_grad_()
    (gradient,) = torch.autograd.grad(f(x).sum(), x)
    torch.testing.assert_close(gradient.norm(dim=1), torch.ones(500).double())


def test_no_angle_of_the_first_layer_repairs_it() -> None:
    """Every orthogonal first layer gives a norm: on x₁ = 0 it is at least 1/√2, where f is 0."""
    f, _ = lt.theorem2_counterexample()
    on_axis = torch.tensor([0.0, 1.0]).double()
    for angle in torch.linspace(0, 2 * math.pi, 361, dtype=torch.float64):
        c, s = torch.cos(angle), torch.sin(angle)
        for sign in (1, -1):
            W = torch.stack([torch.stack([c, -sign * s]), torch.stack([s, sign * c])])
            other = nn.Sequential(linear(W), *list(f)[1:])
            assert other(on_axis).item() >= ROOT - 1e-12


def test_first_order_statement() -> None:
    """∂f/∂σⱼ = 0 wherever σⱼ < 1, against a finite difference in σⱼ, at the given weights."""
    f, _ = lt.theorem2_counterexample()
    x = uniform(100, 2, low=-3, high=3)
    sigma, derivative = lt.singular_value_derivatives(f, 0, x)
    assert derivative.shape == (100, 2)
    assert derivative[:, sigma < 1 - 1e-9].abs().max() < 1e-12
    U, _, Vh = torch.linalg.svd(f[0].weight, full_matrices=False)
    for j in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[j] = 1e-6
        moved = nn.Sequential(linear(U @ torch.diag(sigma + step) @ Vh), *list(f)[1:])
        difference = (moved(x) - f(x))[:, 0] / 1e-6
        clear = x[:, 0].abs() > 1e-3  # away from the kink
        torch.testing.assert_close(difference[clear], derivative[clear, j], rtol=0, atol=1e-7)


@pytest.mark.parametrize("layer", [0, 2, 4])
def test_first_order_statement_on_a_random_network(layer: int) -> None:
    """The formula uⱼᵀδ vⱼᵀh is the derivative for any network, whatever its gradient norm."""
    generator = torch.Generator().manual_seed(3)

    def weight(m: int, n: int) -> Tensor:
        return torch.randn(m, n, generator=generator, dtype=torch.float64) / 2

    network = nn.Sequential(
        linear(weight(4, 3)), lt.MaxMin(), linear(weight(6, 4)), nn.Tanh(), linear(weight(1, 6))
    )
    x = uniform(7, 3)
    sigma, derivative = lt.singular_value_derivatives(network, layer, x)
    U, _, Vh = torch.linalg.svd(network[layer].weight, full_matrices=False)

    def value(s: Tensor) -> Tensor:
        return torch.func.functional_call(
            network, {f"{layer}.weight": U @ torch.diag(s) @ Vh}, (x,)
        )[:, 0]

    torch.testing.assert_close(derivative, torch.func.jacrev(value)(sigma))


@pytest.mark.parametrize("seed", range(5))
def test_equation_12(seed: int) -> None:
    """‖w‖² − ‖w D‖² = Σ (1 − Dᵢᵢ²) wᵢ²: squares, and 0 only where each used slope is ±1."""
    w, slopes = uniform(6, seed=seed), uniform(6, seed=seed + 100)
    lost = w.norm() ** 2 - (w @ torch.diag(slopes)).norm() ** 2
    torch.testing.assert_close(lost, ((1 - slopes**2) * w**2).sum())
    assert not torch.isclose(lost, ((1 - slopes) * w**2).sum())  # without squares it fails


def test_a_zero_derivative_does_not_mean_a_small_singular_value() -> None:
    """Item 29: with W₁ = I and f = x₁, u₂ = 0 although σ₂ = 1; only the other direction holds."""
    network = nn.Sequential(linear(torch.eye(2)), linear([[1.0, 0.0]]))
    sigma, derivative = lt.singular_value_derivatives(network, 0, uniform(20, 2))
    assert sigma.tolist() == [1.0, 1.0]
    assert (derivative.abs().amax(0) == 0).any()


def test_gradient_norms_are_those_of_finite_differences() -> None:
    """At the input and at every module between, without the chain rule of autograd."""
    network = nn.Sequential(
        linear([[0.6, 0.8], [-0.8, 0.6]], [0.3, -0.2]), nn.ReLU(), linear([[0.8, 0.6]])
    )
    x = uniform(20, 2)
    norms = lt.gradient_norms(network, x)
    assert norms.shape == (4, 20)
    assert torch.equal(norms[-1], torch.ones(20).double())
    h = x
    for k, module in enumerate(network):
        steps = 1e-6 * torch.eye(h.shape[1]).double()
        rise = [(network[k:](h + e) - network[k:](h - e)) / 2e-6 for e in steps]
        torch.testing.assert_close(norms[k], torch.cat(rise, dim=1).norm(dim=1))
        h = module(h)
    assert (norms.diff(dim=0) >= -1e-12).all()  # nothing is gained on the way back


def test_gradient_norms_of_one_number_made_of_several_outputs() -> None:
    norms = lt.gradient_norms(lt.crelu_network(2), uniform(5, 2), lambda out: out.sum(dim=1))
    torch.testing.assert_close(norms[-1], torch.full((5,), 2.0).double())


@pytest.mark.parametrize("seed", range(10))
def test_collapse_in_float32(seed: int) -> None:
    """Rounding must not look like a fault: orthonormal layers, all units on their slope-1 side."""
    generator = torch.Generator().manual_seed(seed)
    Q = torch.linalg.qr(torch.randn(8, 8, generator=generator, dtype=torch.float64)).Q
    w = torch.nn.functional.normalize(torch.randn(1, 8, generator=generator).double())
    network = nn.Sequential(linear(Q, [9.0] * 8), nn.ReLU(), linear(w)).float()
    x = uniform(20, 8).float()
    W, b = lt.collapse_affine(network, x)
    torch.testing.assert_close(network(x), x @ W.T + b, rtol=0, atol=1e-4)


def test_collapse_holds_its_tolerance() -> None:
    """‖W‖₂ = 1 + 1e-3: refused by default, accepted with a tolerance of 1e-2."""
    network, x = nn.Sequential(linear([[1.001, 0.0]])), uniform(5, 2)
    with pytest.raises(lt.HypothesisError, match="needs ≤ 1"):
        lt.collapse_affine(network, x)
    assert lt.collapse_affine(network, x, tol=1e-2)[0].tolist() == [[1.001, 0.0]]


def test_collapse_names_a_unit_that_loses_slope_unseen_by_the_gradient() -> None:
    """‖∇f‖ loses half of what (12) loses: 0.75e-3 and 1.5e-3, on two sides of tol."""
    w = [[math.sqrt(1 - 0.0889**2), 0.0889]]
    network = nn.Sequential(linear(torch.eye(2)), nn.LeakyReLU(0.9), linear(w))
    x = torch.tensor([[1.0, -1.0], [2.0, -0.5]]).double()
    with pytest.raises(lt.HypothesisError, match=r"Hidden layer 1, unit 2 has slope 0\.9000 at x"):
        lt.collapse_affine(network, x, tol=1e-3)


def test_a_tiny_weight_is_judged_by_its_square() -> None:
    """Equation 12 is in squares: w₂ = 1e-6 on a dead unit costs 5e-13 of the gradient norm."""
    w = [[math.sqrt(1 - 1e-12), 1e-6]]
    network = nn.Sequential(linear(torch.eye(2)), nn.ReLU(), linear(w))
    W, _ = lt.collapse_affine(network, torch.tensor([[1.0, -1.0]]).double())
    assert W[0, 1] == 0


@pytest.mark.parametrize("grad", [True, False])
def test_activations_that_work_in_place_and_no_grad(grad: bool) -> None:
    network, x = relu_pair(), uniform(20, 2, low=0.01)
    in_place = nn.Sequential(network[0], nn.ReLU(inplace=True), network[2])
    with torch.set_grad_enabled(grad):
        assert torch.equal(lt.gradient_norms(in_place, -x), lt.gradient_norms(network, -x))
        assert torch.equal(lt.collapse_affine(in_place, x)[0], lt.collapse_affine(network, x)[0])
        both = [lt.singular_value_derivatives(f, 0, x)[1] for f in (in_place, network)]
    assert torch.equal(*both)


def test_nested_networks_are_measured() -> None:
    inner = nn.Sequential(linear(torch.eye(2)), lt.MaxMin())
    nested = nn.Sequential(inner, linear([[1.0, 0.0]]))
    assert lt.gradient_norms(nested, uniform(4, 2)).tolist() == [[1.0] * 4] * 3


def one_layer(norm: float, dtype=torch.float64) -> nn.Sequential:
    return nn.Sequential(linear([[norm, 0.0]])).to(dtype)


@pytest.mark.parametrize(
    ("dtype", "tol"), [(torch.float64, 1e-9), (torch.float32, 1e-4)], ids=["float64", "float32"]
)
def test_the_tolerance_of_each_dtype(dtype: torch.dtype, tol: float) -> None:
    """Twice the tolerance is refused, by the layer's own norm; half of it is not."""
    x = uniform(5, 2).to(dtype)
    for within in (1 - tol / 2, 1 + tol / 2):
        lt.collapse_affine(one_layer(within, dtype), x)
    excess = f"{2 * tol:.1e}"
    with pytest.raises(lt.HypothesisError, match=rf"^Layer 1 has ‖W‖₂ = 1 \+ {excess}; Theorem"):
        lt.collapse_affine(one_layer(1 + 2 * tol, dtype), x)
    with pytest.raises(lt.HypothesisError, match=r"^‖∇f‖₂ = 0\.999\d* at x"):
        lt.collapse_affine(one_layer(1 - 2 * tol, dtype), x)


def test_what_is_not_1_does_not_read_as_1() -> None:
    with pytest.raises(lt.HypothesisError, match=r"‖∇f‖₂ = 0\.99999998\d* at x"):
        lt.collapse_affine(one_layer(1 - 2e-8), uniform(5, 2))
    units = nn.Sequential(linear(torch.eye(2)), nn.LeakyReLU(0.99996), linear([[0.6, 0.8]]))
    with pytest.raises(lt.HypothesisError, match=r"unit 1 has slope 0\.99996\d* at x"):
        lt.collapse_affine(units, torch.tensor([[-1.0, 1.0]]).double(), tol=5e-5 * 0.36)


def test_a_layer_that_stands_twice() -> None:
    """Its inputs follow on its own outputs as well: 2 → 3 → 2 → 3 → 1."""
    up, down = linear(torch.eye(3)[:, :2]), linear(torch.eye(3)[:2])
    network = nn.Sequential(up, down, up, linear([[1.0, 0.0, 0.0]]))
    assert lt.gradient_norms(network, uniform(3, 2)).tolist() == [[1.0] * 3] * 5
    wrong = nn.Sequential(up, down, up, down, up, linear([[1.0, 0.0]]))
    with pytest.raises(ValueError, match="a layer of 2 inputs after one of 3 outputs"):
        lt.gradient_norms(wrong, uniform(3, 2))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_bias_that_is_not_finite_is_refused(value: float) -> None:
    network = one_layer(1.0)
    network[0].bias = nn.Parameter(torch.full((1,), value, dtype=torch.float64))
    for reader in (lt.collapse_affine, lt.gradient_norms):
        with pytest.raises(ValueError, match="each bias of network must be finite"):
            reader(network, uniform(2, 2))


@pytest.mark.parametrize("size", [1e200, 1e-200, 1e-310, 0.0])
def test_gradient_norms_whose_squares_overflow_or_vanish(size: float) -> None:
    network = nn.Sequential(linear([[3 * size, 4 * size]]))
    norms = lt.gradient_norms(network, uniform(2, 2))[0]
    assert norms.tolist() == pytest.approx([5 * size] * 2, rel=1e-12, abs=0)
    if size == 1e200:
        with pytest.raises(lt.HypothesisError, match=r"Layer 1 has ‖W‖₂ = 1 \+ "):
            lt.collapse_affine(network, uniform(2, 2))


class Stepped(nn.Module):
    """z, and a step more where z is positive: slope 1 on either side."""

    def __init__(self, step: float) -> None:
        super().__init__()
        self.step = step

    def forward(self, z: Tensor) -> Tensor:
        return z + self.step * (z > 0)


@pytest.mark.parametrize(("step", "refused"), [(1e-7, True), (1e-11, False)])
def test_offsets_that_differ_by_more_than_rounding(step: float, refused: bool) -> None:
    x = torch.tensor([[-1.5], [1.5]]).double()
    if refused:
        with pytest.raises(lt.HypothesisError, match="different offsets"):
            lt.collapse_affine(scalar(Stepped(step)), x)
    else:
        assert lt.collapse_affine(scalar(Stepped(step)), x)[0].item() == 1


def test_a_unit_without_weight_may_have_slopes_of_both_signs() -> None:
    network = nn.Sequential(linear(torch.eye(2)), lt.Abs(), linear([[1.0, 0.0]]))
    W, b = lt.collapse_affine(network, torch.tensor([[1.0, -1.0], [2.0, 1.0]]).double())
    assert (W.tolist(), b.tolist()) == ([[1.0, 0.0]], [0.0])


def test_several_outputs_need_a_scalar() -> None:
    with pytest.raises(ValueError, match="must have one output, or scalar be given; got 4"):
        lt.gradient_norms(lt.crelu_network(2), uniform(5, 2))
