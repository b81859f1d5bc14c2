"""`comity framework`: what it writes, reads and shows; the connector it talks to is a stand-in."""

import json
from hashlib import sha256
from urllib.parse import quote

import pytest

from comity.framework import document as documents
from support import agreeing

US, ALPHA = "did:web:beta.example", "did:web:alpha.example"
DRAFT = (
    "framework",
    "draft",
    "joint",
    "--title",
    "Joint production",
    "--with",
    "alpha",
    "--until",
    "2099-12-31",
)


@pytest.fixture
def drafted(comity, api, alpha, tmp_path):
    done = comity(*DRAFT, "--language", "en", "--language", "fr", "--territory", "DE", "--open-to", "*")
    assert done.code == 0, done.err
    return tmp_path / "joint"


def standing(document, **more):
    urn = documents.urn(document)
    ours = {
        "participantId": US,
        "own": True,
        "agreedAt": 0,
        "state": "AGREED",
        "detail": "",
        "reason": "",
    }
    return {
        "@id": urn,
        "title": document["title"],
        "state": "open",
        "document": document,
        "textsId": "urn:texts",
        "parties": [ours],
        "commitments": [],
        "deliveries": [],
        "signatures": [],
        **more,
    }


def test_a_draft_is_a_document_of_both_parties_with_a_text_in_each_language(drafted):
    document = json.loads((drafted / "framework.json").read_text())
    assert [each["participantId"] for each in document["parties"]] == [US, ALPHA]
    assert document["accession"] == {"openTo": ["*"]}
    assert document["releaseRules"]["permission"][0]["constraint"][0]["rightOperand"] == ["DE"]
    assert (drafted / "text.fr.md").read_text().startswith("# Joint production\n")


def test_a_draft_that_says_too_little_is_refused(comity):
    done = comity("framework", "draft", "joint", "--title", "x")
    assert (done.code, "a draft needs --title, --with and --until" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--from", "2199-01-01"), "it would end (2099-12-31) before it begins (2199-01-01)"),
        (("--until", "31.12.2099"), "31.12.2099 is no date"),
        (("--language", "en", "--language", "EN"), "there are two texts in EN"),
    ],
)
def test_a_draft_that_could_never_be_proposed_is_not_written(comity, api, alpha, tmp_path, more, why):
    done = comity(*DRAFT, *more)
    assert (done.code, why in done.err, (tmp_path / "joint").exists()) == (2, True, False)


def test_what_is_signed_is_named_by_its_whole_urn_which_reading_it_tells(comity, api, alpha):
    document = agreeing.document((ALPHA, US))
    urn = documents.urn(document)
    short = urn.rpartition(":")[2][:8]
    done = comity("framework", "sign", short, "--with", "alpha")
    assert (done.code, f"comity framework show {short} --with alpha" in done.err) == (2, True)
    api.says("POST", "catalog/request", {"dataset": [{"@id": "urn:other"}, {"@id": urn}]})
    api.says("POST", "frameworks/offered", {"document": document, "textsId": "urn:\x1b[2Jtexts"})
    done = comity("framework", "show", short, "--with", "alpha")
    assert "urn:?[2Jtexts" in done.out
    assert f"comity framework sign '{urn}' --with alpha --texts texts" in done.out


def test_the_list_says_with_whom_it_is_in_force_or_why_it_is_not(comity, api, alpha):
    stands = {"own": False, "name": "", "agreedAt": 1, "state": "AGREED", "detail": "", "reason": ""}
    holding = {**stands, "participantId": ALPHA, "inForce": True}
    why = "the framework agreement 'x' is not in force: did:web:c suspended it: audit"
    lacking = {**stands, "participantId": "did:web:c", "inForce": False, "notInForce": why}
    found = standing(agreeing.document((ALPHA, US)), state="signed")
    for others in ([holding], [lacking], [holding, lacking]):
        api.says("GET", "frameworks", [{**found, "parties": found["parties"] + others}])
    said = [
        " ".join(comity("framework", COLUMNS="120").out.split()).partition(" signed ")[2] for _ in range(3)
    ]
    assert said == ["yes", "no: did:web:c suspended it: audit", "with Alpha Works; not with did:web:c"]


