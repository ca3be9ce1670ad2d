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
# # 07 · Where a projection lands
#
# After a step of the optimizer a weight may have left the set it should stay in. We then move it to
# the nearest point of that set. The appendix does so by sorting, and says that the set is an L∞ ball.
# It is not. In this lesson we find out where its algorithm really lands, what a constraint on the
# ∞-norm of a matrix needs instead, and why it leaves most weights at exactly 0.
#
# We follow appendix C of "Sorting Out Lipschitz Function Approximation" (Anil, Lucas and Grosse,
# 2019), which we call the paper, and use the recipe of its appendix H.5.
#
# **What you will be able to do**
# - tell by one inequality whether a point is the nearest one of a convex set;
# - show by two inputs that Algorithm 1 does not project on the L∞ ball, and say what it does;
# - project on the L1 ball by hand and in code, and avoid three traps;
# - say why a constraint on the ∞-norm acts on rows, and what it promises under attack.
#
# **Before you start**: norms of vectors, matrices; lesson 01 (MaxMin) for the last section.
#
# Reading: 40 minutes · exercises: 65 minutes · running: under 60 seconds

# %%
import itertools
import math

import torch
from torch import nn

import lipteach as lt
from lipteach import terms
from lipteach.classroom import check, predicted, show, slider_figure
from lipteach.classroom.lessons.l07_projections import figures
from lipteach.training import (
    clip_singular_values_,
    minibatches,
    mnist_sample,
    orthonormal_network,
)

torch.set_num_threads(1)  # the matrices are small: a second thread would only wait
torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## The nearest point, and how to recognize it (C)
#
# Let $C$ be a closed convex set, not empty. Each point $y$ has exactly one nearest point $x$ in $C$, its
# *projection*. We shall meet several formulas for projections, and would like to check them. This is
# the test: $x$ is in $C$, and
#
# $$(y - x) \cdot (v - x) \le 0 \quad \text{for all } v \text{ in } C .$$
#
# In words: seen from $x$, no point of the set lies on $y$'s side. Why it is enough: with
# $\|y - v\|^2 = \|y - x\|^2$ $- 2 (y - x) \cdot (v - x)$ $+ \|v - x\|^2$ the last two terms are at least
# 0. We let the solver check this step in the plane.


# %%
def dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def test_value(y, x, v):
    """(y − x)·(v − x), which must not be positive."""
    return dot(
        [a - b for a, b in zip(y, x, strict=True)], [a - b for a, b in zip(v, x, strict=True)]
    )


# %%
def closer_by(y1, y2, x1, x2, v1, v2):
    return (y1 - v1) ** 2 + (y2 - v2) ** 2 - (y1 - x1) ** 2 - (y2 - x2) ** 2


def passes(y1, y2, x1, x2, v1, v2):
    return [test_value([y1, y2], [x1, x2], [v1, v2]) <= 0]


nearest = lt.prove(closer_by, lambda y1, y2, x1, x2, v1, v2, lead: lead >= 0, passes)
assert nearest
print(nearest)

# %% [markdown]
# The converse holds too: the nearest point passes. If it did not, with $(y - x) \cdot (v - x) > 0$ for
# some $v$, a short step $t$ from $x$ towards $v$ would stay in the convex set and come closer to $y$. We put
# $x$ at the origin and say how short:


# %%
def step_gains(y1, y2, v1, v2, t):
    return y1**2 + y2**2 - (y1 - t * v1) ** 2 - (y2 - t * v2) ** 2


def short_step(y1, y2, v1, v2, t):
    return [t > 0, t * (v1**2 + v2**2) < 2 * (y1 * v1 + y2 * v2)]


gains = lt.prove(step_gains, lambda y1, y2, v1, v2, t, gain: gain > 0, short_step)
assert gains
print(gains)

# %% [markdown]
# The test gives us a second fact for nothing. Let $x$ be the projection of $y$, and $w$ that of $z$.
# Each passes the test with the other as $v$. That is all the solver needs to show that $x$ and $w$ are
# no farther apart than $y$ and $z$: **a projection on a convex set is 1-Lipschitz**.


# %%
def shrinks_by(y1, y2, z1, z2, x1, x2, w1, w2):
    return (y1 - z1) ** 2 + (y2 - z2) ** 2 - (x1 - w1) ** 2 - (x2 - w2) ** 2


def both_pass(y1, y2, z1, z2, x1, x2, w1, w2):
    y, z, x, w = [y1, y2], [z1, z2], [x1, x2], [w1, w2]
    return [test_value(y, x, w) <= 0, test_value(z, w, x) <= 0]


def not_negative(y1, y2, z1, z2, x1, x2, w1, w2, shrinkage):
    return shrinkage >= 0


