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
# # 04 · Orthonormal by matrix products
#
# A weight matrix with orthonormal rows or columns has norm 1 and loses as little gradient as a matrix
# of its shape and of norm at most 1 can. How do we get one? The iteration of Björck and Bowie starts
# from a matrix of full rank, not too large, and needs nothing but matrix products. In this lesson one
# function of one number tells us where it converges, how fast, and where it fails.
#
# We follow appendix B.1 and B.3 of "Sorting Out Lipschitz Function Approximation" (Anil, Lucas and
# Grosse, 2019), which we call the paper.
#
# **What you will be able to do**
# - write Björck's step and Parseval's, and say what each does to a singular value;
# - predict from the singular values whether, where to and how fast the iteration converges;
# - rebuild the paper's Figures 12 and 13 from one scalar function;
# - correct three statements of the paper: a factor 2, a scale invariance, a condition without rank;
# - scale a matrix before the iteration, and (in an optional part) say what a better bound is worth.
#
# **Before you start**: singular values, the gradient of a function of a matrix. Lesson 03 tells why
# orthonormal weights are wanted.
#
# Reading: 44 minutes, optional parts 7 more · exercises: 46 minutes · running: under 50 seconds

# %%
import math
import warnings
from fractions import Fraction

import torch

import lipteach as lt
from lipteach.classroom import check, show, slider_figure
from lipteach.classroom.lessons.l04_bjorck import figures

torch.set_num_threads(1)  # the matrices are small: a second thread would only wait


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


# %% [markdown]
# ## The nearest orthonormal matrix (B)
#
# Every real matrix of shape $m \times n$ is $W = U \Sigma V^\top$: orthonormal columns in $U$ and $V$, and
# the singular values $\sigma_1 \ge \sigma_2 \ge \dots \ge 0$ on the diagonal of $\Sigma$. If we put 1 in
# the place of each of them we get $U V^\top$, the *polar factor* of $W$. Its columns are orthonormal if
# $m \ge n$, its rows if $m \le n$. Among all such matrices it is the nearest to $W$ (in the root of
# the sum of squares). We compare it with a thousand others.


# %%
def polar_factor(W):
    U, _, Vh = torch.linalg.svd(W, full_matrices=False)
    return U @ Vh


W = gaussian(5, 3)
others = polar_factor(gaussian(1000, 5, 3, seed=1))
assert lt.is_orthonormal(polar_factor(W)) and lt.is_orthonormal(others).all()
assert ((W - others).norm(dim=(1, 2)) > (W - polar_factor(W)).norm()).all()
print("None of 1000 orthonormal matrices is nearer to W than its polar factor.")

# %% [markdown]
# We found it by a singular value decomposition. The paper uses an iteration that consists of matrix
# products, through which gradients flow as through any other layer. If a singular value is 0, $U$ and
# $V$ can be chosen in more than one way, and so can $U V^\top$: there is no *one* polar factor. **Full
# rank** is a condition of all that follows, and we shall see what happens without it.

# %% [markdown]
# ## One step, written out (B.1)
#
# Suppose $n \le m$ and look at $F = I - W^\top W$, which is 0 when the columns are orthonormal. If
# $W^\top W = I - F$, then $W (I - F)^{-1/2}$ has orthonormal columns. The power series
#
# $$(1 - x)^{-1/2} = 1 + \tfrac12 x + \tfrac38 x^2 + \tfrac5{16} x^3 + \dots
#   = \sum_j c_j\, x^j, \qquad c_j = \binom{2j}{j} \frac{1}{4^j}$$
#
# gives this inverse root by products alone, if $\|F\|_2 < 1$. We put $F$ for $x$ and cut after $F^p$.
# What is left is a polynomial, which we may try on any $W$. That is a step of *order* $p$:
#
# $$\begin{gathered}
#   W \leftarrow W \bigl(I + \tfrac12 F + \tfrac38 F^2 + \dots + c_p F^p\bigr), \\
#   \text{for } p = 1: \quad W \leftarrow \tfrac32 W - \tfrac12 W W^\top W .
#   \end{gathered}$$


# %%
def my_bjorck(W, steps=15, order=1):
    eye = torch.eye(W.shape[-1], dtype=W.dtype)
    for _ in range(steps):
        F = eye - W.mT @ W
        power, factor = eye, eye
        for j in range(1, order + 1):
            power = power @ F
            factor = factor + math.comb(2 * j, j) / 4**j * power
        W = W @ factor
    return W


# %% [markdown]
# That is the whole method. `lt.bjorck` does the same for batches, and for wide matrices it multiplies
# with the smaller matrix $W W^\top$.

# %%
W = gaussian(5, 3) / 4
for order in range(1, 7):
    assert torch.allclose(my_bjorck(W, 3, order), lt.bjorck(W, steps=3, order=order))
    assert torch.allclose(my_bjorck(W.T, 3, order), lt.bjorck(W.T, steps=3, order=order))
assert torch.allclose(lt.bjorck(W), polar_factor(W))
print("Tall or wide, orders 1 to 6: the same; and 15 steps reach the polar factor.")

# %% [markdown]
# ## What one step does to a singular value (B.3)
#
# Put $W = U \Sigma V^\top$ into the step of order 1. Since $V^\top V = U^\top U = I$,
#
# $$\tfrac32 U \Sigma V^\top - \tfrac12 U \Sigma V^\top V \Sigma U^\top U \Sigma V^\top
#   = U \bigl(\tfrac32 \Sigma - \tfrac12 \Sigma^3\bigr) V^\top .$$
#
# $U$ and $V$ stay what they are. Each singular value moves by itself, under the *scalar map*
#
# $$g_1(\sigma) = \tfrac12\, \sigma (3 - \sigma^2), \qquad
#   g_p(\sigma) = \sigma \sum_{j=0}^p c_j (1 - \sigma^2)^j .$$


# %%
def g(sigma, order=1):
    power, factor = 1, 1
    for j in range(1, order + 1):
        power = power * (1 - sigma**2)
        factor = factor + math.comb(2 * j, j) / 4**j * power
    return sigma * factor


