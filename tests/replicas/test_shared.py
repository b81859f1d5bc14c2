"""Two replicas of one connector: what one does, the other knows; and how a further one is made from the URL alone."""

import asyncio
import json
import subprocess
import time
import urllib.request
import uuid

import pytest

from comity import errors, settings
from comity.controlplane import apikeys, catalog, events, keyring, partners, webhooks
from comity.dsp import terms
from comity.management import apikeys as key_forms
from comity.management import webhooks as webhook_forms
from comity.management.approvals import Rule
from comity.testing import collect, history, record
from replicas import cluster
from support import asgi, stores
from support import pair as pairs
from support.pair import Site, offer_of, wait_for
from support.processes import COMITY, environment
from support.receiver import Receiver

WITHIN_S = 5.0


@pytest.fixture
async def three(tmp_path):
    """Two replicas, and their partner on SQLite, who knows the first one's address."""
    a = pairs.new_site(tmp_path / "a", kind=stores.POSTGRESQL)
    partner = pairs.new_site(tmp_path / "partner")
    await a.start()
    b = further(tmp_path, a)
    await b.start()
    await partner.start()
    await pairs.introduced(a, partner)
    await a.publish()
    yield a, b, partner

    async def nothing_on_its_way():
        sql = "SELECT 1 FROM outbox LIMIT 1"
        return not [*await a.rows(sql), *await partner.rows(sql)]

    try:
        await wait_for(nothing_on_its_way, "all to be said", 20)
        sides = [
            await collect.side(partner.connector.database, partner.did),
            await collect.side(a.connector.database, a.did),
        ]
        history.check(record.History(sides=tuple(sides))).expect()
    finally:
        for each in (a, b, partner):
            await each.stop()
        stores.give_back(a.conf.database_url)


def further(folder, first: Site) -> Site:
    """Make a further replica in this process, as its operator would."""
    return Site(folder / "b", cluster.join(folder, "b", first.conf).conf)


async def offered(a, partner):
    dataset = await catalog.request_dataset(partner.connector, a.did, None, "asset")
    return offer_of(dataset)


async def soon(check, what: str) -> None:
    await wait_for(check, what, WITHIN_S)


def signs_with(site) -> str:
    return site.connector.signing_keys.signing_key().kid.rpartition("#")[2]


def published(site) -> list[str]:
    return [each["kid"].rpartition("#")[2] for each in site.connector.signing_keys.published()]


async def test_a_rotation_at_one_is_one_at_both(three):
    a, b, partner = three
    await keyring.rotate(a.connector, lead_s=1, grace_s=600)
    await soon(lambda: published(b) == ["key-1", "key-2"], "both to publish both")
    await soon(lambda: (signs_with(a), signs_with(b)) == ("key-2", "key-2"), "both to sign with the new one")
    with_new = b.connector.identity.authorization(partner.did, b"{}")
    await partner.connector.identity.caller(with_new, "POST", "/x", b"{}")
    await keyring.retire(b.connector, "key-1")
    await soon(lambda: (published(a), published(b)) == (["key-2"], ["key-2"]), "none to publish the old one")
    assert not list((a.folder / "keys").glob("connector.pem"))
    document = json.loads(await asyncio.to_thread(_get, f"{a.conf.address}/.well-known/did.json"))
    assert [each["id"].rpartition("#")[2] for each in document["verificationMethod"]] == ["key-2"]


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


async def test_an_approval_that_is_late_is_ended_by_one_of_both(three):
    a, b, partner = three
    await apikeys.create(b.connector, key_forms.ApiKeyForm("anna", "approver", None))
    await partners.add(a.connector, partner.did, approval=Rule(("anna",), within_seconds=1))
    begun = await partner.request(a, await offered(a, partner))
    await partner.reaches(begun.id, "TERMINATED")
    assert (await partner.negotiation(begun.id)).error == "it was not approved in time"
    said = [each["outcome"] for each in await a.entries() if each["kind"] == "approval"]
    assert sorted(said) == ["asked", "expired"]


