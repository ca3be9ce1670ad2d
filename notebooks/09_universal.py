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
# # 09 · Every 1-Lipschitz function, nearly
#
# Give us a function that nowhere rises faster than distance allows, and an error you can live with. We
# hand you a network of MaxMin and bounded weights that stays within it. In this lesson we build such
# networks on the line and in the plane, count their units, and change the metric. Then we ask what
# becomes of it all under the 2-norm, where the construction fails, and find a function of the whole line
# to which no MaxMin network of 2-norm 1 comes closer than 2.
#
# We follow appendix E of "Sorting Out Lipschitz Function Approximation" (Anil, Lucas and Grosse, 2019),
# which we call the paper: Theorem 3, the remarks behind it, and the Observation.
#
# **What you will be able to do**
# - build a network for a function of your own, and promise its error beforehand;
# - say how many pieces an error of $\varepsilon$ takes, by two constructions;
# - tell what the L1, L2 and L∞ metrics make of the same data;
# - say what fails under the 2-norm, what does not, and prove what is out of reach.
#
# **Before you start**: lesson 01 (MaxMin) and lesson 08 (maxima and minima as networks).
#
# Reading: 41 minutes, optional parts 11 more · exercises: 45 minutes · running: under 60 seconds

# %%
import math

import torch
from torch import nn

import lipteach as lt
from lipteach import linear, terms
from lipteach.classroom import check, predicted, show, show_benchmark, slider_figure
from lipteach.classroom.lessons.l09_universal import figures, two_norm
from lipteach.classroom.lessons.l09_universal.figures import centres, error, grid, shifted
from lipteach.training import orthonormal_network

torch.set_num_threads(1)  # the matrices are small: a second thread would only wait
torch.set_default_dtype(torch.float64)

# %% [markdown]
# ## What Theorem 3 promises (E, Theorem 3)
#
# A function $g$ is *1-Lipschitz in the Lp metric* if $|g(x) - g(y)| \le \|x - y\|_p$ for all $x$ and $y$.
# The class $\mathcal{LN}_p$ of the theorem consists of the networks of MaxMin and linear layers with
#
# $$\|W_1\|_{p,\infty} \le 1, \qquad \|W_i\|_\infty \le 1 \ \text{ for all later layers.}$$
#
# The first layer fits the metric: $\|W\|_{p,\infty}$ is the largest dual norm of a row, the 1-norm for
# $p = \infty$, the 2-norm for $p = 2$, the largest entry in size for $p = 1$. So each of its outputs is
# 1-Lipschitz, and what follows keeps that. Theorem 3: **on a closed and bounded set each 1-Lipschitz
# function is a limit of such networks**, with any error $\varepsilon > 0$.
#
# The recipe is that of lesson 08. Take points $x_1, \dots, x_N$, and for each pair the affine map $f_{ij}$
# that meets $g$ at both. Then
#
# $$G(z) = \max_i \min_{j \ne i} f_{ij}(z)$$
#
# meets $g$ at all points. `lt.approximate` returns it as a network; `lt.in_lipschitz_class` reads off its
# weights whether it belongs to the class. We begin with three points of $|x|$. (In what is printed, a
# `Selection` is a linear layer whose rows each have a single 1: it brings the units to where they are
# compared. `ChunkedSequential` is `nn.Sequential`, but it takes many inputs in parts, to save memory.)

# %%
points = torch.tensor([[-1.0], [0.0], [1.0]])
network = lt.approximate(lambda x: x[:, 0].abs(), points)
assert lt.in_lipschitz_class(network, p=2)
result = lt.prove(network, lambda x: abs(x[0]), domain=[(-1, 1)])
assert result
print(network, result, sep="\n")

# %% [markdown]
# On $[-1, 1]$ these three points give $|x|$ itself. How good is $G$ in general? Let each $z$ of the set have
# a point $x_i$ within the distance $r$, the *covering radius*. $G$ and $g$ agree at $x_i$, and on the way to $z$
# each of them moves by at most $r$:
#
# $$|G(z) - g(z)| \le |G(z) - G(x_i)| + |g(x_i) - g(z)| \le 2r .$$
#
# In a compact set finitely many points suffice for every $r > 0$. That is the whole proof.
#
# ### Exercise 1 ●○○ · 5 min · points
# You may choose the points in $[-1, 1]$. How many does this bound need to promise an error of at most 0.1?

# %%
my_points = ...
check("09.points", my_points)

# %% [markdown]
# <details><summary>Hint</summary>What must r be? And how long is the piece of the line that one point
# covers?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_points = 20
# ```
#
# $2r = 0.1$ asks for $r = 1/20$. One point covers a piece of length $2r = 1/10$, and $[-1, 1]$ has 20 of them:
# the points stand in their middles.
#
# </details>

# %% [markdown]
# ## One dimension: choose a function (Theorem 3)
#
# In the picture the points are the middles of $N$ equal pieces of $[-1, 1]$, so that $r = 1/N$.
#
# **Predict:** for the sine, where will the error be largest: between two points, or beyond the last one? And
# how many pieces does the network for the function 0 have?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_line(points=6))

# %%
slider_figure(figures.draw_line, points=(4, 24, 1, 6), target=list(figures.LINE_TARGETS))

# %% [markdown]
# The error is largest beyond the last point, where only pieces from one side go on. For the function 0
# all $f_{ij}$ are the same; `lt.approximate` keeps equal pieces once, and one is left. We check both, and the
# bound for every function of the list.

# %%
for g in figures.LINE_TARGETS.values():
    for N in (4, 9, 24):
        network = lt.approximate(g, centres(N))
        assert error(network, g, grid(801)) <= 2 / N + 1e-12 and lt.in_lipschitz_class(network)
        assert error(network, g, centres(N)) < 1e-12
