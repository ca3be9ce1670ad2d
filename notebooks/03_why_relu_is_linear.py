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
# # 03 · Why ReLU must give up slope
#
# Keep every weight matrix at 2-norm 1 or less, and a network can rise nowhere faster than its input.
# Often we want more: a slope that *reaches* 1 wherever the function rises. In this lesson we let two
# networks try, one with ReLU and one with MaxMin. Then we follow the theorem that explains what we
# see, find out what it needs, measure the same on handwritten digits, and meet a second theorem that
# is false as it stands.
#
# We follow appendix D of "Sorting Out Lipschitz Function Approximation" (Anil, Lucas and Grosse,
# 2019), which we call the paper.
#
# **What you will be able to do**
# - train a network whose weights keep $\|W\|_2 \le 1$, and follow its gradient back layer by layer;
# - prove Theorem 1 in four steps, and collapse a network that keeps its gradient norm;
# - say which hypothesis a would-be counterexample breaks;
# - show by one network that Theorem 2 fails, and state what its proof does establish.
#
# **Before you start**: lesson 01 (MaxMin, the network for $|x|$), the chain rule, singular values.
#
# Reading: 44 minutes, optional parts 6 more · exercises: 62 minutes · running: under 60 seconds

# %%
import copy
import math
from functools import partial

import torch
from torch import nn

import lipteach as lt
from lipteach import linear, terms
from lipteach.classroom import check, show, slider_figure
from lipteach.classroom.lessons.l03_why_relu_is_linear import figures
from lipteach.classroom.lessons.l03_why_relu_is_linear.worked import draw_worked
from lipteach.training import (
    clip_singular_values_,
    fit,
    minibatches,
    mnist_sample,
    orthonormal_network,
)

torch.set_num_threads(1)  # the matrices are small: a second thread would only wait

# %% [markdown]
# ## Two networks learn the absolute value (D)
#
# A function is 1-Lipschitz if $\|f(x) - f(y)\| \le \|x - y\|$. The composition of 1-Lipschitz layers
# is 1-Lipschitz. For a linear layer and the 2-norm this means $\|W\|_2 \le 1$: no singular value
# above 1. After each step of the optimizer, `fit` moves every weight matrix to the nearest one that
# obeys: it computes $W = U \Sigma V^\top$ and cuts the singular values at 1. Here is that step on
# one matrix.

# %%
layer = linear([[3.0, 0.0], [0.0, 0.5]])
print(clip_singular_values_(layer).weight.tolist())

# %% [markdown]
# We need the slope of a network at many points. The points do not influence each other, so the
# gradient of the *sum* of all outputs holds, row by row, the gradient at every point. And we want to
# see that a trained network obeys: its weights stand at every second place.


# %%
def gradients(f, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x)[0]


def obeys(model):
    return all(lt.operator_norm(layer.weight) <= 1 + 1e-9 for layer in model[::2])


# %% [markdown]
# Now we train networks to $|x|$ on $[-1, 1]$. They start from orthonormal weights. Every 20 steps we
# keep the function and its slope.

# %%
x = figures.GRID[:, None]  # 200 points of [−1, 1]


