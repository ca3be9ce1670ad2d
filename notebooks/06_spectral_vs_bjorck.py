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
# # 06 · A norm of 1 is not enough
#
# Spectral normalization divides each weight matrix by an estimate of its largest singular value. It is
# cheap, it is everywhere, and two things are often believed of it: that the result has norm at most 1,
# and that this makes a network as strong as a 1-Lipschitz network can be. In this lesson we measure
# both. The estimate comes from *below*, so the norm ends at 1 or *above*. And a norm of exactly 1 still
# lets all other singular values shrink, and gradients with them.
#
# We follow appendix B.2 of "Sorting Out Lipschitz Function Approximation" (Anil, Lucas and Grosse,
# 2019), which we call the paper.
#
# **What you will be able to do**
# - write power iteration, say on which side of the norm its estimate lies, and prove it;
# - normalize a weight so that its norm is 1 or less, and tell when a library does not;
# - follow all singular values of a network while it learns a cone, under two constraints;
# - find a kernel whose flattened norm is 1 and whose convolution has norm 2.7.
#
# **Before you start**: lesson 03 (gradient norms layer by layer), singular values, training with
# PyTorch. The iteration of Björck is the subject of lesson 04; here it is enough that it makes all
# singular values 1.
#
# Reading: 44 minutes, optional parts 3 more · exercises: 63 minutes · running: under 60 seconds

# %%
import math
from functools import partial
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils import parametrizations

import lipteach as lt
from lipteach import linear
from lipteach.classroom import check, show, slider_figure
from lipteach.classroom.lessons.l06_spectral_vs_bjorck import figures, training
from lipteach.classroom.lessons.l06_spectral_vs_bjorck.figures import draw_fig_14
from lipteach.experiments import experiment, load_record
from lipteach.training import orthonormal_network

torch.set_num_threads(1)  # the matrices are small: a second thread would only wait

# %% [markdown]
# One helper: the norm of a weight as a number, by its exact singular values. And, as in the lessons
# before, `linear(W)` is an `nn.Linear` with the weight $W$, in float64.


# %%
def norm(weight):
    return lt.operator_norm(weight.detach()).item()


# %% [markdown]
# ## Power iteration, the norm from below (B.2)
#
# The linear layer $x \mapsto Wx$ is 1-Lipschitz in the 2-norm if its largest singular value
# $\sigma_1 = \max \|Wx\| / \|x\|$ is at most 1. All singular values of a large matrix cost much. One
# of them is cheap: multiply a vector again and again by $W^\top$ and $W$, and the direction that grows
# fastest wins. That is power iteration. Its estimate is $\hat\sigma = \|W v\|$, with a unit vector $v$.


# %%
def power_iteration(W, u, steps):
    for _ in range(steps):
        v = W.T @ u
        v = v / v.norm()
        u = W @ v
        estimate = u.norm()
        u = u / estimate
    return estimate, u, v


# %% [markdown]
# We start with $W = \mathrm{diag}(2, 1)$ and $u = (1, 1)/\sqrt2$. The package's `lt.power_iteration`
# computes the same, there and on other shapes, and takes stacks of matrices as well.

# %%
W = torch.diag(torch.tensor([2.0, 1.0])).double()
u = torch.tensor([1.0, 1.0]).double() / math.sqrt(2)
other = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).double()
for A, start in ((W, u), (other, torch.ones(5).double())):
    ours, theirs = power_iteration(A, start, 4), lt.power_iteration(A, 4, start)
    assert all(torch.allclose(a, b) for a, b in zip(ours, theirs, strict=True))
print("One step on diag(2, 1):", round(power_iteration(W, u, 1)[0].item(), 5), "for the norm 2")

# %% [markdown]
# The estimate is too small. It always is, or just right: $\|Wv\|$ is one of the numbers over which
# $\sigma_1$ is the maximum. For a diagonal matrix with entries $s \ge t \ge 0$ and the start $(a, b)$
# we can write the square of the estimate after one step down,
#
# $$\hat\sigma^2 = \frac{s^4 a^2 + t^4 b^2}{s^2 a^2 + t^2 b^2},$$
#
# and ask the solver about all these matrices and every start at once. (More steps are one step from
# another start.) We multiply by the denominator.


# %%
def shortfall(s, t, a, b):
    """(σ₁² − σ̂²) times the denominator, which is not negative."""
    return s**2 * (s**2 * a**2 + t**2 * b**2) - (s**4 * a**2 + t**4 * b**2)


def never_above(s, t, a, b, gap):
    return gap >= 0


def sorted_entries(s, t, a, b):
    return [s >= t, t >= 0]


# %% [markdown]
# The second question asks when it is *strictly* too small: as soon as $s > t > 0$ and the start has
# any part $b \ne 0$ along the second direction.

# %%
below = lt.prove(shortfall, never_above, sorted_entries)
strictly = lt.prove(
    shortfall,
    lambda s, t, a, b, gap: gap > 0,
    lambda s, t, a, b: [s > t, t > 0, b != 0],
)
assert below and strictly
print(below, strictly, sep="\n")

# %% [markdown]
# It never falls, either: each step of power iteration is at least as good as the one before. The proof is
# short, and stands in [lesson 10](10_spectral_jacobian.ipynb). Here are random matrices of several
# shapes:

# %%
for shape in ((2, 2), (30, 30), (20, 50), (50, 20)):
    A = torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()
    found = [lt.power_iteration(A, steps)[0] for steps in range(1, 30)]
    assert all(one <= two + 1e-12 for one, two in pairwise(found))
    assert found[-1] <= norm(A) + 1e-12
