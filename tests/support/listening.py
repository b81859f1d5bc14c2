"""Checks every message of the protocol that a connector of ours encodes, in whatever test, against the schemas.

There is one place where messages become bytes (`comity.dsp.messages`), and here is an ear at it: in this process, and
by `ears/sitecustomize.py` in the processes that tests start. A message is checked once for all that differ from it in
ids, times and addresses only.
"""

from __future__ import annotations

import json
import os
import re
from hashlib import sha256
from pathlib import Path

EARS = Path(__file__).parent / "ears"
CHANGING = re.compile(
    rb"urn:uuid:[0-9a-f-]{36}|urn:peer:[0-9a-f]{24}|urn:comity:offer:[A-Za-z0-9_:-]+|127\.0\.0\.1(?::|%3A)\d+"
    rb"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|eyJ[A-Za-z0-9_.-]+|\b[0-9a-f]{64}\b"
)

NOT_MESSAGES = {
    "an answer to a path that is none, for which the specification has no form": lambda document: (
        document.keys() == {"code", "message"}
    ),
    "a data address that is sealed into the store, not sent": lambda document: (
        document == {} or "endpoint" in document or "endpointType" in document
    ),
}
"""What goes through the same encoder and is no message: reason -> whether a document is of that kind."""

EXCEPTIONS: dict[str, object] = {}
"""Messages that may differ from the schemas: reason -> whether a document is one. There is none."""


def shape(body: bytes) -> bytes:
    """Return a digest that is the same for messages which differ in ids, times and addresses only."""
    return sha256(CHANGING.sub(b"~", body)).digest()


class Ear:
    """Hears every encoded message and keeps what the schemas have against it; `file` is written by other processes."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.heard: set[str] = set()
        self._known: set[bytes] = set()
        self._wrong: list[str] = []
        self._read_bytes = 0
        file.touch()

    def listen(self, module, patch) -> None:
        """Wrap the encoders of `comity.dsp.messages`, and those of processes that are started from now on."""
        for name in ("encode", "encode_document"):
            patch.setattr(module, name, self._hearing(getattr(module, name)))
        folders = [str(EARS), str(EARS.parent.parent), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(each for each in folders if each))
        patch.setenv("HEARD_MESSAGES", str(self.file))

    def _hearing(self, encode):
        def encode_and_hear(value):
            body = encode(value)
            self.hear(body)
            return body

        return encode_and_hear

    def hear(self, body: bytes) -> None:
        known = shape(body)
        if known not in self._known:
            self._known.add(known)
            self._wrong += self.problems(json.loads(body))

    def problems(self, document) -> list[str]:
        """What is wrong with a document that was encoded as a message."""
        from support import schemas, specification  # noqa: PLC0415  not needed in a started process

        if "protocolVersions" in document:
            self.heard.add("VersionResponse")
            return specification.errors_of("common/protocol-version-schema.json", document)
        if document.get("@type") in schemas.PLACES:
            self.heard.add(document["@type"])
            found = schemas.problems(document)
            allowed = found and any(is_one(document) for is_one in EXCEPTIONS.values())
            return [] if allowed else [f"{each}\n{str(document)[:2000]}" for each in found]
        if any(is_one(document) for is_one in NOT_MESSAGES.values()):
            return []
        return [f"this is no message of the protocol: {str(document)[:500]}"]

    def take(self) -> list[str]:
        """Return what was wrong since the last time, in this process and in others."""
        if self.file.stat().st_size > self._read_bytes:
            with self.file.open("rb") as file:
                file.seek(self._read_bytes)
                for line in file:
                    if line.endswith(b"\n"):  # a process that was killed may have left half of one
                        self._read_bytes += len(line)
                        self.hear(line[:-1])
        found, self._wrong = self._wrong, []
        return found
