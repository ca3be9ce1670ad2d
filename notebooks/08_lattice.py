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
# # 08 · From two points to all of them
#
# Lesson 03 ended with a limit: with ReLU some 1-Lipschitz functions stay out of reach. Here begins the
# opposite story. If a family of functions can meet any two values at any two points, and contains
# with two functions their maximum and their minimum, then it comes as close as we like to *every*
# 1-Lipschitz function. In this lesson we run the proof as a program, on a line, where each of its
# steps can be seen. Then we build maximum and minimum into networks, and find three places where the
# paper's recipe needs a word more.
#
# We follow appendix E of "Sorting Out Lipschitz Function Approximation" (Anil, Lucas and Grosse,
# 2019), which we call the paper: its Lemma 1 and the construction in the proof of Theorem 3.
#
# **What you will be able to do**
# - draw the flattest plane through two given values, for the 1-, 2- and ∞-norm;
# - run the proof of Lemma 1, and say with a number what it takes from compactness;
# - interpolate a function by a maximum of minima, bound the error, and find the worst target;
# - join two networks into their maximum, and avoid three traps: odd widths, padding, affine members.
#
# **Before you start**: lesson 01 (MaxMin), norms and their duals (lesson 07 has what we need).
#
# Reading: 42 minutes, optional parts 5 more · exercises: 59 minutes · running: under 60 seconds

# %%
import functools
import math
from functools import partial

import torch
from torch import nn

import lipteach as lt
from lipteach import linear, terms
from lipteach.classroom import check, predicted, show, slider_figure
from lipteach.classroom.lessons.l08_lattice import figures
from lipteach.training import orthonormal_network

torch.set_num_threads(1)  # the matrices are small: a second thread would only wait
torch.set_default_dtype(torch.float64)

# %% [markdown]
# ## What a lattice is
#
# A *lattice* of functions contains with $f$ and $h$ also $\max(f, h)$ and $\min(f, h)$, taken point by
# point. The 1-Lipschitz functions on any metric space are one, and this is why sorting suits them. Let $x$ and
# $y$ be $t$ apart, $f(x) = a$, $h(x) = b$, $f(y) = c$ and $h(y) = e$. If neither $f$ nor $h$ changes
# by more than $t$, nor does the greater of both, nor the lesser. The solver confirms it for all such
# numbers.


# %%
def changes(a, b, c, e, t):
    return [terms.Max(a, b) - terms.Max(c, e), terms.Min(a, b) - terms.Min(c, e)]


def at_most_t(a, b, c, e, t, change):
    return terms.And(abs(change[0]) <= t, abs(change[1]) <= t)


a_lattice = lt.prove(changes, at_most_t, lambda a, b, c, e, t: [abs(a - c) <= t, abs(b - e) <= t])
assert a_lattice
print(a_lattice)

# %% [markdown]
# A sum would not do: $f + h$ may change by $2t$. So the theorem of Stone and Weierstrass in its best known
# form, which builds with sums and products, is no help here. The paper's Lemma 1 builds with maxima and
# minima only.
#
# ## Two points, two values (E separation)
#
# What do we start from? From functions that have given values at two points: $f(x) = a$ and
# $f(y) = b$. If $f$ is 1-Lipschitz in the $p$-norm, then $|a - b| \le \|x - y\|_p$. The paper calls it
# trivial that a *linear* map then meets both. It must be *affine*, with an offset, and let us see what
# it is: $f(z) = a + w \cdot (z - x)$ with
#
# $$w \cdot d = b - a, \qquad d = y - x .$$
#
# The Lipschitz constant of $f$ in the $p$-norm is the *dual* norm of $w$: $\|w\|_\infty$ for $p = 1$,
# $\|w\|_2$ for $p = 2$, $\|w\|_1$ for $p = \infty$. The least one that is possible is
# $|b - a| / \|d\|_p$. For
#
# $$|w \cdot d| \le \|w\|_\infty \|d\|_1, \qquad (w \cdot d)^2 \le \|w\|_2^2\, \|d\|_2^2, \qquad
#   |w \cdot d| \le \|w\|_1 \|d\|_\infty .$$
#
# In every dimension the second is the inequality of Cauchy and Schwarz. In $|w \cdot d| \le \sum_k |w_k| |d_k|$
# we may put the largest $|w_k|$, or the largest $|d_k|$, in the place of each: that gives the others.
# The solver agrees for the plane.


# %%
def dot(w1, w2, d1, d2):
    return w1 * d1 + w2 * d2


def duality(w1, w2, d1, d2, out):
    by_1 = terms.Max(abs(w1), abs(w2)) * (abs(d1) + abs(d2))
    by_2 = (w1**2 + w2**2) * (d1**2 + d2**2)
    by_inf = (abs(w1) + abs(w2)) * terms.Max(abs(d1), abs(d2))
    return terms.And(abs(out) <= by_1, out**2 <= by_2, abs(out) <= by_inf)


least = lt.prove(dot, duality)
assert least
print(least)

# %% [markdown]
# And it is reached. `lt.affine_through` returns the map of this least norm, as a network of one layer.
# The slope $w$ is a multiple of the signs of $d$ for $p = 1$, of $d$ itself for $p = 2$, and of one
# single coordinate for $p = \infty$, that of the largest $|d_k|$.

