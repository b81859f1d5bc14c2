import time
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

from comity import data_folder as making
from comity import settings
from comity.cli import main
from unit.client import standin


@dataclass
class Outcome:
    code: int
    out: str
    err: str


class Command:
    """Runs `comity` in this process; output as a terminal of 80 columns would have it."""

    def __init__(self, api, folder):
        self.api = api
        self.folder = folder

    def __call__(self, *words, **env):
        result = CliRunner().invoke(main.app, list(words), prog_name="comity", env=env)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "comity-data"
    making.initialize(folder, address="https://beta.example", name="Beta", management="127.0.0.1:1")
    return folder


@pytest.fixture
def api():
    with standin.running() as running:
        yield running


@pytest.fixture
def comity(api, data_folder, tmp_path, monkeypatch):
    file = data_folder / settings.FILE
    listen = api.address.removeprefix("http://")
    lines = file.read_text().splitlines()
    at = lines.index("[management]")
    place = next(n for n in range(at, len(lines)) if lines[n].startswith("listen"))
    lines[place] = f'listen = "{listen}"'
    file.write_text("\n".join(lines))
    monkeypatch.setenv("COMITY_DATA", str(data_folder))
    monkeypatch.delenv("COMITY_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.chdir(tmp_path)
    yield Command(api, data_folder)
    monkeypatch.undo()
    time.tzset()


ALPHA = {
    "@id": "did:web:alpha.example",
    "@type": "Partner",
    "name": "Alpha Works",
    "address": "https://alpha.example/dsp/2025-1",
    "keys": [{"kty": "EC", "kid": "did:web:alpha.example#key-1"}],
    "pinned": False,
    "purpose": ["repair"],
    "spatial": [],
}


@pytest.fixture
def alpha(api):
    api.says("GET", "partners", [ALPHA])
    return ALPHA