print("29 estimates of four matrices: none falls, and none is above the norm.")

# %% [markdown]
# ### Exercise 1 ●●○ · 10 min · power-iteration
# Write it yourself, without `lt`: a function of `W` of shape (m, n), a start `u` of shape (m,),
# of any length, and the number of `steps`. It returns $\hat\sigma$.


# %%
def my_estimate(W, u, steps):
    # your code
    ...


check("06.power-iteration", my_estimate)

# %% [markdown]
# <details><summary>Hint</summary>One step has two halves, and each ends with a vector of length 1. Which
# length, taken before which division, is the estimate?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_estimate(W, u, steps):
#     for _ in range(steps):
#         v = W.T @ u
#         v = v / v.norm()
#         u = W @ v
#     return u.norm()
# ```
#
# The length of `u` does not matter, because `v` is divided by its own.
#
# </details>

# %% [markdown]
# ### How fast it rises
#
# After $k$ steps from a start with entry $c_j$ along the $j$-th direction,
#
# $$\hat\sigma_k^2 = \frac{\sum_j \sigma_j^{4k} c_j^2}{\sum_j \sigma_j^{4k - 2} c_j^2}.$$
#
# So it depends on all ratios $\sigma_j / \sigma_1$: a direction dies out by the factor
# $(\sigma_j/\sigma_1)^4$ in each step (in the squares).

# %%
sigma = torch.linspace(1.0, 0.2, 12).double()
ones = torch.ones(12).double()
for k in (1, 2, 7):
    squared = (sigma ** (4 * k)).sum() / (sigma ** (4 * k - 2)).sum()
    assert torch.allclose(lt.power_iteration(torch.diag(sigma), k, ones)[0] ** 2, squared)
print("The formula holds after 1, 2 and 7 steps.")

# %% [markdown]
# **Predict:** with $\sigma_1 = 1$ and $\sigma_2$ close to it, power iteration is slow. We divide by the
# estimate after 5 steps. For which $\sigma_2$ is the norm that is left farthest above 1: near ½,
# near 1, or between? And does it matter whether one singular value sits at $\sigma_2$, or 31 of them?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_power_iteration(ratio=0.9, steps=5))

# %% [markdown]
# Left the estimates, right the norm after dividing; always $\sigma_1 = 1$. *Falling values* are
# $\sigma_j = \sigma_2^{j - 1}$, 32 of them. Move $\sigma_2$, and the number of steps.

# %%
slider_figure(figures.draw_power_iteration, ratio=(0.5, 1.0, 0.05, 0.9), steps=(1, 20, 1, 5))

# %% [markdown]
# Between: at ratio 1 the wrong directions survive, but they are as long as the right one and do no
# harm. How close to 1 the worst ratio lies depends on the others: with 31 equal values it is 0.86, with
# falling ones 0.99. And many singular values at the same place do more harm than one. (Others may even
# help. With a single value at 0.86 the norm that is left is 1.008; with thirty at 0.999 beside it, it
# is 1.001.)

# %%
ratios = torch.linspace(0.5, 1, 51).double()
at_worst = {}
for name in ("one value", "falling values", "31 values"):
    left = figures.norm_after(
        torch.stack([figures.spectra(float(r))[name] for r in ratios]), steps=5
    )
    at_worst[name] = left.max()
    assert left[-1] < 1 + 1e-12  # at ratio 1 nothing is wrong
    print(f"{name}: the worst ratio after 5 steps is {ratios[left.argmax()]:.2f}")
assert at_worst["31 values"] > 1.09 and at_worst["one value"] < 1.02
alone, beside = torch.tensor([1, 0.86]), torch.tensor([1, 0.86] + 30 * [0.999])
left = [round(figures.norm_after(s.double(), steps=5).item(), 3) for s in (alone, beside)]
assert left == [1.008, 1.001]

# %% [markdown]
# ### Exercise 2 ●●○ · 6 min · blind-start
# For one kind of start the estimate stays wrong however many steps we take. The matrix
#
# $$W = \begin{pmatrix} 2 & 1 & 0 \\ 1 & 2 & 0 \\ 0 & 0 & 2 \end{pmatrix}$$
#
# has norm 3. Give a start $u$, a list of three numbers, from which power iteration never finds it.

# %%
my_start = ...
check("06.blind-start", my_start)

# %% [markdown]
# <details><summary>Hint</summary>W is symmetric. Which vector does it stretch by 3, and what becomes of
# a start that has nothing of it?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_start = [1.0, -1.0, 0.0]
# ```
#
# The norm belongs to $(1, 1, 0)/\sqrt2$, so every start with $u_1 + u_2 = 0$ is blind: from here the
# estimate is 1, from $(0, 0, 1)$ it is 2. With most other matrices rounding sooner or later lends the
# start a little of the right direction, which then grows. A start whose entries are Gaussian is blind
# with probability 0. (Of starts with random signs one half is blind here.)
#
# </details>

# %%
blind = torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 2.0]]).double()
for start, stays in (([1.0, -1.0, 0.0], 1), ([0.0, 0.0, 1.0], 2)):
    found = lt.power_iteration(blind, 1000, torch.tensor(start).double())[0]
    assert math.isclose(found, stays)
assert math.isclose(norm(blind), 3)
signs = torch.cartesian_prod(*3 * [torch.tensor([-1.0, 1.0])]).double()
found = [lt.power_iteration(blind, 100, s)[0].item() for s in signs]
assert sum(value < 2.5 for value in found) == 4
print("After 1000 steps the estimates are still 1 and 2, and the norm is 3.")