g, between = figures.LINE_TARGETS["sine"], grid(801)[67:734]  # from the first of 6 to the last
assert error(lt.approximate(g, centres(6)), g, between) < error(
    lt.approximate(g, centres(6)), g, grid(801)
)
assert lt.network_size(lt.approximate(figures.LINE_TARGETS["zero"], centres(24))).pieces == 1
print("Each network meets its function at the points and stays within 2r of it.")

# %% [markdown]
# **Your own function.** Change `mine`; it takes points of shape (N, 1) and returns N values. The picture
# shows values from −0.6 to 0.6.


# %%
def mine(x):
    return 0.4 * torch.cos(2 * x[:, 0]) - 0.1 * x[:, 0]


show(figures.draw_line(points=10, target=mine))

# %% [markdown]
# Not every function will do. $\sin(2x)$ has slope 2 at 0; no 1-Lipschitz network can meet it there, and
# `lt.approximate` says at which pair of points it noticed. (A function that is too steep only *between* the
# points cannot be noticed, and then no bound is promised.)

# %%
try:
    lt.approximate(lambda x: torch.sin(2 * x[:, 0]), centres(10))
    raise AssertionError("it was not refused")
except ValueError as refusal:
    print(refusal)

# %% [markdown]
# ## How large, how exact (E sizes)
#
# The proof says "finitely many". How many? Fill $[-1, 1]^d$ with cubes of side $2r$ and put a point in the
# middle of each: in the L∞ metric $r$ is the covering radius, and $N = (1/r)^d$ where $1/r$ is whole. With
# $2r = \varepsilon$ that makes
#
# $$N = \lceil 2/\varepsilon \rceil^d .$$
#
# There are $N(N - 1)$ maps $f_{ij}$ with $i \ne j$. But $f_{ij}$ and $f_{ji}$ meet the same two values: one of both is enough,
# and $N(N-1)/2$ pieces are left, or fewer. The maximum and the minimum are found in balanced trees, of
# $\lceil \log_2 N \rceil$ layers each.
#
# **Predict:** in the plane with $\varepsilon = \frac14$, is $N(N-1)$ nearer to 400, to 4,000, or to 40,000?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
predicted()
for d, eps, g in ((1, 0.1, figures.LINE_TARGETS["sine"]), (2, 0.25, figures.PLANE_TARGETS["wave"])):
    side = math.ceil(2 / eps)
    N = side**d
    network = lt.approximate(g, centres(side, d), math.inf)
    size = lt.network_size(network)
    assert size.pieces <= N * (N - 1) // 2 and size.layers <= 2 * math.ceil(math.log2(N))
    assert error(network, g, grid(41, d)) <= eps and lt.in_lipschitz_class(network, math.inf)
    print(f"d = {d}, ε = {eps}: N = {N}, N(N − 1) = {N * (N - 1)}, half of it {N * (N - 1) // 2}")

# %% [markdown]
# ### Exercise 2 ●●○ · 8 min · pieces
# Write a function that returns $N(N - 1)/2$, the number of different pieces that the lattice takes at most, for
# any dimension $d$ and error $\varepsilon$.


# %%
def my_pieces(d, eps):
    # your code
    ...


check("09.pieces", my_pieces)

# %% [markdown]
# <details><summary>Hint</summary>How many points stand along one side, if 2/ε is not a whole number?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_pieces(d, eps):
#     N = math.ceil(2 / eps) ** d
#     return N * (N - 1) // 2
# ```
#
# </details>

# %% [markdown]
# ### Cones: the same promise for less (E sizes)
#
# There is an older way, of McShane (1934). Put a cone under each known value, and take the highest:
#
# $$G(z) = \max_i \bigl(g(x_i) - \|z - x_i\|\bigr) .$$
#
# Each cone stays below $g$, since $g$ cannot fall faster; so $G \le g$, and $G$ meets $g$ at the points. For the
# L∞ metric a cone is a pyramid with $2d$ faces, for L1 one with $2^d$, and $2dN$ or $2^d N$ pieces suffice,
# instead of about $N^2/2$. For L2 it is round, and no finite network of MaxMin is that.
#
# The error of $G$ lies between $-2r$ and 0, on one side. Two ways use that:
#
# - *raised by r*: add $r$, a change of one bias. The error is at most $r$. At the points it is exactly $r$.
# - *midpoint*: the mean of the cones from below and the cones from above, $\min_i (g(x_i) + \|z - x_i\|)$. The
#   error is at most $r$, and at the points it is 0. It takes twice as many pieces.
#
# On the line two points and an unknown value $v = g(z)$ suffice to see why. All that is known of $v$ is
# $|v - y_i| \le |z - x_i|$, where $y_i = g(x_i)$; and $z$ is within $r$ of the first point.


# %%
def from_below(z, x1, x2, y1, y2, v, r):
    return terms.Max(y1 - abs(z - x1), y2 - abs(z - x2))


def midpoint(z, x1, x2, y1, y2, v, r):
    above = terms.Min(y1 + abs(z - x1), y2 + abs(z - x2))
    return (from_below(z, x1, x2, y1, y2, v, r) + above) / 2


def known(z, x1, x2, y1, y2, v, r):
    return [abs(v - y1) <= abs(z - x1), abs(v - y2) <= abs(z - x2), abs(z - x1) <= r]


# %%
def one_sided(z, x1, x2, y1, y2, v, r, G):
    return terms.And(v - 2 * r <= G, v >= G, abs(G + r - v) <= r)


def within_r(z, x1, x2, y1, y2, v, r, G):
    return abs(G - v) <= r


below, middle = lt.prove(from_below, one_sided, known), lt.prove(midpoint, within_r, known)
assert below and middle
print(below, middle, sep="\n")

# %% [markdown]
# **Predict:** with four points, which of the three curves go through the points? Which has the largest error?
# What does the midpoint do between two points whose values differ by less than their distance?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_cones(4))