def train_to_abs(activation, sizes):
    model = orthonormal_network(sizes, activation, torch.Generator().manual_seed(0))
    kept = []

    def keep(step):
        if step % 20 == 0:
            kept.append((step, model(x).detach()[:, 0], gradients(model, x)[:, 0]))

    keep(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    fit(model, squared_error, [(x, x.abs())] * 600, optimizer, after_step=keep)
    assert obeys(model)
    return model, kept


def squared_error(model, x, y):
    return (model(x) - y).square().mean()


# %% [markdown]
# Two networks of the same shape, two hidden layers of 16 units each: one with ReLU, one with MaxMin.

# %%
relu_net, relu_run = train_to_abs(nn.ReLU, [1, 16, 16, 1])
maxmin_net, maxmin_run = train_to_abs(lt.MaxMin, [1, 16, 16, 1])
runs = {"ReLU": relu_run, "MaxMin": maxmin_run}

# %% [markdown]
# **Predict:** both networks are 1-Lipschitz, and $|x|$ is, too. Which of them comes close? What does
# the other one do instead: wrong place, wrong slope, or both?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_training(runs))

# %% [markdown]
# Move the slider through the training: each snapshot is 20 steps after the one before.

# %%
slider_figure(partial(figures.draw_training, runs), snapshot=(0, 30, 1, 0))

# %% [markdown]
# Both bend near the right place. But the ReLU network settles for about half of the slope. How much
# more could it have had?

# %%
for network in (relu_net, maxmin_net):
    assert x[network(x).argmin()].abs() < 0.1
relu_slope = gradients(relu_net, x).abs().mean()
maxmin_slope = gradients(maxmin_net, x).abs().mean()
assert relu_slope < 0.65
assert maxmin_slope > 0.85
print("Mean slope: ReLU below 0.65, MaxMin above 0.85.")

# %% [markdown]
# ## One hidden layer of ReLU reaches one half
#
# How much slope can ReLU keep? We measure a V by its *gap*, the height of its ends over its middle:
#
# $$\mathrm{gap}(f) = \frac{f(-1) + f(1)}{2} - f(0).$$
#
# For $|x|$ it is 1. A straight line has gap 0.


# %%
def gap(f):
    left, middle, right = f(torch.tensor([[-1.0], [0.0], [1.0]]).double()).flatten().tolist()
    return (left + right) / 2 - middle


assert math.isclose(gap(lt.abs_network()), 1)
assert gap(relu_net) < 0.65
print("The gap is 1 for the network |x| of lesson 01, and below 0.65 for the trained ReLU network.")

# %% [markdown]
# With one hidden layer, $f(x) = \sum_i v_i\, \mathrm{relu}(w_i x + b_i) + \text{constant}$. The gap is
# a sum over the units, so we look at one of them. We claim that its gap is at most $\frac12 |v w|$,
# whatever its bias. The solver decides it for every real $v, w, b$. `terms` holds the same functions
# for the solver's unknowns; the last argument of the claim is the output.


# %%
def unit_gap(v, w, b):
    relu = terms.relu
    return v * ((relu(w + b) + relu(b - w)) / 2 - relu(b))


lemma = lt.prove(unit_gap, lambda v, w, b, gap: gap <= abs(v * w) / 2)
assert lemma
print(lemma)

# %% [markdown]
# Now add up. By the inequality of Cauchy and Schwarz,
#
# $$\mathrm{gap}(f) \le \tfrac12 \sum_i |v_i w_i| \le \tfrac12 \|v\|_2 \|w\|_2 \le \tfrac12,$$
#
# for any number of hidden units. For two units the solver confirms the whole statement at once, with
# the constraint on the weights as the domain.


# %%
def two_units(v1, w1, b1, v2, w2, b2):
    return unit_gap(v1, w1, b1) + unit_gap(v2, w2, b2)


def constraint(v1, w1, b1, v2, w2, b2):
    return [v1**2 + v2**2 <= 1, w1**2 + w2**2 <= 1]


def at_most_half(v1, w1, b1, v2, w2, b2, gap):
    return gap <= 0.5


# %% [markdown]
# The squares make the question harder than a linear one, and it is still decided at once.

# %%
ceiling = lt.prove(two_units, at_most_half, constraint)
assert ceiling
print(ceiling)

# %% [markdown]
# ### Exercise 1 ●●○ · 8 min · half
# Reach the ceiling: build a ReLU network from 1 to 1 with one hidden layer, both weights of 2-norm
# at most 1, and gap ½. `linear(W)` makes a layer in float64 from the list of the rows of $W$.

# %%
my_network = ...
check("03.half", my_network)

# %% [markdown]
# <details><summary>Hint</summary>One unit or two: in both cases <code>Σ|vᵢ wᵢ| = 1</code>. Which
# vectors make the inequality of Cauchy and Schwarz an equality?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# r = math.sqrt(0.5)
# my_network = nn.Sequential(linear([[r], [-r]]), nn.ReLU(), linear([[r, r]]))
# ```
#
# It computes $\frac12 |x|$. The ReLU itself, with all weights 1, has gap ½ as well.
#
# </details>

# %% [markdown]
# Is one half the ceiling of every ReLU network? It is tempting to say so. We train one hidden layer
# and three, from the start that the seed gives.

# %%
shallow, _ = train_to_abs(nn.ReLU, [1, 16, 1])
deep, _ = train_to_abs(nn.ReLU, [1, 16, 16, 16, 1])
assert gap(shallow) <= 0.5 < 0.55 < gap(deep) < 0.75
print("From this start one hidden layer ends below 1/2, and three end between 0.55 and 0.75.")

# %% [markdown]
# ### Exercise 2 ●●● · 20 min · beyond-half
# Two hidden layers of two units are enough to pass ½. Build such a ReLU network, each weight of
# 2-norm at most 1, with a gap of at least 0.55. No training is needed, and no bias.

# %%
my_network = ...
check("03.beyond-half", my_network)

# %% [markdown]
# <details><summary>Hint</summary>After the first layer, x > 0 is in one unit and x < 0 in the other.
# A rotation as the second matrix costs no norm. What does it do for x > 0, and what can it not undo
# for x < 0?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# r, c, s = math.sqrt(0.5), math.cos(math.pi / 6), math.sin(math.pi / 6)
# first, second, last = linear([[r], [-r]]), linear([[c, -s], [s, c]]), linear([[r, r]])
# my_network = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last)
# ```
#
# For x > 0 both units of the second layer are on and give $\frac12(c + s)\,x$; for x < 0 one is off
# and $\frac12 c\,|x|$ is left. The gap is $(2c + s)/4 = 0.558$. With
# $W_1 = (\sqrt{2/3}, -\sqrt{1/3})^\top$, $c = \sqrt{2/3}$ and $W_3 = (\sqrt{1/3}, \sqrt{2/3})$ it
# becomes $1/\sqrt 3 = 0.577$.
#
# </details>

# %% [markdown]
# So depth helps ReLU a little. Could enough of it reach gap 1, that is, $|x|$ itself? The answer
# is a theorem.
#
# ## A theorem about slope (Theorem 1)
#
# Let
#
# $$f(x) = W_L\, \phi(W_{L-1}\, \phi(\cdots \phi(W_1 x + b_1) \cdots) + b_{L-1}) + b_L$$
#
# be a network with *one* output on an open, *connected* domain $\Omega$, with $\|W_l\|_2 \le 1$ and a
# 1-Lipschitz, *monotone* function $\phi$ applied to each entry.
#
# > If $\|\nabla f(x)\|_2 = 1$ almost everywhere in $\Omega$, then $f$ is *affine* there:
# > $f(x) = w \cdot x + b$.
#
# The paper states it for all of $\mathbb R^n$ and says *linear*. We come back to each word in italics.
#
# For $|x|$ on $(-1, 1)$ this settles our question: its slope has norm 1 and it is not affine, so no
# network of this kind equals it, however deep. A gap of 1 would force $f(x) = |x| + f(0)$: a
# 1-Lipschitz $f$ has $f(\pm 1) \le f(0) + 1$, and a gap of 1 needs both to be equal; from there $f$
# can descend no steeper than with slope 1, $f(x) \ge f(\pm 1) - |{\pm 1} - x| = f(0) + |x|$, and it
# cannot lie higher either. So every ReLU network stays below 1.
#
# The proof has four steps.

# %% [markdown]
# ### Step 1: no factor may lose anything (Theorem 1)
#
# Let $z_l$ be the pre-activations of layer $l$, $h_l = \phi(z_l)$, and $D_l$ the diagonal matrix of
# the slopes $\phi'(z_l)$. By the chain rule,
#
# $$\nabla f = W_L\, D_{L-1} W_{L-1} \cdots D_1 W_1 .$$
#
# Every factor has norm at most 1. So the gradient norm can only fall on its way from the output to
# the input, and if it arrives as 1, no factor took anything. `lt.gradient_norms` measures it in front
# of every module.

# %%
for network in (relu_net, maxmin_net):
    norms = lt.gradient_norms(network, x)  # (modules + 1, points)
    assert (norms[:-1] <= norms[1:] + 1e-12).all()
print("On its way back the gradient norm never grows, at any of the 200 points.")

# %% [markdown]
# **Predict:** at which modules does the ReLU network lose gradient norm, at the weights or at the
# activations? And the MaxMin network?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_backward({"ReLU": relu_net, "MaxMin": maxmin_net}))

# %% [markdown]
# Move the input through $[-1, 1]$. At the activations only ReLU loses. Both lose at $W_1$ too, although
# it *is* orthonormal: it is a column of 16 entries, and of the gradient only the part along that
# column comes through. $W_2$, which is square, loses little.

# %%
networks = {"ReLU": relu_net, "MaxMin": maxmin_net}
slider_figure(partial(figures.draw_backward, networks), x=(-0.9, 0.9, 0.1, -0.4))

# %% [markdown]
# In numbers: what each module takes of the squared norm, in the mean over the 200 points. MaxMin
# permutes its entries, and so does its Jacobian: it takes nothing, exactly.

# %%
for network in (relu_net, maxmin_net):
    norms = lt.gradient_norms(network, x)
    loss = (norms[1:] ** 2 - norms[:-1] ** 2).mean(dim=1)  # at W1, act. 1, W2, act. 2, W3
    assert lt.is_orthonormal(network[0].weight) and loss[0] > 0.1 and loss[2] < 0.05
    assert (loss[[1, 3]] > 0.1).all() if network is relu_net else (loss[[1, 3]] < 1e-12).all()
print("Each ReLU takes more than 1/10, and MaxMin nothing; both W1, orthonormal, more than 1/10.")

# %% [markdown]
# ### Step 2: how much is lost (Eq. (12))
#
# Look at the last activation. $W_L$ is a single row; call it $w$. Behind the activation the gradient
# is $w$, before it $wD$ with the slopes $d_i$ on the diagonal of $D$. If nothing is lost,
#
# $$\|w\|^2 - \|w D\|^2 = \sum_i (1 - d_i^2)\, w_i^2 = 0 . \tag{12}$$
#
# Each term is at least 0, because $|d_i| \le 1$. (In the paper's text around (12), $\partial z_L$
# should read $\partial z_{L-1}$, and both sums run over the units of layer $L - 1$.)
#
# ### Exercise 3 ●○○ · 5 min · lost-norm
# Write the left side of (12) as a function of `w`, of shape (n,), and the slopes `d`, of shape
# (…, n): one row for each point.


# %%
def my_lost(w, d):
    # your code
    ...


check("03.lost-norm", my_lost)

# %% [markdown]
# <details><summary>Hint</summary>Which power does the slope have in ‖w D‖²? And along which dimension
# do the units lie?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_lost(w, d):
#     return ((1 - d**2) * w**2).sum(-1)
# ```
#
# </details>

# %% [markdown]
# On the trained ReLU network we compare both sides of (12) at 200 points. The slope of ReLU is 0 or 1,
# so each unit that is off costs the whole of its $w_i^2$.

# %%
norms = lt.gradient_norms(relu_net, x)
w = relu_net[4].weight[0]
d = (relu_net[:3](x) > 0).double()  # the slopes of the last ReLU
assert torch.allclose(norms[4] ** 2 - norms[3] ** 2, ((1 - d**2) * w**2).sum(-1))
assert (norms[4] ** 2 - norms[3] ** 2).mean() > 0.1
print("Equation (12) holds at 200 points, and the last ReLU loses more than a tenth on average.")

# %% [markdown]
# ### Step 3: every unit that counts is a line
#
# The sum in (12) is 0, so for every unit either $w_i = 0$, and the unit does not count, or
# $d_i = \pm 1$ at almost every point. A monotone $\phi$ cannot change the sign of its slope: it is one
# constant $s_i$. Then $\phi(z_i) - s_i z_i$ has gradient 0 almost everywhere, and on a connected domain
# it is one constant $c_i$:
#
# $$\phi(z_i) = s_i z_i + c_i \quad \text{on the whole domain.}$$
#
# Here we use that the function is Lipschitz. A function that is only continuous may have slope 0 almost
# everywhere and still climb: Cantor's staircase goes from 0 to 1.
#
# Kinks do no harm. The points where $z_i$ sits on a kink have measure 0, or else $z_i$ stands still on
# them. Then its gradient is 0, we may call the slope 0, and (12) gives $w_i = 0$.

# %% [markdown]
# ### Step 4: the last two layers are one (D collapse)
#
# For units that do not count put $s_i = c_i = 0$: with $w_i = 0$ they add nothing. Put the lines into
# the last layer, with $W = W_{L-1}$ and $b_W$ its bias. With $\odot$ the product entry by entry,
#
# $$\begin{aligned} w \cdot \phi(z) + b &= (w \odot s) \cdot z + (w \cdot c + b) \\
#   &= \bigl((w \odot s) W\bigr) h + \bigl((w \odot s) \cdot b_W + w \cdot c + b\bigr).
#   \end{aligned}$$
#
# We have a network with one layer fewer and the same function. It meets all hypotheses again: its
# last row has norm $\|(w \odot s) W\| \le \|w\|\, \|W\|_2 \le 1$. Repeat until one layer is left: an
# affine function. Here is the whole collapse, at one point of the domain.


# %%
def collapse_by_hand(layers, phi, point):
    lines, h = [], point
    for W, b in layers[:-1]:
        z = W @ h + b
        h, s = phi(z), gradients(phi, z)  # our units all count
        lines.append((s, h - s * z))  # slope and offset of each unit
    w, b = layers[-1]
    for (W, b_W), (s, c) in zip(layers[-2::-1], lines[::-1], strict=True):
        b = b + w @ c + (w * s) @ b_W
        w = (w * s) @ W
    return w, b


# %% [markdown]
# We try it on softshrink, which is $z - 1$ above 1, $z + 1$ below $-1$, and 0 between. The biases
# keep all units away from the flat part, for $x$ in the square $(0, 1)^2$.

# %%
W1, b1 = [[0.6, 0.8], [0.8, -0.6]], [3.0, -3.0]
W2, b2 = [[0.0, 1.0], [1.0, 0.0]], [0.0, 0.0]
w, b = [[0.6, 0.8]], [0.0]
shrink = nn.Softshrink(1.0)
shrinking = nn.Sequential(linear(W1, b1), shrink, linear(W2, b2), shrink, linear(w, b))
square = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)).double()
assert torch.allclose(gradients(shrinking, square).norm(dim=1), torch.ones(500).double())

