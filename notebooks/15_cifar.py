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
# # 15 · Colour images: what drop-in means
#
# So far we have built networks so that their constant is known: orthonormal weights, MaxMin, nothing else. Most
# networks for colour images are built otherwise. They have residual connections and batch normalization, and nobody
# asks them for a constant. The paper puts MaxMin into such a network, in the place of ReLU, and looks at the accuracy.
# In this lesson we read its table, make the exchange ourselves, and ask for the constant after all: what does a sum do
# to it, and what a normalization?
#
# We follow G.1 of "Sorting Out Lipschitz Function Approximation" (Anil, Lucas and Grosse, 2019), which we call the paper.
#
# **What you will be able to do**
# - exchange an activation for another, and say what stays the same, and what must be even;
# - say how far apart two error rates must be before they say anything;
# - bound a residual block, and build one that keeps the constant 1;
# - say why batch normalization has no Lipschitz constant in training mode, and which one it has in evaluation mode;
# - read the bounds of a trained network, and say which part of it opens the gap between them.
#
# **Before you start**: lesson 10 (the spectral Jacobian), lesson 12 (norms of convolutions, two bounds).
#
# Reading: 35 minutes · exercises: 34 minutes · running: under 60 seconds

# %%
import copy
import itertools
import math
import sys
from contextlib import redirect_stdout
from functools import partial

import torch
from scipy import stats
from torch import nn
from torch.nn import functional
from tqdm import tqdm

import lipteach as lt
from lipteach.classroom import check, predicted, show, slider_figure
from lipteach.classroom.lessons.l15_cifar import figures
from lipteach.experiments import load_record, table6_cifar
from lipteach.theory.terms import maxmin
from lipteach.training import minibatches, wide_resnet

torch.set_num_threads(1)  # the matrices are small: a second thread would only wait

# %% [markdown]
# ## What the paper has (Table 6, G.1)
#
# Wide residual networks, 28 layers deep and 4 times as wide as the narrowest, on CIFAR-10: 60,000 colour images of ten
# kinds of things. Three ways of training, two activations. One caution first: Tables 4, 5 and 7 give errors, and this
# table gives accuracies. More is better here.

# %%
behind = {}
for scheme, (relu, maxmin_) in table6_cifar.PAPER.items():
    behind[scheme] = round(relu - maxmin_, 2)
    print(f"{scheme:13} ReLU {relu:.2f}   MaxMin {maxmin_:.2f}   behind by {behind[scheme]:.2f}")
assert list(behind.values()) == [0.72, 0.62, 0.82]

# %% [markdown]
# ReLU is ahead in every row. The paper says that MaxMin "performed comparably", and gives one number for each network. Is
# 0.7 points little? That needs a spread, and there are two. The first we can compute. If each of $n$ test images is wrong
# with probability $p$, the share of wrong ones has the standard error $\sqrt{p (1 - p) / n}$.


# %%
def standard_error(percent, n):
    return math.sqrt(percent * (100 - percent) / n)


one = standard_error(100 - 95.29, 10_000)
assert 0.2 < one < 0.23 and 2 < 0.62 / (math.sqrt(2) * one) < 0.82 / (math.sqrt(2) * one) < 3
print(f"One accuracy: ± {one:.2f}. The difference of two: ± {math.sqrt(2) * one:.2f} points.")

# %% [markdown]
# So the differences are two to three standard errors long, if the two networks err independently. (On the same images
# they err partly together, which makes the difference surer.) The second spread is that between seeds: train the same
# network once more, from another start, and the accuracy is another one. The paper does not give it. And all networks
# ran with the optimizer's settings that were best for ReLU, as it says itself. What the table shows, then, is that
# MaxMin *can* stand there, at a small price that may or may not be chance.
#
# ## Drop-in, literally
#
# The package has such a network for any depth and width, and takes whatever makes an activation. We take the smallest, of
# depth 10 and width 1, once with each.

# %%
ACTIVATIONS = {"ReLU": nn.ReLU, "MaxMin": partial(lt.MaxMin, 1)}  # along dimension 1, the channels


def untrained(name, seed=0):
    return wide_resnet(10, 1, ACTIVATIONS[name], torch.Generator().manual_seed(seed))


