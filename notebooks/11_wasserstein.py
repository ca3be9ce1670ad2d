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
# # 11 · A distance that networks must find
#
# How well does a 1-Lipschitz network use its freedom? We would like an exam with a known answer. The
# paper's is this: find the 1-Lipschitz function that separates two distributions as far as can be. The
# best value is their Wasserstein distance. In this lesson we compute such distances exactly, by
# moving earth; we meet three pairs of distributions whose distance is 1; and we let networks look for it.
#
# We follow appendix H.1 of "Sorting Out Lipschitz Function Approximation" (Anil, Lucas and Grosse,
# 2019), which we call the paper.
#
# **What you will be able to do**
# - compute a Wasserstein distance by a plan, and prove by one function that no plan is cheaper;
# - say what the best function must be, where it is free, and which way is up;
# - tell the distance of two distributions from that of two samples;
# - train a network to find a distance, and prove why one hidden layer of ReLU finds at most half of it.
#
# **Before you start**: expectations, norms; lesson 01 (MaxMin); of lesson 03, what Theorem 1 says.
#
# Reading: 33 minutes · exercises: 59 minutes · running: under 60 seconds

# %%
import math

import torch
from torch import nn
from torch.nn.utils import parametrize

import lipteach as lt
from lipteach import terms
from lipteach.classroom import check, show, slider_figure
from lipteach.classroom.lessons.l11_wasserstein import figures
from lipteach.classroom.lessons.l11_wasserstein import transport_learning as learning
from lipteach.experiments import experiment, load_record
from lipteach.training import absolute_value, cone, orthonormal_network, three_cones

torch.set_num_threads(1)  # the matrices are small: a second thread would only wait
torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## One distance, seen from two sides (H.1)
#
# Two heaps of earth stand at the places 0 and 3, half a unit each. Two holes at 1 and 5 want half a unit
# each. A *plan* says how much goes from each heap $x_i$ to each hole $y_j$; to move a mass by a distance
# costs their product. If $t$ goes from 0 to 1, then the rest is settled: $\tfrac12 - t$ goes from 0 to 5,
# as much from 3 to 1, and $t$ from 3 to 5.
#
# **Predict:** which $t$ between 0 and ½ costs least, and what does that plan cost?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_two_heaps(0.3))

# %%
slider_figure(figures.draw_two_heaps, t=(0.0, 0.5, 0.05, 0.3))

# %% [markdown]
# The cost is a straight line in $t$, so that the best plan stands at one of its ends: nobody crosses. The
# least cost is the *Wasserstein distance* $W_1$ of the heaps and the holes. In general, between two
# distributions $p_1$ and $p_2$,
#
# $$W_1(p_1, p_2) = \min_\pi \; E_{(x, y) \sim \pi} \|x - y\| ,$$
#
# over all plans $\pi$ that take from $p_1$ and bring to $p_2$. For samples this is a linear program. POT, a
# library, solves it, and `lt.exact_wasserstein` asks POT.

# %%
heaps, holes = torch.tensor([[0.0], [3.0]]), torch.tensor([[1.0], [5.0]])
assert torch.equal(lt.transport_plan(heaps, holes), torch.eye(2) / 2)
assert lt.exact_wasserstein(heaps, holes) == 1.5
print("the best plan:", lt.transport_plan(heaps, holes).tolist())

# %% [markdown]
# How can we be sure that no plan is cheaper, without trying them? Let $f$ be any 1-Lipschitz function.
# Each unit of earth that goes from $x$ to $y$ pays $\|x - y\|$, which is at least $f(x) - f(y)$. We add
# up over the plan:
#
# $$E_\pi \|x - y\| \;\ge\; E_\pi\, [f(x) - f(y)] \;=\; E_{p_1} f - E_{p_2} f .$$
#
# The right side does not know of the plan any more. So **each function is a lower bound for each plan**.
# The solver proves it for our heaps and holes, for all plans $t$ and all values of $f$ at the four places.