# %% [markdown]
# `lt.collapse_affine` does the same, layer by layer, and checks norms, slopes and offsets on the points
# that it is given. That an activation works entry by entry it can only believe. So we compare: by
# hand, by the package, and the network itself on the whole batch, with points repeated.

# %%
layers = [(shrinking[k].weight.detach(), shrinking[k].bias.detach()) for k in (0, 2, 4)]
w, b = collapse_by_hand(layers, shrink, square[0])
W, B = lt.collapse_affine(shrinking, torch.cat([square, square[:10]]))
assert torch.allclose(w, W) and torch.allclose(b, B)
assert torch.allclose(shrinking(square), square @ W.T + B)
print("One affine function: by hand, by the package, and as the network on 500 points.")

# %% [markdown]
# A small erratum stands in this step. The paper writes $z_L = \sum_i W_{L,i}\, z_{L-1,i} + b_L$: slope
# 1 is taken for $\phi(z) = z$, and the offsets $c_i$ are left out. For ReLU they are 0. For softshrink
# they are not; and for a decreasing $\phi$ the sign $s_i$ is missing as well. We collapse our network
# without the offsets.

# %%
bias_without_c = (layers[2][0] @ layers[1][0] @ layers[0][1]).item()
assert abs(bias_without_c - b.item()) > 0.3
print(f"The bias is {b.item():.1f}; without the offsets it would be {bias_without_c:.1f}.")

