"""Evidence bundles of connectors: each side exports, and a third folder, which knows neither, checks the file alone."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from typer.testing import CliRunner

from comity import errors
from comity.cli import main
from comity.controlplane import (
    apikeys,
    catalog,
    checkpoints,
    export,
    framework_proposals,
    framework_view,
    get,
    keyring,
    secrets,
)
from comity.dsp import receipt, terms
from comity.evidence.bundle import BundleError
from comity.identity import jose
from comity.management.apikeys import ApiKeyForm
from comity.management.secrets import SecretForm
from comity.net import did
from support import agreeing, stores
from support.pair import offer_of, wait_for
from support.process import finalized, started

HOUR_MS = 3600 * 1000
FILES = {"a.txt": b"hello", "sub/b.bin": b"world" * 1000}
BASE64 = re.compile(r"[A-Za-z0-9_+/=-]{8,}")


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Checks a bundle in a third folder with the command, and returns what that prints."""
    folder = tmp_path / "third"
    folder.mkdir()

    def checked(data, *words):
        monkeypatch.chdir(folder)
        (folder / "bundle.json").write_bytes(data)
        done = CliRunner().invoke(main.app, ["evidence", "verify", "bundle.json", "--json", *words])
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(done.stdout)

    return checked


async def exported(site, agreement_id, *, later_ms=0):
    """The bundle that a site exports, some time later by its clock."""
    connector = dataclasses.replace(site.connector, now_ms=lambda: site.connector.now_ms() + later_ms)
    return await export.export(connector, agreement_id)


async def negotiated(pair):
    """The id of an agreement that is in force on both sides."""
    found = await catalog.request_dataset(pair.consumer.connector, pair.provider.did, None, "asset")
    record = await pair.consumer.request(pair.provider, offer_of(found))
    await pair.consumer.reaches(record.id, terms.FINALIZED)
    record = await pair.consumer.negotiation(record.id)
    await pair.provider.reaches(record.counterparty_pid, terms.FINALIZED)

    async def told():  # of the revisions there are: that is in the evidence too
        return not await pair.provider.outbox()

    await wait_for(told)
    return record.agreement_id


async def got(pair, folder):
    """Let the consumer get a package; returns the agreement when each side knows all of it."""
    await pair.provider.publish(files=FILES)
    begun = await get.start(pair.consumer.connector, pair.provider.did, "asset", str(folder))

    async def done():
        status = await get.status(pair.consumer.connector, begun.id)
        quiet = not await pair.consumer.outbox() and not await pair.provider.outbox()
        return status if status["stage"] == get.COMPLETED and quiet else None

    status = await wait_for(done)
    transfer = await pair.consumer.transfer(status["transferId"])
    await pair.provider.reaches(transfer.counterparty_pid, terms.COMPLETED)
    return transfer.agreement_id


async def cosigned(site):
    """Have a site make a checkpoint, and wait until its partner has cosigned it."""
    await checkpoints.make(site.connector)

    async def there():
        return await site.rows("SELECT 1 FROM cosignature") and not await site.outbox()

    await wait_for(there, "a cosignature")


def pins(pair):
    return [
        word
        for site in pair
        for each in site.connector.signing_keys.ring.keys
        for word in ("--key", f"{site.did}={jose.thumbprint(each.jwk)}")
    ]


@pytest.mark.parametrize("store_kind", stores.KINDS, indirect=True)
async def test_each_side_proves_to_a_third_folder_what_was_agreed_and_delivered(pair, tmp_path, check):
    agreement_id = await got(pair, tmp_path / "inbox")
    for site, partner in (pair, pair[::-1]):
        await cosigned(site)
        shown = check(await exported(site, agreement_id), *pins(pair))
        assert (shown["exporter"], shown["partner"], shown["agreement"]) == (
            site.did,
            partner.did,
            agreement_id,
        )
        assert (shown["equalsLastOffer"], shown["finalized"]) == (True, True)
        by_message = {each["message"]: each for each in shown["records"]}
        assert {"ContractAgreementMessage", "TransferRequestMessage", receipt.DELIVERY} <= by_message.keys()
        assert shown["withoutSignatureOfPartner"] == []
        assert shown["cosignedRecords"] == len(shown["records"])
        assert [each["comity:files"] for each in shown["receipts"]] == [2]
        assert all(each["pinned"] for each in shown["keys"])
        assert {each["participantId"] for each in shown["keys"]} == {site.did, partner.did}
        assert by_message["TransferStartMessage"]["withheld"]["body"] == "it holds a credential"


async def test_a_partner_that_does_not_sign_is_told_by_the_bundle(site, peer, check, monkeypatch):
    monkeypatch.setattr(export, "PAUSES", 0)  # by the clock of an hour later its answer is not due yet
    await site.publish()
    _, agreement_id = await finalized(peer, site)
    await started(peer, site, agreement_id)
    shown = check(await exported(site, agreement_id, later_ms=HOUR_MS))
    received = [each for each in shown["records"] if each["sender"] == peer.did]
    assert {each["signedBy"] for each in received} == {""}
    assert all(each["tokenNamesMessage"] for each in received)
    sent = [each["record"] for each in shown["records"] if each["sender"] == site.did]
    assert shown["withoutSignatureOfPartner"] == sent
    assert shown["cosignedRecords"] == 0


