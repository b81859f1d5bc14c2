"""Commands that ask a connector on another machine: COMITY_URL and a key, no data folder."""

import pytest

from unit.client.standin import KEY

US = "did:web:beta.example"


@pytest.fixture
def elsewhere(comity, api, alpha, monkeypatch):
    """A connector that is reached at an address alone."""
    monkeypatch.setenv("COMITY_URL", api.address)
    monkeypatch.setenv("COMITY_API_KEY", KEY)
    monkeypatch.delenv("COMITY_DATA")
    api.says("GET", "identity", {"@id": US, "keys": []})
    use = {"leftOperand": "recipient", "operator": "eq", "rightOperand": US}
    offer = {"@id": "o", "permission": [{"action": "use", "constraint": [use]}]}
    api.says("POST", "catalog/request", {"dataset": {"@id": "pump", "hasPolicy": offer}})
    return api


def test_a_connector_elsewhere_is_asked_and_says_who_we_are(comity, elsewhere):
    done = comity("catalog", "alpha")
    assert done.code == 0, done.err
    assert "use by you" in done.out
    assert {headers["X-Api-Key"] for *_, headers in elsewhere.asked} == {KEY}


def test_a_data_folder_on_the_command_line_goes_before_it(comity, elsewhere, data_folder, monkeypatch):
    monkeypatch.setenv("COMITY_URL", "http://127.0.0.1:1")
    for words in (
        ["catalog", "alpha", "--data", str(data_folder)],
        ["--data", str(data_folder), "catalog", "alpha"],
    ):
        assert comity(*words).code == 0
    assert ("GET", "identity") not in {(method, path) for method, path, *_ in elsewhere.asked}


def test_without_a_key_for_it_the_command_says_so(comity, elsewhere, monkeypatch):
    monkeypatch.delenv("COMITY_API_KEY")
    done = comity("catalog", "alpha")
    assert done.code == 1
    assert "no key for the connector" in done.err