U, S, Vh = torch.linalg.svd(W, full_matrices=False)
for order in range(1, 7):
    assert torch.allclose(lt.bjorck(W, steps=1, order=order), U * g(S, order) @ Vh)
print("One step of order 1 to 6 is U g(Σ) Vᵀ.")

# %% [markdown]
# So from now on we may think of one number. A step is easy to follow in a picture: go up from $\sigma$
# to the curve $g$, go across to the diagonal, and there stands the new $\sigma$. Repeat. In the right
# panel stands $\sigma$ after each step. The picture also has a *step size* $\beta$: it multiplies the
# way of one step, $g(\sigma) - \sigma$, by $2\beta$. Björck's step has $\beta = \frac12$.
#
# **Predict:** where does the way from $\sigma = 0.3$ end? And from 2.2, where $g$ is negative? Does it
# help to take a higher order, or another $\beta$?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_cobweb(0.3, 0.5, 1))

# %%
slider_figure(
    figures.draw_cobweb,
    sigma=(0.05, 2.4, 0.05, 0.3),
    beta=(0.05, 1.2, 0.05, 0.5),
    order=(1, 6, 1, 1),
)

# %% [markdown]
# What the picture suggests for order 1 can be proved for every real $\sigma$. **First:** a start
# between 0 and $\sqrt3$ is at most 1 after one step, and still above 0.


# %%
def g1(s):
    return s * (3 - s**2) / 2


assert torch.allclose(g1(S), g(S, order=1))
stays = lt.prove(g1, lambda s, y: [y > 0, y <= 1], lambda s: [s > 0, s**2 < 3])
assert stays
print(stays)

# %% [markdown]
# **Second:** below 1 it grows, so it climbs to a fixed point in $(0, 1]$. There is only one, at 1: by
# $g_1(\sigma) - \sigma = \frac12 \sigma (1 - \sigma)(1 + \sigma)$ the fixed points are 0, 1 and $-1$.

# %%
grows = lt.prove(g1, lambda s, y: y > s, lambda s: [s > 0, s < 1])
fixed = lt.prove(g1, lambda s, y: (y - s) * 2 == s * (1 - s) * (1 + s))
assert grows and fixed
print(grows)

# %% [markdown]
# **Third:** near 1 the error is squared. The identity $g(\sigma) - 1 = -\tfrac12 (\sigma - 1)^2 (\sigma + 2)$
# says so: an error of $10^{-3}$ becomes $1.5 \cdot 10^{-6}$, on the lower side.

# %%
squared = lt.prove(lambda s: g1(s) - 1, lambda s: -((s - 1) ** 2) * (s + 2) / 2)
assert squared
print(squared)

# %% [markdown]
# Far below 1, on the other hand, $g(\sigma) \approx \frac32 \sigma$: a small singular value is multiplied
# by at most $\frac32$ in a step. Small ones cost many steps.
#
# ### Exercise 1 ●○○ · 5 min · steps
# How many steps of order 1 does it take from $\sigma = 0.1$ until $|\sigma - 1| \le 10^{-6}$?

# %%
answer = ...
check("04.steps", answer)

# %% [markdown]
# <details><summary>Hint</summary>A loop with <code>g</code> from above counts them. Is
# <code>σ = 0.1</code> after 0 steps or after 1?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# sigma, answer = 0.1, 0
# while abs(sigma - 1) > 1e-6:
#     sigma, answer = g(sigma), answer + 1
# ```
#
# Six of the ten steps bring it to 0.85, and four more square the error away.
#
# </details>

# %% [markdown]
# Higher orders do better near 1. With order $p$ the error is raised to the power $p + 1$, since the
# series is cut after $F^p$. For $p = 2$ we write the identity out, and for the others we measure: an
# error twice as large becomes $2^{p+1}$ times as large.

# %%
cubed = lt.prove(lambda s: g(s, order=2) - 1, lambda s: (s - 1) ** 3 * (3 * s**2 + 9 * s + 8) / 8)
assert cubed
for p in range(1, 5):
    ratio = abs(g(1.01, p) - 1) / abs(g(1.005, p) - 1)
    assert abs(math.log2(ratio) - (p + 1)) < 0.06
print(cubed)

# %% [markdown]
# **Predict:** from $\sigma = 0.2$ order 1 takes 8 steps to an error below $10^{-6}$. How many does
# order 6 take? A step of order 1 costs 2 matrix products, and one of order $p$ costs $p + 1$: is it worth it?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_orders(0.2))

# %%
slider_figure(figures.draw_orders, start=(0.05, 1.4, 0.05, 0.2))

# %% [markdown]
# Order 6 takes 3 steps. In matrix products that is 21, and order 1 needs 16. In products order 2 is
# best from here: 5 steps of 3.


# %%
def steps_to(start, order, tol=1e-6):
    sigma, count = start, 0
    while abs(sigma - 1) > tol:
        sigma, count = g(sigma, order), count + 1
    return count


products = [(order + 1) * steps_to(0.2, order) for order in range(1, 7)]
print("Products at orders 1 to 6:", products)
assert min(products) == products[1] == 15

# %% [markdown]
# ### Exercise 2 ●●○ · 5 min · minus-one
# Between 0 and $\sqrt3$ every start goes to 1. Find a $\sigma > \sqrt3$ from which the iteration of
# order 1 goes to $-1$.

# %%
answer = ...
check("04.minus-one", answer)

# %% [markdown]
# <details><summary>Hint</summary>g is odd: g(−σ) = −g(σ). Which interval goes to −1, then, and which
# σ does one step bring there? The slider above helps.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# answer = 2.0
# ```
#
# $g(2) = -1$, in one step. Every $\sigma$ above $\sqrt3$ and up to 2.14 goes to $-1$ ($\sqrt3$ itself
# goes to 0).
#
# </details>

# %% [markdown]
# ## Parseval's step size (B.1, Eq. (8))
#
# Parseval networks (Cisse et al., 2017) keep their weights near the orthonormal ones by one small step
# after each step of the optimizer:
#
# $$W \leftarrow W (I + \beta) - \beta\, W W^\top W . \tag{8}$$
#
# ### Exercise 3 ●●○ · 8 min · parseval-step
# Write (8) as a function of `W`, of any shape $m \times n$, and the number `beta`, without `lt`.


