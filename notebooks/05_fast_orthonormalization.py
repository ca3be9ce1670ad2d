# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Orthonormal weights at a lower price
#
# Björck's iteration makes a weight matrix orthonormal by matrix products, and it makes many. A layer
# that runs it at every call spends most of its time there. In this lesson we count what it costs, and
# then we go through seven ways to pay less: three of the paper's, and four that came later or follow
# from one look at the singular values.
#
# We follow appendix B.4 of "Sorting Out Lipschitz Function Approximation" (Anil, Lucas and Grosse,
# 2019), which we call the paper.
#
# **What you will be able to do**
# - count the cost of an orthonormal layer in matrix products, and say which cost ends with training;
# - multiply a vector by the $k$-th iterate without the iterate, by the paper's recursion and by a
#   Chebyshev series, and say when either pays;
# - rebuild Table 3 and say what it does not show;
# - replace the gradient through all steps by one equation;
# - keep weights orthonormal with a single step after each update.
#
# **Before you start**: lesson 04 (Björck's scalar map and its basin), automatic differentiation.
#
# Reading: 43 minutes · exercises: 51 minutes · running: under 60 seconds

# %%
import math
from functools import partial

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import lipteach as lt
from lipteach.classroom import check, predicted, show, show_benchmark, slider_figure
from lipteach.classroom.lessons.l05_fast_orthonormalization import costs, figures
from lipteach.training import orthonormal_network

torch.set_num_threads(1)  # the matrices are small: a second thread would only wait


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


# %% [markdown]
# ## The price of a step (B.4)
#
# We count instead of timing: a count is the same on every machine. PyTorch shows us each operation
# that a function calls. We keep the two that matter: a product of two matrices, and a product of a
# matrix with one vector.


# %%
class Count(TorchDispatchMode):
    """Counts products of two matrices, and of a matrix with a vector."""

    def __init__(self):
        super().__init__()
        self.matrix = self.vector = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.matrix += func.overloadpacket is torch.ops.aten.mm
        self.vector += func.overloadpacket is torch.ops.aten.mv
        return func(*args, **(kwargs or {}))


# %% [markdown]
# One step of order $p$ is $W \leftarrow W (I + c_1 F + \dots + c_p F^p)$ with $F = I - W^\top W$ and the
# coefficients $c_j$ of lesson 04: one product for $W^\top W$, $p - 1$ for the powers, one with $W$.

# %%
W = (gaussian(12, 12) / 8).requires_grad_()
for order in (1, 2, 3):
    with Count() as count:
        Q = lt.bjorck(W, steps=15, order=order)
    with Count() as backward:
        Q.sum().backward()
    assert count.matrix == 15 * (order + 1) and backward.matrix == 2 * count.matrix
print("15 steps cost 30 matrix products at order 1, 45 at order 2, 60 at order 3.")

# %% [markdown]
# What are 15 steps of order 1 beside the work of the layer itself? A batch of 256 vectors through a
# 1024 × 1024 weight is a quarter of one product of two 1024 × 1024 matrices.

# %%
layer, dense = 256 * 1024**2, 30 * 1024**3
assert dense / layer == 120
print("Forward, the orthonormalization multiplies 120 times as often as the layer that uses it.")

# %% [markdown]
# The backward pass goes through all the steps again, at twice the price. So B.4 looks for ways out,
# and so do we.
#
# ## Whose cost ends with training (B.4 cost after training)
#
# The section begins with the remark that *GroupSort's* additional cost is only incurred during
# training, since the orthonormalized weights can be stored afterwards. The second half is true, and
# it tells us whose cost is meant: *Björck's*. A network that has been trained still sorts at
# every call. Here is a small one; `lt.export` stores the weights as they are used.

# %%
with torch.random.fork_rng():
    torch.manual_seed(0)
    hidden = lt.orthonormal(nn.Linear(8, 8, dtype=torch.float64), method="bjorck")
    network = nn.Sequential(hidden, lt.MaxMin())
plain = lt.export(network)
x = gaussian(5, 8, seed=1)
assert torch.allclose(network(x), plain(x))

# %% [markdown]
# We count the products of both at one call, and look for the sort in the exported one.

# %%
counts = []
for f in (network, plain):
    with Count() as count, torch.no_grad():
        f(x)
    counts.append(count.matrix)
assert counts[0] > 10 and counts[1] == 0  # x W' + b is one fused operation, which we do not count
assert any(isinstance(module, lt.MaxMin) for module in plain)
print("Exported: no product but the layer's own is left. The sorting is.")

# %% [markdown]
# ## Few steps first, more at the end (B.4 few iterations)
#
# The paper's first idea: make only a few steps while training, more towards the end. The authors
# report that classification did not suffer. It is an observation, not a theorem; let us see what is
# certain. At order 1 the scalar map is $g_1(\sigma) = \frac12 \sigma (3 - \sigma^2)$, and in the basin
# $0 < \sigma < \sqrt 3$ its value lies between 0 and 1. At order 2 this fails.


# %%
def g1(s):
    return s * (3 - s**2) / 2


def g2(s):
    F = 1 - s**2
    return s * (1 + F / 2 + 3 * F**2 / 8)


basin = lt.prove(g1, lambda s, y: [y > 0, y <= 1], lambda s: [s > 0, s**2 < 3])
above = lt.prove(g2, lambda s, y: y > 1, lambda s: [s > 1, s < 1.5])
assert basin and above
print(basin)

