"""What a connector takes and refuses in a negotiation, in both roles, from a partner that sends what it likes."""

import pytest

from comity import errors
from comity.controlplane import decide
from support import schemas, wire
from support.pair import offer_of
from support.peer import status
from support.process import Process, awaited, finalized

OFFER = {
    "@id": "urn:offer:1",
    "@type": "Offer",
    "target": "asset",
    "profile": "urn:profile:1",
    "permission": [
        {
            "action": "use",
            "constraint": [{"leftOperand": "dateTime", "operator": "lteq", "rightOperand": "2099-12-31"}],
        },
        {
            "action": "use",
            "constraint": [{"leftOperand": "purpose", "operator": "isA", "rightOperand": "urn:repair"}],
        },
    ],
    "prohibition": [
        {
            "action": "use",
            "constraint": [{"leftOperand": "spatial", "operator": "eq", "rightOperand": "urn:x"}],
        }
    ],
}


def is_error(answer, status=400, kind="ContractNegotiationError"):
    assert answer.status == status, answer.body
    assert answer.document["@type"] == kind
    assert not schemas.problems(answer.document)
    return answer.reason


async def begun(site, peer, offer=OFFER):
    """A negotiation that the connector asked for; the peer is the provider."""
    record = await site.request(peer, offer)
    await site.reaches(record.id, "REQUESTED")
    return awaited(peer, site, record.id)


async def asked(site, peer, **changes):
    """A negotiation that the peer asked for; the connector is the provider."""
    await site.publish()
    process = Process(peer, site)
    assert (await process.ask({**offer_of(await peer.dataset(site)), **changes})).status == 201
    return process


