"""`comity readings`: what is read at partners is a table, and one is ended by its short id."""

import json

ID = "urn:uuid:019ac55c-5a54-7cc5-b3b5-3b1c9a5dabcd"
READING = {
    "@id": ID,
    "counterPartyId": "did:web:alpha.example",
    "assetId": "housing",
    "stage": "READY",
    "purpose": "production",
    "person": "Jo",
    "locked": [],
    "createdAt": 1_767_225_600_000,
}
PATH = f"readings/{ID.replace(':', '%3A')}"


def test_what_is_read_is_a_table(comity, api, alpha):
    locked = {**READING, "@id": ID[:-1] + "e", "locked": ["count lteq 5"], "person": ""}
    api.says("POST", "readings/request", [READING, locked])
    head, first, second = (
        line.split() for line in comity("readings", "list", COLUMNS="120").out.splitlines()
    )
    assert head == ["ID", "Partner", "Asset", "State", "Purpose", "Person", "Since"]
    assert " ".join(first) == "9a5dabcd Alpha Works housing READY production Jo 2026-01-01 00:00"
    assert second[4:6] == ["LOCKED", "production"]
    assert len(json.loads(comity("readings", "list", "--json").out)) == 2


def test_where_nothing_is_read_it_is_said(comity, api):
    api.says("POST", "readings/request", [])
    assert comity("readings", "list").out == "nothing is read at a partner\n"


def test_one_is_ended_by_its_short_id(comity, api):
    api.says("POST", "readings/request", [READING])
    api.says("DELETE", PATH, None, status=204)
    assert comity("readings", "end", "abcd").out == f"reading {ID[9:]} has ended; its partner is told\n"
    assert len(api.bodies("DELETE", PATH)) == 1
    assert comity("readings", "end", "ffff").code == 5