relu, maxmin_net = untrained("ReLU").state_dict(), untrained("MaxMin").state_dict()
assert list(relu) == list(maxmin_net)
assert all(torch.equal(relu[key], maxmin_net[key]) for key in relu)
count = sum(p.numel() for p in untrained("MaxMin").parameters())
assert count == sum(p.numel() for p in untrained("ReLU").parameters()) == 77_850
print(f"{len(relu)} tensors, {count:,} parameters: the same names, shapes and numbers in both.")

# %% [markdown]
# That is what drop-in means: nothing else changes. An activation has no parameters, and gives back as many numbers as
# it gets. ReLU clips each channel on its own; MaxMin takes the channels in pairs, 0 with 1, 2 with 3, and sorts each
# pair at each pixel.

# %%
x = torch.randn(2, 6, 4, 4, generator=torch.Generator().manual_seed(0))
y = lt.MaxMin(1)(x)
assert torch.equal(y[:, 0::2], torch.maximum(x[:, 0::2], x[:, 1::2]))
assert torch.equal(y[:, 1::2], torch.minimum(x[:, 0::2], x[:, 1::2]))

# %% [markdown]
# **Predict:** one thing may go wrong that cannot with ReLU. What does MaxMin do with an image as it comes, red, green and
# blue?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
predicted()
try:
    lt.MaxMin(1)(torch.zeros(1, 3, 16, 16))
except ValueError as error:
    print(error)

# %% [markdown]
# Three channels make no pairs. In the network this does no harm, for a convolution comes first, and all widths are
# multiples of 16.
#
# ## Both, trained live
#
# CIFAR-10 is not in the package, and a network of the paper's size takes hours. We train on what is here: the embedded
# digits, 16 × 16 pixels, each in two colours of its own. A picture's colours say nothing of its digit.

# %%
parts = {split: table6_cifar.load_images("coloured", split) for split in ("train", "test")}
assert [tuple(x.shape) for x, _ in parts.values()] == [(1800, 3, 16, 16), (1000, 3, 16, 16)]
show(figures.draw_images(*parts["test"]))

# %% [markdown]
# The usual training of these networks: SGD with momentum and weight decay. Sixty batches, each activation from two seeds. A
# network starts with the weights that its partner of the same seed has, and sees the same batches.


