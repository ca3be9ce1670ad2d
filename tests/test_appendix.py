"""The map of the appendix is whole, and nothing in it points at what does not exist."""

import re
from dataclasses import replace

import pytest

from lipteach import appendix
from lipteach.appendix import Row

from .map_checks import (
    ITEM,
    SECTIONS,
    WHERE,
    anchor_faults,
    function_faults,
    heading_faults,
    headings,
    lesson_headings,
    named_items,
    node_faults,
)

ROWS = appendix.rows()
BUILT = [row for row in ROWS if row.built]
LESSONS = [
    "00_start_here",
    "01_groupsort",
    "02_same_power",
    "03_why_relu_is_linear",
    "04_bjorck",
    "05_fast_orthonormalization",
    "06_spectral_vs_bjorck",
    "07_projections",
    "08_lattice",
    "09_universal",
    "10_spectral_jacobian",
    "11_wasserstein",
    "12_classification",
    "13_robustness",
    "14_wgan",
    "15_cifar",
]

# What a reader must be told, and a word that the remark cannot do without.
TOLD = {
    "A.2 leaky ReLU": "2-norm", "A.2 maxout": "descending", "A.3 grouping sizes": "converse",
    "A.3 chunking": "2·x_max", "A.3 sort direction": "descending",
    "A.3 MaxMin from abs": "(B, B)", "B.1 regularizer": "β/4",
    "B.2 spectral normalization": "certificate", "B.3 convergence": "wide",
    "B.3 scale invariance": "sign(α)", "B.3 scaling": "full rank",
    "B.4 cost after training": "Björck", "Algorithm 1": "simplex", "Theorem 1": "connected",
    "D whole space": "ReLU", "D collapse": "bias", "Theorem 2": "counterexample",
    "Theorem 3": "dummy", "E closure": "class itself", "E stacking": "[W^f; W^g]",
    "E even widths": "even", "E depth padding": "affine", "Observation E": "compact",
    "G.1 architecture": "LeNet", "G.1 dropout": "MaxMin", "G.3 isometry at 10": "10",
    "H.1 sign": "sign", "H.4 scaling": "biases", "H.4 Parseval search": "0.0003",
}  # fmt: skip


# The verdicts that say "read with care", written out once more.
ERRATA = {
    "A.2 leaky ReLU", "A.3 MaxMin from abs", "A.3 chunking", "A.3 sort direction", "Algorithm 1",
    "B.1 regularizer", "B.2 spectral normalization", "B.3 scale invariance",
    "B.4 cost after training", "C", "D collapse", "D derivative", "D zero pattern", "E closure",
    "E stacking", "F spectral radius", "G.1 architecture", "G.1 dropout", "H.1 sign", "Theorem 2",
}  # fmt: skip
AMBIGUOUS = {
    "A.3 constant B", "B.2 cone", "F batch", "H.4 Parseval search", "H.5 certified radius",
    "H.5 f6",
}  # fmt: skip


# --- The map.


def test_every_item_of_the_appendix_has_a_row():
    assert {*SECTIONS, *WHERE} <= {row.item for row in ROWS}
    assert {f"Fig. {n}" for n in range(10, 18)} | {f"Table {n}" for n in range(3, 8)} <= {*WHERE}


def test_the_verdicts_are_those_we_checked():
    assert {row.item for row in ROWS if row.verdict == "erratum"} == ERRATA
    assert {row.item for row in ROWS if row.verdict == "ambiguous"} == AMBIGUOUS


def test_items_are_unique_and_every_claim_belongs_to_an_item():
    items = [row.item for row in ROWS]
    assert len(items) == len(set(items))
    assert all(ITEM.match(item)[0] in {*SECTIONS, *WHERE} for item in items)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.item)
def test_a_row_is_filled_in(row):
    assert row.verdict in appendix.VERDICTS
    assert row.lesson in LESSONS
    assert row.title
    assert row.says.endswith(".")
    assert row.remark.endswith(".") or (row.verdict == "correct" and not row.remark)
    assert row.built or not (row.anchor or row.test)


@pytest.mark.parametrize(("item", "word"), TOLD.items())
def test_what_readers_must_be_told_is_told(item, word):
    row = appendix.find(item)
    assert row.verdict != "correct"
    assert word in row.remark
    assert f"**{item}**" in appendix.markdown_errata()


def test_the_first_lessons_are_built():
    here = {"A", "A.1", "A.2", "A.3", "A.4", "B", "B.1", "B.2", "B.3", "B.4", "C", "D"}
    here |= {"E", "F", "G", "G.1", "G.2", "G.3", "H", "H.1", "H.2", "H.3", "H.4", "H.5"}
    due = {row.item for row in ROWS if {ITEM.match(row.item)[0], WHERE.get(row.item)} & here}
    assert due == {row.item for row in BUILT}


# --- What the map points at.


