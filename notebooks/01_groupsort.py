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
# # 01 · Sorting instead of clipping
#
# A function is *1-Lipschitz* if its output never moves farther than its input:
# $\|f(x) - f(y)\| \le \|x - y\|$ for all $x$ and $y$. Here $\|x\|$ is the Euclidean length, also
# called the 2-norm. Layers that each have this property give a network that has it. ReLU has it too,
# but ReLU clips: below zero it forgets its input, and the gradient with it. *GroupSort* sorts
# instead. It moves values and changes none. In this lesson we watch it work, build two functions from
# it exactly, and recover ReLU and its relatives.
#
# We follow appendix A.1 and A.2 of "Sorting Out Lipschitz Function Approximation" (Anil, Lucas and
# Grosse, 2019), which we call the paper.
#
# **What you will be able to do**
# - predict the output of GroupSort, and tell its size from its number of groups;
# - say where each gradient goes, and what goes wrong when two entries are equal;
# - build $|x|$ and the letter W from sorts and weights of norm 1;
# - recover ReLU, concatenated ReLU, leaky ReLU and maxout, and check what they ask of the weights;
# - tell a test on some inputs from a proof for every input.
#
# **Before you start**: the product of a matrix and a vector, rank and singular values, the gradient,
# some PyTorch. Lesson 00 shows how exercises are checked.
#
# Reading: 37 minutes · exercises: 44 minutes · running: under 40 seconds

# %%
import math

import torch
from torch import nn

import lipteach as lt
from lipteach import linear
from lipteach.classroom import check, show, slider_figure
from lipteach.classroom.lessons.l01_groupsort.figures import (
    draw_abs,
    draw_leaky,
    draw_sorting,
    draw_w,
)

# %% [markdown]
# ## Values only move
#
# GroupSort cuts a vector into groups of neighbours and sorts each group, the largest entry first.
# The *size* is the number of entries in a group. We try three sizes on the same four numbers.

# %%
x = torch.tensor([3.0, 1.0, 2.0, 4.0])
for size in (1, 2, 4):
    print(size, lt.group_sort(x, size).tolist())

# %% [markdown]
# Size 1 does nothing. Size 2 is called *MaxMin*, since it gives the maximum and the minimum of each
# pair. A single group of all entries is *FullSort*.

# %%
assert torch.equal(lt.group_sort(x, 1), x)
assert torch.equal(lt.group_sort(x, 2), lt.maxmin(x))
assert torch.equal(lt.group_sort(x, 4), lt.full_sort(x))
print("Sizes 1, 2 and 4 of four entries: the identity, MaxMin and FullSort.")

# %% [markdown]
# Now the same as a picture. Each line leads from a value's place in the input to its place in the
# output.

# %%
show(draw_sorting(first=3.0, size=2))

# %% [markdown]
# **Predict:** we lower the first entry from 3. At which value do the first two lines begin to
# cross? And how many times does the first entry change its place if we sort in one group of 4 and
# raise it from −1 to 5?

# %%
slider_figure(draw_sorting, first=(-1.0, 5.0, 0.25), size=[1, 2, 4])

# %% [markdown]
# In pairs the lines cross below 1, the value of the neighbour. In one group of 4 the first entry
# overtakes 1, 2 and 4: it changes its place three times. Wherever the slider stands, the output
# holds the very entries of the input.

# %%
for first in torch.linspace(-1, 5, 25):
    y = torch.tensor([first, 1.0, 2.0, 4.0])
    assert all(torch.equal(lt.full_sort(lt.group_sort(y, k)), lt.full_sort(y)) for k in (1, 2, 4))
    assert (lt.maxmin(y)[0] == first) == (first >= 1)  # below 1 the first two change places
places = [lt.full_sort(torch.tensor([v, 1.0, 2.0, 4.0])).tolist().index(v) for v in (0, 1.5, 3, 5)]
assert places == [3, 2, 1, 0]
print("No entry is changed or lost; the first one passes through all four places.")

# %% [markdown]
# ## Neighbours, and the largest first
#
# "Sort pairs" leaves two things open: which entries form a pair, and where the results go. Three
# layouts are in use. We write all three for the input (3, 1, 2, 4).

# %%
a, b = x[0::2], x[1::2]  # neighbours: (3, 1) and (2, 4)
interleaved = torch.stack([torch.maximum(a, b), torch.minimum(a, b)], dim=-1).flatten()
concatenated = torch.cat([torch.maximum(a, b), torch.minimum(a, b)])
a, b = x[:2], x[2:]  # halves: (3, 2) and (1, 4)
half_split = torch.cat([torch.maximum(a, b), torch.minimum(a, b)])
print(interleaved.tolist(), concatenated.tolist(), half_split.tolist(), sep="\n")

