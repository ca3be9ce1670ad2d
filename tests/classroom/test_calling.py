"""Each call of a student's code: copies, its own exceptions, what it hands back."""

import math

import pytest
import torch
from classroom_support import kind_of
from torch import nn

import lipteach as lt
from lipteach.classroom import Exercise, Mistake, checks
from lipteach.classroom.calling import call, is_stub
from lipteach.classroom.compare import compare_number, seeded
from lipteach.classroom.compare_functions import compare_function, compare_network
from lipteach.classroom.hints import Hint
from lipteach.theory import linear

F64 = torch.float64


def examined(judge, answer):
    """The report of an exercise with this judge."""
    wrong = {str(k): (k, "x") for k in range(3)}
    exercise = Exercise("09.some", judge, 1, {"one": 1}, wrong=wrong)
    return checks.examine(exercise, answer)


def compared(reference, inputs, **options):
    return lambda answer: compare_function(answer, reference, inputs, **options)


def test_a_list_that_is_emptied_spoils_nothing():
    def popped(x, c):
        first = c.pop(0)
        return first * x + sum(c)

    def reference(x, c):
        return c[0] * x + sum(c[1:])

    inputs = [(seeded(3), [1.0, 2.0]), (seeded(3), [1.0, 2.0])]
    same = inputs[0][1]
    compare_function(popped, reference, [*inputs, (seeded(2), same), (seeded(4), same)])
    compare_function(popped, reference, inputs, gradient=True)
    assert same == [1.0, 2.0]
    x = torch.ones(3)
    assert call(lambda x: x.zero_(), x).tolist() == [0, 0, 0]
    assert x.tolist() == [1, 1, 1]


def halfway(x):
    y = 2 * x
    if len(y) > 1:
        raise NotImplementedError
    return y


def with_words(x):
    raise NotImplementedError("your code")


def deeper(x):
    return torch.linalg.inv(x)


def test_not_implemented_halfway_is_tried():
    report = examined(compared(torch.neg, [seeded(3)]), halfway)
    assert (report.tried, report.kind) == (True, "error")
    assert "NotImplementedError, in line" in report.hint
    assert is_stub(with_words)
    assert not is_stub(halfway)
    assert not examined(compared(torch.neg, [seeded(3)]), with_words).tried


def test_an_exception_is_shown_with_its_own_line():
    number = deeper.__code__.co_firstlineno + 1
    text = kind_of(call, lambda x: deeper(x), torch.ones(2, 2))[1]
    assert text.endswith(f", in line {number}: `return torch.linalg.inv(x)`.")
    text = kind_of(call, lambda x: lt.maxmin(x), torch.ones(3))[1]
    assert "`text = kind_of(call, lambda x: lt.maxmin(x)" in text
    assert "run?" in kind_of(call, lambda x: no_such_name, 1)[1]  # noqa: F821


@pytest.mark.parametrize("given", [list, tuple, lambda x: x.numpy()])
def test_values_may_come_in_a_list(given):
    compare_function(lambda x: given(x * 2), lambda x: 2 * x, [seeded(3)])
    compare_function(lambda x: (2 * x).tolist(), lambda x: 2 * x, [seeded(3), seeded(2, 3)])
    compare_function(lambda x: [], lambda x: x, [torch.zeros(0, dtype=F64)])


def test_a_list_has_no_gradient():
    def hint(answer):
        return kind_of(compare_function, answer, torch.abs, [seeded(3)], gradient=True)[1]

    assert "torch.stack" in hint(lambda x: [v.abs() for v in x])
    assert "so that a gradient can flow" in hint(lambda x: [abs(v) for v in x.tolist()])


def test_of_a_tuple_handed_on_the_first_is_asked_for():
    inputs = [torch.diag(torch.tensor([2.0, 1.0])).double()]

    def norm(W):
        return torch.linalg.matrix_norm(W, 2)

    kind, text = kind_of(compare_function, lambda W: lt.power_iteration(W, 90), norm, inputs)
    assert kind == "type"
    assert "this is a tuple: of its 3 parts only the first is asked for." in text
    assert "of 3: which of its entries" in kind_of(compare_number, (1.0, 2.0, 3.0), 1)[1]


