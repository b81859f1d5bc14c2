"""`comity licence`."""

import json

LICENCE = {
    "@id": "L-1",
    "@type": "Licence",
    "quantity": 3,
    "unit": "transfer",
    "until": 1_767_225_600_000,
    "used": 1,
    "left": 2,
    "createdAt": 1_767_225_600_000,
}


def test_a_licence_is_written_down_and_shown(comity, api):
    api.says("POST", "licences", LICENCE)
    done = comity("licence", "add", "L-1", "--quantity", "3", "--until", "2025-12-31")
    assert api.bodies("POST", "licences") == [
        {"number": "L-1", "quantity": 3, "until": "2025-12-31", "unit": "transfer"}
    ]
    assert done.out == ("licence  L-1\nused     1 transfer of 3\nleft     2\nuntil    2026-01-01 00:00\n")


def test_licences_are_a_table(comity, api):
    api.says("GET", "licences", [LICENCE])
    assert comity("licences", "list").out == (
        "Number  Used  Left  Unit      Until\nL-1     1     2     transfer  2026-01-01 00:00\n"
    )


def test_without_licences_it_says_what_to_do(comity, api):
    api.says("GET", "licences", [])
    assert "comity licence add" in comity("licence", "list").out


def test_each_transfer_that_was_counted_is_shown(comity, api, alpha):
    use = {
        "transferId": "urn:uuid:00000000-0000-7000-a000-000000000001",
        "agreementId": "urn:uuid:00000000-0000-7000-a000-000000000002",
        "counterPartyId": alpha["@id"],
        "assetId": "housing",
        "amount": 1,
        "at": 1_767_225_600_000,
    }
    api.says("GET", "licences/L-1", {**LICENCE, "uses": [use]})
    shown = comity("licence", "show", "L-1").out
    assert "00000001" in shown
    assert "Alpha" in shown
    assert json.loads(comity("licence", "show", "L-1", "--json").out)["uses"] == [use]
