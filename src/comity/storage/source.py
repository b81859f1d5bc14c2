"""What was published about one resource, and the errors every back end raises about it.

A `Source` is written down when something is published and compared each time its bytes are read: a resource
that is not what it was then is refused, never handed out short, mixed or new. Which back end reads it is
`kind`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from comity.errors import StorageError

CHUNK_BYTES: Final = 1024 * 1024
CHANGED: Final = "storage-changed"


@dataclass(frozen=True, slots=True)
class Source:
    """One resource as published.

    `kind` is `file`, `http`, `kept`, `object` or `partner`; `address` is an absolute real path, a URL, a name, or a
    bucket's (`buckets`). `size_bytes` is None when the back end did not say. `sha256` is lower-case hex, or "" when
    nobody hashed it. `mtime_ns` pins a file, `etag` (strong, with its quotation marks) an HTTP resource or an object,
    as `version` does in a bucket that keeps them. `name` is the file name offered to the receiver. `credentials` are
    headers for the back end alone: they are sent to `address`, and shown nowhere.
    """

    kind: Literal["carried", "file", "http", "kept", "object", "partner"]
    address: str
    size_bytes: int | None = None
    sha256: str = ""
    mtime_ns: int = 0
    etag: str = ""
    version: str = ""
    media_type: str = "application/octet-stream"
    name: str = ""
    credentials: tuple[tuple[str, str], ...] = field(default=(), repr=False)


class Storage(Protocol):
    """A back end that hands out the bytes of a source."""

    async def open_range(
        self, source: Source, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Open bytes `start` to `end` (exclusive; None: to the end), returned in chunks of about 1 MiB.

        Raises:
            StorageError: at once if it is gone or not what was published (code `storage-changed`), or while
                reading.
        """
        ...


AT_REST: Final = "wait until nobody writes to it; comity watch does"


def changed(
    message: str, *, hint: str = "publish it again: partners then get a new offer with the new contents"
) -> StorageError:
    """Make the error that says a resource is not what was published, or hashed; its code is `storage-changed`."""
    error = StorageError(message, hint=hint)
    error.code = CHANGED
    return error
