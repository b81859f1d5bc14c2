"""Fixtures: scripted counterparties, and connectors that run under strace, ended after the test whatever happened."""

import pytest

from support import processes, tracing
from support.everything import Offering


@pytest.fixture
async def peer():
    made = Offering()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def tracing_of(tmp_path):
    """Makes a connector that is to run under strace: `tracing_of("alpha")`."""
    made = []

    def make(name, kind=tracing.Traced):
        served = kind(processes.make(tmp_path, name).conf)
        made.append(served)
        return served

    yield make
    for served in made:
        served.end()
        served.trace.unlink(missing_ok=True)  # tens of megabytes