# %% [markdown]
# Ours is the first: neighbours form a pair, and each pair stays where it was. The three differ by
# permutations only. So they are equally strong, but the weights of one do not fit another.

# %%
assert torch.equal(lt.maxmin(x), interleaved)
assert torch.equal(concatenated, interleaved[[0, 2, 1, 3]])
assert torch.equal(half_split, lt.maxmin(x[[0, 2, 1, 3]])[[0, 2, 1, 3]])
print("MaxMin is interleaved; permutations lead to the other layouts.")

# %% [markdown]
# ### Exercise 1 ●○○ · 2 min · predict-sort
# What is `lt.group_sort` of (1, 2, 3, 4, 5, 6) with size 3? Think before you run it. Hand in a
# list of six numbers.

# %%
answer = ...
check("01.predict-sort", answer)

# %% [markdown]
# <details><summary>Hint</summary>How many entries are in a group, and which of them comes first?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# answer = [3, 2, 1, 6, 5, 4]
# ```
#
# </details>

# %% [markdown]
# ## MaxMin in ten lines
#
# All of MaxMin fits in a few lines: look at each pair, keep it or swap it. We write it for any
# number of leading dimensions.


# %%
def maxmin_by_hand(x):
    a, b = x[..., 0::2], x[..., 1::2]  # the two entries of each pair
    in_order = a >= b
    first = torch.where(in_order, a, b)
    second = torch.where(in_order, b, a)
    return torch.stack([first, second], dim=-1).flatten(-2)


# %% [markdown]
# We compare it with the package on a batch. Rounding the entries to whole numbers makes many pairs
# equal, so that ties are tested as well.

# %%
generator = torch.Generator().manual_seed(0)
batch = torch.randn(1000, 8, generator=generator).round()
assert (batch[:, 0::2] == batch[:, 1::2]).any()
assert torch.equal(maxmin_by_hand(batch), lt.maxmin(batch))
print("By hand and from the package: equal on 1000 vectors, ties included.")

# %% [markdown]
# From here on we use `lt.maxmin` and its module `lt.MaxMin`.
#
# ### Exercise 2 ●●○ · 8 min · group-sort
# Write GroupSort for any size: sort each group of `size` neighbours of the last dimension, the
# largest first. Any number of leading dimensions must pass through. The gradient matters too, so
# build the result from tensor operations. `torch.sort` may be used, `lt` may not: keep
# `lt.group_sort` to compare.


# %%
def my_group_sort(x, size):
    # your code
    ...


check("01.group-sort", my_group_sort)

# %% [markdown]
# <details><summary>Hint</summary>Which shape puts the entries of one group alone into the last
# dimension? And which call undoes it after the sort?</details>
# <details><summary>Solution</summary>
#
# ```python
# def my_group_sort(x, size):
#     groups = x.unflatten(-1, (-1, size))
#     return groups.sort(dim=-1, descending=True).values.flatten(-2)
# ```
#
# </details>

# %% [markdown]
# ## The gradient is routed, not lost
#
# Training sends a gradient backwards through each activation: it multiplies it by the transpose of
# the Jacobian $J$, the matrix of all derivatives. What does $J$ look like for MaxMin, and for ReLU?

# %%
from torch.func import jacrev

x = torch.tensor([3.0, -1.0, -2.0, 4.0])
print("MaxMin", jacrev(lt.maxmin)(x).int().tolist())
print("ReLU  ", jacrev(torch.relu)(x).int().tolist())

# %% [markdown]
# Here the Jacobian of MaxMin is a permutation: each row and each column holds a single 1. So
# $J J^\top = I$, and a gradient keeps its length whatever it is. The same holds wherever no pair is
# tied, as MaxMin swaps the same pairs all around such a point. ReLU deletes the entries that it has
# clipped.

# %%
J_sort, J_relu = jacrev(lt.maxmin)(x), jacrev(torch.relu)(x)
g = torch.tensor([1.0, 2.0, -2.0, 4.0])  # a gradient of length 5 that comes from above
assert torch.equal(J_sort @ J_sort.T, torch.eye(4))
assert (J_sort.T @ g).norm() == g.norm() == 5
assert (J_relu.T @ g).norm() < g.norm()
print("Through MaxMin the gradient keeps its length 5; through ReLU it does not.")

