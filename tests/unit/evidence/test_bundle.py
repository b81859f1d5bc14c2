"""Bundles that hold, and what is said of those that do not: the first thing, and where it is."""

from __future__ import annotations

import collections
import copy
import json

import msgspec
import pytest

from comity import strict_json
from comity.evidence import agreed, bundle, checkpoint, proving, sealing, stamp, tree
from comity.evidence.bundle import BundleError, packed
from comity.identity import jose
from support import bundles, tampering
from support.bundles import AGREEMENT, CONSUMER, KEYS, PROVIDER, STRANGER
from support.stamping import Authority

PLACES = 1000


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture(scope="module")
def parts(authority):
    def stamped(note):
        return authority.stamp(stamp.request(note))

    return bundles.make(stamp=stamped, authorities=(authority.ca.read_text(),))


@pytest.fixture(scope="module")
def whole(parts):
    return bundles.seal(parts)


@pytest.fixture
def changed(parts):
    """Parts to change, and what is said of them when the exporter itself seals them anew."""
    found = copy.deepcopy(parts)

    def refused(words, path=None):
        with pytest.raises(BundleError, match=words) as caught:
            proving.prove(bundles.seal(found))
        assert path is None or caught.value.path == path
        return caught.value

    return found, refused


def test_a_bundle_that_holds_says_who_signed_what(whole):
    proven = proving.prove(whole)
    assert [each.record.message for each in proven.said][:2] == [
        "ContractRequestMessage",
        "ContractAgreementMessage",
    ]
    assert all(each.signed_by(CONSUMER) and each.signed_by(PROVIDER) for each in proven.said)
    assert (proven.agreement.offer_in, proven.agreement.agreement_in, proven.agreement.differences) == (
        0,
        1,
        "",
    )
    (head,) = proven.heads
    assert [(each.size, each.by) for each in head.cosigned] == [(11, PROVIDER)]
    assert [(each.size, each.by) for each in head.stamped] == [(11, "CN=Test time stamps")]
    assert {each.thumbprint for each in proven.keys} == {jose.thumbprint(bundles.jwk(did)) for did in KEYS}


@pytest.fixture
def remembered(monkeypatch):
    """What a key, a message and a signature give is the same each time: it is found out once."""
    known, holds = {}, jose.PublicKey.holds

    def once(key, message, signature):
        asked = (key.key.as_dict()["x"], message, signature)
        if asked not in known:
            known[asked] = holds(key, message, signature)
        return known[asked]

    monkeypatch.setattr(jose.PublicKey, "holds", once)


@pytest.mark.usefixtures("remembered")
def test_tampering_at_a_thousand_places_is_named_each_time(whole):
    seen = collections.Counter()
    for change in tampering.changes(whole, PLACES, seed=20):
        with pytest.raises(BundleError) as caught:
            proving.prove(change.data)
        assert tampering.named_truly(change, caught.value), (change[:2], caught.value.message)
        seen[change.kind] += 1
    assert seen.total() == PLACES
    assert set(seen) == {"bit", "value", "dropped", "added", "renamed", "swapped", "twice", "stand-in"}


def test_a_partner_that_does_not_sign_is_held_to_its_tokens_alone():
    proven = proving.prove(bundles.seal(bundles.make(signed=False)))
    received = [each for each in proven.said if each.record.sender == PROVIDER]
    assert [(each.request_by, each.token_bound) for each in received] == [("", True)] * len(received)
    assert all(each.signed_by(PROVIDER) == (each in received) for each in proven.said)


def test_records_of_an_early_version_hold_with_the_tokens_inside():
    proven = proving.prove(bundles.seal(bundles.make(early=True)))
    assert all(each.signed_by(each.record.sender) and not each.request_by for each in proven.said)
    assert proven.agreement == agreed.Agreement(agreement_in=None, offer_in=None)


def test_keys_that_are_named_alone_count(whole):
    named = {did: frozenset({jose.thumbprint(bundles.jwk(did))}) for did in KEYS}
    assert all(each.pinned for each in proving.prove(whole, pins=named).keys)
    other = {PROVIDER: frozenset({jose.thumbprint(STRANGER.public_jwk())})}
    with pytest.raises(BundleError, match=r"key 2 \(did:web:provider.example#key-1\) has the thumbprint"):
        proving.prove(whole, pins=other)


