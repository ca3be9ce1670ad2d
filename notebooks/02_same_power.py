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
# # 02 · One power, many activations
#
# Lesson 01 sorted pairs. One may also sort groups of eight, or the whole layer, or take absolute
# values. Does the choice matter for what a 1-Lipschitz network can compute? Appendix A.3 of Anil,
# Lucas and Grosse (2019) says no: each of these activations can be built from another, with
# weights of norm 1. We build all of these networks, let a solver prove each, mend three
# formulas on the way, and end with what sorting costs (A.4).
#
# **What you will be able to do**
#
# - say what "the same expressive power" means, and show it by a construction
# - choose biases with which one big sort does the work of many small ones
# - draw a network of comparisons that sorts, and prove by 0 and 1 that it does
# - write MaxMin as a fold of the plane, and say on which domain this is right
# - estimate what sorting costs, in comparisons and in numbers moved
#
# **Before you start**: lesson 01 (GroupSort, MaxMin, the operator norm of a matrix).
#
# Reading: 44 minutes, optional parts 4 more · exercises: 46 minutes · running: under 50 seconds

# %%
import math

import torch
from torch import nn

import lipteach as lt
from lipteach import linear, terms
from lipteach.classroom import check, show, show_benchmark, slider_figure
from lipteach.classroom.lessons.l02_same_power.figures import (
    draw_chunks,
    draw_fold,
    draw_last_shift,
    draw_sorting_network,
)
from lipteach.classroom.lessons.l02_same_power.sorting_cost import (
    benchmark_cases,
    comparisons_per_entry,
    draw_benchmark,
    draw_comparisons,
)

torch.set_grad_enabled(False)  # nothing is trained here
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# Two helpers are worth a word. `linear(W, b)` is an `nn.Linear` that carries the weights we write.
# `terms` holds the same functions as `lt` for the solver's symbols: `terms.maxmin`, and so on.

# %% [markdown]
# ## What the same power means (A.3)
#
# Fix a domain and a norm. An activation **A can play** an activation **B** if some network with
# activation A and weight matrices of norm 1 equals B on the domain. In a network that uses B, we
# may then put this small network in place of every B. The whole computes what it did, as long as
# everything that reaches a B lies in the domain, and each of its weight matrices still has norm at
# most 1. If A can play B and B can play A, for every bounded domain, the two have the same power.
#
# The smallest example is known from lesson 01: MaxMin plays the absolute value. We expect two
# layers of norm 1 and no error.

# %%
z = torch.tensor([[-2.0], [0.0], [1.5]], dtype=torch.float64)
player = lt.abs_from_maxmin()
assert torch.allclose(player(z), z.abs())
norms = [lt.operator_norm(layer.weight).item() for layer in player if hasattr(layer, "weight")]
print("2-norms of its layers:", [round(norm, 6) for norm in norms])

# %% [markdown]
# In this lesson MaxMin meets two partners: FullSort, which sorts all entries of a layer, and the
# absolute value. That makes four constructions. The appendix gives three; we add the fourth.

# %% [markdown]
# ## MaxMin from one sort (A.3)
#
# FullSort mixes everything; MaxMin must keep each pair to itself. The idea of the appendix: before
# the sort, lift each pair to a height of its own by a bias. The sort then cannot mix them. After
# the sort, take the biases away:
#
# $$\mathrm{MaxMin}(x) = \mathrm{FullSort}(x + b) - b,
#   \qquad b = (\dots,\ 2g, 2g,\ g, g,\ 0, 0).$$
#
# We call $g$ the **gap**. Here is the whole construction.