# %%
slider_figure(figures.draw_cones, points=(2, 16, 1, 4), target=list(figures.LINE_TARGETS))

# %% [markdown]
# The cones from below and the midpoint go through the points; the raised cones do not. From below the error is
# the largest. Between two points whose values differ by less than their distance, the midpoint is level for a
# while at both ends, where one cone falls as fast as the other rises. We check the bounds, and that all three
# networks stay in the class.

# %%
for g in figures.LINE_TARGETS.values():
    for N in (2, 5, 16):
        x, r = centres(N), 1 / N
        cones = lt.approximate(g, x, math.inf, "mcshane")
        halfway = lt.approximate(g, x, math.inf, "mcshane", midpoint=True)
        raised = shifted(cones, r)  # one bias more
        assert (cones(grid(801))[:, 0] <= g(grid(801)) + 1e-12).all()
        assert math.isclose(error(raised, g, x), r) and error(halfway, g, x) < 1e-12
        assert all(error(f, g, grid(801)) <= r + 1e-12 for f in (raised, halfway))
        assert all(lt.in_lipschitz_class(f, math.inf) for f in (cones, raised, halfway))
print("Raised or halfway: within r. Halfway meets the points, raised does not.")

# %% [markdown]
# With $r = \varepsilon$ instead of $\varepsilon/2$ the raised cones need $N = \lceil 1/\varepsilon \rceil^d$ points and $2dN$ pieces: 20
# for our example on the line, 64 for that in the plane, in place of 380 and 4032 (or half of these).

# %%
for d, eps, g in ((1, 0.1, figures.LINE_TARGETS["sine"]), (2, 0.25, figures.PLANE_TARGETS["wave"])):
    side = math.ceil(1 / eps)
    cones = shifted(lt.approximate(g, centres(side, d), math.inf, "mcshane"), eps)
    assert lt.network_size(cones).pieces <= 2 * d * side**d
    assert error(cones, g, grid(41, d)) <= eps + 1e-12
    print(f"d = {d}, ε = {eps}: {side**d} points, {2 * d * side**d} pieces")

# %% [markdown]
# ### Exercise 3 ●●○ · 8 min · cones
# Write McShane's extension on the line from operations of PyTorch, without a network and without `lt`: `z` has
# shape (M,), the points `x` and their `values` have shape (N,), and the answer has shape (M,).


# %%
def my_cones(z, x, values):
    # your code
    ...


check("09.cones", my_cones)

# %% [markdown]
# <details><summary>Hint</summary>Let all z meet all x: what shape has <code>z[:, None] - x</code>?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_cones(z, x, values):
#     return (values - (z[:, None] - x).abs()).amax(dim=1)
# ```
#
# </details>

# %% [markdown]
# ### Error against size
#
# *Optional, 3 minutes.*
# For the lattice $\varepsilon = 2r$ and about $N^2/2$ pieces with $N = r^{-d}$: the number of pieces grows like
# $\varepsilon^{-2d}$. For the cones it grows like $\varepsilon^{-d}$. On axes with logarithmic scales the bounds are lines, of slope
# $-1/(2d)$ and $-1/d$. We measure the error as well.


# %%
def measured(d, method, sides):
    g = figures.LINE_TARGETS["sine"] if d == 1 else figures.PLANE_TARGETS["wave"]
    rows = []
    for side in sides:
        f = lt.approximate(g, centres(side, d), math.inf, method)
        bound = 2 / side if method == "lattice" else 1 / side
        f = f if method == "lattice" else shifted(f, bound)
        rows.append((lt.network_size(f).pieces, error(f, g, grid(121 if d == 1 else 37, d)), bound))
    return rows


table = {
    "lattice, d = 1": measured(1, "lattice", (4, 8, 16, 32)),
    "cones, d = 1": measured(1, "mcshane", (4, 8, 16, 32)),
    "lattice, d = 2": measured(2, "lattice", (2, 4, 6, 8)),
    "cones, d = 2": measured(2, "mcshane", (2, 4, 6, 8)),
}

# %% [markdown]
# **Predict:** which two of the four lines are parallel?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_sizes(table))
for name, rows in table.items():
    d, pieces_per_point = int(name[-1]), 2 if "lattice" in name else 1
    pieces, errors, bounds = zip(*rows, strict=True)
    assert all(e <= b + 1e-12 for e, b in zip(errors, bounds, strict=True))
    assert abs(figures.slope(pieces, bounds) + 1 / (d * pieces_per_point)) < 0.03

# %% [markdown]
# The lattice on the line and the cones in the plane, both of slope $-\frac12$. Both methods suffer from the
# dimension: to halve the error in $d$ dimensions takes $2^d$ times as many cones, and $4^d$ times as many pieces
# of the lattice. What does a machine say? `benchmarks/bench_lattice.py` measures memory, building and
# evaluating for more and more points of the square, each over the smallest case in the same run.

# %%
bench = show_benchmark("lattice", figures.draw_growth)

# %% [markdown]
# ## Two dimensions: a surface (Theorem 3)
#
# Now the square. Left the function as level lines, in the middle the network with its points, right the
# network as a surface.
#
# **Predict:** in the L∞ metric each piece $f_{ij}$ slopes along one axis only. What do the level lines of the
# network look like? And in L1, where its slope has two entries of equal size, or one if the points $x_i$ and
# $x_j$ stand in one row or column?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_plane(3, "saddle"))

# %%
slider_figure(
    figures.draw_plane, side=(2, 5, 1, 3), target=list(figures.PLANE_TARGETS), p=figures.NORMS
)

