"""Checkpoints between connectors: cosigned where a log goes on, and a log with two faces is found out."""

import asyncio
import base64
import dataclasses

import pytest

from comity import errors
from comity.controlplane import catalog, checkpoints, comparing, health, stamping, witnessing
from comity.db import checkpoints as rows
from comity.db import events, evidence, public_keys, tiles, witnessed
from comity.evidence import checkpoint, stamp, tree
from comity.evidence.checkpoint import Checkpoint
from comity.net import http
from comity.net import stamp as net_stamp
from support.heads import findings, made_by, read, told
from support.pair import offer_of, wait_for
from support.stamping import Authority

PATH = "/../../comity/notices"


async def talk(pair):
    """Let there be something new that is about both."""
    await catalog.request(pair.consumer.connector, pair.provider.did)


async def keys_of(site, did):
    return await read(site, public_keys.find_of, did)


async def test_a_checkpoint_is_cosigned_by_the_partner_and_the_next_goes_on_from_it(pair):
    await talk(pair)
    (first,) = await made_by(pair.provider)
    assert [tuple(each) for each in await told(pair.provider)] == [(first.origin, first.size, 0)]
    (line,) = await read(pair.provider, rows.find_cosignatures, first.chain, first.size)
    note = checkpoint.parse(first.note)
    assert checkpoint.check(note, await keys_of(pair.consumer, pair.provider.did))
    name = checkpoint.key_name(pair.consumer.did)
    assert checkpoint.check_cosignature(
        note.checkpoint, line.line, name, await keys_of(pair.provider, pair.consumer.did)
    )

    await talk(pair)
    second = (await made_by(pair.provider))[-1]
    assert second.size > first.size
    assert (await told(pair.provider))[0][1] == second.size
    (seen,) = await read(pair.consumer, witnessed.find_newest)
    assert (seen.size, seen.note, seen.cosignature[:2]) == (second.size, second.note, "— ")
    leaf = tree.leaf((await read(pair.provider, tiles.find_records, first.chain, 0, 1))[0])
    proof = await read(pair.provider, tiles.prove_inclusion, first.chain, 0, second.size)
    tree.check_inclusion(0, second.size, leaf, proof, checkpoint.parse(second.note).checkpoint.root)


async def test_that_a_partner_was_told_is_nothing_new(pair):
    await talk(pair)
    count = len(await made_by(pair.provider))
    await told(pair.provider)
    head = await read(pair.provider, evidence.find_head, 0)
    for site in pair:
        await checkpoints.make(site.connector)
        await told(site)
    assert len(await made_by(pair.provider)) == count
    assert (await read(pair.provider, evidence.find_head, 0)).size >= head.size


def notice(peer, head, *, since=None, proof=()):
    old = since or Checkpoint("", 0, b"")
    return {
        "@type": checkpoints.NOTICE,
        "@id": f"urn:{head.size}:{head.root.hex()}:{old.size}",
        "checkpoint": checkpoint.sign(head, peer.key),
        "sinceOrigin": old.origin,
        "sinceSize": old.size,
        "consistency": [base64.b64encode(each).decode() for each in proof],
    }


def face(peer, size, name=b"a", restored_at=0):
    """Return a tree of a peer's log: what is in it from record 4 on depends on its face."""
    leaves = [tree.leaf(b"%d" % at if at < 4 else name + b"%d" % at) for at in range(size)]
    return Checkpoint(checkpoint.origin(peer.did, 0, restored_at), size, tree.root(leaves)), leaves


async def shown(peer, site, size, old=0, name=b"a"):
    """Show a face of a log to a site, with the proof from an older size of the same face, and return its answer."""
    head, leaves = face(peer, size, name)
    since = face(peer, old, name)[0] if old else None
    return (
        await peer.send(site, PATH, notice(peer, head, since=since, proof=tree.consistency(leaves, old)))
    ).document


async def test_a_log_that_shows_two_faces_is_found_out_and_not_cosigned_until_a_person_has_looked(
    site, peer, caplog
):
    assert (await shown(peer, site, 6))["state"] == "COSIGNED"
    answer = await shown(peer, site, 8, old=6, name=b"b")
    assert (answer["state"], "cosignature" in answer) == ("FORKED", False)
    assert "does not contain the tree of 6 records" in answer["reason"]
    assert checkpoint.parse(answer["known"]).checkpoint.size == 6
    assert "two faces" in caplog.text or "does not contain" in caplog.text

    (finding,) = await findings(site)
    signed = [checkpoint.parse(each) for each in (finding.known, finding.shown)]
    assert [each.checkpoint.size for each in signed] == [6, 8]
    assert all(checkpoint.check(each, [peer.key.public_jwk()]) for each in signed)
    record = (await site.entries(finding.id))[0]
    assert (record["kind"], record["outcome"], record["sender"]) == ("log", "forked", peer.did)
    page = await site.connector.database.read(
        lambda tx: events.find_page(tx, after=0, limit=10, subject=finding.id)
    )
    assert [each.type for each in page.events] == ["log.forked"]

    later = await shown(peer, site, 9, old=6)
    assert (later["state"], "nobody has looked" in later["reason"]) == ("REFUSED", True)
    assert len(await findings(site)) == 1
    await witnessing.acknowledge(site.connector, finding.id, "ann")
    assert (await shown(peer, site, 10, old=6))["state"] == "COMPARE"  # the other face counts now
    assert (await shown(peer, site, 10, old=8, name=b"b"))["state"] == "COSIGNED"