# %% [markdown]
# ### Exercise 4 ●●○ · 6 min · offset
# With $\phi$ = softshrink, $f(x) = 0.28\,\phi(z_1) + 0.96\,\phi(z_2)$, where $z_1$ stays near 5 and
# $z_2$ near $-5$. Collapsed, $f = 0.28\, z_1 + 0.96\, z_2 + b$. What is $b$?

# %%
answer = ...
check("03.offset", answer)

# %% [markdown]
# <details><summary>Hint</summary>What is φ(5)? What is φ(−5)?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# answer = 0.28 * (-1) + 0.96 * (+1)
# ```
#
# </details>

# %% [markdown]
# ## A network at the edge of the theorem (Theorem 1)
#
# Take $f(x) = (\mathrm{relu}(x_1) + \mathrm{relu}(x_2))/\sqrt2$. On the square $(0, 1)^2$ both units
# are on: the gradient is $(1, 1)/\sqrt2$, of norm 1, and $f$ is linear, as the theorem says.

# %%
two_relus = figures.two_relus()
W, B = lt.collapse_affine(two_relus, square)
assert torch.allclose(W, torch.full((1, 2), math.sqrt(0.5)).double()) and B == 0
print("On (0, 1)² the network is (x1 + x2)/√2.")

# %% [markdown]
# Now let the square reach below 0, where units switch off.
#
# ### Exercise 5 ●○○ · 5 min · mean-norm
# What is the mean of $\|\nabla f\|_2$ over the square $[-1, 1]^2$? Give three digits.

# %%
answer = ...
check("03.mean-norm", answer)

# %% [markdown]
# <details><summary>Hint</summary>The square has four quarters. Which units are on in each?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# answer = (1 + 2 * math.sqrt(0.5) + 0) / 4
# ```
#
# </details>

# %% [markdown]
# **Predict:** for which squares $[\mathrm{low}, 1]^2$ does Theorem 1 apply? Is the mean gradient norm a
# straight line in low?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_square(-0.5))

# %%
slider_figure(figures.draw_square, low=(-1.0, 0.0, 0.1, -0.5))

# %% [markdown]
# It applies from low = 0 on. The curve bends: the areas of the quarters are quadratic in the share of
# the side that lies above 0. At the left end stands the number of exercise 5.

# %%
mean = gradients(two_relus, torch.cartesian_prod(x[:, 0], x[:, 0])).norm(dim=1).mean()
assert math.isclose(mean, (1 + math.sqrt(2)) / 4)
print("The mean over a grid of [−1, 1]² is what the four quarters give.")

# %% [markdown]
# `collapse_affine` refuses a batch on which the gradient norm is not 1, and names a point. This helper
# prints its reason instead of a traceback.


# %%
def refusal(network, points):
    try:
        lt.collapse_affine(network, points)
    except lt.HypothesisError as error:
        return str(error)
    return "not refused"


print(refusal(two_relus, torch.tensor([[0.5, 0.5], [0.5, -0.5]]).double()))

# %% [markdown]
# ## Where the hypotheses matter (Theorem 1, D whole space)
#
# We take the words in italics one by one. **Monotone:** without it the theorem is wrong, and you find
# the counterexample.
#
# ### Exercise 6 ●●○ · 6 min · not-monotone
# Write an activation `phi`, applied to each entry of a tensor, that is 1-Lipschitz and has slope $+1$
# or $-1$ almost everywhere on $[-1, 1]$, but is not affine there.


# %%
def phi(x):
    # your code
    ...


check("03.not-monotone", phi)

# %% [markdown]
# <details><summary>Hint</summary>Slope 1 on one side: which other slope has absolute value 1?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def phi(x):
#     return x.abs()
# ```
#
# </details>