# %%
def what_is_left(t, f0, f3, f1, f5):
    cost = t * (1 + 2) + (0.5 - t) * (5 + 2)
    return cost - ((f0 + f3) / 2 - (f1 + f5) / 2)


def plan_and_lipschitz(t, f0, f3, f1, f5):
    return [t >= 0, 2 * t <= 1, f0 - f1 <= 1, f3 - f5 <= 2, f0 - f5 <= 5, f3 - f1 <= 2]


weak_duality = lt.prove(what_is_left, lambda t, f0, f3, f1, f5, left: left >= 0, plan_and_lipschitz)
assert weak_duality
print(weak_duality)

# %% [markdown]
# Is there a function whose bound is reached? Kantorovich and Rubinstein showed that there is one for all
# distributions of finite mean:
#
# $$W_1(p_1, p_2) = \max_f \; E_{p_1} f - E_{p_2} f \qquad \text{over the 1-Lipschitz } f .$$
#
# It is called a *dual function*, and what it gives is its *dual value*, `lt.wasserstein_dual`. For the heaps
# $f(z) = -z$ will do: all earth goes to the right.

# %%
assert lt.wasserstein_dual(lambda z: -z, heaps, holes) == lt.exact_wasserstein(heaps, holes)
print("the dual value of −z is", lt.wasserstein_dual(lambda z: -z, heaps, holes).item())

# %% [markdown]
# A plan from above, a function from below, and they meet: that is a complete proof.
#
# ### Exercise 1 ●○○ · 6 min · cost
# Now the heaps hold ¾ at 0 and ¼ at 4, and the holes ½ at 1 and ½ at 3. What is the least cost? (You may
# check your plan by a function.)

# %%
my_cost = ...
check("11.cost", my_cost)

# %% [markdown]
# <details><summary>Hint</summary>On the line nobody needs to cross. The hole at 1 takes the first half
# unit from the left: from where?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_cost = 0.5 * 1 + 0.25 * 3 + 0.25 * 1
# ```
#
# A function that gives 1.5 too: $-z$ up to 3, and then rising by 1.
#
# </details>

# %% [markdown]
# ## One point against two (H.1 absolute value)
#
# The first pair of the paper: $p_1$ sits at 0, and $p_2$ has half of its mass at $-1$ and half at $1$. There is
# only one plan, and it moves everything by 1. So $W_1 = 1$.

# %%
x, y = absolute_value().stratified(2)
print(x.flatten().tolist(), "against", y.flatten().tolist())
assert lt.exact_wasserstein(x, y) == 1

# %% [markdown]
# Which functions reach it? They must fall by 1 from 0 to 1, and by 1 from 0 to $-1$. That is as steep as is
# allowed, and leaves no choice for what lies between. The solver agrees: for every point $0 \le s \le 1$ the
# value is $f(0) - s$.


# %%
def between(s, f_left, f_0, f_s, f_1):
    return f_s - (f_0 - s)


def reaches_1(s, f_left, f_0, f_s, f_1):
    lipschitz = [f_0 - f_left <= 1, f_0 - f_s <= s, f_s - f_1 <= 1 - s]
    return [s >= 0, s <= 1, *lipschitz, f_0 - (f_left + f_1) / 2 == 1]


forced = lt.prove(between, lambda s, f_left, f_0, f_s, f_1, off: off == 0, reaches_1)
assert forced
print(forced)

# %% [markdown]
# To the left of 0 the same holds, with $-s$ for $s$. So on $[-1, 1]$ the dual function is $-|x|$, up to a constant.
#
# **Predict:** beyond 1 and $-1$ there is no mass. How does the dual value change if we bend $f$ there?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_outside(-0.5))

# %%
slider_figure(figures.draw_outside, slope=(-1.0, 1.0, 0.25, -0.5))

# %% [markdown]
# Not at all. A network that reaches 1 has learnt minus the absolute value between $-1$ and $1$, up to a constant,
# and outside anything that is 1-Lipschitz.


# %%
def bent(z, slope):
    return -z.abs().clamp(max=1) + slope * (z.abs() - 1).clamp(min=0)


