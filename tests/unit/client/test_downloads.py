"""Files that are fetched: what is there already, what a cut leaves, and bytes that are not those that were published.

Both transports do the same, against a server that answers one request after the other as a test says.
"""

import asyncio
import hashlib
import socket
import threading
from contextlib import contextmanager

import pytest

from comity import errors
from comity.client import aconnector, connector, parts, problems
from comity.client.steps import Download, Downloads

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@contextmanager
def answering(*answers):
    """A server that gives one answer to each connection and notes what it was asked."""
    asked = []

    def serve(listener):
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(65536).decode())
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        thread.join(5)


def whole(content=CONTENT):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(content) + content


def rest(begin):
    head = b"HTTP/1.1 206 Partial Content\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (len(CONTENT) - begin) + CONTENT[begin:]


def cut(after):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT) + CONTENT[:after]


class Flow:
    """An operation of one step."""

    def __init__(self, step):
        self.step = step

    def __iter__(self):
        return (yield self.step)


def with_threads(address, step):
    connector.Connector(address, "k").run(Flow(step))


def with_asyncio(address, step):
    async def run():
        async with aconnector.AsyncConnector(address, "k") as client:
            await client.run(Flow(step))

    asyncio.run(run())


@pytest.fixture(params=[with_threads, with_asyncio])
def fetch(request, tmp_path):
    """Fetches the file and returns how many bytes it was told of."""

    def one(address, **more):
        told = []
        wanted = Download("received/t/files/a", str(tmp_path / "a"), len(CONTENT), SHA256, told.append)
        request.param(address, Downloads((wanted._replace(**more),)))
        return sum(told)

    return one


def test_a_file_is_fetched_once(fetch, tmp_path):
    with answering(whole()) as (address, asked):
        assert fetch(address) == len(CONTENT)
        assert fetch(address) == len(CONTENT)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert [each.split("\r\n")[0] for each in asked] == ["GET /management/v3/received/t/files/a HTTP/1.1"]
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_after_a_cut_only_the_rest_is_fetched(fetch, tmp_path):
    with answering(cut(1000), rest(1000)) as (address, asked):
        with pytest.raises(problems.UnreachableError):
            fetch(address)
        assert (tmp_path / ".a.part").stat().st_size == 1000
        assert fetch(address) == len(CONTENT)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert "Range: bytes=1000-\r\n" in asked[1]
    assert f'If-Range: "sha256-{SHA256}"' in asked[1]


def test_where_the_rest_cannot_be_had_all_of_it_is_fetched(fetch, tmp_path):
    (tmp_path / ".a.part").write_bytes(CONTENT[:1000])
    with answering(whole()) as (address, _):
        assert fetch(address) == len(CONTENT)
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [1000, len(CONTENT)])
def test_a_part_of_another_revision_is_fetched_anew_before_anybody_is_alarmed(fetch, tmp_path, size):
    (tmp_path / ".a.part").write_bytes(b"x" * size)
    answers = [whole()] if size == len(CONTENT) else [rest(size), whole()]
    with answering(*answers) as (address, _):
        assert fetch(address) == len(CONTENT)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_what_lies_on_the_disk_is_what_is_hashed(fetch, tmp_path):
    def spoil(_):
        (tmp_path / ".a.part").write_bytes(b"x" * 10)

    with answering(whole()) as (address, _), pytest.raises(problems.HashError, match="its SHA-256 is"):
        fetch(address, told=spoil)
    assert list(tmp_path.iterdir()) == []


def test_other_bytes_than_were_published_are_thrown_away(fetch, tmp_path):
    other = whole(CONTENT[:-1] + b"x")
    with answering(other) as (address, _), pytest.raises(problems.HashError, match="its SHA-256 is"):
        fetch(address)
    assert list(tmp_path.iterdir()) == []


def test_more_bytes_than_were_published_are_not_written(fetch, tmp_path):
    with (
        answering(whole(CONTENT + b"x")) as (address, _),
        pytest.raises(problems.HashError, match="more than its"),
    ):
        fetch(address)
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_is_whole_needs_no_request(fetch, tmp_path):
    (tmp_path / ".a.part").write_bytes(CONTENT)
    assert fetch("http://127.0.0.1:1") == len(CONTENT)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_what_the_connector_refuses_leaves_the_part(fetch, tmp_path):
    (tmp_path / ".a.part").write_bytes(CONTENT[:1000])
    body = b'[{"message": "its terms have ended", "type": "policy"}]'
    with (
        answering(
            b"HTTP/1.1 403 No\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
        ) as (
            address,
            _,
        ),
        pytest.raises(errors.PolicyError, match="have ended"),
    ):
        fetch(address)
    assert (tmp_path / ".a.part").read_bytes() == CONTENT[:1000]


def test_a_place_that_cannot_be_written_is_named(fetch, tmp_path):
    (tmp_path / "b").write_text("a file")
    with pytest.raises(errors.StorageError, match="cannot be written"):
        fetch("http://127.0.0.1:1", target=str(tmp_path / "b" / "a"))


def test_a_link_in_the_place_of_a_part_is_not_written_through(fetch, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("keep")
    (tmp_path / ".a.part").symlink_to(mine)
    with pytest.raises(errors.StorageError, match="cannot be written"):
        fetch("http://127.0.0.1:1")
    assert mine.read_text() == "keep"


@pytest.mark.parametrize("run", [with_threads, with_asyncio])
def test_many_files_are_fetched_and_the_first_failure_ends_it(run, tmp_path):
    def wanted(name):
        return Download(name, str(tmp_path / name), len(CONTENT), SHA256, lambda _: None)

    with answering(*[whole()] * 6) as (address, asked):
        run(address, Downloads(tuple(wanted(f"f{at}") for at in range(6))))
    assert len(asked) == len(list(tmp_path.iterdir())) == 6
    with pytest.raises(problems.UnreachableError):
        run("http://127.0.0.1:1", Downloads(tuple(wanted(f"g{at}") for at in range(50))))
    assert len(list(tmp_path.glob(".g*"))) < 50


def test_a_part_is_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "CHUNK_BYTES", 100)
    (tmp_path / ".a.part").write_bytes(CONTENT[:1050])
    part = parts.Part(Download("x", str(tmp_path / "a"), len(CONTENT), SHA256, lambda _: None))
    assert part.begin()["Range"] == "bytes=1050-"
    part.close()
