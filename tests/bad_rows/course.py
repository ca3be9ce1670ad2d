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
    yield classroom.progress, [folder], FileNotFoundError, "there is no folder 'nowhere'"
    yield classroom.progress, [4], TypeError, "folder must be a path; got int"
    yield classroom.check_release, [folder], FileNotFoundError, "nowhere is no released course"
    grade = classroom.grade
    yield grade, [folder], FileNotFoundError, "nowhere is no released course"
    for name in ("workers", "seconds", "megabytes"):
        call = lambda value, name=name: grade(folder, **{name: value})  # noqa: E731
        for bad in ("2", None, True):
            yield call, [bad], TypeError, f"{name} must be a"
        for bad in (0, -1, 10**9):
            yield call, [bad], ValueError, f"{name} must be at least 1 and below a million; got"
    yield lambda w: grade(folder, workers=w), [1.5], TypeError, "must be an integer; got 1.5"
