"""What is behind an asset: a package of files, one file, or an address; and who may fetch it now.

The list of files is made when something is published and kept sealed; a data request is looked up here each time:
token, transfer, agreement, policy, partner. Nothing is remembered of an answer but the content, which is immutable.
"""

from __future__ import annotations

import asyncio
import functools
import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec

from comity import errors
from comity.controlplane import decide, process, seals, secrets, transfer_moves
from comity.controlplane.connector import Connector
from comity.dataplane import serve
from comity.db import offers, published, revisions, transfers
from comity.db.offers import Asset
from comity.db.store import Transaction, Unit
from comity.dsp import terms
from comity.dsp.transfer import Transfer
from comity.management import offers as forms
from comity.odrl import model
from comity.storage import buckets
from comity.storage.source import Source

Content = serve.Package | Source
NoteLost = Callable[[Connector, str, str], Awaitable[None]]
ADDRESS = "asset-address"
CONTENT = "asset-content"
TRIES = 3
KEPT_FILES = 250_000
"""How many files the lists in memory may have, all together; one list is kept however long it is."""


class Sealed(msgspec.Struct, frozen=True):
    """How content is written down: a manifest with the source of each path, or one source under the empty path.

    `seal` is that of the manifest, empty where it has none.
    """

    manifest: str
    files: dict[str, Source]
    seal: str = ""


def close(connector: Connector, asset_id: str, content: Sealed) -> bytes:
    """Return the sealed form of an asset's content."""
    return connector.seal.close(msgspec.json.encode(content), CONTENT + asset_id)


def opened(connector: Connector, asset_id: str, sealed: bytes) -> Sealed:
    """Return the content of an asset, or of a revision of it, from its sealed form."""
    return msgspec.json.decode(connector.seal.open(sealed, CONTENT + asset_id), type=Sealed)


class _Named(msgspec.Struct, frozen=True):
    """What a transfer is given: an asset, and the content of the revision that was asked for, if that is another."""

    asset: Asset
    older: str = ""


async def _handed_out(tx: Transaction, record: Transfer) -> _Named:
    """Return what a transfer is given.

    Raises:
        NotFoundError: the asset is gone.
    """
    asset = await offers.find(tx, Asset, record.asset_id)
    if asset is None:
        raise errors.NotFoundError("the data is not there any more")
    asked = await revisions.find(tx, asset.id, record.revision) if record.revision else None
    return _Named(asset, asked.content_id if asked and asked.content_id != asset.content_id else "")