for slope in (-1.0, -0.3, 0.0, 1.0):
    assert lt.wasserstein_dual(lambda z, slope=slope: bent(z, slope), x, y) == 1

# %% [markdown]
# ## Which way is up (H.1 sign)
#
# The paper says that the best function of this pair is *low* at 0 and high at $\pm 1$: it is $|x|$. For its next
# pair it says that the function is *high* at the centres. In both, $p_1$ sits at the centre. We ask for the two
# dual values.

# %%
up, down = (lt.wasserstein_dual(lambda z, s=s: s * z.abs(), x, y).item() for s in (1, -1))
assert (up, down) == (-1, 1)
print("|x| gives", up, "and −|x| gives", down)

# %% [markdown]
# **The erratum.** $E_{p_1} f - E_{p_2} f$ is greatest for $-|x|$, high where $p_1$ is. With $|x|$ one computes
# $E_{p_2} f - E_{p_1} f$. Both readings give the distance 1, since $-f$ is 1-Lipschitz if $f$ is; but the two
# examples use opposite ones. We keep $E_{p_1} f - E_{p_2} f$ for all of them: **high on $p_1$**.
#
# ## Three cones (H.1 three cones)
#
# The second pair lies in the plane. $p_1$ chooses one of the centres $(-2, 0)$, $(0, 0)$ and $(2, 0)$; $p_2$ chooses
# a point of the unit circle about one of them. Neighbouring circles touch. We claim that $W_1 = 1$:
#
# 1. each centre can serve its own circle, at distance 1: a plan of cost 1;
# 2. each point of a circle is at distance 1 or more from *every* centre, so no plan is cheaper;
# 3. the function $f(z) = -\min_c \|z - c\|$, over the centres $c$, is 0 at the centres and $-1$ on the circles:
#    dual value 1.
#
# Only at the two points where circles touch is a second centre as near. So the best plan is unique but for points
# without mass, as the paper says.

# %%
pair = three_cones()
x, y = pair.stratified(360)
nearest, second, _ = torch.cdist(y, pair.centres).sort(dim=1).values.T
assert torch.allclose(nearest, torch.ones(360)) and second.min() > 1 + 1e-4
assert math.isclose(lt.wasserstein_dual(pair.dual, x, y).item(), 1)

# %% [markdown]
# Now let $d$ be the distance of neighbouring centres; in the paper $d = 2$.
#
# **Predict:** what becomes of the distance if the centres move apart, and if they move together? Which of the
# three steps break?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_spacing(2.0))

# %%
slider_figure(figures.draw_spacing, spacing=(0.5, 3.0, 0.125, 2.0))

# %% [markdown]
# Apart, nothing changes. Together, the circles overlap; some points of a circle are then nearer to a foreign
# centre, steps 2 and 3 break, and the best plan uses these points (dashed). From about $d = 0.9$ on downwards the
# distance rises again: at $d = 0$ there would be one centre and one circle.

# %%
spacings = (0.5, 0.875, 1.5, 2, 3)
distance = {d: lt.exact_wasserstein(*three_cones(d).stratified(360)).item() for d in spacings}
assert distance[0.875] < distance[0.5] < distance[1.5] < 0.91
assert all(math.isclose(distance[d], 1) for d in (2, 3))
print({d: round(w, 2) for d, w in distance.items()})

# %% [markdown]
# ### Exercise 2 ●●○ · 8 min · plan
# Four points stand on each of the three circles, in the order of the centres. Write the best plan as a matrix
# of shape (3, 12): a row for each centre, with ⅓ of the mass, and a column for each point, which gets 1/12.

# %%
my_plan = ...
check("11.plan", my_plan)

# %% [markdown]
# <details><summary>Hint</summary>The first row has four entries that are not 0. What must they add up to?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_plan = torch.kron(torch.eye(3), torch.ones(1, 4)) / 12
# ```
#
# </details>

# %% [markdown]
# ### Exercise 3 ●●○ · 8 min · dual
# Write a dual function of the three cones: 1-Lipschitz, from (n, 2) to (n,), with dual value 1.


