"""A connector on PostgreSQL as its operator meets it: made, served, asked, and its evidence checked."""

import json
import shutil
import subprocess
import sys

from support import postgres
from support.ports import free_port
from support.processes import command


def test_a_connector_is_made_on_a_database_and_its_evidence_checked(tmp_path):
    url, port = postgres.create(), free_port()
    folder = tmp_path / "alpha"
    words = ("--address", f"http://127.0.0.1:{port}", "--database", url, "--insecure")
    made = command("init", *words, folder=folder)
    assert made.returncode == 0, made.stderr
    assert (folder / "comity.toml").stat().st_mode & 0o077 == 0
    assert not (folder / "comity.sqlite").exists()
    checked = command("evidence", "verify", "--json", folder=folder)
    assert json.loads(checked.stdout)["chains"] == [{"chain": 0, "size": 0, "head": "00" * 32}]
    postgres.drop(url)


def test_a_url_that_leads_nowhere_is_an_error_without_the_password(tmp_path):
    postgres.need_binaries()
    url = postgres.server().url("postgres", user=postgres.LOCKED, password="hush")
    done = command(
        "init",
        "--address",
        "https://alpha.example",
        "--database",
        url,
        "--insecure",
        folder=tmp_path / "alpha",
    )
    assert done.returncode != 0
    assert "the password is wrong" in done.stderr
    assert "hush" not in done.stderr + done.stdout
    assert not (tmp_path / "alpha").exists()  # so the corrected command can be run again


def test_a_lost_folder_and_a_lost_database_come_back_where_the_backup_says(tmp_path):
    name, folder, file = postgres.name_of(postgres.create()), tmp_path / "alpha", tmp_path / "backup"
    url = postgres.server().url(name)
    words = ("--address", f"http://127.0.0.1:{free_port()}", "--database", url, "--insecure")
    assert command("init", *words, folder=folder).returncode == 0
    assert command("db", "backup", str(file), folder=folder).returncode == 0
    for place in (url, postgres.create()):
        shutil.rmtree(folder)
        content = None if place == url else place
        done = command("db", "restore", str(file), folder=folder, database=content)
        assert (done.returncode, f"PostgreSQL, {postgres.name_of(place)} at" in done.stdout) == (0, True), (
            done
        )
        assert postgres.rows(place, "SELECT count(*) FROM restored") == [(1,)]
        assert not (folder / "comity.sqlite").exists()
    postgres.drop(url)
    postgres.drop(place)


def test_a_connector_does_not_load_the_driver_without_a_url():
    words = "import sys, comity.runtime; sys.exit('asyncpg' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0