# %%
def train(name, seed):
    network, losses = untrained(name, seed), []
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(
        network.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    batches = minibatches(*parts["train"], size=60, epochs=2, generator=generator)
    for x, y in tqdm(batches, f"{name}, seed {seed}", 60, leave=False, file=sys.stdout):
        loss = functional.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return network.eval(), losses


# %% tags=["nbval-ignore-output"]
trained = {(name, seed): train(name, seed) for seed in (0, 1) for name in ACTIVATIONS}

# %% [markdown]
# **Predict:** in percent, how many of the 1,000 test images does each of the four read wrongly? How large is the
# standard error of one such number? Which differ more: the two activations, or the two seeds?

# %% jupyter={"outputs_hidden": true} tags=["hide-output", "nbval-ignore-output"]
show(figures.draw_losses({name: trained[name, 0][1] for name in ACTIVATIONS}))
x, y = parts["test"]
for (name, seed), (network, losses) in trained.items():
    with torch.no_grad():
        percent = 100 * (network(x).argmax(dim=1) != y).double().mean().item()
    assert 5 < percent < 80 and sum(losses[-10:]) < sum(losses[:10]) / 2
    assert 0.6 < standard_error(percent, len(y)) < 1.6
    print(f"{name:7} seed {seed}: {percent:.1f} ± {standard_error(percent, len(y)):.1f} % wrong")

# %% [markdown]
# Both learn, with settings made for ReLU. A standard error is a point or a little more, and so a difference of two or
# three points says nothing. And look at the two seeds of one network: after so few steps they may lie farther apart
# than their standard errors allow, and turn the order of the activations, for here it is not the test images that
# differ, but the networks. "Comparable" is a word about a difference and a spread. Whoever has one run of each has no
# spread.
#
# ### Three seeds each, recorded
#
# CIFAR-10 with the paper's network waits for a GPU. What two cores can do in an hour or two is Fashion-MNIST, grey
# clothes of 28 × 28 pixels, with the smallest network and three epochs. It is not Table 6, but it asks the same: three
# ways of training, two activations, and now three seeds. Again partners of one seed start alike and see the same batches.
# The settings of SGD are those usual with ReLU; $\beta$ of Parseval was not searched for, and $\lambda$ of the Jacobian's
# penalty was the better of two on validation images, in 300 steps with ReLU. (A third, a hundred times as large, had
# ruined the training.)
#
# **Predict:** is one activation ahead with every seed? Which lie farther apart, the activations or the seeds? And the
# program prints two bounds of each network's constant (further down: how): whose upper bound, a product of norms, is
# larger?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
predicted()
record = load_record("table6_cifar", "laptop")
print(table6_cifar.compare(record))
print("\nReLU's error less MaxMin's (+: MaxMin has fewer), by seed, and the mean's interval:")
apart, intervals = {}, {}
for scheme in table6_cifar.PAPER:
    relu, maxmin_ = (
        torch.tensor(record.cell(scheme=scheme, activation=name).metrics["test_error"])
        for name in ACTIVATIONS
    )
    apart[scheme] = relu - maxmin_
    low, high = intervals[scheme] = stats.ttest_rel(relu, maxmin_).confidence_interval(0.95)
    points = "  ".join(f"{one:+.2f}" for one in apart[scheme])
    print(f"{scheme:14}{points}   [{low:+.2f}, {high:+.2f}]")

# %% [markdown]
# The paper has one accuracy for each network; here each has three, and a row has three differences. The means of the
# activations differ by 0.2 to 0.7 points, MaxMin's being ahead in two rows of three. The seeds of one network differ by
# 0.3 to 2.0, and in each row the wider of its two spreads exceeds the difference. With the penalty, whose $\lambda$ was
# chosen with ReLU, ReLU is ahead with every seed; in the two other rows the order changes from seed to seed. Three
# coins fall alike in one try of four, and we looked at three rows. (The paper's three rows agree, of one number each.)
#
# The brackets are the 95 % interval of Student's paired test for the mean difference (if differences are normally
# distributed), and 0 lies in each. So three seeds cannot tell the activations apart. What they exclude, at this level,
# are mean differences beyond three points or so, a quarter of all errors. That is what "comparable" can mean here, and
# it is not "equal": two of the mean differences are as large as the paper's, and neither interval excludes 0. (The
# paper searched a little for $\beta$ and $\lambda$. We took $\beta = 0.001$, so that our row of Parseval says less than
# theirs.)

# %% jupyter={"source_hidden": true} tags=["hide-input"]
assert stats.binomtest(3, 3, 1 / 2).pvalue == 1 / 4
signs = {scheme: (points > 0).sum().item() for scheme, points in apart.items()}
assert signs == {"Standard": 1, "Parseval": 2, "Spectral Jac": 0}
assert all(low < 0 < high for low, high in intervals.values())
assert round(max(max(-low, high) for low, high in intervals.values())) == 3
means = torch.stack([points.mean() for points in apart.values()])
assert (means > 0).sum() == 2 and (means.abs() > 0.62).sum() == 2
assert (round(means.abs().min().item(), 1), round(means.abs().max().item(), 1)) == (0.2, 0.7)


def column(scheme, name, metric):
    return torch.tensor(record.cell(scheme=scheme, activation=name).metrics[metric])


def spread(values):
    return (values.max() - values.min()).item()


spreads = {s: [spread(column(s, name, "test_error")) for name in ACTIVATIONS] for s in apart}
assert all(max(spreads[scheme]) > apart[scheme].mean().abs() for scheme in apart)
assert round(min(map(min, spreads.values())), 1) == 0.3
assert round(max(map(max, spreads.values())), 1) == 2.0

# %% [markdown]
# The last block is what no accuracy shows. With every seed ReLU's product of norms is 8 to 31 times MaxMin's, and the
# same test, of logarithms, excludes 1 in each row. What is found at 32 test images is larger with ReLU in all nine
# pairs, up to about twice; row by row three seeds do not show it. With Parseval the products are 3.7 to 9 times smaller
# than with the usual training; the error is larger in five of six pairs, and equal in one. And the Jacobian's penalty,
# at the weakest $\lambda$ that we tried, makes the norms that are found no smaller. At the end of the lesson we shall
# see where a part of ReLU's factor comes from.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
ratios = {"upper": [], "lower": []}
for metric, scheme in itertools.product(ratios, apart):
    relu, maxmin_ = (column(scheme, name, metric) for name in ACTIVATIONS)
    ratios[metric] += (relu / maxmin_).tolist()
    shown = stats.ttest_rel(relu.log(), maxmin_.log()).pvalue < 0.05
    assert shown == (metric == "upper")
assert (round(min(ratios["upper"])), round(max(ratios["upper"]))) == (8, 31)
assert min(ratios["lower"]) > 1 and round(max(ratios["lower"]), 1) == 2.0
for name in ACTIVATIONS:
    usual, held = (column(s, name, "upper") for s in ("Standard", "Parseval"))
    assert (usual / held > 3.6).all() and (usual / held < 9).all()
    usual, held = (column(s, name, "test_error") for s in ("Standard", "Parseval"))
    assert (held > usual).sum() == (3 if name == "ReLU" else 2) and (held >= usual).all()
    usual, held = (column(s, name, "lower") for s in ("Standard", "Spectral Jac"))
    assert (held > usual).all()

# %% [markdown]
# ## A sum adds constants
#
# A residual block returns $s(x) + g(x)$, with a body $g$ and a shortcut $s$ around it, mostly the identity. By the triangle
# inequality
#
# $$\|s(x) + g(x) - s(y) - g(y)\| \le (\mathrm{Lip}(s) + \mathrm{Lip}(g))\, \|x - y\|,$$
#
# and if both move the same way there is equality. MaxMin does so: numbers that are sorted already it leaves as they are.
# So $x + \mathrm{MaxMin}(x)$ has the constant 2, and three such blocks have 8.

# %%
blocks = nn.Sequential(*[lt.Residual(lt.MaxMin()) for _ in range(3)])
points = torch.tensor([[3.0, 1.0], [2.0, -2.0]])
bounds = lt.lipschitz_bounds(blocks, points)
assert torch.equal(blocks(points), 8 * points)
assert math.isclose(bounds.lower, 8) and math.isclose(bounds.upper, 8)
print(f"Three blocks: between {bounds.lower:.3f} and {bounds.upper:.3f}.")

# %% [markdown]
# In a row the bounds multiply. With bodies of constant $a$, $n$ blocks have at most $(1 + a)^n$. Such a network is not
# 1-Lipschitz by its making, even if every weight in it is orthonormal.
#
# **Predict:** eight blocks with $a = 1$: what is the bound? Bodies that turn their input at random seldom move with the
# shortcut: how much of the bound do they reach? And what remains if each block is the *mean* of the two, half the sum?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_sums(8, 1.0))

# %%
slider_figure(figures.draw_sums, blocks_in_a_row=(1, 8, 1, 3), body_norm=(0.1, 1.0, 0.1, 0.3))

# %% [markdown]
# The bound is 256, and bodies that agree with the shortcut have it. Random ones have less, and still more than 50.
# Small bodies help: with $a = 0.1$ eight blocks have 2.14. The mean keeps 1 for $a = 1$, whatever the body, and
# whatever the number of blocks.

# %%
alike, turned = (figures.steepest(figures.blocks(8, 1.0, aligned)) for aligned in (True, False))
assert math.isclose(alike, 256) and 50 < turned < 150
assert round(1.1**8, 2) == 2.14

# %% [markdown]
# For two numbers and MaxMin we let the solver prove it: the mean of $x$ and $\mathrm{MaxMin}(x)$ moves no two points
# apart. For the sum it finds two that come apart.


# %%
def mean(a, b):
    return [(u + v) / 2 for u, v in zip((a, b), maxmin([a, b]), strict=True)]


def mean_apart(a, b, c, d):
    return [u - v for u, v in zip(mean(a, b), mean(c, d), strict=True)]


def sum_apart(a, b, c, d):
    return [2 * u for u in mean_apart(a, b, c, d)]


def closer(a, b, c, d, out):
    return out[0] ** 2 + out[1] ** 2 <= (a - c) ** 2 + (b - d) ** 2


proof, refuted = lt.prove(mean_apart, closer), lt.prove(sum_apart, closer)
assert proof and not refuted
print("The mean:", proof)

# %% [markdown]
# ### Exercise 1 ●○○ · 4 min · bound
# Four residual blocks $x + g_k(x)$ stand in a row, and each body has the constant ½. What is the least number that
# bounds the constant of all four together, whatever the bodies are?

# %%
answer = ...
check("15.bound", answer)

# %% [markdown]
# <details><summary>Hint</summary>What is the bound of one block? And what do bounds do where one map follows another?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# answer = (1 + 1 / 2) ** 4
# ```
#
# $81/16 = 5.0625$, and $g_k(x) = x/2$ attains it. Written out, $(1 + a)^4$ has sixteen terms, one for each way through
# the four blocks: at each of them either around the body or through it.
#
# </details>

# %% [markdown]
# ### Exercise 2 ●●○ · 8 min · block
# Write `my_block(body)`. It returns a block, a module or a function of $x$, that adds $x$ and `body(x)` and multiplies
# the sum by one factor: the largest with which the block is 1-Lipschitz for *every* body that is. It is tried with
# several bodies, and $x$ keeps its value.


# %%
def my_block(body):
    # your code
    ...


check("15.block", my_block)

# %% [markdown]
# <details><summary>Hint</summary>Which 1-Lipschitz body makes the sum grow most? <code>lt.Residual(body)</code> is
# the sum, and
# <code>lt.Scale(factor)</code> the factor.
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_block(body):
#     return nn.Sequential(lt.Residual(body), lt.Scale(0.5))
# ```
#
# Any two weights $1 - t$ and $t$ would keep the constant 1, too: by $t$ a network can say how much of the body it
# wants. What it loses is the plain identity of the shortcut. With the body $-x$ the block is 0 everywhere, and with
# most bodies it shrinks something.
#
# </details>

# %% [markdown]
# ## A batch decides together
#
# In training mode a batch normalization takes from each channel the mean $m$ over the batch, and divides by the root of the
# variance $v$:
#
# $$y = \gamma\, \frac{x - m}{\sqrt{v + \varepsilon}} + \beta, \qquad \varepsilon = 10^{-5}.$$
#
# Let us ask such a layer ($\gamma = 1$, $\beta = 0$) what it makes of the number 0.


# %%
def first_output(norm, *batch):
    with torch.no_grad():
        return norm(torch.tensor(batch).double()[:, None])[0].item()


norm = nn.BatchNorm1d(1).double()
above, below = first_output(norm, 0.0, -1.0), first_output(norm, 0.0, 1.0)
assert above > 0.999 and below < -0.999
print(f"In the batch (0, -1) it becomes {above:.4f}, in the batch (0, 1) {below:.4f}.")

# %% [markdown]
# The sample is the same, its companions are not. So in training mode there is no function $f(x)$ of one sample, and
# nothing that could have a Lipschitz constant. What one can ask is by how much a whole batch is stretched. Take two
# numbers at the distance $\delta$: their variance is $\delta^2 / 4$, so that they come out
#
# $$\frac{\delta}{\sqrt{\delta^2 / 4 + \varepsilon}}$$
#
# apart.
#
# **Predict:** how far apart, at most? And how many *times* as far as they were, if $\delta$ is very small? Where is the
# factor 1? (The slider moves the exponent of $\delta = 10^k$.)

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_pair(-2.0))