# %%
lipschitz = lt.prove(shrinks_by, not_negative, both_pass)
assert lipschitz
print(lipschitz)

# %% [markdown]
# Now the L∞ ball, which the title of appendix C names: all $x$ with $|x_i| \le 1$. It is a cube. The
# entries do not know of each other, so each is projected by itself: it is cut off at $-1$ and $1$. This
# *clip* passes the test in the plane.


# %%
def clip(y1, y2):
    return [terms.Max(terms.Min(y, 1), -1) for y in (y1, y2)]


def in_cube(y1, y2, v1, v2):
    return [abs(v1) <= 1, abs(v2) <= 1]


def test_holds(y1, y2, v1, v2, x):
    return test_value([y1, y2], x, [v1, v2]) <= 0


# %%
clip_is_right = lt.prove(lambda y1, y2, v1, v2: clip(y1, y2), test_holds, in_cube)
assert clip_is_right
print(clip_is_right)

# %% [markdown]
# So for the L∞ ball of vectors there is nothing to sort: `y.clamp(-1, 1)` is the whole algorithm. What
# then is sorted in the paper?
#
# ## What Algorithm 1 computes (Algorithm 1)
#
# It goes like this. Sort the entries of $y$ in descending order, $u_1 \ge \dots \ge u_N$. Find the
# largest $k$ with $\bigl(\sum_{i \le k} u_i - 1\bigr)/k < u_k$ and call it $K$. Take the *threshold*
# $\tau = \bigl(\sum_{i \le K} u_i - 1\bigr)/K$, and return $x_i = \max(y_i - \tau, 0)$.


# %%
def algorithm_1(y):
    u = y.sort(descending=True).values
    k = torch.arange(1, len(y) + 1)
    candidates = (u.cumsum(0) - 1) / k
    K = k[candidates < u].max()
    tau = candidates[K - 1]
    return (y - tau).clamp(min=0)


# %% [markdown]
# **Predict:** the point $(0, 0)$ is the centre of the cube. Where should a projection on the cube send
# it, and where does Algorithm 1? And $(0.2, -0.1)$?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
predicted()
for y in (torch.tensor([0.0, 0.0]), torch.tensor([0.2, -0.1]), torch.tensor([0.8, -0.6, 0.1])):
    assert torch.equal(y.clamp(-1, 1), y)  # it is in the cube, and its own nearest point
    print(y.tolist(), "goes to", [round(v, 2) for v in algorithm_1(y).tolist()])

# %% [markdown]
# All three points are in the cube already, and all three are moved. So it is not the L∞ ball. Look at
# what comes out: no negative entry, and a sum of 1. We write the two-entry case for the solver. It finds
# a counterexample to the title by itself, and proves what holds instead.


# %%
def of_two(y1, y2):
    u1, u2 = terms.full_sort([y1, y2])
    both, one = (u1 + u2 - 1) / 2, u1 - 1
    tau = terms.If(both < u2, both, one)
    return [terms.relu(y1 - tau), terms.relu(y2 - tau)]


def on_simplex(y1, y2, x):
    return terms.And(x[0] + x[1] == 1, x[0] >= 0, x[1] >= 0)


def from_simplex(y1, y2, v1, v2):
    return [v1 + v2 == 1, v1 >= 0, v2 >= 0]


# %%
as_titled = lt.prove(of_two, clip)
lands = lt.prove(of_two, on_simplex)
is_nearest = lt.prove(lambda y1, y2, v1, v2: of_two(y1, y2), test_holds, from_simplex)
assert isinstance(as_titled, lt.Counterexample) and lands and is_nearest
print(as_titled, lands, is_nearest, sep="\n")

# %% [markdown]
# **The erratum.** The paper calls Algorithm 1 a projection on the L∞ ball. It is the projection on the
# *unit simplex*, the set of all $x \ge 0$ with $\sum_i x_i = 1$. As such it is right, and a fine
# algorithm. `lt.project_simplex` has it for any sum $r$, any dimension and any number of vectors at
# once. We compare, on a thousand vectors.

# %%
vectors = 2 * torch.randn(1000, 7, generator=generator)
by_hand = torch.stack([algorithm_1(y) for y in vectors])
assert torch.allclose(lt.project_simplex(vectors), by_hand)
assert torch.allclose(by_hand.sum(dim=1), torch.ones(1000)) and (by_hand >= 0).all()
print("Algorithm 1 is lt.project_simplex, on", len(vectors), "vectors of 7 entries.")

