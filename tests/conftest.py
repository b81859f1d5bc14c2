"""For every test: each message of the protocol that a connector of ours encodes is valid by the specification."""

import pytest

from comity.dsp import messages
from support import listening, specification


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


@pytest.fixture(autouse=True)
def every_message_is_valid(ear):
    yield
    assert ear.take() == []