# %%
slider_figure(figures.draw_pair, log_distance=(-5.0, 1.0, 0.5, -1.0))

# %% [markdown]
# Never farther than 2, and yet up to $1/\sqrt\varepsilon = 316$ times as far: two samples that nearly agree are told apart
# nearly as loudly as two that do not. The factor falls below 1 near $\delta = 2$.

# %%
far, near = figures.normalized_apart(10.0, True), figures.normalized_apart(1e-5, True)
assert 1.999 < far < 2 and round(1 / math.sqrt(norm.eps)) == 316
assert math.isclose(near / 1e-5, 1 / math.sqrt(norm.eps), rel_tol=1e-5)
assert figures.normalized_apart(1.99, True) > 1.99 and figures.normalized_apart(2.0, True) < 2.0

# %% [markdown]
# In evaluation mode $m$ and $v$ are numbers that the layer has kept from training, the same for all. Then a sample's
# output is its own again, and each channel is multiplied by $\gamma / \sqrt{v + \varepsilon}$. The constant is the
# largest $|\gamma| / \sqrt{v + \varepsilon}$.

# %%
norm.eval()
assert first_output(norm, 0.0, -1.0) == first_output(norm, 0.0, 1.0)
norm.running_var.fill_(1 / 16)
bounds = lt.lipschitz_bounds(norm, torch.zeros(1, 1))
assert math.isclose(bounds.upper, 1 / math.sqrt(1 / 16 + norm.eps))
print(f"A channel of variance 1/16 is stretched {bounds.upper:.4f} times.")

