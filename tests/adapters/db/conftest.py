import shutil

import pytest

from comity.db import database, migrate


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """Return the path of an empty database with the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("db") / "comity.sqlite"
    assert migrate.migrate(path)
    return path


@pytest.fixture
def path(tmp_path, migrated):
    return shutil.copy(migrated, tmp_path / "comity.sqlite")


@pytest.fixture
def store(path):
    opened = database.Database(path)
    yield opened
    opened.close()
