"""Negotiations that wait for people: who is asked before which move, what each decision does, what time does."""

import msgspec
import pytest

from comity.controlplane import approvals, negotiation_moves, offers, processes, removal
from comity.controlplane.decide import AGREE, REQUEST, TERMINATE, Move
from comity.db import apikeys, evidence, negotiations, partners
from comity.db import approvals as rows
from comity.db import offers as offer_rows
from comity.db.apikeys import ApiKey
from comity.db.offers import Asset
from comity.errors import ConflictError, InvalidInputError, LocalProtocolError, NotFoundError, PolicyError
from comity.management import offers as forms
from comity.management import query
from support.bench import ADDRESS, NOW_MS, THEM

ONE = {"approvers": ["anna", "boris"], "withinSeconds": 3600}
FOUR = {"approvers": ["anna", "boris", "carla"], "fourEyes": True, "withinSeconds": 3600}
RULES = {"permission": [{"action": "use"}]}


@pytest.fixture
async def people(bench):
    for name in ("anna", "boris", "carla", "dora", "vera"):
        role = "viewer" if name == "vera" else "approver"
        key = ApiKey(id=name, role=role, digest=name.encode(), expires_at=None, created_at=1)
        await bench.database.write(lambda tx, key=key: apikeys.insert(tx, key))
    return bench


async def offered(bench, rule, *, by="", change=False):
    """A contract definition for the one asset."""
    use = forms.decode_policy({"@id": "use", "policy": {"@type": "Set", **RULES}})
    if not change:
        asset = Asset(id="asset", properties={}, private_properties={}, data_address_sealed=b"", created_at=1)
        await bench.database.write(lambda tx: offer_rows.insert(tx, asset))
        await offers.create_policy(bench.connector, use)
    form = forms.decode_contract(
        {"@id": "offer", "accessPolicyId": "use", "contractPolicyId": "use"}
        | ({} if rule is None else {"approval": rule})
    )
    await (offers.change_contract if change else offers.create_contract)(bench.connector, form, by=by)


async def requested(bench, role="provider", state="REQUESTED", **offer):
    """A negotiation of the partner's that has come to a state, and our next move in it."""

    async def unit(tx):
        partner = await partners.load(tx, THEM)
        said = {"@id": "urn:o", "@type": "Offer", "target": "asset", **RULES, **offer}
        made = negotiation_moves.new_record(bench.connector, partner, role, said, "urn:theirs", ADDRESS)
        made = await negotiations.insert(tx, msgspec.structs.replace(made, state=state))
        await negotiation_moves.advance(bench.connector, tx, made, idle=True)
        return made.id

    return await bench.database.write(unit)


async def strict(bench, rule):
    """The partner's own rule."""
    await bench.database.write(lambda tx: _strict(tx, rule))


async def _strict(tx, rule):
    partner = await partners.load(tx, THEM)
    await partners.save(tx, msgspec.structs.replace(partner, approval=rule))


async def approval_of(bench, negotiation_id):
    return (await processes.load_negotiation(bench.connector, negotiation_id))["approval"]


async def settle(bench, name, person, *, approved=True, reason=""):
    return await approvals.settle(bench.connector, name, person, approved=approved, reason=reason)


async def messages(bench, negotiation_id):
    return [(row.message, row.leads_to) for row in await bench.outbox(negotiation_id)]


async def entries(bench):
    found = await bench.database.read(lambda tx: evidence.find_page(tx, after=0, limit=100))
    listed = [msgspec.json.decode(record) for _, record, _ in found]
    return [
        (each.get("by", ""), each["outcome"], each.get("detail", ""))
        for each in listed
        if each["kind"] == "approval"
    ]