# %% [markdown]
# A quiet channel gets a large factor. And the largest one possible is $|\gamma|/\sqrt\varepsilon$, of a channel that
# never moved in training.
#
# ### Exercise 3 ●●○ · 8 min · factors
# `my_factors(norm)` takes an `nn.BatchNorm2d` in evaluation mode, and returns for each channel by how much it
# stretches, $|\gamma| / \sqrt{v + \varepsilon}$, as one tensor. Look at `norm.weight`, `norm.bias`,
# `norm.running_mean`, `norm.running_var` and `norm.eps`, and take what you need. With `affine=False` the layer has no
# weight (`None`), and $\gamma = 1$.


# %%
def my_factors(norm):
    # your code
    ...


check("15.factors", my_factors)

# %% [markdown]
# <details><summary>Hint</summary>Which of the five only shift? Is ε inside the root or outside? And can a stretch be
# below 0?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_factors(norm):
#     root = (norm.running_var + norm.eps).sqrt()
#     return (1 if norm.weight is None else norm.weight.abs()) / root
# ```
#
# One can also measure it: two images of one pixel, at the distance 1 in each channel, come out as far apart as the
# factors say.
#
# </details>

# %% [markdown]
# ### Exercise 4 ●●● · 14 min · companion
# A fresh `nn.BatchNorm1d(1)` in training mode, $\gamma = 1$ and $\varepsilon = 10^{-5}$. Hand in two batches of two
# numbers, `[[a, b], [a, c]]`. The first number is the same in both, and its companion moves by at most 0.01. Yet the
# *output of the first number* is to move by at least 1, a hundred times as far.

