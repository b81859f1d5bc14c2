"""What holds for every file: no address of a package index, no path of one machine, no dead link."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# Built from pieces, so that this file does not contain what it forbids.
INDEX_HOSTS = [".".join(parts) for parts in (("pypi", "org"), ("files", "pythonhosted", "org"))]
MACHINE_PATHS = ["/" + folder + "/" for folder in ("root", "work")]
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize("word", INDEX_HOSTS)
def test_no_file_names_the_host_of_a_package_index(texts: dict[str, str], word: str) -> None:
    assert [name for name, text in texts.items() if word in text] == []


@pytest.mark.parametrize("word", MACHINE_PATHS)
def test_no_file_holds_an_absolute_path_of_one_machine(texts: dict[str, str], word: str) -> None:
    path = re.compile(rf"(?<![\w.]){re.escape(word)}")
    assert [name for name, text in texts.items() if path.search(text)] == []


def test_links_between_documents_lead_somewhere(root: Path, texts: dict[str, str]) -> None:
    links = {
        (name, target): (root / name).parent / target
        for name, text in texts.items()
        if name.endswith(".md")
        for target in LINK.findall(text)
    }
    assert [link for link, path in links.items() if not path.exists()] == []


def test_the_index_of_the_documentation_names_every_page(texts: dict[str, str]) -> None:
    pages = {name.removeprefix("docs/") for name in texts if re.match(r"docs/(?!decisions/).+/.+\.md$", name)}
    assert pages - set(LINK.findall(texts["docs/README.md"])) == set()


def test_every_text_file_ends_with_a_newline(texts: dict[str, str]) -> None:
    assert [name for name, text in texts.items() if text and not text.endswith("\n")] == []