# %% [markdown]
# So at order 1 a single step inside the basin brings each weight to a norm of at most 1, and a
# network of such weights is 1-Lipschitz. What a few steps leave open is the other side: the singular
# values are at most 1, most of them *below*, and the network loses slope. At order 2, or from outside
# the basin, the norm itself may still be above 1 after a few steps. We train a small network to $|x|$
# with two steps of order 1.

# %%
x = torch.linspace(-1, 1, 101, dtype=torch.float64)[:, None]
free = orthonormal_network([1, 16, 16, 1], lt.MaxMin, torch.Generator().manual_seed(0))


def constrained(steps, order=1):
    """The network whose weights are the free ones after some steps of Björck."""
    weights = {
        name: lt.bjorck(p, steps, order) if p.ndim == 2 else p
        for name, p in free.named_parameters()
    }
    return lambda x: torch.func.functional_call(free, weights, x), weights


def train(rounds, steps):
    optimizer = torch.optim.Adam(free.parameters(), lr=0.01)
    for _ in range(rounds):
        optimizer.zero_grad()
        loss = (constrained(steps)[0](x) - x.abs()).square().mean()
        loss.backward()
        optimizer.step()
    return float(loss.detach())


early = train(200, steps=2)

# %% [markdown]
# How far are the weights from orthonormal with two steps? And how far with 15, after fifty more rounds
# that are trained with 15?


# %%
def spread(steps):
    sigma = [torch.linalg.svdvals(p) for p in constrained(steps)[1].values() if p.ndim == 2]
    return min(s.min() for s in sigma), max(s.max() for s in sigma)


low, high = spread(steps=2)
assert low < 0.99 and high <= 1 + 1e-12
late = train(50, steps=15)
assert min(spread(steps=15)) > 1 - 1e-5
print("With 2 steps a singular value is below 0.99 and none above 1; with 15 all are 1.")

# %% [markdown]
# And did the function suffer from the change?

# %%
assert late < max(1.5 * early, 1e-3)
print("The last loss is below 1.5 times the loss before, or below 0.001.")

# %% [markdown]
# In this run it did not. But note what was certified on the way: with two steps the network obeys
# the constraint without using it up. Had a weight left the basin, it might not have obeyed it.
#
# ## Divide by the norm first (B.4 spectral first)
#
# Before the iteration, $W$ must be scaled into the basin. Any upper bound of $\|W\|_2$ will do, such
# as the paper's (11), $\sqrt m\, \|W\|_\infty$. The second idea of B.4: divide by the norm itself. How
# much is it worth for a Gaussian matrix of 1000 × 1000?
#
# **Predict:** (11) brings the largest singular value of such a matrix to 0.0023. A step multiplies a
# small singular value by 3/2. How many steps does it take until the largest exceeds 0.99?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
W = gaussian(1000, 1000)
sigma = torch.linalg.svdvals(W)
bound = lt.norm_upper_bounds(W)["inf"]
scalings = {"(11)": sigma / bound, "norm": sigma / sigma[0]}
show(figures.draw_scalings(scalings))

# %% [markdown]
# The numbers of the picture, asserted. Ten steps, which the paper's Table 3 times, leave a norm of
# 0.13 under (11): that is far from an orthonormal matrix.

# %%
largest = [scalings["(11)"][0]]
for _ in range(17):
    largest.append(g1(largest[-1]))
assert round(float(largest[0]), 4) == 0.0023 and round(float(largest[10]), 2) == 0.13
assert largest[16] < 0.99 < largest[17]
print("Under (11): 0.0023, after 10 steps 0.13, after 17 above 0.99. By the norm: after 0.")

# %% [markdown]
# The paper says that this scaling guarantees convergence. Two conditions belong to it. The matrix must
# have full rank, since 0 stays 0. And the norm must be known: power iteration estimates it from below,
# $\hat\sigma \le \sigma_{\max}$, so that $W / \hat\sigma$ has norm 1 or *more*. It is in the basin as
# long as $\hat\sigma > \sigma_{\max} / \sqrt 3$. If its norm is above $\sqrt5$ the iteration diverges.
#
# ### Exercise 1 ●●○ · 8 min · estimate
# Find a start `u` of two entries for power iteration on $W = \mathrm{diag}(1, 0.1)$, such that after
# *one* step the estimate is so small that the iteration on $W / \hat\sigma$ diverges. Try it with
# `lt.power_iteration(W, steps=1, u=u)[0]`.

# %%
my_start = ...
check("05.estimate", my_start)

# %% [markdown]
# <details><summary>Hint</summary>Which start would give the estimate 0.1, and how much of the other
# singular vector can you admit?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_start = torch.tensor([0.001, 1.0], dtype=torch.float64)
# ```
#
# The step gives $v \propto (0.001, 0.1)$ and $\hat\sigma = \|W v\| \approx 0.1005$: $W / \hat\sigma$ has
# norm 9.95. A random start may be so unlucky as well, and a cached one, when the weight has changed.
#
# </details>

# %% [markdown]
# How often is a random start so unlucky? We try 10,000 Gaussian ones on this matrix. One step
# turns $u$ into $v \propto W^\top u$.

