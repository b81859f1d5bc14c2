import pytest

from comity import errors
from comity.dsp import machine, messages, negotiation, terms

RULE = {"action": "use", "constraint": [{"leftOperand": "count", "operator": "lteq", "rightOperand": "3"}]}
OFFER = {
    "@id": "urn:o",
    "@type": "Offer",
    "target": "asset",
    "permission": [RULE],
    "profile": "https://p.example",
}
PARTIES = {"provider_id": "did:web:beta", "consumer_id": "did:web:alpha"}
AGREEMENT = negotiation.agreement_document(
    OFFER, agreement_id="urn:a", timestamp="2026-01-01T00:00:00.000Z", **PARTIES
)


def a_negotiation(**more):
    values = {
        "id": "urn:us",
        "role": terms.CONSUMER,
        "counterparty_id": "did:web:beta",
        "counterparty_address": "https://beta.example/dsp",
        "counterparty_pid": "urn:them",
        "state": terms.OFFERED,
        "version": 1,
        "asset_id": "asset",
        "offer": OFFER,
        "offered_by": terms.PROVIDER,
        "created_at": 1,
        "updated_at": 1,
    }
    return negotiation.Negotiation(**{**values, **more})


def test_pids_go_by_the_role():
    assert (a_negotiation().consumer_pid, a_negotiation().provider_pid) == ("urn:us", "urn:them")
    ours = a_negotiation(role=terms.PROVIDER)
    assert (ours.consumer_pid, ours.provider_pid) == ("urn:them", "urn:us")
    assert a_negotiation(counterparty_pid=None).provider_pid == ""
    assert a_negotiation(role=terms.PROVIDER, counterparty_pid=None).consumer_pid == ""


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"@id": None}, "$.offer.@id"),
        ({"@id": ""}, "$.offer.@id"),
        ({"@id": 1}, "$.offer.@id"),
        ({"@id": "x" * 1025}, "$.offer.@id"),
        ({"target": None}, "$.offer.target"),
        ({"target": {"@id": "asset"}}, "$.offer.target"),
        ({"permission": 1}, "$.offer.permission[0]"),
        ({"permission": [{"action": "use", "constraint": [1]}]}, "$.offer.permission[0].constraint[0]"),
    ],
)
def test_an_offer_that_cannot_be_read_is_refused_with_the_place(changes, path):
    negotiation.check_offer(OFFER)
    with pytest.raises(errors.InvalidInputError) as caught:
        negotiation.check_offer({**OFFER, **changes})
    assert caught.value.path == path


def test_the_place_is_below_where_the_offer_lies():
    with pytest.raises(errors.InvalidInputError) as caught:
        negotiation.check_offer({}, path="$.policy")
    assert caught.value.path == "$.policy.@id"


def test_an_offer_for_a_message_takes_all_that_is_said_verbatim_and_no_empty_lists_or_parties():
    policy = {
        "@id": "p",
        "@type": "Set",
        "permission": [RULE],
        "prohibition": [],
        "dct:title": "T",
        "target": "x",
        "assigner": "y",
        "x:n": None,
    }
    found = negotiation.message_offer(policy, offer_id="urn:o", target="asset")
    said = {"permission": [RULE], "dct:title": "T"}
    assert found == {"@id": "urn:o", "@type": "Offer", **said, "target": "asset"}
    assert found["permission"] is policy["permission"]


def test_an_agreement_adds_parties_type_and_time_and_changes_no_term():
    assert AGREEMENT == {
        "@id": "urn:a",
        "@type": "Agreement",
        "profile": "https://p.example",
        "permission": [RULE],
        "target": "asset",
        "assigner": "did:web:beta",
        "assignee": "did:web:alpha",
        "timestamp": "2026-01-01T00:00:00.000Z",
    }
    negotiation.check_agreement(AGREEMENT, OFFER, **PARTIES)


def with_right_operand(value):
    return [{"action": "use", "constraint": [{**RULE["constraint"][0], "rightOperand": value}]}]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "other"}, "target must be asset"),
        ({"assigner": "did:web:gamma"}, "assigner must be did:web:beta"),
        ({"assignee": "did:web:beta"}, "assignee must be did:web:alpha"),
        ({"permission": with_right_operand("4")}, r"\$\.permission.* differs from the offer"),
        ({"permission": [RULE, RULE]}, "differs from the offer"),
        ({"permission": [{"action": "use"}]}, "differs from the offer"),
        ({"permission": [{**RULE, "action": "modify"}]}, "differs from the offer"),
        ({"prohibition": [{"action": "distribute"}]}, "prohibition.* differs"),
        ({"obligation": [{"action": "delete"}]}, "obligation.* differs"),
        ({"profile": "https://q.example"}, "profile.* differs"),
        ({"profile": None}, "profile.* differs"),
    ],
)
def test_an_altered_agreement_is_refused_and_the_field_named(changes, words):
    with pytest.raises(errors.RemoteProtocolError, match=f"not what was offered: .*{words}"):
        negotiation.check_agreement({**AGREEMENT, **changes}, OFFER, **PARTIES)


