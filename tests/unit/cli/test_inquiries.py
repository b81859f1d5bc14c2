"""`comity inquiries`: what is asked is sent, what the connector says is shown, who decides is whose key it is."""

import pytest

ID = "urn:uuid:019ac55c-5a54-7cc5-b3b5-3b1c9a5dabcd"
AGREEMENT = "urn:uuid:019ac55c-5a54-7cc5-b3b5-3b1c9a5d0001"
INQUIRY = {
    "@id": ID,
    "type": "PROVIDER",
    "kind": "deviation",
    "state": "OPEN",
    "counterPartyId": "did:web:alpha.example",
    "agreementId": AGREEMENT,
    "assetId": "housing",
    "manifestSha256": "ab" * 32,
    "text": "M6 instead of M5?\nM5 cannot be had.",
    "files": ["drawings/a.pdf"],
    "limits": {"lotFrom": "L-1", "lotTo": "L-2", "until": "2027-06-30"},
    "answerBy": "2027-03-31",
    "overdue": False,
    "askedBy": "carla",
    "decidedBy": [],
    "createdAt": 1700000000000,
    "updatedAt": 1700000000000,
}
THREAD = [
    {
        "event": "asked",
        "type": "CONSUMER",
        "by": ["carla"],
        "text": INQUIRY["text"],
        "delivery": "received",
        "at": 0,
    },
    {
        "event": "said",
        "type": "PROVIDER",
        "by": ["anna"],
        "text": "Which batch?",
        "delivery": "sent",
        "at": 1000,
    },
    {
        "event": "said",
        "type": "PROVIDER",
        "by": [],
        "text": "?",
        "delivery": "refused",
        "error": "full",
        "at": 2000,
    },
]
PATH = f"inquiries/{ID.replace(':', '%3A')}"


def test_what_is_asked_is_sent_with_its_limits(comity, api):
    api.says("POST", "contractagreements/request", [{"@id": AGREEMENT}])
    api.says("POST", "inquiries", {"@type": "IdResponse", "@id": ID, "createdAt": 1})
    words = [
        "--text",
        "M6?",
        "--kind",
        "deviation",
        "--file",
        "a.pdf",
        "--file",
        "b.pdf",
        "--answer-by",
        "2027-03-31",
    ]
    limits = ["--lots", "L-1..L-2", "--serials", "7..9", "--quantity", "5", "--until", "2027-06-30"]
    done = comity(
        "inquiries", "ask", "0001", *words, *limits, "--conditions", "Mark them.", "--proposal", "own"
    )
    assert done.out == "asked: inquiry 019ac55c-5a54-7cc5-b3b5-3b1c9a5dabcd; its owner is told\n"
    assert api.bodies("POST", "inquiries") == [
        {
            "agreementId": AGREEMENT,
            "kind": "deviation",
            "text": "M6?",
            "files": ["a.pdf", "b.pdf"],
            "proposal": "own",
            "answerBy": "2027-03-31",
            "limits": {
                "lotFrom": "L-1",
                "lotTo": "L-2",
                "serialFrom": "7",
                "serialTo": "9",
                "quantity": 5,
                "until": "2027-06-30",
                "conditions": "Mark them.",
            },
        }
    ]
    assert comity("inquiries", "ask", "0001").code == 2
    for wrong in ("..", "1..2..3", "1...3"):
        assert "begin and end" in comity("inquiries", "ask", "0001", "--text", "?", "--lots", wrong).err


def test_a_list_has_who_decides_and_the_deadline(comity, api, alpha):
    api.says(
        "POST",
        "inquiries/request",
        [INQUIRY, {**INQUIRY, "@id": ID[:-1] + "e", "overdue": True, "type": "CONSUMER"}],
    )
    shown = comity("inquiries", "list").out
    head, first = (line.split() for line in shown.splitlines()[:2])
    assert head == ["ID", "Kind", "Decides", "Asset", "State", "Text", "Until"]
    assert first[:5] == ["9a5dabcd", "deviation", "we", "housing", "OPEN"]
    assert first[-1] == "2027-03-31"
    assert "Alpha Works  housing  OVERDUE  " in shown
    assert api.bodies("POST", "inquiries/request")[0]["filterExpression"] == [
        {"operandLeft": "state", "operator": "in", "operandRight": ["OPEN", "UNDELIVERED", "REVOKED"]}
    ]
    comity("inquiries", "list", "--all")
    assert api.bodies("POST", "inquiries/request")[1]["filterExpression"] == []


