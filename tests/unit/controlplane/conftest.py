"""Fixtures: a connector with a real store, and doubles for what leaves the machine."""

import shutil

import pytest

from comity.db import migrate
from support.bench import Workbench


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """An empty database with its schema, made once."""
    path = tmp_path_factory.mktemp("template") / "comity.sqlite"
    migrate.migrate(path)
    return path


@pytest.fixture
async def bench(tmp_path, template):
    shutil.copy(template, tmp_path / "comity.sqlite")
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    made = Workbench(tmp_path / "comity.sqlite", shelf)
    await made.befriend()
    yield made
    made.database.close()
