"""Fixtures: an empty migrated store. What asks for a `store`, and not for SQLite's file too, runs on each kind."""

import inspect
import shutil

import pytest

from comity.db import migrate, sqlite
from support import stores

ON_SQLITE = {"test_disk_full", "test_processes", "test_migrate"}


def pytest_generate_tests(metafunc):
    asked = inspect.signature(metafunc.function).parameters
    module = metafunc.module.__name__.rpartition(".")[2]
    if "store" in metafunc.fixturenames and "path" not in asked and module not in ON_SQLITE:
        metafunc.parametrize("store_kind", stores.KINDS, indirect=True)


@pytest.fixture
def store_kind(request):
    return getattr(request, "param", stores.SQLITE)


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
async def store(request, tmp_path, store_kind):
    if store_kind == stores.SQLITE:
        opened = sqlite.Database(request.getfixturevalue("path"))
        yield opened
        opened.close()
        return
    url = stores.fresh(store_kind, tmp_path)
    from comity.db import postgres  # noqa: PLC0415  its driver is an extra

    made = postgres.Postgres(url)
    yield made
    await made.close()
    stores.give_back(url)
