import json

import pytest

EXPLAINED = {
    "explanations": [
        {
            "about": "to agree to the offer o",
            "allowed": False,
            "because": "no permission applies: purpose eq repair: not stated",
            "rules": [
                {
                    "path": "$.permission[0]",
                    "rule": "permission use: purpose eq repair",
                    "effect": "does not apply",
                    "terms": [
                        {
                            "term": "dateTime lteq 2035-12-31",
                            "verdict": "holds",
                            "fact": "2027-06-01",
                            "source": "the time",
                            "enforced": "provider-enforced",
                        },
                        {"term": "purpose eq repair", "verdict": "cannot be told", "why": "not stated"},
                        {"term": "or(..)", "verdict": "fails"},
                    ],
                }
            ],
        }
    ]
}


def test_an_explanation_is_shown_rule_by_rule_and_term_by_term(comity, api, alpha):
    api.says("POST", "policydefinitions/explain", EXPLAINED)
    done = comity("policy", "explain", "--participant", "alpha", "--dataset", "pump", "--purpose", "repair")
    assert api.bodies("POST", "policydefinitions/explain") == [
        {"participant": alpha["@id"], "assetId": "pump", "purpose": "repair"}
    ]
    assert done.out == (
        "to agree to the offer o: no, no permission applies: purpose eq repair: not stated\n"
        "  permission[0]  does not apply\n"
        "    holds             dateTime lteq 2035-12-31  (fact: 2027-06-01; the time; provider-enforced)\n"
        "    cannot be told    purpose eq repair  (not stated)\n"
        "    fails             or(..)\n"
    )


def test_an_asset_that_nothing_offers_is_said_to_be(comity, api, alpha):
    api.says("POST", "policydefinitions/explain", {"explanations": []})
    done = comity("policy", "explain", "--participant", "alpha", "--dataset", "pump")
    assert done.out == "nobody may have it: no contract definition offers it\n"
    assert json.loads(
        comity("policy", "explain", "--participant", "alpha", "--dataset", "pump", "--json").out
    ) == {"explanations": []}


def test_a_simulation_is_a_table_of_before_and_after(comity, api, alpha, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    policy = {"permission": [{"action": "use"}]}
    (tmp_path / "new.json").write_text(json.dumps(policy))
    before, after = {"outcome": "sees it"}, {"outcome": "may have it", "because": "permission[0] applies"}
    row = {
        "participant": alpha["@id"],
        "name": "Alpha Works",
        "before": before,
        "after": after,
        "changes": True,
    }
    same = {**row, "name": "", "after": {"outcome": "sees it", "because": "-"}, "changes": False}
    api.says("POST", "policydefinitions/simulate", {"partners": [row, same]})
    what = ["--policy", "new.json", "--at", "2030-01-01", "--partner", "alpha", "--without", "L-1"]
    said = ["--set", "purpose=repair", "--set", "purpose=assembly", "--set", "spatial="]
    done = comity("policy", "simulate", "--dataset", "pump", *what, *said)
    assert api.bodies("POST", "policydefinitions/simulate") == [
        {
            "assetId": "pump",
            "policy": policy,
            "at": "2030-01-01",
            "attributes": {"purpose": ["repair", "assembly"], "spatial": []},
            "participant": alpha["@id"],
            "without": ["L-1"],
        }
    ]
    lines = done.out.splitlines()
    assert lines[0].split() == ["Partner", "Now", "Then", "Because"]
    assert "! may have it" in lines[1]
    assert lines[2].startswith(alpha["@id"])
    assert json.loads(comity("policy", "simulate", "--dataset", "pump", "--json").out)["partners"]


@pytest.mark.parametrize("wrong", ["purpose", "=repair"])
def test_what_is_set_needs_a_name_and_a_value(comity, api, wrong):
    done = comity("policy", "simulate", "--dataset", "pump", "--set", wrong)
    assert (done.code, done.err) == (2, f"error: {wrong} has no name and value\nhint: write NAME=VALUE\n")


def test_what_is_said_of_a_partner_beside_its_purposes_is_sent_and_shown(comity, api):
    partner = {
        "@id": "did:web:alpha.example",
        "name": "Alpha Works",
        "attributes": {"Membership": ["active"]},
    }
    api.says("POST", "partners", {"@id": partner["@id"]})
    api.says("GET", "partners", [partner])
    done = comity("partner", "add", "https://alpha.example", "--attribute", "Membership=active")
    assert api.bodies("POST", "partners") == [
        {"participant": "https://alpha.example", "attributes": {"Membership": ["active"]}}
    ]
    assert "Membership   active\n" in done.out