# %%
ends = torch.tensor([1.0, 0.1]).double()
for power, least, most in ((1, 0.02, 0.04), (5, 0.0, 0.0)):  # after 1 step, and after 3
    v = gaussian(10_000, 2) * ends**power
    estimates = (v * ends).norm(dim=1) / v.norm(dim=1)
    assert least <= (1 / estimates > math.sqrt(5)).double().mean() <= most
print("After one step about 3 of 100 random starts make the iteration diverge; after three, none.")

# %% [markdown]
# ## A vector is all we need (B.4 matrix-vector)
#
# The third idea. A layer does not need the matrix $A_k$ that $k$ steps make of $W = A_0$. It needs
# $A_k v$ for the vectors $v$ that pass through. With $B_k = A_k A_k^\top$ a step reads
#
# $$A_{k+1} v = \tfrac32 w - \tfrac12 B_k w, \qquad w = A_k v .$$
#
# So we need $B_k$ times a vector, too. Multiply the step by its transpose:
#
# $$B_{k+1} = \tfrac94 B_k - \tfrac32 B_k^2 + \tfrac14 B_k^3 .$$
#
# For singular values this is an identity of polynomials in $b = \sigma^2$. The solver proves it for
# every real $\sigma$.

# %%
square = lt.prove(lambda s: g1(s) ** 2, lambda s: 9 * s**2 / 4 - 3 * s**4 / 2 + s**6 / 4)
assert square
print(square)

# %% [markdown]
# Both formulas call themselves at $k - 1$, until $B_0 u = W (W^\top u)$. No matrix is ever formed.


# %%
def times_b(W, u, k):
    if k == 0:
        return W @ (W.T @ u)
    one = times_b(W, u, k - 1)
    two = times_b(W, one, k - 1)
    three = times_b(W, two, k - 1)
    return 9 / 4 * one - 3 / 2 * two + 1 / 4 * three


def my_apply(W, v, k):
    if k == 0:
        return W @ v
    w = my_apply(W, v, k - 1)
    return 3 / 2 * w - 1 / 2 * times_b(W, w, k - 1)


# %% [markdown]
# It is right, for tall and wide matrices, and `lt.bjorck_apply` does the same.

# %%
for m, n in ((5, 3), (3, 5)):
    W, v = gaussian(m, n) / 4, gaussian(n, seed=1)
    for k in (1, 2, 3, 4):
        exact = lt.bjorck(W, steps=k) @ v
        assert torch.allclose(my_apply(W, v, k), exact)
        assert torch.allclose(lt.bjorck_apply(W, v, k, method="recursion"), exact)
print("A_k v without A_k: equal to the dense iteration, for k = 1, 2, 3, 4.")

# %% [markdown]
# **Predict:** one product makes $A_0 v$. How many make $A_1 v$, $A_2 v$, $A_5 v$?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
predicted()
made = []
for k in range(6):
    with Count() as count:
        my_apply(W, v, k)
    made.append(count.vector)
assert made == [3**k for k in range(6)]
print(made)

# %% [markdown]
# Exactly $3^k$. If $a_k$ and $b_k$ are the products for $A_k v$ and $B_k u$, then $b_{k+1} = 3 b_k$ with
# $b_0 = 2$, and $a_{k+1} = a_k + b_k$ with $a_0 = 1$; $a_k = 3^k$ solves it. There is a shorter way to see that
# it cannot be less: $A_k v$ is a polynomial of degree $3^k$ in $W$, and a product raises the degree by 1.
#
# ### Exercise 2 ●○○ · 5 min · products
# A step of order $p$ is $A_{k+1} = f(B_k) A_k$ with a polynomial $f$ of degree $p$, and
# $B_{k+1} = f(B_k)^2 B_k$. Write the number of products with a vector as a function of $k$ and $p$.


# %%
def my_products(k, p):
    # your code
    ...


check("05.products", my_products)

# %% [markdown]
# <details><summary>Hint</summary>What is the degree in W of one step of order p? And of k such steps,
# each put into the next?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_products(k, p):
#     return (2 * p + 1) ** k
# ```
#
# $f(B)$ has degree $2p$ in $W$, the step $f(B) W$ degree $2p + 1$, and degrees multiply when
# polynomials are put into one another.
#
# </details>

# %% [markdown]
# ## When it pays (B.4)
#
# Take $W$ of 1000 × 1000. One product of two such matrices multiplies as often as 1000 products with a
# vector. The dense iteration costs $2k \cdot 1000$ products with a vector, and then the iterate
# serves every vector of the batch; the recursion costs $3^k$ for each of them.
#
# ### Exercise 3 ●○○ · 5 min · break-even
# For a single vector: at which $k$ does the recursion, for the first time, multiply more often than the
# dense iteration?

# %%
my_k = ...
check("05.break-even", my_k)

# %% [markdown]
# <details><summary>Hint</summary>Compare 3ᵏ with 2000 k, for k = 6, 7, 8 and so on.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_k = 9
# ```
#
# $3^8 = 6561 < 16000$, but $3^9 = 19683 > 18000$.
#
# </details>

# %% [markdown]
# **Predict:** a batch has 64 vectors. Up to which $k$ does the recursion win? (The second curve,
# "Chebyshev series", belongs to the next section.)

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_products(exponent=6))

# %% [markdown]
# Move the slider through batches of $2^0$ to $2^8$ vectors. Each doubling shifts both curves down by
# the same step. The advantage is one of *single vectors*: when a network answers one question at a
# time, not when it is trained on batches.

