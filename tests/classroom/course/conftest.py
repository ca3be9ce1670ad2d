"""A course with the first lesson, released once by nbgrader itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lipteach.classroom import release
from lipteach.classroom.course.configuration import nbgrader_at_work


@pytest.fixture(scope="session")
def _quick_gradebook() -> Iterator[None]:
    """For a new gradebook nbgrader starts `alembic`, some six seconds; here it is asked at once."""
    with nbgrader_at_work():
        import nbgrader.api
        from alembic.script import ScriptDirectory

        scripts = ScriptDirectory(str(Path(nbgrader.api.__file__).parent / "alembic"))
        newest = scripts.get_current_head()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nbgrader.api, "get_alembic_version", lambda: newest)
        yield


@pytest.fixture(scope="session")
def course(_quick_gradebook: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release(["0"], tmp_path_factory.mktemp("course"))