# %%
my_batches = ...
check("15.companion", my_batches)

# %% [markdown]
# <details><summary>Hint</summary>Let a = 0. As a function of the companion, what is the first output? Where is it 0,
# where does it end on
# either side, and where is it steepest?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_batches = [[0.0, -0.005], [0.0, 0.005]]
# ```
#
# With a companion at $c$ the output of 0 is $-\frac{c}{2} / \sqrt{c^2/4 + \varepsilon}$. It lies between $-1$ and 1, so
# no step from 0 can move it by 1. The companion has to pass from one side to the other: from 0.62 to $-0.62$ here. The
# shortest step that does it has the length $2 \sqrt{4 \varepsilon / 3} = 0.0073$.
#
# </details>

# %% [markdown]
# ## What training did to the two numbers
#
# Back to the trained networks, in evaluation mode, where they have a constant. From above it is bounded by the product
# of norms, with sums at the residual connections: `lt.audit` prints it. From below by any Jacobian: we take the largest
# norm at a few test images. (`lt.lipschitz_bounds` does both, and searches for a steeper point; for this network that
# takes half a minute or more.)
#
# **Predict:** which lines of the table will have norms above 1, the convolutions or the normalizations? The record has
# products of 10,000 to two millions; is this one, after sixty batches of digits, larger?

# %% jupyter={"outputs_hidden": true} tags=["hide-output", "nbval-ignore-output"]
predicted()
network = trained["MaxMin", 0][0]
report = lt.audit(network)
convolutions = [layer for layer in report.layers if layer.kind.startswith("Conv")]
normalizations = [layer for layer in report.layers if layer.kind.startswith("BatchNorm")]
assert all(layer.lower > 1.2 for layer in convolutions)
assert min(layer.upper for layer in normalizations) < 1
assert 2e3 < report.upper < 2e5

# %% [markdown]
# Every convolution has a norm above 1: they begin as random numbers that keep signals alive, and no constraint holds
# them down. Of the normalizations some shrink, for they divide by what the convolution before has made large. The
# product is in the thousands or above. We multiply it ourselves, module by module, and put beside it what is found of
# the network's first modules up to there.

# %%
bound, found = [1.0], []


def product(start):
    return math.prod(one.upper for one in report.layers if f"{one.name}.".startswith(start))


for k, module in enumerate(network):
    own = product(f"{k}.")
    if isinstance(module, lt.Residual):  # an identity, without layers, is a product of nothing: 1
        own = product(f"{k}.body.") + product(f"{k}.skip.")
    bound.append(bound[-1] * own)
    found.append(lt.jacobian_spectral_norm(network[: k + 1], x[:8], steps=10).max().item())