# %%
slider_figure(figures.draw_products, exponent=(0, 8, 1, 0))

# %% [markdown]
# For 128 vectors the recursion wins up to three steps: this is the ratio of both costs at $k = 1$ to 4.

# %%
ratios = [2 * k * 1000 / (3**k * 128) for k in (1, 2, 3, 4)]
print([round(ratio, 2) for ratio in ratios])
assert ratios[2] > 1 > ratios[3]

# %% [markdown]
# ## One polynomial, fewer products
#
# Can we do better than $3^k$? Here we leave the paper. With $W = U \Sigma V^\top$ we have
# $A_k v = U\, h_k(\Sigma)\, V^\top v$, where $h_k$ is $g_1$ put into itself $k$ times:
# *one* odd polynomial. Its degree is $3^k$, but its
# graph is simple: it rises with slope $1.5^k$ and then stays near 1. A polynomial of much lower degree
# may draw nearly the same graph. We write it in the basis of the Chebyshev polynomials,
# $T_j(\cos\theta) = \cos(j\theta)$:
#
# $$h_k(\sigma) = c_1 T_1(\sigma) + c_3 T_3(\sigma) + c_5 T_5(\sigma) + \dots, \qquad |T_j| \le 1
#   \text{ on } [-1, 1],$$
#
# with coefficients $c_j$ that are not those of the step. The sum of the $|c_j|$ that we leave out bounds
# the error.
#
# **Predict:** five steps have degree 243. Which degree is enough for a curve that the eye cannot tell
# from $h_5$: 5, 20 or 100?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_series(steps=5, degree=21))

# %% [markdown]
# Move both. Each step multiplies the slope at 0 by 3/2, and the degree follows.

# %%
slider_figure(figures.draw_series, steps=(1, 10, 1, 5), degree=(1, 201, 4, 21))

# %% [markdown]
# For which degree is the relative error at most $10^{-5}$ everywhere on $[0, 1]$? The slope $1.5^k$
# sets the scale.

# %%
degrees = {k: figures.chebyshev_degree(k) for k in (1, 2, 3, 5, 10)}
print(degrees)
assert all(degrees[k] <= 3**k for k in degrees)
assert all(0.9 < figures.chebyshev_degree(k) / (6 * 1.5**k) < 1 for k in range(4, 13))
show(figures.draw_degrees())

# %% [markdown]
# From $k = 4$ on (up to 12, where we stop) the degree is a little below $6 \cdot 1.5^k$, where the
# recursion has $3^k$: 339 products in the place of 59049 at $k = 10$. The three-term recurrence
# $T_{j+1}(x) = 2 x\, T_j(x) - T_{j-1}(x)$ computes the series with one product for each degree. Only
# $W$ and $W^\top$ must take turns: $T_j(W) v$ lies among the outputs for odd $j$, among the inputs
# for even $j$.
#
# ### Exercise 4 ●●○ · 12 min · three-terms
# Write `my_series(W, v, c)`, which computes $c_1 T_1(W) v + c_3 T_3(W) v + \dots$ for the list
# `c` $= [c_1, c_3, \dots]$, where $T_3(W) = 4 W W^\top W - 3 W$ and so on. Use products of `W` or
# `W.T` with vectors only. $W$ need not be square.


# %%
def my_series(W, v, c):
    # your code
    ...


check("05.three-terms", my_series)

# %% [markdown]
# <details><summary>Hint</summary>Keep two vectors, the last even term and the last odd one. T₀ v = v
# and T₁ v = W v. Which matrix takes the odd term back to the inputs?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_series(W, v, c):
#     even, odd = v, W @ v
#     result = c[0] * odd
#     for coefficient in c[1:]:
#         even = 2 * W.T @ odd - even
#         odd = 2 * W @ even - odd
#         result = result + coefficient * odd
#     return result
# ```
#
# </details>

# %% [markdown]
# `lt.bjorck_apply` does this by default. For a $W$ of norm 1 the error it promises is relative to
# $\|A_k v\|$, for *every* $v$: also for one along the smallest singular value, where the result is
# short. We try all singular vectors of a matrix.

# %%
W = gaussian(40, 40)
W = W / lt.operator_norm(W)
A = lt.bjorck(W, steps=10)
for v in torch.linalg.svd(W).Vh:
    error = lt.bjorck_apply(W, v, steps=10) - A @ v
    assert error.norm() <= 1e-5 * (A @ v).norm()
print("10 steps, all 40 singular vectors: within 1e-5 of the dense result.")

# %% [markdown]
# We count its products. Where $3^k$ is the smaller number it makes the recursion's.

# %%
v, counts = gaussian(40, seed=1), {}
for k in (1, 2, 3, 5, 10):
    lt.bjorck_apply(W, v, k)  # at the first call the coefficients are computed as well
    with Count() as count:
        lt.bjorck_apply(W, v, k)
    counts[k] = count.vector
print(counts)
assert counts[2] == 9 and 3 * counts[5] < 3**5 and 100 * counts[10] < 3**10

