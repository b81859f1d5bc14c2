import json

import pytest

TRANSFER = "urn:uuid:11111111-aaaa-4aaa-8aaa-000000000001"
THEIRS = "urn:uuid:22222222-bbbb-4bbb-8bbb-000000000002"
AGREEMENT = "urn:uuid:aaaaaaaa-aaaa-4aaa-8aaa-00000000000a"
AT = 1_800_000_000_000


def deletion(name, **more):
    return {
        "@id": name,
        "type": "CONSUMER",
        "state": "OPEN",
        "counterPartyId": "did:web:alpha.example",
        "assetId": "bracket",
        "files": 2,
        "sizeBytes": 5005,
        "dueAt": AT,
        **more,
    }


@pytest.fixture
def listed(api, alpha):
    theirs = deletion(THEIRS, type="PROVIDER", state="DELETED", deletedAt=AT + 60_000)
    api.says("POST", "deletions/request", [deletion(TRANSFER), theirs])
    api.says("POST", "transferprocesses/request", [{"@id": TRANSFER}])
    api.says("POST", "contractagreements/request", [{"@id": AGREEMENT}])


def test_what_is_due_here_and_at_partners_is_listed(comity, listed):
    lines = comity("deletions").out.splitlines()
    assert lines[0].split() == ["Transfer", "Asset", "Where", "State", "Until", "Deleted"]
    assert lines[1].split()[1:] == ["bracket", "here", "OPEN", "2027-01-15", "08:00"]
    assert "Alpha Works" in lines[2]
    assert lines[2].split()[-3:] == ["08:00", "2027-01-15", "08:01"]


def test_only_what_is_overdue_is_asked_for(comity, api):
    api.says("POST", "deletions/request", [])
    assert comity("deletions", "--overdue").out == "nothing is overdue\n"
    (body,) = api.bodies("POST", "deletions/request")
    assert body["filterExpression"][0]["operandRight"] == "OVERDUE"


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["1111"], {"transferId": TRANSFER, "byHand": False}),
        (["aaaa", "--by-hand"], {"agreementId": AGREEMENT, "byHand": True}),
    ],
)
def test_delete_names_a_transfer_or_an_agreement(comity, api, listed, words, body):
    api.says("POST", "deletions", [deletion(TRANSFER, state="DELETED")])
    done = comity("delete", *words)
    assert api.bodies("POST", "deletions") == [body]
    assert done.out.startswith("deleted what transfer 11111111")
    assert "2 files, 5.0 kB; a receipt is sent" in done.out


def test_delete_says_as_json_what_is_deleted(comity, api, listed):
    api.says("POST", "deletions", [deletion(TRANSFER, state="DELETED")])
    assert [each["state"] for each in json.loads(comity("delete", "1111", "--json").out)] == ["DELETED"]


def test_what_nobody_knows_is_not_found(comity, listed):
    done = comity("delete", "9999")
    assert done.code == 5
    assert "9999" in done.err