def test_a_stamp_authority_that_is_named_alone_counts(whole, authority, tmp_path):
    own = stamp.certificates(authority.ca.read_bytes())
    assert proving.prove(whole, trusted=own).heads[0].stamped
    assert [proving.prove(whole, trusted=each).authority_named for each in (own, [])] == [True, False]
    other = stamp.certificates(Authority(tmp_path / "other").ca.read_bytes())
    with pytest.raises(BundleError, match="earlier one 1: its time stamp does not hold"):
        proving.prove(whole, trusted=other)


def test_an_agreement_that_is_not_the_last_offer_is_told_with_the_difference():
    agreement = {**AGREEMENT, "obligation": [{"action": "inform"}]}
    proven = proving.prove(bundles.seal(bundles.make(agreement=agreement)))
    assert "$.obligation[0]" in proven.agreement.differences


def test_nobody_else_can_seal_a_bundle(parts):
    with pytest.raises(BundleError, match=f"not that of {CONSUMER}"):
        proving.prove(bundles.seal(parts, STRANGER))


def test_a_framework_agreement_is_the_one_that_the_agreement_names(changed):
    parts, refused = changed
    parts["frameworks"][0]["document"] = {**bundles.FRAMEWORK, "title": "Something else"}
    refused(
        "framework agreement 1: its document is not the one whose hash its name has",
        "$.frameworks[0].document",
    )


def test_an_exporter_cannot_change_what_the_partner_said(changed):
    parts, refused = changed
    other = bundles.document(
        "ContractAgreementMessage", **bundles.PIDS, agreement={**AGREEMENT, "target": "x"}
    )
    parts["records"][1]["body"] = packed(other)
    refused("its body is not the one whose digest the record has", "$.records[1].body")


def test_the_agreement_is_the_provider_s_word(changed):
    parts, refused = changed
    parts["agreement"]["document"] = {**AGREEMENT, "assigner": CONSUMER, "assignee": PROVIDER}
    refused("the agreement in record 2 is not the provider's", "$.agreement")


@pytest.mark.parametrize("kind", ["negotiation", "agreement", "framework"])
def test_what_belongs_to_another_agreement_is_no_subject(changed, kind):
    parts, refused = changed
    parts["subjects"].append({"id": "urn:uuid:another", "kind": kind})
    refused(f"subject 3 is no {kind} of the agreement", "$.subjects[2]")


def test_there_is_one_way_to_write_the_seal_s_signature(whole):
    value = json.loads(whole)
    signed, _, signature = value["seal"].rpartition(".")
    content = jose.decode_segment(signature.encode())
    other = sealing.ORDER - int.from_bytes(content[32:], "big")
    value["seal"] = f"{signed}.{packed(content[:32] + other.to_bytes(32, 'big'))}"
    with pytest.raises(BundleError, match="the other one of the two that hold"):
        proving.prove(strict_json.canonical(value))


def test_an_exporter_cannot_write_the_log_anew_that_the_partner_cosigned(changed):
    """Every record is as it was but the first one, and all proofs, also the exporter's signature, are made anew."""
    parts, refused = changed
    record = json.loads(jose.decode_segment(parts["records"][0]["record"].encode()))
    written = strict_json.canonical({**record, "detail": "never said"})
    rows = [bundles.FOREIGN] * 15
    for each in parts["records"]:
        rows[each["seq"] - 1] = jose.decode_segment(each["record"].encode())
    rows[1] = written
    leaves = [tree.leaf(each) for each in rows]
    for each in parts["records"]:
        each["record"] = packed(rows[each["seq"] - 1])
        each["proof"] = [packed(one) for one in tree.inclusion(leaves, each["seq"] - 1)]
    head = checkpoint.Checkpoint(checkpoint.origin(CONSUMER, 0), 15, tree.root(leaves))
    parts["checkpoints"][0]["note"] = checkpoint.sign(head, KEYS[CONSUMER])
    refused("earlier one 1 is not shown to be the beginning of the newest one")