# %% [markdown]
# A permutation stretches nothing, so MaxMin should be 1-Lipschitz. Is it, for *every* two inputs?
# The functions of `lipteach.theory.terms` work on unknowns instead of numbers, and `lt.prove` asks a
# solver for two pairs whose images lie farther apart than they do. If there are none, we have a
# proof.

# %%
from lipteach.theory.terms import If, Max, maxmin


def difference(a, b, c, d):  # of the images of (a, b) and (c, d)
    return [u - v for u, v in zip(maxmin([a, b]), maxmin([c, d]), strict=True)]


def closer(a, b, c, d, out):
    return out[0] ** 2 + out[1] ** 2 <= (a - c) ** 2 + (b - d) ** 2


proof = lt.prove(difference, closer)
assert proof
print("MaxMin is 1-Lipschitz in the 2-norm:", proof)

# %% [markdown]
# What happens at a tie, where no entry is the greater? We leave the tie (1, 1) in three directions
# and look at the rate at which MaxMin changes.

# %%
h, rates = 2.0**-10, []
for d in ([1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]):
    rates.append((lt.maxmin(1 + h * torch.tensor(d)) - 1) / h)
    assert torch.equal(rates[-1], lt.maxmin(torch.tensor(d)))
    print("direction", d, "rate", rates[-1].tolist())
assert not torch.equal(rates[1], -rates[0])

# %% [markdown]
# The rate in the direction $d$ is $\mathrm{MaxMin}(d)$, and no matrix gives that: opposite directions
# would have opposite rates. So at a tie MaxMin has no derivative. Automatic differentiation has to
# take some matrix, and which one depends on how the function is written. Two ways to write MaxMin
# look as good as ours. The first takes `torch.maximum` and `torch.minimum` of the partners, the
# second the largest and the smallest entry along a dimension.


# %%
def by_maximum(x):
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([torch.maximum(a, b), torch.minimum(a, b)], dim=-1).flatten(-2)


def by_max(x):
    pairs = x.unflatten(-1, (-1, 2))
    return torch.stack([pairs.max(-1).values, pairs.min(-1).values], dim=-1).flatten(-2)


# %% [markdown]
# Their values are right everywhere. We look at the Jacobians that are taken at the tie (1, 1). The
# *norm* of a matrix is the most by which it can lengthen a vector.

# %%
tie = torch.ones(2)
expected = {by_maximum: (1, 1), by_max: (1, math.sqrt(2)), lt.maxmin: (2, 1)}  # rank and norm
for f, (rank, norm) in expected.items():
    assert torch.equal(f(tie), tie)
    J = jacrev(f)(tie)
    assert torch.linalg.matrix_rank(J) == rank
    assert abs(lt.operator_norm(J) - norm) < 1e-6
    print(f"{f.__name__:10s} J = {J.tolist()}, rank {rank}, norm {norm:.3f}")

# %% [markdown]
# `by_maximum` shares the gradient: $J$ has rank 1, and the difference of the two gradients is lost.
# `by_max` sends both gradients to the same entry: $J$ has norm $\sqrt 2$ and can lengthen a
# gradient, in a network that is meant never to. A sort sends each gradient to where the value came
# from, at ties as well. Ties are no rarity: equal rows and zero inputs make them.

# %%
ties = torch.tensor([[1.0, 1, 2, 2], [0, 0, 0, 0], [5, 5, 1, 2]])
for f in (lt.maxmin, lt.full_sort, maxmin_by_hand):
    J = torch.func.vmap(jacrev(f))(ties)
    assert torch.equal(J @ J.mT, torch.eye(4).expand(3, 4, 4))
print("The Jacobian that is taken of a sort is a permutation at all three ties.")

# %% [markdown]
# ### Exercise 3 ●○○ · 3 min · tie
# Find a counterexample to "`by_maximum` is as good as a sort": four numbers at which its Jacobian
# $J$ does not satisfy $J J^\top = I$. To look at a Jacobian, try
# `jacrev(by_maximum)(torch.tensor([1.0, 2.0, 3.0, 4.0]))`.

# %%
answer = ...
check("01.tie", answer)

# %% [markdown]
# <details><summary>Hint</summary>Which entries does it compare with each other: the first and the
# second, or the second and the third?</details>
# <details><summary>Solution</summary>
#
# ```python
# answer = [1, 1, 3, 2]
# ```
#
# </details>

