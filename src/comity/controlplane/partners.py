"""The list of partners: found by their DID or address, kept with their address, keys and what the operator says.

A DID document names the version endpoint (DSP 2025-1, "DID service"), the version endpoint the base address, also
where an address is given: who speaks other versions only is refused here, with both sides' versions. Keys are kept as
they were seen; pinned, they are the only ones that count, whatever the DID document says later.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import UNSET, UnsetType, structs

from comity import errors
from comity.controlplane import approvals, facts, negotiation_moves, notify, transfer_moves
from comity.controlplane.connector import Connector
from comity.db import negotiations, partners, transfers
from comity.db.partners import Partner
from comity.db.store import Transaction
from comity.dsp import binding
from comity.identity import did
from comity.management import approvals as approval_forms

REMOVED = "the partner was taken off the list"
WELL_KNOWN = "/.well-known/dspace-version"
MAX_ROOTS = 5
USUAL = ("purpose", "spatial", facts.DISTRIBUTION_CLASS)
"""What is always said of a partner; the rest are the operands of others."""


async def add(
    connector: Connector,
    did_or_url: str,
    *,
    name: str | None = None,
    address: str | None = None,
    purpose: Sequence[str] | None = None,
    spatial: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    keys: list[dict[str, Any]] | None = None,
    pin: bool | None = None,
    signed: bool | None = None,
    approval: approval_forms.Rule | UnsetType | None = UNSET,
    attributes: Mapping[str, Sequence[str]] | None = None,
) -> Partner:
    """Put a participant on the list, or change what is said of it; `approval` is who approves what is negotiated.

    `did_or_url` is its DID or public address, or any id together with `address`: its DSP base address, or the root
    that has its version endpoint. Of one that is `signed` nothing is taken that has no signature of its own. Of one
    that is on the list what is not said stays; an empty address is found anew, and so are keys that are not pinned.

    Raises:
        InvalidInputError: it is neither, or it is ourselves.
        DeliveryError: it cannot be reached, or speaks no version that we speak.
    """
    url = did_or_url.rstrip("/") if did_or_url.startswith(("http://", "https://")) else ""
    participant_id = did.format_did_web(url) if url else did_or_url
    if participant_id == connector.participant_id:
        raise errors.InvalidInputError("a connector cannot be its own partner", path="$.participant")
    before = await connector.database.read(lambda tx: partners.find(tx, participant_id))
    seen = keys
    if keys is not None:
        pin = True
    elif not (before and before.pinned and pin is None):
        found = await _keys(connector, participant_id, address or url)
        seen = [{**jwk, "kid": kid} for kid, jwk in found.items()]
    if address:
        address = await _settle(connector, address)
    elif address == "" or before is None:
        address = await _find_address(connector, participant_id, url)
    else:
        address = await _address_now(connector, before)
    said = {
        "name": participant_id if name == "" else name,
        "address": address and address.rstrip("/"),
        "keys": seen,
        "pinned": pin,
        "signed": signed,
        "approval": None if isinstance(approval, UnsetType) else approval_forms.document(approval),
    }
    more = {"purpose": purpose, "spatial": spatial, facts.DISTRIBUTION_CLASS: classes, **(attributes or {})}

    async def unit(tx: Transaction) -> Partner:
        await approvals.check_rule(tx, None if isinstance(approval, UnsetType) else approval)
        now = await partners.find(tx, participant_id) or before or _stranger(connector, participant_id)
        await partners.save(tx, _changed(now, said, more))
        return await partners.load(tx, participant_id)  # one that was changed keeps its time of creation

    connector.resolver.forget(participant_id)  # what was cached may be the keys of before
    return await connector.database.write(unit)


def _stranger(connector: Connector, participant_id: str) -> Partner:
    """Return a participant of whom nothing is said."""
    return Partner(
        id=participant_id,
        name=participant_id,
        address="",
        keys=[],
        pinned=False,
        attributes={name: [] for name in USUAL},
        created_at=connector.now_ms(),
    )


def _changed(
    partner: Partner, said: Mapping[str, Any], attributes: Mapping[str, Sequence[str] | None]
) -> Partner:
    """Return a partner with what is said of it now; what is None stays."""
    merged = {
        **partner.attributes,
        **{name: list(each) for name, each in attributes.items() if each is not None},
    }
    return structs.replace(
        partner,
        **{name: each for name, each in said.items() if each is not None},
        attributes={name: each for name, each in merged.items() if each or name in USUAL},
    )


async def _keys(connector: Connector, participant_id: str, address: str) -> dict[str, dict[str, Any]]:
    """Return the keys of a participant's DID document.

    Where there is none at an address, an old version of the protocol is the likelier reason, and is named.
    """
    if not participant_id.startswith("did:"):
        return {}
    try:
        document = await connector.resolver.document(participant_id)
    except errors.IdentityError as error:
        if address:
            base = await _settle(connector, address)
            error.hint = error.hint or f"it answers at {base}: give its DID, and --address {base}"
        raise
    return dict(did.keys_for_invocation(document, participant_id))


async def _find_address(connector: Connector, participant_id: str, url: str) -> str:
    """Return the base address that a DID leads to; `url` is the participant's address, empty if only its DID is known.

    A document without a version endpoint leads to the one at `url`.
    """
    if not participant_id.startswith("did:"):
        raise errors.InvalidInputError(
            "a participant without a DID needs an address", path="$.address", hint="give its DSP base address"
        )
    root = await _named_root(connector, participant_id) or url
    if not root:
        raise errors.PermanentDeliveryError(
            f"the DID document of {participant_id} names no DataService", hint="give its DSP base address"
        )
    return binding.join(root, await connector.peers.version(root))


async def _named_root(connector: Connector, participant_id: str) -> str:
    """Return the root of the version endpoint that a DID document names, empty if it names none."""
    endpoint = did.version_endpoint(await connector.resolver.document(participant_id)) or ""
    return endpoint.removesuffix(WELL_KNOWN) if endpoint.endswith(WELL_KNOWN) else ""


async def _address_now(connector: Connector, partner: Partner) -> str:
    """Return where a partner is now whose address is not said again: it may have been updated since.

    An address that does not lie below the root which its DID names is an operator's word, and stays; so does any while
    nobody answers.
    """
    if not partner.id.startswith("did:"):
        return partner.address
    with contextlib.suppress(errors.IdentityError, errors.TransientDeliveryError):
        root = await _named_root(connector, partner.id)
        if root and partner.address.startswith(f"{root}/"):
            return binding.join(root, await connector.peers.version(root))
    return partner.address


async def _settle(connector: Connector, address: str) -> str:
    """Return the base address for an address that an operator gave: a base address, or the root above one.

    The version endpoint there, or at a root above, decides. Where there is none, or nobody answers now, the operator's
    word stands: some connectors have no version endpoint where others would look.

    Raises:
        PermanentDeliveryError: it speaks no version that we speak.
    """
    address = address.rstrip("/").removesuffix(WELL_KNOWN)
    for root in _roots(address):
        try:
            base = binding.join(root, await connector.peers.version(root))
        except errors.TransientDeliveryError:
            break
        except errors.PermanentDeliveryError as error:
            if not error.status:  # it answered, with versions that are not ours
                raise
            continue
        if address in {root, base}:
            return base
    return address


def _roots(address: str) -> list[str]:
    """Return an address and the addresses above it, at most `MAX_ROOTS`."""
    parts = urlsplit(address)
    segments = [each for each in parts.path.split("/") if each]
    paths = ["/".join(["", *segments[:length]]) for length in range(len(segments), -1, -1)]
    return [f"{parts.scheme}://{parts.netloc}{path}" for path in paths[:MAX_ROOTS]]


async def find_all(connector: Connector) -> list[Partner]:
    """Return every partner, oldest first."""
    return await connector.database.read(partners.find_all)


async def remove(connector: Connector, partner_id: str) -> None:
    """Take a participant off the list: it can ask for nothing from then on, and nothing more is sent to it.

    What is under way with it ends here; agreements stay, but nothing is served under them.

    Raises:
        NotFoundError: it is not on the list.
    """

    async def unit(tx: Transaction) -> None:
        await partners.remove(tx, partner_id)
        for handed in await transfers.find_open_with(tx, partner_id):
            await transfer_moves.end_here(connector, tx, handed, REMOVED)
        for talk in await negotiations.find_open_with(tx, partner_id):
            await negotiation_moves.end_here(connector, tx, talk, REMOVED)
        await notify.withdraw(connector, tx, partner_id, REMOVED)

    await connector.database.write(unit)