# %%
x, y = torch.tensor([0.0, 0.0]), torch.tensor([2.0, 1.0])
for p, dual in ((1, math.inf), (2, 2), (math.inf, 1)):
    f = lt.affine_through(x, y, a=0.0, b=1.5, p=p)
    assert torch.allclose(f(torch.stack([x, y])).flatten(), torch.tensor([0.0, 1.5]))
    w = f[0].weight[0]
    assert torch.isclose(w.norm(p=dual), 1.5 / (y - x).norm(p=p)) and lt.in_lipschitz_class(f, p)
    print(f"p = {p}: w = ({w[0]:.3f}, {w[1]:.3f})")

# %% [markdown]
# In the picture $x$ is the dot in the middle, $y$ is the square at 2-norm distance 1, and the map rises
# by 0.7 from one to the other. The grey lines are its level lines.
#
# **Predict:** we carry $y$ around $x$. In which of the three panels do the level lines turn with it? What
# do they do in the others, and at which angles?

# %%
show(figures.draw_separation(20))

# %%
slider_figure(figures.draw_separation, angle=(0, 90, 5, 20))

# %% [markdown]
# For $p = 2$ they turn. For $p = 1$ they are parallel to a side of the blue square and jump at 0° and
# 90°, where a sign of $d$ is 0; for $p = \infty$ they are parallel to an axis, and jump at 45°. Where
# it jumps both maps would do, and all means of the two as well: for these norms the map of least norm is
# not unique. (At 0° and 90° the picture for $p = 1$ shows such a mean, as the sign of 0 counts as 0.)
#
# ### Exercise 1 ●○○ · 8 min · slope
# Write the slope for $p = \infty$: the $w$ with $w \cdot d = c$ and the least $\|w\|_1$. (`d` has
# shape (n,), and no two entries of it have the same size.)


# %%
def my_slope(d, c):
    # your code
    ...


check("08.slope", my_slope)

# %% [markdown]
# <details><summary>Hint</summary>You may spend the budget ‖w‖₁ on any entries. Each unit that you
# spend on entry k brings |d_k|. Where is it spent best, and with which sign?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_slope(d, c):
#     k = d.abs().argmax()
#     w = torch.zeros_like(d)
#     w[k] = c / d[k]
#     return w
# ```
#
# </details>

# %% [markdown]
# ### A norm of exactly 1
#
# The paper's class of networks asks for $\|W_1\|_{p,\infty} = 1$, where $\|W\|_{p,\infty}$ is the
# largest dual norm of a row, and for $\|W_i\|_\infty = 1$ in all later layers. *Equal* to 1. In the
# plane there is room for that: we may add to $w$ something orthogonal to $d$, which the two points do
# not notice. `lt.unit_affine_through` does so.

# %%
for p, dual in ((1, math.inf), (2, 2), (math.inf, 1)):
    f = lt.unit_affine_through(x, y, a=0.0, b=1.5, p=p)
    assert torch.allclose(f(torch.stack([x, y])).flatten(), torch.tensor([0.0, 1.5]))
    assert torch.isclose(f[0].weight[0].norm(p=dual), torch.tensor(1.0))
print("The same values, and a dual norm of 1, for p = 1, 2 and ∞.")

# %% [markdown]
# On a line nothing is orthogonal to $d$ but 0. An affine map with $f(0) = 0$ and $f(1) = \frac12$ has
# the slope $\frac12$, and no other:

# %%
only_half = lt.prove(lambda w, b: w, lambda w, b: [w == 0.5], lambda w, b: [b == 0, w + b == 0.5])
assert only_half
print("slope 1/2", only_half)
try:
    lt.unit_affine_through(torch.tensor([0.0]), torch.tensor([1.0]), a=0.0, b=0.5)
except ValueError as error:
    print(error)

# %% [markdown]
# So with "= 1" and one layer the step fails for $n = 1$. The clean statement has "$\le 1$", and this is
# what `lt.in_lipschitz_class` tests. But a network of two layers can repair the equality.
#
# ### Exercise 2 ●●○ · 10 min · half
# Build a network of linear layers and MaxMin that computes $z / 2$ for every real $z$, and in which
# every weight matrix has an ∞-norm of exactly 1. `linear(W)` makes a layer of the rows of $W$.

# %%
my_network = ...
check("08.half", my_network)

# %% [markdown]
# <details><summary>Hint</summary>The norm of a matrix is that of its largest row only. Can a row
# be there for the norm, and its unit not be selected? Or: a sorted pair (z, z) keeps its order for
# every z. Which two weights of sizes 1 in all make ½ of it?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_network = nn.Sequential(
#     linear([[0.5], [0.5], [1.0], [1.0]]), lt.MaxMin(), linear([[1.0, 0.0, 0.0, 0.0]])
# )
# ```
#
# The second pair is a dummy: it carries the norm, and is not selected. A shorter answer is
# `nn.Sequential(linear([[1.0], [1.0]]), lt.MaxMin(), linear([[0.75, -0.25]]))`.
#
# </details>