# %% [markdown]
# ## Why one number is taken off (Algorithm 1)
#
# Why should the nearest point of the simplex be $\max(y - \tau, 0)$? In three steps.
#
# 1. Any $\tau$ for which $x = \max(y - \tau, 0)$ has the sum $r$ gives the nearest point. For
#    $y_i > \tau$ we have $y_i - x_i = \tau$, otherwise $x_i = 0$ and $y_i - x_i \le \tau$. So
#    $(y - x) \cdot v \le \tau r$ for each $v$ of the simplex, and $(y - x) \cdot x = \tau r$. That is
#    the test.
# 2. There is such a $\tau$, and only one: as $\tau$ falls from $u_1$, the sum $\sum_i \max(y_i - \tau, 0)$
#    grows from 0 without limit.
# 3. Sorting finds it. The condition of the algorithm says $\sum_{i \le k} (u_i - u_k) < r$: what stands
#    above the level $u_k$ is less than $r$. It holds for $k = 1$, and once it fails it fails for all
#    larger $k$. So $K$ counts the entries that stay positive.
#
# The solver checks step 1 for three entries and $r = 1$. It does not need to know how $\tau$ was found.


# %%
def cut_at(y1, y2, y3, v1, v2, v3, tau):
    return [terms.relu(y - tau) for y in (y1, y2, y3)]


def sums_are_one(y1, y2, y3, v1, v2, v3, tau):
    return [
        sum(cut_at(y1, y2, y3, v1, v2, v3, tau)) == 1,
        v1 + v2 + v3 == 1,
        v1 >= 0,
        v2 >= 0,
        v3 >= 0,
    ]


def passes_the_test(y1, y2, y3, v1, v2, v3, tau, x):
    return test_value([y1, y2, y3], x, [v1, v2, v3]) <= 0


# %%
step_1 = lt.prove(cut_at, passes_the_test, sums_are_one)
assert step_1
print(step_1)

# %% [markdown]
# Here are six entries, sorted. Left, the level $\tau$, and hatched what stands above it; right, the sum
# of step 2.
#
# **Predict:** as $r$ shrinks, which entries become 0, and in which order? Is any of them left at the
# end?

# %%
show(figures.draw_threshold(1.0))

# %%
slider_figure(figures.draw_threshold, radius=(0.1, 4.0, 0.1, 1.0))

# %% [markdown]
# The smallest go first, each when the level passes it. For $r \le 0.3$, the lead of the largest over the
# second, only the largest is left. The curve on the right bends at every entry: between two of them $K$
# does not change.

# %%
u = torch.tensor(figures.ENTRIES)
kept = [int((lt.project_simplex(u, r) > 0).sum()) for r in (0.29, 0.31, 1.0, 4.0)]
assert kept == [1, 2, 3, 5]
print("entries left at r = 0.29, 0.31, 1 and 4:", *kept)

# %% [markdown]
# ### Exercise 1 ●○○ · 5 min · threshold
# What is the threshold $\tau$ of $y = (0.9,\ 0.5,\ 0.25,\ -0.3)$ for $r = 1$? Give four digits.

# %%
my_tau = ...
check("07.threshold", my_tau)

# %% [markdown]
# <details><summary>Hint</summary>Compute the candidate for k = 1, 2, 3, 4 and compare each with
# u_k. Which is the last that is below?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_tau = (0.9 + 0.5 + 0.25 - 1) / 3
# ```
#
# The candidates are $-0.1 < 0.9$, $0.2 < 0.5$, $0.2167 < 0.25$ and $0.0875 > -0.3$: $K = 3$.
#
# </details>

# %% [markdown]
# ### Exercise 2 ●●○ · 12 min · simplex
# Our `algorithm_1` takes one vector. Write it for a tensor of shape (…, n), each row a vector to be
# projected on the unit simplex, with torch alone. Gradients must flow.


# %%
def my_simplex(y):
    # your code
    ...


check("07.simplex", my_simplex)

# %% [markdown]
# <details><summary>Hint</summary>Sort and sum along <code>dim=-1</code>. Each row has its own K: which
# method picks one entry from each row by an index?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_simplex(y):
#     u = y.sort(dim=-1, descending=True).values
#     candidates = (u.cumsum(dim=-1) - 1) / torch.arange(1, y.shape[-1] + 1)
#     K = (candidates < u).sum(dim=-1, keepdim=True)
#     return (y - candidates.gather(-1, K - 1)).clamp(min=0)
# ```
#
# </details>

# %% [markdown]
# ## What the paper needs: how far an output can move
#
# The paper projects each *row* of a weight matrix after each step, to bound its ∞-norm. So what must a
# row $w$ obey? Suppose that every input may change by at most $\varepsilon$: $\|\delta\|_\infty \le
# \varepsilon$. The output $w \cdot x$ then changes by $w \cdot \delta$, and
#
# $$|w \cdot \delta| \le \|w\|_1\, \|\delta\|_\infty, \qquad \|w\|_1 = \sum_i |w_i| .$$
#
# The L1 norm is *dual* to the L∞ norm. The solver confirms it for three entries, and that
# $\delta_i = \pm\varepsilon$, with the signs of $w$, reaches it (here with $\varepsilon = 1$).