# %% [markdown]
# Ten random matrices, each with a start that is orthogonal to its first direction up to rounding:

# %%
for seed in range(10):
    A, start = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(seed)).double()
    first, start = torch.linalg.svd(A).U[:, 0], start[0]
    for _ in range(2):
        start = start - (start @ first) * first
    assert lt.power_iteration(A, 3, start)[0] < 0.999 * norm(A)
    assert math.isclose(lt.power_iteration(A, 1000, start)[0], norm(A), rel_tol=1e-6)
print("Too small after 3 steps, right after 1000: rounding has lent what was missing.")

# %% [markdown]
# ## A largest singular value below 1, an erratum (B.2 spectral normalization)
#
# Now divide. The paper writes that spectral normalization enforces the largest singular value of each
# weight matrix to be *less than 1*. What it does is $W / \hat\sigma$, and $\hat\sigma \le \sigma_1$
# by the proof above. So the largest singular value becomes $\sigma_1/\hat\sigma$, which is *at least* 1.
# It aims at 1, and arrives from above.

# %%
estimate = lt.power_iteration(W, steps=1, u=u)[0]
assert math.isclose(estimate, math.sqrt(3.4))
assert math.isclose(norm(W / estimate), 1.08465, abs_tol=5e-6)
print(f"diag(2, 1) divided by its estimate {estimate:.5f} has norm {2 / estimate:.5f}")

# %% [markdown]
# ### Exercise 3 ●○○ · 5 min · overshoot
# Take $\mathrm{diag}(3, 1)$ and the start $(1, 1)/\sqrt2$. Which norm is left after dividing by the
# estimate of one step? Four decimals, by hand if you like.

# %%
answer = ...
check("06.overshoot", answer)

# %% [markdown]
# <details><summary>Hint</summary>Wᵀu points along (3, 1). What is the length of W (3, 1), divided by
# the length of (3, 1)?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# answer = 3 / math.sqrt((9**2 + 1) / (3**2 + 1))
# ```
#
# </details>

# %% [markdown]
# ### What PyTorch does
#
# `torch.nn.utils.parametrizations.spectral_norm` is this method. It starts from a random vector, does
# 15 steps when it is registered, and one more whenever the weight is read in training mode. The start
# comes from PyTorch's global generator; this helper lends it a seed and gives it back.


# %%
def torch_spectral(layer, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return parametrizations.spectral_norm(layer)


# %% [markdown]
# First our example. We put $(1, 1)/\sqrt2$ into its vector and read the weight once. Then a layer of 64
# units with random weights, as it is right after registration.

# %%
layer = torch_spectral(nn.Linear(2, 2, bias=False).double())
layer.weight = W
layer.parametrizations.weight[0]._v.copy_(u)
assert math.isclose(norm(layer.weight), 1.08465, abs_tol=5e-6)

gaussian = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(0)).double()
layer = torch_spectral(linear(gaussian[0])).eval()
assert 1.01 < norm(layer.weight) < 1.2
print("PyTorch's norm of diag(2, 1) is 1.08465; that of 64 × 64 random weights is above 1.01.")

# %% [markdown]
# Next we assign another weight, as one does who averages or exchanges weights, and evaluate. The vectors
# that are kept belong to the old matrix. (A state dict brings its own vectors along; an assignment does
# not.)

# %%
assert {"_u", "_v"} <= {key.split(".")[-1] for key in layer.state_dict()}
layer.weight = gaussian[1]
assert norm(layer.weight) > 5
print("After a replacement, in eval mode, the norm is above 5.")

# %% [markdown]
# In training mode each *reading* improves the vectors. So the weight is another one every time that we
# look: looking at it changes it.

# %%
layer.train()
seen = [norm(layer.weight) for _ in range(200)]
assert 1 - 1e-12 < seen[-1] < 1.001 < 1.1 < seen[1]
assert all(two <= one + 1e-12 for one, two in pairwise(seen))
print("200 readings: the norm never rises. It goes from above 1.1 to below 1.001, not below 1.")

# %% [markdown]
# This is how the method is meant: weights change little from step to step, and one step of power
# iteration keeps up. It is a fair way to train. It is no *certificate*: whoever states a Lipschitz
# constant must measure the norm from above.
#
# ### What an exact normalization does
#
# There are two honest ways: divide by the norm itself, or by something that is never smaller.
# `lt.spectral` does the first, by all singular values, at every use of the weight. That costs more than a step
# of power iteration.

# %%
layer = lt.spectral(linear(gaussian[0]))
assert abs(norm(layer.weight) - 1) < 1e-6
layer.weight = gaussian[1]
layer.eval()
assert abs(norm(layer.weight) - 1) < 1e-6
print("lt.spectral: norm 1 at once, and after the weight is replaced.")

# %% [markdown]
# ### Exercise 4 ●●○ · 8 min · certified
# Write the second way: a function of a matrix `W` that divides it by a number *never below* its norm,
# and not more than about three times too large on the matrices of the check. Any true upper bound will
# do. An estimate with a margin is none: it must hold for every matrix and whatever is drawn, and the check
# lays its matrices as unluckily as it can, without rounding.


# %%
def my_certified(W):
    # your code
    ...


check("06.certified", my_certified)