@pytest.mark.parametrize(
    ("size", "name", "said"), [(6, b"b", "two different trees"), (5, b"a", "after one of 6")]
)
async def test_another_tree_of_the_same_size_or_a_smaller_one_is_a_second_face(site, peer, size, name, said):
    await shown(peer, site, 6)
    answer = await shown(peer, site, size, old=0, name=name)
    assert answer["state"] == "FORKED"
    assert said in answer["reason"]


async def test_a_log_that_does_not_prove_that_it_goes_on_when_asked_has_a_second_face(site, peer):
    await shown(peer, site, 5)
    await shown(peer, site, 6, old=5)
    asked = await shown(peer, site, 8, old=5)
    assert (asked["state"], checkpoint.parse(asked["known"]).checkpoint.size) == ("COMPARE", 6)
    again = await shown(peer, site, 9, old=5)
    assert (again["state"], "also when asked" in again["reason"]) == ("FORKED", True)


async def test_an_old_checkpoint_that_comes_again_is_no_second_face(site, peer):
    await shown(peer, site, 5)
    await shown(peer, site, 6, old=5)
    assert (await shown(peer, site, 5, old=4))["state"] == "SEEN"
    assert (await shown(peer, site, 6, old=4))["state"] == "COSIGNED"
    assert await findings(site) == []


async def test_a_checkpoint_must_be_of_the_partners_own_log_and_signed_by_it(site, peer):
    head = Checkpoint(checkpoint.origin("did:web:other.example", 0), 3, bytes(32))
    assert "no log of" in (await peer.send(site, PATH, notice(peer, head))).reason
    good = notice(peer, face(peer, 6)[0])
    spoilt = {**good, "@id": "urn:x", "checkpoint": good["checkpoint"].replace("\n6\n", "\n7\n")}
    assert "does not hold" in (await peer.send(site, PATH, spoilt)).reason
    for bad in (
        {"consistency": ["?"]},
        {"consistency": 1},
        {"sinceSize": -1},
        {"checkpoint": "x"},
        {"sinceSize": 10**30},
        {"sinceOrigin": "x\0"},
    ):
        assert (await peer.send(site, PATH, {**good, "@id": f"urn:{bad}", **bad})).status == 400
    assert await read(site, witnessed.find_newest) == []


async def test_a_log_that_was_restored_begins_anew_openly(site, peer):
    await shown(peer, site, 5)
    await shown(peer, site, 8, old=5)
    head, leaves = face(peer, 6, b"a", 1700)
    old = face(peer, 5)[0]
    sent = notice(peer, head, since=old, proof=tree.consistency(leaves, 5))
    answer = (await peer.send(site, PATH, sent)).document
    assert (answer["state"], answer["cosignature"][:2]) == ("RESTARTED", "— ")
    assert [each.kind for each in await findings(site)] == ["RESTARTED"]
    assert "up to 8 records of it were seen before, of which it contains 5" in answer["reason"]
    head, leaves = face(peer, 7, b"b", 1800)
    forged = notice(peer, head, since=face(peer, 6, b"a", 1700)[0], proof=tree.consistency(leaves, 6))
    assert (await peer.send(site, PATH, forged)).document["state"] == "FORKED"


@pytest.fixture
async def authority(tmp_path):
    async with Authority(tmp_path / "tsa") as running:
        client = http.HttpClient(http.Guard((), insecure=True))
        running.ask = net_stamp.Authority(client, running.url).ask
        running.trusted = stamp.certificates(running.ca.read_bytes())
        yield running
        await client.close()


async def test_a_checkpoint_is_stamped_once_by_the_authority(pair, authority):
    await talk(pair)
    await made_by(pair.provider)
    made = stamping.Stamping(
        pair.provider.connector, authority.ask, authority.trusted, every_s=60, stop_after_s=0
    )
    await made.stamp()
    await made.stamp()
    assert authority.asked == 1
    (found,) = await read(pair.provider, rows.find_newest, 9)
    assert stamp.check(found.stamp, found.note, authority.trusted).at == found.stamped_at


