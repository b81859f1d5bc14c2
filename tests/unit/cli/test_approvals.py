"""`comity approvals`, and who has to approve in `comity publish` and `comity partner add`."""

import pytest

ASKED = {
    "@id": "urn:uuid:0190f3a0-0000-7000-a000-00000000abcd",
    "@type": "Approval",
    "contractNegotiationId": "urn:uuid:0190f3a0-0000-7000-a000-000000000001",
    "counterPartyId": "did:web:alpha.example",
    "assetId": "pump",
    "state": "WAITING",
    "move": "agree",
    "needs": [{"approvers": ["anna", "boris"], "people": 2, "notBy": ["carla"]}],
    "missing": [{"people": 1, "approvers": ["boris"]}],
    "waitsFor": "waits for 1 more approval by boris until 2026-01-01 00:00:00 UTC",
    "decisions": [{"by": "anna", "approved": True, "reason": "fine", "at": 1_767_225_600_000}],
    "dueAt": 1_767_225_600_000,
    "createdAt": 1_767_225_600_000,
}
OFFER = {"permission": [{"action": "use"}]}


def test_what_waits_is_a_table(comity, api, alpha):
    api.says("POST", "approvals/request", [ASKED])
    assert comity("approvals", "list").out.splitlines()[1].split() == [
        *("0000abcd", "Alpha", "Works", "pump", "WAITING", "1", "of", "boris", "2026-01-01", "00:00"),
    ]
    assert api.bodies("POST", "approvals/request")[0]["filterExpression"] == [
        {"operandLeft": "state", "operator": "=", "operandRight": "WAITING"}
    ]


def test_nothing_that_waits_is_said(comity, api):
    api.says("POST", "approvals/request", [])
    assert comity("approvals", "list").out == "nothing waits for an approval\n"
    assert comity("approvals", "list", "--all").out == "no approvals yet\n"


def test_one_is_shown_with_its_terms_and_who_decided_what(comity, api, alpha):
    api.says("POST", "approvals/request", [ASKED])
    api.says("GET", f"approvals/{ASKED['@id'].replace(':', '%3A')}", {**ASKED, "offer": OFFER})
    shown = comity("approvals", "show", "abcd").out
    assert "waits        for 1 more approval by boris until 2026-01-01 00:00:00 UTC\n" in shown
    assert "terms        use, no conditions\n" in shown
    assert "not by       carla\n" in shown
    assert "decided      anna approved at 2026-01-01 00:00: fine\n" in shown


@pytest.mark.parametrize(
    ("verb", "words", "body"), [("approve", (), {}), ("refuse", ("--reason", "no"), {"reason": "no"})]
)
def test_a_decision_is_made_with_the_persons_own_key(comity, api, verb, words, body):
    api.says("POST", "approvals/request", [ASKED])
    path = f"approvals/{ASKED['@id'].replace(':', '%3A')}/{verb}"
    api.says("POST", path, ASKED)
    done = comity("approvals", verb, "abcd", *words, COMITY_API_KEY="comity-anna")
    assert done.out == (
        "approval 0190f3a0-0000-7000-a000-00000000abcd"
        " waits for 1 more approval by boris until 2026-01-01 00:00:00 UTC\n"
    )
    assert api.bodies("POST", path) == [body]
    assert {headers["X-Api-Key"] for _, _, _, headers in api.asked} == {"comity-anna"}


def test_a_refusal_needs_its_reason(comity):
    assert comity("approvals", "refuse", "abcd").code == 2


def test_who_has_to_approve_is_sent_and_said(comity, api, alpha, tmp_path):
    (tmp_path / "housing").mkdir()
    api.says("POST", "packages", {"assetId": "h", "title": "Housing", "files": 1})
    words = ("--approval", "anna", "--approval", "boris", "--four-eyes", "--approve-within", "48")
    done = comity("publish", "housing", *words)
    assert api.bodies("POST", "packages")[0]["approval"] == {
        "approvers": ["anna", "boris"],
        "fourEyes": True,
        "withinSeconds": 172_800,
    }
    assert "approval   by two of anna, boris within 48 hours\n" in done.out


def test_four_eyes_of_nobody_are_refused(comity, tmp_path):
    (tmp_path / "housing").mkdir()
    done = comity("publish", "housing", "--four-eyes")
    assert "--four-eyes needs to know whose" in done.err