# %% [markdown]
# ## Lemma 1 as a program (Lemma 1)
#
# Now the lemma. Let $X$ be a compact metric space with at least two points, and $L$ a lattice of
# 1-Lipschitz functions on $X$ that *separates*: for any two points $x \ne y$ and any values with
# $|a - b| \le d(x, y)$, some $f$ in $L$ has $f(x) = a$ and $f(y) = b$.
#
# > For every 1-Lipschitz $g$ and every $\varepsilon > 0$ there is a $G$ in $L$ with
# > $|G - g| < \varepsilon$ on all of $X$.
#
# We take 201 points of $[-1, 1]$ as $X$: a finite metric space is compact. Our target is
# $g(z) = \frac16 \sin 6z$, whose slope $\cos 6z$ reaches $\pm 1$. A *piece* $f_{xy}$ is the line through
# $(x, g(x))$ and $(y, g(y))$. One function computes all pieces of one $x$, at all points.

# %%
wave = figures.TARGETS["wave"]
X = torch.linspace(-1, 1, 201)


def pieces(x, at=X):
    """Row y: the line through (x, wave(x)) and (y, wave(y)), at the points `at`."""
    slope = ((wave(X) - wave(x)) / (X - x)).nan_to_num(0.0)  # for y = x: the constant wave(x)
    return wave(x) + slope[:, None] * (at - x)


x, y = X[130], X[50]
f = lt.affine_through(x[None], y[None], float(wave(x)), float(wave(y)))
assert torch.allclose(pieces(x)[50], f(X[:, None])[:, 0])
assert ((wave(X).diff() / X.diff()).abs() <= 1).all() and (
    pieces(x).diff().abs() < 0.01 + 1e-12
).all()
print("A row of `pieces` is the map of lt.affine_through, and no row is steeper than 1.")

# %% [markdown]
# The row $y = x$ has one value to meet, not two. Separation speaks of *distinct* points, so strictly it
# says nothing here, and any $f$ of $L$ with $f(x) = g(x)$ will do: it takes a second point to get one.
# That is why the lemma asks for two. On a space $\{x\}$ of one point the lattice $L = \{0\}$ separates,
# since there is nothing to separate, and is not dense.
#
# ### Step 1: not far above g (Lemma 1)
#
# Fix $x$. For each $y$ let
#
# $$V_y = \{z : f_{xy}(z) < g(z) + \varepsilon\} .$$
#
# It is open and contains $x$ and $y$. As each $y$ is in its own set, all $V_y$ together cover $X$. The
# proof now says: $X$ is compact, so finitely many of them cover it. It does not say which, nor how many.
# A program has to: walk from left to right, and whenever a point is not covered, take the set of this
# point.


# %%
def walk(sets):
    """The rows of `sets`, one for each point, that cover all points."""
    chosen, left = [], torch.ones(len(X), dtype=torch.bool)
    while left.any():
        chosen.append(int(left.double().argmax()))  # the first point that is left
        left &= ~sets[chosen[-1]]
    return chosen


# %% [markdown]
# Then $F_x$, the minimum of the chosen pieces, lies below $g + \varepsilon$ everywhere, and
# $F_x(x) = g(x)$ because each piece passes there.

# %%
eps = 0.05
chosen = walk(pieces(x) < wave(X) + eps)
F = pieces(x)[chosen].amin(dim=0)
assert (F - wave(X) < eps).all() and torch.isclose(F[130], wave(x))
print(f"x = {x:.2f}: {len(chosen)} of 201 pieces are enough for ε = {eps}.")

# %% [markdown]
# How many sets can the walk need? Here the Lipschitz constant does what compactness only promises.
# Let $z$ be less than $\varepsilon / 2$ away from $y$. The piece and $g$ agree at $y$; neither changes by
# more than the distance $t$; so their difference at $z$ is less than $\varepsilon$:


# %%
def difference(f_y, f_z, g_z, t, eps):
    return f_z - g_z


def near_y(f_y, f_z, g_z, t, eps):  # f_y = wave(y) as well
    return [abs(f_z - f_y) <= t, abs(g_z - f_y) <= t, 2 * t < eps]


radius = lt.prove(difference, lambda f_y, f_z, g_z, t, eps, out: abs(out) < eps, near_y)
assert radius
print(radius)

# %% [markdown]
# So $V_y$ contains everything nearer to $y$ than $\varepsilon/2$, the walk goes at least $\varepsilon/2$
# before it takes the next set, and an interval of length 2 needs at most $4/\varepsilon + 1$ of them.
# On a line we may even hope for less. Here is a second program, *greedy*: always take the set that
# covers most of what is left.


# %%
def greedy(sets):
    chosen, left = [], torch.ones(len(X), dtype=torch.bool)
    while left.any():
        chosen.append(int((sets & left).sum(dim=1).argmax()))
        left &= ~sets[chosen[-1]]
    return chosen


def draw_step_1(x=0.3, eps=0.05, cover="walk"):
    x = X[(X - x).abs().argmin()]  # the point of the grid
    f = pieces(x)
    chosen = (walk if cover == "walk" else greedy)(f < wave(X) + eps)
    return figures.draw_cover(X, wave(X), f[chosen], X[chosen].tolist(), float(x), eps)


# %% [markdown]
# In the picture the star is $x$. Each colour is one chosen piece: the line and the dot $y$ above, its set
# $V_y$ below.
#
# **Predict:** let $\varepsilon$ shrink. How does the number of sets grow, for the walk and for the greedy
# program? Is there a number of lines through the star that is enough for every $\varepsilon$?

# %%
show(draw_step_1())

# %%
slider_figure(
    draw_step_1, x=(-1.0, 1.0, 0.1, 0.3), eps=(0.02, 0.2, 0.01, 0.05), cover=["walk", "greedy"]
)

