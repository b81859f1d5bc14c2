"""What a hostile partner says of inquiries is refused with one sentence, and changes nothing."""

from comity.controlplane import inquiries, inquiry_decisions
from comity.management import inquiries as wire
from comity.techdata import inquiry
from support import peer as peers_of
from support import process
from support.pair import wait_for
from support.process import finalized

PATH = "/../../comity/notices"
LIMITS = {"lotFrom": "1", "lotTo": "2"}


async def held(site, peer):
    """A partner that holds a package of ours: what it may ask."""
    made = await site.publish(files={"a.txt": b"hello"})
    _, agreement_id = await finalized(peer, site)
    return {
        "@type": inquiry.NOTICE,
        "@id": "urn:i",
        "agreementId": agreement_id,
        "kind": "question",
        "assetId": "asset",
        "manifestSha256": made.manifest_sha256,
        "text": "Why?",
    }


def event(asked, name="granted", **more):
    return {
        "@type": inquiry.EVENT_NOTICE,
        "@id": f"urn:{name}",
        "agreementId": asked["agreementId"],
        "inquiryId": asked["@id"],
        "event": name,
        **more,
    }


WRONG = {
    "an unknown agreement": ({"agreementId": "urn:x"}, "no agreement with this id between us"),
    "no agreement": ({"agreementId": None}, "agreementId"),
    "another asset": ({"assetId": "other"}, "the agreement is about asset, and the inquiry is not"),
    "an unknown revision": ({"manifestSha256": "0" * 64}, "no revision with this digest was handed to you"),
    "no digest": ({"manifestSha256": "latest"}, "manifestSha256"),
    "an unknown kind": ({"kind": "order"}, "an inquiry is one of question, deviation, change"),
    "no text": ({"text": " \n"}, "a text has 1 to 10000 characters"),
    "too long a text": ({"text": "x" * 10_001}, "10000 at $.text"),
    "control characters": ({"text": "a\x1b[2Jb"}, "no control characters but line breaks"),
    "a name with control characters": ({"by": "anna\r\nboris"}, "a name has no control characters"),
    "a file above the folder": ({"files": ["../a.txt"]}, "segment that starts with a dot at $.files[0]"),
    "an absolute file": ({"files": ["/etc/passwd"]}, "is absolute"),
    "a file that is not in it": ({"files": ["b.txt"]}, "has no file b.txt"),
    "too many files": ({"files": ["a.txt"] * 1001}, "1000 at $.files"),
    "a day that is none": ({"answerBy": "2027-13-1"}, "a day is written as 2027-12-31"),
    "a question with limits": ({"limits": LIMITS}, "only a deviation has limits"),
    "a deviation without limits": ({"kind": "deviation"}, "a deviation is limited"),
    "limits of nothing": ({"kind": "deviation", "limits": {"conditions": "all"}}, "a deviation is limited"),
    "an unknown limit": ({"kind": "deviation", "limits": {**LIMITS, "plant": "7"}}, "unknown field `plant`"),
    "an open range": ({"kind": "deviation", "limits": {"lotFrom": "1"}}, "a first and a last number"),
    "a range backwards": (
        {"kind": "deviation", "limits": {"lotFrom": "L-10", "lotTo": "L-9"}},
        "L-10 comes after L-9",
    ),
    "a proposal without digest": ({"proposal": {"assetId": "x"}}, "manifestSha256"),
}


async def test_what_is_asked_wrongly_is_refused_with_one_sentence(site, peer):
    asked = await held(site, peer)
    for at, (name, (members, said)) in enumerate(WRONG.items()):
        body = {**asked, "@id": f"urn:{at}", **members}
        answer = await peer.send(site, PATH, {key: each for key, each in body.items() if each is not None})
        assert (answer.status, said in answer.reason) == (400, True), (name, answer.status, answer.reason)
    assert await site.rows("SELECT id FROM inquiry") == []


