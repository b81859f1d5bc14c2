"""Fixtures: a connector with a real store, and doubles for what leaves the machine."""

import shutil

import pytest

from support.bench import Workbench


@pytest.fixture
async def bench(tmp_path, template):
    shutil.copy(template, tmp_path / "comity.sqlite")
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    made = Workbench(tmp_path / "comity.sqlite", shelf)
    await made.befriend()
    yield made
    made.database.close()