class TestProvider:
    async def test_agrees_to_its_own_terms(self, site, peer):
        await site.publish()
        process, agreement_id = await finalized(peer, site)
        assert await process.state() == "FINALIZED"
        assert (await site.agreement(process.theirs)).id == agreement_id

    async def test_answers_other_terms_with_its_own_and_agrees_when_they_are_taken(self, site, peer):
        process = await asked(site, peer, permission=[{"action": "use"}, {"action": "read"}])
        await site.reaches(process.theirs, "OFFERED")
        standing = peer.of(f"/{process.pid}/offers")[0].document["offer"]
        assert standing["permission"] == [{"action": "use"}]
        assert (await process.send("ContractRequestMessage", offer=standing)).status == 200
        await site.reaches(process.theirs, "AGREED")
        assert peer.of(f"/{process.pid}/agreement")[0].document["agreement"]["permission"] == [
            {"action": "use"}
        ]

    async def test_agrees_when_its_own_offer_is_accepted(self, site, peer):
        process = await asked(site, peer, permission=[{"action": "use"}, {"action": "read"}])
        await site.reaches(process.theirs, "OFFERED")
        assert (await process.event("ACCEPTED")).status == 200
        await site.reaches(process.theirs, "AGREED")

    async def test_refuses_a_second_counter_offer_that_differs_in_its_id_alone(self, started, peer):
        site = await started("site", decisions=OfferThenWait())
        await site.befriend(peer)
        process = await asked(site, peer)
        await site.reaches(process.theirs, "OFFERED")
        offer = offer_of(await peer.dataset(site))
        assert (await process.send("ContractRequestMessage", offer=offer)).status == 200
        is_error(await process.send("ContractRequestMessage", offer=offer))
        assert await process.state() == "REQUESTED"

    async def test_ends_when_other_terms_are_asked_for_again(self, site, peer):
        process = await asked(site, peer, permission=[{"action": "read"}])
        await site.reaches(process.theirs, "OFFERED")
        offer = {**offer_of(await peer.dataset(site)), "permission": [{"action": "read"}]}
        assert (await process.send("ContractRequestMessage", offer=offer)).status == 200
        await site.reaches(process.theirs, "TERMINATED")
        assert "not offered" in peer.of(f"/{process.pid}/termination")[0].document["reason"][0]

    async def test_refuses_a_counter_offer_for_another_target(self, site, peer):
        process = await asked(site, peer, permission=[{"action": "read"}])
        await site.reaches(process.theirs, "OFFERED")
        offer = {**offer_of(await peer.dataset(site)), "target": "other"}
        assert "target" in is_error(await process.send("ContractRequestMessage", offer=offer))

    @pytest.mark.parametrize(
        "offer_id",
        ["urn:offer:unknown", "urn:comity:offer:YQ:YQ:00", "urn:comity:offer:\u00e9:YQ:0", "x" * 1024],
    )
    async def test_says_what_to_do_about_an_unknown_offer(self, site, peer, offer_id):
        await site.publish()
        offer = {**offer_of(await peer.dataset(site)), "@id": offer_id}
        assert "catalog" in is_error(await Process(peer, site).ask(offer))
        assert await site.rows("SELECT 1 FROM negotiation") == []

    async def test_refuses_the_offer_of_one_asset_for_another(self, site, peer):
        await site.publish()
        await site.publish("other")
        offer = {**offer_of(await peer.dataset(site)), "target": "other"}
        is_error(await Process(peer, site).ask(offer))

    async def test_never_agrees_to_one_asset_under_the_terms_of_another(self, site, peer):
        await site.publish("strict", policy=wire.until("2099-12-31"))
        await site.publish("lax")
        strict, lax = [offer_of(await peer.dataset(site, name)) for name in ("strict", "lax")]
        process = Process(peer, site)
        assert (await process.ask({**strict, "permission": [{"action": "use"}]})).status == 201
        await site.reaches(process.theirs, "OFFERED")
        answer = await process.send("ContractRequestMessage", offer={**lax, "target": "strict"})
        assert answer.status == 200
        await site.reaches(process.theirs, "TERMINATED")
        assert peer.of("/agreement") == []

    @pytest.mark.parametrize("prefix", ["odrl:", "http://www.w3.org/ns/odrl/2/"])
    async def test_agrees_to_every_rule_in_whatever_spelling_it_was_asked_for(self, site, peer, prefix):
        rules = wire.constrained("dateTime", "gt", "2099-12-31")["permission"]
        await site.publish(policy={"permission": [{"action": "use"}], "prohibition": rules})
        offer = offer_of(await peer.dataset(site))
        offer[f"{prefix}prohibition"] = offer.pop("prohibition")
        offer["permission"] = offer["permission"][0]
        process = Process(peer, site)
        assert (await process.ask(offer)).status == 201
        await site.reaches(process.theirs, "AGREED")
        agreed = peer.of(f"/{process.pid}/agreement")[0].document["agreement"]
        assert (agreed["permission"], agreed["prohibition"]) == ([{"action": "use"}], rules)

    @pytest.mark.parametrize("event", ["FINALIZED", "ACCEPTED", "accepted", ""])
    async def test_refuses_an_event_out_of_turn(self, site, peer, event):
        process = await asked(site, peer)
        await site.reaches(process.theirs, "AGREED")
        is_error(await process.event(event))
        assert await process.state() == "AGREED"

    async def test_refuses_what_only_a_provider_sends_as_missing(self, site, peer):
        process = await asked(site, peer)
        await site.reaches(process.theirs, "AGREED")
        answer = await process.send(
            "ContractAgreementMessage", agreement=wire.agreement(OFFER, assigner="a", assignee="b")
        )
        is_error(answer, 404)

    async def test_refuses_every_message_after_the_end(self, site, peer):
        await site.publish()
        process, _ = await finalized(peer, site)
        for answer in (
            await process.verify(),
            await process.terminate(),
            await process.event("ACCEPTED"),
            await process.send("ContractRequestMessage", offer=offer_of(await peer.dataset(site))),
        ):
            assert "FINALIZED" in is_error(answer)

    async def test_takes_a_termination_at_any_time_before_the_end(self, site, peer):
        process = await asked(site, peer)
        assert (await process.terminate(reason=[{"message": "no"}, ["deep", None], 3])).status == 200
        await site.reaches(process.theirs, "TERMINATED")
        assert "no" in (await site.negotiation(process.theirs)).error

    async def test_keeps_a_part_of_a_long_reason(self, site, peer):
        process = await asked(site, peer)
        answer = await process.terminate(reason=None, code={"much": "x" * 100_000})
        assert answer.status == 200
        assert 0 < len((await site.negotiation(process.theirs)).error) <= 1000

    async def test_refuses_an_offer_whose_callback_is_no_address(self, site, peer):
        await site.publish()
        offer = offer_of(await peer.dataset(site))
        for address in (
            "ftp://x",
            "not an address",
            "http://a b",
            "http://u:p@127.0.0.1/",
            "",
            7,
            None,
            "http://10.0.0.1",
        ):
            answer = await Process(peer, site).send(
                "ContractRequestMessage", offer=offer, callbackAddress=address
            )
            assert "callbackAddress" in is_error(answer), address


