"""The node's store without a connector: a shelf whose rows lie in a dictionary, and files put on it."""

import contextlib
import hashlib

from comity.dataplane.kept import KeptTarget, shelf_of
from comity.dataplane.places import Wanted
from comity.storage.kept import Folder

SECRET = bytes(range(32))


class Rows:
    """What would be written down in the database."""

    def __init__(self) -> None:
        self.entries = {}

    def mine(self):
        return dict(self.entries)

    def find(self, path="", sha256=""):
        found = [
            each for each in self.entries.values() if sha256 in {"", each.sha256} and path in {"", each.path}
        ]
        return found[0] if found else None

    def is_held(self, object_name):
        return object_name in {each.object_name for each in self.entries.values()}

    def elsewhere(self, digests):
        return {each.sha256: each for each in self.entries.values() if each.sha256 in digests}

    def add(self, entries):
        self.entries |= {each.path: each for each in entries}


def wanted(path: str, data: bytes) -> Wanted:
    return Wanted(path, len(data), hashlib.sha256(data).hexdigest())


@contextlib.contextmanager
def shelf(folder: Folder, rows: Rows, name: str = "urn:uuid:1"):
    target = KeptTarget(folder, shelf_of(name), SECRET, rows)
    try:
        yield target
    finally:
        target.close()


def put(folder: Folder, rows: Rows, files: dict[str, bytes]) -> None:
    """Receive files whole."""
    with shelf(folder, rows) as target:
        here = target.begin([wanted(path, data) for path, data in files.items()])
        parts = []
        for path, data in files.items():
            if path not in here.whole:
                part = target.part(wanted(path, data))
                part.append(data[part.size :])
                assert part.finish() == part.wanted.sha256
                parts.append(part)
        target.keep(parts)


def read(folder: Folder, entry, start: int = 0, end: int | None = None) -> bytes:
    with contextlib.closing(folder.open(entry.object_name, entry.key, entry.size_bytes)) as opened:
        return b"".join(opened.pieces(start, entry.size_bytes if end is None else end))