# %%
def my_step(W, beta):
    # your code
    ...


check("04.parseval-step", my_step)

# %% [markdown]
# <details><summary>Hint</summary>What does W(I + β) mean, if W times the identity plus β W is meant?
# And which of the products W Wᵀ W, Wᵀ W W, W³ has the shape of W for a wide W?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_step(W, beta):
#     return (1 + beta) * W - beta * W @ W.mT @ W
# ```
#
# </details>

# %% [markdown]
# $I + \beta$ is a matrix plus a number. A reader takes it for $(1 + \beta) I$. A program that
# broadcasts takes it for $\beta$ added to *every* entry, and gives another matrix without a complaint.

# %%
W, beta, eye = torch.tensor([[0.5, 0.2], [0.1, 0.4]]).double(), 0.5, torch.eye(2).double()
right, broadcast = (W @ sum_ - beta * W @ W.T @ W for sum_ in ((1 + beta) * eye, eye + beta))
assert torch.allclose(lt.parseval_step(W, beta), right)
print("right:    ", [[round(x, 3) for x in row] for row in right.tolist()])
print("broadcast:", [[round(x, 3) for x in row] for row in broadcast.tolist()])

# %% [markdown]
# ### One half is Bjorck's step (B.1 beta one half)
#
# At $\beta = \frac12$ (8) reads $\frac32 W - \frac12 W W^\top W$. That is Björck's step of order 1, for
# every shape.

# %%
for shape in [(3, 3), (5, 2), (2, 5), (4, 3, 2)]:
    W = gaussian(*shape) / 4
    assert torch.allclose(lt.parseval_step(W, beta=0.5), lt.bjorck(W, steps=1))
print("Square, tall, wide and a batch: (8) at β = 1/2 is one step of Björck.")

# %% [markdown]
# Other values of $\beta$ have a scalar map, too: $g_\beta(\sigma) = (1 + \beta)\sigma - \beta\sigma^3$.
# From
#
# $$g_\beta(\sigma) - 1 = (1 - \sigma)\bigl(\beta\sigma^2 + \beta\sigma - 1\bigr)$$
#
# we read the local rate: near 1 the last factor is $2\beta - 1$, and a step multiplies the error by
# $1 - 2\beta$. Only at ½ this is 0. Above $\beta = 1$ it is below $-1$, and errors grow.


# %%
def g_beta(sigma, beta):
    return (1 + beta) * sigma - beta * sigma**3


rate = lt.prove(lambda s, b: g_beta(s, b) - 1, lambda s, b: (1 - s) * (b * s**2 + b * s - 1))
assert rate
print(rate)

# %% [markdown]
# With $\beta = 1.2$ the iteration does not come to rest. It ends in a jump between two numbers, and
# `lt.bjorck` warns from $\beta = 1$ on. (At $\beta = 1$ itself the first order decides nothing: with
# order 1 the error still falls, but only as $1/(4\sqrt k)$ after $k$ steps.)

# %%
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    path = lt.bjorck_trajectory(torch.tensor([[0.9]]).double(), steps=401, beta=1.2)
before, low, high = path.flatten()[-3:].tolist()
assert math.isclose(before, high) and low < 1 < high
print([round(low, 4), round(high, 4)])
print(caught[0].category.__name__, "-", caught[0].message)
sigma = 0.9
for _ in range(10_000):
    sigma = g_beta(sigma, 1)
assert math.isclose(abs(sigma - 1), 1 / (4 * math.sqrt(10_000)), rel_tol=0.01)

# %% [markdown]
# How large may $\sigma$ be? Let $0 < \beta < 1$. If $\beta\sigma^2 < 1 + \beta$, then $g_\beta(\sigma)$ is
# positive and obeys the same inequality: a start below $\sqrt{(1 + \beta)/\beta}$ stays there. The
# solver decides this for every such $\sigma$ and $\beta$. That all of them end at 1 we check on a
# grid, and prove below.


# %%
def allowed(s, b):
    return [s > 0, b > 0, b < 1, b * s**2 < 1 + b]


positive = lt.prove(g_beta, lambda sigma, beta, y: allowed(y, beta), allowed)
assert positive
for beta in (0.01, 0.1, 0.5, 0.9):
    sigma = torch.linspace(0.01, 0.999, 500).double() * math.sqrt((1 + beta) / beta)
    for _ in range(3000):
        sigma = g_beta(sigma, beta)
    assert torch.allclose(sigma, torch.ones(500).double())
assert round(math.sqrt(1.0003 / 0.0003), 1) == 57.7
print(positive)

# %% [markdown]
# A small step size thus reaches *more* starts: $\sigma < 57.7$ for $\beta = 0.0003$, against 1.73 for
# ½. What it loses is speed.
#
# ### None of them jumps forever
#
# *Optional, 1 minute.*
# As at $\beta = 1.2$? Two numbers $a \ne b$ that a step exchanges would have $ab = 1/\beta$ and
# $a^2 + b^2 = 1 + 1/\beta$, so $(a - b)^2 = 1 - 1/\beta < 0$. The solver says so as well. And a continuous
# map of an interval into itself that exchanges no two points leads every start to a fixed point
# (Coppel, 1955). Ours has 0 and 1, and 0 repels: near it a step multiplies by $1 + \beta$.


# %%
def exchanged(a, b, beta):
    return [*allowed(a, beta), *allowed(b, beta), g_beta(a, beta) == b, g_beta(b, beta) == a]


no_jump = lt.prove(lambda a, b, beta: a - b, lambda a, b, beta, y: y == 0, exchanged)
assert no_jump
print(no_jump)

# %% [markdown]
# ### A small step size (B.1 small beta, Fig. 12)
#
# The paper says that with a small $\beta$ the iteration still converges, only much more slowly. For
# full rank, $\beta < 1$ and $\sigma < \sqrt{(1 + \beta)/\beta}$ this is right. How much is "much"? The
# paper names $\beta = 0.0003$ as a common choice for Parseval networks. Its Figure 12 shows the largest
# and the smallest singular value over the steps, and the scalar map is enough to draw each.
#
# **Predict:** after 1000 steps from $\sigma = 0.1$, are we nearer to 0.1 or to 1? Does 2 come down
# faster than ½ goes up?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_small_beta(0.0003))

