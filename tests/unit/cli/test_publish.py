import json

import pytest

from comity.cli import meant

PUBLISHED = {
    "assetId": "urn:comity:package:0123456789abcdef0123456789abcdef",
    "title": "Housing",
    "files": 4,
    "sizeBytes": 23_100_000,
    "manifestSha256": "ab" * 32,
    "revision": 3,
    "unchanged": False,
    "sealedBy": "did:web:beta.example",
    "warnings": [],
    "skipped": [".git"],
}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "housing"
    made.mkdir()
    return made


def test_publish_sends_folder_and_terms_and_shows_what_became_of_them(comity, api, alpha, folder):
    api.says("POST", "packages", PUBLISHED)
    done = comity("publish", "housing", "--title", "Housing", "--to", "alpha", "--until", "2027-12-31")
    [body] = api.bodies("POST", "packages")
    assert body["folder"] == str(folder)
    assert body["policy"]["permission"][0]["constraint"][0]["rightOperand"] == "did:web:alpha.example"
    assert done.out == (
        "published  Housing\n"
        "id         urn:comity:package:0123456789abcdef0123456789abcdef\n"
        "revision   3\n"
        "files      4 files, 23.1 MB\n"
        f"manifest   {'ab' * 32}\n"
        "sealed by  did:web:beta.example\n"
        "terms      use by did:web:alpha.example, until 2027-12-31\n"
        "           provider-enforced: recipient eq did:web:alpha.example; dateTime lteq 2027-12-31\n"
        "left out   1: .git\n"
        "\n"
        "your partners see it with: comity catalog did:web:beta.example\n"
    )


BLIND = "no permission applies: purpose eq repair: not stated"
SEES_NOTHING = {"name": "Beta", "before": {"outcome": "sees nothing", "because": BLIND}}


def test_publish_says_why_when_no_partner_sees_it(comity, api, alpha, folder):
    api.says("POST", "packages", PUBLISHED)
    api.says("POST", "policydefinitions/simulate", {"partners": [SEES_NOTHING]})
    said = comity("publish", "housing", "--purpose", "repair").err
    assert f"no partner on your list sees it now: Beta: {BLIND}\nhint: " in said


def test_publish_says_nothing_of_that_where_one_does(comity, api, alpha, folder):
    api.says("POST", "packages", PUBLISHED)
    sees = {"name": "Alpha", "before": {"outcome": "would be agreed", "because": ""}}
    api.says("POST", "policydefinitions/simulate", {"partners": [SEES_NOTHING, sees]})
    assert comity("publish", "housing", "--purpose", "repair").err == ""


def test_publish_without_terms_says_that_every_partner_sees_it(comity, api, folder):
    api.says("POST", "packages", PUBLISHED)
    done = comity("publish", "housing")
    assert api.bodies("POST", "packages") == [{"folder": str(folder)}]
    assert "terms      to every partner on the list: use, no conditions\n" in done.out


def test_publish_takes_a_policy_from_a_file(comity, api, folder, tmp_path):
    policy = {"permission": [{"action": "use"}], "prohibition": [{"action": "distribute"}]}
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    api.says("POST", "packages", PUBLISHED)
    done = comity("publish", "housing", "--policy", "policy.json", "--id", "h", "--json")
    [body] = api.bodies("POST", "packages")
    assert body == {"folder": str(folder), "policy": policy, "assetId": "h", "keep": ["terms"]}
    assert json.loads(done.out) == PUBLISHED


def test_policy_file_and_options_do_not_mix(comity, api, folder):
    done = comity("publish", "housing", "--policy", "policy.json", "--count", "3")
    assert done.code == 2
    assert "--policy stands alone" in done.err
    assert api.asked == []


@pytest.mark.parametrize("name", ["none", "file"])
def test_something_that_is_no_folder_is_refused_before_the_connector_is_asked(comity, api, tmp_path, name):
    (tmp_path / "file").touch()
    done = comity("publish", name)
    assert (done.code, api.asked) == (2, [])
    assert {"none": "there is no folder none", "file": "file is no folder"}[name] in done.err


def test_unknown_recipient_is_not_found(comity, api, alpha, folder):
    done = comity("publish", "housing", "--to", "gamma")
    assert done.code == 5
    assert api.bodies("POST", "packages") == []


