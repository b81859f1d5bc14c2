"""The page about the settings names every key with its type and default, and no other."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from comity import data_folder, errors, settings

ROW = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)
KEYS = {f"{section}.{name}": kind for section, keys in settings.KEYS.items() for name, kind in keys.items()}
TYPES = {str: "text", list: "list of texts", bool: "true or false", int: "whole number"}
REQUIRED = "none, must be set"


@pytest.fixture(scope="module")
def rows(root: Path) -> dict[str, tuple[str, str]]:
    page = (root / "docs" / "reference" / "settings.md").read_text()
    return {key: (kind.strip(), default.strip()) for key, kind, default in ROW.findall(page)}


def test_page_has_a_row_for_each_key_and_no_other(rows):
    assert sorted(rows) == sorted(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_row_names_the_type_of_its_key(key, rows):
    assert rows[key][0] == TYPES[KEYS[key]]


@pytest.mark.parametrize("key", KEYS)
def test_row_tells_the_default_that_holds_when_the_key_is_missing(key, rows, tmp_path):
    data_folder.initialize(tmp_path, address="https://alpha.example")
    file = tmp_path / settings.FILE
    section, name = key.split(".")
    text = re.sub(
        rf"(\[{section}\][^\[]*?)^{name} = .*\n", r"\1", file.read_text(), count=1, flags=re.MULTILINE
    )
    assert name not in tomllib.loads(text)[section]
    file.write_text(text)
    if rows[key][1] == REQUIRED:
        with pytest.raises(errors.SettingsError, match=rf"{key} is missing"):
            settings.load(tmp_path)
        return
    loaded = settings.load(tmp_path)
    fields = {field.name for field in dataclasses.fields(loaded)}
    value = getattr(loaded, name if name in fields else key.replace(".", "_"))
    said = "false" if value is False else value  # a number 0 is not
    assert rows[key][1] == {(): "`[]`", "": '`""`'}.get(value, f"`{said}`")


def test_example_on_the_page_is_a_connector_that_can_be_read(root, tmp_path):
    data_folder.initialize(tmp_path, address="https://alpha.example")
    page = (root / "docs" / "reference" / "settings.md").read_text()
    examples = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        (tmp_path / settings.FILE).write_text(example)
        settings.load(tmp_path)