def test_an_exporter_cannot_pass_a_message_off_as_another(changed):
    parts, refused = changed
    parts["subjects"][0]["counterpartyPid"] = "urn:uuid:another"
    refused("its message is of another process, urn:uuid:p-negotiation", "$.records[1].body")


def test_a_message_of_another_process_is_found_out_where_the_partner_s_id_is_left_out(whole):
    said = proving.prove(whole).said[1]
    named = msgspec.structs.replace(said.record, process_id="urn:uuid:mine")
    elsewhere = msgspec.structs.replace(said, record=named)
    subject = bundle.Subject(id="urn:uuid:mine", kind="negotiation")
    with pytest.raises(BundleError, match="its message is of another process, urn:uuid:c-negotiation"):
        agreed.read([elsewhere], {subject.id: subject})


def test_a_signed_refusal_does_not_stand_for_having_taken_the_message(whole):
    said = proving.prove(whole).said[0]
    no = msgspec.structs.replace(said.record, reply=msgspec.structs.replace(said.record.reply, status=400))
    assert said.signed_by(PROVIDER)
    assert not msgspec.structs.replace(said, record=no).signed_by(PROVIDER)
    told = msgspec.structs.replace(no, outcome="refused")
    assert msgspec.structs.replace(said, record=told).signed_by(PROVIDER)


def test_an_agreement_beside_the_records_is_that_of_the_message(changed):
    parts, refused = changed
    parts["agreement"]["document"] = {**AGREEMENT, "timestamp": "2020-01-01T00:00:00Z"}
    refused(r"the agreement is not the one in record 2 \(ContractAgreementMessage received 2026")


def test_what_is_left_out_is_left_out_with_its_reason(changed):
    parts, refused = changed
    del parts["records"][5]["withheld"]
    refused("record 6 .*: its body is missing, and it is not said why")


@pytest.mark.parametrize("part", ["", "records[2]", "keys[0]", "checkpoints[0]", "agreement", "head"])
def test_a_member_that_nobody_knows_is_refused(changed, part):
    parts, refused = changed
    name, _, at = part.rstrip("]").partition("[")
    holder = parts[name][int(at)] if at else parts[name] if name else parts
    holder["note2"] = "x"
    refused("unknown field `note2`")


def test_a_private_key_among_the_keys_is_refused(changed):
    parts, refused = changed
    parts["keys"][1]["jwk"]["d"] = "x"
    refused("key 2 .*: the public key cannot be used", "$.keys[1].jwk")


def test_a_stranger_s_key_or_record_has_no_place_in_it(changed):
    parts, refused = changed
    stranger = {"participantId": "did:web:x", "kid": "did:web:x#key-1", "seenAt": 1}
    parts["keys"].append({**stranger, "jwk": {**STRANGER.public_jwk(), "kid": "did:web:x#key-1"}})
    refused("key 3 .* is of did:web:x, who is no party to this agreement", "$.keys[2]")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cannot be read at byte 0"),
        (b"null", "the bundle is not of the form"),
        (b"{}", "missing required field"),
        (b"SQLite format 3\0", "cannot be read at byte 0"),
        (b'{"a":' + b"[" * 100_000, "cannot be read"),
        (b"\xff", "it is not UTF-8"),
    ],
)
def test_what_is_no_bundle_is_refused(data, words):
    with pytest.raises(BundleError, match=words):
        proving.prove(data)


def test_one_space_too_many_is_named_with_its_byte(whole):
    at = whole.index(b'"records"')
    with pytest.raises(BundleError, match=f"^byte {at:,} "):
        proving.prove(whole[:at] + b" " + whole[at:])


def test_a_seal_names_each_part_that_it_is_over(whole):
    claims = jose.decode_object(jose.decode_segment(json.loads(whole)["seal"].split(".")[1].encode()))
    assert set(claims["bundle"]) == set(json.loads(whole)) - {"seal", "type", "version"} == set(sealing.PARTS)