# %% [markdown]
# **Connected:** softshrink has slope 1 above 1 and below $-1$.
#
# **Predict:** slide a domain $(a, a + 1)$ along the axis. For which $a$ does Theorem 1 apply?

# %%
show(figures.draw_window(-0.5))

# %%
slider_figure(figures.draw_window, left=(-2.5, 1.5, 0.25, -0.25))

# %% [markdown]
# It applies for $a \ge 1$ and for $a \le -2$, with different offsets. On both sides *together*,
# $(-2, -1) \cup (1, 2)$, the slope is 1 everywhere and $f$ is not affine. `collapse_affine` sees it
# here, because the batch has points on both sides.

# %%
one_unit = nn.Sequential(linear([[1.0]]), nn.Softshrink(1.0), linear([[1.0]]))
two_sides = torch.tensor([[-1.9], [-1.1], [1.1], [1.9]]).double()
assert (gradients(one_unit, two_sides) == 1).all()
print(refusal(one_unit, two_sides))

# %% [markdown]
# **Affine**, not linear: $\mathrm{relu}(x + 2) = x + 2$ on $(-1, 1)$ has slope 1 and is not 0 at 0.
#
# **One output:** $(\mathrm{relu}(x_1), \mathrm{relu}(x_2))$ on $x_1 > 0$ has a Jacobian $J$ of norm 1
# but on the line $x_2 = 0$, where it has none: its rows are $(1, 0)$ and $(0, 0)$ or $(0, 1)$. It is not
# affine: its second output bends. For several
# outputs one has to ask for more, $J J^\top = I$: then each output has gradient norm 1 by itself.

# %%
pair = nn.Sequential(linear([[1.0, 0.0], [0.0, 1.0]]), nn.ReLU())
points = torch.tensor([[1.0, -1.0], [1.0, 0.5], [1.0, 1.0]]).double()
jacobians = [torch.autograd.functional.jacobian(pair, point) for point in points]
assert all(lt.operator_norm(J) == 1 for J in jacobians)
assert pair(points)[:, 1].tolist() == [0, 0.5, 1]  # at −1, 0.5 and 1: not on a line
print("Norm 1 at every point, and the second output bends.")

# %% [markdown]
# **The domain:** the paper says $\mathbb R^n$. There a ReLU network with a hidden layer can never meet
# the condition: some unit of the first layer counts and has a row that is not 0, or the gradient would
# be 0. It would need slope 1 everywhere, but its
# pre-activation takes every real value, and below 0 it is off. So on all of $\mathbb R^n$ the theorem
# is true of ReLU because it speaks of no network. On a bounded domain, such as our squares, it says
# something.
#
# **Applied to each entry:** that is the way out. MaxMin is 1-Lipschitz, and each of its outputs is
# monotone in each input, but it looks at two entries at once. The theorem says nothing about it. Here
# are both: $\mathrm{relu}(x + 2)$ near 0 and far outside, and the network $|x|$ of lesson 01.

# %%
helped_by_bias = nn.Sequential(linear([[1.0]], [2.0]), nn.ReLU(), linear([[1.0]]))
near, far = torch.tensor([[-0.9], [0.9]]).double(), torch.tensor([[-9.0], [9.0]]).double()
W, B = lt.collapse_affine(helped_by_bias, near)
assert (W.item(), B.item()) == (1, 2)
print(refusal(helped_by_bias, far))
print(refusal(lt.abs_network(), near))

# %% [markdown]
# ## The same loss on handwritten digits (D)
#
# *Optional, 3 minutes.*
# Does this matter beyond one dimension? We train on 2000 real handwritten digits, embedded in the
# package, and look at 1000 others.

# %%
images, labels = mnist_sample("train")
test_images, test_labels = mnist_sample("test")
show(figures.draw_digits(images, labels))

# %% [markdown]
# Two networks again, 784–64–64–10, differ only in the activation. The ten outputs are 1-Lipschitz
# together; we multiply them by 4 in the loss, so that it asks for wide margins.

# %%
digits, test_digits = images.double().flatten(1), test_images.double().flatten(1)


def digit_loss(model, x, y):
    return nn.functional.cross_entropy(4 * model(x), y)


def train_on_digits(activation):
    generator = torch.Generator().manual_seed(0)
    model = orthonormal_network([784, 64, 64, 10], activation, generator)
    batches = minibatches(digits, labels, size=200, epochs=15, generator=generator)
    fit(model, digit_loss, batches, torch.optim.Adam(model.parameters(), lr=0.005))
    assert obeys(model)
    return model


# %% [markdown]
# Both learn to read.

# %%
readers = {"ReLU": train_on_digits(nn.ReLU), "MaxMin": train_on_digits(lt.MaxMin)}
for name, model in readers.items():
    right = (model(test_digits).argmax(dim=1) == test_labels).double().mean()
    assert right > 0.85
    print(f"{name}: more than 85 of 100 test digits are read correctly.")

# %% [markdown]
# What counts for the decision is how far the winning output leads, $f = (\text{first} -
# \text{second})/\sqrt2$. Sorting the outputs is 1-Lipschitz, and the direction $(1, -1)/\sqrt2$ has
# norm 1, so $f$ is 1-Lipschitz, and no change of the image of 2-norm below $f$ can change the decision.


# %%
def lead(outputs):
    top = outputs.topk(2, dim=1).values
    return (top[:, 0] - top[:, 1]) / math.sqrt(2)


norms = {name: lt.gradient_norms(model, test_digits, lead) for name, model in readers.items()}

# %% [markdown]
# We expect $\|\nabla f\|$ near 1 for MaxMin, and less for ReLU: on every image some of its units are
# off.

# %%
show(figures.draw_digit_norms(norms))

# %% [markdown]
# Here $W_1$ is wide, not tall, and costs almost nothing: more than four fifths of ReLU's loss happens
# at the two activations. MaxMin's two activations lose nothing.

