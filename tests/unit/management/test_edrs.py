"""Endpoint data references on the wire: the keys that clients read, and the switch that they write."""

import pytest

from comity.errors import InvalidInputError
from comity.management import edrs

HTTP = "https://w3id.org/idsa/v4.1/HTTP"


def test_the_data_address_has_the_keys_that_clients_read():
    found = edrs.encode_address(HTTP, "https://e", "t", {})
    assert (found["endpoint"], found["authorization"], found["@type"]) == ("https://e", "t", "DataAddress")
    assert found["type"] == found["endpointType"] == HTTP
    assert "@context" in found
    assert not any(name.startswith("tx-auth:") for name in found)


def test_what_tractus_x_says_of_another_token_is_shown_under_its_prefix():
    found = edrs.encode_address(HTTP, "https://e", "t", {"refreshToken": "r", "expiresIn": "300"})
    assert (found["tx-auth:refreshToken"], found["tx-auth:expiresIn"]) == ("r", "300")
    assert found["@context"]["tx-auth"] == "https://w3id.org/tractusx/auth/"


def test_an_entry_has_every_field_that_a_query_may_name():
    entry = edrs.encode_entry(
        "t", agreement_id="a", negotiation_id="n", asset_id="x", provider_id="p", created_at=1
    )
    assert set(edrs.FIELDS) | set(edrs.ALIASES.values()) <= set(entry)


@pytest.mark.parametrize(
    ("said", "meant"), [("True", True), ("true", True), ("TRUE", True), ("False", False), (None, False)]
)
def test_the_switch_is_read_as_clients_write_it(said, meant):
    assert edrs.wants_refresh({} if said is None else {"auto_refresh": said}) is meant


@pytest.mark.parametrize("said", ["", "1", "yes", "truee"])
def test_a_switch_that_says_neither_is_refused(said):
    with pytest.raises(InvalidInputError) as caught:
        edrs.wants_refresh({"auto_refresh": said})
    assert caught.value.path == "$.auto_refresh"