# %% [markdown]
# ## The absolute value by sorting (A.1, Fig. 10)
#
# The paper watches a network with one hidden layer of two units while its input $x$ moves. The
# network was trained to approximate $|x|$. Instead of training we write its weights down:
#
# $$f(x) = W_2 \,\mathrm{MaxMin}(W_1 x), \qquad W_1 = \tfrac{1}{\sqrt 2}\binom{1}{-1}, \quad
# W_2 = \tfrac{1}{\sqrt 2}(1, -1).$$
#
# The *pre-activations* $z = W_1 x$ are $x$ and $-x$, up to the factor. The sort puts the larger one
# first; these are the *activations* $h$. Their difference is $\sqrt 2\,|x|$, and the factor of $W_2$
# makes $|x|$ of it. We follow $x = -2$.

# %%
W1 = torch.tensor([[1.0], [-1.0]]).double() * math.sqrt(0.5)
W2 = torch.tensor([[1.0, -1.0]]).double() * math.sqrt(0.5)
z = W1 @ torch.tensor([-2.0]).double()
h = lt.maxmin(z)
f = W2 @ h
print("z, h, f:", *(v.round(decimals=4).tolist() for v in (z, h, f)))

# %% [markdown]
# We expect $z = (-\sqrt 2, \sqrt 2)$, $h = (\sqrt 2, -\sqrt 2)$ and $f = 2$. The package builds the
# same network as a plain `nn.Sequential`.

# %%
network = lt.abs_network()
r2 = math.sqrt(2)
assert torch.allclose(z, torch.tensor([-r2, r2]).double())
assert torch.allclose(h, torch.tensor([r2, -r2]).double())
assert torch.allclose(f, network(torch.tensor([-2.0]).double()))
assert torch.equal(network[0].weight, W1)
assert torch.equal(network[2].weight, W2)
print("z = (-√2, √2), sorted h = (√2, -√2), f = 2; lt.abs_network() has the same weights.")

# %% [markdown]
# The paper's Figure 10 draws $z$, $h$ and $f$ against the input $x$, in three panels.
#
# **Predict:** which of these curves have a corner where $x$ passes from negative to positive? What do
# the two lines of $z$ do there?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(draw_abs(x=-2.0))

# %% [markdown]
# The marker is at $x = -2$. Move it through 0, and watch which unit comes first after the sort.

# %%
slider_figure(draw_abs, x=(-3.0, 3.0, 0.25))

# %% [markdown]
# On the left the lines cross. The sort turns the crossing into two corners: the upper one is
# $|x|/\sqrt 2$, the lower one its negative. The output has slope −1 or 1 on either side of the
# corner, so no gradient is lost.
#
# How much may each layer stretch? A weight matrix has the 2-norm $\|W\|_2$, its largest singular
# value. Here each matrix has one singular value, and it is 1.

# %%
for W in (W1, W2):
    assert torch.allclose(torch.linalg.svdvals(W), torch.ones(1).double())
inputs = torch.tensor([[-2.0], [-0.5], [0.5], [2.0]], dtype=torch.float64, requires_grad=True)
(slopes,) = torch.autograd.grad(network(inputs).sum(), inputs)
assert torch.allclose(slopes, inputs.detach().sign())
assert torch.allclose(network[:2](inputs), inputs.abs() * torch.tensor([1, -1]) / r2)
print("Every singular value is 1, and the slope is -1 left and 1 right of the corner.")

# %% [markdown]
# So far we tried some inputs. Is it $|x|$ for *every* real number? `lt.prove` also takes a network.
# It asks for an input at which the network differs from the claim; if there is none, the claim is
# proved. A proof speaks of real numbers. The rounding of a run in floating point is no part of it.

# %%
proof = lt.prove(network, lambda x: abs(x[0]))
assert proof
print("|x|:", proof)

# %% [markdown]
# The solver has read the weight 0.7071… as the number $1/\sqrt 2$ that it stands for.
#
# Other lessons measure vectors by their largest entry, the ∞-norm. Then $\|W\|_\infty$ is the
# largest sum of absolute values in a row. $W_2$ has $\|W_2\|_\infty = \sqrt 2$, which is too much.
# Moving the factors mends it: $W_1 = (1, -1)^\top$ and $W_2 = \tfrac12(1, -1)$.

# %%
for p, other in ((2, math.inf), (math.inf, 2)):
    weights = [lt.abs_network(p)[i].weight for i in (0, 2)]
    own = [round(lt.operator_norm(W, p).item(), 3) for W in weights]
    cross = [round(lt.operator_norm(W, other).item(), 3) for W in weights]
    assert max(own) == 1 < max(cross)
    print(f"built for p = {p}: norms {own}; in the norm p = {other}: {cross}")