class OfferThenWait:
    """A script: the first request is answered with an offer, everything else waits."""

    def negotiation(self, case):
        first = case.negotiation.version == 0 and case.negotiation.state == "REQUESTED"
        return decide.Move(kind=decide.OFFER) if first else decide.Move()

    def transfer(self, case):
        return decide.Move()


def altered(**changes):
    return pytest.param(changes, id=next(iter(changes)) + ("-absent" if None in changes.values() else ""))


RULE = OFFER["permission"][0]
ALTERED = [
    altered(target="other"),
    altered(target=None),
    altered(target=["asset"]),
    altered(assigner="did:web:somebody.example"),
    altered(assigner=None),
    altered(assignee="did:web:somebody.example"),
    altered(assignee=None),
    altered(profile="urn:profile:2"),
    altered(profile=None),
    altered(permission=OFFER["permission"][:1]),
    altered(permission=[*OFFER["permission"], {"action": "read"}]),
    altered(permission=[OFFER["permission"][0], *OFFER["permission"]]),
    altered(permission=None),
    altered(permission=[{**RULE, "action": "distribute"}, OFFER["permission"][1]]),
    altered(
        permission=[
            {"action": "use", "constraint": [{**RULE["constraint"][0], "rightOperand": "2098-12-31"}]},
            OFFER["permission"][1],
        ]
    ),
    altered(
        permission=[
            {"action": "use", "constraint": [{**RULE["constraint"][0], "operator": "lt"}]},
            OFFER["permission"][1],
        ]
    ),
    altered(permission=[{"action": "use"}, OFFER["permission"][1]]),
    altered(prohibition=None),
    altered(prohibition=[]),
    altered(prohibition=[{"action": "use"}]),
    altered(obligation=[{"action": "delete"}]),
    altered(inheritFrom="urn:policy:other"),
    altered(**{"odrl:conflict": "perm"}),
    altered(duty=[{"action": "compensate"}]),
]


class TestConsumer:
    async def test_takes_an_agreement_that_is_the_offer_in_another_order(self, site, peer):
        process = await begun(site, peer)
        answer = await process.agree(OFFER, permission=list(reversed(OFFER["permission"])))
        assert answer.status == 200, answer.body
        await site.reaches(process.theirs, "VERIFIED")
        assert (await process.event("FINALIZED")).status == 200
        await site.reaches(process.theirs, "FINALIZED")

    async def test_takes_an_agreement_without_timestamp_as_the_schema_does(self, site, peer):
        process = await begun(site, peer)
        assert (await process.agree(OFFER, timestamp=None)).status == 200

    @pytest.mark.parametrize("changes", ALTERED)
    async def test_refuses_an_altered_agreement_and_stores_nothing(self, site, peer, changes):
        process = await begun(site, peer)
        is_error(await process.agree(OFFER, **changes))
        assert await process.state() == "REQUESTED"
        assert await site.rows("SELECT 1 FROM agreement") == []
        assert (await process.agree(OFFER)).status == 200  # the right one is still taken

    async def test_refuses_an_agreement_id_that_was_used_before(self, site, peer):
        first, second = await begun(site, peer), await begun(site, peer)
        assert (await first.agree(OFFER, **{"@id": "urn:agreement:1"})).status == 200
        assert "used before" in is_error(await second.agree(OFFER, **{"@id": "urn:agreement:1"}))
        assert len(await site.rows("SELECT 1 FROM agreement")) == 1

    async def test_refuses_a_second_agreement_in_one_negotiation(self, site, peer):
        process = await begun(site, peer)
        assert (await process.agree(OFFER)).status == 200
        is_error(await process.agree(OFFER))
        assert len(await site.rows("SELECT 1 FROM agreement")) == 1

    async def test_refuses_to_be_finalized_before_it_verified(self, started, peer):
        site = await started("site", decisions=OfferThenWait())
        await site.befriend(peer)
        process = await begun(site, peer)
        is_error(await process.event("FINALIZED"))
        assert (await process.agree(OFFER)).status == 200
        is_error(await process.event("FINALIZED"))
        assert await process.state() == "AGREED"

    async def test_refuses_an_agreement_to_an_offer_it_did_not_accept(self, site, peer):
        process = await begun(site, peer)
        offer = {**OFFER, "permission": [{"action": "use"}]}
        assert (await process.send("ContractOfferMessage", offer=offer)).status == 200
        is_error(await process.agree(OFFER))
        is_error(await process.agree(offer))
        await site.move(process.theirs, decide.ACCEPT)
        await site.reaches(process.theirs, "ACCEPTED")
        is_error(await process.agree(OFFER))
        assert (await process.agree(offer)).status == 200

    async def test_keeps_an_offer_waiting_for_a_person_and_can_counter_it(self, site, peer):
        process = Process(peer, site, consumer=False)
        assert (await process.propose(OFFER)).status == 201
        assert await process.state() == "OFFERED"
        await site.move(process.theirs, decide.REQUEST, policy={"permission": [{"action": "use"}]})
        await site.reaches(process.theirs, "REQUESTED")
        sent = peer.of(f"/{process.pid}/request")[0].document
        assert sent["offer"]["permission"] == [{"action": "use"}]
        is_error(await process.agree(OFFER))
        assert (await process.agree(sent["offer"])).status == 200

    @pytest.mark.parametrize(
        "changes",
        [
            {"target": None},
            {"@id": None},
            {"permission": [{"action": 3}]},
            {"permission": "use"},
            {"target": {"@id": "asset"}},
        ],
    )
    async def test_refuses_an_offer_that_cannot_be_read(self, site, peer, changes):
        offer = {name: value for name, value in {**OFFER, **changes}.items() if value is not None}
        assert "$.offer" in is_error(await Process(peer, site, consumer=False).propose(offer))
        assert await site.rows("SELECT 1 FROM negotiation") == []