def test_every_altered_field_of_an_agreement_is_named():
    altered = {**AGREEMENT, "target": "other", "assignee": "did:web:x", "profile": "https://q.example"}
    with pytest.raises(errors.RemoteProtocolError) as caught:
        negotiation.check_agreement(altered, OFFER, **PARTIES)
    assert "target must be" in caught.value.message
    assert "assignee must be" in caught.value.message
    assert "profile differs" in caught.value.message


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"@id": None}, "$.agreement.@id"),
        ({"target": ["asset"]}, "$.agreement.target"),
        ({"assigner": {"@id": "did:web:beta"}}, "$.agreement.assigner"),
        ({"assignee": ""}, "$.agreement.assignee"),
        ({"permission": "use"}, "$.agreement.permission[0]"),
    ],
)
def test_an_agreement_that_cannot_be_read_is_refused_with_the_place(changes, path):
    with pytest.raises(errors.InvalidInputError) as caught:
        negotiation.check_agreement({**AGREEMENT, **changes}, OFFER, **PARTIES)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("role", "build"),
    [(terms.CONSUMER, negotiation.request_message), (terms.PROVIDER, negotiation.offer_message)],
)
def test_only_the_first_message_says_where_answers_go(role, build):
    how = {"callback_address": "https://alpha.example/dsp", "message_id": "urn:m"}
    first = build(a_negotiation(role=role, counterparty_pid=None), **how)
    later = build(a_negotiation(role=role), **how)
    theirs = "provider_pid" if role == terms.CONSUMER else "consumer_pid"
    assert (first.callback_address, getattr(first, theirs)) == ("https://alpha.example/dsp", None)
    assert (later.callback_address, getattr(later, theirs)) == (None, "urn:them")
    assert first.offer is OFFER
    assert first.id == later.id == "urn:m"


def test_later_messages_carry_both_pids():
    record = a_negotiation()
    built = [
        negotiation.agreement_message(record, AGREEMENT, message_id="urn:m"),
        negotiation.verification_message(record, message_id="urn:m"),
        negotiation.event_message(record, terms.ACCEPTED, message_id="urn:m"),
        negotiation.termination_message(record, "no", code="x", message_id="urn:m"),
        negotiation.answer(record, terms.OFFERED),
    ]
    assert {(each.consumer_pid, each.provider_pid) for each in built} == {("urn:us", "urn:them")}
    assert [messages.event_key(each) for each in built[:4]] == [
        machine.AGREEMENT,
        machine.VERIFICATION,
        machine.ACCEPT,
        machine.NEGOTIATION_TERMINATION,
    ]
    assert (built[3].reason, built[3].code, built[4].state) == (["no"], "x", terms.OFFERED)


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (machine.REQUEST, "/negotiations/urn:them/request"),
        (machine.OFFER, "/negotiations/urn:them/offers"),
        (machine.ACCEPT, "/negotiations/urn:them/events"),
        (machine.FINALIZE, "/negotiations/urn:them/events"),
        (machine.AGREEMENT, "/negotiations/urn:them/agreement"),
        (machine.VERIFICATION, "/negotiations/urn:them/agreement/verification"),
        (machine.NEGOTIATION_TERMINATION, "/negotiations/urn:them/termination"),
    ],
)
def test_a_message_goes_to_the_bindings_path(message, path):
    assert a_negotiation().path(message) == path


def test_first_messages_go_to_paths_without_a_pid():
    first = a_negotiation(counterparty_pid=None)
    assert first.path(machine.REQUEST) == "/negotiations/request"
    assert first.path(machine.OFFER) == "/negotiations/offers"


def test_a_partners_pid_cannot_climb_out_of_its_path():
    record = a_negotiation(counterparty_pid="../../admin?x#")
    assert record.path(machine.REQUEST) == "/negotiations/..%2F..%2Fadmin%3Fx%23/request"


def test_a_long_offer_is_read_each_time_and_not_kept():
    kept = negotiation._parse.cache_info().currsize
    for at in range(3):
        negotiation.check_offer({**OFFER, "dct:title": f"{at}" * 10_000})
    assert negotiation._parse.cache_info().currsize == kept
    with pytest.raises(errors.InvalidInputError, match="object"):
        negotiation.check_offer({**OFFER, "dct:title": "x" * 10_000, "permission": [1]})