# %%
def maxmin_by_one_sort(x, gap):
    """MaxMin along the last dimension from one sort of all its entries."""
    n = x.shape[-1]
    pair = torch.arange(n // 2 - 1, -1, -1, dtype=x.dtype)  # …, 2, 1, 0
    b = gap * pair.repeat_interleave(2)  # …, 2g, 2g, g, g, 0, 0
    return lt.full_sort(x + b) - b


# %% [markdown]
# We compare it with MaxMin on 1000 random points of $[-1, 1]^6$, to which we add points with ties.
# The gap is 2. The package builds the same network, `lt.maxmin_from_full_sort`, from `nn.Linear`
# layers whose weights are the identity.

# %%
x = 2 * torch.rand(1000, 6, dtype=torch.float64, generator=generator) - 1
x = torch.cat([x, x.round(), torch.ones(1, 6).double()])  # rounded points are full of ties
network = lt.maxmin_from_full_sort(6, bound=1.0)
assert torch.equal(maxmin_by_one_sort(x, gap=2.0), network(x))
assert torch.allclose(maxmin_by_one_sort(x, gap=2.0), lt.maxmin(x), atol=1e-12, rtol=0)
print("one sort = MaxMin on", len(x), "points, ties included")

# %% [markdown]
# ## The gap between the pairs (A.3)
#
# How large must the gap be? Let every entry lie in $[-1, 1]$. The entries of a pair with bias $b$
# lie in $[b - 1, b + 1]$, an interval of length 2. We draw two pairs, and as dots the input
# $x = (-1, -1, 1, 1)$, with the upper pair as low as it can be and the lower pair as high.
#
# **Predict:** the appendix asks for a gap of at least $x_{\max}$, the largest $|x_i|$, here 1. Is
# that enough? Where does the error die as the gap grows?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(draw_chunks(gap=1.0))

# %% [markdown]
# It is not enough. We move the gap.

# %%
slider_figure(draw_chunks, gap=(1.0, 2.6, 0.1))

# %% [markdown]
# The hatched band is where the two intervals overlap; a value of pair 1 and one of pair 2 can
# change places there. At this input the error is $2 - g$, and it dies at $g = 2$: twice what the
# appendix asks for.

# %%
corner = torch.tensor([-1.0, -1.0, 1.0, 1.0]).double()
for g in (0.0, 0.5, 1.0, 1.5, 2.0):
    off = (maxmin_by_one_sort(corner, g) - lt.maxmin(corner)).abs().max()
    assert math.isclose(off, 2 - g, abs_tol=1e-12)
show(draw_chunks(gap=2.0))

# %% [markdown]
# Does another input do worse? We let the solver answer for every gap at once: the gap is a variable
# of its own. In `lt.prove(f, claim, domain)` the claim is a second function that should equal `f`
# or, with one parameter more for the output of `f`, a list of conditions. The domain is a list of
# conditions, or simply the two ends of an interval for every input.


# %%
def one_sort(x1, x2, x3, x4, g):
    y1, y2, y3, y4 = terms.full_sort([x1 + g, x2 + g, x3, x4])
    return [y1 - g, y2 - g, y3, y4]


def off_by_at_most(x1, x2, x3, x4, g, y):
    pairs = zip(y, terms.maxmin([x1, x2, x3, x4]), strict=True)
    return [abs(got - want) <= 2 - g for got, want in pairs]


def in_the_cube(*x_and_g):
    *x, g = x_and_g
    return [term for v in x for term in (v >= -1, v <= 1)] + [g <= 2]


# %% [markdown]
# The claim: on $[-1, 1]^4$ no entry is ever off by more than $2 - g$, for all $g \le 2$.

# %%
result = lt.prove(one_sort, off_by_at_most, in_the_cube)
assert result
print(result)

# %% [markdown]
# So $2 - g$ is exactly the worst error. For the appendix's gap we ask the solver to find an input
# by itself. (`bound` is half the gap, so `bound=0.5` builds the gap 1.)

# %%
refuted = lt.prove(lt.maxmin_from_full_sort(4, bound=0.5), lt.MaxMin(), domain=(-1, 1))
assert not refuted
print(refuted)

# %% [markdown]
# A counterexample is an input that one can run. We do, in PyTorch.

# %%
wrong = maxmin_by_one_sort(refuted.input, gap=1.0)
right = lt.maxmin(refuted.input)
assert (wrong - right).abs().max() > 0.5
print("one sort, gap 1:", wrong.tolist())
print("MaxMin:         ", right.tolist())

# %% [markdown]
# With the gap $2 x_{\max}$ the claim is proved, here for 4, 6 and 8 entries.

# %%
for n in (4, 6, 8):
    result = lt.prove(lt.maxmin_from_full_sort(n, bound=1.0), lt.MaxMin(), domain=(-1, 1))
    assert result
    print(f"n = {n}: {result}")

# %% [markdown]
# **What holds.** For a box $[\mathit{lo}, \mathit{hi}]^n$ of any even $n$ the gap
# $\mathit{hi} - \mathit{lo}$ is enough:
#
# 1. pair $j$ lies in $[b_j + \mathit{lo},\ b_j + \mathit{hi}]$, and the next lower pair ends where
#    this one begins, or below;
# 2. thus the sort lists the first pair first, then the second, and so on;
# 3. within a pair the greater entry comes first. At a tie two equal values may change places, which
#    changes nothing.
#
# For four entries the solver takes all boxes at once, with `low` and `high` as variables.


# %%
def sort_in_a_box(x1, x2, x3, x4, low, high):
    return one_sort(x1, x2, x3, x4, high - low)


def pairs_in_a_box(x1, x2, x3, x4, low, high):
    return terms.maxmin([x1, x2, x3, x4])


def all_in_the_box(*x_and_ends):
    *x, low, high = x_and_ends
    return [term for v in x for term in (v >= low, v <= high)]


result = lt.prove(sort_in_a_box, pairs_in_a_box, all_in_the_box)
assert result
print(result)

# %% [markdown]
# The appendix's gap $x_{\max}$ is right where no entry is negative, on $[0, x_{\max}]^n$: there
# $\mathit{hi} - \mathit{lo} = x_{\max}$. Its condition $x_{\max} < b_1$ on the least bias is not
# needed: only differences between the biases matter.

# %%
for n in (4, 6, 8):
    result = lt.prove(lt.maxmin_from_full_sort(n, bound=0.5), lt.MaxMin(), domain=(0, 1))
    assert result
    print(f"n = {n}: {result}")

# %% [markdown]
# With biases far below $x_{\max}$ the sort still gives MaxMin.

# %%
x = 2 * torch.rand(1000, 4, dtype=torch.float64, generator=generator) - 1
b = torch.tensor([-98.0, -98.0, -100.0, -100.0], dtype=torch.float64)
assert torch.allclose(lt.full_sort(x + b) - b, lt.maxmin(x))
print("the level of the biases does not matter")

# %% [markdown]
# ### Exercise 1 ●○○ · 4 min · break-the-gap
#
# With $b = (1.6, 1.6, 0, 0)$ find an $x$ in $[-1, 1]^4$ at which $\mathrm{FullSort}(x + b) - b$
# differs from MaxMin by at least 0.3 in some entry. Write four numbers.

# %%
answer = ...
check("02.break-the-gap", answer)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Which entry of the first pair must fall below which entry of the second, once the biases are
# added?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# answer = [-1.0, -1.0, 1.0, 1.0]
# ```
#
# The lifted pairs are $(0.6, 0.6)$ and $(1, 1)$: the second overtakes the first by 0.4.
#
# </details>

# %% [markdown]
# ### Why random tests are not enough
#
# Take the gap 1.99. We already know an input that is off by 0.01. Do 2000 random points see it?

# %%
own = torch.Generator().manual_seed(0)
points = 2 * torch.rand(2000, 4, dtype=torch.float64, generator=own) - 1
assert torch.allclose(maxmin_by_one_sort(points, gap=1.99), lt.maxmin(points))
error = (maxmin_by_one_sort(corner, gap=1.99) - lt.maxmin(corner)).abs().max()
assert math.isclose(error, 0.01, rel_tol=1e-9)
print("2000 random points: no error seen; the corner: error", round(error.item(), 4))

# %% [markdown]
# A point fails if some $x_j - x_i$ exceeds 1.99, with $i$ in the first pair and $j$ in the second.
# For one such $i$ and $j$ the point $(x_i, x_j)$ must hit a triangle of area $\frac12 \cdot 0.01^2$
# in a square of area 4. There are four choices of $i$ and $j$: together the chance is 1 in 20,000.
# A test with 2000 points passes nine times in ten. A million points confirm the chance.

# %%
points = 2 * torch.rand(1_000_000, 4, dtype=torch.float64, generator=generator) - 1
off = (maxmin_by_one_sort(points, gap=1.99) - lt.maxmin(points)).abs().amax(dim=1) > 1e-9
assert 2e-5 < off.double().mean() < 8e-5
chance = 4 * 0.25 * 0.5 * 0.01**2
assert math.isclose(chance, 1 / 20_000) and 0.90 < (1 - chance) ** 2000 < 0.91
print("about 1 point in 20,000 is wrong: yes")

# %% [markdown]
# The solver needs no luck: it looks for the failing input by algebra.

# %%
refuted = lt.prove(lt.maxmin_from_full_sort(4, bound=0.995), lt.MaxMin(), domain=(-1, 1))
assert not refuted
print(refuted)

# %% [markdown]
# ## Which way the biases run (A.3)
#
# The appendix lets the biases **ascend**: $b_1 = b_2$ is the least. But the name MaxMin, and
# maxout's "first element", ask for a **descending** order. The two do not go together. Ascending
# biases with an ascending sort give the minimum first; with a descending sort, biases are taken
# from the wrong entries.
#
# **What holds.** Descending biases with a descending sort give MaxMin. Ascending with ascending
# give MinMax, which is just as strong: the two differ by a permutation of the outputs, and a
# permutation matrix has norm 1.

# %%
x = torch.tensor([0.3, -0.2, 0.9, -0.7], dtype=torch.float64)
b = torch.tensor([1.5, 1.5, 3.5, 3.5], dtype=torch.float64)
upwards = lt.full_sort(x + b, descending=False) - b
downwards = lt.full_sort(x + b) - b
swap = torch.eye(4, dtype=torch.float64)[[1, 0, 3, 2]]
assert torch.allclose(swap @ upwards, lt.maxmin(x)) and lt.operator_norm(swap) == 1
assert downwards.max() > x.max()  # not even the values are those of x
print("ascending sort: MinMax, which is MaxMin up to a permutation; descending sort: neither")

# %% [markdown]
# ### Exercise 2 ●●○ · 8 min · chunk-biases
#
# Write `chunk_biases(n, low, high)`: it returns a tensor of $n$ biases with which
# `lt.full_sort(x + b) - b` is MaxMin for every $x$ in $[\mathit{low}, \mathit{high}]^n$.


# %%
def chunk_biases(n, low, high): ...


check("02.chunk-biases", chunk_biases)

# %% [markdown]
# <details><summary>Hint</summary>
#
# How long is the interval in which a pair may lie? Which pair must come out first, and so lie
# highest?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def chunk_biases(n, low, high):
#     pair = torch.arange(n // 2 - 1, -1, -1, dtype=torch.float64)
#     return (high - low) * pair.repeat_interleave(2)
# ```
#
# </details>

# %% [markdown]
# ### What the biases cost in float32
#
# *Optional, 1 minute.*
# So far we computed in float64. With $n = 1024$ entries the largest bias is $2 \cdot 511 = 1022$.
# Near it the numbers of float32 stand $2^{-14}$ apart, so that $x + b$ is rounded by up to half of
# that. We expect an error of up to $2^{-15} \approx 3 \cdot 10^{-5}$, and nothing worse.

# %%
x = 2 * torch.rand(100, 1024, dtype=torch.float64, generator=generator) - 1
single, double = x.float(), x
error32 = (maxmin_by_one_sort(single, gap=2.0) - lt.maxmin(single)).abs().max()
error64 = (maxmin_by_one_sort(double, gap=2.0) - lt.maxmin(double)).abs().max()
assert 2.9e-5 < error32 <= 2**-15
assert error64 <= 2**-44
print("float32 is off by at most 2^-15, float64 by at most 2^-44: yes")

# %% [markdown]
# ## Sorting everything with pairs (A.3)
#
# "The same power" needs the way back: FullSort from MaxMin. The appendix leaves it out. One layer
# of MaxMin compares each entry with one other. Between two layers a permutation chooses who
# meets whom next. Can such layers sort? They can: this is a **sorting network**, drawn as wires
# (entries) and bars (comparisons). At each bar the greater value takes the upper wire.

# %%
show(draw_sorting_network(done=3, shuffle=0))

# %% [markdown]
# **Predict:** look at one shuffle. After which round is 8 on the top wire for sure, whatever the
# shuffle? Go back to round 0 and step through the rounds; then try other shuffles.

# %%
slider_figure(draw_sorting_network, done=(0, 6, 1, 3), shuffle=(0, 20, 1))

# %% [markdown]
# Only after the last round. If 8 wins the lower half, it stands on wire 5 after round 3; then it
# climbs to wire 4, to wire 2, and in round 6 to wire 1. A single 1 among zeros shows it. We cut the
# network `sorter` off before its last comparisons, whose pairs are neighbours, in the order of the
# wires.

# %%
sorter = lt.full_sort_from_maxmin(8)
one_large = torch.eye(8, dtype=torch.float64)  # row i: the large entry starts on wire i + 1
before, after = sorter[:-2](one_large), sorter(one_large)
assert before[4].tolist() == [0, 1, 0, 0, 0, 0, 0, 0] and not before[:, 0].all()
assert after[:, 0].all()
print("the largest entry is on wire 1 for sure after round 6, and not before")

# %% [markdown]
# Try it on eight numbers of your own: change the list below. Ties are welcome.

# %%
show(draw_sorting_network(done=6, values=[3, 1, 4, 1, 5, 9, 2, 6]))

# %% [markdown]
# This is Batcher's **bitonic sorter** (1968). Round 1 sorts pairs. Rounds 2 and 3 merge two sorted
# pairs into a sorted four; rounds 4 to 6 merge two sorted fours into a sorted eight. A merge begins
# by comparing one block with the mirror image of the other. That puts the greater half on top;
# the following rounds halve the distance.
#
# ### Exercise 3 ●○○ · 3 min · count-rounds
#
# Merging to blocks of 2, 4 and 8 took 1, 2 and 3 rounds. How many rounds, that is layers of MaxMin,
# does the sorter of 1024 entries have?

# %%
answer = ...
check("02.count-rounds", answer)

# %% [markdown]
# <details><summary>Hint</summary>
#
# How many merges lead from single entries to a block of 1024, and how many rounds has the last one?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# answer = sum(range(1, 11))
# ```
#
# $1 + 2 + \dots + 10 = 55$, since $1024 = 2^{10}$.
#
# </details>

# %% [markdown]
# The package builds the network from `nn.Linear` and MaxMin. For $n = 2^m$ we expect
# $1 + 2 + \dots + m = m(m+1)/2$ layers of MaxMin. Every weight should be a permutation matrix, with
# norm 1 in the 1-, the 2- and the ∞-norm.


# %%
def is_permutation(W):
    one_per_line = (W.sum(dim=0) == 1).all() and (W.sum(dim=1) == 1).all()
    return bool(((W == 0) | (W == 1)).all() and one_per_line)


for m in range(1, 7):
    bitonic = lt.full_sort_from_maxmin(2**m)
    assert sum(isinstance(layer, lt.MaxMin) for layer in bitonic) == m * (m + 1) // 2
    for layer in bitonic[::2]:
        norms = [lt.operator_norm(layer.weight, p) for p in (1, 2, math.inf)]
        assert is_permutation(layer.weight) and all(math.isclose(norm, 1) for norm in norms)
print("m(m + 1)/2 layers and permutations of norm 1 for n = 2, 4, ..., 64")

# %% [markdown]
# Does it sort every input? For 4 and 6 entries we ask the solver. (For 6, not a power of 2, the
# package compares neighbours in turn, in $n$ rounds.)

# %%
for n in (4, 6):
    result = lt.prove(lt.full_sort_from_maxmin(n), lt.FullSort())
    assert result
    print(f"n = {n}: {result}")

# %% [markdown]
# ### The 0-1 principle
#
# For more entries there is a proof that needs no solver. It rests on one fact: a comparison
# commutes with every function $s$ that never decreases. It does not matter whether we apply $s$
# before the comparison or after. Permutations commute with $s$ too, and so does the network. We see
# it with a step: $s(v) = 1$ if $v \ge 0.3$, else 0.


# %%
def step(values):
    return (values >= 0.3).double()


x = torch.randn(500, 8, dtype=torch.float64, generator=generator)
assert torch.equal(sorter(step(x)), step(sorter(x)))
print("step, then sort = sort, then step")

# %% [markdown]
# Now the proof, in three steps:
#
# 1. suppose that the network leaves some real input $x$ unsorted: one output is less than the next,
#    $u < v$;
# 2. take the step at $v$: it sends $u$ to 0 and $v$ to 1. The stepped input $s(x)$ consists of
#    zeros and ones, and its output $s(\text{network}(x))$ has that 0 before that 1: it is unsorted
#    as well;
# 3. so a network of comparisons that sorts **every input of zeros and ones** sorts **every real
#    input**.
#
# For 16 entries these are 65,536 inputs: one batch.


# %%
def all_bits(n):
    return ((torch.arange(2**n)[:, None] >> torch.arange(n)) & 1).double()


for n in (4, 6, 8, 10, 16):
    bits = all_bits(n)
    assert torch.equal(lt.full_sort_from_maxmin(n)(bits), lt.full_sort(bits))
print(f"n = 16: all {len(bits)} inputs of zeros and ones are sorted, hence every real input is")

# %% [markdown]
# ### Exercise 4 ●●● · 15 min · second-largest
#
# Build `network`, an `nn.Sequential` from 4 inputs to 1 output that gives the second largest entry,
# always. You may use `lt.MaxMin()` and `linear(W)` with weights of 2-norm at most 1.

# %%
network = ...
check("02.second-largest", network)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Let winners play winners, and losers play losers. Which two of the four can still be second?
# `torch.eye(4)[[0, 2, 1, 3]]` is the permutation that exchanges the entries in the middle.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# network = nn.Sequential(
#     lt.MaxMin(),  # two winners, two losers
#     linear(torch.eye(4)[[0, 2, 1, 3]]),
#     lt.MaxMin(),  # the largest, the lesser winner, the better loser, the smallest
#     linear(torch.eye(4)[[1, 2]]),
#     lt.MaxMin(),
#     linear(torch.eye(2)[[0]]),
# )
# ```
#
# `lt.full_sort_from_maxmin(4)` followed by the selection of entry 1 is right too.
#
# </details>

# %% [markdown]
# ### Every group size
#
# *Optional, 1 minute.*
# What holds for one big group holds within each group. GroupSort of any even size $k$ plays MaxMin
# by biases that repeat from group to group, and MaxMin plays GroupSort by one sorter in each group.
# Here is the first for two groups of four.

# %%
b = torch.tensor([2.0, 2.0, 0.0, 0.0]).repeat(2)
grouped = nn.Sequential(linear(torch.eye(8), b), lt.GroupSort(4), linear(torch.eye(8), -b))
result = lt.prove(grouped, lt.MaxMin(), domain=(-1, 1))
assert result
print(result)

# %% [markdown]
# And the second: a block-diagonal weight for every weight of the sorter of four.

# %%
eye = torch.eye(2, dtype=torch.float64)
sorter4 = lt.full_sort_from_maxmin(4)
grouped = nn.Sequential(
    *(linear(torch.kron(eye, a.weight)) if isinstance(a, nn.Linear) else a for a in sorter4)
)
result = lt.prove(grouped, lt.GroupSort(4))
assert result
print(result)

# %% [markdown]
# ## MaxMin by folding the plane (A.3)
#
# The second partner of MaxMin is the absolute value. Put two inputs $z = (x, y)$ into new
# coordinates, the sum and the difference:
#
# $$M z = \Bigl(\tfrac{x + y}{\sqrt2},\ \tfrac{x - y}{\sqrt2}\Bigr), \qquad
#   M = \tfrac{1}{\sqrt2}\begin{pmatrix} 1 & 1 \\ 1 & -1 \end{pmatrix}.$$
#
# $M$ is symmetric and its own inverse. Sorting the pair leaves the sum as it is, and makes the
# difference not negative. So in the new coordinates $(s, d)$, MaxMin is the fold
# $(s, d) \mapsto (s, |d|)$.

# %%
M = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64) / math.sqrt(2)
z = 2 * torch.randn(1000, 2, dtype=torch.float64, generator=generator)
s, d = (z @ M).unbind(dim=1)  # M is symmetric: z @ M applies M to every row
assert torch.allclose(M @ M, torch.eye(2).double())
assert torch.allclose(lt.maxmin(z) @ M, torch.stack([s, d.abs()], dim=1))
print("M is its own inverse, and MaxMin folds the plane along x = y")

