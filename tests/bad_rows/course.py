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
    yield classroom.check_release, [folder], FileNotFoundError, "nowhere is no released course"
