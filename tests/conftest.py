"""For every test: each message of the protocol that a connector of ours encodes is valid by the specification.

And an empty database for those that begin with one.
"""

import signal

import pytest

from comity.db import migrate
from comity.dsp import messages
from support import listening, specification

# A run that was started in the background ignores SIGINT, and so would the commands that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