# %% [markdown]
# An activation acts on all entries of a layer: it takes the absolute value of $s$ as well. To save
# the sign of $s$, shift it first, by so much that $s + \sqrt2 B$ is never negative. Then undo $M$
# and the shift. The shift $(\sqrt2 B, 0)$ comes out of the second $M$ as $(B, B)$:
#
# $$\mathrm{MaxMin}(z) = M\,\Bigl|M z + \binom{\sqrt2 B}{0}\Bigr| - \binom{B}{B}.$$


# %%
def maxmin_by_folding(z, B):
    """MaxMin of the two entries in the last dimension, from absolute values."""
    M = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=z.dtype) / math.sqrt(2)
    shift = torch.tensor([math.sqrt(2) * B, 0.0], dtype=z.dtype)
    return (z @ M + shift).abs() @ M - B


# %% [markdown]
# It should equal the package's network on $[-2, 2]^2$ with $B = 2$, ties included.

# %%
in_square = torch.cat([z.clamp(-2, 2), z.clamp(-2, 2).round()])
folded = maxmin_by_folding(in_square, B=2.0)
assert torch.allclose(folded, lt.maxmin_from_abs(2.0)(in_square))
assert torch.allclose(folded, lt.maxmin(in_square))
print("the fold = MaxMin on", len(in_square), "points")