# %% [markdown]
# Not quite the degrees above, for two reasons. Where $A_k v$ is about as long as $v$, a few terms fewer
# will do. And the series is good on an interval $[0, r]$ that must hold all singular values: beyond it
# $T_j$ grows without bound. Which $r$? The root of the sum of the squares, $\|W\|_F$, is cheap
# and certain, but up to $\sqrt n$ times too large. So the function proceeds by three rules:
#
# - if $\|W\|_F \le 1.05$, that is $r$: certain;
# - else $r = 1.05$, which suits a matrix scaled by an estimate of its norm;
# - and if $T_d(W / r)\, v$ comes out longer than $v$ could make it, some singular value is above $r$: then
#   $r = \sqrt 2$, and at last the recursion, which needs no bound, with a warning.
#
# A singular value above $r$ that does *not* show has so small a part in $v$ that it adds at most
# $10^{-5} \|v\|$ to the error. We hide one.

# %%
sigma = torch.cat((torch.tensor([1.3]), torch.linspace(0.1, 1, 30))).double()
W = torch.diag(sigma)
for hidden in (1.0, 1e-3, 1e-6, 1e-9, 0.0):
    v = torch.cat((torch.tensor([hidden]), torch.ones(30))).double()
    exact = lt.bjorck(W, steps=5) @ v
    assert (lt.bjorck_apply(W, v, steps=5) - exact).norm() < 1e-5 * exact.norm()
print("A singular value of 1.3, with a part of v from 1 down to 0: found, or harmless.")

# %% [markdown]
# It is not harmless beside a result that is itself much shorter than $v$. Here $\|A_3 v\|$ is about
# $3 \cdot 10^{-6}$.

# %%
W = torch.diag(torch.tensor([1.4, 1e-6])).double()
v = torch.tensor([6.3e-7, 1.0]).double()
exact = lt.bjorck(W, steps=3) @ v
error = (lt.bjorck_apply(W, v, steps=3) - exact).norm()
assert error < 1e-5 * v.norm() and error > 0.1 * exact.norm()
print("The error is below 1e-5 of the length of v, and above a tenth of that of the result.")

# %% [markdown]
# Under the scaling (11) all singular values are so small that $h_k$ is nearly a line, and there are even
# fewer products to make. Here is that for 300 × 300, where the dense iteration takes $2 k$ products of 300
# times the size.

# %%
W, v = gaussian(300, 300), gaussian(300, seed=1)
W, fewer = W / lt.norm_upper_bounds(W)["inf"], {}
for k in (2, 3, 5, 10):
    exact = lt.bjorck(W, steps=k) @ v
    assert (lt.bjorck_apply(W, v, k) - exact).norm() < 1e-5 * exact.norm()
    with Count() as count:
        lt.bjorck_apply(W, v, k)
    fewer[k] = count.vector
print(fewer)
assert all(fewer[k] < counts[k] for k in fewer)

# %% [markdown]
# ## Table 3, run again (Table 3)
#
# The paper times the dense iteration and the recursion for 1000 × 1000 and prints a speedup for each
# number of iterations. Its times and its factors agree:

# %%
paper_dense = [0.020, 0.039, 0.059, 0.095, 0.21]
paper_mvp = [0.0002, 0.0005, 0.0011, 0.012, 2.88]
factors = figures.PAPER_TABLE_3.values()
for printed, dense, mvp in zip(factors, paper_dense, paper_mvp, strict=True):
    assert math.isclose(printed, dense / mvp, rel_tol=0.05)
print("Each printed factor is the quotient of the printed times, to 5 percent.")

# %% [markdown]
# A recorded run repeats the table with both methods, for a Gaussian scaled by (11) and one scaled by
# its norm, one vector, on one thread. The program is `benchmarks/bench_bjorck_apply.py`. It runs the
# methods in turn, includes the time of every look at the norm of $W$, and keeps medians.
#
# **Predict:** up to five steps, how fast does the recursion lose its lead in that run? Will the series
# lose it, too?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
record = show_benchmark("bjorck_apply", figures.draw_table3)

# %% [markdown]
# The recursion loses its lead faster and faster, here as there: its products triple with each step, and
# those of the dense iteration grow only as $k$. At ten steps it would make 59049 products, and the run
# leaves it out. The series stays far above 1.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
if record:
    for scaling in ("(11)", "spectral"):
        rows = figures.table3_rows(record, scaling)
        for row in rows.values():
            assert row["chebyshev"]["ratio"] > 5 and row["chebyshev"]["error"] < 1e-5
        recursion = [rows[k]["recursion"]["ratio"] for k in (1, 3, 5)]
        assert 1 < recursion[0] / recursion[1] < recursion[1] / recursion[2]
        assert rows[10]["recursion"] == {"products": 59049}
    print(
        "At 1, 2, 3, 5 and 10 steps the series is more than 5 times as fast as the dense iteration."
    )

# %% [markdown]
# Two remarks belong to the table. Its runs measure *time*: the paper scales by (11), and after ten
# iterations from there a Gaussian matrix has norm 0.13, as we saw, and is far from orthonormal. And the
# advantage is that of one vector.
#
# ## The best steps of all
#
# The rest of this lesson is not in the paper's B.4, either. Björck's steps must suit every $\sigma$ of the
# basin, and they lift a small one by 3/2 only. If all
# $\sigma$ are known to lie in an interval $[l, 1]$, we can ask for the polynomial that brings the whole
# interval as near to 1 as its degree allows. Degree 1 first.
#
# ### Exercise 5 ●●○ · 6 min · best-line
# For which $a$ is the largest error $|a \sigma - 1|$ on $[\frac12, 1]$ as small as possible?