# %%
def change(w1, w2, w3, d1, d2, d3):
    return dot([w1, w2, w3], [d1, d2, d3])


def bounded(w1, w2, w3, d1, d2, d3, out):
    largest = terms.Max(abs(d1), terms.Max(abs(d2), abs(d3)))
    return abs(out) <= (abs(w1) + abs(w2) + abs(w3)) * largest


def at_the_signs(w1, w2, w3):
    return sum(w * terms.If(w >= 0, 1, -1) for w in (w1, w2, w3))


# %%
dual = lt.prove(change, bounded)
reached = lt.prove(at_the_signs, lambda w1, w2, w3: abs(w1) + abs(w2) + abs(w3))
assert dual and reached
print(dual, reached, sep="\n")

# %% [markdown]
# A matrix has one row for each output. Its Lipschitz constant from the ∞-norm to the ∞-norm is
# therefore the largest row sum, $\|W\|_\infty = \max_i \|w_i\|_1$. We try all corners of the cube.

# %%
W = torch.randn(3, 5, generator=generator)
corners = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=5)))  # 32 corners
largest_change = (corners @ W.T).abs().max()
assert torch.isclose(largest_change, lt.operator_norm(W, math.inf))
assert torch.isclose(largest_change, W.abs().sum(dim=1).max())
print("The largest output over 32 corners is the largest L1 norm of a row.")

# %% [markdown]
# So the constraint $\|W\|_\infty \le 1$ says: *each row lies in the L1 ball*. The name of the L∞ ball
# belongs to the perturbation $\delta$, and the weights live in its dual.
#
# ### Exercise 3 ●○○ · 5 min · worst
# Write a function that returns the worst perturbation: the $\delta$ with $\|\delta\|_\infty \le
# \varepsilon$ for which $w \cdot \delta$ is greatest. ($w$ has shape (n,).)


# %%
def my_worst(w, eps):
    # your code
    ...


check("07.worst", my_worst)

# %% [markdown]
# <details><summary>Hint</summary>Each entry of δ may choose for itself. What does it choose if
# wᵢ is negative?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_worst(w, eps):
#     return eps * w.sign()
# ```
#
# </details>

# %% [markdown]
# ## The L1 ball (C)
#
# The L1 ball of radius $r$ is the set $\|x\|_1 \le r$: a square on its tip in the plane, an octahedron
# in three dimensions. The simplex is one of its faces. Algorithm 1 becomes the projection on the ball by
# three repairs:
#
# 1. a point inside stays: if $\|y\|_1 \le r$, return $y$;
# 2. otherwise project the *sizes*, $s = \mathrm{simplex}_r(|y|)$;
# 3. give the *signs* back: $x_i = \mathrm{sign}(y_i)\, s_i$.
#
# ### Exercise 4 ●○○ · 6 min · by-hand
# Project $y = (0.8,\ -0.6,\ 0.1)$ on the unit L1 ball by hand.

# %%
my_x = ...
check("07.by-hand", my_x)

# %% [markdown]
# <details><summary>Hint</summary>The sizes are (0.8, 0.6, 0.1). Is the candidate for k = 3 below
# 0.1?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_x = [0.6, -0.4, 0.0]
# ```
#
# The candidates are $-0.2 < 0.8$, $0.2 < 0.6$ and $0.1667 > 0.1$. So $K = 2$ and $\tau = 0.2$.
#
# </details>

# %% [markdown]
# ### Exercise 5 ●●○ · 10 min · repair
# Write the projection on the L1 ball of radius $r$ for one vector. Of `lt` you may use
# `lt.project_simplex(y, radius)` alone. Gradients must flow.


# %%
def my_l1_ball(y, r):
    # your code
    ...


check("07.repair", my_l1_ball)

# %% [markdown]
# <details><summary>Hint</summary>Which of the three repairs is still missing for (0.2, −0.1)? Which for
# (−2, 0)?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_l1_ball(y, r):
#     if y.abs().sum() <= r:
#         return y
#     return y.sign() * lt.project_simplex(y.abs(), r)
# ```
#
# </details>

# %% [markdown]
# The package has it as `lt.project_l1_ball`, for batches and without an `if`, so that it also works
# under `torch.func.vmap`. Beside it stands `lt.in_l1_ball`. Here is what each of the first two repairs
# is for.

# %%
y = torch.tensor([0.2, -0.1])
assert torch.equal(lt.project_l1_ball(y), y) and lt.in_l1_ball(y)
without_exit = y.sign() * lt.project_simplex(y.abs())
print("no early exit:", [round(v, 2) for v in without_exit.tolist()], "and it should stay")
y = torch.tensor([-2.0, 0.0])
print("right:", lt.project_l1_ball(y).tolist(), "as printed:", algorithm_1(y).tolist())

