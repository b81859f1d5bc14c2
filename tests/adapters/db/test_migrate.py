"""Migrations on real files: from nothing, twice, killed in the middle, and what is not ours to touch."""

import ast
import json
import os
import re
import runpy
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from comity import errors
from comity.db import migrate, sqlite
from comity.management import query


def tables(path):
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        return {row[0] for row in rows}


def schema(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()


def test_an_empty_database_gets_the_schema_and_a_second_start_does_nothing(tmp_path):
    path = tmp_path / "100% ours" / "comity.sqlite"
    path.parent.mkdir()
    assert migrate.current_version(path) is None
    assert migrate.migrate(path) is True
    assert migrate.current_version(path) == migrate.known_versions()[-1]
    before = schema(path)
    assert migrate.migrate(path) is False
    assert schema(path) == before
    assert {"negotiation", "agreement", "transfer", "outbox", "inbox", "evidence", "partner"} <= tables(path)


def test_a_plain_start_does_not_load_the_migration_library(tmp_path, migrated):
    code = (
        "import sys\nfrom pathlib import Path\nfrom comity.db import migrate\n"
        "assert migrate.migrate(Path(sys.argv[1])) is False\n"
        "sys.exit(any(name.partition('.')[0] in {'alembic', 'sqlalchemy'} for name in sys.modules))"
    )
    assert run_python(code, migrated).returncode == 0


def test_the_migrations_are_one_line_from_the_first(tmp_path):
    known = migrate.known_versions()
    assert known[0] == "0001"
    assert known == sorted(set(known))
    for path in (migrate.FOLDER / "versions").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        number = path.name[:4]
        before = known[known.index(number) - 1] if number != known[0] else None
        assert re.search(rf'^revision = "{number}"$', text, re.MULTILINE)
        assert f"down_revision = {before and repr(before).replace(chr(39), chr(34))}\n" in text


def run_python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


KILLED = """
import os, signal, sys
from pathlib import Path
from alembic.operations import Operations
from comity.db import migrate

execute, left = Operations.execute, int(sys.argv[2])

def killed(self, *arguments, **more):
    global left
    if left >= 0:
        execute(self, *arguments, **more)
        left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

Operations.execute = killed
migrate.migrate(Path(sys.argv[1]))
"""


def count_statements():
    """How many statements the first migration has."""
    place = next((migrate.FOLDER / "versions").glob("0001_*.py"))
    assigned = [each for each in ast.parse(place.read_text()).body if isinstance(each, ast.Assign)]
    (tables,) = [each.value for each in assigned if each.targets[0].id == "TABLES"]
    return len(tables.elts)


# after the first statement, in the middle, and after the last one, before the commit
@pytest.mark.parametrize("after", [0, count_statements() // 2, count_statements() - 1])
def test_a_migration_that_was_killed_in_the_middle_is_done_by_the_next_start(tmp_path, migrated, after):
    path = tmp_path / "comity.sqlite"
    killed = run_python(KILLED, path, after)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert migrate.current_version(path) is None
    assert tables(path) <= {"alembic_version"}
    assert migrate.migrate(path) is True
    assert schema(path) == schema(migrated)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(errors.SettingsError, match="has schema 9999, this Comity knows up to") as caught:
        migrate.migrate(path)
    assert "newer Comity" in caught.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"this is no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "comity.sqlite"
    path.write_bytes(content)
    with pytest.raises(
        errors.DatabaseError, match=r"comity\.sqlite cannot be read as a Comity database"
    ) as caught:
        migrate.migrate(path)
    assert caught.value.hint
    assert path.read_bytes() == content


def test_a_folder_in_its_place_is_refused(tmp_path):
    with pytest.raises(errors.DatabaseError, match="cannot be read"):
        migrate.migrate(tmp_path)


def test_a_database_that_another_program_holds_is_not_migrated(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    path = tmp_path / "comity.sqlite"
    with closing(sqlite.connect(str(path), reading=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(errors.DatabaseError, match="locked"):
            migrate.migrate(path)
        other.execute("ROLLBACK")
    assert migrate.migrate(path) is True


def test_somebody_elses_tables_are_not_mixed_with_ours(tmp_path):
    path = tmp_path / "comity.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE partner (x)")
        connection.commit()
    with pytest.raises(errors.DatabaseError, match="partner already exists"):
        migrate.migrate(path)
    assert tables(path) <= {"partner", "alembic_version"}


SELECTORS = [
    [],
    [("id", "=", "a")],
    [("dct:type", "=", "x"), ("@id", "=", "b"), ("id", "=", "c")],
    [(query.EDC + "id", "=", "d")],
    [("id", "like", "e")],
    [("id", "in", ["f"])],
    [("id", "=", 5)],
]


def test_definitions_of_before_0006_learn_which_asset_they_name(path):
    place = next((migrate.FOLDER / "versions").glob("0006_*.py"))
    fill = runpy.run_path(str(place))["FILL"]
    wanted = {}
    with closing(sqlite3.connect(path)) as connection:
        for at, criteria in enumerate(SELECTORS):
            names = ("operandLeft", "operator", "operandRight")
            selector = [dict(zip(names, each, strict=True)) for each in criteria]
            wanted[str(at)] = query.named_asset(selector)
            connection.execute(
                "INSERT INTO contract_definition (id, access_policy_id, contract_policy_id, assets_selector,"
                " private_properties, created_at) VALUES (?, 'p', 'p', ?, '{}', 1)",
                (str(at), json.dumps(selector).encode()),
            )
        connection.execute(fill)
        assert dict(connection.execute("SELECT id, named_asset FROM contract_definition")) == wanted
    assert sorted(wanted.values()) == ["", "", "", "", "a", "b", "d"]