# %% [markdown]
# The walk keeps to its bound, and for small $\varepsilon$ it takes many sets. Greedy takes three at most.
# On a line two pieces are enough for any $\varepsilon$: all lines pass through the star, so on its right
# the one of least slope is the lowest, and on its left the one of greatest slope. In the plane there are
# more directions than two, and this argument says nothing.

# %%
for eps in (0.02, 0.05, 0.1, 0.2):
    walks = [len(walk(pieces(x) < wave(X) + eps)) for x in X]
    greedies = [len(greedy(pieces(x) < wave(X) + eps)) for x in X]
    assert max(walks) <= 4 / eps + 1 and max(greedies) <= 3
    print(f"ε = {eps}: at most {max(walks)} sets by the walk, {max(greedies)} by greedy.")
for x in X:
    rise = pieces(x)[:, -1] - pieces(x)[:, 0]  # of each line through the star
    two = pieces(x)[[int(rise.argmin()), int(rise.argmax())]]
    assert torch.allclose(two.amin(dim=0), pieces(x).amin(dim=0))

# %% [markdown]
# ### Step 2: not far below g (Lemma 1)
#
# Now let $x$ run. Each $F_x$ touches $g$ at $x$ and may be far below elsewhere. So we let
#
# $$U_x = \{z : F_x(z) > g(z) - \varepsilon\},$$
#
# which is open and contains $x$, cover $X$ by finitely many of these sets, and take the *maximum* $G$ of
# their functions. A maximum of functions below $g + \varepsilon$ stays below it, and everywhere one of
# them is above $g - \varepsilon$. Hence $|G - g| < \varepsilon$: the lemma is proved.


# %%
def both_steps(eps, cover):
    """The chosen x, for each x its chosen y, and all the F_x in rows."""
    ys, minima = [], []
    for x in X:
        f = pieces(x)
        ys.append(cover(f < wave(X) + eps))
        minima.append(f[ys[-1]].amin(dim=0))
    minima = torch.stack(minima)
    return cover(minima > wave(X) - eps), ys, minima


def draw_step_2(eps=0.05, cover="greedy"):
    chosen, _, minima = both_steps(eps, walk if cover == "walk" else greedy)
    return figures.draw_second_cover(X, wave(X), minima[chosen], X[chosen].tolist(), eps)


# %% [markdown]
# **Predict:** on which parts of the wave does one $F_x$ reach far, where it rises, at its tops, or at its
# bottoms?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(draw_step_2())

# %%
slider_figure(draw_step_2, eps=(0.02, 0.2, 0.01, 0.05), cover=["greedy", "walk"])

# %% [markdown]
# The widest $U_x$ belongs to a top: from there one line follows each flank. At a bottom the lines come down to
# $x$ from one side and go on falling on the other, so that their minimum leaves $g$ at once.

# %%
_, _, minima = both_steps(0.05, greedy)
widest = int((minima > wave(X) - 0.05).sum(dim=1).argmax())
slope_there = (wave(X[widest + 1]) - wave(X[widest - 1])) / (X[widest + 1] - X[widest - 1])
assert abs(slope_there) < 0.3 and wave(X[widest]) > 0.95 / 6
bottom = int(wave(X).argmin())
assert int(pieces(X[bottom]).amin(dim=0).argmax()) == bottom
print(f"The widest U belongs to x = {X[widest]:.2f}; the top is at π/12 = {math.pi / 12:.2f}.")

# %% [markdown]
# $G$ is a function on the whole interval, and we asked about 201 points only. Between two of them, at most
# 0.005 from the nearest, $G - g$ changes by at most twice that distance. So $\varepsilon + 0.01$ holds
# on all of $[-1, 1]$. We look at 5001 points.

# %%
fine = torch.linspace(-1, 1, 5001)
for cover in (walk, greedy):
    chosen, ys, _ = both_steps(0.05, cover)
    G = torch.stack([pieces(X[i], fine)[ys[i]].amin(dim=0) for i in chosen]).amax(dim=0)
    assert (G - wave(fine)).abs().max() < 0.05 + 0.01
    assert (G.diff().abs() <= fine.diff() + 1e-12).all()
    print(
        cover.__name__ + ":", len(chosen), "minima of", sum(len(ys[i]) for i in chosen), "pieces."
    )

# %% [markdown]
# ## The same with N points
#
# The covers were chosen for one $\varepsilon$. It is simpler to fix $N$ points $x_1, \dots, x_N$ and use
# every pair:
#
# $$G(z) = \max_i \min_{j \ne i} f_{ij}(z), \qquad f_{ij} \text{ through } (x_i, g(x_i)) \text{ and }
#   (x_j, g(x_j)).$$
#
# At $x_k$ the minimum with $i = k$ is $g(x_k)$. Any other minimum contains $f_{ik}$ and is not above
# $g(x_k)$. So $G$ meets $g$ at all $N$ points *exactly*. Let $r$ be the *covering radius*: no point of
# the domain is farther than $r$ from the nearest $x_k$. There $G - g$ is 0, and it changes by at most $2$
# for each unit of distance:
#
# $$|G - g| \le 2r .$$
#
# With $x_k$ in the middle of $N$ equal parts of $[-1, 1]$ we have $r = 1/N$.
#
# ### Exercise 3 ●●○ · 12 min · max-min
# Write $G$ on the line: `z` has shape (M,), `x` and the values `a` have shape (N,), and the result has
# shape (M,). Do not use lt.