# %% [markdown]
# <details><summary>Hint</summary>The squares of all singular values add up to the sum of the squares of
# all entries. Or look at <code>lt.norm_upper_bounds</code>: which of the five is closest?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_certified(W):
#     return W / lt.norm_upper_bounds(W)["gram"]
# ```
#
# `W / W.norm()` is right as well: the Frobenius norm is $\sqrt{\sum_j \sigma_j^2} \ge \sigma_1$. On
# 1000 × 1000 orthonormal weights it is $\sqrt{1000} \approx 32$ times too large, and "gram"
# $1000^{1/8} \approx 2.4$ times.
#
# Power iteration from a random start, times 1.5, would fail seldom, but some draws have too little of the
# right direction.
#
# </details>

# %% [markdown]
# ### Exercise 5 ●●● · 15 min · sharper
# The closest of the five bounds in `lt.norm_upper_bounds`, "gram", is $(\sum_j \sigma_j^8)^{1/8}$: two products
# and a norm, $\|(W^\top W)^2\|_F^{1/4}$. A higher power comes closer:
#
# $$\sigma_1 \;\le\; \Bigl(\sum_j \sigma_j^p\Bigr)^{1/p} \;\le\; n^{1/p}\, \sigma_1 .$$
#
# Write a function that returns a number never below the norm of `W` and at most 1 % above it, for every
# matrix of at most 64 rows and columns: the zero matrix, too, and entries as large as $10^{30}$ or as small as
# $10^{-30}$. It may multiply two matrices at most twelve times, in PyTorch, and uses no singular values and no
# other decomposition.


# %%
def my_sharper(W):
    # your code
    ...


check("06.sharper", my_sharper)

# %% [markdown]
# <details><summary>Hint</summary>Each square of a matrix doubles the power of its singular values. How many
# squares bring 64 to the power 1/p below 1.01? And before a square takes the numbers out of range: what can
# you divide by, and give back under the right root?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_sharper(W):
#     bound = W.abs().max()
#     if bound == 0:
#         return bound
#     A = (W / bound).T @ (W / bound)
#     power = 2  # the norm of W is bound · ‖A‖^(1/power), at every moment
#     for _ in range(7):
#         size = A.norm()
#         bound = bound * size ** (1 / power)
#         A = (A / size) @ (A / size)
#         power = 2 * power
#     return bound * A.norm() ** (1 / power)
# ```
#
# The last Frobenius norm is at least $\|A\|$. It adds up $\sigma_j^{512}$, so that $p = 512$, and
# $64^{1/512} < 1.0082$.
#
# </details>

# %% [markdown]
# ## What a norm of 1 leaves open (B.2)
#
# From here on the norm is exactly 1. Is that all we want? On its way back through a layer, a gradient
# $\delta$ becomes $W^\top \delta$. With $W = U \Sigma V^\top$, its part along the $j$-th column of $U$ is
# multiplied by $\sigma_j$. Only what points along $\sigma_1 = 1$ is kept for certain. We let the solver say
# it for singular values 1 and $c$, $0 \le c < 1$, and the gradient $(p, q)$: it is shortened as soon as
# $q \ne 0$.


# %%
def squared_length(c, p, q):
    return p**2 + (c * q) ** 2


loses = lt.prove(
    squared_length,
    lambda c, p, q, kept: kept < p**2 + q**2,
    lambda c, p, q: [c >= 0, c < 1, q != 0],
)
assert loses
print(loses)

# %% [markdown]
# With both singular values 1 every gradient keeps its length. Here is a rotation; a reflection changes
# one sign more.


# %%
def rotated(c, s, p, q):
    return (c * p + s * q) ** 2 + (c * q - s * p) ** 2


keeps = lt.prove(
    rotated,
    lambda c, s, p, q, kept: kept == p**2 + q**2,
    lambda c, s, p, q: [c**2 + s**2 == 1],
)
assert keeps
print(keeps)

# %% [markdown]
# And two layers of norm 1 can lose everything: $\mathrm{diag}(1, 0)$ keeps only the first entry,
# $\mathrm{diag}(0, 1)$ only the second.

# %%
first, second = linear([[1.0, 0.0], [0.0, 0.0]]), linear([[0.0, 0.0], [0.0, 1.0]])
assert norm(first.weight) == norm(second.weight) == 1
nothing = lt.prove(nn.Sequential(first, second), lambda x: [0, 0])
assert nothing
print(nothing)

# %% [markdown]
# **Predict:** singular values 1 and ½. A gradient of length 1 points anywhere. What is the least, and
# what the most, that it keeps? Draw all of them: which curve is it?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_gradients(second=0.5))

# %% [markdown]
# The ellipse is the spectrally normalized matrix, the squares on the circle are its polar factor
# $UV^\top$, which Björck's iteration computes. Move the second singular value to 0, and to 1.

# %%
slider_figure(figures.draw_gradients, second=(0.0, 1.0, 0.05, 0.3))

# %% [markdown]
# ### Exercise 6 ●○○ · 5 min · kept
# Singular values 1 and ½, and a gradient of length 1 in a direction drawn uniformly from the circle. What
# is the root mean square of the length that is kept? Three digits.

# %%
answer = ...
check("06.kept", answer)

# %% [markdown]
# <details><summary>Hint</summary>The gradient is (cos t, sin t). What is the mean of cos² t?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# answer = math.sqrt((1**2 + 0.5**2) / 2)
# ```
#
# In n dimensions it is $\sqrt{\sum_j \sigma_j^2 / n}$.
#
# </details>

# %% [markdown]
# ### Exercise 7 ●●○ · 8 min · one-direction
# Build a 2 × 2 matrix of norm exactly 1 that loses the gradient $\delta = (0.6, 0.8)$ entirely, and keeps
# the whole length of $(0.8, -0.6)$. A list of two rows will do.

# %%
my_matrix = ...
check("06.one-direction", my_matrix)

