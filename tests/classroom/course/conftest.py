"""A course with the first lesson, released once by nbgrader itself."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("nbgrader")
    from lipteach.classroom import release

    return release(["0"], tmp_path_factory.mktemp("course"))