# %%
def my_dual(z):
    # your code
    ...


check("11.dual", my_dual)

# %% [markdown]
# <details><summary>Hint</summary><code>torch.cdist</code> gives all distances from the points to the centres.
# Which of the three counts?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_dual(z):
#     centres = torch.tensor([[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]], dtype=z.dtype)
#     return -torch.cdist(z, centres).amin(dim=1)
# ```
#
# </details>

# %% [markdown]
# Must the three cones be equally high? Each has to fall by exactly 1 from its tip to its whole circle. Where two
# circles touch, they share a point, and both cones end there at the same height. So the tips are level. (Outside the three
# discs no mass travels, and the function is free again, as far as 1-Lipschitz functions are.)
#
# **Predict:** we lift the middle cone, $f(z) = \max_c\, (h_c - \|z - c\|)$ with $h = 0.3$ in the middle and 0 at the
# sides. What does it cost if the circles touch, $d = 2$? And if there is a gap, $d = 2.5$?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_heights(2.0, 0.3))

# %%
slider_figure(figures.draw_heights, spacing=(2.0, 3.0, 0.25, 2.0), lift=(-1.0, 1.0, 0.1, 0.3))

# %% [markdown]
# At $d = 2$ the lifted cone buries a part of its neighbours' circles. With a gap of $d - 2$ between the circles, a
# 1-Lipschitz function has room to climb by just as much: heights of neighbours may differ by up to $d - 2$.


# %%
def value(spacing, lift):
    f = figures.lifted(spacing, (0.0, lift, 0.0))
    return lt.wasserstein_dual(f, *three_cones(spacing).stratified(360)).item()


# %%
assert math.isclose(value(2.0, 0.0), 1) and value(2.0, 0.1) < 0.9999
assert all(math.isclose(value(d, d - 2), 1) for d in (2.25, 2.5, 3.0))
assert all(value(d, d - 2 + 0.1) < 0.9999 for d in (2.25, 2.5, 3.0))
print("A lift of d − 2 keeps the value 1; a tenth more does not.")

# %% [markdown]
# ### Exercise 4 ●●○ · 6 min · heights
# Let the centres be 2.5 apart. Give three heights, not all equal, whose three cones have dual value 1.

# %%
my_heights = ...
check("11.heights", my_heights)

# %% [markdown]
# <details><summary>Hint</summary>How wide is the gap between two neighbouring circles?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_heights = [0.0, 0.5, 0.0]
# ```
#
# </details>

# %% [markdown]
# ## Many dimensions (H.1 n-dimensional cone)
#
# The third pair: $p_1$ sits at the origin of $\mathbb{R}^n$, and $p_2$ is uniform on the unit *sphere*. All mass moves by
# 1, so $W_1 = 1$ in every dimension, and the dual function inside the sphere is one cone, $-\|z\|$. The points lie on
# the surface, and that matters. In the filled *ball* a point has mean norm
#
# $$E\|y\| = \int_0^1 r \cdot n r^{n-1}\, dr = \frac{n}{n+1} .$$
#
# We draw the direction on the sphere, and a radius with density $n r^{n-1}$.

# %%
for n in (2, 16, 128):
    origin, sphere = cone(n).sample(2000, generator)
    radius = torch.rand(2000, 1, generator=generator) ** (1 / n)
    ball = lt.exact_wasserstein(origin[:1], radius * sphere).item()
    assert math.isclose(lt.exact_wasserstein(origin[:1], sphere).item(), 1)
    assert abs(ball - n / (n + 1)) < 0.02
    print(f"n = {n}: sphere 1, ball {n / (n + 1):.3f} up to 0.02")

# %% [markdown]
# ### Exercise 5 ●●○ · 6 min · ball
# What is the distance between the origin of $\mathbb{R}^4$ and the uniform distribution on its filled unit ball?

# %%
my_ball = ...
check("11.ball", my_ball)