async def test_two_rotations_at_once_are_one(three):
    a, b, _ = three
    done = await asyncio.gather(
        *(keyring.rotate(each.connector, lead_s=1, grace_s=600) for each in (a, b)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in done) == ["ConflictError", "NoneType"]
    await soon(lambda: a.connector.signing_keys.ring == b.connector.signing_keys.ring, "one ring")
    assert published(a) == ["key-1", "key-2"]


async def test_a_stolen_key_signs_nowhere_after_its_retirement_at_one(three):
    a, b, _ = three
    began = time.monotonic()
    await keyring.retire(a.connector, "key-1")
    await soon(lambda: (signs_with(a), signs_with(b)) == ("key-2", "key-2"), "nobody to sign with it")
    assert time.monotonic() - began < WITHIN_S


async def test_a_stream_at_one_ends_when_the_other_revokes_its_transfer(three):
    a, b, partner = three
    begun = await partner.request(a, await offered(a, partner))
    await partner.reaches(begun.id, terms.FINALIZED)
    transfer = await partner.ask_for_data(begun.id)
    await partner.reaches(transfer.id, terms.STARTED)
    ((theirs,),) = await a.rows("SELECT id FROM transfer")

    async def stream() -> None:
        async with b.parts.open_flows.open(theirs):
            opened.set()
            await asyncio.Event().wait()

    opened = asyncio.Event()
    streaming = asyncio.create_task(stream())
    await opened.wait()
    await a.move(theirs, "terminate", reason="enough")
    with pytest.raises(errors.PolicyError):
        await asyncio.wait_for(streaming, WITHIN_S)
    await partner.reaches(transfer.id, terms.TERMINATED)


async def test_who_reads_events_at_one_sees_those_of_both_in_order_and_all(three):
    a, b, partner = three
    seen: list[int] = []

    async def read():
        async for page in events.follow(b.connector, events.Wanted(after=0)):
            seen.extend(each.seq for each in page.events)

    reading = asyncio.create_task(read())
    offer = await offered(a, partner)
    b_knows = [b.publish(f"asset-{at}") for at in range(5)]
    begun = await asyncio.gather(*(partner.request(a, offer) for _ in range(20)), *b_knows)
    for each in begun[:20]:
        await partner.reaches(each.id, terms.FINALIZED, 20)

    async def has_all():
        return seen == [seq for (seq,) in await a.rows("SELECT seq FROM event ORDER BY seq")]

    await soon(has_all, "the reader to have all, in order")
    reading.cancel()


async def test_a_webhook_is_told_of_each_event_in_order_across_a_takeover(three):
    a, b, partner = three
    receiver = Receiver()
    await receiver.start()
    form = webhook_forms.NewWebhook(receiver=webhook_forms.Callback(url=receiver.url))
    await webhooks.create(a.connector, form)
    offer = await offered(a, partner)
    first = [await partner.request(a, offer) for _ in range(5)]
    for each in first:
        await partner.reaches(each.id, terms.FINALIZED)
    replica = a.connector.database._replica
    replica._keeping.cancel()
    await asyncio.gather(replica._keeping, return_exceptions=True)
    replica._renewed_s -= 100
    await b.connector.database.write(lambda tx: tx.run("DELETE FROM replica WHERE id = ?1", replica.id))
    b.connector.database._replica._wake.set()

    async def taken():
        return await b.rows("SELECT 1 FROM webhook WHERE owner = ?1", b.connector.database._replica.id)

    await soon(taken, "the webhook to be taken over")
    second = [await partner.request(a, offer) for _ in range(5)]
    replica._keeping = asyncio.create_task(replica._keep())
    replica._wake.set()
    for each in second:
        await partner.reaches(each.id, terms.FINALIZED)
    rows = await a.rows("SELECT id, seq, subject FROM event WHERE subject LIKE 'urn:uuid:%' ORDER BY seq")
    events_of = {uuid.UUID(bytes=name, version=4).urn: (subject, seq) for name, seq, subject in rows}

    def told():
        return list(dict.fromkeys(each.id for each in receiver.got if each.id in events_of))

    await soon(lambda: len(told()) == len(events_of), "all to be told")
    await receiver.stop()
    for of in {subject for subject, _ in events_of.values()}:
        places = [events_of[each][1] for each in told() if events_of[each][0] == of]
        assert places == sorted(places)
    again = len(receiver.got) - len({each.id for each in receiver.got})
    assert again <= 64  # of the page that was under way


async def test_a_request_with_a_key_at_both_at_once_creates_one_thing(three):
    a, b, partner = three
    await partner.publish("theirs")
    dataset = await catalog.request_dataset(a.connector, partner.did, None, "theirs")
    body = {
        "@type": "ContractRequest",
        "counterPartyId": partner.did,
        "counterPartyAddress": partner.dsp,
        "protocol": "dataspace-protocol-http:2025-1",
        "policy": {**dataset["hasPolicy"][0], "target": "theirs", "assigner": partner.did},
    }
    clients = [asgi.Client(each.parts.internal, "") for each in (a, b)]
    sent = [
        client.request(
            "POST",
            "contractnegotiations",
            body,
            headers={"x-api-key": a.conf.management_key, "idempotency-key": f"key-{at}"},
        )
        for at in range(10)
        for client in clients
    ]
    answers = await asyncio.gather(*sent)
    assert [each.status for each in answers] == [200] * 20, [
        each.json for each in answers if each.status != 200
    ]
    names = [each.json["@id"] for each in answers]
    assert names[::2] == names[1::2]
    assert len(set(names)) == 10
    assert await a.rows("SELECT count(*) FROM negotiation") == [(10,)]


async def test_what_one_is_told_of_people_and_partners_counts_at_the_other(three):
    a, b, partner = three
    ask = asgi.Client(b.parts.internal, "")
    _, key = await apikeys.create(
        a.connector, key_forms.ApiKeyForm(name="reader", role="viewer", expires_at=None)
    )

    async def status():
        return (await ask.request("POST", "assets/request", {}, headers={"x-api-key": key})).status

    assert await status() == 200
    await apikeys.remove(a.connector, "reader")

    async def shut():
        return await status() == 401

    await soon(shut, "the key to open nothing")
    token = partner.connector.identity.authorization(a.did, b"")
    await b.connector.identity.admit(token)
    await partners.remove(a.connector, partner.did)

    async def unknown():
        try:
            await b.connector.identity.admit(token)
        except errors.IdentityError as error:
            return error
        return None

    await soon(unknown, "the partner to be unknown")


@pytest.fixture
async def first(tmp_path):
    made = pairs.new_site(tmp_path / "a", kind=stores.POSTGRESQL)
    await made.start()
    yield made
    await made.stop()
    stores.give_back(made.conf.database_url)


def join(folder, url, *words, **environ):
    return subprocess.run(
        [*COMITY, "join", *([url] if url else []), *words],
        env={**environment(folder), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_further_replica_is_made_from_the_url_and_the_seal_key(first, tmp_path):
    conf = first.conf
    key = (conf.folder / "keys" / "seal.key").read_text()
    done = join(tmp_path / "c", "", COMITY_DATABASE_URL=conf.database_url, COMITY_SEAL_KEY=key)
    assert done.returncode == 0, done.stderr
    made = settings.load(tmp_path / "c")
    for name in (
        "participant_id",
        "name",
        "address",
        "listen",
        "roots",
        "allow",
        "insecure",
        "management_key",
    ):
        assert getattr(made, name) == getattr(conf, name), name
    assert made.database_url == conf.database_url
    for path in (*(tmp_path / "c" / "keys").iterdir(), tmp_path / "c" / "comity.toml"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert settings.seal_key(made) == settings.seal_key(conf)


async def test_without_the_right_seal_key_there_is_no_further_replica(first, tmp_path):
    url = first.conf.database_url
    without = join(tmp_path / "c", url)
    assert without.returncode == 2
    assert "--seal-key" in without.stderr
    wrong = join(tmp_path / "c", url, COMITY_SEAL_KEY="00" * 32)
    assert wrong.returncode != 0
    assert "another seal key" in wrong.stderr
    assert "no key of" in join(tmp_path / "c", url, COMITY_SEAL_KEY="x").stderr.replace("not a key", "no key")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("name", ["seal.key", "connector.pem"])
async def test_keys_of_something_else_in_the_folder_are_neither_kept_nor_overwritten(first, tmp_path, name):
    mine, conf = tmp_path / "c" / "keys" / name, first.conf
    mine.parent.mkdir(parents=True)
    mine.write_text("11" * 32)
    key = (conf.folder / "keys" / "seal.key").read_text()
    done = join(tmp_path / "c", conf.database_url, COMITY_SEAL_KEY=key)
    assert (done.returncode, name in done.stderr, "move that file away" in done.stderr) == (1, True, True), (
        done
    )
    assert (mine.read_text(), (tmp_path / "c" / "comity.toml").exists()) == ("11" * 32, False)
    mine.write_bytes((conf.folder / "keys" / name).read_bytes() + b"\n")  # left by one that broke off
    assert join(tmp_path / "c", conf.database_url, COMITY_SEAL_KEY=key).returncode == 0


async def test_nobody_joins_where_nobody_has_started(tmp_path):
    url = stores.fresh(stores.POSTGRESQL, tmp_path)
    done = join(tmp_path / "c", url, COMITY_SEAL_KEY="00" * 32)
    stores.give_back(url)
    assert done.returncode == 5
    assert "comity init --database" in done.stderr


async def test_the_database_of_one_connector_is_not_taken_by_another(first, tmp_path):
    other = pairs.new_site(tmp_path / "other", database=first.conf.database_url)
    with pytest.raises(errors.SettingsError, match="another seal key"):
        await other.start()
    (tmp_path / "other" / "keys" / "seal.key").write_text((first.folder / "keys" / "seal.key").read_text())
    with pytest.raises(errors.SettingsError, match="the database is that of"):
        await other.start()


async def test_other_settings_at_a_start_are_said_and_given_to_the_next(first, tmp_path, caplog):
    b = further(tmp_path, first)
    text = (b.folder / "comity.toml").read_text()
    (b.folder / "comity.toml").write_text(text.replace("keep_days = 30", "keep_days = 7"))
    b.conf = settings.load(b.folder)
    await b.start()
    assert "other settings: events.keep_days" in caplog.text
    assert cluster.join(tmp_path, "c", first.conf).conf.events_keep_days == 7
    await b.stop()
