"""Provider and receiver processes that no test leaves behind."""

import pytest

from adapters.dataplane import processes


@pytest.fixture
def serve():
    """Start provider processes for a path."""
    running = []

    def start(path, sha256=""):
        running.append(processes.Provider(path, sha256))
        return running[-1]

    yield start
    for provider in running:
        provider.stop()


@pytest.fixture
def receiver():
    """Start receiver processes, and leave none behind."""
    running = []

    def start(url, folder):
        running.append(processes.receive(url, folder))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()