def test_built_rows_name_their_section_and_their_test():
    lacking = [
        f"{row.item}: no {field}"
        for row in BUILT
        for field in ("anchor", "test")
        if not getattr(row, field)
    ]
    assert not lacking, "built rows of the map that are not filled in:\n" + "\n".join(lacking)


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row.item)
def test_what_a_built_row_points_at_exists(row):
    faults = function_faults(row)
    faults += node_faults(row) if row.test else []
    present = lesson_headings(row.lesson)
    faults += anchor_faults(row, present) if row.anchor and present is not None else []
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_and_the_map_agree(lesson):
    present = lesson_headings(lesson)
    rows = [row for row in ROWS if row.lesson == lesson]
    if present is None:
        assert not any(row.anchor for row in rows), f"{lesson} is not written yet"
        return
    faults = [fault for heading in present for fault in heading_faults(heading)]
    lacking = [row.item for row in rows if not row.anchor]
    faults += [f"{item}: {lesson} exists and the row has no anchor" for item in lacking]
    assert not faults, "\n".join(faults)


# --- The checkers themselves, on made-up rows and headings.

SOUND = Row(
    item="Fig. 10", title="t", says="s.", verdict="correct", lesson="01_groupsort",
    function="lipteach.appendix.find", anchor="By sorting (A.1, Fig. 10)",
    test="tests/test_appendix.py::test_every_item_of_the_appendix_has_a_row",
)  # fmt: skip
PAGE = """# %% [markdown]
# # By sorting
# ## By sorting (A.1, Fig. 10)
# ```python
# # a comment (A.9)
# ```
# %%
# # code (A.8)
"""


def test_the_checkers_pass_what_is_sound():
    assert headings(PAGE) == ["By sorting", "By sorting (A.1, Fig. 10)"]
    assert named_items("Loss (D, Eq. (12))") == ["D", "Eq. (12)"]
    assert named_items("Optional (about ten minutes)") == []
    assert not function_faults(SOUND)
    assert not node_faults(SOUND)
    assert not anchor_faults(SOUND, headings(PAGE))
    assert not heading_faults("By sorting (A.1, Fig. 10, Eq. (12))")


@pytest.mark.parametrize("item", ["A", "A.1", "A.1 anything", "Fig. 10"])
def test_a_heading_names_an_item_and_the_sections_around_it(item):
    assert not anchor_faults(replace(SOUND, item=item), [SOUND.anchor])


@pytest.mark.parametrize("name", ["lipteach.no_such", "no_such.find", "lipteach.appendix"])
def test_a_missing_function_is_found(name):
    assert function_faults(replace(SOUND, function=name))


@pytest.mark.parametrize(
    "name",
    [
        "tests/no_such.py::test_x",
        "tests/test_appendix.py",
        "tests/test_appendix.py::test_no_such",
        "tests/test_appendix.py::headings",
    ],
)
def test_a_missing_test_is_found(name):
    assert node_faults(replace(SOUND, test=name))


def test_a_bad_anchor_is_found():
    assert anchor_faults(replace(SOUND, anchor="By sorting (A.1)"), headings(PAGE))
    assert anchor_faults(SOUND, [SOUND.anchor, SOUND.anchor])
    assert anchor_faults(replace(SOUND, item="Fig. 11"), headings(PAGE))
    assert anchor_faults(replace(SOUND, item="A.2"), headings(PAGE))
    assert anchor_faults(replace(SOUND, anchor="Größe (A.1)"), ["Größe (A.1)"])


@pytest.mark.parametrize("name", ["A.9", "Figure 10", "Fig. 99", "Eq. (13)", "Theorem 4", "I"])
def test_an_unknown_item_in_a_heading_is_found(name):
    assert heading_faults(f"By sorting (A.1, {name})")


@pytest.mark.parametrize("heading", ["Theorem 9 by hand", "More (see Table 99)", "Fig. 99, again"])
def test_an_unknown_item_anywhere_in_a_heading_is_found(heading):
    assert heading_faults(heading)


# --- The public functions.


def test_find_tells_the_nearest_names():
    assert appendix.find("Fig. 10").title
    with pytest.raises(ValueError, match=r"'Fig 10'.*'Fig\. 10'"):
        appendix.find("Fig 10")
    with pytest.raises(ValueError, match=r"'\?\+'.*such as 'A\.1'"):
        appendix.find("?+")
    with pytest.raises(TypeError, match="int"):
        appendix.find(10)


def test_the_table_has_a_line_for_each_row_and_four_cells_in_each():
    lines = appendix.markdown_table().splitlines()
    assert len(lines) == len(ROWS) + 2
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {5}
    assert len(appendix.markdown_table([SOUND]).splitlines()) == 3
    with pytest.raises(TypeError, match="got str"):
        appendix.markdown_table(["A.1"])
    with pytest.raises(TypeError, match="got int"):
        appendix.markdown_table(3)
    assert appendix.markdown_table(SOUND) == appendix.markdown_table([SOUND])
    planned = replace(SOUND, function="", anchor="", test="")
    assert "not yet built: lesson 01_groupsort" in appendix.markdown_table([planned])


def test_links_follow_the_rule_of_jupyterlab():
    assert SOUND.link == "[01_groupsort](01_groupsort.ipynb#By-sorting-(A.1,-Fig.-10))"
    assert replace(SOUND, anchor="").link == "[01_groupsort](01_groupsort.ipynb)"
    assert replace(SOUND, function="").link == "not yet built: lesson 01_groupsort"


def test_errata_are_those_rows_and_all_are_listed():
    assert appendix.errata() == tuple(row for row in ROWS if row.verdict == "erratum")
    listed = appendix.markdown_errata()
    assert listed.count("\n- **") == sum(row.verdict != "correct" for row in ROWS)
