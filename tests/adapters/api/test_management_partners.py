"""The list of partners: added by DID, by address or by hand, changed, shown and removed."""

from urllib.parse import quote

import pytest

from comity.identity import jose
from support import pair as pairs


@pytest.fixture
def key():
    return jose.SigningKey.generate("did:web:p.example#key-1")


def public(key):
    return {**key.public_jwk(), "kid": "did:web:p.example#key-1"}


@pytest.mark.parametrize("by_address", [False, True])
async def test_a_partner_is_added_by_its_did_or_address(started, client, by_address):
    here, there = await started("here"), await started("there")
    api = client(here)
    participant = there.conf.address if by_address else there.did
    body = {
        "participant": participant,
        "name": "There",
        "purpose": ["repair"],
        "spatial": "urn:eu",
        "pin": True,
    }
    added = await api.post("partners", body)
    assert added.status == 200
    shown = added.json
    assert (shown["@type"], shown["@id"], shown["name"]) == ("Partner", there.did, "There")
    assert shown["address"] == there.dsp
    assert shown["pinned"] is True
    assert (shown["purpose"], shown["spatial"]) == (["repair"], ["urn:eu"])
    assert [each["kty"] for each in shown["keys"]] == ["EC"]
    assert "d" not in shown["keys"][0]
    assert (await api.get("partners")).json == [shown]
    again = await api.post("partners", {"participant": there.conf.address})
    assert again.json == shown
    body = {"participant": there.did, "name": "", "pin": False, "spatial": []}
    changed = (await api.post("partners", body)).json
    assert (changed["name"], changed["pinned"], changed["spatial"]) == (there.did, False, [])
    assert (changed["purpose"], changed["createdAt"]) == (["repair"], shown["createdAt"])
    removed = await api.delete(f"partners/{quote(there.did, safe='')}")
    assert (removed.status, removed.body) == (204, b"")
    assert (await api.get("partners")).json == []
    assert (await api.delete(f"partners/{there.did}")).status == 404
    assert (await api.post("catalog/request", {"counterPartyId": there.did})).status == 404


async def test_a_partner_is_added_by_hand_with_pinned_keys(api, key):
    body = {"participant": "did:web:p.example", "address": "http://127.0.0.1:1/dsp/", "keys": [public(key)]}
    added = await api.post("partners", body)
    assert added.status == 200
    assert (added.json["address"], added.json["pinned"]) == ("http://127.0.0.1:1/dsp", True)
    assert added.json["keys"] == [public(key)]


async def test_what_is_not_said_of_a_partner_again_stays(api, key):
    assert (await api.post("apikeys", {"name": "anna", "role": "approver"})).status == 200
    body = {
        "participant": "urn:connector:p",
        "name": "P",
        "address": "http://127.0.0.1:1/dsp",
        "keys": [public(key)],
        "signed": True,
        "purpose": ["repair"],
        "spatial": ["DE"],
        "distributionClass": ["partners-only"],
        "attributes": {"Membership": ["active"]},
        "approval": {"approvers": ["anna"]},
    }
    added = (await api.post("partners", body)).json
    again = {"participant": "urn:connector:p"}
    assert (await api.post("partners", again)).json == added
    assert (await api.get("partners")).json == [added]
    empty = {"signed": False, "purpose": [], "approval": {}, "attributes": {"Membership": []}}
    changed = (await api.post("partners", {**again, **empty})).json
    assert {**added, "signed": False, "purpose": []} == {
        **changed,
        "approval": added["approval"],
        "attributes": added["attributes"],
    }
    assert not changed.keys() & {"approval", "attributes"}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"participant": None}, "$.participant"),
        ({"participant": ""}, "$.participant"),
        ({"participant": 7}, "$.participant"),
        ({"participant": "a\nb"}, "$.participant"),
        ({"participant": "did:web:../x"}, "$.participant"),
        ({"participant": "http://u:p@h.example"}, "$.participant"),
        ({"participant": "anybody", "address": ""}, "$.address"),
        ({"participant": "anybody", "address": "nowhere"}, "$.address"),
        ({"participant": "anybody", "address": "http://169.254.169.254/"}, "$.address"),
        ({"name": 7}, "$.name"),
        ({"purpose": [7]}, "$.purpose"),
        ({"spatial": {"a": 1}}, "$.spatial"),
        ({"pin": "yes"}, "$.pin"),
        ({"keys": {}}, "$.keys"),
        ({"keys": ["x"]}, "$.keys"),
        ({"keys": [{}]}, "$.keys[0].kid"),
        ({"keys": [{"kid": "k", "kty": "RSA"}]}, "$.keys[0]"),
        ({"keys": [{"kid": "k", "kty": "EC", "crv": "P-256", "x": "a", "y": "b"}]}, "$.keys[0]"),
    ],
)
async def test_a_partner_that_cannot_be_is_refused_with_its_place(api, change, path):
    answer = await api.post("partners", {"participant": "p", "address": "http://127.0.0.1:1/", **change})
    assert (answer.status, answer.problem["path"]) == (400, path)
    assert (await api.get("partners")).json == []


async def test_a_private_key_is_refused_and_not_repeated(api, key):
    private = {**public(key), "d": "A" * 43}
    answer = await api.post(
        "partners", {"participant": "p", "address": "http://127.0.0.1:1/", "keys": [private]}
    )
    assert (answer.status, answer.problem["path"]) == (400, "$.keys[0]")
    assert b"A" * 43 not in answer.body


async def test_a_connector_is_not_its_own_partner(api, site):
    for participant in (site.did, site.conf.address):
        answer = await api.post("partners", {"participant": participant})
        assert (answer.status, answer.problem["path"]) == (400, "$.participant")


async def test_a_participant_that_does_not_answer_is_502_with_a_hint(api):
    for participant in (f"did:web:127.0.0.1%3A{pairs.free_port()}", f"http://127.0.0.1:{pairs.free_port()}"):
        answer = await api.post("partners", {"participant": participant})
        assert answer.status == 502
        assert answer.problem["hint"]
    assert (await api.get("partners")).json == []
