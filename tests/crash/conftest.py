"""Fixture: connectors as processes that are ended after the test, whatever happened."""

import pytest

from support import processes


@pytest.fixture
def serving(tmp_path):
    """Makes and starts a connector: `serving("alpha")`."""
    made: list[processes.Served] = []

    def start(name, **more):
        served = processes.make(tmp_path, name, **more)
        made.append(served)
        served.start()
        return served

    yield start
    for served in made:
        served.end()
