"""What a place is that a transfer is received into: a folder, the node's own store, a bucket.

Receiving (`packages`, `resources`, `inbox`) knows these protocols only. A file grows in a part, from its first byte on;
what a part has kept outlives the process, so that after a cut nothing of it is fetched again. All methods but
`Target.run` block, and are called in threads: several at once, but one at a time for one part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from comity.dataplane.older import Left

T = TypeVar("T")

MANIFEST_NAME: Final = ".comity-manifest.json"
INCOMING_NAME: Final = ".comity-incoming.json"
"""Notes of the manifest of a package that is here, and of one that is on its way."""
STATE_NAME: Final = ".resource.json"
"""Note of the single resource that is on its way, or came last."""
SEAL_NAME: Final = ".comity-seal.jws"
"""Note of the seal of a package."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be received: its path (checked), size (None: unknown until it ends) and SHA-256 (hex, or "")."""

    path: str
    size_bytes: int | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Here:
    """What a place has of the files that are to be put there.

    `whole` are the paths of those that lie there and are right, `begun` the sizes of parts of others, and `copies` the
    paths of those that are here under another path: their parts are whole when they are opened.
    """

    whole: frozenset[str] = frozenset()
    begun: dict[str, int] = field(default_factory=dict)
    copies: frozenset[str] = frozenset()


class Part(Protocol):
    """A file that is being received. What it has kept stays when it is closed, and when the process is killed."""

    @property
    def wanted(self) -> Wanted:
        """What it is to become."""
        ...

    @property
    def size(self) -> int:
        """How many bytes are here, from the first on."""
        ...

    @property
    def kept(self) -> int:
        """How many of them a kill of the process does not lose: as many, or those of the chunks that are whole."""
        ...

    def append(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            StorageError: they cannot be written; code `disk-full` where there is no room.
        """
        ...

    def finish(self) -> str:
        """Take what is here as all of it and return its SHA-256 (hex)."""
        ...

    def sync(self) -> None:
        """Make durable all that is here: who sends it is told that it need not be sent again."""
        ...

    def start_over(self) -> None:
        """Forget all that was received of it."""
        ...

    def close(self) -> None:
        """Let it rest, keeping what it has kept; closing twice changes nothing."""
        ...


class Target(Protocol):
    """A place to receive into, locked for one transfer until it is closed."""

    @property
    def shown(self) -> str:
        """What messages call it."""
        ...

    async def run(self, call: Callable[[], T]) -> T:
        """Run a blocking call in a thread; if cancelled, wait until it has stopped touching the place."""
        ...

    def free_bytes(self) -> int | None:
        """Return how much room there is, None where nobody knows."""
        ...

    def begin(self, files: Sequence[Wanted]) -> Here:
        """Note which files will be put here, and return what is here of them.

        Called again after each cut, with the same files or with those of a newer revision.
        """
        ...

    def held(self, wanted: Wanted) -> int:
        """Return how many bytes of a file are here: all, if it lies here and is right, else those of its part."""
        ...

    def part(self, wanted: Wanted, *, keep: bool = True) -> Part:
        """Open the part of a file, with what an earlier attempt left in it and is right, unless not to `keep` it.

        What the place has elsewhere with the same SHA-256 is copied into it: then its size is that of the file.

        Raises:
            StorageError: something that was not received here is in its way, or it cannot be opened.
        """
        ...

    def keep(self, parts: Sequence[Part], name: str = "") -> None:
        """Make parts whose hash is right durable and give them their paths, in one go (a single one: `name`).

        Raises:
            StorageError: something that was not received here is in their way.
        """
        ...

    def drop(self, part: Part) -> None:
        """Close a part and remove it."""
        ...

    def drop_older(self, before: bytes, manifest: bytes) -> Left:
        """Remove what came of a package (its manifest) that another one of the same asset has not any more."""
        ...

    def end(self, manifest: bytes) -> Left:
        """Keep the manifest of a package that is here whole: from now on it alone says what was received here.

        What an older revision of it left, and it has not any more, is removed first.
        """
        ...

    def read_note(self, name: str, limit: int) -> bytes:
        """Read what `write_note` wrote, b"" if there is nothing."""
        ...

    def write_note(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Write down a little of what a later attempt must know."""
        ...

    def drop_note(self, name: str) -> None:
        """Remove a note, if there is one."""
        ...

    def close(self) -> None:
        """Give the place free."""
        ...