# %% [markdown]
# Each network keeps its own norm at 1 and breaks the other one. Both compute $|x|$.

# %%
network = lt.abs_network(math.inf)
assert network[0].weight.flatten().tolist() == [1, -1]
assert network[2].weight.flatten().tolist() == [0.5, -0.5]
proof = lt.prove(network, lambda x: abs(x[0]))
assert proof
print("|x| with the weights for the ∞-norm:", proof)

# %% [markdown]
# Now it is your turn to build. The helper `linear(W, b)` makes an `nn.Linear` from rows of numbers;
# without `b` it has no bias. This is the network of Figure 10 once more:

# %%
r = math.sqrt(0.5)
by_hand = nn.Sequential(linear([[r], [-r]]), lt.MaxMin(), linear([[r, -r]]))
assert by_hand(torch.tensor([-2.0]).double()) == lt.abs_network()(torch.tensor([-2.0]).double())
print("Built by hand, the network agrees with lt.abs_network() at x = -2.")

# %% [markdown]
# ### Exercise 4 ●●○ · 8 min · distance
# Build a network of two inputs that computes $|x_1 - x_2| / \sqrt 2$, the distance of the point
# from the diagonal. Use `lt.MaxMin()` and linear layers of 2-norm at most 1.

# %%
answer = ...
check("01.distance", answer)

# %% [markdown]
# <details><summary>Hint</summary>What do you get if you take the minimum of two numbers from their
# maximum? How long is the row that does it?</details>
# <details><summary>Solution</summary>
#
# ```python
# answer = nn.Sequential(lt.MaxMin(), linear([[math.sqrt(0.5), -math.sqrt(0.5)]]))
# ```
#
# </details>

# %% [markdown]
# ## The letter W (A.1, Fig. 11)
#
# The paper's second network has two hidden layers of four units and approximates the letter W, with
# slope 1 or −1 almost everywhere. The W is $\bigl||x| - c\bigr|$: fold the line at 0, lower it by $c$,
# fold again. One vector does all the work, $e = \tfrac12(1, -1, 1, -1)$. It has length 1, and
# sorting a multiple of it takes the absolute value of the factor: $\mathrm{MaxMin}(t\,e) = |t|\,e$.

# %%
e = [0.5, -0.5, 0.5, -0.5]
proof = lt.prove(lambda t: maxmin([v * t for v in e]), lambda t: [v * abs(t) for v in e])
assert proof
print("MaxMin(t e) = |t| e:", proof)

# %% [markdown]
# Here $t$ was an unknown. The whole network can be written in the same way, with the corner $c$ as a
# second unknown.


# %%
def letter_w(x, c):
    h = maxmin([v * x for v in e])  # |x| e
    h = maxmin([u - c * v for u, v in zip(h, e, strict=True)])  # ||x| - c| e
    return sum(v * u for u, v in zip(h, e, strict=True))


proof = lt.prove(letter_w, lambda x, c: abs(abs(x) - c))
assert proof
print("||x| - c|, with c as an input too:", proof)

# %% [markdown]
# That covers every $x$ and every $c$, negative ones included. `lt.w_network(c)` is the network as
# PyTorch runs it. The weights are $e$, the identity and $e^\top$, all of whose singular values are
# 1; the shift by $c\,e$ is a bias. We prove it for $c = 1$, and look at its weights and its slope.

# %%
network = lt.w_network(c=1.0)
assert lt.prove(network, lambda x: abs(abs(x[0]) - 1))
assert network[4].weight.flatten().tolist() == e
assert network[2].bias.tolist() == [-v for v in e]
for i in (0, 2, 4):
    sigma = torch.linalg.svdvals(network[i].weight)
    assert torch.allclose(sigma, torch.ones_like(sigma))
inputs = torch.linspace(-3, 3, 8, dtype=torch.float64)[:, None].requires_grad_()
(slopes,) = torch.autograd.grad(network(inputs).sum(), inputs)
assert torch.allclose(slopes.abs(), torch.ones_like(slopes))
print("The W with c = 1: all singular values are 1, and |slope| is 1 at 8 points.")

# %% [markdown]
# This is the paper's Figure 11, a row for each hidden layer. Units 3 and 4 repeat units 1 and 2, so
# their curves lie on each other. The panels on the right read a layer with the output weights
# $e^\top$.

# %%
show(draw_w(x=1.5, c=1.0))

# %% [markdown]
# **Predict:** we raise $c$ from 1 to 2. Which panels change? And for which $c$ does the W become a
# V?