# %% [markdown]
# Level lines along the axes for L∞, along axes and diagonals for L1, in all directions for L2. (The saddle at 3 × 3
# points shows no diagonals: take the wave.) The covering radius depends on the metric as well: from the middle of a
# cube of side $2/n$ its corner is at a distance of $1/n$ in L∞, $\sqrt2/n$ in L2 and $2/n$ in L1.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
for g in figures.PLANE_TARGETS.values():
    for p, r in ((1, 2 / 4), (2, math.sqrt(2) / 4), (math.inf, 1 / 4)):
        network = lt.approximate(g, centres(4, 2), p)
        assert error(network, g, grid(41, 2)) <= 2 * r and lt.in_lipschitz_class(network, p)
        assert error(network, g, centres(4, 2)) < 1e-12
        sizes_of_slope = network[0].weight.abs()  # (pieces, 2)
        smaller, larger = sizes_of_slope.amin(dim=1), sizes_of_slope.amax(dim=1)
        assert p != 1 or ((smaller == larger) | (smaller == 0)).all()
        assert p != math.inf or (smaller == 0).all()
print("Within 2r for three functions and three metrics, and exact at 16 points.")

# %% [markdown]
# ## Three metrics, three extensions (Theorem 3)
#
# The metric is part of the question. We hold three values at three points, and extend them to the square in
# each metric: by pieces, or by cones from below (drawn from the formula, since the round ones have no network).
#
# **Predict:** which shape do the level lines of a cone have in each of the three metrics?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_metrics(0.0, 0.4))

# %%
slider_figure(
    figures.draw_metrics,
    x1=(-0.8, 0.8, 0.1, 0.0),
    value=(-0.5, 0.5, 0.1, 0.4),
    method=["cones", "lattice"],
)

# %% [markdown]
# A diamond, a circle, a square: the unit balls. Which network belongs to which class? We take the function that
# is steepest in each metric, $g(x) = \|x\|_p$, at 16 points, and ask for all nine combinations.

# %%
for name, p in figures.NORMS:
    network = lt.approximate(lambda x, p=p: x.norm(p=p, dim=1), centres(4, 2), p)
    member = [lt.in_lipschitz_class(network, q) for _, q in figures.NORMS]
    assert member == [q <= p for _, q in figures.NORMS]
    print(f"built for {name}:", dict(zip(("L1", "L2", "L∞"), member, strict=True)))

# %% [markdown]
# A triangle: $\|x\|_\infty \le \|x\|_2 \le \|x\|_1$, so what is 1-Lipschitz in L∞ is so in L2, and what is
# so in L2 is so in L1. The class for L∞ is the smallest.
#
# ### Exercise 4 ●○○ · 5 min · between
# Give a row $w = (w_1, w_2)$ for which $w \cdot x$ is 1-Lipschitz in the L2 metric, and not in L∞.

# %%
my_row = ...
check("09.between", my_row)

# %% [markdown]
# <details><summary>Hint</summary>Which norm of the row does each of the two metrics ask for?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_row = [0.6, 0.8]
# ```
#
# Its 2-norm is 1, its 1-norm 1.4.
#
# </details>

# %% [markdown]
# ## The class and its closure (E closure)
#
# The paper says that "the closure" of the class is dense. A slip of words: the *closure* of a set contains all
# limits, and a closure that is dense is already everything. What the proof shows, and what is meant, is that
# the class itself is dense. Its closure is then the whole space of 1-Lipschitz functions.
#
# The difference is not idle. A single network is piecewise affine, so $x^2/2$ on $[-1, 1]$ is not in the class; it
# is in its closure. The error falls below every bound, and is never 0.

# %%
g = figures.LINE_TARGETS["parabola"]
errors = [error(lt.approximate(g, centres(N)), g, grid(801)) for N in (4, 8, 16, 32)]
assert all(0 < e <= 2 / N for e, N in zip(errors, (4, 8, 16, 32), strict=True))
assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0] / 6
print("errors:", [round(e, 3) for e in errors])

# %% [markdown]
# The second thing to mend is in the norms. The paper asks for $\|W_1\|_{p,\infty} = 1$; we wrote "at most 1". In two
# dimensions a slope can be lengthened without changing the two values; on the line, as lesson 08 shows, it
# cannot. If you insist on "= 1" there, add a pair of units of norm 1 that no later layer selects.

# %%
half = nn.Sequential(linear([[0.5], [0.5], [1.0], [1.0]]), lt.MaxMin(), lt.Selection([0], 4))
norms = [half[0].weight.abs().max().item(), lt.operator_norm(half[2].weight, math.inf).item()]
assert norms == [1, 1] and lt.in_lipschitz_class(half)
result = lt.prove(half, lambda x: x[0] / 2)
assert result
print("x/2 with two weights of norm exactly 1.", result)

# %% [markdown]
# ## Many outputs at once (Observation E)
#
# The Observation: networks with $\|W\|_\infty \le 1$ in all layers are dense in the functions
# $f: \mathbb{R}^n \to \mathbb{R}^m$ that are 1-Lipschitz from the L∞ metric to the L∞ metric. Such an $f$ is nothing but $m$
# scalar functions, each of them 1-Lipschitz. So we build $m$ networks and set them side by side, in
# block-diagonal layers.


# %%
def both(x):
    return torch.stack(
        [figures.PLANE_TARGETS["wave"](x), figures.PLANE_TARGETS["saddle"](x)], dim=1
    )


network = lt.approximate(both, centres(4, 2), math.inf)
assert lt.in_lipschitz_class(network, math.inf) and network(grid(21, 2)).shape == (441, 2)
assert (network(grid(21, 2)) - both(grid(21, 2))).abs().max() <= 2 / 4
print("Two outputs at once, each within 2r.")

# %% [markdown]
# The paper goes another way: it takes maxima of networks with $m$ outputs. Two of them side by side say
# $(f_1, \dots, f_m, g_1, \dots, g_m)$, and MaxMin would compare $f_1$ with $f_2$. A permutation must come first. `lt.maximum`
# has both forms: the permutation as a layer of its own, or the rows of the last blocks written in that order.