# %% [markdown]
# <details><summary>Hint</summary>A gradient goes through Wᵀ. Which single direction may the columns of W
# have?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_matrix = [[0.8, 0.0], [-0.6, 0.0]]
# ```
#
# $W = (0.8, -0.6)^\top v^\top$ for any unit vector $v$.
#
# </details>

# %% [markdown]
# One exception for honesty. Singular values of 1 keep every gradient only where a layer has at least as
# many inputs as outputs. A *tall* layer, such as the first of a network that widens, loses the part of
# $\delta$ outside the range of $W$, orthonormal or not: lesson 03 has seen it.

# %%
tall = torch.tensor([[1.0], [0.0]]).double()
assert lt.is_orthonormal(tall) and (tall.T @ torch.tensor([0.0, 1.0]).double()).norm() == 0
print("The tall matrix (1, 0)ᵀ has all singular values 1, and loses the gradient (0, 1).")

# %% [markdown]
# ## The cone and its distance (B.2 cone)
#
# Does this matter for what a network can learn? The paper tests it on two distributions: all mass at the
# origin, and the uniform distribution on the unit sphere of $\mathbb R^n$. Whatever goes where, all mass
# travels the distance 1, so the Wasserstein distance of the two is 1. It is also the largest value of
#
# $$D(f) = f(0) - \mathbb E_y f(y), \qquad y \text{ uniform on the sphere},$$
#
# over all 1-Lipschitz $f$, and the cone $f(x) = 1 - \|x\|$ reaches it. We take $n = 8$.

# %%
n = 8


def on_sphere(count, generator):
    x = torch.randn(count, n, generator=generator, dtype=torch.float64)
    return x / x.norm(dim=1, keepdim=True)


def distance(f, y):
    return (f(torch.zeros_like(y[:1])) - f(y)).mean()


def cone(x):
    return 1 - x.norm(dim=-1, keepdim=True)


# %% [markdown]
# For the measurements we keep 500 points of the sphere, and one point on the way from the origin to each
# of them. The lengths of these points are spread evenly over $[0, 1]$.

# %%
generator = torch.Generator().manual_seed(1)
sphere = on_sphere(500, generator)
radii = (torch.randperm(500, generator=generator).double() + 0.5) / 500
rays = radii[:, None] * sphere
assert math.isclose(distance(cone, sphere), 1)
print("The cone reaches the distance 1.")

# %% [markdown]
# The paper calls the surface "an $n - 1$ dimensional cone with a gradient of 1 everywhere", which can be
# read in several ways. This holds: the *graph* over $\mathbb R^n$ has $n$ dimensions (it lies in
# $\mathbb R^{n+1}$), and the level sets are spheres of $n - 1$ dimensions. The gradient has *norm* 1 at
# every point but one. At the apex there is none: in each direction the slope is $-1$, and a linear
# function would have slopes of both signs.

# %%
x = rays.clone().requires_grad_()
slopes = torch.autograd.grad(cone(x).sum(), x)[0].norm(dim=1)
assert torch.allclose(slopes, torch.ones(500).double())
step = 1e-3 * sphere
forwards, backwards = (cone(step) - 1) / 1e-3, (cone(-step) - 1) / 1e-3
assert torch.allclose(forwards, -torch.ones_like(forwards)) and torch.allclose(backwards, forwards)
print("Gradient norm 1 at 500 points; at the apex each direction and its opposite have slope −1.")

# %% [markdown]
# Why does gradient norm matter here? Walk from the origin to $y$. What $f$ loses on the way is its slope
# along the way, added up:
#
# $$D(f) = \mathbb E_y \int_0^1 -y \cdot \nabla f(ry)\, dr
# \;\le\; \mathbb E_{y, r}\, \|\nabla f(ry)\|, \qquad r \text{ uniform on } [0, 1].$$
#
# So the mean gradient norm on these ways is a ceiling for the distance that a network finds. We check the
# equation on an untrained network, with 20 points on each way.

# %%
some_net = orthonormal_network([n, 32, 1], lt.MaxMin, torch.Generator().manual_seed(0))
along = (torch.arange(20).double() + 0.5) / 20
x = (along[:, None, None] * sphere).flatten(0, 1).requires_grad_()  # (20 · 500, 8)
slopes = -(sphere.repeat(20, 1) * torch.autograd.grad(some_net(x).sum(), x)[0]).sum(dim=1)
assert abs(slopes.mean() - distance(some_net, sphere).detach()) < 2e-3
print("The mean slope on the ways is the distance, up to the spacing of the points.")

# %% [markdown]
# ## One network, two constraints (B.2)
#
# Two networks 8–32–32–32–1 with MaxMin start from the *same* orthonormal weights and the same biases
# (`orthonormal_network` draws them, `network[::2]` are the linear layers $W_1, \dots, W_4$). One is
# normalized by `lt.spectral`, exactly, so that no one gains by a norm above 1. The other is kept
# orthonormal by `lt.orthonormal`. The learning rates are those of the paper. Every 20 steps we keep the
# singular values of all weights, and the mean gradient norm in front of each module.


# %%
def nothing_more(network):
    pass


def train(constrain, rate, seed=0, before_step=nothing_more, after_step=nothing_more):
    generator = torch.Generator().manual_seed(seed)
    network = orthonormal_network([n, 32, 32, 32, 1], lt.MaxMin, generator)
    for layer in network[::2]:
        constrain(layer)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    kept = [training.take_snapshot(network, 0, sphere, rays)]
    for step in range(1, 301):
        loss = -distance(network, on_sphere(64, generator))
        optimizer.zero_grad()
        loss.backward()
        before_step(network)
        optimizer.step()
        after_step(network)
        if step % 20 == 0:
            kept.append(training.take_snapshot(network, step, sphere, rays))
    return network, kept