# %%
def my_G(z, x, a):
    # your code
    ...


check("08.max-min", my_G)

# %% [markdown]
# <details><summary>Hint</summary>Make a tensor of shape (M, N, N) that holds f_ij(z). Which value on
# its diagonal is never the minimum?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_G(z, x, a):
#     slope = (a[None, :] - a[:, None]) / (x[None, :] - x[:, None])  # (N, N)
#     f = a[:, None] + slope * (z[:, None, None] - x[:, None])  # (M, N, N)
#     f[:, range(len(x)), range(len(x))] = math.inf  # j = i takes no part
#     return f.amin(dim=2).amax(dim=1)
# ```
#
# </details>

# %% [markdown]
# `lt.approximate` builds this $G$ as a network, in any dimension and for any of the three norms. We
# watch it in one. (A single point has no $j \ne i$: there $G$ is the constant $g(x_1)$.)

# %%
for N in range(1, 21):
    x = figures.centres(N)
    G = lt.approximate(lambda t: wave(t[:, 0]), x[:, None])
    assert torch.allclose(G(x[:, None])[:, 0], wave(x))
    assert (G(fine[:, None])[:, 0] - wave(fine)).abs().max() <= 2 / N
    assert lt.in_lipschitz_class(G)
print("For N = 1 to 20: exact at the points, and within 2r elsewhere.")

# %% [markdown]
# **Predict:** for a valley, $g = |z|$, with an even number of points the tip falls between two of them.
# How large is the error there, in units of $r$? Can an error of $2r$ really happen?

# %%
show(figures.draw_points(4, "wave"))

# %%
slider_figure(figures.draw_points, points=(2, 16, 1, 4), target=list(figures.TARGETS))

# %% [markdown]
# Over the tip of the valley $G$ goes straight, and the error is $r$. The zigzag is worse: at 16 points we
# see $1.5\, r$.

# %%
for name, N, expected in (("valley", 4, 1.0), ("valley", 16, 1.0), ("zigzag", 16, 1.5)):
    g = figures.TARGETS[name]
    G = lt.approximate(lambda t, g=g: g(t[:, 0]), figures.centres(N)[:, None])
    error = (G(fine[:, None])[:, 0] - g(fine)).abs().max()
    assert abs(error * N - expected) < 0.01
    print(f"{name}, {N} points: {error * N:.1f} r")

# %% [markdown]
# How far can a target drive it?
#
# ### Exercise 4 ●●● · 15 min · worst-target
# The 8 points are the middles of 8 equal parts, so $r = 1/8$. Find a 1-Lipschitz function on $[-1, 1]$ for
# which the largest error is at least $1.7\, r$. Hand in a function of a tensor, like `torch.abs`.


# %%
def my_target(z):
    # your code
    ...


check("08.worst-target", my_target)

# %% [markdown]
# <details><summary>Hint</summary>The error is 2r only if, between two neighbours, g rises with slope 1
# while G falls with slope −1. G falls behind xᵢ if some piece through xᵢ does. Where must its second
# point lie, and how high?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_target(z):
#     return -z.abs()
# ```
#
# A roof whose top is between the two middle points. The piece from the one left of the top to the
# last point on the right has a slope of −3/4, and the error is $r + \frac34 r$.
#
# </details>

# %% [markdown]
# With a roof in the middle of $N$ points, $N$ even, the error is $2r(1 - 1/N)$. So the bound $2r$ cannot be
# improved for this $G$, though no roof quite reaches it. The valley was kinder: a maximum of minima treats tops
# and bottoms differently.

# %%
for N in (2, 4, 8, 16, 32):
    G = lt.approximate(lambda t: -t[:, 0].abs(), figures.centres(N)[:, None])
    error = (G(fine[:, None])[:, 0] + fine.abs()).abs().max()
    assert torch.isclose(error, torch.tensor(2 / N * (1 - 1 / N)))
    print(f"N = {N}: {error * N:.4f} r")

# %% [markdown]
# ## Two networks as one (E block-diagonal)
#
# Lemma 1 speaks of functions. To get a theorem about networks we need that *networks* form a lattice:
# given $f$ and $g$, one network for $\max(f, g)$ and one for $\min(f, g)$, and its norms must not be
# larger than theirs. The paper's idea is simple. Let both run side by side, and let a last MaxMin
# compare what they say:
#
# $$\max(f, g) = (1, 0)\; \mathrm{MaxMin}(f, g), \qquad \min(f, g) = (0, 1)\; \mathrm{MaxMin}(f, g).$$
#
# Our examples are $|z|$ with one hidden layer and the letter W, $\bigl||z| - 1\bigr|$, with two. Both obey
# the ∞-norm.

# %%
pair = [[1.0], [-1.0]]
f = nn.Sequential(linear(pair), lt.MaxMin(), linear([[0.5, -0.5]]))
g = nn.Sequential(
    linear(pair), lt.MaxMin(), linear(torch.eye(2), [-1.0, 1.0]), lt.MaxMin(), linear([[0.5, -0.5]])
)
assert lt.in_lipschitz_class(f) and lt.in_lipschitz_class(g)
assert lt.prove(f, lambda x: abs(x[0])) and lt.prove(g, lambda x: abs(abs(x[0]) - 1))
print("f is |z|, and g the letter W, for every real z; every layer obeys.")