async def test_it_is_taken_once_and_with_another_body_or_by_another_partner_refused(site, peer, peers):
    asked = await held(site, peer)
    first, again = await peer.send(site, PATH, asked), await peer.send(site, PATH, asked)
    assert (first.status, first.document["state"]) == (200, "OPEN")
    assert again.body == first.body
    other = await peer.send(site, PATH, {**asked, "text": "Why not?"})
    assert (other.status, "was received before" in other.reason) == (400, True)
    stranger = await peers()
    assert (await stranger.send(site, PATH, {**asked, "@id": "urn:j"})).status == 401
    await site.befriend(stranger)
    answer = await stranger.send(site, PATH, {**asked, "@id": "urn:j"})
    assert (answer.status, "no agreement with this id between us" in answer.reason) == (400, True)
    for name in ("said", "withdrawn"):
        answer = await stranger.send(site, PATH, event(asked, name, text="mine"))
        assert (answer.status, "no such inquiry between us" in answer.reason) == (400, True)
    assert len(await site.rows("SELECT id FROM inquiry")) == 1
    assert len(await site.rows("SELECT id FROM inquiry_step")) == 1


async def test_who_asks_decides_nothing_and_what_is_not_known_yet_is_to_be_told_again(site, peer):
    asked = await held(site, peer)
    early = await peer.send(site, PATH, event(asked, "withdrawn"))
    assert (early.status, "no such inquiry here yet" in early.reason) == (503, True)
    assert (await peer.send(site, PATH, asked)).status == 200
    for name, more in (
        ("granted", {"limits": LIMITS}),
        ("answered", {"text": "Yes."}),
        ("refused", {"text": "No."}),
        ("revised", {"manifestSha256": "0" * 64}),
        ("revoked", {"text": "No.", "at": 1}),
    ):
        answer = await peer.send(site, PATH, event(asked, name, **more))
        assert (answer.status, "only the owner" in answer.reason) == (400, True), name
    for wrong, said in (
        (event(asked, "sold"), "the event is one of"),
        (event(asked, "said"), "it says nothing"),
        (event(asked, "said", text="x" * 10_001), "10000 at $.text"),
        (event(asked, "withdrawn", limits=LIMITS), "only what is granted has limits"),
        (event(asked, "said", text="x", by=["a\nb"]), "a name has no control characters"),
    ):
        answer = await peer.send(site, PATH, wrong)
        assert (answer.status, said in answer.reason) == (400, True), answer.reason
    assert (await peer.send(site, PATH, event(asked, "withdrawn"))).status == 200
    late = await peer.send(site, PATH, {**event(asked, "withdrawn"), "@id": "urn:late"})
    assert (late.status, "it is over: it was withdrawn" in late.reason) == (400, True)


async def test_a_thread_and_the_number_of_open_inquiries_have_an_end(site, peer, monkeypatch):
    asked = await held(site, peer)
    monkeypatch.setattr("comity.controlplane.inquiry_notices.MOST_OPEN", 1)
    monkeypatch.setattr("comity.controlplane.inquiry_steps.MAX_STEPS", 2)
    assert (await peer.send(site, PATH, asked)).status == 200
    answer = await peer.send(site, PATH, {**asked, "@id": "urn:j"})
    assert (answer.status, "1 inquiries are open" in answer.reason) == (400, True)
    assert (await peer.send(site, PATH, event(asked, "said", text="And?"))).status == 200
    full = await peer.send(site, PATH, {**event(asked, "said", text="And?"), "@id": "urn:k"})
    assert (full.status, "steps, which are enough" in full.reason) == (400, True)


