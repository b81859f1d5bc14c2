"""Paths of `comity://`, and what is said where the library for it is missing."""

import importlib
import sys

import pytest

from comity.client.filesystem import encoded, read_path


@pytest.mark.parametrize(
    ("text", "partner", "asset", "path"),
    [
        ("", "", "", ""),
        ("alpha", "alpha", "", ""),
        ("alpha/pump", "alpha", "pump", ""),
        ("alpha/pump/a/b c.txt", "alpha", "pump", "a/b c.txt"),
        ("alpha/pump/50%25.txt", "alpha", "pump", "50%25.txt"),
        ("alpha/pump/Mu\N{COMBINING DIAERESIS}ller", "alpha", "pump", "Müller"),
        ("did:web:a.example/urn:x:1%2F2%25/a", "did:web:a.example", "urn:x:1/2%", "a"),
        ("did:web:a.example%3A8000/urn:x:1", "did:web:a.example%3A8000", "urn:x:1", ""),
    ],
)
def test_a_path_names_a_partner_an_asset_and_a_file(text, partner, asset, path):
    assert read_path(text) == (partner, asset, path)


@pytest.mark.parametrize("name", ["urn:x:1/2", "a%2Fb", "plain", "ü ä", "did:web:h%3A1", "[a]*?"])
def test_an_id_is_read_as_it_was_encoded(name):
    assert read_path(f"alpha/{encoded(name)}/file").asset == name
    assert "/" not in encoded(name)


def test_the_extra_is_named_where_the_library_is_missing(monkeypatch):
    monkeypatch.delitem(sys.modules, "comity.client.filesystem")
    monkeypatch.setitem(sys.modules, "fsspec.asyn", None)
    with pytest.raises(ImportError, match=r"pip install '\.\[fsspec\]' in a clone of Comity"):
        importlib.import_module("comity.client.filesystem")