assert math.isclose(bound[-1], report.upper)

# %% [markdown]
# **Predict:** there are 13 modules: a convolution, three residual blocks with normalizations and activations between them,
# the mean over the pixels, a linear layer. At which of them do the two part?

# %% jupyter={"outputs_hidden": true} tags=["hide-output", "nbval-ignore-output"]
names = [type(module).__name__ for module in network]
show(figures.draw_depth(names, bound[1:], found))

# %% [markdown]
# At the three residual blocks, modules 2, 5 and 8. Each multiplies the bound by 8 or more: in its body stand two
# convolutions and a normalization or two, whose norms are taken one by one, as if the worst direction of each met that
# of the next. What is found stays below 80 all the way. The mean over the pixels parts the two as well. It takes the 16
# numbers of a channel to their mean, which has the norm $1/\sqrt{16}$, while the audit only knows that it does not
# stretch.

# %%
blocks = [k for k, module in enumerate(network) if isinstance(module, lt.Residual)]
assert blocks == [1, 4, 7]
assert all(bound[k + 1] / bound[k] > 8 for k in blocks)
assert all(found[k] / found[k - 1] < bound[k + 1] / bound[k] / 2 for k in blocks)
assert max(found) < 80
pool = [k for k, module in enumerate(network) if isinstance(module, nn.AdaptiveAvgPool2d)][0]
assert network[:pool](x[:1]).shape[-2:] == (4, 4) and found[pool] < found[pool - 1] / 3

# %% [markdown]
# And the normalizations? They keep the product from running away. If a convolution between two of them doubles, so does
# the root of the variance behind it, and the factor is halved: the function is the same, and so is the bound. (Up to ε,
# which we make tiny here.)

# %%
convolution, norm = copy.deepcopy(network[1].body[2:4]).double().train()
norm.eps, norm.momentum = 1e-12, 1.0  # it keeps the statistics of the last batch alone
inputs = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0)).double()
outputs, factors = [], []
for _ in range(2):
    outputs.append(norm(convolution(inputs)))
    factors.append(norm.weight / norm.running_var.sqrt())
    convolution.weight.data *= 2
assert torch.allclose(*outputs) and torch.allclose(factors[0], 2 * factors[1])
print("Twice the kernel, half the factors: the same function.")

# %% [markdown]
# Now the comparison with the start. An untrained network has no statistics yet; we show it the training images once, in
# training mode, and change no weight.

# %%
sizes, starts = {}, {}
for name in ACTIVATIONS:
    starts[name] = start = untrained(name)
    with torch.no_grad():
        for images in parts["train"][0].split(60):
            start(images)
    for when, one in (("before", start.eval()), ("after", trained[name, 0][0])):
        lower = lt.jacobian_spectral_norm(one, x[:16], steps=10).max().item()
        with redirect_stdout(None):  # of these tables we want one number each
            sizes[name, when] = lower, lt.audit(one).upper

# %% [markdown]
# **Predict:** which of the two numbers grew in training, and how many times?

# %% jupyter={"outputs_hidden": true} tags=["hide-output", "nbval-ignore-output"]
predicted()
for name in ACTIVATIONS:
    (low, high), (lower, upper) = sizes[name, "before"], sizes[name, "after"]
    assert lower / low > 4 and lower / low > 1.2 * upper / high
    assert upper > 50 * lower and high > 1000
    print(f"{name:7} found {low:.2f} -> {lower:.1f}; bound {high:,.0f} -> {upper:,.0f}")

# %% [markdown]
# What is found grew, to more than four times as much; the bound grew by a smaller factor. It was in the thousands
# before the network had learnt anything, and so it says little of what was learnt. Between the two there is a factor of
# 50 or more, and the truth is somewhere within. That is the price of a network that was not built for a constant. The
# lessons before go the other way: orthonormal weights and MaxMin, where both bounds meet.
#
# One difference between the activations is there from the start. Both networks had the same weights, and yet ReLU's
# bound is several times MaxMin's.
#
# **Predict:** convolutions and the linear layer have the same weights in both, and an activation counts 1. So which
# modules differ? A normalization subtracts the mean and divides by the root of the variance: how much of the variance
# of its inputs does ReLU leave, and how much MaxMin?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
predicted()
factors = {}
for name, start in starts.items():
    norms = [one for one in start.modules() if isinstance(one, nn.BatchNorm2d)]
    stretched = [(one.weight.abs() / (one.running_var + one.eps).sqrt()).max() for one in norms]
    factors[name] = torch.stack(stretched).detach()
    print(f"{name:7}" + "".join(f"{factor:6.2f}" for factor in factors[name]))
