"""The channel between Comities: a notice is taken once, is in the evidence of both, and costs others nothing."""

import pytest

from comity import errors
from comity.controlplane import notices, notify, partners
from comity.db import partners as partner_rows
from support import peer as peers_of
from support.pair import wait_for

TYPE = "comity:SeenNotice"
PATH = "/../../comity/notices"


class Seen:
    """A kind of notice that keeps what it is told."""

    def __init__(self):
        self.received, self.answered, self.refused = [], [], []

    async def receive(self, connector, tx, partner, notice):
        if "bad" in notice:
            raise errors.InvalidInputError("this one is bad", path="$.bad")
        self.received.append((partner.id, notice))
        return {"number": len(self.received)}

    async def take_answer(self, connector, tx, row, answer):
        self.answered.append((row.subject, answer["number"]))

    async def take_refusal(self, connector, tx, row, reason):
        self.refused.append(reason)


@pytest.fixture
def seen(monkeypatch):
    made = Seen()
    kind = notices.Kind(receive=made.receive, answered=made.take_answer, refused=made.take_refusal)
    monkeypatch.setitem(notices.KINDS, TYPE, kind)
    return made


async def send(site, to, **members):
    async def unit(tx):
        partner = await partner_rows.load(tx, to.did)
        return await notify.send(site.connector, tx, partner, {"@type": TYPE, **members}, "urn:a")

    return await site.connector.database.write(unit)


async def all_sent(site):
    """Wait until it is written down what became of every notice."""

    async def nothing_open():
        return await site.outbox() == []

    await wait_for(nothing_open, "the outbox is empty")


def of_notices(entries):
    return [
        (each["direction"], each["message"], each["messageId"], each["processId"], each.get("outcome"))
        for each in entries
        if each["kind"] == "notice"
    ]


async def test_a_notice_is_taken_answered_and_in_the_evidence_of_both(pair, seen):
    name = await send(pair.consumer, pair.provider, agreementId="urn:a")
    await all_sent(pair.consumer)
    assert seen.answered == [("urn:a", 1)]
    assert [(each, notice["@id"]) for each, notice in seen.received] == [(pair.consumer.did, name)]
    assert of_notices(await pair.consumer.entries()) == [("out", TYPE, name, "urn:a", "acknowledged")]
    assert of_notices(await pair.provider.entries()) == [("in", TYPE, name, "urn:a", None)]


async def test_a_repeat_gets_the_stored_answer_and_another_body_is_refused(site, peer, seen):
    notice = {"@type": TYPE, "@id": "urn:n", "agreementId": "urn:a"}
    first = await peer.send(site, PATH, notice)
    again = await peer.send(site, PATH, notice)
    assert (first.status, first.document["number"]) == (200, 1)
    assert again.body == first.body
    other = await peer.send(site, PATH, {**notice, "more": 1})
    assert (other.status, other.document["@type"]) == (400, "comity:NoticeError")
    assert "received before" in other.reason
    assert len(seen.received) == 1
    assert [row[-1] for row in of_notices(await site.entries())] == [None, "refused"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"@type": "comity:UnheardOfNotice", "@id": "urn:n"}, "knows no notice comity:UnheardOfNotice"),
        ({"@type": TYPE, "@id": "urn:n", "bad": 1}, "this one is bad at $.bad"),
        ({"@type": TYPE}, "a notice has an id of its own, a text at $.@id"),
        ({"@type": "Offer", "@id": "urn:n"}, "a notice has a type such as comity:XNotice at $.@type"),
        (b"[]", ""),
    ],
)
async def test_a_bad_notice_is_refused_with_one_sentence(site, peer, seen, document, said):
    answer = await peer.send(site, PATH, document)
    assert answer.status == 400
    assert said in answer.reason
    assert seen.received == []


async def test_of_a_refused_notice_that_is_long_its_digest_alone_is_kept(site, peer, seen):
    assert (
        await peer.send(site, PATH, {"@type": TYPE, "@id": "urn:n", "bad": "x" * (64 << 10)})
    ).status == 400
    assert (await peer.send(site, PATH, {"@type": TYPE, "@id": "urn:m", "bad": 1})).status == 400
    kept = await site.rows("SELECT length(body) FROM evidence ORDER BY seq")
    assert [bool(each) for (each,) in kept] == [False, True]


async def test_strangers_and_other_methods_and_paths_are_refused(site, peer, peers, seen):
    stranger = await peers()
    notice = {"@type": TYPE, "@id": "urn:n"}
    assert (await stranger.send(site, PATH, notice)).status == 401
    assert (await peer.send(site, PATH, notice, authorization="")).status == 401
    assert (await peer.get(site, PATH)).status == 405
    assert (await peer.send(site, PATH + "/x", notice)).status == 404
    assert seen.received == []


async def test_who_takes_no_notices_is_asked_once_a_day(site, peer, seen):
    peer.script("/comity/notices", peers_of.status(404))
    await send(site, peer)
    await wait_for(lambda: len(seen.refused) == 1, "the refusal")
    await send(site, peer)
    await wait_for(lambda: len(seen.refused) == 2, "the second refusal")
    await all_sent(site)
    assert len(peer.of("/comity/notices")) == 1
    assert "no Comity" in seen.refused[1]
    assert [row[-1] for row in of_notices(await site.entries())] == ["refused", "refused"]
    site.connector.deaf[peer.did] -= notify.ASKED_AGAIN_MS
    peer.script("/comity/notices", answering({"number": 7}))
    await send(site, peer)
    await wait_for(lambda: seen.answered == [("urn:a", 7)], "the answer, a day later")
    await wait_for(lambda: peer.did not in site.connector.deaf, "that is noted after the answer is stored")


def answering(members):
    async def answer(peer, request, received):
        return peers_of.web.json_response({"@id": received.document["@id"], **members})

    return answer


async def test_what_may_pass_is_tried_again_with_the_same_bytes(site, peer, seen):
    elsewhere = peers_of.raw(b"<html>welcome to our network</html>")
    away, stranger = peers_of.status(503), peers_of.status(401)
    peer.script("/comity/notices", away, stranger, elsewhere, answering({"number": 1}))
    await send(site, peer)
    await wait_for(lambda: seen.answered, "the answer")
    received = peer.of("/comity/notices")
    assert len(received) == 4
    assert len({each.body for each in received}) == 1
    assert len({each.authorization for each in received}) == 4


async def test_a_removed_partner_is_told_nothing_more(site, peer, seen):
    await peer.disappear()
    await send(site, peer)
    await partners.remove(site.connector, peer.did)
    assert await site.outbox() == []
    assert [row[-1] for row in of_notices(await site.entries())] == ["given up"]