# %%
assert norms["ReLU"][0].mean() < 0.85 and norms["MaxMin"][0].mean() > 0.95
loss = {name: (n[1:] ** 2 - n[:-1] ** 2).mean(dim=1) for name, n in norms.items()}
assert loss["ReLU"][[1, 3]].sum() > 0.8 * loss["ReLU"].sum() and loss["ReLU"][0] < 0.01
assert loss["MaxMin"][[1, 3]].abs().max() < 1e-12
print("Over 4/5 of ReLU's loss (of squared norm) is at its activations; MaxMin loses none there.")

# %% [markdown]
# ## A second theorem, and a counterexample (Theorem 2)
#
# Keeping the gradient norm seems to ask for orthonormal weights. The paper's Theorem 2 says that they
# cost nothing:
#
# > If $\|W_l\|_2 \le 1$ and $\|\nabla f\|_2 = 1$ almost everywhere, then, without changing $f$, each
# > weight matrix can be replaced by one whose singular values are all 1.
#
# (The activation has to be 1-Lipschitz as well, which the statement leaves unsaid.) We read it as its
# proof does: one matrix at a time, the others kept. The proof takes $W = U \Sigma V^\top$ and puts
# $\widetilde W = U V^\top$ in its place. Here is a network of MaxMin layers on $\mathbb R^2$. All of its
# matrices have singular values 1 but for the first one, which has 1 and 0 and is replaced.

# %%
f, replaced = lt.theorem2_counterexample()
for k in (0, 2, 4, 6):
    sigma = torch.linalg.svdvals(f[k].weight).round(decimals=6).tolist()
    print(f"W{k // 2 + 1}", tuple(f[k].weight.shape), "singular values", sigma)
assert lt.is_orthonormal(replaced[0].weight)

# %% [markdown]
# The solver tells us what it computes, and what the replacement computes, for every input.

# %%
what_f_is = lt.prove(f, lambda x: abs(x[0]))
what_it_became = lt.prove(replaced, lambda x: terms.Max(abs(x[0]), abs(x[1])))
the_same = lt.prove(replaced, f)
assert what_f_is and what_it_became and isinstance(the_same, lt.Counterexample)
print(what_f_is, what_it_became, the_same, sep="\n")

# %% [markdown]
# So $f(x) = |x_1|$, and the replacement computes $\max(|x_1|, |x_2|)$, another function. The
# hypothesis holds on all of $\mathbb R^2$: the gradient of $|x_1|$ has norm 1 but on a line.

# %%
somewhere = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0)).double()
assert torch.allclose(gradients(f, somewhere).norm(dim=1), torch.ones(1000).double())
point = torch.tensor([0.0, 1.0]).double()
assert abs(f(point).item()) < 1e-12 and math.isclose(replaced(point).item(), 1)
print("At 1000 points the gradient norm is 1. At (0, 1) f is 0, and its replacement is 1.")

# %% [markdown]
# $UV^\top$ is not unique when a singular value is 0: any orthogonal matrix whose first direction fits
# would do, and one might try still others. We turn the first matrix by an angle; 45° is the
# replacement above.
#
# **Predict:** is there an angle at which the right picture becomes the left one? What can you say
# about the points where each is 0?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_replaced(45.0))

# %%
slider_figure(figures.draw_replaced, angle=(0, 85, 5, 45))

# %% [markdown]
# No angle will do: $f$ is 0 on a line, and the turned networks at one point. Let the solver say it for
# *every* orthogonal first matrix, rotation or reflection, and every bias of the first layer. We write
# the network with the rows $s$ and $r$ of that matrix as unknowns, at the points $(0, 0)$ and $(0, 1)$.


# %%
def with_first_layer(s1, s2, r1, r2, b1, b2):
    def network(x1, x2):
        h = terms.maxmin(terms.linear([[s1, s2], [r1, r2]], [x1, x2], [b1, b2]))
        h = terms.maxmin(terms.linear(f[2].weight, h))
        return terms.maxmin(terms.linear(f[4].weight, h))[0]

    return [network(0, 0), network(0, 1)]


def orthogonal(s1, s2, r1, r2, b1, b2):
    return [s1**2 + s2**2 == 1, r1**2 + r2**2 == 1, s1 * r1 + s2 * r2 == 0]


def not_both_zero(s1, s2, r1, r2, b1, b2, values):
    return terms.Or(values[0] != 0, values[1] != 0)


# %% [markdown]
# $f$ is 0 at both points. A network that equals $f$ would have to be, too.

# %%
no_repair = lt.prove(with_first_layer, not_both_zero, orthogonal)
assert no_repair
print(no_repair)

# %% [markdown]
# A zero singular value is not what matters. Here the singular values are 1 and ½, the domain is
# $[-1, 1]^2$, and a bias of $-\tfrac12$ stands in the third layer: the same happens.

# %%
r = math.sqrt(0.5)
half, half_replaced = copy.deepcopy(f), copy.deepcopy(replaced)
half[0] = linear([[r, r / 2], [-r, r / 2]])
U, sigma, Vh = torch.linalg.svd(half[0].weight)
assert torch.allclose(sigma, torch.tensor([1, 0.5]).double())
assert torch.allclose(U @ Vh, replaced[0].weight)  # the same replacement as before
half[4] = half_replaced[4] = linear(f[4].weight.detach(), [0.0, -0.5])
still_abs = lt.prove(half, lambda x: abs(x[0]), domain=(-1, 1))
no_longer = lt.prove(half_replaced, half, domain=(-1, 1))
assert still_abs and isinstance(no_longer, lt.Counterexample)
print(still_abs, no_longer, sep="\n")