# %%
slider_figure(figures.draw_small_beta, beta=(0.0003, 0.0099, 0.0003, 0.0003))

# %% [markdown]
# The numbers of the figure, with the map written out in this lesson. After 10,000 steps 0.1 has not
# arrived.

# %%
sigma = torch.tensor([0.1, 0.5, 2.0]).double()
for k in range(1, 10_001):
    sigma = g_beta(sigma, 0.0003)
    if k in (50, 1000, 5000, 10_000):
        print(f"after {k} steps:", [round(x, 4) for x in sigma.tolist()])
assert sigma[0] < 0.9

# %% [markdown]
# There is a formula. A small step changes $\sigma$ by $\beta \sigma (1 - \sigma^2)$, which we read as the
# differential equation $d\sigma/dk = \beta\sigma(1 - \sigma^2)$. Its solution is
#
# $$\sigma_k^2 \approx \frac{1}{1 + (\sigma_0^{-2} - 1)\, e^{-2\beta k}} ,$$
#
# and solved for $k$ it tells how long we wait for an error of `tol`. The reading asks for small steps:
# $\beta\sigma_0^2$ must be far below 1. From 57, near the end of the basin, it is 0.97.


# %%
def steps_wanted(start, beta, tol=0.01):
    end = 1 - tol if start < 1 else 1 + tol
    return math.log((start**-2 - 1) / (end**-2 - 1)) / (2 * beta)


for start in (0.01, 0.1, 0.5, 0.9, 2.0):
    sigma, k = start, 0
    while abs(sigma - 1) > 0.01:
        sigma, k = g_beta(sigma, 0.0003), k + 1
    assert abs(k / steps_wanted(start, 0.0003) - 1) < 1e-3
    print(f"from {start}: {k} steps, and the formula is right to one in a thousand")
sigma, k = 57.0, 0
while abs(sigma - 1) > 0.01:
    sigma, k = g_beta(sigma, 0.0003), k + 1
assert k < 0.85 * steps_wanted(57.0, 0.0003)
print(f"from 57: {k} steps, where the formula says {steps_wanted(57.0, 0.0003):.0f}")

# %% [markdown]
# So a weight that the optimizer pushes away comes back over thousands of steps. The paper warns of it:
# if training stops early, Parseval weights may be far from orthonormal. It also reports that such
# networks were regularized usefully all the same.
#
# ### Fifty steps (Fig. 13)
#
# The paper's Figure 13 turns the question round: fifty steps, and several $\beta$.
#
# **Predict:** which of $\beta = 0.0003$, 0.01, 0.05, 0.1, 0.2 and 0.5 brings a singular value of 0.1 to
# within one percent of 1 in fifty steps?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_betas(50))

# %%
slider_figure(figures.draw_betas, steps=(5, 200, 5, 50))

# %% [markdown]
# From 0.1 on it takes $\beta = 0.1$; 0.05 is not enough. Here are the values, this time by `lt.bjorck` on a
# $6 \times 3$ matrix with the singular values 0.5, 0.1 and 0.01: what holds for numbers holds for the
# matrix.

# %%
Q, P = polar_factor(gaussian(6, 3)), polar_factor(gaussian(3, 3, seed=1))
W = Q * torch.tensor([0.5, 0.1, 0.01]).double() @ P
for beta in (0.0003, 0.01, 0.05, 0.1, 0.2):
    after = torch.linalg.svdvals(lt.bjorck(W, steps=50, beta=beta))
    assert (after[1] > 0.99) == (beta >= 0.1)  # of the one that starts at 0.1
    print(f"β = {beta}:", [round(x, 4) for x in after.tolist()])

# %% [markdown]
# ## The gradient behind it (B.1 regularizer)
#
# Where does (8) come from? It descends a *regularizer*, a term which is 0 exactly for orthonormal
# columns: a multiple of $\|W^\top W - I\|_F^2$, the sum of the squares of all entries of
# $W^\top W - I$. Its gradient is
#
# $$\nabla_W \|W^\top W - I\|_F^2 = 4\, W (W^\top W - I) .$$

# %%
W = (gaussian(4, 3) / 2).requires_grad_()
residual = W.T @ W - torch.eye(3).double()
gradient = torch.autograd.grad((residual**2).sum(), W)[0]
assert torch.allclose(gradient, 4 * W @ residual)
print("Autograd agrees: the gradient is 4 W (WᵀW − I).")

# %% [markdown]
# ### Exercise 4 ●●○ · 6 min · regularizer
# Let $\beta = 0.3$. For which $c$ is (8) the step $W \leftarrow W - \nabla_W\, c\, \|W^\top W - I\|_F^2$?

# %%
answer = ...
check("04.regularizer", answer)

# %% [markdown]
# <details><summary>Hint</summary>(8) is W − β W(WᵀW − I). And c times the gradient is …?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# answer = 0.3 / 4
# ```
#
# </details>

# %% [markdown]
# The paper names $\frac{\beta}{2} \|W^\top W - I\|_F^2$ and subtracts its gradient. That step is
# $2\beta W(W^\top W - I)$, twice the one in (8). One number is enough to see it: $W = 0.5$, $\beta = 0.5$.
# What holds is $\frac{\beta}{4}$, with a step of size 1.

# %%
W = torch.tensor([[0.5]], dtype=torch.float64, requires_grad=True)
gradient = torch.autograd.grad(((W.T @ W - 1) ** 2).sum(), W)[0]
by_8, by_half, by_quarter = lt.parseval_step(W, 0.5), W - 0.25 * gradient, W - 0.125 * gradient
assert by_8 == by_quarter == 0.6875 and by_half == 0.875
print("(8) gives 0.6875, and so does β/4; β/2 gives 0.875.")