# %% [markdown]
# When is $B$ large enough? Left, 81 inputs of $[-2, 2]^2$; right, where the layer of absolute
# values puts them.
#
# **Predict:** which inputs are wrong for a small $B$, and at which $B$ does the last one vanish?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(draw_fold(B=1.0))

# %% [markdown]
# We move $B$ from 0 to 2.5.

# %%
slider_figure(draw_fold, B=(0.0, 2.5, 0.25))

# %% [markdown]
# The wrong points are those beyond the dashed line, where $x + y + 2B < 0$. The absolute value puts
# each of them on top of its mirror image across that line, and no later layer can tell the two
# apart.

# %%
to_line = in_square.sum(dim=1, keepdim=True) + 2  # zero on the line x + y + 2B = 0, B = 1
mirrored = in_square - to_line
assert torch.allclose(maxmin_by_folding(mirrored, B=1.0), maxmin_by_folding(in_square, B=1.0))
print("a point and its mirror image have the same output")

# %% [markdown]
# At $B = 2$ the last wrong point vanishes. So we expect the formula to hold wherever
# $x + y + 2B \ge 0$. The solver has $x$, $y$ and $B$ as variables, and $\sqrt2$ as the exact
# number.


# %%
def fold(x, y, B, shift_back=(1, 1)):
    r = 1 / terms.Sqrt(2)
    s, d = terms.linear([[r, r], [r, -r]], [x, y], [terms.Sqrt(2) * B, 0])
    back = [-B * shift for shift in shift_back]
    return terms.linear([[r, r], [r, -r]], [abs(s), abs(d)], back)


