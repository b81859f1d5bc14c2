"""A folder of the client's that takes a newer revision: what it has not any more goes, what was changed stays."""

import hashlib

from comity.client import parts
from comity.client.steps import Download, Removals

FILES = {"a.txt": b"a", "sub/deep/b.txt": b"b", "sub/mine.txt": b"mine"}


def test_only_what_is_as_it_was_fetched_is_removed_with_the_folders_that_are_empty_then(tmp_path):
    for path, content in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "a.txt").write_bytes(b"A")
    gone = [
        Download("", str(tmp_path / path), 1, hashlib.sha256(content).hexdigest(), print)
        for path, content in (("a.txt", b"a"), ("sub/deep/b.txt", b"b"), ("gone.txt", b"g"))
    ]
    assert parts.remove(Removals(str(tmp_path), tuple(gone))) == [str(tmp_path / "a.txt")]
    assert sorted(str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*")) == [
        "a.txt",
        "sub",
        "sub/mine.txt",
    ]