# %%
slider_figure(draw_w, x=(-3.0, 3.0, 0.25), c=(-1.0, 2.0, 0.25))

# %% [markdown]
# The upper row does not change, as $c$ enters behind it. At $c = 0$ the two lower corners meet, and
# the second fold finds nothing to fold. For negative $c$ it never does:

# %%
proof = lt.prove(letter_w, lambda x, c: abs(x) - c, domain=lambda x, c: c <= 0)
assert proof
print("|x| - c if c is at most 0:", proof)

# %% [markdown]
# The paper's networks were trained, so their curves come close to these shapes. Ours have closed
# forms and meet them exactly. What the paper shows with them stands: a few sorts make corners, and
# the slope stays 1.

# %% [markdown]
# ### Exercise 5 ●●● · 12 min · three-folds
# Build a network with one input and one output that computes $\bigl|\,||x| - 2| - 1\,\bigr|$, from
# `lt.MaxMin()` and linear layers of 2-norm at most 1. Biases may be of any size.

# %%
answer = ...
check("01.three-folds", answer)

# %% [markdown]
# <details><summary>Hint</summary>
#
# What does each hidden layer hold, if the first one holds
# $|x|\,e$? Print the layers of `lt.w_network(2.0)`: where does the next fold go?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# v = torch.tensor(e)
# fold, eye = lt.MaxMin(), torch.eye(4)
# answer = nn.Sequential(
#     linear(v[:, None]), fold, linear(eye, -2 * v), fold, linear(eye, -v), fold, linear(v[None])
# )
# ```
#
# </details>

# %% [markdown]
# ## ReLU from a zero beside each entry (A.2, Eq. (6))
#
# GroupSort is no poorer than ReLU: with a zero as partner, the first entry of the sorted pair is
# $\max(x, 0)$. For a vector each entry gets a zero of its own. The matrix $E$ puts them in, and
# $E^\top$ reads the first of each pair:
#
# $$\mathrm{ReLU}(x) = E^\top \mathrm{MaxMin}(E x), \qquad E x = (x_1, 0, x_2, 0, \dots).$$

# %%
network = lt.relu_network(2)
E = network[0].weight
assert torch.equal(network[2].weight, E.T)
for W in (E, E.T):
    assert lt.operator_norm(W) == lt.operator_norm(W, math.inf) == 1
print("E (3, -1) =", (E @ torch.tensor([3.0, -1.0]).double()).tolist())

# %% [markdown]
# Both matrices have norm 1, in the 2-norm and in the ∞-norm. And it is ReLU everywhere.

# %%
proof = lt.prove(network, lambda x: [Max(x[0], 0), Max(x[1], 0)])
assert proof
print("ReLU:", proof)

# %% [markdown]
# A trap: it is tempting to append the zeros at the end, $(x_1, x_2, 0, 0)$. Then $x_1$ and $x_2$
# share a pair. We let the solver find an input that shows it. (A single entry has nobody else to
# share with: for $n = 1$ the end is beside it.)

# %%
A = torch.cat([torch.eye(2), torch.zeros(2, 2)])  # zeros appended
appended = nn.Sequential(linear(A), lt.MaxMin(), linear(A.T))
found = lt.prove(appended, lambda x: [Max(x[0], 0), Max(x[1], 0)])
assert not found
assert not torch.allclose(appended(found.input), torch.relu(found.input))
assert torch.equal(lt.relu_network(1)[0].weight.flatten(), torch.tensor([1.0, 0.0]).double())
print(found)

# %% [markdown]
# ## Concatenated ReLU from the same pairs (A.2, Eq. (7))
#
# The second entry of a sorted pair is not waste: $\min(x, 0) = -\mathrm{ReLU}(-x)$. With its sign
# changed we have *concatenated ReLU*, which keeps both halves, $\mathrm{ReLU}(x)$ and
# $\mathrm{ReLU}(-x)$. The last matrix is a permutation with signs, of norm 1.

# %%
network = lt.crelu_network(2)
assert lt.is_orthonormal(network[2].weight)
proof = lt.prove(network, lambda x: [Max(v, 0) for v in (x[0], x[1], -x[0], -x[1])])
assert proof
print("Concatenated ReLU:", proof)

# %% [markdown]
# ## Leaky ReLU, an erratum and its mend (A.2)
#
# *Leaky ReLU* has slope 1 for $x > 0$ and a small slope $a$ for $x < 0$. The appendix proposes to
# put $a x$ beside $x$ instead of 0, and to select the maximum. For every $a \le 1$ this has slope 1
# right and $a$ left of 0: leaky ReLU for $0 \le a \le 1$, a V for $a < 0$, lopsided but for $a = -1$.
# Above 1 the slopes trade places.