# %% [markdown]
# ## What the proof does establish (D derivative)
#
# Where does the proof break? It walks from $W$ at $t = 1$ to $\widetilde W$ at $t = 0$ along
# $W^{(t)} = t W + (1 - t) \widetilde W$, and wants to show that $f$ does not change with $t$. With the
# columns $u_j$ and $v_j$ of $U$ and $V$, the input $h$ and the pre-activation $z$ of the layer,
#
# $$\frac{\partial f}{\partial t} = \sum_j (\sigma_j - 1)\, \frac{\partial f}{\partial \sigma_j},
#   \qquad \frac{\partial f}{\partial \sigma_j} = (u_j \cdot \delta)\,(v_j \cdot h), \qquad
#   \delta = \frac{\partial f}{\partial z}.$$
#
# The layer must keep the norm of $\delta$, so $\delta$ has no part along the $u_j$ with
# $\sigma_j < 1$. But this is known of the given network only. Once $\sigma_j$ has moved, we stand at
# another network, whose gradient norm nobody has promised to be 1. What is true is the statement at
# $t = 1$:
#
# > If $\|\nabla f\|_2 = 1$ almost everywhere, then $\partial f / \partial \sigma_j = 0$ almost
# > everywhere, at the given weights, for every $\sigma_j < 1$.
#
# Two layers show all of it. Let $W = \mathrm{diag}(1, \sigma_2)$ with $\sigma_2 = \frac12$, and behind it
# $F(z) = \max(z_1, z_2)$, which is one MaxMin and the row $(1, 0)$. On the wedge
# $x_1 > \frac12 |x_2|$ the network computes $f(x) = \max(x_1, \frac12 x_2) = x_1$, with gradient norm 1.
# We take the point $x = (0.6, 1)$ and turn $\sigma_2$ up to 1.
#
# 1. Here $z = (0.6, 0.5)$ and $\delta = (1, 0)$: the first entry wins.
# 2. $u_2 = v_2 = (0, 1)$, so $\partial f / \partial \sigma_2 = (u_2 \cdot \delta)(v_2 \cdot x) = 0 \cdot 1$.
# 3. But $z = (0.6, \sigma_2)$ moves on along $u_2$. From $\sigma_2 = 0.6$ on the second entry wins:
#    $\delta = (0, 1)$, the derivative is 1, and at $\sigma_2 = 1$ the output is 1 instead of 0.6.


# %%
def two_layers(sigma):
    return nn.Sequential(linear([[1.0, 0.0], [0.0, sigma]]), lt.MaxMin(), linear([[1.0, 0.0]]))


x_worked = torch.tensor([[0.6, 1.0]], dtype=torch.float64)
for s, output, slope in ((0.5, 0.6, 0.0), (0.55, 0.6, 0.0), (0.8, 0.8, 1.0), (1.0, 1.0, 1.0)):
    assert two_layers(s)(x_worked).item() == output
    if s < 1:  # at 1 the two singular values are equal, and there is no second one
        _, derivative = lt.singular_value_derivatives(two_layers(s), 0, x_worked)
        assert derivative[0, 1] == slope
assert lt.prove(two_layers(0.5), lambda x: x[0], lambda x: 2 * x[0] >= abs(x[1]))
show(draw_worked())

# %% [markdown]
# Left, $\delta$ is at right angles to the level line at $z$, and $u_2$ runs along it: that is all that the
# gradient norm has promised. Behind the diagonal the level lines turn.

# %%
for network, inputs in ((f, somewhere), (half, somewhere.clamp(-1, 1))):
    sigma, derivative = lt.singular_value_derivatives(network, 0, inputs)
    assert sigma[1] < 1 and derivative[:, 1].abs().max() < 1e-12
print("At the given weights f does not change, to first order, with the smaller singular value.")

# %% [markdown]
# **Predict:** at $x = (0.6, 1)$ the derivative at $t = 1$ is 0. How far can $t$ go down before the
# output changes? And at $(0.3, 1)$, and at $(0, 1)$?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_path(1.0))

# %%
slider_figure(figures.draw_path, t=(0.0, 1.0, 0.05, 0.9))

# %% [markdown]
# On the way the network is $\max(|x_1|, (1 - t)|x_2|)$. At every point with $x_1 \ne 0$ it stays
# constant for a while, and where $|x_2| > |x_1|$ a kink follows: the smaller $|x_1|$, the sooner. (Where
# $|x_2| \le |x_1|$ it stays constant to the end.) On the line $x_1 = 0$ there is no while at all; but a
# line has measure 0, and "almost everywhere" does not see it.

# %%
old, new = f[0].weight.detach(), replaced[0].weight.detach()
for t in (0.9, 0.5, 0.2):
    on_the_way = figures.with_first_weight(t * old + (1 - t) * new)
    want = torch.maximum(somewhere[:, 0].abs(), (1 - t) * somewhere[:, 1].abs())
    assert torch.allclose(on_the_way(somewhere)[:, 0], want)
flat = somewhere[somewhere[:, 1].abs() <= somewhere[:, 0].abs()]
assert len(flat) > 100 and torch.allclose(replaced(flat)[:, 0], flat[:, 0].abs())
print("On the way it is max(|x1|, (1 − t)|x2|), at three t and 1000 points.")

# %% [markdown]
# When is the replacement exact, then? Let $F$ be the rest of the network behind layer $i$, and $S$ the
# span of the $u_j$ with $\sigma_j = 1$. If $F$ does not change along the directions orthogonal to $S$,
# on all segments from $W h + b$ to $\widetilde W h + b$, then the outputs agree. A sufficient case: the
# *first* layer has full row rank and the domain is $\mathbb R^n$. Then its pre-activations fill the
# whole space, and what is true of almost all of them holds along every segment. (The last layer is a
# row of norm 1 already: nothing is to be replaced.) Here is a network of this kind.

# %%
full_rank = linear([[r, r / 2], [r, -r / 2]])  # singular values 1 and ½
rest = [lt.MaxMin(), linear([[0.5, 0.5], [-0.5, -0.5]]), lt.MaxMin(), linear([[r, -r]])]
honest = nn.Sequential(full_rank, *rest)
U, sigma, Vh = torch.linalg.svd(full_rank.weight.detach())
honest_replaced = nn.Sequential(linear(U @ Vh), *rest)
proofs = lt.prove(honest, lambda x: abs(x[0])), lt.prove(honest_replaced, honest)
assert all(proofs) and sigma[1] < 1
print(*proofs, sep="\n")