# %%
my_a = ...
check("05.best-line", my_a)

# %% [markdown]
# <details><summary>Hint</summary>Both ends err, one from below and one from above. When is neither of them
# worse than the other?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_a = 4 / 3
# ```
#
# $1 - a/2 = a - 1$ gives $a = 4/3$ and the error 1/3. That the best polynomial errs alike at several
# points, with changing signs, is Chebyshev's theorem, and the algorithm of Remez finds it so.
#
# </details>

# %% [markdown]
# Degree 5 costs three matrix products, $W (a I + b\, W^\top W + c\, (W^\top W)^2)$, and Björck's order 2
# has the same form. After the first best step the singular values lie in an interval around 1 the ends
# of which have a smaller ratio, and the next one is the best for that.
#
# **Predict:** the interval is $[0.01, 1]$, and six products may be spent: three Björck steps
# of order 1 or two best ones of degree 5. Which is nearer to 1 for most $\sigma$? Which at $\sigma = 0.01$?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_quintics(products=6))

# %% [markdown]
# The best steps wave around 1 as far as they must. Spend more products.

# %%
slider_figure(figures.draw_quintics, products=(3, 15, 3, 6))

# %% [markdown]
# For most $\sigma$ it is Björck; at the small end, and so in the largest error, it is the best steps. The
# waves are the price of lifting 0.01.

# %%
sigma = torch.linspace(0.01, 1, 991).double()
bjorck, best = (abs(1 - y) for y in figures.after_products(sigma, products=6))
assert (bjorck < best).double().mean() > 0.5 and best[0] < bjorck[0] and best.max() < bjorck.max()
print("After 6 products Björck is nearer for most, the best steps for the worst singular value.")

# %% [markdown]
# At 12 products all of $[0.01, 1]$ is within 0.013 of 1, where Björck's six steps have brought
# $\sigma = 0.01$ to 0.11.

# %%
bjorck, best = figures.after_products(sigma, products=12)
assert (1 - best).abs().max() < 0.0135 and round(float(bjorck[0]), 2) == 0.11
print("12 products: all within 0.013 of 1 by the best steps; 0.01 has become 0.11 by Björck's.")

# %% [markdown]
# `lt.polar` uses such steps with `method="polynomial"`, and ends with steps which need no interval.
# Whatever the method, it is the same matrix, $U V^\top$.

# %%
W = gaussian(60, 40)
U, _, Vh = torch.linalg.svd(W, full_matrices=False)
for method in ("polynomial", "bjorck", "svd", "auto"):
    assert torch.allclose(lt.polar(W, method=method), U @ Vh, atol=1e-4)
print("Four methods, one polar factor.")

# %% [markdown]
# ## The gradient without the steps
#
# Automatic differentiation goes back through every step, and keeps the matrices of each of them. But
# the limit $Q$ does not remember how it was reached: with $H = (W^\top W)^{1/2}$ it is defined by
#
# $$W = Q H, \qquad Q^\top Q = I, \qquad H = H^\top .$$
#
# Let $W$ be square and change it by $dW$. From $Q^\top Q = I$, $dQ = Q Y$ with an antisymmetric $Y$.
# From $dW = dQ\, H + Q\, dH$, $Q^\top dW = Y H + dH$; subtract the transpose, and $dH$ goes away:
#
# $$H Y + Y H = Q^\top dW - dW^\top Q .$$
#
# One linear equation for $Y$. The map $dW \mapsto Q Y$ is its own transpose: let $Z$ be the $Y$ that
# belongs to $G$ in the place of $dW$, and $\langle A, B \rangle$ the sum of all $A_{ij} B_{ij}$. An
# antisymmetric matrix sees only the antisymmetric half of another, and
# $\langle HZ + ZH, Y \rangle = \langle Z, HY + YH \rangle$ since $H = H^\top$. So
#
# $$\begin{aligned}
#   \langle G, Q Y \rangle &= \tfrac12 \langle Q^\top G - G^\top Q, Y \rangle \\
#   &= \tfrac12 \langle HZ + ZH, Y \rangle = \tfrac12 \langle Z, HY + YH \rangle \\
#   &= \tfrac12 \langle Z, Q^\top dW - dW^\top Q \rangle = \langle Q Z, dW \rangle .
#   \end{aligned}$$
#
# Thus the same equation, with $G$ in the place of $dW$, turns a gradient $G$ with respect to $Q$ into
# the gradient $Q Z$ with respect to $W$. Call its right side $K$. In the basis of the eigenvectors of
# $H$, with the eigenvalues $\lambda_i$, it is solved by division:
# $(\lambda_i + \lambda_j)\, Z_{ij} = K_{ij}$.
#
# ### Exercise 6 ●●○ · 6 min · sylvester
# The equation alone first: write `my_solution(H, K)`, the matrix $Z$ with $H Z + Z H = K$, for a symmetric
# $H$ with positive eigenvalues and any $K$ of the same shape.


# %%
def my_solution(H, K):
    # your code
    ...


check("05.sylvester", my_solution)

# %% [markdown]
# <details><summary>Hint</summary><code>torch.linalg.eigh(H)</code> has the eigenvalues and, as columns of
# V, the eigenvectors. What are H, K and Z in their basis, and how does Z come back from there?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_solution(H, K):
#     values, V = torch.linalg.eigh(H)
#     return V @ (V.T @ K @ V / (values[:, None] + values)) @ V.T
# ```
#
# </details>