class TestPids:
    async def test_path_and_body_must_name_the_same_process(self, site, peer):
        one = await asked(site, peer)
        other = Process(peer, site)
        await other.ask(offer_of(await peer.dataset(site)))
        await site.reaches(one.theirs, "AGREED")
        await site.reaches(other.theirs, "AGREED")
        kind = "ContractAgreementVerificationMessage"
        is_error(await one.send(kind, to=other.theirs), 404)
        is_error(await one.send(kind, document={**one.message(kind), "consumerPid": other.pid}), 404)
        is_error(await one.send(kind, document={**one.message(kind), "providerPid": other.theirs}), 404)
        assert {await one.state(), await other.state()} == {"AGREED"}

    async def test_two_negotiations_cannot_share_the_partners_pid(self, site, peer):
        first, second = await begun(site, peer), await site.request(peer, OFFER)
        await site.reaches(second.id, "REQUESTED")
        thief = awaited(peer, site, second.id)
        thief.pid = first.pid
        is_error(await thief.agree(OFFER), 404)

    async def test_a_partner_that_answers_two_requests_with_one_pid_ends_the_second(self, site, peer):
        peer.pid_for = lambda pid: "urn:peer:always-the-same"
        first = await site.request(peer, OFFER)
        await site.reaches(first.id, "REQUESTED")
        second = await site.request(peer, OFFER)
        await site.reaches(second.id, "TERMINATED")
        assert "pid" in (await site.negotiation(second.id)).error
        assert await site.state(first.id) == "REQUESTED"


class TestMoves:
    async def test_an_illegal_move_of_ours_is_refused_and_changes_nothing(self, site, peer):
        process = await begun(site, peer)
        for kind in (decide.AGREE, decide.FINALIZE, decide.VERIFY, decide.ACCEPT, decide.OFFER):
            with pytest.raises(errors.LocalProtocolError):
                await site.move(process.theirs, kind, policy=wire.USE)
        assert await site.outbox() == []
        assert (await site.negotiation(process.theirs)).offer == OFFER

    async def test_what_has_ended_cannot_be_ended_again(self, site, peer):
        peer.script("/negotiations/request", status(400, {"reason": ["no such offer here"]}))
        record = await site.request(peer, OFFER)
        await site.reaches(record.id, "TERMINATED")
        before = (await site.negotiation(record.id)).error
        with pytest.raises(errors.LocalProtocolError):
            await site.move(record.id, decide.TERMINATE, reason="again")
        assert (await site.negotiation(record.id)).error == before
