"""What the course refuses; nothing is written before it does."""

from lipteach import classroom


def rows():
    """Lessons that are none, and folders that hold no course."""
    release, folder = classroom.release, "nowhere"
    yield release, ["01", folder], TypeError, "list of numbers such as ['01', '04']; got '01'"
    yield release, [4, folder], TypeError, "got 4"
    yield release, [[], folder], ValueError, "at least 1 lesson; got none"
    yield release, [[4], folder], TypeError, "named by a string such as '04'; got int"
    yield release, [["99"], folder], ValueError, "no lesson '99'; there are 00, 01"
    yield lambda *a: release(["00"], folder, hints=a[0]), [1], TypeError, "True or False; got 1"
    for bad in ("7", 1.5, True):
        yield lambda a: release(["00"], folder, vary=a), [bad], TypeError, "a course, or None; got"
    own = classroom.own_numbers
    yield own, ["04.steps", 7, "ada"], ValueError, "the numbers of 04.steps do not vary"
    yield own, ["04.regulariser", 7, "ada"], ValueError, "nearest name is '04.regularizer'"
    for bad in (("7", "ada"), (7, None), (True, "ada")):
        yield own, ["04.regularizer", *bad], TypeError, "own must be a seed and a student's name"
    check = lambda own: classroom.check("04.regularizer", 1, own=own)  # noqa: E731
    yield check, ["ada"], TypeError, "a seed and a student's name, (7, 'ada'); got 'ada'"
    yield classroom.check_release, [folder], FileNotFoundError, "nowhere is no released course"
