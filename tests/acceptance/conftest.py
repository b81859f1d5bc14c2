"""Fixtures: connectors as processes, that are ended after the test whatever happened, and a pair with a package."""

from typing import NamedTuple

import pytest

from support import processes


class Pair(NamedTuple):
    provider: processes.Served
    consumer: processes.Served


CONTENT = {"drawing.txt": b"a drawing\n" * 1000, "parts/list.csv": b"part,number\n1,2\n"}


@pytest.fixture
def serving(tmp_path):
    """Makes a connector and starts it: `serving("alpha")`."""
    made: list[processes.Served] = []

    def start(name, *, starts=True, **more):
        served = processes.make(tmp_path, name, **more)
        made.append(served)
        if starts:
            served.start()
        return served

    yield start
    for served in made:
        served.end()


@pytest.fixture
def folder(tmp_path):
    """A folder that can be published."""
    for name, content in CONTENT.items():
        path = tmp_path / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "package"


@pytest.fixture
def pair(serving):
    """Two connectors on each other's list of partners."""
    found = Pair(serving("provider"), serving("consumer"))
    processes.introduce(*found)
    return found
