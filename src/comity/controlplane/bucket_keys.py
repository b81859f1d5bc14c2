"""The credentials of the operator's buckets: read each time one is opened, so that a new key counts at once.

They go from a file or a sealed secret to the client of that store, and nowhere else.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from comity import errors
from comity.controlplane import secrets
from comity.db.seal import Seal
from comity.db.store import Store
from comity.storage.buckets import Bucket

MAX_BYTES = 64 * 1024


class Keys:
    """Finds credentials: files are named from the data folder on, secrets are the connector's own."""

    def __init__(self, folder: Path, store: Store, seal: Seal) -> None:
        self._folder = folder
        self._store = store
        self._seal = seal

    async def find(self, bucket: Bucket) -> str:
        """Return the credentials of a bucket as they are now.

        Raises:
            StorageError: the file cannot be read, or there is no such secret; nothing of its content is shown.
        """
        if bucket.credentials_file:
            return await asyncio.to_thread(self._read, bucket)
        name = bucket.credentials_secret
        value = await self._store.read(lambda tx: secrets.open_value(self._seal, tx, name))
        if value is None:
            raise errors.StorageError(
                f"the bucket {bucket.name} names the secret {name!r}, and there is none",
                hint="create it with POST secrets",
            )
        return value

    def _read(self, bucket: Bucket) -> str:
        try:
            with (self._folder / bucket.credentials_file).open("rb") as file:
                return file.read(MAX_BYTES).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise errors.StorageError(
                f"the credentials of the bucket {bucket.name} cannot be read: {why}",
                hint=f"see credentials_file of [buckets.{bucket.name}] in comity.toml",
            ) from None