# %% [markdown]
# ### One above the other (E stacking)
#
# Both read the same input, so the first layers are stacked, one *above* the other. The paper says so, and
# writes $W_1^h = [W_1^f\; W_1^g]^\top$. Taken literally that is something else: the two side by side,
# and transposed. What should be written is $\binom{W_1^f}{W_1^g}$. The shapes tell.

# %%
above = torch.cat([f[0].weight, g[0].weight], dim=0)
literal = torch.cat([f[0].weight, g[0].weight], dim=1).T
both = lt.stack(f, g)
assert torch.equal(both[0].weight, above)
print("one above the other:", tuple(above.shape), "· literally:", tuple(literal.shape))

# %% [markdown]
# The 2 × 2 matrix does not fit a network with one input. If $f$ and $g$ have different widths, the two cannot
# even be put side by side. In all later layers each network has its own inputs, and the weights are
# *block-diagonal*:
#
# $$W_i^h = \begin{pmatrix} W_i^f & 0 \\ 0 & W_i^g \end{pmatrix} .$$
#
# No row has become longer or heavier, so $\|\cdot\|_{p,\infty}$ and $\|\cdot\|_\infty$ are those of the
# worse block. The networks $(1, 0)$ and $(0, 1)$ at the end have norm 1.

# %%
high, low = lt.maximum(f, g), lt.minimum(f, g)
assert lt.in_lipschitz_class(high) and lt.in_lipschitz_class(low)
print("max:", lt.prove(high, lambda x: terms.Max(abs(x[0]), abs(abs(x[0]) - 1))))
print("min:", lt.prove(low, lambda x: terms.Min(abs(x[0]), abs(abs(x[0]) - 1))))

# %% [markdown]
# This is the place where the 2-norm is left behind. A row of 2-norm 1 above itself still has
# $\|\cdot\|_{2,\infty} = 1$, but the 2-norm $\sqrt 2$.

# %%
twice = torch.tensor([[0.6, 0.8], [0.6, 0.8]])
assert torch.isclose(lt.operator_norm(twice), torch.tensor(2.0).sqrt())
assert lt.in_lipschitz_class(nn.Sequential(linear(twice)), p=2)  # its ‖·‖_{2,∞} is 1
print("The row (0.6, 0.8) has 2-norm 1; above itself it makes a matrix of 2-norm √2.")

# %% [markdown]
# ### Even widths (E even widths)
#
# "We make no assumptions on the width", says the paper. One is needed. MaxMin sorts pairs: units 1 and 2,
# 3 and 4, and so on. Suppose we let $f$ and $g$ have three hidden units each, the last of which passes
# unsorted. Joined, there are six, and the pair (3, 4) *straddles*: one of its units belongs to $f$, the
# other to $g$. Let $f$ be $z$, by its third unit, and $g$ be $-|z|$, by the lesser of its first two.

# %%
W1_f, W2_f = torch.tensor([[1.0], [-1.0], [1.0]]), torch.tensor([[0.0, 0.0, 1.0]])
W1_g, W2_g = torch.tensor([[-1.0], [1.0], [0.0]]), torch.tensor([[0.0, 1.0, 0.0]])


def three_units(W1, W2, z):
    h = z @ W1.T
    return torch.cat([lt.maxmin(h[:, :2]), h[:, 2:]], dim=1) @ W2.T


z = torch.tensor([[-1.0], [1.0]])
assert torch.equal(three_units(W1_f, W2_f, z), z)
assert torch.equal(three_units(W1_g, W2_g, z), -z.abs())
print("At −1 and 1 the two functions are z and −|z|; their maximum is z.")

# %% [markdown]
# We join them as the paper says, and ask for the maximum.
#
# **Predict:** what does the joint network say at $z = -1$? Does any norm warn us?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
predicted()
straddling = nn.Sequential(
    linear(torch.cat([W1_f, W1_g])), lt.MaxMin(),
    linear(torch.block_diag(W2_f, W2_g)), lt.MaxMin(),
    linear([[1.0, 0.0]]),
)  # fmt: skip
assert lt.in_lipschitz_class(straddling)
refuted = lt.prove(straddling, lambda x: x[0])
assert isinstance(refuted, lt.Counterexample) and straddling(z)[0] == 1
print("Every norm is fine. At z = −1 the network says", straddling(z)[0].item(), "instead of -1.0.")

# %% [markdown]
# The third unit of $f$, $z$, was sorted with the first of $g$, $-z$, and became $|z|$. `lt.stack` refuses odd
# hidden widths, and `lt.MaxMin` as well. The repair is easy: give the last unit a twin. A pair of equal
# numbers is sorted in any case.

# %%
odd = nn.Sequential(linear(W1_f), lt.MaxMin(), linear(W2_f))
try:
    lt.stack(odd, odd)
except ValueError as error:
    print(error)
even_f = nn.Sequential(linear(torch.cat([W1_f, W1_f[2:]])), lt.MaxMin(), linear([[0.0, 0, 1, 0]]))
even_g = nn.Sequential(linear(torch.cat([W1_g, W1_g[2:]])), lt.MaxMin(), linear([[0.0, 1, 0, 0]]))
repaired = lt.prove(lt.maximum(even_f, even_g), lambda x: x[0])
assert repaired
print("with twins:", repaired)