# %% [markdown]
# ## Where a start ends up (B.3)
#
# Back to $\beta = \frac12$, and to large singular values. At $\sqrt3$ the map is 0, beyond it is
# negative, and at $\sqrt5$ it is $-\sqrt5$: since $g$ is odd, it comes back in the next step, forever.
# From between 1 and $\sqrt5$ a step leads nearer to 0, and from beyond $\sqrt5$ farther away. The solver
# proves all of it.
#
# So the absolute value of a start between $\sqrt3$ and $\sqrt5$ falls to $\sqrt3$ or less: it cannot come
# to rest before, as only 1 and $\sqrt5$ keep their size. From there the sign decides between 1 and $-1$;
# $\sqrt3$ goes to 0, and 0 stays. A start that is 0 after $k$ steps is a root of the polynomial
# $g \circ \dots \circ g$, which has finitely many: those that end at 0 are countably many.

# %%
at_root_3 = lt.prove(g1, lambda s, y: y == 0, lambda s: [s**2 == 3])
negative = lt.prove(g1, lambda s, y: y < 0, lambda s: [s > 0, s**2 > 3])
at_root_5 = lt.prove(g1, lambda s, y: y == -s, lambda s: [s**2 == 5])
nearer = lt.prove(g1, lambda s, y: abs(y) < abs(s), lambda s: [s**2 > 1, s**2 < 5])
farther = lt.prove(g1, lambda s, y: abs(y) > abs(s), lambda s: [s**2 > 5])
assert at_root_3 and negative and at_root_5 and nearer and farther
print("√3 → 0, then g < 0; √5 ↔ −√5; |g(σ)| < |σ| for 1 < |σ| < √5; |g(σ)| > |σ| beyond.")

# %% [markdown]
# **Predict:** which starts between $\sqrt3$ and $\sqrt5$ go to $-1$: one interval, two, more? And do
# the higher orders allow larger starts, or only smaller ones?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_basins(0.0))

# %%
slider_figure(figures.draw_basins, low=(0.0, 2.2, 0.05, 0.0))

# %% [markdown]
# Each bar is an interval of starts, up for 1 and down for $-1$. At order 1 the first bar down ends at
# 2.147, where $g$ reaches $-\sqrt3$; close to $\sqrt5$ the two alternate faster and faster. For each
# order we look, between 1 and 2, for the end of the first bar up: the *basin* of 1 that holds $(0, 1]$.


# %%
def basin_end(order):
    inside, outside = 1.0, 2.0
    while outside - inside > 1e-9:
        start = sigma = (inside + outside) / 2
        for _ in range(200):
            sigma = max(min(g(sigma, order), 1e3), -1e3)
        inside, outside = (start, outside) if abs(sigma - 1) < 0.1 else (inside, start)
    return inside


sups = [basin_end(order) for order in range(1, 7)]
print("Basins of orders 1 to 6 end at", [round(s, 4) for s in sups])
assert math.isclose(sups[0], math.sqrt(3), rel_tol=1e-8)
assert math.isclose(sups[1], math.sqrt(7 / 3), rel_tol=1e-8)
assert min(sups) > math.sqrt(2) and g(2.147) > -math.sqrt(3) > g(2.148)

# %% [markdown]
# The orders 2 to 6 have a *smaller* basin than order 1, and each basin holds $(0, \sqrt2)$: we try a grid
# of starts, and prove it below. At order 2 it ends at another fixed point: $g_2(\sigma) = \sigma$ for
# $\sigma^2 = \frac73$.

# %%
assert max(sups[1:]) < sups[0]
for order in range(1, 7):
    sigma = torch.linspace(0.001, 1.414, 500).double()
    for _ in range(60):
        sigma = g(sigma, order)
    assert torch.allclose(sigma, torch.ones(500).double())
second_fixed_point = lt.prove(lambda s: g(s, 2), lambda s, y: y == s, lambda s: [3 * s**2 == 7])
assert second_fixed_point
print(second_fixed_point)

# %% [markdown]
# What does a $-1$ mean for the matrix? It has the right size and the wrong sign.
# $\mathrm{diag}(2, 0.5)$ ends at $\mathrm{diag}(-1, 1)$: orthonormal, but not the polar factor, which is $I$. A test that only asks
# for orthonormal columns does not see it.

# %%
Q = lt.bjorck(torch.diag(torch.tensor([2.0, 0.5])).double())
assert lt.is_orthonormal(Q)
assert torch.equal(lt.bjorck(2 * torch.eye(3), steps=1), -torch.eye(3))
print([[round(x, 4) + 0.0 for x in row] for row in Q.tolist()])

# %% [markdown]
# And beyond $\sqrt5$ it diverges, with a warning once the numbers overflow. Just beyond it takes longer:
# $\sqrt5$ rounded up to 2.236068 is beyond $10^{90}$ in size after 15 steps, and nothing warns.

# %%
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    huge = lt.bjorck(torch.tensor([[2.236068]], dtype=torch.float64))
    assert not caught and huge < -1e90
    lt.bjorck(torch.tensor([[2.5]]))
print(caught[0].category.__name__, "-", caught[0].message)

# %% [markdown]
# ### Every basin holds $(0, \sqrt2)$
#
# *Optional, 2 minutes.*
# With $F = 1 - \sigma^2$ the square of $g_p(\sigma)$ is $(1 - F)(1 + \frac12 F + \dots + c_p F^p)^2$. The series
# agrees with $(1 - F)^{-1/2}$ up to $F^p$, so that
#
# $$1 - g_p^2 = d_{p+1} F^{p+1} + \dots + d_{2p+1} F^{2p+1} .$$
#
# We compute the $d_j$: all are positive, and their sum is 1, since $g_p = 0$ at $F = 1$. So for $|F| < 1$,
# that is $0 < \sigma < \sqrt2$, we have $|1 - g_p^2| \le |F|^{p+1}$. In each step $|F|$ is raised at least
# to the power $p + 1$: it goes to 0, and $\sigma$, which stays positive, to 1.

# %%
for p in range(1, 7):
    c = [Fraction(math.comb(2 * j, j), 4**j) for j in range(p + 1)]
    square = [
        sum(c[i] * c[j - i] for i in range(p + 1) if 0 <= j - i <= p) for j in range(2 * p + 2)
    ]
    d = [int(j == 0) - square[j] + (square[j - 1] if j else 0) for j in range(2 * p + 2)]
    assert d[: p + 1] == [0] * (p + 1) and min(d[p + 1 :]) > 0 and sum(d) == 1
    if p < 3:
        print(f"order {p}: 1 − g² =", " + ".join(f"{d[j]} F^{j}" for j in range(p + 1, 2 * p + 2)))