class TestAsked:
    async def test_a_request_for_an_offer_with_a_rule_waits_and_says_for_whom(self, people):
        await offered(people, ONE)
        name = await requested(people)
        assert await messages(people, name) == []
        shown = await approval_of(people, name)
        assert shown["waitsFor"].startswith("waits for 1 more approval by anna, boris until 2026-")
        assert (shown["state"], shown["move"], shown["decisions"]) == ("WAITING", "agree", [])
        assert await entries(people) == [("", "asked", "")]

    async def test_it_goes_on_when_one_of_them_approves(self, people):
        await offered(people, ONE)
        name = await requested(people)
        shown = await settle(people, (await approval_of(people, name))["@id"], "boris", reason="fine")
        assert shown["state"] == "APPROVED"
        assert "waitsFor" not in shown
        assert await messages(people, name) == [("ContractAgreementMessage", "AGREED")]
        assert await entries(people) == [("", "asked", ""), ("boris", "approved", "fine")]

    async def test_an_offer_without_a_rule_waits_for_nobody(self, people):
        await offered(people, None)
        name = await requested(people)
        assert await messages(people, name) == [("ContractAgreementMessage", "AGREED")]

    async def test_the_rule_of_a_partner_holds_for_every_offer(self, people):
        await offered(people, None)
        await strict(people, ONE)
        assert (await approval_of(people, await requested(people)))["state"] == "WAITING"

    async def test_the_rules_of_the_offer_and_of_the_partner_are_both_met(self, people):
        await offered(people, {"approvers": ["carla"]})
        await strict(people, ONE)
        name = await requested(people)
        shown = await settle(people, (await approval_of(people, name))["@id"], "carla")
        assert shown["waitsFor"].startswith("waits for 1 more approval by anna, boris until")
        assert shown["dueAt"] - shown["createdAt"] == 3_600_000  # the shorter time
        await settle(people, shown["@id"], "anna")
        assert await messages(people, name) == [("ContractAgreementMessage", "AGREED")]

    async def test_what_we_offered_ourselves_and_the_partner_accepted_waits_too(self, people):
        await offered(people, ONE)
        name = await requested(people, state="ACCEPTED")
        assert (await approval_of(people, name))["move"] == "agree"

    async def test_terms_that_we_do_not_offer_ask_nobody(self, people):
        await offered(people, ONE)
        name = await requested(people, permission=[{"action": "read"}])
        assert await messages(people, name) == [("ContractOfferMessage", "OFFERED")]

    async def test_an_offer_that_a_provider_makes_is_accepted_when_people_approve_it(self, people):
        await strict(people, ONE)
        name = await requested(people, role="consumer", state="OFFERED")
        shown = await approval_of(people, name)
        assert shown["move"] == "accept"
        await settle(people, shown["@id"], "anna")
        assert await messages(people, name) == [("ContractNegotiationEventMessage:ACCEPTED", "ACCEPTED")]

    async def test_our_own_request_goes_out_when_people_approve_it(self, people):
        await strict(people, FOUR)
        name = await begun(people, by="carla")
        shown = await approval_of(people, name)
        assert (shown["move"], await messages(people, name)) == ("request", [])
        assert (await processes.load_negotiation(people.connector, name))["state"] == "INITIAL"
        with pytest.raises(PolicyError, match="carla asked for it"):
            await settle(people, shown["@id"], "carla")
        await settle(people, shown["@id"], "anna")
        await settle(people, shown["@id"], "boris")
        (row,) = await people.outbox(name)
        assert msgspec.json.decode(row.body)["offer"]["permission"] == RULES["permission"]

    async def test_our_own_request_is_refused_where_nobody_could_approve_it(self, people):
        await strict(people, {**FOUR, "approvers": ["anna", "boris"]})
        with pytest.raises(PolicyError, match="two different people beside the one who asks"):
            await begun(people, by="anna")

    async def test_our_own_request_ends_here_when_it_is_refused(self, people):
        await strict(people, ONE)
        name = await begun(people)
        await settle(people, (await approval_of(people, name))["@id"], "anna", approved=False, reason="no")
        shown = await processes.load_negotiation(people.connector, name)
        assert (shown["state"], shown["errorDetail"]) == (
            "TERMINATED",
            "people at the consumer refused it: no",
        )


async def begun(bench, by=""):
    async def unit(tx):
        partner = await partners.load(tx, THEM)
        offer = {"@id": "urn:o", "@type": "Offer", "target": "asset", **RULES}
        return (await negotiation_moves.request(bench.connector, tx, partner, offer, ADDRESS, by=by)).id

    return await bench.database.write(unit)