# %% [markdown]
# ### Exercise 7 ●●● · 9 min · implicit
# Now write `my_gradient(W, G)` for a square $W$ of full rank: the gradient of $\langle G, Q(W) \rangle$
# with respect to $W$, by the equation above, without automatic differentiation or difference quotients.


# %%
def my_gradient(W, G):
    # your code
    ...


check("05.implicit", my_gradient)

# %% [markdown]
# <details><summary>Hint</summary>With W = U diag(σ) Vᵀ: which are the eigenvectors of H, and which its
# eigenvalues? What becomes of K = QᵀG − GᵀQ in that basis?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_gradient(W, G):
#     U, sigma, Vh = torch.linalg.svd(W)
#     Q = U @ Vh
#     K = Q.T @ G - G.T @ Q
#     Y = Vh.T @ (Vh @ K @ Vh.T / (sigma[:, None] + sigma)) @ Vh
#     return Q @ Y
# ```
#
# Or, with exercise 6, `Q @ my_solution(Q.T @ W, K)`.
#
# </details>

# %% [markdown]
# We compare three ways: through 40 steps of Björck, through the singular value decomposition, and
# `lt.polar`, which solves the equation.

# %%
W, G = gaussian(6, 6), gaussian(6, 6, seed=1)
W = (W / lt.operator_norm(W)).requires_grad_()


def gradient(Q):
    return torch.autograd.grad((G * Q).sum(), W)[0]


U, _, Vh = torch.linalg.svd(W)
by_equation = gradient(lt.polar(W, tol=1e-12, method="svd"))
assert torch.allclose(by_equation, gradient(lt.bjorck(W, steps=40)), atol=1e-9)
assert torch.allclose(by_equation, gradient(U @ Vh), atol=1e-9)
print("Three ways, one gradient, to nine digits.")

# %% [markdown]
# What is kept for the backward pass? A hook of PyTorch sees each tensor that is saved; we count the matrices,
# each once.


# %%
def matrices_kept(f):
    kept = {}

    def keep(tensor):
        if tensor.ndim == 2:
            kept[tensor.data_ptr()] = tensor  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        f(W)
    return len(kept)


steps = (1, 5, 10, 15)
unrolled = [matrices_kept(partial(lt.bjorck, steps=k)) for k in steps]
implicit = max(matrices_kept(partial(lt.polar, method=m)) for m in ("svd", "bjorck", "polynomial"))
print(unrolled, "against", implicit)
assert unrolled[-1] > 7 * implicit

# %% [markdown]
# The memory of the unrolled form grows with the steps; that of the implicit one does not.

# %%
assert len({b - a for a, b in zip(unrolled[1:], unrolled[2:], strict=False)}) == 1  # a line
show(figures.draw_saved(steps, unrolled, implicit))

# %% [markdown]
# ## One step after each update
#
# The last way turns the question round. Keep the weight itself orthonormal. An optimizer's step moves
# it a little off; then *one* Björck step, outside the graph, brings it back. That is Parseval's update
# with $\beta = \frac12$. One step is enough because the error is squared: lesson 04 has this identity.

# %%
squared = lt.prove(lambda s: 1 - g1(s), lambda s: (1 - s) ** 2 * (2 + s) / 2)
assert squared
print(squared)

# %% [markdown]
# We train once more to $|x|$, now with plain weights and `lt.retract_`, and look at the worst
# singular value after each of 150 updates.

# %%
model = orthonormal_network([1, 16, 16, 1], lt.MaxMin, torch.Generator().manual_seed(0))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
worst = 0.0
for _ in range(150):
    optimizer.zero_grad()
    loss = (model(x) - x.abs()).square().mean()
    loss.backward()
    optimizer.step()
    lt.retract_(model)
    for layer in model[::2]:
        worst = max(worst, float((torch.linalg.svdvals(layer.weight.detach()) - 1).abs().max()))
assert worst < 1e-3 and loss < 1e-2
print("After every one of 150 updates all singular values are within 0.001 of 1.")

# %% [markdown]
# The price: two matrix products for each update, and no gradient through them. That is little beside 30
# products and the way back through all of them. And a bare `lt.parseval_step` does what it says: of an
# error of up to 2.5 percent it leaves less than a tenth of a percent.

# %%
W = lt.polar(gaussian(20, 20))
moved = W + 0.02 * gaussian(20, 20, seed=2) / lt.operator_norm(gaussian(20, 20, seed=2))
with Count() as count:
    back = lt.parseval_step(moved, beta=0.5)
before, after = ((torch.linalg.svdvals(A) - 1).abs().max() for A in (moved, back))
assert count.matrix == 2 and before > 0.01 and after < 1.5 * before**2 * (1 + before) < 1e-3
assert 1.5 * 0.025**2 * 1.025 < 1e-3 < 1.5 * 0.03**2
print("Two products; the error goes from above 0.01 to below 1.5 times its square.")

# %% [markdown]
# But an update is not always small. Adam's first one changes every entry whose gradient is not 0 by
# the learning rate, with the sign of its gradient, and the signs of a layer agree in whole rows and
# columns. For 256 × 256 entries and a rate of 0.002 that is a change of norm 0.5, and one step is not
# enough. `lt.retract_` looks at $W^\top W - I$ and does as much as its tolerance asks.