# %% [markdown]
# <details><summary>Hint</summary>A ball of radius r holds the share r⁴ of the volume. Which density has the
# radius?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# my_ball = 4 / 5
# ```
#
# </details>

# %% [markdown]
# ## What a batch says (H.1)
#
# A network in training sees batches. A batch of $n$ points from each side has a Wasserstein distance of its own. Is
# that 1 as well? In the three cones, a random batch has more points about one centre than about another, and
# mass has to travel.
#
# **Predict:** is the distance of a batch above or below 1? By how much, on average, for $n = 30$? And for 120?

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(figures.draw_batches(30))

# %%
slider_figure(figures.draw_batches, n=(6, 120, 6, 30))

# %% [markdown]
# It is never below 1: step 2 above holds for every batch. Over many batches of 30 it overshoots by some 4% on average
# if only the circles are drawn, and by about twice as much if the centres are drawn as well; with 120 by less than 1% and
# 2%. (The mean of a figure's 60 batches lies near that, not on it.) A dual value above 1 on a *batch* is therefore no sign
# of a broken constraint. *Stratified* samples meet each centre and its circle equally often, and their distance is
# exactly 1. So is that of every batch of the other two pairs, as all mass travels 1 there whatever is drawn.


# %%
def overshoots(batches):
    both = torch.stack([lt.exact_wasserstein(x, y) for x, y in batches])
    circles = torch.stack([lt.exact_wasserstein(pair.centres, y) for _, y in batches])
    assert both.min() > 1 - 1e-12 and circles.min() > 1 - 1e-12
    return circles.mean() - 1, both.mean() - 1


# %%
batches = [pair.sample(30, generator) for _ in range(400)]
circles, both = overshoots(batches)
assert 0.03 < circles < 0.05 and 0.07 < both < 0.11
circles, both = overshoots([pair.sample(120, generator) for _ in range(150)])
assert 0 < circles < 0.01 and 0.01 < both < 0.02
exact = lt.exact_wasserstein(*pair.stratified(30, generator))
assert torch.isclose(exact, torch.tensor(1.0))
for other in (absolute_value(), cone(16)):
    assert torch.isclose(lt.exact_wasserstein(*other.sample(30, generator)), torch.tensor(1.0))
print("batches of 30: some 4% and 9% above 1; stratified: 1")

# %% [markdown]
# ## A network looks for the distance
#
# Now the exam. The network must be 1-Lipschitz, so we give it orthonormal weights (`lt.orthonormal`, lesson 04). Its
# loss is minus its dual value. There is nothing else to it: no labels, no penalty.


# %%
def learn(activation, pair, hidden, steps, batch):
    generator = torch.Generator().manual_seed(0)
    f = orthonormal_network([pair.centres.shape[1], *hidden, 1], activation, generator)
    for layer in f[::2]:
        lt.orthonormal(layer)
    optimizer = torch.optim.Adam(f.parameters(), lr=0.03)
    rate = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    values = []
    for _ in range(steps):
        with parametrize.cached():  # the weights are computed once for both sides
            dual_value = lt.wasserstein_dual(f, *pair.stratified(batch, generator))
        optimizer.zero_grad()
        (-dual_value).backward()
        optimizer.step()
        rate.step()
        values.append(dual_value.item())
    return lt.export(f), values


# %% [markdown]
# We begin with one point against two. Weak duality says that no value may ever exceed 1, before, during or after the
# training.
#
# **Predict:** two networks of two hidden layers, one with MaxMin, one with ReLU. Which value does each reach?

# %%
runs = {
    "MaxMin": learn(lt.MaxMin, absolute_value(), [16, 16], 150, 2),
    "ReLU": learn(nn.ReLU, absolute_value(), [16, 16], 150, 2),
    "ReLU, one layer more": learn(nn.ReLU, absolute_value(), [16, 16, 16], 150, 2),
}
curves = {name: (range(1, 151), values) for name, (_, values) in runs.items()}
assert max(max(values) for _, values in runs.values()) < 1 + 1e-5

# %% jupyter={"outputs_hidden": true} tags=["hide-output"]
show(learning.draw_learning(curves))