def mended(x, y, B):
    return fold(x, y, B)


def maxmin_of_two(x, y, B):
    return [terms.Max(x, y), terms.Min(x, y)]


def sum_not_negative(x, y, B):
    return x + y + 2 * B >= 0


# %%
result = lt.prove(mended, maxmin_of_two, sum_not_negative)
assert result
print(result)

# %% [markdown]
# Without the condition it is false, and the solver finds the point by itself.

# %%
refuted = lt.prove(mended, maxmin_of_two)
assert not refuted
print(refuted)

# %% [markdown]
# ## Two slips in the printed formula (A.3)
#
# In the text that we work from, the left side reads $\max(x), \min(y)$; what is meant is
# $\max(x, y), \min(x, y)$, since the maximum of one number is that number. And the last term reads
# $(B, 0)$.
#
# **Predict:** at $B = 2$ we take $(2, c)$ off at the end. How large is the error of each entry, for
# $c$ from 0 to 4?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(draw_last_shift(0.0))

# %% [markdown]
# We move what is taken off the second entry.

# %%
slider_figure(draw_last_shift, lower=(0.0, 4.0, 0.25))

# %% [markdown]
# The first entry is right for every $c$. The second is off by $|c - 2|$: it wants $B$ as well,
# $(B, B)$. The solver finds an input for the printed form by itself, with the condition on $B$
# fulfilled.