# %%
f = lt.approximate(both, centres(2, 2), math.inf)
h = lt.approximate(both, centres(3, 2), math.inf)
own_layer, reordered = lt.maximum(f, h, permutation=True), lt.maximum(f, h)
x = grid(21, 2)
assert torch.equal(own_layer(x), torch.maximum(f(x), h(x))) and torch.equal(
    own_layer(x), reordered(x)
)
assert all(lt.in_lipschitz_class(m, math.inf) for m in (own_layer, reordered))
print(own_layer[-3])

# %% [markdown]
# ### Exercise 5 ●○○ · 5 min · permutation
# With $m = 3$ the permutation shall bring $(f_1, f_2, f_3, g_1, g_2, g_3)$ to $(f_1, g_1, f_2, g_2, f_3, g_3)$. Give the list of
# indices for `lt.Selection`: which entry, counted from 0, does each output take?

# %%
my_order = ...
check("09.permutation", my_order)

# %% [markdown]
# <details><summary>Hint</summary>The second output is g₁: where does it stand among the inputs?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_order = [0, 3, 1, 4, 2, 5]
# ```
#
# </details>

# %% [markdown]
# ### A word that is missing: compact
#
# Theorem 3 speaks of a closed and bounded set. The Observation does not, and needs it.
#
# **Predict:** a network meets the sine at nine points of $[-4, 4]$. What does it do far outside? Could a larger one
# follow the sine on all of $\mathbb{R}$?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_beyond(4.0))

# %% [markdown]
# A network of finitely many pieces is affine from some place on. If it rises or falls there it leaves the sine
# behind; if it is constant it misses the sine by at least 1, half of the way between $-1$ and $1$. So on $\mathbb{R}$ no
# network comes closer than 1. The solver has the last step:

# %%
far = torch.tensor([[100.0], [200.0], [300.0], [-100.0], [-200.0], [-300.0]])
y = lt.approximate(lambda x: torch.sin(x[:, 0]), 4 * centres(9))(far)[:, 0]
assert torch.isclose(y[2] - y[1], y[1] - y[0]) and torch.isclose(y[5] - y[4], y[4] - y[3])
misses = lt.prove(lambda c: terms.Max(abs(1 - c), abs(-1 - c)), lambda c, miss: miss >= 1)
assert misses
print("Affine beyond 100; a constant misses by at least 1.", misses)

# %% [markdown]
# ## Why not the 2-norm (E 2-norm)
#
# The class has the ∞-norm in all layers but the first. Lessons 03 to 06 kept every layer at 2-norm 1. Does the
# construction carry over? The paper says no, and rightly. To compare $f$ and $h$ we stack their first layers,
# $[W^f; W^h]$. If both begin with the same unit row $w$, that is $[w; w]$. (With the norms of Theorem 3, the
# paper adds, maxout would do as well as MaxMin: $\min(a, b) = -\max(-a, -b)$, and a sign costs no norm.)

# %%
w = torch.tensor([[0.6, 0.8]])
stack = torch.cat([w, w])
assert torch.isclose(lt.operator_norm(stack, 2), torch.tensor(2.0).sqrt())
assert torch.isclose(lt.mixed_norm(stack, 2), torch.tensor(1.0))
assert lt.prove(lambda a, b: -terms.Max(-a, -b), lambda a, b: terms.Min(a, b))
print("[w; w]: 2-norm √2, norm of Theorem 3: 1")

# %% [markdown]
# So the *construction* fails. Is the maximum out of reach? Not always. Let $w_1$ and $w_2$ be unit vectors. Half
# their sum $e_+$ and half their difference $e_-$ are orthogonal, and
#
# $$\max(w_1 \cdot x, w_2 \cdot x) = e_+ \cdot x + |e_- \cdot x| .$$
#
# Orthogonal directions can be computed side by side at no cost. `lt.maximum_of_functionals` does so.
#
# **Predict:** for which angle between $w_1$ and $w_2$ has the stack $[w_1; w_2]$ itself 2-norm 1? For which is it
# worst?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(two_norm.draw_two_functionals(60))

# %%
slider_figure(two_norm.draw_two_functionals, degrees=(0, 180, 5, 60))

# %% [markdown]
# At 90°; and it is worst at 0° and 180°. Rows along $e_+$ and $e_-$ make the same function with 2-norm 1 at every angle.
# The solver confirms two cases, one exactly, and one up to the rounding of its weights.

# %%
exact = lt.maximum_of_functionals(torch.tensor([0.6, 0.8]), torch.tensor([-0.6, 0.8]))
rounded = lt.maximum_of_functionals(torch.tensor([1.0, 0.0]), torch.tensor([0.6, 0.8]))
for network in (exact, rounded):
    norms = [lt.operator_norm(layer.weight, 2) for layer in network if hasattr(layer, "weight")]
    assert all(torch.isclose(norm, torch.tensor(1.0)) for norm in norms)
always = lt.prove(exact, lambda x: 0.8 * x[1] + abs(0.6 * x[0]))
nearly = lt.prove(rounded, lambda x: terms.Max(x[0], 0.6 * x[0] + 0.8 * x[1]), (-10, 10), tol=1e-12)
assert always and nearly
print(always, nearly, sep="\n")

# %% [markdown]
# So "the construction fails" is right, and it does not say "impossible". Whether
# all 1-Lipschitz functions can be approached with the 2-norm in all layers, the appendix does not tell.
#
# ### What is known since: the letter N (E 2-norm)
#
# Prach and Lampert, "1-Lipschitz Neural Networks are more expressive with N-Activations" (2023, arXiv
# 2311.06103), show that MaxMin with the 2-norm restricts the functions that a network can represent, even in one
# dimension. They propose another activation, with two corners instead of one. With its corners at $-1$ and 1 it is
#
# $$N(x) = x + 2 \ (x < -1), \qquad -x \ (-1 \le x \le 1), \qquad x - 2 \ (x > 1) .$$