# %% [markdown]
# Both are trained for 300 steps.

# %%
_, spectral_run = train(lt.spectral, rate=0.0033)
_, orthonormal_run = train(lt.orthonormal, rate=0.01)
runs = {"spectral normalization": spectral_run, "orthonormal weights": orthonormal_run}

# %% [markdown]
# **Predict:** at the start all singular values are 1 in both networks. Spectral normalization
# *allows* them to stay there. Will they? And which network comes closer to the distance 1?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(training.draw_singular_values(runs))

# %% [markdown]
# The slider goes through the snapshots, 20 steps apart.

# %%
slider_figure(partial(training.draw_singular_values, runs), snapshot=(0, 15, 1, 0))

# %% [markdown]
# They do not stay. The paper reports the same of its runs: that all singular values are 1 is allowed, and
# rarely happens. Nothing in the objective holds them there.

# %%
at_start, at_end = spectral_run[0], spectral_run[-1]
for k in (1, 2):  # the square layers W2 and W3
    assert torch.allclose(at_start.sigma[k], torch.ones(32).double())
    assert abs(at_end.sigma[k][0] - 1) < 1e-6 and at_end.sigma[k][-1] < 0.7
    assert (orthonormal_run[-1].sigma[k] - 1).abs().max() < 1e-4
assert 0.75 < at_end.distance < orthonormal_run[-1].distance - 0.03 < 0.97
print("Smallest singular values: below 0.7 against 1. Distance: more than 0.03 apart.")
beyond = next(s.step for s in orthonormal_run if s.distance > at_end.distance)
assert beyond < 150
print("The orthonormal network passes the other's last distance in less than half of the steps.")

# %% [markdown]
# One seed is one seed. Another start, and both learning rates for spectral normalization:

# %%
others = [train(lt.spectral, rate, seed=1)[1][-1].distance for rate in (0.0033, 0.01)]
best = train(lt.orthonormal, 0.01, seed=1)[1][-1].distance
assert best > max(others) + 0.02
print("From another start the orthonormal network is ahead of both by more than 0.02.")

# %% [markdown]
# ### Where the gradient norm goes
#
# Now the gradients on the ways from the origin to the sphere, layer by layer, as in lesson 03.
#
# **Predict:** which of the two networks loses gradient norm at the square layers W2 and W3? Which one at
# W1, which is tall?

# %% jupyter={"outputs_hidden": true} tags=["hide-output", "nbval-ignore-output"]
show(training.draw_layers(runs))

# %% [markdown]
# Move through the training: at the start W1 takes more than half in both, and then both learn to point
# their gradients into its range.

# %%
slider_figure(partial(training.draw_layers, runs), snapshot=(0, 15, 1, 0))

# %% [markdown]
# At the square layers the orthonormal network loses nothing, at any moment. The other one does. It is
# little, less than four hundredths, although half of the singular values went below 0.9: the gradients
# point mostly where norm is kept. (The greater part of the difference arises at W1, where both networks
# have to learn to keep it: under spectral normalization W1 takes more than three times as much.)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
assert all(run[0].norms[0] < 0.5 for run in runs.values())  # at the start W1 takes more than half
for snapshot in orthonormal_run:
    loss = snapshot.norms[1:] - snapshot.norms[:-1]  # at W1, sort, W2, sort, W3, sort, W4
    assert loss[[1, 2, 3, 4, 5, 6]].abs().max() < 1e-4
at_tall = loss[0]
loss = at_end.norms[1:] - at_end.norms[:-1]
assert 0.005 < loss[[2, 4]].sum() < 0.04 and loss[[1, 3, 5]].abs().max() < 1e-9
assert all(at_end.sigma[k].median() < 0.9 for k in (1, 2)) and loss[0] > 3 * at_tall
print("W2 and W3 lose gradient norm under spectral normalization, none when orthonormal.")

# %% [markdown]
# And the ceiling of the last section: the distance is at most the mean gradient norm.

# %%
for run in runs.values():
    assert run[-1].distance <= run[-1].norms[0] <= 1 + 1e-6
print("In both networks: distance ≤ mean gradient norm ≤ 1.")

# %% [markdown]
# ### A third way, retraction
#
# *Optional, 3 minutes.*
# `lt.retract_` needs no parametrization. The weights are plain; after each step of the optimizer they are
# moved back to the nearest orthonormal matrix. All singular values are 1, at every step, and no gradient
# norm is lost at the square layers. So this must learn the cone as well?

# %%
_, retracted = train(lambda layer: layer, 0.0033, after_step=lt.retract_)
for snapshot in retracted:
    assert all((sigma - 1).abs().max() < 0.01 for sigma in snapshot.sigma)
assert retracted[-1].distance < at_end.distance - 0.01
print("Retracted weights stay orthonormal, and yet the distance after 300 steps is the smallest.")

# %% [markdown]
# It comes less far than both. The constraint is that of `lt.orthonormal`; the way through it is another one.
# A suspicion: part of each gradient points away from the orthonormal matrices. The retraction undoes that
# part of the step, but Adam has already scaled all entries by it. So we take it out *before* the step. What
# is left of $G$, its tangent part, is $G - W\, \mathrm{sym}(W^\top G)$ with
# $\mathrm{sym}(A) = (A + A^\top)/2$ (for a wide $W$ from the other side).