# %%
def printed(x, y, B):
    return fold(x, y, B, shift_back=(1, 0))


refuted = lt.prove(printed, maxmin_of_two, sum_not_negative)
assert not refuted
print(refuted)

# %% [markdown]
# **What holds**: the first entry is right, and the minimum is too large by $B$, always.


# %%
def max_and_raised_min(x, y, B):
    return [terms.Max(x, y), terms.Min(x, y) + B]


result = lt.prove(printed, max_and_raised_min, sum_not_negative)
assert result
print(result)

# %% [markdown]
# ## How large B must be (A.3)
#
# The appendix's condition on $B$ lost its root signs in our text: it reads "2x + 2B > 0". We need
# no guess at it, since $x + y + 2B \ge 0$ is the condition that we proved. On
# $[-x_{\max}, x_{\max}]^2$ it is met by $B = x_{\max}$. A little less is too little. (The solver
# reads the float 0.7071… in $M$ as the exact $1/\sqrt2$, and says so.)

# %%
refuted = lt.prove(lt.maxmin_from_abs(1.9), lt.MaxMin(), domain=(-2, 2))
assert not refuted
print(refuted)
result = lt.prove(lt.maxmin_from_abs(2.0), lt.MaxMin(), domain=(-2, 2))
assert result
print(result)

# %% [markdown]
# ### Exercise 5 ●○○ · 4 min · bound-b
#
# On the square $[-2, 2]^2$ take $B = 1.5$. What is the largest error of an output entry?

# %%
answer = ...
check("02.bound-b", answer)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Which corner has the most negative $x + y + 2B$? What does the network give there?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# answer = 1.0
# ```
#
# At $(-2, -2)$ we have $x + y + 2B = -1$, and the fold turns it into $+1$. Both outputs then become
# $\frac12 - 1.5 = -1$ instead of $-2$. In general the error is $-(x + y + 2B)$.
#
# </details>

# %% [markdown]
# ### Why some bound is needed
#
# Could a cleverer network of absolute values be MaxMin on the whole plane? No. In three steps:
#
# 1. far away the biases hardly count: $f(t x)/t$ tends to $f_0(x)$, the network without biases;
# 2. $f_0$ is even: the first layer only changes the sign of its outputs when $x$ does, and the
#    absolute values forget the sign;
# 3. $\max(x, y)$ is not even: it is 1 at $(1, 1)$ and $-1$ at $(-1, -1)$. So no such network equals
#    it on the whole plane.
#
# We look at the first two in a network with random weights and biases.

# %%
weights = [torch.randn(shape, generator=generator) for shape in ((8, 2), (8, 8), (2, 8))]
biases = [torch.randn(size, generator=generator) for size in (8, 8, 2)]
affine = [linear(W, b) for W, b in zip(weights, biases, strict=True)]
network = nn.Sequential(affine[0], lt.Abs(), affine[1], lt.Abs(), affine[2])
there = torch.tensor([1.0, 1.0], dtype=torch.float64)
far, opposite = network(1e9 * there) / 1e9, network(-1e9 * there) / 1e9
assert torch.allclose(far, opposite, atol=1e-6)
assert not torch.allclose(network(there), network(-there))
print("far away the network is even, and near 0 it is not")

# %% [markdown]
# ### Exercise 6 ●●○ · 12 min · four-by-abs
#
# Build `network`, MaxMin of **four** entries in $[-3, 3]$, from `lt.Abs()` and `linear(W, b)` with
# weights of 2-norm at most 1.

# %%
network = ...
check("02.four-by-abs", network)