# %% [markdown]
# Is the repaired algorithm right? For two entries we know the simplex formula, and the solver puts it to
# the test against every point of the ball.


# %%
def repaired(y1, y2, v1, v2):
    sizes = of_two(abs(y1), abs(y2))
    outside = [terms.If(y >= 0, s, -s) for y, s in zip((y1, y2), sizes, strict=True)]
    inside = abs(y1) + abs(y2) <= 1
    return [terms.If(inside, y, x) for y, x in zip((y1, y2), outside, strict=True)]


def in_ball(y1, y2, v1, v2):
    return [abs(v1) + abs(v2) <= 1]


result = lt.prove(repaired, test_holds, in_ball)
assert result
print(result)

# %% [markdown]
# Now the three sets side by side, with the same point $y$.
#
# **Predict:** for which $y$ is the nearest point of the L1 ball a *corner*? Is there such a $y$ with two
# large entries?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_three_sets(0.8, -0.6))

# %%
slider_figure(figures.draw_three_sets, y1=(-2.0, 2.0, 0.1, 0.8), y2=(-2.0, 2.0, 0.1, -0.6))

# %% [markdown]
# The corner $(1, 0)$ is the nearest point of a whole wedge, shaded in the picture: all $y$ with
# $y_1 \ge 1 + |y_2|$. Both entries may be as large as you like, if one leads by 1. Only a strip along each
# diagonal leads to an edge. Far out it counts for little, and most points go to a corner.

# %%
grid = torch.linspace(-2, 2, 41)
points = torch.cartesian_prod(grid, grid)
at_a_corner = (lt.project_l1_ball(points).abs() > 1 - 1e-9).any(dim=1)
sizes = points.abs().sort(dim=1).values
assert torch.equal(at_a_corner, sizes[:, 1] >= 1 + sizes[:, 0] - 1e-9)
far = lt.project_l1_ball(20 * points).abs() > 1 - 1e-9  # the same grid on [−40, 40]²
assert far.any(dim=1).double().mean() > 0.9
print("On a grid of 1681 points: a corner exactly where one size leads the other by 1 or more.")

# %% [markdown]
# ## In three dimensions, and in 784
#
# The octahedron has 6 corners, 12 edges and 8 faces. On a corner one entry is left, on an edge two.
#
# **Predict:** hold $y_1 = 1.2$ and $y_2 = 0.9$ and raise $y_3$ from 0. When does $x$ leave its edge?

# %%
show(figures.draw_octahedron(1.2, 0.9, 0.5))

# %%
coordinates = {
    "y1": (-1.5, 1.5, 0.1, 1.2),
    "y2": (-1.5, 1.5, 0.1, 0.9),
    "y3": (-1.5, 1.5, 0.1, 0.5),
}
slider_figure(figures.draw_octahedron, **coordinates)

# %% [markdown]
# For the first two entries alone $\tau = (1.2 + 0.9 - 1)/2 = 0.55$. The third entry is 0 until it
# passes this level.

# %%
third = torch.linspace(0, 1, 101)
y = torch.stack([torch.full_like(third, 1.2), torch.full_like(third, 0.9), third], dim=1)
moves = lt.project_l1_ball(y)[:, 2] > 1e-9
assert torch.equal(moves, third > 0.55 + 1e-9)
print("x leaves the edge where y3 passes 0.55.")

# %% [markdown]
# In high dimension nearly all entries of a Gaussian vector fall below the level. We project such vectors
# of 784 entries on the L1 ball, and on the ball of the 2-norm for comparison.

# %%
vectors = torch.randn(200, 784, generator=generator)
kept = (lt.project_l1_ball(vectors) != 0).sum(dim=1).double()
assert kept.mean() < 8 and kept.max() < 16
divided = vectors / vectors.norm(dim=1, keepdim=True)
assert (divided != 0).all()
alike = torch.full((784,), 1.01 / 784)  # just outside the L1 ball
assert (lt.project_l1_ball(alike) != 0).all()
print("Of 784 entries fewer than 8 are left on average; the 2-norm ball keeps all.")

# %% [markdown]
# This is what *sparse* means: the L1 ball has corners and edges, they stick out, and the point nearest to
# a Gaussian vector is usually on one that has few non-zero entries. (It depends on the vector: 784 equal
# entries just outside the ball are all kept.)
#
# ## The gradient of the projection
#
# A constraint may also be part of the network, and then gradients must flow through the projection.
# Inside the ball it is the identity. Outside, let $s$ hold the signs of the $K$ entries that are left,
# and 0 elsewhere; each of them loses the same $\tau$, so the Jacobian is
# $J = \mathrm{diag}(|s|) - s\, s^\top / K$. It is an orthogonal projection itself: $J^2 = J = J^\top$.
# (On the sphere $\|y\|_1 = r$, and where some $|y_i|$ is exactly $\tau$, there is no Jacobian.)