# %%
def make_tangent(network):
    for layer in network[::2]:
        W, G = layer.weight.detach(), layer.weight.grad
        tall = len(W) >= W.shape[1]
        A = W.T @ G if tall else G @ W.T
        A = (A + A.T) / 2
        G -= W @ A if tall else A @ W


# %% [markdown]
# The same run with this one line more:

# %%
_, tangent = train(lambda layer: layer, 0.0033, before_step=make_tangent, after_step=lt.retract_)
assert tangent[-1].distance > at_end.distance + 0.02
gained = tangent[-1].distance - retracted[-1].distance
assert gained > 0.05 and gained > (orthonormal_run[-1].distance - retracted[-1].distance) / 2
print("With tangent gradients it gains more than 0.05,")
print("and is ahead of spectral normalization by more than 0.02.")

# %% [markdown]
# The suspicion was right, at least here: this one line makes up for more than half of what was missing to
# the parametrized network. Orthonormal weights allow a good function; the optimizer must still find it.
#
# ### How far above 1 while training
#
# Last, PyTorch's own spectral normalization in the same training. After each step of the optimizer we do what
# one does to evaluate: `eval()`, and look at the norms.

# %%
bounds = []


def watch(network):
    network.eval()
    bounds.append(math.prod(norm(layer.weight) for layer in network[::2]))
    network.train()


train(torch_spectral, rate=0.0033, after_step=watch)
assert max(bounds) > 1.2 and min(bounds) > 1
print("The product of the four norms is above 1 after every step, and above 1.2 at its worst.")

# %% [markdown]
# ## Fig. 14, cones in up to 512 dimensions (B.2, Fig. 14)
#
# The paper's Fig. 14 does this at full size: three hidden layers of 512 units, Adam with learning rates
# 0.01 (Björck) and 0.0033 (spectral normalization), in several dimensions. It reports that Björck networks
# come closer to the distance, in fewer iterations, and tells how their lead changes with the dimension. Where
# the paper iterates Björck's map, we use `lt.orthonormal`, as above.
#
# That takes longer than a lesson may. So we read the record of a run: these networks and these rates, for
# $n$ = 2, 16, 128 and 512, each from three starts. The paper does not say how many steps it took, nor how
# many points in each; ours are 1,500 steps of 128 points, what one core does in about half an hour. This repeats it:
#
# ```
# python -m lipteach.experiments run fig14_spectral --profile laptop
# ```

# %%
record = load_record("fig14_spectral", "laptop")
device, versions = record.about["device"][0], record.about["versions"]
print(f"Recorded on {record.about['date']}: {device['cpu']}, {device['threads']} thread,")
print(f"torch {versions['torch']}, seeds {record.seeds}")

# %% [markdown]
# Spectral normalization is PyTorch's here, as one uses it. Its norms can be above 1, as we have just seen, and
# then the value that such a network gives is no lower bound of the distance. We divide it by the product of the
# exact norms of the four weights. That is the fair estimate: of a 1-Lipschitz network.
#
# **Predict:** the same networks for points in 2 and in 512 dimensions. In which is the distance harder to find
# within 1,500 steps? In which do the two methods differ more?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(draw_fig_14(record))

# %% [markdown]
# Lines are means, bands go from the smallest to the largest of three starts, and the dotted line is the value
# before dividing. The numbers at the end, the paper's words below them (its figure has no table):

# %%
print(experiment("fig14_spectral").compare(record))

# %% [markdown]
# Two statements of the paper we see in every dimension. Better and sooner: after 50 steps the orthonormal networks have
# more, in the mean, than the others at any step, up to 1,500. In 16, 128 and 512 dimensions that is true of the worst of the one
# kind and the best of the other. In 2 the spectral runs go up and down, and some overtake for a moment.

# %%
pairs = {
    n: [record.cell(n=n, method=method) for method in ("orthonormal", "spectral")]
    for n in (2, 16, 128, 512)
}
for n, (ours, theirs) in pairs.items():
    curves = [
        torch.tensor([values for _, values in cell.curves["estimate"]]) for cell in (ours, theirs)
    ]
    means = [curve.mean(dim=0) for curve in curves]
    assert ours.curves["estimate"][0][0][0] == 50 and means[0].min() > means[1].max()
    assert (curves[0].min() > curves[1].max()) == (n > 2)
    assert min(ours.metrics["estimate"]) > max(theirs.metrics["estimate"])
print("Better and sooner, in 2, 16, 128 and 512 dimensions.")

# %% [markdown]
# The third, that the gap grows with the dimension, needs a closer look. As a *ratio* of the two estimates it
# grows all the way. As a *difference* it grows up to 128 and is smaller again in 512, where after 1,500 steps
# neither network has found half of the distance. Which of the two the paper means it does not say.

# %%
ends = [[cell.mean("estimate") for cell in pair] for pair in pairs.values()]
ratios = [ours / theirs for ours, theirs in ends]
gaps = [ours - theirs for ours, theirs in ends]
assert ratios == sorted(ratios) and ratios[-1] > 2
assert gaps[:3] == sorted(gaps[:3]) and gaps[3] < gaps[2] and max(ends[3]) < 1 / 2
print("Ratios:     ", ", ".join(f"{ratio:.2f}" for ratio in ratios))
print("Differences:", ", ".join(f"{gap:.2f}" for gap in gaps))

# %% [markdown]
# And the caution of this lesson, at full size: in each of the twelve spectrally normalized runs the product of
# the norms was above 1.1 at some moment, and no estimate, once divided, was above the distance 1.