def test_a_draft_does_not_write_over_another(comity, drafted):
    done = comity(*DRAFT)
    assert "there is a framework.json in joint already" in done.err


def test_proposing_binds_the_texts_as_they_are(comity, api, drafted):
    (drafted / "text.en.md").write_text("what was agreed")
    document = json.loads((drafted / "framework.json").read_text())
    digests = [
        sha256((drafted / each["file"]).read_bytes()).hexdigest() for each in document["languageVersions"]
    ]
    for each, digest in zip(document["languageVersions"], digests, strict=True):
        each["sha256"] = digest
    api.says("POST", "frameworks", standing(document))
    done = comity("framework", "propose", "joint")
    assert done.code == 0, done.err
    assert api.bodies("POST", "frameworks") == [{"document": document, "folder": str(drafted)}]
    assert json.loads((drafted / "framework.json").read_text()) == document
    assert documents.urn(document) in done.out
    (drafted / "text.en.md").write_text("something else")
    done = comity("framework", "propose", "joint")
    assert done.code == 2
    assert "at $.languageVersions[0].sha256" in done.err


def test_what_is_signed_is_shown_and_its_hash_computed_again(comity, api, alpha, tmp_path):
    document = agreeing.document((ALPHA, US))
    urn = documents.urn(document)
    api.says("POST", "frameworks/offered", {"document": document, "textsId": "urn:texts"})
    api.says("POST", "frameworks/sign", {"@id": "urn:n"})
    api.says("GET", f"frameworks/{quote(urn, safe='')}", standing(document, state="signed"))
    done = comity("framework", "sign", urn, "--with", "alpha", "--texts", str(agreeing.write(tmp_path / "t")))
    assert done.code == 0, done.err
    assert "commitment           C1: 1200 piece of bracket 17 by 2027-06-30" in done.out
    assert "by both sides: both signatures are held" in done.out
    (tmp_path / "t" / "text.fr.md").write_text("another")
    done = comity("framework", "sign", urn, "--with", "alpha", "--texts", str(tmp_path / "t"))
    assert "text.fr.md is not the text that the document binds" in done.err
    other = documents.urn({**document, "title": "Another"})
    done = comity("framework", "sign", other, "--with", "alpha")
    assert "not the one that its name stands for" in done.err
    assert len(api.bodies("POST", "frameworks/sign")) == 1


def test_the_document_is_shown_as_the_bytes_that_are_signed(comity, api):
    document = agreeing.document((ALPHA, US))
    found = standing(document)
    api.says("GET", "frameworks", [found])
    api.says("GET", f"frameworks/{quote(found['@id'], safe='')}", found)
    done = comity("framework", "show", document["id"], "--document")
    assert done.out.encode() == documents.canonical(document)
    assert "with 0 of 0" not in comity("framework").out


def test_a_suspension_a_delivery_and_a_confirmation_are_asked_for_by_the_beginning_of_a_urn(
    comity, api, alpha
):
    found = standing(agreeing.document((ALPHA, US)), deliveries=[delivery("urn:uuid:d-1")])
    at = f"frameworks/{quote(found['@id'], safe='')}"
    api.says("GET", "frameworks", [found])
    api.says("GET", at, found)
    api.says("POST", f"{at}/suspend", None)
    api.says("POST", f"{at}/confirm", None)
    api.says("POST", "frameworks/deliveries", {"@id": "urn:uuid:d-2"})
    short = found["@id"][:40]
    for words in (
        ("suspend", short, "--reason", "why"),
        ("confirm", short, "d-1"),
        ("deliver", short, "--commitment", "C1", "--quantity", "4"),
    ):
        done = comity("framework", *words)
        assert done.code == 0, done.err
    assert api.bodies("POST", f"{at}/suspend") == [{"reason": "why"}]
    assert api.bodies("POST", f"{at}/confirm") == [{"delivery": "urn:uuid:d-1"}]
    asked = {"frameworkAgreement": found["@id"], "commitment": "C1", "quantity": "4", "evidence": ""}
    assert api.bodies("POST", "frameworks/deliveries") == [asked]


def delivery(name):
    return {
        "id": name,
        "commitmentId": "C1",
        "quantity": "4",
        "evidence": "note",
        "confirmedBy": "",
        "reportedBy": US,
    }