# %%
def first_of_pair(x, a):
    return maxmin([x, a * x])[0]


proof = lt.prove(first_of_pair, lambda x, a: If(x > 0, x, a * x), domain=lambda x, a: a <= 1)
assert proof
swapped = lt.prove(first_of_pair, lambda x, a: If(x > 0, a * x, x), domain=lambda x, a: a >= 1)
assert swapped
print("max(x, a x) has slopes 1 and a:", proof)

# %% [markdown]
# But the column $(1, a)$ is a weight matrix. Its 2-norm is $\sqrt{1 + a^2}$, more than the 1 that we
# may spend unless $a = 0$. The ∞-norm is the greater of 1 and $|a|$: fine for $|a| \le 1$. If we
# rescale the column to 2-norm 1, the slope shrinks. We take $a = 1/4$ and let the solver find an
# input that shows it.

# %%
a = 0.25
column = torch.tensor([[1.0], [a]]).double()
norm = lt.operator_norm(column).item()
assert lt.operator_norm(column, math.inf) == 1
assert lt.operator_norm(torch.tensor([[1.0], [-2.0]]), math.inf) == 2
rescaled = nn.Sequential(linear(column / norm), lt.MaxMin(), linear([[1.0, 0.0]]))
found = lt.prove(rescaled, lambda x: If(x[0] > 0, x[0], a * x[0]), domain=(-2, 2))
assert not found
assert abs(rescaled(found.input) - found.input) > 0.02
print(f"2-norm {norm:.3f}, slope after rescaling {1 / norm:.3f}. {found}")

# %% [markdown]
# Can we do better with two units? We try the same vector $v = (v_1, v_2)$ on both sides:
# $f(x) = v^\top \mathrm{MaxMin}(v x)$, with $v_1 \ge |v_2|$. For $x > 0$ the pair
# $(v_1 x, v_2 x)$ is in order, and the slope is $v_1^2 + v_2^2$. For $x < 0$ the sort swaps it, and
# the slope is $2 v_1 v_2$. So we want
#
# $$v_1^2 + v_2^2 = 1 \qquad\text{and}\qquad 2 v_1 v_2 = a.$$
#
# The first equation says that $v$ has norm 1: exactly what the constraint allows. The solver
# agrees, for every $x$ and every slope $a$ at once.


# %%
def leaky(x, a, v1, v2):
    h = maxmin([v1 * x, v2 * x])
    return v1 * h[0] + v2 * h[1]


def unit_vector(x, a, v1, v2):
    return [v1 * v1 + v2 * v2 == 1, 2 * v1 * v2 == a, v1 >= v2, v1 >= -v2]


proof = lt.prove(leaky, lambda x, a, v1, v2: If(x > 0, x, a * x), domain=unit_vector)
assert proof
print("Leaky ReLU for every slope:", proof)

# %% [markdown]
# The picture shows both ways. On the right the weights are drawn as arrows, with the circle of
# norm 1.

# %%
show(draw_leaky(slope=0.25))

# %% [markdown]
# **Predict:** for which slope $a$ do the two curves differ most? Which functions do we get at
# $a = 0$, $a = 1$ and $a = -1$?

# %%
slider_figure(draw_leaky, slope=(-1.0, 1.0, 0.125))

# %% [markdown]
# The curves agree at $a = 0$ only, which is ReLU. They differ most at both ends, where $(1, a)$ has
# norm $\sqrt 2$ and rescaling leaves the slope 0.707. With $v$ we get the identity at $a = 1$ and
# $|x|$ at $a = -1$, all with weights of norm 1.

# %%
t = torch.linspace(-3, 3, 61, dtype=torch.float64)[:, None]
for a, target in {0.0: torch.relu, 1.0: lambda x: x, -1.0: torch.abs}.items():
    network = lt.leaky_relu_network(a)
    assert torch.allclose(network(t), target(t))
    assert abs(lt.operator_norm(network[0].weight) - 1) < 1e-12
shrunk = {k / 8: 1 / math.hypot(1, k / 8) for k in range(-8, 9)}
assert [a for a, slope in shrunk.items() if slope == 1] == [0]
assert min(shrunk.values()) == shrunk[-1] == shrunk[1]
print(f"a = 0, 1, -1: ReLU, the identity, |x|. Rescaling leaves {shrunk[1]:.3f} at the ends.")

