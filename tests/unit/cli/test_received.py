"""`comity received`, and the markings that publishing takes."""

import json

NAME = "urn:uuid:00000000-0000-7000-a000-00000000abcd"
AGREEMENT = "urn:uuid:00000000-0000-7000-a000-00000000ef01"
RECEIVED = {
    "@id": NAME,
    "@type": "Received",
    "agreementId": AGREEMENT,
    "counterPartyId": "did:web:alpha.example",
    "assetId": "housing",
    "destination": "/srv/got",
    "sha256": "ab" * 32,
    "files": 2,
    "sizeBytes": 7,
    "receivedAt": 1_767_225_600_000,
    "policy": {
        "permission": [
            {
                "action": "use",
                "constraint": [{"leftOperand": "purpose", "operator": "eq", "rightOperand": "repair"}],
            }
        ]
    },
    "locked": ["dateTime lteq 2027-12-31"],
}


def test_what_was_received_is_a_table_with_what_locks_it(comity, api, alpha):
    api.says("GET", "received", [RECEIVED])
    shown = " ".join(comity("received").out.split())
    assert "0000abcd" in shown
    assert "dateTime" in shown


def test_nothing_received_says_what_to_do(comity, api):
    api.says("GET", "received", [])
    assert "nothing was received" in comity("received").out


def test_one_is_shown_by_its_agreement_with_how_its_terms_are_enforced(comity, api, alpha):
    api.says("GET", "received", [RECEIVED])
    shown = comity("received", "0000ef01").out
    assert f"transfer   {NAME}" in shown
    assert "node-enforced: purpose eq repair" in shown


def test_opening_says_what_for_and_by_whom_and_prints_the_place_alone(comity, api):
    api.says("GET", "received", [RECEIVED])
    path = f"received/{NAME.replace(':', '%3A')}/open"
    api.says("POST", path, {**RECEIVED, "name": "a.stp"})
    done = comity(
        "received", "open", "abcd", "--purpose", "repair", "--person", "Jo", "--person-nationality", "AA"
    )
    assert done.out == "/srv/got/a.stp\n"
    assert api.bodies("POST", path) == [{"purpose": "repair", "person": "Jo", "nationality": ["AA"]}]


def test_a_refusal_names_the_term_and_is_a_refusal_of_policy(comity, api):
    api.says("GET", "received", [RECEIVED])
    problem = [{"message": "it may not be opened so: purpose eq repair", "type": "policy"}]
    api.says("POST", f"received/{NAME.replace(':', '%3A')}/open", problem, status=403)
    done = comity("received", "open", "abcd")
    assert done.code == 4
    assert "purpose eq repair" in done.err


def test_a_statement_is_told_to_the_provider(comity, api):
    api.says("GET", "received", [RECEIVED])
    path = f"received/{NAME.replace(':', '%3A')}/attest"
    api.says("POST", path, RECEIVED)
    assert "its provider is told" in comity("received", "attest", "abcd", "--statement", "kept").out
    assert api.bodies("POST", path)[0]["statement"] == "kept"


def test_a_marking_is_published_with_its_terms_and_their_class(comity, api, alpha, tmp_path):
    (tmp_path / "housing").mkdir()
    api.says("POST", "packages", {"title": "Housing", "derivedFrom": [AGREEMENT]})
    api.says("POST", "contractagreements/request", [{"@id": AGREEMENT}])
    marks = ("--marking", "partners-only", "--marking", "no-re-export", "--until", "2027-12-31")
    done = comity("publish", "housing", *marks, "--derived-from", "0000ef01")
    [body] = api.bodies("POST", "packages")
    assert body["derivedFrom"] == [AGREEMENT]
    assert body["policy"]["rdfs:label"] == "partners-only, no-re-export"
    assert "marking    partners-only, no-re-export\n" in done.out
    assert "provider-enforced: comity:distributionClass eq partners-only" in done.out
    assert "node-enforced: never distribute" in done.out
    assert "made from" in done.out


def test_publishing_under_a_licence_that_is_not_written_down_says_so(comity, api, tmp_path):
    (tmp_path / "housing").mkdir()
    api.says("POST", "packages", {"title": "Housing"})
    api.says("GET", "licences/L-9", [{"message": "there is no licence L-9", "type": "not-found"}], status=404)
    assert "comity licence add L-9" in comity("publish", "housing", "--licence", "L-9").err


def test_markings_are_listed_with_the_terms_that_they_write(comity):
    listed = json.loads(comity("markings", "--json").out)
    assert {each["name"] for each in listed} >= {"public", "partners-only", "licence", "no-re-export"}
    assert all(each["policy"]["permission"] for each in listed)
    assert "--person-nationality" in comity("markings").out


def test_an_unknown_marking_or_one_that_is_told_too_little_is_wrong_input(comity, api, tmp_path):
    (tmp_path / "housing").mkdir()
    assert "there is no marking secret" in comity("publish", "housing", "--marking", "secret").err
    done = comity("publish", "housing", "--marking", "licence")
    assert (done.code, "needs --licence" in done.err) == (2, True)
    assert api.bodies("POST", "packages") == []