class Contents:
    """Answers the data plane's question whether a token opens a transfer, and to what."""

    def __init__(self, connector: Connector, *, note_lost: NoteLost | None = None) -> None:
        """Have `note_lost` told, by transfer and path, of what was asked for and is not what was published."""
        self._connector = connector
        self._note_lost = note_lost
        self._opened: OrderedDict[tuple[str, str], Content] = OrderedDict()
        self._files = 0
        self._opening = asyncio.Lock()

    async def lookup(self, transfer_id: str, token_digest: bytes, /) -> serve.Grant:
        """Return the right that a token gives to a transfer's data.

        Raises:
            IdentityError: there is no such transfer, or it is another token: the same answer.
            PolicyError: the agreement does not allow it now.
            NotFoundError: the asset is gone.
            UnstampedError: nothing new may proceed.
        """
        self._connector.halt.check()

        async def unit(tx: Transaction) -> _Named:
            return await _handed_out(tx, await self._check(tx, transfer_id, token_digest))

        return serve.Grant(
            transfer_id,
            await self._content(unit),
            lambda: self._holds(lambda tx: self._check(tx, transfer_id, token_digest)),
            note_lost=functools.partial(self._note_lost, self._connector, transfer_id)
            if self._note_lost
            else None,
        )

    async def to_push(self, transfer_id: str) -> serve.Grant:
        """Return the right to push a transfer's data to its consumer now.

        Raises:
            PolicyError: the agreement does not allow it now, or the transfer does not run.
            NotFoundError: the asset is gone.
        """

        async def unit(tx: Transaction) -> _Named:
            return await _handed_out(tx, await self._check_push(tx, transfer_id))

        return serve.Grant(
            transfer_id,
            await self._content(unit),
            lambda: self._holds(lambda tx: self._check_push(tx, transfer_id)),
        )

    async def to_carry(self, record: Transfer) -> serve.Package:
        """Return the package that a transfer that begins now puts on a medium.

        Raises:
            PolicyError: the agreement does not allow it now.
            NotFoundError: the asset is gone.
            ConflictError: it is no package.
        """

        async def unit(tx: Transaction) -> _Named:
            return await _handed_out(tx, await self._check_use(tx, record))

        found = await self._content(unit)
        if not isinstance(found, serve.Package):
            raise errors.ConflictError(
                f"{record.asset_id} is no package, and only packages are carried",
                hint="publish a folder that has it: comity publish",
            )
        return found

    async def _check(self, tx: Transaction, transfer_id: str, token_digest: bytes) -> Transfer:
        record = await transfers.find(tx, transfer_id)
        held = record.token_sha256 if record is not None and record.role == terms.PROVIDER else None
        if record is None or held is None or not hmac.compare_digest(held, token_digest):
            raise errors.IdentityError("this token opens nothing here (any more)", step="token")
        return await self._check_use(tx, record)

    async def _check_push(self, tx: Transaction, transfer_id: str) -> Transfer:
        record = await transfers.load(tx, transfer_id)
        ending = await process.intent(tx, transfer_id)
        running = record.state == terms.STARTED and (ending is None or ending.leads_to == terms.STARTED)
        if record.role != terms.PROVIDER or not running:
            raise errors.PolicyError("the transfer does not run (any more)")
        return await self._check_use(tx, record)

    async def _check_use(self, tx: Transaction, record: Transfer) -> Transfer:
        allowed, reasons = await transfer_moves.may_use(self._connector, tx, record)
        if not allowed:
            raise errors.PolicyError(decide.no_more(reasons), reasons=reasons)
        return record

    async def _holds(self, check: Unit[Transfer]) -> bool:
        try:
            await self._connector.database.read(check)
        except errors.ComityError:
            return False
        return True

    async def _content(self, unit: Unit[_Named]) -> Content:
        """Return what `unit` names; its list of files is read where it is not known yet.

        Raises:
            StorageError: the store has lost it.
        """
        for _ in range(TRIES):  # somebody may publish it again in between
            named = await self._connector.database.read(unit)
            if not named.asset.content_id and not named.older:
                return await self._from_address(named.asset)
            content = await self._known(named)
            if content is not None:
                return content
        raise errors.StorageError("the list of its files is not in the store", hint="publish it again")

    async def _known(self, named: _Named) -> Content | None:
        key = (named.asset.content_id, named.older)
        content = self._opened.get(key)
        if content is None:
            async with self._opening:  # of many requests that begin at once only the first reads it
                content = self._opened.get(key) or self._remember(key, await self._open(named))
        if content is None:
            return None
        self._opened.move_to_end(key)
        if isinstance(content, serve.Package) and content.seal:
            content = self._opened[key] = seals.renewed(self._connector, content)
        return content

    def _remember(self, key: tuple[str, str], content: Content | None) -> Content | None:
        if content is not None:
            self._opened[key] = content
            self._files += _files(content)
        while self._files > KEPT_FILES and len(self._opened) > 1:
            self._files -= _files(self._opened.popitem(last=False)[1])
        return content

    async def _open(self, named: _Named) -> Content | None:
        """Return what is named, None where it is not there any more: it was published again."""

        async def unit(tx: Transaction) -> tuple[bytes | None, bytes | None]:
            return await published.find(tx, named.asset.content_id), await published.find(tx, named.older)

        newest, older = await self._connector.database.read(unit)
        if (newest is None and named.asset.content_id) or (older is None and named.older):
            return None
        opening = asyncio.to_thread(_open, self._connector, named.asset.id, newest, older)
        return await opening  # it may have 100,000 files

    async def _from_address(self, asset: Asset) -> Source:
        address: dict[str, Any] = msgspec.json.decode(
            self._connector.seal.open(asset.data_address_sealed, ADDRESS + asset.id)
        )
        return await publish_address(self._connector, address)


