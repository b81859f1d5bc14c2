"""Manifests that lie, or name what no folder should hold: nothing of them lies at its path in the end."""

import contextlib
import dataclasses
import hashlib
import itertools
import json

import pytest

from comity.controlplane.pulling import Tries
from comity.dataplane import serve
from comity.errors import ComityError, PermanentDeliveryError, TransientDeliveryError
from comity.techdata import manifest
from support.provider import Provider, listing, noise

DATA = noise(9000)
HASH = hashlib.sha256(DATA).hexdigest()


def lying(**said):
    """A provider whose manifest says something else of its one file than is so."""
    provider = Provider({"a": DATA})
    file = manifest.File(**{"path": "a", "size_bytes": len(DATA), "sha256": HASH} | said)
    data = manifest.encode(manifest.Manifest("t", (file,), id="p", revision=1))
    provider.content = dataclasses.replace(provider.content, manifest=data, sha256=manifest.digest(data))

    def vouch(path, reply):
        if path:
            reply.headers["etag"] = serve.etag_of(file.sha256)

    provider.tamper = vouch
    return provider


async def given_up(provider, folder):
    """Try as often as a transfer does; return the last error and how often the manifest was asked for."""
    tries = Tries()
    while len(provider.requests) < 50:
        try:
            await provider.get(folder)
        except ComityError as error:
            tries.count(0)
            if not tries.may_mend(error):
                return error, sum(not path for path, _ in provider.requests)
    raise AssertionError("it is tried for ever")


@pytest.mark.parametrize(
    ("said", "code", "times"),
    [
        ({"size_bytes": 8999}, "bad-content", 2),
        ({"size_bytes": 9001}, "bad-content", 2),
        ({"size_bytes": 2_000_000}, "bad-content", 2),
        ({"size_bytes": 0}, "hash-mismatch", 1),
        ({"sha256": "ab" * 32}, "hash-mismatch", 1),
        ({"size_bytes": 8999, "sha256": hashlib.sha256(DATA[:8999]).hexdigest()}, "bad-content", 2),
    ],
    ids=["shorter", "longer", "longer by ranges", "empty", "another hash", "a shorter file that would fit"],
)
async def test_a_manifest_that_lies_about_a_size_or_a_hash_is_found_out(tmp_path, said, code, times):
    error, asked = await given_up(lying(**said), tmp_path)
    assert (error.code, asked) == (code, times)
    assert "'a'" in error.message or not said.get("size_bytes")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("size", [9, 3_000_000])
async def test_a_file_that_ends_before_its_manifest_says_is_given_up_with_both_sizes(tmp_path, size):
    provider = lying(size_bytes=9000 + size)
    error, _ = await given_up(provider, tmp_path)
    assert (
        error.message
        == f"the provider's 'a' is not what its manifest says: it has 9000 bytes, not {9000 + size}"
    )


async def test_a_range_that_is_not_there_after_all_is_asked_for_twice(tmp_path):
    provider = lying(size_bytes=9016)
    (tmp_path / ".a.part").write_bytes(DATA)
    error, asked = await given_up(provider, tmp_path)
    assert "its bytes 9000 to 9015 of 9016 are not there" in error.message
    assert asked == 2


async def test_a_file_that_ends_without_a_word_of_its_length_is_asked_for_twice(tmp_path):
    provider = lying(size_bytes=9016)
    provider.tamper = lambda path, reply: (
        path and reply.headers.pop("content-length") and reply.headers.update(etag=serve.etag_of(HASH))
    )
    (tmp_path / ".a.part").write_bytes(DATA[:10])
    error, asked = await given_up(provider, tmp_path)
    assert (error.code, asked) == ("bad-content", 2)


async def test_an_entity_tag_that_is_never_the_manifests_is_given_up(tmp_path):
    provider, tags = Provider({"a": DATA}), itertools.count()
    provider.tamper = lambda path, reply: path and reply.headers.update(etag=f'"{next(tags)}"')
    error, asked = await given_up(provider, tmp_path)
    assert (error.code, asked) == ("bad-content", 2)
    assert f'entity tag "1", not "sha256-{HASH}"' in error.message


async def test_manifests_that_are_others_each_time_are_not_read_for_ever(tmp_path):
    provider, sizes = Provider({"a": DATA}), itertools.count(9001)

    def anew(path, reply):
        reply.headers["etag"] = '"no"'
        if not path:
            file = manifest.File("a", next(sizes), HASH)
            reply.body = manifest.encode(manifest.Manifest("t", (file,), id="p", revision=1))

    provider.tamper = anew
    error, asked = await given_up(provider, tmp_path)
    assert (error.code, asked) == ("bad-content", 9)


async def test_a_resource_under_another_tag_at_each_request_is_received_as_one_stream(tmp_path):
    content = noise(2_000_000)
    provider, tags = Provider(content), itertools.count()

    def change(_path, reply):
        reply.headers["etag"] = f'"{next(tags)}"'
        if reply.status == 206:
            reply.status, reply.body = 200, content
            reply.headers["content-length"] = str(len(content))
            del reply.headers["content-range"]

    provider.tamper = change
    for _ in range(2):
        with contextlib.suppress(TransientDeliveryError):
            await provider.get(tmp_path)
    assert (tmp_path / "part.bin").read_bytes() == content


async def test_a_resource_that_has_become_shorter_than_what_is_here_begins_anew(tmp_path):
    provider = Provider(DATA)
    provider.tamper = lambda _path, reply: setattr(reply, "cut_after", 5000)
    with pytest.raises(TransientDeliveryError):
        await provider.get(tmp_path)
    provider.publish(DATA[:100])

    def shorter(_path, reply):
        if provider.requests[-1][1]:  # as a server does that knows no If-Range
            reply.status = 416

    provider.tamper = shorter
    await provider.get(tmp_path)
    assert (tmp_path / "part.bin").read_bytes() == DATA[:100]


@pytest.mark.parametrize(
    "path",
    [
        "../a",
        "/etc/a",
        "a/../../a",
        "CON",
        "nul.txt",
        "a.",
        "a ",
        "a:b",
        ".ssh/x",
        "u\u0308",
        "x" * 241,
        "a\\b",
    ],
)
async def test_a_dangerous_name_in_a_manifest_ends_it_before_anything_is_written(tmp_path, path):
    await refused(tmp_path, [path])


@pytest.mark.parametrize("twins", [("A", "a"), ("x/y", "X/Y"), ("stra\u00dfe", "STRASSE"), ("a", "a/b")])
async def test_names_that_are_one_elsewhere_end_it_before_anything_is_written(tmp_path, twins):
    await refused(tmp_path, sorted(twins))


async def refused(folder, paths):
    files = [{"mediaType": "a/b", "path": path, "sha256": HASH, "sizeBytes": 9000} for path in paths]
    value = {"files": files, "format": manifest.FORMAT, "id": "p", "revision": 1}
    value |= {"sizeBytes": 9000 * len(files), "title": "t"}
    data = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    provider = Provider({"a": DATA})
    provider.content = serve.Package(data, manifest.digest(data), provider.content.files)
    with pytest.raises(PermanentDeliveryError) as caught:
        await provider.get(folder / "in")
    assert caught.value.code == "bad-content"
    assert listing(folder) == []