# %% [markdown]
# MaxMin finds the whole distance. ReLU stops short of it, and a further layer helps a little.

# %%
last = {name: values[-1] for name, (_, values) in runs.items()}
assert last["MaxMin"] > 0.995
assert 0.5 < last["ReLU"] < 0.6 < last["ReLU, one layer more"] < 0.7

# %% [markdown]
# "1-Lipschitz" is a claim, so we audit it: the product of the exact norms of the trained weights.

# %%
for f, _ in runs.values():
    norms = math.prod(lt.operator_norm(layer.weight).item() for layer in f[::2])
    assert abs(norms - 1) < 1e-4
print("The product of the three or four norms is 1 up to 1e-4 in each network.")

# %% [markdown]
# ## Why ReLU stops short (H.1)
#
# Take one hidden layer, $f(x) = \sum_i v_i\, \mathrm{relu}(w_i x + b_i)$ with $\|w\|_2 \le 1$ and $\|v\|_2 \le 1$, and let
#
# $$g(w, b) = \mathrm{relu}(b) - \tfrac12 \bigl(\mathrm{relu}(b + w) + \mathrm{relu}(b - w)\bigr)$$
#
# be the dual value of one unit. In three steps the dual value of $f$ is at most ½:
#
# 1. for each unit $-\tfrac12 |w| \le g(w, b) \le 0$: the solver proves it for all $w$ and $b$;
# 2. so $\bigl|\sum_i v_i\, g(w_i, b_i)\bigr| \le \tfrac12 \sum_i |v_i| |w_i|$;
# 3. and $\sum_i |v_i| |w_i| \le \|v\|_2 \|w\|_2 \le 1$, by Cauchy and Schwarz.


# %%
def unit_value(w, b):
    return terms.relu(b) - (terms.relu(b + w) + terms.relu(b - w)) / 2


half = lt.prove(unit_value, lambda w, b, g: terms.And(g <= 0, -abs(w) <= 2 * g), None)
assert half
print(half)

# %% [markdown]
# ### Exercise 6 ●●● · 10 min · ceiling
# The bound is reached. Give `(W1, b1, W2)`, of shapes (m, 1), (m,) and (1, m) and with norms at most 1, such that
# $f(x) = W_2\, \mathrm{relu}(W_1 x + b_1)$ has dual value ½, up to $10^{-4}$. (Here $W_1$ is a weight, not the
# distance.)

# %%
my_ceiling = ...
check("11.ceiling", my_ceiling)

# %% [markdown]
# <details><summary>Hint</summary>When is Cauchy and Schwarz an equality? And for which b does a unit reach −½|w|?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# a = math.sqrt(0.5)
# my_ceiling = [[a], [-a]], [0.0, 0.0], [[-a, -a]]
# ```
#
# It is $-\tfrac12 |x|$. One unit does it too: $-\mathrm{relu}(x)$.
#
# </details>

# %% [markdown]
# It would be wrong to say that ReLU networks find at most half. That holds for one hidden layer; our networks of two
# and three went beyond it. How far deeper ones can go we have not proved. But none of them reaches 1. It would be
# $-|x|$ on $[-1, 1]$, up to a constant, and so have gradient norm 1 almost everywhere there. By Theorem 1 (lesson 03) a ReLU network
# with weights of norm at most 1 and gradient norm 1 on an interval is affine on it, and $-|x|$ is not.
#
# ## The cones, learnt
#
# In the plane there is more to learn: three tips, and a circle of directions about each. We train a MaxMin network of
# four hidden layers on stratified batches.

# %%
learnt, values = learn(lt.MaxMin, three_cones(), [32, 32, 32, 32], 300, 36)
assert max(values) < 1 + 1e-5 and 0.85 < values[-1] < 0.95
assert lt.wasserstein_dual(learnt, *batches[0]) <= lt.exact_wasserstein(*batches[0])

# %%
show(learning.draw_learnt_surface(learnt))

