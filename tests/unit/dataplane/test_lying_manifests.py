"""Manifests that lie, or name what no folder should hold: nothing of them lies at its path in the end."""

import dataclasses
import hashlib
import json

import pytest

from comity.dataplane import serve
from comity.errors import PermanentDeliveryError, TransientDeliveryError
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


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"size_bytes": 8999}, "bad-content"),
        ({"size_bytes": 0}, "hash-mismatch"),
        ({"sha256": "ab" * 32}, "hash-mismatch"),
        ({"size_bytes": 8999, "sha256": hashlib.sha256(DATA[:8999]).hexdigest()}, "bad-content"),
    ],
    ids=["shorter", "empty", "another hash", "a shorter file that would fit"],
)
async def test_a_manifest_that_lies_about_a_size_or_a_hash_is_found_out(tmp_path, said, code):
    provider = lying(**said)
    with pytest.raises(PermanentDeliveryError) as caught:
        await provider.get(tmp_path)
    assert caught.value.code == code
    assert not (tmp_path / "a").exists()


async def test_a_file_that_is_shorter_than_its_manifest_says_is_never_whole(tmp_path):
    with pytest.raises((PermanentDeliveryError, TransientDeliveryError)):
        await lying(size_bytes=9001).get(tmp_path)
    assert not (tmp_path / "a").exists()


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