def test_the_example_is_the_call_that_failed():
    inputs = [torch.tensor([1.0]).double(), torch.tensor([1.0, -2.0]).double()]

    def in_float32(x):
        return x @ torch.eye(len(x))

    report = examined(compared(torch.abs, inputs), in_float32)
    assert report.example[0].tolist() == [1, -2]
    assert in_float32(*report.example).tolist() == [1, -2]
    assert examined(compared(torch.abs, inputs), torch.abs).example is None
    report = examined(compared(torch.abs, inputs), lambda x: x[2])
    assert report.example[0].tolist() == [1]
    report = examined(compared(torch.abs, inputs, gradient=True), lambda x: x.abs().detach())
    assert report.example[0].tolist() == [1]
    report = examined(compared(torch.abs, [], layouts=inputs), lambda x: x)
    assert report.example[0].tolist() == [1, -2]
    network = nn.Sequential(linear([[1.0]])).float()
    report = examined(
        lambda answer: compare_network(answer, torch.abs, [-torch.ones(1).double()]), network
    )
    assert network(*report.example).tolist() == [-1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (torch.neg, "The sign is turned"),
        (torch.square, "This is the square"),
        (torch.reciprocal, "This is the reciprocal"),
        (lambda x: 3 * x, "All of it is 3 times"),
        (lambda x: x + 0.25, "All of it is off by 0.25"),
        (torch.abs, "The size is right"),
        (lambda x: 1.001 * x, "Nearly"),
        (lambda x: x.flip(0), "their order is not"),
        (lambda x: 0 * x, "All of it is 0"),
        (lambda x: x / 0 - x / 0, "NaN: what is divided by 0"),
        (torch.sin, "Which of your steps makes the difference?"),
    ],
)
def test_slips_of_functions(answer, words):
    x = torch.tensor([0.3, -1.7, 2.5]).double()
    text = kind_of(compare_function, answer, lambda x: x, [x])[1]
    assert text.startswith("For [0.3, -1.7, 2.5] the result is [")
    assert "is right." in text
    assert words in text


def test_one_call_with_large_values_makes_no_other_near():
    """Off by ½ where values are about 1, and by nothing where they are a million."""
    inputs = [torch.tensor([1.0, 2.0]), torch.tensor([1e6, 2e6])]

    def answer(x):
        return x + 0.5 if float(x.max()) < 10 else x

    with pytest.raises(Hint) as caught:
        compare_function(answer, lambda x: x, inputs)
    assert "Nearly" not in caught.value.text
    assert "for [1, 2] the result is [1.5, 2.5]" in caught.value.text.lower()


def test_a_branch_on_a_tensor_gets_a_question():
    with pytest.raises(Hint, match=r"does torch\.where fit"):
        call(lambda x: x if x > 0 else -x, torch.tensor([1.0, -2.0]))


def test_a_list_of_layers_is_tried_though_it_runs_none():
    assert not is_stub(nn.ModuleList([nn.Linear(1, 1)]))
    assert is_stub(nn.Module())


def test_an_exception_is_known_whichever_line_raised_it():
    bank = [Mistake("by index", lambda x: x[5], "What does x[5] ask for?")]

    def answer(x):
        doubled = 2 * x
        return doubled[5] / 2

    with pytest.raises(Hint, match=r"What does x\[5\] ask for"):
        compare_function(answer, lambda x: x[0], [torch.tensor([1.0, 2.0])], mistakes=bank)


def test_an_input_that_comes_back():
    text = kind_of(compare_function, lambda x: x.clone(), torch.sin, [seeded(3)])[1]
    assert "This is an input as it came" in text


def test_a_transposed_result():
    x = seeded(2, 3)
    text = kind_of(compare_function, lambda x: x.T, lambda x: 1 * x, [x])[1]
    assert "Transposed, it is right" in text
    text = kind_of(compare_function, lambda x: x.T, lambda x: 1 * x, [seeded(2, 2)])[1]
    assert "Transposed, it is right" in text


def test_a_mistake_of_which_some_calls_say_nothing():

    def large(got, want, x):
        return None if float(got) in (0, 1) else bool(got > 1)

    mistakes = [Mistake("large", None, "large?", large)]
    inputs = [torch.tensor(v).double() for v in (1.0, 2.0, math.pi)]
    checked = {"inputs": inputs, "mistakes": mistakes}
    assert kind_of(compare_function, lambda x: x, lambda x: 0 * x, **checked)[1] == "large?"
    assert kind_of(compare_function, lambda x: -x, lambda x: 0 * x, **checked)[1] != "large?"


def test_reports_are_told_apart_at_a_glance():
    reports = [
        examined(compared(torch.neg, [seeded(3)]), answer)
        for answer in (torch.neg, torch.abs, lambda x: ...)
    ]
    for report, sign in zip(reports, "✓✗○", strict=True):
        assert f">{sign}</b> {report.name}" in report._repr_html_()
    assert len({r._repr_html_().split("solid ")[1][:7] for r in reports}) == 3
    quoted = checks.Report("00.x", passed=False, hint="is 1 < 2?")
    assert "1 &lt; 2" in quoted._repr_html_()