# %%
show(two_norm.draw_unit())

# %% [markdown]
# For the networks of Theorem 3 this function is easy. It is a maximum of a minimum, $N(x) = \max(\min(x + 2, -x), x - 2)$:

# %%
up, down, later = (
    nn.Sequential(linear([[a]], [b])) for a, b in ((1.0, 2.0), (-1.0, 0.0), (1.0, -2.0))
)
built_n = lt.maximum(lt.minimum(up, down), later)


def letter_n(x):
    return terms.If(x[0] < -1, x[0] + 2, terms.If(x[0] <= 1, -x[0], x[0] - 2))


everywhere = lt.prove(built_n, letter_n)
assert everywhere and lt.in_lipschitz_class(built_n)
print(everywhere)

# %% [markdown]
# And with the 2-norm in all layers? On a short interval it can still be had.
#
# ### Exercise 6 ●●● · 14 min · letter-n
# Build a network of `nn.Linear` and `lt.MaxMin`, with 2-norms of at most 1, that equals $N$ on $[-3, 3]$. (`linear(W, b)`
# makes a layer. `lt.w_network(c)` is $||x| - c|$, all of its 2-norms are 1, and `nn.Sequential(*layers)` joins layers.)

# %%
my_network = ...
check("09.letter-n", my_network)

# %% [markdown]
# <details><summary>Hint</summary>The letter W falls, rises, falls and rises. Which three of these
# strokes make an N? Where must its corners be moved?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_network = nn.Sequential(linear([[1.0]], [1.0]), *lt.w_network(2), linear([[1.0]], [-1.0]))
# ```
#
# The last three strokes of $||x + 1| - 2| - 1$ are $N$.
#
# </details>

# %% [markdown]
# The solution is right on a half-line, and wrong everywhere to the left of $-3$:

# %%
half_line = two_norm.half_line()
there = lt.prove(half_line, letter_n, domain=[(-3, None)])
left_of_it = lt.prove(half_line, letter_n)
assert there and isinstance(left_of_it, lt.Counterexample)
weights = [m.weight for m in half_line if isinstance(m, nn.Linear)]
assert all(lt.operator_norm(W, 2) <= 1 + 1e-12 for W in weights)
print(there, left_of_it, sep="\n")

# %% [markdown]
# **Predict:** we widen the interval. How far is $||x + 1| - 2| - 1$ from $N$ at $-10$? And the plain $f(x) = x$, how far
# is it from $N$ at most?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(two_norm.draw_letter_n(3.0))

# %%
slider_figure(two_norm.draw_letter_n, end=(1.0, 10.0, 0.5, 3.0))

# %% [markdown]
# Left of $-3$ the one falls where the other climbs: the distance grows by 2 with each unit, to 14 at $-10$. The line
# $x$ never gets farther away than 2.

# %%
ten = torch.tensor([[-10.0]])
assert torch.isclose(half_line(ten) - two_norm.letter_n(ten), torch.tensor(14.0)).all()
no_farther = lt.prove(lambda x: letter_n([x]) - x, lambda x, apart: abs(apart) <= 2)
assert no_farther
print("14 at -10; and the line is within 2 of N:", no_farther)

# %% [markdown]
# On all of $\mathbb{R}$, this 2 is the best: *a MaxMin network with all 2-norms at most 1 is affine, or infinitely far
# from $N$.* We prove it in four steps (the proof is ours).
#
# **Step 1: MaxMin is a rotation, absolute values, and a rotation.** With $s = (x + y)/\sqrt2$ and $d = (x - y)/\sqrt2$, MaxMin
# sends $(s, d)$ to $(s, |d|)$; lesson 02 used it. Rotations keep 2-norms and can be joined to the linear layers. So our
# network consists of linear layers of 2-norm at most 1, with units between that are *identities* or *absolute values*.

# %%
root = 0.5**0.5


def folded(x, y):
    s, d = root * (x + y), abs(root * (x - y))
    return [root * (s + d), root * (s - d)]


step_1 = lt.prove(folded, lambda x, y: terms.maxmin([x, y]))
assert step_1
print(step_1)

# %% [markdown]
# **Step 2: N climbs at full speed at both ends.** $N(t) - N(-t) = 2t - 4$ for $t \ge 1$. If the distance of $f$ and $N$ on
# $\mathbb{R}$ is some finite $K$, then $f(t) - f(-t) \ge 2t - 4 - 2K$: the climb from $-t$ to $t$ misses the greatest possible one,
# $2t$, by no more than a constant.
#
# **Step 3: an absolute value costs climb for ever.** Let $w_i x + b_i$ be the inputs of the first units, $\|w\|_2 \le 1$, and let $h(x)$
# be what the units return. An identity returns $w_i t + b_i$ at $t$ and $-w_i t + b_i$ at $-t$. They are $2 |w_i| t$ apart. An
# absolute value returns $|w_i| t$ at both ends, up to a constant: its two ends are *not* apart. All in all
#
# $$\|h(t) - h(-t)\|_2 \le 2t\, \|w_{\mathrm{id}}\|_2 + \text{constant},$$
#
# where $w_{\mathrm{id}}$ collects the weights into identities. What follows is 1-Lipschitz, so $f(t) - f(-t)$ is no larger.
#
# **Step 4: so there are none.** With step 2, $\|w_{\mathrm{id}}\|_2 \ge 1$. As $\|w\|_2 \le 1$, all weights into absolute values
# are 0: such a unit returns the constant $|b_i|$ and is silent. So the first layer with its units is affine in $x$, a
# straight line that is run through at speed 1. The next linear layer maps it to such a line again, or the climb is
# lost already; and step 3 applies to the next units. In the end $f$ is affine with slope 1 or $-1$. It climbs, so the
# slope is 1: $f(x) = x + c$, and its distance to $N$ is $2 + |c|$.
#
# **An example with one fold.** Let $w = (0.6, 0.8)$ lead into one identity and one absolute value, which has the bias 1:
#
# $$h(x) = (0.6\, x,\ |0.8\, x + 1|), \qquad f(x) = 0.6\, h_1 + 0.8\, h_2 .$$
#
# Without the absolute value $h(x)$ would run along a straight line at speed 1, and $h(t)$ would be $2t$ from $h(-t)$. The
# absolute value folds the line: of $2t$ only the part along the identity is left, $2t \cdot 0.6$, and a constant. So $f$
# cannot climb by more. From $t = 1.25$ on it climbs by $0.72\, t + 1.6$, which is more than $N$ does at first, and less from
# $t = 4.375$ on.

