"""Takes what providers push to our inbox into the folders of their transfers, and says what becomes of these.

Only the holder of the token, only while the transfer is open and runs (a provider may begin before its start has
arrived), never after its end. Requests for different files of a transfer go side by side (`turns`), in a place that is
open as long as they come (`reception`). A manifest that came before is replaced by another one of the same asset: what
was received counts by its SHA-256 only. When all is here the provider is to complete; if it does not, we do
(`transfer_moves`). What a folder cannot take in the end terminates the transfer.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct

from comity import errors
from comity.controlplane import (
    destinations,
    frameworks,
    get,
    process,
    receipts,
    revision_states,
    seals,
    transfer_moves,
)
from comity.controlplane.connector import Connector
from comity.controlplane.progress import NOT_TAKEN, SAVE_S, Progress, finish
from comity.dataplane import attempt as attempts
from comity.dataplane import disk, fetch, flows, inbox, packages
from comity.dataplane.attempt import Attempt, Received, Tally
from comity.dataplane.reception import Opened, Reception
from comity.db import exchanges, pulls, received, revisions, transfers
from comity.db.pulls import Pull
from comity.db.store import Transaction
from comity.dsp import machine, terms, transfer
from comity.storage import opening
from comity.techdata import manifest

T = TypeVar("T")
KEPT = 64
KEPT_BYTES = 64 * 1024 * 1024
"""How many packages, and how many bytes of their manifests, are kept in memory: others are read from the disk again."""
log = logging.getLogger(__name__)


class Admitted(Struct, frozen=True):
    """A transfer that a request may push to, and what its package or resource must be where an exchange knows it."""

    pull: Pull
    expected_sha256: str
    revision: int = 0


class Receiving:
    """The inbox's other side; `packages` that are being received are kept in memory, and found again on the disk."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._packages: dict[str, inbox.Package] = {}
        self._open: dict[str, Opened] = {}
        self._closed = False

    def close(self) -> None:
        """Give all places free that no request uses; the others follow."""
        self._closed = True
        for transfer_id in [name for name, each in self._open.items() if each.turns.idle]:
            self._open.pop(transfer_id).close()

    @property
    def ahead_bytes(self) -> int:
        """How many bytes blocks may come before their turn; 0: requests of a transfer come one after the other.

        With other replicas the next request may come to one of them, which must find the place free.
        """
        return self._connector.speeds.bytes_ahead if self._connector.database.is_alone() else 0

    async def admit(self, transfer_id: str, token_digest: bytes) -> Admitted:
        """Return what a token opens.

        Raises:
            IdentityError: there is no such transfer, or it is another token: the same answer.
            ConflictError: it is suspended.
            PolicyError: it has ended.
        """
        return await self._connector.database.read(lambda tx: self._check(tx, transfer_id, token_digest))

    async def still_open(self, transfer_id: str, token_digest: bytes) -> bool:
        """Say whether bytes may still come."""
        try:
            await self.admit(transfer_id, token_digest)
        except errors.ComityError:
            return False
        return True

    async def _check(self, tx: Transaction, transfer_id: str, token_digest: bytes) -> Admitted:
        record = await transfers.find(tx, transfer_id)
        pushed = record is not None and (record.role, record.format) == (terms.CONSUMER, transfer.PUSH)
        held = record.token_sha256 if record is not None and pushed else None
        pull = await pulls.find(tx, transfer_id) if held is not None else None
        if record is None or held is None or pull is None or not hmac.compare_digest(held, token_digest):
            raise errors.IdentityError("this token opens nothing here", step="token")
        intent = await process.intent(tx, transfer_id)
        states = {record.state, intent.leads_to if intent else record.state}
        if states & {terms.TERMINATED} or pull.state == pulls.FAILED or record.state in machine.TERMINAL:
            raise errors.PolicyError("the transfer has ended; nothing more is taken")
        if terms.SUSPENDED in states:
            raise errors.ConflictError("the transfer is suspended; it goes on with its next start")
        if reason := await frameworks.why_not(tx, record, self._connector.now_ms()):
            raise errors.ConflictError(reason)
        exchange = await exchanges.find_by_transfer(tx, transfer_id)
        return Admitted(pull, await revision_states.expected(tx, record, exchange), record.revision)

    @contextlib.asynccontextmanager
    async def turn(
        self, transfer_id: str, path: str, flow: flows.Flow, *, block: int | None = None
    ) -> AsyncGenerator[None, None]:
        """Wait for the requests before this one; those for the same path have lost their sender and end.

        `block` is where a block of what the path names begins that waits for its turn: it comes beside others.
        """
        opened = self._open.setdefault(transfer_id, Opened())
        opened.go_on()
        anew = inbox.kind_of(path) == "manifest"
        try:
            async with opened.turns.take(path, block, flow, alone=anew or not self.ahead_bytes, anew=anew):
                yield
        finally:
            if opened.turns.idle:
                self._let_rest(transfer_id, opened)

    def _let_rest(self, transfer_id: str, opened: Opened) -> None:
        """Close the place of a transfer that nobody asks for any more: soon, or at once where nothing comes after."""

        def close() -> None:
            if self._open.get(transfer_id) is opened:
                del self._open[transfer_id]
            opened.close()

        opened.let_rest(close, at_once=self._closed or not self.ahead_bytes)

    async def stand(self, admitted: Admitted, path: str) -> inbox.Stand:
        """Return how much of what a path names is here.

        Raises:
            NotFoundError: it names nothing, or its package's manifest has not come.
            ConflictError, StorageError: the folder cannot be used.
        """
        pull = admitted.pull
        if pull.state == pulls.DONE:
            return await self._stand_when_done(pull, path)
        return await self._in_folder(pull, None, lambda attempt, at: self._stand(attempt, at, admitted, path))

    async def _stand_when_done(self, pull: Pull, path: str) -> inbox.Stand:
        """All of it is here; of a file only its package's manifest knows the size, and that is told no more."""
        if path:
            raise errors.ConflictError("all of it has been received")
        return inbox.Stand(pull.bytes_done, pull.bytes_done)

    async def _stand(
        self, attempt: Attempt, reception: Reception, admitted: Admitted, path: str
    ) -> inbox.Stand:
        pull, kind = admitted.pull, inbox.kind_of(path)
        if kind == "manifest":
            raise errors.NotFoundError("a manifest is sent whole")
        if kind == "resource":
            stand, whole = await inbox.stand_of_resource(attempt, reception, admitted.expected_sha256)
            if whole is not None:
                await self._done(pull, _resource(whole))
            return stand
        package = await self._package(attempt, pull)
        file = package.find(path)
        stand = await inbox.stand_of_file(attempt, reception, package, file)
        if stand.offset == stand.total_bytes:
            await self._file_done(attempt, reception, pull, package, path)
        return stand

    async def take(self, admitted: Admitted, path: str, sent: inbox.Sent) -> tuple[inbox.Stand, str]:
        """Receive a body to its end; return where we stand, and the SHA-256 (hex) of what is whole, else "".

        Raises:
            OffsetError, MismatchError, ConflictError: see `dataplane.inbox`.
            NotFoundError: the path names nothing.
            TransientDeliveryError: the body ended too early.
            InvalidInputError: it is the rest of something else.
            PermanentDeliveryError, StorageError: it is not, or cannot be, taken.
        """
        pull = admitted.pull
        if pull.state == pulls.DONE:
            stand = await self._stand_when_done(pull, path)
            if sent.offset is None:
                raise errors.ConflictError("all of it has been received")
            if sent.offset != stand.offset:
                raise inbox.OffsetError(stand.offset)
            return stand, ""
        progress = Progress(self._connector, pull, _save_unless_ended)
        async with progress.kept(after_s=SAVE_S):  # what ends at once is written down at its end
            try:
                stand, sha256 = await self._in_folder(
                    pull, progress, lambda attempt, at: self._take(attempt, at, admitted, path, sent)
                )
            except errors.ComityError as error:
                await self._failed(progress.row, error)
                raise
        if not sha256 and (not sent.waits or self._open[pull.transfer_id].is_time(SAVE_S)):
            await progress.save()
        return stand, sha256

    async def _take(
        self, attempt: Attempt, reception: Reception, admitted: Admitted, path: str, sent: inbox.Sent
    ) -> tuple[inbox.Stand, str]:
        pull, kind = admitted.pull, inbox.kind_of(path)
        if kind == "resource":
            stand, whole = await inbox.take_resource(attempt, reception, sent, admitted.expected_sha256)
            if whole is not None:
                await self._done(pull, _resource(whole))
            return stand, whole.sha256 if whole is not None else ""
        if kind == "manifest":
            return await self._take_manifest(attempt, reception, admitted, sent)
        package = await self._package(attempt, pull)
        file = package.find(path)
        attempt.tally.bytes_total = package.size_bytes
        attempt.tally.files_done, attempt.tally.bytes_done = len(package.whole), package.whole_bytes
        stand = inbox.Stand(file.size_bytes or 0, file.size_bytes)
        if path not in package.whole:
            stand = await inbox.take_file(attempt, reception, file, sent)
        if stand.offset != file.size_bytes:
            return stand, ""
        await self._file_done(attempt, reception, pull, package, path)
        return stand, file.sha256

    async def _take_manifest(
        self, attempt: Attempt, reception: Reception, admitted: Admitted, sent: inbox.Sent
    ) -> tuple[inbox.Stand, str]:
        """Begin a package, or go on with it, or with another revision of it: then nothing that was noted counts."""
        if sent.offset is not None:
            raise errors.NotFoundError("a manifest is sent whole")
        pull, data = admitted.pull, await inbox.read_manifest(sent)
        sha256 = manifest.digest(data)
        if sha256 != (admitted.expected_sha256 or sha256):
            await self._look_again(pull.transfer_id, sha256)
        await seals.Check(self._connector, admitted.revision)(data, sent.seal)
        if sha256 != await attempt.where.run(lambda: inbox.begun(attempt.where)):
            reception.let_all_go()
            self._packages.pop(pull.transfer_id, None)
            await self._connector.database.write(lambda tx: received.clear(tx, pull.transfer_id))
        package = await inbox.begin_package(attempt, data, sent.seal)
        await self._begin_package(attempt, reception, pull, package)
        return inbox.Stand(len(data), len(data)), sha256

    async def _look_again(self, transfer_id: str, came: str) -> None:
        """Ask the provider what its catalog shows now: it may have published another revision meanwhile.

        Raises:
            ConflictError: it brings a revision before the one that it told us of.
            PermanentDeliveryError: it shows another one than it brings.
        """
        try:
            await get.look_again(self._connector, transfer_id)
        except errors.TransientDeliveryError as error:
            raise errors.ConflictError("your catalog cannot be read now") from error

        async def unit(tx: Transaction) -> tuple[str, bool]:
            record = await transfers.load(tx, transfer_id)
            exchange = await exchanges.find_by_transfer(tx, transfer_id)
            told = await revisions.find_told(tx, record.counterparty_id, record.asset_id)
            older = not record.revision and any(each.manifest_sha256 == came for each in told)
            return await revision_states.expected(tx, record, exchange), older

        expected, older = await self._connector.database.read(unit)
        if came == expected:
            return
        if older:
            raise errors.ConflictError("this revision was followed by another one: send that")
        raise attempts.broken(attempts.HASH_MISMATCH, f"the manifest has the SHA-256 {came}, not {expected}")

    async def _in_folder(
        self,
        pull: Pull,
        progress: Progress[Pull] | None,
        work: Callable[[Attempt, Reception], Awaitable[T]],
    ) -> T:
        reception = await self._reception(pull)

        def tell(files_done: int, bytes_done: int, bytes_total: int) -> None:
            package = self._packages.get(pull.transfer_id)
            if package is not None:  # others grow beside this one
                files_done, bytes_done = len(package.whole), package.whole_bytes + reception.growing_bytes
            if progress is not None:
                progress.tell(files_done, bytes_done, bytes_total)

        name = f"inbox:{pull.transfer_id}"
        speed = self._connector.speeds.of(pull.transfer_id)
        return await work(
            Attempt(_nothing_is_fetched, name, "", reception.where, Tally(tell), speed=speed), reception
        )

    async def _reception(self, pull: Pull) -> Reception:
        opened = self._open[pull.transfer_id]
        async with opened.opening:
            if opened.reception is None:
                task = asyncio.create_task(
                    destinations.open_(self._connector, pull.transfer_id, pull.destination)
                )
                try:
                    where = await asyncio.shield(task)
                except asyncio.CancelledError:
                    with contextlib.suppress(errors.ComityError):
                        (await task).close()  # else it would stay locked
                    raise
                except errors.ConflictError:
                    log.info(
                        "transfer %s: another transfer is being received into %r",
                        pull.transfer_id,
                        pull.destination,
                    )
                    raise errors.ConflictError("the place for this is in use now") from None
                opened.reception = Reception(where, opened.turns, self._connector.speeds.bytes_ahead)
            return opened.reception

    async def _package(self, attempt: Attempt, pull: Pull) -> inbox.Package:
        async with self._open[pull.transfer_id].opening:
            package = self._packages.get(pull.transfer_id)
            if package is not None and (self.ahead_bytes or await self._stands(attempt, package)):
                return package
            found = (
                await attempt.where.run(lambda: inbox.load_package(attempt.where))
                if pull.files_total
                else None
            )
            if found is None:
                raise errors.NotFoundError("the manifest of the package comes first")
            await self._remember(pull, found)
            return found

    @staticmethod
    async def _stands(attempt: Attempt, package: inbox.Package) -> bool:
        """Return whether no other replica took another manifest since."""
        begun = await attempt.where.run(lambda: inbox.begun(attempt.where))
        return begun == manifest.digest(package.data)

    async def _remember(self, pull: Pull, package: inbox.Package) -> None:
        name = pull.transfer_id
        noted = await self._connector.database.read(lambda tx: received.find_all(tx, name))
        package.take_whole(noted)
        self._packages[name] = package
        while len(self._packages) > 1 and self._too_many():
            del self._packages[next(iter(self._packages))]

    def _too_many(self) -> bool:
        size_bytes = sum(len(each.data) for each in self._packages.values())
        return len(self._packages) > KEPT or size_bytes > KEPT_BYTES

    async def _begin_package(
        self, attempt: Attempt, reception: Reception, pull: Pull, package: inbox.Package
    ) -> None:
        await self._remember(pull, package)
        pull = msgspec.structs.replace(
            pull,
            files_done=len(package.whole),
            files_total=len(package.files),
            bytes_done=package.whole_bytes + reception.growing_bytes,
            bytes_total=package.size_bytes,
            updated_at=self._connector.now_ms(),
        )
        await self._connector.database.write(lambda tx: _save_unless_ended(tx, pull, anew=True))
        if len(package.whole) == len(package.files):
            await self._package_done(attempt, pull, package)

    async def _file_done(
        self, attempt: Attempt, reception: Reception, pull: Pull, package: inbox.Package, path: str
    ) -> None:
        async def unit(tx: Transaction) -> Pull:
            await pulls.find(tx, pull.transfer_id)  # replicas that take files of one package take turns
            await received.add(tx, pull.transfer_id, path)
            package.take_whole((path,))
            if self._connector.shared_keys is not None:  # others may have taken some
                noted = await received.count(tx, pull.transfer_id)
                if noted != len(package.whole):
                    package.take_whole(await received.find_all(tx, pull.transfer_id))
            now = msgspec.structs.replace(
                pull,
                state=pulls.RUNNING,
                files_done=len(package.whole),
                files_total=len(package.files),
                bytes_done=package.whole_bytes + reception.growing_bytes,
                bytes_total=package.size_bytes,
                error="",
                updated_at=self._connector.now_ms(),
            )
            await _save_unless_ended(tx, now)
            return now

        now = await self._connector.database.write(unit)
        if now.files_done == now.files_total:  # the last of those that ended side by side
            await self._package_done(attempt, now, package)

    async def _package_done(self, attempt: Attempt, pull: Pull, package: inbox.Package) -> None:
        left = await attempt.where.run(lambda: inbox.end_package(attempt.where, package))
        pull = msgspec.structs.replace(pull, note=left)
        sha256 = manifest.digest(package.data)
        digests = tuple(each.sha256 for each in package.files.values())
        size = package.whole_bytes
        seal = await attempt.where.run(lambda: attempt.where.read_note(packages.SEAL_NAME, seals.MAX_BYTES))
        what = receipts.What(sha256, len(package.files), size, "", digests, package.data, seal.decode())
        await self._done(pull, what)

    async def _done(self, pull: Pull, what: receipts.What) -> None:
        """Write down that all is here, with a receipt; the provider is to complete, and if it does not, we do."""
        done = msgspec.structs.replace(
            pull,
            state=pulls.DONE,
            files_done=what.files,
            files_total=what.files,
            bytes_done=what.size_bytes,
            bytes_total=what.size_bytes,
            error="",
            updated_at=self._connector.now_ms(),
        )

        async def unit(tx: Transaction) -> None:
            await pulls.save(tx, done)
            await received.clear(tx, pull.transfer_id)
            await receipts.delivered(self._connector, tx, pull.transfer_id, what)
            record = await transfers.load(tx, pull.transfer_id)
            await transfer_moves.complete_received(self._connector, tx, record)

        self._settle(pull)
        await self._connector.database.write(unit)
        self._packages.pop(pull.transfer_id, None)

    async def _failed(self, pull: Pull, error: errors.ComityError) -> None:
        """Write down what went wrong; what cannot become right ends the transfer."""
        log.info("transfer %s: %s", pull.transfer_id, error.message)
        lasting = isinstance(error, errors.StorageError) and error.code not in {disk.DISK_FULL, opening.AWAY}
        if isinstance(error, errors.PermanentDeliveryError) or lasting:
            await self._give_up(pull, error)
        elif isinstance(error, errors.StorageError | errors.TransientDeliveryError | inbox.MismatchError):
            waiting = msgspec.structs.replace(
                pull, state=pulls.WAITING, error=error.message, updated_at=self._connector.now_ms()
            )
            await self._connector.database.write(lambda tx: _save_unless_ended(tx, waiting))

    async def _give_up(self, pull: Pull, error: errors.ComityError) -> None:
        failed = msgspec.structs.replace(pull, state=pulls.FAILED, error=error.message, error_code=error.code)
        self._settle(pull)
        self._packages.pop(pull.transfer_id, None)
        await finish(self._connector, failed, pulls.save, NOT_TAKEN)

    def _settle(self, pull: Pull) -> None:
        """Let the request that brought a transfer to its end still have its answer; nothing comes after it."""
        opened = self._open.get(pull.transfer_id)
        if opened is not None:
            opened.ended = True
            opened.turns.settle()


def _resource(whole: Received) -> receipts.What:
    return receipts.What(
        whole.sha256, 1, whole.size_bytes, whole.files[0].path, tuple(each.sha256 for each in whole.files)
    )


async def _save_unless_ended(tx: Transaction, pull: Pull, *, anew: bool = False) -> None:
    """Save figures, but never over the end, or what the manifest said, that was noted while they waited their turn.

    `anew`: they are a manifest's.
    """
    stored = await pulls.find(tx, pull.transfer_id)
    if stored is not None and stored.state not in {pulls.DONE, pulls.FAILED}:
        files, size_bytes = (
            max(each)
            for each in ((pull.files_total, stored.files_total), (pull.bytes_total, stored.bytes_total))
        )
        totals = {} if anew else {"files_total": files, "bytes_total": size_bytes}
        await pulls.save(tx, msgspec.structs.replace(pull, **totals))


def _nothing_is_fetched(
    url: str, *, headers: Mapping[str, str]
) -> contextlib.AbstractAsyncContextManager[fetch.Response]:
    """Stand where a pull has its client; a push needs none."""
    del headers
    raise RuntimeError(f"nothing is fetched for {url}")