@pytest.mark.parametrize("option", ["--until=", "--count=0", "--to="])
def test_restriction_that_is_empty_is_never_left_out(comity, api, alpha, tmp_path, option):
    (tmp_path / "housing").mkdir()
    assert comity("publish", "housing", option).code != 0
    assert ("POST", "packages") not in [each[:2] for each in api.asked]


def test_day_that_is_past_is_told(comity, api, folder):
    api.says("POST", "packages", PUBLISHED)
    done = comity("publish", "housing", "--until", "2020-01-01")
    assert (done.code, done.err) == (0, "nobody may see or use it: 2020-01-01 is past\n")


def test_publish_says_for_what_it_is_meant(comity, api, folder):
    meant_for = {"part": "P1", "serialFrom": "SN-5", "serialTo": "SN-9", "plants": ["Ulm"]}
    api.says("POST", "packages", {**PUBLISHED, "effectivity": [meant_for]})
    done = comity(
        "publish", "housing", "--part", "P1", "--serials", "SN-5..SN-9", "--plant", "Ulm", "--plant", "Linz"
    )
    [body] = api.bodies("POST", "packages")
    assert "meant for  part P1, SN-5 to SN-9, at Ulm\n" in done.out
    assert body["effectivity"] == [
        {"part": "P1", "serialFrom": "SN-5", "serialTo": "SN-9", "plants": ["Ulm", "Linz"]}
    ]
    assert body["keep"] == ["effectivity"]
    comity("publish", "housing", "--part", "", "--plant", "", "--serials", "..")
    [*_, body] = api.bodies("POST", "packages")
    assert body["effectivity"] == [{"part": "", "serialFrom": "", "serialTo": "", "plants": []}]


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        ("100..199", ("100", "199")),
        ("100..", ("100", "")),
        ("..199", ("", "199")),
        ("SN-90", ("SN-90", "SN-90")),
        ("7-2024", ("7-2024", "7-2024")),
    ],
)
def test_a_range_has_two_dots_and_one_serial_number_is_both_ends(said, ends):
    assert meant.effectivity(None, said, None) == [{"serialFrom": ends[0], "serialTo": ends[1]}]


def test_new_terms_are_said_and_then_nothing_before_is_kept(comity, api, alpha, folder):
    api.says("POST", "packages", PUBLISHED)
    assert comity("publish", "housing", "--new-terms").code == 2
    comity("publish", "housing", "--new-terms", "--to", "alpha")
    [body] = api.bodies("POST", "packages")
    assert "keep" not in body


@pytest.mark.parametrize("said", ["", " .. .", "1..2..3", "1...3"])
def test_serial_numbers_whose_ends_cannot_be_told_are_refused(comity, api, folder, said):
    done = comity("publish", "housing", f"--serials={said}")
    assert (done.code, api.bodies("POST", "packages")) == (2, [])
    assert "FROM..TO" in done.err


def test_what_is_there_already_is_said_to_be_unchanged_and_warnings_are_told(comity, api, folder):
    api.says("POST", "packages", {**PUBLISHED, "unchanged": True, "warnings": ["it overlaps"]})
    done = comity("publish", "housing")
    assert done.out.startswith("unchanged  Housing\n")
    assert "it overlaps\n" in done.err


def test_publish_says_type_version_and_meaning_as_catena_x_writes_them(comity, api, folder):
    api.says("POST", "packages", PUBLISHED)
    meaning = "urn:samm:io.catenax.item_stock:2.0.0#ItemStock"
    comity("publish", "housing", "--type", "cx-taxo:Submodel", "--version", "3.0", "--semantic-id", meaning)
    assert api.bodies("POST", "packages")[0]["properties"] == {
        "dct:type": {"@id": "https://w3id.org/catenax/taxonomy#Submodel"},
        "https://w3id.org/catenax/ontology/common#version": "3.0",
        "https://admin-shell.io/aas/3/0/HasSemantics/semanticId": {"@id": meaning},
    }


def test_a_type_that_is_no_iri_is_refused(comity, api, folder):
    done = comity("publish", "housing", "--type", "Submodel")
    assert done.code == 2
    assert done.err.startswith("error: 'Submodel' is no IRI (at --type)\nhint: for example cx-taxo:Submodel")