async def test_nothing_new_proceeds_while_stamps_stay_away_too_long_and_all_goes_on_with_them(
    pair, authority
):
    site, now = pair.provider, [0]
    await site.publish()
    offer = offer_of(await catalog.request_dataset(pair.consumer.connector, site.did, None, "asset"))
    await talk(pair)
    (first,) = await made_by(site)
    await told(site)
    connector = dataclasses.replace(site.connector, now_ms=lambda: first.made_at + now[0])
    made = stamping.Stamping(connector, authority.ask, authority.trusted, every_s=60, stop_after_s=100)
    authority.away = True
    await made.stamp()
    site.connector.halt.check()
    now[0] = 100_000
    await made.stamp()
    assert [each.failure for each in await health.check(site.connector)][1].startswith(
        "there was no time stamp"
    )

    with pytest.raises(errors.TransientDeliveryError, match="time stamp authority"):
        await talk(pair)
    with pytest.raises(errors.UnstampedError):
        await site.offer(pair.consumer, offer)
    wanted = await pair.consumer.request(pair.provider, offer)
    assert await site.rows("SELECT 1 FROM negotiation") == []
    assert await pair.consumer.state(wanted.id) is None

    authority.away = False
    await made.stamp()
    await pair.consumer.reaches(wanted.id, "FINALIZED")


async def test_two_faces_for_two_partners_are_found_out_when_they_compare(site, peer):
    await shown(peer, site, 6)
    other = checkpoint.sign(face(peer, 6, b"b")[0], peer.key)  # what another partner was shown
    assert await comparing.compare(site.connector, checkpoint.sign(face(peer, 6)[0], peer.key)) == "SEEN"
    assert await comparing.compare(site.connector, other) == "FORKED"
    (finding,) = await findings(site)
    assert (finding.kind, finding.shown) == ("FORKED", other)
    assert (await shown(peer, site, 8, old=6))["state"] == "REFUSED"


async def test_of_two_sizes_the_partner_proves_that_they_are_of_one_log_or_cannot(pair):
    await talk(pair)
    (first,) = await made_by(pair.provider)
    await told(pair.provider)
    await talk(pair)
    await checkpoints.make(pair.provider.connector)
    await told(pair.provider)
    await talk(pair)
    head = await read(pair.provider, evidence.find_head, first.chain)
    leaves = [
        tree.leaf(each) for each in await read(pair.provider, tiles.find_records, first.chain, 0, head.size)
    ]
    key = pair.provider.connector.signing_keys.signing_key()
    later = checkpoint.sign(Checkpoint(first.origin, head.size, tree.root(leaves)), key)
    forged = checkpoint.sign(Checkpoint(first.origin, head.size, tree.root(leaves[1:])), key)
    assert await comparing.compare(pair.consumer.connector, later) == "ASKED"
    (found,) = await wait_for(lambda: findings(pair.consumer), "the proof")
    assert found.kind == "CONSISTENT"
    assert await comparing.compare(pair.consumer.connector, forged) == "ASKED"

    async def both():
        return [each.kind for each in await findings(pair.consumer)] == ["FORKED", "CONSISTENT"]

    await wait_for(both, "the finding")
    assert [each.kind for each in await findings(pair.provider)] == ["DENIED"]
    with pytest.raises(errors.InvalidInputError, match="no log of a partner"):
        await comparing.compare(pair.provider.connector, later)
    with pytest.raises(errors.InvalidInputError, match="no signed checkpoint"):
        await comparing.compare(pair.provider.connector, "x")


async def test_checkpoints_are_made_and_stamped_from_time_to_time_and_not_right_after_each_other(
    pair, authority
):
    ticks, asked = asyncio.Queue(), asyncio.Queue()
    connector = pair.provider.connector
    running = [
        checkpoints.Checkpoints(connector, every_s=60, pause=lambda _: ticks.get()).run(),
        stamping.Stamping(
            connector,
            authority.ask,
            authority.trusted,
            every_s=60,
            stop_after_s=0,
            pause=lambda _: asked.get(),
        ).run(),
    ]
    tasks = [asyncio.create_task(each) for each in running]
    await talk(pair)
    ticks.put_nowait(1)
    (first,) = await wait_for(lambda: read(pair.provider, rows.find_newest, 9), "a checkpoint")
    asked.put_nowait(1)
    await wait_for(lambda: authority.asked, "a question to the authority")
    await talk(pair)
    ticks.put_nowait(2)
    ticks.put_nowait(3)
    await wait_for(ticks.empty, "the next turns")
    assert [each.size for each in await read(pair.provider, rows.find_newest, 9)] == [first.size]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