async def test_an_owner_decides_only_what_was_asked_of_it_and_once(site, peer):
    """The scripted partner is the owner here: it sells us a package, and we ask."""
    bought = (await site.agreement((await process.bought(peer, site)).id)).id
    form = wire.AskedForm(
        agreement_id=bought,
        kind="question",
        text="Why?",
        files=[],
        manifest_sha256="0" * 64,
        limits={},
        proposal="",
        answer_by="",
    )
    made = await inquiries.ask(site.connector, form, by="carla")
    await wait_for(lambda: peer.of("/comity/notices"), "the inquiry")
    asked = {"@id": made.id, "agreementId": bought}
    await site.connector.database.write(
        lambda tx: tx.run("UPDATE inquiry SET state = 'UNDELIVERED', said = 'no answer for 72 hours'")
    )
    answer = await peer.send(site, PATH, event(asked, "said", text="We look at it."))
    assert (answer.status, answer.document["state"]) == (200, "OPEN")
    for wrong, said in (
        (event(asked, "granted", limits=LIMITS), "a question is not granted"),
        (event({**asked, "@id": "urn:x"}, "answered", text="Yes."), "no such inquiry between us"),
        (event({**asked, "agreementId": "urn:x"}, "answered", text="Yes."), "no such inquiry between us"),
        (event(asked, "withdrawn"), "only who asked may withdraw it"),
        (event(asked, "revised"), "a revision has the digest of its manifest"),
    ):
        answer = await peer.send(site, PATH, wrong)
        assert (answer.status, said in answer.reason) == (400, True), answer.reason
    answer = await peer.send(site, PATH, event(asked, "answered", text="Yes.", by=["owner"]))
    assert (answer.status, answer.document["state"]) == (200, "ANSWERED")
    again = await peer.send(site, PATH, event(asked, "refused", text="No."))
    assert (again.status, "it is over: it was answered" in again.reason) == (400, True)
    wrong = {"@type": inquiry.NOTICE, "@id": "urn:n", "agreementId": bought, "kind": "question"}
    wrong |= {"assetId": "part", "manifestSha256": "0" * 64, "text": "Why?"}
    answer = await peer.send(site, PATH, wrong)
    assert (answer.status, "you are the provider of this agreement" in answer.reason) == (400, True)


async def test_an_owner_revokes_what_it_granted_once_and_nobody_else_does(site, peer, peers):
    """The scripted partner is the owner here too; what it did last comes first."""
    bought = (await site.agreement((await process.bought(peer, site)).id)).id
    form = wire.AskedForm(
        agreement_id=bought,
        kind="deviation",
        text="May we?",
        files=[],
        manifest_sha256="0" * 64,
        limits=LIMITS,
        proposal="",
        answer_by="",
    )
    made = await inquiries.ask(site.connector, form, by="carla")
    asked = {"@id": made.id, "agreementId": bought}
    revoked = event(asked, "revoked", text="M6 breaks.", at=7)
    for name, more in (("revised", {"manifestSha256": "1" * 64}), ("granted", {"limits": LIMITS})):
        early = await peer.send(site, PATH, revoked)
        assert (early.status, "no deviation was granted here yet" in early.reason) == (503, True)
        answer = await peer.send(site, PATH, event(asked, name, **more))
        assert answer.document["state"] == "REVISED"
    stranger = await peers()
    await site.befriend(stranger)
    for sender, changes, said in (
        (stranger, {}, "no such inquiry between us"),
        (peer, {"text": ""}, "it says nothing"),
        (peer, {"at": 0}, "not said when"),
    ):
        answer = await sender.send(site, PATH, {**revoked, **changes})
        assert (answer.status, said in answer.reason) == (400, True), answer.reason
    first, again = await peer.send(site, PATH, revoked), await peer.send(site, PATH, revoked)
    assert (first.document["state"], again.body) == ("REVOKED", first.body)
    said = await peer.send(site, PATH, event(asked, "said", text="Call us."))
    assert said.document["state"] == "REVOKED"
    twice = await peer.send(site, PATH, {**revoked, "@id": "urn:twice"})
    assert (twice.status, "it is over: it was revoked" in twice.reason) == (400, True)
    assert await site.rows("SELECT state, revoked_at FROM inquiry") == [("REVOKED", 7)]


async def test_who_does_not_know_that_a_deviation_can_be_revoked_refuses_it_and_its_owner_sees_so(site, peer):
    asked = {**await held(site, peer), "kind": "deviation", "limits": LIMITS}
    assert (await peer.send(site, PATH, asked)).status == 200
    await inquiry_decisions.grant(site.connector, "urn:i", {}, "", by="anna")
    body = {
        "@type": "comity:NoticeError",
        "code": "invalid-input",
        "reason": ["the event is one of said, answered"],
    }
    peer.script("/comity/notices", *[peers_of.status(400, body)] * 2)
    found = await inquiry_decisions.revoke(site.connector, "urn:i", "M6 breaks.", by="boris")
    assert (found["state"], "error" in found) == ("REVOKED", False)

    async def refused():
        return (await inquiries.load(site.connector, "urn:i")).get("error")

    assert "the event is one of said, answered" in await wait_for(refused)
    assert await site.connector.database.read(lambda tx: inquiries.granted(tx, "asset")) == []
    assert await site.rows("SELECT 1 FROM event WHERE type = 'inquiry.undelivered'") == [(1,)]