# %%
M = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) * root  # MaxMin is M, identity and absolute value, M
w, b = torch.tensor([0.6, 0.8]), torch.tensor([0.0, 1.0])
one_fold = nn.Sequential(linear((M @ w)[:, None], M @ b), lt.MaxMin(), linear((w @ M)[None]))
assert lt.prove(one_fold, lambda x: 0.36 * x[0] + 0.8 * abs(0.8 * x[0] + 1), (-100, 100), tol=1e-9)
for t in (1.25, 4.375, 10.0, 100.0):
    h, back = (torch.tensor([0.6 * s, abs(0.8 * s + 1)]) for s in (t, -t))
    climb = w @ h - w @ back
    assert (h - back).norm() <= 1.2 * t + 2 and math.isclose(climb, 0.72 * t + 1.6)
assert 0.72 * 4.375 + 1.6 == 2 * 4.375 - 4
show(two_norm.draw_one_fold(6.0))

# %% [markdown]
# To give up nothing, $w$ must be $(1, 0)$ or $(-1, 0)$: then the second unit is silent, and $f$ is a straight line.
#
# We look at step 3 in numbers: in 200 random networks with orthonormal weights, how much does the climb grow from
# $t = 10^6$ to $2 \cdot 10^6$, compared with $2\|w_{\mathrm{id}}\|$? (So far out because the step speaks of large $t$. Behind
# its last kink a network is affine. Some have a kink beyond 1000; we see to it that none has one beyond $10^6$.)

# %%
generator = torch.Generator().manual_seed(0)
t = 1e6
ends, rates = t * torch.tensor([[1.0], [-1.0], [2.0], [-2.0], [3.0], [-3.0]]), []
for _ in range(200):
    f = orthonormal_network([1, 6, 6, 1], lt.MaxMin, generator).requires_grad_(False)
    w = f[0].weight[:, 0]
    w_id = (w[0::2] + w[1::2]) / math.sqrt(2)
    y = f(ends)[:, 0].view(3, 2)
    assert torch.allclose(y[2] - y[1], y[1] - y[0])  # affine beyond t
    near, far, _ = (y[:, 0] - y[:, 1]).tolist()
    rates.append(((far - near) / t, 2 * w_id.norm().item()))
assert all(rate <= bound + 1e-9 for rate, bound in rates) and max(bound for _, bound in rates) < 2
print("All 200 climb by less than 2 for each unit of t, and by no more than step 3 allows.")

# %% [markdown]
# ### What training finds
#
# *Optional, 5 minutes.*
# That was $\mathbb{R}$. On $[-6, 6]$ we train networks of both kinds to follow $N$: eight of each kind at once, from random
# orthonormal starts, with three hidden layers of eight units. After each step every weight is projected: on 2-norm at
# most 1, or on ∞-norm at most 1 (for one input the first layer is no exception).


# %%
def project(W, p):
    """The nearest matrices with ‖W‖_p ≤ 1, for a stack of them."""
    if p == math.inf:
        return lt.project_linf_norm(W)
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    return (U * sigma.clamp(max=1)[:, None]) @ Vh


def run(x, weights, biases):
    """Many networks on the same points: their outputs, (networks, points)."""
    h = x.expand(len(weights[0]), *x.shape)
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        h = lt.maxmin(h @ W.mT + b)
    return (h @ weights[-1].mT + biases[-1])[..., 0]


# %% [markdown]
# One network for each row of `targets`. The loss is the fourth root of the mean fourth power of the error, which looks
# at large errors more than a mean square does.


