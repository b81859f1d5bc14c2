"""For every test: each message of the protocol that a connector of ours encodes is valid by the specification.

And an empty database for those that begin with one.
"""

import contextlib
import fcntl
import signal
import tempfile
from pathlib import Path

import pytest

from comity.db import migrate
from comity.dsp import messages
from support import listening, specification

# A run that was started in the background ignores SIGINT, and so would the commands that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


ALONE = (
    "acceptance/test_events", "acceptance/test_serve", "crash/test_restart", "crash/test_start", "crash/test_storm",
    "hostile/test_handshakes", "hostile/test_resources", "replicas/test_storm",
)  # fmt: skip
"""Where tests begin that keep both cores busy or hold a time against a bound: no other runs beside them."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """Run a test that needs the machine to itself alone, where several run at a time (`-n 2`)."""
    worker = getattr(item.config, "workerinput", None)
    if worker is None:
        return (yield)
    alone = item.nodeid.removeprefix("tests/").startswith(ALONE)
    place = Path(tempfile.gettempdir()) / f"comity-tests-{worker['testrunuid']}"
    with (
        place.with_suffix(".next").open("a") as turn,
        place.with_suffix(".now").open("a") as now,
    ):
        with turn_of(turn):  # who waits to be alone keeps others from beginning
            fcntl.flock(now, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        return (yield)


@contextlib.contextmanager
def turn_of(file):
    """Hold a lock for as long as the block runs."""
    fcntl.flock(file, fcntl.LOCK_EX)
    yield
    fcntl.flock(file, fcntl.LOCK_UN)


@pytest.fixture(scope="session")
def ear(tmp_path_factory):
    """Listens to every message that is encoded, here and in processes that tests start, if the schemas are there."""
    made = listening.Ear(tmp_path_factory.mktemp("heard") / "messages")
    if not specification.PRESENT:
        yield made
        return
    with pytest.MonkeyPatch.context() as patch:
        made.listen(messages, patch)
        yield made


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """An empty database with its schema, made once."""
    path = tmp_path_factory.mktemp("template") / "comity.sqlite"
    migrate.migrate(path)
    return path


@pytest.fixture(autouse=True)
def every_message_is_valid(ear):
    yield
    assert ear.take() == []