# %%
inside, outside = torch.tensor([0.2, -0.1, 0.3]), torch.tensor([0.8, -0.6, 0.1])
jacobian = torch.func.jacrev(lt.project_l1_ball)
s = lt.project_l1_ball(outside).sign()
assert torch.equal(jacobian(inside), torch.eye(3))
J = jacobian(outside)
assert torch.allclose(J, torch.diag(s.abs()) - torch.outer(s, s) / 2)
assert torch.allclose(J @ J, J) and torch.equal(J, J.T)
print(J)

# %% [markdown]
# The slider above stood near such a point: $(1.2,\ 0.9,\ 0.55)$, where $y_3 = \tau$. To the left $x_3$
# stays 0, to the right it grows with slope $\frac23$.

# %%
at, h = torch.tensor([1.2, 0.9, 0.55]), 1e-6
rates = [lt.project_l1_ball(at + torch.tensor([0, 0, t]))[2] / t for t in (-h, h)]
assert abs(rates[0]) < 1e-6 and math.isclose(rates[1], 2 / 3, rel_tol=1e-6)

# %% [markdown]
# ## Matrices: the rows, not the columns
#
# The projection of a matrix on $\|W\|_\infty \le 1$, nearest in the Frobenius norm, treats each row by
# itself, because the squared distance is a sum over rows and the constraint is one on each row.
# `lt.project_linf_norm` does it.
#
# ### Exercise 6 ●○○ · 4 min · moved-rows
# Which rows of this matrix does it move? Answer with five numbers, 1 for a row that moves and 0 for one
# that stays.
#
# $$W = \begin{pmatrix} 0.7 & -0.6 \\ 0.3 & 0.5 \\ 0.9 & -0.9 \\ -0.4 & 0.6 \\ 0.6 & 0.6 \end{pmatrix}$$

# %%
my_rows = ...
check("07.moved-rows", my_rows)

# %% [markdown]
# <details><summary>Hint</summary>Add the sizes of the entries of each row. Which sums exceed 1?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_rows = [1, 0, 1, 0, 1]
# ```
#
# The sums are 1.3, 0.8, 1.8, 1 and 1.2.
#
# </details>

# %% [markdown]
# The third trap: in code, one wrong `dim` projects the columns instead. This bounds the *1-norm* of the
# matrix, and looks just as plausible.

# %%
W = torch.tensor([[0.5, 0.5], [0.9, 0.9]])
for dim, name in ((-1, "rows"), (-2, "columns")):
    projected = lt.project_l1_ball(W, dim=dim)
    one, infinity = (lt.operator_norm(projected, p).item() for p in (1, math.inf))
    assert math.isclose(infinity if dim == -1 else one, 1)
    print(f"{name} projected: ∞-norm {infinity:.1f}, 1-norm {one:.1f}")
assert math.isclose(infinity, 1.4)

# %% [markdown]
# **Predict:** a matrix has 4 rows and ever more columns. We project its columns. What happens to its
# ∞-norm?

# %%
show(figures.draw_rows(6))

# %%
slider_figure(figures.draw_rows, columns=(1, 24, 1, 6))

# %% [markdown]
# It grows with the number of columns: each column may give its whole norm of 1 to the same row. How bad
# can it get?
#
# ### Exercise 7 ●●○ · 8 min · wrong-axis
# Find a matrix of 2 rows and 3 columns which a projection of the *columns* leaves as it is, and whose
# ∞-norm is as large as possible.

# %%
my_matrix = ...
check("07.wrong-axis", my_matrix)

# %% [markdown]
# <details><summary>Hint</summary>Each column has 1 to give away. To which row should all three give it?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_matrix = [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
# ```
#
# Its ∞-norm is 3, and n in general: for images of 784 pixels the mistake can cost a factor of 784.
#
# </details>

# %% [markdown]
# ## Why networks under attack want it (C)
#
# An attacker who may change each pixel of an image by up to $\varepsilon$ chooses from an L∞ ball. Let every
# weight matrix have $\|W\|_\infty \le 1$. A MaxMin layer moves no entry by more than its inputs
# move, as the solver confirms for a pair. So no output of the network moves by more than $\varepsilon$.


# %%
def moved(a, b, c, d):
    return [p - q for p, q in zip(terms.maxmin([a, b]), terms.maxmin([c, d]), strict=True)]


def at_most_the_input(a, b, c, d, out):
    largest = terms.Max(abs(a - c), abs(b - d))
    return terms.And(abs(out[0]) <= largest, abs(out[1]) <= largest)


