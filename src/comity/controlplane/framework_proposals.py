"""Proposing a framework agreement to its parties, reading a partner's, and asking to sign it.

It is published as two datasets. The one whose id is the URN carries the document in a property, so that a party reads
and checks it in the catalog before it signs; the DSP agreement about that dataset is the signing. The other one, for
the same parties, is the package of the texts: it may be fetched before anything is signed.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from comity import errors
from comity.controlplane import catalog, frameworks, negotiation_moves, publish
from comity.controlplane.connector import Connector
from comity.db import frameworks as rows
from comity.db import partners
from comity.db.store import Transaction
from comity.dsp import negotiation
from comity.dsp.negotiation import Negotiation
from comity.framework import check, relation
from comity.framework import document as documents
from comity.storage import folder as folders

Document = dict[str, Any]
PROPERTY, TEXTS = "comity:framework", "comity:frameworkTexts"
TYPE = {"@id": "https://w3id.org/comity/FrameworkAgreement"}


class Offered(Struct, frozen=True):
    """A framework agreement as a partner offers it: its document, checked, and what has to be asked for."""

    urn: str
    document: Document
    texts: str
    offer: Document


def texts_id(urn: str) -> str:
    """Return the id of the dataset with the texts of a framework agreement."""
    name, _, digest = urn.partition("#sha256:")
    return f"{name}:texts:{digest[:16]}"


async def propose(connector: Connector, document: Document, folder: str) -> str:
    """Store a framework agreement and offer it to its parties; return its URN.

    Raises:
        InvalidInputError: with the exact place: what the document says makes no sense, contradicts its parent or what
            it replaces, or a text in `folder` is not the one that it binds.
        StorageError: the folder cannot be read.
    """
    framework = documents.read(document)
    check.check(framework)
    check.check_party(framework, connector.participant_id)
    scan = await folders.scan(connector.files, folder)
    check.check_texts(framework, {each.path: each.source.sha256 for each in scan.files})
    urn, now_ms = documents.urn(document), connector.now_ms()
    await connector.database.read(lambda tx: _check_relations(tx, framework, urn))
    await _publish(connector, framework, document, folder)
    row = rows.Framework(
        urn=urn,
        framework_id=framework.id,
        document=documents.canonical(document),
        proposer=connector.participant_id,
        parent=framework.parent,
        created_at=now_ms,
    )

    async def unit(tx: Transaction) -> None:
        await _check_relations(tx, framework, urn)
        await rows.insert(tx, row)
        if await rows.find_party(tx, urn, connector.participant_id) is None:
            await rows.save_party(
                tx,
                rows.Party(
                    urn=urn,
                    participant_id=connector.participant_id,
                    own=True,
                    agreed_at=now_ms,
                    held=True,
                    state=rows.AGREED,
                    changed_at=now_ms,
                ),
            )

    await connector.database.write(unit)
    return urn


async def _publish(
    connector: Connector, framework: documents.Framework, document: Document, folder: str
) -> None:
    urn, policy = documents.urn(document), _policy(framework)
    about = {"comity:frameworkAgreement": urn}
    title = f"{framework.title} (texts)"
    await publish.publish(
        connector, folder, asset_id=texts_id(urn), title=title, policy=policy, properties=about
    )
    said = {
        "dct:type": TYPE,
        PROPERTY: documents.canonical(document).decode(),
        TEXTS: texts_id(urn),
    }
    await publish.publish(
        connector, folder, asset_id=urn, title=framework.title, policy=policy, properties=said
    )


def _policy(framework: documents.Framework) -> Document:
    """Return who may read and sign: the parties, and whom it is open to."""
    opened = framework.accession.open_to if framework.accession else ()
    rule: Document = {"action": "use"}
    if documents.ANYONE not in opened:
        named = sorted({*framework.party_ids, *opened})
        rule["constraint"] = [{"leftOperand": "recipient", "operator": "isAnyOf", "rightOperand": named}]
    return {"@type": "Set", "permission": [rule]}


async def _check_relations(tx: Transaction, framework: documents.Framework, urn: str) -> None:
    """Compare with the parent, and with the version that it replaces, as they are known here."""
    if framework.parent:
        parent = await rows.find(tx, framework.parent)
        if parent is None:
            raise errors.InvalidInputError(
                "its parent is not known here", path="$.parent", hint="sign the parent first"
            )
        relation.check_parent(framework, frameworks.read(parent))
    old = await rows.find(tx, framework.replaces) if framework.replaces else None
    if old is not None:
        newest = old.replaced_by if old.replaced_by not in {"", urn} else old.urn
        relation.check_amendment(framework, frameworks.read(old), old.urn, newest)
    elif framework.replaces and any(
        each.framework_id == framework.id and each.urn != urn for each in await rows.find_all(tx)
    ):
        raise errors.InvalidInputError(
            "an amendment must name the newest version as the one that it replaces", path="$.replaces"
        )


async def offered(connector: Connector, partner_id: str, urn: str) -> Offered:
    """Fetch a framework agreement from a partner, and check that it is the one that its name stands for.

    Raises:
        InvalidInputError: it is another one, or makes no sense.
        NotFoundError: it is no partner, or offers none to us.
        DeliveryError: it cannot be reached, or does not have it.
    """
    if not documents.is_urn(urn):
        raise errors.InvalidInputError(
            "a framework agreement is named by its URN with the hash", path="$.@id"
        )
    try:
        dataset = await catalog.request_dataset(connector, partner_id, None, urn)
    except errors.PermanentDeliveryError as error:
        if error.status != catalog.NOT_FOUND:
            raise
        raise errors.NotFoundError(
            f"{partner_id[:200]} offers us no such framework agreement",
            hint="only its parties, and those whom it is open to, can see it: ask the partner",
        ) from None
    text = dataset.get(PROPERTY)
    offers = dataset.get("hasPolicy")
    if not isinstance(text, str) or not isinstance(offers, list) or not offers:
        raise errors.NotFoundError(f"{partner_id[:200]} does not offer this framework agreement to us")
    document = documents.open_text(text, urn)
    check.check(documents.read(document))
    texts = dataset.get(TEXTS)
    return Offered(urn, document, texts if isinstance(texts, str) else "", offers[0])


async def sign(
    connector: Connector, partner_id: str, urn: str, *, accede: bool = False, by: str = ""
) -> Negotiation:
    """Ask a partner for the agreement that signs its framework agreement; `accede`: without being a party named in it.

    Raises:
        InvalidInputError: we are no party (or may not accede), or it contradicts what is signed here already.
        ConflictError: it is signed already.
        NotFoundError, DeliveryError: see `offered`.
    """
    found = await offered(connector, partner_id, urn)
    framework = documents.read(found.document)
    _check_joining(framework, connector.participant_id, accede=accede)
    if partner_id not in framework.party_ids:
        raise errors.InvalidInputError(
            f"{partner_id[:200]} is not among the parties",
            path="$.parties",
            hint="sign it with one of the parties that it names",
        )
    now_ms = connector.now_ms()
    if now_ms > check.moments(framework)[1]:
        raise errors.InvalidInputError(f"it ended {framework.validity.until}", path="$.validity.until")

    async def unit(tx: Transaction) -> Negotiation:
        partner = await partners.load(tx, partner_id)
        await _check_relations(tx, framework, urn)
        ours = await rows.find_party(tx, urn, connector.participant_id)
        if ours is not None and ours.agreed_at:
            raise errors.ConflictError(
                "it is signed here already", hint=f"see: comity framework show '{urn}'"
            )
        await rows.insert(
            tx,
            rows.Framework(
                urn=urn,
                framework_id=framework.id,
                document=documents.canonical(found.document),
                proposer=partner_id,
                parent=framework.parent,
                created_at=now_ms,
            ),
        )
        party = rows.Party(urn=urn, participant_id=connector.participant_id, own=True, changed_at=now_ms)
        await rows.save_party(tx, party)
        offer = negotiation.message_offer(found.offer, offer_id=found.offer["@id"], target=urn)
        return await negotiation_moves.request(connector, tx, partner, offer, partner.address, by=by)

    return await connector.database.write(unit)


def _check_joining(framework: documents.Framework, us: str, *, accede: bool) -> None:
    if not accede:
        check.check_party(framework, us)
    elif us in framework.party_ids:
        raise errors.InvalidInputError(
            "we are a party named in it", path="$.parties", hint="sign it with: comity framework sign"
        )
    elif not framework.is_open_to(us):
        raise errors.InvalidInputError(f"it is not open to {us}", path="$.accession.openTo")