def test_that_a_deviation_was_revoked_is_listed_while_the_other_side_has_not_taken_it(comity, api, alpha):
    revoked = {**INQUIRY, "state": "REVOKED"}
    api.says("POST", "inquiries/request", [revoked, {**revoked, "error": "the event is unknown"}])
    assert [line.split()[4:6] for line in comity("inquiries", "list").out.splitlines()[1:]] == [
        ["NOT", "TAKEN"]
    ]
    shown = comity("inquiries", "list", "--all").out
    assert (shown.count("REVOKED"), shown.count("NOT TAKEN")) == (1, 1)


def test_where_there_is_none_it_is_said(comity, api):
    api.says("POST", "inquiries/request", [])
    assert comity("inquiries", "list").out == "no inquiry is open; --all shows those that are over\n"
    assert comity("inquiries", "list", "--all").out == "no inquiries yet\n"
    assert comity("inquiries", "show", "abcd").code == 5


def test_one_shows_the_limits_and_the_thread(comity, api, alpha):
    api.says("POST", "inquiries/request", [INQUIRY])
    waits = {"waitsFor": "granted by anna; waits for 1 more of boris"}
    api.says("GET", PATH, {**INQUIRY, **waits, "revokedAt": 60_000, "thread": THREAD})
    shown = comity("inquiries", "show", "abcd").out
    for line in (
        "asked for    lots L-1 to L-2, until 2027-06-30",
        "waits        granted by anna; waits for 1 more of boris",
        "file         drawings/a.pdf",
        "revoked      1970-01-01 00:01",
        "1970-01-01 00:00  asked by Alpha Works (carla)",
        "  M5 cannot be had.",
        "1970-01-01 00:00  said by us (anna)",
        "  on its way",
        "  not taken: full",
    ):
        assert line in shown.splitlines(), (line, shown)


@pytest.mark.parametrize(
    ("verb", "words", "sent"),
    [
        ("say", ["--text", "Why?"], {"text": "Why?"}),
        ("answer", ["--text", "Yes."], {"text": "Yes."}),
        ("grant", [], {}),
        (
            "grant",
            ["--lots", "1..2", "--text", "Mark."],
            {"limits": {"lotFrom": "1", "lotTo": "2"}, "text": "Mark."},
        ),
        ("grant", ["--lots", "12-2026"], {"limits": {"lotFrom": "12-2026", "lotTo": "12-2026"}}),
        ("refuse", ["--reason", "No."], {"text": "No."}),
        ("revoke", ["--reason", "M6 breaks."], {"text": "M6 breaks."}),
        ("withdraw", [], {}),
        ("withdraw", ["--reason", "Found."], {"text": "Found."}),
    ],
)
def test_a_step_is_made_as_the_person_whose_key_it_is(comity, api, verb, words, sent):
    api.says("POST", "inquiries/request", [INQUIRY])
    api.says("POST", f"{PATH}/{verb}", {**INQUIRY, "state": "GRANTED"})
    done = comity("inquiries", verb, "abcd", *words, COMITY_API_KEY="comity-anna")
    assert done.out == "inquiry 019ac55c-5a54-7cc5-b3b5-3b1c9a5dabcd is now GRANTED\n"
    assert api.bodies("POST", f"{PATH}/{verb}") == [sent]


def test_a_deviation_that_waits_for_others_says_for_whom(comity, api):
    api.says("POST", "inquiries/request", [INQUIRY])
    api.says("POST", f"{PATH}/grant", {**INQUIRY, "waitsFor": "granted by anna; waits for 1 more of boris"})
    assert comity("inquiries", "grant", "abcd").out == (
        "inquiry 019ac55c-5a54-7cc5-b3b5-3b1c9a5dabcd is granted by anna; waits for 1 more of boris\n"
    )


@pytest.mark.parametrize("verb", ["say", "answer", "refuse", "revoke"])
def test_what_must_be_said_is_asked_for(comity, verb):
    assert comity("inquiries", verb, "abcd").code == 2
