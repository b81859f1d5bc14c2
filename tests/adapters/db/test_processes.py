"""The store and other processes: one folder for one connector, and what a kill leaves."""

import os
import subprocess
import sys

import pytest

from comity import errors
from comity.db import sqlite, stores, token_uses


def run_python(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


LOCK = """
import sys, time
from pathlib import Path
from comity.db import stores
descriptor = stores.lock_folder(Path(sys.argv[1]))
print("locked", flush=True)
time.sleep(60)
"""


def test_two_processes_cannot_have_one_folder(tmp_path):
    with run_python(LOCK, tmp_path) as other:
        try:
            assert other.stdout.readline() == "locked\n"
            with pytest.raises(
                errors.SettingsError, match="another connector runs on the data folder"
            ) as caught:
                stores.lock_folder(tmp_path)
            assert str(tmp_path) in caught.value.message
        finally:
            other.kill()
    os.close(stores.lock_folder(tmp_path))


def test_a_folder_that_cannot_be_locked_is_named(tmp_path):
    with pytest.raises(errors.SettingsError, match="cannot be written: No such file"):
        stores.lock_folder(tmp_path / "missing")


WRITE = """
import asyncio, sys
from pathlib import Path
from comity.db import sqlite, stores, token_uses

async def main():
    store = sqlite.Database(Path(sys.argv[1]))
    async def one(number):
        await store.write(lambda tx: token_uses.use(tx, "a", str(number), request=b"", expires_at_s=0))
        print(number, flush=True)
    number = 0
    while True:
        await asyncio.gather(*(one(number + each) for each in range(20)))
        number += 20

asyncio.run(main())
"""


async def test_what_was_answered_survives_a_kill(path):
    with run_python(WRITE, path) as writer:
        answered = [writer.stdout.readline() for _ in range(300)]
        writer.kill()
        answered += writer.stdout.readlines()
    numbers = {line.strip() for line in answered if line.endswith("\n")}
    assert len(numbers) >= 300
    store = sqlite.Database(path)
    stored = {row[0] for row in await store.read(lambda tx: tx.all("SELECT jti FROM token_use"))}
    assert numbers <= stored
    assert await store.write(lambda tx: token_uses.purge(tx, before_s=1)) == len(stored)
    assert await store.read(lambda tx: tx.one("PRAGMA integrity_check")) == ("ok",)
    store.close()