# %% [markdown]
# <details><summary>Hint</summary>
#
# The two pairs do not meet. What does a weight matrix look like that applies $M$ to each of them?
# `torch.kron(torch.eye(2).double(), M)` may be of use.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# B = 3.0
# W = torch.kron(torch.eye(2).double(), M)
# shift = [math.sqrt(2) * B, 0.0] * 2
# network = nn.Sequential(linear(W, shift), lt.Abs(), linear(W, [-B] * 4))
# ```
#
# </details>

# %% [markdown]
# ## Back again: the absolute value from MaxMin (A.3)
#
# The way back is the network that we began with:
#
# $$|x| = \tfrac{1}{\sqrt2}\,(1, -1)\;\mathrm{MaxMin}\Bigl(\tfrac{1}{\sqrt2}\binom{1}{-1} x\Bigr).$$
#
# It needs no bound at all.

# %%
result = lt.prove(lt.abs_from_maxmin(), lt.Abs())
assert result
print(result)

# %% [markdown]
# ## The norms of all these matrices (A.3)
#
# The appendix notes that every matrix in these constructions has 2-norm 1. We ask for the 1- and
# the ∞-norm as well.

# %%
networks = {
    "MaxMin from FullSort": lt.maxmin_from_full_sort(6, bound=1.0),
    "FullSort from MaxMin": lt.full_sort_from_maxmin(6),
    "MaxMin from abs": lt.maxmin_from_abs(1.0),
    "abs from MaxMin": lt.abs_from_maxmin(),
}
for name, network in networks.items():
    weights = [layer.weight for layer in network if isinstance(layer, nn.Linear)]
    norms = [max(lt.operator_norm(W, p).item() for W in weights) for p in (1, 2, math.inf)]
    assert math.isclose(norms[1], 1)
    assert ("Sort" in name) == all(is_permutation(W) for W in weights)
    print(f"{name}: 1-norm {norms[0]:.4f}, 2-norm {norms[1]:.4f}, ∞-norm {norms[2]:.4f}")

# %% [markdown]
# All 2-norms are 1. The first two networks serve in every norm: their matrices are permutations.
# The matrix $M$ has ∞-norm $\sqrt2$: by this route MaxMin and the absolute value are equals under
# the 2-norm, not under the ∞-norm.

# %% [markdown]
# ## A whole network, translated (A.3)
#
# Now we use the definition from the beginning. One condition of it is easy to forget: the domain is
# that of the activation, not of the network. Here the inputs lie in $[-1, 1]^2$ and $B = 1$ suits
# them, but a bias moves them out before they reach the fold.

# %%
out_of_domain = nn.Sequential(linear(torch.eye(2), [-2.0, -2.0]), lt.maxmin_from_abs(1.0))
x = torch.tensor([0.5, -1.0], dtype=torch.float64)
assert not torch.allclose(out_of_domain(x), lt.maxmin(x - 2))
assert lt.prove(out_of_domain[1], lt.MaxMin(), domain=(-1, 1))
print("the fold gives", out_of_domain(x).tolist(), "and MaxMin", lt.maxmin(x - 2).tolist())

# %% [markdown]
# So we need a bound on what is inside. We take a network with FullSort and orthonormal
# weights, put MaxMin in place of each FullSort, and then absolute values in place of each MaxMin.
# On $[-1, 1]^8$ an input has 2-norm at most $\sqrt8$. Orthonormal weights and sorts keep the
# 2-norm, and there are no biases, so no entry inside the network exceeds $\sqrt8$: a bound $B$ for
# all layers.


# %%
def put(new, old, network):
    """The network with `new` in place of every layer of the kind `old`."""
    return nn.Sequential(*(new if isinstance(layer, old) else layer for layer in network))


B = math.sqrt(8)
W = torch.kron(torch.eye(4).double(), M)
shift = [math.sqrt(2) * B, 0.0] * 4
four_folds = nn.Sequential(linear(W, shift), lt.Abs(), linear(W, [-B] * 8))

# %%
gaussians = torch.randn(4, 8, 8, dtype=torch.float64, generator=generator)
Q = [linear(q) for q in torch.linalg.qr(gaussians).Q]  # four orthonormal matrices
by_sort = nn.Sequential(Q[0], lt.FullSort(), Q[1], lt.FullSort(), Q[2], lt.FullSort(), Q[3])
by_pairs = put(lt.full_sort_from_maxmin(8), lt.FullSort, by_sort)
sorter_of_folds = put(four_folds, lt.MaxMin, lt.full_sort_from_maxmin(8))
by_abs = put(sorter_of_folds, lt.FullSort, by_sort)

# %% [markdown]
# The three networks should agree on the cube, and the last should not contain a single sort.

# %%
x = 2 * torch.rand(1000, 8, dtype=torch.float64, generator=generator) - 1
assert torch.allclose(by_pairs(x), by_sort(x)) and torch.allclose(by_abs(x), by_sort(x))
weights = [a.weight for a in by_abs.modules() if isinstance(a, nn.Linear)]
assert all(torch.isclose(lt.operator_norm(W), torch.tensor(1.0).double()) for W in weights)
layers = [layer for _, layer in by_abs.named_modules(remove_duplicate=False)]
assert sum(isinstance(layer, lt.Abs) for layer in layers) == 18
assert not any(isinstance(layer, lt.MaxMin | lt.FullSort) for layer in layers)
print("three equal networks; the last has 18 layers of Abs, no sort, and 2-norms 1")

# %% [markdown]
# "The same power" is not "the same size": 3 layers of FullSort became 18 of MaxMin, and these 18 of
# absolute values.