async def test_the_framework_agreement_and_its_signing_are_part_of_it(pair, tmp_path, check):
    parties = (pair.provider.did, pair.consumer.did)
    document = agreeing.document(parties, releaseRules=agreeing.FREE)
    texts = str(agreeing.write(tmp_path / "texts"))
    urn = await framework_proposals.propose(pair.provider.connector, document, texts)
    await framework_proposals.sign(pair.consumer.connector, pair.provider.did, urn)
    for site in pair:

        async def signed(site=site):
            return (await framework_view.load(site.connector, urn))["state"] == framework_view.SIGNED

        await wait_for(signed)
    await pair.provider.publish(framework=urn)
    agreement_id = await negotiated(pair)
    for site in pair:
        shown = check(await exported(site, agreement_id))
        (framework,) = shown["frameworks"]
        signing = shown["records"][framework["signedInRecord"] - 1]
        assert (framework["urn"], signing["message"]) == (urn, "ContractAgreementMessage")
        assert signing["record"] < shown["agreementInRecord"]
        assert signing["signedBy"] == f"{pair.provider.did}#key-1"
        assert signing["answerSignedBy"] == f"{pair.consumer.did}#key-1"


async def test_a_bundle_holds_after_both_keys_are_gone(pair, check, monkeypatch):
    monkeypatch.setattr(did, "REFETCH_S", 0.0)
    await pair.provider.publish()
    agreement_id = await negotiated(pair)
    for site in pair:
        await cosigned(site)
    for site in pair:
        await keyring.retire(site.connector, "key-1")
    for site in pair:
        shown = check(await exported(site, agreement_id), *pins(pair))
        kids = {each["kid"].rpartition("#")[2] for each in shown["keys"] if each["participantId"] == site.did}
        assert kids == {"key-1", "key-2"}  # one signed what was said, the other the bundle
        assert not (site.folder / "keys" / "connector.pem").exists()
        assert shown["cosignedRecords"] == len(shown["records"])
        assert shown["withoutSignatureOfPartner"] == []


async def test_nothing_that_opens_a_door_leaves_in_a_bundle(pair):
    await pair.provider.publish()
    agreement_id = await negotiated(pair)
    negotiation = next(iter(await pair.consumer.rows("SELECT id FROM negotiation")))[0]
    transfer = await pair.consumer.ask_for_data(negotiation)
    await pair.consumer.reaches(transfer.id, terms.STARTED)
    planted = {b"comity-canary-of-a-back-end"}
    for site in pair:
        await secrets.create(site.connector, SecretForm("back-end", "comity-canary-of-a-back-end"))
        made = await apikeys.create(site.connector, ApiKeyForm("clerk", "operator", None))
        planted |= {made[1].encode(), site.conf.management_key.encode()}
        for path in (site.folder / "keys").iterdir():
            planted |= {each for each in path.read_bytes().split() if len(each) > 20 and b'"' not in each}
        planted |= {seen.headers["authorization"].split()[-1].encode() for seen in site.captured}
    start = next(each for each in pair.consumer.captured if each.path.endswith("/start"))
    named = start.document["dataAddress"]["endpointProperties"]
    planted |= {each["value"].encode() for each in named if "authorization" in each["name"]}
    for site in pair:
        held = opened(await exported(site, agreement_id))
        assert any(b'"ContractAgreementMessage"' in each for each in held)
        assert [each for each in planted if any(each in text for text in held)] == []
        later = opened(await exported(site, agreement_id, later_ms=HOUR_MS))
        assert any(seen.headers["authorization"].split()[-1].encode() in later[0] for seen in site.captured)


def opened(data):
    """A file, and all that is packed in it, as often as it is packed."""
    found, waiting = [data], [data]
    while waiting:
        for word in BASE64.findall(waiting.pop().decode(errors="replace")):
            try:
                inner = jose.decode_segment(word.rstrip("=").replace("+", "-").replace("/", "_").encode())
            except ValueError:
                continue
            found.append(inner)
            waiting.append(inner)
    return found


async def test_what_the_store_holds_is_checked_before_it_is_handed_out(pair):
    await pair.provider.publish()
    agreement_id = await negotiated(pair)
    change = "UPDATE agreement SET document = replace(document, ?1, ?2)"
    for words in (("permission", "prohibition"), ("prohibition", "permission")):
        await pair.consumer.connector.database.write(lambda tx, words=words: tx.run(change, *words))
        if words[0] == "permission":
            with pytest.raises(BundleError, match="the agreement is not the one in record 2"):
                await exported(pair.consumer, agreement_id)
    assert await exported(pair.consumer, agreement_id)


async def test_there_is_no_bundle_of_an_agreement_that_is_not_there(site):
    with pytest.raises(errors.NotFoundError):
        await exported(site, "urn:uuid:none")


@pytest.mark.parametrize("store_kind", [stores.POSTGRESQL], indirect=True)
async def test_what_replicas_wrote_in_several_chains_is_one_bundle(pair, check):
    await pair.provider.publish()
    agreement_id = await negotiated(pair)
    write = pair.consumer.connector.database.write
    await write(lambda tx: tx.run("INSERT INTO evidence_chain (number) VALUES (7)"))
    names = "seq, record, hash, token, body, sealed, answer"
    await write(lambda tx: tx.run(f"INSERT INTO evidence (chain, {names}) SELECT 7, {names} FROM evidence"))
    shown = check(await exported(pair.consumer, agreement_id))
    assert [(each["chain"], each["message"]) for each in shown["records"]] == [
        (chain, each["message"])
        for chain in (0, 7)
        for each in shown["records"][: len(shown["records"]) // 2]
    ]
    await write(lambda tx: tx.run("DELETE FROM evidence WHERE chain = 7"))