maxmin_moves = lt.prove(moved, at_most_the_input)
assert maxmin_moves
print(maxmin_moves)

# %% [markdown]
# We train such a network on 2000 handwritten digits by the recipe of appendix H.5: after each step,
# project each row. For comparison we train two with 2-norms at most 1, as in lesson 03. The outputs of
# such networks differ little, so the loss multiplies them by a constant, the *scale*. A small one asks
# for wide leads of the right output, a large one is content when the right output leads at all.


# %%
def project_rows_(model):
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.copy_(lt.project_linf_norm(layer.weight))


images, labels = mnist_sample("train")
test_images, test_labels = mnist_sample("test")
digits, test_digits = images.double().flatten(1), test_images.double().flatten(1)


# %%
def train(constrain_, scale):
    seeded = torch.Generator().manual_seed(0)
    model = orthonormal_network([784, 64, 64, 10], lt.MaxMin, seeded)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for x, y in minibatches(digits, labels, size=200, epochs=15, generator=seeded):
        optimizer.zero_grad()
        nn.functional.cross_entropy(scale * model(x), y).backward()
        optimizer.step()
        constrain_(model)
    return model


# %% [markdown]
# All three take a few seconds.

# %%
row_net = train(project_rows_, scale=10)
two_net, wide_net = (train(clip_singular_values_, scale) for scale in (4, 1))
for layer in row_net[::2]:
    assert lt.in_l1_ball(layer.weight).all()
for layer in [*two_net[::2], *wide_net[::2]]:
    assert lt.operator_norm(layer.weight) <= 1 + 1e-9
    assert lt.operator_norm(layer.weight, math.inf) > 5
print("Each network keeps its own norm; those with the 2-norm have ∞-norms above 5.")

# %% [markdown]
# **Predict:** here are the weights of six units of the first layer, as images; white is 0. What do you
# expect to see of the corners and edges?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
first = {"∞-norm": row_net[0].weight.detach(), "2-norm": two_net[0].weight.detach()}
show(figures.draw_first_weights(first))
assert (first["∞-norm"] != 0).double().sum(dim=1).mean() < 100 and (first["2-norm"] != 0).all()

# %% [markdown]
# Under the ∞-norm a unit looks at fewer than 100 of the 784 pixels, on average, and ignores the rest.
#
# Now for the attack. If the largest output leads the others by $\ell$ or more, then to turn the decision two
# outputs must move towards each other by $\ell$ together, and none moves by more than
# $\|\delta\|_\infty$: the label is safe against $\|\delta\|_\infty < \ell/2$. Under the 2-norm the
# lead moves by at most $\sqrt2\, \|\delta\|_2 \le \sqrt2 \cdot \sqrt{784}\; \|\delta\|_\infty$, so that the safe
# radius is $\ell / (28 \sqrt2)$. For a wrong label we count 0.


# %%
def safe_radius(model, per_lead):
    top = model(test_digits).detach().topk(2, dim=1)
    lead = top.values[:, 0] - top.values[:, 1]
    return torch.where(top.indices[:, 0] == test_labels, lead * per_lead, 0.0)


radii = {
    "∞-norm, scale 10": safe_radius(row_net, 1 / 2),
    "2-norm, scale 4": safe_radius(two_net, 1 / (28 * 2**0.5)),
    "2-norm, scale 1": safe_radius(wide_net, 1 / (28 * 2**0.5)),
}

# %% [markdown]
# **Predict:** which network is right most often when no one attacks? Which has the most digits safe at
# $\varepsilon = 0.05$? And what does the scale do?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_certified(radii))
rows, two, wide = ([(r > eps).double().mean() for eps in (0, 0.05)] for r in radii.values())
assert rows[0] < two[0] - 0.1 and rows[1] > 2 * two[1]
assert wide[0] < two[0] and wide[1] > 2 * two[1]
assert wide[0] > rows[0] + 0.05 and abs(wide[1] - rows[1]) < 0.05

# %% [markdown]
# Compare the first two, and it looks like a trade: the network with the ∞-norm is less accurate, and has more
# than twice as many digits that are safe at $\varepsilon = 0.05$. The third one warns us. With a smaller
# scale, and nothing else changed, the 2-norm reaches about as many there, and is more accurate than the
# ∞-norm. So the scale decides at least as much as the norm, and this experiment, one run each of small
# networks, does not show that one norm wins. (Nor does the paper's Table 7: it has no networks with
# 2-norms.) What is shown is the promise: the ∞-norm gives it without the detour over $\sqrt{784}$.
#
# Does the promise hold? We attack: each pixel moves by $\varepsilon$ in the direction that lowers the lead
# fastest (those that the lead does not feel stay), the worst case of exercise 3 for the network's local slope.

