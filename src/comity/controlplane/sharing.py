"""What every replica on one PostgreSQL database has to have in common: the settings, and the signing keys.

Both lie sealed in the database: with `seal.key`, the one secret that does not, a further replica is made of them. The
folder of each replica has the keys as files too, so a replica signs, and is backed up, as any connector is. A change of
the keys is made in the folder, then put into the database if nobody else has changed them meanwhile, and taken from
there by the others at once. Where the store is SQLite, the folder is all there is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from comity import errors
from comity.db import shared
from comity.db.seal import Seal
from comity.db.store import Store, Transaction
from comity.storage.keys import KeyFiles

KEYS, SETTINGS = "keys", "settings"
_SEALED = "shared:"
AGAIN_S = 1.0

log = logging.getLogger(__name__)


async def find(store: Store, seal: Seal, name: str) -> tuple[int, bytes]:
    """Return the version and the content of what is shared under a name; 0 and nothing if there is none.

    Raises:
        SettingsError: it was sealed with another key.
        DatabaseError: the store does not answer.
    """

    async def unit(tx: Transaction) -> shared.Kept | None:
        return await shared.find(tx, name)

    kept = await store.read(unit)
    if kept is None:
        return 0, b""
    try:
        return kept.version, seal.open(kept.content, _SEALED + name)
    except errors.DatabaseError:
        raise errors.SettingsError(
            "this database was written with another seal key than the one that is here",
            hint="a further replica is made with: comity join URL --seal-key FILE; if that key is lost for good,"
            " DELETE FROM shared in the database, and start the first replica again with a new one",
        ) from None


async def keep_settings(store: Store, seal: Seal, mine: bytes, check: Callable[[bytes], bool]) -> None:
    """Have the settings of this replica be those that a further one is given; `check` says whether others differ.

    Raises:
        SettingsError: the database is another connector's.
        DatabaseError: the store does not answer.
    """
    version, found = await find(store, seal, SETTINGS)
    if found and not check(found):
        return
    content = seal.close(mine, _SEALED + SETTINGS)
    await store.write(lambda tx: shared.put(tx, SETTINGS, version, content))


class SharedKeys:
    """The signing keys of `files`, the same at every replica."""

    def __init__(self, store: Store, seal: Seal, files: KeyFiles) -> None:
        self._store = store
        self._seal = seal
        self._files = files
        self._version = 0
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    async def begin(self) -> None:
        """Take the keys that are in the database, or put ours there if there are none yet.

        Raises:
            SettingsError, StorageError, DatabaseError: that cannot be done.
        """
        self._store.subscribe(self._notice)
        async with self._turn:
            await self._take()
            if self._version == 0 and not await self._put():
                await self._take()

    async def change(self, change: Callable[[], object]) -> None:
        """Make a change of the files that every replica takes over; `change` raises if it cannot be made.

        Raises:
            ConflictError: another replica has changed the keys at the same time; its change is the one that counts.
            StorageError, DatabaseError: nothing has changed, or will not have.
        """
        async with self._turn:
            await self._take()
            await asyncio.to_thread(change)
            try:
                put = await self._put()
            except errors.DatabaseError:
                self._changed.set()  # what was made here is taken back, if it did not get there
                raise
            if not put:
                await self._take()
                raise errors.ConflictError("the keys were changed by another replica at the same time")

    async def tidy(self) -> None:
        """Take private keys that will never sign again out of the database too."""
        async with self._turn:
            version, content = await find(self._store, self._seal, KEYS)
            await asyncio.to_thread(self._files.tidy)
            if version == self._version and content != await self._content():
                await self._put()

    async def run(self) -> None:
        """Take over what other replicas change, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                async with self._turn:
                    await self._take()
            except errors.ComityError as error:
                log.warning("the keys that were changed cannot be read now: %s", error.message)
                await asyncio.sleep(AGAIN_S)
                self._changed.set()

    def _notice(self, announced: Sequence[object]) -> None:
        if any(isinstance(event, shared.SharedChanged) for event in announced):
            self._changed.set()

    async def _take(self) -> None:
        version, content = await find(self._store, self._seal, KEYS)
        if version and content != await self._content():
            files = msgspec.msgpack.decode(content, type=dict[str, bytes])
            await asyncio.to_thread(self._files.take, files)
        self._version = version

    async def _content(self) -> bytes:
        files = await asyncio.to_thread(self._files.dump)
        return msgspec.msgpack.encode(dict(sorted(files.items())))

    async def _put(self) -> bool:
        content = self._seal.close(await self._content(), _SEALED + KEYS)
        version = self._version
        done = await self._store.write(lambda tx: shared.put(tx, KEYS, version, content))
        if done:
            self._version += 1
        return done