# %% [markdown]
# Inside the three discs the level lines of the best function are circles. Those of the network are polygons: it is
# piecewise linear. At right angles to an edge it falls nearly as steeply as is allowed, towards a corner much less.
# The missing tenth is not spread evenly: a quarter of the directions, the worst, make up about half of it.

# %%
z = (x + torch.rand(360, 1, generator=generator) * (y - x)).requires_grad_()
slope = torch.autograd.grad(learnt(z).sum(), z)[0].norm(dim=1)
assert slope.min() > 0.94 and slope.max() < 1 + 1e-5  # in the steepest direction
fall = (learnt(x) - learnt(y)).flatten()
assert fall.min() < 0.75 and fall.max() > 0.95  # from the centres to points of the circles
missing = (1 - fall).sort(descending=True).values
assert 0.4 < missing[: len(missing) // 4].sum() / missing.sum() < 0.6

# %% [markdown]
# ### Exercise 7 ●●● · 15 min · critic
# Train and audit a critic of your own, in two functions. `my_critic(x, y)` gets points of shape (n, d) and
# (m, d), trains a small network to be high on `x` and low on `y`, and returns it: an `nn.Sequential` of linear
# layers and activations of the package. `my_audit(critic, x, y)` gets any such network, held or not, and returns
# `(value, bound)`: its dual value, and the product of the exact norms of its weights.
#
# The check lets `my_audit` look at networks whose norms are not 1. Then it trains your critic on three points
# in the plane, and audits it: a certified bound of at most 1 (up to $10^{-4}$), and at least four fifths of the
# exact distance. It waits for five seconds: some hundred steps of a small network are enough.


# %%
def my_critic(x, y):
    # your code
    ...


def my_audit(critic, x, y):
    # your code
    ...


check("11.critic", (my_critic, my_audit))

# %% [markdown]
# <details><summary>Hint</summary>The function <code>learn</code> above draws its points itself; here they are
# given. Which of its lines stay? And what do you multiply, if each layer may stretch what the one before it has
# stretched?
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def my_critic(x, y):
#     generator = torch.Generator().manual_seed(0)
#     critic = orthonormal_network([x.shape[1], 8, 8, 1], lt.MaxMin, generator)
#     for layer in critic[::2]:
#         lt.orthonormal(layer)
#     optimizer = torch.optim.Adam(critic.parameters(), lr=0.03)
#     for _ in range(60):
#         optimizer.zero_grad()
#         (-lt.wasserstein_dual(critic, x, y)).backward()
#         optimizer.step()
#     return lt.export(critic)
#
#
# def my_audit(critic, x, y):
#     norms = [lt.operator_norm(layer.weight).item() for layer in critic[::2]]
#     return lt.wasserstein_dual(critic, x, y).item(), math.prod(norms)
# ```
#
# The value divided by the bound is an honest lower bound of the distance, for every network. Who projects after
# each step must do so after the last as well.
#
# </details>

# %% [markdown]
# ## The recorded run (H)
#
# The paper's networks are trained for longer than a lesson may last. A run on two CPU cores is recorded with this
# repository: four activations under three constraints, and three larger networks on the three cones, each with three seeds. *Björck* and *spectral* are our
# `lt.orthonormal` and `lt.spectral`, computed to the last digits; *retraction* keeps the weights orthonormal after each step
# (`lt.retract_`). `cone` is the third pair, here in 16 dimensions. We read the record.

# %%
record = load_record("h1_transport", "laptop")
print(experiment("h1_transport").compare(record))

# %%
show(learning.draw_record(record))

# %% [markdown]
# What do we see? Under every constraint MaxMin and GroupSort find at least 0.99 of the distance between one point and
# two. ReLU does not come near, in any pair. In 500 steps FullSort finds nearly all of the cone; MaxMin leaves out
# more than a tenth. And where only the largest singular value is held at 1, under *spectral*,
# every activation that sorts finds less of the three cones than it does with orthonormal weights.


# %% jupyter={"source_hidden": true} tags=["hide-input"]
def estimates(**settings):
    """The mean estimate of each recorded cell with these settings."""
    cells = [c for c in record.cells if {**c.settings, **settings} == c.settings]
    return [c.mean("estimate") for c in cells]


def estimate(**settings):
    """That of the one cell with these settings."""
    (only,) = estimates(**settings)
    return only


# %% jupyter={"source_hidden": true} tags=["hide-input"]
for name in ("MaxMin", "GroupSort(4)"):
    assert min(estimates(pair="absolute value", activation=name)) >= 0.99
assert max(estimates(activation="ReLU")) < 0.75
assert max(estimates(pair="cone", activation="MaxMin")) < 0.9
assert min(estimates(pair="cone", activation="FullSort")) > 0.95
shallow, deep = 3 * [128], 5 * [128]
for name in ("MaxMin", "GroupSort(4)", "FullSort"):
    by = {
        constraint: estimate(
            pair="three cones", activation=name, hidden=shallow, constraint=constraint
        )
        for constraint in ("Björck", "spectral", "retraction")
    }
    assert by["spectral"] < min(by["Björck"], by["retraction"])

# %% [markdown]
# On the three cones the number of layers matters. Three hidden layers of MaxMin leave out more than those of
# GroupSort, which puts four numbers in order at once. The paper's three layers of 312 units (Björck, its authors' 9,600
# steps) find 0.97; five layers of 128 (retraction, 2,000 steps) find 0.98. ReLU does not reach 0.6.

# %% jupyter={"source_hidden": true} tags=["hide-input"]
three = {"pair": "three cones", "constraint": "retraction"}
narrow, deeper = (estimate(activation="MaxMin", hidden=h, **three) for h in (shallow, deep))
wide = estimate(pair="three cones", hidden=3 * [312], steps=9600)
assert narrow < 0.97 < wide < 0.98 < deeper
assert narrow < estimate(activation="GroupSort(4)", hidden=shallow, **three)
assert max(estimates(pair="three cones", activation="ReLU")) < 0.6

# %% [markdown]
# And all of these are honest lower bounds: each value is divided by the product of the exact norms of the trained
# weights, and none exceeds 1. Random batches of the three cones would have been further apart than that, on average.

# %%
norms = [norm for cell in record.cells for norm in cell.metrics["norms"]]
found = [value for cell in record.cells for value in cell.metrics["estimate"]]
assert max(abs(norm - 1) for norm in norms) < 1e-3 and max(found) <= 1
cones = [c for c in record.cells if c.settings["pair"] == "three cones"]
assert all(c.mean("batch_distance") > 1.02 for c in cones)
print(len(found), "trained networks, each 1-Lipschitz up to 1e-3 before the division")

# %% [markdown]
# The paper's own networks, with its authors' batches, rates and steps, are in the profile `full` of the same experiment:
#
# ```
# python -m lipteach.experiments run h1_transport --profile full
# ```
#
# ## Recap
#
# - $W_1$ is the least cost of a plan and the greatest dual value of a 1-Lipschitz function. Each function is a lower bound
#   for each plan; where the two meet, both are proved.
# - The dual function is high on $p_1$ and forced where mass travels, up to a constant (one for each cone, if the cones
#   stand apart). Elsewhere it is as free as a 1-Lipschitz function can be. The paper's two examples use opposite signs.
# - Three cones at spacing 2 have distance 1 and level tips. Further apart, neighbouring tips may differ by up to $d - 2$;
#   nearer, the distance is less than 1.
# - Random batches of the three cones overshoot, on average; stratified samples do not.
# - Networks that sort come near to the distance. With weights of norm 1, one hidden layer of ReLU finds at most half of
#   the first pair's, and no ReLU network finds all of it.
#
# ## Where next
#
# Why a network that keeps gradient norms cannot be made of ReLU is the subject of
# [lesson 03](03_why_relu_is_linear.ipynb). What a spectral norm of 1 leaves out, and the cone in many dimensions under two
# constraints, is that of [lesson 06](06_spectral_vs_bjorck.ipynb). [Lesson 12](12_classification.ipynb) lets such networks
# classify.
