import pytest

from unit.client import standin


@pytest.fixture
def api():
    with standin.running() as running:
        yield running
