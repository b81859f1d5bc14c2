"""On PostgreSQL each answer follows the server's word that the transaction is committed, and that word its sync.

Shown by tracing both: the connector answers after it read COMMIT's completion, and the server sends that after it
synced its log. That it waits for the disk at all is seen to at every start (`db.postgres_connection`).
"""

import contextlib
import subprocess

import pytest

from support import postgres, processes, tracing

pytestmark = tracing.missing

DONE = b"COMMIT\x00"
STRACE = ["strace", "-f", "-yy", "-xx", "-s", "65536", "-e", "trace=fdatasync,fsync,recvfrom,sendto"]


@pytest.fixture
def server():
    made = postgres.Server(fsync="on")
    yield made
    made.close()


@contextlib.contextmanager
def traced(pid, trace):
    """Attach to a server: what it and those that it forks from now on do."""
    watching = subprocess.Popen(
        [*STRACE, "-o", str(trace), "-p", str(pid)],
        stderr=subprocess.PIPE,
    )
    assert b"attached" in watching.stderr.readline()
    try:
        yield
    finally:
        watching.terminate()
        watching.communicate(timeout=20)


def test_an_answer_follows_the_commit_and_the_commit_the_sync(server, tmp_path):
    site = tracing.Traced(processes.make(tmp_path, "site", database=postgres.create(on=server)).conf)
    try:
        with traced(server.pid, tmp_path / "server.trace"):
            site.start()
            for number in range(8):
                site.api.request("POST", "secrets", {"@id": f"secret-{number}", "value": "hidden"})
            site.api.request("DELETE", "secrets/secret-0")
            site.stop()
    finally:
        site.end()
    made = tracing.calls(site.trace)
    site.trace.unlink()
    ports = [int(site.conf.management.rpartition(":")[2])]
    changes = [each for each in tracing.exchanges(made, *ports) if each.method != "GET" and each.status < 300]
    assert len(changes) == 9
    told = [call.ended for call in made if call.name in {"read", "recvfrom", "recvmsg"} and DONE in call.data]
    for each in changes:
        assert any(each.asked_at < at < each.answered_at for at in told), each.path
    commits = committed(tracing.calls(tmp_path / "server.trace"))
    assert len(commits) >= len(changes)
    assert all(commits)


def committed(made):
    """For each COMMIT whether the server's log was synced before its completion was sent."""
    found, begun, synced = [], False, False
    for call in made:
        if call.name == "recvfrom" and b"COMMIT\x00" in call.data:
            begun, synced = True, False
        elif begun and call.name in {"fdatasync", "fsync"} and "pg_wal" in call.place:
            synced = True
        elif begun and call.name == "sendto" and DONE in call.data:
            found.append(synced)
            begun = False
    return found