class TestDecided:
    async def test_four_eyes_are_two_people_and_the_one_who_wrote_the_offer_is_none_of_them(self, people):
        await offered(people, FOUR, by="anna")
        name = await requested(people)
        asked = (await approval_of(people, name))["@id"]
        with pytest.raises(PolicyError, match="anna asked for it"):
            await settle(people, asked, "anna")
        await settle(people, asked, "boris")
        with pytest.raises(ConflictError, match="boris has approved it already, and nobody decides twice"):
            await settle(people, asked, "boris")
        assert await messages(people, name) == []
        await settle(people, asked, "carla")
        assert await messages(people, name) == [("ContractAgreementMessage", "AGREED")]

    async def test_one_refusal_ends_it_and_the_partner_is_told_why_but_not_by_whom(self, people):
        await offered(people, FOUR)
        name = await requested(people)
        asked = (await approval_of(people, name))["@id"]
        await settle(people, asked, "boris")
        await settle(people, asked, "anna", approved=False, reason="not released")
        (row,) = await people.outbox(name)
        said = msgspec.json.decode(row.body)
        assert (said["code"], said["reason"]) == (
            "approval",
            ["people at the provider refused it: not released"],
        )
        assert b"anna" not in row.body
        assert await entries(people) == [
            ("", "asked", ""),
            ("boris", "approved", ""),
            ("anna", "refused", "not released"),
        ]

    async def test_who_refuses_says_why(self, people):
        await offered(people, ONE)
        asked = (await approval_of(people, await requested(people)))["@id"]
        with pytest.raises(InvalidInputError, match="who refuses says why"):
            await settle(people, asked, "anna", approved=False)

    @pytest.mark.parametrize(("person", "said"), [("dora", "dora is not one of those"), ("", "no person's")])
    async def test_others_do_not_decide(self, people, person, said):
        await offered(people, ONE)
        asked = (await approval_of(people, await requested(people)))["@id"]
        with pytest.raises(PolicyError, match=said):
            await settle(people, asked, person)

    async def test_what_is_decided_stays_so(self, people):
        await offered(people, ONE)
        asked = (await approval_of(people, await requested(people)))["@id"]
        await settle(people, asked, "anna")
        with pytest.raises(ConflictError, match="it is approved already"):
            await settle(people, asked, "boris", approved=False, reason="late")

    async def test_nobody_decides_after_the_end_of_the_negotiation(self, people):
        await offered(people, ONE)
        name = await requested(people)
        asked = (await approval_of(people, name))["@id"]
        await negotiation_moves.make(people.connector, name, Move(kind=TERMINATE, reason="enough"))
        with pytest.raises(ConflictError, match="the negotiation has ended"):
            await settle(people, asked, "anna")

    async def test_policy_is_asked_again_after_people_were(self, people):
        await offered(people, ONE)
        name = await requested(people)
        await offers.remove(people.connector, offer_rows.ContractDefinition, "offer")
        await settle(people, (await approval_of(people, name))["@id"], "anna")
        assert await messages(people, name) == [("ContractNegotiationTerminationMessage", "TERMINATED")]

    async def test_an_approval_that_is_not_there_is_not_found(self, people):
        with pytest.raises(NotFoundError):
            await settle(people, "urn:nothing", "anna")


class TestRestored:
    """A connector that was put back from a backup holds what its partner has not spoken of yet."""

    async def test_what_is_held_is_not_approved_but_may_be_refused(self, people):
        await offered(people, ONE)
        name = await requested(people)
        asked = (await approval_of(people, name))["@id"]
        people.connector.held.hold({name})
        with pytest.raises(LocalProtocolError, match="as it was in a backup"):
            await settle(people, asked, "anna")
        assert (await settle(people, asked, "anna", approved=False, reason="no"))["state"] == "REFUSED"

    async def test_a_request_that_was_never_sent_is_approved_all_the_same(self, people):
        await strict(people, ONE)
        name = await begun(people)
        people.connector.held.hold({name})
        await settle(people, (await approval_of(people, name))["@id"], "anna")
        assert await messages(people, name) == [("ContractRequestMessage", "REQUESTED")]


