"""`comity revisions`."""

import json

import pytest

ONE = {
    "@type": "Revision",
    "assetId": "bracket-17",
    "revision": 1,
    "state": "superseded",
    "title": "Bracket",
    "manifestSha256": "1" * 64,
    "effectivity": [],
    "publishedAt": 1_767_225_600_000,
}
TWO = ONE | {
    "revision": 2,
    "state": "released",
    "changes": {"added": 1, "removed": 0, "changed": 2, "renamed": 0},
    "effectivity": [{"serialFrom": "SN-1", "plants": ["P1", "P2"]}],
}
CHANGES = {
    "assetId": "bracket-17",
    "revision": 2,
    "since": 1,
    "counts": {"added": 1, "removed": 0, "changed": 0, "renamed": 1, "same": 4},
    "complete": True,
    "added": ["a\u202eb.step"],
    "removed": [],
    "changed": [],
    "renamed": [{"before": "old", "path": "new"}],
}


@pytest.fixture
def known(api):
    api.says("GET", "revisions", [TWO])
    api.says("GET", "revisions/bracket-17", [TWO, ONE])
    api.says("GET", "revisions/bracket-17?revision=1", [ONE | {"lost": ["a.step", "b.step"]}])


def test_revisions_are_a_table(comity, known, alpha):
    row = ["2", "released", "+1", "*2", "SN-1", "to", "the", "last,", "at", "P1,", "P2", "2026-01-01"]
    assert comity("revisions", "list", COLUMNS="200").out.split("\n")[1].split() == ["Bracket", "us", *row]
    title, _, first, *_ = comity("revisions", "list", "Brack").out.split("\n")
    assert title == "Bracket (bracket-17), from us"
    assert first.split() == row
    assert len(json.loads(comity("revisions", "list", "--json").out)) == 1


def test_of_each_holder_is_shown_whether_it_was_told(comity, api, alpha):
    notices = [
        {"counterPartyId": who, "event": "recalled", "delivery": delivery, "at": 1_767_225_600_000, **more}
        for who, delivery, more in (
            ("did:web:alpha.example", "taken", {}),
            ("did:web:gamma.example", "sent", {"error": "connection\nrefused"}),
            ("did:web:delta.example", "refused", {"error": "we take none"}),
        )
    ]
    api.says("GET", "revisions", [TWO])
    api.says("GET", "revisions/bracket-17", [TWO])
    api.says("GET", "revisions/bracket-17?revision=2", [TWO | {"notices": notices}])
    shown = comity("revisions", "show", "bracket-17").out.splitlines()
    assert "told        Alpha Works, recalled, 2026-01-01 00:00" in shown
    assert "to be told  did:web:gamma.example, recalled, 2026-01-01 00:00: connection refused" in shown
    assert "not told    did:web:delta.example, recalled, 2026-01-01 00:00: we take none" in shown


def test_without_revisions_it_says_what_to_do(comity, api):
    api.says("GET", "revisions", [])
    assert "comity publish" in comity("revisions", "list").out


def test_a_revision_is_shown_by_its_number(comity, known):
    shown = comity("revisions", "show", "bracket-17", "1").out
    assert "superseded" in shown
    assert "everything" in shown
    assert "not to be had whole  a.step, b.step\n" in shown
    missing = comity("revisions", "show", "bracket-17", "7")
    assert (missing.code, missing.err) == (5, "error: there is no revision 7 of bracket-17\n")


def test_who_holds_a_revision_of_ours_is_named(comity, api, alpha):
    api.says("GET", "revisions", [TWO])
    api.says("GET", "revisions/bracket-17", [TWO])
    held = TWO | {"heldBy": [alpha["@id"], "did:web:gone.example"]}
    api.says("GET", "revisions/bracket-17?revision=2", [held])
    assert "held by    Alpha Works, did:web:gone.example\n" in comity("revisions", "show", "bracket-17").out


def test_changes_are_a_file_a_line_and_change_no_terminal(comity, api, known):
    api.says("GET", "revisions/bracket-17/changes?revision=2", CHANGES)
    assert comity("revisions", "changes", "bracket-17", "2").out == (
        "revision 2 against revision 1: 1 added, 1 renamed\n+ a?b.step\n> old is new now\n"
    )


def test_the_revision_that_applies_is_named_with_its_deviations(comity, api, known, alpha):
    granted = [
        {
            "inquiryId": "urn:uuid:0190a7c8-6f3e-7d21-a0b1-5e0c2f9d4a77",
            "text": "other steel",
            "counterPartyId": "did:web:alpha.example",
        }
    ]
    granted[0]["limits"] = {
        "serialFrom": "10", "serialTo": "20", "until": "2027-01-01", "conditions": "mark\nthe crate",
    }  # fmt: skip
    none = {"why": "there is no revision", "deviations": []}
    api.says("POST", "revisions/applies", {"revision": 2, "why": "because", "deviations": granted}, none)
    done = comity("revisions", "applies", "bracket-17", "--serial", "SN-9", "--plant", "P1", "--lot", "L1")
    assert api.bodies("POST", "revisions/applies") == [
        {"assetId": "bracket-17", "serialNumber": "SN-9", "plant": "P1", "lot": "L1"}
    ]
    assert done.out.startswith("revision 2: because\ndeviation ")
    assert " for Alpha Works: other steel\n" in done.out
    assert done.out.endswith("  serial numbers 10 to 20, until 2027-01-01; conditions: mark the crate\n")
    assert comity("revisions", "applies", "bracket-17").out == "none: there is no revision\n"


def test_a_recall_has_a_reason(comity, api, known):
    api.says("POST", "revisions/bracket-17/recall", None, status=204)
    assert comity("revisions", "recall", "bracket-17", "2").code == 2
    assert comity("revisions", "recall", "bracket-17", "2", "--reason", "wrong").code == 0
    assert api.bodies("POST", "revisions/bracket-17/recall") == [{"revision": 2, "reason": "wrong"}]


def test_a_partners_revisions_are_asked_for_by_the_partner(comity, api, alpha):
    theirs = TWO | {"counterPartyId": alpha["@id"], "receivedIn": "urn:uuid:t"}
    api.says("GET", "revisions?counterPartyId=did%3Aweb%3Aalpha.example", [theirs])
    api.says("GET", "revisions/bracket-17?counterPartyId=did%3Aweb%3Aalpha.example", [theirs])
    assert "urn:uuid:t" in comity("revisions", "show", "bracket-17", "--from", "Alpha").out


def test_where_a_partner_has_told_nothing_the_hint_is_to_make_an_agreement(comity, api, alpha):
    api.says("GET", "revisions?counterPartyId=did%3Aweb%3Aalpha.example", [])
    refused = comity("revisions", "applies", "e1", "--from", "Alpha")
    assert refused.code == 5
    assert "Alpha tells who has an agreement: comity get Alpha e1 makes one" in refused.err