# %%
eps = 0.05
x = test_digits.clone().requires_grad_()
top = row_net(x).topk(2, dim=1)
(top.values[:, 0] - top.values[:, 1]).sum().backward()
attacked = row_net(test_digits - eps * x.grad.sign())
assert (attacked - row_net(test_digits)).abs().max() <= eps + 1e-9
fooled = attacked.argmax(dim=1) != test_labels
radius = radii["∞-norm, scale 10"]
assert not fooled[radius > eps].any() and fooled[radius > 0].any()
print("No output moves by more than ε. Labels are turned, but none that we called safe.")

# %% [markdown]
# ### Exercise 8 ●●● · 15 min · weighted
# Not every pixel has to move equally far. If pixel $i$ moves by at most $c_i > 0$, the output of a row moves by at
# most $\sum_i c_i |w_i|$. Write the projection on the set where this sum is at most $r$: for one vector `y`
# and its weights `c`, both of shape (n,), the nearest point, in the 2-norm as before, with
# $\sum_i c_i |x_i| \le r$. The functions of `lt` do not have it. Gradients must flow, to `y` and to `c`.


# %%
def my_weighted(y, c, r):
    # your code
    ...


check("07.weighted", my_weighted)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Go through step 1 of "Why one number is taken off" again: what may be taken off
# $|y_i|$, so that $(y - x) \cdot v$ is at most a number times $\sum_i c_i |v_i|$? And which entry is the first
# to become 0?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_weighted(y, c, r):
#     if (c * y.abs()).sum() <= r:
#         return y
#     order = (y.abs() / c).argsort(descending=True)
#     w, u = c[order], y.abs()[order]
#     candidates = ((w * u).cumsum(0) - r) / w.square().cumsum(0)
#     K = (candidates < u / w).sum()
#     return y.sign() * (y.abs() - candidates[K - 1] * c).clamp(min=0)
# ```
#
# Outside, $x_i = \mathrm{sign}(y_i) \max(|y_i| - \tau c_i, 0)$: then $(y - x) \cdot v \le \tau r$ for each $v$
# of the set, and $(y - x) \cdot x = \tau r$, which is the test. An entry stays while $\tau < |y_i|/c_i$, so
# these ratios are sorted. To project $(c_1 y_1, \dots)$ on the L1 ball and to divide by $c$ also ends on the set,
# but stretching the axes does not keep distances: that point is nearest in another norm.
#
# </details>

# %% [markdown]
# ## The same as a layer
#
# To project after the step is one way. `lt.linf(layer)` is the other: it keeps a free parameter, and
# projects it whenever the weight is read, with the gradient of the section before.

# %%
layer = lt.linf(nn.Linear(784, 64))
free = layer.parametrizations.weight.original
with torch.no_grad():
    free.normal_(generator=generator)  # as far out as an optimizer may go
layer(test_digits[:8]).square().sum().backward()
assert lt.in_l1_ball(layer.weight).all() and not lt.in_l1_ball(free).any()
assert (free.grad[layer.weight == 0] == 0).all() and (layer.weight == 0).any()
print("The rows are in the L1 ball; an entry that the projection cut to 0 gets no gradient.")

# %% [markdown]
# The last line is a warning: outside the ball, no gradient asks an entry that is cut to 0 to come back. It
# does so only if the threshold $\tau$ of its row happens to fall below its size, or if the optimizer
# still moves it by what it remembers of earlier gradients. The recipe of H.5 has no
# such difficulty: there the gradient is taken at the projected weight itself.
#
# ## Recap
#
# - A projection is known by one inequality, $(y - x) \cdot (v - x) \le 0$ for all $v$ of the set, and is
#   1-Lipschitz.
# - On the L∞ ball of vectors it is a clip. Algorithm 1 is not that: it is the projection on the unit
#   simplex. It moves $(0, 0)$ to $(\frac12, \frac12)$.
# - $|w \cdot \delta| \le \|w\|_1 \|\delta\|_\infty$. So a bound on the ∞-norm of a matrix puts each *row*
#   in the L1 ball.
# - On the L1 ball: leave what is inside, project the sizes on the simplex, give the signs back.
# - The three traps: no early exit, no sign, the columns instead of the rows.
# - The L1 ball has corners and edges, so that projected rows are sparse.
# - Under a change of each pixel by $\varepsilon$ no output of such a network moves by more than
#   $\varepsilon$.
#
# ## Where next
#
# Weights of ∞-norm at most 1, as in this lesson, are those of the paper's Theorem 3: MaxMin networks that
# have them in every layer but the first, where the norm fits the metric, approximate every 1-Lipschitz
# function on a compact set; its appendix E has the proof. [Lesson 06](06_spectral_vs_bjorck.ipynb) is about the
# 2-norm. The map of the whole appendix is in [00_start_here](00_start_here.ipynb).