# %% [markdown]
# ## A condition that is enough (B.3 convergence)
#
# The paper gives a condition under which the iteration always converges: $\|W^\top W - I\|_2 < 1$. The
# eigenvalues of $W^\top W - I$ are $\sigma_i^2 - 1$ (and $-1$ for each column too many). So the
# condition says: full column rank, and all singular values in $(0, \sqrt2)$. We have seen
# that this is inside every basin, up to order 6. It is **enough, and not necessary**: 1.6 fails it and converges.

# %%
W = torch.tensor([[1.6]]).double()
assert (W.T @ W - 1).abs().item() > 1 and torch.allclose(lt.bjorck(W), torch.ones(1, 1).double())
print("|1.6² − 1| = 1.56, and the iteration still goes to 1.")

# %% [markdown]
# It can never hold for a **wide** matrix: with fewer rows than columns, $W^\top W$ has the eigenvalue 0,
# and $\|W^\top W - I\|_2 \ge 1$. The iteration works all the same. The condition belongs to the
# smaller of the two Gram matrices, here $W W^\top$, and so does every test of the result.


# %%
def distance(gram):
    return lt.operator_norm(gram - torch.eye(len(gram)).double())


wide = polar_factor(gaussian(2, 5)) * 0.9
assert distance(wide.T @ wide) > 1 - 1e-9 and distance(wide @ wide.T) < 0.2
Q = lt.bjorck(wide)
assert distance(Q @ Q.T) < 1e-9 and distance(Q.T @ Q) > 1 - 1e-9 and lt.is_orthonormal(Q)
print("Wide: WᵀW − I stays at distance 1 even for the result; W Wᵀ − I is what becomes 0.")

# %% [markdown]
# ### Exercise 5 ●●○ · 8 min · condition
# Write a function that says (True or False) whether a matrix of *any* shape meets the condition
# $\|G - I\|_2 < 1$, where $G$ is the smaller of its two Gram matrices.


# %%
def my_condition(W):
    # your code
    ...


check("04.condition", my_condition)

# %% [markdown]
# <details><summary>Hint</summary>Which of W Wᵀ and Wᵀ W is smaller? And which norm does the condition
# use? <code>torch.linalg.matrix_norm(A)</code> without the 2 is another one.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_condition(W):
#     gram = W @ W.T if len(W) < W.shape[1] else W.T @ W
#     return torch.linalg.matrix_norm(gram - torch.eye(len(gram), dtype=W.dtype), 2) < 1
# ```
#
# The singular values alone would do: `(torch.linalg.svdvals(W) ** 2 - 1).abs().max() < 1`.
#
# </details>

# %% [markdown]
# ## The size gets lost (B.3 scale invariance)
#
# Next the paper says that Björck's iteration is scale invariant, $\mathrm{BJORCK}(\alpha W) = \alpha\,
# \mathrm{BJORCK}(W)$, and concludes that we may scale $W$ first. The conclusion is right, and the
# equation is not: $\alpha$ times an orthonormal matrix is not orthonormal. In the limit only the sign
# of $\alpha$ is left,
#
# $$\mathrm{BJORCK}(\alpha W) = \mathrm{sign}(\alpha)\, \mathrm{BJORCK}(W)
#   \quad \text{(for } W \text{ and } \alpha W \text{ in the basin).}$$

# %%
W = gaussian(5, 3) / 4
for alpha in (0.5, 1.2, -0.8):
    limit = lt.bjorck(alpha * W, steps=30)
    assert torch.allclose(limit, math.copysign(1, alpha) * lt.bjorck(W, steps=30))
    assert not torch.allclose(limit, alpha * lt.bjorck(W, steps=30))
print("The limit keeps the sign of α and forgets its size.")

# %% [markdown]
# After finitely many steps neither equation holds in general. For $W = 1$, $\alpha = \frac12$ and one step
# we get 0.6875, which is neither $\frac12$ nor 1. The solver finds an example of its own.

# %%
assert lt.bjorck(torch.tensor([[0.5]]), steps=1) == 0.6875
refuted = lt.prove(lambda a, s: g1(a * s), lambda a, s, y: y == a * g1(s), lambda a, s: [a > 0])
assert not refuted
print("One step is scale invariant:", bool(refuted))

# %% [markdown]
# ## Scaling, and what it cannot do (B.3 scaling)
#
# So the recipe is: scale $W$ until no singular value exceeds 1, then iterate. For full rank this is
# enough, since $(0, 1]$ lies in every basin. The paper does not say "full rank". Without it the
# iteration has nothing to work with: $g(0) = 0$, and $\mathrm{diag}(1, 0)$ stays what it is.

# %%
W = torch.diag(torch.tensor([1.0, 0.0]))
assert torch.equal(lt.bjorck(W, steps=1000), W) and not lt.is_orthonormal(W)
print("diag(1, 0) is the same after 1000 steps.")

# %% [markdown]
# ### Exercise 6 ●●○ · 6 min · lost-direction
# Here the lost direction is easy to see. Hide it: give a $2 \times 2$ matrix *without zero entries*
# and of norm at most 1 that no number of steps makes orthonormal.

# %%
my_matrix = ...
check("04.lost-direction", my_matrix)

# %% [markdown]
# <details><summary>Hint</summary>Which matrices have rank 1? What must the second row be, if the first
# is (0.5, 0.5)?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_matrix = [[0.5, 0.5], [0.5, 0.5]]
# ```
#
# Its singular values are 1 and 0.
#
# </details>

# %% [markdown]
# That is exact arithmetic. In floating point, rounding may turn singular values that should be 0 into
# very small ones. (It need not: the zeros of $\mathrm{diag}(1, 0)$ stayed zeros.) We build a
# $20 \times 10$ matrix of rank 3.
#
# **Predict:** seven singular values should stay 0. What will 150 steps make of them, if rounding
# errors of $10^{-8}$ (float32) or $10^{-16}$ (float64) grow by $\frac32$ in each step?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
low_rank = gaussian(20, 3) @ gaussian(3, 10, seed=1)
low_rank = low_rank / lt.operator_norm(low_rank)
show(figures.draw_noise(low_rank))

