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
# # 00 · Start here
#
# A function is *1-Lipschitz* when its output never moves further than its input. These lessons teach
# neural networks that are 1-Lipschitz by construction, by running their mathematics. The text is the
# appendix of *Sorting Out Lipschitz Function Approximation* (Anil, Lucas and Grosse, 2019). We give
# each of its claims a verdict, rebuild and check those of the lessons built so far, and say plainly
# where it errs.
#
# **What you will be able to do**
# - see that this machine is ready,
# - have a claim proved or refuted, move a slider, and pass an exercise, within ten minutes,
# - find any item of the appendix, what we say of it, and the test that shows it.
#
# **Before you start**
#
# You need some Python, and from calculus the gradient. Each lesson says what else it builds on. A
# cell is run by Shift+Enter. Run them from the top: what one defines, those below it use.
#
# Reading: 9 minutes · exercises: 4 minutes · running: under 30 seconds

# %% [markdown]
# ## Is this machine ready?
#
# We ask once. A need that is not met is named here together with its mend.

# %%
from lipteach.check_environment import problems

print("\n".join(problems()) or "This machine is ready for the lessons.")

# %% [markdown]
# ## A first proof
#
# A sentence that claims something is followed by a cell that would fail if it were wrong.
# The word *proved* is kept for statements about every input of a domain, decided by a solver or by
# steps that are written out. Where the checks are long their cell is folded: a click on its three dots
# opens it. Here the small network of lesson 01 is the absolute value, everywhere.

# %%
import lipteach as lt

proof = lt.prove(lt.abs_network(), lambda x: abs(x[0]))
assert proof
print(proof)

# %% [markdown]
# A false claim comes back with an input that breaks it, which we can run.

# %%
answer = lt.prove(lt.relu_network(1), lambda x: abs(x[0]))
assert not answer
print(answer)

# %% [markdown]
# ## A first slider
#
# Each picture has one line that says what it shows, and the same picture
# stands under sliders. Before a slider moves it there is a question: answer it first. Here is $f(x) = \tfrac12 \sin 2x$, with a cone at its
# point at $x = -2$ and a chord from there to a second point.
#
# **Predict:** how steep can the chord get as we move the second point?

# %%
from lipteach.classroom import check, show, slider_figure
from lipteach.classroom.lessons.l00_start_here.figures import draw_lipschitz

show(draw_lipschitz())

# %% [markdown]
# Move the slider, and watch the number under the picture.

# %%
slider_figure(draw_lipschitz, second=(-1.9, 2.0, 0.1))

# %% [markdown]
# At most 0.91, near $x = -1.4$. The cone has the slopes 1 and −1 as its sides, and a 1-Lipschitz
# function through its tip does not leave it. From no other point is a chord steeper than 1 either: we
# try every pair of 101 points.

# %%
import torch

x = torch.linspace(-2.5, 2.5, 101, dtype=torch.float64)
f = torch.sin(2 * x) / 2
i, j = torch.combinations(torch.arange(101)).T  # all pairs of different points
slope = ((f[i] - f[j]) / (x[i] - x[j])).abs()
from_tip = torch.where(i == 10, slope, 0)  # x[10] is -2
assert slope.max() <= 1
assert abs(from_tip.max() - 0.91) < 0.005
assert abs(x[j[from_tip.argmax()]] + 1.4) < 0.06
print(f"steepest chord from x = -2: {from_tip.max():.2f}; of all: {slope.max():.2f}")

# %% [markdown]
# ## A first exercise
#
# A stub ends with `...` and a call of `check`. Write your answer in place of the three
# dots and run the cell: `check` says whether it is right and, if not, asks a question about what it
# saw. If you write `report = check(…)`, a call that went wrong is ready to run:
# `my_function(*report.example)`. Nothing is sent anywhere, and you may try as often as you like. An
# output that was saved or folded, a slider say, comes to life when you run its cell.
# ●○○ is easy, ●●● is hard.
# The minutes beside them are those of a first try. A part that opens with the word *Optional* may be left
# out: what is not optional does not need it.

# %% [markdown]
# ### Exercise 1 ●○○ · 2 min · first-check
# Write `larger(a, b)`: of two tensors, the larger one, entry by entry. Then try a wrong answer on
# purpose, the smaller one say, and see what the check makes of it.


# %%
def larger(a, b): ...


check("00.first-check", larger)

# %% [markdown]
# <details><summary>Hint</summary>
#
# Which function of torch compares two tensors entry by entry and keeps one of each pair?
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# def larger(a, b):
#     return torch.maximum(a, b)
# ```
#
# </details>

# %% [markdown]
# ## How far have I come?
#
# `make lab` has opened copies of the lessons. Beside them lies a small file in which `check` notes what
# is passed and what was tried. We read it here, and it names the next exercise to do.

# %%
from lipteach.classroom import progress

print(progress())

# %% [markdown]
# ## The map of the appendix
#
# Each item of the appendix has a row: what it says, our verdict, and, where a lesson is built, the
# function, the section of the lesson and the test. `find` looks one up by its name.

# %%
from lipteach import appendix

row = appendix.find("Fig. 10")
assert row.verdict == "correct"
print(row.title, "·", row.verdict, "·", row.function)

# %% [markdown]
# The verdicts are four. *Correct* means as written; *under conditions*, once the stated conditions are
# added; *erratum*, that something else holds; *ambiguous*, that the text can be read in two ways.

# %%
rows = appendix.rows()
assert {row.verdict for row in rows} == set(appendix.VERDICTS)
for verdict in appendix.VERDICTS:
    print(f"{sum(row.verdict == verdict for row in rows):4} {verdict}")

# %% [markdown]
# ### Exercise 2 ●○○ · 2 min · verdict
# Which verdict does the map give `Theorem 2`? Look it up, and read the remark of its row as well.

# %%
answer = ...
check("00.verdict", answer)

# %% [markdown]
# <details><summary>Hint</summary>
#
# What does `appendix.find("Theorem 2")` return, and which of its attributes is the verdict?
#
# </details>
#
# <details><summary>Solution</summary>
#
# ```python
# answer = appendix.find("Theorem 2").verdict
# ```
#
# </details>

# %% [markdown]
# ## Recap
# - This machine was checked, and one claim was proved for every real input, another refuted.
# - A slider stands under a question, an exercise above a hint and a solution.
# - The map has a row for each item of the appendix, with a verdict and, where built, a test.
#
# ## Where next
# [01 · Sorting instead of clipping](01_groupsort.ipynb): what GroupSort computes.
#
# What stands below is for looking things up: what differs from the printed appendix, and the whole map.

# %% [markdown]
# ## To look things up: what a reader of the appendix should be told
#
# The list has first what differs from the printed text, then what needs a condition, then what can be
# read in more than one way. An erratum takes nothing from the paper: most are slips, and the ideas
# stand. There is no need to read it now: each lesson comes back to its own rows.

# %%
from IPython.display import Markdown

Markdown(appendix.markdown_errata())

# %% [markdown]
# ## To look things up: the whole map
#
# Rows with a link can be opened: it leads to the section of the lesson. (The first click opens the
# lesson; JupyterLab finds the section once the lesson is open: click again, and once more in a long one.)

# %%
Markdown(appendix.markdown_table())
