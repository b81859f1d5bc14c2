"""Where a connector is found, and with which key."""

import pytest

from comity import data_folder, errors
from comity.client import finding


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("finding") / "data"
    data_folder.initialize(path, address="https://beta.example", name="Beta", management="127.0.0.1:8281")
    return path


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch, tmp_path):
    for name in (finding.DATA, finding.URL, finding.API_KEY):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def key_of(folder):
    return (folder / "keys" / "management.key").read_text().strip()


def test_the_data_folder_says_address_and_key(folder):
    found = finding.find(data=folder)
    assert found == ("http://127.0.0.1:8281", key_of(folder), f"start it with: comity serve --data {folder}")


def test_the_folder_may_be_named_by_a_variable(folder, monkeypatch):
    monkeypatch.setenv(finding.DATA, str(folder))
    assert finding.find().api_key == key_of(folder)
    assert finding.find().hint == "start it with: comity serve"


def test_a_persons_key_goes_before_the_folders(folder, monkeypatch):
    monkeypatch.setenv(finding.API_KEY, "anna")
    assert finding.find(data=folder).api_key == "anna"
    assert finding.find(api_key="berta", data=folder).api_key == "berta"


def test_an_address_elsewhere_goes_before_the_folder_of_a_variable(folder, monkeypatch):
    monkeypatch.setenv(finding.DATA, str(folder))
    monkeypatch.setenv(finding.URL, "https://there.example:8281/")
    monkeypatch.setenv(finding.API_KEY, "k")
    found = finding.find()
    assert (found.address, found.api_key) == ("https://there.example:8281", "k")
    assert "COMITY_URL" in found.hint


def test_what_is_given_goes_before_an_address_elsewhere(folder, monkeypatch):
    monkeypatch.setenv(finding.URL, "https://there.example")
    assert finding.find(data=folder).address == "http://127.0.0.1:8281"
    assert finding.find("http://here:1", "k").address == "http://here:1"


def test_without_a_key_there_is_no_way_in(monkeypatch):
    monkeypatch.setenv(finding.URL, "https://there.example")
    with pytest.raises(errors.SettingsError, match="no key") as caught:
        finding.find()
    assert "COMITY_API_KEY" in caught.value.hint


def test_without_anything_it_is_said_how_to_name_one():
    with pytest.raises(errors.SettingsError, match="there is no connector in") as caught:
        finding.find()
    assert "COMITY_DATA" in caught.value.hint
    assert "COMITY_URL" in caught.value.hint


def test_a_key_is_not_shown(folder):
    assert key_of(folder) not in repr(finding.find(data=folder))
