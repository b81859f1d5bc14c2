"""Assets, policy definitions and contract definitions on the wire."""

import pytest

from comity.errors import InvalidInputError
from comity.management import offers

USE = {"permission": [{"action": "use"}]}
ADDRESS = {"@type": "DataAddress", "type": "HttpData", "baseUrl": "https://h.example/x"}


def test_an_asset_is_read():
    form = offers.decode_asset(
        {
            "@id": "a",
            "properties": {"edc:name": "n", "id": "b"},
            "privateProperties": {"p": 1},
            "dataAddress": ADDRESS,
        }
    )
    assert form == offers.AssetForm(
        "a", {"name": "n"}, {"p": 1}, {"type": "HttpData", "baseUrl": "https://h.example/x"}
    )


def test_an_assets_id_may_be_a_property():
    assert offers.decode_asset({"properties": {"id": "b"}, "dataAddress": ADDRESS}).id == "b"


def test_a_new_asset_needs_a_data_address_and_a_change_does_not():
    with pytest.raises(InvalidInputError) as caught:
        offers.decode_asset({"@id": "a"})
    assert caught.value.path == "$.dataAddress"
    assert offers.decode_asset({"@id": "a"}, new=False).data_address is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authkey", "X-Key"),
        ("vaultSecret", "s"),
        ("header:Authorization", "c"),
        ("oauth2:tokenUrl", "u"),
        ("password", "p"),
        ("method", "POST"),
        ("proxyBody", "{}"),
        ("queryParams", "a=b"),
    ],
)
def test_what_would_be_taken_without_effect_is_refused_and_not_repeated(name, value):
    with pytest.raises(InvalidInputError) as caught:
        offers.decode_asset({"dataAddress": {**ADDRESS, name: value}})
    assert caught.value.path == f"$.dataAddress.{name}"


@pytest.mark.parametrize(
    ("name", "value"), [("proxyPath", "true"), ("proxyMethod", True), ("method", "get"), ("name", "n")]
)
def test_edcs_switches_are_taken(name, value):
    assert offers.decode_asset({"dataAddress": {**ADDRESS, name: value}}).data_address[name] == value


def test_an_address_is_shown_without_what_may_be_a_secret():
    address = {
        "type": "HttpData",
        "baseUrl": "https://h/x?sig=s",
        "path": "p?t=s",
        "other": "s",
        "proxyPath": "true",
    }
    assert offers.show_address(address) == {
        "type": "HttpData",
        "baseUrl": "https://h/x",
        "path": "p",
        "proxyPath": "true",
    }
    file = {"type": "File", "path": "/data/what?.txt"}
    assert offers.show_address(file) == file


def test_a_written_asset_can_be_read_again():
    document = offers.encode_asset("a", {"name": "n"}, {"p": 1}, {"type": "File", "path": "/x"}, 7)
    assert (document["@type"], document["@id"], document["createdAt"]) == ("Asset", "a", 7)
    assert document["properties"] == {"name": "n", "id": "a"}
    assert offers.decode_asset(document) == offers.AssetForm(
        "a", {"name": "n"}, {"p": 1}, {"type": "File", "path": "/x"}
    )
    assert "privateProperties" not in offers.encode_asset("a", {}, {}, {}, 7)


def test_a_written_policy_definition_can_be_read_again():
    form = offers.decode_policy({"@id": "p", "policy": USE})
    document = offers.encode_policy(form.id, form.policy, {}, 7)
    assert document["policy"]["@context"] == "https://w3id.org/dspace/2025/1/odrl-profile.jsonld"
    assert offers.decode_policy(document) == form


def test_a_contract_definition_without_a_selector_is_about_everything():
    body = {"accessPolicyId": "a", "contractPolicyId": {"@id": "c"}}
    for selector in (None, [], {}):
        form = offers.decode_contract({**body, "assetsSelector": selector})
        assert (form.access_policy_id, form.contract_policy_id, form.assets_selector) == ("a", "c", [])


def test_a_written_contract_definition_can_be_read_again():
    one = {"operandLeft": "id", "operator": "in", "operandRight": ["a", "b"]}
    form = offers.decode_contract(
        {"@id": "c", "accessPolicyId": "a", "contractPolicyId": "a", "assetsSelector": one}
    )
    assert form.assets_selector == [one]
    assert offers.decode_contract(offers.encode_contract(form, 7)) == form


@pytest.mark.parametrize("name", ["accessPolicyId", "contractPolicyId"])
def test_a_contract_definition_needs_both_policies(name):
    body = {"accessPolicyId": "a", "contractPolicyId": "c", name: None}
    with pytest.raises(InvalidInputError) as caught:
        offers.decode_contract(body)
    assert caught.value.path == f"$.{name}"