class TestByHand:
    async def test_an_operator_cannot_agree_before_people_have(self, people):
        await offered(people, ONE)
        name = await requested(people)
        with pytest.raises(LocalProtocolError, match="it waits for 1 more approval by anna, boris"):
            await negotiation_moves.make(people.connector, name, Move(kind=AGREE), by="olga")
        assert await messages(people, name) == []

    async def test_a_move_of_a_person_that_says_yes_asks_the_others(self, people):
        name = await requested(people, role="consumer", state="OFFERED")
        await strict(people, FOUR)
        other = Move(kind=REQUEST, policy={"permission": [{"action": "read"}]})
        await negotiation_moves.make(people.connector, name, other, by="anna")
        asked = (await approval_of(people, name))["@id"]
        await settle(people, asked, "boris")
        await settle(people, asked, "carla")
        (row,) = await people.outbox(name)
        assert msgspec.json.decode(row.body)["offer"]["permission"] == [{"action": "read"}]

    async def test_a_move_that_is_not_possible_asks_nobody(self, people):
        await strict(people, ONE)
        name = await requested(people, role="consumer", state="VERIFIED")
        with pytest.raises(LocalProtocolError):
            await negotiation_moves.make(people.connector, name, Move(kind=REQUEST, policy=RULES))
        assert "approval" not in await processes.load_negotiation(people.connector, name)


class TestTime:
    async def test_the_deadline_ends_it_by_the_connectors_clock(self, people):
        await offered(people, ONE)
        name = await requested(people)
        asked = await approval_of(people, name)
        watch = approvals.Deadlines(people.connector)
        assert 0 < await watch.end_due() <= approvals.POLL_S
        people.now_ms = asked["dueAt"]
        with pytest.raises(ConflictError, match="the time to decide is over"):
            await settle(people, asked["@id"], "anna")
        assert await watch.end_due() == approvals.POLL_S
        (row,) = await people.outbox(name)
        assert msgspec.json.decode(row.body)["reason"] == ["it was not approved in time"]
        assert (await approval_of(people, name))["state"] == "EXPIRED"
        assert (await entries(people))[-1] == ("", "expired", "")

    async def test_what_is_not_due_stays(self, people):
        await offered(people, ONE)
        name = await requested(people)
        people.now_ms = NOW_MS + 3_000_000
        assert await approvals.Deadlines(people.connector).end_due() == approvals.POLL_S
        assert (await approval_of(people, name))["state"] == "WAITING"


class TestRules:
    @pytest.mark.parametrize("name", ["vera", "nobody"])
    async def test_an_offer_names_only_keys_that_may_approve(self, people, name):
        with pytest.raises(InvalidInputError, match=f"no API key {name} that may approve"):
            await offered(people, {"approvers": ["anna", name]})

    async def test_a_change_that_says_nothing_of_it_keeps_the_rule_and_an_empty_one_takes_it_away(
        self, people
    ):
        await offered(people, ONE, by="anna")
        await offered(people, None, by="boris", change=True)
        shown = await offers.load(people.connector, offer_rows.ContractDefinition, "offer")
        assert shown["approval"]["approvers"] == ["anna", "boris"]
        stored = await people.database.read(
            lambda tx: offer_rows.load(tx, offer_rows.ContractDefinition, "offer")
        )
        assert stored.written_by == "boris"
        await offered(people, {}, change=True)
        shown = await offers.load(people.connector, offer_rows.ContractDefinition, "offer")
        assert "approval" not in shown


async def test_approvals_are_listed_and_go_with_their_negotiation(people):
    await offered(people, ONE)
    name = await requested(people)
    asked = (await approval_of(people, name))["@id"]
    spec = query.parse(
        {"filterExpression": [{"operandLeft": "state", "operator": "=", "operandRight": "WAITING"}]}
    )
    assert [each["@id"] for each in await approvals.find(people.connector, spec)] == [asked]
    shown = await approvals.load(people.connector, asked)
    assert shown["offer"]["permission"] == RULES["permission"]
    assert (shown["counterPartyId"], shown["assetId"]) == (THEM, "asset")
    await settle(people, asked, "anna", approved=False, reason="no")
    await people.acknowledge(name)
    await removal.remove_negotiation(people.connector, name)
    with pytest.raises(NotFoundError):
        await people.database.read(lambda tx: rows.load(tx, asked))
