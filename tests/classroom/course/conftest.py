"""A course with the first lesson, released once by nbgrader itself."""

from pathlib import Path

import pytest

from lipteach.classroom import release


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release(["0"], tmp_path_factory.mktemp("course"))