numbers = torch.randn(10_000, 4, generator=torch.Generator().manual_seed(0))
left = {name: make()(numbers).var(dim=0).mean().item() for name, make in ACTIVATIONS.items()}
assert abs(left["ReLU"] - 0.34) < 0.02 and abs(left["MaxMin"] - 0.68) < 0.02
ratios = factors["ReLU"] / factors["MaxMin"]
assert torch.isclose(ratios[0], torch.ones(())) and (ratios[1:] > 1.05).all()
assert abs(ratios[1:].mean() - math.sqrt(2)) < 0.1
relu, maxmin_ = (sizes[name, "before"][1] for name in ACTIVATIONS)
assert math.isclose(relu / maxmin_, ratios.prod().item(), rel_tol=0.2) and 4 < relu / maxmin_ < 8
assert relu / maxmin_ < ratios.prod() and sizes["ReLU", "before"][0] < sizes["MaxMin", "before"][0]
print(f"Together {ratios.prod():.1f} times; the bounds: {relu / maxmin_:.1f} times.")

# %% [markdown]
# The normalizations. Of normal numbers about 0 MaxMin leaves 0.68 of the variance in each channel, and ReLU 0.34, half
# of that. The next convolution hands the half on, roughly, and the normalization behind it, which divides by the root,
# has a factor about $\sqrt 2$ larger. (Behind the first convolution there has been no activation, and the factors
# agree. The shortcuts have no normalization, so that the bounds differ by less than the factors together.) In the
# record, after training and on other images, the gap was 8 to 31. So "drop-in" is true of the tensors of a network, and
# not of the bound of its constant. What is found was smaller with ReLU at the start: a larger bound need not mean a
# larger constant.
#
# ## The Jacobian of one sample
#
# One of the table's columns is the spectral Jacobian penalty. It needs the Jacobian of *one* sample, and in training
# mode there is none, as we have seen. So the package refuses:

# %%
network.train()
try:
    lt.spectral_jacobian_penalty(network, x[:4])
except ValueError as error:
    refused = str(error)
assert "evaluation mode" in refused and "training mode" in refused
print(refused)

# %% [markdown]
# `with lt.evaluating(network):` gives all modules the flags of evaluation mode, and afterwards each its own. The loss
# itself is then taken in training mode, as before, and both are added. (How the paper did it, it does not say.)

# %%
images, labels = parts["train"]
loss = functional.cross_entropy(network(images[:60]), labels[:60])
with lt.evaluating(network):
    penalty, u = lt.spectral_jacobian_penalty(network, images[:4])
(loss + 0.01 * penalty).backward()
assert network.training and penalty > 0
assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
print("Loss in training mode, penalty in evaluation mode, one gradient of both.")

# %% [markdown]
# ## Recap
#
# - Table 6 gives accuracies; ReLU is ahead by 0.6 to 0.8 points in every row. "Comparable" needs a spread between
#   seeds, which is not given. Three seeds each, of smaller networks on other images, cannot tell the activations
#   apart, and could hardly have shown a difference so small.
# - MaxMin is a drop-in: the same parameters, the same shapes. Only the number of channels must be even.
# - A sum adds constants: $n$ residual blocks have up to $(1 + a)^n$. The mean of shortcut and body keeps 1.
# - Batch normalization in training mode is no function of one sample. Two numbers come up to 316 times as far apart.
#   In evaluation mode the constant is the largest $|\gamma| / \sqrt{v + \varepsilon}$.
# - A network that was not built for a constant has a bound in the thousands before it has learnt anything. What is
#   found is far below, and grows in training. ReLU's bound is several times MaxMin's: ReLU leaves half of the
#   variance that MaxMin leaves, and the next normalization makes up for it.
#
# ## Where next
#
# - [Lesson 10](10_spectral_jacobian.ipynb) has the penalty, and what it does not promise.
# - [Lesson 12](12_classification.ipynb) trains classifiers whose constant is known, in seven ways.
# - `make experiments NAME=table6_cifar PROFILE=full DEVICE=cuda` runs Table 6 as it stands in the paper, on a GPU.