# %% [markdown]
# ### Networks of different depth (E depth padding)
#
# Our $f$ is shallower than $g$. The paper adds layers that do nothing: what MaxMin has sorted, the identity
# and another MaxMin leave alone. That is true *behind a sorted hidden layer*, and `lt.pad_depth` puts them
# there. It writes the identity as a `Selection`, a linear layer whose rows each have a single 1.

# %%
deeper = lt.pad_depth(f, depth=4)
same = lt.prove(deeper, f)
assert same and lt.in_lipschitz_class(deeper)
print([type(module).__name__ for module in deeper], same)

# %% [markdown]
# Behind the *output* it is not true: a scalar has no partner to be sorted with.

# %%
behind_the_output = nn.Sequential(*f, lt.MaxMin(), linear([[1.0]]))
try:
    behind_the_output(z)
except ValueError as error:
    print(error)

# %% [markdown]
# And some networks have nothing but their output: the affine maps, with which all begins! They have no
# hidden layer behind which to pad. The way out is to compute the output twice, and to select one of the
# equal pair: $\binom{w}{w}$, MaxMin, $(1, 0)$.

# %%
affine = lt.affine_through(torch.tensor([0.0]), torch.tensor([1.0]), a=0.0, b=0.5)
padded = lt.pad_depth(affine, depth=2)
print([module.weight.tolist() for module in padded if isinstance(module, nn.Linear)])
assert lt.prove(padded, affine) and lt.in_lipschitz_class(padded)

# %% [markdown]
# ### Exercise 5 ●●○ · 8 min · affine-depth
# Build $f(z) = \frac12 (z_1 + z_2) + \frac14$ by hand as a network of *three* linear layers with MaxMin
# between, each weight of ∞-norm at most 1. Write all three by `linear`, without `lt.pad_depth`.

# %%
my_network = ...
check("08.affine-depth", my_network)

# %% [markdown]
# <details><summary>Hint</summary>Compute f twice in the first layer, with its offset. What does MaxMin do
# to two equal numbers, and what may stand between two MaxMin?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_network = nn.Sequential(
#     linear([[0.5, 0.5], [0.5, 0.5]], [0.25, 0.25]), lt.MaxMin(),
#     linear(torch.eye(2)), lt.MaxMin(),
#     linear([[1.0, 0.0]]),
# )
# ```
#
# </details>

# %% [markdown]
# ## Two trained networks as one (E block-diagonal)
#
# *Optional, 5 minutes.*
# Nothing here needs weights that were made by hand. We train two small networks under the ∞-norm,
# with the layer `lt.linf` of lesson 07: a valley with two hidden layers of six units, a roof with one of
# four.


# %%
def train(target, sizes):
    model = orthonormal_network(sizes, lt.MaxMin, torch.Generator().manual_seed(0))
    for layer in model[::2]:
        lt.linf(layer)
    optimizer, z = torch.optim.Adam(model.parameters(), lr=0.02), X[:, None]
    for _ in range(300):
        optimizer.zero_grad()
        (model(z) - target(z)).square().mean().backward()
        optimizer.step()
    return lt.export(model).requires_grad_(False)  # plain nn.Linear


# %% [markdown]
# From the start that the seed gives, both come near their targets within seconds.

# %%
valley = train(lambda z: (z + 0.4).abs() - 0.3, [1, 6, 6, 1])
roof = train(lambda z: 0.8 - (z - 0.3).abs(), [1, 4, 1])
assert (valley(X[:, None]) - (X[:, None] + 0.4).abs() + 0.3).abs().max() < 0.05
assert (roof(X[:, None]) - 0.8 + (X[:, None] - 0.3).abs()).abs().max() < 0.05
assert lt.in_lipschitz_class(valley) and lt.in_lipschitz_class(roof)
print("Both are within 0.05 of their targets, and in the class.")

# %% [markdown]
# Their maximum is one network. For *every* real $z$ it is the greater of the two: the solver reads the
# trained weights as they are.


# %%
def greater(x):
    return [terms.Max(terms.apply(valley, x)[0], terms.apply(roof, x)[0])]


def lesser(x):
    return [terms.Min(terms.apply(valley, x)[0], terms.apply(roof, x)[0])]


top, bottom = lt.maximum(valley, roof), lt.minimum(valley, roof)
assert lt.in_lipschitz_class(top) and lt.in_lipschitz_class(bottom)
assert lt.prove(top, greater) and lt.prove(bottom, lesser)
print("max:", lt.prove(top, greater), "· min:", lt.prove(bottom, lesser))

# %% [markdown]
# **Predict:** here are its weights as pictures, white for 0. Where is $f$, the valley, and where $g$, the
# roof? Which block was not trained? What do the last two matrices do?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_blocks(valley, roof))

# %% [markdown]
# The roof has one hidden layer fewer. Its block in the second matrix is the identity: the padding. The last
# two are the outputs of both, and the choice $(1, 0)$.
#
# A bias costs no norm. So we may lift one of the networks and join again. **Predict:** lift the roof up and
# down. When is the maximum the valley alone?

# %%
show(figures.draw_joined(valley, roof))

# %%
slider_figure(partial(figures.draw_joined, valley, roof), lift=(-1.0, 1.0, 0.1, 0.0))