# %%
layer = nn.Linear(256, 256, dtype=torch.float64)
rows, columns = gaussian(256).sign(), gaussian(256, seed=1).sign()
layer.weight.data = lt.polar(gaussian(256, 256)) + 0.002 * rows[:, None] * columns
once = torch.linalg.svdvals(lt.parseval_step(layer.weight.detach(), beta=0.5))
lt.retract_(layer)
adapted = torch.linalg.svdvals(layer.weight.detach())
assert (once - 1).abs().max() > 0.03 and (adapted - 1).abs().max() < 1e-3
print("After one step a singular value is off by more than 0.03; after lt.retract_ none by 0.001.")

# %% [markdown]
# ## What a machine measures
#
# Counts are not times: a decomposition multiplies little and waits much. A recorded run times all of it in
# units of one product of 1024 × 1024 matrices, on one thread: a polar factor with its gradient, for
# weights near the orthonormal ones ("noise") and far from them ("Gaussian"), and one training step of a
# network with three hidden layers of 1024 units. The program is `benchmarks/bench_orthonormal.py`.
#
# **Predict:** which is dearest, 15 unrolled steps or a decomposition? And how many times the plain step does a
# step with retraction cost?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
record = show_benchmark("orthonormal", costs.draw_costs)

# %% [markdown]
# `lt.polar` with "auto" takes the polynomial in $W^\top W - I$ near the orthonormal matrices, and a
# decomposition far from them. The unrolled steps cost five times as much and more, and after 15 of them behind (11)
# the matrix is not even orthonormal. In training, a retraction costs a few plain steps, and unrolled Björck
# tens of them. (PyTorch's own parametrizations reach orthonormal matrices by other maps, of a parameter
# that is not near its weight. The default one, for square weights, is the matrix exponential, as dear as the unrolled steps.
# The map of Cayley is as cheap as ours.)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
if record:
    for rows in costs.weights(record).values():
        auto, unrolled_steps = rows["polar, auto"], rows["Björck × 15, unrolled"]
        assert 5 * auto["ratio"] < unrolled_steps["ratio"]
        assert auto["defect"] < 1e-5 and unrolled_steps["defect"] > 0.5
        by_exp, by_cayley = (
            rows[f"torch orthogonal, {m}"]["ratio"] for m in ("matrix_exp", "cayley")
        )
        assert by_exp > 0.9 * unrolled_steps["ratio"] and by_cayley < 1.6 * auto["ratio"]
    steps = costs.ways(record)
    for way in ("retract_ by qr", "retract_ by polar"):
        assert steps[way]["ratio"] < 10 * steps["plain"]["ratio"]
        assert steps[way]["distance"] < 1e-3
    assert steps["Björck × 15, unrolled"]["ratio"] > 50 * steps["plain"]["ratio"]
    print("There retraction costs less than 10 plain steps, and unrolled Björck more than 50.")

# %% [markdown]
# And a single layer of 1024 units? `lt.orthonormal` needs no call after the step: the weight is computed from a parameter. In
# training it moves a large parameter onto its polar factor first, so that the parameter stays near, and a step costs four to
# six products however long the training is. Take it where the weight must be orthonormal by itself. Where a call after each step
# is no trouble, `lt.retract_(model, method="qr")` costs less than half of it.

# %%
record = show_benchmark("constraints", costs.draw_layers)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
if record:
    for batch in (128, 512):
        rows = costs.layers(record, batch)
        ours, cheapest = (rows[way]["ratio"] for way in ("lt.orthonormal", "retract_ by qr"))
        assert 2 * cheapest < ours and rows["lt.orthonormal"]["later"]["ratio"] < 1.1 * ours
        assert 4 < rows["lt.orthonormal"]["products"] < 7
        assert all(1.2 * ours < rows[f"torch {way}"]["ratio"] for way in ("cayley", "matrix_exp"))

# %% [markdown]
# ## Recap
#
# - 15 steps of Björck are 30 matrix products: 120 times the work of a 1024 × 1024 layer on 256 vectors.
#   The cost that ends with training is Björck's, not GroupSort's: the weights are stored, the sorting
#   stays.
# - Few steps of order 1 in the basin keep a network 1-Lipschitz but loose; of order 2, or outside the
#   basin, they need not even do that.
# - Dividing by the norm saves the largest singular value of a 1000 × 1000 Gaussian 17 steps over (11). It
#   takes full rank and an estimate above $\sigma_{\max}/\sqrt3$.
# - $A_k v$ takes $3^k$ products by the recursion, and about $6 \cdot 1.5^k$ by a Chebyshev series with
#   relative error $10^{-5}$. Both pay for single vectors; Table 3 times matrices that are far from orthonormal.
# - Best polynomials of degree 5 bring the worst singular value further with the same products than
#   Björck's steps, which do better for most.
# - The gradient of the limit is one linear equation; its memory does not grow with the steps.
# - A retraction after each small update needs one step, since a step squares the error; after Adam's first
#   ones it needs more.
#
# ## Where next
#
# [Lesson 06](06_spectral_vs_bjorck.ipynb) compares Björck with spectral normalization.
# [Lesson 04](04_bjorck.ipynb) has the theory of the iteration itself, and the map of the whole appendix
# is in [lesson 00](00_start_here.ipynb).