# %% [markdown]
# The noise fills the lost directions of this matrix. It takes $\log(10^8)/\log(\frac32) \approx 45$
# steps to lift $10^{-8}$ to the size of 1, and twice as many for $10^{-16}$; a few steps later every
# check of orthonormality passes. But the new directions mean nothing: the two precisions agree where
# $W$ has something to say, and not elsewhere.

# %%
single, double = lt.bjorck(low_rank.float(), steps=100).double(), lt.bjorck(low_rank, steps=200)
assert lt.is_orthonormal(single) and lt.is_orthonormal(double)
known = torch.linalg.svd(low_rank).Vh[:3].T  # the directions that W keeps
assert torch.allclose(single @ known, double @ known, atol=1e-3)
assert (single - double).norm() > 0.5
print("Both are orthonormal, equal on the 3 known directions, and different on the other 7.")

# %% [markdown]
# So look at the smallest singular value *before* the iteration: an orthonormal result does not tell
# that the matrix had full rank.
#
# ## Bounds that cost almost nothing (Eq. (9), Eq. (10), Eq. (11))
#
# By what do we divide? The largest singular value itself needs a decomposition or many products. The
# paper lists three upper bounds, for $W$ with $m$ rows and $n$ columns:
#
# $$\sigma_{\max} \le \sqrt{mn}\, \max_{ij} |W_{ij}| \;\; (9), \qquad
#   \sigma_{\max} \le \sqrt n\, \|W\|_1 \;\; (10), \qquad
#   \sigma_{\max} \le \sqrt m\, \|W\|_\infty \;\; (11).$$
#
# Here $\|W\|_1$ and $\|W\|_\infty$ are *operator* norms: the largest column sum of $|W|$, and the
# largest row sum. They hold for every matrix. `lt.norm_upper_bounds` returns these three and two more,
# which we explain below.

# %%
for seed in range(300):
    m, n = 1 + seed % 7, 1 + seed // 7 % 7
    W = gaussian(m, n, seed=seed)
    bounds = lt.norm_upper_bounds(W)
    assert all(bound >= lt.operator_norm(W) * (1 - 1e-12) for bound in bounds.values())
print("Five bounds on 300 matrices of 49 shapes: each holds.")

# %% [markdown]
# Two mistakes are easy. One is to exchange $\sqrt m$ and $\sqrt n$. The other is to take
# `W.norm(1)` and `W.norm(inf)`, which look at the entries and not at the operator. The matrix
# $(1, 1, 1, 1)$ of one row shows both: $\sigma = 2$.

# %%
W = torch.ones(1, 4).double()
column_sum, row_sum = lt.operator_norm(W, 1).item(), lt.operator_norm(W, math.inf).item()
assert (column_sum, row_sum) == (1, 4) and math.isclose(lt.operator_norm(W), 2)
assert math.sqrt(4) * column_sum == 2 and math.sqrt(1) * column_sum == 1
assert W.norm(math.inf) == 1 and W.norm(1) == 4
print("(10) gives 2, with √m instead 1 < σ; (11) gives 4, with W.norm(inf) instead 1 < σ.")

# %% [markdown]
# Random matrices expose the exchange, too, but only some of them.

# %%
failed = 0
for seed in range(1000):
    m, n = 1 + seed % 7, 1 + seed // 7 % 7
    W = gaussian(m, n, seed=seed)
    failed += bool(math.sqrt(m) * lt.operator_norm(W, 1) < lt.operator_norm(W) * (1 - 1e-12))
assert 50 < failed < 250
print("With √m in (10), between 50 and 250 of 1000 random matrices exceed the bound.")

# %% [markdown]
# Now the two further bounds. The *geometric* one is $\sqrt{\|W\|_1 \|W\|_\infty}$. Let
# $W^\top W v = \sigma^2 v$; then
#
# $$\sigma^2 \|v\|_1 = \|W^\top W v\|_1 \le \|W^\top\|_1 \|W\|_1 \|v\|_1 = \|W\|_\infty \|W\|_1 \|v\|_1 .$$
#
# It is never above (9), (10) or (11), and costs what they cost: a column has $m$ entries and a row $n$, so
# $\|W\|_1 \le m \max|W_{ij}|$ and $\|W\|_\infty \le n \max|W_{ij}|$, and no entry exceeds the largest
# column sum or row sum. The *gram* bound is
# $\|(W^\top W)^2\|_F^{1/4} = (\sum_i \sigma_i^8)^{1/8}$, at most $\min(m, n)^{1/8}$ times the norm. It
# costs two matrix products, the price of one step.