# %% [markdown]
# The valley alone is left once the roof is lowered by a little more than 0.4: so far it rises above the
# valley, and no farther.

# %%
gap = (roof(X[:, None]) - valley(X[:, None])).max()
assert 0.35 < gap < 0.45
print(f"The roof rises above the valley by {gap:.1f}.")

# %% [markdown]
# ## How large it becomes (Lemma 1)
#
# For many functions there are two ways to take the maximum: one after the other, a *chain*, or in rounds
# like a tournament, a *tree*. We try cones $a_k - |z - x_k|$, each a small network.


# %%
def cones(N):
    x = figures.centres(N)
    first = [linear([[1.0], [-1.0]], [-t, t]) for t in x.tolist()]
    last = [linear([[-0.5, 0.5]], [math.sin(3 * t) / 3]) for t in x.tolist()]
    return [nn.Sequential(W1, lt.MaxMin(), W2) for W1, W2 in zip(first, last, strict=True)]


def tournament(networks):
    if len(networks) == 1:
        return networks[0]
    half = len(networks) // 2
    return lt.maximum(tournament(networks[:half]), tournament(networks[half:]))


# %% [markdown]
# For four cones the solver proves that both compute the same.
#
# **Predict:** how many MaxMin layers do they have for $N$ cones? Which has more weights, and why?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
predicted()
chain, tree = functools.reduce(lt.maximum, cones(4)), tournament(cones(4))
alike = lt.prove(chain, tree)
assert alike
print("chain and tree are equal", alike)
for N in (4, 8, 16, 32):
    chain, tree = functools.reduce(lt.maximum, cones(N)), tournament(cones(N))
    long, short = lt.network_size(chain), lt.network_size(tree)
    assert long.layers == N and short.layers == 1 + math.log2(N)
    print(f"N = {N}: chain {long.layers} layers, {long.weights} weights;", end=" ")
    print(f"tree {short.layers} layers, {short.weights} weights")
assert long.weights > N**2 and short.weights < 8 * N

# %% [markdown]
# In the chain all members but two wait for their turn, padded by identities: it costs about $N^2$ weights. The
# tree has $\lceil \log_2 N \rceil$ rounds. So `lt.approximate` builds trees: one for each minimum over
# $N - 1$ pieces, and one for the maximum over the $N$ minima, $2 \lceil \log_2 N \rceil$ MaxMin layers at
# most.
#
# And the pieces? There are $N (N - 1)$ ordered pairs. But $f_{ij}$ and $f_{ji}$ are the same line, so half of
# them are enough. We count for $N = 20$, where $2r = 0.1$.

# %%
N = 20
G = lt.approximate(lambda t: (6 * t[:, 0]).sin() / 6, figures.centres(N)[:, None])
size = lt.network_size(G)
assert size.pieces <= N * (N - 1) // 2 == 190
assert size.layers <= 2 * math.ceil(math.log2(N)) == 10
print(f"{N * (N - 1)} ordered pairs, {N * (N - 1) // 2} lines; the network:", size)

# %% [markdown]
# The network has even fewer: of parallel pieces in one minimum it keeps the lowest only.
#
# ### Exercise 6 ●○○ · 6 min · pieces
# We want $|G - g| \le 0.05$ on $[-1, 1]$ by the bound $2r$, with as few points as it allows. How many pieces are
# there, $f_{ij}$ and $f_{ji}$ counted as one? How many MaxMin layers have the two trees together? Answer
# `[pieces, layers]`.

# %%
my_size = ...
check("08.pieces", my_size)

# %% [markdown]
# <details><summary>Hint</summary>r = 1/N. A tree over m members has as many rounds as it takes to halve m,
# rounded up, until 1 is left.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_size = [40 * 39 // 2, 6 + 6]
# ```
#
# $2/N \le 0.05$ needs $N = 40$. The minima are over 39 pieces, the maximum over 40 minima: both take 6
# rounds, as $2^5 < 39 \le 40 \le 2^6$.
#
# </details>

# %% [markdown]
# ## Recap
#
# - Maximum and minimum of 1-Lipschitz functions are 1-Lipschitz: they form a lattice.
# - Two values are met by an *affine* map of dual norm $|a - b| / \|x - y\|_p$. A norm of exactly 1 is
#   possible in the plane by one map, on a line by a dummy pair.
# - Lemma 1 is a program: minima below $g + \varepsilon$, a maximum above $g - \varepsilon$. Each set of the
#   cover reaches $\varepsilon/2$ far, so that the walk needs $4/\varepsilon + 1$ of them at most.
# - With $N$ points $\max_i \min_{j \ne i} f_{ij}$ is exact at the points and within $2r$ elsewhere. A roof
#   comes as close to $2r$ as we like.
# - Two networks are joined one *above* the other, then in blocks. Hidden widths must be even.
# - Padding belongs behind a hidden layer. An affine map gets one: twice the output, and one of the pair.
# - Trees are shallow, chains are not.
#
# ## Where next
#
# We have the lemma and the lattice of networks. [Lesson 09](09_universal.ipynb) puts them together: Theorem 3,
# in one and two dimensions, with its sizes. The ∞-norm and its layer are the subject of
# [lesson 07](07_projections.ipynb). The map of the whole appendix is in
# [00_start_here](00_start_here.ipynb).