# %% [markdown]
# ### Where $\delta$ does not exist
#
# *Optional, 2 minutes.*
# One gap is left in the statement at $t = 1$: it assumes that $\delta$ exists. Where $W$ has not full rank,
# all $z$ lie in a set of measure 0, and $F$ may have a kink on the whole of it. In our first network the
# second MaxMin is such a case: both its pairs are tied at every input. The statement holds all the
# same:
#
# 1. where $\|\nabla f(x)\| = 1$, $f$ rises at rate 1 in some direction. Nothing on the way may shorten
#    it, so $z$ moves at rate 1 along a unit vector $d$, and $d$ lies in the span of the $u_j$ with
#    $\sigma_j = 1$. Thus $F(z \pm t d) = F(z) \pm t + o(t)$;
# 2. let $u$ be a unit vector orthogonal to $d$, such as $u_j$ with $\sigma_j < 1$. Then $z + \varepsilon u$ lies
#    $\sqrt{t^2 + \varepsilon^2}$ from $z - t d$ and from $z + t d$. $F$, the rest of the network, is
#    1-Lipschitz:
#    $|F(z + \varepsilon u) - F(z)|$ $\le \sqrt{t^2 + \varepsilon^2} - t + o(t)$;
# 3. with $t = K \varepsilon$ the right side is at most $\varepsilon / (2K) + o(\varepsilon)$, for every
#    $K$. So the derivative of $F$ along $u$ exists and is 0.

# %% [markdown]
# All singular values of our second matrix are 1. So we take for $u$ two directions that it does not
# reach.

# %%
before = f[:3](somewhere)  # what the second MaxMin gets
assert torch.allclose(before[:, 0::2], before[:, 1::2], rtol=0, atol=1e-12)
W2 = f[2].weight.detach()
for u in (torch.tensor([r, -r, 0, 0]).double(), torch.tensor([0, 0, r, r]).double()):
    assert (W2.T @ u == 0).all()
    moved = f[3:](before + 1e-3 * u) - f[3:](before)
    assert moved.abs().max() < 1e-12
print("The second MaxMin is tied at all 1000 points; along both u the rest does not move.")

# %% [markdown]
# ### One direction only (D zero pattern)
#
# *Optional, 1 minute.*
# The paper also writes $u_j = 0 \iff \Sigma_{jj} < 1$ for the entries of the vector $(\delta\, U)^\top$,
# which it calls $u$ (our $u_j$ are columns). Only one direction holds: $\sigma_j < 1$ forces the entry
# to be 0. The other one fails for the simplest network, $W_1 = I$ and $f(x) = x_1$. Its singular values
# are 1 and 1, $U = I$ and $\delta = (1, 0)$: the second entry is 0.

# %% [markdown]
# ### What is not settled
#
# Read weakly, Theorem 2 says: *some* network of the same shape, with all singular values 1, computes
# $f$; other layers may change as well. We do not know whether this is true in general. For our
# counterexample it is, and you can find the network.
#
# ### Exercise 7 ●●● · 12 min · repair
# Start from `replaced`, which computes $\max(|x_1|, |x_2|)$ with all singular values 1. Change one
# matrix so that the network computes $|x_1|$ on all of $\mathbb R^2$, and all singular values stay 1.

# %%
my_network = ...
check("03.repair", my_network)

# %% [markdown]
# <details><summary>Hint</summary>What do the four units behind the second MaxMin hold for
# <code>x = (2, 5)</code>? Which row of <code>replaced[4].weight</code> makes |x₁|, and which row
# brings |x₂| in?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# r = math.sqrt(0.5)
# my_network = copy.deepcopy(replaced)
# my_network[4] = linear([[r, r, 0, 0], [r, -r, 0, 0]])
# ```
#
# The four units hold $|x_1|/\sqrt2$ twice, then $\pm|x_2|/\sqrt2$. The second row may be any unit row
# orthogonal to the first whose output never exceeds $|x_1|$: the difference of the first two units is
# always 0.
#
# </details>

# %% [markdown]
# (On $[-1, 1]^2$ a bias of $-1$ on the second unit of the third layer is enough, since
# $|x_2| - 1 \le |x_1|$ there; but the theorem changes no biases, and at $\lambda x$ with a large
# $\lambda$ no bias counts.)
#
# ## Recap
#
# - With $\|W\|_2 \le 1$ a MaxMin network learns $|x|$ with mean slope above 0.85. A ReLU network of the
#   same shape stays below 0.65; with one hidden layer its gap is at most ½, proved for each unit and
#   summed up. Depth passes ½ and never reaches 1.
# - Theorem 1: if the gradient norm is 1, no factor of the chain rule may lose anything. By (12) each
#   unit that counts has slope ±1, is a line, and can be collapsed, offsets included.
# - It needs one output, a connected domain and a monotone activation applied to each entry. Without
#   any one of them there is a counterexample of one or two units. The conclusion is affine.
# - On handwritten digits ReLU loses gradient norm too, more than four fifths of it at its
#   activations; MaxMin loses none there.
# - Theorem 2, replacing one matrix and keeping the others, is false: a network for $|x_1|$ becomes
#   $\max(|x_1|, |x_2|)$, and no orthogonal first matrix repairs it. True is the first-order statement
#   at the given weights.
#
# ## Where next
#
# MaxMin loses nothing, so all that is left to lose is in the weights (where a layer widens, as our
# $W_1$ does, even an orthonormal one loses). [Lesson 04](04_bjorck.ipynb) keeps them orthonormal by the
# iteration of Björck, and [lesson 06](06_spectral_vs_bjorck.ipynb) compares it with spectral
# normalization. [Lesson 02](02_same_power.ipynb) has the other side of this one: which activations are
# as strong as MaxMin.