# %% [markdown]
# ### Exercise 6 ●●○ · 8 min · leaky-weights
# Write the function that finds $v$: for a slope $a$ in $[-1, 1]$, a Python number, return
# $(v_1, v_2)$ with $v_1^2 + v_2^2 = 1$, $2 v_1 v_2 = a$ and $v_1 \ge |v_2|$.


# %%
def my_v(a):
    # your code
    ...


check("01.leaky-weights", my_v)

# %% [markdown]
# <details><summary>Hint</summary>
#
# A vector of length 1 is $(\cos t, \sin t)$. What is
# $2 \cos t \sin t$? Or: what are $(v_1 + v_2)^2$ and $(v_1 - v_2)^2$?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_v(a):
#     t = math.asin(a) / 2
#     return torch.tensor([math.cos(t), math.sin(t)])
# ```
#
# </details>

# %% [markdown]
# ## Maxout and what it asks of the weights (A.2)
#
# *Maxout* keeps the maximum of each group of $k$ entries. The appendix sorts each group and selects
# its first element.

# %%
network = lt.maxout_network(6, size=3)
assert lt.operator_norm(network[1].weight) == 1
proof = lt.prove(network, lambda x: [Max(Max(x[i], x[i + 1]), x[i + 2]) for i in (0, 3)])
assert proof
print("Maxout of two groups of 3:", proof)

# %% [markdown]
# Two conditions come with it. First, the sort must be descending: after an ascending sort the first
# element is the minimum.

# %%
x = torch.tensor([1.0, 5.0, 2.0, -1.0, -7.0, -3.0])
descending = lt.group_sort(x, 3)[::3].tolist()
ascending = lt.group_sort(x, 3, descending=False)[::3].tolist()
assert descending == [5, -1]
assert ascending == [1, -7]
print("first elements: descending", descending, "ascending", ascending)

# %% [markdown]
# Second, the layer that makes the $k$ entries must keep the norm as a whole. To bound each row by
# itself is not enough: two equal rows of length 1 have together the 2-norm $\sqrt 2$. Orthogonal
# rows are fine, and under the ∞-norm equal rows are.

# %%
equal = torch.tensor([[0.6, 0.8], [0.6, 0.8]], dtype=torch.float64)
orthogonal = torch.tensor([[0.6, 0.8], [-0.8, 0.6]], dtype=torch.float64)
assert abs(lt.operator_norm(equal) - math.sqrt(2)) < 1e-9
assert abs(lt.operator_norm(orthogonal) - 1) < 1e-9
assert lt.operator_norm(torch.eye(2)[[0, 0]], math.inf) == 1
print("Two equal unit rows: 2-norm √2. Two orthogonal ones: 2-norm 1.")

# %% [markdown]
# ### Exercise 7 ●○○ · 3 min · maxout-norm
# A maxout unit takes the maximum of nine linear functions. Suppose that all nine rows are the same
# vector of length 1. What is the 2-norm of this layer?

# %%
answer = ...
check("01.maxout-norm", answer)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Feed the layer its own row $u$. What are the nine outputs, and how
# long is the vector of all of them?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# answer = 3
# ```
#
# </details>

# %% [markdown]
# ## Recap
#
# - GroupSort sorts groups of neighbours, the largest first. The size is that of a group; size 2 is
#   MaxMin. Values move, and none is changed.
# - MaxMin is 1-Lipschitz. The Jacobian of a sort is a permutation; at a tie there is no derivative,
#   and automatic differentiation takes a permutation there too. `maximum` with `minimum` loses a
#   gradient at ties, and `max` with `min` along a dimension can lengthen it by $\sqrt 2$.
# - $|x|$ takes one sort and the W two, exactly, with all singular values 1: proved for every real
#   $x$, and the W for every $c$.
# - A zero beside each entry gives ReLU and concatenated ReLU with norm 1; zeros at the end do not,
#   from two entries on.
# - Leaky ReLU from $(1, a)$ breaks the 2-norm for every $a \ne 0$; the unit vector with
#   $2 v_1 v_2 = a$ keeps it.
#   Maxout needs a descending sort, and a layer before it that keeps the norm as a whole.
#
# ## Where next
#
# Is a larger group stronger? In [lesson 02](02_same_power.ipynb) we turn MaxMin into FullSort and
# back, and the absolute value into MaxMin. [Lesson 03](03_why_relu_is_linear.ipynb) shows why ReLUs
# under the same constraint cannot do what two sorted units did here.