# %%
def train(p, x, targets, spread, steps=400, widths=(1, 8, 8, 8, 1)):
    generator, many = torch.Generator().manual_seed(0), len(targets)
    weights, biases = [], []
    for n, m in zip(widths, widths[1:], strict=False):
        start = lt.polar(torch.randn(many, m, n, generator=generator))
        weights.append(project(start, p).requires_grad_())
        shift = spread * (torch.rand(many, 1, m, generator=generator) - 0.5)
        biases.append(shift.requires_grad_())
    optimizer = torch.optim.Adam([*weights, *biases], lr=0.03, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        fourth = (run(x, weights, biases) - targets).pow(4).mean(dim=1)
        (fourth + 1e-16).pow(0.25).sum().backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for W in weights:
                W.copy_(project(W, p))
    return [W.detach() for W in weights], [b.detach() for b in biases]


# %% [markdown]
# **Predict:** which kind comes closer? We show the best of the eight, the one whose largest error is least.

# %%
x = torch.linspace(-6, 6, 101)
n = two_norm.letter_n(x)
trained = {
    name: train(p, x[:, None], n.expand(8, -1), spread=6.0)
    for name, p in (("2-norm", 2), ("∞-norm", math.inf))
}

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
outputs = {name: run(x[:, None], *network) for name, network in trained.items()}
errors = {name: (y - n).abs().amax(dim=1) for name, y in outputs.items()}
show(two_norm.draw_fits(x, n, {name: y[errors[name].argmin()] for name, y in outputs.items()}))
assert errors["∞-norm"].min() < errors["2-norm"].min() / 3

# %% [markdown]
# The ∞-norm comes closer. What does that show? Not that $N$ is out of reach of the 2-norm on $[-6, 6]$: a training
# that fails proves nothing. Whether networks of 2-norm 1 are dense on compact sets is not settled here; the proof
# above is about all of $\mathbb{R}$. But its third step can be watched. Beyond the interval the climb of the trained
# network falls behind $2t$ more and more, while that of $N$ stays 4 behind.

# %%
t = torch.linspace(0, 100, 101)
y = run(torch.cat([t, -t])[:, None], *trained["2-norm"])[errors["2-norm"].argmin()]
climbs = {
    "N": two_norm.letter_n(t) - two_norm.letter_n(-t),
    "x": 2 * t,
    "the trained network": y[:101] - y[101:],
}
show(two_norm.draw_climb(climbs, t))
behind = 2 * t - climbs["the trained network"]
assert behind[100] > behind[50] + 0.5 > behind[25] + 1

# %% [markdown]
# ## Trained against built (E)
#
# *Optional, 3 minutes.*
# Theorem 3 says that good networks exist, and the construction exhibits some. Does training find better ones of the same
# size? We take the sine and the zigzag on $[-1, 1]$. For each we build two networks of at most 180 weights other than 0,
# and train six networks of the same class with 169 weights.

# %%
x = grid(101)
names = ("sine", "zigzag")
goals = torch.stack([figures.LINE_TARGETS[name](x) for name in names])  # (2, 101)
built = {}
for name in names:
    g = figures.LINE_TARGETS[name]
    lattice = lt.approximate(g, centres(8))
    halfway = lt.approximate(g, centres(12), math.inf, "mcshane", midpoint=True)
    assert max(lt.network_size(f).weights for f in (lattice, halfway)) <= 180
    built[name] = {"lattice": lattice(x)[:, 0], "midpoint": halfway(x)[:, 0]}

# %%
weights, biases = train(math.inf, x, goals.repeat_interleave(6, dim=0), spread=1.0)
assert sum(part[0].numel() for part in (*weights, *biases)) == 169
outputs = run(x, weights, biases).view(2, 6, 101)
errors = (outputs - goals[:, None]).abs().amax(dim=2)  # (2, 6)
order = errors.argsort(dim=1)

# %% [markdown]
# **Predict:** what is promised of each before we look? For which of the two functions will training have a hard time?
#
# First the sine. We show the fourth best of the six, and so we do for the zigzag.

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(two_norm.draw_fits(x[:, 0], goals[0], built["sine"] | {"trained": outputs[0, order[0, 3]]}))
show(two_norm.draw_fits(x[:, 0], goals[1], built["zigzag"] | {"trained": outputs[1, order[1, 3]]}))

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
predicted()
worst = {
    name: {k: (y - goals[i]).abs().max() for k, y in built[name].items()}
    for i, name in enumerate(names)
}
assert all(w["lattice"] <= 2 / 8 and w["midpoint"] <= 1 / 12 + 1e-12 for w in worst.values())
assert (errors[0] < min(worst["sine"].values())).sum() >= 4
assert (errors[1] > worst["zigzag"]["midpoint"]).sum() >= 4
print("Sine: most runs beat both built networks. Zigzag: most runs are worse than the midpoint.")

# %% [markdown]
# For the sine training puts its pieces where they are needed, and wins. For the zigzag it mostly gets stuck, and nothing
# told us beforehand. (One recipe, some seconds: a better one may well find it.) The built networks are wasteful, and
# keep a promise for *every* 1-Lipschitz function. A trained network keeps the other promise: it is 1-Lipschitz, and in the
# class. We hand the weights of the best to the membership test.

# %%
layers = []
for W, b in zip(weights, biases, strict=True):
    layers += [linear(W[order[0, 0]], b[order[0, 0], 0]), lt.MaxMin()]
network = nn.Sequential(*layers[:-1])
assert torch.allclose(network(x)[:, 0], outputs[0, order[0, 0]]) and lt.in_lipschitz_class(network)
print("The best trained network is in the class of Theorem 3.")

# %% [markdown]
# ## Recap
#
# - A maximum of minima of $f_{ij}$ meets $g$ at $N$ points, is 1-Lipschitz, and stays within $2r$ of $g$. That is
#   Theorem 3, with norms "at most 1".
# - The lattice takes up to $N(N-1)/2$ different pieces, which grows like $\varepsilon^{-2d}$; cones take $2dN$ (L∞),
#   which grows like $\varepsilon^{-d}$. Raised by $r$, or halfway between both sides, their error is at most $r$.
# - The first layer knows the metric. What is in the class for L∞ is in that for L2, and for L1.
# - It is the class that is dense; its closure is everything. On compact sets: on $\mathbb{R}$ no network follows the sine.
# - $m$ outputs are $m$ networks side by side; the paper's way needs a permutation before MaxMin.
# - Under the 2-norm the construction fails, $\|[w; w]\|_2 = \sqrt2$, though the maximum of two functionals is exact.
#   On $\mathbb{R}$ all MaxMin networks with 2-norms at most 1 are affine or infinitely far from $N$. On compact sets we
#   left the question open.
# - Training finds better networks than the construction at the same size, sometimes, and promises nothing about the
#   error.
#
# ## Where next
#
# Lesson [08](08_lattice.ipynb) has the steps of the proof one by one, and [03](03_why_relu_is_linear.ipynb) the
# reason why ReLU cannot do this. [Lesson 10](10_spectral_jacobian.ipynb) turns from the slope that weights allow to
# the slope that a network has: its Jacobian. The map of the whole appendix is in [00_start_here](00_start_here.ipynb).