# %%
for ours, theirs in pairs.values():
    assert all(max(values) > 1.1 for _, values in theirs.curves["norms"])
    for cell in (ours, theirs):
        assert all(max(values) <= 1 for _, values in cell.curves["estimate"])
print("Norms above 1.1 in every run with spectral normalization; no estimate above 1.")

# %% [markdown]
# ## A kernel is not its operator
#
# A warning for convolutional networks. A convolution is linear, so it has a matrix, but not the one that
# spectral normalization looks at. That one is the *flattened kernel*, of shape outputs × (inputs · 9) for
# 3 × 3. Here is one output, one input, and nine times ⅓. PyTorch leaves it as it is.

# %%
mean = nn.Conv2d(1, 1, 3, padding=1, bias=False).double()
mean.weight.data.fill_(1 / 3)
flattened = mean.weight.detach().flatten(1)
assert lt.is_orthonormal(flattened)
normalized = torch_spectral(mean)
normalized.requires_grad_(False)
assert torch.allclose(normalized.weight, torch.full((1, 1, 3, 3), 1 / 3).double())
print("The flattened kernel is orthonormal: norm 1.")

# %% [markdown]
# What is the norm of the layer? We apply it to each of the 64 images of 8 × 8 with a single 1. The results
# are the columns of its matrix.

# %%
images = torch.eye(64).double().reshape(64, 1, 8, 8)
operator = normalized(images).flatten(1).T
assert math.isclose(norm(operator), (1 + 2 * math.cos(math.pi / 9)) ** 2 / 3)
assert torch.allclose(operator, figures.convolution_matrix(normalized.weight, 8))
print(f"Norm of the flattened kernel: 1. Norm of the layer on 8 × 8 images: {norm(operator):.3f}.")

# %% [markdown]
# Each pixel of the input enters at most nine patches, so all patches together are at most three times as
# long as the image: the norm of a 3 × 3 convolution is at most 3 times that of its flattened kernel.
#
# **Predict:** does the norm of our layer stay 2.764 for larger images? Does it reach 3?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_convolution(size=8))

# %%
slider_figure(figures.draw_convolution, size=(1, 16, 1, 8))

# %% [markdown]
# It grows towards 3, the sum of the entries, and stays below: on $s \times s$ images it is
# $\frac13 (1 + 2\cos\frac{\pi}{s + 1})^2$. (At one pixel only the middle of the kernel counts.) So a norm must
# hold for *every* size of the image. `lt.orthonormal` and `lt.spectral` give a convolution an operator norm of
# at most 1, for every size.

# %%
kernel = torch.randn(3, 2, 3, 3, generator=torch.Generator().manual_seed(0)).double()
for constrain in (lt.orthonormal, lt.spectral):
    layer = constrain(nn.Conv2d(2, 3, 3, padding=1, bias=False).double())
    layer.weight = kernel
    sizes = [norm(figures.convolution_matrix(layer.weight.detach(), s)) for s in (1, 4, 8, 12)]
    assert max(sizes) <= 1 + 1e-6 and sizes[-1] > 0.9
for s in (1, 2, 5, 12):
    here = norm(figures.convolution_matrix(normalized.weight, s))
    assert math.isclose(here, (1 + 2 * math.cos(math.pi / (s + 1))) ** 2 / 3)
print("Norm at most 1 on 1 × 1, 4 × 4, 8 × 8 and 12 × 12 images, and above 0.9 on the largest.")

# %% [markdown]
# ### Exercise 8 ●●○ · 6 min · kernel
# Find another one: a 3 × 3 kernel, a list of three rows, whose nine entries have Euclidean norm at most 1,
# and whose convolution on 8 × 8 images has norm at least 2.7. (Ours counts, too; a checkerboard of signs is
# more fun.)

# %%
my_kernel = ...
check("06.kernel", my_kernel)

# %% [markdown]
# <details><summary>Hint</summary>Put the image to use: what if its pixels change their sign like a
# chessboard?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_kernel = [[(-1) ** (i + j) / 3 for j in range(3)] for i in range(3)]
# ```
#
# A chessboard image is answered by 3 times a chessboard, up to its rim.
#
# </details>

# %% [markdown]
# ## Recap
#
# - Power iteration estimates the largest singular value from below: proved for diagonal 2 × 2 matrices and
#   every start, and true in general. From an orthogonal start it stays wrong.
# - So dividing by it leaves a norm of *at least* 1: 1.08465 for diag(2, 1) after one step. PyTorch's
#   `spectral_norm` is above 1 when fresh, far above after the weight is replaced and evaluated, and above 1
#   after every step of our training. It is no certificate. `lt.spectral` divides by the norm itself.
# - A norm of 1 holds up only the largest singular value. The others may shrink, and gradients with them: two layers of
#   norm 1 can lose everything.
# - The cone: distance 1, gradient norm 1 everywhere but at the apex. From the same start, the singular values
#   fell under spectral normalization; orthonormal weights lost nothing at square layers and came closer. So
#   they did at the paper's size, in 2, 16, 128 and 512 dimensions, and sooner.
# - The norm of a 3 × 3 convolution can be nearly 3 times that of its flattened kernel.
#
# ## Where next
#
# - [Lesson 03](03_why_relu_is_linear.ipynb) shows what is lost at the activations.
# - [Lesson 04](04_bjorck.ipynb) takes apart the iteration that makes weights orthonormal, and
#   [lesson 05](05_fast_orthonormalization.ipynb) makes it fast.
# - [Lesson 07](07_projections.ipynb) bounds the ∞-norm of a matrix instead of its 2-norm.
# - [Lesson 11](11_wasserstein.ipynb) learns this and other Wasserstein distances.
