"""Partners on the wire."""

import pytest

from comity.errors import InvalidInputError
from comity.identity import jose
from comity.management import partner

DID = "did:web:them.example"
KEY = jose.SigningKey.generate(f"{DID}#key-1").public_jwk()


@pytest.mark.parametrize(
    "participant", [DID, "https://them.example", "did:web:h.example%3A8443:a", "TCK_PARTICIPANT"]
)
def test_a_partner_is_named_by_its_did_address_or_any_id(participant):
    form = partner.decode(
        {"participant": participant, "name": "Them", "pin": True, "purpose": ["a"], "keys": None}
    )
    assert (form.participant, form.name, form.pin, form.purpose, form.spatial, form.keys) == (
        participant, "Them", True, ["a"], None, None
    )  # fmt: skip


def test_keys_can_be_pinned():
    assert partner.decode({"participant": DID, "keys": [KEY]}).keys == [KEY]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"participant": None}, "$.participant"),
        ({"participant": ""}, "$.participant"),
        ({"participant": 5}, "$.participant"),
        ({"participant": "a\nb"}, "$.participant"),
        ({"participant": "did:web:"}, "$.participant"),
        ({"participant": "did:web:a/../b"}, "$.participant"),
        ({"participant": "https://"}, "$.participant"),
        ({"participant": "https://user@h.example"}, "$.participant"),
        ({"name": 5}, "$.name"),
        ({"address": []}, "$.address"),
        ({"purpose": [1]}, "$.purpose"),
        ({"spatial": {}}, "$.spatial"),
        ({"pin": "yes"}, "$.pin"),
        ({"attributes": []}, "$.attributes"),
        ({"attributes": {"Membership": "active"}}, "$.attributes.Membership"),
        ({"attributes": {"Membership": [1]}}, "$.attributes.Membership"),
        ({"attributes": {"recipient": ["did:web:x"]}}, "$.attributes.recipient"),
        ({"attributes": {"comity:licence": ["L-1"]}}, "$.attributes.comity:licence"),
        ({"keys": {}}, "$.keys"),
        ({"keys": []}, "$.keys"),
        ({"keys": ["x"]}, "$.keys"),
        ({"keys": [{**KEY, "kid": None}]}, "$.keys[0].kid"),
        ({"keys": [KEY, {**KEY, "d": "x"}]}, "$.keys[1]"),
        ({"keys": [{**KEY, "crv": "P-384"}]}, "$.keys[0]"),
        ({"keys": [{"kid": "a"}]}, "$.keys[0]"),
    ],
)
def test_a_partner_that_cannot_be_is_refused_with_its_place(changes, path):
    with pytest.raises(InvalidInputError) as caught:
        partner.decode({"participant": DID, **changes})
    assert caught.value.path == path


def test_a_partner_is_written_with_what_is_said_of_it():
    document = partner.encode(
        DID,
        name="Them",
        address="https://a",
        keys=[KEY],
        pinned=True,
        attributes={"purpose": ["a"]},
        created_at=7,
    )
    assert (document["@id"], document["@type"], document["name"]) == (DID, "Partner", "Them")
    assert (document["purpose"], document["pinned"], document["keys"]) == (["a"], True, [KEY])


def test_what_catenax_asks_of_a_partner_is_read_in_any_spelling_and_written_by_its_name():
    said = {"cx-policy:Membership": ["active"], "BusinessPartnerNumber": ["BPNL012345678910"]}
    form = partner.decode({"participant": DID, "attributes": said})
    assert form.attributes == {"Membership": ["active"], "BusinessPartnerNumber": ["BPNL012345678910"]}
    document = partner.encode(
        DID,
        name="a",
        address="https://a",
        keys=[],
        pinned=False,
        attributes={"purpose": [], **form.attributes},
        created_at=7,
    )
    assert document["attributes"] == form.attributes