# %%
for seed in range(300):
    W = gaussian(1 + seed % 7, 1 + seed // 7 % 7, seed=seed)
    b, S = lt.norm_upper_bounds(W), torch.linalg.svdvals(W)
    assert all(b["geometric"] <= b[name] * (1 + 1e-12) for name in ("max", "one", "inf"))
    assert torch.allclose(b["gram"], (S**8).sum() ** (1 / 8))
    assert b["gram"] <= len(S) ** (1 / 8) * S[0] * (1 + 1e-12)
print("Geometric: never above (9) to (11). Gram: the 8-norm of the singular values.")

# %% [markdown]
# How far are they from the norm? We take four matrices, one of them with positive entries, and one
# orthonormal already.

# %%
kinds = {
    "Gaussian, 100 × 100": gaussian(100, 100),
    "Gaussian, 20 × 500": gaussian(20, 500),
    "positive, 100 × 100": gaussian(100, 100).abs(),
    "orthonormal, 100 × 100": polar_factor(gaussian(100, 100)),
}
show(figures.draw_bounds(kinds))

# %% [markdown]
# Of these four, (9) to (11) are worst for the orthonormal matrix, the kind that we want: every time it
# is scaled by them it starts again from afar. (It is a dense one. For the identity (10) and (11) are
# $\sqrt{100}$.)

# %%
ratios = [
    [b / lt.operator_norm(W) for b in lt.norm_upper_bounds(W).values()] for W in kinds.values()
]
by_bound = list(zip(*ratios, strict=True))
for name, ratio in zip(("(9)", "(10)", "(11)"), by_bound[:3], strict=True):
    assert max(ratio) == ratio[-1] > 30
    print(f"{name}: more than 30 times the norm, for the orthonormal matrix")
of_identity = lt.norm_upper_bounds(torch.eye(100).double())
assert of_identity["one"] == of_identity["inf"] == 10

# %% [markdown]
# ### Exercise 7 ●●○ · 8 min · scale
# Write a function that divides a matrix by *one* number, found by sums or maxima of $|W|$ or of its
# squares, over rows, columns or all entries (no decomposition, and no product of matrices, not even of
# $|W|$), so that no singular value exceeds 1 afterwards.


# %%
def my_scaling(W):
    # your code
    ...


check("04.scale", my_scaling)

# %% [markdown]
# <details><summary>Hint</summary><code>W.abs().sum(0)</code> has one number for each column. Is the
# largest of them the 1-norm or the ∞-norm? And which root belongs to it?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_scaling(W):
#     column_sum, row_sum = W.abs().sum(0).max(), W.abs().sum(1).max()
#     return W / (column_sum * row_sum).sqrt()
# ```
#
# Each of (9), (10) and (11) would do as well, and so would $\sqrt{\sum W_{ij}^2}$.
#
# </details>

# %% [markdown]
# ## What a better bound is worth
#
# *Optional, 4 minutes.*
# Divide by a bound that is 10 times too large, and every singular value starts 10 times lower. A small
# one needs $\log 10 / \log \frac32 \approx 6$ steps to make up for it; the largest, which starts at 0.1
# instead of 1, is at 0.85 then. We look at all 50 singular values of a Gaussian $100 \times 50$ matrix.
#
# **Predict:** after 6 steps, how far are the singular values with each scaling? How many steps more
# does (11) need than the norm itself?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
W = gaussian(100, 50)
S, bounds = torch.linalg.svdvals(W), lt.norm_upper_bounds(W)
scales = {"(11)": bounds["inf"], "geometric": bounds["geometric"], "gram": bounds["gram"]}
scales = {name: value.item() for name, value in scales.items()} | {"the norm": S[0].item()}
show(figures.draw_scaling(S, scales, 6))

# %%
slider_figure(lambda steps=6: figures.draw_scaling(S, scales, steps), steps=(0, 20, 1, 6))

# %% [markdown]
# We count, for the smallest singular value, the steps to within 0.001 of 1.

# %%
counts = {name: steps_to(S[-1].item() / c, 1, tol=1e-3) for name, c in scales.items()}
print(counts)
assert counts["(11)"] - counts["the norm"] == 8 and counts["gram"] <= counts["the norm"] + 1

# %% [markdown]
# For its Table 3 the paper scales $1000 \times 1000$ matrices by (11) and times up to ten steps. We scale
# a Gaussian matrix of this size in the same way.

# %%
W = gaussian(1000, 1000)
largest = lt.operator_norm(W).item()
sigma = [largest / lt.norm_upper_bounds(W)["inf"].item()]
while sigma[-1] < 0.99:
    sigma.append(g(sigma[-1]))
assert sigma[0] < 0.0025 and sigma[10] < 0.15 and 16 <= len(sigma) - 1 <= 18
print("Largest singular value: below 0.0025 at first, below 0.15 after 10 steps;")
print("between 16 and 18 steps bring it to 0.99.")

# %% [markdown]
# Ten steps after this scaling make nothing orthonormal. Dividing by the norm itself (*spectral*
# scaling) takes no step at all for the largest one. The norm may be estimated: `lt.power_iteration` finds it
# from below. Divided by it, the largest singular value is a little above 1, and that does no harm at
# order 1 as long as the estimate is more than $\sigma_{\max}/\sqrt3$.

# %%
W = gaussian(100, 50)
estimate, _, _ = lt.power_iteration(W, steps=3)
top = (lt.operator_norm(W) / estimate).item()
assert 1 < top < math.sqrt(3)
assert torch.allclose(lt.bjorck(W / estimate), polar_factor(W))
print("Three steps of power iteration: the largest singular value is above 1, and in the basin.")

# %% [markdown]
# ## Recap
#
# - One step keeps $U$ and $V$ and sends each singular value to $g(\sigma)$. For order 1,
#   $g(\sigma) = \frac12\sigma(3 - \sigma^2)$ takes $(0, \sqrt3)$ into $(0, 1]$ and then climbs to 1,
#   proved for every real $\sigma$; the error is squared near 1, and small values grow by $\frac32$.
# - Order $p$ raises the error to the power $p + 1$, costs $p + 1$ products, and (up to order 6) has a
#   basin that ends between $\sqrt2$ and $\sqrt3$.
# - Parseval's update is the same step with a smaller $\beta$, and $\beta = \frac12$ is Björck's. It descends
#   $\frac\beta4 \|W^\top W - I\|_F^2$; the paper's $\frac\beta2$ is twice that. At $\beta = 0.0003$ a
#   singular value of 0.1 takes 14,153 steps to 0.99.
# - Beyond $\sqrt3$ a start may end at $-1$, and beyond $\sqrt5$ it runs away (at order 1).
# - $\|W^\top W - I\|_2 < 1$ is enough and not necessary, and wide matrices need it of $W W^\top$.
# - The limit forgets the size of $W$: $\mathrm{BJORCK}(\alpha W) =$ $\mathrm{sign}(\alpha)\,\mathrm{BJORCK}(W)$.
# - Scaling needs full rank. Lost directions stay lost in exact arithmetic, and rounding may fill
#   them with noise.
# - The bounds (9) to (11) hold with operator norms; $\sqrt{\|W\|_1\|W\|_\infty}$ is never worse, and a bound
#   10 times too large costs a small singular value about 6 steps.
#
# ## Where next
#
# [Lesson 03](03_why_relu_is_linear.ipynb) shows what a network gains by such weights. All verdicts on
# appendix B are in the map of [lesson 00](00_start_here.ipynb).
# [Lesson 05](05_fast_orthonormalization.ipynb) makes the iteration cheaper (B.4), and
# [lesson 06](06_spectral_vs_bjorck.ipynb) compares it with spectral normalization (B.2).
