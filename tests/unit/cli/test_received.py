"""`comity received`, and the markings that publishing takes."""

import json

import pytest

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


SEAL = {
    "sealedBy": "did:web:alpha.example",
    "key": "did:web:alpha.example#key-2",
    "sealedAt": 1_767_225_600_000,
}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "sealed by  not sealed\n"),
        ({"seal": SEAL}, "sealed by  did:web:alpha.example#key-2, "),
        ({"name": "a.stp"}, ""),
    ],
)
def test_it_is_said_who_sealed_a_package_or_that_nobody_did(comity, api, alpha, more, said):
    api.says("GET", "received", [{**RECEIVED, **more}])
    out = comity("received", "0000ef01").out
    assert said in out
    assert ("sealed by" in out) == bool(said)


def test_opening_says_what_for_and_by_whom_and_prints_the_place_alone(comity, api):
    api.says("GET", "received", [RECEIVED])
    path = f"received/{NAME.replace(':', '%3A')}/open"
    api.says("POST", path, {**RECEIVED, "name": "a.stp"})
    done = comity(
        "received", "open", "abcd", "--purpose", "repair", "--person", "Jo", "--person-nationality", "AA"
    )
    assert done.out == "/srv/got/a.stp\n"
    assert api.bodies("POST", path) == [{"purpose": "repair", "person": "Jo", "nationality": ["AA"]}]


def test_who_opens_or_copies_out_a_revision_that_was_recalled_is_told_so_on_stderr(comity, api, alpha):
    became = {**RECEIVED, "revision": 4, "revisionState": "recalled"}
    became["became"] = "revision 4 was recalled by did:web:alpha.example: sheet 4"
    api.says("GET", "received", [became])
    for verb, more in (("open", ()), ("export", ("-o", "copy"))):
        api.says("POST", f"received/{NAME.replace(':', '%3A')}/{verb}", became)
        done = comity("received", verb, "abcd", *more)
        assert (done.code, done.err) == (0, "revision 4 was recalled by Alpha Works: sheet 4\n")
    shown = comity("received", "abcd").out
    assert "revision   revision 4 was recalled by Alpha Works: sheet 4\n" in shown


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


IN_STORE = {**RECEIVED, "destination": "store:", "sizeBytes": 7, "locked": []}
AT = f"received/{NAME.replace(':', '%3A')}"


def test_the_table_says_what_lies_in_the_store_here_or_elsewhere_and_how_much(comity, api, alpha):
    other = {**IN_STORE, "@id": NAME.replace("abcd", "abce"), "lies": "two:/var/kept"}
    older = {**IN_STORE, "revision": 2, "revisionState": "superseded"}
    api.says(
        "GET",
        "received",
        [older, other, {**IN_STORE, "@id": NAME.replace("abcd", "abcf"), "deletedAt": 1}],
    )
    api.says("GET", "received/store", {"folder": "/kept", "files": 2, "sizeBytes": 7, "freeBytes": 2_000_000})
    shown = " ".join(comity("received").out.split())
    for each in (
        "housing 2, superseded store use for repair",
        "two:/var/kept",
        "deleted",
        "store: 2 files, 7 B (each content once) in /kept",
    ):
        assert each in shown


def test_what_the_store_deleted_and_whose_copies_wait_is_named_with_what_to_do(comity, api, alpha):
    exports = [{"destination": "/srv/out", "at": 1}, {"destination": "", "at": 2}]
    api.says(
        "GET", "received", [{**RECEIVED, "destination": "store:", "exports": exports, "copiesWait": True}]
    )
    said = "deleted from the store, as agreed; copies wait for you, in /srv/out, a program: comity delete 0000abcd"
    assert said in " ".join(comity("received").out.split())
    assert said in " ".join(comity("received", "0000abcd").out.split())


def test_a_file_of_the_store_is_written_out_as_it_is(comity, api):
    api.says("GET", "received", [IN_STORE])
    api.says("GET", f"{AT}/files/sub/a.txt?purpose=repair", ["bytes"])
    done = comity("received", "open", "abcd", "sub/a.txt", "--purpose", "repair")
    assert (done.code, done.out) == (0, '["bytes"]')


def test_opening_what_is_in_the_store_says_how_its_files_are_read(comity, api):
    api.says("GET", "received", [IN_STORE])
    api.says("POST", f"{AT}/open", IN_STORE)
    assert "comity received files 0000abcd" in comity("received", "open", "abcd").out


def test_files_of_the_store_are_listed_and_a_copy_says_that_it_leaves(comity, api, tmp_path):
    api.says("GET", "received", [IN_STORE])
    api.says(
        "GET",
        f"{AT}/files",
        [{"path": "a.txt", "sizeBytes": 5, "sha256": "ab" * 32, "mediaType": "text/plain"}],
    )
    assert "a.txt" in comity("received", "files", "abcd").out
    api.says("POST", f"{AT}/export", IN_STORE)
    done = comity("received", "export", "abcd", "-o", "out", "--person", "Jo")
    said = {"purpose": "", "person": "Jo", "nationality": []}
    assert api.bodies("POST", f"{AT}/export") == [{"destination": str(tmp_path / "out"), **said}]
    assert "leaves what the node enforces" in done.out


def test_a_check_names_what_is_damaged_or_missing_and_fails_then(comity, api):
    api.says("GET", "received", [IN_STORE, RECEIVED])
    api.says("POST", f"{AT}/check", {"files": 3, "sizeBytes": 7, "damaged": ["a.txt"], "missing": ["b.txt"]})
    done = comity("received", "check")
    assert done.code == 1
    assert "damaged  0000abcd  housing  a.txt" in done.out
    assert "missing  0000abcd  housing  b.txt" in done.out
    assert "read 3 files, 7 B, of 1 received" in done.out


def test_a_check_that_finds_all_right_says_how_much_it_read(comity, api):
    api.says("GET", "received", [IN_STORE])
    api.says("POST", f"{AT}/check", {"files": 3, "sizeBytes": 7, "damaged": [], "missing": []})
    done = comity("received", "check", "abcd")
    assert (done.code, done.out) == (0, "read 3 files, 7 B, of 1 received\n")


def test_what_is_in_the_store_is_published_by_its_id(comity, api):
    api.says("GET", "received", [IN_STORE])
    api.says("POST", "packages", {"title": "Housing"})
    comity("publish", "--received", "abcd")
    assert [each["folder"] for each in api.bodies("POST", "packages")] == [f"store:{NAME}"]
    assert comity("publish").code == 2
    assert comity("publish", "housing", "--received", "abcd").code == 2