def _files(content: Content) -> int:
    return len(content.files) if isinstance(content, serve.Package) else 1


def _open(connector: Connector, asset_id: str, newest: bytes | None, older: bytes | None) -> Content:
    """Return what is handed out; files of an older revision that lie elsewhere by now are read from there. Blocks."""
    sealed = opened(connector, asset_id, older or newest or b"")
    if older and newest:
        there = {
            each.sha256: each for each in opened(connector, asset_id, newest).files.values() if each.sha256
        }
        files = {path: _found(each, there) for path, each in sealed.files.items()}
        sealed = msgspec.structs.replace(sealed, files=files)
    if not sealed.manifest:
        return sealed.files[""]
    return serve.package(sealed.manifest.encode(), sealed.files, seal=sealed.seal)


def _found(source: Source, there: dict[str, Source]) -> Source:
    newer = there.get(source.sha256, source)
    return replace(newer, name=source.name, media_type=source.media_type)


def _object(connector: Connector, address: dict[str, Any]) -> buckets.Place:
    return buckets.from_edc(connector.objects.listed, address, at="$.dataAddress", one=True)


def check_address(connector: Connector, address: dict[str, Any]) -> None:
    """Refuse a data address of a kind that cannot be served.

    Raises:
        InvalidInputError: the type or a field is not supported.
    """
    if str(address.get("type")) in buckets.EDC:
        _object(connector, address)
        return
    wanted = {"HttpData": "baseUrl", "File": "path"}.get(str(address.get("type")))
    if wanted is None:
        raise errors.InvalidInputError(
            f"the type of a data address must be HttpData, File, {', '.join(buckets.EDC)}",
            path="$.dataAddress.type",
        )
    if not isinstance(address.get(wanted), str) or not address[wanted]:
        raise errors.InvalidInputError(f"{wanted} is missing", path=f"$.dataAddress.{wanted}")


async def publish_address(connector: Connector, address: dict[str, Any]) -> Source:
    """Return the source that a data address of EDC's form names: `HttpData` with `baseUrl`, or `File` with `path`.

    Raises:
        InvalidInputError: the type or a field is not supported.
        StorageError: there is nothing to read.
    """
    check_address(connector, address)
    if address["type"] in buckets.EDC:
        found = await connector.objects.look(_object(connector, address))
        return replace(found, name=str(address.get("name") or found.name))
    if address["type"] == "File":
        return await connector.files.publish(address["path"])
    path = address.get("path")
    url = address["baseUrl"]
    if isinstance(path, str) and path:
        url = f"{url.rstrip('/')}/{path.lstrip('/')}"
    credentials = await _credentials(connector, address)
    return await connector.back_end.publish(url, name=str(address.get("name") or ""), credentials=credentials)


async def _credentials(connector: Connector, address: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the header that a back end asks for, its value as it is today where the address names a secret."""
    name = address.get(forms.AUTH_KEY)
    if name is None:
        return ()
    secret = address.get(forms.SECRET_NAME)
    if secret is None:
        return ((name, address[forms.AUTH_CODE]),)
    value = await connector.database.read(lambda tx: secrets.find_value(connector, tx, secret))
    if value is None:
        raise errors.StorageError(
            f"the data address names the secret {secret!r}, and there is none",
            hint="create it with POST secrets",
        )
    if not forms.is_header_text(value):
        raise errors.StorageError(
            f"the secret {secret!r} cannot be sent as a header: it is not visible ASCII"
        )
    return ((name, value),)


def check_policy(policy: dict[str, Any], *, path: str = "$.policy") -> None:
    """Refuse a policy that cannot be read or enforced.

    Raises:
        InvalidInputError: with the place below `path`.
    """
    try:
        model.check(model.parse(policy))
    except errors.InvalidInputError as error:
        place = path + error.path.removeprefix("$")
        raise errors.InvalidInputError(error.message, path=place, hint=error.hint) from None