# %% [markdown]
# ## Counting comparisons (A.4)
#
# What does sorting cost? A layer of $n$ entries has $n/k$ groups of size $k$, and sorting one takes
# $O(k \log k)$ comparisons. Together that is $\frac{n}{k}\, O(k \log k) = O(n \log k)$. (In our
# text the fraction is printed "nk".) We count, in a merge sort of 1024 random entries.

# %%
show(draw_comparisons(n=1024))

# %% [markdown]
# From $k = 2$ on the count per entry stays below $\log_2 k$: half a comparison for MaxMin, about nine
# for FullSort. (At $k = 1$ both are 0.)
# Beside the linear layer this is little. A layer of 1024 × 1024 weights takes $2 \cdot 1024$
# operations per entry.

# %%
n = 1024
pairs, full = comparisons_per_entry(2, n), comparisons_per_entry(n, n)
assert pairs == 0.5 and 8.5 < full < 9 and comparisons_per_entry(1, n) == 0
assert all(comparisons_per_entry(2**m, n) < m for m in range(1, 11))
assert pairs / (2 * n) < 1 / 4000 and full / (2 * n) < 1 / 200
print("operations beside the linear layer: MaxMin under 1/4000, FullSort under 1/200")

# %% [markdown]
# But operations are not time. An activation does so little work that moving its numbers to and from
# memory takes longer. So we count movements: per entry, how many numbers are read and written?

# %%
relu = 1 + 1  # read each entry, write each entry
one_kernel = 1 + 1  # MaxMin in one pass: read a pair, write a pair
maxout = 1 + 1 / 2  # read each entry, write one of two
max_and_min = 2 * maxout  # two passes over the input
concatenated = max_and_min + 1 + 1  # and their results copied into one tensor
print(
    f"MaxMin in one pass {one_kernel}, as two passes {max_and_min:g}, then joined {concatenated:g}"
)
print(f"ReLU {relu}, Maxout {maxout}")

# %% [markdown]
# By this count a kernel of its own makes MaxMin as cheap as ReLU, as the appendix says. For a
# maximum and a minimum it counts two passes, twice a Maxout ($3 = 2 \cdot 1.5$); copying them into one tensor
# costs 2 more (5). Joined end to end, they stand in another order, equal up to a permutation.

# %%
x = torch.tensor([3.0, 1.0, 2.0, 4.0])
joined = torch.cat([x.view(2, 2).amax(dim=1), x.view(2, 2).amin(dim=1)])
assert torch.equal(joined[[0, 2, 1, 3]], lt.maxmin(x))
print("side by side", lt.maxmin(x).tolist(), "end to end", joined.tolist())

# %% [markdown]
# ## What a machine measures (A.4)
#
# *Optional, 2 minutes.*
# Movements are a model; now we measure. A recorded run timed each activation, forward and backward,
# against ReLU on the same input; we look at one thread. The program is
# `benchmarks/bench_activations.py`; `make bench` repeats the run on your machine. The bars are
# ratios: 1 means as quick as ReLU. The smaller input has 1 MB, the larger 32 MB.
#
# **Predict:** for which of the two is MaxMin nearer to ReLU? And is it quicker than a general sort
# of the same pairs?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
bench = show_benchmark("activations", draw_benchmark)

# %% [markdown]
# For the larger one; and yes, for both.

# %%
if bench:
    small, large = (case["activations"] for case in benchmark_cases(bench))
    assert large["maxmin"]["ratio"] < small["maxmin"]["ratio"]
    for times in (small, large):
        assert times["maxmin"]["ratio"] < times["torch.sort on pairs"]["ratio"]
    print("MaxMin is nearer to ReLU on the larger input, and quicker than torch.sort on both")

# %% [markdown]
# These numbers are one machine's, and rough: the thin lines mark the middle half of the
# repetitions. The authors' remark that a kernel of one's own can be as quick as ReLU on a graphics
# card is theirs; we did not test it.

# %% [markdown]
# ## Recap
#
# - One sort plays MaxMin when biases keep the pairs apart. On $[-x_{\max}, x_{\max}]^n$ the gap
#   $2 x_{\max}$ is needed from $n = 4$ on (a single pair needs none), and three steps prove it enough
#   for every even $n$; the appendix's $x_{\max}$ is right for entries that are not negative. Biases
#   and sort run the same way.
# - A test with 2000 random points misses the gap 1.99 nine times in ten. The solver finds the
#   failing input.
# - MaxMin plays FullSort by a sorting network of $m(m+1)/2$ layers for $n = 2^m$, and all inputs of
#   zeros and ones prove it (here up to 16 entries).
# - Absolute values play MaxMin by a fold, where $x + y + 2B \ge 0$; take $(B, B)$ away afterwards.
#   On the whole plane no such network is MaxMin, since far away each of them is even.
# - All these weights have 2-norm 1; the fold's $M$ has ∞-norm $\sqrt2$.
# - Sorting in groups of $k$ takes at most $\log_2 k$ comparisons an entry. In the recorded run MaxMin
#   is quicker than `torch.sort`, and nearer to ReLU on the larger input.
#
# ## Where next
#
# On bounded domains and under the 2-norm these activations are equally strong. ReLU is not among
# them: lesson
# [03_why_relu_is_linear](03_why_relu_is_linear.ipynb) shows what becomes of a ReLU network that
# keeps its gradients at norm 1. The map of the whole appendix is in
# [00_start_here](00_start_here.ipynb).
