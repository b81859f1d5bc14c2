"""The page about the commands names every command and option of the Typer application, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from comity.cli import exits
from comity.cli.main import app

HEADING = re.compile(r"^## `(comity[^`]*)`$", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])(--?[a-z][a-z-]*)")


def commands() -> dict[str, list]:
    """Every command by its words -> its parameters; a group that only shows its help is left out."""
    found = {}

    def walk(command, words):
        if not hasattr(command, "commands") or command.invoke_without_command or len(words) == 1:
            found[" ".join(words)] = command.params
        for name, each in getattr(command, "commands", {}).items():
            walk(each, [*words, name])

    walk(typer.main.get_command(app), ["comity"])
    return found


COMMANDS = commands()


@pytest.fixture(scope="module")
def sections(root: Path) -> dict[str, str]:
    parts = HEADING.split((root / "docs" / "reference" / "commands.md").read_text())
    return dict(zip(parts[1::2], (part.split("\n## ")[0] for part in parts[2::2]), strict=True))


def test_page_has_a_section_for_each_command_and_no_other(sections):
    assert sorted(sections) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_section_lists_every_option_of_its_command_and_no_other(name, sections):
    rows = re.findall(r"^\| (`-[^|]*)\|", sections[name], re.MULTILINE)
    named = {option for row in rows for option in OPTION.findall(row)}
    words = [word for each in COMMANDS[name] for word in (*each.opts, *each.secondary_opts)]
    options = {word for word in words if word.startswith("-")}
    assert named == options


@pytest.mark.parametrize("name", COMMANDS)
def test_section_shows_the_arguments_of_its_command(name, sections):
    usage = re.search(r"^```\n(comity.*)\n```$", sections[name], re.MULTILINE)
    assert usage is not None
    wanted = [each.metavar for each in COMMANDS[name] if each.param_type_name == "argument"]
    words = re.sub(r"--[a-z-]+ [A-Z:]+", "", usage[1])
    assert [word for word in re.findall(r"[A-Z][A-Z-]+", words) if word != "OPTIONS"] == wanted


def test_page_lists_every_exit_code(root):
    page = (root / "docs" / "reference" / "commands.md").read_text()
    rows = {int(code) for code in re.findall(r"^\| ([0-9]+) \|", page, re.MULTILINE)}
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert rows == {*codes, 130}


def test_documents_use_only_commands_and_options_that_exist(texts):
    known = set(COMMANDS) | {"comity partner", "comity evidence"}
    wrong = []
    for name, text in texts.items():
        if not name.endswith(".md") or not name.startswith(("docs/", "README")):
            continue
        for line in re.findall(r"^(?:\$ )?(comity (?:--data \S+ )?[a-z].*)$", text, re.MULTILINE):
            words = re.sub(r"--data \S+ ?", "", line).split()
            spoken = [words[:3], [*words[:2], *words[3:4]], words[:2]]  # a verb may stand after the id
            command = next((" ".join(each) for each in spoken if " ".join(each) in known), None)
            options = {word for each in COMMANDS.get(command or "", []) for word in each.opts} | {"--help"}
            unknown = set(OPTION.findall(re.sub(r'"[^"]*"', "", " ".join(words)))) - options
            if command is None or unknown:
                wrong.append((name, line))
    assert wrong == []
